"""The data sets: what they hold, how they are split, and what they say when a file or a name is not right."""

import gzip
import hashlib
import io
import pickle
import random
import shutil
import socket
import tarfile
import urllib.request
import zipfile
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
import torch
from PIL import Image

from autoencoders import data, files, patches

BUNDLED = ("digits", "emoji", "sprites", "patches")
SPLITS = ("train", "validation", "test")
CIFAR10_JPEG = Path(__file__).resolve().parents[3] / "shared" / "data" / "cifar10-jpeg.zip"


@pytest.fixture(scope="module")
def bundled() -> dict[str, data.Dataset]:
    return {name: data.load(name) for name in BUNDLED}


def picture(seed: int = 0, size: tuple[int, int] = (40, 30)) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(pixels)


@pytest.fixture
def folder(tmp_path) -> Path:
    """Two classes of ten noise pictures each."""
    root = tmp_path / "mine"
    for k, name in enumerate(("cats", "dogs")):
        (root / name).mkdir(parents=True)
        for i in range(10):
            picture(100 * k + i).save(root / name / f"{i}.{'png' if i % 2 else 'jpg'}")
    return root


@pytest.fixture
def no_network(monkeypatch, tmp_path) -> Path:
    """Every request fails as it does without a network; the cache is empty. Returns the place of the cache."""

    def unreachable(url, *args, **kwargs):
        raise URLError(socket.gaierror(-2, "Name or service not known"))

    monkeypatch.setattr(urllib.request, "urlopen", unreachable)
    monkeypatch.setattr(files, "_DEBIAN_FASHION", tmp_path / "not-installed")
    monkeypatch.setenv("AE_DATA", str(tmp_path / "sets"))
    return tmp_path / "sets"


# What the bundled sets hold


@pytest.mark.parametrize("name", BUNDLED)
def test_images_are_contiguous_floats_in_the_unit_interval(bundled, name):
    ds = bundled[name]
    assert ds.images.dtype == torch.float32
    assert ds.images.is_contiguous()
    assert ds.images.min() >= 0
    assert ds.images.max() <= 1
    assert ds.images.shape[1:] == ds.shape
    assert ds.labels.dtype == torch.int64
    assert set(ds.labels.tolist()) == set(range(len(ds.class_names)))
    assert ds.source
    assert ds.licence


@pytest.mark.parametrize("name", BUNDLED)
def test_splits_are_disjoint_and_cover_the_set(bundled, name):
    ds = bundled[name]
    parts = [getattr(ds, split) for split in SPLITS]
    assert torch.equal(torch.cat([part.images for part in parts]), ds.images)
    assert torch.equal(torch.cat([part.labels for part in parts]), ds.labels)
    for key, values in (ds.factors or {}).items():
        assert torch.equal(torch.cat([part.factors[key] for part in parts]), values)


@pytest.mark.parametrize("name", BUNDLED)
def test_two_loads_are_equal_whatever_the_global_seeds(bundled, name):
    torch.manual_seed(1)
    np.random.seed(1)
    random.seed(1)
    again = data.load(name)
    assert torch.equal(again.images, bundled[name].images)
    assert torch.equal(again.labels, bundled[name].labels)
    assert again.splits == bundled[name].splits


# Digests of the splits' pictures (as bytes) and labels, so that no change of code or library moves an image unnoticed.
@pytest.mark.parametrize(
    ("name", "digest"),
    [
        ("digits", "db36af67ed11b62d1c84fe89f6e84048120000c131a5935c0264757232dc7dcf"),
        ("emoji", "79f3f06b35d0268250bda86eb7d9eea1a722e58b26d8d7186a7ff011b601a952"),
    ],
)
def test_the_order_of_images_and_labels_never_changes(bundled, name, digest):
    ds = bundled[name]
    content = (ds.images * 255).round().to(torch.uint8).numpy().tobytes() + ds.labels.numpy().astype("<i8").tobytes()
    assert hashlib.sha256(content).hexdigest() == digest


