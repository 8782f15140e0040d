"""The named configurations that the chapters train: data, model, objective, optimizer and budget in one frozen object.

`get("ae-digits-16").train(seed=0)` trains; `.trained(seed=0)` trains once and keeps the weights for the next chapter.
"""

import dataclasses
import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from platformdirs import user_cache_dir

import autoencoders
from autoencoders import data, networks, objectives, training
from autoencoders.models import Autoencoder
from autoencoders.recordings import Recorder, Recording
from autoencoders.training import History, Progress

NETWORKS = {
    "linear": (partial(networks.MLPEncoder, hidden=()), partial(networks.MLPDecoder, hidden=())),
    "mlp": (networks.MLPEncoder, networks.MLPDecoder),
    "conv": (networks.ConvEncoder, networks.ConvDecoder),
    "residual": (networks.ResidualEncoder, networks.ResidualDecoder),
    "sparse": (networks.SparseEncoder, networks.UnitNormDecoder),
    "transformer": (networks.PatchTransformerEncoder, networks.PatchTransformerDecoder),
}
OBJECTIVES = {
    "reconstruction": objectives.reconstruction_terms,
    "sparse": objectives.sparse_terms,
    "denoising": objectives.denoising_terms,
}


@dataclass(frozen=True)
class Run:
    """A trained model with what was measured and seen on the way."""

    model: Autoencoder
    history: History
    recording: Recording


@dataclass(frozen=True)
class Recipe:
    """One configuration. `replace(...)` gives a changed copy: `get("ae-digits-16").replace(data="fashion")`."""

    name: str
    data: str
    latent: int
    network: str = "conv"
    options: dict[str, Any] = field(default_factory=dict)
    center: bool = False  # work on what is left of the images without their mean
    objective: str = "reconstruction"
    weight: float = 1.0
    noise: float = 0.0
    epochs: int = 20
    batch_size: int = 128
    learning_rate: float = 2e-3
    decay_from: float = 0.5
    data_options: dict[str, Any] = field(default_factory=dict)
    expected: str = ""

    def __post_init__(self) -> None:
        for label, value, known in (("network", self.network, NETWORKS), ("objective", self.objective, OBJECTIVES)):
            if value not in known:
                raise ValueError(f"{label} must be one of {', '.join(known)}, not {value!r}")

    def replace(self, **changes: Any) -> "Recipe":
        """A copy with some fields changed.

        Raises:
            ValueError: a field does not exist; the message lists those that do.
        """
        fields = [f.name for f in dataclasses.fields(self)]
        if unknown := sorted(set(changes) - set(fields)):
            raise ValueError(f"a recipe has no {', '.join(unknown)}; its fields are {', '.join(fields)}")
        return dataclasses.replace(self, **changes)

    def dataset(self) -> data.Dataset:
        """The images it trains on, loaded with `data_options`."""
        return data.load(self.data, **self.data_options)

    def model(self, seed: int = 0, shape: tuple[int, int, int] | None = None) -> Autoencoder:
        """The untrained model; its initial weights depend on `seed` alone, and the global random state is put back."""
        encoder, decoder = NETWORKS[self.network]
        shape = shape or self.dataset().shape
        mean = self.dataset().train.images.mean(0) if self.center else None
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return Autoencoder(
                encoder(shape, self.latent, **self.options), decoder(shape, self.latent, **self.options), mean
            )

    def objective_function(self) -> training.Objective:
        """The objective with this recipe's noise filled in."""
        function = OBJECTIVES[self.objective]
        return partial(function, noise=self.noise) if self.objective == "denoising" else function

    def settings(self, seed: int = 0) -> dict[str, Any]:
        """The keyword arguments for `training.fit` or `training.steps`, cut short where AE_BUDGET=smoke."""
        return dict(
            epochs=self.epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            decay_from=self.decay_from,
            weight=self.weight,
            seed=seed,
            max_steps=_smoke_steps(),
        )

    def train(
        self,
        seed: int = 0,
        *,
        device: str | torch.device | None = None,
        callback: Callable[[Progress], None] | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        progress: bool = True,
    ) -> tuple[Autoencoder, History]:
        """Train from scratch and return the model, in eval mode, with its history. Same seed, same machine, same bits."""
        images = self.dataset()
        model = self.model(seed, images.shape)
        history = training.fit(
            model,
            images.train.images,
            self.objective_function(),
            validation=images.validation.images,
            device=device,
            callback=callback,
            checkpoint=checkpoint,
            progress=progress,
            **self.settings(seed),
        )
        return model, history

    def trained(self, seed: int = 0, *, progress: bool = True) -> tuple[Autoencoder, History]:
        """Like `train`, but a second call, even from another chapter, loads the weights of the first (see `run`)."""
        run = self.run(seed, progress=progress)
        return run.model, run.history

    def is_trained(self, seed: int = 0) -> bool:
        """Whether `trained(seed)` would load weights that are there."""
        path = self._cache_path(seed)
        return path is not None and path.exists()

    def run(self, seed: int = 0, *, progress: bool = True) -> Run:
        """Train once and keep weights, history and recording in the user's cache; afterwards, load them.

        The key is everything that decides the result: recipe, seed, package version and source, budget. `AE_CACHE=off`
        disables the cache, `AE_CACHE=/some/folder` moves it.
        """
        path = self._cache_path(seed)
        if path is not None and self.is_trained(seed):
            return self._load(path, seed)
        recorder = Recorder(self.dataset())
        model, history = self.train(seed, callback=recorder, progress=progress)
        run = Run(model.cpu(), history, recorder.recording())
        if path is not None:
            tensors = {f"model.{k}": v for k, v in run.model.state_dict().items()}
            tensors |= {f"recording.{f.name}": getattr(run.recording, f.name) for f in dataclasses.fields(Recording)}
            training.write_tensors(
                path, tensors, dict(recipe=dataclasses.asdict(self), seed=seed, history=history.records)
            )
        return run

    def _cache_path(self, seed: int) -> Path | None:
        where = os.environ.get("AE_CACHE", "")
        if where == "off":
            return None
        key = [dataclasses.asdict(self), seed, autoencoders.__version__, _source_digest(), _smoke_steps()]
        digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:16]
        return Path(where or user_cache_dir("autoencoders")) / "runs" / f"{self.name}-{seed}-{digest}.safetensors"

    def _load(self, path: Path, seed: int) -> Run:
        tensors, metadata = training.read_tensors(path)
        model = self.model(seed)
        model.load_state_dict({k.removeprefix("model."): v for k, v in tensors.items() if k.startswith("model.")})
        recording = {k.removeprefix("recording."): v for k, v in tensors.items() if k.startswith("recording.")}
        return Run(model.eval(), History(metadata["history"]), Recording(**recording))


