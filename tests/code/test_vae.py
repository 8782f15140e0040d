"""The VAE, its bounds and the evidence: exact where a model can be solved by hand, and bad input refused."""

import json
import math

import pytest
import torch
from torch import nn

from autoencoders import distributions, estimators, evaluation, models, networks, objectives, recipe, recipes, training
from autoencoders.__main__ import main

SHAPE = (1, 3, 3)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def small_vae(likelihood=None, latent=2, shape=SHAPE):
    torch.manual_seed(0)
    encoder, decoder = networks.MLPEncoder(shape, 2 * latent, (16,)), networks.MLPDecoder(shape, latent, (16,))
    return models.VAE(encoder, decoder, likelihood or models.GaussianPixels(), latent)


class Solved(models.VAE):
    """x = W z + c + noise, with orthogonal columns in W: the posterior is a Gaussian with independent coordinates.

    `shift` and `widen` make q wrong.
    """

    def __init__(self, shift=0.0, widen=1.0, noise=0.4):
        torch.manual_seed(3)
        decoder = networks.MLPDecoder(SHAPE, 2, ())
        super().__init__(nn.Identity(), decoder, models.GaussianPixels(noise), 2)
        self.double()
        linear = decoder.net[0]
        linear.weight.data = (
            torch.linalg.qr(torch.randn(9, 2, dtype=torch.float64)).Q * torch.tensor([1.5, 0.7]).double()
        )
        self.W, self.c = linear.weight.data, linear.bias.data
        self.shift, self.widen, self.noise = shift, widen, float(self.likelihood.log_scale.exp())

    def encode(self, x):
        precision = 1 + self.W.square().sum(0) / self.noise**2
        mean = (x.flatten(1) - self.c) @ self.W / self.noise**2 / precision
        return distributions.normal(mean + self.shift, self.widen * precision.rsqrt().expand_as(mean))

    def exact(self, x):
        covariance = self.W @ self.W.T + self.noise**2 * torch.eye(9).double()
        return torch.distributions.MultivariateNormal(self.c, covariance).log_prob(x.flatten(1))


@pytest.fixture
def pictures():
    return torch.randn(40, *SHAPE, generator=generator(5)).double()


@pytest.mark.parametrize("samples", [1, 7, 300])
def test_evidence_is_exact_where_q_is_the_posterior(pictures, samples):
    model = Solved()
    estimate = estimators.log_evidence(model, pictures, samples, chunk=64, generator=generator())
    torch.testing.assert_close(estimate, model.exact(pictures), rtol=0, atol=1e-10)
    bound = -objectives.iwae_terms(model, pictures, generator(), samples=samples).total()
    torch.testing.assert_close(bound, model.exact(pictures), rtol=0, atol=1e-10)


def test_elbo_meets_the_evidence_at_the_posterior_and_lies_below_it_elsewhere(pictures):
    model = Solved()
    gap = model.exact(pictures) + objectives.elbo_terms(model, pictures, generator(), samples=20_000).total()
    assert gap.abs().max() < 0.1  # Monte Carlo error of the distortion
    wrong = Solved(shift=0.5, widen=1.5)
    gap = wrong.exact(pictures) + objectives.elbo_terms(wrong, pictures, generator(), samples=20_000).total()
    posterior = Solved().encode(pictures)
    expected = torch.distributions.kl_divergence(wrong.encode(pictures), posterior)  # the gap is this divergence
    torch.testing.assert_close(gap, expected, rtol=0.05, atol=0.1)


def test_bias_falls_with_the_number_of_samples(pictures):
    model = Solved(shift=0.4, widen=0.8)
    few = pictures[:8].repeat(60, 1, 1, 1)  # sixty independent estimates for each of eight pictures
    bias, noise = [], []
    for samples in (1, 5, 50, 500):
        error = estimators.log_evidence(model, few, samples, generator=generator(samples)) - model.exact(few)
        error = error.unflatten(0, (60, 8)).mean(1)
        bias.append(error.mean().item())
        noise.append(error.std().item() / math.sqrt(60))
    assert bias == sorted(bias)
    assert bias[0] < -0.3
    assert all(b < 4 * s for b, s in zip(bias, noise, strict=True)), "never above log p(x)"
    elbo = -objectives.elbo_terms(model, few, generator(1), samples=50).total().mean() - model.exact(few).mean()
    assert elbo.item() <= bias[1] + 4 * noise[1]


