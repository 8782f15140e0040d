"""Sparse networks, the measures of their features, and the score that a denoiser holds."""

import math

import pytest
import torch
from torch import nn

from autoencoders import evaluation, networks

SHAPE = (1, 8, 8)


def test_columns_have_length_one_whatever_training_does_to_the_weights():
    decoder = networks.UnitNormDecoder(SHAPE, 20)
    with torch.no_grad():
        decoder.weight.mul_(torch.rand(20) * 100)
    torch.testing.assert_close(decoder.features.flatten(1).norm(dim=1), torch.ones(20))
    unit = torch.eye(20)[:3]
    torch.testing.assert_close(decoder(unit) - decoder(torch.zeros(1, 20)), decoder.features[:3])


def test_rescaling_a_column_changes_nothing_and_has_no_gradient():
    torch.manual_seed(0)
    decoder = networks.UnitNormDecoder(SHAPE, 5)
    decoder(torch.rand(7, 5)).square().sum().backward()
    assert decoder.weight.grad is not None
    along = (decoder.weight.grad * decoder.weight).sum(0)
    torch.testing.assert_close(along, torch.zeros(5), atol=1e-4, rtol=0)
    assert decoder.weight.grad.norm() > 0.1


def test_top_k_keeps_exactly_the_largest_entries_of_the_plain_code():
    torch.manual_seed(0)
    encoder, x = networks.SparseEncoder(SHAPE, 30, top_k=4), torch.randn(10, *SHAPE)
    plain, z = encoder.net(x), encoder(x)
    assert ((z > 0).sum(1) <= 4).all()
    torch.testing.assert_close(z.sum(1), plain.topk(4).values.sum(1))
    torch.testing.assert_close(z[z > 0], plain[z > 0])


@pytest.mark.parametrize("top_k", [0, 31])
def test_top_k_out_of_range_is_refused(top_k):
    with pytest.raises(ValueError, match="from 1 to 30"):
        networks.SparseEncoder(SHAPE, 30, top_k=top_k)


def test_participation_ratio_at_its_extremes_and_for_noise():
    pixel, flat = torch.zeros(1, *SHAPE), torch.ones(1, *SHAPE)
    pixel[0, 0, 3, 3] = -2.0
    assert evaluation.participation_ratio(torch.cat([pixel, flat])).tolist() == [1.0, 64.0]
    noise = torch.randn(4, 1, 100, 100, generator=torch.Generator().manual_seed(0))
    assert evaluation.participation_ratio(noise).mean().item() == pytest.approx(1e4 / 3, rel=0.05)


@pytest.mark.parametrize("degrees", [0, 30, 45, 90, 140])
def test_stripes_are_oriented_at_every_angle_and_blobs_and_noise_are_not(degrees):
    y, x = torch.meshgrid(torch.arange(16.0) - 7.5, torch.arange(16.0) - 7.5, indexing="ij")
    angle = math.radians(degrees)
    stripes = torch.sin(0.8 * (x * math.cos(angle) + y * math.sin(angle)))
    blob = torch.exp(-(x**2 + y**2) / 20)
    noise = torch.randn(16, 16, generator=torch.Generator().manual_seed(0))
    stripe, round_, random = evaluation.orientation(torch.stack([stripes, blob, noise])[:, None]).tolist()
    assert stripe > 0.99
    assert round_ < 1e-4
    assert random < 0.3


def test_the_best_denoiser_of_a_gaussian_gives_its_score():
    class Best(nn.Module):
        def forward(self, x_tilde):
            return x_tilde * 4 / (4 + 0.25)  # data N(0, 4), noise 0.5

    x_tilde = torch.randn(6, 1, 2, 2, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(evaluation.denoising_score(Best(), x_tilde, 0.5), -x_tilde / 4.25)
