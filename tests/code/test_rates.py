"""Rates against independent computations: numpy, scipy, Monte Carlo and files on the same pictures."""

import inspect
import io
import math
import types

import numpy as np
import pytest
import scipy.stats
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import nn

from autoencoders import autoregressive, evaluation, models, networks, quantizers, rates


class Coder(nn.Module):
    """The mean of each quarter of a picture, quantized: the smallest model with codes. Watches its mode."""

    def __init__(self, quantizer, channels=1):
        super().__init__()
        self.quantizer, self.channels = quantizer, channels
        self.dropout = nn.Dropout(0.5)  # in training mode the counts would be others

    def indices(self, x):
        return self.quantizer(self.dropout(nn.functional.avg_pool2d(x, x.shape[-1] // 2))).indices


def codebook(values):
    book = quantizers.GradientCodebook(len(values), 1)
    book.codes.data = torch.tensor(values)[:, None]
    return book


@pytest.fixture
def vae():
    torch.manual_seed(0)
    model = models.VAE(
        networks.MLPEncoder((1, 8, 8), 6), networks.MLPDecoder((1, 8, 8), 3), models.GaussianPixels(0.5), 3
    )
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(3)  # away from the prior
    return model


# ---- units


def test_a_rate_is_given_in_nats_bits_and_bits_for_each_number():
    rate = rates.Rate(49 * math.log(128))
    assert rate.bits == pytest.approx(343)
    assert rate.bits_per_dimension(49) == pytest.approx(7)
    assert rate.bits_per_dimension(784) == pytest.approx(343 / 784)
    with pytest.raises(ValueError, match="at least 1"):
        rate.bits_per_dimension(0)
    assert rates.uniform_rate(128, 49) == rate
    assert rates.uniform_rate(1, 49).nats == 0
    for wrong in ((0, 49), (128, 0)):
        with pytest.raises(ValueError, match="at least one"):
            rates.uniform_rate(*wrong)


# ---- VAE


def test_the_rate_of_a_vae_is_the_closed_form_of_the_divergence(vae, images):
    with torch.no_grad():
        q = vae.encode(images)
    mean, scale = q.mean.double().numpy(), q.stddev.double().numpy()
    expected = 0.5 * (mean**2 + scale**2 - 1 - 2 * np.log(scale)).sum(1).mean()
    assert expected > 1
    assert rates.vae_rate(vae, images).nats == pytest.approx(expected, rel=1e-6)
    assert rates.vae_rate(vae, images, batch_size=77).nats == pytest.approx(expected, rel=1e-6)


def test_the_rate_of_a_vae_is_what_draws_cost_more_under_the_prior_than_under_q(vae, images):
    with torch.no_grad():
        q = vae.encode(images)
        z = torch.randn(2000, *q.mean.shape, generator=torch.Generator().manual_seed(0)) * q.stddev + q.mean
        extra = (q.log_prob(z) - vae.prior.log_prob(z)).mean(1)
        standard_error = (q.log_prob(z) - vae.prior.log_prob(z)).std() / math.sqrt(z[..., 0].numel())
    assert abs(extra.mean() - rates.vae_rate(vae, images).nats) < 4 * standard_error


def test_the_error_at_draws_is_that_of_the_mean_code_where_q_is_narrow_and_larger_where_it_is_wide(vae, images):
    at_mean = evaluation.mse(vae, images)
    assert rates.vae_mse(vae, images) > 1.05 * at_mean
    assert rates.vae_mse(vae, images) == rates.vae_mse(vae, images) != rates.vae_mse(vae, images, seed=1)
    last = [layer for layer in vae.encoder.modules() if isinstance(layer, nn.Linear)][-1]
    with torch.no_grad():
        last.weight[3:], last.bias[3:] = 0, -100.0  # variance e^-12
    assert rates.vae_mse(vae, images) == pytest.approx(evaluation.mse(vae, images), rel=1e-3)


# ---- codes


def test_the_entropy_coded_rate_is_the_cross_entropy_under_smoothed_training_shares():
    generator = np.random.default_rng(0)
    train, test = generator.integers(0, 5, (40, 2, 3)), generator.integers(0, 7, (30, 2, 3))
    arguments = torch.as_tensor(train), torch.as_tensor(test), 7

    shares = (np.bincount(train.ravel(), minlength=7) + 1) / (train.size + 7)
    assert rates.entropy_coded_rate(*arguments).nats == pytest.approx(-np.log(shares[test]).sum() / 30)

    cost = 0.0
    for row in range(2):
        for column in range(3):
            shares = (np.bincount(train[:, row, column], minlength=7) + 0.5) / (40 + 3.5)
            cost -= np.log(shares[test[:, row, column]]).mean()
    found = rates.entropy_coded_rate(*arguments, per_place=True, smoothing=0.5)
    assert found.nats == pytest.approx(cost)


def test_the_entropy_coded_rate_tends_to_the_entropy_and_never_below_it():
    codes = torch.multinomial(torch.tensor([0.5, 0.25, 0.25]), 60000, True, generator=torch.Generator().manual_seed(0))
    maps = codes.view(-1, 2, 3)
    entropy = scipy.stats.entropy(torch.bincount(codes).numpy())  # of the test maps' own shares
    rate = rates.entropy_coded_rate(maps, maps, 3).nats
    assert 6 * entropy <= rate < 6 * entropy + 1e-6
    assert rates.entropy_coded_rate(maps[:20], maps, 3).nats > 6 * entropy


def test_counting_each_place_helps_where_places_differ_and_hurts_a_little_where_they_do_not():
    generator = torch.Generator().manual_seed(0)
    differ = torch.arange(6).view(1, 2, 3).expand(500, 2, 3)
    assert rates.entropy_coded_rate(differ, differ, 6).bits == pytest.approx(6 * math.log2(6), rel=1e-3)
    assert rates.entropy_coded_rate(differ, differ, 6, per_place=True).bits < 0.1
    train, test = torch.randint(6, (2, 200, 2, 3), generator=generator)
    pooled, placed = (rates.entropy_coded_rate(train, test, 6, per_place=some).bits for some in (False, True))
    assert pooled < placed < 1.05 * pooled


def test_the_entropy_coded_rate_says_what_is_wrong_with_its_codes():
    maps = torch.randint(4, (10, 2, 3))
    with pytest.raises(ValueError, match="4 codes, 0 to 3, but the indices go from 0 to 4"):
        rates.entropy_coded_rate(maps, torch.full((1, 2, 3), 4).index_fill(1, torch.tensor([0]), 0), 4)
    with pytest.raises(ValueError, match="from -1"):
        rates.entropy_coded_rate(torch.full((1, 2, 3), -1), maps, 4)
    with pytest.raises(ValueError, match="positive"):
        rates.entropy_coded_rate(maps, maps, 4, smoothing=0.0)
    with pytest.raises(ValueError, match="at least one map"):
        rates.entropy_coded_rate(maps[:0], maps, 4)
    with pytest.raises(ValueError, match="one shape"):
        inspect.unwrap(rates.entropy_coded_rate)(maps, maps[:, :1], 4)


def test_a_priors_rate_is_the_mean_of_minus_log_prob_whatever_the_batches():
    torch.manual_seed(0)
    prior = autoregressive.PixelCNN(5, (3, 3), classes=2, condition=4, channels=8, layers=2).train()
    codes, labels, condition = torch.randint(5, (23, 3, 3)), torch.arange(23) % 2, torch.randn(23, 4, 3, 3)
    with torch.no_grad():
        expected = -prior.log_prob(codes, labels, condition).double().mean().item()
    for batch_size in (1, 7, 500):
        found = rates.prior_rate(prior, codes, labels, condition=condition, batch_size=batch_size)
        assert found.nats == pytest.approx(expected, rel=1e-5)
    assert prior.training
    with pytest.raises(ValueError, match="as many labels"):
        inspect.unwrap(rates.prior_rate)(prior, codes, labels[:9], condition=condition)
    with pytest.raises(ValueError, match="at least one"):
        rates.prior_rate(prior, codes[:0], labels[:0], condition=condition[:0])


def test_a_prior_need_not_be_a_module_and_a_uniform_one_costs_the_uniform_rate():
    uniform = types.SimpleNamespace(log_prob=lambda codes, labels: torch.full((len(codes),), -6 * math.log(5)))
    assert rates.prior_rate(uniform, torch.randint(5, (9, 2, 3))).nats == pytest.approx(rates.uniform_rate(5, 6).nats)


def test_the_draws_of_a_prior_that_estimates_are_those_of_the_seed_and_the_random_state_stays():
    estimate = types.SimpleNamespace(log_prob=lambda codes, labels: torch.randn(len(codes)))
    codes, state = torch.randint(5, (9, 2, 3)), torch.get_rng_state()
    assert rates.prior_rate(estimate, codes) == rates.prior_rate(estimate, codes)
    assert rates.prior_rate(estimate, codes) != rates.prior_rate(estimate, codes, seed=1)
    assert torch.equal(torch.get_rng_state(), state)


# ---- counts


@settings(deadline=None, max_examples=15)
@given(batch=st.integers(1, 60), seed=st.integers(0, 1000))
def test_counts_are_those_of_the_whole_set_in_any_batches(batch, seed):
    # Sixteenths: no mean is halfway between two codes, where rounding would decide.
    pictures = torch.randint(17, (50, 1, 4, 4), generator=torch.Generator().manual_seed(seed)) / 16
    model = Coder(codebook([0.3, 0.5, 0.7, 9.0])).train()
    means = nn.functional.avg_pool2d(pictures, 2).flatten().numpy()
    nearest = np.abs(means[:, None] - np.array([0.3, 0.5, 0.7, 9.0])).argmin(1)
    counts = rates.code_counts(model, pictures, batch_size=batch)
    assert counts.tolist() == np.bincount(nearest, minlength=4).tolist()
    assert model.training


def test_perplexity_pools_counts_over_the_data_set_where_the_mean_over_batches_is_another_number():
    # Pictures of 8 gray values, sorted: within a batch of 500 one or two codes are in use, over all of them 8.
    values = torch.arange(8.0) / 8
    pictures = values.repeat_interleave(500)[:, None, None, None].expand(-1, 1, 4, 4)
    model = Coder(codebook(values.tolist()))
    assert rates.perplexity(model, pictures) == pytest.approx(8)
    each = [quantizers.pooled_perplexity(rates.code_counts(model, part)) for part in pictures.split(500)]
    assert np.mean(each) == pytest.approx(1)
    assert rates.usage(model, pictures) == 1
    assert rates.usage(model, pictures[499:501]) == 2 / 8
    once = torch.tensor([[0.0, 0.125], [0.25, 0.375]]).repeat_interleave(2, 0).repeat_interleave(2, 1)[None, None]
    assert rates.usage(model, once) == 4 / 8


def test_scalar_quantization_is_counted_too_and_bad_models_are_refused():
    pictures = torch.rand(20, 1, 4, 4)
    counts = rates.code_counts(Coder(quantizers.ScalarQuantizer((5,))), pictures)
    assert (len(counts), counts.sum()) == (5, 80)
    model = Coder(codebook([0.2, 0.8]))
    with pytest.raises(ValueError, match="at least one"):
        rates.code_counts(model, pictures[:0])
    with pytest.raises(TypeError, match="Coder has not one codebook"):
        rates.code_counts(Coder(nn.Identity()), pictures)
    model.indices = lambda x: torch.full((1, 2, 2), 2)
    with pytest.raises(ValueError, match="2 codes"):
        rates.code_counts(model, pictures)


def test_each_part_of_a_model_is_put_back_in_its_own_mode_even_after_an_error(vae, images):
    vae.train()
    vae.decoder.eval()
    before = [part.training for part in vae.modules()]
    rates.vae_rate(vae, images)
    rates.vae_mse(vae, images)
    with pytest.raises(ValueError, match="not finite"):
        rates.vae_rate(vae, images / 0)
    assert [part.training for part in vae.modules()] == before
    assert len(set(before)) == 2


# ---- codecs


def gray(n=5, side=12, channels=1):
    """Smooth pictures of bytes / 255."""
    grid = torch.linspace(0, 3, side)
    phase = torch.arange(float(n * channels)).view(n, channels, 1, 1)
    return ((torch.sin(grid[:, None] + 2 * grid + phase) + 1) * 127.5).round() / 255


@pytest.mark.parametrize("codec", ["JPEG", "WebP"])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_codecs_point_is_the_file_that_pillow_writes(codec, channels):
    pictures = gray(channels=channels)
    sizes, errors = [], []
    for picture in pictures:
        values = (picture * 255).round().byte().permute(1, 2, 0).numpy()
        file = io.BytesIO()
        Image.fromarray(values.squeeze()).save(file, codec, quality=60, optimize=True, method=6)
        sizes.append(len(file.getvalue()))
        decoded = np.asarray(Image.open(file).convert("RGB"), float)
        decoded = decoded if channels == 3 else decoded.mean(2, keepdims=True)
        errors.append(((decoded - values) ** 2).mean() / 255**2)
    (point,) = rates.codec_curve(pictures, codec, [60])
    assert point.quality == 60
    assert point.bits_per_image == pytest.approx(8 * np.mean(sizes))
    assert point.mse == pytest.approx(np.mean(errors), rel=0.02)
    assert point.mse < 0.01


@pytest.mark.parametrize("codec", ["JPEG", "WebP"])
def test_quality_costs_bits_and_lowers_the_error(codec):
    noise = torch.rand(6, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    points = rates.codec_curve((gray(6, 16) + noise) / 2, codec, [5, 50, 95], tiles=6)
    assert [point.quality for point in points] == [5, 50, 95]
    assert points[0].bits_per_image < points[1].bits_per_image < points[2].bits_per_image
    assert points[0].mse > points[1].mse > points[2].mse


@pytest.mark.parametrize("codec", ["JPEG", "WebP"])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_contact_sheet_shares_the_headers_and_gives_every_picture_back_in_its_place(codec, channels):
    # 16 x 16: the codecs' blocks do not straddle pictures. Seven of different gray on sheets of 5 and 2.
    pictures = (torch.arange(7.0) / 7).view(7, 1, 1, 1).expand(7, channels, 16, 16).clone()
    pictures[:, :, :8] += 0.1
    (alone,), (together,) = (rates.codec_curve(pictures, codec, [95], tiles=tiles) for tiles in (1, 5))
    assert together.bits_per_image < 0.6 * alone.bits_per_image
    assert together.mse < 1e-4
    (swapped,) = rates.codec_curve(pictures.transpose(2, 3), codec, [95], tiles=5)
    assert swapped.mse < 1e-4


def test_the_pictures_that_files_give_back_are_those_whose_error_is_quoted():
    pictures = gray(6, 16)
    size, read = rates.through_files(pictures, "JPEG", 30, tiles=4)
    (point,) = rates.codec_curve(pictures, "JPEG", [30], tiles=4)
    assert read.shape == pictures.shape and 8 * size / 6 == point.bits_per_image
    assert (read - pictures).square().mean().item() == pytest.approx(point.mse)


def test_the_error_is_against_the_pictures_as_given_so_rounding_to_bytes_is_in_it():
    for value in (100.4, 100.6):  # a constant: the codec itself loses nothing
        (point,) = rates.codec_curve(torch.full((2, 1, 16, 16), value / 255), "JPEG", [100])
        assert point.mse == pytest.approx((0.4 / 255) ** 2, rel=1e-3)


def test_codecs_say_what_is_wrong(monkeypatch):
    pictures = gray()
    curve = inspect.unwrap(rates.codec_curve)
    with pytest.raises(ValueError, match="JPEG and WebP, not 'PNG'"):
        curve(pictures, "PNG", [50])
    for wrong in (pictures + 1, pictures - 0.1, pictures / 0):
        with pytest.raises(ValueError, match="from 0 to 1"):
            curve(wrong, "JPEG", [50])
    for wrong in (pictures[:0], pictures.expand(-1, 2, -1, -1)):
        with pytest.raises(ValueError, match="1 or 3 channels"):
            curve(wrong, "JPEG", [50])
    for quality, tiles in ((0, 1), (101, 1), (50, 0)):
        with pytest.raises(ValueError, match="tiles is at least 1"):
            curve(pictures, "JPEG", [quality], tiles=tiles)
    monkeypatch.setattr(rates.pillow, "check", lambda name: name != "webp")
    with pytest.raises(RuntimeError, match="cannot write WebP"):
        curve(pictures, "WebP", [50])
    curve(pictures, "JPEG", [50])
