"""What training minimizes: the book's equations as functions of a model and a batch, one number per example, in nats."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Generator, Tensor
from torch import distributions as td
from torch.nn import functional as F

from autoencoders import distributions, estimators, total_correlation
from autoencoders.models import VAE, VQVAE, Autoencoder, HierarchicalVQVAE, MixedVAE


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
    x: Float[Tensor, "b *event"], noise: float, generator: Generator | None = None, *, clip: bool = False
) -> Float[Tensor, "b *event"]:
    """x + noise * epsilon with epsilon ~ N(0, I).

    With `clip` the result is cut off at 0 and 1. Otherwise the noise keeps the law that the mathematics assumes.

    Raises:
        ValueError: `noise`, a standard deviation, is negative.
    """
    if not noise >= 0:
        raise ValueError(f"noise is a standard deviation and cannot be negative; got {noise}")
    noisy = x + noise * torch.empty_like(x).normal_(generator=generator)
    return noisy.clamp(0, 1) if clip else noisy


def denoising_terms(
    model: Autoencoder,
    x: Float[Tensor, "b c h w"],
    generator: Generator | None = None,
    noise: float = 0.5,
    clip: bool = False,
) -> Terms:
    """The denoising autoencoder's: the input is corrupted, the target is clean. Book: eq-sparse-denoising-denoising."""
    distortion = squared_error(x, model(corrupt(x, noise, generator, clip=clip)))
    return Terms(distortion, torch.zeros_like(distortion))


def vq_terms(
    model: VQVAE | HierarchicalVQVAE,
    x: Float[Tensor, "b c h w"],
    generator: Generator | None = None,
    *,
    variance: float = 1.0,
    commitment: float = 0.25,
) -> Terms:
    """The VQ-VAE's: the distortion is -log N(x; x_hat, variance I) up to its constant, the rate the losses of quantization.

    These are the codebook loss plus `commitment` times the commitment loss, summed over places and maps: the first moves
    the codes alone, the second the encoder alone. Book: eq-vqvae-objective (van den Oord et al. 2017, eq. 3).

    Raises:
        ValueError: the variance is not positive, or the commitment's weight is negative.
    """
    if not variance > 0 or commitment < 0:
        raise ValueError(
            f"variance is that of a pixel and positive, commitment a weight of at least 0, not {variance} and {commitment}"
        )
    x_hat, maps = model.autoencode(x)
    losses = torch.stack([q.codebook_loss + commitment * q.commitment_loss for q in maps])
    return Terms(squared_error(x, x_hat) / variance, losses.sum(0))


def binarize(x: Float[Tensor, "b *event"], generator: Generator | None = None) -> Float[Tensor, "b *event"]:
    """Black or white, pixel by pixel, white with the gray value as its probability.

    Drawn anew for every batch this is the *stochastic* binarization; the same generator gives the same picture, a *fixed* one.

    Raises:
        ValueError: a value is no probability.
    """
    low, high = (bound.item() for bound in x.aminmax())
    if not (low >= 0 and high <= 1):
        raise ValueError(
            f"a gray value is read as the probability of white and must lie in [0, 1], but these reach from "
            f"{low:.4g} to {high:.4g}; rescale the pictures, for bytes by x / 255"
        )
    return torch.empty_like(x).uniform_(generator=generator).lt_(x)


def elbo_terms(
    model: VAE,
    x: Float[Tensor, "b c h w"],
    generator: Generator | None = None,
    *,
    samples: int = 1,
    binary: bool = False,
    noise: float = 0.0,
    clip: bool = False,
) -> Terms:
    """The negative ELBO in its two parts: -E_q log p(x|z), estimated with `samples` draws, and KL(q(z|x) || p(z)), exact.

    Book: eq-elbo-elbo (Kingma and Welling 2014, eq. 3). `Terms.total(1)` is the negative ELBO in nats; another weight makes
    it a beta-VAE's objective. With `binary`, x is binarized first, by the same generator. With `noise` the encoder sees a
    corrupted x, as a denoising autoencoder's does; the target is clean.

    Raises:
        ValueError: `samples` is less than 1, or the likelihood refuses the data.
    """
    x = binarize(x, generator) if binary else x
    q = model.encode(corrupt(x, noise, generator, clip=clip) if noise else x)
    distortion = -estimators.log_likelihood(model, x, distributions.reparameterized(q, samples, generator)).mean(0)
    return Terms(distortion, td.kl_divergence(q, model.prior))


