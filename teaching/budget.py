"""What each page of the book costs to execute, against what it may cost."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

CELL, PAGE, BOOK = 60.0, 150.0, 1200.0  # seconds of two quiet cores
TOLERANCE = 1.5  # machines that share their cores with others are that noisy, and more than `slowdown` shows


@dataclass(frozen=True)
class Cost:
    """Seconds that a page, and the slowest cell of it, would have taken on a quiet machine."""

    page: str
    seconds: float
    slowest: float
    line: str
    slowdown: float

    @property
    def is_over(self) -> bool:
        return self.exceeds(1.0)

    def exceeds(self, tolerance: float) -> bool:
        """Whether the page or one of its cells took more than `tolerance` times what it may take."""
        return self.seconds > tolerance * PAGE or self.slowest > tolerance * CELL


def costs(root: Path) -> list[Cost]:
    """The costs of the last build's pages, the dearest first; none where no page has cells."""
    path = root / "_build" / "chapter-times.json"
    if not path.exists():
        return []
    found = []
    for page, times in json.loads(path.read_text(encoding="utf-8")).items():
        slowest = max(times["cells"], key=lambda cell: cell["seconds"], default={"seconds": 0.0, "cell": ""})
        slowdown = times["slowdown"]
        total = sum(cell["seconds"] for cell in times["cells"])
        found.append(Cost(page, total / slowdown, slowest["seconds"] / slowdown, slowest["cell"], slowdown))
    return sorted(found, key=lambda cost: -cost.seconds)


def table(found: list[Cost]) -> str:
    """The costs as text; what is over its budget is marked."""
    lines = [f"{'executed, in seconds of two quiet cores':<44}{'page':>8}{'slowest cell':>14}"]
    for cost in found:
        mark = f"  over: {cost.line[:50]}" if cost.is_over else ""
        lines.append(f"{cost.page:<44}{cost.seconds:>8.0f}{cost.slowest:>14.0f}{mark}")
    total = sum(cost.seconds for cost in found)
    slowdown = max((cost.slowdown for cost in found), default=1.0)
    lines.append(f"{f'all (a page may take {PAGE:.0f}, a cell {CELL:.0f}, the book {BOOK:.0f})':<44}{total:>8.0f}")
    if slowdown > 1.2:
        lines.append(f"This machine was busy: up to {slowdown:.1f} times slower while it was measured.")
    return "\n".join(lines)
