"""How long every page took to execute, in seconds of a quiet machine: the table that `make book` prints is made of it."""

from __future__ import annotations

import functools
import inspect
import json
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

QUIET = 0.125  # seconds of `pace` on the machine that the budgets were set on, with nothing else running


def pace() -> float:
    """Seconds for a fixed piece of work on each of two cores at once: more where other programs have a share of them."""
    import numpy as np

    matrix = np.full((384, 384), 1e-3, dtype=np.float32)

    def work() -> float:
        start = time.perf_counter()
        for _ in range(90):
            matrix @ matrix
        return time.perf_counter() - start

    with ThreadPoolExecutor(2) as pool:
        return max(job.result() for job in [pool.submit(work) for _ in range(2)])


def cell_times(notebook: Any) -> list[dict[str, Any]]:
    """First line of code and seconds of each executed cell."""
    times = []
    for cell in notebook.cells:
        stamps = cell.get("metadata", {}).get("execution", {})
        if cell.cell_type == "code" and "iopub.execute_input" in stamps and "shell.execute_reply" in stamps:
            begin, end = (datetime.fromisoformat(stamps[k]) for k in ("iopub.execute_input", "shell.execute_reply"))
            line = next((text for text in cell.source.splitlines() if text.strip()), "")
            times.append({"cell": line, "seconds": round((end - begin).total_seconds(), 3)})
    return times


def record(app: Sphinx) -> None:
    """Have every executed page leave its cells' running times in `cell-times.json`, beside the execution cache.

    With them stands how many times slower than a quiet machine this one was then, measured before and after.
    """
    from myst_nb.core.execute import cache

    execute = inspect.unwrap(cache.single_nb_execution)

    @functools.wraps(execute)
    def timed(notebook: Any, **options: Any) -> Any:
        paces = [pace(), pace()]
        result = execute(notebook, record_timing=True, **options)
        paces += [pace(), pace()]
        path = _path(app)
        times = json.loads(path.read_text()) if path.exists() else {}
        slowdown = max(1.0, sum(paces) / len(paces) / QUIET)
        times[app.env.docname] = {"slowdown": round(slowdown, 2), "cells": cell_times(notebook)}
        for cell in notebook.cells:  # the cache finds a notebook by its cells and their metadata: no times in there
            cell.metadata.pop("execution", None)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(times, indent=1))
        return result

    cache.single_nb_execution = timed


def _path(app: Sphinx) -> Path:
    folder = app.config["nb_execution_cache_path"] or Path(app.outdir).parent / ".jupyter_cache"
    return Path(folder) / "cell-times.json"


def write(app: Sphinx, error: Exception | None) -> None:
    """Write the running times of this site's pages beside the site, to `chapter-times.json`."""
    if error is None and _path(app).exists():
        times = json.loads(_path(app).read_text())
        pages = {name: times[name] for name in sorted(app.env.all_docs) if name in times}
        (Path(app.outdir).parent / "chapter-times.json").write_text(json.dumps(pages, indent=1))


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("builder-inited", record)
    app.connect("build-finished", write)
    return {"parallel_read_safe": False, "parallel_write_safe": True}
