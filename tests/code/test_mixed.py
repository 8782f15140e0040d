"""A VAE with one categorical and several Gaussian coordinates: its objective against enumeration, its labels, bad input."""

import math

import pytest
import torch
from torch import nn

from autoencoders import data, distributions, estimators, evaluation, models, networks, objectives, recipes

SHAPE, K, M = (1, 4, 4), 3, 2
ESTIMATORS = ("score-function", "running-mean", "leave-one-out", "gumbel-softmax", "exact")


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def model():
    torch.manual_seed(0)
    pair = networks.MLPEncoder(SHAPE, K + 2 * M, (8,)), networks.MLPDecoder(SHAPE, K + M, (8,))
    mixed = models.MixedVAE(*pair, models.BernoulliPixels(), M, K).double()
    with torch.no_grad():  # a decoder to which the class matters
        mixed.decoder.net[0].weight.mul_(4)
    return mixed


@pytest.fixture
def x():
    return (torch.rand(4, *SHAPE, generator=generator(), dtype=torch.float64) > 0.5).double()


def test_both_posteriors_and_priors_are_distributions_over_each_picture(model, x):
    q_y, q_z = model.encode(x)
    p_y, p_z = model.prior
    assert torch.allclose(q_y.probs.sum(1), torch.ones(4, dtype=torch.float64))
    assert q_z.mean.shape == q_z.stddev.shape == (4, M)
    assert torch.allclose(p_y.probs, torch.full((1, K), 1 / K, dtype=torch.float64))
    assert p_z.log_prob(torch.zeros(1, M)).item() == pytest.approx(-0.5 * M * math.log(2 * math.pi))


def test_a_code_is_the_most_probable_class_and_the_mean(model, x):
    codes = model.codes(x)
    assert codes.shape == (4, K + M)
    assert (codes[:, :K].argmax(1) == model.classify(x)).all()
    assert (codes[:, :K].sum(1) == 1).all()
    assert model(x).shape == x.shape


@pytest.mark.parametrize("name", ESTIMATORS)
def test_terms_are_one_number_per_example_and_do_not_change_with_a_repeated_batch(model, x, name):
    terms = objectives.mixed_terms(model, x, generator(), estimator=name)
    assert terms.distortion.shape == terms.rate.shape == (4,)
    twice = objectives.mixed_terms(model, torch.cat([x, x]), generator(), estimator=name)
    assert torch.allclose(twice.rate[:4], terms.rate)
    assert torch.allclose(twice.rate[4:], terms.rate)


def test_the_rate_is_the_sum_of_both_divergences(model, x):
    q_y, q_z = model.encode(x)
    categorical = (q_y.probs * (q_y.probs * K).log()).sum(1)
    gaussian = distributions.kl_to_standard_normal(q_z.mean, 2 * q_z.stddev.log())
    for weight in (1.0, 0.0, 5.0):
        rate = objectives.mixed_terms(model, x, generator(), continuous=weight).rate
        assert torch.allclose(rate, categorical + weight * gaussian)


def test_the_exact_distortion_is_the_enumerated_expectation(model, x):
    q_y, q_z = model.encode(x)
    z = distributions.reparameterized(q_z, K, generator())
    expected = torch.zeros(4, dtype=torch.float64)
    for k in range(K):
        y = torch.eye(K, dtype=torch.float64)[k].expand(4, -1)
        expected -= q_y.probs[:, k] * model.decode(torch.cat([y, z[k]], 1)).log_prob(x)
    terms = objectives.mixed_terms(model, x, generator(), estimator="exact")
    assert torch.allclose(terms.distortion, expected)


def gradients(model, x, name, count, samples):
    """`count` gradients of the distortion with respect to the encoder's last bias, one for each copy of one picture."""
    bias = model.encoder.net[-1].bias
    many = bias.detach().expand(count, -1).clone().requires_grad_()

    class Encoder(nn.Module):
        def forward(self, pictures):
            return model.encoder(pictures) - bias + many

    copy = models.MixedVAE(Encoder(), model.decoder, model.likelihood, M, K)
    terms = objectives.mixed_terms(copy, x.expand(count, -1, -1, -1), generator(), estimator=name, samples=samples)
    terms.distortion.sum().backward()
    return many.grad


@pytest.mark.parametrize(("name", "samples"), [("score-function", 1), ("leave-one-out", 2), ("leave-one-out", 4)])
def test_the_estimators_gradients_are_those_of_enumeration_on_average(model, x, name, samples):
    drawn, exact = gradients(model, x[:1], name, 8_000, samples), gradients(model, x[:1], "exact", 8_000, 1)
    error = torch.sqrt((drawn.var(0) + exact.var(0)) / 8_000)
    assert exact.mean(0)[:K].abs().max() > 0.1
    assert ((drawn.mean(0) - exact.mean(0)).abs() < 4 * error).all()


