"""Every notebook runs from its first cell to its last on a machine that has what Colab has, and nothing of ours."""

import hashlib
import inspect
import json
import re
import shutil
import sys
import zipfile
from pathlib import Path

import nbformat
import pytest
import toc
import torch
from filelock import FileLock
from nbformat.v4 import new_code_cell, new_notebook

from teaching import fresh, notebooks

CHAPTERS = [page for page in toc.PAGES if "```{code-cell}" in (toc.ROOT / f"{page}.md").read_text(encoding="utf-8")]
RECORDED = "book/vae/ablations"  # draws on recorded runs of digits
WORD = re.compile(r'^DATA(?P<more>, \w+)? = "(?P<name>\w+)"', re.M)
LACKING = notebooks.LACKING.split()
STATE = """\
import importlib.util, json, os, sys
from importlib.metadata import PackageNotFoundError, version
def known(name):
    try:
        return version(name)
    except PackageNotFoundError:
        return None
import torch
found = importlib.util.find_spec("autoencoders")
print(json.dumps({
    "versions": {name: known(name) for name in NAMES},
    "torch": [torch.__version__, os.path.realpath(torch.__file__), os.stat(torch.__file__).st_mtime],
    "package": found and found.origin, "prefix": sys.prefix, "folder": os.getcwd(), "files": os.listdir(),
    "path": sys.path,
}))""".replace("NAMES", repr(["autoencoders", "torch", "numpy", *LACKING]))


def run(folder: Path, python: Path, *sources: str, budget: str = "smoke", timeout: int = 600) -> str:
    """What cells of these sources print."""
    path = folder / "cells.ipynb"
    nbformat.write(new_notebook(cells=[new_code_cell(source) for source in sources]), path)
    done = fresh.run(path, python, budget=budget, cache=folder / "models", timeout=timeout)
    return "".join(output.get("text", "") for cell in done.cells for output in cell.outputs)


def state(folder: Path, python: Path) -> dict:
    return json.loads(run(folder, python, STATE).splitlines()[-1])


def digest(*contents: bytes) -> str:
    return hashlib.sha256(b"\0".join(contents)).hexdigest()[:16]


@pytest.fixture(scope="session")
def wheel(tmp_path_factory) -> Path:
    return fresh.wheel(toc.ROOT, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="session")
def machine(wheel, tmp_path_factory) -> dict:
    """A machine like Colab's, made once for all processes and runs, with what was seen while the package came to it.

    What is seen is kept beside the environment, under `_build/fresh`, and seen anew for another package or first cell.
    """
    with zipfile.ZipFile(wheel) as archive:
        package = digest(*(f"{item.filename} {item.CRC}".encode() for item in archive.infolist() if item.CRC))
    listed = digest(
        fresh.COLAB.read_bytes(), inspect.getsource(fresh).encode(), f"{sys.version}{torch.__version__}".encode()
    )
    folder = toc.ROOT / "_build" / "fresh" / f"test-{listed}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.parent / "test.lock"):
        for other in folder.parent.glob("test-*"):
            if other != folder or not (other / "made").exists():
                shutil.rmtree(other)
        python, seen = folder / "bin" / "python", folder / "seen.json"
        if not folder.exists():
            fresh.environment(folder)
            (folder / "made").touch()
        key = digest(package.encode(), notebooks.INSTALL.encode(), Path(__file__).read_bytes())
        if not seen.exists() or json.loads(seen.read_text())["key"] != key:
            seen.unlink(missing_ok=True)
            seen.write_text(json.dumps({"key": key, **arrival(python, wheel, tmp_path_factory.mktemp("arrival"))}))
        return {"python": python, **json.loads(seen.read_text())}


def arrival(python: Path, wheel: Path, folder: Path) -> dict:
    """The machine without the package, with it alone, and after the first cell of the notebooks."""
    remove = f"!{python} -m pip uninstall --quiet --yes autoencoders {notebooks.LACKING}"
    first = notebooks.INSTALL.format(package=wheel.as_uri(), lacking=notebooks.LACKING)
    alone = notebooks.INSTALL.format(package=wheel.as_uri(), lacking="")
    run(folder, python, remove)
    found = {"before": state(folder, python)}
    try:
        found["alone"] = run(folder, python, alone, "import autoencoders as ae", 'ae.data.load("digits")')
    except fresh.NotebookError as error:
        found["alone"] = str(error)
    run(folder, python, remove)
    run(folder, python, first)
    found["after"] = state(folder, python)
    found["again"] = run(folder, python, first)
    return found


@pytest.fixture(scope="session")
def written(wheel, tmp_path_factory) -> dict[str, Path]:
    """Every notebook, which installs this package's wheel."""
    dest = tmp_path_factory.mktemp("notebooks")
    paths = notebooks.write(toc.ROOT, dest, notebooks.Addresses(), wheel.as_uri(), only_notebooks=True)
    return {path.relative_to(dest).with_suffix("").as_posix(): path for path in paths}


