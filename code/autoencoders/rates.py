"""What codes cost: the rates of a VAE and of maps of codes, and those of image files, with the error they leave."""

import io
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from PIL import Image
from PIL import features as pillow
from torch import Tensor, nn
from torch import distributions as td

from autoencoders import distributions
from autoencoders.models import VAE
from autoencoders.quantizers import Codebook, ScalarQuantizer, pooled_perplexity

CODECS: dict[str, dict[str, Any]] = {"JPEG": {"optimize": True}, "WebP": {"method": 6}}


@dataclass(frozen=True)
class Rate:
    """The mean cost of one picture, in nats. Book: eq-measuring-rate."""

    nats: float

    @property
    def bits(self) -> float:
        """Bits a picture."""
        return self.nats / math.log(2)

    def bits_per_dimension(self, dimensions: int) -> float:
        """Bits for each of a picture's pixel values, or for each code if `dimensions` is how many codes a picture has.

        Raises:
            ValueError: `dimensions` is less than 1.
        """
        if dimensions < 1:
            raise ValueError(f"dimensions is how many numbers share the bits, at least 1, not {dimensions}")
        return self.bits / dimensions


@runtime_checkable
class CodeModel(Protocol):
    """A model whose codes can be counted: pictures to one map of indices each, and the quantizer that chose them."""

    quantizer: Any

    def indices(self, x: Tensor, /) -> Tensor: ...


@runtime_checkable
class Prior(Protocol):
    """A distribution over maps of codes: `log_prob(codes, labels)`, with a third argument where it has a condition."""

    @property
    def log_prob(self) -> Callable[..., Tensor]: ...


@torch.no_grad()
def vae_rate(model: VAE, images: Float[Tensor, "n c h w"], *, batch_size: int = 500) -> Rate:
    """The mean KL(q(z|x) || p(z)): what a code costs with bits back (Hinton and van Camp 1993; Townsend et al. 2019).

    At this rate the code that arrives is a draw from q(z|x), so the error beside it is `vae_mse`, not that at the mean code.

    Raises:
        ValueError: there is no picture.
    """
    with _evaluating(model):
        costs = (td.kl_divergence(model.encode(x), model.prior) for (x,) in _batches(model, batch_size, images))
        return Rate(_mean(costs))


@torch.no_grad()
def vae_mse(model: VAE, images: Float[Tensor, "n c h w"], *, seed: int = 0, batch_size: int = 500) -> float:
    """Mean squared error per pixel value of the mean pictures at one draw from each q(z|x), which `seed` decides."""
    with _evaluating(model):
        generator = torch.Generator(next(model.parameters()).device).manual_seed(seed)
        errors = []
        for (x,) in _batches(model, batch_size, images):
            z = distributions.reparameterized(model.encode(x), 1, generator)[0]
            errors.append((model.decode(z).mean - x).square().flatten(1).mean(1))
        return _mean(errors)


def uniform_rate(codes: int, places: int) -> Rate:
    """places * log(codes): every code sent with equally many bits, as if nothing were known about them.

    Raises:
        ValueError: there is no code or no place.
    """
    if min(codes, places) < 1:
        raise ValueError(f"a map has at least one place for one of at least one code, not {places} for {codes}")
    return Rate(places * math.log(codes))


def entropy_coded_rate(
    train_codes: Int[Tensor, "n *places"],
    test_codes: Int[Tensor, "t *places"],
    codes: int,
    *,
    per_place: bool = False,
    smoothing: float = 1.0,
) -> Rate:
    """What test maps cost under code frequencies that were counted on training maps: a cross-entropy, never an entropy.

    Args:
        codes: how many there are, K.
        per_place: count at each place on its own; by default all places share one set of frequencies.
        smoothing: added to every count (Laplace), so that a code new to the test maps has a finite cost.

    Raises:
        ValueError: there is no map, the maps differ in shape, an index is not of a code, or `smoothing` is not positive.
    """
    if not smoothing > 0:
        raise ValueError(f"smoothing has to be positive, not {smoothing}: an unseen code would cost infinitely much")
    if train_codes.shape[1:] != test_codes.shape[1:]:
        raise ValueError(
            f"training and test maps need one shape, not {tuple(train_codes.shape[1:])} and {tuple(test_codes.shape[1:])}"
        )
    tables = []
    for maps in (train_codes, test_codes):
        _check_indices(maps, codes)
        flat = maps.flatten(1)
        places = torch.arange(flat.shape[1], device=maps.device) * codes
        counts = torch.bincount((flat + places).flatten(), minlength=flat.shape[1] * codes)
        tables.append(counts.view(-1, codes).double())  # how often each place had each code
    trained, tested = tables
    weights = (trained if per_place else trained.sum(0, keepdim=True)) + smoothing
    cost = -(weights / weights.sum(1, keepdim=True)).log()
    return Rate((tested * cost).sum().item() / len(test_codes))


