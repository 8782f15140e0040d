"""Many runs at once: one function over many arguments, on all cores of this machine or on a cluster."""

import dataclasses
import json
import os
import warnings
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import joblib
import torch
from joblib.parallel import LokyBackend, get_active_backend

import autoencoders
from autoencoders.prior_recipe import PriorRecipe
from autoencoders.recipe import Recipe
from autoencoders.training import History, shows_progress

A = TypeVar("A")
R = TypeVar("R")


def each(function: Callable[[A], R], arguments: Iterable[A], *, progress: bool = True) -> list[R]:
    """`[function(a) for a in arguments]`, several at a time; results come in the order of the arguments.

    A small network gains little from a second core, and two small networks gain all of it: each call runs in a process
    of its own, on its share of the cores. The calls are made here, one after the other, where there is a GPU, one core
    or one argument, and where `AE_JOBS=1` asks for it (each process needs half a gigabyte of memory). Inside
    `joblib.parallel_config(...)` they go where that says, to a cluster for instance.

    Args:
        function: what decides its result must be in its argument; processes share no random state.
        progress: show a bar that counts the finished calls, in a notebook or a terminal.

    Raises:
        ValueError: AE_JOBS is not a whole number of at least 1.
        Exception: what a call raises; the other calls are given up.
    """
    return list(_stream(function, list(arguments), progress))


def _stream(function: Callable[[A], R], todo: list[A], progress: bool) -> Iterator[R]:
    """The results in order, each as soon as it and those before it are there."""
    from tqdm.auto import tqdm

    backend, configured = get_active_backend()
    here = configured is None and isinstance(backend, LokyBackend)  # nobody named another place
    jobs = min(_jobs(), len(todo)) if here else None  # None: as configured
    bar = partial(tqdm, total=len(todo), disable=len(todo) < 2 or not shows_progress(progress))
    if jobs is not None and jobs < 2:
        yield from bar(map(function, todo))
        return
    calls = (joblib.delayed(_quietly)(function, a) for a in todo)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="A worker stopped while some jobs")  # it was idle; a new one starts
        yield from bar(joblib.Parallel(n_jobs=jobs, return_as="generator")(calls))


def run(
    recipes: Iterable[Recipe | PriorRecipe],
    seeds: Iterable[int] = range(3),
    *,
    measure: Callable[[Any, Any, int], dict[str, float]] | None = None,
    path: str | os.PathLike[str] | None = None,
    progress: bool = True,
) -> list[dict[str, Any]]:
    """Train every recipe with every seed and give one record a run, recipe by recipe.

    A record holds `recipe`, `seed`, the package's `version`, the recipe's fields under `settings`, what the last epoch
    measured, and what `measure(recipe, model, seed)` returns.

    Args:
        measure: what to record of a trained model; a function of a module or a notebook, for it travels to the workers.
        path: a file of one JSON line a run, appended as runs end. A sweep that was killed goes on from it: runs that are
            in the file, made by the same package and settings, are not made again.

    Raises:
        ValueError: a line of the file, other than an unfinished last one, is not a record.
    """
    runs = [(recipe, seed) for recipe in recipes for seed in list(seeds)]
    file = None if path is None else Path(path)
    records = {} if file is None else _read(file)
    keys = [recipe.key(seed) for recipe, seed in runs]
    todo = [(key, *run) for key, run in zip(keys, runs, strict=True) if key not in records]
    for record in _stream(partial(_record, measure), todo, progress):
        records[record["key"]] = record
        if file is not None:
            with open(file, "a", encoding="utf-8") as lines:
                lines.write(json.dumps(record) + "\n")
    return [records[key] for key in keys]


def _record(
    measure: Callable[[Any, Any, int], dict[str, float]] | None, job: tuple[str, Recipe | PriorRecipe, int]
) -> dict[str, Any]:
    key, recipe, seed = job
    model, history = recipe.trained(seed, progress=False)
    record: dict[str, Any] = dict(key=key, recipe=recipe.name, seed=seed, version=autoencoders.__version__)
    record |= dict(settings=dataclasses.asdict(recipe)) | history.last
    return json.loads(json.dumps(record | (measure(recipe, model, seed) if measure else {})))  # as it is read back


def _read(file: Path) -> dict[str, dict[str, Any]]:
    """The records of a sweep so far; a last line that a kill cut short is taken off the file."""
    if not file.exists():
        return {}
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    if lines and not lines[-1].endswith("\n"):
        lines.pop()
        beside = file.with_name(f"{file.name}.part")
        beside.write_text("".join(lines), encoding="utf-8")
        os.replace(beside, file)
    records = {}
    for number, line in enumerate(lines, 1):
        try:
            record = json.loads(line)
            records[record["key"]] = record
        except (json.JSONDecodeError, TypeError, KeyError) as error:
            raise ValueError(
                f"line {number} of {file} is not a record of a sweep; repair it or give another path"
            ) from error
    return records


def trained(*recipes: Recipe | PriorRecipe, seeds: Iterable[int] = range(3)) -> list[list[tuple[Any, History]]]:
    """For each recipe the list of `recipe.trained(seed)` over `seeds`; what was never trained is trained side by side."""
    seeds = list(seeds)
    runs = [(recipe, seed) for recipe in recipes for seed in seeds]
    missing = [i for i, (recipe, seed) in enumerate(runs) if not recipe.is_trained(seed)]
    new = dict(zip(missing, each(_trained, [runs[i] for i in missing]), strict=True))
    pairs = [new.get(i) or recipe.trained(seed) for i, (recipe, seed) in enumerate(runs)]
    return [pairs[i * len(seeds) : (i + 1) * len(seeds)] for i in range(len(recipes))]


def models(*recipes: Recipe | PriorRecipe, seeds: Iterable[int] = range(3)) -> list[list[Any]]:
    """For each recipe its models over `seeds`, as `trained` gives them."""
    return [[model for model, _ in runs] for runs in trained(*recipes, seeds=seeds)]


def _trained(run: tuple[Recipe | PriorRecipe, int]) -> tuple[Any, History]:
    recipe, seed = run
    return recipe.trained(seed)


def _jobs() -> int:
    """How many calls at once: AE_JOBS, or as many as there are cores, or one beside a GPU."""
    asked = os.environ.get("AE_JOBS")
    if asked is None:
        return 1 if torch.cuda.is_available() or torch.backends.mps.is_available() else joblib.cpu_count()
    if not asked.isdecimal() or int(asked) < 1:
        raise ValueError(f"AE_JOBS must be a whole number of at least 1, not {asked!r}")
    return int(asked)


def _quietly(function: Callable[[A], R], argument: A) -> R:
    """Call `function` in a worker, whose progress bars nobody would see in their place."""
    os.environ["AE_PROGRESS"] = "off"
    return function(argument)
