"""Widgets on what is stored of a picture: ways to store it in the plane of bits and error.

`widgets` offers these functions beside the others; call them there.
"""

import math
from collections.abc import Mapping
from typing import Any

import traitlets as t

from autoencoders.views import picture_bytes, picture_shape, show

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
