"""Decoders that can do without the code, and objectives that keep a code in use: the experiments on posterior collapse."""

import itertools
from collections.abc import Callable
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn
from torch import distributions as td
from torch.nn import functional as F

from autoencoders import models
from autoencoders.objectives import Terms


class AutoregressivePixels(nn.Module):
    """p(x|z) = prod_i p(x_i | z, the earlier pixels within reach of i). Book: eq-collapse-chain, eq-collapse-pixel.

    Every pixel has a small network of its own: `hidden` units that see the earlier pixels, in reading order, of the rows up
    to `reach` above and the columns up to `reach` to either side. With reach 0 it sees none, and the pixels are independent
    given z. A decoder for it gives 1 + `hidden` channels: a number for each pixel, and one for each of its units.

    Args:
        shape: of a picture with one channel.
        hidden: units a pixel.
        reach: how far a pixel sees.
        likelihood: of a pixel, from one number; black or white by default.

    Raises:
        ValueError: the picture has more than one channel, or a number is too small.
    """

    mask: Tensor

    def __init__(
        self, shape: tuple[int, int, int], *, hidden: int = 24, reach: int = 6, likelihood: nn.Module | None = None
    ) -> None:
        super().__init__()
        if shape[0] != 1 or hidden < 1 or reach < 0:
            raise ValueError(
                f"pictures have one channel, pixels at least one unit and a reach of 0 or more, not {shape[0]}, {hidden}, {reach}"
            )
        self.shape, self.hidden = shape, hidden
        self.likelihood = models.BernoulliPixels() if likelihood is None else likelihood
        pixels = shape[1] * shape[2]
        place = torch.arange(pixels)
        row, column = place // shape[2], place % shape[2]
        near = (row[:, None] - row <= reach) & ((column[:, None] - column).abs() <= reach)
        sees = (near & (place < place[:, None])).to(torch.get_default_dtype())
        self.register_buffer("mask", sees.repeat_interleave(hidden, 0))
        self.inner = nn.Parameter(torch.randn(pixels * hidden, pixels) / (1 + self.mask.sum(1, keepdim=True)).sqrt())
        self.outer = nn.Parameter(torch.randn(pixels, hidden) / hidden**0.5)

    def forward(self, given: Float[Tensor, "b units h w"]) -> "Pixels":
        if given.shape[1:] != (1 + self.hidden, *self.shape[1:]):
            raise ValueError(
                f"the decoder must give {(1 + self.hidden, *self.shape[1:])} numbers, not {tuple(given.shape[1:])}"
            )
        return Pixels(self, given)

    def numbers(self, given: Float[Tensor, "b units h w"], x: Float[Tensor, "b 1 h w"]) -> Float[Tensor, "b 1 h w"]:
        """What the likelihood of each pixel gets (its logit, for black and white), given the code and the pixels before."""
        start, shift = given[:, :1], given[:, 1:].flatten(2).transpose(1, 2)
        units = F.relu(F.linear(2 * x.flatten(1) - 1, self.inner * self.mask).unflatten(1, shift.shape[1:]) + shift)
        return start + (units * self.outer).sum(2).unflatten(1, self.shape).view_as(start)


class Pixels(td.Independent):
    """p(x|z) of `AutoregressivePixels` for a batch of codes: `log_prob(x)` takes one pass, `draw` one for each pixel.

    It is `Independent` in that log-probabilities are summed over the pixels; each is given the pixels before it.
    """

    def __init__(self, network: AutoregressivePixels, given: Float[Tensor, "b units h w"]) -> None:
        self.network, self.given = network, given
        super().__init__(_Factors(network, given), 3, validate_args=False)

    @torch.no_grad()
    def draw(self, generator: Generator | None = None) -> Float[Tensor, "b 1 h w"]:
        """A picture for each code, black or white, pixel after pixel.

        Raises:
            TypeError: the pixels are not black or white.
        """
        if not isinstance(self.network.likelihood, models.BernoulliPixels):
            raise TypeError(f"only black-and-white pixels are drawn, not {type(self.network.likelihood).__name__}")
        x = self.given.new_zeros(len(self.given), *self.network.shape)
        noise = torch.empty_like(x).uniform_(generator=generator)
        for row, column in itertools.product(range(x.shape[2]), range(x.shape[3])):
            white = self.network.numbers(self.given, x)[:, 0, row, column].sigmoid()
            x[:, 0, row, column] = (noise[:, 0, row, column] < white).to(x)
        return x


class _Factors(td.Distribution):
    """log p(x_i | z, x_<i), one number a pixel."""

    arg_constraints: ClassVar[dict] = {}

    def __init__(self, network: AutoregressivePixels, given: Tensor) -> None:
        self.network, self.given = network, given
        super().__init__(torch.Size((len(given), *network.shape)), validate_args=False)

    def log_prob(self, value: Float[Tensor, "b 1 h w"]) -> Float[Tensor, "b 1 h w"]:
        return self.network.likelihood(self.network.numbers(self.given, value)).base_dist.log_prob(value)


def free_bits(terms: Terms, floor: float) -> Terms:
    """The rate counted only above `floor` nats a picture: below, more of it costs nothing (Kingma et al. 2016, appendix).

    Book: eq-collapse-free-bits. There the floor is that of a group of latents, averaged over the batch; here all latents of a
    picture are one group.

    Raises:
        ValueError: the floor is negative.
    """
    if floor < 0:
        raise ValueError(f"the floor is a rate, at least 0 nats, not {floor}")
    return Terms(terms.distortion, terms.rate.clamp(min=floor))


class WarmUp:
    """An objective whose rate counts for little at first: its weight rises from 0 to 1 in a straight line (Bowman et al. 2016).

    Each call is a step. Make a new one for every training run.

    Raises:
        ValueError: there is no step.
    """

    def __init__(self, objective: Callable[..., Terms], steps: int) -> None:
        if steps < 1:
            raise ValueError(f"a warm-up takes at least one step, not {steps}")
        self.objective, self.steps, self.done = objective, steps, 0

    def __call__(self, model: nn.Module, x: Tensor, generator: Generator | None = None) -> Terms:
        weight = min(1.0, self.done / self.steps)
        self.done += 1
        terms = self.objective(model, x, generator)
        return Terms(terms.distortion, weight * terms.rate)
