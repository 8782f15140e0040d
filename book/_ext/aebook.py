"""The book's Sphinx extension: static widgets, offline mathematics, shown source, inlined diagrams."""

from __future__ import annotations

import html
import importlib.util
import inspect
import os
import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.parsers.rst import directives
from shown import resolve, source_of
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinxcontrib.bibtex.plugin import register_plugin
from sphinxcontrib.bibtex.style.referencing import BracketStyle
from sphinxcontrib.bibtex.style.referencing.author_year import AuthorYearReferenceStyle

# The parts of MathJax that `_config.yml` names, what they load while they run (fonts), and what they fetch on first use.
MATHJAX_FILES = (
    "startup.js",
    "core.js",
    "input/tex.js",
    "output/chtml.js",
    "output/chtml/fonts/tex.js",
    "output/chtml/fonts/woff-v2",
    "a11y/assistive-mml.js",
    *(f"input/tex/extensions/{name}.js" for name in ("bbox", "boldsymbol", "cancel", "color", "enclose", "unicode")),
)


class Source(SphinxDirective):
    """`{source} package.module.name`: the code of a function, class or method, as it runs.

    Options: `:no-docstring:` leaves docstrings out.
    """

    required_arguments = 1
    option_spec = {"no-docstring": directives.flag}  # noqa: RUF012

    def run(self) -> list[nodes.Node]:
        name = self.arguments[0]
        try:
            source = source_of(name, docstring="no-docstring" not in self.options)
        except LookupError as error:
            raise self.error(f"{{source}} cannot show `{name}`: {error}") from error
        if file := inspect.getsourcefile(inspect.unwrap(resolve(name))):
            self.env.note_dependency(file)
        box = nodes.container(classes=["ae-source"])
        label = nodes.paragraph(classes=["ae-source-name"])
        label += nodes.literal(name, name)
        code = nodes.literal_block(source, source, language="python")
        box += [label, code]
        self.set_source_info(code)
        return [box]


def inline_svg(svg: str, name: str, alt: str) -> str:
    """`svg` ready to stand in a page: ids made unique by `name`, an accessible label, no wider than the column.

    Raises:
        ValueError: if it is not an SVG with a `viewBox`.
    """
    start = svg.find("<svg")
    opening = re.match(r"<svg\b[^>]*>", svg[start:]) if start >= 0 else None
    if opening is None:
        raise ValueError(f"diagram `{name}` holds no <svg> element")
    if "viewBox" not in opening[0]:
        raise ValueError(f"diagram `{name}`: the <svg> element needs a viewBox")
    tag = re.sub(r'\s(role|aria-label|aria-hidden|class)="[^"]*"', "", opening[0])[:-1]
    width = re.search(r'viewBox="[-\d.]+[ ,]+[-\d.]+[ ,]+([\d.]+)', opening[0])
    style = "" if "style=" in tag or width is None else f' style="max-width: {float(width[1]):g}px"'
    tag = re.sub(r'\s(width|height)="[^"]*"', "", tag)
    body = svg[start + opening.end() :].strip()
    body = re.sub(r"<title>.*?</title>", "", body, flags=re.DOTALL)
    tag, body = (
        re.sub(r'\b(id=")([^"]+)', rf"\g<1>{name}-\2", re.sub(r"(url\(#|href=\"#)", rf"\g<1>{name}-", text))
        for text in (tag, body)
    )
    return f'{tag} class="ae-diagram" role="img" aria-label="{html.escape(alt)}"{style}>{body}'