def test_the_wheel_holds_the_files_in_version_control_and_building_it_leaves_none(tmp_path):
    before = sorted((toc.ROOT / "code").iterdir())
    made = fresh.wheel(toc.ROOT, tmp_path)
    assert made.parent == tmp_path and sorted((toc.ROOT / "code").iterdir()) == before
    with zipfile.ZipFile(made) as archive:
        for name in ("__init__.py", "data.py", "py.typed"):
            assert archive.read(f"autoencoders/{name}") == (toc.ROOT / "code" / "autoencoders" / name).read_bytes()
        assert any(name.endswith(".npz") for name in archive.namelist())


def test_before_its_first_notebook_the_machine_has_torch_and_nothing_of_the_book(machine):
    before = machine["before"]
    assert before["package"] is None
    assert [name for name in ("autoencoders", *LACKING) if before["versions"][name]] == []
    numpy = re.search(r"^numpy==(.*)$", fresh.COLAB.read_text(), re.M)
    assert numpy and before["versions"]["numpy"] == numpy[1]
    assert not [path for path in before["path"] if path.startswith(str(toc.ROOT / "code"))]


def test_the_package_alone_is_not_enough(machine):
    """So that a dependency which Colab lacks, and the first cell forgets, is found."""
    assert "ModuleNotFoundError" in machine["alone"] and "jaxtyping" in machine["alone"]


def test_the_first_cell_installs_the_wheel_and_leaves_torch_as_it_is(machine):
    before, after = machine["before"], machine["after"]
    assert all(after["versions"][name] for name in ("autoencoders", *LACKING))
    assert after["torch"] == before["torch"] and after["versions"]["torch"] == before["versions"]["torch"]
    assert after["versions"]["numpy"] == before["versions"]["numpy"]
    own = next(Path(after["prefix"]).glob("lib/python*/site-packages"))
    assert not [path.name for path in own.iterdir() if path.name.startswith(("torch", "nvidia", "triton"))]
    assert Path(after["package"]).is_relative_to(own)
    assert machine["again"] == "", "the second time there is nothing to do"


def test_the_package_that_notebooks_import_is_the_wheel_s(machine, wheel):
    installed = Path(machine["after"]["package"]).parent
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if name.startswith("autoencoders/")]
        assert len(names) > 30
        for name in names:
            assert (installed.parent / name).read_bytes() == archive.read(name), name


def test_notebooks_run_in_an_empty_folder_outside_the_repository(machine):
    folder = Path(machine["after"]["folder"])
    assert machine["after"]["files"] == [] and not folder.is_relative_to(toc.ROOT)
    assert not folder.exists(), "and it is gone afterwards"


def test_a_run_sees_its_budget_and_cache_and_no_other_setting_of_ours(machine, tmp_path, monkeypatch):
    monkeypatch.setenv("AE_DATA", "/nowhere")
    monkeypatch.setenv("PYTHONPATH", str(toc.ROOT / "code"))
    source = "import os; print({k: v for k, v in os.environ.items() if k.startswith(('AE_', 'PYTHONPATH'))})"
    said = run(tmp_path, machine["python"], source, budget="full")
    assert said.strip() == str({"AE_BUDGET": "full", "AE_CACHE": str(tmp_path / "models")})


def test_a_cell_that_fails_is_reported_with_notebook_and_cell(machine, tmp_path):
    with pytest.raises(fresh.NotebookError) as caught:
        run(tmp_path, machine["python"], "fine = 1", "fine + unknown  # here", "never = 1")
    said = str(caught.value)
    assert said.startswith("cells.ipynb stopped at\n\nfine + unknown  # here\n")
    assert "NameError: name 'unknown' is not defined" in said and "never = 1" not in said


@pytest.mark.parametrize(
    ("source", "said"),
    [("import os; os._exit(1)", "Kernel died"), ("import time; time.sleep(60)  # too long", "too long")],
)
def test_a_kernel_that_dies_or_takes_too_long_is_reported_too(machine, tmp_path, source, said):
    with pytest.raises(fresh.NotebookError, match=rf"(?s)^cells\.ipynb stopped: .*{said}"):
        run(tmp_path, machine["python"], source, timeout=10)


@pytest.mark.parametrize("page", CHAPTERS, ids=lambda page: page.removeprefix("book/"))
def test_a_notebook_runs_to_its_end(machine, written, tmp_path, page):
    done = fresh.run(written[page], machine["python"], cache=tmp_path)
    run_cells = [cell for cell in done.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in run_cells] == list(range(1, len(run_cells) + 1))
    assert any(cell.outputs for cell in run_cells)


def on_fashion(path: Path, before: str, folder: Path) -> Path:
    """The notebook with one word changed, and a cell in front of that word."""
    notebook = nbformat.read(path, as_version=4)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    word = WORD.search(cells[1].source)
    assert word and word["name"] == "digits" and not word["more"], "the word stands in the chapter's first cell"
    cells[1]["source"] = WORD.sub('DATA = "fashion"', cells[1].source, count=1)
    notebook.cells.insert(1, new_code_cell(before))
    changed = folder / path.name
    nbformat.write(notebook, changed)
    return changed


