"""FactorVAE: a VAE and a discriminator that tells its codes from shuffled ones, trained in turn (Kim and Mnih 2018)."""

import itertools
import os
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn
from torch import distributions as td
from torch.nn import functional as F

from autoencoders import distributions, estimators, training
from autoencoders.loops import History, Loop, Progress, generator_for
from autoencoders.models import VAE
from autoencoders.objectives import Terms, binarize
from autoencoders.total_correlation import shuffle_columns


class Discriminator(nn.Module):
    """The log-odds that a code is a draw of q(z) and not of the product of its marginals, prod_j q(z_j).

    For the best discriminator this is log q(z) / prod_j q(z_j), and its mean over q(z) the total correlation.
    Book: eq-disentanglement-density-ratio.
    """

    def __init__(self, latent: int, hidden: int = 128, layers: int = 2) -> None:
        super().__init__()
        sizes = [latent, *[hidden] * layers]
        inner = [part for a, b in itertools.pairwise(sizes) for part in (nn.Linear(a, b), nn.LeakyReLU(0.2))]
        self.net = nn.Sequential(*inner, nn.Linear(sizes[-1], 1))

    def forward(self, z: Float[Tensor, "b m"]) -> Float[Tensor, "b"]:
        return self.net(z)[:, 0]


def factor_terms(
    model: VAE,
    x: Float[Tensor, "b c h w"],
    generator: Generator | None = None,
    *,
    discriminator: nn.Module,
    tc: float = 1.0,
    binary: bool = False,
) -> Terms:
    """The VAE's objective: the negative ELBO and `tc` (gamma in the paper) times the total correlation.

    The discriminator's log-odds stand for the total correlation of a code; the rate is KL + tc TC, so that a weight of the
    rate, and its warm-up, scale all of it. Book: eq-disentanglement-factor.
    """
    x = binarize(x, generator) if binary else x
    q = model.encode(x)
    z = distributions.reparameterized(q, 1, generator)
    distortion = -estimators.log_likelihood(model, x, z)[0]
    return Terms(distortion, td.kl_divergence(q, model.prior) + tc * discriminator(z[0]))


def discriminator_loss(
    model: VAE, discriminator: nn.Module, x: Float[Tensor, "b c h w"], generator: Generator | None = None
) -> Float[Tensor, ""]:
    """The classifier's cross-entropy for codes of one half of `x` and column-shuffled codes of the other half.

    The codes are drawn without gradients: this loss teaches the discriminator alone.

    Raises:
        ValueError: there are fewer than two pictures.
    """
    if len(x) < 2:
        raise ValueError(
            "the discriminator compares the codes of two halves of a batch, which needs at least 2 pictures"
        )
    with torch.no_grad():
        z = distributions.reparameterized(model.encode(x), 1, generator)[0]
        kept, others = z.tensor_split(2)
        shuffled = shuffle_columns(others, generator)
    return (F.softplus(-discriminator(kept)).mean() + F.softplus(discriminator(shuffled)).mean()) / 2


def steps(
    model: VAE,
    images: Float[Tensor, "n c h w"],
    *,
    discriminator: nn.Module,
    tc: float = 1.0,
    binary: bool = False,
    learning_rate: float = 2e-3,
    discriminator_rate: float = 1e-3,
    seed: int = 0,
    **settings: Any,
) -> Iterator[Progress]:
    """The loop, a generator like `training.steps`: each step is one of the VAE and then one of the discriminator.

    Each has its own optimizer. The VAE's step moves no weight of the discriminator and the other way round; the discriminator
    sees other pictures than the VAE, drawn from the whole training set.

    Args:
        discriminator_rate: the learning rate of its Adam, constant; beta_1 is 0.5 as in the paper.
        settings: those of `training.fit`.
    """
    objective = partial(factor_terms, discriminator=discriminator, tc=tc, binary=binary)
    device = torch.device(settings.setdefault("device", None) or training.best_device())
    second = torch.optim.Adam(
        discriminator.to(device).parameters(), lr=discriminator_rate, betas=(0.5, 0.9), fused=True
    )
    told = dict(learning_rate=learning_rate, seed=seed, others=[(discriminator, second)])
    loop = Loop(model, images, objective, **told, **settings)
    (first, second) = loop.optimizers
    for x, generator in loop:
        terms = loop.forward(x, generator)
        loss = terms.total(loop.weight).mean()
        loop.check(terms)
        first.zero_grad()
        loss.backward()
        first.step()

        fresh = generator_for(loop.device, seed, 3, loop.done)
        rows = torch.randint(len(images), (2 * len(x),), generator=fresh, device=loop.device)
        seen = binarize(loop.images[rows], fresh) if binary else loop.images[rows]
        loss = discriminator_loss(model, discriminator, seen, fresh)
        second.zero_grad()  # of what the VAE's loss left there, too
        loss.backward()
        second.step()
        yield loop.stepped()


def fit(
    model: VAE,
    images: Float[Tensor, "n c h w"],
    *,
    callback: Callable[[Progress], None] | None = None,
    progress: bool = True,
    checkpoint: str | os.PathLike[str] | None = None,
    **settings: Any,
) -> History:
    """Train `model` in place by `steps`, like `training.fit`."""
    run = steps(model, images, checkpoint=checkpoint, **settings)
    return training.drain(model, run, callback, progress, checkpoint)
