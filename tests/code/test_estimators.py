"""Every estimator against the exact gradient; every claim of unbiasedness within four standard errors."""

import math

import pytest
import torch

from autoencoders import distributions, estimators

TARGET = torch.tensor([0.2, -1.0, 0.7, 1.5], dtype=torch.float64)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def curved(z):
    """Not linear in z, so that the relaxation's bias shows."""
    return ((z * TARGET).sum(-1) - 0.3) ** 2 + 1.0


def gradient_samples(name, logits, samples, count=4000, integrand=curved):
    """`count` independent gradients with respect to one example's logits, one for each row of a batch."""
    estimator, many = estimators.get(name), logits.expand(count, -1).clone().requires_grad_()
    estimator(distributions.one_hot(many), integrand, samples, generator()).sum().backward()
    return many.grad


def exact_gradient(logits, integrand=curved):
    logits = logits.clone().requires_grad_()
    estimators.exact(distributions.one_hot(logits), integrand).sum().backward()
    return logits.grad[0]


@pytest.fixture
def logits():
    return torch.tensor([[0.5, -0.2, 0.1, -1.0]], dtype=torch.float64)


@pytest.mark.parametrize(
    ("name", "samples"), [("score-function", 1), ("score-function", 4), ("leave-one-out", 2), ("leave-one-out", 8)]
)
def test_score_functions_are_unbiased(name, samples, logits):
    drawn = gradient_samples(name, logits, samples)
    error = drawn.std(0) / math.sqrt(len(drawn))
    assert ((drawn.mean(0) - exact_gradient(logits)).abs() < 4 * error).all()


def test_a_running_mean_leaves_the_gradient_unbiased_and_narrows_it(logits):
    def lifted(z):
        return curved(z) + 20

    estimator, drawn = estimators.RunningMean(0.5), []
    for seed in range(60):
        many = logits.expand(200, -1).clone().requires_grad_()
        estimator(distributions.one_hot(many), lifted, 1, generator(seed)).sum().backward()
        drawn.append(many.grad)
    settled = torch.cat(drawn[20:])
    error = settled.std(0) / math.sqrt(len(settled))
    assert ((settled.mean(0) - exact_gradient(logits)).abs() < 4 * error).all()
    assert settled.var(0).sum() < 0.05 * drawn[0].var(0).sum()


def test_leave_one_out_has_less_variance_at_equal_samples(logits):
    plain, centered = (gradient_samples(name, logits, 4).var(0).sum() for name in ("score-function", "leave-one-out"))
    assert centered < 0.5 * plain


def test_gumbel_softmax_is_biased_and_less_so_when_cold(logits):
    exact, bias, variance = exact_gradient(logits), [], []
    for temperature in (0.1, 1.0, 5.0):
        many = logits.expand(100_000, -1).clone().requires_grad_()
        estimators.GumbelSoftmax(temperature)(distributions.one_hot(many), curved, 1, generator()).sum().backward()
        bias.append((many.grad.mean(0) - exact).norm().item())
        variance.append(many.grad.var(0).sum().item())
    assert bias[0] < bias[1] < bias[2]
    assert variance[0] > variance[1] > variance[2]


def test_pathwise_matches_the_analytic_gradient_and_beats_the_score_function():
    """E[(z - 1)^2] for z ~ N(m, s^2) is (m - 1)^2 + s^2: its gradient is 2 (m - 1) and 2 s."""
    spread = {}
    for name in ("pathwise", "score-function"):
        mean = torch.full((20_000, 1), 0.4, dtype=torch.float64, requires_grad=True)
        scale = torch.full((20_000, 1), 0.8, dtype=torch.float64, requires_grad=True)
        q = distributions.normal(mean, scale)
        estimators.get(name)(q, lambda z: ((z - 1) ** 2).sum(-1), 1, generator()).sum().backward()
        for parameter, expected in ((mean, 2 * (0.4 - 1)), (scale, 2 * 0.8)):
            error = parameter.grad.std().item() / math.sqrt(20_000)
            assert abs(parameter.grad.mean().item() - expected) < 4 * error
        spread[name] = mean.grad.var().item()
    assert spread["pathwise"] < 0.5 * spread["score-function"]


@pytest.mark.parametrize("name", list(estimators.ESTIMATORS))
def test_the_value_is_the_mean_and_f_gets_its_own_gradient(name, logits):
    weight = torch.tensor(2.0, dtype=torch.float64, requires_grad=True)
    q = distributions.normal(logits, 1.0) if name == "pathwise" else distributions.one_hot(logits.expand(500, -1))
    value = estimators.get(name)(q, lambda z: weight * z.sum(-1), 4, generator())
    assert value.shape == q.batch_shape
    value.sum().backward()
    assert torch.isclose(weight.grad, value.sum() / 2)
    if name != "pathwise":
        torch.testing.assert_close(value, torch.full_like(value, 2.0))


def test_draws_have_the_probabilities_of_q(logits):
    drawn = estimators.draw(distributions.one_hot(logits), 100_000, generator())[:, 0]
    assert torch.equal(drawn.sum(1), torch.ones(100_000).double())
    torch.testing.assert_close(drawn.mean(0), logits.softmax(-1)[0], rtol=0, atol=0.01)


def test_misuse_is_refused_with_its_cure(logits):
    q = distributions.one_hot(logits)
    with pytest.raises(ValueError, match="the estimators are pathwise"):
        estimators.get("reinforce")
    with pytest.raises(TypeError, match="leave-one-out"):
        estimators.pathwise(q, curved)
    with pytest.raises(ValueError, match="at least 2"):
        estimators.leave_one_out(q, curved, 1)
    with pytest.raises(ValueError, match="at least 1"):
        estimators.score_function(q, curved, 0)
    with pytest.raises(ValueError, match="positive"):
        estimators.GumbelSoftmax(0.0)
    with pytest.raises(ValueError, match="decay"):
        estimators.RunningMean(1.0)
    with pytest.raises(TypeError, match="one-hot"):
        estimators.GumbelSoftmax()(distributions.normal(logits), curved)
    with pytest.raises(TypeError, match="Gaussian or a one-hot"):
        estimators.draw(torch.distributions.Normal(0.0, 1.0))


def test_metropolis_draws_from_the_density_it_is_given():
    covariance = torch.tensor([[1.0, 0.6], [0.6, 0.5]])
    target = torch.distributions.MultivariateNormal(torch.tensor([1.0, -2.0]), covariance)
    chain, accepted = estimators.metropolis(target.log_prob, torch.zeros(500, 2), 400, scale=0.8, generator=generator())
    kept = chain[200::20].flatten(0, 1)
    torch.testing.assert_close(kept.mean(0), target.mean, rtol=0, atol=0.07)
    torch.testing.assert_close(torch.cov(kept.T), covariance, rtol=0, atol=0.07)
    assert 0.2 < accepted < 0.8
    _, timid = estimators.metropolis(target.log_prob, torch.zeros(50, 2), 50, scale=0.01, generator=generator())
    assert timid > 0.9
    with pytest.raises(ValueError, match="steps must be at least 1"):
        estimators.metropolis(target.log_prob, torch.zeros(1, 2), 0)
    with pytest.raises(ValueError, match="not finite"):
        estimators.metropolis(lambda z: z.sum(1).log(), -torch.ones(1, 2), 3)
