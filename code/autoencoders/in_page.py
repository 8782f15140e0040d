"""A widget that trains a model in the page, with or without a kernel; `widgets` offers it."""

from collections.abc import Sequence
from itertools import pairwise
from statistics import NormalDist
from typing import Any

import numpy as np
import torch
import traitlets as t
from torch import Tensor
from torch.nn.functional import interpolate

from autoencoders.views import as_array, glyphs, show

BETAS = (0.0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0)
LEARNING_RATES = (1e-4, 2e-4, 3e-4, 5e-4, 1e-3, 2e-3, 3e-3, 5e-3, 1e-2, 2e-2, 3e-2)
LARGEST = 20_000
"""Parameters a model in the page may have: beyond it a telephone trains too slowly to watch."""


def tiny_digits(images: Any, threshold: float = 0.4) -> Tensor:
    """Pictures of 8 x 8 pixels, each 0 or 1: ink where its mean exceeds `threshold` times the picture's largest.

    Of 28 x 28 digits the middle 20 x 20, which hold the ink, are taken and averaged over areas.

    Raises:
        ValueError: they are not gray pictures (n, 1, h, w) of at least 8 x 8.
    """
    images = torch.as_tensor(as_array(images))
    if images.ndim != 4 or images.shape[1] != 1 or min(images.shape[2:]) < 8 or not len(images):
        raise ValueError(
            f"images must be gray pictures of shape (n, 1, h, w), of 8 x 8 pixels or more, not {tuple(images.shape)}"
        )
    if images.shape[2:] == (28, 28):
        images = images[:, :, 4:24, 4:24]
    small = interpolate(images, (8, 8), mode="area")
    return (small > threshold * small.amax((1, 2, 3), keepdim=True).clamp(min=1e-6)).float()


def vae_in_page(
    images: Any,
    labels: Any,
    *,
    class_names: Sequence[str] | None = None,
    classes: Sequence[int] | None = None,
    count: int = 1500,
    codes: int = 300,
    hidden: Sequence[int] = (32,),
    batch_size: int = 64,
    beta: float = 1.0,
    learning_rate: float = 1e-2,
    seed: int = 0,
    hint: str = "Try: train with \u03b2 = 1 until the digits part. Then set \u03b2 to 8 and watch the codes fall into the prior, "
    "and to 0: where do they go when their rate costs nothing?",
) -> Any:
    """A VAE with two latents that is trained in the reader's browser, on digits of 8 x 8 black-and-white pixels.

    It is `VAE(MLPEncoder((1, 8, 8), 4, hidden), MLPDecoder((1, 8, 8), 2, hidden), BernoulliPixels(), 2)`, 4,420 parameters,
    trained by Adam on `elbo_terms(...).total(beta)` with one sample and a fixed binarization (see `tiny_digits`), written
    out in JavaScript in double precision with gradients that the tests compare with PyTorch's. A seed decides the initial
    weights, the batches and epsilon; its random numbers are the page's own, so a run is not PyTorch's run of that seed.

    In a live kernel `beta`, `learning_rate`, `seed` and `running` can be read and set; `updates` is told once a second.

    Args:
        images, labels: training pictures, 28 x 28 or of another size from 8 x 8 on; the first `count` are used.
        classes: the labels to keep, all by default. Six digits (0, 1, 3, 4, 6, 7) part in a plane; ten are crowded in it.
        codes: how many of them the latent plane shows.
        hidden: the encoder's hidden layers; the decoder mirrors them.
        beta: the weight of the rate, from 0 to 8.
        learning_rate: Adam's, from 1e-4 to 3e-2.

    Raises:
        ValueError: the pictures are not gray or not as many as the labels; a number is out of range.
    """
    images, labels = as_array(images), as_array(labels).astype(np.uint8)
    if labels.shape != images.shape[:1]:
        raise ValueError(f"labels must be one number a picture: {len(images)} pictures, labels of shape {labels.shape}")
    kept = np.flatnonzero(np.isin(labels, labels if classes is None else list(classes)))[:count]
    if not len(kept):
        raise ValueError(f"no picture has a label in {classes}; the labels are {sorted(set(labels.tolist()))}")
    pictures, labels = tiny_digits(images[kept]), labels[kept]
    for name, value, (low, *_, high) in (("beta", beta, BETAS), ("learning_rate", learning_rate, LEARNING_RATES)):
        if not low <= value <= high:
            raise ValueError(f"{name} must lie on its slider, from {low:g} to {high:g}; got {value}")
    if not 1 <= batch_size <= len(pictures):
        raise ValueError(f"batch_size must be from 1 to {len(pictures)}, the number of pictures; got {batch_size}")
    if codes < 1:
        raise ValueError(f"codes is how many pictures the plane shows, at least 1; got {codes}")
    sizes = [64, *hidden, 4]
    if min(sizes) < 1 or 2 * sum((a + 1) * b for a, b in pairwise(sizes)) > LARGEST:
        raise ValueError(
            f"hidden layers of {tuple(hidden)} units do not make a model of at most {LARGEST:,} parameters"
        )
    names = [str(name) for name in class_names or range(int(labels.max()) + 1)]
    if labels.max() >= len(names):
        raise ValueError(f"there are labels up to {labels.max()}, but only {len(names)} class names")
    side = 6
    state = {
        "pictures": np.packbits(pictures.numpy().astype(np.uint8)).tobytes(),
        "labels": labels.tobytes(),
        "classes": names,
        "glyphs": glyphs(names),
        "shape": [8, 8, 1],
        "codes": codes,
        "examples": _some_of_each(labels, 10),
        "hidden": list(map(int, hidden)),
        "batch": batch_size,
        "side": side,
        "quantiles": [NormalDist().inv_cdf((k + 0.5) / side) for k in range(side)],
        "betas": BETAS,
        "learning_rates": LEARNING_RATES,
    }
    return show(
        "vae_in_page",
        label="A small variational autoencoder that can be trained here: the terms of its ELBO, its latent plane, its samples.",
        hint=hint,
        state=state,
        user={
            "beta": t.Float(float(beta), min=BETAS[0], max=BETAS[-1]),
            "learning_rate": t.Float(float(learning_rate), min=LEARNING_RATES[0], max=LEARNING_RATES[-1]),
            "seed": t.Int(int(seed)),
            "running": t.Bool(False),
            "updates": t.Int(0),
        },
        scripts=("tiny_vae",),
    )


def _some_of_each(labels: np.ndarray, count: int) -> list[int]:
    """Where the first picture of each class is, then the second of each, until there are `count`; in the classes' order."""
    turn = np.array([np.sum(labels[:k] == label) for k, label in enumerate(labels[: 50 * count])])
    chosen = np.lexsort((labels[: len(turn)], turn))[:count]
    return sorted(map(int, chosen), key=lambda k: (labels[k], k))
