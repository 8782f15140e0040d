"""`fit`: the training loop of every chapter, in plain PyTorch, resumable and the same for its seed every time."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

from torch import nn

from autoencoders.loops import Examples, Loop, Objective, Progress
from autoencoders.loops import History as History
from autoencoders.loops import NonFiniteLoss as NonFiniteLoss
from autoencoders.loops import Step as Step
from autoencoders.loops import best_device as best_device
from autoencoders.loops import learning_rate_at as learning_rate_at
from autoencoders.loops import weight_at as weight_at
from autoencoders.runs import read_tensors


def steps(model: nn.Module, images: Examples, objective: Objective, **settings: Any) -> Iterator[Progress]:
    """The loop itself, as a generator that yields after every step: `fit` drains it, a live panel takes it in bites.

    Args and errors are those of `fit`.
    """
    loop = Loop(model, images, objective, **settings)
    (optimizer,) = loop.optimizers
    for x, generator in loop:
        terms = loop.forward(x, generator)
        loss = terms.total(loop.weight).mean()
        loop.check(terms)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        yield loop.stepped()


def fit(
    model: nn.Module,
    images: Examples,
    objective: Objective,
    *,
    callback: Callable[[Progress], None] | None = None,
    progress: bool = True,
    **settings: Any,
) -> History:
    """Train `model` in place and return what was measured.

    Args:
        model: moved to `device` and left there, in eval mode.
        images: the training set, as one tensor, or as a tuple of tensors with a row for each example; batches are drawn
            from it by shuffled index.
        objective: `objective(model, x, generator) -> Terms`; what is minimized is the batch mean of
            `terms.distortion + weight * terms.rate`.
        epochs: passes over `images`.
        validation: held-out examples, measured at the end of every epoch.
        batch_size, learning_rate: Adam's; the rate falls in a straight line to zero from `decay_from` of all steps on.
        weight: of the rate term (lambda, beta). The history's losses have it in full.
        warmup: the share of all steps over which the weight rises in a straight line from zero.
        seed: decides shuffling and noise, not the initial weights: those were drawn when the model was made.
        device: CUDA, MPS or CPU, the first there is, unless named.
        checkpoint: a file written every `checkpoint_every` steps and after every epoch. If it exists, training goes on
            from it and ends with the same bits as a run that was never stopped.
        max_steps: stop early, for trying things out.
        callback: called after every epoch.
        progress: show a bar with the loss, in a notebook or a terminal.

    Raises:
        ValueError: unusable settings, or a checkpoint written by a run with other ones.
        NonFiniteLoss: names the step and the terms; the model keeps its last good weights.
    """
    return drain(model, steps(model, images, objective, **settings), callback, progress, settings.get("checkpoint"))


def drain(
    model: nn.Module,
    run: Iterator[Progress],
    callback: Callable[[Progress], None] | None = None,
    progress: bool = True,
    checkpoint: str | os.PathLike[str] | None = None,
) -> History:
    """Take all steps of a loop, with the bar and the callback of `fit`; the model is left in eval mode."""
    from tqdm.auto import tqdm

    with tqdm(disable=not shows_progress(progress), unit="step", dynamic_ncols=True) as bar:
        now = None
        for now in run:
            bar.total = now.total_steps
            bar.update(now.step - bar.n)
            if now.epoch_ended:
                shown = {k.replace("validation_", ""): v for k, v in now.history.last.items() if k.startswith("valid")}
                bar.set_postfix({k: f"{v:.4g}" for k, v in (shown or {"loss": now.history.last["train_loss"]}).items()})
                if callback is not None:
                    callback(now)
    model.eval()
    if now is not None:
        return now.history
    return load_history(cast(str, checkpoint))  # the checkpoint was of a finished run: nothing was left to do


def shows_progress(asked: bool = True) -> bool:
    """Whether to draw a progress bar: where it was asked for, unless AE_PROGRESS=off."""
    return asked and os.environ.get("AE_PROGRESS") != "off"


def load_history(path: str | os.PathLike[str]) -> History:
    """The history in a checkpoint or a saved run."""
    return History(read_tensors(Path(path))[1]["history"])
