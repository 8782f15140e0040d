"""A submission read defensively: which cell answers which question.

Students copy, delete and move cells, and some files are not notebooks, or made to harm. Nothing is executed here, nothing
is followed, and what is not as it should be costs what it has to: a file that is no notebook cannot be graded, a question
without its cell has no answer.
"""

from __future__ import annotations

import ast
import json
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from teaching.questions import Assignment, Question

LARGEST = 20 << 20  # bytes
MOST_CELLS = 5000
LONGEST_CELL = 200_000


class UngradableError(ValueError):
    """The submission is nothing that could be graded: its points stay blank."""


@dataclass(frozen=True)
class Submission:
    """The answers by question's label; for a question without one, why."""

    answers: dict[str, str]
    missing: dict[str, str]
    helpers: dict[str, tuple[str, ...]]  # the other cells, whose definitions an answer may use


@dataclass(frozen=True)
class _Cell:
    source: str
    label: str
    tags: tuple[str, ...]


def contents(path: Path) -> bytes:
    """A submission's bytes.

    Raises:
        UngradableError: it is no regular file, cannot be read, or is too large.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        what = "a symbolic link" if path.is_symlink() else f"cannot be read ({error.strerror})"
        raise UngradableError(what) from None
    with os.fdopen(descriptor, "rb") as file:
        about = os.fstat(file.fileno())
        if not stat.S_ISREG(about.st_mode):
            raise UngradableError("no regular file")
        if about.st_size > LARGEST:
            raise UngradableError(f"{about.st_size >> 20} MB; a notebook may have {LARGEST >> 20}")
        return file.read(LARGEST + 1)[: LARGEST + 1]


def read(data: bytes, assignment: Assignment) -> Submission:
    """The answers in a notebook.

    A cell whose metadata name a question answers it. If several do, the last that differs from the stub counts, as it
    would if the notebook were run. If none does, the cells count that define what the stub defines.

    Raises:
        UngradableError: it is not a notebook.
    """
    cells = _cells(data)
    answers: dict[str, str] = {}
    missing: dict[str, str] = {}
    used: dict[str, set[int]] = {}
    for question in assignment.questions:
        if not question.is_coding:
            continue
        chosen = _answer(question, cells)
        if chosen:
            answers[question.label] = "\n\n".join(cells[i].source for i in chosen)
            used[question.label] = set(chosen)
            if _plain(answers[question.label]) == _plain(question.stub):
                missing[question.label] = "the answer is untouched"
        else:
            missing[question.label] = "no cell answers it"
    own = {_plain(source) for source in assignment.setup}
    own |= {_plain(test.source) for question in assignment.questions for test in question.tests}
    taken = set().union(*used.values()) if used else set()
    labels = {question.label for question in assignment.questions}
    others = tuple(
        cell.source
        for i, cell in enumerate(cells)
        if i not in taken
        and cell.label not in labels
        and not {"setup", "test", "answer"} & set(cell.tags)
        and _plain(cell.source) not in own
    )
    return Submission(answers, missing, dict.fromkeys(answers, others))


def defined(source: str) -> tuple[str, ...]:
    """The names that a cell of the assignment's own gives to functions, classes and values."""
    names: list[str] = []
    for part in ast.parse(source).body:
        if isinstance(part, (ast.FunctionDef, ast.ClassDef)):
            names.append(part.name)
        elif isinstance(part, ast.Assign):
            names += [target.id for target in part.targets if isinstance(target, ast.Name)]
    return tuple(names)


def _answer(question: Question, cells: list[_Cell]) -> list[int]:
    names = defined(question.solution)
    patterns = [re.compile(rf"^(?:async +)?(?:def|class) +{re.escape(n)}\b|^{re.escape(n)} *=", re.M) for n in names]

    def defines(cell: _Cell) -> list[int]:
        return [k for k, pattern in enumerate(patterns) if pattern.search(cell.source)]

    def is_stub(i: int) -> bool:
        return _plain(cells[i].source) == _plain(question.stub)

    labelled = [i for i, cell in enumerate(cells) if cell.label == question.label]
    complete = [i for i, cell in enumerate(cells) if len(defines(cell)) == len(names)]
    for found in (labelled, complete):
        whole = [i for i in found if i in complete]
        changed = [i for i in whole if not is_stub(i)]
        if changed:
            return changed[-1:]
    parts = {k: i for i, cell in enumerate(cells) if not is_stub(i) for k in defines(cell)}
    if len(parts) == len(names):
        return sorted(set(parts.values()))  # its functions stand in several cells
    return (labelled or complete or sorted(set(parts.values())))[-1:]


def _cells(data: bytes) -> list[_Cell]:
    try:
        notebook = json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        raise UngradableError("not a notebook: its JSON cannot be read") from None
    cells = notebook.get("cells") if isinstance(notebook, dict) else None
    if not isinstance(cells, list):
        raise UngradableError("not a notebook: it has no cells")
    if len(cells) > MOST_CELLS:
        raise UngradableError(f"{len(cells)} cells; {MOST_CELLS} are read")
    return [found for cell in cells if (found := _cell(cell)) is not None]


def _cell(cell: Any) -> _Cell | None:
    """A code cell; of anything else nothing."""
    if not isinstance(cell, dict) or cell.get("cell_type") != "code":
        return None
    source = cell.get("source")
    if isinstance(source, list) and all(isinstance(line, str) for line in source):
        source = "".join(source)
    if not isinstance(source, str) or len(source) > LONGEST_CELL:
        return None
    source = source.encode("utf-8", "replace").decode("utf-8")
    metadata = cell.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    ours, tags = metadata.get("autoencoders"), metadata.get("tags")
    label = ours.get("question") if isinstance(ours, dict) else None
    tags = tuple(tag for tag in tags if isinstance(tag, str)) if isinstance(tags, list) else ()
    return _Cell(source, label if isinstance(label, str) else "", tags)


def _plain(source: str) -> str:
    """A cell's text without what an editor may change."""
    return "\n".join(line.rstrip() for line in source.strip().splitlines())
