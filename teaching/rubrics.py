"""The points of an assignment: as rubric to mark by, as table, and in the notes for its instructor."""

from __future__ import annotations

import csv
import io

from teaching.questions import Assignment, Question

INSTALLS = (
    "The notebook's first cell installs the book's package where it is missing, from `{package}`: in "
    "Colab, on a Binder of the book, and on a machine of one's own. Students need no otter-grader."
)
INSTALLS_NOTHING = (
    "The notebook's first cell asks for the book's package but cannot install it, because the book has no address: set "
    "`repository.url` in `_config.yml`, or AE_REPOSITORY_URL, and make the assignment again; or have students install "
    "`./code`."
)
BY_HAND = "by hand"
COLUMNS = ("question", "title", "kind", "criterion", "points")
NOTES = """\
# Notes for the instructor: {title}

Made from the page `{page}` by `make assignment`. The next call writes these files anew; what else is in the folder stays.

| file | what | who may see it |
|---|---|---|
| `{name}.ipynb` | the notebook to hand out{inline} | students |
{tests}| `rubric.md`, `rubric.csv` | what each point is given for | you, and students after grading |
| `answer-key.ipynb` | solutions, hidden tests and rubrics in one notebook | you |
| `assignment.json` | all of it as data: what the book's own grader reads | you |
| `notes.md` | this file | you |

## Points

{points}

{by_tests} by tests and {by_hand} by hand, {total} in all.

## For students

{first}
{gradescope}
## What this cannot do

- The book's source shows every solution and every hidden test to whoever looks into its repository. Where that matters,
  change the numbers in the questions, or keep the changed chapter and its solutions in a private copy of the repository
  and make the assignment there.
- No test reads an explanation: written questions are marked by hand.
"""
TESTS = """\
| `public_tests/` | the same tests as files, one for each question | students |
| `autograder.zip` | the grader for Gradescope, made by otter-grader: all tests, and the book's package | Gradescope |
"""
GRADESCOPE = """
## On Gradescope

1. Create a *Programming Assignment* with {by_tests} autograder points{manual}.
2. Upload `autograder.zip` under *Configure Autograder*. The image is built once, with Python {python} and a PyTorch without
   CUDA; that takes some minutes.
3. Submit `answer-key.ipynb` as a test: it has to get {by_tests} of {by_tests} points. Then submit `{name}.ipynb` as it is,
   to see what an untouched notebook gets.
4. Hand out `{name}.ipynb`. Students upload that one file, filled in.

Students do not see the results of hidden tests there. Gradescope's “All test cases passed!” under *Public Tests* speaks of
the public ones only; tell your students.

otter-grader runs the students' code and the tests in one process, so that a notebook written to cheat can get all points
on Gradescope, and read the hidden tests. Look into the notebooks of those who do much better there than in writing.

## On your own machine

`python -m teaching grade` grades a folder of submissions against `assignment.json`, with the students' code in a process
of its own. `otter run -a autograder.zip SUBMISSION.ipynb` runs Gradescope's tests without any such protection: use it
for notebooks that you trust, such as the answer key.
"""


def graded(assignment: Assignment) -> list[Question]:
    """The questions that carry points: not those whose solution stands on the published page."""
    return [question for question in assignment.questions if not question.self_check]


def points(assignment: Assignment) -> tuple[int, int]:
    """What tests give, and what is given by hand."""
    asked = graded(assignment)
    return sum(question.points for question in asked), sum(question.points_by_hand for question in asked)


def counted(number: int) -> str:
    return f"{number} point{'' if number == 1 else 's'}"


def worth(question: Question) -> str:
    """What an exercise is worth, for its heading."""
    if question.self_check:
        return "No points: the solution is on the chapter's page, so that you can check yourself."
    by_hand = f"{counted(question.points_by_hand)}, marked by hand."
    if not question.is_coding:
        return by_hand
    public = sum(test.points for test in question.tests if not test.hidden)
    split = f"{public} for the tests below, {question.points - public} for tests that are run after handing in"
    return f"{counted(question.points)}: {split}." + (f" Also {by_hand}" if question.rubric else "")


def rows(assignment: Assignment) -> list[tuple[str, str, str, str, int]]:
    """Every point of the assignment: question, title, kind, criterion and points."""
    found: list[tuple[str, str, str, str, int]] = []
    for question in graded(assignment):
        for test in question.tests:
            kind = "hidden test" if test.hidden else "public test"
            criterion = test.failure_message or test.name.removeprefix("test_").replace("_", " ")
            found.append((question.label, question.title, kind, criterion, test.points))
        found += [(question.label, question.title, BY_HAND, line.text, line.points) for line in question.rubric]
    return found


def table(assignment: Assignment) -> str:
    """The rubric as CSV."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(rows(assignment))
    return out.getvalue()


def text(assignment: Assignment) -> str:
    """The rubric as Markdown."""
    by_tests, by_hand = points(assignment)
    lines = [f"# Rubric: {assignment.title}", "", f"{counted(by_tests)} by tests, {by_hand} by hand.", ""]
    for question in assignment.questions:
        lines += [f"## {question.title}", "", f"`{question.label}`", ""]
        given = [row[2:] for row in rows(assignment) if row[0] == question.label]
        lines += [f"- ({number}) {f'{kind}: ' if kind != BY_HAND else ''}{told}" for kind, told, number in given]
        lines += [""] if given else ["No points.", ""]
    return "\n".join(lines)


def notes(assignment: Assignment, python: str, package: str) -> str:
    """What the instructor has to know of the folder; with the grader's Python and what installs the package for students."""
    by_tests, by_hand = points(assignment)
    lines = ["| question | title | by tests | by hand |", "|---|---|---:|---:|"]
    for question in assignment.questions:
        given = ("-", "-") if question.self_check else (str(question.points), str(question.points_by_hand))
        lines.append(f"| `{question.label}` | {question.title} | {' | '.join(given)} |")
    words = {
        "title": assignment.title,
        "page": assignment.page,
        "name": assignment.page.rpartition("/")[2],
        "points": "\n".join(lines),
        "by_tests": by_tests,
        "by_hand": by_hand,
        "total": by_tests + by_hand,
        "manual": f", and manual grading with the {by_hand} points of `rubric.md`" if by_hand else "",
        "python": python,
        "first": INSTALLS.format(package=package) if package else INSTALLS_NOTHING,
    }
    if not by_tests:
        return NOTES.format(**words, inline="", tests="", gradescope="")
    return NOTES.format(**words, inline=", public tests in it", tests=TESTS, gradescope=GRADESCOPE.format(**words))
