"""Pages are executed two at a time, each in a process of its own, while Sphinx reads them one after the other.

Most cells keep one core busy. A build that waits for each page leaves the other core idle most of the time.
"""

from __future__ import annotations

import functools
import inspect
import multiprocessing
import os
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import times
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

PAGES = min(2, os.cpu_count() or 1)


def execute(notebook: Any, options: dict[str, Any]) -> dict[str, Any]:
    """Execute a page in this process, and say what came of it in plain values, which travel between processes."""
    from jupyter_cache.executors.utils import single_nb_execution

    with times.Meter(times.fresh_import()) as meter:
        result = inspect.unwrap(single_nb_execution)(notebook, record_timing=True, **options)
    costs = {
        "peak_memory_mb": round(meter.memory.alone / 1e6),
        "peak_memory_with_workers_mb": round(meter.memory.together / 1e6),
        "cells": times.cell_times(notebook, meter),
    }
    for cell in notebook.cells:  # the cache finds a notebook by its cells and their metadata: no times in there
        cell.metadata.pop("execution", None)
    error = result.err and (type(result.err).__name__, {**vars(result.err)} or {"traceback": str(result.err)})
    return dict(notebook=notebook, seconds=result.time, error=error, said=result.exc_string, costs=costs)


def by_part(pages: list[str], book: list[str]) -> list[str]:
    """The pages, parts (folders) in the book's order: a page trains what is new, and loads what an earlier part trained."""

    def part(page: str) -> str:
        return page.rpartition("/")[0]

    parts = list(dict.fromkeys(map(part, [*book, *pages])))
    return sorted(pages, key=lambda page: (parts.index(part(page)), page))


class Ahead:
    """The executions under way, by the code of their pages."""

    def __init__(self) -> None:
        # Spawned, not forked: Sphinx has threads.
        self.pool = ProcessPoolExecutor(PAGES, mp_context=multiprocessing.get_context("spawn"))
        self.running: dict[tuple[str, ...], Future[dict[str, Any]]] = {}

    def start(self, app: Sphinx, env: BuildEnvironment, docnames: list[str]) -> None:
        """Begin with every page that is about to be read and is not in the execution cache."""
        from jupyter_cache import get_cache
        from myst_nb.core.read import create_nb_reader

        config: Any = env.mystnb_config  # type: ignore[attr-defined]
        if config.execution_mode != "cache":
            return
        cache = get_cache(config.execution_cache_path or ".jupyter_cache")
        for name in by_part(docnames, list(app.config.external_site_map)):
            path = Path(env.doc2path(name))
            reader = create_nb_reader(str(path), env.myst_config, config, path.read_text(encoding="utf-8"))  # type: ignore[attr-defined]
            notebook = reader and reader.read(path.read_text(encoding="utf-8"))
            if not notebook or not _code(notebook):
                continue
            with suppress(KeyError):
                cache.match_cache_notebook(notebook)
                continue
            options = dict(
                cwd=str(path.parent.resolve()),
                timeout=config.execution_timeout,
                allow_errors=config.execution_allow_errors,
                meta_override=True,
            )
            self.running[_code(notebook)] = self.pool.submit(execute, notebook, options)

    def finish(self, app: Sphinx, notebook: Any, options: dict[str, Any]) -> Any:
        """Wait for the page's execution, or execute it now, and put the outputs into its notebook."""
        from jupyter_cache.executors.utils import ExecutionResult
        from nbclient.exceptions import CellExecutionError, CellTimeoutError

        future = self.running.pop(_code(notebook), None) or self.pool.submit(execute, notebook, options)
        done = future.result()
        notebook.cells, notebook.metadata = done["notebook"].cells, done["notebook"].metadata
        times.keep(app, done["costs"])
        error = None
        if done["error"]:
            name, values = done["error"]
            is_cell = name == "CellExecutionError"
            error = CellExecutionError(**values) if is_cell else CellTimeoutError(values["traceback"])
        return ExecutionResult(notebook, options["cwd"], done["seconds"], error, done["said"])

    def end(self, app: Sphinx, exception: Exception | None) -> None:
        self.pool.shutdown(wait=exception is None, cancel_futures=True)


def _code(notebook: Any) -> tuple[str, ...]:
    return tuple(cell.source for cell in notebook.cells if cell.cell_type == "code")


def setup(app: Sphinx) -> dict[str, Any]:
    from myst_nb.core.execute import cache

    ahead = Ahead()
    original = inspect.unwrap(cache.single_nb_execution)

    @functools.wraps(original)
    def replaced(notebook: Any, **options: Any) -> Any:
        return ahead.finish(app, notebook, options)

    cache.single_nb_execution = replaced
    app.connect("env-before-read-docs", ahead.start, priority=900)  # after all that prepares the reading
    app.connect("build-finished", ahead.end)
    return {"parallel_read_safe": False, "parallel_write_safe": True}
