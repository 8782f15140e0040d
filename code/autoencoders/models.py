"""The models of the book: compositions of an encoder and a decoder."""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch import distributions as td
from torch.nn import functional as F

from autoencoders import distributions
from autoencoders.vqvae import VQVAE, HierarchicalVQVAE


class Autoencoder(nn.Module):
    """g(f(x)): an encoder f and a decoder g, trained together. Book: eq-compression-autoencoder.

    Both are deterministic functions, so `encode` and `decode` return plain tensors. With `mean`, a picture, the two work
    on what is left of the data without it, as PCA does: the encoder reads x - mean, the decoder's output is added to it.
    """

    mean: Float[Tensor, "c h w"] | None

    def __init__(self, encoder: nn.Module, decoder: nn.Module, mean: Float[Tensor, "c h w"] | None = None) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, decoder
        self.register_buffer("mean", mean)

    def encode(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b m"]:
        """The codes z = f(x)."""
        return self.encoder(x if self.mean is None else x - self.mean)

    def decode(self, z: Float[Tensor, "b m"]) -> Float[Tensor, "b c h w"]:
        """The reconstructions g(z)."""
        return self.decoder(z) if self.mean is None else self.decoder(z) + self.mean

    def codes(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b m"]:
        """The numbers that stand for a picture, as every model of the book gives them: here `encode(x)`."""
        return self.encode(x)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        return self.decode(self.encode(x))


class GaussianPixels(nn.Module):
    """p(x|z) = N(x; decoder output, scale^2 I); with `learned`, one scale for all pixels is trained with the rest.

    Rybkin et al. 2021 call the learned version sigma-VAE.

    Raises:
        ValueError: `scale`, a standard deviation, is not positive.
    """

    log_scale: Float[Tensor, ""]

    def __init__(self, scale: float = 1.0, learned: bool = False) -> None:
        super().__init__()
        if not 0 < scale < math.inf:
            raise ValueError(f"scale is the standard deviation of a pixel and must be positive, not {scale}")
        log_scale = torch.tensor(math.log(scale))
        if learned:
            self.log_scale = nn.Parameter(log_scale)
        else:
            self.register_buffer("log_scale", log_scale)

    def forward(self, mean: Float[Tensor, "b c h w"]) -> td.Independent:
        return distributions.normal(mean, self.log_scale.exp())


class BernoulliPixels(nn.Module):
    """p(x|z) for black-and-white pictures: the decoder's output are logits. Refuses gray values."""

    def forward(self, logits: Float[Tensor, "b c h w"]) -> td.Independent:
        return distributions.bernoulli(logits)


class ExpectedBernoulliPixels(nn.Module):
    """p(b|z) for black-and-white pictures b of which a gray one gives the probabilities of white: the mean over them."""

    def forward(self, logits: Float[Tensor, "b c h w"]) -> td.Independent:
        return distributions.expected_bernoulli(logits)


class ContinuousBernoulliPixels(nn.Module):
    """p(x|z) for gray values between 0 and 1: the decoder's output are logits (Loaiza-Ganem and Cunningham 2019)."""

    def forward(self, logits: Float[Tensor, "b c h w"]) -> td.Independent:
        return distributions.continuous_bernoulli(logits)


class VAE(nn.Module):
    """A latent-variable model p(z) p(x|z) with p(z) = N(0, I), and an encoder for q(z|x) (Kingma and Welling 2014).

    Both directions return distributions whose `log_prob` is one number per example, in nats.

    Args:
        encoder: pictures to 2m numbers, the means of q(z|x) and then its log-variances before they are bounded.
        decoder: m numbers to a picture, the parameters of p(x|z).
        likelihood: makes p(x|z) of the decoder's output.
    """

    def __init__(self, encoder: nn.Module, decoder: nn.Module, likelihood: nn.Module, latent: int) -> None:
        super().__init__()
        if latent < 1:
            raise ValueError(f"a model needs at least one latent, not {latent}")
        self.encoder, self.decoder, self.likelihood, self.latent = encoder, decoder, likelihood, latent

    @property
    def prior(self) -> td.Independent:
        """p(z) = N(0, I), of batch size 1."""
        example = next(self.parameters())
        return distributions.normal(torch.zeros(1, self.latent, dtype=example.dtype, device=example.device))

    def encode(self, x: Float[Tensor, "b c h w"]) -> td.Independent:
        """q(z|x), a Gaussian with independent coordinates, its variance bounded smoothly at the source.

        Raises:
            ValueError: the pictures hold NaN, or the encoder does not give 2m numbers.
        """
        numbers = _read(self.encoder, x, 2 * self.latent, f"{self.latent} latents, a mean and a log-variance each")
        return _gaussian(numbers)

    def decode(self, z: Float[Tensor, "b m"]) -> td.Independent:
        """p(x|z)."""
        return self.likelihood(self.decoder(z))

    def codes(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b m"]:
        """The means of q(z|x)."""
        return self.encode(x).mean

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """The mean picture at the mean code; nothing is sampled, in any mode."""
        return self.decode(self.codes(x)).mean

    def sample(self, count: int, generator: torch.Generator | None = None) -> Float[Tensor, "n c h w"]:
        """The mean pictures of `count` codes from the prior.

        Raises:
            ValueError: `count` is less than 1.
        """
        if count < 1:
            raise ValueError(f"count is how many pictures to draw, at least 1, not {count}")
        z = distributions.reparameterized(self.prior, count, generator)
        return self.decode(z[:, 0]).mean


class MixedVAE(nn.Module):
    """A latent-variable model p(y) p(z) p(x|y, z): y one of K classes, all equally probable, and z Gaussian, N(0, I).

    The encoder is q(y|x) q(z|x). A code is one vector of K + m numbers, y as a one-hot vector and then z.
    Book: eq-score-function-mixed.

    Args:
        encoder: pictures to K + 2m numbers, the logits of q(y|x) and then means and log-variances of q(z|x).
        decoder: a code to a picture, the parameters of p(x|y, z).
        likelihood: makes p(x|y, z) of the decoder's output.
        latent: m, the Gaussian coordinates.
        classes: K, the values of the categorical one.

    Raises:
        ValueError: `latent` is less than 1, or `classes` less than 2.
    """

    def __init__(
        self, encoder: nn.Module, decoder: nn.Module, likelihood: nn.Module, latent: int, classes: int = 10
    ) -> None:
        super().__init__()
        if latent < 1 or classes < 2:
            raise ValueError(f"a mixed model needs at least 1 latent and 2 classes, not {latent} and {classes}")
        self.encoder, self.decoder, self.likelihood = encoder, decoder, likelihood
        self.latent, self.classes = latent, classes

    @property
    def prior(self) -> tuple[td.OneHotCategorical, td.Independent]:
        """p(y), uniform, and p(z) = N(0, I), both of batch size 1."""
        zeros = next(self.parameters()).new_zeros
        return distributions.one_hot(zeros(1, self.classes)), distributions.normal(zeros(1, self.latent))

    def encode(self, x: Float[Tensor, "b c h w"]) -> tuple[td.OneHotCategorical, td.Independent]:
        """q(y|x) and q(z|x).

        Raises:
            ValueError: the pictures hold NaN, or the encoder does not give K + 2m numbers.
        """
        needed = f"{self.classes} classes, a logit each, and {self.latent} latents, a mean and a log-variance each"
        numbers = _read(self.encoder, x, self.classes + 2 * self.latent, needed)
        return distributions.one_hot(numbers[:, : self.classes]), _gaussian(numbers[:, self.classes :])

    def decode(self, z: Float[Tensor, "b k"]) -> td.Independent:
        """p(x|y, z) for codes of K + m numbers."""
        return self.likelihood(self.decoder(z))

    def classify(self, x: Float[Tensor, "b c h w"]) -> Int[Tensor, "b"]:
        """The most probable class under q(y|x)."""
        return self.encode(x)[0].logits.argmax(1)

    def codes(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k"]:
        """The most probable class, one-hot, and the mean of q(z|x)."""
        q_y, q_z = self.encode(x)
        return torch.cat([F.one_hot(q_y.logits.argmax(1), self.classes).to(q_z.mean), q_z.mean], 1)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """The mean picture at `codes(x)`; nothing is sampled, in any mode."""
        return self.decode(self.codes(x)).mean


Model = Autoencoder | VAE | MixedVAE | VQVAE | HierarchicalVQVAE


def _read(encoder: nn.Module, x: Float[Tensor, "b c h w"], count: int, needed: str) -> Float[Tensor, "b k"]:
    """The encoder's numbers for pictures that are finite, and as many as the model `needed`."""
    if not bool(x.sum().isfinite()) and not bool(x.isfinite().all()):  # the sum is quick, and rarely misleads
        bad = (~x.isfinite()).flatten(1).any(1).nonzero()[0].item()
        raise ValueError(f"picture {bad} of the batch holds values that are not finite; repair it or leave it out")
    numbers = encoder(x)
    if numbers.shape[1:] != (count,):
        raise ValueError(
            f"the encoder must give {count} numbers for {needed}, not {tuple(numbers.shape[1:])}; make it with latent={count}"
        )
    return numbers


def _gaussian(numbers: Float[Tensor, "b two_m"]) -> td.Independent:
    """The Gaussian whose means and then log-variances, before they are bounded, a network gave."""
    mean, raw = numbers.chunk(2, dim=1)
    return distributions.normal(mean, (distributions.bounded_log_var(raw) / 2).exp())
