"""Objectives are one number per example, in nats, and leave what they are given as it was."""

import inspect
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from autoencoders import checks, distributions, models, networks, objectives

SHAPE = (1, 8, 8)


def autoencoder(shape=SHAPE, latent: int = 3, seed: int = 0) -> models.Autoencoder:
    torch.manual_seed(seed)
    return models.Autoencoder(networks.MLPEncoder(shape, latent, (16,)), networks.MLPDecoder(shape, latent, (16,)))


def pictures(b: int, shape=SHAPE, seed: int = 0) -> torch.Tensor:
    return torch.rand(b, *shape, generator=torch.Generator().manual_seed(seed))


def all_terms(model, x, seed: int = 0) -> dict[str, objectives.Terms]:
    """Each objective's terms, the noise drawn from `seed`."""
    return {
        name: objective(model, x, torch.Generator().manual_seed(seed))
        for name, objective in (
            ("reconstruction", objectives.reconstruction_terms),
            ("sparse", objectives.sparse_terms),
            ("denoising", objectives.denoising_terms),
        )
    }


# One number per example (T1) ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("b", [1, 5])
@pytest.mark.parametrize("shape", [SHAPE, (3, 4, 12)])
def test_terms_are_one_number_per_example(shape, b):
    for name, terms in all_terms(autoencoder(shape), pictures(b, shape)).items():
        assert terms.distortion.shape == terms.rate.shape == terms.total(2.0).shape == (b,), name


