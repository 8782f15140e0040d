"""A machine like Colab's, made here: an environment with what Colab has, in which notebooks are run from first to last."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
import venv
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

from teaching import notebooks

COLAB = Path(__file__).with_name("colab.txt")
LENT = ("torch", "torchvision")  # gigabytes, so lent by the environment that this runs in


class NotebookError(Exception):
    """A notebook stopped: its name, the cell and what Python said."""


def execute(root: Path, pages: list[str], *, full: bool = False) -> int:
    """Run the notebooks of `pages`, or all, with the package from its wheel; say how each went. Return 1 if one failed.

    Models are kept under `_build/fresh`, so that a run that was stopped goes on where it was.

    Raises:
        ValueError: there is no such page.
    """
    work = root / "_build" / "fresh"
    for name in ("environment", "wheel"):
        shutil.rmtree(work / name, ignore_errors=True)
    work.mkdir(parents=True, exist_ok=True)
    package = wheel(root, work / "wheel")
    written = notebooks.write(root, work, notebooks.Addresses.of(root), package.as_uri(), only_notebooks=True)
    known = {path.relative_to(work / "book").with_suffix("").as_posix(): path for path in written}
    if unknown := set(pages) - set(known):
        raise ValueError(f"no notebook {', '.join(sorted(unknown))}; the notebooks are {', '.join(known)}")
    print(f"An environment like Colab's is made in {work} ...", flush=True)
    python, failed = environment(work / "environment"), 0
    for number, page in enumerate(pages or known, start=1):
        begin, outcome = time.monotonic(), "ran"
        try:
            run(known[page], python, budget="full" if full else "smoke", cache=work / "models")
        except NotebookError as error:
            outcome, failed = f"FAILED\n{error}\n", failed + 1
        print(f"{number}/{len(pages or known)} {page}: {time.monotonic() - begin:.0f} s, {outcome}", flush=True)
    return int(failed > 0)


def wheel(root: Path, dest: Path) -> Path:
    """The package's wheel, built from the files in version control."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder)
        listed = subprocess.run(["git", "ls-files", "-z", "code"], cwd=root, capture_output=True, text=True, check=True)
        for name in listed.stdout.split("\0")[:-1]:  # a copy, so that building leaves nothing in the repository
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(root / name, source / name)
        build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir"]
        # The times of the files in it, so that the same package gives the same wheel: the earliest that a zip file can say.
        same = os.environ | {"SOURCE_DATE_EPOCH": "315532800"}
        subprocess.run([*build, str(dest), str(source / "code")], check=True, capture_output=True, env=same)
    return next(dest.glob("autoencoders-*.whl"))


def environment(folder: Path) -> Path:
    """Make a virtual environment of what `colab.txt` lists and PyTorch, in `folder`; return its Python.

    Raises:
        subprocess.CalledProcessError: pip could not install the list, for want of a network for instance.
    """
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    site = Path(sysconfig.get_path("purelib", vars={"base": str(folder), "platbase": str(folder)}))
    have = {_key(line.partition("==")[0]) for line in COLAB.read_text().splitlines() if "==" in line}
    lent = folder / "lent"
    lent.mkdir()
    for name in sorted(_needed(LENT) - have):
        for top in {file.parts[0] for file in metadata.files(name) or () if file.parts[0] != ".."}:
            target, link = Path(str(metadata.distribution(name).locate_file(top))), lent / top
            if top != "__pycache__" and not link.exists():
                link.symlink_to(target)
    (site / "lent.pth").write_text(f"{lent}\n")
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    subprocess.run([*pip, "--requirement", str(COLAB)], check=True, capture_output=True, text=True)
    return python


def _needed(names: tuple[str, ...]) -> set[str]:
    """The distributions that `names` need here, themselves included."""
    found, waiting = set[str](), [_key(name) for name in names]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        try:
            requires = metadata.requires(name) or []
        except metadata.PackageNotFoundError:  # for another platform
            continue
        found.add(name)
        waiting += [_key(re.split(r"[^\w.-]", need, maxsplit=1)[0]) for need in requires if "extra ==" not in need]
    return found


def _key(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name.strip()).lower()


def run(notebook: Path, python: Path, *, budget: str = "smoke", cache: Path, timeout: int = 1800) -> Any:
    """Execute a copy of `notebook` with `python`, in an empty folder; return it with its outputs.

    Raises:
        NotebookError: a cell failed or took longer than `timeout` seconds, or the kernel died.
    """
    found = nbformat.read(notebook, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(found, timeout=timeout, resources={"metadata": {"path": folder}}, kernel_name="python3")
        spec = client.create_kernel_manager().kernel_spec
        if spec is None:
            raise NotebookError("Jupyter knows no kernel called python3: install requirements.txt")
        spec.argv = [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        try:
            client.execute(env=_clean(cache, budget))
        except CellExecutionError as error:
            cell, trace = next(_failures(found))
            raise NotebookError(f"{notebook.name} stopped at\n\n{cell}\n\n{trace}") from error
        except (CellTimeoutError, DeadKernelError) as error:
            raise NotebookError(f"{notebook.name} stopped: {error}") from error
    return found


def _failures(notebook: Any) -> Iterator[tuple[str, str]]:
    """The source of each cell that failed, and what Python said, without its colors."""
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            if output.output_type == "error":
                yield cell.source, re.sub(r"\x1b\[[\d;]*m", "", "\n".join(output.traceback))


def _clean(cache: Path, budget: str) -> dict[str, str]:
    """The environment's variables, less those that would lead back to this machine's Python."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("AE_", "PYTHON", "VIRTUAL_ENV"))}
    here = {"AE_JOBS": "1"} if budget == "smoke" else {}  # more processes take longer to start than three steps last
    return {**kept, **here, "AE_BUDGET": budget, "AE_CACHE": str(cache), "PYDEVD_DISABLE_FILE_VALIDATION": "1"}
