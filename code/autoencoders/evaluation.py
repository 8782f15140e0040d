"""How good a model, a code or a sample is: the measurements that the chapters quote."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor, nn
from torch.nn import functional as F

from autoencoders import distributions
from autoencoders.judge import DigitClassifier as DigitClassifier
from autoencoders.judge import train_classifier as train_classifier
from autoencoders.models import VAE, BernoulliPixels
from autoencoders.objectives import Terms


@torch.no_grad()
def in_batches(function, images: Shaped[Tensor, "n ..."], batch_size: int = 500) -> Shaped[Tensor, "n ..."]:
    """`function` over all images or maps in bounded memory, without gradients, in eval mode if it belongs to a module.

    The module's mode is put back afterwards.
    """
    owner = function if isinstance(function, nn.Module) else getattr(function, "__self__", None)
    module = owner if isinstance(owner, nn.Module) else None
    mode = module.training if module is not None else False
    if module is not None:
        module.eval()
        device = next(iter(module.parameters()), images).device
        images = images.to(device)
    try:
        return torch.cat([function(x) for x in images.split(batch_size)]).cpu()
    finally:
        if module is not None:
            module.train(mode)


def mse(model: nn.Module, images: Float[Tensor, "n c h w"]) -> float:
    """Mean squared error per pixel value between images and their reconstructions."""
    return (in_batches(model, images) - images).square().mean().item()


@torch.no_grad()
def mean_terms(
    model: nn.Module, images: Float[Tensor, "n c h w"], objective: Callable[..., Terms], seed: int = 0
) -> tuple[float, float]:
    """Mean distortion and rate of a picture in nats; `seed` decides the draws, and a binarization where there is one."""
    generator, sums = torch.Generator(images.device).manual_seed(seed), np.zeros(2)
    for x in images.split(500):
        terms = objective(model, x, generator)
        sums += (terms.distortion.sum().item(), terms.rate.sum().item())
    return sums[0] / len(images), sums[1] / len(images)


def error_per_image(model: nn.Module, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n"]:
    """Mean squared error per pixel value, image by image."""
    return (in_batches(model, images) - images).square().flatten(1).mean(1)


def principal_angles(a: Float[Tensor, "d m"], b: Float[Tensor, "d m"]) -> Float[Tensor, "m"]:
    """Angles in degrees, ascending, between the column spaces of `a` and `b`; all 0 if the subspaces are the same.

    From the sines where angles are small and the cosines where they are large, so that 1e-6 degrees is not lost to
    rounding (Björck and Golub 1973).
    """
    if a.shape != b.shape:
        raise ValueError(f"two bases of one size are needed (d, m), not {tuple(a.shape)} and {tuple(b.shape)}")
    qa, qb = (torch.linalg.qr(x.detach().double()).Q for x in (a, b))
    cosines = torch.linalg.svdvals(qa.T @ qb).clamp(max=1)
    sines = torch.linalg.svdvals(qb - qa @ (qa.T @ qb)).clamp(max=1).flip(0)
    angles = torch.where(cosines**2 < 0.5, torch.arccos(cosines), torch.arcsin(sines))
    return torch.rad2deg(angles)


def radial_power(images: Float[Tensor, "n c h w"]) -> tuple[Int[Tensor, "k"], Float[Tensor, "k"]]:
    """Where pictures keep their energy: frequencies 0, 1, 2, ... in cycles per image, and the mean energy at each.

    The energies add up to the mean of ||x||^2 (Parseval). The corners, above the highest frequency of an axis, are one
    last ring. Book: eq-deep-parseval.
    """
    n, _, h, w = images.shape
    transform = torch.fft.fft2(images.double(), norm="ortho")
    energy = transform.abs().square().sum((0, 1)) / n
    rows, columns = (torch.fft.fftfreq(side, 1 / side, dtype=torch.float64) for side in (h, w))
    highest = min(h, w) // 2
    ring = (rows[:, None] ** 2 + columns**2).sqrt().round().long().clamp(max=highest + 1)
    power = torch.zeros(highest + 2, dtype=torch.float64).index_add_(0, ring.flatten(), energy.flatten())
    return torch.arange(highest + 2), power


def distance_to_nearest(points: Float[Tensor, "n m"], codes: Float[Tensor, "k m"]) -> Float[Tensor, "n"]:
    """Euclidean distance from each point to the nearest of `codes`."""
    return torch.cat(
        [torch.cdist(p, codes, compute_mode="donot_use_mm_for_euclid_dist").amin(1) for p in points.split(500)]
    )


def gap_share(
    points: Float[Tensor, "n m"],
    codes: Float[Tensor, "k m"],
    held_out: Float[Tensor, "t m"],
    quantile: float = 0.99,
) -> float:
    """The share of points in a gap: farther from every training code than all but 1 % of held-out codes are.

    Book: eq-latent-space-gap. About `1 - quantile` for fresh codes of the same data, by construction.
    """
    ordinary = distance_to_nearest(held_out, codes).quantile(quantile)
    return (distance_to_nearest(points, codes) > ordinary).float().mean().item()


def denoising_score(model: nn.Module, x_tilde: Float[Tensor, "n c h w"], noise: float) -> Float[Tensor, "n c h w"]:
    """(g(f(x~)) - x~) / noise^2, which estimates grad log p_noise(x~), the score of the smoothed density.

    Book: eq-sparse-denoising-score (Vincent 2011). `model` must have been trained by `denoising_terms` at this noise.
    """
    return (in_batches(model, x_tilde) - x_tilde) / noise**2


def participation_ratio(features: Float[Tensor, "k c h w"]) -> Float[Tensor, "k"]:
    """How many pixels share a feature's energy: 1 for a single pixel, d if all d have the same size, d/3 for Gaussian noise.

    Book: eq-sparse-denoising-participation.
    """
    energy = features.flatten(1).square()
    return energy.sum(1).square() / energy.square().sum(1)


def orientation(features: Float[Tensor, "k c h w"]) -> Float[Tensor, "k"]:
    """How far a feature varies in one direction only: 1 for straight stripes at any angle, near 0 for noise or a round blob.

    The coherence of the structure tensor: with a, b >= 0 its eigenvalues, that is the mean squared slope along and across the
    direction of steepest change, (a - b) / (a + b).
    """
    dx = (features[..., 1:, 1:] - features[..., 1:, :-1] + features[..., :-1, 1:] - features[..., :-1, :-1]).flatten(1)
    dy = (features[..., 1:, 1:] - features[..., :-1, 1:] + features[..., 1:, :-1] - features[..., :-1, :-1]).flatten(1)
    xx, yy, xy = dx.square().sum(1), dy.square().sum(1), (dx * dy).sum(1)
    return ((xx - yy).square() + 4 * xy.square()).sqrt() / (xx + yy)


@dataclass(frozen=True)
class Probe:
    """How well labels can be read off codes: the accuracy of two simple classifiers on held-out codes, in [0, 1].

    `silhouette` asks for clusters instead: how much nearer a held-out code is to those of its own class than to those of the
    nearest other one, from -1 to 1 (Rousseeuw 1987).
    """

    knn: float
    linear: float
    silhouette: float


def probe(
    codes: Float[Tensor, "n m"],
    labels: Int[Tensor, "n"],
    test_codes: Float[Tensor, "t m"],
    test_labels: Int[Tensor, "t"],
    neighbors: int = 10,
) -> Probe:
    """Accuracy of k nearest neighbors and of logistic regression, both on codes standardized by the training codes.

    The silhouette is that of the test codes as they are.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import silhouette_score
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    train, test = (np.asarray(c.flatten(1).cpu()) for c in (codes, test_codes))
    accuracy = []
    for classifier in (KNeighborsClassifier(neighbors), LogisticRegression(max_iter=2000)):
        fitted = make_pipeline(StandardScaler(), classifier).fit(train, np.asarray(labels))
        accuracy.append(float(fitted.score(test, np.asarray(test_labels))))
    return Probe(*accuracy, silhouette=float(silhouette_score(test, np.asarray(test_labels))))


