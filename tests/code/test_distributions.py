"""Densities that integrate to 1, constants that are right, samples that follow them, and data that are refused."""

import math

import numpy as np
import pytest
import scipy.stats
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import distributions as td

from autoencoders import distributions

LEVELS = torch.arange(256) / 255
EVENTS = [(), (7,), (1, 6, 5), (3, 4, 4)]


def every_distribution(event: tuple[int, ...], b: int = 4):
    """(name, distribution over `event`, data it accepts) for each constructor."""
    generator = torch.Generator().manual_seed(1)
    raw = torch.randn(b, *event, generator=generator)
    unit = torch.rand(b, *event, generator=generator)
    classes = torch.randn(b, *event, 5, generator=generator)
    return [
        ("normal", distributions.normal(raw, 0.7), raw + unit),
        ("bernoulli", distributions.bernoulli(raw), (unit > 0.5).float()),
        ("continuous_bernoulli", distributions.continuous_bernoulli(raw), unit),
        ("discretized_logistic", distributions.discretized_logistic(unit, -1.5), (unit * 255).round() / 255),
        ("categorical", distributions.categorical(classes), (unit * 5).long()),
    ]


# Event dimensions (T1) ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("event", EVENTS)
def test_log_prob_is_one_number_per_example_and_additive_over_the_event(event):
    for name, p, x in every_distribution(event):
        log_prob = p.log_prob(x)
        assert log_prob.shape == (4,), name
        assert torch.allclose(log_prob, p.base_dist.log_prob(x).reshape(4, -1).sum(1), rtol=1e-6), name


@pytest.mark.parametrize("event", EVENTS)
def test_samples_have_the_shape_of_the_data(event):
    for name, p, x in every_distribution(event):
        assert p.sample().shape == x.shape, name
        assert p.sample((6,)).shape == (6, *x.shape), name


@settings(max_examples=20, deadline=None)
@given(repeats=st.integers(1, 4), seed=st.integers(0, 1000))
def test_repeating_the_batch_leaves_every_log_prob_unchanged(repeats, seed):
    generator = torch.Generator().manual_seed(seed)
    mean, x = torch.randn(2, 3, 1, 4, 4, generator=generator)
    once = distributions.normal(mean, 0.5).log_prob(x)
    again = distributions.normal(mean.repeat(repeats, 1, 1, 1), 0.5).log_prob(x.repeat(repeats, 1, 1, 1))
    assert torch.equal(again, once.repeat(repeats))


# Densities integrate or sum to 1 (T2) ---------------------------------------------------------------------------------


@pytest.mark.parametrize("mean, scale", [(0.0, 1.0), (-3.0, 0.05), (2.0, 4.0)])
def test_normal_integrates_to_one_on_a_line(mean, scale):
    x = torch.linspace(mean - 12 * scale, mean + 12 * scale, 20_001, dtype=torch.float64)
    p = distributions.normal(torch.full((len(x), 1), mean, dtype=torch.float64), scale)
    assert torch.trapezoid(p.log_prob(x[:, None]).exp(), x).item() == pytest.approx(1, abs=1e-9)


def test_normal_integrates_to_one_on_a_plane():
    a = torch.linspace(-14, 14, 801, dtype=torch.float64)
    x = torch.cartesian_prod(a, a)
    mean, scale = torch.tensor([[0.5, -1.0]], dtype=torch.float64), torch.tensor([0.4, 1.7], dtype=torch.float64)
    density = distributions.normal(mean.expand_as(x), scale).log_prob(x).exp().reshape(801, 801)
    assert torch.trapezoid(torch.trapezoid(density, a), a).item() == pytest.approx(1, abs=1e-9)


def test_a_bernoulli_over_three_pixels_sums_to_one():
    pictures = torch.cartesian_prod(*[torch.tensor([0.0, 1.0])] * 3)
    p = distributions.bernoulli(torch.tensor([[-2.0, 0.3, 5.0]]).expand(8, 3))
    assert p.log_prob(pictures).exp().sum().item() == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("logit", [-300.0, -40.0, -5.0, -0.101, -0.099, 0.0, 1e-6, 0.02, 0.5, 5.0, 20.0, 40.0, 300.0])
