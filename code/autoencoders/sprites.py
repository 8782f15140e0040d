"""Sprites: one white shape on black, drawn from five known factors, as many pictures as there are factor combinations.

The factors are those of dSprites (Matthey et al., 2017): shape (square, ellipse, heart), scale, orientation, column (x) and
row (y). Nothing is stored; `render` draws any batch on demand. Three conventions make the factors exact:

- the three shapes have the same area at the same scale, so `scale` says nothing about `shape`;
- a shape's center of mass is at (x, y), so `orientation` does not move it;
- orientations are k / orientations of a full turn; dSprites' last orientation repeats its first, ours does not.

One ambiguity cannot be drawn away. A square looks the same after a quarter turn (period 90 degrees) and an ellipse after half a
turn (180 degrees), so with the full grid of 40 orientations there are only 10 distinct squares and 20 distinct ellipses at each
scale and place: no code, however good, can tell their orientation factor from the picture. A heart looks like itself only after a
full turn. `Grid.picture` numbers what is distinct.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

SHAPES = ("square", "ellipse", "heart")
# Degrees after which a shape coincides with itself.
PERIODS = (90, 180, 360)

# Half the side of the square at scale 1, in units of the picture's side. The other two follow from equal area, 4 h^2.
_SQUARE = 0.14
_MINOR = _SQUARE * math.sqrt(2 / math.pi)  # half axes b and 2b: area 2 pi b^2
_HEART = (
    _SQUARE * 2 / math.sqrt(4 + math.pi)
)  # a square of half side a and two half discs of radius a: area (4 + pi) a^2
# Center of mass of that heart, along each side of its square: two half discs' centroids at a + 4a/(3 pi), averaged by area.
_HEART_CENTER = (math.pi / 2) * (1 + 4 / (3 * math.pi)) / (4 + math.pi)
_MARGIN = 0.25  # centers keep this far from the border; the ellipse's half axis is 0.224, so no shape is ever cut


def _distance_square(u: Tensor, v: Tensor, h: Tensor) -> Tensor:
    """Signed distance to the square |u|, |v| <= h, by the larger side (exact along the sides)."""
    return torch.maximum(u.abs_(), v.abs_()).sub_(h)


def _distance_ellipse(u: Tensor, v: Tensor, b: Tensor) -> Tensor:
    """Signed distance to u^2/(2b)^2 + v^2/b^2 = 1, to first order: q / |grad q| with q = u^2/4 + v^2 - b^2."""
    v2, w2 = v.square_(), u.square_().mul_(0.25)
    gradient = torch.add(w2, v2, alpha=4).sqrt_()  # |grad q| = 2 sqrt(u^2/16 + v^2) = sqrt(w2 + 4 v2)
    return v2.add_(w2).sub_(b * b).div_(gradient.clamp_min_(1e-6))


def _distance_heart(u: Tensor, v: Tensor, a: Tensor) -> Tensor:
    """Signed distance to a heart: a square of half side a, and a disc of radius a on the middle of two adjacent sides.

    A disc's is (u^2 + (v - a)^2 - a^2) / 2a to first order, which is (u^2 + v^2) / 2a - v; the nearer of the two discs has the
    larger of u and v.
    """
    u.add_(_HEART_CENTER * a)
    v.add_(_HEART_CENTER * a)
    discs = (u.square().addcmul_(v, v)).mul_(0.5 / a).sub_(torch.maximum(u, v))
    return torch.minimum(torch.maximum(u.abs_(), v.abs_()).sub_(a), discs)


_DISTANCES = ((_distance_square, _SQUARE, 0.0), (_distance_ellipse, _MINOR, 0.0), (_distance_heart, _HEART, 0.25))


def render(
    shape: Int[Tensor, "n"],
    scale: Float[Tensor, "n"],
    orientation: Float[Tensor, "n"],
    x: Float[Tensor, "n"],
    y: Float[Tensor, "n"],
    *,
    size: int = 64,
) -> Float[Tensor, "n 1 size size"]:
    """Draw n sprites, each pixel the share of it that the shape covers (to first order: the distance to the edge, in pixels).

    `shape` indexes `SHAPES`; `scale` is in (0, 1]; `orientation` is in radians, counterclockwise; `x` (to the right) and `y`
    (downward) are in [0, 1], over the square of centers that keeps every shape inside the picture.

    Raises:
        ValueError: a factor out of its range, or `size` under 8 pixels.
    """
    if size < 8:
        raise ValueError(f"a sprite needs size >= 8 pixels a side; received {size}")
    _require("shape", shape, 0, len(SHAPES) - 1, "an index into sprites.SHAPES")
    _require("scale", scale, 0.1, 1, "in [0.1, 1]")
    _require("x", x, 0, 1, "in [0, 1]")
    _require("y", y, 0, 1, "in [0, 1]")
    images = torch.empty(len(shape), 1, size, size)
    pixel = torch.arange(size) + 0.5
    chunk = max(1, 2**17 // (size * size))  # half a megabyte of pixels: the intermediate results stay in the cache
    for kind, (distance, extent, turn) in enumerate(_DISTANCES):
        for index in (shape == kind).nonzero().flatten().split(chunk):
            angle = orientation[index] + turn * math.pi
            c, s = angle.cos()[:, None], angle.sin()[:, None]
            dx = pixel - size * (_MARGIN + (1 - 2 * _MARGIN) * x[index, None])
            dy = size * (_MARGIN + (1 - 2 * _MARGIN) * y[index, None]) - pixel  # mathematical axes: up is positive
            u = (s * dy)[:, :, None] + (c * dx)[:, None, :]  # rows by columns, in the shape's own axes
            v = (c * dy)[:, :, None] - (s * dx)[:, None, :]
            covered = distance(u, v, (size * extent * scale[index])[:, None, None])
            images[index, 0] = covered.neg_().add_(0.5).clamp_(0, 1)
    return images


def _require(name: str, values: Tensor, low: float, high: float, rule: str) -> None:
    if len(values) and not (low <= values.min() and values.max() <= high):
        raise ValueError(f"{name} must be {rule}; received values from {values.min():g} to {values.max():g}")


@dataclass(frozen=True)
class Grid:
    """All combinations of factor values, numbered as dSprites numbers them: shape slowest, then scale, orientation, x, y.

    >>> grid = Grid()
    >>> len(grid), grid.sizes
    (737280, (3, 6, 40, 32, 32))
    >>> grid.images(torch.tensor([0, 700_000])).shape
    torch.Size([2, 1, 64, 64])
    """

    shapes: tuple[str, ...] = SHAPES
    scales: int = 6
    orientations: int = 40
    columns: int = 32
    rows: int = 32
    size: int = 64
    height: float = 1.0  # the share of the vertical range that the rows span, around its middle

    def __post_init__(self) -> None:
        unknown = [shape for shape in self.shapes if shape not in SHAPES]
        if isinstance(self.shapes, str) or unknown or not self.shapes or len(set(self.shapes)) < len(self.shapes):
            raise ValueError(f"shapes must be a tuple of distinct names out of {SHAPES}; received {self.shapes!r}")
        if min(self.sizes) < 1:
            raise ValueError(f"every factor needs at least one value; received the sizes {self.sizes}")
        if not 0 < self.height <= 1:
            raise ValueError(f"height is a share of the vertical range, over 0 and at most 1; received {self.height}")

    @property
    def sizes(self) -> tuple[int, int, int, int, int]:
        """How many values each factor has, in the order shape, scale, orientation, x, y."""
        return len(self.shapes), self.scales, self.orientations, self.columns, self.rows

    def __len__(self) -> int:
        return math.prod(self.sizes)

    def factors(self, index: Int[Tensor, "n"]) -> dict[str, Int[Tensor, "n"]]:
        """The factor indices (0, 1, 2, ...) of these pictures; `shape` counts within this grid's `shapes`."""
        _require("index", index, 0, len(self) - 1, f"in [0, {len(self) - 1}]")
        return dict(
            zip(("shape", "scale", "orientation", "x", "y"), torch.unravel_index(index, self.sizes), strict=True)
        )

    def values(self, index: Int[Tensor, "n"]) -> dict[str, Tensor]:
        """What `render` takes for these pictures: scales from 1/2 to 1, angles in radians, places from 0 to 1.

        A factor of one value stands at the largest scale, the angle 0, the middle. Angles are reduced by the shape's period, so
        that equal pictures are equal to the last bit.
        """
        factors = self.factors(index)
        kinds = torch.tensor([SHAPES.index(name) for name in self.shapes])[factors["shape"]]
        turn = self._turn(factors["orientation"], kinds).double() / self.orientations
        return {
            "shape": kinds,
            "scale": _steps(0.5, 1.0, self.scales, alone=1.0)[factors["scale"]],
            "orientation": turn.deg2rad().float(),
            "x": _steps(0.0, 1.0, self.columns, alone=0.5)[factors["x"]],
            "y": _steps(0.5 - self.height / 2, 0.5 + self.height / 2, self.rows, alone=0.5)[factors["y"]],
        }

    def images(self, index: Int[Tensor, "n"]) -> Float[Tensor, "n 1 size size"]:
        """Render these pictures of the grid."""
        return render(**self.values(index), size=self.size)

    def picture(self, index: Int[Tensor, "n"]) -> Int[Tensor, "n"]:
        """A number that is the same for two indices exactly where the pictures are the same (see the module's docstring)."""
        factors = self.factors(index)
        kinds = torch.tensor([SHAPES.index(name) for name in self.shapes])[factors["shape"]]
        turn = self._turn(factors["orientation"], kinds)
        number = factors["shape"] * self.scales + factors["scale"]
        return ((number * 360 * self.orientations + turn) * self.columns + factors["x"]) * self.rows + factors["y"]

    def _turn(self, orientation: Tensor, kinds: Tensor) -> Tensor:
        """Degrees times `orientations`, an exact integer, modulo the period of the shape."""
        return (360 * orientation) % (torch.tensor(PERIODS)[kinds] * self.orientations)


def _steps(low: float, high: float, count: int, alone: float) -> Tensor:
    return torch.linspace(low, high, count) if count > 1 else torch.tensor([alone])
