"""Six scores of how well each latent stands for one factor of variation, from a table of codes and factors.

They are defined as in Locatello et al. (2019, appendix) unless a docstring says otherwise. Every score is computed in
float64 and leaves the global random states alone.
"""

import numpy as np
import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor, nn
from torch import distributions as td

from autoencoders import distributions
from autoencoders.informativeness import DCI as DCI
from autoencoders.informativeness import Factors, at_least, table
from autoencoders.informativeness import Predictor as Predictor
from autoencoders.informativeness import dci as dci
from autoencoders.informativeness import sap_score as sap_score


@torch.no_grad()
def represent(
    model: nn.Module,
    images: Float[Tensor, "n c h w"],
    *,
    draw: torch.Generator | None = None,
    batch_size: int = 500,
) -> Float[Tensor, "n m"]:
    """The means of q(z|x), or with a generator one draw from each q(z|x); means and draws can score very differently.

    The model runs in eval mode and is put back into the mode it was in, part by part. The draws do not depend on
    `batch_size`. A deterministic autoencoder's codes count as means.

    Raises:
        ValueError: there is no picture.
        TypeError: the model does not encode to a Gaussian, or draws are wanted of a deterministic one.
    """
    if not len(images):
        raise ValueError("there is no picture to represent")
    modes = [(part, part.training) for part in model.modules()]
    device = next(model.parameters(), images).device
    means, scales = [], []
    with torch.random.fork_rng(devices=[]):
        model.eval()
        try:
            for x in images.split(batch_size):
                q = model.encode(x.to(device))  # pyright: ignore[reportCallIssue]
                if isinstance(q, Tensor) and draw is None:
                    means.append(q)
                elif isinstance(q, td.Independent) and isinstance(q.base_dist, td.Normal):
                    means.append(q.mean)
                    scales.append(q.stddev)
                else:
                    raise TypeError(
                        f"a Gaussian q(z|x) is needed{' to draw from' if draw else ''}, but "
                        f"{type(model).__name__} encodes to {type(q).__name__}"
                    )
        finally:
            for part, mode in modes:
                part.training = mode
    if draw is None:
        return torch.cat(means).cpu()
    return distributions.reparameterized(distributions.normal(torch.cat(means), torch.cat(scales)), 1, draw)[0].cpu()


