"""What codes of sprites are good for: their factors read off by classifiers that have seen a few labels, or very many."""

import torch
from jaxtyping import Float, Int
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from autoencoders import sprites
from autoencoders.recipe import Recipe

LABELS = (10, 100, 1000, 10_000)
_STEPS = {"scale": 4, "x": 2, "y": 2}  # of a finer grid in one of the recipe's


def finer(recipe: Recipe) -> tuple[Float[Tensor, "n 1 size size"], dict[str, Tensor]]:
    """Pictures between those of a recipe's sprites as well, 12,288 in all, labeled by the cells of its grid.

    Each step is divided, a column and a row in two, a size in four, and every part has the label of the whole.
    """
    options = recipe.data_options
    (columns, rows), between = options["positions"], _STEPS
    grid = sprites.Grid(
        options["shapes"],
        *(options["scales"] * between["scale"], options["orientations"]),
        *(columns * between["x"], rows * between["y"], options["size"], options["height"]),
    )
    index = torch.arange(len(grid))
    values = grid.factors(index)
    return grid.images(index), {name: values[name] // step for name, step in between.items()}


def linear_share(codes: Float[Tensor, "n m"], values: Int[Tensor, "n f"]) -> float:
    """The share of the variance of `values`, column by column, that a linear map of the codes explains; the mean over columns.

    A turned code has all of it, a bent one has not.
    """
    z, v = codes.double() - codes.double().mean(0), values.double() - values.double().mean(0)
    left = v - z @ torch.linalg.lstsq(z, v, driver="gelsd").solution
    return (1 - left.square().sum(0) / v.square().sum(0)).mean().item()


def accuracies(
    codes: Float[Tensor, "n m"], factors: dict[str, Tensor], labels: tuple[int, ...] = LABELS, held_out: int = 2000
) -> dict[str, float]:
    """Accuracy, averaged over the factors, of classifiers that read them off codes after a few labels.

    `logistic_100` is logistic regression's after 100 labeled pictures, `trees_100` that of gradient-boosted trees, both on the
    same `held_out` others.

    Raises:
        ValueError: there are not as many pictures.
    """
    if len(codes) < held_out + max(labels):
        raise ValueError(f"{max(labels)} labels and {held_out} pictures to judge by need more than {len(codes)} codes")
    order = torch.randperm(len(codes), generator=torch.Generator().manual_seed(1_000))
    test, pool = order[:held_out], order[held_out:]
    found = {}
    for count in labels:
        for name, make_classifier in _CLASSIFIERS.items():
            read = [
                make_classifier().fit(codes[pool[:count]], values[pool[:count]]).score(codes[test], values[test])
                for values in factors.values()
            ]
            found[f"{name}_{count}"] = sum(read) / len(read)
    return found


_CLASSIFIERS = {
    "logistic": lambda: make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)),
    "trees": lambda: HistGradientBoostingClassifier(max_iter=20, min_samples_leaf=5, random_state=0),
}
