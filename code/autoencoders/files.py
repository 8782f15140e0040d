"""The files behind the data sets, used whole or not at all: checksums, downloads, the full sets, the reader's own images."""

import gzip
import hashlib
import os
import tarfile
import tempfile
import urllib.request
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

_TIMEOUT = 30  # seconds without an answer
_DEBIAN_FASHION = Path("/usr/share/datasets/fashion-mnist")  # of Debian's package dataset-fashion-mnist
# Debian packs the same contents without gzip's time stamp and name, hence other checksums than torchvision's.
_DEBIAN_MD5 = {
    "train-images-idx3-ubyte.gz": "cf8536b0aa1a6ac5fa3f23001093305c",
    "train-labels-idx1-ubyte.gz": "10bea18fdb374794d4bb42e356e600c9",
    "t10k-images-idx3-ubyte.gz": "f78720b4224f21cce2f2ccf2d7a94c9a",
    "t10k-labels-idx1-ubyte.gz": "0d30e22e447f3c33dab9ed536400ac01",
}


@dataclass(frozen=True)
class Full:
    """A published set as its files hold it: bytes (n, c, h, w), the training images first and then the 10,000 test images."""

    images: np.ndarray
    labels: np.ndarray
    source: str
    checksum: str


def verified(path: Path, expected: str | Sequence[str], algorithm: str) -> bytes:
    """The content of a file whose checksum is `expected` (or one of several).

    Raises:
        ValueError: the file is missing or its checksum another; the message names the file and shows both checksums.
    """
    accepted = (expected,) if isinstance(expected, str) else tuple(expected)
    if not path.is_file():
        raise ValueError(f"{path} is missing; copy it back, or remove its folder to fetch the set anew")
    content = path.read_bytes()
    found = hashlib.new(algorithm, content, usedforsecurity=False).hexdigest()
    if found not in accepted:
        raise ValueError(
            f"{path} is damaged and was not used: expected {algorithm} {' or '.join(accepted)}, "
            f"found {found} ({len(content):,} bytes). Delete it and install or download it again"
        )
    return content


def home(root: str | Path | None, name: str) -> Path:
    """The folder of a downloaded set: `root`, or its own under AE_DATA, or under the user's cache."""
    if root is not None:
        return Path(root).expanduser()
    if chosen := os.environ.get("AE_DATA"):
        return Path(chosen).expanduser() / name
    from platformdirs import user_cache_path

    return user_cache_path("autoencoders") / "data" / name


def download(urls: Sequence[str], path: Path, md5: str, files: Iterable[str], nearest: str) -> None:
    """Fetch `path` from the first address that delivers it whole: written beside, checked, then renamed.

    Raises:
        ConnectionError: none did. The message says what was tried, where to put a copy, and which bundled set is nearest.
    """
    from tqdm.auto import tqdm

    tried = []
    for url in urls:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with (
                tempfile.TemporaryDirectory(dir=path.parent) as beside,
                urllib.request.urlopen(url, timeout=_TIMEOUT) as answer,
            ):
                partial = Path(beside) / path.name
                with (
                    tqdm.wrapattr(answer, "read", total=answer.length, desc=path.name) as stream,
                    partial.open("wb") as file,
                ):
                    while block := stream.read(2**20):
                        file.write(block)
                verified(partial, md5, "md5")
                partial.replace(path)
            return
        except (OSError, HTTPException, ValueError) as error:  # URLError and time-outs are OSErrors
            tried.append(f"  {url}: {error or type(error).__name__}")
    raise ConnectionError(
        f"could not download {path.name}. Tried:\n" + "\n".join(tried) + "\n"
        f"Put a copy of {', '.join(files)} into {path.parent}, or name the folder it is in with load(..., root=...). "
        f'Without a network, the nearest bundled set is load("{nearest}")'
    )


def read_mnist(root: str | Path | None) -> Full:
    """MNIST's four files, from `root` or the cache; downloaded if they are in neither."""
    from torchvision.datasets import MNIST

    return _read_idx(MNIST, home(root, "mnist"), (), {})


def read_fashion(root: str | Path | None) -> Full:
    """Fashion-MNIST's four files, from `root`, or from the cache or Debian's package; downloaded if they are in none."""
    from torchvision.datasets import FashionMNIST

    return _read_idx(FashionMNIST, home(root, "fashion"), (_DEBIAN_FASHION,) if root is None else (), _DEBIAN_MD5)


