"""Widgets of the part on representations: what simple readers get out of codes; `widgets` offers them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import traitlets as t

from autoencoders.views import glyphs, picture_bytes, picture_shape, show


def label_efficiency(
    counts: Sequence[int],
    accuracies: Mapping[str, Mapping[str, Any]],
    readings: Mapping[str, Mapping[str, Any]],
    images: Any,
    labels: Any,
    *,
    class_names: Sequence[str],
    start: int | None = None,
    ink: bool = True,
    hint: str = "Try: begin with one label a class and add labels. Which codes are ahead at the left end, which at the right, "
    "and does the other reader agree?",
) -> Any:
    """Accuracy of simple readers of several codes against the number of labels, and what they read in a few pictures.

    Book: eq-representation-excess.

    Args:
        counts: the numbers of labels, ascending.
        accuracies: reader -> code -> `(seeds, counts)` shares of test pictures read right.
        readings: reader -> code -> `(counts, pictures)` classes read in `images`, by the first seed's reader.
        images, labels: about eight test pictures and their classes.
        start: the number of labels it opens on; by default the second one.

    Raises:
        ValueError: readers, codes, counts or pictures do not match.
    """
    counts, kinds = [int(n) for n in counts], list(accuracies)
    names = list(accuracies[kinds[0]]) if kinds else []
    shape, k = picture_shape(images), len(images)
    if not names or counts != sorted(set(counts)):
        raise ValueError(
            f"there must be a reader, a code and ascending counts of labels, not {kinds}, {names}, {counts}"
        )
    if list(readings) != kinds or any(list(table[r]) != names for table in (accuracies, readings) for r in kinds):
        raise ValueError(f"every reader of {kinds} needs accuracies and readings for the codes {names}")
    shares = [[np.asarray(accuracies[r][name], dtype=np.float64) for name in names] for r in kinds]
    classes = [[np.asarray(readings[r][name], dtype=np.int64) for name in names] for r in kinds]
    for share, read in ((a, b) for pair in zip(shares, classes, strict=True) for a, b in zip(*pair, strict=True)):
        if share.ndim != 2 or share.shape[1] != len(counts) or read.shape != (len(counts), k):
            raise ValueError(
                f"accuracies must be (seeds, {len(counts)}) and readings ({len(counts)}, {k}), not {share.shape}, {read.shape}"
            )
    if len(labels) != k:
        raise ValueError(f"{k} pictures need {k} labels, not {len(labels)}")
    middle, low, high = (
        [[np.round(f(share, axis=0), 4).tolist() for share in row] for row in shares]
        for f in (np.median, np.min, np.max)
    )
    return show(
        "label_efficiency",
        label="Accuracy of simple readers of several codes against the number of labels, and what they read in some pictures.",
        hint=hint,
        state={
            "counts": counts,
            "readers": kinds,
            "names": names,
            "middle": middle,
            "low": low,
            "high": high,
            "readings": [[read.tolist() for read in row] for row in classes],
            "answers": [int(label) for label in labels],
            "glyphs": glyphs(list(class_names)),
            "images": picture_bytes(images),
            "shape": shape,
            "ink": ink,
        },
        user={
            "labels": t.Enum(counts, default_value=counts[min(1, len(counts) - 1)] if start is None else start),
            "reader": t.Int(0, min=0, max=len(kinds) - 1),
        },
    )