def test_continuous_bernoulli_integrates_to_one_however_extreme_its_logit(logit, dtype):
    x = torch.linspace(0, 1, 100_001, dtype=torch.float64)
    p = distributions.continuous_bernoulli(torch.full((len(x), 1), logit, dtype=dtype))
    density = p.log_prob(x.to(dtype)[:, None]).exp().double()
    assert torch.trapezoid(density, x).item() == pytest.approx(1, abs=2e-6)
    assert p.mean[0].item() == pytest.approx(torch.trapezoid(density * x, x).item(), abs=2e-6)


def test_torch_s_own_continuous_bernoulli_fails_that_check():
    x = torch.linspace(0, 1, 100_001)
    density = td.ContinuousBernoulli(logits=torch.tensor(40.0), validate_args=False).log_prob(x).exp()
    assert torch.trapezoid(density.double(), x.double()).item() < 0.5


@pytest.mark.parametrize("log_scale", [-100.0, -20.0, -7.0, -3.0, 0.0, 5.0, 20.0, 100.0])
@pytest.mark.parametrize("location", [-3.0, 0.0, 0.4, 1.0, 1.5])
def test_discretized_logistic_sums_to_one_over_its_levels(location, log_scale):
    p = distributions.discretized_logistic(torch.full((256, 1), location), log_scale)
    probability = p.log_prob(LEVELS[:, None]).exp()
    assert not probability.isnan().any()
    assert probability.double().sum().item() == pytest.approx(1, abs=2e-6)


@pytest.mark.parametrize("levels", [2, 3, 16])
def test_discretized_logistic_sums_to_one_for_any_number_of_levels(levels):
    x = torch.arange(levels)[:, None] / (levels - 1)
    p = distributions.discretized_logistic(torch.full((levels, 1), 0.3), -1.0, levels)
    assert p.log_prob(x).exp().sum().item() == pytest.approx(1, abs=1e-6)


def test_the_end_levels_take_the_tails():
    p = distributions.discretized_logistic(torch.full((3, 1), 0.2), -2.0)
    cdf = scipy.stats.logistic(loc=0.2, scale=math.exp(-2)).cdf
    expected = [cdf(0.5 / 255), cdf(1.5 / 255) - cdf(0.5 / 255), 1 - cdf(1 - 0.5 / 255)]
    assert np.allclose(p.log_prob(torch.tensor([[0.0], [1 / 255], [1.0]])).exp(), expected, rtol=1e-3)


def test_the_integral_check_fails_on_a_density_without_its_constant():
    x = torch.linspace(-12, 12, 20_001, dtype=torch.float64)
    assert abs(torch.trapezoid((-0.5 * x**2).exp(), x).item() - 1) > 1


# Constants (T2) -------------------------------------------------------------------------------------------------------


def test_constants_agree_with_scipy():
    x = torch.tensor([[-1.0, 0.3, 2.5]])
    mean, scale = torch.tensor([[0.2, -0.4, 1.0]]), torch.tensor([0.5, 1.0, 3.0])
    covariance = np.diag(np.square([0.5, 1.0, 3.0]))
    oracle = scipy.stats.multivariate_normal([0.2, -0.4, 1.0], covariance).logpdf(x.numpy()[0])
    assert distributions.normal(mean, scale).log_prob(x).item() == pytest.approx(oracle, rel=1e-6)
    k = torch.tensor([[1.0, 0.0, 1.0]])
    oracle = scipy.stats.bernoulli(1 / (1 + np.exp(-mean.numpy()))).logpmf(k.numpy()).sum()
    assert distributions.bernoulli(mean).log_prob(k).item() == pytest.approx(oracle, rel=1e-6)


@given(logit=st.floats(-10, 10), x=st.floats(0, 1))
@settings(deadline=None)
def test_continuous_bernoulli_agrees_with_torch_in_double_precision(logit, x):
    value = torch.tensor([[x]], dtype=torch.float64)
    raw = torch.tensor([[logit]], dtype=torch.float64)
    ours = distributions.continuous_bernoulli(raw)
    oracle = td.ContinuousBernoulli(logits=raw, lims=(0.4999, 0.5001))
    assert ours.log_prob(value).item() == pytest.approx(oracle.log_prob(value).item(), abs=1e-7)
    assert ours.mean.item() == pytest.approx(oracle.mean.item(), abs=1e-6)


