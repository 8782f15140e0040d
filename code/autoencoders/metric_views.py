"""Widgets on metrics of disentanglement; `widgets` offers them."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import traitlets as t

from autoencoders.views import as_array, show

COUNTS = (1, 2, 4, 8, 16, 32, 64)
"""Pairs that a round may have."""


def fixed_factor(
    codes: Mapping[str, Any],
    factors: Mapping[str, Any],
    *,
    pairs: int = 16,
    seed: int = 0,
    hint: str = "Try: play five rounds with each code, then five with one pair a round. Which code is still easy? And does being "
    "right tell you what a latent stands for?",
) -> Any:
    """The BetaVAE metric as a game: from mean differences of codes, guess which factor the pairs of pictures share.

    Book: eq-metrics-beta-vae. A bar is the mean of |z - z'| over the pairs, in units of its mean over unrelated pairs.

    Args:
        codes: name -> (n, m), different codes of the same n pictures.
        factors: name -> (n,), the values of the pictures' factors, integers.
        pairs: in a round at first: 1, 2, 4, ... or 64.
        seed: of the rounds.

    Raises:
        ValueError: there is nothing to tell apart, the shapes do not fit, or `pairs` is none of those.
    """
    tables = {name: as_array(values) for name, values in codes.items()}
    values = {name: np.unique(as_array(column), return_inverse=True)[1] for name, column in factors.items()}
    shapes = {name: table.shape for name, table in tables.items()}
    if not tables or len(set(shapes.values())) != 1 or len(next(iter(shapes.values()))) != 2:
        raise ValueError(f"codes must be tables (n, m) of one shape, at least one, not {shapes}")
    count, latents = next(iter(shapes.values()))
    if not 2 <= len(values) <= 6 or any(len(column) != count for column in values.values()):
        lengths = {name: len(column) for name, column in values.items()}
        raise ValueError(f"there must be two to six factors, each with {count} values, one a code, not {lengths}")
    if any(column.max() == 0 or column.max() > 255 for column in values.values()):
        raise ValueError("each factor must take at least two and at most 256 values")
    if not 1 <= latents <= 16:
        raise ValueError(f"the codes must have 1 to 16 latents, a bar each, not {latents}")
    if pairs not in COUNTS:
        raise ValueError(f"pairs must be one of {', '.join(map(str, COUNTS))}, not {pairs}")
    stacked = np.stack(list(tables.values()))
    state = {
        "names": list(values),
        "codes": list(tables),
        "latents": latents,
        "values": stacked.astype(np.float16).astype("<f4").tobytes(),  # rounded, so that they compress to half
        "factors": np.stack(list(values.values())).astype(np.uint8).tobytes(),
        "spans": [mean_differences(table).tolist() for table in tables.values()],
        "counts": list(COUNTS),
        "seed": int(seed),
    }
    return show(
        "fixed_factor",
        label="Bars of the mean differences between the codes of pairs of pictures that share one hidden factor, to be guessed.",
        hint=hint,
        state=state,
        user={
            "code": t.Int(0, min=0, max=len(tables) - 1),
            "pairs": t.Enum(list(COUNTS), default_value=int(pairs)),
            "round": t.Int(0, min=0),
            "guess": t.Int(-1, min=-1, max=len(values) - 1),
            "score": t.List(default_value=[[0, 0, 0] for _ in tables]),
        },
    )


def mean_differences(codes: np.ndarray) -> np.ndarray:
    """E|z_j - z_j'| of each coordinate for two independent rows, `(m,)`; from the sorted column, without the pairs."""
    ordered = np.sort(codes.astype(np.float64), axis=0)
    n = len(ordered)
    return 2 * ((2 * np.arange(n) - n + 1)[:, None] * ordered).sum(0) / n**2
