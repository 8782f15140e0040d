"""Small tables that stand behind an identity in the text: what was measured, what was expected, how far apart."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import torch


@dataclass(frozen=True)
class Table:
    """Rows of (name, measured, expected, largest difference); shows itself as HTML in a notebook and as text elsewhere."""

    rows: tuple[tuple[str, ...], ...]
    header: tuple[str, ...] = ("", "measured", "expected", "largest difference")

    def __repr__(self) -> str:
        table = [self.header, *self.rows]
        widths = [max(len(row[i]) for row in table) for i in range(len(self.header))]
        return "\n".join(
            "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in table
        )

    def _repr_html_(self) -> str:
        head = "".join(f"<th scope='col'>{escape(cell)}</th>" for cell in self.header)
        body = "".join(
            f"<tr><th scope='row'>{escape(row[0])}</th>"
            + "".join(f"<td>{escape(cell)}</td>" for cell in row[1:])
            + "</tr>"
            for row in self.rows
        )
        return f"<table class='ae-check'><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def table(rows: Mapping[str, tuple[Any, Any]], digits: int = 4) -> Table:
    """Compare what a cell measured with what the text claims.

    Args:
        rows: name -> (measured, expected); numbers, tensors or arrays of one shape.
        digits: significant digits shown. Show no more than are stable: differences below `10 ** -digits` of the
            expected size are shown as `< ...`, since rounding differs between machines.

    Raises:
        ValueError: measured and expected differ in shape.

    >>> table({"2 + 2": (4.0, 4)})
           measured  expected  largest difference
    2 + 2  4         4         < 0.0004
    """
    return Table(tuple(_row(name, *pair, digits) for name, pair in rows.items()))


def over_seeds(rows: Mapping[str, Mapping[str, Sequence[float]]], digits: int = 2) -> Table:
    """One line a model or a source, one column a quantity; each cell the median over seeds and its range.

    Raises:
        ValueError: the lines do not hold the same quantities.

    >>> over_seeds({"16 latents": {"test MSE": [0.0110, 0.0121, 0.0131]}})
                test MSE
    16 latents  0.012 (0.011 to 0.013)
    """
    columns = list(next(iter(rows.values()), {}))
    if any(list(row) != columns for row in rows.values()):
        raise ValueError(f"every line needs the quantities of the first: {', '.join(columns) or 'there is no line'}")
    lines = ((name, *(_spread(values, digits) for values in row.values())) for name, row in rows.items())
    return Table(tuple(lines), ("", *columns))


def _spread(values: Sequence[float], digits: int) -> str:
    ordered = torch.as_tensor(values, dtype=torch.float64).sort().values
    low, middle, high = (f"{float(ordered.quantile(q)):.{digits}g}" for q in (0, 0.5, 1))
    return middle if len(ordered) == 1 or low == high else f"{middle} ({low} to {high})"


def _row(name: str, measured: Any, expected: Any, digits: int) -> tuple[str, str, str, str]:
    a, b = (torch.as_tensor(v).detach().to("cpu", torch.float64) for v in (measured, expected))
    if a.shape != b.shape:
        raise ValueError(
            f"{name!r}: measured has shape {tuple(a.shape)}, expected {tuple(b.shape)}; compare like with like"
        )
    resolution = 10.0**-digits * (float(b.abs().max()) or 1.0)
    gap = float((a - b).abs().max())
    shown = f"< {resolution:.{1}g}" if gap < resolution else f"{gap:.1e}"  # what is not a number is shown
    return name, _show(a, digits), _show(b, digits), shown


def _show(value: torch.Tensor, digits: int) -> str:
    if value.numel() == 1:
        return f"{float(value):.{digits}g}"
    if value.numel() <= 6:
        return "(" + ", ".join(f"{v:.{digits}g}" for v in value.flatten().tolist()) + ")"
    return "array of " + " x ".join(map(str, value.shape))
