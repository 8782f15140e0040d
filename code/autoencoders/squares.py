"""Widgets that fill a square with what a decoder makes of codes on a grid; `widgets` offers them."""

from typing import Any

import torch
import traitlets as t

from autoencoders import export
from autoencoders.views import as_array, picture_shape, show


def quantile_plane(
    model: Any,
    *,
    u: tuple[float, float] = (0.5, 0.5),
    spacing: str = "quantiles",
    side: int = 12,
    dtype: str = "int8",
    ink: bool = True,
    hint: str = "Try: go once around the border. How far from the origin are you there, by the reading? Then space the grid "
    "evenly: what has become of the middle?",
) -> Any:
    """All pictures of a model with two latents: a grid that gives each cell the same share of N(0, I), and a point decoded.

    Args:
        model: its decoder is run in the page (see `export.pack`).
        u: where the point starts, in the unit square; z is the standard normal quantile of either coordinate.
        spacing: "quantiles", or "even" for z from -3 to 3 in equal steps.
        side: how many pictures stand in a row.
    """
    if getattr(model, "latent", 2) != 2:
        raise ValueError(f"the quantile plane needs a model with two latents, not {model.latent}")
    return _square(
        model,
        label="A square of pictures decoded from the plane of two latents, and a point of it that is decoded.",
        hint=hint,
        state={"kind": "plane", "side": int(side), "ink": ink},
        user={"u": _unit_pair(u), "path": _one_of(("quantiles", "even"), spacing, "spacing")},
        dtype=dtype,
    )


def four_corners(
    model: Any,
    images: Any,
    labels: Any,
    *,
    corners: tuple[int, int, int, int] = (0, 1, 2, 3),
    u: tuple[float, float] = (0.5, 0.5),
    path: str = "line",
    side: int = 9,
    dtype: str = "int8",
    ink: bool = True,
    hint: str = "Try: in the middle of the square, switch from the straight lines to the sphere. What happens to the strokes, "
    "and to the length of z?",
) -> Any:
    """The codes of four pictures as the corners of a square, and what is decoded in between.

    Args:
        model: any number of latents; its decoder is run in the page (see `export.pack`).
        images, labels: about ten pictures to choose corners from, and what to call them.
        corners: which of them stand at the upper left, upper right, lower left and lower right.
        u: where the point starts: (0, 0) is the lower left corner, (1, 1) the upper right one.
        path: "line" or "sphere", the great circles of `latents.great_circle`.
    """
    picture_shape(images)
    if len(corners) != 4 or not all(0 <= corner < len(images) for corner in corners):
        raise ValueError(f"corners must be four positions among the {len(images)} pictures, not {corners}")
    if len(labels) != len(images):
        raise ValueError(f"each of the {len(images)} pictures needs a label, not {len(labels)} labels")
    with torch.no_grad():
        codes = as_array(model.codes(images))
    return _square(
        model,
        label="A square of pictures between the codes of four digits, and a point of it that is decoded.",
        hint=hint,
        state={
            "kind": "corners",
            "side": int(side),
            "codes": codes.astype("<f4").tobytes(),
            "names": [str(int(label)) for label in labels],
            "ink": ink,
        },
        user={
            "u": _unit_pair(u),
            "path": _one_of(("line", "sphere"), path, "path"),
            "corners": t.List(t.Int(), default_value=[int(corner) for corner in corners]),
        },
        dtype=dtype,
    )


def _square(model: Any, *, label: str, hint: str, state: dict[str, Any], user: dict[str, Any], dtype: str) -> Any:
    if state["side"] < 2:
        raise ValueError(f"side is how many pictures stand in a row, at least 2, not {state['side']}")
    manifest, weights = export.pack(export.painter(model), dtype, add=getattr(model, "mean", None))
    state = state | {"manifest": manifest, "weights": weights, "latent": manifest["input"], "shape": manifest["output"]}
    return show("latent_square", label=label, hint=hint, state=state, user=user, decoder=True)


def _unit_pair(u: tuple[float, float]) -> t.Tuple:
    if not all(0 <= value <= 1 for value in u):
        raise ValueError(f"u is a point of the unit square, not {u}")
    return t.Tuple(t.Float(), t.Float(), default_value=(float(u[0]), float(u[1])))


def _one_of(options: tuple[str, str], value: str, name: str) -> t.Enum:
    if value not in options:
        raise ValueError(f"{name} must be {options[0]!r} or {options[1]!r}, not {value!r}")
    return t.Enum(options, default_value=value)
