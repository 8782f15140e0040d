"""Assignments: students get the exercises and nothing else, points are the same everywhere, and otter-grader agrees."""

import csv
import dataclasses
import importlib.util
import io
import json
import os
import re
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import nbformat
import pytest
from packaging.requirements import Requirement

from teaching import __main__ as command
from teaching import assignments, autograder, editions, exercises, markdown, notebooks, numbering, questions, rubrics
from teaching.source import SPAN

ROOT = Path(__file__).resolve().parents[2]
os.environ.setdefault("MPLBACKEND", "Agg")
PAGES = sorted({exercise.path.removeprefix("book/").removesuffix(".md") for exercise in exercises.find(ROOT)})
PAGE = "vqvae/collapse"  # the one that otter-grader is asked to grade
PACKAGE = "git+https://example.org/book@notebooks#subdirectory=code"
otter = pytest.mark.skipif(
    importlib.util.find_spec("otter") is None,
    reason="otter-grader is not installed: make test and make assignment do it (teaching/requirements.txt)",
)


@pytest.fixture(scope="module")
def book() -> markdown.Book:
    return markdown.Book(ROOT, numbering.of_book(ROOT), "https://example.org/book")


@pytest.fixture(params=PAGES)
def assignment(request) -> questions.Assignment:
    return assignments.read(ROOT, request.param)


def hidden(assignment: questions.Assignment) -> list[str]:
    return [name for q in assignment.questions for t in q.tests if t.hidden for name in autograder.functions(t.source)]


def answers(notebook) -> dict[str, str]:
    """The answer cells by their question."""
    cells = [cell for cell in notebook.cells if "answer" in cell.metadata.get("tags", ())]
    return {cell.metadata["autoencoders"]["question"]: cell.source for cell in cells}


def test_students_get_the_exercises_and_nothing_else(assignment, book):
    notebook = assignments.student(assignment, book, PACKAGE)
    nbformat.validate(notebook)
    text = nbformat.writes(notebook)
    assert text == nbformat.writes(assignments.student(assignment, book, PACKAGE))
    expected = {q.label: q.stub.strip("\n") if q.is_coding else assignments.WRITTEN for q in assignment.questions}
    assert list(answers(notebook).items()) == list(expected.items())
    assert notebook.cells[1].source == notebooks.first_cell(PACKAGE) and PACKAGE in notebook.cells[1].source
    assert [c.source for c in notebook.cells if "setup" in c.metadata.get("tags", ())] == list(assignment.setup)
    assert len({cell.id for cell in notebook.cells}) == len(notebook.cells)
    for secret in (
        editions.BEGIN,
        editions.END,
        "hidden-test",
        "otter",
        "all tests passed",
        "Rubric",
        *hidden(assignment),
    ):
        assert secret not in text
    seen = [cell.source for cell in notebook.cells if "test" in cell.metadata.get("tags", ())]
    asked = [test for question in assignment.questions for test in question.tests if not test.hidden]
    assert len(seen) == len(asked)
    for source, test in zip(seen, asked, strict=True):
        assert test.source in source and source.endswith(assignments.PASSED)
        for name, parameters in autograder.functions(test.source).items():
            assert f"\n{name}({', '.join(parameters)})\n" in source
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            assert [found[0] for found in SPAN.finditer(cell.source) if found["role"] or found["lone"]] == []
            assert not re.search(r"^(```\{|:::|:\w+:)", cell.source, re.M)


