"""How well factors are read off codes, and from how many latents: DCI and SAP. Their names are in `disentanglement`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import torch
from jaxtyping import Float, Float64, Int, Int64
from torch import Tensor

Factors = Int[Tensor, "rows f"] | Mapping[str, Tensor]
Predictor = Literal["gradient boosting", "random forest", "logistic"]
Reader = Literal["thresholds", "linear svm", "regression"]


def table(codes: Float[Tensor, "n m"], factors: Factors) -> tuple[Float64[np.ndarray, "n m"], Int64[np.ndarray, "n f"]]:
    """Codes in float64 and factors side by side, as NumPy.

    Raises:
        ValueError: they differ in length, a code is not finite, a factor has one value, or there are fewer than two of either.
        TypeError: a factor is not of integers.
    """
    columns = list(factors.values()) if isinstance(factors, Mapping) else list(factors.unbind(1))
    if codes.ndim != 2 or codes.shape[1] < 2 or len(columns) < 2:
        raise ValueError(
            f"the codes are a table (n, m) of at least two latents, beside at least two factors, not {tuple(codes.shape)} "
            f"beside {len(columns)}"
        )
    names = list(factors) if isinstance(factors, Mapping) else [str(k) for k in range(len(columns))]
    for name, column in zip(names, columns, strict=True):
        if column.shape != codes.shape[:1]:
            raise ValueError(f"{len(codes)} codes need one value each of factor {name}, not {tuple(column.shape)}")
        if column.is_floating_point() or column.is_complex():
            raise TypeError(f"factor {name} has to count its values in integers, not {column.dtype}")
        if not len(column) or bool((column == column[0]).all()):
            raise ValueError(f"factor {name} has one value only, so nothing can be told of it; leave it out")
    if not bool(codes.isfinite().all()):
        raise ValueError("a code is not finite; look for such values in the model that gave it")
    return codes.detach().cpu().double().numpy(), torch.stack(columns, 1).cpu().long().numpy()


def at_least(**options: tuple[float, float]) -> None:
    """Refuse an option that is less than its smallest value, given as name=(value, smallest)."""
    for name, (value, smallest) in options.items():
        if not value >= smallest:
            raise ValueError(f"{name} has to be at least {smallest}, not {value}")


@dataclass(frozen=True)
class DCI:
    """Book: eq-metrics-dci (Eastwood and Williams 2018). All from 0 to 1.

    Args:
        disentanglement: how far each latent matters for one factor only, the mean weighted by how much it matters.
        completeness: how far each factor needs one latent only.
        informativeness: the mean accuracy on held-out rows. (The paper has an error here.)
        importance: of each latent for each factor; a factor's column sums to 1, or is 0 where no latent was of use.
    """

    disentanglement: float
    completeness: float
    informativeness: float
    importance: Float64[Tensor, "m f"]


def dci(
    codes: Float[Tensor, "n m"],
    factors: Factors,
    *,
    predictor: Predictor = "gradient boosting",
    trees: int = 20,
    train_share: float = 0.75,
    seed: int = 0,
) -> DCI:
    """Learn each factor from all latents, and see from the importances how many factors a latent serves, and the reverse.

    A row of importances with entropy H and f factors has disentanglement 1 - H / log f; a column with m latents has
    completeness 1 - H / log m. A factor that no latent predicts still has importances that sum to 1, and counts as much.

    Args:
        predictor: gradient-boosted trees as in the reference, which has 100 for each value of a factor; a forest of full
            trees that choose among all latents; or logistic regression on standardized latents, with the mean |weight| over
            a factor's values. Which it is decides the level of the scores.
        trees: for each value of a factor (gradient boosting), or for each factor (random forest). The more trees, the more
            they fit noise, and the lower the disentanglement of any but a perfect code.
        train_share: of the rows, chosen by `seed`; the others are held out.

    Raises:
        ValueError: the table is not of use (see `table`), an option is not one of these, or the rows are too few
            to leave one of each value to learn from.
    """
    z, v = table(codes, factors)
    at_least(trees=(trees, 1))
    _one_of(get_args(Predictor), predictor)
    train, test = _split(v, train_share, seed)
    columns, accuracies = [], []
    for k in v.T:
        model, importances = _fitted(predictor, trees, seed, z[train], k[train])
        columns.append(importances)
        accuracies.append(model.score(z[test], k[test]))
    importance = torch.from_numpy(np.stack(columns, 1))
    total = importance.sum().item()
    scores = [
        float(((1 - _normalized_entropy(rows)) * rows.sum(1)).sum()) / total if total > 0 else 0.0
        for rows in (importance, importance.T)
    ]
    return DCI(*scores, informativeness=float(np.mean(accuracies)), importance=importance)


def sap_score(
    codes: Float[Tensor, "n m"],
    factors: Factors,
    *,
    predictor: Reader = "thresholds",
    train_share: float = 0.75,
    seed: int = 0,
) -> float:
    """SAP: how much better the best single latent predicts a factor than the second best; the mean over factors.

    Book: eq-metrics-sap (Kumar et al. 2018). At most the mean of 1 - 1/values with thresholds, of 1 with regression.

    Args:
        predictor: "thresholds", a tree that cuts one latent into as many intervals as the factor has values, by balanced
            accuracy on the rows it was fitted to, as in the paper; "linear svm", the reference's, by plain
            accuracy: one line against all others for each value, which cannot name a middle value and depends on the scale of
            the codes; "regression", the squared correlation on all rows, for factors with an order.
        train_share: of the rows, chosen by `seed`; the others are held out. For the linear SVM only.

    Raises:
        ValueError: as `dci`.
    """
    z, v = table(codes, factors)
    _one_of(get_args(Reader), predictor)
    if predictor == "regression":
        return _gap(_squared_correlations(z, v))
    if predictor == "thresholds":
        train = test = np.arange(len(z))
    else:
        train, test = _split(v, train_share, seed)
    return _gap(np.array([[_one_latent(predictor, j, k, train, test, seed) for k in v.T] for j in z.T]))


def _one_of(known: tuple[str, ...], predictor: str) -> None:
    if predictor not in known:
        raise ValueError(f"the predictors are {', '.join(known)}, not {predictor!r}")


def _split(
    v: Int64[np.ndarray, "n f"], share: float, seed: int
) -> tuple[Int64[np.ndarray, "train"], Int64[np.ndarray, "test"]]:
    """Rows to learn from and rows held out."""
    order = np.random.default_rng(seed).permutation(len(v))
    count = round(share * len(v))
    if not 0 < share < 1 or not 0 < count < len(v):
        raise ValueError(f"a share of {share} of {len(v)} rows leaves none on one side; it is between 0 and 1")
    for k, column in enumerate(v.T):
        values = len(np.unique(column))
        if (seen := len(np.unique(column[order[:count]]))) < values:
            raise ValueError(
                f"{count} rows to learn from hold {seen} of the {values} values of factor {k}; give more rows or a larger share"
            )
    return order[:count], order[count:]


def _fitted(
    predictor: Predictor, trees: int, seed: int, z: Float64[np.ndarray, "n m"], k: Int64[np.ndarray, "n"]
) -> tuple[Any, Float64[np.ndarray, "m"]]:
    """A classifier of one factor, and how much each latent matters to it, summing to 1 unless none does."""
    from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if predictor == "logistic":
        regression = LogisticRegression(max_iter=1000)
        model = make_pipeline(StandardScaler(), regression).fit(z, k)
        weights = np.abs(regression.coef_).mean(0) * (z.std(0) > 0)
        return model, weights / max(weights.sum(), np.finfo(float).tiny)
    if predictor == "gradient boosting":
        model = GradientBoostingClassifier(n_estimators=trees, random_state=seed)
    else:
        model = RandomForestClassifier(trees, random_state=seed).set_params(max_features=1.0)
    model.fit(z, k)
    return model, np.maximum(model.feature_importances_, 0)  # rounding leaves some at -1e-17


def _normalized_entropy(rows: Float64[Tensor, "r c"]) -> Float64[Tensor, "r"]:
    """Of each row, scaled to sum 1, over log c: 1 if spread evenly, and for a row of zeros."""
    sums = rows.sum(1, keepdim=True)
    shares = torch.where(sums > 0, rows / sums, 1 / rows.shape[1])
    return torch.special.entr(shares).sum(1) / np.log(rows.shape[1])


def _one_latent(
    predictor: Reader,
    z: Float64[np.ndarray, "n"],
    k: Int64[np.ndarray, "n"],
    train: Int64[np.ndarray, "a"],
    test: Int64[np.ndarray, "b"],
    seed: int,
) -> float:
    """How accurately one latent names the values of one factor on the rows `test`."""
    from sklearn.metrics import accuracy_score, balanced_accuracy_score
    from sklearn.svm import LinearSVC
    from sklearn.tree import DecisionTreeClassifier

    if predictor == "thresholds":
        leaves = len(np.unique(k))
        model = DecisionTreeClassifier(max_leaf_nodes=leaves, class_weight="balanced", random_state=seed)
        accuracy = balanced_accuracy_score
    else:
        model, accuracy = LinearSVC(C=0.01, class_weight="balanced", random_state=seed), accuracy_score
    model.fit(z[train, None], k[train])
    return float(accuracy(k[test], model.predict(z[test, None])))


def _squared_correlations(z: Float64[np.ndarray, "n m"], v: Int64[np.ndarray, "n f"]) -> Float64[np.ndarray, "m f"]:
    """0 for a latent that does not vary."""
    dz, dv = z - z.mean(0), v - v.mean(0)
    variances = np.outer(dz.var(0), dv.var(0))
    return np.divide((dz.T @ dv / len(z)) ** 2, variances, out=np.zeros_like(variances), where=variances > 1e-12)


def _gap(accuracies: Float64[np.ndarray, "m f"]) -> float:
    """Best less second best, a column at a time."""
    ordered = np.sort(accuracies, axis=0)
    return float((ordered[-1] - ordered[-2]).mean())
