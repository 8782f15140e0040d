"""Priors over maps of codes beside the autoregressive ones: codes drawn apart from one another, and a VAE fitted on maps.

All priors have `log_prob(codes, labels)`, one number a map in nats, and `sample(n, labels, generator=...)`.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Generator, Tensor, nn
from torch import distributions as td
from torch.nn import functional as F

from autoencoders import distributions
from autoencoders.objectives import Terms


class IndependentCodes(nn.Module):
    """p(s) = prod_i p(s_i): every place draws its code without looking at the others.

    Args:
        probabilities: of each code at each place; with a first axis of classes where labels are given.
    """

    probabilities: Float[Tensor, "classes k h w"]

    @property
    def classes(self) -> int:
        """How many labels there are; 0 where they are not told."""
        return len(self.probabilities) if len(self.probabilities) > 1 else 0

    def __init__(self, probabilities: Float[Tensor, "classes k h w"]) -> None:
        super().__init__()
        self.register_buffer("probabilities", probabilities)

    @classmethod
    def uniform(cls, codes: int, size: tuple[int, int]) -> "IndependentCodes":
        """Every code as likely as any other, everywhere."""
        return cls(torch.full((1, codes, *size), 1 / codes))

    @classmethod
    def fit(
        cls,
        codes: Int[Tensor, "n h w"],
        count: int,
        labels: Int[Tensor, "n"] | None = None,
        *,
        by_place: bool = True,
        smoothing: float = 1.0,
    ) -> "IndependentCodes":
        """The shares of `count` codes in some maps: at each place, or `by_place=False` over all; by label where given.

        `smoothing` is added to every count, so that a code never seen keeps a probability.

        Raises:
            ValueError: an index is not below `count`, or `smoothing` is not positive.
        """
        if not smoothing > 0:
            raise ValueError(f"smoothing is a count, above 0 so that no code is impossible, not {smoothing}")
        if not 0 <= int(codes.min()) <= int(codes.max()) < count:
            raise ValueError(f"there are {count} codes, but the maps go from {int(codes.min())} to {int(codes.max())}")
        groups = [codes] if labels is None else [codes[labels == c] for c in range(int(labels.max()) + 1)]
        counts = torch.stack([F.one_hot(group, count).sum(0).movedim(-1, 0).float() for group in groups]) + smoothing
        if not by_place:
            counts = counts.mean((2, 3), keepdim=True).expand_as(counts)
        return cls(counts / counts.sum(1, keepdim=True))

    def forward(self, codes: Int[Tensor, "b h w"], labels: Int[Tensor, "b"] | None = None) -> Float[Tensor, "b k h w"]:
        """The logits of each place's code."""
        return self._of(len(codes), labels).log()

    def log_prob(self, codes: Int[Tensor, "b h w"], labels: Int[Tensor, "b"] | None = None) -> Float[Tensor, "b"]:
        """log p(s) of each map, in nats."""
        return self(codes, labels).gather(1, codes[:, None]).flatten(1).sum(1)

    def sample(
        self, n: int, labels: Int[Tensor, "n"] | None = None, *, generator: Generator | None = None
    ) -> Int[Tensor, "n h w"]:
        """Draw n maps."""
        shares = self._of(n, labels).movedim(1, -1)
        return torch.multinomial(shares.flatten(0, 2), 1, generator=generator).view(shares.shape[:3])

    def _of(self, n: int, labels: Tensor | None) -> Float[Tensor, "n k h w"]:
        classes = len(self.probabilities)
        if classes == 1:
            return self.probabilities.expand(n, -1, -1, -1)
        if labels is None or len(labels) != n or not 0 <= int(labels.min()) <= int(labels.max()) < classes:
            raise ValueError(f"this prior was fitted by label: give {n} labels from 0 to {classes - 1}")
        return self.probabilities[labels]


