"""One configuration of a prior over the codes of a vector-quantized autoencoder, trained on that model's codes."""

import dataclasses
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn

from autoencoders import autoregressive, evaluation, priors, runs, training
from autoencoders.models import VQVAE, HierarchicalVQVAE
from autoencoders.recipe import Recipe
from autoencoders.training import History, Progress

NETWORKS = {
    "pixelcnn": autoregressive.PixelCNN,
    "transformer": autoregressive.CausalTransformer,
    "vae": priors.CodeVAE,
}


@dataclass(frozen=True)
class PriorRecipe:
    """A prior p(s | label) of the codes that the model of another recipe, `of`, gives its training pictures.

    `trained(seed)` takes the model that `of.trained(seed)` gives. Of a hierarchy, `level` says which map is modeled, 0 the
    coarsest; the finer ones are conditioned on those above them.
    """

    name: str
    of: Recipe
    network: str = "pixelcnn"
    options: dict[str, Any] = field(default_factory=dict)
    level: int = 0
    by_label: bool = True
    epochs: int = 20
    batch_size: int = 64
    learning_rate: float = 2e-3
    decay_from: float = 0.5
    expected: str = ""

    def __post_init__(self) -> None:
        if self.network not in NETWORKS:
            raise ValueError(f"network must be one of {', '.join(NETWORKS)}, not {self.network!r}")
        if self.of.objective != "vq":
            raise ValueError(
                f"a prior is trained on codes: `of` must be a recipe with objective 'vq', not {self.of.name!r}"
            )
        levels = max(1, len(self.of.halvings))
        if not 0 <= self.level < levels:
            raise ValueError(
                f"{self.of.name!r} has {levels} maps of codes, 0 the coarsest; there is no map {self.level}"
            )

    @property
    def data(self) -> str:
        """The data set, that of the model whose codes these are."""
        return self.of.data

    def replace(self, **changes: Any) -> "PriorRecipe":
        """A copy with some fields changed; `data` is changed in the recipe of the model.

        Raises:
            ValueError: a field does not exist; the message lists those that do.
        """
        fields = [f.name for f in dataclasses.fields(self)]
        if unknown := sorted(set(changes) - {*fields, "data"}):
            raise ValueError(f"a recipe has no {', '.join(unknown)}; its fields are data, {', '.join(fields)}")
        if "data" in changes:
            changes["of"] = changes.get("of", self.of).replace(data=changes.pop("data"), expected="")
        return dataclasses.replace(self, **changes)

    def quantized(self, seed: int = 0) -> VQVAE | HierarchicalVQVAE:
        """The trained model whose codes these are."""
        return cast(VQVAE | HierarchicalVQVAE, self.of.trained(seed)[0])

    def codes(self, split: str = "train", seed: int = 0) -> tuple[Tensor, ...]:
        """The maps of a split's pictures, their labels and, in a hierarchy, the coarser maps, the coarsest first.

        Raises:
            ValueError: there is no such split.
        """
        if split not in ("train", "validation", "test"):
            raise ValueError(f"the splits are train, validation and test, not {split!r}")
        part, model = getattr(self.of.dataset(), split), self.quantized(seed)
        maps = (
            [evaluation.in_batches(partial(_map, model, level), part.images) for level in range(self.level + 1)]
            if isinstance(model, HierarchicalVQVAE)
            else [evaluation.in_batches(model.indices, part.images)]
        )
        return (maps[self.level], part.labels, *maps[: self.level])

    @torch.no_grad()
    def bits_per_code(self, prior: nn.Module, split: str = "test", seed: int = 0) -> float:
        """-log2 p(s | label) for each code of a split's maps; of a `CodeVAE`, the bound that 50 draws of z give."""
        examples, condition = self.codes(split, seed), self._condition(seed)
        total = 0.0
        for rows in torch.arange(len(examples[0])).split(250):
            batch, *others = (part[rows] for part in examples)
            total += (
                priors.log_prob(prior, (batch, *others), torch.Generator().manual_seed(seed), condition=condition)
                .sum()
                .item()
            )
        return -total / examples[0].numel() / math.log(2)

    def model(self, seed: int = 0) -> nn.Module:
        """The untrained prior; its initial weights depend on `seed` alone, and the global random state is put back."""
        images = self.of.dataset()
        quantized = cast(VQVAE | HierarchicalVQVAE, self.of.model(seed, images.shape)).eval()
        with torch.no_grad():
            found = quantized.indices(torch.zeros(1, *images.shape))
        size = tuple((found if isinstance(found, Tensor) else found[self.level]).shape[1:])
        told: dict[str, Any] = dict(classes=len(images.class_names) if self.by_label else 0)
        if self.level:
            told["condition"] = self.level * self.of.latent
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return NETWORKS[self.network](self.of.codebook, size, **told, **self.options)

    def train(
        self,
        seed: int = 0,
        *,
        device: str | torch.device | None = None,
        callback: Callable[[Progress], None] | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        progress: bool = True,
    ) -> tuple[nn.Module, History]:
        """Train from scratch and return the prior, in eval mode, with its history. Same seed, same machine, same bits."""
        objective = partial(priors.prior_terms, condition=self._condition(seed))
        model = self.model(seed)
        history = training.fit(
            model,
            self.codes("train", seed),
            objective,
            validation=self.codes("validation", seed),
            device=device,
            callback=callback,
            checkpoint=checkpoint,
            progress=progress,
            epochs=self.epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            decay_from=self.decay_from,
            seed=seed,
            max_steps=runs.smoke_steps(),
        )
        return model, history

    def trained(self, seed: int = 0, *, progress: bool = True) -> tuple[nn.Module, History]:
        """Like `train`, but a second call, even from another chapter, loads the weights of the first (see `Recipe.run`)."""
        path = runs.path(self.name, seed, self.key(seed))
        if path is not None and path.exists():
            tensors, metadata = runs.read_tensors(path)
            model = self.model(seed)
            model.load_state_dict(tensors)
            return model.eval(), History(metadata["history"])
        model, history = self.train(seed, progress=progress)
        model = model.cpu()
        if path is not None:
            record = dict(recipe=dataclasses.asdict(self), seed=seed, history=history.records)
            runs.write_tensors(path, model.state_dict(), record)
        return model, history

    def is_trained(self, seed: int = 0) -> bool:
        """Whether `trained(seed)` would load weights that are there."""
        path = runs.path(self.name, seed, self.key(seed))
        return path is not None and path.exists()

    def key(self, seed: int) -> str:
        """A digest of everything that decides the result of a run, of the prior and of the model whose codes it learns."""
        settings = {name: value for name, value in dataclasses.asdict(self).items() if name not in ("of", "expected")}
        return runs.key(settings | dict(of=self.of.key(seed)), seed)

    def _condition(self, seed: int) -> Callable[[Sequence[Tensor]], Tensor] | None:
        quantized = self.quantized(seed)
        return quantized.condition if isinstance(quantized, HierarchicalVQVAE) else None


def _map(model: HierarchicalVQVAE, level: int, images: Tensor) -> Tensor:
    return model.indices(images)[level]