def tc_terms(
    model: VAE,
    x: Float[Tensor, "b c h w"],
    generator: Generator | None = None,
    *,
    n: int,
    tc: float = 1.0,
    binary: bool = False,
) -> Terms:
    """beta-TCVAE's: the negative ELBO with `tc` as the weight of the total correlation (Chen et al. 2018, eq. 4).

    Of the three parts of the KL only the total correlation is weighed anew: the rate is KL + (tc - 1) TC, so that a weight
    of the rate, and its warm-up, scale all of it. TC is estimated from the batch by `total_correlation.minibatch_stratified`; a
    picture's share of it, and so its rate, can be negative. Book: eq-disentanglement-tc.

    Args:
        n: pictures in the training set, of which every batch is a part.

    Raises:
        ValueError: the batch has one picture or more than n, or the likelihood refuses the data.
    """
    x = binarize(x, generator) if binary else x
    q = model.encode(x)
    z = distributions.reparameterized(q, 1, generator)
    distortion = -estimators.log_likelihood(model, x, z)[0]
    correlation = total_correlation.estimated_decomposition(q, z[0], n).total_correlation
    return Terms(distortion, td.kl_divergence(q, model.prior) + (tc - 1) * correlation)


def iwae_terms(
    model: VAE,
    x: Float[Tensor, "b c h w"],
    generator: Generator | None = None,
    *,
    samples: int = 5,
    binary: bool = False,
) -> Terms:
    """The negative importance-weighted bound: -log (1/K) sum_k p(x, z_k) / q(z_k|x).

    Book: eq-elbo-iwae (Burda et al. 2016, eq. 8).

    The bound does not fall into two parts: it is all distortion. With one sample it is the ELBO, its KL sampled.

    Raises:
        ValueError: as for `elbo_terms`.
    """
    x = binarize(x, generator) if binary else x
    q = model.encode(x)
    z = distributions.reparameterized(q, samples, generator)
    bound = estimators.log_weights(model, x, z, q).logsumexp(0) - math.log(samples)
    return Terms(-bound, torch.zeros_like(bound))


def mixed_terms(
    model: MixedVAE,
    x: Float[Tensor, "b c h w"],
    generator: Generator | None = None,
    *,
    estimator: str | estimators.Estimator = "leave-one-out",
    samples: int = 2,
    continuous: float = 1.0,
    binary: bool = False,
) -> Terms:
    """The negative ELBO of a mixed model: -E_q log p(x|y, z), and KL(q(y|x) || p(y)) + continuous * KL(q(z|x) || p(z)).

    z is reparameterized; for y, which cannot be, `estimator` is the name of one in `estimators`, or one made before. With
    each draw of y goes one of z. Book: eq-score-function-mixed-elbo.

    Raises:
        ValueError: there is no such estimator, `samples` does not suit it, or the likelihood refuses the data.
    """
    x = binarize(x, generator) if binary else x
    q_y, q_z = model.encode(x)
    estimate = estimators.get(estimator) if isinstance(estimator, str) else estimator

    def distortion(y: Float[Tensor, "s b k"]) -> Float[Tensor, "s b"]:
        z = distributions.reparameterized(q_z, len(y), generator)
        return -estimators.log_likelihood(model, x, torch.cat([y, z], -1))

    p_y, p_z = model.prior
    rate = td.kl_divergence(q_y, p_y) + continuous * td.kl_divergence(q_z, p_z)
    return Terms(estimate(q_y, distortion, samples, generator), rate)


def labeled_terms(
    model: MixedVAE,
    x: Float[Tensor, "b c h w"],
    generator: Generator | None = None,
    *,
    labeled: tuple[Float[Tensor, "l c h w"], Int[Tensor, "l"]],
    weight: float = 30.0,
    count: int = 64,
    binary: bool = False,
    **options: Any,
) -> Terms:
    """`mixed_terms` of pictures without labels, and q(y|x) as a classifier of `labeled` ones (Kingma et al. 2014, eq. 9).

    `count` labeled pictures, drawn anew and each warped a little, go with every batch; `weight` times their cross-entropy
    is added to the distortion of each picture.
    """
    terms = mixed_terms(model, x, generator, binary=binary, **options)
    images, labels = (part.to(x.device) for part in labeled)
    chosen = torch.randint(len(images), (count,), generator=generator, device=x.device)
    pictures = warped(images[chosen], generator)
    q_y, _ = model.encode(binarize(pictures, generator) if binary else pictures)
    return Terms(terms.distortion + weight * F.cross_entropy(q_y.logits, labels[chosen]), terms.rate)


def warped(
    x: Float[Tensor, "b c h w"], generator: Generator | None = None, amount: float = 1.0
) -> Float[Tensor, "b c h w"]:
    """Each picture under a random affine map that no label notices; at `amount` 1, drawn uniformly and independently:

    turned by up to 15 degrees, sheared by up to 0.2, scaled by up to 10 %, shifted by up to 1/14 of its width.
    """
    turn, shear, scale, *shift = amount * torch.empty(5, len(x), device=x.device).uniform_(-1, 1, generator=generator)
    turn, scale = turn * math.pi / 12, 1 + 0.1 * scale
    cos, sin, lean = scale * turn.cos(), scale * turn.sin(), 0.2 * shear
    rows = [cos, lean * cos - sin, shift[0] / 7], [sin, lean * sin + cos, shift[1] / 7]
    maps = torch.stack([torch.stack(row, 1) for row in rows], 1)
    grid = F.affine_grid(maps.to(x.dtype), list(x.shape), align_corners=False)
    return F.grid_sample(x, grid, align_corners=False).clamp(0, 1)
