"""Widgets that play a training over again, frame by frame; `widgets` offers them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import traitlets as t

from autoencoders.views import as_array, few_levels, picture_bytes, picture_shape, show


def separability_story(
    steps: Sequence[int],
    means: Any,
    deviations: Any,
    labels: Any,
    originals: Any,
    drawn: Any,
    pairs: Mapping[str, tuple[int, int]],
    *,
    class_names: Sequence[str] | None = None,
    start: int | None = None,
    ink: bool = True,
    hint: str = "Try: play it from the start with a 2 and a 3, then with two 2s. Who is pushed apart first, and what do the "
    "decoded draws look like while the two ellipses overlap?",
) -> Any:
    """Posteriors of pairs of pictures over training: ellipses in a plane of two latents, and what a draw is decoded to.

    The overlap of two posteriors is their Bhattacharyya coefficient, the integral of sqrt(q1 q2): 1 if they are the same.

    Args:
        steps: the training step of each frame, ascending.
        means, deviations: (frames, n, 2), of q(z|x) for n pictures, drawn as a cloud.
        labels: (n,), their classes.
        originals: (k, c, h, w), the first k of these pictures, k <= n.
        drawn: (frames, k, c, h, w), what the decoder makes of one draw from each of their posteriors.
        pairs: what to compare, by name: two indices below k.
        start: the frame it opens on; by default the first where the overlap of the first pair is below one half.
    """
    centers, spreads, frames = as_array(means), as_array(deviations), len(steps)
    shape, count = picture_shape(originals), len(originals)
    if centers.ndim != 3 or centers.shape[::2] != (frames, 2) or spreads.shape != centers.shape or not frames:
        raise ValueError(
            f"means and deviations must be ({frames}, n, 2), one plane of codes a step, not {centers.shape} and {spreads.shape}"
        )
    if tuple(drawn.shape) != (frames, *originals.shape) or not count <= centers.shape[1] == len(labels):
        raise ValueError(
            f"drawn must hold the {count} originals for each of {frames} steps, and labels one class for each of the "
            f"{centers.shape[1]} codes, not shapes {tuple(drawn.shape)} and ({len(labels)},)"
        )
    if not pairs or any(not 0 <= i < count for pair in pairs.values() for i in pair):
        raise ValueError(f"pairs must name at least one pair of pictures below {count}, not {dict(pairs)}")
    curves = {name: _overlaps(centers, spreads, *pair) for name, pair in pairs.items()}
    first, opening = next(iter(pairs)), next(iter(curves.values()))
    start = int(np.argmax(opening < 0.5)) if start is None else start
    reach = float(np.ceil(2 * max(2.5, np.percentile(np.abs(centers[-1]), 99))) / 2)
    places = np.rint(255 * (centers / (2 * reach) + 0.5).clip(0, 1)).astype(np.uint8)
    classes = as_array(labels).astype(np.uint8)
    names = [str(name) for name in class_names or range(int(classes.max()) + 1)]
    state = {
        "steps": [int(step) for step in steps],
        "cloud": places.tobytes(),
        "reach": reach,
        "labels": classes.tobytes(),
        "classes": names,
        "posteriors": np.concatenate([centers[:, :count], spreads[:, :count]], axis=2).round(4).astype(float).tolist(),
        "pairs": {name: list(map(int, pair)) for name, pair in pairs.items()},
        "overlaps": {name: curve.round(6).tolist() for name, curve in curves.items()},
        "originals": picture_bytes(originals),
        "drawn": few_levels(picture_bytes(drawn), 16),
        "levels": 16,
        "shape": shape,
        "ink": ink,
    }
    return show(
        "separability_story",
        label=f"Posteriors of pairs of pictures in the latent plane at {frames} moments of training, and decoded draws.",
        hint=hint,
        state=state,
        user={
            "frame": t.Int(start, min=0, max=frames - 1),
            "pair": t.Enum(list(pairs), default_value=first),
        },
    )


def _overlaps(means: np.ndarray, deviations: np.ndarray, a: int, b: int) -> np.ndarray:
    """Bhattacharyya coefficient of posteriors a and b at each frame; a product over the independent coordinates."""
    s, r = deviations[:, a].astype(np.float64), deviations[:, b].astype(np.float64)
    total = s**2 + r**2
    exponent = -0.25 * (means[:, a] - means[:, b]) ** 2 / total
    return (np.sqrt(2 * s * r / total) * np.exp(exponent)).prod(axis=1)
