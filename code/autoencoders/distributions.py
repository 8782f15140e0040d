"""The distributions of the book, as `torch.distributions` objects whose `log_prob` is one number per example, in nats."""

import math
from collections.abc import Sequence
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
    low, high = (bound.item() for bound in scale.aminmax())
    if not 0 < low <= high < math.inf:
        raise ValueError(
            f"a standard deviation must be positive and finite, but the smallest here is {low:g} and the "
            f"largest {high:g}; a network should output its logarithm and pass it through `bounded_log_var`"
        )
    return td.Independent(td.Normal(mean, scale.expand_as(mean), validate_args=False), mean.dim() - 1)


def reparameterized(
    q: td.Independent, samples: int = 1, generator: torch.Generator | None = None
) -> Float[Tensor, "s b *event"]:
    """z = mean + scale * epsilon with epsilon ~ N(0, I): draws from a Gaussian `q` that gradients pass through.

    Book: eq-reparameterization-transform.

    Raises:
        ValueError: `samples` is less than 1.
        TypeError: `q` is not a Gaussian of this module.
    """
    if samples < 1:
        raise ValueError(f"samples is how many draws to take for each example, at least 1, not {samples}")
    if not isinstance(q.base_dist, td.Normal):
        raise TypeError(f"only a Gaussian can be drawn as mean + scale * epsilon, not {type(q.base_dist).__name__}")
    mean, scale = q.base_dist.loc, q.base_dist.scale
    epsilon = mean.new_empty(samples, *mean.shape).normal_(generator=generator)
    return mean + scale * epsilon


def bounded_log_var(raw: Float[Tensor, "..."], low: float = -12.0, high: float = 8.0) -> Float[Tensor, "..."]:
    """Log-variance squeezed smoothly into (low, high); its slope is 1 at `raw = 0` and positive everywhere.

    Book: eq-gaussian-bounded.

    A hard clamp would have zero gradient outside its range, so a unit that strays there could never come back.
    """
    if not low < 0 < high:
        raise ValueError(f"the bounds must lie on both sides of 0 (unit variance), not at {low} and {high}")
    # x / sqrt(1 + x^2) approaches its limits like 1/x^2, so its gradient outlives tanh's by far. Beyond |x| = 1 the same
    # function is written as sign(x) / sqrt(1 + 1/x^2): its derivative is then one product, without cancellation.
    limit = torch.where(raw > 0, high, -low).to(raw.dtype)
    x = raw / limit
    tail = x.abs() > 1
    inner, outer = torch.where(tail, 0.0, x), torch.where(tail, x, 1.0)
    return limit * torch.where(tail, outer.sign() * (1 + outer**-2).rsqrt(), inner * (1 + inner**2).rsqrt())


def bernoulli(logits: Float[Tensor, "b *event"]) -> td.Independent:
    """Independent Bernoulli pixels; `log_prob(x)` is `(b,)` and accepts only 0s and 1s.

    Raises (in `log_prob`):
        ValueError: `x` has grey values. Binarize it, or use `continuous_bernoulli`, whose density integrates to 1.
    """
    return td.Independent(_StrictBernoulli(logits=logits, validate_args=False), logits.dim() - 1, validate_args=False)


class _StrictBernoulli(td.Bernoulli):
    def log_prob(self, value: Tensor) -> Tensor:
        if (value * (1 - value)).abs().sum().item() != 0:  # a quarter of the time that two comparisons take
            raise ValueError(
                f"a Bernoulli likelihood is defined on 0 and 1, but the data hold values such as "
                f"{value[(value != 0) & (value != 1)].flatten()[0].item():.4g}; binarize them (`x > 0.5`, or a Bernoulli "
                f"draw with probability x), or use `continuous_bernoulli` for values in [0, 1]"
            )
        return super().log_prob(value)


