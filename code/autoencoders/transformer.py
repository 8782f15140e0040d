"""A small causal transformer over maps of codes: attention to all places before, in reading order."""

from collections.abc import Iterator

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from autoencoders.reading_order import CodeChain


class _Block(nn.Module):
    """Attention, then a perceptron, each behind a normalization and added to what came in."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.attention_norm, self.mlp_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.queries_keys_values, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: Float[Tensor, "b t d"], past: Tensor | None = None, begin: int = 0) -> Float[Tensor, "b t d"]:
        """Args:
        x: all places from the first, or, with `past`, those from `begin` on: from the first, or a single one.
        past: keys and values (2, b, heads, places, d / heads) of the places before `begin`; those of `x` are added.
        """
        raw = self.queries_keys_values(self.attention_norm(x)).unflatten(2, (3, self.heads, -1))
        queries, *pair = raw.permute(2, 0, 3, 1, 4)
        keys, values = pair
        if past is not None:
            end = begin + x.shape[1]
            past[0, :, :, begin:end], past[1, :, :, begin:end] = keys, values
            keys, values = past[..., :end, :]
        # A single place may attend to all that is there: itself and the places before.
        seen = F.scaled_dot_product_attention(queries, keys, values, is_causal=x.shape[1] > 1)
        x = x + self.out(seen.transpose(1, 2).flatten(2))
        return x + self.mlp(self.mlp_norm(x))


class CausalTransformer(CodeChain):
    """p(s) = prod_i p(s_i | s_1 .. s_{i-1}) over the codes of a map, in reading order, by masked self-attention.

    Place i reads the code at place i - 1; the first one reads a start token, which carries the label.

    Args:
        codes: how many codes there are.
        size: height and width of the maps.
        classes: with labels 0 to `classes` - 1 given, p(s | label).
        condition: channels of a map that the codes are conditioned on, of the same height and width, 0 for none.
        width: numbers a place, a multiple of `heads`.

    Raises:
        ValueError: a number is too small, or the heads do not divide the width.
    """

    def __init__(
        self,
        codes: int,
        size: tuple[int, int],
        *,
        classes: int = 0,
        condition: int = 0,
        width: int = 64,
        depth: int = 2,
        heads: int = 4,
    ):
        super().__init__(codes, size, classes, condition)
        if min(width, depth, heads) < 1 or width % heads:
            raise ValueError(
                f"width, depth and heads are at least 1, and the heads share the width equally, not {width}, {depth} and {heads}"
            )
        self.embedding = nn.Embedding(codes, width)
        self.start = nn.Parameter(0.02 * torch.randn(width))
        self.positions = nn.Parameter(0.02 * torch.randn(size[0] * size[1], width))
        self.label = nn.Embedding(classes, width) if classes else None
        self.coarse = nn.Conv2d(condition, width, 1) if condition else None
        self.blocks = nn.ModuleList(_Block(width, heads) for _ in range(depth))
        self.head = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, codes))

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
        before = self.embedding(codes.flatten(1))[:, :-1]
        x = torch.cat([self._first(len(codes), labels), before], 1) + self._added(condition)
        for block in self.blocks:
            x = block(x)
        return self.head(x).movedim(-1, 1).unflatten(2, self.size)

    def _first(self, n: int, labels: Tensor | None) -> Float[Tensor, "n 1 d"]:
        """The start token of each map."""
        start = self.start.expand(n, 1, -1)
        return start if labels is None or self.label is None else start + self.label(labels)[:, None]

    def _added(self, condition: Tensor | None) -> Float[Tensor, "n_or_1 t d"]:
        """What each place gets beside the code before it: its position, and the condition there."""
        positions = self.positions[None]
        if condition is None or self.coarse is None:
            return positions
        return positions + self.coarse(condition).flatten(2).movedim(1, -1)

    def _places(
        self, drawn: Tensor, labels: Tensor | None, condition: Tensor | None, rows: int
    ) -> Iterator[tuple[int, int, Tensor]]:
        n, (height, width) = len(drawn), self.size
        added = self._added(condition)
        pasts = []
        for block in self._blocks():
            shape = (2, n, block.heads, height * width, added.shape[2] // block.heads)
            pasts.append(added.new_empty(shape))
        # The given rows at once, and from then on a single place at a time.
        x, begin = torch.cat([self._first(n, labels), self.embedding(drawn[:, :rows].flatten(1))], 1), 0
        for place in range(rows * width, height * width):
            x = x + added[:, begin : place + 1]
            for block, past in zip(self._blocks(), pasts, strict=True):
                x = block(x, past, begin)
            row, column = divmod(place, width)
            yield row, column, self.head(x[:, -1])
            x, begin = self.embedding(drawn[:, row, column])[:, None], place + 1

    def _blocks(self) -> list[_Block]:
        return [block for block in self.blocks if isinstance(block, _Block)]
