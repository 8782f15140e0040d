"""The wheel stands on its own: outside the repository, without a network, it trains on the data it carries."""

import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest
import toc

from teaching import fresh

PROGRAM = """
import autoencoders
from autoencoders import data, recipes
print(autoencoders.__file__)
for name in ("digits", "emoji", "sprites", "patches"):
    assert len(data.load(name)) > 1000
model, history = recipes.get("mlp-digits-2").train(seed=0, progress=False)
print(history)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    return fresh.wheel(toc.ROOT, tmp_path_factory.mktemp("wheel"))


def test_the_wheel_carries_data_and_javascript_and_no_tools(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    for part in ("_data/digits.npz", "_data/emoji.npz", "_js/common.js", "_js/decoder.js", "py.typed", "training.py"):
        assert f"autoencoders/{part}" in names
    assert not [n for n in names if n.startswith("tools")]


def test_a_fresh_environment_trains_from_the_wheel_alone(wheel, tmp_path):
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    python = tmp_path / "venv" / "bin" / "python"
    paths = sysconfig.get_paths(vars={"base": str(tmp_path / "venv"), "platbase": str(tmp_path / "venv")})
    site = Path(paths["purelib"])
    # torch and its kin are lent by this environment; our package comes from the wheel, which stands before it.
    (site / "lent.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    zipfile.ZipFile(wheel).extractall(site)
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("AE_", "PYTHON"))} | {"AE_BUDGET": "smoke"}
    ran = subprocess.run([python, "-c", PROGRAM], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith(str(site))
    assert "History(1 epoch," in ran.stdout


def test_a_folder_called_autoencoders_does_not_hide_the_package(tmp_path):
    """Pages in `book/` run beside the folder `book/autoencoders`; it must not be taken for the package."""
    (tmp_path / "autoencoders").mkdir()
    ran = subprocess.run(
        [sys.executable, "-c", "import autoencoders; print(autoencoders.__file__)"],
        cwd=tmp_path,
        env={k: v for k, v in os.environ.items() if k != "PYTHONPATH"},
        capture_output=True,
        text=True,
    )
    assert ran.stdout.strip().endswith("__init__.py"), ran.stdout + ran.stderr
