"""Pieces of a chapter in a notebook that JupyterLab and Colab have to show: boxes, pictures, options, references."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from teaching import markdown, numbering
from teaching.citations import Bibliography
from teaching.notebooks import Addresses, write
from teaching.source import SourceError, parse

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def whole() -> numbering.Numbering:
    return numbering.of_book(ROOT)


def shown(source: str, whole: numbering.Numbering, diagrams: str = "") -> str:
    """The Markdown of one directive."""
    (block,) = parse(source, "chapter.md")
    return markdown.directive(block, block.argument, "Text.", "Figure 1.1", markdown.Book(ROOT, whole, "", diagrams))


DIAGRAM = """\
```{diagram} elbo-gap
:alt: A bar.
:name: fig-x

Text.
```"""


def test_without_an_address_a_diagram_is_in_the_text(whole):
    """Not attached: JupyterLab shows no attachment that is SVG."""
    before, _, rest = shown(DIAGRAM, whole).partition("](data:image/svg+xml;base64,")
    svg = base64.b64decode(rest.partition(")")[0]).decode()
    assert before == "![A bar."
    assert svg.startswith("<svg") and "xmlns=" in svg and "var(" not in svg
    assert rest.endswith(")\n\n**Figure 1.1.** Text.")


def test_with_an_address_a_diagram_is_read_from_the_notebook_branch(whole, tmp_path):
    """Colab shows neither attachments nor SVG in the text."""
    addresses = Addresses("https://github.com/Owner/book", "https://owner.github.io/book", "leaves")
    at = "https://raw.githubusercontent.com/Owner/book/leaves/diagrams"
    assert addresses.diagrams == at
    assert f"![A bar.]({at}/elbo-gap.svg)" in shown(DIAGRAM, whole, at)
    texts = [path.read_text(encoding="utf-8") for path in write(ROOT, tmp_path, addresses)]
    there = {path.name for path in (tmp_path / "diagrams").iterdir()}
    named = {part.partition(")")[0] for text in texts for part in text.split(f"]({at}/")[1:]}
    assert named == there and len(there) > 10
    assert not any("attachment:" in text or "data:image" in text for text in texts)


def test_without_an_address_there_is_no_address_of_diagrams():
    assert Addresses().diagrams == ""


@pytest.mark.parametrize("quote", ["'", '"'])
def test_quotes_around_an_option_are_not_part_of_it(quote, whole):
    assert shown(DIAGRAM.replace("A bar.", f"{quote}A bar: full.{quote}"), whole).startswith("![A bar: full.](")
    assert shown(DIAGRAM.replace("A bar.", f"{quote}A{quote} bar."), whole).startswith(f"![{quote}A{quote} bar.](")


@pytest.mark.parametrize("opening", ["{admonition} Note", "{note}", "{prf:theorem} Bound"])
def test_boxes_are_quotations_with_markdown_inside(opening, whole):
    box = shown(f"```{opening}\nText.\n```", whole)
    assert box.startswith("<blockquote>\n\n**") and box.endswith(" Text.\n\n</blockquote>")


@pytest.mark.parametrize("end", ["Hence.", "$$\nx = y .\n$$"])
def test_nothing_follows_display_mathematics_at_the_end_of_a_proof(end, whole):
    (block,) = parse("```{prf:proof}\nText.\n```", "chapter.md")
    proof = markdown.directive(block, "", end, "", markdown.Book(ROOT, whole, ""))
    assert proof.startswith("*Proof.* ") and proof.endswith("∎") and "$$ ∎" not in proof


def test_addresses_in_references_are_links():
    (entry,) = Bibliography(ROOT / "book" / "references.bib").entries({"matthey2017dsprites"})
    assert "\\url" not in entry and "](https://github.com/deepmind/dsprites-dataset/)" in entry


@pytest.mark.parametrize(
    ("directive", "message"),
    [
        ("```{diagram} nowhere\n:alt: A.\n```", "{diagram} nowhere: .*No such file"),
        ("```{diagram} elbo-gap\n```", "{diagram} elbo-gap: say in `:alt:`"),
        ("```{source} textwrap.outdent\n```", "{source} textwrap.outdent: .*has no `outdent`"),
    ],
)
def test_what_is_shown_has_to_exist(directive, message, whole):
    block = parse(f"# Title\n\n{directive}\n", "book/start.md")[1]
    with pytest.raises(SourceError, match=rf"^book/start\.md:3: {message}"):
        markdown.check(block, "book/start.md", markdown.Book(ROOT, whole, ""))