def beta_vae_score(
    codes: Float[Tensor, "n m"], factors: Factors, *, pairs: int = 64, examples: int = 2000, seed: int = 0
) -> float:
    """The accuracy at naming the factor that pairs of rows share from their mean |z - z'|, by logistic regression.

    Book: eq-metrics-beta-vae (Higgins et al. 2017). From 1/f, chance, to 1. Each latent is first divided by its standard
    deviation over the table, which the reference does not do: without it the penalty of the regression would make the score
    depend on the scale of the codes.

    Args:
        pairs: averaged in each example; all share one factor, each pair its own value of it.
        examples: to learn from; half as many, fresh ones, give the accuracy.
        seed: decides the pairs.

    Raises:
        ValueError: the table is not of use (see `mutual_information`), or a number is too small.
    """
    from sklearn.linear_model import LogisticRegression

    z, v = table(codes, factors)
    at_least(pairs=(pairs, 1), examples=(examples, 2 * v.shape[1]))
    scale = z.std(0)
    z = (z - z.mean(0)) / np.where(scale > 0, scale, 1)
    rng = np.random.default_rng(seed)
    shared = np.arange(examples + examples // 2) % v.shape[1]
    features = np.empty((len(shared), z.shape[1]))
    for k in range(v.shape[1]):
        ours = np.flatnonzero(shared == k)
        a = rng.integers(len(z), size=len(ours) * pairs)
        b = _rows_that_share(v[:, k], a, 1, rng)[:, 0]
        features[ours] = np.abs(z[a] - z[b]).reshape(len(ours), pairs, -1).mean(1)
    classifier = LogisticRegression(max_iter=1000).fit(features[:examples], shared[:examples])
    return float(classifier.score(features[examples:], shared[examples:]))


def factor_vae_score(
    codes: Float[Tensor, "n m"],
    factors: Factors,
    *,
    group: int = 64,
    examples: int = 2000,
    unused: float = 0.05,
    seed: int = 0,
) -> float:
    """The accuracy at naming the factor that a group of rows shares from the latent that varies least in it.

    Book: eq-metrics-factor-vae (Kim and Mnih 2018). The variance in the group is divided by that over the table; each latent
    votes for the factor it most often went with. From about 1/f, chance, to 1; 0 if no latent is in use. Where a latent that
    does not vary is kept, 0/0 makes it win every vote: the reference by default keeps all (its configurations set 0.05).

    Args:
        group: rows in an example, drawn with replacement among those with one value of one factor.
        examples: to count votes on; half as many, fresh ones, give the accuracy.
        unused: latents whose standard deviation over the table is at most this are left out: collapsed ones, for means of a
            q(z|x) with the prior N(0, I). Draws have standard deviation 1 also where collapsed.
        seed: decides the groups.

    Raises:
        ValueError: the table is not of use (see `mutual_information`), or a number is too small.
    """
    z, v = table(codes, factors)
    at_least(group=(group, 2), examples=(examples, 2 * v.shape[1]), unused=(unused, 0))
    z = z[:, z.std(0) > unused]
    if not z.shape[1]:
        return 0.0
    rng = np.random.default_rng(seed)
    shared = np.arange(examples + examples // 2) % v.shape[1]
    winner = np.empty(len(shared), dtype=np.int64)
    for k in range(v.shape[1]):
        ours = np.flatnonzero(shared == k)
        rows = _rows_that_share(v[:, k], rng.integers(len(z), size=len(ours)), group, rng)
        winner[ours] = (z[rows].var(1) / z.var(0)).argmin(1)
    votes = np.zeros((z.shape[1], v.shape[1]))
    np.add.at(votes, (winner[:examples], shared[:examples]), 1)
    return float((votes.argmax(1)[winner[examples:]] == shared[examples:]).mean())


def mutual_information(codes: Float[Tensor, "n m"], factors: Factors, *, bins: int = 20) -> Float64[Tensor, "m f"]:
    """I(z_j; v_k) in nats between each latent, cut into bins of equal width over its own range, and each factor.

    The plug-in estimate: too high by about (bins - 1) (values - 1) / (2n) nats where the two are independent, and dependent
    on the bins. Bins of equal width make it invariant to shift and scale of a latent, but not to other monotone maps: a few
    far codes leave the others one bin.

    Args:
        factors: integers, a column each, or one tensor for each name.
        bins: for each latent.

    Raises:
        ValueError: codes and factors differ in length, a code is not finite, a factor has one value, fewer than two of
            either, or fewer than two bins.
    """
    from sklearn.metrics import mutual_info_score

    at_least(bins=(bins, 2))
    z, v = table(codes, factors)
    cut = [np.digitize(column, np.histogram_bin_edges(column, bins)[1:-1]) for column in z.T]
    return torch.tensor([[mutual_info_score(k, j) for k in v.T] for j in cut], dtype=torch.float64).clamp(min=0)


def mutual_information_gap(codes: Float[Tensor, "n m"], factors: Factors, *, bins: int = 20) -> float:
    """MIG: how much more the best latent tells of a factor than the second best, over its entropy; the mean over factors.

    Book: eq-metrics-mig (Chen et al. 2018). From 0 to 1; it is 1 if one latent determines each factor and the estimate for
    all others is 0. Chen et al. take draws from q(z|x), Locatello et al. the means: say which (see `represent`).

    Raises:
        ValueError: as `mutual_information`.
    """
    information = mutual_information(codes, factors, bins=bins)
    best = information.topk(2, dim=0).values
    return ((best[0] - best[1]) / _entropies(table(codes, factors)[1])).mean().item()


def modularity(codes: Float[Tensor, "n m"], factors: Factors, *, bins: int = 20) -> float:
    """How far each latent tells of one factor only: 1 - sum_k (I_jk - t_jk)^2 / (max_k I_jk^2 (f - 1)), the mean over latents.

    Book: eq-metrics-modularity (Ridgeway and Mozer 2018). The template t_j has the largest I_jk at its place and 0 elsewhere.
    From 0 to 1. A latent that tells nothing at all counts 0, as in the reference; one that is only noise counts what the
    errors of the estimate make of it. Two latents may tell of the same factor.

    Raises:
        ValueError: as `mutual_information`.
    """
    squares = mutual_information(codes, factors, bins=bins).square()
    largest = squares.amax(1)
    spread = (squares.sum(1) - largest) / (largest * (squares.shape[1] - 1))
    return torch.where(largest > 0, 1 - spread, 0.0).mean().item()


def scores(
    codes: Float[Tensor, "n m"],
    factors: Factors,
    *,
    bins: int = 20,
    predictor: Predictor = "gradient boosting",
    seed: int = 0,
) -> dict[str, float]:
    """All six, each with its defaults: "beta_vae", "factor_vae", "mig", "dci" (disentanglement), "modularity", "sap"."""
    return {
        "beta_vae": beta_vae_score(codes, factors, seed=seed),
        "factor_vae": factor_vae_score(codes, factors, seed=seed),
        "mig": mutual_information_gap(codes, factors, bins=bins),
        "dci": dci(codes, factors, predictor=predictor, seed=seed).disentanglement,
        "modularity": modularity(codes, factors, bins=bins),
        "sap": sap_score(codes, factors, seed=seed),
    }


def _entropies(v: Int64[np.ndarray, "n f"]) -> Float64[Tensor, "f"]:
    """Of each factor over the table, in nats."""
    shares = [np.unique(column, return_counts=True)[1] / len(v) for column in v.T]
    return torch.tensor([-(p * np.log(p)).sum() for p in shares], dtype=torch.float64)


def _rows_that_share(
    values: Int64[np.ndarray, "n"], starts: Int64[np.ndarray, "k"], size: int, rng: np.random.Generator
) -> Int64[np.ndarray, "k size"]:
    """For each row of `starts`, `size` rows drawn with replacement among all that have its value."""
    order = np.argsort(values, kind="stable")
    _, kind, counts = np.unique(values, return_inverse=True, return_counts=True)
    first, kinds = np.cumsum(counts) - counts, kind[starts]
    place = (rng.random((len(starts), size)) * counts[kinds][:, None]).astype(np.int64)
    return order[first[kinds][:, None] + place]
