"""Widgets of codes in the plane; `widgets` offers them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import traitlets as t

from autoencoders.views import as_array, show

_CODES = (
    (-1.7, 1.5),
    (-0.9, 0.5),
    (-1.5, -0.8),
    (-0.4, -1.5),
    (0.1, -0.3),
    (0.4, 1.2),
    (1.1, 0.3),
    (1.0, -0.8),
    (1.8, 1.6),
)
_RANGE = ((-2.4, 2.4), (-2.0, 2.2))


def copied_gradient(
    codes: Sequence[tuple[float, float]] = _CODES,
    *,
    z: tuple[float, float] = (-1.2, 1.5),
    beta: float = 0.25,
    hint: str = "Try: take single steps until the vector changes its code. Then go back to the start, raise β until it "
    "comes to rest in its first cell, and set β to 0.",
) -> Any:
    """An encoder output, its nearest code, and the gradient at the code that is copied to the output; steps along it.

    The decoder is g(u) = (u_1, 1.2 (u_2 - u_1^2 / 2)), the target x = (1, -0.9), the error R(u) = |x - g(u)|^2 / 2. A step is
    z - 0.1 (grad R(e) + 2 beta (z - e)). Book: eq-straight-through-estimator, eq-straight-through-rest.

    Args:
        codes: two to twenty points of the plane.
        z: the encoder's output at the start.
        beta: weight of the commitment loss at the start, from 0 to 1.5.

    Raises:
        ValueError: a number is outside its range, or a code comes twice.
    """
    points = [tuple(map(float, code)) for code in codes]
    if not 2 <= len(points) <= 20 or len(set(points)) < len(points) or any(len(point) != 2 for point in points):
        raise ValueError(f"codes are two to twenty different points of the plane, not {points}")
    for point in [*points, z]:
        if not all(low <= value <= high for value, (low, high) in zip(point, _RANGE, strict=True)):
            raise ValueError(f"codes and z must lie in {_RANGE[0]} x {_RANGE[1]}, not at {tuple(point)}")
    if not 0 <= beta <= 1.5:
        raise ValueError(f"beta must lie between 0 and 1.5, not {beta}")
    return show(
        "copied_gradient",
        label="A plane of codes with their cells, an encoder output, and the gradient at its code, copied to it.",
        hint=hint,
        state={
            "codes": points,
            "range": _RANGE,
            "target": (1.0, -0.9),
            "stretch": 1.2,
            "bend": 0.5,
            "rate": 0.1,
            "start": tuple(map(float, z)),
        },
        user={
            "z": t.Tuple(t.Float(), t.Float(), default_value=tuple(map(float, z))),
            "beta": t.Float(float(beta), min=0.0, max=1.5),
        },
    )


"""Widgets on codebooks whose formulas are computed in the page; `widgets` offers them."""


def codebook_learning(
    points: Any,
    codes: Any,
    *,
    badly: Any = None,
    start: str = "well",
    rule: str = "lloyd",
    code: int = 0,
    batch: int = 32,
    decay: float = 0.9,
    rate: float = 0.4,
    axes: tuple[str, str] = ("first coordinate", "second coordinate"),
    hint: str = "Try: press the first button a few times, and watch which of the two moves lowers the distortion. Then start in "
    "a corner, and rescue a code that nobody chooses by dragging it.",
) -> Any:
    """Points in the plane and a codebook that learns them: Lloyd's steps, moving averages or gradient steps.

    Book: eq-vector-quantization-nearest, eq-vector-quantization-centroid. The last two rules take the points in the given
    order, `batch` at a time, from the first again after the last; shuffle them before.

    Args:
        points: up to 1,000 points, (n, 2).
        codes: two to ten codes to start from, (k, 2), well placed.
        badly: as many badly placed ones; by default all crowd in the lower right corner.
        start: "well" or "badly".
        rule: "lloyd", "average" or "gradient".
        code: which code is held first.
        decay, rate: of the moving averages, and of gradient descent on the batch's mean squared distance.

    Raises:
        ValueError: an argument is outside its range.
    """
    data, well = as_array(points).astype(float), as_array(codes).astype(float)
    if data.ndim != 2 or data.shape[1] != 2 or not 2 <= len(data) <= 1000:
        raise ValueError(f"points must be (n, 2) with 2 to 1,000 points, not {data.shape}")
    if well.ndim != 2 or well.shape[1] != 2 or not 2 <= len(well) <= 10:
        raise ValueError(f"codes must be (k, 2) with 2 to 10 codes, not {well.shape}")
    low, high = data.min(0), data.max(0)
    span = np.where(high > low, high - low, 1.0)
    numbers = np.arange(len(well))
    crowd = np.stack([high[0] - 0.04 * span[0] * (numbers % 3), low[1] + 0.04 * span[1] * (numbers // 3)], 1)
    bad = crowd if badly is None else as_array(badly).astype(float)
    if bad.shape != well.shape:
        raise ValueError(f"badly must hold as many codes as codes does, {well.shape}, not {bad.shape}")
    starts = {"well": well.round(4).tolist(), "badly": bad.round(4).tolist()}
    rules = ("lloyd", "average", "gradient")
    for name, value, choices in (("start", start, tuple(starts)), ("rule", rule, rules)):
        if value not in choices:
            raise ValueError(f"{name} must be one of {', '.join(choices)}, not {value!r}")
    if not 0 <= code < len(well):
        raise ValueError(f"code must lie between 0 and {len(well) - 1}, not {code}")
    if not 1 <= batch <= len(data):
        raise ValueError(f"batch must lie between 1 and the number of points, {len(data)}, not {batch}")
    if not 0 <= decay < 1 or not 0 < rate <= 0.5:
        raise ValueError(f"decay must lie in [0, 1) and rate in (0, 0.5], not {decay} and {rate}")
    every = np.concatenate([data, well, bad])
    ends = np.stack([every.min(0) - 0.05 * span, every.max(0) + 0.05 * span], 1)
    return show(
        "codebook_learning",
        label="Points in the plane, the codes that stand for them, and the cells of the points nearest to each code.",
        hint=hint,
        state={
            "points": data.round(4).tolist(),
            "starts": starts,
            "range": ends.round(4).tolist(),
            "batch": batch,
            "decay": float(decay),
            "rate": float(rate),
            "axes": list(axes),
        },
        user={
            "codes": t.List(default_value=starts[start]),
            "at": t.Tuple(t.Float(), t.Float(), default_value=tuple(starts[start][code])),
            "code": t.Int(code, min=0, max=len(well) - 1),
            "rule": t.Enum(rules, default_value=rule),
            "start": t.Enum(tuple(starts), default_value=start),
        },
    )