def test_leaving_one_out_lowers_the_variance(model, x):
    plain, other = (
        gradients(model, x[:1], name, 4000, 2)[:, :K].var(0).sum() for name in ("score-function", "leave-one-out")
    )
    assert other < plain / 2


def test_every_parameter_is_trained(model, x):
    for name in ESTIMATORS:
        model.zero_grad()
        objectives.mixed_terms(model, x, generator(), estimator=name).total().mean().backward()
        assert all(p.grad is not None and bool((p.grad != 0).any()) for p in model.parameters())


def test_labels_add_their_cross_entropy_and_nothing_else(model, x):
    labeled = x[:2], torch.tensor([2, 0])
    options = dict(estimator="exact", binary=False)
    plain = objectives.mixed_terms(model, x, generator(), **options)
    without = objectives.labeled_terms(model, x, generator(), labeled=labeled, weight=0.0, **options)
    assert torch.equal(plain.distortion, without.distortion)
    added = objectives.labeled_terms(model, x, generator(), labeled=labeled, weight=2.0, **options)
    difference = added.distortion - plain.distortion
    assert torch.allclose(difference, difference[0])
    assert difference[0] > 0
    assert torch.equal(added.rate, plain.rate)


def test_a_warp_of_amount_zero_changes_nothing_and_others_stay_in_range():
    pictures = torch.rand(5, 1, 28, 28, generator=generator())
    assert torch.allclose(objectives.warped(pictures, generator(), 0.0), pictures, atol=1e-5)
    moved = objectives.warped(pictures, generator())
    assert moved.min() >= 0
    assert moved.max() <= 1
    assert not torch.allclose(moved, pictures, atol=0.1)


def test_a_warp_moves_ink_by_at_most_its_amount():
    dot = torch.zeros(200, 1, 29, 29)
    dot[:, :, 14, 14] = 1
    moved = objectives.warped(dot, generator())
    place = moved.flatten(2).argmax(2)[:, 0]
    rows, columns = place // 29 - 14, place % 29 - 14
    assert rows.abs().max() <= 3
    assert columns.abs().max() <= 3
    assert rows.unique().numel() > 2


def test_clustering_accuracy_at_its_extremes():
    labels = torch.arange(10).repeat(30)
    assert evaluation.clustering_accuracy(labels, labels) == 1
    assert evaluation.clustering_accuracy((7 * labels + 3) % 10, labels) == 1
    assert evaluation.clustering_accuracy(torch.zeros_like(labels), labels) == pytest.approx(0.1)
    guesses = torch.randint(10, labels.shape, generator=generator())
    assert evaluation.clustering_accuracy(guesses, labels) < 0.3


def test_labeled_pictures_are_of_the_training_set_the_same_number_of_each_class():
    recipe = recipes.get("mixed-digits-labeled")
    images, labels = recipe.labeled_pictures(0)
    assert images.shape == (100, 1, 28, 28)
    assert (torch.bincount(labels) == 10).all()
    train = data.load("digits").train.images.flatten(1)
    assert (torch.cdist(images.flatten(1), train).amin(1) < 1e-2).all()
    assert not torch.equal(images, recipe.labeled_pictures(1)[0])


@pytest.mark.parametrize("name", [name for name in recipes.names() if name.startswith("mixed")])
def test_recipes_build_mixed_models_and_run(name, monkeypatch):
    monkeypatch.setenv("AE_BUDGET", "smoke")
    model, history = recipes.get(name).train(0, progress=False, device="cpu")
    assert isinstance(model, models.MixedVAE)
    assert math.isfinite(history.last["validation_loss"])


def test_bad_input_is_refused_with_the_numbers_needed(model, x):
    pair = networks.MLPEncoder(SHAPE, 5), networks.MLPDecoder(SHAPE, K + M)
    with pytest.raises(ValueError, match="at least 1 latent and 2 classes, not 2 and 1"):
        models.MixedVAE(*pair, models.BernoulliPixels(), 2, 1)
    with pytest.raises(ValueError, match="must give 7 numbers for 3 classes"):
        models.MixedVAE(*pair, models.BernoulliPixels(), M, K).encode(x.float())
    with pytest.raises(ValueError, match="picture 1 of the batch"):
        model.encode(torch.stack([x[0], x[0] * math.nan]))
    with pytest.raises(ValueError, match="there is no estimator 'reinforce'"):
        objectives.mixed_terms(model, x, generator(), estimator="reinforce")
    with pytest.raises(ValueError, match="at least 2 samples, not 1"):
        objectives.mixed_terms(model, x, generator(), estimator="leave-one-out", samples=1)
    with pytest.raises(TypeError, match="no pathwise gradient"):
        objectives.mixed_terms(model, x, generator(), estimator="pathwise")
    with pytest.raises(TypeError, match="only the classes of a one-hot categorical can be enumerated"):
        estimators.get("exact")(model.encode(x)[1], lambda z: z.sum(-1))