def expected_bernoulli(logits: Float[Tensor, "b *event"]) -> td.Independent:
    """Black-and-white pixels seen through gray ones: `log_prob(x)` is the mean of log p(b) over the binarizations b of x.

    b has a white pixel with probability x. The mean is x log p + (1 - x) log(1 - p), the cross-entropy, in closed form: what
    training on pictures binarized anew estimates, without that estimate's noise. It is no density of x; as a mean of
    log-probabilities of binary pictures it is at most 0.

    Raises (in `log_prob`):
        ValueError: `x` leaves [0, 1].
    """
    return td.Independent(_ExpectedBernoulli(logits=logits, validate_args=False), logits.dim() - 1, validate_args=False)


class _ExpectedBernoulli(td.Bernoulli):
    def log_prob(self, value: Tensor) -> Tensor:
        low, high = (bound.item() for bound in value.aminmax())
        if not (low >= 0 and high <= 1):
            raise ValueError(
                f"a gray value is a probability of white, in [0, 1], but the data reach from {low:.4g} to {high:.4g}"
            )
        logits = self.logits.expand(torch.broadcast_shapes(self.logits.shape, value.shape))
        return -F.binary_cross_entropy_with_logits(logits, value.expand_as(logits), reduction="none")


def continuous_bernoulli(logits: Float[Tensor, "b *event"]) -> td.Independent:
    """A density on [0, 1] with the Bernoulli's form and its own normalizer (Loaiza-Ganem and Cunningham 2019, eq. 7).

    Raises (in `log_prob`):
        ValueError: `x` leaves [0, 1].
    """
    return td.Independent(_ContinuousBernoulli(logits), logits.dim() - 1)


class _ContinuousBernoulli(td.Distribution):
    """p(x) = C exp(l x) / (1 + exp(l)) for logits l, with C = l / tanh(l / 2), which is 2 at l = 0.

    Written in the logits: torch's own rounds the probability first and, in single precision, stops integrating to 1
    where |l| > 16.
    """

    arg_constraints: ClassVar[dict] = {}

    def __init__(self, logits: Tensor) -> None:
        self.logits = logits
        super().__init__(batch_shape=logits.shape, validate_args=False)

    def _split(self) -> tuple[Tensor, Tensor]:
        """Where |l| is too small to divide by, and the logits with those places filled (so that gradients stay finite)."""
        small = self.logits.abs() < 0.1
        return small, torch.where(small, 1.0, self.logits)

    def log_prob(self, value: Tensor) -> Tensor:
        if not bool(((value >= 0) & (value <= 1)).all()):
            raise ValueError(
                f"a continuous Bernoulli lives on [0, 1], but the data reach from {value.min().item():.4g} to "
                f"{value.max().item():.4g}; rescale them, or use `normal` for data without bounds"
            )
        small, safe = self._split()
        normalizer = torch.log(safe / torch.tanh(safe / 2))
        series = math.log(2) + self.logits**2 / 12 - 7 * self.logits**4 / 1440
        return self.logits * value - F.softplus(self.logits) + torch.where(small, series, normalizer)

    @property
    def mean(self) -> Tensor:
        small, safe = self._split()
        return torch.where(
            small, 0.5 + self.logits / 12 - self.logits**3 / 720, 0.5 + 0.5 / torch.tanh(safe / 2) - 1 / safe
        )

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        u = torch.rand(*sample_shape, *self.logits.shape, dtype=self.logits.dtype, device=self.logits.device)
        l = torch.where(self.logits.abs() < 1e-5, 1e-5, self.logits)
        # The inverse of the distribution function (1 - exp(l x)) / (1 - exp(l)), mirrored so that exp never overflows.
        x = -torch.log1p(u * torch.expm1(-l.abs())) / l.abs()
        return torch.where(l > 0, 1 - x, x)


def categorical(logits: Float[Tensor, "b *event classes"]) -> td.Independent:
    """Independent categorical variables over the last dimension; `log_prob(k)` of indices `(b, *event)` is `(b,)`."""
    return td.Independent(td.Categorical(logits=logits, validate_args=False), logits.dim() - 2)


def one_hot(logits: Float[Tensor, "b k"]) -> td.OneHotCategorical:
    """One of k classes as a vector with a single 1; `log_prob` of vectors `(b, k)` is `(b,)`."""
    return td.OneHotCategorical(logits=logits, validate_args=False)


