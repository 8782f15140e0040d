"""The book's MyST Markdown as the plain Markdown that notebooks show: roles, labels and directives resolved."""

from __future__ import annotations

import base64
import functools
import re
from dataclasses import dataclass
from pathlib import Path

from book._ext.shown import source_of
from teaching.citations import Bibliography
from teaching.numbering import DISPLAY, HEADING, LABELED, Numbering, figure
from teaching.source import SPAN, Block, SourceError

ADMONITIONS = ("admonition", "note", "tip", "important", "warning")
GATES = ("exercise-start", "exercise-end", "solution", "solution-start", "solution-end")
DIRECTIVES = frozenset(
    {*ADMONITIONS, *GATES, "code-cell", "diagram", "dropdown", "exercise", "list-table", "math", "source"}
)
ROLES = frozenset({"ref", "numref", "eq", "math", "prf:ref", "cite", "cite:p", "cite:t"})
TEXT_FIRST = re.compile(r"^(?P<text>.*?)\s*<(?P<target>[^<>]+)>$", re.S)


@dataclass(frozen=True)
class Book:
    """What a chapter's Markdown refers to."""

    root: Path
    numbering: Numbering
    site: str
    diagrams: str = ""  # address of the folder they are in, empty where it has none

    @functools.cached_property
    def bibliography(self) -> Bibliography:
        return Bibliography(self.root / "book" / "references.bib")

    def link(self, text: str, page: str, anchor: str = "") -> str:
        """`text` as a link into the published book, or as it is where the book has no address."""
        if not self.site:
            return text
        return f"[{text}]({self.site}/{page}.html{f'#{anchor}' if anchor else ''})"

    def picture(self, name: str) -> str:
        """Where a notebook finds a diagram: at its address, or, without one, in the text itself.

        Not in an attachment: JupyterLab shows none that is SVG, and Colab none at all. Nor does Colab show SVG in text.
        """
        if self.diagrams:
            return f"{self.diagrams}/{name}.svg"
        return f"data:image/svg+xml;base64,{base64.b64encode(diagram(self.root, name).encode()).decode()}"


def check(block: Block, path: str, book: Book, *, is_inside: bool = False) -> None:
    """Refuse what has no form in a notebook; `is_inside` says that the block stands inside a directive.

    Raises:
        SourceError: a directive or role that is not converted, a reference, diagram or function that does not exist, a
            diagram without `:alt:`, or a cell, heading or exercise inside a directive, where it could not begin a cell;
            with file and line.
    """
    if block.kind == "directive" and block.name not in DIRECTIVES and not block.name.startswith("prf:"):
        raise SourceError(path, block.line, f"no notebook can show the directive `{{{block.name}}}`")
    try:
        if block.name == "diagram":
            diagram(book.root, block.argument.strip())
        if block.name == "source":
            source_of(block.argument.strip())
    except (LookupError, OSError, ValueError) as error:
        raise SourceError(path, block.line, f"{{{block.name}}} {block.argument.strip()}: {error}") from error
    if block.name == "diagram" and not str(block.options.get("alt", "")).strip():
        raise SourceError(path, block.line, f"{{diagram}} {block.argument.strip()}: say in `:alt:` what it shows")
    if is_inside and block.name in ("code-cell", "exercise", "exercise-start"):
        raise SourceError(path, block.line, f"`{{{block.name}}}` inside a directive could not begin a cell")
    for offset, line in enumerate(block.lines if is_inside and block.kind == "text" else ()):
        if HEADING.match(line):
            raise SourceError(path, block.line + offset, "a heading inside a directive could not begin a cell")
    text = "\n".join(block.lines) if block.kind == "text" else block.argument
    if block.name == "code-cell":
        text = str(figure(block).get("caption", ""))
    for found in SPAN.finditer(text):
        where = block.line + text.count("\n", 0, found.start()) * (block.kind == "text")
        role = found["role"]
        if role is None:
            continue
        if role not in ROLES:
            raise SourceError(path, where, f"no notebook can show the role `{{{role}}}`")
        for target in _targets(role, _content(found)):
            known = book.bibliography if role.startswith("cite") else book.numbering.targets
            if role != "math" and target not in known:
                raise SourceError(path, where, f"`{{{role}}}` refers to `{target}`, which does not exist")


def _content(found: re.Match[str]) -> str:
    return found[0][found[0].index("`") :].strip("`").strip()


def _targets(role: str, content: str) -> list[str]:
    if role.startswith("cite"):
        return [key.strip() for key in content.split(",")]
    given = TEXT_FIRST.match(content)
    return [given["target"] if given else content]


def inline(text: str, page: str, book: Book, cited: set[str]) -> str:
    """Text with its labels taken out, its equations numbered and its roles resolved; `cited` gains the works it cites."""

    def equation(found: re.Match[str]) -> str:
        tag = f"\\tag{{{book.numbering.targets[found['label']].number}}}\n" if found["label"] else ""
        tex = found["tex"].strip("\n")
        return f"{found['indent']}$$\n{tex}\n{found['indent']}{tag}$$" if tag else f"{found['indent']}$$\n{tex}\n$$"

    def role(found: re.Match[str]) -> str:
        return found[0] if found["role"] is None else _role(found["role"], _content(found), book, cited)

    lines = [line for line in text.split("\n") if not LABELED.match(line) and line.strip() != "+++"]
    number = book.numbering.chapters.get(page, "")
    if number:
        lines = [f"# {number}. {line[2:]}" if line.startswith("# ") and HEADING.match(line) else line for line in lines]
    return SPAN.sub(role, DISPLAY.sub(equation, "\n".join(lines)))


