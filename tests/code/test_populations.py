"""Sweeps that come with their records: what was recorded is what would be trained, and it is made once."""

import dataclasses
import json
import math

import pytest
import torch

from autoencoders import __main__ as cli
from autoencoders import (
    data,
    distributions,
    downstream,
    evaluation,
    models,
    networks,
    objectives,
    populations,
    recipe,
    recipes,
)

ALL = {"train_mse", "test_mse", "readable", "entropy"}
OF_A_VAE = {"train_drawn_mse", "test_drawn_mse", "train_rate", "test_rate", "active"}


def recorded(settings: dict) -> recipe.Recipe | recipes.PriorRecipe:
    """The recipe with these settings; a field that is younger than the record has its default."""
    if "of" in settings:
        return recipes.PriorRecipe(**(settings | {"of": recorded(settings["of"])}))
    return recipe.Recipe(**(settings | {"halvings": tuple(settings.get("halvings", ()))}))  # JSON has no tuples


def settings(one: recipe.Recipe | recipes.PriorRecipe) -> str:
    """All that decides a run; what to expect of it does not."""
    changed = one.replace(of=one.of.replace(expected="")) if isinstance(one, recipes.PriorRecipe) else one
    return json.dumps(dataclasses.asdict(changed.replace(expected="")))


@pytest.mark.parametrize("name", populations.names())
def test_the_packaged_records_are_of_the_population_s_recipes_and_seeds(name):
    population, records = populations.get(name), populations.records(name)
    assert population.seeds == tuple(range(5 if name == "disentanglement" else 3))
    runs = [(one, seed) for one in population.recipes for seed in population.seeds]
    assert [(record["recipe"], record["seed"]) for record in records] == [(one.name, seed) for one, seed in runs]
    for record, (one, _) in zip(records, runs, strict=True):
        assert settings(recorded(record["settings"])) == settings(one)
        assert record["epoch"] == one.epochs, "the whole budget"
    assert len({one.name for one in population.recipes}) == len(population.recipes)
    assert len({record["key"] for record in records}) == len(records)


def test_the_packaged_ablations_have_what_is_measured_and_nothing_impossible():
    for record in populations.records("ablations"):
        expected = ALL | (OF_A_VAE if record["settings"]["likelihood"] else set())
        assert expected <= set(record)
        assert (record.keys() & OF_A_VAE) - expected <= {"train_rate"}, "of the last epoch, 0 for an autoencoder"
        assert_possible({key: record[key] for key in expected}, record["settings"]["latent"])


SCORES = {"beta_vae", "factor_vae", "mig", "dci", "modularity", "sap", "mig_drawn", "linear"}
PARTS = {"information", "total_correlation", "dimensionwise"}
READ = {f"{reader}_{count}" for reader in ("logistic", "trees") for count in (10, 100, 1000, 10_000)}


def assert_possible_scores(found: dict[str, float], latent: int, n: int = 768) -> None:
    assert all(0 <= found[name] <= 1 for name in SCORES | READ)
    assert found["active"] in range(latent + 1) and 0 < found["mse"] < 1
    assert found["kl"] == pytest.approx(sum(found[part] for part in PARTS), abs=0.35), "one draw a picture"
    assert found["information"] < math.log(n) + 0.35


def test_codes_are_scored_without_a_draw_from_elsewhere_and_all_that_is_promised_is_there(monkeypatch):
    monkeypatch.setenv("AE_BUDGET", "smoke")
    one = populations.get("disentanglement").recipes[0]
    model, _ = one.train(0, progress=False)
    found = populations.measure_disentanglement(one, model)
    assert found.keys() == SCORES | PARTS | READ | {"mse", "kl", "active"}
    assert_possible_scores(found, one.latent)
    before = torch.get_rng_state()
    assert populations.measure_disentanglement(one, model) == found
    assert torch.equal(before, torch.get_rng_state())


def test_the_packaged_scores_are_possible_and_show_what_the_book_says_of_them():
    records = populations.records("disentanglement")
    for record in records:
        assert record.keys() >= SCORES | PARTS | READ | {"mse", "kl", "active", "version"}
        assert_possible_scores(record, record["settings"]["latent"])
    live = [r["mig"] for r in records if r["recipe"] == "sprites-beta-vae-2.5" and r["seed"] < 3]
    assert sorted(live)[1] >= 0.5, "the median of the three models that the page trains"
    saturated = [r for r in records if r["beta_vae"] == 1]
    assert len(saturated) == 73 and min(r["mig"] for r in saturated) < 0.25 < 0.8 < max(r["mig"] for r in saturated)