def gumbel(shape: Sequence[int], like: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Standard Gumbel noise: `argmax(logits + noise)` is a draw from the categorical distribution (Gumbel 1954)."""
    u = like.new_empty(*shape).uniform_(generator=generator)
    return -torch.log(-torch.log(u.clamp(min=torch.finfo(u.dtype).tiny)))


class _DiscretizedLogistic(td.Distribution):
    """A logistic density summed over the bins around 0/(levels-1), 1/(levels-1), ..., 1; the end bins take the tails."""

    arg_constraints: ClassVar[dict] = {}

    def __init__(self, location: Tensor, log_scale: Tensor, levels: int) -> None:
        self.location, self.log_scale, self.levels = location, log_scale.expand_as(location), levels
        super().__init__(batch_shape=location.shape, validate_args=False)

    def log_prob(self, value: Tensor) -> Tensor:
        step = 1 / (self.levels - 1)
        if not bool(((value / step - (value / step).round()).abs() < 0.01).all() & ((value >= 0) & (value <= 1)).all()):
            raise ValueError(
                f"the {self.levels} levels are 0, 1/{self.levels - 1}, ..., 1, but the data hold other values (between "
                f"{value.min().item():.4g} and {value.max().item():.4g}); round them, `(x * {self.levels - 1}).round() "
                f"/ {self.levels - 1}`"
            )
        inverse = torch.exp(-self.log_scale)
        above, below = (value - self.location + step / 2) * inverse, (value - self.location - step / 2) * inverse
        # log(sigmoid(a) - sigmoid(b)), a > b, without cancellation: log sig(a) + log sig(-b) + log(1 - exp(b - a)).
        # In the end bins a or b is infinite, so that two of the three terms are zero.
        first, last = value < step / 2, value > 1 - step / 2
        inside = F.logsigmoid(above) + F.logsigmoid(-below) + torch.log(-torch.expm1(-step * inverse))
        return torch.where(first, F.logsigmoid(above), torch.where(last, F.logsigmoid(-below), inside))

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        u = torch.rand(*sample_shape, *self.location.shape, dtype=self.location.dtype, device=self.location.device)
        x = self.location + torch.exp(self.log_scale) * torch.logit(u, eps=torch.finfo(u.dtype).tiny)
        return (x.clamp(0, 1) * (self.levels - 1)).round() / (self.levels - 1)


def discretized_logistic(
    location: Float[Tensor, "b *event"], log_scale: Float[Tensor, "..."] | float, levels: int = 256
) -> td.Independent:
    """Probabilities of `levels` equally spaced values in [0, 1] under a binned logistic (Kingma et al. 2016, sec. 5.3).

    `log_prob(x)` is `(b,)`.

    Raises (in `log_prob`):
        ValueError: `x` is not one of the levels.
    """
    log_scale = torch.as_tensor(log_scale, dtype=location.dtype, device=location.device)
    return td.Independent(_DiscretizedLogistic(location, log_scale, levels), location.dim() - 1)


def kl_to_standard_normal(mean: Float[Tensor, "b m"], log_var: Float[Tensor, "b m"]) -> Float[Tensor, "b"]:
    """KL(N(mean, diag exp(log_var)) || N(0, I)) in nats, summed over the m coordinates.

    Book: eq-gaussian-kl (Kingma and Welling 2014, app. B).
    """
    return 0.5 * (mean**2 + torch.expm1(log_var) - log_var).flatten(1).sum(1)


def kl_normal(
    mu_p: Float[Tensor, "..."] | float,
    sigma_p: Float[Tensor, "..."] | float,
    mu_q: Float[Tensor, "..."] | float,
    sigma_q: Float[Tensor, "..."] | float,
) -> Float[Tensor, "..."]:
    """KL(N(mu_p, sigma_p^2) || N(mu_q, sigma_q^2)) in nats, coordinate by coordinate. Book: eq-probability-kl-gaussian."""
    p, q = (td.Normal(torch.as_tensor(m), torch.as_tensor(s)) for m, s in ((mu_p, sigma_p), (mu_q, sigma_q)))
    return td.kl_divergence(p, q)
