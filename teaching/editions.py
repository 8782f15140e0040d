"""Editions: the book's source tree, filtered for one kind of reader.

`python -m teaching edition public DEST` writes what the published site is built from. Solutions and hidden tests are
taken out of the source itself, because a page's source is published with it. The instructor edition shows them as
listings behind the public edition's cells: the cells are the same in all editions, so they are executed once.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import yaml

from teaching import instructor, leaks
from teaching.source import Block, SourceError, listed, parse

BEGIN, END = "# BEGIN SOLUTION", "# END SOLUTION"
STUB = "...  # your code here"
EXERCISES = ("exercise", "exercise-start")
SOLUTIONS = ("solution", "solution-start")
PRIVATE_CLASSES = {"rubric", "teaching-note"}
MARKER = ".edition"


@dataclass(frozen=True)
class Rules:
    """What one edition does with what not every reader gets: answers, hidden tests, rubrics and teaching notes alike."""

    private: Literal["drop", "show"]
    solutions: Literal["none", "self-check", "all"]


EDITIONS: dict[str, Rules] = {
    "public": Rules(private="drop", solutions="self-check"),
    "student": Rules(private="drop", solutions="none"),
    "instructor": Rules(private="show", solutions="all"),
}


def write(edition: str, root: Path, dest: Path, only: Iterable[str] = ()) -> list[Path]:
    """Write the `edition` of the book under `root` to the folder `dest`, and return its chapters' paths there.

    `only` names pages (paths under `book/`, without suffix) to which the edition is confined.

    Raises:
        ValueError: for an unknown edition, or a `dest` that holds something other than an edition.
        SourceError: for a chapter with something in it that the book's syntax does not have.
    """
    if edition not in EDITIONS:
        raise ValueError(f"unknown edition `{edition}`; known are {', '.join(sorted(EDITIONS))}")
    rules, wanted = EDITIONS[edition], set(only)
    if dest.exists() and any(dest.iterdir()) and not (dest / MARKER).exists():
        raise ValueError(f"{dest} is not empty and not an edition: choose an empty folder")
    shutil.rmtree(dest, ignore_errors=True)
    dest.mkdir(parents=True)
    (dest / MARKER).write_text(edition + "\n")
    written, pages = [], listed(root)
    solutions = written_solutions(root) if rules.private == "drop" else instructor.behind(root, written_solutions(root))
    for path in source_files(root):
        target = dest / path.relative_to(root)
        page = path.relative_to(root / "book").with_suffix("").as_posix() if path.suffix == ".md" else None
        if page and page not in pages:
            raise SourceError(
                path.relative_to(root).as_posix(), 1, "_toc.yml does not name this page: is it for everyone?"
            )
        if page and wanted and page not in wanted:
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        if page:
            text = filter_chapter(path, root, rules, solutions)
            if rules.private == "show":
                text = instructor.linked(text, page, root)
            target.write_text(text, encoding="utf-8")
            written.append(target)
        else:
            shutil.copyfile(path, target)
    for name in ("_config.yml", "_toc.yml"):
        shutil.copyfile(root / name, dest / name)
    if rules.private == "show":
        written += instructor.write_notes(root, dest)
    return written


def source_files(root: Path) -> list[Path]:
    """Every file of the book that all editions carry: no written solutions, teaching notes, notebooks, or hidden files."""
    return [
        path
        for path in sorted((root / "book").rglob("*"))
        if path.is_file()
        and path.suffix not in (".ipynb", ".pyc")
        and not any(part.startswith(".") or part == "__pycache__" for part in path.relative_to(root).parts)
        and path.relative_to(root / "book").parts[0] not in leaks.PRIVATE_FOLDERS
    ]


def filter_chapter(path: Path, root: Path, rules: Rules, solutions: Mapping[str, str]) -> str:
    """The text of one chapter under `rules`; `solutions` are those of `written_solutions`.

    What is private is planted with canaries: they must not make a difference to an edition without it.

    Raises:
        SourceError: something in the chapter is not the book's syntax, or a private part of it would be published.
    """
    name, text = path.relative_to(root).as_posix(), path.read_text(encoding="utf-8")
    kept = filter_blocks(parse(text, name), name, rules, solutions)
    if rules.private == "drop":
        due = {label: solution + "\n" + leaks.canary(label, "solution") for label, solution in solutions.items()}
        if rules.solutions == "self-check":
            shown = leaks.self_checked(root)
            due = {label: solutions[label] if label in shown else planted for label, planted in due.items()}
        if found := leaks.planted(filter_blocks(parse(leaks.plant(text, name), name), name, rules, due)):
            owners = {leaks.canary(r.owner, r.kind): r for r in leaks.regions(text, name)}
            line, what = (owners[found].first + 1, owners[found].kind) if found in owners else (1, "solution")
            raise SourceError(name, line, f"this {what} would be published")
    return kept


def filter_blocks(blocks: tuple[Block, ...], path: str, rules: Rules, solutions: Mapping[str, str]) -> str:
    """The text of parsed `blocks` under `rules`; `solutions` maps an exercise's label to its written solution."""
    lines: list[str] = []
    dropping = False  # between a {solution-start} and its {solution-end} in the chapter itself
    due = ""  # the label of the gated exercise that is open, if its solution is to follow it
    for block in blocks:
        if block.name == "solution-start" and rules.private == "drop":
            dropping = True
        if not dropping:
            lines.extend(_filter(block, path, rules))
        if block.name == "solution-end":
            dropping = False
        if block.name in EXERCISES and _has_solution(block, rules):
            due = block.label
        if due and block.name in ("exercise", "exercise-end"):
            if due in solutions:
                lines += ["", solutions[due], ""]
            elif rules.solutions == "self-check":
                raise SourceError(
                    path, block.line, f"the self-check exercise `{due}` has no solution in book/solutions"
                )
            due = ""
    if dropping:
        raise SourceError(path, blocks[-1].line, "a {solution-start} without its {solution-end}")
    text = "\n".join(lines) + "\n"
    if rules.private == "drop":
        _assert_clean(text, path)
    return text