@pytest.mark.parametrize("page", [page for page in CHAPTERS if page.count("/") == 2 and page != RECORDED])
def test_the_first_cell_of_a_chapter_has_the_word_that_every_recipe_follows(written, page):
    cells = [c.source for c in nbformat.read(written[page], as_version=4).cells if c.cell_type == "code"]
    word = WORD.search(cells[1])
    assert word
    exercise = next((k for k, source in enumerate(cells) if "...  # your code here" in source), len(cells))
    body = "\n".join(cells[1:exercise])
    assert f'load("{word["name"]}")' not in body and f'data="{word["name"]}"' not in body
    alone = re.findall(r"recipes\.get\(([^,()]*)\)", body)
    of_others = {"digits", "patches", "emoji", "{DATA}"} - {word["name"]}
    assert not [name for name in alone if not any(other in name for other in of_others)], alone


@pytest.mark.parametrize("page", ["book/autoencoders/linear", "book/vae/elbo"])
def test_one_word_takes_a_chapter_to_another_data_set(machine, written, tmp_path, page):
    """Fashion-MNIST is not there; digits turned on their side, with the names of clothes, stand in for its files."""
    stand_in = """
import os
import autoencoders as ae, numpy as np
os.environ["AE_JOBS"] = "1"  # worker processes would look for the real files
pictures = (ae.data.load("digits").images.transpose(2, 3) * 255).round().byte().numpy()
labels = ae.data.load("digits").labels.numpy()
full = ae.files.Full(np.concatenate([pictures, pictures]), np.tile(labels, 2), source="stand-in", checksum="")
ae.files.read_fashion = lambda root, full=full: full
"""
    changed = nbformat.read(on_fashion(written[page], stand_in, tmp_path), as_version=4)
    changed.cells.append(new_code_cell("print(digits.name, len(digits), digits.class_names[0])"))
    nbformat.write(changed, tmp_path / "changed.ipynb")
    done = fresh.run(tmp_path / "changed.ipynb", machine["python"], cache=tmp_path)
    assert done.cells[-1].outputs[0].text == "fashion 20000 T-shirt/top\n"


def test_another_data_set_without_a_network_is_a_clear_error(machine, written, tmp_path, monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
        monkeypatch.setenv(name.upper(), "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    # Debian's package of these files, where it is installed
    away = "import autoencoders.files\nautoencoders.files._DEBIAN_FASHION = autoencoders.files.Path('/nowhere')"
    with pytest.raises(fresh.NotebookError) as caught:
        fresh.run(on_fashion(written["book/autoencoders/linear"], away, tmp_path), machine["python"], cache=tmp_path)
    said = str(caught.value)
    assert said.startswith("linear.ipynb stopped at")
    assert "ConnectionError: could not download train-images-idx3-ubyte.gz. Tried:\n  http" in said
    assert 'Without a network, the nearest bundled set is load("digits")' in said


def test_a_page_that_is_none_is_named_before_anything_is_made(tmp_path, monkeypatch):
    monkeypatch.setattr(fresh, "wheel", lambda root, dest: dest / "autoencoders-0.whl")
    monkeypatch.setattr(fresh.notebooks, "write", lambda root, work, *rest, **more: [work / "book" / "a" / "b.ipynb"])
    monkeypatch.setattr(fresh.notebooks.Addresses, "of", lambda root: notebooks.Addresses())
    monkeypatch.setattr(fresh, "environment", lambda folder: pytest.fail("no environment is needed"))
    with pytest.raises(ValueError, match="no notebook a/c; the notebooks are a/b"):
        fresh.execute(tmp_path, ["a/b", "a/c"])


def test_execute_runs_the_pages_asked_for_and_returns_1_if_one_failed(tmp_path, monkeypatch, capsys):
    ran = []

    def fake_run(notebook, python, *, budget, cache):
        ran.append((notebook.name, budget))
        assert cache == tmp_path / "_build" / "fresh" / "models"
        if notebook.name == "c.ipynb":
            raise fresh.NotebookError("c.ipynb stopped at\n\n1 / 0")

    pages = [tmp_path / "_build" / "fresh" / "book" / f"{name}.ipynb" for name in "abc"]
    monkeypatch.setattr(fresh, "wheel", lambda root, dest: dest / "autoencoders-0.whl")
    monkeypatch.setattr(fresh.notebooks, "write", lambda *rest, **more: pages)
    monkeypatch.setattr(fresh.notebooks.Addresses, "of", lambda root: notebooks.Addresses())
    monkeypatch.setattr(fresh, "environment", lambda folder: folder / "bin" / "python")
    monkeypatch.setattr(fresh, "run", fake_run)
    assert fresh.execute(tmp_path, ["b", "a"]) == 0
    assert fresh.execute(tmp_path, [], full=True) == 1
    assert ran == [("b.ipynb", "smoke"), ("a.ipynb", "smoke"), *((f"{name}.ipynb", "full") for name in "abc")]
    said = capsys.readouterr().out
    assert "1/2 b: " in said and "3/3 c: " in said and "FAILED\nc.ipynb stopped at\n\n1 / 0" in said
