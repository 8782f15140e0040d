"""A folder of right, wrong, half-right and hostile submissions gets the points it should, and nobody stops the grading."""

import csv
import io
import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import hostile
import pytest

from teaching import questions
from teaching.grading import grade, notebook, report, sandbox
from teaching.grading.sandbox import Limits
from teaching.questions import Assignment, Criterion, Question, Test

ROOT = Path(__file__).resolve().parents[2]
QUICK = Limits(cell=10.0, call=10.0, test=30.0, memory=1 << 30)

DOUBLE = Question(
    "ex-small-double",
    "Double",
    False,
    "def double(x):\n    ...  # your code",
    "def double(x):\n    return 2 * x",
    "",
    tests=(
        Test("test_shape", "def test_shape(double):\n    assert double(torch.ones(2)).shape == (2,)", 1, False),
        Test(
            "test_values",
            "def test_values(double):\n"
            "    x = torch.tensor([1.0, 3.0], requires_grad=True)\n"
            "    y = double(x)\n"
            "    assert torch.equal(y, torch.tensor([2.0, 6.0]))\n"
            "    y.sum().backward()\n"
            "    assert torch.allclose(x.grad, torch.full((2,), 2.0))",
            2,
            True,
            "Twice every entry.",
        ),
    ),
)
SCALE = Question(
    "ex-small-scale",
    "Scale",
    False,
    "class Scale(torch.nn.Module):\n    ...  # your code",
    "class Scale(torch.nn.Module):\n"
    "    def __init__(self, by):\n        super().__init__()\n        self.by = torch.nn.Parameter(torch.tensor(by))\n\n"
    "    def forward(self, x):\n        return self.by * x",
    "",
    tests=(
        Test(
            "test_module",
            "def test_module(Scale):\n"
            "    module = Scale(3.0)\n"
            "    assert torch.allclose(module(torch.ones(2)), torch.full((2,), 3.0))\n"
            "    assert len(list(module.parameters())) == 1",
            2,
            True,
        ),
    ),
)
WRITTEN = Question("ex-small-why", "Why", False, "", "", "Because.", rubric=(Criterion("says because", 2),))
SMALL = Assignment("small", "Small", ("import torch\nfrom torch import nn",), (DOUBLE, SCALE, WRITTEN))


def cell(source, label="", tags=()):
    metadata = {"tags": list(tags)} | ({"autoencoders": {"question": label}} if label else {})
    return {"cell_type": "code", "metadata": metadata, "source": source, "outputs": [], "execution_count": None}


def book(*cells):
    return json.dumps({"cells": list(cells), "metadata": {}, "nbformat": 4, "nbformat_minor": 5})


def answers(double=DOUBLE.solution, scale=SCALE.solution):
    return book(cell(double, DOUBLE.label, ["answer"]), cell(scale, SCALE.label, ["answer"]))


def write(folder, assignment):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "assignment.json").write_text(assignment.to_json(), encoding="utf-8")
    return folder


def graded(tmp_path, files, assignment=SMALL, **options):
    """The table's rows by submission, and what was said on the way."""
    folder, told = tmp_path / "submissions", io.StringIO()
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    out = tmp_path / "grades.csv"
    options = dict(limits=QUICK, progress=told) | options
    grade.run(folder, write(tmp_path / "assignment", assignment), out, **options)
    with out.open(encoding="utf-8", newline="") as file:
        return {row["submission"]: row for row in csv.DictReader(file)}, told.getvalue()


def points(row):
    return tuple(row[key] for key in (DOUBLE.label, SCALE.label, "automatic points"))


@pytest.mark.usefixtures("bubblewrap")
@pytest.mark.parametrize("part", range(2))
def test_no_hostile_answer_gains_a_point_or_stops_the_grading(tmp_path, part):
    """Every hostile answer stands in one submission, between right ones; its own question is all that it costs."""
    target = tmp_path / "assignment" / "assignment.json"
    hostile_ones = dict(sorted(hostile.CELLS.items())[part::2])
    contained = hostile.CONTAINED_CELLS if part else {}
    asked, given, right = [], [], []
    for question, cells in ((DOUBLE, hostile_ones), (SCALE, contained)):
        for name, source in cells.items():
            asked.append(replace(question, label=f"ex-{name}"))
            given.append(cell(source.replace("TARGET", str(target)), f"ex-{name}", ["answer"]))
            right.append(cell(question.solution, f"ex-{name}", ["answer"]))
    asked += [DOUBLE, SCALE]
    right += [cell(DOUBLE.solution, DOUBLE.label), cell(SCALE.solution, SCALE.label)]
    files = {"hostile.ipynb": book(*given, *right[-2:]), "right.ipynb": book(*right)}
    what = Assignment("hostile", "Hostile", SMALL.setup, tuple(asked))
    rows, _ = graded(tmp_path, files, what)
    row = rows["hostile.ipynb"]
    assert row["status"] == "graded"
    found = {name: row[f"ex-{name}"] for name in (*hostile_ones, *contained)}
    # Wrong values of the right shape pass the visible test, as in the notebook; no trick passes the hidden one.
    assert found == {name: hostile.EARNED.get(name, "0") for name in found}
    assert (row[DOUBLE.label], row[SCALE.label]) == ("3", "2"), row["reasons"]
    assert rows["right.ipynb"]["automatic points"] == rows["right.ipynb"]["of"], rows["right.ipynb"]["reasons"]
    assert target.read_text(encoding="utf-8") == what.to_json()
    assert [path.name for path in target.parent.iterdir()] == ["assignment.json"], "something got out"


