"""What training minimizes: the book's equations as functions of a model and a batch, one number per example, in nats."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Generator, Tensor

from autoencoders.models import Autoencoder


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
