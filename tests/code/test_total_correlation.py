"""The parts of the average KL: exact where they can be, estimated with the bias that each estimator is said to have."""

import math
from functools import partial

import pytest
import torch
from torch import distributions as td

from autoencoders import distributions, models, networks, objectives, training
from autoencoders import total_correlation as tc


def posteriors(n: int = 40, m: int = 2, seed: int = 0) -> td.Independent:
    """Gaussians whose means lie near a line: their coordinates depend on each other."""
    generator = torch.Generator().manual_seed(seed)
    along = torch.randn(n, 1, generator=generator, dtype=torch.float64)
    mean = along + 0.4 * torch.randn(n, m, generator=generator, dtype=torch.float64)
    scale = 0.2 + 0.5 * torch.rand(n, m, generator=generator, dtype=torch.float64)
    return distributions.normal(mean, scale)


def average_kl(q: td.Independent) -> float:
    prior = distributions.normal(torch.zeros_like(q.mean))
    return td.kl_divergence(q, prior).mean().item()


@pytest.mark.parametrize("m", [1, 2])
def test_the_three_parts_add_up_to_the_average_kl(m):
    for seed in range(3):
        q = posteriors(m=m, seed=seed)
        parts = tc.exact_decomposition(q)
        assert parts.total.item() == pytest.approx(average_kl(q), abs=1e-6)
        assert min(parts.information, parts.total_correlation, parts.dimensionwise) > -1e-9
        assert parts.information < math.log(40)


def test_the_exact_parts_are_the_means_of_the_exact_log_densities():
    """Against Monte Carlo, within four standard errors: 200 draws of each of the 40 posteriors."""
    q = posteriors()
    generator = torch.Generator().manual_seed(1)
    z = distributions.reparameterized(q, 200, generator)
    whole, coordinates = tc.log_aggregate(z.flatten(0, 1), q)
    inside = q.log_prob(z).flatten()
    prior = td.Normal(0.0, 1.0).log_prob(z).sum(2).flatten()
    exact = tc.exact_decomposition(q)
    for values, part in (
        (inside - whole, exact.information),
        (whole - coordinates.sum(1), exact.total_correlation),
        (coordinates.sum(1) - prior, exact.dimensionwise),
    ):
        error = values.std().item() / len(values) ** 0.5
        assert values.mean().item() == pytest.approx(part.item(), abs=4 * error)


def test_parts_with_known_values():
    same = distributions.normal(torch.zeros(5, 2, dtype=torch.float64), 1.0)
    parts = tc.exact_decomposition(same)
    assert max(abs(parts.information), abs(parts.total_correlation), abs(parts.dimensionwise)) < 1e-9
    corners = torch.tensor([[-5.0, -5.0], [-5.0, 5.0], [5.0, -5.0], [5.0, 5.0]], dtype=torch.float64)
    grid = tc.exact_decomposition(distributions.normal(corners, 0.1))
    assert grid.information.item() == pytest.approx(math.log(4), abs=1e-9)
    assert grid.total_correlation.item() == pytest.approx(0, abs=1e-9)
    diagonal = tc.exact_decomposition(distributions.normal(corners[[0, 3]], 0.1))
    assert diagonal.information.item() == pytest.approx(math.log(2), abs=1e-9)
    assert diagonal.total_correlation.item() == pytest.approx(math.log(2), abs=1e-9)


def test_a_grid_too_coarse_and_too_many_latents_are_refused():
    narrow = distributions.normal(torch.tensor([[0.0], [30.0]]), 0.01)
    with pytest.raises(
        ValueError, match=r"too far for a posterior of standard deviation 0\.01; coordinate 0 needs points="
    ):
        tc.exact_decomposition(narrow)
    with pytest.raises(ValueError, match="one or two latents, not 3"):
        tc.exact_decomposition(posteriors(m=3))


def test_the_exact_aggregate_is_the_mixture():
    q = posteriors(n=7, m=3)
    z = q.mean + 0.1
    whole, coordinates = tc.log_aggregate(z, q)
    mixture = td.MixtureSameFamily(td.Categorical(torch.ones(7, dtype=torch.float64)), q)
    torch.testing.assert_close(whole, mixture.log_prob(z))
    for j in range(3):
        one = td.MixtureSameFamily(
            td.Categorical(torch.ones(7, dtype=torch.float64)), td.Normal(q.mean[:, j], q.stddev[:, j])
        )
        torch.testing.assert_close(coordinates[:, j], one.log_prob(z[:, j]))