@torch.no_grad()
def prior_rate(
    prior: Prior,
    codes: Int[Tensor, "n *places"],
    labels: Int[Tensor, "n"] | None = None,
    *,
    condition: Float[Tensor, "n c h w"] | None = None,
    seed: int = 0,
    batch_size: int = 500,
) -> Rate:
    """The mean -log p(s) under a prior: what a perfect arithmetic coder would send.

    Given `labels` or a `condition`, which sender and receiver are taken to know, it is that of -log p(s | label, condition).
    `seed` decides the draws of a prior whose `log_prob` is an estimate.

    Raises:
        ValueError: there is no map, or the prior refuses them.
    """
    costs = []
    with _evaluating(prior), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for s, label, given in _batches(prior, batch_size, codes, labels, condition):
            costs.append(-(prior.log_prob(s, label) if given is None else prior.log_prob(s, label, given)))
    return Rate(_mean(costs))


@torch.no_grad()
def code_counts(model: CodeModel, images: Float[Tensor, "n c h w"], *, batch_size: int = 500) -> Int[Tensor, "k"]:
    """How often each code is chosen over all images.

    Raises:
        ValueError: there is no picture, or an index is not of a code.
        TypeError: the model has not one codebook.
    """
    quantizer = getattr(model, "quantizer", None)
    if not isinstance(quantizer, Codebook | ScalarQuantizer):
        raise TypeError(
            f"{type(model).__name__} has not one codebook; count the indices of each of its maps by themselves"
        )
    codes = quantizer.size if isinstance(quantizer, ScalarQuantizer) else len(quantizer.codes)
    counts = torch.zeros(codes, dtype=torch.int64)
    with _evaluating(model):
        for (x,) in _batches(model, batch_size, images):
            indices = model.indices(x)
            _check_indices(indices, codes)
            counts += torch.bincount(indices.flatten(), minlength=codes).cpu()
    return counts


def perplexity(model: CodeModel, images: Float[Tensor, "n c h w"]) -> float:
    """exp of the entropy of the codes' shares over all images together, from 1 to K."""
    return pooled_perplexity(code_counts(model, images))


def usage(model: CodeModel, images: Float[Tensor, "n c h w"]) -> float:
    """The share of the K codes that are chosen at least once."""
    return (code_counts(model, images) > 0).double().mean().item()


@dataclass(frozen=True)
class CodecPoint:
    """A codec at one quality: bits a picture, headers included, and mean squared error per pixel value."""

    quality: int
    bits_per_image: float
    mse: float


def codec_curve(
    images: Float[Tensor, "n c h w"],
    codec: Literal["JPEG", "WebP"],
    qualities: Sequence[int],
    *,
    tiles: int = 1,
) -> list[CodecPoint]:
    """Rate and error of pictures in [0, 1], gray or RGB, written by Pillow in memory and read again, at each quality.

    A file of one small picture is mostly headers: about 180 bytes of a gray JPEG, 300 of a color one. With `tiles` above 1
    that many pictures share a file, a contact sheet, and its bytes; quote both. Both codecs store color at half the
    resolution and may take their time (`optimize`, `method=6`). The error is against the pictures as given, so that it
    includes the rounding to bytes.

    Args:
        qualities: from 1, small, to 100, good.
        tiles: pictures on a sheet; the last sheet holds what is left.

    Raises:
        ValueError: the codec is neither, pictures are missing, outside [0, 1] or of other than 1 or 3 channels, or a quality
            or `tiles` is out of range.
        RuntimeError: this Pillow was built without the codec.
    """
    if codec not in CODECS:
        raise ValueError(f"the codecs are {' and '.join(CODECS)}, not {codec!r}")
    if not pillow.check({"JPEG": "jpg", "WebP": "webp"}[codec]):
        raise RuntimeError(f"this Pillow cannot write {codec}; install Pillow's ordinary wheel")
    if not len(images) or images.shape[1] not in (1, 3):
        raise ValueError(f"pictures with 1 or 3 channels are needed, at least one, not {tuple(images.shape)}")
    if not bool(((images >= 0) & (images <= 1)).all()):
        raise ValueError("pixel values have to be from 0 to 1: a file holds no others")
    if tiles < 1 or not all(1 <= quality <= 100 for quality in qualities):
        raise ValueError(f"tiles is at least 1 and qualities are from 1 to 100, not {tiles} and {list(qualities)}")
    points = []
    for quality in qualities:
        size, decoded = through_files(images, codec, quality, tiles=tiles)
        error = (decoded - images.cpu().double()).square().mean().item()
        points.append(CodecPoint(quality, 8 * size / len(images), error))
    return points


