"""What all training loops share: batches and noise by seed, history, checkpoints, and an end at nonsense."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
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


def generator_for(device: torch.device | str, *key: int) -> Generator:
    """A generator of its own for every (seed, purpose, count): resuming needs no saved random state."""
    return Generator(device).manual_seed(int(np.random.SeedSequence(key).generate_state(1)[0]))


def learning_rate_at(step: int, total: int, peak: float, decay_from: float) -> float:
    """Constant, then a straight line to zero over the last part, from `decay_from * total` on."""
    start = decay_from * total
    return peak if step < start else peak * (total - step) / (total - start)


def weight_at(step: int, total: int, weight: float, warmup: float) -> float:
    """A straight line from zero over the first part, up to `warmup * total`, then constant (Bowman et al. 2016)."""
    return weight if step >= warmup * total else weight * step / (warmup * total)


class Loop:
    """What every training loop does around its steps: batches in a new order each epoch, history, the checkpoint.

    `for x, generator in loop` gives the batches that are left, each with a generator for its noise. The body computes terms
    with `forward`, lets `check` look at them, steps its `optimizers` and hands the terms to `ended`. Args are those of `fit`;
    `others` are trained beside the model, each by an optimizer of its own, and kept in the checkpoint with it.
    """

    def __init__(
        self,
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
        others: Sequence[tuple[nn.Module, torch.optim.Optimizer]] = (),
    ) -> None:
        self.count = _check_arguments(images, epochs, batch_size, learning_rate, warmup)
        self.device, self.seed, self.batch_size = torch.device(device or best_device()), seed, batch_size
        self.images = _each(images, lambda t: t.to(self.device))
        self.validation = None if validation is None else _each(validation, lambda t: t.to(self.device))
        self.batches = -(-self.count // batch_size)
        self.total = min(epochs * self.batches, max_steps or epochs * self.batches)
        self.forward = Step(model.to(self.device), objective).train()
        self.full_weight, self.warmup, self.learning_rate, self.decay_from = weight, warmup, learning_rate, decay_from
        optimizer = torch.optim.Adam(model.parameters(), lr=learning_rate, fused=True)
        self.optimizers = [optimizer, *(one for _, one in others)]
        self.kept = nn.ModuleList([model, *(module for module, _ in others)]) if others else model
        self.history, self.done, self.sums = History(), 0, np.zeros(3)  # distortion, rate, examples of the epoch so far
        self.settings = dict(n=self.count, epochs=epochs, batch_size=batch_size, learning_rate=learning_rate, seed=seed)
        self.settings |= dict(decay_from=decay_from, weight=weight, warmup=warmup, max_steps=max_steps)
        self.checkpoint, self.checkpoint_every = None if checkpoint is None else Path(checkpoint), checkpoint_every
        if self.checkpoint is not None and self.checkpoint.exists():
            self._resume(self.checkpoint)
        self.good = _copy(self.kept)
        self.started = time.perf_counter() - (self.history.last["seconds"] if self.history.records else 0.0)

    @property
    def weight(self) -> float:
        """The weight of the rate at this step."""
        return weight_at(self.done, self.total, self.full_weight, self.warmup)

    def __iter__(self) -> Iterator[tuple[Any, Generator]]:
        while self.done < self.total:
            epoch = self.done // self.batches
            order = torch.randperm(self.count, generator=generator_for("cpu", self.seed, 0, epoch)).to(self.device)
            for rows in order.split(self.batch_size)[self.done % self.batches : self.total - epoch * self.batches]:
                rate = learning_rate_at(self.done, self.total, self.learning_rate, self.decay_from)
                self.optimizers[0].param_groups[0]["lr"] = rate
                yield _each(self.images, itemgetter(rows)), generator_for(self.device, self.seed, 1, self.done)

    def check(self, terms: Terms) -> None:
        """Put the models back to the last good epoch and say so, if the loss is not finite."""
        self.last = np.array(
            [terms.distortion.detach().sum().item(), terms.rate.detach().sum().item(), len(terms.rate)]
        )
        distortion, rate, n = self.last
        if np.isfinite(distortion + self.full_weight * rate):
            return
        self.kept.load_state_dict(self.good)
        raise NonFiniteLoss(
            f"the loss is not finite at step {self.done} (epoch {self.done // self.batches + 1}): distortion "
            f"{distortion / n:.4g}, rate {rate / n:.4g} nats per example. The model holds the weights of the last good epoch "
            f"({len(self.history.records)}). Lower learning_rate (now {self.learning_rate:g}), or look for a logarithm or "
            f"a division of zero in the objective"
        )

    def stepped(self) -> Progress:
        """Count the step; at the end of an epoch measure, and in its time write the checkpoint."""
        self.done += 1
        self.sums += self.last
        epoch, ended = -(-self.done // self.batches), self.done % self.batches == 0 or self.done == self.total
        if ended:
            self._end_epoch(epoch)
        if self.checkpoint is not None and (ended or self.done % self.checkpoint_every == 0):
            self._save(self.checkpoint)
        loss = self.last[0] / self.last[2]
        return Progress(self.forward.model, self.history, epoch, self.done, self.total, loss, ended)

    def _end_epoch(self, epoch: int) -> None:
        record = dict(epoch=epoch, step=self.done, seconds=time.perf_counter() - self.started)
        record |= _named("train", self.sums[0] / self.sums[2], self.sums[1] / self.sums[2], self.full_weight)
        if self.validation is not None:
            record |= _validate(self.forward, self.validation, self.full_weight, self.seed)
        self.history.records.append(record)
        self.sums = np.zeros(3)
        if np.isfinite(record.get("validation_loss", record["train_loss"])):
            self.good = _copy(self.kept)

    def _save(self, path: Path) -> None:
        tensors = {f"model.{k}": v for k, v in self.kept.state_dict().items()}
        for o, optimizer in enumerate(self.optimizers):
            for i, state in optimizer.state_dict()["state"].items():
                tensors |= {f"optimizer.{o}.{i}.{k}": v for k, v in state.items()}
        record = dict(settings=self.settings, history=self.history.records, step=self.done, sums=list(self.sums))
        write_tensors(path, tensors, record)

    def _resume(self, path: Path) -> None:
        tensors, metadata = read_tensors(path)
        if metadata.get("settings") != self.settings:
            was = metadata.get("settings") or {}
            changed = [f"{k}: {was.get(k)} then, {v} now" for k, v in self.settings.items() if was.get(k) != v]
            raise ValueError(
                f"{path} belongs to another run ({'; '.join(changed)}); give each run its own checkpoint file"
            )
        self.kept.load_state_dict({k.removeprefix("model."): v for k, v in tensors.items() if k.startswith("model.")})
        states: list[dict[int, dict[str, Tensor]]] = [{} for _ in self.optimizers]
        for name, value in tensors.items():
            if name.startswith("optimizer."):
                _, o, i, key = name.split(".", 3)
                states[int(o)].setdefault(int(i), {})[key] = value
        for optimizer, state in zip(self.optimizers, states, strict=True):
            optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
        self.history, self.done = History(metadata["history"]), metadata["step"]
        self.sums = np.array(metadata["sums"])


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
    generator = generator_for(first.device, seed, 2)
    sums = np.zeros(2)
    for rows in torch.arange(len(first), device=first.device).split(500):
        terms = step(_each(images, itemgetter(rows)), generator)
        sums += (terms.distortion.sum().item(), terms.rate.sum().item())
    step.train()
    return _named("validation", sums[0] / len(first), sums[1] / len(first), weight)


def _copy(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in model.state_dict().items()}
