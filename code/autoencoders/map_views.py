"""Widgets on the maps of a hierarchy: which of them say what.

`widgets` offers these functions beside the others; call them there.
"""

import itertools
import math
from collections.abc import Sequence
from typing import Any

import torch
import traitlets as t
from torch import Tensor

from autoencoders.models import HierarchicalVQVAE
from autoencoders.views import picture_bytes, picture_shape, show

NAMES = {1: ("map",), 2: ("top", "bottom"), 3: ("top", "middle", "bottom")}


def map_switch(
    model: HierarchicalVQVAE,
    images: Tensor,
    *,
    test: Tensor | None = None,
    names: Sequence[str] | None = None,
    on: Sequence[bool] | None = None,
    ink: bool = True,
    hint: str = "Try: begin with the top map alone and switch the others on, one at a time. Then leave the bottom map on and "
    "switch the top one off: what did only the top map know?",
) -> Any:
    """Pictures decoded from some of the maps of a hierarchy, the others at their average code.

    Args:
        model: a hierarchy with at most four maps.
        images: about eight pictures.
        test: the pictures that the error of each combination is measured on; by default `images`.
        names: of the maps, the coarsest first.
        on: which maps it opens with; by default the coarsest alone.

    Raises:
        ValueError: pictures, names or switches do not fit the model.
    """
    levels = len(model.quantizers)
    names = list(names or NAMES.get(levels, [f"map {i + 1}" for i in range(levels)]))
    on = [i == 0 for i in range(levels)] if on is None else [bool(value) for value in on]
    if levels > 4 or len(names) != levels or len(on) != levels or not any(on):
        raise ValueError(
            f"a hierarchy of {levels} maps: at most four can be switched, each has one name and one switch, and one at "
            f"least is on, not {names} and {on}"
        )
    shape = picture_shape(images)
    measured = images if test is None else test
    pictures, errors = [], []
    for keep in _combinations(levels):
        pictures.append(picture_bytes(_decoded(model, images, keep)))
        errors.append(float((_decoded(model, measured, keep) - measured).square().mean()))
    sizes = [rows * columns for rows, columns in model.sizes]
    codes = [len(codebook.codes) for codebook in model.quantizers]
    state = {
        "names": names,
        "sizes": [list(size) for size in model.sizes],
        "codes": codes,
        "bits": [places * math.log2(count) for places, count in zip(sizes, codes, strict=True)],
        "errors": errors,
        "originals": picture_bytes(images),
        "pictures": b"".join(pictures),
        "count": len(images),
        "shape": shape,
        "ink": ink,
    }
    return show(
        "map_switch",
        label=f"Pictures and what a hierarchy decodes from the maps that are switched on: {', '.join(names)}.",
        hint=hint,
        state=state,
        user={"on": t.List(t.Bool(), default_value=on, minlen=levels, maxlen=levels)},
    )


def _combinations(levels: int) -> list[tuple[bool, ...]]:
    """All but none, in the order of the binary numbers whose lowest digit is the coarsest map."""
    return [keep[::-1] for keep in itertools.product((False, True), repeat=levels) if any(keep)]


@torch.no_grad()
def _decoded(model: HierarchicalVQVAE, images: Tensor, keep: Sequence[bool]) -> Tensor:
    parts = []
    for batch in images.split(250):
        maps = model.indices(batch)
        parts.append(model.decode_indices([map_ if kept else None for map_, kept in zip(maps, keep, strict=True)]))
    return torch.cat(parts)