def readings(classifier: nn.Module, images: Float[Tensor, "n c h w"]) -> tuple[Float[Tensor, "n"], Int[Tensor, "n"]]:
    """What the classifier reads in each picture: the largest class probability and its class."""
    probability, label = in_batches(classifier, images).exp().max(1)
    return probability, label


def readable_share(classifier: nn.Module, images: Float[Tensor, "n c h w"], threshold: float = 0.9) -> float:
    """The share of pictures that the classifier reads with probability above `threshold`.

    A better judge of samples than the mean confidence, which even noise raises to about 0.5.
    """
    return (in_batches(classifier, images).exp().amax(1) > threshold).float().mean().item()


def class_entropy(classes: Int[Tensor, "n"], count: int) -> float:
    """Entropy of the classes that were read, in nats: log `count` where samples show all classes equally, 0 where one."""
    share = torch.bincount(classes, minlength=count) / len(classes)
    return torch.special.entr(share).sum().item()


def clustering_accuracy(clusters: Int[Tensor, "n"], labels: Int[Tensor, "n"]) -> float:
    """The share of examples whose cluster is that of their label, under the best one-to-one naming of clusters by labels.

    Found by the Hungarian method; 1 where clusters and classes agree up to their names. With K equal classes, about 1 / K
    where the clusters know nothing.
    """
    from scipy.optimize import linear_sum_assignment

    size = int(max(clusters.max(), labels.max())) + 1
    table = torch.bincount(size * clusters + labels, minlength=size * size).reshape(size, size).numpy()
    return float(table[linear_sum_assignment(table, maximize=True)].sum() / len(labels))


