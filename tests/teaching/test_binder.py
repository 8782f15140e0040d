"""What a Binder builds from `binder/`: the environment it finds there, its versions, and the check that ends the build."""

import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).resolve().parents[2]
BINDER = ROOT / "binder"
PYTHON = (BINDER / "runtime.txt").read_text(encoding="utf-8").strip().removeprefix("python-")


def requirements(path: Path) -> list[Requirement]:
    """The requirements of a file that hold for the Python of the Binder, on Linux."""
    lines = [line.partition("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines()]
    markers = {
        "python_full_version": f"{PYTHON}.0",
        "python_version": PYTHON,
        "sys_platform": "linux",
        "os_name": "posix",
    }
    found = [Requirement(line) for line in lines if line]
    return [each for each in found if each.marker is None or each.marker.evaluate(markers)]


def pins(path: Path) -> dict[str, str]:
    return {each.name.lower(): str(each.specifier) for each in requirements(path)}


@pytest.fixture
def tree(tmp_path) -> Path:
    """A copy of what the branch `notebooks` has besides its notebooks."""
    for folder in ("binder", "code"):
        ignored = shutil.ignore_patterns("__pycache__", "*.egg-info", "build", "dist")
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=ignored)
    return tmp_path


def test_repo2docker_finds_the_python_the_packages_and_the_scripts(tree):
    shown = subprocess.run(
        [sys.executable, "-m", "repo2docker", "--no-build", "--debug", "."],
        cwd=tree,
        capture_output=True,
        text=True,
    )
    said = shown.stdout + shown.stderr
    assert shown.returncode == 0, said
    assert f"Building conda environment for python={PYTHON}\n" in said
    assert "unsupported" not in said.lower() and "unspecified" not in said.lower()
    steps = [
        'RUN ${KERNEL_PYTHON_PREFIX}/bin/pip install --no-cache-dir -r "binder/requirements.txt"',
        "RUN ./binder/postBuild",
        'ENV R2D_ENTRYPOINT="${REPO_DIR}/binder/start"',
    ]
    assert [step for step in steps if step not in said] == []
    assert [said.index(step) for step in steps] == sorted(said.index(step) for step in steps)


def test_versions_are_those_of_the_lock():
    lock = pins(ROOT / "requirements.txt")
    named = pins(BINDER / "requirements.txt") | pins(BINDER / "torch.txt")
    assert named.pop("uv").startswith("==")  # no part of the book's own environment
    assert named == {name: lock[name] for name in named}


def test_torch_is_left_to_post_build_and_nothing_else_is_missing():
    project = tomllib.loads((ROOT / "code" / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needed = {Requirement(line).name for line in project["dependencies"]}
    torch = set(pins(BINDER / "torch.txt"))
    assert torch == {"torch", "torchvision"}
    assert set(pins(BINDER / "requirements.txt")) == needed - torch | {"uv"}


def test_the_package_accepts_these_versions_and_this_python():
    project = tomllib.loads((ROOT / "code" / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = pins(BINDER / "requirements.txt") | pins(BINDER / "torch.txt")
    for line in project["dependencies"]:
        asked = Requirement(line)
        assert named[asked.name].removeprefix("==") in asked.specifier
    assert f"{PYTHON}.0" in SpecifierSet(project["requires-python"])


UV = """#!{python}
import json, sys
with open({calls!r}, "a") as calls:
    calls.write(json.dumps(sys.argv[1:]) + "\\n")
"""


def build(tree: Path, python: str = "") -> tuple[subprocess.CompletedProcess, list[list[str]]]:
    """Run postBuild with this Python as the image's, or a script, and a `uv` that only notes how it is called."""
    prefix, calls = tree / "prefix", tree / "calls.jsonl"
    (prefix / "bin").mkdir(parents=True)
    programs = {
        "python": python or f'#!/bin/sh\nexec "{sys.executable}" "$@"\n',
        "uv": UV.format(python=sys.executable, calls=str(calls)),
    }
    for name, text in programs.items():
        (prefix / "bin" / name).write_text(text)
        (prefix / "bin" / name).chmod(0o755)
    environment = {key: value for key, value in os.environ.items() if not key.startswith("AE_")} | {
        "KERNEL_PYTHON_PREFIX": str(prefix),
        "PATH": f"{prefix / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "OMP_NUM_THREADS": "1",
        "HOME": str(tree / "home"),
        "XDG_CACHE_HOME": str(tree / "home" / "cache"),
    }
    done = subprocess.run(["binder/postBuild"], cwd=tree, env=environment, capture_output=True, text=True)
    return done, [json.loads(line) for line in calls.read_text().splitlines()]


def test_post_build_installs_torch_without_cuda_and_the_package_and_trains(tree):
    before = {path for path in tree.rglob("*") if "__pycache__" not in path.parts}
    done, calls = build(tree)
    assert done.returncode == 0, done.stderr
    python = str(tree / "prefix" / "bin" / "python")
    options = ["--python", python, "--no-cache", "--torch-backend=cpu", "--requirement", "binder/torch.txt"]
    assert calls == [["pip", "install", *options, "./code"]]
    assert "test MSE" in done.stdout
    new = {path for path in tree.rglob("*") if "__pycache__" not in path.parts} - before
    assert {path.relative_to(tree).parts[0] for path in new} <= {"prefix", "calls.jsonl", "home"}
    assert not [path for path in new if path.suffix == ".safetensors"]


def test_a_failing_check_fails_the_image(tree):
    done, _ = build(tree, python="#!/bin/sh\nexit 3\n")
    assert done.returncode == 3


def test_start_asks_for_one_training_at_a_time_and_starts_what_it_is_given(tree):
    environment = {key: value for key, value in os.environ.items() if key not in ("AE_JOBS", "OMP_NUM_THREADS")}
    command = [tree / "binder" / "start", "sh", "-c", 'echo "$AE_JOBS $OMP_NUM_THREADS $1"', "sh", "two words"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "1 1 two words\n"


def test_scripts_are_executable_in_the_repository():
    listed = subprocess.run(
        ["git", "ls-files", "--stage", "binder", ".github"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    modes = {line.split("\t")[1]: line.split()[0] for line in listed.splitlines()}
    scripts = {name for name in modes if name.endswith((".sh", "postBuild", "start"))}
    assert len(scripts) == 5
    assert {name: modes[name] for name in scripts if modes[name] != "100755"} == {}