@given(b=st.integers(1, 6), repeats=st.integers(2, 4), seed=st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_repeating_the_batch_leaves_every_term_unchanged(b, repeats, seed):
    model, x = autoencoder(seed=seed % 7), pictures(b, seed=seed)
    again = x.repeat(repeats, 1, 1, 1)
    for objective in (objectives.reconstruction_terms, objectives.sparse_terms):
        once, many = objective(model, x), objective(model, again)
        for term in ("distortion", "rate"):
            assert torch.allclose(getattr(many, term), getattr(once, term).repeat(repeats), rtol=1e-4, atol=1e-6)


@given(b=st.integers(2, 6), seed=st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_an_example_s_terms_do_not_depend_on_its_company(b, seed):
    model, x = autoencoder(), pictures(b, seed=seed)
    for objective in (objectives.reconstruction_terms, objectives.sparse_terms):
        together, alone = objective(model, x), [objective(model, row[None]) for row in x]
        for term in ("distortion", "rate"):
            expected = torch.cat([getattr(t, term) for t in alone])
            assert torch.allclose(getattr(together, term), expected, rtol=1e-4, atol=1e-6)


def test_the_same_check_fails_for_terms_averaged_over_the_batch():
    x, x_hat = pictures(2), pictures(2, seed=1)
    averaged = (x - x_hat).square().flatten(1).sum(1) / len(x)
    twice = (x - x_hat).repeat(2, 1, 1, 1).square().flatten(1).sum(1) / (2 * len(x))
    assert not torch.allclose(twice[:2], averaged)


def test_a_distortion_is_summed_over_pixels_so_that_two_pictures_side_by_side_cost_their_sum():
    x, x_hat = pictures(4), pictures(4, seed=1)
    wide = objectives.squared_error(torch.cat([x, x], 3), torch.cat([x_hat, x_hat], 3))
    assert torch.allclose(wide, 2 * objectives.squared_error(x, x_hat))


@pytest.mark.parametrize(
    "distortion, rate",
    [(torch.tensor(1.0), torch.tensor(1.0)), (torch.ones(3), torch.ones(2)), (torch.ones(3, 4), torch.ones(3, 4))],
)
def test_terms_that_are_not_one_number_per_example_are_refused(distortion, rate):
    with pytest.raises((ValueError, TypeError)):
        objectives.Terms(distortion, rate)
    with pytest.raises(ValueError, match=r"one number per example.*sum over pixels"):
        objectives.Terms.__post_init__(_Raw(distortion, rate))


class _Raw:
    """Stands for `Terms` where the tests' run-time shape checker would step in before the package's own error."""

    def __init__(self, distortion, rate):
        self.distortion, self.rate = distortion, rate


def test_the_total_weighs_the_rate_only():
    terms = objectives.Terms(torch.tensor([1.0, 2.0]), torch.tensor([10.0, 20.0]))
    assert torch.equal(terms.total(), torch.tensor([11.0, 22.0]))
    assert torch.equal(terms.total(0.5), torch.tensor([6.0, 12.0]))
    assert torch.equal(terms.total(0), terms.distortion)


# What the numbers are (T2) --------------------------------------------------------------------------------------------


def test_squared_error_is_the_negative_log_density_of_a_unit_gaussian_without_its_constant():
    x, x_hat = pictures(6), pictures(6, seed=1)
    constant = 0.5 * 64 * math.log(2 * math.pi)
    expected = -distributions.normal(x_hat).log_prob(x) - constant
    assert torch.allclose(objectives.squared_error(x, x_hat), expected, atol=1e-4)


def test_the_objectives_are_their_formulas():
    model, x = autoencoder(), pictures(4)
    z, noise = model.encode(x), 0.5
    epsilon = torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    terms = all_terms(model, x)
    half = [0.5 * (x - y).square().sum((1, 2, 3)) for y in (model.decode(z), model(x + noise * epsilon))]
    assert torch.allclose(terms["reconstruction"].distortion, half[0])
    assert torch.allclose(terms["sparse"].distortion, half[0])
    assert torch.allclose(terms["denoising"].distortion, half[1])
    assert torch.allclose(terms["sparse"].rate, z.abs().sum(1))
    assert not terms["reconstruction"].rate.any() and not terms["denoising"].rate.any()


def test_the_sparsity_penalty_moves_the_encoder_and_not_the_decoder():
    model = autoencoder()
    objectives.sparse_terms(model, pictures(4)).rate.sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in list(model.encoder.parameters())[-2:])
    assert all(p.grad is None or not p.grad.any() for p in model.decoder.parameters())


def test_every_distortion_reaches_encoder_and_decoder():
    for name in all_terms(autoencoder(), pictures(4)):
        model = autoencoder()
        all_terms(model, pictures(4))[name].distortion.sum().backward()
        assert all(p.grad is not None and p.grad.any() for p in model.parameters()), name


def test_pictures_of_another_shape_are_refused():
    with pytest.raises((ValueError, TypeError)):
        objectives.squared_error(pictures(2), pictures(2, (1, 8, 4)))
    unchecked = inspect.unwrap(objectives.squared_error)  # without the tests' own shape checker
    with pytest.raises(ValueError, match="agree in shape"):
        unchecked(pictures(2), pictures(1))


# Noise is explicit (T16) ----------------------------------------------------------------------------------------------


def test_equal_generators_give_equal_noise_and_others_do_not():
    model, x = autoencoder(), pictures(5)
    runs = [all_terms(model, x, seed)["denoising"].distortion for seed in (3, 3, 4)]
    assert torch.equal(runs[0], runs[1])
    assert not torch.equal(runs[0], runs[2])


def test_one_generator_gives_new_noise_at_every_call():
    generator, x = torch.Generator().manual_seed(0), pictures(5)
    assert not torch.equal(objectives.corrupt(x, 0.5, generator), objectives.corrupt(x, 0.5, generator))


def test_noise_from_a_generator_leaves_the_global_random_state_alone():
    before = torch.get_rng_state()
    all_terms(autoencoder(), pictures(2))  # seeds the model itself
    torch.set_rng_state(before)
    objectives.corrupt(pictures(5), 0.5, torch.Generator().manual_seed(0))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("mode", [True, False])
def test_noise_does_not_depend_on_the_model_s_mode(mode):
    model, x = autoencoder(), pictures(5)
    expected = all_terms(model, x)["denoising"].distortion
    assert torch.equal(all_terms(model.train(mode), x)["denoising"].distortion, expected)
    assert model.training is mode


def test_corrupt_adds_gaussian_noise_of_the_given_standard_deviation_and_clips_nothing():
    x = pictures(400)
    noisy = objectives.corrupt(x, 0.5, torch.Generator().manual_seed(0))
    added = noisy - x
    n = added.numel()
    assert abs(added.mean().item()) < 4 * 0.5 / math.sqrt(n)
    assert added.std().item() == pytest.approx(0.5, rel=4 / math.sqrt(2 * n))
    assert noisy.min() < -0.5 and noisy.max() > 1.5
    assert torch.equal(x, pictures(400))


def test_clipped_noise_is_the_same_noise_cut_off_at_black_and_white():
    x = pictures(50)
    free, cut = (objectives.corrupt(x, 0.5, torch.Generator().manual_seed(2), clip=clip) for clip in (False, True))
    assert torch.equal(cut, free.clamp(0, 1))
    assert cut.min() == 0 and cut.max() == 1
    inside = (free > 0) & (free < 1)
    assert 0.2 < inside.float().mean() < 0.9 and torch.equal(cut[inside], free[inside])
    assert objectives.denoising_terms(autoencoder(), x, noise=0.5, clip=True).rate.sum() == 0


class _Seen(torch.nn.Module):
    """Keeps what an encoder is given and gives it on."""

    def __init__(self, encoder):
        super().__init__()
        self.encoder, self.inputs = encoder, []

    def forward(self, x):
        self.inputs.append(x)
        return self.encoder(x)


def vae(likelihood=None) -> models.VAE:
    torch.manual_seed(0)
    pair = networks.MLPEncoder(SHAPE, 6, (16,)), networks.MLPDecoder(SHAPE, 3, (16,))
    return models.VAE(_Seen(pair[0]), pair[1], likelihood or models.GaussianPixels(), 3)


@pytest.mark.parametrize("clip", [False, True])
@pytest.mark.parametrize("binary", [False, True])
def test_noise_changes_what_the_encoder_sees_and_not_what_is_to_be_reconstructed(binary, clip):
    model, x = vae(models.BernoulliPixels() if binary else None), pictures(20)
    options = dict(noise=0.5, clip=clip, binary=binary, samples=3)
    terms = objectives.elbo_terms(model, x, torch.Generator().manual_seed(4), **options)
    generator = torch.Generator().manual_seed(4)  # draws in the same order: the binary picture, the noise, z
    target = objectives.binarize(x, generator) if binary else x
    noisy = objectives.corrupt(target, 0.5, generator, clip=clip)
    assert torch.equal(model.encoder.inputs[0], noisy) and not torch.equal(noisy, target)
    assert ((noisy - 0.5).abs() <= 0.5).all() == clip
    q = model.encode(noisy)
    z = distributions.reparameterized(q, 3, generator)
    expected = -torch.stack([model.decode(one).log_prob(target) for one in z]).mean(0)
    torch.testing.assert_close(terms.distortion, expected)
    torch.testing.assert_close(terms.rate, torch.distributions.kl_divergence(q, model.prior))
    assert torch.equal(x, pictures(20))


def test_the_seed_decides_the_noise_of_the_bound_and_without_noise_there_is_none():
    model, x = vae(), pictures(5)

    def terms(seed, **options):
        return objectives.elbo_terms(model, x, torch.Generator().manual_seed(seed), **options)

    first, again, other = (terms(seed, noise=0.5, clip=True) for seed in (3, 3, 4))
    assert torch.equal(first.rate, again.rate) and torch.equal(first.distortion, again.distortion)
    assert not torch.equal(first.rate, other.rate)
    clean = terms(3), terms(4, noise=0.0, clip=True)
    assert torch.equal(clean[0].rate, clean[1].rate), "the rate is exact: only noise would make it depend on the seed"
    assert torch.equal(clean[0].distortion, terms(3, noise=0.0).distortion), "noise 0 draws nothing"
    with pytest.raises(ValueError, match="cannot be negative"):
        terms(3, noise=-0.5)


def test_no_noise_changes_nothing():
    x = pictures(3)
    assert torch.equal(objectives.corrupt(x, 0.0), x)


@pytest.mark.parametrize("noise", [-0.1, -5.0, math.nan])
def test_negative_noise_is_refused(noise):
    with pytest.raises(ValueError, match="standard deviation and cannot be negative"):
        objectives.corrupt(pictures(1), noise)
    with pytest.raises(ValueError, match="cannot be negative"):
        objectives.denoising_terms(autoencoder(), pictures(1), noise=noise)


# Tables behind identities ---------------------------------------------------------------------------------------------


def test_a_table_shows_what_was_measured_expected_and_the_gap():
    (row,) = checks.table({"pi": (3.1, math.pi)}, digits=3).rows
    assert row == ("pi", "3.1", "3.14", "4.2e-02")


def test_a_table_hides_differences_below_its_digits_and_only_those():
    rows = checks.table({"equal": (1.0 + 1e-7, 1.0), "off": (1.001, 1.0), "zero": (0.0, 0.0)}, digits=4).rows
    assert [row[3].startswith("<") for row in rows] == [True, False, True]


def test_a_table_takes_tensors_lists_and_arrays_and_shows_the_largest_difference():
    a = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
    (row,) = checks.table({"v": (a, [1.0, 2.5, 3.1])}, digits=2).rows
    assert row[1:3] == ("(1, 2, 3)", "(1, 2.5, 3.1)") and row[3] == "5.0e-01"
    (row,) = checks.table({"m": (torch.zeros(4, 5), torch.zeros(4, 5).numpy())}).rows
    assert row[1] == "array of 4 x 5"


def test_a_table_refuses_to_compare_different_shapes():
    with pytest.raises(ValueError, match=r"'v'.*\(3,\).*\(1, 3\).*like with like"):
        checks.table({"v": (torch.zeros(3), torch.zeros(1, 3))})


def test_a_table_does_not_hide_what_is_not_a_number():
    (row,) = checks.table({"v": (math.nan, 1.0)}).rows
    assert row[1] == "nan" and not row[3].startswith("<")
    (row,) = checks.table({"v": (math.inf, 1.0)}).rows
    assert row[1] == "inf" and not row[3].startswith("<")


def test_a_table_is_text_and_escaped_html():
    shown = checks.table({"a < b": (1.0, 1.0)})
    assert "measured" in repr(shown) and "a < b" in repr(shown)
    assert "a &lt; b" in shown._repr_html_() and "<th scope='col'>expected</th>" in shown._repr_html_()
