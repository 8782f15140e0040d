"""Widgets on maps of codes; `widgets` offers them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import traitlets as t

from autoencoders.views import few_levels, picture_bytes, picture_shape, show

_LEVELS = 16


@torch.no_grad()
def prior_drawing(
    prior: Any,
    model: Any,
    *,
    classes: Sequence[int] | None = None,
    draws: int = 2,
    likely: int = 8,
    class_names: Sequence[str] | None = None,
    seed: int = 0,
    place: int | None = None,
    ink: bool = True,
    hint: str = "Try: press Play, then go back to the places with the tallest bars of surprise. What was being decided there? "
    "Then choose another class and look at the first choices it makes.",
) -> Any:
    """Draws from an autoregressive prior, code by code: what it expects at each place, what it draws, the picture so far.

    Places that are still empty hold the codes of a blank picture.

    Args:
        prior: of maps of codes, such as a `PixelCNN`; with labels where it has classes.
        model: the VQ-VAE whose codes these are.
        classes: the labels to draw for; by default all.
        draws: how many maps of each.
        likely: how many of the likeliest codes are shown at each place.
        place: how many codes are on the page when it opens; by default half of them.

    Raises:
        ValueError: `classes`, `draws`, `likely` or `place` is out of range.
    """
    labels = list(range(max(1, prior.classes))) if classes is None else [int(label) for label in classes]
    height, width = prior.size
    places = height * width
    if not labels or min(labels) < 0 or max(labels) >= max(1, prior.classes):
        raise ValueError(f"classes must be some of 0 to {max(1, prior.classes) - 1}, not {labels}")
    if draws < 1 or not 1 <= likely <= prior.codes or not 0 <= (place or 0) <= places:
        raise ValueError(
            f"draw at least once, show 1 to {prior.codes} codes, and open at a place from 0 to {places}, "
            f"not {draws}, {likely} and {place}"
        )
    count = len(labels) * draws
    told = torch.tensor(labels).repeat_interleave(draws) if prior.classes else None
    blank, patches = _strokes(model, prior.codes, (height, width))
    shape = picture_shape(blank)
    maps = model.indices(torch.zeros_like(blank)).expand(count, -1, -1).clone()
    generator = torch.Generator().manual_seed(seed)
    pictures, top, chances, codes, costs = [blank.expand(count, -1, -1, -1)], [], [], [], []
    for step in prior.walk(count, told, generator=generator):
        maps[:, step.row, step.column] = step.codes
        pictures.append(model.decode_indices(maps))
        best = step.probabilities.topk(likely, dim=1)
        top.append(best.indices)
        chances.append(best.values)
        codes.append(step.codes)
        costs.append(-step.probabilities.gather(1, step.codes[:, None])[:, 0].log2())
    frames = picture_bytes(torch.stack(pictures, 1))
    names = [str(name) for name in class_names or range(max(1, prior.classes))]
    state = {
        "classes": [names[label] for label in labels],
        "draws": draws,
        "size": [height, width],
        "likely": likely,
        "codes": torch.stack(codes, 1).numpy().astype("<u2").tobytes(),
        "top": torch.stack(top, 1).numpy().astype("<u2").tobytes(),
        "chances": np.rint(255 * torch.stack(chances, 1).numpy()).astype(np.uint8).tobytes(),
        "costs": torch.stack(costs, 1).numpy().round(2).astype(float).tolist(),
        "frames": few_levels(frames, _LEVELS),
        "patches": few_levels(picture_bytes(patches), _LEVELS),
        "patch": picture_shape(patches)[:2],
        "levels": _LEVELS,
        "shape": shape,
        "ink": ink,
    }
    return show(
        "prior_drawing",
        label="A prior draws a map of codes, place by place: the codes it expects, the one it draws, and the picture so far.",
        hint=hint,
        state=state,
        user={
            "label_index": t.Int(0, min=0, max=len(labels) - 1),
            "draw": t.Int(0, min=0, max=draws - 1),
            "place": t.Int(places // 2 if place is None else place, min=0, max=places),
        },
    )


def _strokes(model: Any, codes: int, size: tuple[int, int]) -> tuple[torch.Tensor, torch.Tensor]:
    """The decoded blank map, and what each code alone paints on it in the middle, cut to three places a side."""
    height, width = size
    values = model.quantizer.codes
    # A blank picture has the size that the decoder gives a map of this size.
    shape = model.decode(values.new_zeros(1, values.shape[1], height, width)).shape
    paper = model.indices(values.new_zeros(shape))
    row, column = height // 2, width // 2
    maps = paper.expand(codes, -1, -1).clone()
    maps[:, row, column] = torch.arange(codes)
    tall, wide = shape[2] // height, shape[3] // width
    top, left = max(0, (row - 1) * tall), max(0, (column - 1) * wide)
    painted = model.decode_indices(maps)
    return model.decode_indices(paper), painted[:, :, top : top + 3 * tall, left : left + 3 * wide]
