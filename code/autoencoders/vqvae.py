"""Vector-quantized autoencoders: with one map of codes, and with several from coarse to fine. `models` offers both."""

import itertools
from collections.abc import Sequence
from typing import cast

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from autoencoders.networks import ResidualBlock, Shape
from autoencoders.quantizers import Codebook, Quantized


class VQVAE(nn.Module):
    """g(q(f(x))): an encoder to a map of vectors, a quantizer, and a decoder (van den Oord et al. 2017).

    Book: eq-vqvae-objective.

    Args:
        encoder: pictures to a map with the codes' width.
        decoder: a map of codes to pictures.
        quantizer: replaces each vector of the map by a code.
    """

    def __init__(self, encoder: nn.Module, decoder: nn.Module, quantizer: nn.Module) -> None:
        super().__init__()
        self.encoder, self.decoder, self.quantizer = encoder, decoder, quantizer

    def encode(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d rows columns"]:
        """The map before quantization."""
        return self.encoder(x)

    def quantize(self, x: Float[Tensor, "b c h w"]) -> Quantized:
        """The map of codes, with its losses; in training mode a moving-average codebook learns from it."""
        return self.quantizer(self.encode(x))

    def indices(self, x: Float[Tensor, "b c h w"]) -> Int[Tensor, "b *places"]:
        """Which code stands at each place."""
        return self.quantize(x).indices

    def decode(self, values: Float[Tensor, "b d rows columns"]) -> Float[Tensor, "b c h w"]:
        """The picture of a map of codes."""
        return self.decoder(values)

    def decode_indices(self, indices: Int[Tensor, "b *places"]) -> Float[Tensor, "b c h w"]:
        """The picture of a map of indices.

        Raises:
            ValueError: an index is not of a code.
        """
        return self.decode(cast(Codebook, self.quantizer).values(indices))

    def codes(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b m"]:
        """The codes of the map, one after the other in one vector."""
        return self.quantize(x).values.flatten(1)

    def autoencode(self, x: Float[Tensor, "b c h w"]) -> tuple[Float[Tensor, "b c h w"], tuple[Quantized, ...]]:
        """The reconstruction, and what was quantized on the way."""
        quantized = self.quantize(x)
        return self.decode(quantized.values), (quantized,)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        return self.autoencode(x)[0]


class _Level(nn.Module):
    """One map of a hierarchy: what makes its features, reads codes off them, and joins the codes to those above."""

    def __init__(self, outer: int, channels: int, halvings: int, codebook: Codebook, *, is_top: bool) -> None:
        super().__init__()
        width, above = codebook.codes.shape[1], 0 if is_top else channels
        self.down = nn.Sequential(
            *_chain(nn.Conv2d, [outer, *[channels] * halvings])[:-1], ResidualBlock(channels, channels), nn.ReLU()
        )
        self.read = nn.Conv2d(channels + above, width, 1)
        self.quantizer = codebook
        self.join = nn.Sequential(
            nn.Conv2d(width + above, channels, 3, padding=1), ResidualBlock(channels, channels), nn.ReLU()
        )
        self.up = nn.Sequential(*_chain(nn.ConvTranspose2d, [*[channels] * halvings, outer])[:-1])

    def merge(self, values: Tensor, above: Tensor | None) -> Tensor:
        """What this level's codes and those above say, at the size of the next finer level."""
        return self.up(self.join(values if above is None else torch.cat([values, above], 1)))


def _chain(kind: type[nn.Conv2d] | type[nn.ConvTranspose2d], sizes: Sequence[int]) -> list[nn.Module]:
    """Convolutions that halve a map, or double it, each followed by a ReLU."""
    pairs = itertools.pairwise(sizes)
    return [module for a, b in pairs for module in (kind(a, b, 4, stride=2, padding=1), nn.ReLU())]


class HierarchicalVQVAE(nn.Module):
    """Several maps of codes, the coarsest first: each finer map adds what the coarser ones left out.

    On the way up every level halves the features of the level below it, the last one the picture. On the way down each map
    is quantized from its own features together with what the coarser codes already say, and the picture is decoded from
    all maps (Razavi et al. 2019, section 3.1, here for any number of levels). Lists go from the top, the coarsest, down.

    Args:
        shape: of a picture, channels first.
        codebooks: one for each level.
        halvings: how often each level halves what is below it.
        channels: of the features.

    Raises:
        ValueError: not one number of halvings for each codebook, or the picture's sides cannot be halved that often.
    """

    def __init__(
        self, shape: Shape, codebooks: Sequence[Codebook], halvings: Sequence[int] = (1, 2), channels: int = 32
    ) -> None:
        super().__init__()
        if len(codebooks) != len(halvings) or not halvings or min(halvings) < 1:
            raise ValueError(
                f"each level has a codebook and halves what is below it at least once, but there are {len(codebooks)} "
                f"codebooks, and halvings {tuple(halvings)}"
            )
        times = sum(halvings)
        if shape[1] % 2**times or shape[2] % 2**times:
            raise ValueError(
                f"the levels halve the picture {times} times, so its sides must be divisible by {2**times}, but it is "
                f"{shape[1]} x {shape[2]}; use fewer halvings, or resize with data.load(..., size=...)"
            )
        self.shape = tuple(shape)
        below = [sum(halvings[i:]) for i in range(len(halvings))]
        self.sizes = tuple((shape[1] // 2**n, shape[2] // 2**n) for n in below)
        outer = [channels] * (len(halvings) - 1) + [shape[0]]
        self.levels = nn.ModuleList(
            _Level(outer[i], channels, halvings[i], codebooks[i], is_top=i == 0) for i in range(len(halvings))
        )

    @property
    def quantizers(self) -> list[Codebook]:
        """The codebook of each level."""
        return [level.quantizer for level in self._levels()]

    def autoencode(self, x: Float[Tensor, "b c h w"]) -> tuple[Float[Tensor, "b c h w"], tuple[Quantized, ...]]:
        """The reconstruction, and what was quantized on the way.

        Raises:
            ValueError: the pictures have not the shape that the model was made for.
        """
        if tuple(x.shape[1:]) != self.shape:
            raise ValueError(f"this model is of pictures of shape {self.shape}, not {tuple(x.shape[1:])}: resize them")
        features = [x]
        for level in reversed(self._levels()):
            features.insert(0, level.down(features[0]))
        quantized, above = [], None
        for level, own in zip(self._levels(), features, strict=False):
            quantized.append(level.quantizer(level.read(own if above is None else torch.cat([own, above], 1))))
            above = level.merge(quantized[-1].values, above)
        return cast(Tensor, above), tuple(quantized)

    def quantize(self, x: Float[Tensor, "b c h w"]) -> tuple[Quantized, ...]:
        """Each level's map of codes, with its losses."""
        return self.autoencode(x)[1]

    def indices(self, x: Float[Tensor, "b c h w"]) -> tuple[Int[Tensor, "b ..."], ...]:
        """Each level's map of indices."""
        return tuple(quantized.indices for quantized in self.quantize(x))

    def decode(self, values: Sequence[Float[Tensor, "b d ..."]]) -> Float[Tensor, "b c h w"]:
        """The picture of a map of codes for each level."""
        self._count(values)
        above = None
        for level, own in zip(self._levels(), values, strict=True):
            above = level.merge(own, above)
        return cast(Tensor, above)

    def decode_indices(self, indices: Sequence[Int[Tensor, "b ..."] | None]) -> Float[Tensor, "b c h w"]:
        """The picture of a map of indices for each level; where one is None, the level's average code stands everywhere.

        Raises:
            ValueError: there is not one entry for each level, all are None, or an index is not of a code.
        """
        self._count(indices)
        given = [map_ for map_ in indices if map_ is not None]
        if not given:
            raise ValueError("give the indices of one level at least: they say how many pictures there are")
        return self.decode(
            [
                self._average(i, len(given[0])) if map_ is None else self.quantizers[i].values(map_)
                for i, map_ in enumerate(indices)
            ]
        )

    def condition(self, indices: Sequence[Int[Tensor, "b ..."]]) -> Float[Tensor, "b d rows columns"]:
        """What a prior of the next finer map is told: the codes of the first maps, each spread to that map's size."""
        if not 0 < len(indices) < len(self.levels):
            raise ValueError(f"a finer map follows the first 1 to {len(self.levels) - 1}, not {len(indices)}")
        size = self.sizes[len(indices)]
        maps = [codebook.values(map_) for codebook, map_ in zip(self.quantizers, indices, strict=False)]
        return torch.cat([F.interpolate(map_, size, mode="nearest") for map_ in maps], 1)

    def codes(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b m"]:
        """All codes of all maps, one after the other in one vector."""
        return torch.cat([quantized.values.flatten(1) for quantized in self.quantize(x)], 1)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        return self.autoencode(x)[0]

    def _levels(self) -> list[_Level]:
        return [level for level in self.levels if isinstance(level, _Level)]

    def _count(self, maps: Sequence[Tensor | None]) -> None:
        if len(maps) != len(self.levels):
            raise ValueError(
                f"there are {len(self.levels)} levels, the coarsest first, but {len(maps)} maps were given"
            )

    def _average(self, level: int, count: int) -> Float[Tensor, "b d rows columns"]:
        """The level's codes averaged by how often they are lately used, at every place."""
        codebook = self.quantizers[level]
        used = getattr(codebook, "counts", torch.ones_like(codebook.codes[:, 0]))
        mean = (used[:, None] * codebook.codes).sum(0) / used.sum()
        return mean[None, :, None, None].expand(count, -1, *self.sizes[level])
