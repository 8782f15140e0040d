"""`fit`: the training loop of every chapter, in plain PyTorch, resumable and the same for its seed every time."""

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor, nn

from autoencoders.objectives import Terms
from autoencoders.runs import read_tensors, write_tensors

Examples = Tensor | tuple[Tensor, ...]  # pictures, or several tensors with a row for each example, codes and labels say
Objective = Callable[[Any, Any, Generator], Terms]


class NonFiniteLoss(FloatingPointError):
    """The loss became infinite or NaN. The model has been put back to the last epoch that ended well."""


@dataclass
class History:
    """What training measured: one record per epoch, terms in nats per example (means over the epoch)."""

    records: list[dict[str, float]] = field(default_factory=list)

    @property
    def last(self) -> dict[str, float]:
        return self.records[-1]

    def column(self, name: str) -> list[float]:
        """One quantity over the epochs, such as `validation_loss`."""
        if self.records and name not in self.last:
            raise KeyError(f"no column {name!r}; the columns are {', '.join(self.last)}")
        return [record[name] for record in self.records]

    def plot(self, term: str = "loss", ax: Any = None) -> Any:
        """Training and validation curves of `term` (`loss`, `distortion` or `rate`); returns the Axes."""
        import matplotlib.pyplot as plt

        ax = ax if ax is not None else plt.subplots(figsize=(5, 3))[1]
        epochs = self.column("epoch")
        ax.plot(epochs, self.column(f"train_{term}"), color="0.6", label="training")
        if f"validation_{term}" in self.last:
            ax.plot(epochs, self.column(f"validation_{term}"), color="#0072B2", label="validation")
        ax.set(xlabel="epoch", ylabel=f"{term} (nats per example)")
        ax.legend()
        return ax

    def __repr__(self) -> str:
        if not self.records:
            return "History(no epoch yet)"
        shown = "validation_loss" if "validation_loss" in self.last else "train_loss"
        epochs = f"{len(self.records)} epoch{'s' if len(self.records) > 1 else ''}"
        return f"History({epochs}, {shown.replace('_', ' ')} {self.last[shown]:.4g} nats)"


@dataclass(frozen=True)
class Progress:
    """Where training stands after a step; what `steps` yields and what a callback receives."""

    model: nn.Module
    history: History
    epoch: int
    step: int
    total_steps: int
    loss: float
    epoch_ended: bool


class Step(nn.Module):
    """The objective as a module, so that whatever wraps modules (data parallelism, say) can wrap a training step."""

    def __init__(self, model: nn.Module, objective: Objective) -> None:
        super().__init__()
        self.model, self.objective = model, objective

    def forward(self, x: Examples, generator: Generator) -> Terms:
        return self.objective(self.model, x, generator)


