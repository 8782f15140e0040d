"""Patches of photographs, the classic subject of sparse coding: cut so that splits share no pixel, and whitened if asked."""

import io
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from PIL import Image
from torch import Tensor

from autoencoders import files

# The two photographs that scikit-learn brings, with their sha256.
PHOTOGRAPHS = {
    "china.jpg": "8378025ad2519d649d02e32bd98990db4ab572357d9f09841c2fbfbb4fefad29",
    "flower.jpg": "a77f6ec41e353afdf8bdff2ea981b2955535d8d83294f8cfa49cf4e423dd5638",
}
# Of ten vertical strips of 64 pixels, the fourth is for validation (1), the eighth for testing (2): part, left, right.
_STRIPS = ((0, 0, 192), (1, 192, 256), (0, 256, 448), (2, 448, 512), (0, 512, 640))


@dataclass(frozen=True, eq=False)
class Cut:
    """Patches with their part (0 train, 1 validation, 2 test), photograph, and the place of their upper left pixel."""

    images: UInt8[Tensor, "n c size size"]
    part: Int[Tensor, "n"]
    photo: Int[Tensor, "n"]
    row: Int[Tensor, "n"]
    column: Int[Tensor, "n"]


def cut(size: int, stride: int, color: bool) -> Cut:
    """All patches of `size` pixels a side, `stride` apart, that lie within one strip: none crosses a border between splits.

    Raises:
        ValueError: a size or stride that does not fit; a photograph is damaged.
        ModuleNotFoundError: scikit-learn is not installed.
    """
    if not isinstance(stride, int) or stride < 1 or not 4 <= size <= 64:
        raise ValueError(f"patches need stride >= 1 and 4 <= size <= 64; received stride {stride!r}, size {size}")
    spec = find_spec("sklearn")  # found, not imported: that takes longer than everything else here
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("the patches are cut from scikit-learn's two photographs: pip install scikit-learn")
    images, where = [], []
    for photo, (name, sha256) in enumerate(PHOTOGRAPHS.items()):
        content = files.verified(Path(spec.origin).parent / "datasets" / "images" / name, sha256, "sha256")
        with Image.open(io.BytesIO(content)) as image:
            pixels = torch.from_numpy(np.array(image.convert("RGB" if color else "L"))).reshape(427, 640, -1)
        for part, left, right in _STRIPS:
            strip = pixels[:, left:right].unfold(0, size, stride).unfold(1, size, stride)  # rows columns c size size
            rows, columns = strip.shape[:2]
            images.append(strip.reshape(rows * columns, -1, size, size))
            row, column = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
            at = torch.stack([row * stride, left + column * stride], -1).reshape(-1, 2)
            where.append(torch.cat([torch.tensor([[part, photo]]).expand(len(at), 2), at], 1))
    return Cut(torch.cat(images), *torch.cat(where).T)


@dataclass(frozen=True, eq=False, repr=False)
class Whitening:
    """ZCA whitening: uncorrelated pixels, as close to the images as they can be. Book: eq-sparse-denoising-whitening.

    With C = U diag(v) U^T the covariance of the pixels, `matrix` is U diag(1 / sqrt(v + epsilon)) U^T. A direction of variance v
    ends with variance v / (v + epsilon): nearly 1 where v is large, nearly 0 where it is small against `epsilon`, which
    keeps the directions that hold little but the camera's noise from being blown up with the rest.
    """

    mean: Float[Tensor, "c h w"]
    matrix: Float[Tensor, "d d"]
    inverse: Float[Tensor, "d d"]

    @classmethod
    def fit(cls, images: Float[Tensor, "n c h w"], epsilon: float) -> "Whitening":
        """Mean and covariance of `images`, which should be training images only.

        Raises:
            ValueError: `epsilon`, a variance, is not positive.
        """
        if not epsilon > 0:
            raise ValueError(f"epsilon is added to every variance and must be positive; got {epsilon}")
        mean = images.mean(0)
        x = (images - mean).flatten(1).double()
        v, u = torch.linalg.eigh(x.T @ x / len(x))
        scale = (v.clamp(min=0) + epsilon).sqrt()  # rounding can make the smallest eigenvalues negative
        return cls(mean, ((u / scale) @ u.T).float(), ((u * scale) @ u.T).float())

    def __call__(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """The whitened images: signed, mean 0 over the images that were fitted."""
        return ((images - self.mean).flatten(1) @ self.matrix).reshape(images.shape)

    def invert(self, white: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """Back to gray values."""
        return (white.flatten(1) @ self.inverse).reshape(white.shape) + self.mean
