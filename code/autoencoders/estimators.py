"""Estimates of what has no closed form: the gradient of E_q[f(z)], the evidence log p(x), draws from the posterior p(z|x).

The estimators of the gradient with respect to the parameters of q have one signature.

`get(name)(q, f, samples, generator)` gives one number for each example. Its *value* is the Monte Carlo estimate of E_q[f(z)];
its *gradient* is the estimator: backpropagate it. `f` maps draws `(s, b, k)` to `(s, b)`; gradients with respect to f's own
parameters are in it, too.
"""

import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Generator, Tensor
from torch import distributions as td
from torch.nn import functional as F

from autoencoders import distributions
from autoencoders.models import VAE, MixedVAE

Integrand = Callable[[Float[Tensor, "s b k"]], Float[Tensor, "s b"]]
Estimator = Callable[..., Float[Tensor, "b"]]


def draw(q: td.Distribution, samples: int = 1, generator: Generator | None = None) -> Float[Tensor, "s b k"]:
    """Draws without a gradient, from a Gaussian or a `one_hot` of `distributions`.

    Raises:
        ValueError: `samples` is less than 1.
        TypeError: `q` is another distribution.
    """
    if isinstance(q, td.OneHotCategorical):
        noisy = _noisy_logits(q, samples, generator)
        return F.one_hot(noisy.argmax(-1), noisy.shape[-1]).to(noisy.dtype)
    if isinstance(q, td.Independent):
        return distributions.reparameterized(q, samples, generator).detach()
    raise TypeError(f"q must be a Gaussian or a one-hot categorical of `distributions`, not {type(q).__name__}")


def pathwise(
    q: td.Distribution, f: Integrand, samples: int = 1, generator: Generator | None = None
) -> Float[Tensor, "b"]:
    """The reparameterization trick: z = mean + scale * epsilon, and the gradient goes through z. Gaussians only.

    Book: eq-reparameterization-pathwise.

    Raises:
        TypeError: `q` cannot be reparameterized.
    """
    if not isinstance(q, td.Independent):
        raise TypeError(f"{type(q).__name__} has no pathwise gradient; take 'leave-one-out' or 'gumbel-softmax'")
    return f(distributions.reparameterized(q, samples, generator)).mean(0)


def score_function(
    q: td.Distribution, f: Integrand, samples: int = 1, generator: Generator | None = None
) -> Float[Tensor, "b"]:
    """E[f(z) grad log q(z)], for any q. Book: eq-score-function-estimator (Williams 1992)."""
    return _with_baseline(q, f, draw(q, samples, generator), 0.0)


class RunningMean:
    """The score function with the running mean of f as its baseline: unbiased, since it is made of earlier batches."""

    def __init__(self, decay: float = 0.9) -> None:
        if not 0 <= decay < 1:
            raise ValueError(f"decay is the share of the mean that each call keeps, from 0 to below 1, not {decay}")
        self.decay, self.mean = decay, 0.0

    def __call__(
        self, q: td.Distribution, f: Integrand, samples: int = 1, generator: Generator | None = None
    ) -> Float[Tensor, "b"]:
        value = _with_baseline(q, f, draw(q, samples, generator), self.mean)
        self.mean = self.decay * self.mean + (1 - self.decay) * value.mean().item()
        return value


def leave_one_out(
    q: td.Distribution, f: Integrand, samples: int = 2, generator: Generator | None = None
) -> Float[Tensor, "b"]:
    """The score function with the mean of the *other* draws as each draw's baseline (Kool et al. 2019).

    Book: eq-score-function-leave-one-out.

    Raises:
        ValueError: `samples` is less than 2: there are no others.
    """
    if samples < 2:
        raise ValueError(
            f"leave-one-out compares each draw with the others and needs at least 2 samples, not {samples}"
        )
    return _with_baseline(q, f, draw(q, samples, generator), None)


class GumbelSoftmax:
    """A softmax in the place of the argmax: low variance and biased, the more so the higher the temperature.

    f meets vectors between the corners of the simplex (Jang et al. 2017; Maddison et al. 2017).
    """

    def __init__(self, temperature: float = 0.5) -> None:
        if not temperature > 0:
            raise ValueError(f"temperature must be positive, not {temperature}; towards 0 the draws become one-hot")
        self.temperature = temperature

    def __call__(
        self, q: td.Distribution, f: Integrand, samples: int = 1, generator: Generator | None = None
    ) -> Float[Tensor, "b"]:
        if not isinstance(q, td.OneHotCategorical):
            raise TypeError(f"the Gumbel-softmax relaxes a one-hot categorical, not {type(q).__name__}")
        return f((_noisy_logits(q, samples, generator) / self.temperature).softmax(-1)).mean(0)


def exact(q: td.Distribution, f: Integrand, samples: int = 1, generator: Generator | None = None) -> Float[Tensor, "b"]:
    """E_q[f(z)] by enumeration of the classes, with its exact gradient: what the estimators estimate.

    Nothing is drawn; `samples` and `generator` are there so that it can stand where an estimator stands.

    Raises:
        TypeError: `q` has no classes to enumerate.
    """
    if not isinstance(q, td.OneHotCategorical):
        raise TypeError(f"only the classes of a one-hot categorical can be enumerated, not {type(q).__name__}")
    classes = torch.eye(q.event_shape[0], dtype=q.probs.dtype, device=q.probs.device)
    values = f(classes[:, None].expand(-1, q.batch_shape[0], -1))
    return (q.probs.T * values).sum(0)