def test_points_are_the_same_in_notebook_json_rubric_and_otters_tests(assignment, book):
    by_tests, by_hand = rubrics.points(assignment)
    told = assignments.student(assignment, book, PACKAGE).cells
    assert f"{by_tests} by tests, {by_hand} marked by hand." in told[0].source
    said = [
        int(n)
        for cell in told
        for n in re.findall(r"^\*(?:.* Also )?(\d+) points?, marked by hand\.\*$", cell.source, re.M)
    ]
    assert sum(said) == by_hand
    assert sum(int(n) for cell in told for n in re.findall(r"^\*(\d+) points?: ", cell.source, re.M)) == by_tests
    asked = [question for question in json.loads(assignment.to_json())["questions"] if not question["self_check"]]
    assert sum(test["points"] for question in asked for test in question["tests"]) == by_tests
    assert sum(line["points"] for question in asked for line in question["rubric"]) == by_hand
    rows = list(csv.DictReader(io.StringIO(rubrics.table(assignment))))
    assert sum(int(row["points"]) for row in rows if row["kind"] != rubrics.BY_HAND) == by_tests
    assert sum(int(row["points"]) for row in rows if row["kind"] == rubrics.BY_HAND) == by_hand
    lines = re.findall(r"^- \((\d+)\) ", rubrics.text(assignment), re.M)
    assert sum(map(int, lines)) == by_tests + by_hand
    assert not any(found["role"] for found in SPAN.finditer(rubrics.text(assignment)))
    sources = autograder.test_files(assignment)
    assert (
        sum(int(n) for text in sources.values() for n in re.findall(r"test_case\(name=.*? points=(\d+)", text, re.S))
        == by_tests
    )
    assert f"{by_tests} by tests and {by_hand} by hand, {by_tests + by_hand} in all" in rubrics.notes(
        assignment, "3.12", ""
    )


def test_the_answer_key_passes_all_tests(assignment, book):
    notebook = assignments.answer_key(assignment, book, PACKAGE)
    nbformat.validate(notebook)
    given = answers(notebook)
    assert len({cell.id for cell in notebook.cells}) == len(notebook.cells)
    text = nbformat.writes(notebook)
    assert editions.BEGIN not in text and all(name in text for name in hidden(assignment))
    path = f"book/{assignment.page}.md"
    for exercise in exercises.find_in((ROOT / path).read_text(encoding="utf-8"), path):
        assert given[exercise.label]
        if exercise.answer:
            names = exercises.namespace(exercise, given[exercise.label])
            for test in exercises.test_functions((*exercise.tests, *exercise.hidden_tests), names).values():
                test()


@otter
def test_otter_gives_the_answer_key_all_points_of_every_question(assignment, book):
    from otter.test_files import ExceptionTestFile

    given = answers(assignments.answer_key(assignment, book, PACKAGE))
    setup = {"__name__": "__main__"}
    for source in assignment.setup:
        exec(source, setup)
    for name, source in autograder.test_files(assignment).items():
        question = next(q for q in assignment.questions if f"{q.label}.py" == name)
        names = dict(setup)
        exec(given[question.label], names)
        file = ExceptionTestFile.from_string(source, name)
        file.run(names)
        assert (file.name, file.score, file.possible) == (question.label, question.points, question.points), (
            file.summary()
        )
        assert [case.hidden for case in file.test_cases] == [test.hidden for test in question.tests]
        assert [case.failure_message or "" for case in file.test_cases] == [t.failure_message for t in question.tests]


def test_public_tests_are_modules_that_run_on_their_own():
    assignment = assignments.read(ROOT, PAGE)
    files = autograder.public_files(assignment)
    coding = [question for question in assignment.questions if question.is_coding]
    assert list(files) == [f"{question.label.replace('-', '_')}.py" for question in coding]
    for question, source in zip(coding, files.values(), strict=True):
        names: dict = {}
        exec(source, names)
        assert not any(name in source for name in hidden(assignment))
        assert {name for name in names if name.startswith("test_")} == {t.name for t in question.tests if not t.hidden}


def test_only_some_exercises():
    chosen = ["ex-reparameterization-loss", "ex-reparameterization-draw"]
    assignment = assignments.read(ROOT, "vae/reparameterization", chosen)
    assert [question.label for question in assignment.questions] == chosen[::-1]
    assert list(autograder.test_files(assignment)) == [f"{label}.py" for label in chosen[::-1]]


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["vae/reparametrization"], "there is no page 'vae/reparametrization'; did you mean vae/reparameterization"),
        (["reparameterization"], "did you mean vae/reparameterization"),
        (["zzz"], "there is no page 'zzz'\n"),
        (["welcome"], "the page 'welcome' has no exercise"),
        (["vae/reparameterization", "--only", "ex-reparameterization-drw"], "did you mean ex-reparameterization-draw"),
        (["vae/reparameterization", "--only", "ex-linear-pca"], "it has ex-reparameterization-blanks, "),
    ],
)
def test_what_is_not_there_is_said_with_what_is(arguments, said, tmp_path, capsys):
    assert command.main(["assignment", *arguments, "--dest", str(tmp_path / "made")]) == 1
    assert said in capsys.readouterr().err and not (tmp_path / "made").exists()


