"""The book's interactive figures: each works on a page without a kernel and, in a live one, lets Python see what is done.

Pictures are tensors or arrays `(n, c, h, w)` in [0, 1]. Gray ones are drawn as ink on paper unless `ink=False`
(photographs). The functions prepare what the modules in `_js/` draw; what they return shows itself in a notebook.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import traitlets as t
from scipy.spatial import Delaunay

from autoencoders import export, panel
from autoencoders.exhibits import bottleneck_width, error_map, picture_index, principal_components, sparsity
from autoencoders.views import as_array, few_levels, glyphs, picture_bytes, picture_shape, show

__all__ = [
    "bottleneck_width",
    "denoiser",
    "error_map",
    "gaussian_kl",
    "latent_plane",
    "principal_components",
    "sparsity",
    "training_panel",
]


def latent_plane(
    model: Any,
    images: Any,
    labels: Any,
    *,
    codes: Any = None,
    class_names: Sequence[str] | None = None,
    z: tuple[float, float] | None = None,
    points: int = 800,
    thumbnails: bool = True,
    dtype: str = "int8",
    ink: bool = True,
    hint: str = "Try: drag the point from one class to its neighbor, then into a shaded region. Where does the picture "
    "stop being a digit?",
) -> Any:
    """The latent plane of an autoencoder with two latents: training codes by class, empty regions, a point decoded live.

    A place is called empty if every training code is farther away than the 99th percentile of the codes' distances to
    their own nearest neighbors. The point starts at the emptiest place among the codes unless `z` says otherwise.

    Args:
        model: `encode` and `decode` with two latents; the decoder is run in the page (see `export.pack`).
        images, labels: training pictures; the first `points` of them are used.
        codes: their codes, `model.encode(images)` by default.
        thumbnails: whether to show the nearest training picture (in few gray levels, to spare the page).
    """
    images, labels = images[:points], as_array(labels[:points]).astype(np.uint8)
    shape = picture_shape(images)
    with torch.no_grad():
        plane = as_array(model.encode(images) if codes is None else codes[:points])
    if plane.ndim != 2 or plane.shape[1] != 2:
        raise ValueError(
            f"the latent plane needs codes with two numbers, not {plane.shape}; take a recipe with latent=2"
        )
    names = [str(name) for name in class_names or range(int(labels.max()) + 1)]
    manifest, weights = export.pack(model.decoder, dtype, add=getattr(model, "mean", None))
    low, high = np.percentile(plane, [0.5, 99.5], axis=0)
    middle, half = (low + high) / 2, 0.58 * float((high - low).max())
    levels = 4 if shape[2] == 1 else 16
    gaps = _distances(plane, plane, leave_out_self=True)
    state = {
        "manifest": manifest,
        "weights": weights,
        "codes": plane.astype("<f4").tobytes(),
        "labels": labels.tobytes(),
        "classes": names,
        "glyphs": glyphs(names),
        "thumbnails": few_levels(picture_bytes(images), levels) if thumbnails else b"",
        "levels": levels,
        "shape": shape,
        "reach": float(np.percentile(gaps, 99)),
        "range": [[float(middle[i] - half), float(middle[i] + half)] for i in range(2)],
        "ink": ink,
    }
    start = _emptiest(plane) if z is None else (float(z[0]), float(z[1]))
    return show(
        "latent_plane",
        label=f"The latent plane of an autoencoder with {len(plane)} training codes and a point that is decoded.",
        hint=hint,
        state=state,
        user={"z": t.Tuple(t.Float(), t.Float(), default_value=start)},
        decoder=True,
    )


def denoiser(
    model: Any,
    images: Any,
    *,
    noise: float = 0.5,
    largest: float = 1.0,
    seed: int = 0,
    dtype: str = "int8",
    ink: bool = True,
    hint: str = "Try: raise the noise until the network paints another digit than the one you see. Then draw new noise at the "
    "same level: is the mistake the digit's or the noise's?",
) -> Any:
    """Gaussian noise on a picture, and what a denoising autoencoder makes of it; encoder and decoder run in the page.

    Args:
        model: an autoencoder of fully connected layers, encoder and decoder under 250,000 parameters each.
        images: about ten clean pictures.
        noise, largest: standard deviation at the start, and the slider's end.
    """
    shape = picture_shape(images)
    encoder, encoder_weights = export.pack(
        model.encoder, dtype, shape=tuple(images.shape[1:]), subtract=getattr(model, "mean", None)
    )
    decoder, decoder_weights = export.pack(model.decoder, dtype, add=getattr(model, "mean", None))
    state = {
        "encoder": encoder,
        "encoder_weights": encoder_weights,
        "decoder": decoder,
        "decoder_weights": decoder_weights,
        "images": picture_bytes(images),
        "largest": float(largest),
        "shape": shape,
        "ink": ink,
    }
    return show(
        "denoiser",
        label="A picture, the same with Gaussian noise, and the output of a denoising autoencoder.",
        hint=hint,
        state=state,
        user={
            "noise": t.Float(float(noise), min=0.0, max=float(largest)),
            "image": picture_index(images),
            "seed": t.Int(seed),
        },
        decoder=True,
    )


def gaussian_kl(
    *,
    p: tuple[float, float] = (0.0, 1.0),
    q: tuple[float, float] = (1.5, 0.6),
    direction: str = "p||q",
    hint: str = "Try: make q narrow, then wide, and watch which of the two divergences grows. Which direction punishes a q "
    "that misses part of p?",
) -> Any:
    """Two Gaussians (mean, standard deviation) and the Kullback-Leibler divergence between them in both directions.

    The integrand of the chosen direction is drawn; its signed area is the divergence, in nats.
    """
    directions = ("p||q", "q||p")
    if direction not in directions:
        raise ValueError(f"direction must be 'p||q' or 'q||p', not {direction!r}")
    for name, (_, sigma) in (("p", p), ("q", q)):
        if not sigma > 0:
            raise ValueError(f"the standard deviation of {name} must be positive, not {sigma}")
    return show(
        "gaussian_kl",
        label="Two Gaussian densities p and q, and the integrand of the Kullback-Leibler divergence between them.",
        hint=hint,
        state={},
        user={
            "p": t.Tuple(t.Float(), t.Float(), default_value=tuple(map(float, p))),
            "q": t.Tuple(t.Float(), t.Float(), default_value=tuple(map(float, q))),
            "direction": t.Enum(directions, default_value=direction),
        },
    )


def training_panel(
    recipe: Any,
    *,
    seed: int = 0,
    frames: int = 16,
    ink: bool = True,
    hint: str = "Try: scrub through the first epochs. What do the reconstructions learn first, and when do the classes part?",
) -> Any:
    """A recipe's training: live with a kernel (start, pause, reset, the recipe's numbers), recorded without one.

    Args:
        recipe: its name or the `Recipe`.
        seed: decides initial weights, batches and noise.
        frames: how many recorded epochs the page carries at most; early ones are kept more densely.
    """
    return panel.training_panel(recipe, seed=seed, frames=frames, ink=ink, hint=hint)


def _distances(points: np.ndarray, codes: np.ndarray, *, leave_out_self: bool = False) -> np.ndarray:
    """From each point to its nearest code."""
    pairs = np.linalg.norm(points[:, None].astype(np.float64) - codes[None], axis=2)
    if leave_out_self:
        np.fill_diagonal(pairs, np.inf)
    return pairs.min(axis=1)


def _emptiest(codes: np.ndarray) -> tuple[float, float]:
    """The place farthest from every code inside the hull of the central codes: a hole, not the outside."""
    low, high = np.percentile(codes, [2, 98], axis=0)
    central = codes[((codes >= low) & (codes <= high)).all(axis=1)]
    grid = np.stack(np.meshgrid(*np.linspace(low, high, 40).T), axis=-1).reshape(-1, 2)
    inside = grid[Delaunay(central).find_simplex(grid) >= 0]
    x, y = inside[_distances(inside, codes).argmax()]
    return float(x), float(y)
