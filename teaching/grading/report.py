"""The tables: a row a submission, and the same points as Canvas's gradebook takes them.

A submission or a question that could not be graded is blank, never zero. Written questions have blank columns to be filled
by hand. What comes from students (file names, the texts of their errors) is defused for spreadsheets.
"""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from teaching.grading.trial import CONTAINED
from teaching.questions import Assignment

CANVAS = ("Student", "ID", "SIS User ID", "SIS Login ID", "Section")
NUMBERS = re.compile(r"^(?P<name>[^_]+)_(?:LATE_)?(?P<user>\d+)_(?P<file>\d+)_", re.IGNORECASE)


@dataclass(frozen=True)
class Grade:
    """What one submission earned; without `earned` it could not be graded, and `problem` says why."""

    submission: str
    earned: dict[str, int | None] = field(default_factory=dict)  # by question; None: that question could not be graded
    reasons: dict[str, list[str]] = field(default_factory=dict)
    problem: str = ""

    @property
    def is_graded(self) -> bool:
        return not self.problem

    @property
    def total(self) -> int | None:
        """The automatic points; none if any of them is not known."""
        values = list(self.earned.values())
        return None if self.problem or None in values else sum(v for v in values if v is not None)


def grade(submission: str, assignment: Assignment, ways: dict[str, str], found: dict[str, Any]) -> Grade:
    """A submission's grade from what is kept of it: a problem, or the outcomes of its tests."""
    if found.get("problem"):
        return Grade(submission, problem=found["problem"])
    earned: dict[str, int | None] = {}
    reasons: dict[str, list[str]] = {}
    for question in assignment.questions:
        if not question.is_coding:
            continue
        if question.label not in ways:
            earned[question.label] = None
            continue
        outcomes = [outcome for outcome in found["outcomes"] if outcome["question"] == question.label]
        earned[question.label] = sum(question.tests[o["test"]].points for o in outcomes if o["passed"])
        lost: dict[str, int] = {}
        for outcome in outcomes:
            if not outcome["passed"]:
                points = question.tests[outcome["test"]].points
                lost[outcome["reason"]] = lost.get(outcome["reason"], 0) + points
        reasons[question.label] = [f"-{points}: {reason}" for reason, points in lost.items()]
    return Grade(submission, earned, reasons)


def table(grades: list[Grade], assignment: Assignment, ways: dict[str, str]) -> str:
    """The grades as CSV, in the order of the submissions' names."""
    coding = [question for question in assignment.questions if question.is_coding]
    by_hand = [question for question in assignment.questions if question.points_by_hand]
    head = ["submission", "status", "automatic points", "of", *(q.label for q in coding)]
    head += [*(f"{q.label} (by hand, of {q.points_by_hand})" for q in by_hand), "review", "reasons"]
    best = sum(question.points for question in coding)
    rows = []
    for one in sorted(grades, key=lambda g: g.submission):
        status = "graded" if one.is_graded else f"not graded: {one.problem}"
        if one.is_graded and one.total is None:
            status = "graded in part"
        points = [_points(one.earned.get(question.label)) for question in coding]
        contained = [q.label for q in coding if ways.get(q.label) == CONTAINED and one.earned.get(q.label)]
        review = f"contained: {', '.join(contained)}" if contained else ""
        texts = [f"{label} {text}" for label, found in one.reasons.items() for text in found]
        row = [one.submission, status, _points(one.total), str(best), *points, *[""] * len(by_hand), review]
        rows.append([*row, " | ".join(texts)])
    return _csv([head, *([_inert(entry) for entry in row] for row in rows)])


def canvas(grades: list[Grade], assignment: Assignment, roster: Path) -> tuple[str, list[str]]:
    """The file for Canvas's "Import grades", and the submissions that belong to nobody on the roster.

    `roster` is what Canvas's "Export grades" writes. A submission belongs to the student whose number Canvas put into its
    name (`lastnamefirst_ID_123_name.ipynb`), or whose login or SIS identity it is named by. Of several the last counts.

    Raises:
        ValueError: the roster has not Canvas's columns.
    """
    with roster.open(encoding="utf-8-sig", newline="") as file:
        lines = [line for line in csv.DictReader(file) if (line.get("ID") or "").strip()]
    lacking = [name for name in ("Student", "ID") if lines and name not in lines[0]]
    if not lines or lacking:
        raise ValueError(
            f"{roster} is not a gradebook exported from Canvas: it needs the columns Student and ID, and students"
        )
    found: dict[str, tuple[int, Grade]] = {}
    unknown = []
    for one in sorted(grades, key=lambda g: g.submission):
        match = _owner(one.submission, lines)
        if match is None:
            unknown.append(one.submission)
            continue
        student, order = match
        if student not in found or order >= found[student][0]:
            found[student] = order, one
    present = [name for name in CANVAS if name in lines[0]]
    title = f"{assignment.title} (automatic points)"
    best = sum(question.points for question in assignment.questions)
    rows = [[*present, title], ["    Points Possible", *[""] * (len(present) - 1), str(best)]]
    for line in lines:
        one = found.get(line["ID"].strip())
        rows.append([*((line[name] or "") for name in present), _points(one[1].total) if one else ""])
    return _csv(rows), unknown


def _owner(name: str, lines: list[dict[str, str]]) -> tuple[str, int] | None:
    """The student's number in Canvas, and the number of the file, which grows."""
    stem = Path(name).name.removesuffix(".ipynb")
    match = NUMBERS.match(Path(name).name)
    known = {line["ID"].strip() for line in lines}
    if match and match["user"] in known:
        return match["user"], int(match["file"])
    for column in ("SIS Login ID", "SIS User ID"):
        for line in lines:
            login = (line.get(column) or "").strip()
            if login and login.lower() in {stem.lower(), stem.split("_")[0].lower(), Path(name).parts[0].lower()}:
                return line["ID"].strip(), 0
    return None


def _points(value: int | None) -> str:
    return "" if value is None else str(value)


def _inert(text: str) -> str:
    """Text that no spreadsheet takes for a formula, on one line."""
    text = "".join(c if c.isprintable() else " " for c in text)
    return f"'{text}" if text[:1] in ("=", "+", "-", "@") else text


def _csv(rows: list[list[str]]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    return out.getvalue()
