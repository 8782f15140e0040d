"""The repository: import order, forbidden constructs, names that do not belong in it."""

import subprocess
import sys
from pathlib import Path

import checkers
import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "code" / "autoencoders"
# A module imports only from those before it.
ORDER = """
files distributions sprites patches data latents networks codebooks quantizers reading_order transformer autoregressive
vqvae models estimators total_correlation objectives priors collapse informativeness disentanglement runs judge
evaluation samples rates loops training factor_vae recordings recipe prior_recipe recipes sweeps downstream populations figures
export views exhibits stories planes squares codebook_views factor_views code_views map_views metric_views representation_views
demonstrations in_page panel widgets checks claim_list claims __main__
""".split()  # noqa: SIM905
MODULES = sorted(path.stem for path in PACKAGE.glob("*.py") if path.stem != "__init__")


def tracked() -> list[Path]:
    """The files that belong to the repository: tracked, or new and not ignored."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return [ROOT / name for name in names if (ROOT / name).is_file()]


@pytest.mark.parametrize("module", MODULES)
def test_imports_go_one_way(module):
    assert module in ORDER, f"give `{module}` its place in ORDER"
    source = (PACKAGE / f"{module}.py").read_text(encoding="utf-8")
    assert checkers.imports_up(source, module, ORDER) == []


@pytest.mark.parametrize("module", [*MODULES, "__init__"])
def test_module_is_short_and_without_banned_constructs(module):
    source = (PACKAGE / f"{module}.py").read_text(encoding="utf-8")
    assert len(source.splitlines()) <= 320
    assert checkers.banned_code(source) == []


def test_standard_library_code_module_is_not_shadowed():
    assert not (ROOT / "code" / "__init__.py").exists()
    subprocess.run([sys.executable, "-c", "import code; code.InteractiveConsole"], cwd=ROOT, check=True)


def test_no_machine_or_registry_is_named():
    found = {}
    for path in tracked():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        if faults := checkers.machine_names(text):
            found[path.relative_to(ROOT).as_posix()] = faults
    assert found == {}


def test_no_generated_file_is_tracked():
    generated = (".ipynb", ".pyc", ".html", ".safetensors")
    assert [path for path in tracked() if path.suffix in generated or "_build" in path.parts] == []


def test_lint_and_format():
    for arguments in (["format", "--check"], ["check"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *arguments, "."], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