class CodeVAE(nn.Module):
    """A VAE whose pictures are maps of codes: p(s | y) = int N(z; 0, I) prod_i p(s_i | z, y) dz, for labels y.

    Args:
        codes: how many codes there are.
        size: height and width of the maps.
        classes: labels from 0 to `classes` - 1, 0 for none.
        latent: coordinates of z.
        width: numbers that a code is embedded in.
    """

    def __init__(
        self,
        codes: int,
        size: tuple[int, int],
        *,
        classes: int = 0,
        latent: int = 20,
        hidden: int = 400,
        width: int = 16,
    ) -> None:
        super().__init__()
        if min(codes, *size, latent, hidden, width) < 1 or classes < 0:
            raise ValueError(
                "codes, both sides of the map, latent, hidden and width are at least 1, classes at least 0"
            )
        self.codes, self.size, self.classes, self.latent = codes, size, classes, latent
        places = size[0] * size[1]
        self.embedding = nn.Embedding(codes, width)
        self.encoder = nn.Sequential(
            nn.Linear(places * width + classes, hidden), nn.ReLU(), nn.Linear(hidden, 2 * latent)
        )
        self.decoder = nn.Sequential(nn.Linear(latent + classes, hidden), nn.ReLU(), nn.Linear(hidden, places * codes))

    def encode(self, codes: Int[Tensor, "b h w"], labels: Int[Tensor, "b"] | None = None) -> td.Independent:
        """q(z | s, y)."""
        if tuple(codes.shape[1:]) != self.size or not 0 <= int(codes.min()) <= int(codes.max()) < self.codes:
            raise ValueError(
                f"this prior is of maps of {self.size} codes from 0 to {self.codes - 1}, not of {tuple(codes.shape[1:])} "
                f"from {int(codes.min())} to {int(codes.max())}"
            )
        told = self._told(len(codes), labels)
        mean, raw = self.encoder(torch.cat([self.embedding(codes).flatten(1), told], 1)).chunk(2, 1)
        return distributions.normal(mean, (distributions.bounded_log_var(raw) / 2).exp())

    def logits(self, z: Float[Tensor, "b m"], labels: Int[Tensor, "b"] | None = None) -> Float[Tensor, "b k h w"]:
        """The logits of each place's code, given z."""
        return self.decoder(torch.cat([z, self._told(len(z), labels)], 1)).unflatten(1, (self.codes, *self.size))

    def terms(
        self, codes: Int[Tensor, "b h w"], labels: Int[Tensor, "b"] | None = None, generator: Generator | None = None
    ) -> Terms:
        """The negative ELBO's two parts, with one draw of z."""
        q = self.encode(codes, labels)
        z = distributions.reparameterized(q, 1, generator)[0]
        distortion = F.cross_entropy(self.logits(z, labels), codes, reduction="none").flatten(1).sum(1)
        return Terms(distortion, td.kl_divergence(q, self._prior(len(codes))))

    def log_prob(
        self,
        codes: Int[Tensor, "b h w"],
        labels: Int[Tensor, "b"] | None = None,
        *,
        samples: int = 50,
        generator: Generator | None = None,
    ) -> Float[Tensor, "b"]:
        """A lower bound on log p(s | y) in nats, by importance sampling (Burda et al. 2016, eq. 8)."""
        q, bounds = self.encode(codes, labels), []
        for z in distributions.reparameterized(q, samples, generator):
            joint = -F.cross_entropy(self.logits(z, labels), codes, reduction="none").flatten(1).sum(1)
            bounds.append(joint + self._prior(len(codes)).log_prob(z) - q.log_prob(z))
        return torch.stack(bounds).logsumexp(0) - math.log(samples)

    @torch.no_grad()
    def sample(
        self, n: int, labels: Int[Tensor, "n"] | None = None, *, generator: Generator | None = None
    ) -> Int[Tensor, "n h w"]:
        """Draw n maps: z from N(0, I), then every place's code given z.

        Raises:
            ValueError: `n` is less than 1.
        """
        if n < 1:
            raise ValueError(f"draw at least one map, not {n}")
        z = distributions.reparameterized(self._prior(n), 1, generator)[0]
        shares = self.logits(z, labels).softmax(1).movedim(1, -1)
        return torch.multinomial(shares.flatten(0, 2), 1, generator=generator).view(n, *self.size)

    def _prior(self, n: int) -> td.Independent:
        return distributions.normal(self.embedding.weight.new_zeros(n, self.latent))

    def _told(self, n: int, labels: Tensor | None) -> Float[Tensor, "n classes"]:
        if (labels is None) == bool(self.classes):
            raise ValueError(
                f"labels are {'needed' if self.classes else 'not part of this prior'} (classes={self.classes})"
            )
        if labels is None:
            return self.embedding.weight.new_zeros(n, 0)
        if len(labels) != n or not 0 <= int(labels.min()) <= int(labels.max()) < self.classes:
            raise ValueError(f"labels have to be {n} numbers from 0 to {self.classes - 1}")
        return F.one_hot(labels, self.classes).to(self.embedding.weight)


Condition = Callable[[Sequence[Tensor]], Tensor]


def log_prob(
    prior: Any, examples: tuple[Tensor, ...], generator: Generator | None = None, *, condition: Condition | None = None
) -> Float[Tensor, "b"]:
    """log p(s | y) of maps, in nats; of a `CodeVAE` its lower bound, drawn with the generator. Book: eq-priors-chain.

    Args:
        examples: maps, their labels, which a prior without classes is not told, and the coarser maps of a hierarchy.
        condition: makes of these what the prior is conditioned on.
    """
    codes, labels, *coarser = examples
    told = labels if prior.classes else None
    if isinstance(prior, CodeVAE):
        return prior.log_prob(codes, told, generator=generator)
    return prior.log_prob(codes, told, *((condition(coarser),) if coarser and condition is not None else ()))


def prior_terms(
    prior: Any, examples: tuple[Tensor, ...], generator: Generator | None = None, *, condition: Condition | None = None
) -> Terms:
    """What a prior minimizes, -log p(s | y) in nats; a `CodeVAE` the two parts of its negative ELBO."""
    if isinstance(prior, CodeVAE):
        return prior.terms(examples[0], examples[1] if prior.classes else None, generator)
    distortion = -log_prob(prior, examples, condition=condition)
    return Terms(distortion, torch.zeros_like(distortion))
