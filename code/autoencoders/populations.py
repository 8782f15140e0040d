"""Sweeps too long for a page: what is trained and measured in each, and the records of it that come with the package.

`make(name, path)` trains the whole sweep anew, on this machine or on a cluster, and goes on where it was stopped;
`records(name)` reads what the last such run measured. Chapters draw the records and train a few of the runs again.
"""

import functools
import json
import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch

from autoencoders import (
    data,
    disentanglement,
    distributions,
    downstream,
    evaluation,
    objectives,
    priors,
    quantizers,
    recipes,
    samples,
    sweeps,
    total_correlation,
)
from autoencoders.models import VAE, Autoencoder, Model
from autoencoders.recipes import PriorRecipe, Recipe

Measure = Callable[[Any, Any, int], dict[str, float]]


@dataclass(frozen=True)
class Population:
    """Recipes, each trained with every seed, and what is measured of each model."""

    recipes: tuple[Recipe | PriorRecipe, ...]
    measure: Measure
    seeds: tuple[int, ...] = (0, 1, 2)


def names() -> list[str]:
    """The names that `get` knows."""
    return list(_POPULATIONS)


def get(name: str) -> Population:
    """The population called `name`.

    Raises:
        ValueError: there is none; the message lists those there are.
    """
    if name not in _POPULATIONS:
        raise ValueError(f"there is no population {name!r}; the populations are {', '.join(_POPULATIONS)}")
    return _POPULATIONS[name]


def make(name: str, path: str | os.PathLike[str], *, progress: bool = True) -> list[dict[str, Any]]:
    """Train and measure every run of the population that is not in the file at `path` yet (see `sweeps.run`)."""
    population = get(name)
    return sweeps.run(population.recipes, population.seeds, measure=population.measure, path=path, progress=progress)


def records(name: str) -> list[dict[str, Any]]:
    """The records that come with the package: `recipe`, `seed`, `settings`, and what was measured.

    Raises:
        ValueError: there is no population of that name.
    """
    return [json.loads(line) for line in _packaged(name).read_text(encoding="utf-8").splitlines()]


def package(name: str, found: list[dict[str, Any]]) -> Path:
    """Put what `make` gave, and nothing else, where `records` reads; returns the file."""
    path = _packaged(name)
    path.write_text("".join(json.dumps(record) + "\n" for record in found), encoding="utf-8")
    return path


def _packaged(name: str) -> Path:
    get(name)
    return Path(__file__).parent / "_data" / f"{name}.jsonl"