def test_a_recorded_model_is_made_again_by_its_seed(monkeypatch):
    """Another processor rounds differently, and 2,400 steps add up: so not to the last digit."""
    monkeypatch.setenv("AE_CACHE", "off")
    one = next(r for r in populations.get("disentanglement").recipes if r.name == "sprites-beta-vae-8")
    record = next(r for r in populations.records("disentanglement") if (r["recipe"], r["seed"]) == (one.name, 0))
    found = populations.measure_disentanglement(one, one.train(0, progress=False)[0])
    for name in ("mse", "kl", "information", "linear"):
        assert found[name] == pytest.approx(record[name], rel=0.05)
    assert found["mig"] == pytest.approx(record["mig"], abs=0.1)


def test_finer_pictures_lie_between_those_of_the_recipe_and_are_labeled_by_the_nearest():
    recipe = recipes.get("beta-vae-sprites")
    grid, (images, labels) = recipe.dataset(), downstream.finer(recipe)
    assert images.shape == (24 * 32 * 16, 1, 16, 16)
    assert {name: values.bincount().tolist() for name, values in labels.items()} == {
        **{"scale": [2048] * 6, "x": [768] * 16, "y": [1536] * 8}
    }
    nearest = torch.cdist(grid.images.flatten(1), images.flatten(1)).argmin(1)
    for name, values in labels.items():
        assert torch.equal(values[nearest], grid.factors[name]), (
            "the coarse picture is nearest to one with its own labels"
        )


def test_a_linear_map_explains_a_turned_code_and_not_a_bent_one():
    values = torch.cartesian_prod(torch.arange(6), torch.arange(8))
    turned = values.float() @ torch.tensor([[1.0, -2.0], [3.0, 1.0]])
    idle = torch.cat([turned, torch.zeros(48, 1)], 1)
    assert downstream.linear_share(idle, values) == pytest.approx(1, abs=1e-6)
    bent = (values - values.float().mean(0)).square()
    assert downstream.linear_share(bent, values) == pytest.approx(0, abs=1e-6)


def test_a_code_that_holds_the_factors_is_read_better_with_more_labels_and_noise_is_not_read():
    generator = torch.Generator().manual_seed(0)
    values = torch.stack(torch.meshgrid(torch.arange(6), torch.arange(16), torch.arange(16), indexing="ij"), -1)
    factors = dict(zip(("scale", "x", "y"), values.flatten(0, 2).unbind(1), strict=True))
    codes = values.flatten(0, 2) + 0.05 * torch.randn(1536, 3, generator=generator)
    read = downstream.accuracies(codes, factors, (10, 100, 1000), 512)
    assert read["trees_10"] < read["trees_100"] < read["trees_1000"] > 0.9
    assert read["logistic_10"] < read["logistic_100"] < read["logistic_1000"]
    noise = downstream.accuracies(torch.randn(1536, 3, generator=generator), factors, (1000,), 512)
    assert max(noise.values()) < 0.2, "chance is (1/6 + 1/16 + 1/16) / 3, about 0.1"
    with pytest.raises(ValueError, match="10000 labels and 2000 pictures to judge by need more than 1536"):
        downstream.accuracies(codes, factors)


