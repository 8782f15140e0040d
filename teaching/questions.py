"""What an assignment asks, as plain data: questions with their tests, points and rubrics.

`read(root, page)` reads it from the book's source. The assignment's folder carries it as JSON for the instructor, and the
grader reads it back from there; students never get that file.
"""

from __future__ import annotations

import dataclasses
import json
import re
from dataclasses import dataclass
from pathlib import Path

from teaching.editions import written_solutions
from teaching.exercises import Exercise, find_in, wrong_answers
from teaching.source import Block, SourceError, parse

CRITERION = re.compile(r"^- \((?P<points>\d+)\) (?P<text>.+)$")
FUNCTION = re.compile(r"^def (test_\w+)\(", flags=re.MULTILINE)


@dataclass(frozen=True)
class Test:
    """A cell of one or more test functions; its points are earned if all of them pass."""

    __test__ = False  # not one of pytest's

    name: str  # of its first function
    source: str
    points: int
    hidden: bool
    failure_message: str = ""


@dataclass(frozen=True)
class Criterion:
    """A line of a rubric, for marking by hand."""

    text: str
    points: int


@dataclass(frozen=True)
class Question:
    """One exercise. A coding question has an answer cell and tests; a written one is marked by its rubric alone."""

    label: str
    title: str
    self_check: bool  # its solution stands on the public page, so that it carries no points
    stub: str  # the answer cell as students get it; empty for a written question
    solution: str  # the answer cell with its solution; empty for a written question
    written_solution: str  # MyST, may be empty for a coding question
    wrong: tuple[str, ...] = ()  # answers that the hidden tests have to reject
    tests: tuple[Test, ...] = ()
    rubric: tuple[Criterion, ...] = ()

    @property
    def is_coding(self) -> bool:
        return bool(self.solution)

    @property
    def points(self) -> int:
        """Those that tests give."""
        return sum(test.points for test in self.tests)

    @property
    def points_by_hand(self) -> int:
        return sum(criterion.points for criterion in self.rubric)


@dataclass(frozen=True)
class Assignment:
    """The questions of one page; an answer is run behind the page's setup cells."""

    page: str  # for instance vae/reparameterization
    title: str
    setup: tuple[str, ...]
    questions: tuple[Question, ...]

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), indent=1, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Assignment:
        """What `to_json` wrote.

        Raises:
            ValueError: it is something else.
        """
        try:
            found = json.loads(text)
            questions = tuple(
                Question(
                    **question
                    | dict(
                        wrong=tuple(question["wrong"]),
                        tests=tuple(Test(**test) for test in question["tests"]),
                        rubric=tuple(Criterion(**line) for line in question["rubric"]),
                    )
                )
                for question in found["questions"]
            )
            return cls(**found | dict(setup=tuple(found["setup"]), questions=questions))
        except (TypeError, KeyError, json.JSONDecodeError) as error:
            raise ValueError(f"not an assignment ({type(error).__name__}: {error}); make it again") from error


def read(root: Path, page: str) -> Assignment:
    """The assignment of one page of the book, `vae/reparameterization` for instance.

    Raises:
        ValueError: there is no such page, or it has no exercise.
        SourceError: a test without points or function, or a line of a rubric that is not `- (points) text`.
    """
    path = root / "book" / f"{page}.md"
    if not path.is_file():
        raise ValueError(
            f"there is no page {page!r}; name it by its path in book/, vae/reparameterization for instance"
        )
    text, name = path.read_text(encoding="utf-8"), path.relative_to(root).as_posix()
    exercises = find_in(text, name)
    if not exercises:
        raise ValueError(f"the page {page!r} has no exercise, so nothing can be assigned")
    title = next(line.removeprefix("# ").strip() for line in text.splitlines() if line.startswith("# "))
    titles = {block.label: block.argument.strip() for block in parse(text, name) if block.name.startswith("exercise")}
    solutions, wrong, rubrics = written_solutions(root), wrong_answers(root), _rubrics(root)
    questions = tuple(
        Question(
            label=exercise.label,
            title=titles[exercise.label],
            self_check=exercise.self_check,
            stub=exercise.stub,
            solution=exercise.solution,
            written_solution=solutions.get(exercise.label, ""),
            wrong=tuple("\n".join(block.body) for block in wrong.get(exercise.label, ())),
            tests=_tests(exercise),
            rubric=rubrics.get(exercise.label, ()),
        )
        for exercise in exercises
    )
    return Assignment(page, title, exercises[0].setup, questions)


def _tests(exercise: Exercise) -> tuple[Test, ...]:
    found = []
    for block, hidden in (*((b, False) for b in exercise.tests), *((b, True) for b in exercise.hidden_tests)):
        source, points = "\n".join(block.body), str(block.options.get("points", ""))
        names = FUNCTION.findall(source)
        if not names or not points.isdigit() or int(points) < 1:
            raise SourceError(
                exercise.path, block.line, "a test needs `:points:`, 1 or more, and a function `test_...`"
            )
        message = str(block.options.get("failure_message", ""))
        found.append(Test(names[0], source, int(points), hidden, message))
    return tuple(found)


def _rubrics(root: Path) -> dict[str, tuple[Criterion, ...]]:
    """The rubric behind each exercise's solution, in `book/solutions`."""
    found: dict[str, tuple[Criterion, ...]] = {}
    for path in sorted((root / "book" / "solutions").glob("**/*.md")):
        label, name = "", path.relative_to(root).as_posix()
        for block in parse(path.read_text(encoding="utf-8"), name):
            if block.name in ("solution", "solution-start"):
                label = block.argument.strip()
            if block.name == "admonition" and "rubric" in block.classes:
                if not label or label in found:
                    raise SourceError(name, block.line, "a rubric stands once, behind the solution it is for")
                found[label] = tuple(_criterion(line, block, name) for line in block.body if line.strip())
    return found


def _criterion(line: str, block: Block, path: str) -> Criterion:
    match = CRITERION.match(line)
    if match is None:
        raise SourceError(path, block.line, f"a line of a rubric is `- (points) text`, not `{line}`")
    return Criterion(match["text"].strip(), int(match["points"]))
