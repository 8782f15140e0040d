"""What `training.fit` promises: it learns, it is the same for its seed, it survives being killed, it stops on nonsense."""

import subprocess
import sys
import textwrap
import time

import pytest
import torch

from autoencoders import models, networks, objectives, training

SHAPE = (1, 8, 8)


def small_model(seed: int = 0) -> models.Autoencoder:
    torch.manual_seed(seed)
    return models.Autoencoder(networks.MLPEncoder(SHAPE, 2, (16,)), networks.MLPDecoder(SHAPE, 2, (16,)))


def fit(model, images, **changes):
    settings = dict(objective=objectives.reconstruction_terms, epochs=3, batch_size=64, progress=False, device="cpu")
    return training.fit(model, images, **(settings | changes))


def weights(model) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def test_training_lowers_the_loss_and_reports_it_on_held_out_images(images):
    model = small_model()
    history = fit(model, images[:250], validation=images[250:], epochs=40)
    assert history.last["validation_loss"] < 0.5 * history.records[0]["validation_loss"]
    with torch.no_grad():
        now = objectives.reconstruction_terms(model, images[250:]).total().mean().item()
    assert history.last["validation_loss"] == pytest.approx(now, rel=1e-5)
    assert not model.training


def test_equal_seeds_give_equal_bits_and_other_seeds_do_not(images):
    runs = []
    for seed in (0, 0, 1):
        model = small_model()
        fit(model, images, seed=seed)
        runs.append(weights(model))
    assert torch.equal(runs[0], runs[1])
    assert not torch.equal(runs[0], runs[2])


def test_training_leaves_the_global_random_state_alone(images):
    model = small_model()
    torch.manual_seed(7)
    before = torch.get_rng_state()
    fit(model, images, objective=objectives.denoising_terms)
    assert torch.equal(before, torch.get_rng_state())


def test_noise_differs_from_step_to_step_and_epoch_to_epoch(images):
    seen = []

    def objective(model, x, generator):
        seen.append(torch.randn(1, generator=generator).item())
        return objectives.reconstruction_terms(model, x)

    fit(small_model(), images, objective=objective)
    assert len(seen) == 15
    assert len(set(seen)) == len(seen)


def test_every_image_is_seen_once_an_epoch_in_a_new_order(images):
    orders = []

    def objective(model, x, generator):
        orders.append(x.flatten(1)[:, 0].tolist())
        return objectives.reconstruction_terms(model, x)

    marked = images.clone()
    marked[:, 0, 0, 0] = torch.arange(300) / 300
    fit(small_model(), marked, objective=objective, epochs=2)
    first, second = ([v for batch in orders[i : i + 5] for v in batch] for i in (0, 5))
    assert sorted(first) == sorted(second) == sorted(marked[:, 0, 0, 0].tolist())
    assert first != second


def test_the_rate_is_weighted_once_and_the_record_keeps_both_terms(images):
    history = fit(small_model(), images, objective=objectives.sparse_terms, weight=0.25, validation=images)
    for split in ("train", "validation"):
        expected = history.last[f"{split}_distortion"] + 0.25 * history.last[f"{split}_rate"]
        assert history.last[f"{split}_loss"] == pytest.approx(expected)
    assert history.last["train_rate"] > 0


def test_the_learning_rate_is_constant_and_then_falls_to_zero():
    rates = [training.learning_rate_at(step, 100, 1.0, 0.5) for step in (0, 49, 50, 75, 100)]
    assert rates == [1.0, 1.0, 1.0, 0.5, 0.0]


def test_a_resumed_run_ends_with_the_bits_of_an_uninterrupted_one(images, tmp_path):
    whole = small_model()
    history = fit(whole, images, objective=objectives.denoising_terms, validation=images)
    for stop_after in (1, 5, 7, 14):  # inside an epoch, at its end, in the last epoch
        path = tmp_path / f"{stop_after}.safetensors"
        settings = dict(epochs=3, batch_size=64, device="cpu", validation=images, checkpoint=path, checkpoint_every=1)
        run = training.steps(small_model(), images, objectives.denoising_terms, **settings)
        for _ in range(stop_after):
            next(run)
        resumed = small_model(seed=5)  # other weights: all must come from the checkpoint
        again = fit(
            resumed,
            images,
            objective=objectives.denoising_terms,
            validation=images,
            checkpoint=path,
            checkpoint_every=1,
        )
        assert torch.equal(weights(whole), weights(resumed))
        strip = [{k: v for k, v in r.items() if k != "seconds"} for r in history.records]
        assert strip == [{k: v for k, v in r.items() if k != "seconds"} for r in again.records]


def test_a_finished_checkpoint_is_loaded_and_not_trained_further(images, tmp_path):
    path = tmp_path / "run.safetensors"
    first = small_model()
    fit(first, images, checkpoint=path)
    second = small_model(seed=3)
    history = fit(second, images, checkpoint=path)
    assert torch.equal(weights(first), weights(second))
    assert len(history.records) == 3


SCRIPT = """
    import sys, torch
    from autoencoders import models, networks, objectives, runs, training
    torch.manual_seed(0)
    torch.set_num_threads(1)
    model = models.Autoencoder(networks.MLPEncoder((1, 8, 8), 2, (16,)), networks.MLPDecoder((1, 8, 8), 2, (16,)))
    images = torch.rand(300, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    training.fit(model, images, objectives.denoising_terms, epochs=400, batch_size=32, device="cpu", progress=False,
                 checkpoint=sys.argv[1], checkpoint_every=7)
    runs.write_tensors(__import__("pathlib").Path(sys.argv[2]), dict(model.state_dict()), {})
"""


