"""Quantizers: what puts a learned or a fixed code in each place of a map. Maps are `(b, d, *places)`.

The codebooks themselves are in `codebooks`; here are what is made of them and what has none.
"""

from collections.abc import Sequence
from typing import cast

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from autoencoders.codebooks import Codebook as Codebook
from autoencoders.codebooks import GradientCodebook as GradientCodebook
from autoencoders.codebooks import MovingAverageCodebook as MovingAverageCodebook
from autoencoders.codebooks import Quantized as Quantized
from autoencoders.codebooks import half_distances
from autoencoders.codebooks import nearest_code as nearest_code


def pooled_perplexity(counts: Float[Tensor, "k"] | Int[Tensor, "k"]) -> float:
    """exp of the entropy of the codes' shares, from 1 to K. The counts are to be those of a whole data set.

    Raises:
        ValueError: no code was counted.
    """
    total = counts.sum()
    if total <= 0:
        raise ValueError("perplexity is that of codes in use: count the indices of at least one map")
    shares = counts.double() / total
    return float(torch.special.entr(shares).sum().exp())


@torch.no_grad()
def draw_code(
    z: Float[Tensor, "n d"], codebook: Float[Tensor, "k width"], temperature: float, generator: torch.Generator | None
) -> Int[Tensor, "n"]:
    """For each vector a code drawn with probability proportional to exp(-|z - c|^2 / temperature).

    By the Gumbel-max trick: the argmin of |z - c|^2 - temperature * g, where the g are independent standard Gumbel
    numbers, which are minus logarithms of exponential ones. Nothing is divided by the temperature, so that it may be 0.

    Raises:
        ValueError: the codebook is empty, or the vectors and the codes differ in length.
    """
    found = torch.empty(len(z), dtype=torch.int64, device=z.device)
    for rows, half in half_distances(z, codebook):
        noise = torch.empty_like(half).exponential_(generator=generator).log_()
        torch.argmin(half.add_(noise, alpha=temperature / 2), 1, out=found[rows])
    return found


class StochasticCodebook(GradientCodebook):
    """Codes drawn by their distance: near ones often, far ones seldom.

    The posterior over codes is proportional to exp(-|z - c|^2 / temperature), that of soft expectation maximization
    (Roy et al. 2018) and, with a learned temperature, of SQ-VAE (Takida et al. 2022). Each place draws one code from
    it; losses and gradients are those of the drawn code. `indices` and `values` are those of any codebook: the nearest
    code, and the map that indices stand for.

    Args:
        temperature: in the units of a squared distance. Toward 0 the nearest code is drawn, toward infinity any.

    Raises:
        ValueError: `temperature` is not a positive number.
    """

    def __init__(self, codes: int, width: int, *, temperature: float = 1.0):
        super().__init__(codes, width)
        if not 0 < temperature < float("inf"):
            raise ValueError(
                f"a temperature is a positive number; for the nearest code, sample=False: not {temperature}"
            )
        self.temperature = temperature

    def forward(
        self, z: Float[Tensor, "b d *places"], *, generator: torch.Generator | None = None, sample: bool = True
    ) -> Quantized:
        """Draw the codes, in training as in evaluation; with `sample=False` take the nearest.

        Raises:
            ValueError: the map's vectors are not as long as the codes.
        """
        if not sample:
            return super().forward(z)
        drawn = draw_code(self._vectors(z), self.codes, self.temperature, generator)
        return self._quantized(z, drawn.view(len(z), *z.shape[2:]))

    def probabilities(self, z: Float[Tensor, "b d *places"]) -> Float[Tensor, "b k *places"]:
        """With what probability each place draws each code: `b * k * places` numbers at once, without a gradient.

        Raises:
            ValueError: the map's vectors are not as long as the codes.
        """
        vectors, shape = self._vectors(z), (len(z), *z.shape[2:], len(self.codes))
        every = z.new_empty(len(vectors), len(self.codes))
        for rows, half in half_distances(vectors, self.codes):
            every[rows] = half
        nearest = every.amin(1, keepdim=True)
        return ((nearest - every) * (2 / self.temperature)).softmax(1).view(shape).movedim(-1, 1)


