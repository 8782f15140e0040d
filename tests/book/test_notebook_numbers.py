"""The notebooks' numbers are the site's, where Sphinx and its extensions count: links, captions, equations, citations."""

import functools
import posixpath
import re
from pathlib import Path

import pytest
import toc
from bs4 import BeautifulSoup

from teaching import markdown, notebooks, numbering

SITE = "https://site"
LINK = re.compile(rf"\]\({SITE}/(?P<page>[\w/.-]+)\.html#(?P<anchor>[\w-]+)\)")
BOX = r"Exercise|Proposition|Theorem|Corollary|Lemma|Definition|Remark|Example|Algorithm"
NUMBERED = re.compile(
    rf"^(?:\*\*(?P<float>(?:Figure|Table) [\d.]*\d)\.\*\*|\*\*(?P<box>(?:{BOX}) [\d.]*\d)(?: \(|\.)"
    r"|### (?P<exercise>Exercise [\d.]*\d))(?P<text>.*)$",
    re.M,
)


@functools.cache
def book() -> markdown.Book:
    return markdown.Book(toc.ROOT, numbering.of_book(toc.ROOT), SITE)


@functools.cache
def prose(page: str) -> str:
    cells = notebooks.convert(page, book(), "").cells
    return "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


@functools.cache
def told(page: Path) -> BeautifulSoup:
    found = BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser").find("article")
    for element in found.select("div.solution, div.cell_output, .headerlink"):
        if element.name == "div" and (caption := element.select_one("figcaption")):
            element.replace_with(caption)
        else:
            element.extract()
    return found


@pytest.fixture(params=[page for page in toc.PAGES if "```{code-cell}" in (toc.ROOT / f"{page}.md").read_text("utf-8")])
def page(request) -> str:
    """A page that is a notebook as well."""
    return request.param


@pytest.fixture
def text(page) -> str:
    """The notebook's Markdown."""
    return prose(page)


@pytest.fixture
def article(page, site: Path) -> BeautifulSoup:
    """The text of the page on the site, less the solutions, which notebooks leave out, and the outputs of cells."""
    return told(site / f"{page}.html")


def letters(text: str) -> str:
    """Text less all that the two forms write differently: spaces, marks of emphasis, delimiters of mathematics."""
    return re.sub(r"\W+", "", text)


def links(text: str) -> list[tuple[str, str, str]]:
    """Page, anchor and letters of every link into the book; the text may hold brackets, as of an interval."""
    found = []
    for end in LINK.finditer(text):
        depth, at = 1, end.start()
        while depth:
            at -= 1
            depth += {"]": 1, "[": -1}.get(text[at], 0)
        found.append((end["page"], end["anchor"], letters(text[at + 1 : end.start()])))
    return found


def test_link_texts_may_hold_brackets():
    text = f"on [0, 1) by [what [0, 1] is]({SITE}/book/a.html#b), [x]({SITE}/book/c.html)"
    assert links(text) == [("book/a", "b", "what01is")]


def test_links_have_the_site_s_targets_and_texts(text, article, page):
    expected = []
    for link in article.select("a.reference.internal"):
        there, _, anchor = link["href"].partition("#")
        if anchor and link.find_parent(class_="bibtex-citation") is None:
            there = posixpath.normpath(posixpath.join(posixpath.dirname(page), there)) if there else f"{page}.html"
            expected.append((there.removesuffix(".html"), anchor, letters(link.get_text())))
    assert links(text) == expected


def test_captions_and_boxes_have_the_site_s_numbers(text, article):
    expected = []
    for number in article.select(".caption-number"):
        title = number.find_next_sibling(class_="caption-text") or number.parent
        expected.append(
            (number.get_text().strip().rstrip("."), letters(title.get_text().replace(number.get_text(), "")))
        )
    found = [
        (m["float"] or m["box"] or m["exercise"], letters(LINK.sub("]", m["text"]))) for m in NUMBERED.finditer(text)
    ]
    assert [number for number, _ in found] == [number for number, _ in expected]
    for (number, mine), (_, theirs) in zip(found, expected, strict=True):
        assert mine.startswith(theirs), number  # a box begins on the line of its title


def test_equations_have_the_site_s_numbers(text, article):
    expected = [re.sub(r"[()\s]", "", number.get_text()) for number in article.select(".eqno")]
    assert re.findall(r"\\tag\{([^}]*)\}", text) == expected


def test_the_title_has_the_chapter_s_number(text, article):
    assert letters(text.splitlines()[0]) == letters(article.find("h1").get_text())


def test_citations_read_as_on_the_site(text, article):
    spans = article.select(".bibtex-citation")
    body, _, references = text.partition("\n## References\n")
    at, body = 0, letters(body)
    for span in spans:
        found = body.find(letters(span.get_text()), at)
        assert found >= 0, span.get_text()
        at = found + 1
    works = {link["href"] for span in spans for link in span.select("a")}
    assert references.count("\n- ") == len(works)


def test_the_book_has_something_to_compare():
    kinds = {target.kind for target in book().numbering.targets.values()}
    assert {"section", "equation", "figure", "table", "exercise", "proposition"} <= kinds