def estimates(estimator, q, z, b, count=4000):
    """exp of the estimated log q(z) of example 0's code, over batches that hold it and b - 1 others."""
    generator, n = torch.Generator().manual_seed(2), len(z)
    whole, alone = [], []
    for _ in range(count):
        others = 1 + torch.randperm(n - 1, generator=generator)[: b - 1]
        rows = torch.cat([others[:1], torch.tensor([0]), others[1:]])  # its place in the batch is not the first
        part = distributions.normal(q.mean[rows], q.stddev[rows])
        log_q, log_each = estimator(z[rows], part, n)
        whole.append(log_q[1].exp())
        alone.append(log_each[1].exp())
    return torch.stack(whole), torch.stack(alone)


def test_the_stratified_estimate_of_the_density_is_unbiased_and_the_weighted_one_too_small():
    """T11: weights beside the diagonal, or counted once a coordinate, are off by many standard errors."""
    q = posteriors()
    z = q.mean + 0.3 * q.stddev
    exact, exact_each = (part[0].exp() for part in tc.log_aggregate(z, q))
    whole, alone = estimates(tc.minibatch_stratified, q, z, 6)
    assert abs(whole.mean() - exact) < 4 * whole.std() / len(whole) ** 0.5
    assert bool(((alone.mean(0) - exact_each).abs() < 4 * alone.std(0) / len(alone) ** 0.5).all())
    whole, alone = estimates(tc.minibatch_weighted, q, z, 6)
    assert whole.mean() + 4 * whole.std() / len(whole) ** 0.5 < 0.5 * exact


def test_with_the_whole_data_set_as_the_batch_the_stratified_estimate_is_exact():
    """T11: then every weight is 1/n, on the diagonal and off it, for the code and for each coordinate."""
    q = posteriors(n=12, m=5)
    z = distributions.reparameterized(q, 1, torch.Generator().manual_seed(0))[0]
    for estimate, exact in zip(tc.minibatch_stratified(z, q, 12), tc.log_aggregate(z, q), strict=True):
        torch.testing.assert_close(estimate, exact)
    biased, _ = tc.minibatch_weighted(z, q, 12)
    torch.testing.assert_close(biased, tc.log_aggregate(z, q)[0] - math.log(12))


def test_own_examples_have_their_weight_on_the_diagonal():
    """T11: far apart posteriors, each code seen by its own example alone: the estimate is q(z|x)/n for every row."""
    q = distributions.normal(100.0 * torch.arange(6.0, dtype=torch.float64)[:, None].expand(6, 2), 1.0)
    whole, coordinates = tc.minibatch_stratified(q.mean, q, 1000)
    torch.testing.assert_close(whole, q.log_prob(q.mean) - math.log(1000))
    torch.testing.assert_close(coordinates, q.base_dist.log_prob(q.mean) - math.log(1000))


def test_estimated_parts_add_up_and_independent_coordinates_have_no_total_correlation():
    """T11: log-weights counted once a coordinate would make it -(m - 1) log of a weight, far below zero."""
    generator = torch.Generator().manual_seed(3)
    mean = torch.randn(512, 4, generator=generator, dtype=torch.float64)
    q = distributions.normal(mean, 0.8)
    z = distributions.reparameterized(q, 1, generator)[0]
    for estimator in (tc.minibatch_stratified, tc.minibatch_weighted):
        parts = tc.estimated_decomposition(q, z, 512, log_q=estimator)
        by_hand = q.log_prob(z) - td.Normal(0.0, 1.0).log_prob(z).sum(1)
        torch.testing.assert_close(parts.total, by_hand)
    parts = tc.estimated_decomposition(q, z, 512)
    assert abs(parts.total_correlation.mean().item()) < 0.15
    tied = distributions.normal(mean[:, :1].expand(512, 4), 0.3)
    z = distributions.reparameterized(tied, 1, generator)[0]
    assert tc.estimated_decomposition(tied, z, 512).total_correlation.mean() > 1


