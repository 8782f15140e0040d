"""Recipes: named, complete, cached by everything that decides their result, and trainable from a terminal."""

import json

import pytest
import torch

from autoencoders import __main__ as cli
from autoencoders import data, recipes, training


@pytest.fixture
def quick() -> recipes.Recipe:
    return recipes.Recipe("quick", "digits", 2, "mlp", {"hidden": (8,)}, epochs=1, batch_size=1000)


def same_weights(a, b) -> bool:
    return all(torch.equal(p, q) for p, q in zip(a.parameters(), b.parameters(), strict=True))


@pytest.mark.parametrize("name", recipes.names())
def test_every_recipe_builds_trains_three_steps_and_decodes(name, monkeypatch):
    monkeypatch.setenv("AE_BUDGET", "smoke")
    recipe = recipes.get(name)
    if recipe.data == "cifar10":  # a download; the emoji have its shape
        recipe = recipe.replace(data="emoji")
    model, history = recipe.train(progress=False)
    assert history.last["step"] == 3
    if isinstance(recipe, recipes.PriorRecipe):
        maps, labels, *coarser = recipe.codes("test")
        assert recipe.bits_per_code(model, "test") > 0
        assert len(maps) == len(labels) and len(coarser) == recipe.level
        return
    x = recipe.dataset().test.images[:4]
    assert model(x).shape == x.shape
    numbers = model.codes(x).shape
    assert numbers == (4, recipe.classes + recipe.latent) if recipe.objective != "vq" else numbers[0] == 4


def test_every_recipe_states_what_to_expect():
    assert [name for name in recipes.names() if not recipes.get(name).expected] == []


def test_initial_weights_depend_on_the_seed_alone(quick):
    torch.manual_seed(1)
    first = quick.model(0)
    torch.manual_seed(2)
    before = torch.get_rng_state()
    assert same_weights(first, quick.model(0))
    assert torch.equal(before, torch.get_rng_state())
    assert not same_weights(first, quick.model(1))


def test_a_second_call_loads_what_the_first_trained(quick, monkeypatch):
    run = quick.run(progress=False)
    monkeypatch.setattr(training, "fit", lambda *a, **k: pytest.fail("trained again"))
    again = quick.run(progress=False)
    assert same_weights(run.model, again.model)
    assert run.history.records == again.history.records
    for name in ("epochs", "originals", "reconstructions", "codes", "labels"):
        assert torch.equal(getattr(run.recording, name), getattr(again.recording, name))


@pytest.mark.parametrize("change", ["seed", "epochs", "budget", "version", "source"])
def test_nothing_that_changes_the_result_meets_an_old_cache(quick, change, monkeypatch):
    old = quick._cache_path(0)
    recipe, seed = quick, 0
    if change == "seed":
        seed = 1
    elif change == "epochs":
        recipe = quick.replace(epochs=2)
    elif change == "budget":
        monkeypatch.setenv("AE_BUDGET", "smoke")
    elif change == "version":
        monkeypatch.setattr("autoencoders.__version__", "99")
    else:
        monkeypatch.setattr("autoencoders.runs._source_digest", lambda: "edited")
    assert recipe._cache_path(seed) != old


def test_the_cache_can_be_switched_off(quick, monkeypatch, tmp_path):
    monkeypatch.setenv("AE_CACHE", "off")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    quick.run(progress=False)
    assert not (tmp_path / "home").exists()


def test_a_recording_shows_every_epoch(quick):
    run = quick.replace(epochs=2, latent=1).run(progress=False)
    assert run.recording.epochs.tolist() == [1, 2]
    assert run.recording.reconstructions.shape == (2, 8, 1, 28, 28)
    assert run.recording.codes.shape == (2, 300, 2)
    with torch.no_grad():
        assert torch.allclose(run.recording.reconstructions[-1], run.model(run.recording.originals), atol=1e-6)


