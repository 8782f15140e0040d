"""Figures draw what they are given, and nothing else."""

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from autoencoders import figures


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


def test_a_grid_has_one_axes_a_picture_and_blanks_after_them():
    figure = figures.show_images(torch.rand(7, 1, 8, 8), ncols=5, titles=list("abcdefg"))
    filled = [ax for ax in figure.axes if ax.images]
    assert len(figure.axes) == 10
    assert [ax.get_title() for ax in filled] == list("abcdefg")


def test_gray_is_ink_on_paper_and_color_is_as_it_is():
    ax = plt.figure().add_subplot()
    image = torch.rand(3, 4, 5)
    figures.paint(ax, image)
    assert np.allclose(ax.images[0].get_array(), image.permute(1, 2, 0))
    figures.paint(ax, image[:1])
    assert ax.images[1].get_cmap().name == "gray_r"
    assert ax.images[1].get_clim() == (0, 1)


def test_rows_are_named_and_may_differ_in_length():
    figure = figures.show_rows({"original": torch.rand(4, 1, 8, 8), "m = 2": torch.rand(2, 1, 8, 8)})
    assert [ax.get_ylabel() for ax in figure.axes if ax.get_ylabel()] == ["original", "m = 2"]
    assert sum(bool(ax.images) for ax in figure.axes) == 6


def test_codes_are_named_at_their_medians_so_that_color_is_not_alone():
    codes = torch.tensor([[0.0, 0], [2, 2], [4, 4], [10, 10]])
    ax = figures.scatter_codes(codes, torch.tensor([0, 0, 0, 1]), ["zero", "one"])
    assert {t.get_text(): tuple(t.xy) for t in ax.texts} == {"zero": (2.0, 2.0), "one": (10.0, 10.0)}


def test_a_spread_is_the_median_and_the_whole_range():
    ax = plt.figure().add_subplot()
    figures.spread(ax, [1, 2], torch.tensor([[1.0, 4], [2, 5], [9, 6]]), "mse", "k")
    assert ax.lines[0].get_ydata().tolist() == [2, 5]
    edges = ax.collections[0].get_paths()[0].vertices[:, 1]
    assert (edges.min(), edges.max()) == (1, 9)


def test_class_colors_are_ten_and_apart():
    colors = np.array([matplotlib.colors.to_rgb(c) for c in figures.CLASS_COLORS])
    gaps = np.linalg.norm(colors[:, None] - colors[None], axis=2)[~np.eye(10, dtype=bool)]
    assert gaps.min() > 0.25


def test_style_can_be_set_outside_a_notebook():
    figures.style()
    assert matplotlib.rcParams["image.cmap"] == "gray_r"
