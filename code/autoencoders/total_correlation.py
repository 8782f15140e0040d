"""What the average rate of a VAE consists of, exactly for small data and estimated from a batch for training.

With q(z) = (1/n) sum_i q(z|x_i), the codes of all n examples together, the average of KL(q(z|x) || p(z)) is the sum of three
terms, none negative: what a code tells about its example, how far the coordinates of the codes are from independent, and how far
each coordinate alone is from the prior (Chen et al. 2018, eq. 2). Book: eq-disentanglement-decomposition.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Generator, Tensor
from torch import distributions as td

LogAggregate = tuple[Float[Tensor, "s"], Float[Tensor, "s m"]]


@dataclass(frozen=True)
class Decomposition:
    """The three parts of the average KL in nats; exact ones are numbers, estimated ones have a value for each draw."""

    information: Float[Tensor, "*s"]
    total_correlation: Float[Tensor, "*s"]
    dimensionwise: Float[Tensor, "*s"]

    @property
    def total(self) -> Float[Tensor, "*s"]:
        """Their sum, the average KL(q(z|x) || p(z))."""
        return self.information + self.total_correlation + self.dimensionwise


@torch.no_grad()
def exact_decomposition(q: td.Independent, *, points: int = 1001) -> Decomposition:
    """The parts of the average KL for the posteriors q(z|x_i) of a small data set, with one or two latents.

    The densities of all examples on a grid are two matrices, and their product is q(z) on the plane; the integrals are sums
    over the grid, in double precision.

    Args:
        q: Gaussian posteriors, one for each example.
        points: of the grid, along each coordinate. It reaches 9 standard deviations beyond the outermost means.

    Raises:
        ValueError: there are more than two latents, or the grid is too coarse for the narrowest posterior.
    """
    mean, scale = q.base_dist.loc.double(), q.base_dist.scale.double()
    n, m = mean.shape
    if m > 2:
        raise ValueError(f"quadrature is for one or two latents, not {m}; use `estimated_decomposition` for more")
    grids, steps, densities = [], [], []
    for j in range(m):
        low, high = (mean[:, j] - 9 * scale[:, j]).min().item(), (mean[:, j] + 9 * scale[:, j]).max().item()
        low, high = min(low, -1.0), max(high, 1.0)
        grid = torch.linspace(low, high, points, dtype=torch.float64)
        step, narrowest = (high - low) / (points - 1), scale[:, j].min().item()
        if step > 0.8 * narrowest:
            needed = math.ceil((high - low) / (0.8 * narrowest)) + 1
            raise ValueError(
                f"{points} points stand {step:.3g} apart, too far for a posterior of standard deviation {narrowest:.3g}; "
                f"coordinate {j} needs points={needed}"
            )
        grids.append(grid)
        steps.append(step)
        densities.append(td.Normal(mean[:, j, None], scale[:, j, None]).log_prob(grid).exp())  # (n, points)
    alone = [density.mean(0) for density in densities]
    dimensionwise = sum(
        _integral(f, f.clamp(min=_TINY).log() - td.Normal(0.0, 1.0).log_prob(grid), step)
        for f, grid, step in zip(alone, grids, steps, strict=True)
    )
    area = math.prod(steps)
    joint = alone[0] if m == 1 else densities[0].T @ densities[1] / n
    product = alone[0] if m == 1 else alone[0][:, None] * alone[1]
    correlation = _integral(joint, joint.clamp(min=_TINY).log() - product.clamp(min=_TINY).log(), area)
    entropy = -_integral(joint, joint.clamp(min=_TINY).log(), area)
    conditional = (scale.log() + 0.5 * math.log(2 * math.pi * math.e)).sum(1).mean()  # of a Gaussian
    return Decomposition(entropy - conditional, correlation, torch.as_tensor(dimensionwise))


_TINY = 1e-300


def _integral(density: Float[Tensor, "*grid"], values: Float[Tensor, "*grid"], step: float) -> Float[Tensor, ""]:
    """The mean of `values` under a density; with a smooth integrand that ends at zero, equal weights are best."""
    return (density * values).sum() * step


def _pairs(z: Float[Tensor, "s m"], q: td.Independent) -> Float[Tensor, "s b m"]:
    """log q(z_j | x_i) of each draw under each example's posterior, coordinate by coordinate."""
    return q.base_dist.log_prob(z[:, None])


