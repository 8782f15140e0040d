"""Widgets of codes in the plane; `widgets` offers them."""

from collections.abc import Sequence
from typing import Any

import traitlets as t

from autoencoders.views import show

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
