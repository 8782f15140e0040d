"""Points of a latent space: where to decode. Grids, walks from code to code, and draws from a Gaussian fitted to codes."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Generator, Tensor


def quantile_grid(side: int) -> Float[Tensor, "points 2"]:
    """`side` x `side` points of the plane, each in the middle of a cell that holds the same share of N(0, I).

    Book: eq-generation-grid. Row by row as a picture is painted: the first point is at the upper left.

    Raises:
        ValueError: `side` is less than 1.
    """
    if side < 1:
        raise ValueError(f"side is how many points stand in a row, at least 1, not {side}")
    z = torch.special.ndtri((torch.arange(side, dtype=torch.float64) + 0.5) / side).float()
    return torch.stack([z.repeat(side), z.flip(0).repeat_interleave(side)], 1)


def straight(a: Float[Tensor, "*b m"], b: Float[Tensor, "*b m"], t: float | Tensor) -> Float[Tensor, "*b m"]:
    """The point at t in [0, 1] of the straight line from a to b. Book: eq-generation-line."""
    return a + t * (b - a)


def great_circle(a: Float[Tensor, "*b m"], b: Float[Tensor, "*b m"], t: float | Tensor) -> Float[Tensor, "*b m"]:
    """The point at t in [0, 1] of the way from a to b around the origin. Book: eq-generation-sphere.

    The direction moves along a great circle at constant speed (Shoemake 1985), the length from one to the other evenly.
    Where a and b point the same or opposite ways, or one of them is 0, no one circle is marked out: the way is straight.
    """
    length_a, length_b = a.norm(dim=-1, keepdim=True), b.norm(dim=-1, keepdim=True)
    u, v = a / length_a.clamp(min=1e-12), b / length_b.clamp(min=1e-12)
    away, along = (u - v).norm(dim=-1, keepdim=True), (u + v).norm(dim=-1, keepdim=True)
    angle = 2 * torch.atan2(away, along)
    sine = torch.sin(angle)
    direction = (torch.sin((1 - t) * angle) * u + torch.sin(t * angle) * v) / sine
    circle = straight(length_a, length_b, t) * direction
    marked_out = (sine.abs() > 1e-4) & (length_a > 0) & (length_b > 0)
    return torch.where(marked_out, circle, straight(a, b, t))


def corner_grid(
    corners: Float[Tensor, "4 m"], side: int, path: Callable[..., Tensor] = straight
) -> Float[Tensor, "points m"]:
    """`side` x `side` points between four corners (upper left, upper right, lower left, lower right), row by row.

    Book: eq-generation-corners. `path` goes along the upper and the lower edge, and then from the one to the other.

    Raises:
        ValueError: there are not four corners, or fewer than 2 points in a row.
    """
    if len(corners) != 4 or side < 2:
        raise ValueError(f"four corners and at least 2 points in a row are needed, not {len(corners)} and {side}")
    t = torch.linspace(0, 1, side)[:, None]
    upper, lower = (path(corners[i].expand(side, -1), corners[i + 1].expand(side, -1), t) for i in (0, 2))
    return torch.cat([path(upper, lower, s) for s in torch.linspace(0, 1, side)])


def gaussian_draws(
    codes: Float[Tensor, "n m"], count: int, generator: Generator | None = None
) -> Float[Tensor, "count m"]:
    """`count` draws from the Gaussian that has the mean and the covariance of `codes`. Book: eq-latent-space-gaussian.

    Raises:
        ValueError: there are not more codes than latents.
    """
    n, m = codes.shape
    if n <= m:
        raise ValueError(f"a covariance of {m} latents needs more than {m} codes, not {n}")
    root = torch.linalg.cholesky(torch.cov(codes.T.double()).reshape(m, m)).to(codes.dtype)
    return codes.mean(0) + torch.randn(count, m, generator=generator, dtype=codes.dtype) @ root.T