def test_a_folder_made_again_keeps_what_is_not_of_the_assignment(tmp_path):
    for only in ((), ("ex-reparameterization-draw",)):
        folder = assignments.write(ROOT, "vae/reparameterization", tmp_path, only=only, with_autograder=False)
        (folder / "submissions").mkdir(exist_ok=True)
    found = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))
    made = "answer-key.ipynb assignment.json notes.md reparameterization.ipynb rubric.csv rubric.md submissions"
    assert found == sorted([*made.split(), "public_tests", "public_tests/ex_reparameterization_draw.py"])
    text = (folder / "assignment.json").read_text(encoding="utf-8")
    assert questions.Assignment.from_json(text) == assignments.read(ROOT, "vae/reparameterization", only)
    for name in re.findall(r"^\| `([^`]+)`", (folder / "notes.md").read_text(encoding="utf-8").split("## ")[0], re.M):
        assert (folder / name).exists() or name == "autograder.zip"


def test_an_assignment_without_tests_has_no_autograder_and_needs_no_otter(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    folder = assignments.write(ROOT, "vae/elbo", tmp_path, only=["ex-elbo-rewrite"])
    assert not (folder / "autograder.zip").exists() and not (folder / "public_tests").exists()
    assert "autograder" not in (folder / "notes.md").read_text(encoding="utf-8")
    with pytest.raises(ValueError, match="`make assignment` installs it"):
        assignments.write(ROOT, "vae/elbo", tmp_path / "coding")
    assert not (tmp_path / "coding").exists()


def test_a_leak_into_the_students_notebook_is_refused(book):
    assignment = assignments.read(ROOT, "vae/reparameterization")
    question = next(question for question in assignment.questions if question.is_coding)
    secret = next(test for test in question.tests if test.hidden)
    assignments.assert_clean("nothing", assignment, "")
    for leak in (secret.name, secret.failure_message, "sigma = (log_var / 2).exp()", editions.BEGIN, "hidden-test"):
        with pytest.raises(ValueError, match="would be given to students"):
            assignments.assert_clean(f"... {leak} ...", assignment, "")
    leaking = dataclasses.replace(assignment, setup=("# BEGIN SOLUTION",))
    with pytest.raises(ValueError, match="would be given to students"):
        assignments.student(leaking, book, "")


def test_tests_that_would_replace_one_another_are_refused():
    test = questions.Test("test_a", "def helper(): ...\n\n\ndef test_a(f): ...", 1, False)
    question = questions.Question("ex-a", "A", False, "", "def f(): ...", "", tests=(test, test))
    assignment = questions.Assignment("a", "A", (), (question,))
    with pytest.raises(ValueError, match="two test cells of ex-a define `helper`"):
        autograder.test_files(assignment)
    single = dataclasses.replace(question, tests=(test,))
    assignment = dataclasses.replace(assignment, questions=(single, dataclasses.replace(single, label="ex-b")))
    with pytest.raises(ValueError, match="ex-a and ex-b both define `f`"):
        autograder.test_files(assignment)


@otter
def test_otter_reads_any_message_and_gives_a_cells_points_for_all_its_tests():
    from otter.test_files import ExceptionTestFile

    message = 'say "no", \'never\' \\ {x} and\n"""'
    source = "def test_a(f):\n    assert f(1) == 1\n\n\ndef test_b(f, g):\n    assert f(2) == g"
    test = questions.Test("test_a", source, 3, True, message)
    question = questions.Question("ex-a", "A", False, "", "def f(x): ...", "", tests=(test,))
    [text] = autograder.test_files(
        questions.Assignment("a", "A", ("name = points = 'of the setup'",), (question,))
    ).values()
    for f, g, score in ((lambda x: x, 2, 3), (lambda x: x, 3, 0), (lambda x: 2, 2, 0), (None, None, 0)):
        file = ExceptionTestFile.from_string(text, "ex-a.py")
        file.run({"f": f, "g": g})
        assert (file.score, file.possible) == (score, 3)
        assert [(case.hidden, case.failure_message) for case in file.test_cases] == [(True, message)]


@otter
def test_gradescopes_zip_gives_the_key_all_points_and_half_a_notebook_its_half(tmp_path):
    folder = assignments.write(ROOT, PAGE, tmp_path / "made")
    assignment = assignments.read(ROOT, PAGE)
    first, *rest = (question for question in assignment.questions if question.is_coding)
    half = nbformat.read(folder / "collapse.ipynb", 4)
    for cell in half.cells:
        if cell.metadata.get("autoencoders", {}).get("question") == first.label:
            cell["source"] = assignments.solution(first)
    nbformat.write(half, tmp_path / "half.ipynb")
    expected = {
        folder / "answer-key.ipynb": {question.label: question.points for question in (first, *rest)},
        tmp_path / "half.ipynb": {first.label: first.points} | {question.label: 0 for question in rest},
    }
    started = []
    for notebook in expected:
        out = tmp_path / notebook.stem
        out.mkdir()
        grade = [sys.executable, "-m", "otter", "run", "--autograder", str(folder / "autograder.zip"), "--no-logo"]
        started.append(
            (
                subprocess.Popen(
                    [*grade, "--output-dir", str(out), str(notebook)],
                    cwd=out,
                    env=os.environ | {"TMPDIR": str(tmp_path)},  # where it unpacks the tests, also the hidden ones
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                ),
                out,
                expected[notebook],
            )
        )
    autograder.build(ROOT, assignment, tmp_path / "again.zip")
    assert (tmp_path / "again.zip").read_bytes() == (folder / "autograder.zip").read_bytes()
    for process, out, scores in started:
        said, _ = process.communicate(timeout=300)
        assert process.returncode == 0, said
        results = json.loads((out / "results.json").read_text(encoding="utf-8"))["tests"]
        assert {test["name"]: test["score"] for test in results if "score" in test} == scores, said
        shown = json.dumps([test for test in results if test.get("visibility") != "hidden"])
        assert not any(name in shown for name in hidden(assignment))
    with zipfile.ZipFile(folder / "autograder.zip") as made:
        environment = made.read("environment.yml").decode()
        wheel = next(name for name in made.namelist() if name.endswith(".whl"))
    assert f"/autograder/source/{wheel}" in environment and "python=3.12" in environment
    assert environment.index("whl/cpu") < environment.index("torch==")


def pins(path: Path) -> dict[str, str]:
    lines = [line.partition("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines()]
    return {Requirement(line).name.lower(): str(Requirement(line).specifier) for line in lines if line}


def test_what_assignments_need_is_pinned_and_changes_nothing_of_the_book():
    own, root = pins(ROOT / "teaching" / "requirements.txt"), pins(ROOT / "requirements.txt")
    assert not set(own) & set(root) and "otter-grader" in own
    assert all(specifier.startswith("==") for specifier in own.values())


@otter
def test_nothing_that_otter_needs_is_missing_or_of_another_version():
    waiting, seen = ["otter-grader"], set()
    while waiting:
        name = waiting.pop()
        seen.add(name)
        for line in metadata.requires(name) or []:
            need = Requirement(line)
            if need.marker is None or need.marker.evaluate({"extra": ""}):
                assert need.specifier.contains(metadata.version(need.name), prereleases=True), f"{name} needs {line}"
                waiting += [need.name] if need.name not in seen else []


def test_make_passes_the_chapter_and_the_exercises_on():
    def said(*arguments: str) -> str:
        dry = ["make", "--dry-run", "assignment", *arguments]
        return subprocess.run(dry, cwd=ROOT, capture_output=True, text=True, check=True).stdout

    assert "-m teaching assignment vae/elbo\n" in re.sub(r" +\n", "\n", said("CHAPTER=vae/elbo"))
    assert "-m teaching assignment vae/elbo --only ex-a ex-b\n" in said("CHAPTER=vae/elbo", "ONLY=ex-a ex-b")
    assert "teaching/requirements.txt" in said("CHAPTER=vae/elbo", "VENV=elsewhere")
