"""Measures of a VAE's codes and samples, on cases whose answer is known."""

import math

import pytest
import torch
from torch import nn

from autoencoders import distributions, evaluation, models, networks, objectives

SHAPE = (1, 1, 4)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


class Chosen(models.VAE):
    """q(z|x) has the first two pixels as its mean, and a scale of our choice."""

    def __init__(self, scale):
        super().__init__(nn.Identity(), networks.MLPDecoder(SHAPE, 2, ()), models.GaussianPixels(), 2)
        self.scale = scale

    def encode(self, x):
        return distributions.normal(x.flatten(1)[:, :2], self.scale)


def pictures(means):
    return torch.cat([means, torch.zeros_like(means)], 1).view(-1, *SHAPE)


def test_mutual_information_is_log_n_where_every_code_gives_its_picture_away():
    x = pictures(10 * torch.cartesian_prod(torch.arange(10.0), torch.arange(10.0)))
    parts = evaluation.rate_parts(Chosen(0.01), x, generator())
    assert math.isclose(parts.mutual_information, math.log(100), abs_tol=1e-4)


def test_codes_that_ignore_the_picture_hold_no_information():
    parts = evaluation.rate_parts(Chosen(1.0), pictures(torch.zeros(500, 2)), generator())
    assert abs(parts.mutual_information) < 1e-5
    assert abs(parts.marginal) < 1e-5


def test_the_parts_add_up_to_the_rate_and_chunks_change_nothing():
    x = pictures(torch.randn(2000, 2, generator=generator()))
    parts = evaluation.rate_parts(Chosen(0.5), x, generator(1))
    rate = objectives.elbo_terms(Chosen(0.5), x, generator(1)).rate
    assert math.isclose(parts.mutual_information + parts.marginal, rate.mean().item(), abs_tol=0.1)
    # x ~ N(0, I) and z = x + noise / 2: the information is (1/2) log(1 + 1/0.25) a coordinate
    assert math.isclose(parts.mutual_information, math.log(5), abs_tol=0.1)
    again = evaluation.rate_parts(Chosen(0.5), x, generator(1), chunk=33)
    assert math.isclose(again.marginal, parts.marginal, abs_tol=1e-5)


def test_active_units_are_those_whose_mean_moves():
    means = torch.stack([torch.randn(300, generator=generator()), 0.05 * torch.randn(300, generator=generator())], 1)
    assert evaluation.active_units(Chosen(1.0), pictures(means)).tolist() == [True, False]


def test_discrepancy_is_zero_on_average_for_one_distribution_and_grows_with_the_shift():
    draws = [torch.randn(400, 3, generator=generator(seed)) for seed in range(20)]
    same = torch.tensor(
        [evaluation.maximum_mean_discrepancy(a, b) for a, b in zip(draws[::2], draws[1::2], strict=True)]
    )
    assert same.mean().abs() < 4 * same.std() / math.sqrt(len(same))
    shifted = [evaluation.maximum_mean_discrepancy(draws[0] + shift, draws[1]) for shift in (0.3, 0.6, 1.2)]
    assert same.max() < shifted[0] < shifted[1] < shifted[2]
    with pytest.raises(ValueError, match="at least two points"):
        evaluation.maximum_mean_discrepancy(draws[0][:1], draws[1])


def test_class_entropy_knows_one_class_from_all():
    assert evaluation.class_entropy(torch.zeros(50, dtype=torch.long), 10) == 0
    even = evaluation.class_entropy(torch.arange(10).repeat(7), 10)
    assert math.isclose(even, math.log(10), rel_tol=1e-6)
