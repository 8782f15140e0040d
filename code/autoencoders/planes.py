"""Widgets that show a plane of two latents and decode the points of it in the page; `widgets` offers them."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
import traitlets as t
from matplotlib.figure import Figure
from scipy.ndimage import zoom
from scipy.spatial import Delaunay

from autoencoders import evaluation, export
from autoencoders.views import as_array, few_levels, glyphs, picture_bytes, picture_shape, show


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


def two_planes(
    models: Mapping[str, Any],
    images: Any,
    labels: Any,
    *,
    class_names: Sequence[str] | None = None,
    points: int = 600,
    dtype: str = "int6",
    linked: bool = True,
    ink: bool = True,
    hint: str = "Try: drag along one class and watch where the same pictures lie in the other plane. Then move the points "
    "separately, and go outside the dashed circle, where N(0, I) hardly ever draws.",
) -> Any:
    """Two models' latent planes side by side, each with a point that its decoder paints in the page.

    Linked, a point that is dragged in one plane takes the other to the code of the same training picture, the nearest.
    Dashed circles hold 39 and 86 % of N(0, I), one and two standard deviations.

    Args:
        models: name -> a model with two latents, autoencoder or VAE; two of them.
        images, labels: training pictures; the first `points` of them are used.
        dtype: of the weights in the page (see `export.pack`).

    Raises:
        ValueError: there are not two models, or one's codes are not two numbers.
    """
    if len(models) != 2:
        raise ValueError(f"two models are needed, by name, not {len(models)}: {', '.join(models) or 'none'}")
    images, classes = images[:points], as_array(labels[:points]).astype(np.uint8)
    names = [str(name) for name in class_names or range(int(classes.max()) + 1)]
    state: dict[str, Any] = {
        "names": list(models),
        "labels": classes.tobytes(),
        "classes": names,
        "glyphs": glyphs(names),
        "shape": picture_shape(images),
        "ink": ink,
    }
    user: dict[str, Any] = {"linked": t.Bool(linked)}
    for side, (name, model) in zip(("left", "right"), models.items(), strict=True):
        with torch.no_grad():
            codes = as_array(model.codes(images))
        if codes.ndim != 2 or codes.shape[1] != 2:
            raise ValueError(f"{name}: the planes need codes with two numbers, not {codes.shape}")
        manifest, weights = export.pack(export.painter(model), dtype, add=getattr(model, "mean", None))
        low, high = np.percentile(codes, [0.5, 99.5], axis=0)
        low, high = np.minimum(low, -2.2), np.maximum(high, 2.2)  # the circles of the prior are always in sight
        middle, half = (low + high) / 2, 0.54 * float((high - low).max())
        state |= {
            f"{side}_manifest": manifest,
            f"{side}_weights": weights,
            f"{side}_codes": codes.astype("<f4").tobytes(),
            f"{side}_range": [[float(m - half), float(m + half)] for m in middle],
        }
        x, y = codes[0]
        user[side] = t.Tuple(t.Float(), t.Float(), default_value=(float(x), float(y)))
    return show(
        "two_planes",
        label=f"The latent planes of {' and '.join(models)}, {len(images)} training codes each, and decoded points.",
        hint=hint,
        state=state,
        user=user,
        decoder=True,
    )


def posterior_plane(
    model: Any,
    images: Any,
    *,
    start: int = 0,
    points: int = 401,
    nodes: int = 5,
    dtype: str = "int8",
    ink: bool = True,
    hint: str = "Try: drag the center and stretch the ellipse until the bound is as high as you can get it. Then make q much "
    "too narrow, and much too wide: which term complains?",
) -> Any:
    """The latent plane of a VAE with the true posterior of a picture, and a Gaussian q that the reader drags over it.

    Both terms of the ELBO move along: the divergence in closed form, the expectation by Gauss-Hermite quadrature, for which
    the page decodes `nodes` x `nodes` points. log p(x) and the contours (half, 90 % and 99 % of the posterior) come from
    `evaluation.plane_posterior`. A picture begins with the encoder's q.

    Args:
        model: a VAE with two latents and Bernoulli pixels; its decoder is run in the page (see `export.pack`).
        images: a few black-and-white pictures, 0 and 1.
        start: the picture shown first.
        points: values along each axis of the grid.

    Raises:
        ValueError: the model has not two latents, a picture is not binary, or `start` is none of them.
        TypeError: the model's pixels are not Bernoulli.
    """
    shape = picture_shape(images)
    if not bool(((images == 0) | (images == 1)).all()):
        raise ValueError("the pictures must be black and white, 0 and 1; pass them through objectives.binarize")
    if not 0 <= start < len(images):
        raise ValueError(f"start must be one of the {len(images)} pictures, 0 to {len(images) - 1}, not {start}")
    axis, evidence, density = evaluation.plane_posterior(model, images, points=points)
    with torch.no_grad():
        q = model.encode(images)
    manifest, weights = export.pack(model.decoder, dtype)
    encoder = torch.cat([q.mean, q.stddev], 1)
    shown = [_posterior(as_array(axis), *pair) for pair in zip(as_array(density), as_array(encoder), strict=True)]
    node, weight = np.polynomial.hermite_e.hermegauss(nodes)
    state = {
        "manifest": manifest,
        "weights": weights,
        "images": picture_bytes(images),
        "shape": shape,
        "evidence": evidence.tolist(),
        "encoder": encoder.tolist(),
        "ranges": [window for window, _ in shown],
        "contours": [lines for _, lines in shown],
        "nodes": node.tolist(),
        "node_weights": (weight / weight.sum()).tolist(),
        "ink": ink,
    }
    mean, scale = (tuple(part) for part in encoder[start].reshape(2, 2).tolist())
    return show(
        "posterior_plane",
        label="The latent plane of a VAE with the posterior of a digit and a Gaussian q, and the terms of the bound.",
        hint=hint,
        state=state,
        user={
            "image": t.Int(start, min=0, max=len(images) - 1),
            "mean": t.Tuple(t.Float(), t.Float(), default_value=mean),
            "scale": t.Tuple(t.Float(), t.Float(), default_value=scale),
        },
        decoder=True,
    )


def _posterior(
    axis: np.ndarray, density: np.ndarray, q: np.ndarray
) -> tuple[list[list[float]], list[list[list[list[float]]]]]:
    """The square to show of a posterior (it holds q as well), and the contours around 50, 90 and 99 % of its mass."""
    falling = np.sort(np.exp(density.astype(np.float64)), axis=None)[::-1]
    share = falling.cumsum() / falling.sum()
    levels = [math.log(falling[np.searchsorted(share, part)]) for part in (0.99, 0.9, 0.5)]
    rows, columns = np.nonzero(density >= levels[0])
    low = np.minimum([axis[columns.min()], axis[rows.min()]], q[:2] - 3 * q[2:])
    high = np.maximum([axis[columns.max()], axis[rows.max()]], q[:2] + 3 * q[2:])
    middle, half = (low + high) / 2, max(0.3, 0.75 * float((high - low).max()))
    window = [[float(c - half), float(c + half)] for c in middle]
    parts = [np.nonzero((axis >= c - half) & (axis <= c + half))[0] for c in middle]
    # Between the points of a grid that is about as coarse as the posterior is wide, cubic splines keep the lines smooth.
    fine = np.asarray(zoom(density[np.ix_(parts[1], parts[0])], 3, order=3))
    x, y = (np.linspace(axis[part[0]], axis[part[-1]], 3 * len(part)) for part in parts)
    segments = Figure().subplots().contour(x, y, fine, levels=levels).allsegs
    return window, [[np.round(line, 4).tolist() for line in lines] for lines in reversed(segments)]


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