def test_split_sizes(bundled):
    sizes = {name: tuple(len(getattr(ds, split)) for split in SPLITS) for name, ds in bundled.items()}
    assert sizes["digits"] == (8000, 1000, 1000)
    assert sizes["emoji"] == (2996, 380, 380)
    assert sizes["patches"] == (6344, 728, 728)
    assert sum(sizes["sprites"]) == 3 * 4 * 10 * 8 * 8


def test_digits_are_the_first_ten_thousand_of_mnist(bundled):
    # The class counts of MNIST's first 10,000 training labels.
    assert torch.bincount(bundled["digits"].labels).tolist() == [1001, 1127, 991, 1032, 980, 863, 1014, 1070, 944, 978]


@pytest.mark.parametrize("name", ["digits", "emoji", "sprites"])
def test_no_picture_is_in_two_splits(bundled, name):
    sets = [{image.numpy().tobytes() for image in getattr(bundled[name], split).images} for split in SPLITS]
    assert len(set.union(*sets)) == sum(map(len, sets))


@pytest.mark.parametrize("name", ["digits", "emoji"])
def test_no_picture_occurs_twice(bundled, name):
    images = bundled[name].images
    assert len({image.numpy().tobytes() for image in images}) == len(images)


def test_no_emoji_family_is_in_two_splits(bundled):
    families = [set(getattr(bundled["emoji"], split).factors["family"].tolist()) for split in SPLITS]
    assert not families[0] & families[1]
    assert not families[0] & families[2]
    assert not families[1] & families[2]


def test_skin_tones_of_an_emoji_share_its_family(bundled):
    factors = bundled["emoji"].factors
    plain = set(factors["family"][factors["skin_tone"] == 0].tolist())
    toned = set(factors["family"][factors["skin_tone"] > 0].tolist())
    assert toned <= plain
    assert len(toned) > 50


def test_every_emoji_group_is_in_every_split(bundled):
    for split in SPLITS:
        assert getattr(bundled["emoji"], split).labels.unique().tolist() == list(range(9))


def test_patches_of_different_splits_share_no_pixel(bundled):
    factors = {split: getattr(bundled["patches"], split).factors for split in SPLITS}
    columns = {
        split: [{c + k for c in at["column"][at["photo"] == photo].tolist() for k in range(16)} for photo in (0, 1)]
        for split, at in factors.items()
    }
    for photo in (0, 1):
        assert not columns["train"][photo] & columns["validation"][photo]
        assert not columns["train"][photo] & columns["test"][photo]
        assert not columns["validation"][photo] & columns["test"][photo]


def test_patches_are_the_pixels_of_the_photographs_at_their_place():
    from sklearn.datasets import load_sample_images

    photographs = load_sample_images().images
    test = data.load("patches", color=True).test
    for i in range(20):
        photo, row, column = (int(test.factors[key][i]) for key in ("photo", "row", "column"))
        expected = photographs[photo][row : row + 16, column : column + 16]
        assert torch.equal((test.images[i] * 255).round().byte(), torch.from_numpy(expected.copy()).permute(2, 0, 1))


def test_whitened_training_patches_have_the_stated_covariance(bundled):
    epsilon = 1e-3
    x = bundled["patches"].train.images.flatten(1).double()
    v = torch.linalg.eigvalsh((x - x.mean(0)).T @ (x - x.mean(0)) / len(x)).clamp(min=0)
    white = data.load("patches", whiten=epsilon).train.images.flatten(1).double()
    assert white.mean(0).abs().max() < 1e-4
    torch.testing.assert_close(
        torch.linalg.eigvalsh(white.T @ white / len(white)), v / (v + epsilon), atol=1e-3, rtol=0
    )


def test_whitening_is_fitted_on_the_training_patches_alone_and_can_be_undone(bundled):
    patches_ = bundled["patches"]
    whitening = patches.Whitening.fit(patches_.train.images, 1e-3)
    white = data.load("patches", whiten=1e-3).test.images
    torch.testing.assert_close(white, whitening(patches_.test.images), atol=1e-5, rtol=0)
    torch.testing.assert_close(whitening.invert(white), patches_.test.images, atol=1e-4, rtol=0)
    with pytest.raises(ValueError, match="must be positive"):
        data.load("patches", whiten=0.0)


