"""Widgets on codebooks whose formulas are computed in the page; `widgets` offers them."""

from typing import Any

import numpy as np
import traitlets as t

from autoencoders.views import as_array, show


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