def _smoke_steps() -> int | None:
    """AE_BUDGET=smoke runs everything and learns nothing: three steps a recipe, for tests of the plumbing."""
    budget = os.environ.get("AE_BUDGET", "full")
    if budget not in ("full", "smoke"):
        raise ValueError(f"AE_BUDGET must be 'full' or 'smoke', not {budget!r}")
    return 3 if budget == "smoke" else None


def _source_digest() -> str:
    """A digest of the modules that decide what training does, so that an edited package never meets old weights."""
    here = Path(__file__).parent
    names = (
        "data",
        "files",
        "models",
        "networks",
        "objectives",
        "patches",
        "recipes",
        "recordings",
        "sprites",
        "training",
    )
    return hashlib.sha256(b"".join((here / f"{name}.py").read_bytes() for name in names)).hexdigest()


def names() -> list[str]:
    """The names that `get` knows."""
    return list(_RECIPES)


def get(name: str) -> Recipe:
    """The recipe called `name`.

    Raises:
        ValueError: there is none; the message lists those there are.
    """
    if name not in _RECIPES:
        raise ValueError(f"there is no recipe {name!r}; the recipes are {', '.join(_RECIPES)}")
    return _RECIPES[name]


_WIDTHS = (
    *("0.0525-0.0531", "0.0424-0.0431", "0.0317-0.0324"),
    *("0.0232-0.0239", "0.0171-0.0172", "0.0121-0.0124", "0.0083-0.0085"),
)
_RECIPES = {
    recipe.name: recipe
    for recipe in (
        # Chapter 2: linear maps, trained until they span the principal subspace.
        *(
            Recipe(
                f"linear-digits-{m}",
                "digits",
                m,
                "linear",
                learning_rate=rate,
                epochs=epochs,
                expected=f"test MSE {mse}",
            )
            for m, rate, epochs, mse in (
                (2, 1e-2, 60, "0.0554 (3 seeds), as PCA"),
                (32, 5e-3, 150, "0.0170 (3 seeds), as PCA"),
            )
        ),
        # Chapter 1: the same small network at seven widths of the bottleneck.
        *(
            Recipe(f"mlp-digits-{m}", "digits", m, "mlp", {"hidden": (256,)}, expected=f"test MSE {mse} (3 seeds)")
            for m, mse in zip((1, 2, 4, 8, 16, 32, 64), _WIDTHS, strict=True)
        ),
        # Chapters 1, 3 and 5: two latents to look at, sixteen to reconstruct with.
        Recipe("ae-digits-2", "digits", 2, "mlp", {"hidden": (128, 64)}, epochs=30).replace(
            expected="test MSE 0.0403-0.0407 (4 seeds)"
        ),
        Recipe("ae-digits-16", "digits", 16, "conv", epochs=30, expected="test MSE 0.0109-0.0124 (3 seeds)"),
        # Chapter 3: color images at a sixth of their size, 3 x 32 x 32 / 6 = 512; three convolutions and one linear map.
        Recipe(
            "ae-emoji",
            "emoji",
            512,
            "conv",
            {"channels": (16, 32, 64), "hidden": None},
            center=True,
            epochs=10,
            batch_size=32,
            learning_rate=1e-3,
            expected="test MSE 0.0137-0.0152 (3 seeds)",
        ),
        # Chapter 3: three kinds of layer, about 106,000 parameters each; the learning rate suits each on validation images.
        *(
            Recipe(
                f"{network}-digits-106k",
                "digits",
                16,
                network,
                options,
                epochs=6,
                batch_size=64,
                learning_rate=rate,
                expected=f"test MSE {mse} (3 seeds)",
            )
            for network, options, rate, mse in (
                ("mlp", {"hidden": (66,)}, 4e-3, "0.0232-0.0235"),
                ("conv", {"channels": (8, 16), "hidden": 63}, 4e-3, "0.0160-0.0172"),
                ("transformer", {"patch": 7, "width": 48, "depth": 2}, 2e-3, "0.0205-0.0216"),
            )
        ),
        # Chapter 4: more units than pixels under an L1 penalty, on whitened photographs and on digits.
        Recipe(
            "sparse-patches", "patches", 288, "sparse", objective="sparse", weight=0.4, epochs=15, learning_rate=5e-3
        )
        .replace(data_options={"stride": 4, "whiten": 0.1})
        .replace(expected="test MSE 0.0198-0.0200 on whitened patches (3 seeds), about 6 of 288 units active"),
        Recipe("sparse-digits", "digits", 196, "sparse", objective="sparse", weight=0.3, epochs=15, learning_rate=1e-3)
        .replace(center=True)
        .replace(expected="test MSE 0.0128-0.0129 (3 seeds), about 40 of 196 units active"),
        # Chapter 4: clean digits out of noisy ones; the small one runs in the page.
        *(
            Recipe(
                name, "digits", m, "mlp", {"hidden": (h,)}, objective="denoising", noise=noise, epochs=epochs
            ).replace(expected=f"test MSE {mse} at its own noise (3 seeds)")
            for name, noise, m, h, epochs, mse in (
                ("denoise-digits-25", 0.25, 64, 256, 15, "0.0126-0.0127"),
                ("denoise-digits-50", 0.50, 64, 256, 15, "0.0182-0.0183"),
                ("denoise-digits-75", 0.75, 64, 256, 15, "0.0240-0.0241"),
                ("denoise-digits-50-small", 0.50, 16, 64, 30, "0.0267-0.0270"),
            )
        ),
    )
}
