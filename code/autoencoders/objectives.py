"""What training minimizes: the book's equations as functions of a model and a batch, one number per example, in nats."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Generator, Tensor
from torch import distributions as td

from autoencoders import distributions, estimators
from autoencoders.models import VAE, Autoencoder


@dataclass(frozen=True)
class Terms:
    """The two parts of every objective in the book, `(b,)` each: how wrong the picture is, and what its code costs.

    Nothing is averaged here. The training step takes the one mean there is, over the batch, so that repeating a batch
    changes nothing and `beta = 1` means the same for every image size.
    """

    distortion: Float[Tensor, "b"]
    rate: Float[Tensor, "b"]

    def __post_init__(self) -> None:
        if self.distortion.dim() != 1 or self.distortion.shape != self.rate.shape:
            raise ValueError(
                f"terms are one number per example: two vectors of the batch's length, not shapes "
                f"{tuple(self.distortion.shape)} and {tuple(self.rate.shape)}; sum over pixels and latents first"
            )

    def total(self, weight: float = 1.0) -> Float[Tensor, "b"]:
        """distortion + weight * rate."""
        return self.distortion + weight * self.rate


def squared_error(x: Float[Tensor, "b *event"], x_hat: Float[Tensor, "b *event"]) -> Float[Tensor, "b"]:
    """||x - x_hat||^2 / 2, summed over the picture: -log N(x; x_hat, I) in nats, up to its constant (d/2) log 2 pi."""
    if x.shape != x_hat.shape:
        raise ValueError(
            f"a picture and its reconstruction must agree in shape: {tuple(x.shape)}, {tuple(x_hat.shape)}"
        )
    return 0.5 * (x - x_hat).flatten(1).square().sum(1)


def reconstruction_terms(model: Autoencoder, x: Float[Tensor, "b c h w"], generator: Generator | None = None) -> Terms:
    """The autoencoder's objective, ||x - g(f(x))||^2 / 2. Book: eq-compression-objective."""
    distortion = squared_error(x, model(x))
    return Terms(distortion, torch.zeros_like(distortion))


def sparse_terms(model: Autoencoder, x: Float[Tensor, "b c h w"], generator: Generator | None = None) -> Terms:
    """The sparse autoencoder's: the rate is ||f(x)||_1, its weight lambda. Book: eq-sparse-denoising-sparse."""
    z = model.encode(x)
    return Terms(squared_error(x, model.decode(z)), z.flatten(1).abs().sum(1))


def corrupt(
    x: Float[Tensor, "b *event"], noise: float, generator: Generator | None = None
) -> Float[Tensor, "b *event"]:
    """x + noise * epsilon with epsilon ~ N(0, I); nothing is clipped, so the noise has the law the mathematics assumes.

    Raises:
        ValueError: `noise`, a standard deviation, is negative.
    """
    if not noise >= 0:
        raise ValueError(f"noise is a standard deviation and cannot be negative; got {noise}")
    epsilon = torch.empty_like(x).normal_(generator=generator)
    return x + noise * epsilon


def denoising_terms(
    model: Autoencoder, x: Float[Tensor, "b c h w"], generator: Generator | None = None, noise: float = 0.5
) -> Terms:
    """The denoising autoencoder's: the input is corrupted, the target is clean. Book: eq-sparse-denoising-denoising."""
    distortion = squared_error(x, model(corrupt(x, noise, generator)))
    return Terms(distortion, torch.zeros_like(distortion))


def binarize(x: Float[Tensor, "b *event"], generator: Generator | None = None) -> Float[Tensor, "b *event"]:
    """Black or white, pixel by pixel, white with the gray value as its probability.

    Drawn anew for every batch this is the *stochastic* binarization; the same generator gives the same picture, a *fixed* one.

    Raises:
        ValueError: a value is no probability.
    """
    if not bool(((x >= 0) & (x <= 1)).all()):
        raise ValueError(
            f"a gray value is read as the probability of white and must lie in [0, 1], but these reach from "
            f"{x.min().item():.4g} to {x.max().item():.4g}; rescale the pictures, for bytes by x / 255"
        )
    return (torch.empty_like(x).uniform_(generator=generator) < x).to(x.dtype)


def elbo_terms(
    model: VAE,
    x: Float[Tensor, "b c h w"],
    generator: Generator | None = None,
    *,
    samples: int = 1,
    binary: bool = False,
) -> Terms:
    """The negative ELBO in its two parts: -E_q log p(x|z), estimated with `samples` draws, and KL(q(z|x) || p(z)), exact.

    `Terms.total(1)` is the negative ELBO in nats (Kingma and Welling 2014, eq. 3); another weight makes it a beta-VAE's
    objective. With `binary`, x is binarized first, by the same generator.

    Raises:
        ValueError: `samples` is less than 1, or the likelihood refuses the data.
    """
    x = binarize(x, generator) if binary else x
    q = model.encode(x)
    distortion = -estimators.log_likelihood(model, x, distributions.reparameterized(q, samples, generator)).mean(0)
    return Terms(distortion, td.kl_divergence(q, model.prior))


def iwae_terms(
    model: VAE,
    x: Float[Tensor, "b c h w"],
    generator: Generator | None = None,
    *,
    samples: int = 5,
    binary: bool = False,
) -> Terms:
    """The negative importance-weighted bound: -log (1/K) sum_k p(x, z_k) / q(z_k|x) (Burda et al. 2016, eq. 8).

    The bound does not fall into two parts: it is all distortion. With one sample it is the ELBO, its KL sampled.

    Raises:
        ValueError: as for `elbo_terms`.
    """
    x = binarize(x, generator) if binary else x
    q = model.encode(x)
    z = distributions.reparameterized(q, samples, generator)
    bound = estimators.log_weights(model, x, z, q).logsumexp(0) - math.log(samples)
    return Terms(-bound, torch.zeros_like(bound))
