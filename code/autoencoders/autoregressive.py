"""Priors over maps of codes, one code after the other in reading order: a gated PixelCNN whose samples are drawn with a cache."""

from collections.abc import Iterator

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F


class _Gated(nn.Module):
    """One layer of the two stacks (van den Oord et al. 2016, figure 2).

    A feature of the vertical stack at row r has seen rows 0 to r. The horizontal stack at (r, c) gets the vertical one at
    row r - 1, and its own row up to column c, or c - 1 in the first layer: rows above and places to the left, without the
    blind spot of a single stack of masked convolutions.
    """

    def __init__(self, channels: int, reach: int, condition: int, *, is_first: bool):
        super().__init__()
        self.reach, self.is_first = reach, is_first
        self.vertical = nn.Conv2d(channels, 2 * channels, (reach + 1, 2 * reach + 1))
        self.across = nn.Conv2d(2 * channels, 2 * channels, 1)
        self.horizontal = nn.Conv2d(channels, 2 * channels, (1, reach if is_first else reach + 1))
        self.condition = nn.Conv2d(condition, 4 * channels, 1) if condition else None
        self.out = nn.Conv2d(channels, channels, 1)

    def forward(self, v: Tensor, h: Tensor, condition: Tensor | None) -> tuple[Tensor, Tensor]:
        to_v, to_h = self.conditions(condition)
        seen = self.vertical(F.pad(v, (self.reach, self.reach, self.reach, 0)))
        above = F.pad(seen[:, :, :-1], (0, 0, 1, 0))  # the row above
        left = F.pad(h[..., :-1] if self.is_first else h, (self.reach, 0))
        return _gate(seen + to_v), self.residual(h, self.horizontal(left) + self.across(above) + to_h)

    def conditions(self, condition: Tensor | None) -> tuple[Tensor | float, Tensor | float]:
        """What the condition adds to the two stacks."""
        if self.condition is None or condition is None:
            return 0.0, 0.0
        to_v, to_h = self.condition(condition).chunk(2, 1)
        return to_v, to_h

    def residual(self, h: Tensor, raw: Tensor) -> Tensor:
        out = self.out(_gate(raw))
        return out if self.is_first else h + out


def _gate(raw: Tensor) -> Tensor:
    signal, gate = raw.chunk(2, 1)
    return torch.tanh(signal) * torch.sigmoid(gate)