def test_unknown_names_and_fields_are_refused_with_the_known_ones(quick):
    with pytest.raises(ValueError, match=r"the recipes are .*ae-digits-16"):
        recipes.get("ae-digit-16")
    with pytest.raises(ValueError, match="its fields are name, data, latent"):
        quick.replace(epoch=3)
    with pytest.raises(ValueError, match="network must be one of linear, mlp, conv"):
        quick.replace(network="cnn")


@pytest.mark.parametrize("changes", [{"objective": "denoising"}, {"objective": "elbo", "likelihood": "gaussian"}])
def test_a_recipe_s_noise_and_clip_reach_its_objective(quick, changes):
    x = data.load("digits").test.images[:50]

    def terms(seed=0, **options):
        recipe = quick.replace(**changes, **options)
        return recipe.objective_function()(recipe.model().eval(), x, torch.Generator().manual_seed(seed))

    clean, noisy, clipped = terms(noise=0.0), terms(noise=0.5), terms(noise=0.5, clip=True)
    found = [one.distortion for one in (clean, noisy, clipped)]
    assert not any(torch.equal(a, b) for a, b in zip(found, found[1:] + found[:1], strict=True))
    function = quick.replace(**changes, noise=0.5, clip=True).objective_function()
    assert function.keywords.items() >= {"noise": 0.5, "clip": True}.items()
    assert torch.equal(found[2], terms(noise=0.5, clip=True).distortion)
    assert not torch.equal(found[2], terms(1, noise=0.5, clip=True).distortion)


def test_noise_and_clip_are_part_of_the_cache_key(quick):
    noisy = quick.replace(objective="denoising", noise=0.5)
    others = [noisy.replace(noise=0.25), noisy.replace(clip=True)]
    assert len({recipe.key(0) for recipe in (noisy, *others)}) == 3


@pytest.mark.parametrize(
    ("objective", "likelihood"),
    [("reconstruction", ""), ("sparse", ""), *((name, "bernoulli") for name in ("iwae", "mixed", "labeled"))],
)
def test_noise_that_the_objective_cannot_take_is_refused(quick, objective, likelihood):
    clean = quick.replace(objective=objective, likelihood=likelihood, classes=3 * (objective in ("mixed", "labeled")))
    with pytest.raises(ValueError, match=rf"one of denoising, elbo, not '{objective}'.*set noise to 0, not 0.5"):
        clean.replace(noise=0.5)
    with pytest.raises(ValueError, match="the objective of a recipe with noise"):
        quick.replace(objective="denoising", noise=0.5).replace(objective="reconstruction")


def test_an_unknown_budget_is_refused(quick, monkeypatch):
    monkeypatch.setenv("AE_BUDGET", "smok")
    with pytest.raises(ValueError, match="'full' or 'smoke', not 'smok'"):
        quick.train(progress=False)


def test_the_terminal_lists_trains_resumes_and_reports(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("AE_BUDGET", "smoke")
    assert cli.main(["list"]) == 0
    assert "ae-digits-16" in capsys.readouterr().out
    arguments = ["train", "ae-digits-2", "--seed", "3", "--device", "cpu", "--out", str(tmp_path / "run")]
    assert cli.main(arguments) == 0
    result = json.loads((tmp_path / "run" / "run.json").read_text())
    assert result["seed"] == 3
    assert result["recipe"]["name"] == "ae-digits-2"
    assert result["test_mse"] > 0
    weights = (tmp_path / "run" / "model.safetensors").read_bytes()
    assert cli.main(arguments) == 0  # finished: loaded from its checkpoint
    assert (tmp_path / "run" / "model.safetensors").read_bytes() == weights


def test_the_terminal_explains_a_mistake_and_fails(capsys):
    assert cli.main(["train", "nothing"]) == 2
    assert "the recipes are" in capsys.readouterr().err


def test_a_recipe_is_had_on_another_data_set_by_one_word():
    own = recipes.get("vae-digits-2")
    assert recipes.get("vae-digits-2", "digits") is own
    other = recipes.get("vae-digits-2", "fashion")
    assert other == own.replace(data="fashion", expected="")
    assert other._cache_path(0) != own._cache_path(0)