def test_categorical_agrees_with_log_softmax():
    logits, k = torch.randn(4, 3, 6, generator=torch.Generator().manual_seed(0)), torch.tensor([[0, 1, 5]] * 4)
    oracle = logits.log_softmax(-1).gather(-1, k[..., None]).sum((1, 2))
    assert torch.allclose(distributions.categorical(logits).log_prob(k), oracle)


# Samples follow the density, and a variance is not a scale (T9) --------------------------------------------------------


def chi_square(samples: torch.Tensor, log_prob, edges: torch.Tensor) -> float:
    """p-value of the histogram of `samples` against the density's mass between `edges` (Simpson's rule)."""
    counts = torch.histogram(samples, edges).hist.double()
    middle = (edges[1:] + edges[:-1]) / 2
    a, m, b = (log_prob(x).exp() for x in (edges[:-1], middle, edges[1:]))
    mass = (edges[1:] - edges[:-1]) * (a + 4 * m + b) / 6
    expected = mass / mass.sum() * counts.sum()
    return scipy.stats.chisquare(counts.numpy(), expected.numpy()).pvalue


def column(build, x: torch.Tensor):
    return build(len(x)).log_prob(x[:, None])


@pytest.mark.parametrize("scale", [0.3, 2.0])
def test_normal_samples_match_the_density_and_a_variance_taken_for_a_scale_does_not(scale):
    torch.manual_seed(0)
    edges = torch.linspace(-2.5 * scale, 2.5 * scale, 41, dtype=torch.float64)

    def build(n: int, s: float = scale):
        return distributions.normal(torch.zeros(n, 1, dtype=torch.float64), s)

    x = build(100_000).sample().flatten()
    assert x.var().item() == pytest.approx(scale**2, rel=4 * math.sqrt(2 / 100_000))
    assert chi_square(x, lambda e: column(build, e), edges) > 1e-3
    wrong = build(100_000, scale**2).sample().flatten()  # exp(log_var) handed over as if it were sigma
    assert chi_square(wrong, lambda e: column(build, e), edges) < 1e-6


@pytest.mark.parametrize("logit", [-25.0, -2.0, 0.0, 0.015, 1.0, 6.0])
def test_continuous_bernoulli_samples_match_the_density(logit):
    torch.manual_seed(0)

    def build(n: int):
        return distributions.continuous_bernoulli(torch.full((n, 1), logit, dtype=torch.float64))

    x = build(100_000).sample().flatten()
    edges = torch.quantile(x, torch.linspace(0.02, 0.98, 31, dtype=torch.float64))
    assert chi_square(x, lambda e: column(build, e), edges) > 1e-3


@pytest.mark.parametrize("location, log_scale", [(0.4, -1.5), (-0.1, -2.0), (0.95, 0.0)])
def test_discretized_logistic_samples_match_the_probabilities(location, log_scale):
    torch.manual_seed(0)
    levels = 16
    p = distributions.discretized_logistic(torch.full((100_000, 1), location), log_scale, levels)
    counts = torch.bincount((p.sample().flatten() * (levels - 1)).round().long(), minlength=levels)
    x = torch.arange(levels)[:, None] / (levels - 1)
    mass = distributions.discretized_logistic(torch.full((levels, 1), location), log_scale, levels).log_prob(x).exp()
    expected = mass.double() / mass.double().sum() * 100_000
    keep = expected > 5
    counts, expected = counts[keep].double(), expected[keep]
    assert scipy.stats.chisquare(counts, expected / expected.sum() * counts.sum()).pvalue > 1e-3


# Refused data (T2) ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [0.5, -1.0, 2.0, 1e-6, math.nan])
def test_bernoulli_refuses_gray_pixels_and_says_what_to_do(bad):
    x = torch.zeros(2, 1, 4, 4)
    p = distributions.bernoulli(torch.zeros_like(x))
    p.log_prob(x), p.log_prob(torch.ones_like(x))  # these are fine
    x[1, 0, 2, 3] = bad
    with pytest.raises(ValueError, match=r"0 and 1.*binarize.*continuous_bernoulli"):
        p.log_prob(x)


def test_torch_s_bernoulli_without_its_checks_takes_gray_pixels_silently():
    total = sum(td.Bernoulli(logits=torch.tensor(1.0), validate_args=False).log_prob(x).exp() for x in LEVELS)
    assert total > 100  # "probabilities" of the 256 gray levels add up to far more than 1