@pytest.mark.usefixtures("bubblewrap")
def test_no_hostile_submission_stops_the_others(tmp_path):
    names = ("kills-the-parent", "exits-in-the-cell", "leaves-a-daemon")
    files = {f"{name}.ipynb": answers(hostile.CELLS[name], hostile.CELLS[name]) for name in names}
    rows, _ = graded(tmp_path, files | {"right.ipynb": answers()})
    assert {name: points(row) for name, row in rows.items()} == {
        "kills-the-parent.ipynb": ("1", "0", "1"),
        "exits-in-the-cell.ipynb": ("0", "0", "0"),
        "leaves-a-daemon.ipynb": ("0", "0", "0"),
        "right.ipynb": ("3", "2", "5"),
    }


@pytest.mark.usefixtures("bubblewrap")
def test_every_submission_gets_its_points(tmp_path):
    half = "def double(x):\n    return x.abs()"
    helper = cell("import math\n\ndef twice(x):\n    return 2 * x\n\nraise SystemExit")
    magic = "%matplotlib inline\n!ls\ndef double(x):\n    return 2 * x\n"
    used = book(helper, cell("def double(x):\n    return twice(x)", DOUBLE.label), cell(SCALE.solution, SCALE.label))
    (tmp_path / "submissions").mkdir()
    folder = tmp_path / "submissions"
    (folder / "link.ipynb").symlink_to("/etc/hostname")
    (folder / "dangling.ipynb").symlink_to(tmp_path / "nothing")
    (folder / "folder.ipynb").symlink_to("/etc")
    os.mkfifo(folder / "pipe.ipynb")
    (folder / "huge.ipynb").write_bytes(b" " * (notebook.LARGEST + 1))
    (folder / "binary.ipynb").write_bytes(bytes(range(256)))
    nested = cell("pass") | {"metadata": {"autoencoders": {"question": {}}, "tags": {"a": 1}}}
    page = {"output_type": "display_data", "data": {"text/html": "<script>alert(1)</script>"}, "metadata": {}}
    strange = [None, 3, [], {}, {"cell_type": []}, cell(5), cell(["a", 1]), cell("\ud800"), nested]
    strange += [cell("x = 1") | {"metadata": float("nan"), "outputs": [page]}, cell("1", "../../etc/passwd")]
    rows, _ = graded(
        tmp_path,
        {
            "right.ipynb": answers(),
            "wrong.ipynb": answers(hostile.WRONG, "class Scale(torch.nn.Module):\n    pass"),
            "half.ipynb": answers(half),
            "untouched.ipynb": answers(DOUBLE.stub, SCALE.stub),
            "helper.ipynb": used,
            "magic.ipynb": answers(magic),
            "deleted.ipynb": book(cell(SCALE.solution, SCALE.label)),
            "unmarked.ipynb": book(cell(DOUBLE.solution), cell("# mine\n" + SCALE.solution)),
            "copied.ipynb": book(
                cell(hostile.WRONG, DOUBLE.label), cell(DOUBLE.solution, DOUBLE.label), cell(DOUBLE.stub, DOUBLE.label)
            ),
            "swapped.ipynb": book(cell(SCALE.solution, DOUBLE.label), cell(DOUBLE.solution, SCALE.label)),
            "strange.ipynb": json.dumps({"cells": [*strange, cell(DOUBLE.solution, DOUBLE.label)]}),
            "empty.ipynb": "",
            "list.ipynb": "[]",
            "cells.ipynb": '{"cells": {"a": 1}}',
            "deep.ipynb": '{"cells": ' + "[" * 100_000 + "]" * 100_000 + "}",
            "essay.docx": "PK nonsense",
            "=1+1.ipynb": answers(),
        },
    )
    assert {name: points(row) for name, row in rows.items() if row["status"] == "graded"} == {
        "right.ipynb": ("3", "2", "5"),
        "wrong.ipynb": ("1", "0", "1"),
        "half.ipynb": ("1", "2", "3"),
        "untouched.ipynb": ("0", "0", "0"),
        "helper.ipynb": ("3", "2", "5"),
        "magic.ipynb": ("3", "2", "5"),
        "deleted.ipynb": ("0", "2", "2"),
        "unmarked.ipynb": ("3", "2", "5"),
        "copied.ipynb": ("3", "0", "3"),
        "swapped.ipynb": ("3", "2", "5"),
        "strange.ipynb": ("3", "0", "3"),
        "'=1+1.ipynb": ("3", "2", "5"),
    }
    blank = {name: row["status"] for name, row in rows.items() if row["status"] != "graded"}
    assert blank == {
        "link.ipynb": "not graded: a symbolic link",
        "dangling.ipynb": "not graded: a symbolic link",
        "folder.ipynb": "not graded: a symbolic link",
        "pipe.ipynb": "not graded: no regular file",
        "huge.ipynb": "not graded: 20 MB; a notebook may have 20",
        "binary.ipynb": "not graded: not a notebook: its JSON cannot be read",
        "empty.ipynb": "not graded: not a notebook: its JSON cannot be read",
        "essay.docx": "not graded: not a notebook: its JSON cannot be read",
        "deep.ipynb": "not graded: not a notebook: its JSON cannot be read",
        "list.ipynb": "not graded: not a notebook: it has no cells",
        "cells.ipynb": "not graded: not a notebook: it has no cells",
    }
    assert all(points(rows[name]) == ("", "", "") for name in blank), "blank, never zero"
    assert {row["ex-small-why (by hand, of 2)"] for row in rows.values()} == {""}
    assert rows["right.ipynb"]["review"] == "contained: ex-small-scale" and rows["wrong.ipynb"]["review"] == ""
    assert (
        rows["half.ipynb"]["reasons"].endswith("(2 points): Twice every entry.")
        or "Twice" in rows["half.ipynb"]["reasons"]
    )
    assert rows["deleted.ipynb"]["reasons"] == "ex-small-double -3: no cell answers it"