ESTIMATORS: dict[str, Callable[[], Estimator]] = {
    "pathwise": lambda: pathwise,
    "score-function": lambda: score_function,
    "running-mean": RunningMean,
    "leave-one-out": lambda: leave_one_out,
    "gumbel-softmax": GumbelSoftmax,
    "exact": lambda: exact,
}


def get(name: str) -> Estimator:
    """A fresh estimator by its name.

    Raises:
        ValueError: there is none; the message lists those there are.
    """
    if name not in ESTIMATORS:
        raise ValueError(f"there is no estimator {name!r}; the estimators are {', '.join(ESTIMATORS)}")
    return ESTIMATORS[name]()


def _with_baseline(q: td.Distribution, f: Integrand, z: Float[Tensor, "s b k"], baseline: float | None) -> Tensor:
    """The mean of f whose gradient is that of (f - baseline) log q; a baseline of None leaves one draw out."""
    values, log_q = f(z), q.log_prob(z)
    constant = values.detach()
    others = (constant.sum(0) - constant) / (len(z) - 1) if baseline is None else baseline
    return (values + (constant - others) * (log_q - log_q.detach())).mean(0)


def _noisy_logits(q: td.OneHotCategorical, samples: int, generator: Generator | None) -> Float[Tensor, "s b k"]:
    if samples < 1:
        raise ValueError(f"samples is how many draws to take for each example, at least 1, not {samples}")
    return q.logits + distributions.gumbel((samples, *q.logits.shape), q.logits, generator)


@torch.no_grad()
def log_evidence(
    model: VAE,
    x: Float[Tensor, "b c h w"],
    samples: int = 500,
    *,
    chunk: int = 100,
    generator: Generator | None = None,
) -> Float[Tensor, "b"]:
    """log (1/K) sum_k p(x, z_k) / q(z_k|x) with K = `samples` draws from q, in nats.

    Book: eq-elbo-iwae (Burda et al. 2016, eq. 8).

    A lower bound of log p(x) on average, which rises with K; equal to log p(x) for every K where q is the posterior.
    Memory is that of `chunk` draws. Under a Bernoulli likelihood x must be binary.

    Raises:
        ValueError: `samples` or `chunk` is less than 1, or the likelihood refuses the data.
    """
    if samples < 1 or chunk < 1:
        raise ValueError(f"samples and chunk must be at least 1, not {samples} and {chunk}")
    q = model.encode(x)
    total = x.new_full((len(x),), -math.inf)
    for start in range(0, samples, chunk):
        z = distributions.reparameterized(q, min(chunk, samples - start), generator)
        total = torch.logaddexp(total, log_weights(model, x, z, q).logsumexp(0))
    return total - math.log(samples)


def log_weights(
    model: VAE, x: Float[Tensor, "b c h w"], z: Float[Tensor, "s b m"], q: td.Independent
) -> Float[Tensor, "s b"]:
    """log p(x, z) - log q(z|x) for each draw: the logarithms of the importance weights, in nats. Book: eq-elbo-weights."""
    return log_likelihood(model, x, z) + model.prior.log_prob(z) - q.log_prob(z)


def log_likelihood(
    model: VAE | MixedVAE, x: Float[Tensor, "b c h w"], z: Float[Tensor, "s b m"]
) -> Float[Tensor, "s b"]:
    """log p(x|z) for each of s draws a picture, decoded as one batch."""
    repeated = x.expand(len(z), *x.shape).flatten(0, 1)
    likelihood = model.decode(z.flatten(0, 1))
    if likelihood.batch_shape + likelihood.event_shape != repeated.shape:
        shapes = tuple(likelihood.event_shape), tuple(x.shape[1:])
        raise ValueError(
            f"the decoder makes pictures of shape {shapes[0]}, but the data have {shapes[1]}; rebuild the model"
        )
    return likelihood.log_prob(repeated).unflatten(0, z.shape[:2])


@torch.no_grad()
def metropolis(
    log_density: Callable[[Float[Tensor, "n m"]], Float[Tensor, "n"]],
    start: Float[Tensor, "n m"],
    steps: int,
    *,
    scale: float = 0.5,
    generator: Generator | None = None,
) -> tuple[Float[Tensor, "t n m"], float]:
    """Random-walk Metropolis: n chains side by side, and the share of proposals they accepted (Metropolis et al. 1953).

    Book: eq-elbo-metropolis.

    Each step proposes z + scale * epsilon and accepts it with probability min(1, p(proposal) / p(z)). For the posterior of
    a VAE, `log_density` is z -> log p(x|z) + log p(z); its constant does not matter.

    Raises:
        ValueError: `steps` or `scale` is not positive, or a chain starts where the density is zero or not a number.
    """
    if steps < 1 or not scale > 0:
        raise ValueError(f"steps must be at least 1 and scale positive, not {steps} and {scale}")
    z, now = start, log_density(start)
    if not bool(now.isfinite().all()):
        raise ValueError("a chain starts where the log-density is not finite; start it at a point of the support")
    chain, accepted = [], 0.0
    for _ in range(steps):
        proposal = z + scale * torch.empty_like(z).normal_(generator=generator)
        then = log_density(proposal)
        take = torch.empty_like(now).uniform_(generator=generator).log() < then - now
        z, now = torch.where(take[:, None], proposal, z), torch.where(take, then, now)
        chain.append(z)
        accepted += take.double().mean().item()
    return torch.stack(chain), accepted / steps