def through_files(
    images: Float[Tensor, "n c h w"], codec: str, quality: int, *, tiles: int = 1
) -> tuple[int, Float[Tensor, "n c h w"]]:
    """The bytes of all files, and the pictures read from them; see `codec_curve`, which checks the arguments."""
    total, read = 0, []
    for group in images.mul(255).round().byte().movedim(1, -1).cpu().split(tiles):  # n h w c
        columns = math.ceil(math.sqrt(len(group)))
        size, sheet = _through_file(_sheet(group, columns), codec, quality)
        cells = sheet.view(-1, group.shape[1], columns, *group.shape[2:]).transpose(1, 2).flatten(0, 1)[: len(group)]
        total, read = total + size, [*read, cells.movedim(-1, 1).double() / 255]
    return total, torch.cat(read)


def _sheet(group: UInt8[Tensor, "n h w c"], columns: int) -> UInt8[Tensor, "hh ww c"]:
    """Pictures in rows of `columns`; empty places repeat the last picture, which costs next to nothing."""
    n, h, w, c = group.shape
    rows = math.ceil(n / columns)
    full = torch.cat([group, group[-1:].expand(rows * columns - n, h, w, c)])
    return full.view(rows, columns, h, w, c).transpose(1, 2).reshape(rows * h, columns * w, c)


def _through_file(sheet: UInt8[Tensor, "h w c"], codec: str, quality: int) -> tuple[int, UInt8[Tensor, "h w c"]]:
    """How many bytes the file has, and what is read from it."""
    file = io.BytesIO()
    gray = sheet.shape[2] == 1
    Image.fromarray(sheet[..., 0].numpy() if gray else sheet.numpy()).save(
        file, codec, quality=quality, **CODECS[codec]
    )
    with Image.open(file) as read:
        decoded = torch.from_numpy(np.array(read.convert("L" if gray else "RGB")))  # WebP has no gray of its own
    return len(file.getvalue()), decoded.view(sheet.shape)


@contextmanager
def _evaluating(model: object) -> Iterator[None]:
    """The model, if it is a module, in eval mode; afterwards every part is in the mode it was in."""
    if not isinstance(model, nn.Module):
        yield
        return
    modes = [(part, part.training) for part in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for part, mode in modes:
            part.training = mode


def _batches(model: object, batch_size: int, first: Tensor, *more: Tensor | None) -> Iterator[Any]:
    """The tensors side by side in batches, where the model is; None stays None."""
    if not len(first):
        raise ValueError("a mean needs at least one picture or map of codes")
    if lengths := [len(tensor) for tensor in more if tensor is not None and len(tensor) != len(first)]:
        raise ValueError(f"{len(first)} maps need as many labels and conditions, not {lengths[0]}")
    parameters = model.parameters() if isinstance(model, nn.Module) else iter(())
    device = next(parameters, first).device
    for start in range(0, len(first), batch_size):
        yield [x if x is None else x[start : start + batch_size].to(device) for x in (first, *more)]


def _mean(parts: Iterable[Tensor]) -> float:
    """The mean of numbers that come in batches, added in float64."""
    total, count = 0.0, 0
    for part in parts:
        total, count = total + part.double().sum().item(), count + len(part)
    return total / count


def _check_indices(indices: Tensor, codes: int) -> None:
    if not indices.numel():
        raise ValueError("there is no code to count: give at least one map")
    if not 0 <= int(indices.min()) <= int(indices.max()) < codes:
        found = f"{int(indices.min())} to {int(indices.max())}"
        raise ValueError(f"there are {codes} codes, 0 to {codes - 1}, but the indices go from {found}")