@pytest.mark.usefixtures("bubblewrap")
def test_a_killed_run_goes_on_and_gives_the_same_table(tmp_path):
    files = {f"{name}.ipynb": answers(text) for name, text in (("a", DOUBLE.solution), ("b", hostile.WRONG))}
    files |= {"c.ipynb": answers(DOUBLE.solution + "\n"), "d.ipynb": answers()}
    first, told = graded(tmp_path, files)
    assert "[  4/4]" in told
    table, journal = tmp_path / "grades.csv", tmp_path / "grades-journal.jsonl"
    text = table.read_bytes()
    lines = journal.read_text(encoding="utf-8").splitlines(keepends=True)
    assert len(lines) == 4, "the solutions' and three submissions'; two are the same"
    journal.write_text("".join(lines[:2]) + lines[2][:40], encoding="utf-8")  # killed while it wrote
    table.unlink()
    second, told = graded(tmp_path, {}, workers=1)
    assert second == first and table.read_bytes() == text and "need no run" in told
    shutil.rmtree(tmp_path / "submissions")
    other, _ = graded(tmp_path, {"a.ipynb": answers(hostile.WRONG)})
    assert points(other["a.ipynb"]) == ("1", "2", "3"), "another answer under an old name is graded anew"


@pytest.mark.usefixtures("bubblewrap")
def test_a_question_whose_own_solution_fails_is_blank_for_everyone(tmp_path):
    failing = Test("test_f", "def test_f(f):\n    assert f() == 2", 1, True)
    broken = Question("ex-broken", "Broken", False, "def f(): ...", "def f():\n    return 1", "", tests=(failing,))
    small = Assignment("small", "Small", SMALL.setup, (DOUBLE, broken))
    rows, told = graded(tmp_path, {"a.ipynb": book(cell(DOUBLE.solution, DOUBLE.label))}, small)
    assert "its own solution fails: test_f: AssertionError: assert f() == 2" in told
    row = rows["a.ipynb"]
    assert (row["status"], row["automatic points"], row[DOUBLE.label], row["ex-broken"]) == (
        "graded in part",
        "",
        "3",
        "",
    )