def test_sprites_options_choose_the_grid():
    hearts = data.load("sprites", shapes=("heart",), scales=6, orientations=1, positions=16)
    assert len(hearts) == 6 * 16 * 16
    assert hearts.class_names == ("heart",)
    assert {key: int(values.max()) + 1 for key, values in hearts.factors.items()} == {
        **{"shape": 1, "scale": 6, "orientation": 1, "x": 16, "y": 16}
    }
    strip = data.load("sprites", shapes=("heart",), scales=1, orientations=1, positions=(16, 8), height=0.5)
    assert len(strip) == 16 * 8 and int(strip.factors["x"].max()) == 15 and int(strip.factors["y"].max()) == 7


@pytest.mark.parametrize("name", ["digits", "emoji", "patches", "sprites"])
def test_size_is_the_side_of_the_images(name):
    assert data.load(name, size=20).shape[1:] == (20, 20)


def test_resizing_keeps_the_mean(bundled):
    small = data.load("digits", size=14)
    assert (small.images.mean((1, 2, 3)) - bundled["digits"].images.mean((1, 2, 3))).abs().max() < 0.01


def test_names_and_representation_are_short(bundled):
    assert data.names() == (*BUNDLED, "mnist", "fashion", "cifar10")
    assert repr(bundled["digits"]) == "Dataset(digits: 10,000 images of 1 x 28 x 28, split 8,000 + 1,000 + 1,000)"
    assert repr(bundled["digits"].train) == "Split(8,000 images)"


def test_a_data_set_is_frozen(bundled):
    with pytest.raises(AttributeError):
        bundled["digits"].name = "other"


def test_bundled_sets_need_no_network(no_network):
    for name in BUNDLED:
        assert len(data.load(name)) > 0


# Bad input


def test_unknown_name_lists_the_names_and_says_a_path_is_allowed():
    with pytest.raises(ValueError) as error:
        data.load("digit")
    for name in data.names():
        assert name in str(error.value)
    assert "did you mean 'digits'?" in str(error.value)
    assert "path is also allowed" in str(error.value)


def test_unknown_option_lists_the_options():
    with pytest.raises(TypeError, match="patches has no option color_space; it has size, stride, color"):
        data.load("patches", color_space="Lab")


@pytest.mark.parametrize("size", [0, -3, 1.5, "32"])
def test_impossible_size_is_refused(size):
    with pytest.raises(ValueError, match="size is the side of an image"):
        data.load("digits", size=size)


def test_patch_that_does_not_fit_a_strip_is_refused():
    with pytest.raises(ValueError, match="4 <= size <= 64"):
        data.load("patches", size=65)


def test_grid_too_large_for_memory_is_refused():
    with pytest.raises(ValueError, match="on demand"):
        data.load("sprites", scales=6, orientations=40, positions=32, size=64)


