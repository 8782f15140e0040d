"""One configuration that a chapter trains: data, model, objective, optimizer and budget in one frozen object.

`recipe.train(seed=0)` trains; `recipe.trained(seed=0)` trains once and keeps the weights for the next chapter.
"""

import dataclasses
import inspect
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from autoencoders import data, estimators, factor_vae, models, networks, objectives, quantizers, runs, training
from autoencoders.models import VAE, VQVAE, Autoencoder, HierarchicalVQVAE, MixedVAE, Model
from autoencoders.recordings import Recorder, Recording
from autoencoders.training import History, Progress

NETWORKS = {
    "linear": (partial(networks.MLPEncoder, hidden=()), partial(networks.MLPDecoder, hidden=())),
    "mlp": (networks.MLPEncoder, networks.MLPDecoder),
    "conv": (networks.ConvEncoder, networks.ConvDecoder),
    "residual": (networks.ResidualEncoder, networks.ResidualDecoder),
    "sparse": (networks.SparseEncoder, networks.UnitNormDecoder),
    "conv-mlp": (networks.ConvEncoder, partial(networks.MLPDecoder, hidden=(128,))),
    "transformer": (networks.PatchTransformerEncoder, networks.PatchTransformerDecoder),
    "map": (networks.MapEncoder, networks.MapDecoder),
}
OBJECTIVES = {
    "reconstruction": objectives.reconstruction_terms,
    "sparse": objectives.sparse_terms,
    "denoising": objectives.denoising_terms,
    "elbo": objectives.elbo_terms,
    "tc": objectives.tc_terms,
    "factor": objectives.elbo_terms,  # and what the discriminator adds in training
    "iwae": objectives.iwae_terms,
    "mixed": objectives.mixed_terms,
    "labeled": objectives.labeled_terms,
    "vq": objectives.vq_terms,
}
QUANTIZERS = {
    "moving-average": quantizers.MovingAverageCodebook,
    "gradient": quantizers.GradientCodebook,
}
LIKELIHOODS = {
    "bernoulli": models.BernoulliPixels,
    "expected-bernoulli": models.ExpectedBernoulliPixels,
    "continuous-bernoulli": models.ContinuousBernoulliPixels,
    "gaussian": models.GaussianPixels,
    "learned-gaussian": partial(models.GaussianPixels, learned=True),
}