@pytest.mark.usefixtures("bubblewrap")
def test_what_cannot_be_graded_is_refused(tmp_path):
    folder = tmp_path / "submissions"
    folder.mkdir()
    assignment = write(tmp_path / "assignment", SMALL)
    with pytest.raises(ValueError, match="there is no folder"):
        grade.run(tmp_path / "nothing", assignment, tmp_path / "grades.csv")
    with pytest.raises(ValueError, match="there is no assignment"):
        grade.run(folder, tmp_path / "nothing", tmp_path / "grades.csv")
    with pytest.raises(ValueError, match="no coding question"):
        written = write(tmp_path / "written", Assignment("w", "W", (), (WRITTEN,)))
        grade.run(folder, written, tmp_path / "grades.csv")
    with pytest.raises(ValueError, match="where students' code could read it"):
        grade.run(sandbox.package_folder(), assignment, tmp_path / "grades.csv")


def test_without_a_sandbox_it_refuses_unless_the_submissions_are_trusted(tmp_path):
    folder = tmp_path / "submissions"
    folder.mkdir()
    (folder / "a.ipynb").write_text(answers(), encoding="utf-8")
    assignment, out = write(tmp_path / "assignment", SMALL), tmp_path / "grades.csv"
    command = [
        sys.executable,
        "-m",
        "teaching",
        "grade",
        str(folder),
        "--assignment",
        str(assignment),
        "--out",
        str(out),
    ]
    bare = os.environ | {"PATH": str(tmp_path)}
    done = subprocess.run(command, cwd=ROOT, env=bare, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "apt-get install bubblewrap" in done.stderr and not out.exists()
    done = subprocess.run(
        [*command, "--trust-submissions"], cwd=ROOT, env=bare, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert out.read_text(encoding="utf-8").splitlines()[1].startswith("a.ipynb,graded,5,5,3,2,")


ROSTER = """Student,ID,SIS User ID,SIS Login ID,Section,Old quiz (7)
    Points Possible,,,,,10
"Ames, Ada",101,s-1,ada,Monday,3
"Byrd, Bo",102,s-2,bo@x.edu,Monday,4
"Cole, Cy",103,s-3,cy,Tuesday,
"Dunn, Di",104,s-4,di,Tuesday,1
"""


def test_canvas_gets_a_column_for_everyone_on_the_roster(tmp_path):
    roster = tmp_path / "roster.csv"
    roster.write_text("\ufeff" + ROSTER, encoding="utf-8")
    earned = {DOUBLE.label: 3, SCALE.label: 0}
    grades = [
        report.Grade("amesada_101_900_small.ipynb", earned),
        report.Grade("amesada_LATE_101_901_small-1.ipynb", earned | {SCALE.label: 2}),
        report.Grade("bo@x.edu.ipynb", problem="no regular file"),
        report.Grade("cy/small.ipynb", {DOUBLE.label: 0, SCALE.label: 0}),
        report.Grade("stranger_999_1_small.ipynb", earned),
    ]
    text, unknown = report.canvas(grades, SMALL, roster)
    rows = list(csv.reader(io.StringIO(text)))
    assert rows[0] == ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", "Small (automatic points)"]
    assert rows[1] == ["    Points Possible", "", "", "", "", "5"]
    assert [row[-1] for row in rows[2:]] == ["5", "", "0", ""], "ungraded and missing are blank, zero is zero"
    assert rows[2][0] == "Ames, Ada" and unknown == ["stranger_999_1_small.ipynb"]
    roster.write_text("name,mark\nAda,3\n", encoding="utf-8")
    with pytest.raises(ValueError, match="not a gradebook exported from Canvas"):
        report.canvas(grades, SMALL, roster)


PAGE = questions.read(ROOT, "vae/reparameterization")


@pytest.mark.usefixtures("bubblewrap")
def test_a_page_of_the_book_is_graded_as_its_tests_say(tmp_path):
    coding = [question for question in PAGE.questions if question.is_coding]
    folder = tmp_path / "submissions"
    folder.mkdir()
    given = {
        "right": {q.label: q.solution for q in coding},
        "wrong": {q.label: q.wrong[0] for q in coding},
        "half": {q.label: q.solution if i % 2 else q.stub for i, q in enumerate(coding)},
    }
    for name, found in given.items():
        text = book(*(cell(source, label, ["answer"]) for label, source in found.items()))
        (folder / f"{name}.ipynb").write_text(text, encoding="utf-8")
    grades = grade.run(folder, write(tmp_path / "a", PAGE), tmp_path / "grades.csv", progress=io.StringIO())
    totals = {one.submission: one.total for one in grades}
    best = sum(question.points for question in coding)
    assert totals["right.ipynb"] == best
    assert totals["half.ipynb"] == sum(question.points for question in coding[1::2])
    assert all(
        e < q.points for one in grades if one.submission == "wrong.ipynb" for q in coding for e in [one.earned[q.label]]
    )
