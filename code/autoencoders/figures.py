"""Figures in the book's visual language: arrays to Matplotlib, one color for each thing the book speaks of."""

from collections.abc import Mapping, Sequence

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from cycler import cycler
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.offsetbox import AnnotationBbox, OffsetImage
from torch import Tensor

# Okabe and Ito's colors, which stay apart for color-blind readers; the page's style sheet has the same names.
COLORS = {
    "data": "#56B4E9",
    "encoder": "#0072B2",
    "latent": "#E69F00",
    "decoder": "#009E73",
    "prior": "#8C8C8C",
    "posterior": "#D55E00",
    "codebook": "#CC79A7",
}
# Ten classes: the seven above and three that differ from them in lightness.
CLASS_COLORS = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#CC79A7",
    "#56B4E9",
    "#D55E00",
    "#6A3D9A",
    "#8C8C8C",
    "#A6CE39",
    "#4D2C1D",
)


def style() -> None:
    """Set the book's look for every figure that follows, and print tensors short."""
    import torch
    from matplotlib_inline.backend_inline import set_matplotlib_formats

    mpl.rcParams.update(
        {
            "figure.figsize": (6.0, 3.2),
            "figure.dpi": 100,
            "figure.constrained_layout.use": True,
            "savefig.facecolor": "white",
            "font.size": 10,
            "axes.titlesize": 10,
            "axes.titlelocation": "left",
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": False,
            "axes.prop_cycle": cycler(color=list(COLORS.values())[1:]),
            "legend.frameon": False,
            "image.cmap": "gray_r",
            "svg.hashsalt": "autoencoders",
        }
    )
    set_matplotlib_formats("retina")
    torch.set_printoptions(precision=4, sci_mode=False)


def paint(ax: Axes, image: Float[Tensor, "c h w"], limit: float | None = None) -> None:
    """One picture on `ax` without ticks: gray as ink on paper, color as it is, signed values blue to red up to `limit`."""
    array = np.asarray(image.detach().cpu())
    if limit is not None:
        ax.imshow(array.mean(0), cmap="RdBu_r", vmin=-limit, vmax=limit)
    elif len(array) == 1:
        ax.imshow(array[0], cmap="gray_r", vmin=0, vmax=1)
    else:
        ax.imshow(array.clip(0, 1).transpose(1, 2, 0))
    ax.set(xticks=[], yticks=[])
    for spine in ax.spines.values():
        spine.set(visible=True, color="0.85", linewidth=0.6)


def show_images(
    images: Float[Tensor, "n c h w"],
    ncols: int = 10,
    titles: Sequence[str] | None = None,
    size: float = 0.7,
    limit: float | None = None,
) -> Figure:
    """A grid of pictures, `size` inches each; `limit` paints signed values (weights, differences) instead of ink."""
    ncols = min(ncols, len(images))
    rows = -(-len(images) // ncols)
    figure, axes = plt.subplots(
        rows, ncols, figsize=(size * ncols, (size + (0.22 if titles else 0)) * rows), squeeze=False
    )
    for i, ax in enumerate(axes.flat):
        if i < len(images):
            paint(ax, images[i], limit)
            if titles:
                ax.set_title(titles[i], fontsize=8, loc="center")
        else:
            ax.axis("off")
    return figure


def show_rows(
    rows: Mapping[str, Float[Tensor, "n c h w"]], size: float = 0.7, limits: Mapping[str, float] | None = None
) -> Figure:
    """Named rows of pictures below one another, to compare column by column; rows in `limits` hold signed values."""
    ncols = max(len(images) for images in rows.values())
    label = max(len(name) for name in rows) * 0.075 + 0.15
    figure, axes = plt.subplots(
        len(rows), ncols, figsize=(size * ncols + label, size * len(rows)), squeeze=False, layout="none"
    )
    figure.subplots_adjust(left=label / (size * ncols + label), right=1, top=1, bottom=0, wspace=0.04, hspace=0.04)
    for (name, images), line in zip(rows.items(), axes, strict=True):
        for ax, image in zip(line, images, strict=False):
            paint(ax, image, (limits or {}).get(name))
        for ax in line[len(images) :]:
            ax.axis("off")
        line[0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=9)
    return figure


def scatter_codes(
    codes: Float[Tensor, "n 2"],
    labels: Int[Tensor, "n"],
    class_names: Sequence[str],
    ax: Axes | None = None,
    size: float = 6,
) -> Axes:
    """Two-dimensional codes colored by class, each class named at its median as well, so that color is not alone."""
    ax = ax if ax is not None else plt.subplots(figsize=(4.6, 4.2))[1]
    points, classes = np.asarray(codes.detach().cpu()), np.asarray(labels)
    for k, name in enumerate(class_names):
        mine = points[classes == k]
        color = CLASS_COLORS[k % len(CLASS_COLORS)]
        ax.scatter(mine[:, 0], mine[:, 1], s=size, color=color, alpha=0.6, linewidths=0, label=name, rasterized=True)
    for k, name in enumerate(class_names):
        mine = points[classes == k]
        if len(mine) and len(class_names) <= len(CLASS_COLORS):
            box = dict(boxstyle="circle,pad=0.15", facecolor="white", edgecolor=CLASS_COLORS[k], alpha=0.9)
            x, y = np.median(mine, axis=0)
            ax.annotate(name, (x, y), ha="center", va="center", fontsize=8, bbox=box)
    ax.set(xlabel="$z_1$", ylabel="$z_2$")
    return ax


def pictures_at(ax: Axes, points: Float[Tensor, "n 2"], images: Float[Tensor, "n c h w"], zoom: float = 0.6) -> None:
    """Put each picture on `ax` at its point."""
    for point, image in zip(points.tolist(), images, strict=True):
        array = np.asarray(image.detach().cpu())
        gray = len(array) == 1
        box = OffsetImage(1 - array[0] if gray else array.transpose(1, 2, 0), zoom=zoom, cmap="gray" if gray else None)
        ax.add_artist(
            AnnotationBbox(box, point, pad=0.05, frameon=True, bboxprops=dict(edgecolor="0.7", linewidth=0.5))
        )


def spread(
    ax: Axes, x: Sequence[float], runs: Float[Tensor, "seeds points"], label: str, color: str, marker: str = "o"
) -> None:
    """The median over seeds as a line and the whole range as a band: a claim with its spread."""
    values = np.asarray(runs)
    ax.plot(x, np.median(values, axis=0), color=color, marker=marker, markersize=4, label=label)
    ax.fill_between(x, values.min(axis=0), values.max(axis=0), color=color, alpha=0.2, linewidth=0)
