"""Chapter source (MyST Markdown) as blocks, with every directive, option, class, role and cell tag checked against a list.

The filter that keeps solutions out of the published pages rests on names: a tag misspelled as `hidden_test` would
publish the test. So nothing unknown is passed on: `SourceError` names the file and line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


CELL_TAGS = _names(
    "setup answer test hidden-test wrong hide-input hide-output remove-cell remove-input remove-output remove-stdout "
    "remove-stderr widget full-width output_scroll self-check"
)
VERBATIM_DIRECTIVES = _names("code-cell math source bibliography image raw code-block claims")
DIRECTIVES = VERBATIM_DIRECTIVES | _names(
    "admonition note tip warning important dropdown figure diagram exercise exercise-start exercise-end solution "
    "solution-start solution-end list-table table glossary grid grid-item-card card tab-set tab-item margin glue "
    "prf:theorem prf:proof prf:definition prf:lemma prf:proposition prf:corollary prf:remark prf:example "
    "prf:algorithm"
)
# What decides whether a block is published stands in its options and classes, so these are listed too.
OPTIONS = _names(
    "alt class failure_message header-rows label mystnb name no-docstring nonumber points style tags width widths"
)
CLASSES = _names("predict rubric self-check teaching-note dropdown full-width note tip important warning")
ROLES = _names("ref numref eq doc math term abbr sub sup kbd cite cite:p cite:t cite:ps cite:ts prf:ref glue glue:text")

TEST = re.compile(r"^def test_\w+\(", re.MULTILINE)
OPENING = re.compile(r"^(?P<indent> *)(?P<fence>`{3,}|~{3,}|:{3,})(?P<info>.*)$")
DIRECTIVE = re.compile(r"^\{(?P<name>[^}]*)\}\s*(?P<argument>.*)$")
OPTION = re.compile(r"^\s*:(?P<key>[A-Za-z][\w-]*):\s*(?P<value>.*)$")
# A role or a span of code, whole (not across a blank line); or a role whose span is never closed.
SPAN = re.compile(
    r"(?:(?<![\\$\w])\{(?P<role>[A-Za-z][\w:+.-]*)\})?(?P<ticks>`+)(?!`)(?:(?!\n\s*\n).)*?(?<!`)(?P=ticks)(?!`)"
    r"|(?<![\\$\w])\{(?P<lone>[A-Za-z][\w:+.-]*)\}(?=`)",
    re.DOTALL,
)


NAMED = re.compile(r"^[ -]*(?:file|root): *book/([\w./-]+?)(?:\.md)? *$", re.MULTILINE)


def listed(root: Path) -> list[str]:
    """The pages that the book's table of contents names, in its order, as paths under `book/` without suffix."""
    return NAMED.findall((root / "_toc.yml").read_text(encoding="utf-8"))


class SourceError(ValueError):
    """Something in a chapter that the book's own syntax does not have, with its file and line."""

    def __init__(self, path: str, line: int, message: str) -> None:
        super().__init__(f"{path}:{line}: {message}")


@dataclass(frozen=True)
class Block:
    """A run of lines: front matter, text, a fenced directive, or a plain fence of code."""

    kind: Literal["front", "text", "directive", "code"]
    line: int  # of the first line, counted from 1
    lines: tuple[str, ...]
    name: str = ""
    argument: str = ""
    options: dict[str, Any] = field(default_factory=dict)
    body: tuple[str, ...] = ()
    body_line: int = 0
    children: tuple[Block, ...] = ()

    @property
    def tags(self) -> tuple[str, ...]:
        """The cell's tags; empty for anything that is not a code cell."""
        return tuple(self.options.get("tags", ())) if self.name == "code-cell" else ()

    @property
    def classes(self) -> tuple[str, ...]:
        return tuple(str(self.options.get("class", "")).split())

    @property
    def label(self) -> str:
        return str(self.options.get("label", self.options.get("name", "")))

    def walk(self) -> Iterator[Block]:
        """This block and all blocks inside it, in the order of the page."""
        yield self
        for child in self.children:
            yield from child.walk()


def parse(text: str, path: str) -> tuple[Block, ...]:
    """The blocks of one chapter; joined, their lines are `text` again.

    Raises:
        SourceError: for an unknown directive, role or tag, an unclosed fence, or metadata on a `+++` cell break.
    """
    lines = text.splitlines()
    blocks: list[Block] = []
    start = 0
    if lines and lines[0] == "---":
        try:
            end = lines.index("---", 1) + 1
        except ValueError:
            raise SourceError(path, 1, "the front matter has no closing `---`") from None
        blocks.append(Block("front", 1, tuple(lines[:end])))
        start = end
    return tuple(blocks) + _blocks(lines[start:], start + 1, path)


