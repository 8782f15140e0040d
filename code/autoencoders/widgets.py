"""The book's interactive figures: each works on a page without a kernel and, in a live one, lets Python see what is done.

Pictures are tensors or arrays `(n, c, h, w)` in [0, 1]. Gray ones are drawn as ink on paper unless `ink=False`
(photographs). The functions prepare what the modules in `_js/` draw; what they return shows itself in a notebook.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
import traitlets as t
from scipy.spatial import Delaunay

from autoencoders import export, panel
from autoencoders.views import as_array, few_levels, glyphs, picture_bytes, picture_shape, show


def bottleneck_width(
    reconstructions: Mapping[int, Any],
    originals: Any,
    errors: Mapping[int, float],
    *,
    start: int | None = None,
    ink: bool = True,
    hint: str = "Try: widen the bottleneck from m = 1. At which width can you first tell every digit, and at which do you "
    "stop seeing the pictures improve?",
) -> Any:
    """Reconstructions through bottlenecks of several widths m, and the test error against m.

    Args:
        reconstructions: m -> the rebuilt `originals`.
        originals: about eight pictures.
        errors: m -> mean squared error a pixel on the test set, for the same widths.
        start: the width it opens on; by default the second smallest, where pictures are recognizable but wrong.
    """
    widths = sorted(reconstructions)
    if sorted(errors) != widths or not widths:
        raise ValueError(f"errors must have the widths of reconstructions, {widths}, not {sorted(errors)}")
    shape = _same_shapes(originals, {f"m = {m}": reconstructions[m] for m in widths})
    state = {
        "widths": widths,
        "errors": [float(errors[m]) for m in widths],
        "originals": picture_bytes(originals),
        "reconstructions": b"".join(picture_bytes(reconstructions[m]) for m in widths),
        "count": len(originals),
        "shape": shape,
        "ink": ink,
    }
    return show(
        "bottleneck_width",
        label="Pictures and their reconstructions through a bottleneck of m numbers, with the test error against m.",
        hint=hint,
        state=state,
        user={"m": t.Enum(widths, default_value=start if start is not None else widths[min(1, len(widths) - 1)])},
    )


def principal_components(
    mean: Any,
    components: Any,
    eigenvalues: Any,
    images: Any,
    *,
    start: int = 8,
    ink: bool = True,
    hint: str = "Try: add components one by one. How many does it take before you recognize the digit, and what do the late "
    "ones still change?",
) -> Any:
    """A picture as the mean plus its projections on the first m principal components, added one by one.

    Args:
        mean: the data's mean, `(d,)` or `(c, h, w)`.
        components: `(k, d)`, orthonormal rows in order of falling variance; at most 64.
        eigenvalues: all d of them (or at least all that are not zero): their sum is the total variance.
        images: about ten pictures to choose from.
    """
    shape = picture_shape(images)
    h, w, c = shape
    basis, values = as_array(components).reshape(len(components), -1), as_array(eigenvalues)
    if basis.shape[1] != h * w * c or not 1 <= len(basis) <= 64 or len(values) < len(basis):
        raise ValueError(
            f"for pictures of {h * w * c} numbers, components must be (k, {h * w * c}) with k from 1 to 64 and eigenvalues "
            f"at least k, not {tuple(np.shape(components))} and {values.shape}"
        )
    scales = np.abs(basis).max(axis=1) / 127
    last = np.rint(basis / scales[:, None]).astype(np.int8).reshape(-1, c, h, w)
    state = {
        "mean": np.moveaxis(as_array(mean).reshape(c, h, w), 0, -1).astype("<f4").tobytes(),
        "components": np.moveaxis(last, 1, -1).tobytes(),
        "scales": scales.tolist(),
        "shares": (values[: len(basis)] / values.sum()).tolist(),
        "images": picture_bytes(images),
        "shape": shape,
        "ink": ink,
    }
    return show(
        "principal_components",
        label="A picture rebuilt from the mean and its first m principal components, with the variance they explain.",
        hint=hint,
        state=state,
        user={"m": t.Int(min(start, len(basis)), min=0, max=len(basis)), "image": _index(images)},
    )


def error_map(
    originals: Any,
    reconstructions: Mapping[str, Any],
    *,
    errors: Mapping[str, float] | None = None,
    ink: bool = True,
    hint: str = "Try: keep one picture and switch the layers. Which strokes does each kind lose, and do they lose the same ones?",
) -> Any:
    """Original, reconstruction and map of the absolute error, for autoencoders with several types of layer.

    Args:
        originals: about eight pictures.
        reconstructions: layer type -> the rebuilt `originals`, in the order of the switch.
        errors: layer type -> mean squared error a pixel on the test set, shown beside the picture's own.
    """
    layers = list(reconstructions)
    shape = _same_shapes(originals, reconstructions)
    if errors is not None and set(errors) != set(layers):
        raise ValueError(f"errors must have the layer types of reconstructions, {layers}, not {list(errors)}")
    state = {
        "layers": layers,
        "originals": picture_bytes(originals),
        "reconstructions": b"".join(picture_bytes(reconstructions[name]) for name in layers),
        "errors": None if errors is None else [float(errors[name]) for name in layers],
        "count": len(originals),
        "shape": shape,
        "ink": ink,
    }
    return show(
        "error_map",
        label=f"A picture, its reconstruction and the error at every pixel, for {', '.join(layers)} layers.",
        hint=hint,
        state=state,
        user={"layer": t.Enum(layers, default_value=layers[0]), "image": _index(originals)},
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
    encoder, encoder_weights = export.pack(model.encoder, dtype, shape=tuple(images.shape[1:]))
    decoder, decoder_weights = export.pack(model.decoder, dtype)
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
            "image": _index(images),
            "seed": t.Int(seed),
        },
        decoder=True,
    )


def sparsity(
    features: Mapping[float, Any],
    statistics: Mapping[float, Mapping[str, Any]],
    *,
    start: float | None = None,
    hint: str = "Try: raise the weight step by step. When do the features turn from noise into strokes, and what does the "
    "error pay for it?",
) -> Any:
    """The dictionary an autoencoder learns under each sparsity weight lambda, and how many units a picture then uses.

    Args:
        features: lambda -> the decoder's columns as pictures `(k, c, h, w)` of any sign, the same k for each, at most 100.
            Each dictionary is scaled by its own 99.5th percentile, so that dead features stay blank.
        statistics: lambda -> `{"mse": test error, "active": (n,) active units of each test picture, "units": how many}`.
        start: the lambda it opens on; by default the middle one.
    """
    weights = sorted(features)
    if sorted(statistics) != weights or not weights:
        raise ValueError(f"statistics must have the weights of features, {weights}, not {sorted(statistics)}")
    shape = _same_shapes(features[weights[0]], {f"lambda = {key}": features[key] for key in weights})
    if len(features[weights[0]]) > 100:
        raise ValueError(f"at most 100 features can be shown, not {len(features[weights[0]])}; take features[:64]")
    packed, means, histograms, steps = [], [], [], 15
    active = [as_array(statistics[key]["active"]) for key in weights]
    units = int(statistics[weights[0]]["units"])
    bins = np.linspace(0, units, min(units, 32) + 1)
    for key, counts in zip(weights, active, strict=True):
        atoms = np.moveaxis(as_array(features[key]), 1, -1)
        scale = float(np.percentile(np.abs(atoms), 99.5)) or 1.0
        packed.append(np.rint(steps * (atoms / scale).clip(-1, 1)).astype(np.int8).tobytes())
        means.append(float(counts.mean()))
        histograms.append((np.histogram(counts, bins)[0] / len(counts)).tolist())
    state = {
        "lambdas": [float(key) for key in weights],
        "features": b"".join(packed),
        "count": len(features[weights[0]]),
        "shape": shape,
        "steps": steps,
        "units": units,
        "bins": bins.tolist(),
        "histograms": histograms,
        "means": means,
        "errors": [float(statistics[key]["mse"]) for key in weights],
    }
    index = weights.index(start) if start is not None else len(weights) // 2
    return show(
        "sparsity",
        label="Dictionary features learned under several sparsity weights, with the number of active units and the error.",
        hint=hint,
        state=state,
        user={"index": t.Int(index, min=0, max=len(weights) - 1)},
    )


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
    manifest, weights = export.pack(model.decoder, dtype)
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


def _index(images: Any) -> t.Int:
    """The trait that says which of the pictures is chosen."""
    return t.Int(0, min=0, max=len(images) - 1)


def _same_shapes(originals: Any, others: Mapping[str, Any]) -> list[int]:
    """Height, width and channels, the same for all."""
    shape = picture_shape(originals, "originals")
    for name, images in others.items():
        if tuple(images.shape) != tuple(originals.shape):
            raise ValueError(
                f"{name}: pictures of shape {tuple(images.shape)}, but the others have {tuple(originals.shape)}"
            )
    return shape


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
