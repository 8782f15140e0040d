"""What the chapter on deep autoencoders says about layers, costs and spectra."""

import pytest
import torch

from autoencoders import evaluation, models, networks, recipes


@pytest.mark.parametrize("side", [8, 9])
def test_radial_power_adds_up_to_the_mean_squared_norm(side: int) -> None:
    x = torch.randn(5, 3, side, side, generator=torch.Generator().manual_seed(0))
    _, power = evaluation.radial_power(x)
    assert torch.isclose(power.sum(), x.double().square().sum() / 5)


def test_radial_power_of_a_wave_is_all_at_its_frequency() -> None:
    wave = torch.cos(2 * torch.pi * 3 * torch.arange(16) / 16).expand(1, 1, 16, 16)
    frequencies, power = evaluation.radial_power(wave)
    assert frequencies[power.argmax()] == 3
    assert torch.isclose(power[3], power.sum())


def test_a_fully_connected_layer_multiplies_once_a_weight_and_a_convolution_once_a_weight_and_place() -> None:
    linear = networks.MLPEncoder((1, 8, 8), 5, (7,))
    assert networks.multiply_adds(linear, torch.zeros(3, 1, 8, 8)) == 64 * 7 + 7 * 5
    convolution = torch.nn.Conv2d(2, 3, 4, stride=2, padding=1)
    assert networks.multiply_adds(convolution, torch.zeros(3, 2, 8, 8)) == 2 * 3 * 16 * 16


def test_the_three_kinds_of_layer_have_the_same_number_of_parameters_within_three_percent() -> None:
    counts = [
        networks.parameter_count(recipes.get(f"{kind}-digits-106k").model()) for kind in ("mlp", "conv", "transformer")
    ]
    assert max(counts) < 1.03 * min(counts)


def test_convolutions_without_a_hidden_layer_read_the_code_off_by_one_linear_map() -> None:
    encoder = networks.ConvEncoder((3, 32, 32), 512, (16, 32, 64), hidden=None)
    linear = [layer for layer in encoder.net if isinstance(layer, torch.nn.Linear)]
    assert [(layer.in_features, layer.out_features) for layer in linear] == [(1024, 512)]
    decoder = networks.ConvDecoder((3, 32, 32), 512, (16, 32, 64), hidden=None)
    assert decoder(torch.zeros(2, 512)).shape == (2, 3, 32, 32)


def test_a_centered_autoencoder_works_on_what_is_left_without_the_mean() -> None:
    mean, x = torch.rand(1, 8, 8), torch.rand(4, 1, 8, 8)
    halves = networks.MLPEncoder((1, 8, 8), 2), networks.MLPDecoder((1, 8, 8), 2)
    plain, centered = models.Autoencoder(*halves), models.Autoencoder(*halves, mean)
    assert torch.equal(centered(x), plain(x - mean) + mean)
    assert "mean" in centered.state_dict()
    assert "mean" not in plain.state_dict()


def test_attention_costs_what_the_chapter_counts() -> None:
    tokens, width, depth, patch = 16, 48, 2, 7
    model = recipes.get("transformer-digits-106k").model()
    blocks = 2 * depth * (8 * tokens * width**2 + 2 * tokens**2 * width)  # of encoder and decoder
    ends = 2 * (tokens * patch**2 * width + tokens * width * 16)
    assert networks.multiply_adds(model, torch.zeros(2, 1, 28, 28)) == blocks + ends
