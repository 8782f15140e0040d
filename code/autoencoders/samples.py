"""How good samples are: what a classifier learns from them, how far their features are from real ones, how sharp they are."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from autoencoders.evaluation import in_batches
from autoencoders.judge import DigitClassifier, train_classifier

Features = Callable[[Float[Tensor, "n c h w"]], Float[Tensor, "n d"]]


def classification_accuracy_score(
    images: Float[Tensor, "n c h w"],
    labels: Int[Tensor, "n"],
    test_images: Float[Tensor, "t c2 h2 w2"],
    test_labels: Int[Tensor, "t"],
    *,
    epochs: int = 10,
    seed: int = 0,
    top: int = 1,
) -> float:
    """The accuracy on real pictures of a classifier that has seen only `images`, samples of a class-conditional model.

    Book: eq-measuring-cas (Ravuri and Vinyals 2019). The classifier is `train_classifier`; a picture counts if its label
    is among the `top` most probable ones. Scores compare only at one number of images and one number of epochs: beside a
    model's score belongs that of as many real training pictures.

    Raises:
        ValueError: the shapes differ, a label is negative, a class has no image to learn from, or a value is not finite.
    """
    if not len(images) == len(labels) or not len(test_images) == len(test_labels) or not len(test_images):
        raise ValueError(
            f"each picture needs one label, and there has to be a test picture, not {len(images)} pictures with "
            f"{len(labels)} labels and {len(test_images)} test pictures with {len(test_labels)}"
        )
    if images.shape[1:] != test_images.shape[1:]:
        raise ValueError(
            f"samples and test pictures need one shape, not {tuple(images.shape[1:])} and {tuple(test_images.shape[1:])}"
        )
    everything = torch.cat([labels, test_labels])
    if int(everything.min()) < 0:
        raise ValueError(f"labels count from 0, but one is {int(everything.min())}")
    counts = torch.bincount(labels, minlength=int(everything.max()) + 1)
    if missing := (counts == 0).nonzero().flatten().tolist():
        raise ValueError(
            f"labels go up to {int(everything.max())}, but there is no image to learn class {missing[0]} from; "
            f"draw at least one of each class"
        )
    if not 1 <= top <= len(counts):
        raise ValueError(f"there are {len(counts)} classes, so top has to be from 1 to that, not {top}")
    if not bool(images.isfinite().all()):
        raise ValueError("a sample holds values that are not finite; repair the model that drew it")
    classifier = train_classifier(images, labels, epochs, seed)
    read = in_batches(classifier, test_images).topk(top, 1).indices
    return (read == test_labels[:, None]).any(1).double().mean().item()


def classifier_features(classifier: DigitClassifier) -> Features:
    """What the classifier's last hidden layer says of pictures: features for `frechet_distance`."""
    return classifier.features


@dataclass(frozen=True)
class FrechetDistance:
    """A Frechet distance, which means nothing without the net that gave the features and the number of samples.

    It is not called FID: that name belongs to one net (Inception v3), its input size and 50,000 samples.

    Args:
        value: the squared distance.
        features: the name of the net.
        count: the size of the smaller of the two sets.
    """

    value: float
    features: str
    count: int

    def __repr__(self) -> str:
        return f"Frechet distance ({self.features}, {self.count}): {self.value:.4g}"


def frechet_distance(
    a: Float[Tensor, "n c h w"],
    b: Float[Tensor, "k c2 h2 w2"],
    features: Features,
    *,
    name: str | None = None,
    batch_size: int = 500,
) -> FrechetDistance:
    """The squared Frechet distance between the Gaussians that have the means and covariances of two sets' features.

    |mu_a - mu_b|^2 + tr(S_a + S_b - 2 (S_a S_b)^(1/2)) (Dowson and Landau 1982). With any R_a and R_b for which
    S_a = R_a^T R_a and S_b = R_b^T R_b, the trace is the smallest |R_a - Q R_b|^2 over all orthogonal Q, and is computed as
    that: in float64, without the root of a matrix, and never negative.

    It is biased upwards: two sets from one distribution are apart, the more so the fewer they are, and with no more
    samples than features the covariances are singular. Values compare only at one net and one number of samples.

    Args:
        features: pictures to d numbers each, as `classifier_features(classifier)`; run in eval mode, in batches.
        name: what the net is called in the result; by default the name of `features`.

    Raises:
        ValueError: a set has fewer than two pictures, the sets' shapes differ, the features are not a vector a picture or
            are not finite, or they have no name.
    """
    if min(len(a), len(b)) < 2:
        raise ValueError(f"a covariance needs at least two pictures, not {len(a)} and {len(b)}")
    if a.shape[1:] != b.shape[1:]:
        raise ValueError(f"both sets need pictures of one shape, not {tuple(a.shape[1:])} and {tuple(b.shape[1:])}")
    label = _name(features) if name is None else name
    if not label:
        raise ValueError("the features need a name; give it as name=")
    (mean_a, root_a), (mean_b, root_b) = (_moments(in_batches(features, x, batch_size)) for x in (a, b))
    u, _, v = torch.linalg.svd(root_a @ root_b.T)
    value = (mean_a - mean_b).square().sum() + (root_a - u @ v @ root_b).square().sum()
    return FrechetDistance(value.item(), label, min(len(a), len(b)))


def _name(features: Features) -> str:
    """DigitClassifier.features, or the class of a module, or the name of a function; none for a lambda."""
    owner = getattr(features, "__self__", None)
    own = getattr(features, "__name__", type(features).__name__)
    if own == "<lambda>":
        return ""
    return own if owner is None else f"{type(owner).__name__}.{own}"


def _moments(features: Tensor) -> tuple[Float[Tensor, "d"], Float[Tensor, "d d"]]:
    """The mean, and R with R^T R the covariance."""
    if features.dim() != 2:
        raise ValueError(f"features are to be one vector a picture, (n, d), not {tuple(features.shape)}")
    if not bool(features.isfinite().all()):
        raise ValueError("some features are not finite; look for such values in the pictures")
    exact = features.double()
    mean = exact.mean(0)
    centered = (exact - mean) / (len(exact) - 1) ** 0.5
    # Rows of zeros add nothing to the covariance, and make R square where there are fewer samples than features.
    padded = F.pad(centered, (0, 0, 0, max(0, centered.shape[1] - len(centered))))
    return mean, torch.linalg.qr(padded, mode="r").R


def sharpness(images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n"]:
    """The mean energy of each picture's Laplacian: squared, over its channels and all pixels but those at the border.

    The Laplacian is the sum of a pixel's four neighbors less four times the pixel: 0 for a constant or a straight ramp. A
    model's mean over that of real pictures says how sharp it is, 1 as sharp; noise raises it as fine detail does.

    Raises:
        ValueError: the pictures have no pixel with four neighbors.
    """
    if min(images.shape[-2:]) < 3:
        raise ValueError(f"pictures have to be at least 3 x 3, not {tuple(images.shape[-2:])}")
    rows, columns = images[..., 1:-1], images[..., 1:-1, :]
    neighbors = rows[..., :-2, :] + rows[..., 2:, :] + columns[..., :-2] + columns[..., 2:]
    return (neighbors - 4 * rows[..., 1:-1, :]).square().flatten(1).mean(1)
