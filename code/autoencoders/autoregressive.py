"""Priors over maps of codes, one code after the other in reading order: masked convolutions, a gated PixelCNN, a transformer."""

from collections.abc import Iterator

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from autoencoders.reading_order import CodeChain, Place
from autoencoders.transformer import CausalTransformer

__all__ = ["CausalTransformer", "MaskedConv2d", "PixelCNN", "Place"]


class MaskedConv2d(nn.Conv2d):
    """A convolution that sees the places before its own in reading order (mask A), or its own as well (mask B).

    The first layer on the codes has mask A, later ones B. A stack of these has a blind spot: places above and to the right
    that no path of reads leads to, however many layers there are (van den Oord et al. 2016, figure 1).

    Raises:
        ValueError: `mask` is neither, or `reach` less than 1.
    """

    def __init__(self, mask: str, channels: int, out: int, *, reach: int = 1):
        if mask not in ("A", "B") or reach < 1:
            raise ValueError(f"the mask is 'A' or 'B' and the reach at least 1, not {mask!r} and {reach}")
        super().__init__(channels, out, 2 * reach + 1, padding=reach)
        seen = torch.ones(2 * reach + 1, 2 * reach + 1)
        seen[reach, reach + (mask == "B") :] = 0
        seen[reach + 1 :] = 0
        self.seen: Tensor
        self.register_buffer("seen", seen, persistent=False)

    def forward(self, input: Float[Tensor, "b c h w"]) -> Float[Tensor, "b out h w"]:
        return F.conv2d(input, self.weight * self.seen, self.bias, padding=self.padding)


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

    def forward(self, v: Tensor, h: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        to_v, to_h = self.added(context)
        seen = self.vertical(F.pad(v, (self.reach, self.reach, self.reach, 0)))
        above = F.pad(seen[:, :, :-1], (0, 0, 1, 0))  # the row above
        left = F.pad(h[..., :-1] if self.is_first else h, (self.reach, 0))
        out = self.out(_gate(self.horizontal(left) + self.across(above) + to_h))
        return _gate(seen + to_v), out if self.is_first else h + out

    def added(self, context: Tensor | None) -> tuple[Tensor, Tensor]:
        """What the context adds to the two stacks."""
        if self.condition is None or context is None:
            nothing = self.out.weight.new_zeros(1, 1, 1, 1)
            return nothing, nothing
        to_v, to_h = self.condition(context).chunk(2, 1)
        return to_v, to_h


def _gate(raw: Tensor, dim: int = 1) -> Tensor:
    signal, gate = raw.chunk(2, dim)
    return torch.tanh(signal) * torch.sigmoid(gate)


class _Memory:
    """What one layer remembers while maps are drawn row by row.

    Of the row being drawn, places come before channels: what a place reads is then one stretch of memory, and the
    convolution one product of matrices.
    """

    def __init__(self, layer: _Gated, n: int, size: tuple[int, int], context: Tensor | None):
        channels, (height, width) = layer.out.in_channels, size
        self.layer, self.width = layer, width
        self.to_v, self.to_h = (added.expand(n, 2 * channels, height, width) for added in layer.added(context))
        # The rows so far that the next one reads, the newest last, with the zeros at the sides; what they come to.
        self.rows = self.to_v.new_zeros(n, channels, 0, width + 2 * layer.reach)
        self.above = self.to_v.new_zeros(n, 2 * channels, 1, width)
        self.weight = layer.horizontal.weight[:, :, 0].permute(2, 1, 0).reshape(-1, 2 * channels)

    def start_row(self, row: int) -> None:
        bias = self.layer.horizontal.bias
        rest = self.layer.across(self.above)[:, :, 0] + self.to_h[:, :, row]
        self.rest = rest.movedim(1, 2).contiguous() if bias is None else rest.movedim(1, 2) + bias
        n, channels = self.rows.shape[:2]
        self.line = self.rows.new_zeros(n, self.layer.reach + self.width, channels)

    def write(self, column: int, h: Float[Tensor, "n d"]) -> None:
        self.line[:, self.layer.reach + column] = h

    def place(self, column: int, below: Float[Tensor, "n d"] | None = None) -> Float[Tensor, "n d"]:
        """The horizontal stack's feature at this column, from that one layer down; the first layer has none yet."""
        if below is not None:
            self.write(column, below)
        read = self.line[:, column : column + self.layer.reach + (below is not None)].flatten(1)
        gated = _gate(torch.addmm(self.rest[:, column], read, self.weight))
        new = F.linear(gated, self.layer.out.weight.flatten(1), self.layer.out.bias)
        return new if below is None else below + new

    def end_row(self, row: int, v: Float[Tensor, "n d 1 w"]) -> Float[Tensor, "n d 1 w"]:
        """The vertical stack's feature at this row, from that one layer down."""
        vertical, reach = self.layer.vertical, self.layer.reach
        self.rows = torch.cat([self.rows[:, :, -reach:], F.pad(v, (reach, reach))], 2)
        self.above = F.conv2d(self.rows, vertical.weight[:, :, -self.rows.shape[2] :], vertical.bias)
        return _gate(self.above + self.to_v[:, :, row : row + 1])


class PixelCNN(CodeChain):
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
        super().__init__(codes, size, classes, condition)
        if min(channels, layers, reach) < 1:
            raise ValueError(f"channels, layers and reach are at least 1, not {channels}, {layers} and {reach}")
        self.embedding = nn.Embedding(codes, channels)
        self.label = nn.Embedding(classes, channels) if classes else None
        context = (channels if classes else 0) + condition
        self.layers = nn.ModuleList(_Gated(channels, reach, context, is_first=number == 0) for number in range(layers))
        self.hidden, self.last = nn.Conv2d(channels, channels, 1), nn.Conv2d(channels, codes, 1)

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
        self._check_context(len(codes), labels, condition)
        context = self._context(labels, condition)
        v = h = self.embedding(codes).movedim(-1, 1)
        for layer in self._gated():
            v, h = layer(v, h, context)
        return self.last(F.relu(self.hidden(F.relu(h))))

    def _context(self, labels: Tensor | None, condition: Tensor | None) -> Tensor | None:
        """Label and condition as channels: of one place when there is the label alone, which is the same at all."""
        label = None if labels is None or self.label is None else self.label(labels)[:, :, None, None]
        if label is None or condition is None:
            return condition if label is None else label
        return torch.cat([label.expand(-1, -1, *self.size), condition], 1)

    def _places(
        self, drawn: Tensor, labels: Tensor | None, condition: Tensor | None, rows: int
    ) -> Iterator[tuple[int, int, Tensor]]:
        context = self._context(labels, condition)
        memories = [_Memory(layer, len(drawn), self.size, context) for layer in self._gated()]
        weights = [(layer.weight.flatten(1), layer.bias) for layer in (self.hidden, self.last)]
        for row in range(self.size[0]):
            # A given row needs no horizontal stack: the rows below read the vertical one alone.
            for column in range(self.size[1] if row >= rows else 0):
                if not column:
                    for memory in memories:
                        memory.start_row(row)
                h = memories[0].place(column)
                for memory in memories[1:]:
                    h = memory.place(column, h)
                for weight, bias in weights:
                    h = F.linear(F.relu(h), weight, bias)
                yield row, column, h
                memories[0].write(column, self.embedding(drawn[:, row, column]))
            if row + 1 < self.size[0]:
                v = self.embedding(drawn[:, row]).movedim(-1, 1)[:, :, None]
                for memory in memories:
                    v = memory.end_row(row, v)

    def _gated(self) -> list[_Gated]:
        return [layer for layer in self.layers if isinstance(layer, _Gated)]
