"""What every page took to execute, in seconds of two quiet cores and in memory: the table that `make book` prints."""

from __future__ import annotations

import functools
import json
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil
from sphinx.application import Sphinx

SAMPLE = 0.4  # seconds between two looks at the processes; one look takes some milliseconds


@dataclass(frozen=True)
class Memory:
    """Bytes that processes hold: `together` all of them, `alone` with one training at a time, in the kernel itself."""

    together: int = 0
    alone: int = 0


def held(family: list[psutil.Process], kernels: set[int], fresh: int) -> Memory:
    """What the processes of a `family` hold: what each has for itself, and once what they map in common.

    What they map in common are libraries and shared arrays. The largest such share stands for all of them: the system's
    proportional share (PSS) would depend on which other programs of the machine happen to use the same libraries.

    The others beside the `kernels` are the workers of sweeps, as many as there are cores. Where there is one
    core, the kernel does a worker's work: it holds what the largest worker has beyond the `fresh` bytes that every
    process has for itself once it has imported the package and PyTorch.
    """
    private, workers, mapped = 0, [0], 0
    for child in family:
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


class Meter:
    """`with Meter(fresh) as meter: ...` watches this process's descendants: `meter.memory` is the most that they held.

    The seconds of a cell are processor time, that of the kernel, and of its workers half, who on two cores work side by
    side: what other programs of the machine take away does not count.
    """

    def __init__(self, fresh: int, interval: float = SAMPLE):
        self.memory = Memory()
        self._fresh, self._interval = fresh, interval
        self._spent: dict[tuple[int, float], tuple[bool, float]] = {}
        self._clock, self._seconds = [time.time()], [0.0]
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Meter:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def seconds(self, begin: float, end: float) -> float:
        """What was spent between two times of `time.time()`."""
        import numpy as np

        first, last = np.interp([begin, end], self._clock, self._seconds)
        return float(last - first)

    def _watch(self) -> None:
        process = psutil.Process()
        while not self._done.wait(self._interval):
            family, kernels = process.children(recursive=True), set[int]()
            for child in family:
                with suppress(psutil.Error):
                    kernels |= {child.pid} if child.ppid() == process.pid else set()
            now = held(family, kernels, self._fresh)
            self.memory = Memory(max(self.memory.together, now.together), max(self.memory.alone, now.alone))
            for child in family:
                with suppress(psutil.Error):  # it ended meanwhile
                    spent = child.cpu_times()
                    self._spent[child.pid, child.create_time()] = (child.pid in kernels, spent.user + spent.system)
            self._clock.append(time.time())
            self._seconds.append(sum(spent if kernel else spent / 2 for kernel, spent in self._spent.values()))


def cell_times(notebook: Any, meter: Meter) -> list[dict[str, Any]]:
    """First line of code and seconds of each executed cell."""
    found = []
    for cell in notebook.cells:
        stamps = cell.get("metadata", {}).get("execution", {})
        if cell.cell_type == "code" and "iopub.execute_input" in stamps and "shell.execute_reply" in stamps:
            begin, end = (
                datetime.fromisoformat(stamps[k]).timestamp() for k in ("iopub.execute_input", "shell.execute_reply")
            )
            line = next((text for text in cell.source.splitlines() if text.strip()), "")
            found.append({"cell": line, "seconds": round(meter.seconds(begin, end), 3)})
    return found


def keep(app: Sphinx, costs: dict[str, Any]) -> None:
    """Leave what the page that is being read cost in `cell-times.json`, beside the execution cache."""
    path = _path(app)
    times = json.loads(path.read_text()) if path.exists() else {}
    times[app.env.docname] = costs
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(times, indent=1))


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
    app.connect("build-finished", write)
    return {"parallel_read_safe": False, "parallel_write_safe": True}
