"""Widgets that work on a picture's map of codes; `widgets` offers them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import traitlets as t
from torch import Tensor
from torch.nn import functional as F

from autoencoders import evaluation, export
from autoencoders.views import as_array, few_levels, picture_bytes, picture_shape, show

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


"""Widgets on maps of codes; `widgets` offers them."""


_LEVELS = 16


@torch.no_grad()
def prior_drawing(
    prior: Any,
    model: Any,
    *,
    classes: Sequence[int] | None = None,
    draws: int = 2,
    likely: int = 8,
    class_names: Sequence[str] | None = None,
    seed: int = 0,
    place: int | None = None,
    ink: bool = True,
    hint: str = "Try: press Play, then go back to the places with the tallest bars of surprise. What was being decided there? "
    "Then choose another class and look at the first choices it makes.",
) -> Any:
    """Draws from an autoregressive prior, code by code: what it expects at each place, what it draws, the picture so far.

    Places that are still empty hold the codes of a blank picture.

    Args:
        prior: of maps of codes, such as a `PixelCNN`; with labels where it has classes.
        model: the VQ-VAE whose codes these are.
        classes: the labels to draw for; by default all.
        draws: how many maps of each.
        likely: how many of the likeliest codes are shown at each place.
        place: how many codes are on the page when it opens; by default half of them.

    Raises:
        ValueError: `classes`, `draws`, `likely` or `place` is out of range.
    """
    labels = list(range(max(1, prior.classes))) if classes is None else [int(label) for label in classes]
    height, width = prior.size
    places = height * width
    if not labels or min(labels) < 0 or max(labels) >= max(1, prior.classes):
        raise ValueError(f"classes must be some of 0 to {max(1, prior.classes) - 1}, not {labels}")
    if draws < 1 or not 1 <= likely <= prior.codes or not 0 <= (place or 0) <= places:
        raise ValueError(
            f"draw at least once, show 1 to {prior.codes} codes, and open at a place from 0 to {places}, "
            f"not {draws}, {likely} and {place}"
        )
    count = len(labels) * draws
    told = torch.tensor(labels).repeat_interleave(draws) if prior.classes else None
    blank, patches = _strokes(model, prior.codes, (height, width))
    shape = picture_shape(blank)
    maps = model.indices(torch.zeros_like(blank)).expand(count, -1, -1).clone()
    generator = torch.Generator().manual_seed(seed)
    pictures, top, chances, codes, costs = [blank.expand(count, -1, -1, -1)], [], [], [], []
    for step in prior.walk(count, told, generator=generator):
        maps[:, step.row, step.column] = step.codes
        pictures.append(model.decode_indices(maps))
        best = step.probabilities.topk(likely, dim=1)
        top.append(best.indices)
        chances.append(best.values)
        codes.append(step.codes)
        costs.append(-step.probabilities.gather(1, step.codes[:, None])[:, 0].log2())
    frames = picture_bytes(torch.stack(pictures, 1))
    names = [str(name) for name in class_names or range(max(1, prior.classes))]
    state = {
        "classes": [names[label] for label in labels],
        "draws": draws,
        "size": [height, width],
        "likely": likely,
        "codes": torch.stack(codes, 1).numpy().astype("<u2").tobytes(),
        "top": torch.stack(top, 1).numpy().astype("<u2").tobytes(),
        "chances": np.rint(255 * torch.stack(chances, 1).numpy()).astype(np.uint8).tobytes(),
        "costs": torch.stack(costs, 1).numpy().round(2).astype(float).tolist(),
        "frames": few_levels(frames, _LEVELS),
        "patches": few_levels(picture_bytes(patches), _LEVELS),
        "patch": picture_shape(patches)[:2],
        "levels": _LEVELS,
        "shape": shape,
        "ink": ink,
    }
    return show(
        "prior_drawing",
        label="A prior draws a map of codes, place by place: the codes it expects, the one it draws, and the picture so far.",
        hint=hint,
        state=state,
        user={
            "label_index": t.Int(0, min=0, max=len(labels) - 1),
            "draw": t.Int(0, min=0, max=draws - 1),
            "place": t.Int(places // 2 if place is None else place, min=0, max=places),
        },
    )


def _strokes(model: Any, codes: int, size: tuple[int, int]) -> tuple[torch.Tensor, torch.Tensor]:
    """The decoded blank map, and what each code alone paints on it in the middle, cut to three places a side."""
    height, width = size
    values = model.quantizer.codes
    # A blank picture has the size that the decoder gives a map of this size.
    shape = model.decode(values.new_zeros(1, values.shape[1], height, width)).shape
    paper = model.indices(values.new_zeros(shape))
    row, column = height // 2, width // 2
    maps = paper.expand(codes, -1, -1).clone()
    maps[:, row, column] = torch.arange(codes)
    tall, wide = shape[2] // height, shape[3] // width
    top, left = max(0, (row - 1) * tall), max(0, (column - 1) * wide)
    painted = model.decode_indices(maps)
    return model.decode_indices(paper), painted[:, :, top : top + 3 * tall, left : left + 3 * wide]
