"""p(s) = prod_i p(s_i | s_1 .. s_{i-1}) over the codes of a map, row by row from the top left: what all such priors share."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F


class Place(NamedTuple):
    """One place of a walk: p(s_i | the codes before) of each map, at the walk's temperature, and the codes drawn from it."""

    row: int
    column: int
    probabilities: Float[Tensor, "n k"]
    codes: Int[Tensor, "n"]


class CodeChain(nn.Module):
    """A prior over maps of codes in reading order. Subclasses give `forward`, and `_places` with what is remembered.

    Args:
        codes: how many codes there are.
        size: height and width of the maps.
        classes: with labels 0 to `classes` - 1 given, p(s | label).
        condition: channels of a map that the codes are conditioned on, of the same height and width, 0 for none.

    Raises:
        ValueError: a number is too small.
    """

    def __init__(self, codes: int, size: tuple[int, int], classes: int, condition: int):
        super().__init__()
        if min(codes, *size) < 1 or min(classes, condition) < 0:
            raise ValueError(
                "codes and both sides of the map are at least 1, classes and condition at least 0, "
                f"not {codes}, {size}, {classes} and {condition}"
            )
        self.codes, self.size, self.classes, self.condition = codes, size, classes, condition

    def forward(
        self,
        codes: Int[Tensor, "b h w"],
        labels: Int[Tensor, "b"] | None = None,
        condition: Float[Tensor, "b c h w"] | None = None,
    ) -> Float[Tensor, "b k h w"]:
        """The logits of each place's code, given the codes before it."""
        raise NotImplementedError

    def log_prob(
        self,
        codes: Int[Tensor, "b h w"],
        labels: Int[Tensor, "b"] | None = None,
        condition: Float[Tensor, "b c h w"] | None = None,
    ) -> Float[Tensor, "b"]:
        """log p(s) of each map, in nats."""
        return -F.cross_entropy(self(codes, labels, condition), codes.long(), reduction="none").flatten(1).sum(1)

    def sample(
        self,
        n: int,
        labels: Int[Tensor, "n"] | None = None,
        condition: Float[Tensor, "n c h w"] | None = None,
        *,
        given: Int[Tensor, "n h w"] | None = None,
        rows: int = 0,
        temperature: float = 1.0,
        generator: torch.Generator | None = None,
    ) -> Int[Tensor, "n h w"]:
        """Draw n maps. Every feature is computed once, and kept for the places to come.

        Args:
            given: maps of which the first `rows` rows are kept; the rest is drawn.

        Raises:
            ValueError: `n` is less than 1, the temperature not positive, or `given`, `labels` or `condition` do not fit.
        """
        drawn = self._start(n, labels, condition, given, rows, temperature)
        for _ in _walk(drawn, self._places(drawn, labels, condition, rows), temperature, generator):
            pass
        return drawn

    def sample_naively(
        self,
        n: int,
        labels: Int[Tensor, "n"] | None = None,
        condition: Float[Tensor, "n c h w"] | None = None,
        *,
        given: Int[Tensor, "n h w"] | None = None,
        rows: int = 0,
        temperature: float = 1.0,
        generator: torch.Generator | None = None,
    ) -> Int[Tensor, "n h w"]:
        """As `sample`, by running the whole network once for every place: what the cache is compared with."""
        drawn = self._start(n, labels, condition, given, rows, temperature)
        for _ in _walk(drawn, self._places_naively(drawn, labels, condition, rows), temperature, generator):
            pass
        return drawn

    def walk(
        self,
        n: int,
        labels: Int[Tensor, "n"] | None = None,
        condition: Float[Tensor, "n c h w"] | None = None,
        *,
        given: Int[Tensor, "n h w"] | None = None,
        rows: int = 0,
        temperature: float = 1.0,
        generator: torch.Generator | None = None,
    ) -> Iterator[Place]:
        """As `sample`, place by place: each with its distribution and what was drawn. Given rows are passed over."""
        drawn = self._start(n, labels, condition, given, rows, temperature)
        return _walk(drawn, self._places(drawn, labels, condition, rows), temperature, generator)

    def _places(
        self, drawn: Tensor, labels: Tensor | None, condition: Tensor | None, rows: int
    ) -> Iterator[tuple[int, int, Tensor]]:
        """The logits (n, k) of place after place, from row `rows` on.

        `drawn` holds the rows before, and has to hold a place's code before the next place is asked for.
        """
        raise NotImplementedError

    def _places_naively(
        self, drawn: Tensor, labels: Tensor | None, condition: Tensor | None, rows: int
    ) -> Iterator[tuple[int, int, Tensor]]:
        for row in range(rows, self.size[0]):
            for column in range(self.size[1]):
                yield row, column, self(drawn, labels, condition)[:, :, row, column]

    def _start(
        self,
        n: int,
        labels: Tensor | None,
        condition: Tensor | None,
        given: Tensor | None,
        rows: int,
        temperature: float,
    ) -> Tensor:
        """The maps to be filled, with the given rows in them."""
        if n < 1 or not temperature > 0:
            raise ValueError(f"draw at least one map, at a positive temperature, not {n} at {temperature:g}")
        self._check_context(n, labels, condition)
        height = self.size[0]
        if not 0 <= rows <= height or (rows and given is None):
            raise ValueError(f"`rows` says how many of the {height} rows of `given` are kept, 0 without it, not {rows}")
        drawn = torch.zeros(n, *self.size, dtype=torch.int64, device=next(self.parameters()).device)
        if given is not None:
            self._check(given)
            if len(given) != n:
                raise ValueError(f"{n} maps are to be drawn, so {n} have to be given, not {len(given)}")
            drawn[:, :rows] = given[:, :rows]
        return drawn

    def _check(self, codes: Tensor) -> None:
        if tuple(codes.shape[1:]) != self.size:
            raise ValueError(
                f"this prior is of maps of {self.size} codes, not {tuple(codes.shape[1:])}: train one for these"
            )
        if codes.numel() and not 0 <= int(codes.min()) <= int(codes.max()) < self.codes:
            raise ValueError(
                f"this prior knows {self.codes} codes, 0 to {self.codes - 1}, but the map has {int(codes.min())} to "
                f"{int(codes.max())}: train one for these"
            )

    def _check_context(self, n: int, labels: Tensor | None, condition: Tensor | None) -> None:
        if (labels is None) == bool(self.classes):
            raise ValueError(
                f"labels are {'needed' if self.classes else 'not part of this prior'} (classes={self.classes})"
            )
        if (condition is None) == bool(self.condition):
            raise ValueError(
                f"a condition is {'needed' if self.condition else 'not part of this prior'} (condition={self.condition})"
            )
        if labels is not None and (
            tuple(labels.shape) != (n,) or (n and not 0 <= int(labels.min()) <= int(labels.max()) < self.classes)
        ):
            raise ValueError(f"labels have to be {n} numbers from 0 to {self.classes - 1}, one for each map")
        if condition is not None and tuple(condition.shape) != (n, self.condition, *self.size):
            raise ValueError(f"the condition has to be {(n, self.condition, *self.size)}, not {tuple(condition.shape)}")


def _walk(
    drawn: Tensor, places: Iterator[tuple[int, int, Tensor]], temperature: float, generator: torch.Generator | None
) -> Iterator[Place]:
    """Draw a code at each place, and write it where the next place finds it."""
    while True:
        with torch.no_grad():  # not around the whole: what happens between two steps is the caller's
            found = next(places, None)
            if found is None:
                return
            row, column, logits = found
            scaled = logits / temperature
            codes = _draw(scaled, generator)
            drawn[:, row, column] = codes
            place = Place(row, column, scaled.softmax(1), codes)
        yield place


def _draw(logits: Float[Tensor, "n k"], generator: torch.Generator | None) -> Int[Tensor, "n"]:
    """One draw a row, by the largest of logits and Gumbel noise: near-equal logits give equal draws."""
    uniform = torch.empty(logits.shape, dtype=torch.float64).uniform_(generator=generator).to(logits.device)
    return (logits.double() - torch.log(-torch.log(uniform.clamp_min(1e-300)))).argmax(1)
