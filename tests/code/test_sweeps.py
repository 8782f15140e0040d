"""Many runs at once give what the same runs give one after the other."""

import json
import os

import joblib
import pytest
import torch

from autoencoders import recipes, sweeps


def number_and_process(n):
    return n * n, os.getpid()


def test_results_come_in_order_and_from_other_processes(monkeypatch):
    monkeypatch.setenv("AE_JOBS", "2")
    squares, processes = zip(*sweeps.each(number_and_process, range(5), progress=False), strict=True)
    assert squares == (0, 1, 4, 9, 16)
    assert os.getpid() not in processes


def test_one_job_runs_here(monkeypatch):
    monkeypatch.setenv("AE_JOBS", "1")
    assert sweeps.each(number_and_process, [3], progress=False) == [(9, os.getpid())]
    assert sweeps.each(number_and_process, [3, 4], progress=False)[1] == (16, os.getpid())


def test_parallel_config_decides_where_calls_go(monkeypatch):
    monkeypatch.setenv("AE_JOBS", "1")
    with joblib.parallel_config(backend="loky", n_jobs=2):
        results = sweeps.each(number_and_process, [1, 2], progress=False)
    assert os.getpid() not in [process for _, process in results]


def where(recipe, model, seed):
    return {"process": os.getpid()}


def test_a_sweep_runs_unchanged_on_a_dask_cluster_of_two_workers(monkeypatch, tmp_path):
    """The cluster gets the runs, even where this machine would make them one by one, and gives the same records."""
    distributed = pytest.importorskip("distributed")
    monkeypatch.setenv("AE_JOBS", "1")
    monkeypatch.setenv("AE_CACHE", "off")
    monkeypatch.setenv("AE_BUDGET", "smoke")
    recipe = recipes.get("vae-digits-2").replace(epochs=1)
    here = sweeps.run([recipe], range(4), progress=False)
    path = tmp_path / "runs.jsonl"
    options = dict(n_workers=2, threads_per_worker=1, dashboard_address=None, host="127.0.0.1")
    with (
        distributed.LocalCluster(**options) as cluster,
        distributed.Client(cluster) as client,
        joblib.parallel_config(backend="dask"),
    ):
        workers = set(client.run(os.getpid).values())
        there = sweeps.run([recipe], range(4), measure=where, path=path, progress=False)
    assert {record.pop("process") for record in there} == workers and len(workers) == 2
    times = ("seconds",)
    assert [{k: v for k, v in r.items() if k not in times} for r in there] == [
        {k: v for k, v in r.items() if k not in times} for r in here
    ]
    assert len(path.read_text().splitlines()) == 4


def test_nothing_to_do():
    assert sweeps.each(number_and_process, [], progress=False) == []


def test_an_exception_in_a_process_comes_back(monkeypatch):
    monkeypatch.setenv("AE_JOBS", "2")
    with pytest.raises(ZeroDivisionError):
        sweeps.each(lambda n: 1 / n, [1, 0], progress=False)


@pytest.mark.parametrize("jobs", ["0", "-1", "two", ""])
def test_a_senseless_number_of_jobs_is_refused(monkeypatch, jobs):
    monkeypatch.setenv("AE_JOBS", jobs)
    with pytest.raises(ValueError, match="AE_JOBS must be a whole number"):
        sweeps.each(abs, [1, 2])


def test_models_are_those_that_one_thread_trains_alone(monkeypatch):
    """What a process returns does not depend on its neighbor: the same weights, to the bit, as a run by itself."""
    recipe = recipes.get("mlp-digits-2").replace(epochs=1)
    monkeypatch.setenv("AE_JOBS", "2")
    together = sweeps.each(recipe.trained, range(2), progress=False)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        alone = [recipe.train(seed, progress=False)[0] for seed in range(2)]
    finally:
        torch.set_num_threads(threads)
    for (model, _), other in zip(together, alone, strict=True):
        for value, expected in zip(model.state_dict().values(), other.state_dict().values(), strict=True):
            assert torch.equal(value, expected)


def test_models_of_several_recipes_come_recipe_by_recipe(monkeypatch):
    monkeypatch.setenv("AE_JOBS", "2")
    monkeypatch.setenv("AE_BUDGET", "smoke")
    two, four = recipes.get("mlp-digits-2"), recipes.get("mlp-digits-4")
    assert not two.is_trained(1)
    ours = sweeps.models(two, four, seeds=(0, 1))
    assert [[model.encoder(torch.zeros(1, 1, 28, 28)).shape[1] for model in models] for models in ours] == [
        [2, 2],
        [4, 4],
    ]
    assert not all(torch.equal(a, b) for a, b in zip(ours[0][0].parameters(), ours[0][1].parameters(), strict=True))
    assert sweeps.models(seeds=(0, 1)) == [] and sweeps.models(two, seeds=()) == [[]]


def test_what_is_trained_is_loaded_and_not_trained_again(monkeypatch):
    monkeypatch.setenv("AE_BUDGET", "smoke")
    recipe = recipes.get("mlp-digits-2")
    recipe.trained(1, progress=False)
    assert recipe.is_trained(1) and not recipe.is_trained(0)
    asked = []
    monkeypatch.setattr(sweeps, "each", lambda function, runs: asked.extend(runs) or [function(run) for run in runs])
    assert len(sweeps.trained(recipe, seeds=(0, 1))[0]) == 2
    assert asked == [(recipe, 0)]


def parameters(recipe, model, seed):
    return {"first": next(model.parameters()).sum().item()}


@pytest.fixture
def smoke(monkeypatch):
    monkeypatch.setenv("AE_BUDGET", "smoke")
    monkeypatch.setenv("AE_JOBS", "1")
    return [recipes.get("mlp-digits-2"), recipes.get("vae-digits")]


def test_a_sweep_gives_one_record_a_run(smoke, tmp_path):
    path = tmp_path / "sweep.jsonl"
    records = sweeps.run(smoke, (0, 1), measure=parameters, path=path, progress=False)
    assert [(r["recipe"], r["seed"]) for r in records] == [(r.name, s) for r in smoke for s in (0, 1)]
    assert [json.loads(line) for line in path.read_text().splitlines()] == records
    assert records[0]["first"] != records[1]["first"]
    assert records[2]["validation_rate"] > 0 == records[0]["validation_rate"]
    assert records[2]["settings"]["likelihood"] == "bernoulli"


def test_a_killed_sweep_goes_on_where_it_was(smoke, tmp_path, monkeypatch):
    path = tmp_path / "sweep.jsonl"
    whole = sweeps.run(smoke, (0, 1), measure=parameters, path=path, progress=False)
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:2]) + lines[2][:40])  # killed in the middle of the third line
    made, record = [], sweeps._record
    monkeypatch.setattr(sweeps, "_record", lambda measure, job: made.append(job[1:]) or record(measure, job))
    again = sweeps.run(smoke, (0, 1), measure=parameters, path=path, progress=False)
    assert made == [(smoke[1], 0), (smoke[1], 1)]
    assert [r["first"] for r in again] == [r["first"] for r in whole]
    assert len(path.read_text().splitlines()) == 4
    changed = sweeps.run([smoke[0].replace(batch_size=64)], (0,), path=path, progress=False)
    assert len(made) == 3 and changed[0]["settings"]["batch_size"] == 64


def test_a_damaged_record_is_named(smoke, tmp_path):
    path = tmp_path / "sweep.jsonl"
    path.write_text('{"key": "a"}\nnonsense\n')
    with pytest.raises(ValueError, match="line 2 of"):
        sweeps.run(smoke, (0,), path=path, progress=False)