def _blocks(lines: list[str], first: int, path: str) -> tuple[Block, ...]:
    """The blocks of `lines`, whose first is line number `first` of the file."""
    found: list[Block] = []
    text_from = at = 0

    def flush(upto: int) -> None:
        if upto > text_from:
            chunk = tuple(lines[text_from:upto])
            _check_text(chunk, first + text_from, path)
            found.append(Block("text", first + text_from, chunk))

    while at < len(lines):
        opening = OPENING.match(lines[at])
        if opening is None or (opening["fence"][0] == "`" and "`" in opening["info"]):
            at += 1
            continue
        flush(at)
        fence = opening["fence"]
        closing = re.compile(rf"^ *{re.escape(fence[0])}{{{len(fence)},}}\s*$")
        end = next((i for i in range(at + 1, len(lines)) if closing.match(lines[i])), None)
        if end is None:
            raise SourceError(path, first + at, f"the fence `{lines[at].strip()}` is never closed")
        found.append(_fence(lines[at : end + 1], first + at, path, opening["info"].strip()))
        at = text_from = end + 1
    flush(len(lines))
    return tuple(found)


def _fence(lines: list[str], line: int, path: str, info: str) -> Block:
    directive = DIRECTIVE.match(info)
    if directive is None:
        if lines[0].lstrip().startswith(":"):
            raise SourceError(path, line, f"a colon fence has to open a directive, not `{info}`")
        return Block("code", line, tuple(lines), name=info, body=tuple(lines[1:-1]), body_line=line + 1)
    name = directive["name"]
    if name not in DIRECTIVES:
        raise SourceError(path, line, f"unknown directive `{{{name}}}`; known are {', '.join(sorted(DIRECTIVES))}")
    options, skip = _options(lines[1:-1], line + 1, path)
    body = lines[1 + skip : -1]
    block = Block("directive", line, tuple(lines), name, directive["argument"], options, tuple(body), line + 1 + skip)
    for kind, given, known in (
        ("option", options, OPTIONS),
        ("class", block.classes, CLASSES),
        ("cell tag", block.tags, CELL_TAGS),
    ):
        for word in given:
            if word not in known:
                raise SourceError(path, line, f"unknown {kind} `{word}`; known are {', '.join(sorted(known))}")
    is_for_exercise = {"points", "failure_message"} & {*options} or "remove-cell" in block.tags
    if is_for_exercise and not {"test", "hidden-test"} & {*block.tags} and TEST.search("\n".join(body)):
        raise SourceError(path, line, "a cell with a test for an exercise has to be tagged `test` or `hidden-test`")
    if name in VERBATIM_DIRECTIVES:
        return block
    _check_text((block.argument,), line, path)
    children = _blocks(body, line + 1 + skip, path)
    return Block("directive", line, block.lines, name, block.argument, options, block.body, block.body_line, children)


def _options(body: list[str], line: int, path: str) -> tuple[dict[str, Any], int]:
    """The options at the head of a directive, as `:key: value` lines or a YAML block, and how many lines they take."""
    if body and body[0].strip() == "---":
        end = next((i for i in range(1, len(body)) if body[i].strip() == "---"), None)
        if end is None:
            raise SourceError(path, line, "the option block has no closing `---`")
        try:
            options = yaml.safe_load("\n".join(body[1:end])) or {}
        except yaml.YAMLError as error:
            raise SourceError(path, line, f"the option block is not YAML: {error}") from None
        if not isinstance(options, dict):
            raise SourceError(path, line, "the option block has to be a mapping")
        end += 1
    else:
        options, end = {}, 0
        while end < len(body) and (match := OPTION.match(body[end])):
            options[match["key"]] = _unquoted(match["value"].strip())
            end += 1
    options["tags"] = _tags(options.get("tags", []), line, path)
    return options, end


def _unquoted(value: str) -> str:
    """An option's text; MyST reads it as YAML, so it may stand in quotes."""
    quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"
    return str(yaml.safe_load(value)) if quoted else value


def _tags(value: Any, line: int, path: str) -> list[str]:
    if isinstance(value, str):
        value = [part.strip().strip("\"'") for part in value.strip().strip("[]").split(",")]
    if not isinstance(value, list) or not all(isinstance(tag, str) for tag in value):
        raise SourceError(path, line, f"`tags` has to be a list of names, not `{value}`")
    return [tag for tag in value if tag]


def _check_text(lines: tuple[str, ...], line: int, path: str) -> None:
    for offset, text in enumerate(lines):
        if text.startswith("+++") and text.strip("+ "):
            raise SourceError(path, line + offset, "a `+++` cell break carries no metadata; put tags on a code cell")
    text = "\n".join(lines)
    for match in SPAN.finditer(text):
        role = match["role"] or match["lone"]
        if role and role not in ROLES:
            where = line + text.count("\n", 0, match.start())
            raise SourceError(path, where, f"unknown role `{{{role}}}`; known are {', '.join(sorted(ROLES))}")
