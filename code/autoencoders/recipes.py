"""The recipes that the chapters train, by name: `get("ae-digits-16")`, `get("ae-digits-16", "fashion")`, `names()`."""

from typing import Literal, overload

from autoencoders.prior_recipe import PriorRecipe
from autoencoders.recipe import Recipe, Run

__all__ = ["PriorRecipe", "Recipe", "Run", "get", "names"]
PriorName = Literal["pixelcnn-digits", "transformer-digits", "vae-codes-digits", "pixelcnn-digits-long"]


def names() -> list[str]:
    """The names that `get` knows."""
    return list(_RECIPES)


@overload
def get(name: PriorName, data: str | None = None) -> PriorRecipe: ...
@overload
def get(name: str, data: str | None = None) -> Recipe: ...
def get(name: str, data: str | None = None) -> Recipe | PriorRecipe:
    """The recipe called `name`, on the data set called `data` where one is given, else on its own.

    Raises:
        ValueError: there is none; the message lists those there are.
    """
    if name not in _RECIPES:
        raise ValueError(f"there is no recipe {name!r}; the recipes are {', '.join(_RECIPES)}")
    recipe = _RECIPES[name]
    return recipe if data in (None, recipe.data) else recipe.replace(data=data, expected="")


_QUANTIZED = {
    recipe.name: recipe.replace(objective="vq")
    for recipe in (
        Recipe("vqvae-digits", "digits", 32, "map", codebook=128, commitment=0.1).replace(
            quantizer_options={"restart": 0.1},
            epochs=6,
            batch_size=64,
            learning_rate=4e-3,
            expected="test MSE 0.0048-0.0054, perplexity 95-101 (3 seeds)",
        ),
        *(
            Recipe(f"vqvae-{data}", data, 32, "map", {"channels": (32, 64), "blocks": 2}, codebook=512).replace(
                quantizer_options={"restart": 1.0}, epochs=epochs, batch_size=32, expected=expected
            )
            for data, epochs, expected in (
                ("emoji", 12, "test MSE 0.0072-0.0082, perplexity 295-367 (3 seeds)"),
                ("cifar10", 2, "not run in the book; tried on a copy of the images as JPEG files"),
            )
        ),
        # For a GPU, with a checkpoint; no page trains them.
        *(
            Recipe(f"vqvae-{data}-long", data, 64, "map", {"channels": (128, 256), "blocks": 2}, codebook=512).replace(
                quantizer_options={"restart": 1.0},
                epochs=epochs,
                learning_rate=5e-4,
                expected="not run in the book: lower error than without -long",
            )
            for data, epochs in (("digits", 100), ("emoji", 300), ("cifar10", 100))
        ),
    )
}
_WIDTHS = (
    *("0.0525-0.0531", "0.0424-0.0431", "0.0317-0.0324"),
    *("0.0232-0.0239", "0.0171-0.0172", "0.0121-0.0124", "0.0083-0.0085"),
)
_HEARTS = dict(shapes=("heart",), scales=6, orientations=1, positions=(16, 8), height=0.5, size=16)
_RECIPES: dict[str, Recipe | PriorRecipe] = {
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
        # Part II: variational autoencoders of binarized digits, one with a plane to look at and the best for its budget.
        *(
            Recipe(
                name, "digits", m, "mlp", {"hidden": hidden}, objective="elbo", likelihood="bernoulli", epochs=epochs
            ).replace(expected=f"test negative ELBO {nats} nats, binarized (3 seeds)")
            for name, m, hidden, epochs, nats in (
                ("vae-digits-2", 2, (128, 64), 60, "147.3-148.2"),
                ("vae-digits", 20, (400,), 80, "101.5-101.7"),
            )
        ),
        # Chapter 8: gray digits under a Gaussian of variance c, which is the weight; and the linear case of it.
        Recipe(
            "vae-digits-gaussian", "digits", 16, "mlp", {"hidden": (128,)}, objective="elbo", likelihood="gaussian"
        ).replace(
            weight=0.01, epochs=12, learning_rate=4e-3, expected="test MSE 0.0196-0.0199 (3 seeds), rate 50-51 nats"
        ),
        Recipe("vae-digits-linear", "digits", 16, "linear", objective="elbo", likelihood="gaussian").replace(
            epochs=25, learning_rate=1e-2, expected="test MSE 0.0398-0.0399 (3 seeds), 11 or 12 of 16 latents in use"
        ),
        # Chapter 11: one class out of ten and eight Gaussian coordinates, without labels and with 100 of them.
        *(
            Recipe(
                name, "digits", 8, "conv-mlp", objective=objective, likelihood="bernoulli", classes=10, epochs=8
            ).replace(estimator=estimator, samples=samples, labels=labels, expected=expected)
            for name, objective, estimator, samples, labels, expected in (
                ("mixed-digits", "mixed", "exact", 1, 0, "clustering accuracy 0.28-0.36 (3 seeds)"),
                (
                    "mixed-digits-leave-one-out",
                    "mixed",
                    "leave-one-out",
                    2,
                    0,
                    "clustering accuracy 0.27-0.31 (3 seeds)",
                ),
                ("mixed-digits-gumbel", "mixed", "gumbel-softmax", 1, 0, "clustering accuracy 0.30-0.35 (3 seeds)"),
                ("mixed-digits-labeled", "labeled", "exact", 1, 10, "accuracy 0.905-0.927 on test digits (3 seeds)"),
            )
        ),
        # Part III: hearts of 6 sizes in 16 columns and 8 rows, every cause of a difference between them known.
        *(
            Recipe(
                f"{name}-sprites",
                *("sprites", 4, "conv", {"channels": (8, 16), "hidden": 128}),
                objective=objective,
                likelihood="expected-bernoulli",
            ).replace(
                data_options=_HEARTS,
                weight=weight,
                tc=tc,
                warmup=0.3,
                epochs=240,
                batch_size=64,
                learning_rate=3e-3,
                decay_from=0.8,
                expected=expected,
            )
            for name, objective, weight, tc, expected in (
                ("beta-vae", "elbo", 2.5, 1.0, "MIG 0.29-0.60, median 0.54 (5 seeds; whole grid, means, 20 bins)"),
                ("tc-vae", "tc", 1.0, 8.0, "MIG 0.42-0.85, median 0.71 (5 seeds)"),
                ("factor-vae", "factor", 1.0, 8.0, "MIG 0.30-0.81, median 0.59 (5 seeds)"),
            )
        ),
        # Part IV: maps of codes, of digits and of color images.
        *_QUANTIZED.values(),
        # three maps of digits; what trains them so that all are read is in the chapter. The long one for a GPU.
        *(
            Recipe(name, data, width, options={"channels": channels}, codebook=count, halvings=halvings).replace(
                **dict(objective="vq", quantizer_options={"restart": 1.0}, epochs=epochs, expected=expected), **more
            )
            for name, data, width, channels, count, halvings, epochs, more, expected in (
                (
                    *("vqvae2-digits", "digits", 16, 16, 64, (1, 1, 2), 3),
                    dict(data_options={"size": 32}, batch_size=64, learning_rate=4e-3),
                    "test MSE 0.0039-0.0062, from the bottom map alone 0.0056-0.0073 (3 seeds)",
                ),
                (
                    *("vqvae2-emoji-long", "emoji", 64, 128, 512, (1, 1, 1), 300),
                    dict(learning_rate=5e-4),
                    "not run in the book: lower error than a small one",
                ),
            )
        ),
        # Priors over the digits' codes; small batches and small networks learn most in a given time.
        *(
            PriorRecipe(name, _QUANTIZED["vqvae-digits"], network, options, epochs=epochs).replace(
                batch_size=batch_size, learning_rate=rate, expected=expected
            )
            for name, network, options, epochs, batch_size, rate, expected in (
                (
                    "pixelcnn-digits",
                    "pixelcnn",
                    {"channels": 32, "layers": 4},
                    6,
                    16,
                    4e-3,
                    "test 2.88-3.01 bits a code (3 seeds)",
                ),
                (
                    "transformer-digits",
                    "transformer",
                    {"width": 64, "depth": 2},
                    6,
                    16,
                    3e-3,
                    "test 2.84-3.05 bits a code (3 seeds)",
                ),
                ("vae-codes-digits", "vae", {"hidden": 200}, 8, 64, 3e-3, "test 3.65-3.93 bits a code (3 seeds)"),
            )
        ),
        PriorRecipe("pixelcnn-digits-long", _QUANTIZED["vqvae-digits-long"], epochs=60, learning_rate=1e-3).replace(
            expected="not run in the book"
        ),
    )
}