def _read_idx(source: type, root: Path, elsewhere: Sequence[Path], also: dict[str, str]) -> Full:
    """The IDX files of MNIST and its relatives; torchvision knows their addresses and checksums."""
    sums: dict[str, str] = dict(source.resources)  # type: ignore[attr-defined]
    places = (root, root / source.__name__ / "raw", *elsewhere)  # the second is where torchvision keeps them
    folder = next((place for place in places if all((place / file).is_file() for file in sums)), root)
    arrays = []
    for file, md5 in sums.items():
        if not (folder / file).is_file():
            download([mirror + file for mirror in source.mirrors], folder / file, md5, sums, "digits")
        content = gzip.decompress(verified(folder / file, (md5, also.get(file) or md5), "md5"))
        # A header of 16 bytes (images) or 8 (labels), then one byte a pixel or label.
        arrays.append(np.frombuffer(content, np.uint8, offset=16 if "images" in file else 8))
    train_images, train_labels, test_images, test_labels = arrays
    return Full(
        images=np.concatenate([train_images, test_images]).reshape(-1, 1, 28, 28),
        labels=np.concatenate([train_labels, test_labels]).astype(np.int64),
        source=f"{source.__name__}, read from {folder}",
        checksum=" ".join(f"md5:{md5}" for md5 in sums.values()),
    )


def read_cifar10(root: str | Path | None) -> Full:
    """CIFAR-10 from `root` or the cache, unpacked or as the archive; downloaded if it is in neither."""
    from torchvision.datasets import CIFAR10

    root = home(root, "cifar10")
    archive, folder = root / CIFAR10.filename, root / CIFAR10.base_folder
    if not folder.is_dir():
        if not archive.is_file():
            download([CIFAR10.url], archive, CIFAR10.tgz_md5, [CIFAR10.filename], "emoji")
        verified(archive, CIFAR10.tgz_md5, "md5")
        with tempfile.TemporaryDirectory(dir=root) as beside, tarfile.open(archive) as tar:
            tar.extractall(beside, filter="data")
            (Path(beside) / CIFAR10.base_folder).rename(folder)
    for file, md5 in (*CIFAR10.train_list, *CIFAR10.test_list, (CIFAR10.meta["filename"], CIFAR10.meta["md5"])):
        verified(folder / file, md5, "md5")  # before torchvision unpickles it
    parts = [CIFAR10(root, train=train) for train in (True, False)]
    return Full(
        images=np.concatenate([part.data for part in parts]).transpose(0, 3, 1, 2),
        labels=np.concatenate([part.targets for part in parts]).astype(np.int64),
        source=f"CIFAR10, read from {folder}",
        checksum=f"md5:{CIFAR10.tgz_md5}",
    )


def listing(folder: Path) -> tuple[dict[str, list[tuple[Path, int]]], tuple[str, ...]]:
    """The files of a folder of images, by split ("train" alone unless it has `train/` and its like), and the classes.

    Raises:
        ValueError: as `samples`; the parts have different classes; something lies beside them.
    """
    if not (folder / "train").is_dir():
        everything, classes = samples(folder)
        return {"train": everything}, classes
    listed, classes = {}, ()
    for part in ("train", "validation", "test"):
        if (folder / part).is_dir():
            listed[part], found = samples(folder / part)
            if part != "train" and found != classes:
                raise ValueError(f"{folder / part} has the classes {found}, but {folder / 'train'} has {classes}")
            classes = found
    if strays := sorted({path.name for path in folder.iterdir()} - set(listed)):
        raise ValueError(f"{folder / strays[0]} is none of train, validation and test; rename it, or move it away")
    return listed, classes


def samples(folder: Path) -> tuple[list[tuple[Path, int]], tuple[str, ...]]:
    """Every file of a folder with the index of its class, and the classes: ImageFolder's layout, or images alone as one class.

    Raises:
        ValueError: a file lies beside the class folders, a class is empty, or there are no files.
    """
    from torchvision.datasets import ImageFolder

    inside = sorted(folder.iterdir())
    loose = [path for path in inside if not path.is_dir()]
    if len(loose) == len(inside) > 0:
        return [(path, 0) for path in loose], (folder.name,)
    if loose:
        raise ValueError(f"{loose[0]} lies beside the class folders of {folder}; move it into one, or away")
    try:
        listing = ImageFolder(
            folder, is_valid_file=lambda path: True
        )  # every file, so that none is skipped by its name
    except FileNotFoundError as error:
        raise ValueError(f"{folder} should hold one folder of images per class: {error}") from error
    return [(Path(path), label) for path, label in listing.samples], tuple(listing.classes)


def read_image(path: Path, size: int, color: bool) -> np.ndarray:
    """One image file as bytes (c, size, size): turned upright, on white, cropped to the middle square, resized.

    Raises:
        ValueError: the file is not an image, or is truncated; it is named.
    """
    try:
        with Image.open(path) as image:
            image.load()
            upright = ImageOps.exif_transpose(image)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ValueError(f"{path} is not an image that can be read whole: {error}. Repair it or remove it") from error
    if upright.mode.startswith(("I", "F")):
        raise ValueError(f"{path} has {upright.mode} pixels, not 8 bits a channel; convert it first")
    if upright.has_transparency_data:
        paper = Image.new("RGBA", upright.size, "white")
        paper.alpha_composite(upright.convert("RGBA"))
        upright = paper
    fitted = ImageOps.fit(upright.convert("RGB" if color else "L"), (size, size), Image.Resampling.BILINEAR)
    return np.array(fitted).reshape(size, size, -1).transpose(2, 0, 1)