def clothes() -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Fashion-MNIST under the recipes of the digits: pictures `(n, 1, 28, 28)` of three kinds, and the record of the run.

    The kinds are `originals` and `reconstructions`, the first test picture of each class, and `samples` of a PixelCNN, six
    for each class, as they came. `code/tools/make_clothes.py` in the repository makes them anew.
    """
    with np.load(Path(__file__).parent / "_data" / "clothes.npz") as file:
        pictures = {name: torch.from_numpy(file[name]).float() / 255 for name in file.files if name != "record"}
        return pictures, json.loads(file["record"].tobytes())


# --- Part II, ablations: autoencoders and VAEs that differ in one number ------------------------------------------------


def _ablation(name: str, latent: int, **changes: Any) -> Recipe:
    return Recipe(name, "digits", latent, "mlp", {"hidden": (256,)}).replace(**changes)


def _vae(name: str, latent: int, weight: float, **changes: Any) -> Recipe:
    return _ablation(name, latent, objective="elbo", likelihood="gaussian", weight=weight, **changes)


def kl_weight(weight: float, pixels: int = 784) -> float:
    """beta for terms summed over pixels, from the weight of the KL beside a squared error averaged over them.

    Book: eq-notation-weight. (1/d) ||x - x_hat||^2 + w KL has the minimizer of ||x - x_hat||^2 / 2 + (d w / 2) KL.
    """
    return weight * pixels / 2


_WEIGHTS = (0.1, 0.01, 0.001, 0.0001, 0.00001)
_LATENTS = (2, 8, 32, 128, 256, 512)
_NOISES = (0.25, 0.5, 0.75)


def _ablations() -> tuple[Recipe, ...]:
    sizes = [
        recipe
        for m in _LATENTS
        for recipe in (_ablation(f"ablation-ae-{m}", m), _vae(f"ablation-vae-{m}-w0.001", m, kl_weight(0.001)))
    ]
    weights = [_vae(f"ablation-vae-32-w{w:g}", 32, kl_weight(w)) for w in _WEIGHTS if w != 0.001]
    denoising = [
        recipe
        for noise in _NOISES
        for clip, label in ((False, f"noise{noise:g}"), (True, f"noise{noise:g}-clipped"))
        for recipe in (
            _ablation(f"ablation-ae-32-{label}", 32, objective="denoising", noise=noise, clip=clip),
            *(
                _vae(f"ablation-vae-32-w{w:g}-{label}", 32, kl_weight(w), noise=noise, clip=clip)
                for w in (0.001, 0.0001)
            ),
        )
    ]
    long = _vae("ablation-vae-512-w0.001-long", 512, kl_weight(0.001), epochs=80)
    return (*sizes, *weights, *denoising, long)


@functools.cache
@torch.enable_grad()
def _judge() -> evaluation.DigitClassifier:
    digits = data.load("digits")
    return evaluation.train_classifier(digits.train.images, digits.train.labels, epochs=10)


@torch.no_grad()
def measure_ablation(recipe: Recipe, model: Model, seed: int = 0) -> dict[str, float]:
    """MSE a pixel on 1,000 training and test digits, from clean or, for a denoising recipe, noisy input.

    `..._mse` decodes the mean of q(z|x), `..._drawn_mse` a draw; a VAE has its rate in nats, and how many units are active.
    `readable` is the share of 1,000 decoded draws from N(0, I) that a classifier reads with p > 0.9, `entropy` that of the
    classes it reads, in nats: at most log 10.
    """
    digits = data.load("digits")
    generator = torch.Generator().manual_seed(1_000)
    found = {}
    for split, images in (("train", digits.train.images[:1000]), ("test", digits.test.images)):
        seen = objectives.corrupt(images, recipe.noise, generator, clip=recipe.clip) if recipe.noise else images
        found[f"{split}_mse"] = (evaluation.in_batches(model, seen) - images).square().mean().item()
        if isinstance(model, VAE):
            q = model.encode(seen)
            drawn = model.decode(distributions.reparameterized(q, 1, generator)[0]).mean
            found[f"{split}_drawn_mse"] = (drawn - images).square().mean().item()
            found[f"{split}_rate"] = torch.distributions.kl_divergence(q, model.prior).mean().item()
    z = torch.randn(1000, recipe.latent, generator=generator)
    samples = model.decode(z).mean if isinstance(model, VAE) else cast("Autoencoder", model).decode(z).clamp(0, 1)
    probability, read = evaluation.readings(_judge(), samples)
    found["readable"] = (probability > 0.9).float().mean().item()
    found["entropy"] = evaluation.class_entropy(read, len(digits.class_names))
    if isinstance(model, VAE):
        found["active"] = float(evaluation.active_units(model, digits.test.images).sum())
    return found


# --- Part IV: vector-quantized autoencoders of digits, and priors over their codes --------------------------------------

_PRIORS = (recipes.get("pixelcnn-digits"), recipes.get("transformer-digits"), recipes.get("vae-codes-digits"))


@torch.no_grad()
def measure_codes(recipe: Recipe | PriorRecipe, model: Any, seed: int = 0) -> dict[str, float]:
    """How well digits are quantized or their codes are modeled, and how good samples are.

    Of a VQ-VAE: MSE a pixel on training and test digits, pooled perplexity of the test digits' codes, and their bits a code
    under the training codes' shares, over all places (`unigram_bits`) and by place (`place_bits`). Of a prior: bits a code
    on training and test digits. `..._readable` is the share of 1,000 pictures that a classifier reads with p > 0.9,
    `..._cas` the classification accuracy score of 8,000, labeled as the training digits are: of real digits, of
    reconstructions, of uniform codes, of codes drawn place by place from their shares in the label's class, and of a prior.
    """
    digits = data.load("digits")
    if isinstance(recipe, PriorRecipe):
        found = {f"{split}_bits": recipe.bits_per_code(model, split, seed) for split in ("train", "test")}
        return found | _samples("prior", recipe.quantized(seed), model, seed)
    found = {f"{split}_mse": evaluation.mse(model, getattr(digits, split).images) for split in ("train", "test")}
    train, test = (evaluation.in_batches(model.indices, split.images) for split in (digits.train, digits.test))
    codes, size = recipe.codebook, train.shape[1:]
    found["perplexity"] = quantizers.pooled_perplexity(torch.bincount(test.flatten(), minlength=codes))
    for name, by_place in (("unigram", False), ("place", True)):
        shares = priors.IndependentCodes.fit(train, codes, by_place=by_place)
        found[f"{name}_bits"] = -shares.log_prob(test).mean().item() / test[0].numel() / math.log(2)
    found |= _judged("real", digits.train.images, seed)
    found |= _judged("reconstructions", evaluation.in_batches(model, digits.train.images), seed)
    found |= _samples("uniform", model, priors.IndependentCodes.uniform(codes, (size[0], size[1])), seed)
    return found | _samples("place", model, priors.IndependentCodes.fit(train, codes, digits.train.labels), seed)


def _samples(name: str, quantized: Any, prior: Any, seed: int) -> dict[str, float]:
    """Pictures of codes from a prior, as many of each class as there are training digits."""
    labels = data.load("digits").train.labels
    told = labels if prior.classes else None
    drawn = prior.sample(len(labels), told, generator=torch.Generator().manual_seed(1_000 + seed))
    return _judged(name, evaluation.in_batches(quantized.decode_indices, drawn), seed)


def _judged(name: str, images: torch.Tensor, seed: int) -> dict[str, float]:
    digits = data.load("digits")
    with torch.enable_grad():
        score = samples.classification_accuracy_score(
            images, digits.train.labels, digits.test.images, digits.test.labels, epochs=5, seed=seed
        )
    return {f"{name}_readable": evaluation.readable_share(_judge(), images[:1000]), f"{name}_cas": score}


# --- Part III: three objectives that press the codes of sprites apart ---------------------------------------------------


def _pressed() -> tuple[Recipe, ...]:
    """Each objective with five weights: of the whole rate, where 1 makes a plain VAE, or of the total correlation in it."""
    return tuple(
        recipes.get(f"{name}-sprites").replace(name=f"sprites-{name}-{weight:g}", **{field: weight}, expected="")
        for name, field, weights in _PRESSURES
        for weight in weights
    )


_PRESSURES = (
    ("beta-vae", "weight", (1.0, 1.5, 2.5, 4.0, 8.0)),
    ("tc-vae", "tc", (2.0, 4.0, 8.0, 16.0, 32.0)),
    ("factor-vae", "tc", (2.0, 4.0, 8.0, 16.0, 32.0)),
)


@torch.no_grad()
def measure_disentanglement(recipe: Recipe, model: VAE, seed: int = 0) -> dict[str, float]:
    """Scores of the whole grid's codes, seen in training or not, as is the field's habit, and what the codes are good for.

    The six of `disentanglement.scores` and downstream accuracies are of the means of q(z|x), `mig_drawn` of a draw of each;
    `mse` is of the picture decoded from the mean. `kl` is the average rate; `information`, `total_correlation` and
    `dimensionwise`, its parts, are means over a draw for each picture of exact log-densities. Then `active` units, `linear`,
    the share of the factors' variance that a linear map of the means explains, averaged over the factors, and `logistic_10`,
    ... `trees_10000` of finer pictures: see `downstream`.
    """
    grid, generator = recipe.dataset(), torch.Generator().manual_seed(1_000)
    factors = {name: values for name, values in (grid.factors or {}).items() if len(values.unique()) > 1}
    q = model.encode(grid.images)
    drawn = distributions.reparameterized(q, 1, generator)[0]
    whole, coordinates = total_correlation.log_aggregate(drawn, q)
    prior = model.prior.log_prob(drawn)
    parts = (q.log_prob(drawn) - whole, whole - coordinates.sum(1), coordinates.sum(1) - prior)
    names = ("information", "total_correlation", "dimensionwise")
    found = disentanglement.scores(q.mean, factors)
    found["mig_drawn"] = disentanglement.mutual_information_gap(drawn, factors)
    found["mse"] = evaluation.mse(model, grid.images)
    found["kl"] = torch.distributions.kl_divergence(q, model.prior).mean().item()
    found |= {name: part.mean().item() for name, part in zip(names, parts, strict=True)}
    found["active"] = float(evaluation.active_units(model, grid.images).sum())
    found["linear"] = downstream.linear_share(q.mean, torch.stack(list(factors.values()), 1))
    images, labels = downstream.finer(recipe)
    return found | downstream.accuracies(disentanglement.represent(model, images), labels)


_POPULATIONS = {
    "ablations": Population(_ablations(), measure_ablation),
    "disentanglement": Population(_pressed(), measure_disentanglement, seeds=(0, 1, 2, 3, 4)),
    "codes": Population((recipes.get("vqvae-digits"), *_PRIORS), measure_codes),
}
