"""Six scores of disentanglement: at their extremes, against independent computations and against the reference's values."""

import inspect
import math

import numpy as np
import pytest
import scipy.stats
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from autoencoders import disentanglement as d
from autoencoders import informativeness, models

SIZES = (6, 16, 16)


def grid(sizes=SIZES):
    """The factors of every cell of a grid, (n, f), and the code that equals them, each column with variance 1."""
    factors = torch.cartesian_prod(*(torch.arange(size) for size in sizes))
    z = factors.double()
    return factors, (z - z.mean(0)) / z.std(0, correction=0)


def gaussian(n, m, seed):
    return torch.from_numpy(np.random.default_rng(seed).standard_normal((n, m)))


def turned(z, angle, a, b):
    """Columns a and b turned into each other by an angle in radians."""
    turned = z.clone()
    turned[:, a] = math.cos(angle) * z[:, a] - math.sin(angle) * z[:, b]
    turned[:, b] = math.sin(angle) * z[:, a] + math.cos(angle) * z[:, b]
    return turned


def four_codes():
    """Perfect, rotated, noisy with three idle latents, and mixed: 1,536 rows each."""
    _, z = grid()
    noise = gaussian(1536, 6, 0)
    mixed = [
        math.cos(0.4) * z[:, 0] + math.sin(0.4) * z[:, 1],
        z[:, 2] ** 3 + 0.1 * noise[:, 0],
        torch.tanh(2 * z[:, 1]) + 0.1 * noise[:, 1],
        z[:, 0] + 0.5 * noise[:, 2],
        0.02 * noise[:, 3],
        noise[:, 4],
    ]
    return {
        "perfect": z,
        "rotated": turned(turned(z, math.pi / 4, 0, 1), 0.6, 1, 2),
        "noisy": torch.cat([z + 0.3 * noise[:, :3], noise[:, 3:]], 1),
        "mixed": torch.stack(mixed, 1),
    }


# MIG, modularity, SAP (linear SVM), DCI disentanglement, completeness and accuracy of disentanglement_lib, commit
# 86a644d4ed35c771560dc3360756363d35477357, with scikit-learn 1.9.1 and 20 bins. Learned from the first 1,152 rows of
# np.random.default_rng(0).permutation(1536), tested on the others.
REFERENCE = {
    "perfect": (1.0000, 1.0000, 0.1259, 1.0000, 1.0000, 1.0000),
    "rotated": (0.1979, 0.6436, 0.0365, 0.3277, 0.3929, 0.8776),
    "noisy": (0.4736, 0.7489, 0.1380, 0.4391, 0.3893, 0.4002),
    "mixed": (0.2996, 0.7679, 0.0538, 0.5560, 0.6052, 0.8898),
}


@pytest.mark.parametrize("name", ["perfect", "rotated", "noisy", "mixed"])
def test_mig_dci_modularity_and_sap_agree_with_the_reference_implementation(name):
    factors, z = grid()[0], four_codes()[name]
    ours = d.dci(z, factors, trees=100)
    found = (
        d.mutual_information_gap(z, factors),
        d.modularity(z, factors),
        d.sap_score(z, factors, predictor="linear svm"),
        ours.disentanglement,
        ours.completeness,
        ours.informativeness,
    )
    assert found == pytest.approx(REFERENCE[name], abs=0.02)
    assert found[:2] == pytest.approx(REFERENCE[name][:2], abs=1e-4)


# ---- extremes


def test_a_perfect_code_has_every_score_at_its_ceiling():
    factors, z = grid()
    found = d.scores(z, factors)
    assert list(found) == ["beta_vae", "factor_vae", "mig", "dci", "modularity", "sap"]
    sap = np.mean([1 - 1 / size for size in SIZES])  # the second best latent names a value by chance
    assert list(found.values()) == pytest.approx([1, 1, 1, 1, 1, sap], abs=1e-9)
    assert d.sap_score(z, factors, predictor="regression") == pytest.approx(1)


@pytest.mark.parametrize(
    ("predictor", "ceiling"), [("gradient boosting", 1.0), ("random forest", 1.0), ("logistic", 0.932)]
)
def test_dci_of_a_perfect_code_is_the_ceiling_of_its_predictor(predictor, ceiling):
    factors, z = grid()
    found = d.dci(z, factors, predictor=predictor)
    assert (found.disentanglement, found.completeness) == pytest.approx((ceiling, ceiling), abs=0.005)
    assert found.importance.sum(0).tolist() == pytest.approx([1, 1, 1])
    assert found.importance.argmax(0).tolist() == [0, 1, 2]
    assert found.informativeness > (0.99 if ceiling == 1 else 0.5)