def _weighted(pairs: Float[Tensor, "s b m"], log_weights: Float[Tensor, "#s b"]) -> LogAggregate:
    """log sum_i w_i q(z|x_i), of the whole code and of each coordinate: the weight of an example counts once in either."""
    return (pairs.sum(2) + log_weights).logsumexp(1), (pairs + log_weights[..., None]).logsumexp(1)


def log_aggregate(z: Float[Tensor, "s m"], q: td.Independent) -> LogAggregate:
    """log q(z) and log q(z_j) for each coordinate, exact: `q` holds the posteriors of all examples."""
    pairs = _pairs(z, q)
    return _weighted(pairs, pairs.new_full((1, pairs.shape[1]), -math.log(pairs.shape[1])))


def minibatch_weighted(z: Float[Tensor, "b m"], q: td.Independent, n: int) -> LogAggregate:
    """log of (1/(n b)) sum_i q(z|x_i) over a batch of b: a biased estimate of q(z), too small (Chen et al. 2018, eq. 5).

    Each code was drawn from an example of the batch, its own, whose posterior is large there. The divisor n makes up for
    that as if all the others in the batch counted for nothing. `n` is the number of examples in the data set.

    Raises:
        ValueError: the batch is larger than the data set, or not one draw for each example.
    """
    pairs, b = _pairs(z, q), _batch(z, q, n)
    return _weighted(pairs, pairs.new_full((1, b), -math.log(n) - math.log(b)))


def minibatch_stratified(z: Float[Tensor, "b m"], q: td.Independent, n: int) -> LogAggregate:
    """log of an unbiased estimate of q(z) from a batch; the logarithm of it is biased downward, by Jensen's inequality.

    A code's own example stands for itself, with weight 1/n; the b - 1 others, drawn from the remaining n - 1, stand for all of
    those, with weight (n - 1) / (n (b - 1)) each. Chen et al. (2018, appendix C.2) give one of the others a different weight;
    this is their estimate averaged over which one that is.

    Raises:
        ValueError: as for `minibatch_weighted`, or the batch has one example only.
    """
    pairs, b = _pairs(z, q), _batch(z, q, n)
    if b < 2:
        raise ValueError("one example says nothing about the others: the estimate needs a batch of at least 2")
    weights = pairs.new_full((b, b), (n - 1) / (n * (b - 1))).fill_diagonal_(1 / n)
    return _weighted(pairs, weights.log())


def _batch(z: Float[Tensor, "b m"], q: td.Independent, n: int) -> int:
    b = q.base_dist.loc.shape[0]
    if len(z) != b or b > n:
        raise ValueError(
            f"the estimate is of one draw for each of b examples out of n, not of {len(z)} draws for {b} examples out of {n}"
        )
    return b


def estimated_decomposition(
    q: td.Independent,
    z: Float[Tensor, "b m"],
    n: int,
    *,
    log_q: Callable[[Tensor, td.Independent, int], LogAggregate] = minibatch_stratified,
) -> Decomposition:
    """The parts of the average KL, one value for each draw `z` of a batch's posteriors `q`; gradients pass through.

    The prior is N(0, I). The mean over the batch estimates the parts, with the error that `log_q` makes: a log q(z) that is too
    small makes the information too large. Single values can be negative.
    """
    whole, coordinates = log_q(z, q, n)
    product = coordinates.sum(1)
    prior = td.Normal(0.0, 1.0).log_prob(z).sum(1)
    return Decomposition(q.log_prob(z) - whole, whole - product, product - prior)


def shuffle_columns(z: Float[Tensor, "b m"], generator: Generator | None = None) -> Float[Tensor, "b m"]:
    """Each coordinate permuted over the batch on its own: draws of prod_j q(z_j) from draws of q(z) (Kim and Mnih 2018).

    A coordinate keeps its values, a row does not: which values stand together is chance.
    """
    order = torch.rand(z.shape, generator=generator, device=z.device).argsort(0)
    return z.gather(0, order)
