"""Where to decode: grids, walks and fitted Gaussians, on cases whose answer is known."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from autoencoders import latents


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_the_cells_of_the_grid_hold_the_same_share_of_the_prior():
    side, draws = 4, torch.randn(80_000, 2, generator=generator())
    edges = torch.special.ndtri(torch.arange(1, side) / side)
    cell = torch.bucketize(draws, edges)
    counts = torch.bincount(cell[:, 0] * side + cell[:, 1], minlength=side**2) / len(draws)
    assert counts.sub(1 / side**2).abs().max() < 5 * math.sqrt(1 / side**2 / len(draws))
    points = latents.quantile_grid(side)
    assert torch.bucketize(points[:side], edges)[:, 0].tolist() == [0, 1, 2, 3], "a row goes from left to right"
    assert points[0, 1] > points[-1, 1], "the first row is the upper one"


@given(seed=st.integers(0, 1000), t=st.floats(0, 1), m=st.integers(2, 30))
@settings(max_examples=30, deadline=None)
def test_a_great_circle_keeps_the_length_and_covers_equal_angles(seed, t, m):
    a, b = torch.randn(2, m, generator=generator(seed), dtype=torch.float64)
    b = b * a.norm() / b.norm()
    z = latents.great_circle(a, b, t)
    assert z.norm().item() == pytest.approx(a.norm().item())
    cosine = torch.nn.functional.cosine_similarity(a, b, 0).clamp(-1, 1)
    way = torch.nn.functional.cosine_similarity(a, z, 0).clamp(-1, 1)
    assert torch.acos(way).item() == pytest.approx(t * torch.acos(cosine).item(), abs=1e-5)


@pytest.mark.parametrize("path", [latents.straight, latents.great_circle])
def test_a_walk_starts_and_ends_at_its_ends_also_in_batches(path):
    a, b = torch.randn(2, 5, 7, generator=generator())
    assert torch.allclose(path(a, b, 0.0), a, atol=1e-5) and torch.allclose(path(a, b, 1.0), b, atol=1e-5)
    t = torch.linspace(0, 1, 5)[:, None]
    assert torch.allclose(path(a, b, t)[2], path(a[2], b[2], 0.5), atol=1e-5)


def test_without_a_circle_between_the_ends_the_way_is_straight():
    a = torch.tensor([1.0, 2.0])
    for b in (3 * a, -a, torch.zeros(2), a):
        assert torch.allclose(latents.great_circle(a, b, 0.25), latents.straight(a, b, 0.25))


@pytest.mark.parametrize("path", [latents.straight, latents.great_circle])
def test_the_grid_has_its_corners_in_the_order_of_reading(path):
    corners = torch.randn(4, 3, generator=generator())
    grid = latents.corner_grid(corners, 4, path)
    assert torch.allclose(grid[[0, 3, 12, 15]], corners, atol=1e-5)
    assert torch.allclose(grid[1], path(corners[0], corners[1], 1 / 3), atol=1e-5)


def test_draws_have_the_mean_and_the_covariance_of_the_codes():
    mixing = torch.tensor([[2.0, 0.0, 0.0], [1.5, 0.5, 0.0], [-1.0, 1.0, 3.0]])
    codes = torch.randn(500, 3, generator=generator()) @ mixing + 5
    drawn = latents.gaussian_draws(codes, 100_000, generator(1))
    assert torch.allclose(drawn.mean(0), codes.mean(0), atol=0.05)
    assert torch.allclose(torch.cov(drawn.T), torch.cov(codes.T), rtol=0.03, atol=0.08)


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match="at least 1"):
        latents.quantile_grid(0)
    with pytest.raises(ValueError, match="four corners"):
        latents.corner_grid(torch.zeros(4, 2), 1)
    with pytest.raises(ValueError, match="more than 3 codes"):
        latents.gaussian_draws(torch.zeros(3, 3), 4)