class Diagram(SphinxDirective):
    """`{diagram} NAME`: the SVG file `book/_assets/diagrams/NAME.svg`, inlined so that it follows the page's colors.

    `:alt:` (required) says what it shows, `:name:` labels it, the content is its caption.
    """

    required_arguments = 1
    has_content = True
    option_spec = {  # noqa: RUF012
        "alt": directives.unchanged_required,
        "name": directives.unchanged_required,
        "class": directives.class_option,
    }

    def run(self) -> list[nodes.Node]:
        name = self.arguments[0]
        if not self.options.get("alt", "").strip():
            raise self.error(f"{{diagram}} {name}: say in `:alt:` what the diagram shows")
        path = Path(self.env.srcdir) / "book" / "_assets" / "diagrams" / f"{name}.svg"
        self.env.note_dependency(str(path))
        try:
            svg = inline_svg(path.read_text(encoding="utf-8"), name, " ".join(self.options["alt"].split()))
        except (OSError, ValueError) as error:
            raise self.error(f"{{diagram}} {name}: {error}") from error
        figure = nodes.figure(classes=["ae-diagram-figure", *self.options.get("class", [])])
        figure += nodes.raw("", svg, format="html")
        self.set_source_info(figure)
        if self.content:
            holder = nodes.Element()
            self.state.nested_parse(self.content, self.content_offset, holder)
            first, *rest = holder.children
            if not isinstance(first, nodes.paragraph):
                raise self.error(f"{{diagram}} {name}: the caption has to begin with a paragraph")
            figure += nodes.caption(first.rawsource, "", *first.children)
            if rest:
                figure += nodes.legend("", *rest)
        self.add_name(figure)
        return [figure]


def copy_mathjax(app: Sphinx) -> None:
    """Copy the MathJax files that pages load into the site, from the package that carries them."""
    if app.builder.format != "html":
        return
    # The package's name has hyphens, so that it can be found but not named in an import statement.
    spec = importlib.util.find_spec("sphinx-mathjax-offline")
    if spec is None or spec.origin is None:
        raise RuntimeError("MathJax is missing: install requirements.txt (package sphinx-mathjax-offline)")
    source = Path(spec.origin).parent / "static" / "mathjax"
    target = Path(app.outdir) / "_static" / "mathjax"
    for name in MATHJAX_FILES:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        if (source / name).is_dir():
            shutil.copytree(source / name, target / name, dirs_exist_ok=True)
        else:
            shutil.copyfile(source / name, target / name)


# Ids that sphinx-exercise and sphinx-proof give to every one of their boxes: repeated ids are not valid HTML.
REPEATED_IDS = frozenset({"exercise-content", "solution-content", "proof-content", "proof"})


def drop_repeated_ids(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Take the ids that would stand on a page more than once off the boxes that bear them."""
    for kind in (nodes.section, nodes.admonition):
        for node in doctree.findall(kind):
            node["ids"] = [name for name in node["ids"] if name not in REPEATED_IDS]


def round_brackets() -> BracketStyle:
    return BracketStyle(left="(", right=")")


@dataclass
class RoundAuthorYear(AuthorYearReferenceStyle):
    """Citations as Kramer (1991) and (Kramer, 1991)."""

    bracket_parenthetical: BracketStyle = field(default_factory=round_brackets)
    bracket_textual: BracketStyle = field(default_factory=round_brackets)
    bracket_author: BracketStyle = field(default_factory=round_brackets)
    bracket_label: BracketStyle = field(default_factory=round_brackets)
    bracket_year: BracketStyle = field(default_factory=round_brackets)


INDEX = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta http-equiv="refresh" content="0; url={page}"><link rel="icon" href="_static/{icon}"></head>
<body><p><a href="{page}">{title}</a></p></body></html>
"""


def write_index(app: Sphinx, error: Exception | None) -> None:
    """Write the site's `index.html`, which leads to the first page."""
    first = app.config["root_doc"]
    if error is None and app.builder.format == "html" and first != "index":
        icon = Path(app.config["html_favicon"] or "favicon.ico").name
        page = INDEX.format(title=html.escape(app.config["html_title"]), page=f"{first}.html", icon=icon)
        (Path(app.outdir) / "index.html").write_text(page, encoding="utf-8")


def setup(app: Sphinx) -> dict[str, Any]:
    os.environ["AE_STATIC"] = "1"  # The kernels inherit it: widgets then return pages' own HTML.
    register_plugin("sphinxcontrib.bibtex.style.referencing", "author_year_round", RoundAuthorYear)
    app.add_directive("source", Source)
    app.add_directive("diagram", Diagram)
    app.connect("builder-inited", copy_mathjax)
    app.connect("doctree-resolved", drop_repeated_ids)
    app.connect("build-finished", write_index, priority=900)
    return {"parallel_read_safe": False, "parallel_write_safe": True}