def test_records_for_the_package_are_those_of_one_make_and_no_older_ones(tiny, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(populations, "_packaged", lambda name: tmp_path / f"packaged-{name}.jsonl")
    (tmp_path / "tiny.jsonl").write_text('{"key": "of an older version"}\n')
    assert cli.main(["records", "tiny", "--package"]) == 0
    assert capsys.readouterr().out.endswith(f"and in {tmp_path / 'packaged-tiny.jsonl'}\n")
    assert [(r["recipe"], r["seed"]) for r in populations.records("tiny")] == RUNS


def assert_possible(found: dict[str, float], latent: int) -> None:
    assert all(0 < value < 1 for key, value in found.items() if key.endswith("mse"))
    assert 0 <= found["readable"] <= 1
    assert 0 <= found["entropy"] <= math.log(10) + 1e-6
    if "active" in found:
        assert found["active"] in range(latent + 1)
        assert found["train_rate"] >= 0 <= found["test_rate"]


@pytest.mark.parametrize("weight", [0.1, 0.001])
def test_the_kl_weight_is_the_one_beside_a_mean_over_pixels(weight):
    """d / 2 times (mean squared error a pixel + weight KL), computed directly, is the book's distortion + beta rate."""
    torch.manual_seed(0)
    shape, d = (1, 4, 6), 24
    pair = networks.MLPEncoder(shape, 6, (8,)), networks.MLPDecoder(shape, 3, (8,))
    model, x = models.VAE(*pair, models.GaussianPixels(), 3), torch.rand(5, *shape)
    terms = objectives.elbo_terms(model, x, torch.Generator().manual_seed(1))
    total = terms.total(populations.kl_weight(weight, d)) - d / 2 * math.log(2 * math.pi)
    q = model.encode(x)
    z = distributions.reparameterized(q, 1, torch.Generator().manual_seed(1))[0]
    kl = 0.5 * (q.mean**2 + q.variance - 1 - q.variance.log()).sum(1)
    direct = (model.decode(z).mean - x).square().flatten(1).mean(1) + weight * kl
    torch.testing.assert_close(total, d / 2 * direct)
    assert populations.kl_weight(weight) == weight * 28 * 28 / 2


def parameters(one: recipe.Recipe, model: models.Model, seed: int) -> dict[str, float]:
    return {"first": next(model.parameters()).sum().item()}


@pytest.fixture
def tiny(monkeypatch) -> list[tuple[str, int]]:
    """A population `tiny` of two recipes and two seeds, trained for three steps; the list grows with what is trained."""
    made: list[tuple[str, int]] = []
    train = recipe.Recipe.train

    def counted(self, seed=0, **options):
        made.append((self.name, seed))
        return train(self, seed, **options)

    small = [recipe.Recipe(name, "digits", 2, "mlp", {"hidden": (8,)}, batch_size=64) for name in ("one", "two")]
    monkeypatch.setitem(populations._POPULATIONS, "tiny", populations.Population(tuple(small), parameters, (0, 5)))
    monkeypatch.setattr(recipe.Recipe, "train", counted)
    for name, value in {"AE_BUDGET": "smoke", "AE_CACHE": "off", "AE_JOBS": "1"}.items():
        monkeypatch.setenv(name, value)
    return made


RUNS = [("one", 0), ("one", 5), ("two", 0), ("two", 5)]


def test_a_population_is_trained_and_measured_once(tiny, tmp_path):
    path = tmp_path / "tiny.jsonl"
    records = populations.make("tiny", path, progress=False)
    assert tiny == [(r["recipe"], r["seed"]) for r in records] == RUNS
    assert [json.loads(line) for line in path.read_text().splitlines()] == records
    assert len({r["first"] for r in records}) == 2, "initial weights depend on the seed, not on the name"
    written = path.read_bytes()
    assert populations.make("tiny", path, progress=False) == records
    assert tiny == RUNS and path.read_bytes() == written


def test_the_terminal_makes_a_population_and_goes_on_where_it_was(tiny, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["records", "tiny"]) == 0
    assert capsys.readouterr().out == "4 records are in tiny.jsonl\n"
    lines = (tmp_path / "tiny.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "half.jsonl").write_text("".join(lines[:2]))
    assert cli.main(["records", "tiny", "--out", "half.jsonl"]) == 0
    assert tiny == RUNS + RUNS[2:]
    assert capsys.readouterr().out == "4 records are in half.jsonl\n"
    (tmp_path / "half.jsonl").write_text("nonsense\n")
    assert cli.main(["records", "tiny", "--out", "half.jsonl"]) == 2
    assert "line 1 of half.jsonl is not a record" in capsys.readouterr().err
    with pytest.raises(SystemExit) as stopped:
        cli.main(["records", "nothing"])
    assert stopped.value.code == 2 and "choose from" in capsys.readouterr().err


@pytest.mark.parametrize("ask", [populations.get, populations.records, lambda name: populations.make(name, "none")])
def test_an_unknown_population_is_refused_with_those_there_are(ask):
    with pytest.raises(ValueError, match="no population 'ablation'; the populations are ablations"):
        ask("ablation")


@pytest.fixture
def quick_judge(monkeypatch):
    """The judge of samples, trained for a moment only; whatever measures with it, its own training needs gradients."""
    train = evaluation.train_classifier
    monkeypatch.setattr(
        evaluation, "train_classifier", lambda x, labels, epochs: train(x[:1000], labels[:1000], epochs=1)
    )
    populations._judge.cache_clear()
    yield
    populations._judge.cache_clear()


def test_the_packaged_codes_have_what_is_measured_and_what_the_book_says_of_them():
    by_name = {}
    for record in populations.records("codes"):
        by_name.setdefault(record["recipe"], []).append(record)
        assert all(0 <= value <= 1 for key, value in record.items() if key.endswith(("_cas", "_readable")))
    models, pixelcnn = by_name.pop("vqvae-digits"), by_name["pixelcnn-digits"]
    assert all(record["test_mse"] <= 0.0065 and record["perplexity"] >= 90 for record in models)
    assert all(record["test_bits"] <= 3.1 and record["prior_readable"] >= 0.75 for record in pixelcnn)
    assert all(record["prior_cas"] >= 0.92 for record in pixelcnn)
    for quantized, *priors in zip(models, *by_name.values(), strict=True):
        bits = [record["test_bits"] for record in priors]
        assert max(bits) < quantized["place_bits"] < quantized["unigram_bits"] < 7
        assert all(quantized["uniform_cas"] < record["prior_cas"] < quantized["real_cas"] for record in priors)


def test_codes_are_measured_as_their_records_say(quick_judge, monkeypatch):
    monkeypatch.setenv("AE_BUDGET", "smoke")
    for name in ("vqvae-digits", "vae-codes-digits"):
        one = recipes.get(name)
        model, _ = one.trained(0, progress=False)
        found = populations.measure_codes(one, model, 0)
        record = next(record for record in populations.records("codes") if record["recipe"] == name)
        assert found.keys() <= record.keys()
        again = populations.measure_codes(one, model, 0)
        assert again == found, "it draws from generators of its own"


def test_an_ablation_measures_what_it_says(quick_judge, monkeypatch):
    monkeypatch.setenv("AE_BUDGET", "smoke")
    by_name = {one.name: one for one in populations.get("ablations").recipes}
    names = (
        "ablation-ae-8",
        "ablation-vae-8-w0.001",
        "ablation-ae-32-noise0.5-clipped",
        "ablation-vae-32-w0.001-noise0.5",
    )
    found = {}
    for name in names:
        model, _ = by_name[name].trained(progress=False)
        found[name] = populations.measure_ablation(by_name[name], model)
        assert set(found[name]) == ALL | (OF_A_VAE if "vae" in name else set())
        assert_possible(found[name], by_name[name].latent)
        assert populations.measure_ablation(by_name[name], model) == found[name], "it draws from generators of its own"
    digits, generator = data.load("digits"), torch.Generator().manual_seed(1_000)
    noisy = by_name["ablation-ae-32-noise0.5-clipped"]
    for split, x in (("train", digits.train.images[:1000]), ("test", digits.test.images)):
        clean = evaluation.mse(by_name["ablation-ae-8"].trained()[0], x)
        assert found["ablation-ae-8"][f"{split}_mse"] == pytest.approx(clean, rel=1e-5)
        seen = objectives.corrupt(x, 0.5, generator, clip=True)
        restored = (noisy.trained()[0](seen) - x).square().mean().item()
        assert found[noisy.name][f"{split}_mse"] == pytest.approx(restored, rel=1e-5)


def test_the_clothes_are_random_samples_with_their_record():
    pictures, record = populations.clothes()
    assert {name: len(part) for name, part in pictures.items()} == {
        "originals": 10,
        "reconstructions": 10,
        "samples": 60,
    }
    for part in pictures.values():
        assert part.shape[1:] == (1, 28, 28)
        assert 0 <= part.min() < 0.05 < 0.5 < part.max() <= 1
    error = (pictures["originals"] - pictures["reconstructions"]).square().mean()
    assert 0.3 * record["test_mse"] < error < 3 * record["test_mse"]
    assert record["settings"]["of"]["data"] == "fashion"
    assert record["test_bits"] < 7