@pytest.mark.parametrize("damage", ["one byte", "truncated", "missing"])
@pytest.mark.parametrize("name", ["digits", "emoji"])
def test_damaged_bundled_file_is_named_with_both_checksums(tmp_path, monkeypatch, name, damage):
    content = bytearray((data._BUNDLED / f"{name}.npz").read_bytes())
    expected = hashlib.sha256(content).hexdigest()
    content[len(content) // 2] ^= 1
    content = content[:1000] if damage == "truncated" else content
    if damage != "missing":
        (tmp_path / f"{name}.npz").write_bytes(content)
    monkeypatch.setattr(data, "_BUNDLED", tmp_path)
    with pytest.raises(ValueError) as error:
        data.load(name)
    assert str(tmp_path / f"{name}.npz") in str(error.value)
    if damage != "missing":
        assert expected in str(error.value)
        assert hashlib.sha256(content).hexdigest() in str(error.value)


def test_damaged_photograph_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(patches.PHOTOGRAPHS, "flower.jpg", "0" * 64)
    with pytest.raises(
        ValueError, match=r"flower.jpg is damaged and was not used: expected sha256 0{64}, found [0-9a-f]{64}"
    ):
        data.load("patches")


@pytest.mark.parametrize(
    ("name", "nearest", "file"),
    [
        ("mnist", "digits", "train-images-idx3-ubyte.gz"),
        ("fashion", "digits", "train-images-idx3-ubyte.gz"),
        ("cifar10", "emoji", "cifar-10-python.tar.gz"),
    ],
)
def test_without_network_the_error_says_what_was_tried_and_what_to_do(no_network, name, nearest, file):
    with pytest.raises(ConnectionError) as error:
        data.load(name)
    message = str(error.value)
    assert "http" in message
    assert "Name or service not known" in message
    assert file in message
    assert str(no_network / name) in message
    assert f'load("{nearest}")' in message
    assert not [path for path in no_network.rglob("*") if path.is_file()]


class Answer(io.BytesIO):
    """What urlopen returns, shortened."""

    length = None

    def __enter__(self):
        return self


def test_interrupted_download_leaves_no_file_and_a_second_mirror_is_tried(tmp_path, monkeypatch):
    whole = b"the whole file"
    md5 = hashlib.md5(whole).hexdigest()
    answers = {"http://one/f": whole[:5], "http://two/f": whole}
    monkeypatch.setattr(urllib.request, "urlopen", lambda url, timeout: Answer(answers[url]))
    with pytest.raises(ConnectionError, match="damaged"):
        files.download(["http://one/f"], tmp_path / "f", md5, ["f"], "digits")
    assert list(tmp_path.iterdir()) == []
    files.download(["http://one/f", "http://two/f"], tmp_path / "f", md5, ["f"], "digits")
    assert (tmp_path / "f").read_bytes() == whole
    assert [path.name for path in tmp_path.iterdir()] == ["f"]


# The full sets, from small files in their own formats


def idx_set(root: Path, monkeypatch, source: str, n: int = 20_000) -> np.ndarray:
    """A set of n training and 10,000 test images, of one pixel value each, under the names of the real files."""
    import torchvision

    rng = np.random.default_rng(0)
    root.mkdir(parents=True, exist_ok=True)
    sums, values = [], []
    for part, count in (("train", n), ("t10k", 10_000)):
        labels = rng.integers(0, 10, count, dtype=np.uint8)
        images = np.repeat(labels[:, None] * 20, 784, axis=1)
        for name, header, content in (
            (f"{part}-images-idx3-ubyte.gz", 16, images),
            (f"{part}-labels-idx1-ubyte.gz", 8, labels),
        ):
            (root / name).write_bytes(gzip.compress(bytes(header) + content.tobytes(), 1, mtime=0))
            sums.append((name, hashlib.md5((root / name).read_bytes()).hexdigest()))
        values.append(labels)
    monkeypatch.setattr(getattr(torchvision.datasets, source), "resources", sums)
    return np.concatenate(values)


@pytest.mark.parametrize("inside", [".", "MNIST/raw"])
def test_mnist_is_read_from_a_folder_given_by_hand(tmp_path, monkeypatch, no_network, inside):
    labels = idx_set(tmp_path / inside, monkeypatch, "MNIST")
    ds = data.load("mnist", root=tmp_path)
    assert ds.splits == {"train": slice(0, 15_000), "validation": slice(15_000, 20_000), "test": slice(20_000, 30_000)}
    assert torch.equal(ds.labels, torch.from_numpy(labels).long())
    assert torch.equal((ds.images[:, 0, 5, 5] * 255).round().long(), 20 * ds.labels)


def test_fashion_is_read_from_debians_package_where_installed(tmp_path, monkeypatch, no_network):
    idx_set(tmp_path / "debian", monkeypatch, "FashionMNIST")
    monkeypatch.setattr(files, "_DEBIAN_FASHION", tmp_path / "debian")
    monkeypatch.setattr(files, "_DEBIAN_MD5", {})
    ds = data.load("fashion")
    assert ds.class_names[0] == "T-shirt/top"
    assert str(tmp_path / "debian") in ds.source


def test_truncated_mnist_file_is_named_with_both_checksums(tmp_path, monkeypatch, no_network):
    idx_set(tmp_path, monkeypatch, "MNIST")
    broken = tmp_path / "t10k-images-idx3-ubyte.gz"
    broken.write_bytes(broken.read_bytes()[:-7])
    with pytest.raises(
        ValueError, match=r"t10k-images-idx3-ubyte.gz is damaged and was not used: expected md5 .* found"
    ):
        data.load("mnist", root=tmp_path)


@pytest.fixture
def cifar10(tmp_path, monkeypatch) -> Path:
    """An archive in CIFAR-10's format, of black images but for a mark, whose checksums torchvision is made to expect."""
    from torchvision.datasets import CIFAR10

    root = tmp_path / "cifar"
    inside = root / CIFAR10.base_folder
    inside.mkdir(parents=True)
    rng = np.random.default_rng(0)

    def write(name: str, content: dict) -> list[str]:
        (inside / name).write_bytes(pickle.dumps(content))
        return [name, hashlib.md5((inside / name).read_bytes()).hexdigest()]

    def part(name: str, count: int) -> list[str]:
        labels = rng.integers(0, 10, count)
        pixels = np.zeros((count, 3072), np.uint8)
        pixels[:, 1024 + 33] = labels  # green, row 1, column 1
        return write(name, {"data": pixels, "labels": labels.tolist()})

    monkeypatch.setattr(CIFAR10, "train_list", [part(f"data_batch_{i}", 4_000) for i in range(1, 6)])
    monkeypatch.setattr(CIFAR10, "test_list", [part("test_batch", 10_000)])
    name, md5 = write("batches.meta", {"label_names": list(data._CIFAR10)})
    monkeypatch.setattr(CIFAR10, "meta", {"filename": name, "key": "label_names", "md5": md5})
    with tarfile.open(root / CIFAR10.filename, "w:gz", compresslevel=1) as tar:
        tar.add(inside, CIFAR10.base_folder)
    monkeypatch.setattr(CIFAR10, "tgz_md5", hashlib.md5((root / CIFAR10.filename).read_bytes()).hexdigest())
    shutil.rmtree(inside)
    return root


def test_cifar10_is_read_from_an_archive_put_there_by_hand(cifar10, no_network):
    ds = data.load("cifar10", root=cifar10)
    assert ds.shape == (3, 32, 32)
    assert ds.splits["train"] == slice(0, 15_000)
    assert torch.equal((ds.images[:, 1, 1, 1] * 255).round().long(), ds.labels)
    assert torch.equal(data.load("cifar10", root=cifar10).labels, ds.labels)  # the second time from the unpacked folder


def test_damaged_cifar10_batch_is_named_before_it_is_unpickled(cifar10, no_network):
    data.load("cifar10", root=cifar10)
    (cifar10 / "cifar-10-batches-py" / "data_batch_3").write_bytes(b"cos\nsystem\n(S'exit 1'\ntR.")
    with pytest.raises(ValueError, match="data_batch_3 is damaged and was not used: expected md5"):
        data.load("cifar10", root=cifar10)


# The reader's own images


def test_a_folder_is_loaded_with_its_folders_as_classes(folder):
    ds = data.load(folder)
    assert ds.name == "mine"
    assert ds.class_names == ("cats", "dogs")
    assert ds.shape == (3, 32, 32)
    assert torch.bincount(ds.labels).tolist() == [10, 10]
    assert [part.stop - part.start for part in ds.splits.values()] == [16, 2, 2]
    again = data.load(str(folder))
    assert torch.equal(again.images, ds.images)
    assert again.checksum == ds.checksum


def test_a_folder_in_gray_and_another_size(folder):
    assert data.load(folder, size=8, color=False).shape == (1, 8, 8)


def test_a_folder_of_images_alone_is_one_class(folder):
    ds = data.load(folder / "cats")
    assert ds.class_names == ("cats",)
    assert len(ds) == 10


def test_a_folder_with_its_own_split_keeps_it(folder, tmp_path):
    for part in ("train", "test"):
        shutil.copytree(folder, tmp_path / "split" / part)
    ds = data.load(tmp_path / "split")
    assert [p.stop - p.start for p in ds.splits.values()] == [18, 2, 20]
    (tmp_path / "split" / "val").mkdir()
    with pytest.raises(ValueError, match="val is none of train, validation and test"):
        data.load(tmp_path / "split")
    (tmp_path / "split" / "val").rename(tmp_path / "other")
    shutil.rmtree(tmp_path / "split" / "test" / "dogs")
    with pytest.raises(ValueError, match="has the classes"):
        data.load(tmp_path / "split")


def test_transparent_pixels_are_white_and_rotated_photographs_upright(tmp_path):
    (tmp_path / "c").mkdir()
    Image.new("RGBA", (8, 8), (255, 0, 0, 0)).save(tmp_path / "c" / "a.png")
    photo = Image.new("RGB", (8, 8), "white")
    photo.paste("black", (0, 0, 8, 4))
    exif = photo.getexif()
    exif[0x0112] = 3  # upside down
    photo.save(tmp_path / "c" / "b.jpg", exif=exif, quality=95)
    photo.save(tmp_path / "c" / "c.png")
    images = {path.name: files.read_image(path, 8, color=True) for path in (tmp_path / "c").iterdir()}
    assert images["a.png"].min() == 255
    assert images["b.jpg"][:, 0].min() > 200
    assert images["c.png"][:, 0].max() == 0


def truncated_jpg(path: Path) -> None:
    content = (path / "0.jpg").read_bytes()
    (path / "broken.jpg").write_bytes(content[: len(content) // 2])


def truncated_png(path: Path) -> None:
    content = (path / "1.png").read_bytes()
    (path / "broken.png").write_bytes(content[: len(content) // 2])


def text_named_png(path: Path) -> None:
    (path / "broken.png").write_text("This is not a picture.")


def empty_file(path: Path) -> None:
    (path / "broken.jpg").touch()


def text_file(path: Path) -> None:
    (path / "broken.txt").write_text("Notes.")


def sixteen_bits(path: Path) -> None:
    Image.fromarray(np.full((8, 8), 60_000, np.uint16)).save(path / "broken.png")


@pytest.mark.parametrize(
    "damage",
    [truncated_jpg, truncated_png, text_named_png, empty_file, text_file, sixteen_bits],
    ids=lambda f: f.__name__,
)
def test_a_file_that_is_no_whole_image_is_named_and_never_skipped(folder, damage):
    damage(folder / "dogs")
    with pytest.raises(ValueError, match=r"dogs/broken\.(jpg|png|txt)"):
        data.load(folder)


def test_a_file_beside_the_class_folders_is_named(folder):
    (folder / "notes.txt").write_text("Notes.")
    with pytest.raises(ValueError, match=r"notes\.txt lies beside the class folders"):
        data.load(folder)


def test_an_empty_class_an_empty_folder_and_a_file_are_refused(folder, tmp_path):
    (folder / "birds").mkdir()
    with pytest.raises(ValueError, match="birds"):
        data.load(folder)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="should hold one folder of images per class"):
        data.load(tmp_path / "empty")
    with pytest.raises(ValueError, match="existing folder"):
        data.load(folder / "cats" / "0.jpg")


def test_too_few_images_to_split_are_refused(tmp_path):
    for i in range(2):
        picture(i).save(tmp_path / f"{i}.png")
    with pytest.raises(ValueError, match="2 training images, too few"):
        data.load(tmp_path)


# Defined where the archive of JPEG files lies beside the checkout: absent elsewhere, it is not a skipped test.
if CIFAR10_JPEG.is_file():

    def test_a_real_folder_of_color_photographs_loads(tmp_path):
        with zipfile.ZipFile(CIFAR10_JPEG) as archive:
            members = [m for m in archive.namelist() if m.endswith(".jpg") and int(Path(m).stem) < 30]
            archive.extractall(tmp_path, members)
        ds = data.load(tmp_path / "cifar10")
        assert ds.class_names == data._CIFAR10
        assert [part.stop - part.start for part in ds.splits.values()] == [270, 30, 300]
        assert ds.images.std() > 0.1