def test_idle_latents_beside_a_perfect_code_lower_only_what_is_said_of_them():
    factors, z = grid()
    constant, noise = torch.cat([z, 0 * z], 1), torch.cat([z, gaussian(1536, 3, 0)], 1)
    assert list(d.scores(constant, factors).values()) == pytest.approx([1, 1, 1, 1, 0.5, 65 / 72], abs=1e-9)
    found = d.scores(noise, factors)
    assert min(found["beta_vae"], found["factor_vae"], found["dci"]) > 0.999
    assert 0.95 < found["mig"] < 0.99  # the plug-in estimate says that noise tells something
    assert 0.5 < found["modularity"] < 0.9


def test_a_constant_code_scores_nothing_or_chance():
    factors, z = grid()
    found = d.scores(0 * z + 3, factors)
    assert found.pop("beta_vae") == pytest.approx(1 / 3, abs=0.001)  # as many examples of each factor
    assert set(found.values()) == {0.0}
    for predictor in ("random forest", "logistic"):
        assert d.dci(0 * z, factors, predictor=predictor).disentanglement == 0
    for reader in ("linear svm", "regression"):
        assert d.sap_score(0 * z, factors, predictor=reader) == 0


def test_a_code_of_noise_scores_near_nothing_or_chance():
    factors, _ = grid()
    found = d.scores(gaussian(1536, 4, 1), factors)
    found.pop("modularity")  # what the errors of the estimate make of it
    assert max(found.pop("beta_vae"), found.pop("factor_vae")) < 1 / 3 + 0.06
    assert max(found.values()) < 0.05


def test_a_code_with_every_factor_twice_has_no_gap_and_is_modular():
    factors, z = grid()
    twice = torch.cat([z, z], 1)
    assert d.mutual_information_gap(twice, factors) == pytest.approx(0, abs=1e-9)
    assert d.sap_score(twice, factors) == pytest.approx(0, abs=1e-9)
    assert d.modularity(twice, factors) == pytest.approx(1)
    # Of latents that no tree needs, some importances come out at -1e-17.
    assert d.dci(twice.float(), factors).disentanglement == pytest.approx(1)
    found = d.dci(twice, factors, predictor="logistic")  # trees may choose either copy
    assert found.completeness < found.disentanglement - 0.2
    assert found.completeness < 1 - math.log(2) / math.log(6) + 0.01


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_random_rotation_lowers_mig_and_dci(seed):
    factors, z = grid()
    rotation = torch.linalg.qr(gaussian(3, 3, seed)).Q
    rotated = z @ rotation
    assert torch.allclose(rotated.norm(dim=1), z.norm(dim=1))
    assert d.mutual_information_gap(rotated, factors) < 0.6
    assert d.dci(rotated, factors, trees=5).disentanglement < 0.6
    assert d.sap_score(rotated, factors) < 0.6


def test_a_code_that_lacks_one_factor_saturates_the_beta_vae_score_and_not_the_factor_vae_score():
    # Kim and Mnih (2018, section 4): that no latent answers is told from the other two.
    factors, z = grid()
    assert d.beta_vae_score(z[:, 1:], factors) == 1
    assert d.factor_vae_score(z[:, 1:], factors) == pytest.approx(2 / 3, abs=0.04)


# ---- against independent computations


def test_mutual_information_is_that_of_numpys_joint_histogram():
    factors, z = grid((3, 4, 5))
    codes = torch.cat([z + 0.5 * gaussian(60, 3, 0), gaussian(60, 1, 1)], 1)  # four latents, three factors
    expected = np.zeros((4, 3))
    for j in range(4):
        for k in range(3):
            values = factors[:, k].numpy()
            edges = [
                np.linspace(codes[:, j].min().item(), codes[:, j].max().item(), 8),
                np.arange(values.max() + 2) - 0.5,
            ]
            joint = np.histogram2d(codes[:, j].numpy(), values, bins=edges)[0] / 60
            h = [scipy.stats.entropy(p.ravel()) for p in (joint.sum(0), joint.sum(1), joint)]
            expected[j, k] = h[0] + h[1] - h[2]
    found = d.mutual_information(codes, factors, bins=7)
    assert found.dtype == torch.float64
    assert found.numpy() == pytest.approx(expected, abs=1e-10)
    ordered = np.sort(expected, 0)
    gap = np.mean((ordered[-1] - ordered[-2]) / np.log([3, 4, 5]))
    assert d.mutual_information_gap(codes, factors, bins=7) == pytest.approx(gap)