def test_a_run_killed_at_any_moment_resumes_bit_for_bit(tmp_path):
    script = tmp_path / "run.py"
    script.write_text(textwrap.dedent(SCRIPT))

    def start(name: str) -> subprocess.Popen:
        return subprocess.Popen([sys.executable, script, tmp_path / f"{name}.ckpt", tmp_path / f"{name}.out"])

    assert start("whole").wait() == 0
    kills = 0
    for _ in range(3):
        process = start("killed")
        checkpoint = tmp_path / "killed.ckpt"
        seen = checkpoint.stat().st_mtime_ns if checkpoint.exists() else 0
        while process.poll() is None and (not checkpoint.exists() or checkpoint.stat().st_mtime_ns == seen):
            time.sleep(0.001)
        time.sleep(0.05 * kills)
        if process.poll() is None:
            process.kill()
            kills += 1
        process.wait()
    assert kills, "the run was too short to be killed: lengthen it"
    assert start("killed").wait() == 0
    assert (tmp_path / "whole.out").read_bytes() == (tmp_path / "killed.out").read_bytes()
    left = [p.name for p in tmp_path.iterdir() if p.name.endswith(".ckpt")]
    assert sorted(left) == ["killed.ckpt", "whole.ckpt"]


def test_a_checkpoint_of_other_settings_is_refused_and_named(images, tmp_path):
    path = tmp_path / "run.safetensors"
    fit(small_model(), images, checkpoint=path)
    with pytest.raises(ValueError, match=r"learning_rate: 0\.002 then, 0\.1 now"):
        fit(small_model(), images, checkpoint=path, learning_rate=0.1)


def test_a_damaged_checkpoint_is_refused_and_named(images, tmp_path):
    path = tmp_path / "run.safetensors"
    fit(small_model(), images, checkpoint=path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match=r"run\.safetensors is damaged"):
        fit(small_model(), images, checkpoint=path)


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_last_good_weights(images):
    model, calls, kept = small_model(), [], []

    def objective(model, x, generator):
        calls.append(len(x))
        terms = objectives.reconstruction_terms(model, x)
        return objectives.Terms(terms.distortion / (0.0 if len(calls) == 8 else 1.0), terms.rate)

    with pytest.raises(training.NonFiniteLoss, match=r"step 7 \(epoch 2\): distortion inf, rate 0"):
        fit(model, images, objective=objective, callback=lambda now: kept.append(weights(now.model).clone()))
    assert torch.equal(weights(model), kept[-1])
    assert len(kept) == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(epochs=0), "epochs must be at least 1"),
        (dict(batch_size=0), "batch_size must be at least 1"),
        (dict(learning_rate=0.0), "learning_rate must be positive"),
    ],
)
def test_unusable_settings_are_refused(images, changes, message):
    with pytest.raises(ValueError, match=message):
        fit(small_model(), images, **changes)


def test_images_of_bytes_are_refused_with_the_way_to_convert_them(images):
    with pytest.raises(ValueError, match=r"images\.float\(\) / 255"):
        training.fit(small_model(), (images * 255).byte(), objectives.reconstruction_terms, epochs=1)


def test_a_history_plots_itself_and_names_its_columns(images):
    import matplotlib

    matplotlib.use("Agg")
    history = fit(small_model(), images, validation=images)
    assert [line.get_label() for line in history.plot().lines] == ["training", "validation"]
    assert history.column("epoch") == [1, 2, 3]
    with pytest.raises(KeyError, match="the columns are epoch, step"):
        history.column("accuracy")
    assert "3 epochs" in repr(history)


@pytest.mark.parametrize(
    ("asked", "setting", "shown"), [(True, None, True), (True, "off", False), (False, None, False)]
)
def test_a_bar_is_shown_where_it_was_asked_for_and_not_switched_off(images, monkeypatch, capsys, asked, setting, shown):
    monkeypatch.delenv("AE_PROGRESS", raising=False)
    if setting is not None:
        monkeypatch.setenv("AE_PROGRESS", setting)
    fit(small_model(), images, progress=asked)
    assert ("step/s" in capsys.readouterr().err) is shown


def test_the_weight_rises_in_a_straight_line_and_then_stays():
    weights = [training.weight_at(step, 100, 4.0, 0.5) for step in (0, 25, 50, 99)]
    assert weights == [0.0, 2.0, 4.0, 4.0]
    assert [training.weight_at(step, 100, 4.0, 0.0) for step in (0, 99)] == [4.0, 4.0]


def test_a_warm_up_weighs_the_rate_of_each_step_and_no_warm_up_changes_nothing(images, tmp_path):
    def trained(**changes):
        model = small_model()
        history = fit(model, images, objective=objectives.sparse_terms, weight=3.0, **changes)
        return weights(model), history

    plain, _ = trained()
    assert torch.equal(plain, trained(warmup=0.0)[0])
    slow, history = trained(warmup=0.5)
    done = 0

    def by_hand(model, x, generator):
        nonlocal done
        terms = objectives.sparse_terms(model, x)
        share, done = min(1.0, done / 7.5), done + 1  # half of 15 steps
        return objectives.Terms(terms.distortion, share * terms.rate)

    model = small_model()
    fit(model, images, objective=by_hand, weight=3.0)
    torch.testing.assert_close(slow, weights(model))
    assert not torch.equal(slow, plain)
    last = history.last
    assert last["train_loss"] == pytest.approx(last["train_distortion"] + 3 * last["train_rate"]), "in full"
    path = tmp_path / "run.safetensors"
    trained(warmup=0.5, checkpoint=path)
    with pytest.raises(ValueError, match=r"warmup: 0\.5 then, 0\.25 now"):
        trained(warmup=0.25, checkpoint=path)
    for share in (-0.1, 1.5):
        with pytest.raises(ValueError, match="warmup is a share of all steps, from 0 to 1"):
            trained(warmup=share)
