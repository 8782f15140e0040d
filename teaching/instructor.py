"""What the instructor edition has and the others do not: solutions and tests as listings, and the teaching notes.

A listing is shown and not executed. The tests of `tests/teaching/test_exercises.py` run every solution, wrong answer and
test of the book.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import yaml

from teaching.source import Block, SourceError, listed, parse

FUNCTION = re.compile(r"^def test_(\w+)\(", re.MULTILINE)
NOTES = "book/instructors"
PLAN = "plan"
PART = "Teaching notes"


def behind(root: Path, solutions: Mapping[str, str]) -> dict[str, str]:
    """What follows each exercise: its written solution, if it has one, its rubric, and answers that the tests reject.

    Raises:
        SourceError: a rubric or wrong answer stands before any solution.
    """
    found = dict(solutions)
    wrong: dict[str, list[list[str]]] = {}
    for path in sorted((root / "book" / "solutions").glob("**/*.md")):
        label, name = "", path.relative_to(root).as_posix()
        for block in parse(path.read_text(encoding="utf-8"), name):
            if block.name in ("solution", "solution-start"):
                label = block.argument.strip()
            is_rubric = block.name == "admonition" and "rubric" in block.classes
            if not label and (is_rubric or "wrong" in block.tags):
                raise SourceError(name, block.line, "a rubric or wrong answer before any solution")
            if is_rubric:
                lines = [line if ":class:" not in line else ":class: rubric dropdown" for line in block.lines]
                found[label] = "\n".join([*filter(None, [found.get(label, "")]), "", *lines])
            elif "wrong" in block.tags:
                wrong.setdefault(label, []).append(_listing(block.body))
    for label, listings in wrong.items():
        content = [line for listing in listings for line in [*listing, ""]]
        box = _folded(f"Wrong answers that the tests reject: {len(listings)}", content)
        found[label] = "\n".join([*filter(None, [found.get(label, "")]), "", *box])
    return found


def answer_listing(block: Block) -> list[str]:
    """The answer cell with its solution, folded."""
    return ["", *_folded("The answer with its solution", _listing(block.body))]


def test_listing(block: Block) -> list[str]:
    """A hidden test with its points and what a student reads who fails it, folded."""
    names = ", ".join(name.replace("_", " ") for name in FUNCTION.findall("\n".join(block.body)))
    message = str(block.options.get("failure_message", "")).strip()
    said = [f"A student who fails it reads: {message}", ""] if message else []
    return _folded(f"Hidden test, {_points(block)}: {names}", [*said, *_listing(block.body)])


test_listing.__test__ = False  # type: ignore[attr-defined]  # not one of pytest's


def points(block: Block) -> list[str]:
    """What a visible test is worth."""
    return ["", f"*The test above gives {_points(block)}.*"]


def _points(block: Block) -> str:
    number = str(block.options.get("points", "0"))
    return f"{number} point" if number == "1" else f"{number} points"


def _listing(body: Iterable[str]) -> list[str]:
    lines = list(body)
    fence = "`" * max(3, 1 + max((len(run) for line in lines for run in re.findall(r"`+", line)), default=0))
    return [f"{fence}python", *lines, fence]


def _folded(title: str, content: list[str]) -> list[str]:
    longest = max((len(run) for line in content for run in re.findall(r"`{3,}", line)), default=2)
    fence = "`" * (longest + 1)
    return [f"{fence}{{admonition}} {title}", ":class: dropdown", "", *content, fence]


def notes(root: Path) -> dict[str, Path]:
    """The file of teaching notes of each page that has one, and the weekly plan, by the page's path under `book/`.

    Raises:
        SourceError: a file of notes belongs to no page.
    """
    folder, found = root / NOTES, {}
    for path in sorted(folder.rglob("*.md")):
        page = path.relative_to(folder).with_suffix("").as_posix()
        if page != PLAN and not (root / "book" / f"{page}.md").is_file():
            raise SourceError(
                path.relative_to(root).as_posix(), 1, f"these notes are for book/{page}.md, which is not there"
            )
        found[page] = path
    return found


def linked(text: str, page: str, root: Path) -> str:
    """A chapter's text with a link to its teaching notes under its title."""
    if page not in notes(root):
        return text
    note = [
        "",
        "```{admonition} For the instructor",
        ":class: teaching-note",
        "",
        f"{{doc}}`/{NOTES}/{page}`",
        "```",
        "",
    ]
    lines = text.split("\n")
    at = next(i for i, line in enumerate(lines) if line.startswith("# ")) + 1
    return "\n".join([*lines[:at], *note, *lines[at:]])


def write_notes(root: Path, dest: Path) -> list[Path]:
    """Copy the notes of the pages that are in `dest`, and name them in its table of contents; return the copies."""
    toc = yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8"))
    order, written = listed(root), []
    for page, path in sorted(notes(root).items(), key=lambda item: order.index(item[0]) if item[0] in order else -1):
        if page != PLAN and not (dest / "book" / f"{page}.md").exists():
            continue
        text, target = path.read_text(encoding="utf-8"), dest / path.relative_to(root)
        parse(text, path.relative_to(root).as_posix())
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
        written.append(target)
    files = [{"file": path.relative_to(dest).with_suffix("").as_posix()} for path in written]
    if "parts" in toc:
        toc["parts"].append({"caption": PART, "chapters": files})
    else:
        toc["chapters"] = [*toc.get("chapters", []), *files]
    if files:
        (dest / "_toc.yml").write_text(yaml.safe_dump(toc, sort_keys=False), encoding="utf-8")
    return written
