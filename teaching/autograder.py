"""An assignment's tests as files that otter-grader reads, and the zip for Gradescope that it makes of them."""

from __future__ import annotations

import ast
import importlib.util
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from teaching import fresh
from teaching.questions import Assignment, Question

# Where PyTorch's builds without CUDA are: by default pip takes those with it, gigabytes that Gradescope has no use for.
CPU = "--extra-index-url https://download.pytorch.org/whl/cpu"
ON_GRADESCOPE = "/autograder/source/files"
EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time that a zip file can say
NOT_NEEDED = ("uv==", "otter-grader==")  # the first installs Binders; the second otter adds itself, with its extras
PROGRAMS = ("run_autograder", "setup.sh")
PUBLIC = '''\
"""The public tests of `{label}`: call one with your function, `{call}`. Others are run after you have handed in."""

'''


def require() -> None:
    """Nothing, where otter-grader is there.

    Raises:
        ValueError: it is not installed.
    """
    if importlib.util.find_spec("otter") is None:
        raise ValueError(
            "autograder.zip is made by otter-grader, which is not installed: `make assignment` installs it, "
            "and so does pip install --no-deps -r teaching/requirements.txt"
        )


def functions(source: str) -> dict[str, list[str]]:
    """The test functions that a cell defines, each with the names that it asks for."""
    return {
        node.name: [arg.arg for arg in node.args.args[: len(node.args.args) - len(node.args.defaults)]]
        for node in ast.parse(source).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


def public_files(assignment: Assignment) -> dict[str, str]:
    """The public tests, one module for each coding question, with the imports they need."""
    found = {}
    for question in assignment.questions:
        tests = [test.source.strip("\n") for test in question.tests if not test.hidden]
        if tests:
            name, parameters = next(iter(functions(tests[0]).items()))
            head = PUBLIC.format(label=question.label, call=f"{name}({', '.join(parameters)})")
            source = "\n\n\n".join([*(cell.strip("\n") for cell in assignment.setup), *tests])
            found[f"{question.label.replace('-', '_')}.py"] = f"{head}{source}\n"
    return found


def test_files(assignment: Assignment) -> dict[str, str]:
    """What otter reads: for each coding question that carries points a module with all its tests.

    Raises:
        ValueError: two test cells of one question, or two answers, define one name: otter runs the tests after the whole
            notebook, when the second has replaced the first.
    """
    answers: dict[str, str] = {}
    for question in assignment.questions:
        for name in (name for node in ast.parse(question.solution).body for name in _names(node)):
            if name in answers:
                raise ValueError(
                    f"{answers[name]} and {question.label} both define `{name}`: give them different names"
                )
            answers[name] = question.label
    asked = [question for question in assignment.questions if question.tests and not question.self_check]
    return {f"{question.label}.py": _test_file(question, assignment.setup) for question in asked}


def _test_file(question: Question, setup: tuple[str, ...]) -> str:
    defined: dict[str, str] = {}
    cases = []
    for number, test in enumerate(question.tests, start=1):
        for node in ast.parse(test.source).body:
            for name in _names(node):
                if name in defined:
                    raise ValueError(f"two test cells of {question.label} define `{name}`: give them different names")
                defined[name] = test.name
        found, case = functions(test.source), test.name
        lines = [test.source.strip("\n"), ""]
        if len(found) > 1:  # the cell's points are for all of them
            case = f"cell_{number}"
            parameters = ", ".join(dict.fromkeys(name for names in found.values() for name in names))
            calls = [f"    {name}({', '.join(names)})" for name, names in found.items()]
            lines += ["", f"def {case}({parameters}):", *calls, ""]
        # Strings as Python writes them: a quotation mark in a message ends no string of the file.
        told = f", failure_message={test.failure_message!r}" if test.failure_message else ""
        lines += [
            "",
            f"{case} = test_case(name={test.name!r}, points={test.points}, hidden={test.hidden}{told})({case})",
        ]
        cases.append("\n".join(lines))
    # Last what otter looks for, so that no name of a setup cell takes its place.
    ends = f"OK_FORMAT = False\nname = {question.label!r}\npoints = {question.points}\n"
    return "\n\n".join([*setup, "from otter.test_files import test_case", *cases, ends])


def _names(node: ast.stmt) -> list[str]:
    """What a statement of a module defines, as far as that is plain to see."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else ()
    return [part.id for target in targets for part in ast.walk(target) if isinstance(part, ast.Name)]


def python_version(root: Path) -> str:
    """The Python that a Binder has, and so Gradescope: the versions below are known to be there for it."""
    return (root / "binder" / "runtime.txt").read_text(encoding="utf-8").strip().removeprefix("python-")


def requirements(root: Path, package: str) -> list[str]:
    """What the grader's environment is built from: pinned versions, a PyTorch without CUDA, and the package's wheel."""
    lines = [CPU]
    for path in ("binder/torch.txt", "binder/requirements.txt", "teaching/requirements.txt"):
        text = (root / path).read_text(encoding="utf-8")
        lines += [line for line in text.splitlines() if line and not line.startswith(("#", *NOT_NEEDED))]
    return [*lines, f"{ON_GRADESCOPE}/{package}"]


def build(root: Path, assignment: Assignment, dest: Path) -> None:
    """Have otter-grader write the zip for Gradescope to `dest`. The same assignment gives the same bytes.

    Raises:
        ValueError: otter-grader is missing or refuses, or as `test_files`.
    """
    require()
    with tempfile.TemporaryDirectory() as folder:
        work, made = Path(folder), Path(folder) / "autograder.zip"
        (work / "tests").mkdir()
        for name, source in test_files(assignment).items():
            (work / "tests" / name).write_text(source, encoding="utf-8")
        wheel = shutil.copy(fresh.wheel(root, work / "wheel"), work)
        wanted = "\n".join(requirements(root, Path(wheel).name))
        (work / "requirements.txt").write_text(f"{wanted}\n", encoding="utf-8")
        command = [sys.executable, "-m", "otter", "generate", "--tests-dir", "tests", "--output-path", made.name]
        command += ["--requirements", "requirements.txt", "--python-version", python_version(root)]
        command += ["--no-config", "--no-environment", Path(wheel).name]
        done = subprocess.run(command, cwd=work, capture_output=True, text=True, check=False)
        if done.returncode or not made.is_file():
            raise ValueError(f"otter-grader made no autograder.zip:\n{(done.stdout + done.stderr).strip()}")
        _pack_again(made, dest)


def _pack_again(made: Path, dest: Path) -> None:
    """The same files in the order of their names, without the time of day."""
    with zipfile.ZipFile(made) as source, zipfile.ZipFile(dest, "w", zipfile.ZIP_DEFLATED) as target:
        for name in sorted(source.namelist()):
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3  # Unix, whose permissions follow
            entry.external_attr = (0o755 if name in PROGRAMS else 0o644) << 16
            target.writestr(entry, source.read(name))
