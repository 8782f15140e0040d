"""What every page took to execute, in seconds of a quiet machine and in memory: the table that `make book` prints."""

from __future__ import annotations

import functools
import inspect
import json
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil
from sphinx.application import Sphinx

QUIET = 0.125  # seconds of `pace` on the machine that the budgets were set on, with nothing else running
SAMPLE = 0.25  # seconds between two looks at the memory; one look takes some milliseconds


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


@dataclass(frozen=True)
class Memory:
    """Bytes that processes hold: `together` all of them, `alone` with one training at a time, in the kernel itself."""

    together: int = 0
    alone: int = 0


def held(process: psutil.Process, fresh: int) -> Memory:
    """What the descendants of `process` hold: what each has for itself, and once what they map in common.

    What they map in common are libraries and shared arrays. The largest such share stands for all of them: the system's
    proportional share (PSS) would depend on which other programs of the machine happen to use the same libraries.

    The children are the kernels, their children the workers of sweeps, as many as there are cores. Where there is one
    core, the kernel does a worker's work: it holds what the largest worker has beyond the `fresh` bytes that every
    process has for itself once it has imported the package and PyTorch.
    """
    private, workers, mapped = 0, [0], 0
    kernels = {child.pid for child in process.children()}
    for child in process.children(recursive=True):
        try:
            info = child.memory_info()
        except psutil.Error:  # it ended meanwhile
            continue
        shared = getattr(info, "shared", 0)  # told on Linux only; elsewhere libraries count in each process
        mapped = max(mapped, shared)
        if child.pid in kernels:
            private += info.rss - shared
        else:
            workers.append(info.rss - shared)
    return Memory(private + sum(workers) + mapped, private + max(0, max(workers) - fresh) + mapped)


@functools.cache
def fresh_import() -> int:
    """Bytes that a process has for itself when it has imported what a worker of a sweep imports."""
    program = (
        "import psutil; from autoencoders import sweeps; info = psutil.Process().memory_info(); "
        "print(info.rss - getattr(info, 'shared', 0))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return int(done.stdout)


class PeakMemory:
    """`with PeakMemory(fresh) as peak: ...` leaves in `peak.memory` the most that this process's descendants held."""

    def __init__(self, fresh: int, interval: float = SAMPLE):
        self.memory = Memory()
        self._fresh, self._interval = fresh, interval
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> PeakMemory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        process = psutil.Process()
        while not self._done.wait(self._interval):
            now = held(process, self._fresh)
            self.memory = Memory(max(self.memory.together, now.together), max(self.memory.alone, now.alone))


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

    With them stand how many times slower than a quiet machine this one was then, measured before and after, and the most
    memory that the page's kernel held, alone and with its worker processes.
    """
    from myst_nb.core.execute import cache

    execute = inspect.unwrap(cache.single_nb_execution)

    @functools.wraps(execute)
    def timed(notebook: Any, **options: Any) -> Any:
        paces = [pace(), pace()]
        with PeakMemory(fresh_import()) as peak:
            result = execute(notebook, record_timing=True, **options)
        paces += [pace(), pace()]
        path = _path(app)
        times = json.loads(path.read_text()) if path.exists() else {}
        slowdown = max(1.0, sum(paces) / len(paces) / QUIET)
        times[app.env.docname] = {
            "slowdown": round(slowdown, 2),
            "peak_memory_mb": round(peak.memory.alone / 1e6),
            "peak_memory_with_workers_mb": round(peak.memory.together / 1e6),
            "cells": cell_times(notebook),
        }
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
    """Write what this site's pages took beside the site, to `chapter-times.json`."""
    if error is None and _path(app).exists():
        times = json.loads(_path(app).read_text())
        pages = {name: times[name] for name in sorted(app.env.all_docs) if name in times}
        (Path(app.outdir).parent / "chapter-times.json").write_text(json.dumps(pages, indent=1))


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("builder-inited", record)
    app.connect("build-finished", write)
    return {"parallel_read_safe": False, "parallel_write_safe": True}
