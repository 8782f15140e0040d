"""Widgets that compare what is kept of a picture: the maps of a hierarchy, and ways to store it; `widgets` offers them."""

import itertools
import math
from collections.abc import Mapping, Sequence
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


"""Widgets on what is stored of a picture: ways to store it in the plane of bits and error.

`widgets` offers these functions beside the others; call them there.
"""


_ACCENTS = (
    ("VQ", "codebook"),
    ("VAE", "posterior"),
    ("JPEG", "encoder"),
    ("WebP", "decoder"),
)


def codec_explorer(
    methods: Mapping[str, Mapping[str, tuple[float, float, Any]]],
    originals: Any,
    *,
    start: tuple[str, str] | None = None,
    ink: bool = True,
    hint: str = "Try: follow one method to fewer bits and watch what goes first, the stroke's edge or its course. Then cross "
    "over to another method at about the same bits.",
) -> Any:
    """Ways to store pictures, each a line in the plane of bits and error, and the pictures that a chosen point gives back.

    Book: eq-measuring-rate.

    Args:
        methods: method -> setting -> (bits a pixel value, mean squared error, the pictures rebuilt); at most 26 methods.
        originals: about six pictures, those that were rebuilt.
        start: method and setting that it opens on; by default the first method's setting with the fewest bits.

    Raises:
        ValueError: there is no method or no setting, a number is not positive, or pictures are not those of `originals`.
    """
    shape, lines, pictures = picture_shape(originals, "originals"), [], []
    if not 1 <= len(methods) <= 26 or not all(methods.values()):
        raise ValueError(f"1 to 26 methods are needed, each with a setting, not {dict.fromkeys(methods)}")
    for name, settings in methods.items():
        ordered = sorted(settings.items(), key=lambda item: item[1][0])
        for setting, (bits, error, rebuilt) in ordered:
            where = f"{name}, {setting}"
            if not (0 < bits < math.inf and 0 < error < math.inf):
                raise ValueError(f"{where}: bits and error are drawn by their logarithms, not {bits} and {error}")
            if tuple(rebuilt.shape) != tuple(originals.shape):
                raise ValueError(
                    f"{where}: pictures of shape {tuple(originals.shape)} are needed, not {tuple(rebuilt.shape)}"
                )
            pictures.append(picture_bytes(rebuilt))
        lines.append(
            {
                "name": name,
                "color": next((color for word, color in _ACCENTS if word in name), "data"),
                "settings": [setting for setting, _ in ordered],
                "bits": [float(point[0]) for _, point in ordered],
                "errors": [float(point[1]) for _, point in ordered],
            }
        )
    method, point = 0, 0
    if start is not None:
        if start[0] not in methods or start[1] not in methods[start[0]]:
            raise ValueError(f"start is a method and one of its settings, not {start}")
        method = list(methods).index(start[0])
        point = lines[method]["settings"].index(start[1])
    longest = max(len(line["bits"]) for line in lines)
    return show(
        "codec_explorer",
        label=f"Bits a pixel against error for {', '.join(methods)}, and the pictures of the chosen point.",
        hint=hint,
        state={
            "methods": lines,
            "originals": picture_bytes(originals),
            "pictures": b"".join(pictures),
            "places": math.prod(shape),
            "count": len(originals),
            "shape": shape,
            "ink": ink,
        },
        user={"method": t.Int(method, min=0, max=len(lines) - 1), "point": t.Int(point, min=0, max=longest - 1)},
    )
