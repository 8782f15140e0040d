"""Many runs at once: one function over many arguments, on all cores of this machine or on a cluster."""

import os
import warnings
from collections.abc import Callable, Iterable
from functools import partial
from typing import TypeVar

import joblib
import torch
from joblib.parallel import get_active_backend

from autoencoders.models import Autoencoder
from autoencoders.recipes import Recipe
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
    from tqdm.auto import tqdm

    todo = list(arguments)
    configured = get_active_backend()[1]
    jobs = configured or min(_jobs(), len(todo))
    bar = partial(tqdm, total=len(todo), disable=len(todo) < 2 or not shows_progress(progress))
    if jobs < 2 and configured is None:
        return list(bar(map(function, todo)))
    calls = (joblib.delayed(_quietly)(function, a) for a in todo)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="A worker stopped while some jobs")  # it was idle; a new one starts
        return list(bar(joblib.Parallel(n_jobs=jobs, return_as="generator")(calls)))


def trained(*recipes: Recipe, seeds: Iterable[int] = range(3)) -> list[list[tuple[Autoencoder, History]]]:
    """For each recipe the list of `recipe.trained(seed)` over `seeds`; what was never trained is trained side by side."""
    seeds = list(seeds)
    runs = [(recipe, seed) for recipe in recipes for seed in seeds]
    missing = [i for i, (recipe, seed) in enumerate(runs) if not recipe.is_trained(seed)]
    new = dict(zip(missing, each(_trained, [runs[i] for i in missing]), strict=True))
    pairs = [new.get(i) or recipe.trained(seed) for i, (recipe, seed) in enumerate(runs)]
    return [pairs[i * len(seeds) : (i + 1) * len(seeds)] for i in range(len(recipes))]


def models(*recipes: Recipe, seeds: Iterable[int] = range(3)) -> list[list[Autoencoder]]:
    """For each recipe its models over `seeds`, as `trained` gives them."""
    return [[model for model, _ in runs] for runs in trained(*recipes, seeds=seeds)]


def _trained(run: tuple[Recipe, int]) -> tuple[Autoencoder, History]:
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