def active_units(model: VAE, images: Float[Tensor, "n c h w"], threshold: float = 0.01) -> Bool[Tensor, "m"]:
    """Which latents answer to the picture: those whose posterior mean varies by more than `threshold` (Burda et al. 2016)."""
    return in_batches(model.codes, images).var(0) > threshold


@dataclass(frozen=True)
class RateParts:
    """The mean rate KL(q(z|x) || p(z)) in two parts, in nats (Hoffman and Johnson 2016).

    Book: eq-training-vae-parts.

    `mutual_information` is what the code tells about which of the n pictures it came from, at most log n; `marginal` is
    KL(q(z) || p(z)), how far the codes of all pictures together are from the prior.
    """

    mutual_information: float
    marginal: float


@torch.no_grad()
def rate_parts(
    model: VAE, images: Float[Tensor, "n c h w"], generator: torch.Generator | None = None, chunk: int = 200
) -> RateParts:
    """Estimate both parts with one draw a picture; q(z) is the mixture of the posteriors of `images`, exactly."""
    mean, scale = in_batches(model.codes, images), in_batches(lambda x: model.encode(x).stddev, images)
    z = distributions.reparameterized(distributions.normal(mean, scale), 1, generator)[0]
    everyone = torch.distributions.Normal(mean, scale)
    log_marginal = torch.cat(
        [everyone.log_prob(part[:, None]).sum(2).logsumexp(1) - math.log(len(images)) for part in z.split(chunk)]
    )
    log_own = everyone.log_prob(z).sum(1)
    log_prior = distributions.normal(torch.zeros_like(z)).log_prob(z)
    return RateParts((log_own - log_marginal).mean().item(), (log_marginal - log_prior).mean().item())


def maximum_mean_discrepancy(a: Float[Tensor, "n m"], b: Float[Tensor, "k m"]) -> float:
    """Unbiased estimate of the squared MMD between two sets of points (Gretton et al. 2012, eq. 3).

    Zero on average if both come from one distribution, so it may be slightly negative. The kernel is Gaussian, its width
    the median distance between the points of `b`.

    Raises:
        ValueError: a set has fewer than two points.
    """
    if min(len(a), len(b)) < 2:
        raise ValueError(f"each set needs at least two points, not {len(a)} and {len(b)}")
    width = torch.pdist(b).median()

    def kernel(x: Tensor, y: Tensor) -> Tensor:
        return torch.exp(-0.5 * (torch.cdist(x, y) / width) ** 2)

    within = [(kernel(x, x).sum() - len(x)) / (len(x) * (len(x) - 1)) for x in (a, b)]
    return (within[0] + within[1] - 2 * kernel(a, b).mean()).item()


@torch.no_grad()
def plane_posterior(
    model: VAE, x: Float[Tensor, "b c h w"], *, extent: float = 5.0, points: int = 401
) -> tuple[Float[Tensor, "n"], Float[Tensor, "b"], Float[Tensor, "b n n"]]:
    """p(z|x) of a model with two latents, by brute force: p(x, z) on a grid of z, added up. Book: eq-elbo-grid.

    The integral is right to a few digits as long as the posterior is wider than the grid's step and lies inside the square.

    Args:
        x: black-and-white pictures, 0 and 1.
        extent: the grid is the square from -extent to extent.
        points: values along each axis.

    Returns:
        The axis, log p(x) of each picture in nats, and log p(z|x) at the points, z_2 along the rows, z_1 along the columns.

    Raises:
        ValueError: the model has not two latents.
        TypeError: its pixels are not Bernoulli: only their log-likelihood of all pictures is one matrix product.
    """
    if model.latent != 2:
        raise ValueError(f"a plane needs a model with two latents, not {model.latent}")
    if not isinstance(model.likelihood, BernoulliPixels):
        raise TypeError(f"the grid needs Bernoulli pixels, not {type(model.likelihood).__name__}")
    axis = torch.linspace(-extent, extent, points)
    pictures, sums = x.flatten(1).T, []
    for row in axis.split(8):
        z = torch.stack(torch.meshgrid(axis, row, indexing="xy"), -1).flatten(0, 1)
        logits = model.decoder(z).flatten(1)
        likelihood = logits @ pictures - F.softplus(logits).sum(1, keepdim=True)
        sums.append(likelihood + model.prior.log_prob(z)[:, None])
    joint = torch.cat(sums).T
    evidence = joint.logsumexp(1) + 2 * math.log(2 * extent / (points - 1))
    return axis, evidence, (joint - evidence[:, None]).unflatten(1, (points, points))
