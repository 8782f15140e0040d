"""Widgets that show what was computed beforehand: pictures and numbers for every position of a slider or switch.

`widgets` offers these functions beside those that compute in the page; call them there.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import traitlets as t

from autoencoders.views import as_array, picture_bytes, picture_shape, show


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
        user={"m": t.Int(min(start, len(basis)), min=0, max=len(basis)), "image": picture_index(images)},
    )


def error_map(
    originals: Any,
    reconstructions: Mapping[str, Any],
    *,
    errors: Mapping[str, float] | None = None,
    ink: bool = True,
    kinds: str = "layers",
    hint: str = "Try: keep one picture and switch the layers. Which strokes does each kind lose, and do they lose the same ones?",
) -> Any:
    """Original, reconstruction and map of the absolute error, for autoencoders with several types of layer.

    Args:
        originals: about eight pictures.
        reconstructions: layer type, or whatever else differs -> the rebuilt `originals`, in the order of the switch.
        kinds: what the switch chooses among, where it is not layers.
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
        "kinds": kinds,
    }
    names = ", ".join(layers) + " layers" * (kinds == "layers")
    return show(
        "error_map",
        label=f"A picture, its reconstruction and the error at every pixel, for {names}.",
        hint=hint,
        state=state,
        user={"layer": t.Enum(layers, default_value=layers[0]), "image": picture_index(originals)},
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


def picture_index(images: Any) -> t.Int:
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


def rate_distortion(
    models: Mapping[str, tuple[float, float]],
    originals: Any,
    reconstructions: Mapping[str, Any],
    samples: Mapping[str, Any],
    *,
    others: Sequence[tuple[float, float]] = (),
    price: float = 1.0,
    ink: bool = True,
    hint: str = "Try: raise the price of a nat from its lowest to its highest. Which models are never the cheapest, and where do "
    "the samples begin to look like digits while the reconstructions stop being yours?",
) -> Any:
    """Trained models in the plane of rate and distortion, and the one that is cheapest at a given price of rate.

    A price beta draws the line of equal cost, distortion + beta * rate, through the chosen model.

    Args:
        models: name -> (rate, distortion), both in nats a picture.
        originals: about eight pictures.
        reconstructions, samples: name -> as many pictures, for the names of `models`.
        others: further (rate, distortion) pairs, drawn small.
        price: where the slider starts; it runs from 0.003 to 100.
    """
    names = list(models)
    for label, pictures in (("reconstructions", reconstructions), ("samples", samples)):
        if list(pictures) != names or not names:
            raise ValueError(f"{label} must have the names of models, {names}, not {list(pictures)}")
    shape = _same_shapes(
        originals, {f"{n}, rebuilt": reconstructions[n] for n in names} | {f"{n}, drawn": samples[n] for n in names}
    )
    prices = [round(10**power, 4) for power in np.arange(-2.5, 2.01, 0.125)]
    start = min(prices, key=lambda value: abs(np.log(value / price)))
    state = {
        "names": names,
        "rates": [float(models[n][0]) for n in names],
        "distortions": [float(models[n][1]) for n in names],
        "others": [[float(value) for value in pair] for pair in others],
        "prices": prices,
        "originals": picture_bytes(originals),
        "reconstructions": b"".join(picture_bytes(reconstructions[n]) for n in names),
        "samples": b"".join(picture_bytes(samples[n]) for n in names),
        "count": len(originals),
        "shape": shape,
        "ink": ink,
    }
    best = min(range(len(names)), key=lambda i: state["distortions"][i] + start * state["rates"][i])
    return show(
        "rate_distortion",
        label="Models by rate and distortion, a line of equal cost, and the pictures of the chosen model.",
        hint=hint,
        state=state,
        user={"price": t.Enum(prices, default_value=start), "index": t.Int(best, min=0, max=len(names) - 1)},
    )