def _has_solution(block: Block, rules: Rules) -> bool:
    return rules.solutions == "all" or (rules.solutions == "self-check" and "self-check" in block.classes)


def _filter(block: Block, path: str, rules: Rules) -> list[str]:
    """The lines that stay of one block."""
    drop = rules.private == "drop"
    if drop and (block.name in SOLUTIONS or PRIVATE_CLASSES & {*block.classes}):
        return []
    if "wrong" in block.tags:
        raise SourceError(path, block.line, "a wrong answer belongs behind its solution, in book/solutions")
    if "hidden-test" in block.tags:
        return [] if drop else instructor.test_listing(block)
    if "test" in block.tags:
        return fold(block, path) if drop else [*fold(block, path), *instructor.points(block)]
    if "answer" in block.tags:
        body = stub(block.body, block.body_line, path)
        cell = [*block.lines[: block.body_line - block.line], *body, block.lines[-1]]
        return cell if drop else [*cell, *instructor.answer_listing(block)]
    if any(marker in line for line in block.lines for marker in (BEGIN, END)) and not block.children:
        raise SourceError(path, block.line, "a solution stands outside a cell tagged `answer`")
    if not block.children:
        return list(block.lines)
    inner = [line for child in block.children for line in _filter(child, path, rules)]
    return [*block.lines[: block.body_line - block.line], *inner, block.lines[-1]]


def stub(body: Iterable[str], line: int, path: str) -> list[str]:
    """An answer cell's lines with every solution replaced by a stub of the same indentation.

    Raises:
        SourceError: if no solution is marked, or a mark lacks its partner.
    """
    kept: list[str] = []
    opened = 0
    found = False
    for number, text in enumerate(body, start=line):
        if text.strip() == BEGIN:
            if opened:
                raise SourceError(path, number, f"`{BEGIN}` again before `{END}`")
            opened, found = number, True
            kept.append(text[: len(text) - len(text.lstrip())] + STUB)
        elif text.strip() == END:
            if not opened:
                raise SourceError(path, number, f"`{END}` without `{BEGIN}`")
            opened = 0
        elif BEGIN in text or END in text:
            raise SourceError(path, number, "a solution mark has to stand alone on its line")
        elif not opened:
            kept.append(text)
    if opened:
        raise SourceError(path, opened, f"`{BEGIN}` without `{END}`")
    if not found:
        raise SourceError(path, line, f"an answer cell has to mark its solution with `{BEGIN}` and `{END}`")
    return kept


def fold(block: Block, path: str) -> list[str]:
    """A test cell as a closed, labeled fold whose last line says how to run the test."""
    code = "\n".join(block.body)
    functions = re.findall(r"^def (test_\w+)\((.*?)\)", code, flags=re.MULTILINE)
    if not functions:
        raise SourceError(path, block.line, "a test cell has to define a function `test_...` that takes the answer")
    calls = [f"# {name}({_arguments(parameters)})" for name, parameters in functions]
    label = "Test it: " + ", ".join(name.removeprefix("test_").replace("_", " ") for name, _ in functions)
    options = {
        "tags": ["test", "hide-input"],
        "mystnb": {"code_prompt_show": label, "code_prompt_hide": label},
    }
    body = code.strip("\n").splitlines()
    fence = block.lines[-1].strip()
    head = yaml.safe_dump(options, sort_keys=False, default_flow_style=None, width=10_000).strip().splitlines()
    note = "# In a notebook, remove the mark in front of the call to test your answer."
    return [block.lines[0], "---", *head, "---", *body, "", note, *calls, fence]


def _arguments(parameters: str) -> str:
    return ", ".join(part.split(":")[0].split("=")[0].strip() for part in parameters.split(",") if "=" not in part)


def written_solutions(root: Path) -> dict[str, str]:
    """Each exercise's written solution as it would stand on the page, folded, from `book/solutions`.

    Raises:
        SourceError: if an exercise has two.
    """
    found: dict[str, str] = {}
    for path in sorted((root / "book" / "solutions").glob("**/*.md")):
        name = path.relative_to(root).as_posix()
        label, run = "", []
        for block in parse(path.read_text(encoding="utf-8"), name):
            if block.name in SOLUTIONS:
                label = block.argument.strip()
                if label in found:
                    raise SourceError(name, block.line, f"a second solution to `{label}`")
                run = _folded(block)
                if block.name == "solution":
                    found[label], label = "\n".join(run), ""
            elif label:
                run += block.lines
                if block.name == "solution-end":
                    found[label], label = "\n".join(run), ""
    return found


def _folded(block: Block) -> list[str]:
    """A solution directive's lines with the class `dropdown`."""
    if "dropdown" in block.classes:
        return list(block.lines)
    rest = [line for line in block.lines[1:] if not line.strip().startswith(":class:")]
    return [block.lines[0], ":class: " + " ".join((*block.classes, "dropdown")), *rest]


def _assert_clean(text: str, path: str) -> None:
    """A last look at what is about to be written, independent of the parser."""
    for mark in (BEGIN, END, "hidden-test", ":class: rubric", ":class: teaching-note"):
        if mark in text:
            line = text[: text.index(mark)].count("\n") + 1
            raise SourceError(path, line, f"`{mark}` would be published (line number of the filtered page)")
