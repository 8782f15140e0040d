"""Widgets about single latents: what each of them changes in a picture, and what a rotation of them does to their scores."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
import traitlets as t

from autoencoders import export
from autoencoders.exhibits import picture_index
from autoencoders.views import as_array, picture_bytes, picture_shape, show


def latent_traversals(
    models: Mapping[float, Any],
    images: Any,
    rates: Mapping[float, Any],
    *,
    start: float | None = None,
    steps: int = 7,
    extent: float = 2.0,
    dtype: str = "int8",
    ink: bool = True,
    hint: str = "Try: move one latent at a time from end to end and say what it does. Then switch beta. Which latents have "
    "stopped doing anything, and do the others do one thing each?",
) -> Any:
    """One slider a latent, and beside it the row of pictures that it runs through; a switch among models by their beta.

    The decoders run in the page. A picture begins at the mean of its q(z|x).

    Args:
        models: beta -> a VAE; all have the same number of latents, at most 12, and small decoders (see `export.pack`).
        images: a few pictures to start from.
        rates: beta -> the average KL of each latent, in nats, `(m,)`.
        start: the beta it opens on; by default the largest.
        steps, extent: pictures in a row, whose latent goes from -extent to extent.

    Raises:
        ValueError: there is no model, `start` is none of them, or latents or rates do not agree.
    """
    betas = list(models)
    if not betas or list(rates) != betas:
        raise ValueError(f"rates must have the betas of models, {betas}, in their order, not {list(rates)}")
    if start is not None and start not in betas:
        raise ValueError(f"start must be one of the betas, {betas}, not {start}")
    if steps < 3 or not extent > 0:
        raise ValueError(f"a row needs at least 3 steps and a positive extent, not {steps} and {extent}")
    latent = models[betas[0]].latent
    state: dict[str, Any] = {"shape": picture_shape(images), "images": picture_bytes(images), "count": len(images)}
    for k, beta in enumerate(betas):
        rate = as_array(rates[beta])
        if models[beta].latent != latent or latent > 12 or rate.shape != (latent,):
            raise ValueError(
                f"beta = {beta:g}: {models[beta].latent} latents and rates of shape {rate.shape}; every model needs the "
                f"{latent} latents of the first, at most 12, and a rate for each"
            )
        with torch.no_grad():
            codes = as_array(models[beta].codes(images))
        manifest, weights = export.pack(export.painter(models[beta]), dtype)
        state |= {
            f"manifest_{k}": manifest,
            f"weights_{k}": weights,
            f"codes_{k}": codes.tolist(),
            f"rates_{k}": rate.tolist(),
        }
    state |= {"betas": [float(beta) for beta in betas], "steps": steps, "extent": float(extent), "ink": ink}
    beta = max(betas) if start is None else start
    return show(
        "latent_traversals",
        label=f"A picture decoded from {latent} latents, each with a slider and the row of pictures that it runs through.",
        hint=hint,
        state=state,
        user={
            "beta": t.Enum(state["betas"], default_value=float(beta)),
            "image": picture_index(images),
            "z": t.List(t.Float(), default_value=[]),  # empty: the picture's own code
        },
        decoder=True,
    )


def rotated_latents(
    codes: Any,
    factors: Mapping[str, Any],
    angles: Sequence[float],
    scores: Mapping[str, Sequence[float]],
    *,
    start: float = 0.0,
    hint: str = "Try: turn slowly from 0 to 90 degrees. Which curves move, which does not, and why is 90 degrees as good as 0?",
) -> Any:
    """Two latents turned by an angle, their codes colored by a factor, and scores of the model at every angle.

    Args:
        codes: (n, 2), at most 1,000.
        factors: name -> the n values of a factor; a switch chooses which colors the codes.
        angles: degrees, ascending.
        scores: name -> one number an angle; each gets a curve of its own scale. The first should be the one that stays.
        start: the angle it opens on.

    Raises:
        ValueError: lengths do not agree, codes are not planar, or `start` is none of the angles.
    """
    plane = as_array(codes)
    if plane.ndim != 2 or plane.shape[1] != 2 or not 1 <= len(plane) <= 1000:
        raise ValueError(f"codes must be (n, 2) with n up to 1,000, not {plane.shape}")
    degrees = [float(angle) for angle in angles]
    if len(degrees) < 2 or sorted(set(degrees)) != degrees or float(start) not in degrees:
        raise ValueError(f"angles must be two or more, ascending, with start = {start:g} among them")
    values: dict[str, np.ndarray] = {name: as_array(value) for name, value in factors.items()}
    if not values or not scores:
        raise ValueError("at least one factor and one score are needed")
    for name, value in values.items():
        if value.shape != (len(plane),):
            raise ValueError(f"factor {name} must have a value for each of the {len(plane)} codes, not {value.shape}")
    for name, value in scores.items():
        if len(value) != len(degrees):
            raise ValueError(f"score {name} must have a number for each of the {len(degrees)} angles, not {len(value)}")
    shades = [(v - v.min()) / max(float(v.max() - v.min()), 1e-9) for v in values.values()]
    state = {
        "codes": plane.astype("<f4").tobytes(),
        "factors": list(values),
        "shades": b"".join(np.rint(255 * shade).astype(np.uint8).tobytes() for shade in shades),
        "angles": degrees,
        "names": list(scores),
        "scores": [[float(number) for number in value] for value in scores.values()],
        "limit": float(np.abs(plane).max() * 1.42),
    }
    return show(
        "rotated_latents",
        label=f"The codes of {len(plane)} pictures on two latents that can be turned, with {', '.join(scores)} at every angle.",
        hint=hint,
        state=state,
        user={
            "angle": t.Enum(degrees, default_value=float(start)),
            "factor": t.Enum(state["factors"], default_value=state["factors"][0]),
        },
    )
