"""What every label of the book stands for, and its number as the site prints it: chapters, equations, figures, boxes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from teaching import editions
from teaching.source import Block, SourceError, parse

# Display mathematics as MyST writes it, with its label behind it if it has one.
DISPLAY = re.compile(
    r"^(?P<indent> *)\$\$(?P<tex>(?:(?!\$\$).)*)\$\$(?:[ \t]*\((?P<label>[\w-]+)\))?[ \t]*$", re.M | re.S
)
LABELED = re.compile(r"^\((?P<label>[\w-]+)\)=\s*$")
HEADING = re.compile(r"^(?P<level>#{1,6}) (?P<title>.+)$")
TABLES = ("list-table", "table")


@dataclass(frozen=True)
class Target:
    """What a label names."""

    page: str  # path of its page, without suffix
    anchor: str
    kind: str  # "section", "equation", "figure", "table", "exercise", "proposition", ...
    title: str
    number: str = ""  # "7.3"

    @property
    def name(self) -> str:
        """How the book refers to it: (7.3), Figure 7.3, Exercise 7.3, or a section by its title."""
        if self.kind == "section":
            return self.title
        return f"({self.number})" if self.kind == "equation" else f"{self.kind.capitalize()} {self.number}"


@dataclass(frozen=True)
class Numbering:
    """The numbers of all chapters, and of everything in them that is numbered."""

    chapters: dict[str, str]  # page -> "7", or "" where its part is not numbered
    blocks: dict[str, tuple[Block, ...]]  # page -> what its readers see
    targets: dict[str, Target]
    boxes: dict[tuple[str, int], str]  # page and running number of a figure, table or box on it -> "Figure 7.2"


def of_book(root: Path) -> Numbering:
    """Number the public edition of the book under `root`.

    Raises:
        SourceError: two things have one label.
    """
    chapters = dict(pages(yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8"))))
    counts: Counter[tuple[str, str]] = Counter()
    targets: dict[str, Target] = {}
    boxes: dict[tuple[str, int], str] = {}
    blocks: dict[str, tuple[Block, ...]] = {}
    rules, solutions = editions.EDITIONS["public"], editions.written_solutions(root)
    for page, chapter in chapters.items():
        path = f"{page}.md"
        blocks[page] = parse(editions.filter_chapter(root / path, root, rules, solutions), path)
        running = 0
        for kind, label, title in numbered(blocks[page]):
            number = ""
            if kind != "section":
                counts[kind, chapter] += 1
                number = f"{chapter}.{counts[kind, chapter]}" if chapter else str(counts[kind, chapter])
            if kind not in ("section", "equation"):
                running += 1
                boxes[page, running] = f"{kind.capitalize()} {number}"
            if label in targets:
                raise SourceError(path, 1, f"the label `{label}` is also on {targets[label].page}.md")
            if label:
                anchor = f"equation-{label}" if kind == "equation" else label
                targets[label] = Target(page, anchor, kind, title, number)
    return Numbering(chapters, blocks, targets, boxes)


def pages(toc: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Every page of a table of contents with the number of its chapter, empty in a part that is not numbered."""
    number = 0
    yield toc["root"], ""
    for part in toc.get("parts", [toc]):
        for entry in part.get("chapters", ()):
            number += bool(part.get("numbered"))
            yield entry["file"], str(number) if part.get("numbered") else ""


def numbered(blocks: tuple[Block, ...]) -> Iterator[tuple[str, str, str]]:
    """Kind, label and title of all that a label can name, in the order of the page."""
    for block in blocks:
        if block.kind == "text":
            yield from _in_text(block)
        elif kind := kind_of(block):
            yield kind, block.label or str(figure(block).get("name", "")), block.argument
        yield from numbered(block.children)


def kind_of(block: Block) -> str:
    """What the site numbers a directive as, or nothing."""
    name = block.name
    if name in ("diagram", "figure"):
        return "figure" if any(line.strip() for line in block.body) else ""
    if name == "code-cell":
        return "figure" if figure(block).get("caption") else ""
    if name in TABLES:
        return "table" if block.argument.strip() else ""
    if name in editions.EXERCISES:
        return "exercise"
    if name == "math":
        return "equation" if block.label else ""
    return name.removeprefix("prf:") if name.startswith("prf:") and name != "prf:proof" else ""


def figure(block: Block) -> dict[str, Any]:
    """What makes a cell's output a figure: its caption and name."""
    found = block.options.get("mystnb", {})
    return found.get("figure", {}) if block.name == "code-cell" and isinstance(found, dict) else {}


def _in_text(block: Block) -> Iterator[tuple[str, str, str]]:
    label, offset = "", 0
    text = "\n".join(block.lines)
    equations = {text.count("\n", 0, found.end()): found["label"] for found in DISPLAY.finditer(text) if found["label"]}
    for offset, line in enumerate(block.lines):
        if named := LABELED.match(line):
            label = named["label"]
        elif label and (heading := HEADING.match(line)):
            yield "section", label, heading["title"].strip()
        if line.strip() and not named:
            label = ""
        if offset in equations:
            yield "equation", equations[offset], ""
