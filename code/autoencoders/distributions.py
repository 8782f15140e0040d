"""The distributions of the book, as `torch.distributions` objects whose `log_prob` is one number per example, in nats."""

from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor
from torch import distributions as td
from torch.nn import functional as F


def normal(mean: Float[Tensor, "b *event"], scale: Float[Tensor, "..."] | float = 1.0) -> td.Independent:
    """A Gaussian with independent coordinates; `scale` is the standard deviation, never the variance or its log.

    Book: eq-probability-gaussian. `log_prob(x)` has shape `(b,)`: it is summed over the event and keeps its constant.

    Raises:
        ValueError: `scale` is zero, negative or not finite.
    """
    scale = torch.as_tensor(scale, dtype=mean.dtype, device=mean.device)
    if not bool(((scale > 0) & scale.isfinite()).all()):
        raise ValueError(
            f"a standard deviation must be positive and finite, but the smallest here is {scale.min().item():g} and the "
            f"largest {scale.max().item():g}; a network should output its logarithm and pass it through `bounded_log_var`"
        )
    return td.Independent(td.Normal(mean, scale.expand_as(mean), validate_args=False), mean.dim() - 1)


def bounded_log_var(raw: Float[Tensor, "..."], low: float = -12.0, high: float = 8.0) -> Float[Tensor, "..."]:
    """Log-variance squeezed smoothly into (low, high); its slope at `raw = 0` is 1 and nowhere exactly zero.

    A hard clamp would have zero gradient outside its range, so a unit that strays there could never come back.
    """
    if not low < 0 < high:
        raise ValueError(f"the bounds must lie on both sides of 0 (unit variance), not at {low} and {high}")
    # x / sqrt(1 + x^2) approaches its limits like 1/x^2, so the gradient stays far above rounding where tanh's is lost.
    limit = torch.where(raw > 0, high, -low).to(raw.dtype)
    scaled = raw / limit
    return limit * scaled / (1 + scaled**2).sqrt()


def bernoulli(logits: Float[Tensor, "b *event"]) -> td.Independent:
    """Independent Bernoulli pixels; `log_prob(x)` is `(b,)` and accepts only 0s and 1s.

    Raises (in `log_prob`):
        ValueError: `x` has grey values. Binarize it, or use `continuous_bernoulli`, whose density integrates to 1.
    """
    return td.Independent(_StrictBernoulli(logits=logits), logits.dim() - 1)


class _StrictBernoulli(td.Bernoulli):
    def log_prob(self, value: Tensor) -> Tensor:
        if not bool(((value == 0) | (value == 1)).all()):
            raise ValueError(
                f"a Bernoulli likelihood is defined on 0 and 1, but the data hold values such as "
                f"{value[(value != 0) & (value != 1)].flatten()[0].item():.4g}; binarize them (`x > 0.5`, or a Bernoulli "
                f"draw with probability x), or use `continuous_bernoulli` for values in [0, 1]"
            )
        return super().log_prob(value)


def continuous_bernoulli(logits: Float[Tensor, "b *event"]) -> td.Independent:
    """A density on [0, 1] with the Bernoulli's form and its own normalizer (Loaiza-Ganem and Cunningham 2019, eq. 7)."""
    return td.Independent(td.ContinuousBernoulli(logits=logits, validate_args=False), logits.dim() - 1)


def categorical(logits: Float[Tensor, "b *event classes"]) -> td.Independent:
    """Independent categorical variables over the last dimension; `log_prob(k)` of indices `(b, *event)` is `(b,)`."""
    return td.Independent(td.Categorical(logits=logits, validate_args=False), logits.dim() - 2)


class _DiscretizedLogistic(td.Distribution):
    """A logistic density summed over the bins around 0/(levels-1), 1/(levels-1), ..., 1; the end bins take the tails."""

    arg_constraints: ClassVar[dict] = {}

    def __init__(self, mean: Tensor, log_scale: Tensor, levels: int) -> None:
        self.mean_, self.log_scale, self.levels = mean, log_scale.expand_as(mean), levels
        super().__init__(batch_shape=mean.shape, validate_args=False)

    def log_prob(self, value: Tensor) -> Tensor:
        half = 0.5 / (self.levels - 1)
        inverse = torch.exp(-self.log_scale)
        above, below = (value - self.mean_ + half) * inverse, (value - self.mean_ - half) * inverse
        above = torch.where(value > 1 - half, torch.inf, above)
        below = torch.where(value < half, -torch.inf, below)
        # log(sigmoid(a) - sigmoid(b)), a > b, without cancellation: log sig(a) + log sig(-b) + log(1 - exp(b - a)).
        return F.logsigmoid(above) + F.logsigmoid(-below) + torch.log(-torch.expm1(below - above))


def discretized_logistic(
    mean: Float[Tensor, "b *event"], log_scale: Float[Tensor, "..."], levels: int = 256
) -> td.Independent:
    """Probabilities of `levels` equally spaced values in [0, 1] under a binned logistic (Kingma et al. 2016, sec. 5.3)."""
    return td.Independent(_DiscretizedLogistic(mean, torch.as_tensor(log_scale), levels), mean.dim())


def kl_to_standard_normal(mean: Float[Tensor, "b m"], log_var: Float[Tensor, "b m"]) -> Float[Tensor, "b"]:
    """KL(N(mean, diag exp(log_var)) || N(0, I)) in nats, summed over the m coordinates (Kingma and Welling 2014, app. B)."""
    return 0.5 * (mean**2 + log_var.exp() - 1 - log_var).flatten(1).sum(1)


def kl_normal(
    mu_p: Float[Tensor, "..."] | float,
    sigma_p: Float[Tensor, "..."] | float,
    mu_q: Float[Tensor, "..."] | float,
    sigma_q: Float[Tensor, "..."] | float,
) -> Float[Tensor, "..."]:
    """KL(N(mu_p, sigma_p^2) || N(mu_q, sigma_q^2)) in nats, coordinate by coordinate. Book: eq-probability-kl-gaussian."""
    p, q = (td.Normal(torch.as_tensor(m), torch.as_tensor(s)) for m, s in ((mu_p, sigma_p), (mu_q, sigma_q)))
    return td.kl_divergence(p, q)