def test_the_objective_is_the_mean_of_the_weights_and_not_of_their_logarithms(pictures):
    """T10, where q is wrong and the two differ."""
    model = Solved(shift=0.5, widen=1.5)
    bound = -objectives.iwae_terms(model, pictures, generator(3), samples=50).total()
    torch.testing.assert_close(bound, estimators.log_evidence(model, pictures, 50, chunk=50, generator=generator(3)))
    q = model.encode(pictures)
    z = distributions.reparameterized(q, 50, generator(3))
    weights = (model.decode(z.flatten(0, 1)).log_prob(pictures.repeat(50, 1, 1, 1)).view(50, -1) - q.log_prob(z)).exp()
    expected = (weights * model.prior.log_prob(z).exp()).mean(0).log()
    torch.testing.assert_close(bound, expected)


def test_chunks_change_memory_and_nothing_else(pictures):
    model = Solved()
    whole = estimators.log_evidence(model, pictures, 50, chunk=50, generator=generator())
    parts = estimators.log_evidence(model, pictures, 50, chunk=7, generator=generator())
    torch.testing.assert_close(whole, parts)


def test_terms_are_per_example_in_nats_whatever_stands_beside_them():
    """T1: summed over pixels and latents, never averaged over anything."""
    model, x = small_vae(), torch.rand(6, *SHAPE, generator=generator())
    terms = objectives.elbo_terms(model, x, generator())
    assert terms.distortion.shape == terms.rate.shape == (6,)
    mean, log_var = model.encode(x).mean, 2 * model.encode(x).stddev.log()
    torch.testing.assert_close(terms.rate, distributions.kl_to_standard_normal(mean, log_var))
    nn.init.zeros_(model.decoder.net[0].weight)  # p(x|z) no longer depends on z, so that the distortion has no noise
    alone = objectives.elbo_terms(model, x[:1], generator())
    beside = objectives.elbo_terms(model, torch.cat([x, x]), generator())
    for part in ("distortion", "rate"):
        values = getattr(beside, part)
        torch.testing.assert_close(values[:6], values[6:])
        torch.testing.assert_close(getattr(alone, part), values[:1])
    flat = model.decode(torch.zeros(1, 2)).mean
    expected = 0.5 * (x - flat).square().flatten(1).sum(1) + 9 / 2 * math.log(2 * math.pi)  # T2: with its constant
    torch.testing.assert_close(beside.distortion[:6], expected)


