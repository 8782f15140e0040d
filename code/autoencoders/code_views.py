"""Widgets that work on a picture's map of codes; `widgets` offers them."""

from typing import Any

import torch
import traitlets as t
from torch import Tensor
from torch.nn import functional as F

from autoencoders import evaluation, export
from autoencoders.views import as_array, picture_bytes, picture_shape, show

PALETTE = 256
"""Codes a palette may hold: more are no longer told apart, nor found."""


def paint_codes(
    model: Any,
    images: Any,
    *,
    examples: Any = None,
    code: int | None = None,
    image: int = 0,
    dtype: str = "int8",
    ink: bool = True,
    hint: str = "Try: pick up a code from a stroke and paint it one place beside. How far does the picture change, and is the "
    "stroke you get the one on the palette? Then fill the whole map with it.",
) -> Any:
    """The map of codes of a picture, painted over with codes of the reader's choice; the decoder runs in the page.

    Args:
        model: a `VQVAE` with one map, its decoder under 250,000 parameters and its codes no more than 256.
        images: about eight pictures whose maps can be painted over.
        examples: more pictures, from which it is averaged what each code paints; by default `images`.
        code: what the reader paints with at first; by default the code in the middle of the first map.
        image: which picture's map it opens on.

    Raises:
        ValueError: the codes are too many, or there is no such code or picture.
    """
    shape = picture_shape(images)
    if not 0 <= image < len(images):
        raise ValueError(f"image must be one of the {len(images)} pictures, 0 to {len(images) - 1}, not {image}")
    count, width = (int(n) for n in model.quantizer.codes.shape)
    if count > PALETTE:
        raise ValueError(f"a palette holds at most {PALETTE} codes, but the model has {count}; train one with fewer")
    maps = evaluation.in_batches(model.indices, torch.as_tensor(as_array(images)))
    rows, columns = maps.shape[1:]
    chosen = int(maps[image, rows // 2, columns // 2]) if code is None else int(code)
    if not 0 <= chosen < count:
        raise ValueError(f"code must be one of the {count} codes, 0 to {count - 1}, not {code}")
    manifest, weights = export.pack(model.decoder, dtype, shape=(width, rows, columns))
    shown = code_pictures(model, images if examples is None else examples)
    state = {
        "manifest": manifest,
        "weights": weights,
        "codebook": as_array(model.quantizer.codes).astype("<f4").tobytes(),
        "maps": as_array(maps).astype("<u2").tobytes(),
        "swatches": picture_bytes(shown),
        "swatch": picture_shape(shown),
        "cell": [shape[0] // rows, shape[1] // columns],
        "order": as_array(shown).reshape(count, -1).mean(1).argsort(kind="stable").tolist(),
        "images": picture_bytes(images),
        "grid": [rows, columns],
        "shape": shape,
        "ink": ink,
    }
    return show(
        "paint_codes",
        label="A picture's map of codes to paint over, a palette of the codes, and the picture that the map decodes to.",
        hint=hint,
        state=state,
        user={
            "codes": t.List(t.Int(), default_value=maps[image].flatten().tolist()),
            "code": t.Int(chosen, min=0, max=count - 1),
            "place": t.Tuple(t.Int(), t.Int(), default_value=(columns // 2, rows // 2)),
            "image": t.Int(int(image), min=0, max=len(images) - 1),
        },
        decoder=True,
    )


@torch.no_grad()
def code_pictures(model: Any, images: Any, margin: float = 0.5) -> Tensor:
    """What each code paints: the decoded pictures around the places where it stands, averaged, `(k, c, h, w)`.

    Of each place its own cell is taken, and on every side `margin` cells more. A code that stands nowhere in the pictures
    is blank.
    """
    images = torch.as_tensor(as_array(images))
    indices = evaluation.in_batches(model.indices, images).flatten(1)
    decoded = evaluation.in_batches(model, images).clamp(0, 1)
    rows, columns = evaluation.in_batches(model.indices, images[:1]).shape[1:]
    cell = decoded.shape[2] // rows, decoded.shape[3] // columns
    extra = round(margin * cell[0]), round(margin * cell[1])
    window = cell[0] + 2 * extra[0], cell[1] + 2 * extra[1]
    wider = F.pad(decoded, (extra[1], extra[1], extra[0], extra[0]), mode="replicate")  # beyond the border, its pixels
    cut = F.unfold(wider, window, stride=cell).transpose(1, 2).flatten(0, 1)
    count = len(model.quantizer.codes)
    sums = torch.zeros(count, cut.shape[1]).index_add_(0, indices.flatten(), cut)
    used = torch.bincount(indices.flatten(), minlength=count).clamp(min=1)
    return (sums / used[:, None]).unflatten(1, (decoded.shape[1], *window))