def test_mutual_information_of_noise_is_too_high_by_the_degrees_of_freedom():
    factors, _ = grid()
    noise = torch.from_numpy(np.random.default_rng(0).uniform(size=(1536, 200)))
    expected = torch.tensor([19 * (size - 1) / (2 * 1536) for size in SIZES], dtype=torch.float64)
    assert torch.allclose(
        d.mutual_information(noise, factors).mean(0), expected, rtol=0.08
    )  # that is the first term of a series


def test_modularity_by_hand(monkeypatch):
    factors, z = grid((2, 2, 2))
    tables = {
        # 1 - 1/4, 1, 0
        (0.75 + 1 + 0) / 3: [[2.0, 1.0], [0.0, 3.0], [1.0, 1.0]],
        # three factors, so that f - 1 = 2: 1 - (1 + 4) / (9 * 2), and a latent that tells nothing
        (1 - 5 / 18) / 2: [[1.0, 3.0, 2.0], [0.0, 0.0, 0.0]],
    }
    for expected, information in tables.items():
        monkeypatch.setattr(d, "mutual_information", lambda *_, i=information, **__: torch.tensor(i).double())
        assert d.modularity(z, factors) == pytest.approx(expected)


class Fixed:
    def score(self, *_):
        return 0.25


def test_dci_by_hand(monkeypatch):
    factors, z = grid((2, 3))
    codes = torch.cat([z, gaussian(6, 1, 0)], 1)
    log3 = math.log(3)
    h = scipy.stats.entropy([0.9, 0.1])
    cases = [
        ([[1, 0], [0, 0.5], [0, 0.5]], 1, 1 - 0.5 * math.log(2) / log3),
        ([[0.5, 0.5], [0.5, 0.5], [0, 0]], 0, 1 - math.log(2) / log3),
        ([[0.9, 0.1], [0.1, 0.9], [0, 0]], 1 - h / math.log(2), 1 - h / log3),
        # The weights: 1.5 of 2 for the first latent, 0.5 for the second.
        ([[1, 0.5], [0, 0.5], [0, 0]], 1 - 0.75 * scipy.stats.entropy([2, 1], base=2), 1 - 0.5 * math.log(2) / log3),
    ]
    for importance, disentanglement, completeness in cases:
        columns = iter(np.array(importance, dtype=float).T)
        monkeypatch.setattr(informativeness, "_fitted", lambda *_, c=columns: (Fixed(), next(c)))
        monkeypatch.setattr(informativeness, "_split", lambda *_: (np.arange(6), np.arange(6)))
        found = d.dci(codes, factors)
        assert (found.disentanglement, found.completeness) == pytest.approx((disentanglement, completeness))
        assert found.importance.tolist() == importance
        assert found.informativeness == 0.25


def test_dci_is_informative_about_held_out_rows_only():
    factors, _ = grid((3, 3))
    factors, noise = factors.repeat(40, 1), gaussian(360, 4, 0)
    for predictor in ("gradient boosting", "random forest", "logistic"):
        assert d.dci(noise, factors, predictor=predictor).informativeness == pytest.approx(1 / 3, abs=0.12)