@dataclass(frozen=True)
class Run:
    """A trained model with what was measured and seen on the way."""

    model: Model
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
    warmup: float = 0.0  # the share of all steps over which the weight rises from 0
    tc: float = 1.0  # weight of the total correlation, for the objectives "tc" and "factor"
    noise: float = 0.0
    clip: bool = False  # noisy pictures are cut off at black and white
    likelihood: str = ""  # what the pixels follow, given z; a recipe that has one trains a VAE
    samples: int = 1  # draws of z for each picture
    classes: int = 0  # values of a categorical coordinate beside the Gaussian ones: it trains a MixedVAE
    estimator: str = "exact"  # of the gradient with respect to the categorical coordinate
    continuous: float = 1.0  # weight of the Gaussian coordinates' share of the rate
    labels: int = 0  # labeled pictures of each class for the objective "labeled", chosen by the seed
    codebook: int = 0  # codes, each of `latent` numbers, for the objective "vq"
    quantizer: str = "moving-average"
    quantizer_options: dict[str, Any] = field(default_factory=dict)
    commitment: float = 0.25  # weight of the commitment loss
    halvings: tuple[int, ...] = ()  # of a HierarchicalVQVAE: one codebook a level, the coarsest first
    epochs: int = 20
    batch_size: int = 128
    learning_rate: float = 2e-3
    decay_from: float = 0.5
    data_options: dict[str, Any] = field(default_factory=dict)
    expected: str = ""

    def __post_init__(self) -> None:
        chosen = [("network", self.network, NETWORKS), ("objective", self.objective, OBJECTIVES)]
        chosen += [("likelihood", self.likelihood, LIKELIHOODS)] if self.is_variational else []
        chosen += [("quantizer", self.quantizer, QUANTIZERS)] if self.objective == "vq" else []
        for label, value, known in chosen:
            if value not in known:
                raise ValueError(f"{label} must be one of {', '.join(known)}, not {value!r}")
        noisy = [
            name
            for name, terms in OBJECTIVES.items()
            if "noise" in inspect.signature(terms).parameters and name != "factor"
        ]
        if self.noise and self.objective not in noisy:
            raise ValueError(
                f"the objective of a recipe with noise must be one of {', '.join(noisy)}, not {self.objective!r}, which "
                f"sees clean pictures; change it, or set noise to 0, not {self.noise}"
            )

    @property
    def is_variational(self) -> bool:
        """Whether it trains a VAE."""
        return self.objective in ("elbo", "iwae", "mixed", "labeled") or self.likelihood != ""

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

    def model(self, seed: int = 0, shape: tuple[int, int, int] | None = None) -> Model:
        """The untrained model; its initial weights depend on `seed` alone, and the global random state is put back."""
        encoder, decoder = NETWORKS[self.network]
        shape = shape or self.dataset().shape
        mean = self.dataset().train.images.mean(0) if self.center else None
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            if self.halvings:
                books = [self._codebook(seed, level) for level in range(len(self.halvings))]
                return HierarchicalVQVAE(shape, books, self.halvings, **self.options)
            numbers = self.classes + 2 * self.latent if self.is_variational else self.latent
            pair = encoder(shape, numbers, **self.options), decoder(shape, self.classes + self.latent, **self.options)
            if self.objective == "vq":
                return VQVAE(*pair, self._codebook(seed))
        if not self.is_variational:
            return Autoencoder(*pair, mean)
        likelihood = LIKELIHOODS[self.likelihood]()
        if self.classes:
            return MixedVAE(*pair, likelihood, self.latent, self.classes)
        return VAE(*pair, likelihood, self.latent)

    def _codebook(self, seed: int, level: int = 0) -> quantizers.Codebook:
        options = dict(self.quantizer_options)
        if self.quantizer == "moving-average":
            options = dict(start="k-means", seed=1000 * level + seed) | options
        return QUANTIZERS[self.quantizer](self.codebook, self.latent, **options)

    def labeled_pictures(self, seed: int = 0) -> tuple[Tensor, Tensor]:
        """The training pictures whose labels training may see, `labels` of each class, and those labels."""
        train, generator = self.dataset().train, torch.Generator().manual_seed(seed)
        order = torch.randperm(len(train), generator=generator)
        of_class = (order[train.labels[order] == c][: self.labels] for c in train.labels.unique())
        chosen = torch.cat(list(of_class))
        return train.images[chosen], train.labels[chosen]

    def objective_function(self, seed: int = 0) -> training.Objective:
        """The objective with this recipe's noise, draws, binarization and labeled pictures filled in."""
        function: Callable[..., objectives.Terms] = OBJECTIVES[self.objective]
        if self.classes:
            function = partial(function, estimator=estimators.get(self.estimator), continuous=self.continuous)
        if self.labels:
            function = partial(function, labeled=self.labeled_pictures(seed))
        if self.objective == "vq":
            variance = float(self.dataset().train.images.var())
            return partial(function, variance=variance, commitment=self.commitment)
        if self.objective == "tc":
            n = len(self.dataset().train)
            return partial(function, n=n, tc=self.tc, binary=self.likelihood == "bernoulli")
        corruption = dict(noise=self.noise, clip=self.clip)
        if self.objective == "denoising":
            return partial(function, **corruption)
        if self.is_variational:
            draws = dict(samples=self.samples, binary=self.likelihood == "bernoulli")
            return partial(function, **draws, **(corruption if self.noise else {}))
        return function

    def settings(self, seed: int = 0) -> dict[str, Any]:
        """The keyword arguments for `training.fit` or `training.steps`, cut short where AE_BUDGET=smoke."""
        return dict(
            epochs=self.epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            decay_from=self.decay_from,
            weight=self.weight,
            warmup=self.warmup,
            seed=seed,
            max_steps=runs.smoke_steps(),
        )

    def train(
        self,
        seed: int = 0,
        *,
        device: str | torch.device | None = None,
        callback: Callable[[Progress], None] | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        progress: bool = True,
    ) -> tuple[Model, History]:
        """Train from scratch and return the model, in eval mode, with its history. Same seed, same machine, same bits."""
        images = self.dataset()
        model = self.model(seed, images.shape)
        history = self._fit(seed)(
            model,
            images.train.images,
            validation=images.validation.images,
            device=device,
            callback=callback,
            checkpoint=checkpoint,
            progress=progress,
            **self.settings(seed),
        )
        return model, history

    def _fit(self, seed: int) -> Callable[..., History]:
        """The loop that this objective needs."""
        if self.objective != "factor":
            return partial(training.fit, objective=self.objective_function(seed))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            discriminator = factor_vae.Discriminator(self.latent)
        binary = self.likelihood == "bernoulli"
        return partial(factor_vae.fit, discriminator=discriminator, tc=self.tc, binary=binary)

    def trained(self, seed: int = 0, *, progress: bool = True) -> tuple[Model, History]:
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
            runs.write_tensors(path, tensors, dict(recipe=dataclasses.asdict(self), seed=seed, history=history.records))
        return run

    def key(self, seed: int) -> str:
        """A digest of everything that decides the result of a run: recipe, seed, package version and source, budget."""
        settings = {name: value for name, value in dataclasses.asdict(self).items() if name != "expected"}
        return runs.key(settings, seed)

    def _cache_path(self, seed: int) -> Path | None:
        return runs.path(self.name, seed, self.key(seed))

    def _load(self, path: Path, seed: int) -> Run:
        tensors, metadata = runs.read_tensors(path)
        model = self.model(seed)
        model.load_state_dict({k.removeprefix("model."): v for k, v in tensors.items() if k.startswith("model.")})
        recording = {k.removeprefix("recording."): v for k, v in tensors.items() if k.startswith("recording.")}
        return Run(model.eval(), History(metadata["history"]), Recording(**recording))
