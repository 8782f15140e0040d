"""The book's exercises, found in its source: each with its answer cell, its tests and its setup."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from teaching.editions import EXERCISES, SOLUTIONS, source_files, stub
from teaching.source import Block, SourceError, parse


@dataclass(frozen=True)
class Exercise:
    """One exercise of one page; a coding exercise has an answer cell, a written one has none."""

    label: str
    path: str
    line: int
    self_check: bool
    setup: tuple[str, ...]
    answer: Block | None = None
    tests: tuple[Block, ...] = ()
    hidden_tests: tuple[Block, ...] = ()

    @property
    def solution(self) -> str:
        """The answer cell with its solution."""
        return "\n".join(self.answer.body) if self.answer else ""

    @property
    def stub(self) -> str:
        """The answer cell as the reader gets it."""
        return "\n".join(stub(self.answer.body, self.answer.body_line, self.path)) if self.answer else ""


def find(root: Path) -> list[Exercise]:
    """Every exercise of the book under `root`, in the order of the pages' names."""
    return [
        exercise
        for path in source_files(root)
        if path.suffix == ".md"
        for exercise in find_in(path.read_text(encoding="utf-8"), path.relative_to(root).as_posix())
    ]


def find_in(text: str, path: str) -> list[Exercise]:
    """The exercises of one chapter's `text`: an answer or test cell belongs to the exercise last named before it.

    Raises:
        SourceError: for an answer or test before any exercise, two answers to one, or two tests of one name.
    """
    blocks = parse(text, path)
    setup = tuple("\n".join(block.body) for block in blocks if "setup" in block.tags)
    found: list[dict[str, Any]] = []
    for block in (inner for outer in blocks for inner in outer.walk()):
        if block.name in EXERCISES:
            if not block.label:
                raise SourceError(path, block.line, "an exercise needs a `:label:`")
            start = {"label": block.label, "path": path, "line": block.line, "setup": setup}
            found.append({**start, "self_check": "self-check" in block.classes, "tests": (), "hidden_tests": ()})
        kind = next((tag for tag in ("answer", "test", "hidden-test") if tag in block.tags), None)
        if kind is None:
            continue
        if not found:
            raise SourceError(path, block.line, f"a cell tagged `{kind}` before any exercise")
        if kind == "answer":
            if "answer" in found[-1]:
                raise SourceError(path, block.line, f"a second answer cell for `{found[-1]['label']}`")
            found[-1]["answer"] = block
        else:
            found[-1][kind.replace("-", "_") + "s"] += (block,)
    return [Exercise(**fields) for fields in found]


def wrong_answers(root: Path) -> dict[str, tuple[Block, ...]]:
    """The plausible wrong answers to each coding exercise: cells tagged `wrong` behind its solution, in `book/solutions`.

    Raises:
        SourceError: a wrong answer stands before any solution.
    """
    found: dict[str, tuple[Block, ...]] = {}
    for path in sorted((root / "book" / "solutions").glob("**/*.md")):
        label, name = "", path.relative_to(root).as_posix()
        for block in parse(path.read_text(encoding="utf-8"), name):
            if block.name in SOLUTIONS:
                label = block.argument.strip()
            if "wrong" in block.tags:
                if not label:
                    raise SourceError(name, block.line, "a wrong answer before any solution")
                found[label] = (*found.get(label, ()), block)
    return found


def namespace(exercise: Exercise, answer: str) -> dict[str, Any]:
    """What the exercise's setup cells and then `answer` define."""
    names: dict[str, Any] = {"__name__": "__main__"}
    for code in (*exercise.setup, answer):
        exec(compile(code, f"<{exercise.label}>", "exec"), names)
    return names


def test_functions(cells: Iterable[Block], names: Mapping[str, Any]) -> dict[str, Callable[[], None]]:
    """The test functions that `cells` define, each ready to be called: its parameters are looked up in `names`.

    Raises:
        ValueError: if two tests have one name, or a parameter is not defined.
    """
    tests: dict[str, Callable[[], None]] = {}
    for cell in cells:
        scope = dict(names)
        before = set(scope)
        exec(compile("\n".join(cell.body), "<test>", "exec"), scope)
        for name in sorted(set(scope) - before):
            if not name.startswith("test_"):
                continue
            if name in tests:
                raise ValueError(f"two tests are named `{name}`")
            wanted = [
                key for key, value in inspect.signature(scope[name]).parameters.items() if value.default is value.empty
            ]
            if unknown := [key for key in wanted if key not in names]:
                raise ValueError(f"`{name}` asks for {', '.join(unknown)}, which neither setup nor answer defines")
            tests[name] = _bind(scope[name], {key: names[key] for key in wanted})
    return tests


def _bind(function: Callable[..., None], arguments: dict[str, Any]) -> Callable[[], None]:
    return lambda: function(**arguments)