@pytest.mark.parametrize("bad", [-0.01, 1.01, math.nan])
def test_continuous_bernoulli_refuses_values_outside_the_unit_interval(bad):
    with pytest.raises(ValueError, match=r"\[0, 1\].*rescale"):
        distributions.continuous_bernoulli(torch.zeros(1, 2)).log_prob(torch.tensor([[0.5, bad]]))


@pytest.mark.parametrize("bad", [0.5 / 255, -1 / 255, 256 / 255, math.nan])
def test_discretized_logistic_refuses_values_between_its_levels(bad):
    with pytest.raises(ValueError, match=r"256 levels.*round"):
        distributions.discretized_logistic(torch.zeros(1, 2), 0.0).log_prob(torch.tensor([[0.0, bad]]))


@pytest.mark.parametrize("bad", [0.0, -1.0, math.inf, math.nan])
def test_normal_refuses_a_scale_that_is_no_standard_deviation(bad):
    with pytest.raises(ValueError, match="standard deviation must be positive and finite"):
        distributions.normal(torch.zeros(2, 3), torch.tensor([1.0, bad, 1.0]))


# Bounded log-variance (T3) --------------------------------------------------------------------------------------------


def worst_gradient(bound, reach: float) -> float:
    """The smallest slope of `bound` over [-reach, reach]; nan if any is not finite."""
    raw = torch.cat([torch.linspace(-reach, reach, 10_001), torch.linspace(-20, 20, 10_001), torch.zeros(1)])
    raw.requires_grad_()
    value = bound(raw)
    (gradient,) = torch.autograd.grad(value.sum(), raw)
    return gradient.min().item() if bool(gradient.isfinite().all() & value.isfinite().all()) else math.nan


def test_the_bounded_log_variance_always_passes_a_gradient():
    assert worst_gradient(distributions.bounded_log_var, 1e3) > 1e-8
    assert worst_gradient(distributions.bounded_log_var, 1e6) > 0


def test_a_hard_clamp_fails_that_check():
    assert worst_gradient(lambda raw: raw.clamp(-12, 8), 1e3) == 0


def test_tanh_fails_that_check():
    assert worst_gradient(lambda raw: 10 * torch.tanh(raw / 10), 1e3) == 0


@given(raw=st.floats(-1e6, 1e6), low=st.floats(-30, -0.5), high=st.floats(0.5, 30))
@settings(deadline=None)
def test_the_bounded_log_variance_keeps_its_bounds_order_and_sign(raw, low, high):
    near, far = distributions.bounded_log_var(torch.tensor([raw, raw + abs(raw) * 0.01]), low, high).tolist()
    assert low * (1 + 1e-6) <= near <= far + 1e-5 <= high * (1 + 1e-6) + 1e-5
    assert near * raw >= 0


def test_the_bounded_log_variance_is_the_identity_to_first_order_at_unit_variance():
    raw = torch.tensor([-1e-3, 0.0, 1e-3], dtype=torch.float64, requires_grad=True)
    bounded = distributions.bounded_log_var(raw)
    (gradient,) = torch.autograd.grad(bounded.sum(), raw)
    assert torch.allclose(bounded, raw, atol=1e-9) and torch.allclose(gradient, torch.ones_like(raw), atol=1e-6)


def test_bounds_on_one_side_of_zero_are_refused():
    with pytest.raises(ValueError, match="both sides of 0"):
        distributions.bounded_log_var(torch.zeros(1), 1.0, 8.0)


@pytest.mark.parametrize("log_scale", [-12.0, -3.0, 0.0, 8.0])
def test_discretized_logistic_has_finite_gradients_in_every_bin(log_scale):
    location = torch.full((256, 1), 0.4, requires_grad=True)
    raw = torch.full((256, 1), log_scale, requires_grad=True)
    distributions.discretized_logistic(location, raw).log_prob(LEVELS[:, None]).sum().backward()
    assert location.grad.isfinite().all() and raw.grad.isfinite().all()


@pytest.mark.parametrize("logit", [-200.0, -0.1, 0.0, 0.1, 200.0])
def test_continuous_bernoulli_has_finite_gradients(logit):
    raw = torch.full((3, 1), logit, requires_grad=True)
    p = distributions.continuous_bernoulli(raw)
    (p.log_prob(torch.tensor([[0.0], [0.5], [1.0]])).sum() + p.mean.sum()).backward()
    assert raw.grad.isfinite().all()