def test_estimated_parts_are_near_the_exact_ones():
    q = posteriors(n=64)
    exact = tc.exact_decomposition(q)
    found = []
    for seed in range(200):
        z = distributions.reparameterized(q, 1, torch.Generator().manual_seed(seed))[0]
        found.append(tc.estimated_decomposition(q, z, 64).total_correlation.mean())
    values = torch.stack(found)
    assert abs(values.mean() - exact.total_correlation) < 4 * values.std() / len(values) ** 0.5


@pytest.mark.parametrize("estimator", [tc.minibatch_stratified, tc.minibatch_weighted])
def test_a_batch_that_is_no_part_of_the_data_is_refused(estimator):
    q = posteriors(n=8)
    with pytest.raises(ValueError, match="8 draws for 8 examples out of 7"):
        estimator(q.mean, q, 7)
    with pytest.raises(ValueError, match="5 draws for 8 examples"):
        estimator(q.mean[:5], q, 100)


def test_one_example_is_too_few_for_the_stratified_estimate():
    with pytest.raises(ValueError, match="at least 2"):
        tc.minibatch_stratified(posteriors(n=1).mean, posteriors(n=1), 10)


def test_a_column_shuffle_keeps_each_coordinate_and_breaks_what_ties_them():
    """T12: a shuffle of rows keeps the ties, and one within rows mixes coordinates of different size."""
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(4000, 1, generator=generator) * torch.tensor([1.0, 10.0, -100.0])
    shuffled = tc.shuffle_columns(z, generator)
    assert torch.equal(shuffled.sort(0).values, z.sort(0).values)
    assert (torch.corrcoef(z.T).abs() > 0.999).all()
    off = torch.corrcoef(shuffled.T) - torch.eye(3)
    assert off.abs().max() < 4 / 4000**0.5
    again = [tc.shuffle_columns(z, torch.Generator().manual_seed(5)) for _ in range(2)]
    assert torch.equal(*again)


def small_vae() -> models.VAE:
    torch.manual_seed(0)
    shape = (1, 8, 8)
    pair = networks.MLPEncoder(shape, 6, (16,)), networks.MLPDecoder(shape, 3, (16,))
    return models.VAE(*pair, models.BernoulliPixels(), 3)


def test_with_weight_one_the_objective_is_the_negative_elbo_and_the_weight_adds_total_correlation(images):
    model, x = small_vae(), images[:50]

    def terms(tc=None, n=50):
        generator = torch.Generator().manual_seed(4)
        if tc is None:
            return objectives.elbo_terms(model, x, generator, binary=True)
        return objectives.tc_terms(model, x, generator, n=n, tc=tc, binary=True)

    elbo, one, six = terms(), terms(1.0), terms(6.0)
    torch.testing.assert_close(one, elbo)
    torch.testing.assert_close(six.distortion, elbo.distortion)
    generator = torch.Generator().manual_seed(4)
    q = model.encode(objectives.binarize(x, generator))
    z = distributions.reparameterized(q, 1, generator)[0]
    whole, coordinates = tc.log_aggregate(z, q)  # the batch is all there is: the estimate is exact
    torch.testing.assert_close(six.rate - elbo.rate, 5 * (whole - coordinates.sum(1)), rtol=1e-4, atol=1e-4)
    assert not torch.equal(terms(6.0, n=1000).rate, six.rate)
    with pytest.raises(ValueError, match="out of 20"):
        terms(6.0, n=20)


def test_the_weight_on_the_total_correlation_lowers_it(images):
    def trained(weight):
        model = small_vae()
        function = partial(objectives.tc_terms, n=len(images), tc=weight, binary=True)
        training.fit(
            model, images, function, epochs=60, batch_size=100, learning_rate=5e-3, progress=False, device="cpu"
        )
        with torch.no_grad():
            q = model.encode(images)
            z = distributions.reparameterized(q, 1, torch.Generator().manual_seed(0))[0]
            return tc.estimated_decomposition(q, z, len(images)).total_correlation.mean().item()

    plain, pressed = trained(1.0), trained(20.0)
    assert pressed < plain