class PixelCNN(nn.Module):
    """p(s) = prod_i p(s_i | s_1 .. s_{i-1}) over the codes of a map, in reading order (van den Oord et al. 2016).

    Args:
        codes: how many codes there are.
        size: height and width of the maps.
        classes: with labels 0 to `classes` - 1 given, p(s | label).
        condition: channels of a map that the codes are conditioned on, of the same height and width, 0 for none.
        layers: each widens what a place can see by `reach`; `layers * reach` should be at least the longer side.

    Raises:
        ValueError: a number is too small.
    """

    def __init__(
        self,
        codes: int,
        size: tuple[int, int],
        *,
        classes: int = 0,
        condition: int = 0,
        channels: int = 64,
        layers: int = 5,
        reach: int = 2,
    ):
        super().__init__()
        if min(codes, *size, channels, layers, reach) < 1 or min(classes, condition) < 0:
            raise ValueError(
                "codes, both sides of the map, channels, layers and reach are at least 1, classes and condition at least 0"
            )
        self.codes, self.size, self.classes, self.condition = codes, size, classes, condition
        self.embedding = nn.Embedding(codes, channels)
        self.label = nn.Embedding(classes, channels) if classes else None
        context = (channels if classes else 0) + condition
        self.layers = nn.ModuleList(_Gated(channels, reach, context, is_first=number == 0) for number in range(layers))
        self.head = nn.Sequential(nn.ReLU(), nn.Conv2d(channels, channels, 1), nn.ReLU(), nn.Conv2d(channels, codes, 1))

    def forward(
        self,
        codes: Int[Tensor, "b h w"],
        labels: Int[Tensor, "b"] | None = None,
        condition: Float[Tensor, "b c h w"] | None = None,
    ) -> Float[Tensor, "b k h w"]:
        """The logits of each place's code, given the codes before it.

        Raises:
            ValueError: codes, labels or condition are not what the model was built for.
        """
        self._check(codes)
        context = self._context(len(codes), labels, condition)
        v = h = self.embedding(codes).movedim(-1, 1)
        for layer in self._gated():
            v, h = layer(v, h, context)
        return self.head(h)

    def log_prob(
        self,
        codes: Int[Tensor, "b h w"],
        labels: Int[Tensor, "b"] | None = None,
        condition: Float[Tensor, "b c h w"] | None = None,
    ) -> Float[Tensor, "b"]:
        """log p(s) of each map, in nats."""
        return -F.cross_entropy(self(codes, labels, condition), codes, reduction="none").flatten(1).sum(1)

    @torch.no_grad()
    def sample(
        self,
        n: int,
        labels: Int[Tensor, "n"] | None = None,
        condition: Float[Tensor, "n c h w"] | None = None,
        *,
        temperature: float = 1.0,
        generator: torch.Generator | None = None,
    ) -> Int[Tensor, "n h w"]:
        """Draw n maps. Every feature is computed once, and kept for the places to come.

        Raises:
            ValueError: `n` is less than 1 or the temperature not positive.
        """
        drawn = torch.zeros(n, *self.size, dtype=torch.int64, device=self.embedding.weight.device)
        for row, column, logits in self._walk(drawn, labels, condition, temperature):
            drawn[:, row, column] = _draw(logits / temperature, generator)
        return drawn

    @torch.no_grad()
    def sample_naively(
        self,
        n: int,
        labels: Int[Tensor, "n"] | None = None,
        condition: Float[Tensor, "n c h w"] | None = None,
        *,
        temperature: float = 1.0,
        generator: torch.Generator | None = None,
    ) -> Int[Tensor, "n h w"]:
        """As `sample`, by running the whole network once for every place: what the cache is compared with."""
        drawn = torch.zeros(n, *self.size, dtype=torch.int64, device=self.embedding.weight.device)
        for row in range(self.size[0]):
            for column in range(self.size[1]):
                logits = self(drawn, labels, condition)[:, :, row, column]
                drawn[:, row, column] = _draw(logits / temperature, generator)
        return drawn

    def _walk(
        self, drawn: Tensor, labels: Tensor | None, condition: Tensor | None, temperature: float
    ) -> Iterator[tuple[int, int, Tensor]]:
        """The logits of place after place; `drawn` has to hold a place's code before the next one is asked for."""
        if len(drawn) < 1 or temperature <= 0:
            raise ValueError(f"draw at least one map, at a positive temperature, not {len(drawn)} at {temperature:g}")
        (height, width), layers, n = self.size, self._gated(), len(drawn)
        context = self._context(n, labels, condition)
        adds = [layer.conditions(context) for layer in layers]
        channels, reach = self.embedding.embedding_dim, layers[0].reach
        # What each layer's vertical stack reads: the rows so far, the newest last, with the borders' zeros.
        rows = [drawn.new_zeros(n, channels, reach + 1, width + 2 * reach, dtype=torch.float32) for _ in layers]
        above = [drawn.new_zeros(n, 2 * channels, 1, width, dtype=torch.float32) for _ in layers]
        for row in range(height):
            across = [layer.across(seen) for layer, seen in zip(layers, above, strict=True)]
            line = [drawn.new_zeros(n, channels, width + reach, dtype=torch.float32) for _ in layers]
            for column in range(width):
                h = drawn.new_zeros(n, channels, 1, 1, dtype=torch.float32)
                for number, layer in enumerate(layers):
                    if number:
                        line[number][:, :, column + reach] = h[:, :, 0, 0]
                    last = column + reach + (not layer.is_first)
                    seen = line[number][:, :, last - layer.horizontal.kernel_size[1] : last]
                    raw = layer.horizontal(seen[:, :, None]) + across[number][..., column : column + 1]
                    h = layer.residual(h, raw + _at(adds[number][1], row, column))
                yield row, column, self.head(h)[:, :, 0, 0]
                line[0][:, :, column + reach] = self.embedding(drawn[:, row, column])
            v = self.embedding(drawn[:, row]).movedim(-1, 1)[:, :, None]
            for number, layer in enumerate(layers):
                rows[number] = torch.cat([rows[number][:, :, 1:], F.pad(v, (reach, reach))], 2)
                above[number] = layer.vertical(rows[number])
                v = _gate(above[number] + _at(adds[number][0], row))

    def _gated(self) -> list[_Gated]:
        return [layer for layer in self.layers if isinstance(layer, _Gated)]

    def _check(self, codes: Tensor) -> None:
        if tuple(codes.shape[1:]) != self.size:
            raise ValueError(
                f"this prior is of maps of {self.size} codes, not {tuple(codes.shape[1:])}: train one for these"
            )
        if codes.numel() and not 0 <= int(codes.min()) <= int(codes.max()) < self.codes:
            raise ValueError(
                f"this prior knows {self.codes} codes, 0 to {self.codes - 1}, but the map has {int(codes.min())} to "
                f"{int(codes.max())}"
            )

    def _context(self, n: int, labels: Tensor | None, condition: Tensor | None) -> Tensor | None:
        """Label and condition as one map of channels."""
        parts = []
        if (labels is None) == bool(self.classes):
            raise ValueError(
                f"labels are {'needed' if self.classes else 'not part of this prior'} (classes={self.classes})"
            )
        if (condition is None) == bool(self.condition):
            raise ValueError(f"a condition is {'needed' if self.condition else 'not part of this prior'}")
        if labels is not None and self.label is not None:
            if len(labels) != n or not 0 <= int(labels.min()) <= int(labels.max()) < self.classes:
                raise ValueError(f"labels have to be {n} numbers from 0 to {self.classes - 1}")
            parts.append(self.label(labels)[:, :, None, None].expand(-1, -1, *self.size))
        if condition is not None:
            if tuple(condition.shape) != (n, self.condition, *self.size):
                raise ValueError(
                    f"the condition has to be {(n, self.condition, *self.size)}, not {tuple(condition.shape)}"
                )
            parts.append(condition)
        return torch.cat(parts, 1) if parts else None


def _at(added: Tensor | float, row: int, column: int | None = None) -> Tensor | float:
    if not isinstance(added, Tensor):
        return added
    part = added[:, :, row : row + 1]
    return part if column is None else part[..., column : column + 1]


def _draw(logits: Float[Tensor, "n k"], generator: torch.Generator | None) -> Int[Tensor, "n"]:
    """One draw a row, by the largest of logits and Gumbel noise: near-equal logits give equal draws."""
    uniform = torch.empty(logits.shape, dtype=torch.float64).uniform_(generator=generator).to(logits.device)
    return (logits.double() - torch.log(-torch.log(uniform.clamp_min(1e-300)))).argmax(1)