class ResidualQuantizer(nn.Module):
    """Codebooks in a row, each for what the ones before it left over: a place is the sum of one code from each.

    With m codebooks of K codes a place has K^m values at the price of mK codes (Zeghidour et al. 2021 for sound, Lee et
    al. 2022 for images). Each stage's losses compare its code with its own residual; gradients pass straight through
    the sum as a whole.

    Args:
        stages: the codebooks, coarsest first.

    Raises:
        ValueError: there are no stages, or their codes differ in length.
    """

    def __init__(self, stages: Sequence[Codebook]):
        super().__init__()
        widths = [stage.codes.shape[1] for stage in stages]
        if not widths or len(set(widths)) > 1:
            raise ValueError(f"stages are codebooks, at least one, with codes of one length, not of lengths {widths}")
        self.stages = nn.ModuleList(stages)

    def forward(self, z: Float[Tensor, "b d *places"]) -> Quantized:
        """Raises:
        ValueError: the map's vectors are not as long as the codes.
        """
        left, stages = z, []
        for stage in self._codebooks():
            stages.append(stage(left))
            left = left - stages[-1].values.detach()
        total = torch.stack([quantized.values for quantized in stages]).sum(0)
        return Quantized(
            z + (total - z).detach(),
            torch.stack([quantized.indices for quantized in stages], 1),
            torch.stack([quantized.codebook_loss for quantized in stages]).sum(0),
            torch.stack([quantized.commitment_loss for quantized in stages]).sum(0),
        )

    @torch.no_grad()
    def indices(self, z: Float[Tensor, "b d *places"]) -> Int[Tensor, "b stages *places"]:
        """At each place the nearest code of the first stage, then that of the second to what this leaves, and so on."""
        found = []
        for stage in self._codebooks():
            found.append(stage.indices(z))
            z = z - stage.values(found[-1])
        return torch.stack(found, 1)

    def values(self, indices: Int[Tensor, "b stages *places"]) -> Float[Tensor, "b d *places"]:
        """The map that indices stand for; those of the first few stages stand for a coarser one.

        Raises:
            ValueError: there are indices for no stage or for too many, or an index is not of a code.
        """
        stages = self._codebooks()
        if indices.dim() < 2 or not 1 <= indices.shape[1] <= len(stages):
            raise ValueError(
                f"for {len(stages)} stages indices are (b, {len(stages)} or fewer, ...), not {tuple(indices.shape)}"
            )
        parts = [stage.values(part) for stage, part in zip(stages, indices.unbind(1), strict=False)]
        return torch.stack(parts).sum(0)

    @torch.no_grad()
    def initialize(self, z: Float[Tensor, "b d *places"], *, seed: int = 0) -> None:
        """Start each stage by k-means on what the ones before it leave of some maps.

        Raises:
            ValueError: there are fewer vectors than codes, or they are not as long as the codes.
        """
        for stage in self._codebooks():
            stage.initialize(z, seed=seed)
            z = z - stage.values(stage.indices(z))

    def _codebooks(self) -> list[Codebook]:
        return [cast(Codebook, stage) for stage in self.stages]


class ScalarQuantizer(nn.Module):
    """Finite scalar quantization: every coordinate is bounded and rounded to its own few levels (Mentzer et al. 2023).

    The codebook is the grid of all combinations and is not learned, so both losses are zero.

    Args:
        levels: how many values each coordinate may take; their product is the number of codes.

    Raises:
        ValueError: no coordinate, or one with fewer than two levels.
    """

    def __init__(self, levels: tuple[int, ...]):
        super().__init__()
        if not levels or min(levels) < 2:
            raise ValueError(f"each coordinate needs at least two levels, not {levels}")
        self.levels = tuple(levels)
        self.register_buffer("_levels", torch.tensor(levels))
        basis = torch.cumprod(torch.tensor((1, *levels[:-1])), 0)
        self.register_buffer("_basis", basis)

    @property
    def size(self) -> int:
        """The number of codes."""
        return int(cast(Tensor, self._levels).prod())

    def forward(self, z: Float[Tensor, "b d *places"]) -> Quantized:
        """Raises:
        ValueError: the map has not one channel for each coordinate.
        """
        if z.dim() < 2 or z.shape[1] != len(self.levels):
            raise ValueError(f"a map for levels {self.levels} is (b, {len(self.levels)}, ...), not {tuple(z.shape)}")
        levels = cast(Tensor, self._levels).view(-1, *[1] * (z.dim() - 2))
        half = (levels - 1) / 2
        bounded = (torch.tanh(z) + 1) * half  # from 0 to levels - 1
        steps = bounded.round()
        values = (bounded + (steps - bounded).detach()) / half - 1
        basis = cast(Tensor, self._basis).view_as(levels)
        zero = z.new_zeros(len(z))
        return Quantized(values, (steps.long() * basis).sum(1), zero, zero)

    def values(self, indices: Int[Tensor, "b *places"]) -> Float[Tensor, "b d *places"]:
        """The map that a map of indices stands for.

        Raises:
            ValueError: an index is not of a code.
        """
        if indices.numel() and not 0 <= int(indices.min()) <= int(indices.max()) < self.size:
            raise ValueError(
                f"there are {self.size} codes, but the indices go from {int(indices.min())} to {int(indices.max())}"
            )
        shape = (-1, *[1] * (indices.dim() - 1))
        levels, basis = cast(Tensor, self._levels).view(shape), cast(Tensor, self._basis).view(shape)
        steps = indices[:, None] // basis % levels
        return steps / ((levels - 1) / 2) - 1