def _role(role: str, content: str, book: Book, cited: set[str]) -> str:
    if role == "math":
        return f"${content}$"
    if role.startswith("cite"):
        keys = _targets(role, content)
        cited.update(keys)
        textual = role == "cite:t"
        works = sorted(book.bibliography.cite(key, textual=textual) for key in keys)
        return ", ".join(works) if textual else f"({', '.join(works)})"
    given = TEXT_FIRST.match(content)
    name = given["target"] if given else content
    target = book.numbering.targets[name]
    return book.link(given["text"] if given else target.name, target.page, target.anchor)


def directive(block: Block, title: str, body: str, number: str, book: Book) -> str:
    """The Markdown of a directive, given its title and its content in Markdown and, if it has one, its number."""
    name = block.name
    if name in ADMONITIONS:
        heading = title if name == "admonition" else name.capitalize()
        return _boxed(f"**{heading}.** {body.strip()}")
    if name in ("exercise", "exercise-start"):
        return f"### {number}: {title}\n\n{body}" if title else f"### {number}\n\n{body}"
    if name == "dropdown":
        return f"<details><summary>{title}</summary>\n\n{body.strip()}\n\n</details>"
    if name == "prf:proof":
        text = body.strip()
        end = "\n\n∎" if text.endswith("$$") else " ∎"  # nothing follows $$ on its line
        return f"*Proof.* {text}{end}"
    if name.startswith("prf:"):
        return _boxed(f"**{number}{f' ({title})' if title else ''}.** {body.strip()}")
    if name == "list-table":
        caption = f"**{number}.** {title}\n\n" if number else ""
        return caption + _table(block, body)
    if name == "source":
        code = source_of(block.argument.strip(), docstring="no-docstring" not in block.options)
        return f"`{block.argument.strip()}`\n\n```python\n{code}\n```"
    if name == "math":
        tag = f"\n\\tag{{{book.numbering.targets[block.label].number}}}" if block.label else ""
        return "$$\n" + "\n".join(block.body).strip("\n") + tag + "\n$$"
    if name == "diagram":
        alt = " ".join(str(block.options["alt"]).split()).replace("[", "(").replace("]", ")")
        caption = f"**{number}.** {' '.join(body.split())}" if number else ""
        return f"![{alt}]({book.picture(block.argument.strip())})\n\n{caption}"
    return "\n".join(block.lines) if block.kind == "code" else ""


def _boxed(text: str) -> str:
    # Markdown between blank lines is read as such, also inside an element; after > it would spoil display mathematics.
    # Quotations have colors in every theme. Bootstrap's alerts have none in Colab and hardly legible ones in dark Jupyter.
    return f"<blockquote>\n\n{text}\n\n</blockquote>"


def _table(block: Block, body: str) -> str:
    """A list of lists as a table of Markdown: one line a row."""
    rows: list[list[str]] = []
    for line in body.split("\n"):
        if row := re.match(r"^\* - ?(.*)$", line):
            rows.append([row[1]])
        elif cell := re.match(r"^  - ?(.*)$", line):
            rows[-1].append(cell[1])
        elif line.strip() and rows:
            rows[-1][-1] += " " + line.strip()
    header = int(block.options.get("header-rows", 0))
    width = max(map(len, rows))
    if not header:
        rows.insert(0, [""] * width)
    lines = ["| " + " | ".join(_cell(cell) for cell in row) + " |" for row in rows]
    lines.insert(1, "|" + " --- |" * width)
    return "\n".join(lines)


def _cell(text: str) -> str:
    """A bar ends a cell of a Markdown table: in mathematics it has a name, elsewhere it is escaped."""
    parts = re.split(r"(\$[^$]+\$)", text.strip())
    return "".join(p.replace("|", r"\vert ") if p.startswith("$") else p.replace("|", r"\|") for p in parts)


@functools.cache
def _styles(root: Path) -> tuple[tuple[tuple[str, str], ...], str]:
    """The colors of the light theme, and the rules for diagrams, from the book's style sheet."""
    css = (root / "book" / "_assets" / "book.css").read_text(encoding="utf-8")
    light = css[css.index('html[data-theme="light"]') :]
    colors = re.findall(r"(--ae-[\w-]+): (#\w+);", light[: light.index("}")])
    rules = re.findall(r"^svg\.ae-diagram (text[^{]*\{[^}]*\})", css, re.M)
    return tuple(colors), "\n".join(rules).replace("var(--pst-font-family-base)", "system-ui, sans-serif")


def diagram(root: Path, name: str) -> str:
    """A diagram of the book as a picture of its own.

    Raises:
        OSError: there is none of this name.
    """
    return standalone((root / "book/_assets/diagrams" / f"{name}.svg").read_text(encoding="utf-8"), _styles(root))


def standalone(svg: str, styles: tuple[tuple[tuple[str, str], ...], str]) -> str:
    """An SVG that takes its colors from the page as a picture of its own, on the light theme's ground."""
    colors, rules = styles
    opening = re.search(r"<svg\b[^>]*>", svg)
    box = re.search(r'viewBox="([-\d.]+)[ ,]+([-\d.]+)[ ,]+([\d.]+)[ ,]+([\d.]+)"', svg)
    if opening is None or box is None:
        raise ValueError("a diagram has to be an <svg> element with a viewBox")
    x, y, width, height = box.groups()
    tag = re.sub(r'\s(width|height|xmlns)="[^"]*"', "", opening[0])[:-1]
    tag += f' xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" color="#22262b">'
    ground = f'<rect x="{x}" y="{y}" width="{width}" height="{height}" fill="var(--ae-page)"/>'
    text = f"{tag}<style>{rules}</style>{ground}{svg[opening.end() :]}"
    known = dict(colors)
    return re.sub(
        r"var\((--[\w-]+)(?:,\s*([^()]*))?\)", lambda found: known.get(found[1], found[2] or "currentColor"), text
    )