# Closed-form KLs ------------------------------------------------------------------------------------------------------


@given(st.floats(-3, 3), st.floats(0.1, 3), st.floats(-3, 3), st.floats(0.1, 3))
@settings(max_examples=50, deadline=None)
def test_kl_between_gaussians_agrees_with_torch_and_with_the_book_s_formula(mu_p, sigma_p, mu_q, sigma_q):
    measured = distributions.kl_normal(mu_p, sigma_p, mu_q, sigma_q).item()
    oracle = td.kl_divergence(td.Normal(mu_p, sigma_p), td.Normal(mu_q, sigma_q)).item()
    by_hand = math.log(sigma_q / sigma_p) + (sigma_p**2 + (mu_p - mu_q) ** 2) / (2 * sigma_q**2) - 0.5
    assert measured == pytest.approx(oracle, rel=1e-5, abs=1e-5)
    assert measured == pytest.approx(by_hand, rel=1e-5, abs=1e-5)
    assert measured >= -1e-6


def test_kl_between_gaussians_takes_whole_numbers_and_arrays():
    assert distributions.kl_normal(0, 1, 0, 1).item() == 0
    assert distributions.kl_normal(torch.zeros(2, 3), 1.0, 1.0, 2.0).shape == (2, 3)


@pytest.mark.parametrize(
    "mu_p, sigma_p, mu_q, sigma_q", [(0.0, 1.0, 1.5, 0.6), (-1.0, 0.2, 0.0, 1.0), (0.0, 2.0, 0.0, 1.0)]
)
def test_kl_between_gaussians_lies_within_four_standard_errors_of_monte_carlo(mu_p, sigma_p, mu_q, sigma_q):
    torch.manual_seed(0)
    p, q = td.Normal(mu_p, sigma_p), td.Normal(mu_q, sigma_q)
    x = p.sample((200_000,)).double()
    ratios = p.log_prob(x) - q.log_prob(x)
    error = ratios.std().item() / math.sqrt(len(x))
    assert abs(ratios.mean().item() - distributions.kl_normal(mu_p, sigma_p, mu_q, sigma_q).item()) < 4 * error


def test_kl_to_the_standard_normal_is_the_sum_of_the_one_dimensional_ones():
    generator = torch.Generator().manual_seed(0)
    mean, log_var = torch.randn(2, 5, 3, generator=generator)
    measured = distributions.kl_to_standard_normal(mean, log_var)
    oracle = td.kl_divergence(
        td.Independent(td.Normal(mean, (0.5 * log_var).exp()), 1),
        td.Independent(td.Normal(torch.zeros_like(mean), torch.ones_like(mean)), 1),
    )
    assert measured.shape == (5,)
    assert torch.allclose(measured, oracle, rtol=1e-5)
    assert torch.allclose(measured, distributions.kl_normal(mean, (0.5 * log_var).exp(), 0.0, 1.0).sum(1), rtol=1e-5)


def test_kl_to_the_standard_normal_within_four_standard_errors_of_monte_carlo():
    torch.manual_seed(0)
    mean, log_var = torch.tensor([[0.5, -1.0]]), torch.tensor([[-1.0, 0.7]])
    q = distributions.normal(mean.expand(100_000, 2), (0.5 * log_var).exp())
    z = q.sample()
    ratios = (q.log_prob(z) - distributions.normal(torch.zeros_like(z)).log_prob(z)).double()
    error = ratios.std().item() / math.sqrt(len(ratios))
    exact = distributions.kl_to_standard_normal(mean, log_var).item()
    assert abs(ratios.mean().item() - exact) < 4 * error
    assert abs(distributions.kl_to_standard_normal(mean, 2 * log_var).item() - exact) > 40 * error  # T9: told apart


def test_kl_to_the_standard_normal_is_zero_at_it_and_never_negative_beside_it():
    assert distributions.kl_to_standard_normal(torch.zeros(3, 2), torch.zeros(3, 2)).eq(0).all()
    log_var = torch.logspace(-12, 0, 200)[:, None] * torch.tensor([[1.0], [-1.0]]).repeat(100, 1)
    assert distributions.kl_to_standard_normal(torch.zeros_like(log_var), log_var).ge(0).all()
