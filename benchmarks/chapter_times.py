"""How long each chapter of the last build took to execute, and its slowest cell: `python benchmarks/chapter_times.py`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

TIMES = Path(__file__).resolve().parents[1] / "_build" / "chapter-times.json"
CELL_LIMIT, CHAPTER_LIMIT = 60.0, 150.0


def rows(times: dict[str, list[dict]]) -> list[tuple[str, float, float, str]]:
    """Page, its seconds, its slowest cell's seconds and first line; the slowest page first."""
    found = []
    for page, cells in times.items():
        slowest = max(cells, key=lambda cell: cell["seconds"], default={"seconds": 0.0, "cell": ""})
        found.append((page, sum(cell["seconds"] for cell in cells), slowest["seconds"], slowest["cell"]))
    return sorted(found, key=lambda row: -row[1])


def main() -> int:
    if not TIMES.exists():
        print("No build has left its times: make book", file=sys.stderr)
        return 1
    table = rows(json.loads(TIMES.read_text(encoding="utf-8")))
    print(f"{'page':<44}{'seconds':>9}{'slowest cell':>14}  first line of that cell")
    for page, total, slowest, line in table:
        mark = " !" if total > CHAPTER_LIMIT or slowest > CELL_LIMIT else ""
        print(f"{page:<44}{total:>9.1f}{slowest:>14.1f}  {line[:60]}{mark}")
    print(f"{'all':<44}{sum(row[1] for row in table):>9.1f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