def best_device() -> torch.device:
    """CUDA if there is one, else Apple's MPS, else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def _generator(device: torch.device | str, *key: int) -> Generator:
    """A generator of its own for every (seed, purpose, count): resuming needs no saved random state."""
    return Generator(device).manual_seed(int(np.random.SeedSequence(key).generate_state(1)[0]))


def learning_rate_at(step: int, total: int, peak: float, decay_from: float) -> float:
    """Constant, then a straight line to zero over the last part, from `decay_from * total` on."""
    start = decay_from * total
    return peak if step < start else peak * (total - step) / (total - start)


def weight_at(step: int, total: int, weight: float, warmup: float) -> float:
    """A straight line from zero over the first part, up to `warmup * total`, then constant (Bowman et al. 2016)."""
    return weight if step >= warmup * total else weight * step / (warmup * total)


def steps(
    model: nn.Module,
    images: Examples,
    objective: Objective,
    *,
    epochs: int,
    validation: Examples | None = None,
    batch_size: int = 128,
    learning_rate: float = 2e-3,
    decay_from: float = 0.5,
    weight: float = 1.0,
    warmup: float = 0.0,
    seed: int = 0,
    device: torch.device | str | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    checkpoint_every: int = 200,
    max_steps: int | None = None,
) -> Iterator[Progress]:
    """The loop itself, as a generator that yields after every step: `fit` drains it, a live panel takes it in bites.

    Args and errors are those of `fit`.
    """
    count = _check_arguments(images, epochs, batch_size, learning_rate, warmup)
    device = torch.device(device or best_device())
    images, batches = _each(images, lambda t: t.to(device)), -(-count // batch_size)
    validation = None if validation is None else _each(validation, lambda t: t.to(device))
    total = min(epochs * batches, max_steps or epochs * batches)
    step_module = Step(model.to(device), objective).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=learning_rate, fused=True)
    history, done, sums = History(), 0, np.zeros(3)  # sums: distortion, rate, examples of the epoch so far
    settings = dict(n=count, epochs=epochs, batch_size=batch_size, learning_rate=learning_rate, seed=seed)
    settings |= dict(decay_from=decay_from, weight=weight, warmup=warmup, max_steps=max_steps)
    if checkpoint is not None and Path(checkpoint).exists():
        history, done, sums = _resume(Path(checkpoint), model, optimizer, settings)
    good = _copy(model)
    started = time.perf_counter() - (history.last["seconds"] if history.records else 0.0)

    while done < total:
        epoch = done // batches
        order = torch.randperm(count, generator=_generator("cpu", seed, 0, epoch)).to(device)
        for batch in order.split(batch_size)[done % batches : total - epoch * batches]:
            optimizer.param_groups[0]["lr"] = learning_rate_at(done, total, learning_rate, decay_from)
            terms = step_module(_each(images, itemgetter(batch)), _generator(device, seed, 1, done))
            loss = terms.total(weight_at(done, total, weight, warmup)).mean()
            distortion, rate = terms.distortion.detach().sum().item(), terms.rate.detach().sum().item()
            if not np.isfinite(distortion + weight * rate):
                model.load_state_dict(good)
                raise NonFiniteLoss(
                    f"the loss is not finite at step {done} (epoch {epoch + 1}): distortion {distortion / len(batch):.4g}, "
                    f"rate {rate / len(batch):.4g} nats per example. The model holds the weights of the last good epoch "
                    f"({len(history.records)}). Lower learning_rate (now {learning_rate:g}), or look for a logarithm or "
                    f"a division of zero in the objective"
                )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            done += 1
            sums += (distortion, rate, len(batch))
            epoch_ended = done % batches == 0 or done == total
            if epoch_ended:
                record = dict(epoch=epoch + 1, step=done, seconds=time.perf_counter() - started)
                record |= _named("train", sums[0] / sums[2], sums[1] / sums[2], weight)
                if validation is not None:
                    record |= _validate(step_module, validation, weight, seed)
                history.records.append(record)
                sums = np.zeros(3)
                if np.isfinite(record.get("validation_loss", record["train_loss"])):
                    good = _copy(model)
            if checkpoint is not None and (epoch_ended or done % checkpoint_every == 0):
                _save(Path(checkpoint), model, optimizer, settings, history, done, sums)
            yield Progress(model, history, epoch + 1, done, total, distortion / len(batch), epoch_ended)


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
    from tqdm.auto import tqdm

    run = steps(model, images, objective, **settings)
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
    return load_history(settings["checkpoint"])  # the checkpoint was of a finished run: nothing was left to do


def shows_progress(asked: bool = True) -> bool:
    """Whether to draw a progress bar: where it was asked for, unless AE_PROGRESS=off."""
    return asked and os.environ.get("AE_PROGRESS") != "off"


def _each(examples: Examples, change: Callable[[Tensor], Tensor]) -> Examples:
    """One change to all tensors of the examples."""
    return change(examples) if isinstance(examples, Tensor) else tuple(change(part) for part in examples)


def _check_arguments(images: Examples, epochs: int, batch_size: int, learning_rate: float, warmup: float) -> int:
    """How many examples there are."""
    if isinstance(images, Tensor) and (images.dim() != 4 or not images.is_floating_point()):
        raise ValueError(
            f"images must be one float tensor (n, channels, height, width), not {images.dtype} of shape "
            f"{tuple(images.shape)}; use data.load(...).train.images, or images.float() / 255"
        )
    counts = [len(images)] if isinstance(images, Tensor) else [len(part) for part in images]
    if len(set(counts)) != 1:
        raise ValueError(f"the tensors of the examples must have a row for each example, but have {counts} rows")
    for name, value in (("the number of images", counts[0]), ("epochs", epochs), ("batch_size", batch_size)):
        if value < 1:
            raise ValueError(f"{name} must be at least 1, not {value}")
    if not learning_rate > 0:
        raise ValueError(f"learning_rate must be positive, not {learning_rate}")
    if not 0 <= warmup <= 1:
        raise ValueError(f"warmup is a share of all steps, from 0 to 1, not {warmup}")
    return counts[0]


def _named(split: str, distortion: float, rate: float, weight: float) -> dict[str, float]:
    terms = dict(loss=distortion + weight * rate, distortion=distortion, rate=rate)
    return {f"{split}_{name}": float(value) for name, value in terms.items()}


@torch.no_grad()
def _validate(step: Step, images: Examples, weight: float, seed: int) -> dict[str, float]:
    """The terms on held-out images, with the same noise every epoch so that epochs can be compared."""
    step.eval()
    first = images if isinstance(images, Tensor) else images[0]
    generator = _generator(first.device, seed, 2)
    sums = np.zeros(2)
    for rows in torch.arange(len(first), device=first.device).split(500):
        terms = step(_each(images, itemgetter(rows)), generator)
        sums += (terms.distortion.sum().item(), terms.rate.sum().item())
    step.train()
    return _named("validation", sums[0] / len(first), sums[1] / len(first), weight)


def _copy(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


def _save(path: Path, model: nn.Module, optimizer: Any, settings: Any, history: History, done: int, sums: Any) -> None:
    tensors = {f"model.{k}": v for k, v in model.state_dict().items()}
    for i, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{i}.{k}": v for k, v in state.items()}
    write_tensors(path, tensors, dict(settings=settings, history=history.records, step=done, sums=list(sums)))


def _resume(path: Path, model: nn.Module, optimizer: Any, settings: Any) -> tuple[History, int, np.ndarray]:
    tensors, metadata = read_tensors(path)
    if metadata.get("settings") != settings:
        was = metadata.get("settings") or {}
        changed = [f"{k}: {was.get(k)} then, {v} now" for k, v in settings.items() if was.get(k) != v]
        raise ValueError(f"{path} belongs to another run ({'; '.join(changed)}); give each run its own checkpoint file")
    model.load_state_dict({k.removeprefix("model."): v for k, v in tensors.items() if k.startswith("model.")})
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith("optimizer."):
            _, i, key = name.split(".", 2)
            state.setdefault(int(i), {})[key] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    return History(metadata["history"]), metadata["step"], np.array(metadata["sums"])


def load_history(path: str | os.PathLike[str]) -> History:
    """The history in a checkpoint or a saved run."""
    return History(read_tensors(Path(path))[1]["history"])
