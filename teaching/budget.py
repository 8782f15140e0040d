"""What each page of the book costs to execute, against what it may cost."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import dataclass
from pathlib import Path

CELL, PAGE, BOOK = 60.0, 150.0, 1620.0  # seconds of two quiet cores
TOLERANCE = 1.5  # the same work takes that much more processor time where others share caches and cores
# MB at a page's peak with one training at a time: a Binder has one core and about 2,000 MB, some of them for its server.
MEMORY = 1600.0
# MB less where PyTorch is built for machines without a GPU, as on a Binder: a process that has trained one small network
# holds 546 MB with 2.14.1+cu130 and 258 MB with 2.13.0+cpu (Linux, Python 3.11, 784-400-784).
CUDA = 285.0


@dataclass(frozen=True)
class Cost:
    """Seconds that a page, and the slowest cell of it, take two quiet cores, and its memory in MB without CUDA."""

    page: str
    seconds: float
    slowest: float
    line: str
    memory: float | None = None  # none: the page was executed when nobody measured it

    @property
    def is_over(self) -> bool:
        return self.exceeds(1.0) or self.is_over_memory

    @property
    def is_over_memory(self) -> bool:
        """Whether the page held more memory than it may; other programs of the machine have no part in that."""
        return self.memory is not None and self.memory > MEMORY

    def exceeds(self, tolerance: float) -> bool:
        """Whether the page or one of its cells took more than `tolerance` times what it may take."""
        return self.seconds > tolerance * PAGE or self.slowest > tolerance * CELL


def has_cuda() -> bool:
    """Whether this environment's PyTorch brings the libraries for NVIDIA's GPUs."""
    return importlib.util.find_spec("nvidia") is not None


def costs(root: Path) -> list[Cost]:
    """The costs of the last build's pages, the dearest first; none where no page has cells."""
    path = root / "_build" / "chapter-times.json"
    if not path.exists():
        return []
    found = []
    for page, times in json.loads(path.read_text(encoding="utf-8")).items():
        slowest = max(times["cells"], key=lambda cell: cell["seconds"], default={"seconds": 0.0, "cell": ""})
        total = sum(cell["seconds"] for cell in times["cells"])
        memory = times.get("peak_memory_mb")
        if memory is not None and has_cuda():
            memory = max(0.0, memory - CUDA)
        found.append(Cost(page, total, slowest["seconds"], slowest["cell"], memory))
    return sorted(found, key=lambda cost: -cost.seconds)


def unmeasured(found: list[Cost]) -> str:
    """What to do about pages whose memory is not known; empty where all are."""
    pages = [cost.page for cost in found if cost.memory is None]
    if not pages:
        return ""
    return (
        f"The memory of {', '.join(pages)} is not known: an earlier version of the build executed them. "
        "Execute them anew: make clean, then make book."
    )


def table(found: list[Cost]) -> str:
    """The costs as text; what is over its budget is marked."""
    lines = [f"{'executed, in seconds of two quiet cores':<44}{'page':>8}{'slowest cell':>14}{'peak MB':>9}"]
    for cost in found:
        memory = "?" if cost.memory is None else f"{cost.memory:.0f}"
        faults = [f"over: {cost.line[:50]}"] if cost.exceeds(1.0) else []
        faults += ["over: memory"] if cost.is_over_memory else []
        lines.append("  ".join([f"{cost.page:<44}{cost.seconds:>8.0f}{cost.slowest:>14.0f}{memory:>9}", *faults]))
    total = sum(cost.seconds for cost in found)
    lines.append(f"{'all':<44}{total:>8.0f}")
    if has_cuda():
        lines.append(f"Memory is less the {CUDA:.0f} MB of PyTorch's libraries for GPUs, which a Binder does not have.")
    lines.append(f"A page may take {PAGE:.0f} s and {MEMORY:.0f} MB, a cell {CELL:.0f} s, the book {BOOK:.0f} s.")
    return "\n".join(filter(None, [*lines, unmeasured(found)]))