def test_sap_is_the_gap_between_the_best_thresholds_on_two_latents():
    values = torch.arange(400) % 2
    factors = torch.stack([values, torch.arange(400) // 200], 1)
    codes = torch.stack([2 * values, 0.7 * values], 1) + gaussian(400, 2, 0)
    codes[:, 1] += 1.5 * factors[:, 1]

    def best(z, k):  # over every threshold and both directions
        above = z[None] >= np.sort(z)[:, None]
        rates = [above[:, k == value].mean(1) for value in (0, 1)]
        right = (1 - rates[0] + rates[1]) / 2
        return max(right.max(), (1 - right).max())

    table = np.array([[best(z, k) for k in factors.numpy().T] for z in codes.numpy().T])
    expected = np.abs(table[0] - table[1]).mean()
    assert d.sap_score(codes, factors) == pytest.approx(expected, abs=0.015)
    assert expected > 0.15


def test_sap_by_regression_is_the_gap_between_squared_correlations():
    factors, z = grid((3, 4, 5))
    codes = z + 0.7 * gaussian(60, 3, 0)
    squares = np.corrcoef(codes.numpy().T, factors.numpy().T)[:3, 3:] ** 2
    ordered = np.sort(squares, 0)
    expected = (ordered[-1] - ordered[-2]).mean()
    assert d.sap_score(codes, factors, predictor="regression") == pytest.approx(expected)


def test_sap_of_the_linear_svm_cannot_name_middle_values_and_thresholds_can():
    factors, z = grid()
    assert d.sap_score(z, factors, predictor="linear svm") < 0.2 < 0.9 < d.sap_score(z, factors)


def by_loops(factors, count, seed, feature):
    """Examples of a shared factor, one after another: (features, factors)."""
    rng, examples, shared = np.random.default_rng(seed), [], []
    values = factors.numpy()
    for _ in range(count):
        k = int(rng.integers(values.shape[1]))
        examples.append(feature(rng, values[:, k]))
        shared.append(k)
    return np.array(examples), np.array(shared)


def test_the_beta_vae_score_is_that_of_examples_made_one_by_one():
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    factors, z = grid((4, 6, 6))
    codes = torch.cat([z + 1.5 * gaussian(144, 3, 0), gaussian(144, 1, 1)], 1)
    z = (codes / codes.std(0)).numpy()

    def differences(rng, values):
        pairs = []
        for a in rng.integers(144, size=16):
            pairs.append(np.abs(z[a] - z[rng.choice(np.flatnonzero(values == values[a]))]))
        return np.mean(pairs, 0)

    x, y = by_loops(factors, 3000, 0, differences)
    expected = LinearDiscriminantAnalysis().fit(x[:2000], y[:2000]).score(x[2000:], y[2000:])
    assert 0.4 < expected < 0.9
    assert d.beta_vae_score(codes, factors, pairs=16) == pytest.approx(expected, abs=0.04)


def test_the_factor_vae_score_is_that_of_groups_made_one_by_one():
    factors, z = grid((4, 6, 6))
    codes = (turned(z, 0.5, 0, 1) + 0.5 * gaussian(144, 3, 0)) * torch.tensor([1.0, 5.0, 0.2])
    z = codes.numpy()

    def least(rng, values):
        rows = rng.choice(np.flatnonzero(values == rng.choice(values)), size=8)
        return np.argmin(z[rows].std(0) / z.std(0))

    x, y = by_loops(factors, 3000, 0, least)
    vote = [np.bincount(y[:2000][x[:2000] == j], minlength=3).argmax() for j in range(3)]
    expected = np.mean(np.array(vote)[x[2000:]] == y[2000:])
    assert 0.5 < expected < 0.95
    assert d.factor_vae_score(codes, factors, group=8) == pytest.approx(expected, abs=0.04)


# ---- what the factor-VAE score leaves out


def test_latents_that_do_not_vary_are_left_out_of_the_vote():
    factors, z = grid()
    assert d.factor_vae_score(torch.cat([0 * z[:, :1], z], 1), factors) == 1
    assert d.factor_vae_score(torch.cat([0 * z[:, :1], z], 1), factors, unused=0) == 1
    shrunk = z * torch.tensor([0.01, 1, 1])  # collapsed, though its trace would still give the factor away
    assert d.factor_vae_score(shrunk, factors) == pytest.approx(2 / 3, abs=0.04)
    assert d.factor_vae_score(shrunk, factors, unused=0) == 1


# ---- invariances


@settings(deadline=None, max_examples=10)
@given(order=st.permutations(range(4)), flip=st.integers(0, 15))
def test_scores_do_not_depend_on_the_order_of_latents(order, flip):
    factors, z = grid((3, 4, 5))
    codes = torch.cat([z + 0.4 * gaussian(60, 3, 0), gaussian(60, 1, 1)], 1)
    shuffled = codes[:, list(order)]
    for score in (d.mutual_information_gap, d.modularity, d.sap_score):
        assert score(shuffled, factors) == pytest.approx(score(codes, factors), abs=1e-9)
    few = {"examples": 100}
    assert d.factor_vae_score(shuffled, factors, **few) == d.factor_vae_score(codes, factors, **few)
    assert d.beta_vae_score(shuffled, factors, **few) == pytest.approx(
        d.beta_vae_score(codes, factors, **few), abs=0.021
    )
    a, b = (d.dci(c, factors, predictor="logistic", train_share=0.9) for c in (shuffled, codes))
    assert torch.allclose(a.importance, b.importance[list(order)], atol=1e-3)
    assert a.disentanglement == pytest.approx(b.disentanglement, abs=1e-3)


@settings(deadline=None, max_examples=10)
@given(scale=st.floats(0.2, 50), shift=st.floats(-20, 20))
def test_scores_do_not_depend_on_scale_and_shift_of_a_latent(scale, shift):
    factors, z = grid((3, 4, 5))
    codes = z + 0.4 * gaussian(60, 3, 0)
    moved = codes * torch.tensor([1.0, scale, 1.0]) + torch.tensor([shift, 0.0, 0.0])
    for score in (d.mutual_information_gap, d.modularity, d.sap_score):
        assert score(moved, factors) == pytest.approx(score(codes, factors), abs=1e-6)
    few = {"examples": 100}
    assert d.factor_vae_score(moved, factors, **few) == d.factor_vae_score(codes, factors, **few)
    assert d.beta_vae_score(moved, factors, **few) == pytest.approx(d.beta_vae_score(codes, factors, **few), abs=0.021)


def test_thresholds_ignore_a_monotone_map_of_a_latent_and_bins_of_equal_width_do_not():
    factors, z = grid()
    codes = z + 0.1 * gaussian(1536, 3, 0)
    bent = codes.mul(4).exp()
    assert d.sap_score(bent, factors) == pytest.approx(d.sap_score(codes, factors), abs=1e-9)
    assert d.mutual_information_gap(bent, factors) < d.mutual_information_gap(codes, factors) - 0.3


def test_factors_may_have_names_and_values_any_integers():
    factors, z = grid()
    codes = (z + 0.3 * gaussian(1536, 3, 0)).float()
    named = {"scale": factors[:, 0] * 7 - 3, "x": factors[:, 1], "y": factors[:, 2] + 100}
    assert d.scores(codes, named) == d.scores(codes, factors)


# ---- the state of the world


def test_scores_repeat_by_seed_and_neither_read_nor_change_a_global_random_state():
    factors, z = grid()
    codes = turned(z, 0.5, 0, 1)
    found = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        np.random.seed(seed)
        before = torch.get_rng_state(), np.random.get_state()[1].tolist()
        found.append(d.scores(codes, factors, seed=3))
        d.dci(codes, factors, predictor="random forest", trees=2)
        d.sap_score(codes, factors, predictor="linear svm")
        assert torch.equal(torch.get_rng_state(), before[0])
        assert np.random.get_state()[1].tolist() == before[1]
    assert found[0] == found[1]
    noisy = codes + gaussian(1536, 3, 0)
    assert d.beta_vae_score(noisy, factors, seed=4, pairs=4) != d.beta_vae_score(noisy, factors, pairs=4)


def small_vae(latent=2, scale=0.0):
    """A VAE whose encoder has layers that behave differently in training mode."""
    torch.manual_seed(0)
    encoder = nn.Sequential(
        nn.Flatten(), nn.Linear(64, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 2 * latent)
    )
    with torch.no_grad():
        encoder[-1].bias[latent:] += 2 * scale
    return models.VAE(encoder, nn.Linear(latent, 64), models.BernoulliPixels(), latent)


def test_represent_gives_means_or_one_draw_each_from_the_posterior(images):
    model = small_vae(scale=-1.0).eval()
    q = model.encode(images)
    assert torch.allclose(d.represent(model, images, batch_size=7), q.mean, atol=1e-6)
    draws = [d.represent(model, images, draw=torch.Generator().manual_seed(seed)) for seed in range(300)]
    standard = (torch.stack(draws) - q.mean) / q.stddev
    assert standard.mean().abs() < 5 / (300 * 600) ** 0.5
    assert standard.var().item() == pytest.approx(1, abs=5 * (2 / (300 * 600)) ** 0.5)
    again = d.represent(model, images, draw=torch.Generator().manual_seed(0), batch_size=7)
    assert torch.allclose(again, draws[0], atol=1e-6)


def test_represent_restores_every_mode_and_leaves_the_random_state_even_after_an_error(images):
    model = small_vae().train()
    model.encoder[2].eval()
    modes = [part.training for part in model.modules()]
    state, statistics = torch.get_rng_state(), model.encoder[2].running_mean.clone()
    codes = d.represent(model, images, draw=torch.Generator().manual_seed(0))
    with pytest.raises((ValueError, RuntimeError)):
        d.represent(model, images[..., :4])
    assert [part.training for part in model.modules()] == modes
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(model.encoder[2].running_mean, statistics)
    assert not codes.requires_grad
    assert torch.equal(codes, d.represent(model.eval(), images, draw=torch.Generator().manual_seed(0)))


def test_represent_says_what_it_cannot_draw_from(images):
    model = models.Autoencoder(nn.Flatten(), nn.Unflatten(1, (1, 8, 8)))
    assert torch.equal(d.represent(model, images), images.flatten(1))
    with pytest.raises(TypeError, match="Gaussian"):
        d.represent(model, images, draw=torch.Generator())
    with pytest.raises(ValueError, match="no picture"):
        d.represent(small_vae(), images[:0])


class FactorsAsMeans(nn.Module):
    """q(z|x) with means that are a faint copy of the factors, far inside its standard deviation."""

    def encode(self, x):
        from autoencoders import distributions

        return distributions.normal(0.01 * x.flatten(1), 1.0)


def test_mig_of_means_and_of_draws_can_be_as_far_apart_as_one_and_nothing():
    factors, z = grid()
    pictures = z[:, None, None]
    means = d.represent(FactorsAsMeans(), pictures)
    draws = d.represent(FactorsAsMeans(), pictures, draw=torch.Generator().manual_seed(0))
    assert d.mutual_information_gap(means, factors) == pytest.approx(1)
    assert d.mutual_information_gap(draws, factors) < 0.02


# ---- bad input


def test_scores_say_what_is_wrong_with_a_table():
    factors, z = grid((3, 4))
    mig = inspect.unwrap(d.mutual_information_gap)
    columns = {"scale": factors[:, 0], "x": factors[:, 1]}
    for score in (mig, d.modularity, d.dci, d.sap_score, d.beta_vae_score, d.factor_vae_score):
        with pytest.raises(ValueError, match="factor x has one value"):
            score(z, columns | {"x": torch.zeros(12, dtype=torch.int64)})
        with pytest.raises(ValueError, match="12 codes need one value each of factor x"):
            score(z, columns | {"x": torch.arange(11)})
        with pytest.raises(TypeError, match="integers"):
            score(z, columns | {"x": z[:, 0]})
        with pytest.raises(ValueError, match="not finite"):
            score(z / 0, factors)
        with pytest.raises(ValueError, match="at least two latents"):
            score(z[:, :1], factors)
        with pytest.raises(ValueError, match="at least two factors"):
            score(z, factors[:, :1])


def test_scores_say_what_is_wrong_with_an_option():
    factors, z = grid((3, 4))
    for score in (d.mutual_information, d.mutual_information_gap, d.modularity):
        with pytest.raises(ValueError, match="bins"):
            score(z, factors, bins=1)
    with pytest.raises(ValueError, match=r"hold . of the . values of factor"):
        d.dci(z, factors, train_share=0.2)
    with pytest.raises(ValueError, match=r"hold . of the . values of factor"):
        d.sap_score(z, factors, predictor="linear svm", train_share=0.2)
    for share in (0, 1, 0.01, 1.5):
        with pytest.raises(ValueError, match="share"):
            d.dci(z, factors, train_share=share)
    with pytest.raises(ValueError, match="trees"):
        d.dci(z, factors, trees=0)
    with pytest.raises(ValueError, match="pairs"):
        d.beta_vae_score(z, factors, pairs=0)
    with pytest.raises(ValueError, match="group"):
        d.factor_vae_score(z, factors, group=1)
    with pytest.raises(ValueError, match="examples"):
        d.factor_vae_score(z, factors, examples=1)
    codes, all_factors = z.repeat(9, 1), factors.repeat(9, 1)
    with pytest.raises(ValueError, match="gradient boosting, random forest, logistic"):
        inspect.unwrap(d.dci)(codes, all_factors, predictor="lasso")
    with pytest.raises(ValueError, match="thresholds, linear svm, regression"):
        inspect.unwrap(d.sap_score)(codes, all_factors, predictor="lasso")