@pytest.mark.parametrize("training", [True, False])
def test_what_is_sampled_is_an_argument_and_never_a_mode(training):
    """T16: reconstructions use the mean in either mode, the ELBO draws in either mode."""
    model, x = small_vae().train(training), torch.rand(4, *SHAPE, generator=generator())
    assert torch.equal(model(x), model(x))
    first, again, other = (objectives.elbo_terms(model, x, generator(s)).distortion for s in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(model.sample(3, generator(0)), model.sample(3, generator(0)))
    assert model.training is training


def test_distributions_agree_with_their_own_samples():
    """T9: the scale is a standard deviation, and `log_prob` is that of what is drawn."""
    model, x = small_vae(), torch.rand(1, *SHAPE, generator=generator())
    q = model.encode(x)
    z = distributions.reparameterized(q, 200_000, generator())[:, 0].detach()
    torch.testing.assert_close(z.mean(0), q.mean[0], rtol=0, atol=0.02)
    torch.testing.assert_close(z.std(0), q.stddev[0], rtol=0.02, atol=0)
    axis = torch.linspace(-8, 8, 401)
    grid = torch.cartesian_prod(axis, axis)
    assert abs((q.log_prob(grid).exp().sum() * (axis[1] - axis[0]) ** 2).item() - 1) < 1e-3
    assert abs((model.prior.log_prob(grid).exp().sum() * (axis[1] - axis[0]) ** 2).item() - 1) < 1e-3


def test_the_encoder_gives_log_variances():
    """T9: half of the logarithm is the logarithm of the standard deviation. Near 0 the bound leaves it as it is."""
    model = small_vae()
    last = model.encoder.net[-1]
    nn.init.zeros_(last.weight)
    last.bias.data = torch.tensor([0.3, -0.4, math.log(1.1), math.log(0.9)])
    q = model.encode(torch.rand(1, *SHAPE))
    torch.testing.assert_close(q.mean[0], torch.tensor([0.3, -0.4]))
    torch.testing.assert_close(q.variance[0], torch.tensor([1.1, 0.9]), rtol=1e-3, atol=0)


def test_draws_carry_gradients_to_mean_and_scale():
    mean, scale = torch.zeros(1, 2, requires_grad=True), torch.ones(1, 2, requires_grad=True)
    z = distributions.reparameterized(distributions.normal(mean, scale), 3, generator())
    z.sum().backward()
    assert torch.equal(mean.grad, torch.full((1, 2), 3.0))
    torch.testing.assert_close(scale.grad, z.detach().sum(0))


def test_log_variance_has_a_gradient_wherever_training_may_stray():
    """T3: no clamp, anywhere between the encoder's output and the bound."""
    model, x = small_vae(), torch.rand(2, *SHAPE, generator=generator())
    for far in (-200.0, 0.0, 200.0):
        bias = model.encoder.net[-1].bias
        bias.data[2:] = far
        model.zero_grad()
        objectives.elbo_terms(model, x, generator()).total().sum().backward()
        assert bias.grad.isfinite().all() and (bias.grad[2:] != 0).all(), far


def test_a_learned_scale_finds_the_residual():
    """The best fixed scale is the root mean squared error; the learned one goes there."""
    likelihood = models.GaussianPixels(scale=1.0, learned=True)
    model = small_vae(likelihood)
    x = 0.3 * torch.randn(256, *SHAPE, generator=generator())
    training.fit(model, x, objectives.elbo_terms, epochs=400, learning_rate=1e-2, progress=False, device="cpu")
    error = (model.decode(model.codes(x)).mean - x).square().mean().sqrt().item()
    assert abs(likelihood.log_scale.exp().item() / error - 1) < 0.15
    assert "log_scale" not in dict(models.GaussianPixels(0.5).named_parameters())


def test_binarization_draws_gray_values_as_probabilities():
    x = torch.full((1, 1, 200, 200), 0.3)
    drawn = objectives.binarize(x, generator())
    assert set(drawn.unique().tolist()) == {0.0, 1.0}
    assert abs(drawn.mean().item() - 0.3) < 0.02
    assert torch.equal(drawn, objectives.binarize(x, generator()))
    assert not torch.equal(drawn, objectives.binarize(x, generator(1)))
    sure = torch.tensor([[0.0, 1.0]])
    assert torch.equal(objectives.binarize(sure.expand(500, 2), generator()), sure.expand(500, 2))


@pytest.mark.parametrize("objective", [objectives.elbo_terms, objectives.iwae_terms])
def test_bad_input_is_refused_with_its_cure(objective):
    model, x = small_vae(models.BernoulliPixels()), torch.rand(4, *SHAPE, generator=generator())
    with pytest.raises(ValueError, match="binarize them"):
        objective(model, x)
    with pytest.raises(ValueError, match=r"in \[0, 1\].*rescale"):
        objective(model, 255 * x, binary=True)
    with pytest.raises(ValueError, match="at least 1, not 0"):
        objective(model, x, binary=True, samples=0)
    damaged = x.clone()
    damaged[2, 0, 1, 1] = math.nan
    with pytest.raises(ValueError, match="picture 2 of the batch"):
        objective(small_vae(), damaged)
    other = models.VAE(networks.MLPEncoder(SHAPE, 4), networks.MLPDecoder((1, 2, 2), 2), models.GaussianPixels(), 2)
    with pytest.raises(ValueError, match="rebuild the model"):
        objective(other, x)


def test_impossible_models_are_refused():
    encoder, decoder = networks.MLPEncoder(SHAPE, 2), networks.MLPDecoder(SHAPE, 2)
    with pytest.raises(ValueError, match="at least one latent"):
        models.VAE(encoder, decoder, models.GaussianPixels(), 0)
    with pytest.raises(ValueError, match="must give 4 numbers"):
        models.VAE(encoder, decoder, models.GaussianPixels(), 2).encode(torch.rand(1, *SHAPE))
    with pytest.raises(ValueError, match="must be positive"):
        models.GaussianPixels(0.0)
    with pytest.raises(ValueError, match="at least 1"):
        small_vae().sample(0)
    with pytest.raises(ValueError, match="at least 1"):
        estimators.log_evidence(small_vae(), torch.rand(1, *SHAPE), 0)
    with pytest.raises(TypeError, match="only a Gaussian"):
        distributions.reparameterized(distributions.bernoulli(torch.zeros(1, 2)))


@pytest.mark.parametrize("likelihood", list(recipe.LIKELIHOODS))
def test_every_likelihood_trains_records_and_comes_back(monkeypatch, likelihood):
    monkeypatch.setenv("AE_BUDGET", "smoke")
    one = recipes.get("vae-digits").replace(likelihood=likelihood, objective="elbo")
    run = one.run(0, progress=False)
    assert isinstance(run.model, models.VAE)
    assert run.recording.codes.shape[2] == 2
    again = one.run(0, progress=False)
    assert all(
        torch.equal(a, b)
        for a, b in zip(run.model.state_dict().values(), again.model.state_dict().values(), strict=True)
    )
    with pytest.raises(ValueError, match="likelihood must be one of"):
        one.replace(likelihood="poisson")


def test_recipe_vae_digits_reaches_its_bound():
    """On binarized digits: 102 nats by the ELBO and 97 with 500 importance samples."""
    one = recipes.get("vae-digits")
    model, _ = one.train(seed=0, progress=False)
    x = objectives.binarize(one.dataset().test.images, generator())
    with torch.no_grad():
        terms = objectives.elbo_terms(model, x, generator(1), samples=10)
    assert terms.total().mean() <= 102
    assert -estimators.log_evidence(model, x[:500], 500, chunk=50, generator=generator(2)).mean() <= 97


def test_command_line_reports_both_terms(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("AE_BUDGET", "smoke")
    assert main(["train", "vae-digits", "--device", "cpu", "--out", str(tmp_path / "run")]) == 0
    said = capsys.readouterr().out
    result = json.loads((tmp_path / "run" / "run.json").read_text())
    assert f"= {result['test_distortion'] + result['test_rate']:.2f} nats per picture" in said
    assert "test_mse" not in result


def test_mean_terms_are_the_means_of_the_terms():
    model, x = small_vae(), torch.rand(1200, *SHAPE, generator=generator())
    distortion, rate = evaluation.mean_terms(model, x, objectives.elbo_terms, seed=4)
    kept, terms = generator(4), []
    with torch.no_grad():
        for part in x.split(500):
            terms.append(objectives.elbo_terms(model, part, kept))
    assert math.isclose(distortion, torch.cat([t.distortion for t in terms]).mean().item(), rel_tol=1e-5)
    assert math.isclose(rate, torch.cat([t.rate for t in terms]).mean().item(), rel_tol=1e-5)


def test_the_grid_and_the_importance_weights_agree_on_the_evidence():
    model, x = small_vae(models.BernoulliPixels()), (torch.rand(4, *SHAPE, generator=generator()) > 0.5).float()
    axis, evidence, density = evaluation.plane_posterior(model, x, points=201)
    estimate = estimators.log_evidence(model, x, 20_000, chunk=5000, generator=generator())
    torch.testing.assert_close(evidence, estimate, rtol=0, atol=0.02)
    assert density.shape == (4, 201, 201)
    torch.testing.assert_close(density.exp().sum((1, 2)) * (axis[1] - axis[0]) ** 2, torch.ones(4))
    z = torch.tensor([[axis[120], axis[60]]])
    joint = model.decode(z).log_prob(x[:1]) + model.prior.log_prob(z)
    torch.testing.assert_close(density[0, 60, 120], (joint - evidence[:1])[0], rtol=0, atol=1e-4)
