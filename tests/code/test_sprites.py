"""The sprites are what their factors say."""

import math

import pytest
import torch

from autoencoders import sprites


def batch(n: int = 400, seed: int = 0, **options) -> tuple[sprites.Grid, torch.Tensor]:
    grid = sprites.Grid(**options)
    return grid, torch.randint(0, len(grid), (n,), generator=torch.Generator().manual_seed(seed))


def test_full_grid_has_the_factor_counts_of_dsprites():
    grid = sprites.Grid()
    assert grid.sizes == (3, 6, 40, 32, 32)
    assert len(grid) == 737_280
    assert grid.images(torch.tensor([0])).shape == (1, 1, 64, 64)


def test_factors_number_the_grid_in_order():
    grid = sprites.Grid(scales=2, orientations=3, columns=4, rows=5)
    factors = grid.factors(torch.arange(len(grid)))
    number = torch.zeros(len(grid), dtype=torch.long)
    for size, name in zip(grid.sizes, factors, strict=True):
        number = number * size + factors[name]
    assert torch.equal(number, torch.arange(len(grid)))


@pytest.mark.parametrize("shape", sprites.SHAPES)
def test_area_depends_on_scale_and_not_on_shape(shape):
    grid, index = batch(shapes=(shape,))
    expected = 64**2 * (2 * 0.14 * grid.values(index)["scale"]) ** 2
    area = grid.images(index).sum((1, 2, 3))
    assert ((area / expected - 1).abs() < 0.03).all()


@pytest.mark.parametrize("shape", sprites.SHAPES)
@pytest.mark.parametrize("size", [32, 64])
def test_center_of_mass_is_where_x_and_y_say(shape, size):
    grid, index = batch(shapes=(shape,), size=size)
    images, values = grid.images(index)[:, 0], grid.values(index)
    pixel = torch.arange(size) + 0.5
    mass = images.sum((1, 2))
    for axis, name in ((1, "x"), (2, "y")):
        center = (images.sum(axis) * pixel).sum(1) / mass
        assert (center - size * (0.25 + 0.5 * values[name])).abs().max() < 0.12  # pixels


def test_coverage_agrees_with_counting_points_inside_each_pixel():
    # A render at 16 times the resolution, averaged over blocks, counts points: the edge blur there is a sixteenth of a pixel.
    factors = sprites.Grid().values(batch(60)[1])
    fine = sprites.render(**factors, size=32 * 16)
    counted = torch.nn.functional.avg_pool2d(fine, 16)
    difference = (sprites.render(**factors, size=32) - counted).abs()
    assert difference.mean() < 0.003
    assert difference.max() < 0.35  # at a corner, to which distance the edge's first order does not apply


def test_no_shape_is_cut_by_the_border():
    grid, index = batch(2000, scales=1, columns=2, rows=2)
    images = grid.images(index)
    frame = torch.cat([images[..., 0, :], images[..., -1, :], images[..., 0], images[..., -1]])
    assert frame.max() == 0


def test_pixels_are_in_the_unit_interval_with_gray_edges():
    grid, index = batch()
    images = grid.images(index)
    assert images.min() == 0
    assert images.max() == 1
    assert ((images > 0) & (images < 1)).any()


@pytest.mark.parametrize(("shape", "distinct"), [("square", 10), ("ellipse", 20), ("heart", 40)])
def test_rotation_has_the_documented_symmetry(shape, distinct):
    grid = sprites.Grid(shapes=(shape,), scales=1, columns=1, rows=1, size=32)
    images = grid.images(torch.arange(40))
    assert len(images.flatten(1).unique(dim=0)) == distinct
    assert torch.equal(images, images.roll(distinct, 0))


def test_picture_numbers_agree_exactly_where_pictures_do():
    grid = sprites.Grid(scales=2, orientations=12, columns=2, rows=2, size=32)
    index = torch.arange(len(grid))
    by_number = grid.picture(index).unique(return_inverse=True)[1]
    by_pixel = grid.images(index).flatten(1).unique(dim=0, return_inverse=True)[1]
    pairs = torch.stack([by_number, by_pixel]).unique(dim=1)
    assert pairs.shape[1] == by_number.max() + 1 == by_pixel.max() + 1


def test_orientation_turns_counterclockwise_and_y_points_down():
    one = torch.ones(1)
    heart, up = torch.tensor([2]), torch.zeros(1)
    upright = sprites.render(heart, one, up, one / 2, one / 2, size=64)[0, 0]
    quarter = sprites.render(heart, one, up + math.pi / 2, one / 2, one / 2, size=64)[0, 0]
    assert (quarter - upright.rot90(1)).abs().max() < 1e-3  # rot90 turns counterclockwise as seen
    rows = upright.sum(1).nonzero().flatten()
    assert upright[rows[-1]].sum() < upright[rows[0] + 1].sum()  # the tip is below
    low = sprites.render(heart, one, up, one / 2, one, size=64)[0, 0]
    assert low[:32].sum() < low[32:].sum()


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"scale": torch.tensor([1.5])}, r"scale must be in \[0.1, 1\]; received values from 1.5"),
        ({"x": torch.tensor([-0.1])}, "x must be"),
        ({"y": torch.tensor([float("nan")])}, "y must be"),
        ({"shape": torch.tensor([3])}, "shape must be"),
        ({"size": 4}, "size >= 8 pixels"),
    ],
)
def test_render_refuses_factors_out_of_range(change, rule):
    arguments = {"shape": torch.tensor([0]), **{k: torch.full((1,), 0.5) for k in ("scale", "orientation", "x", "y")}}
    with pytest.raises(ValueError, match=rule):
        sprites.render(**{**arguments, **change})


@pytest.mark.parametrize("options", [{"shapes": ("circle",)}, {"shapes": ()}, {"scales": 0}])
def test_grid_refuses_what_it_cannot_draw(options):
    with pytest.raises(ValueError):
        sprites.Grid(**options)


def test_index_beyond_the_grid_is_refused():
    grid = sprites.Grid(scales=1, orientations=1, columns=2, rows=2)
    with pytest.raises(ValueError, match=r"index must be in \[0, 11\]; received values from 12 to 12"):
        grid.images(torch.tensor([12]))


def test_height_is_the_share_of_the_vertical_range_that_rows_span():
    wide = sprites.Grid(("heart",), 1, 1, 5, 4, 16, height=0.5)
    index = torch.arange(len(wide))
    assert wide.values(index)["y"].unique().tolist() == pytest.approx([0.25, 0.25 + 1 / 6, 0.25 + 2 / 6, 0.75])
    assert wide.values(index)["x"].unique().tolist() == [0, 0.25, 0.5, 0.75, 1]
    one = sprites.Grid(("heart",), 1, 1, 1, 1, 16, height=0.5)
    assert one.values(torch.tensor([0]))["y"] == 0.5
