"""Chapters as notebooks that stand on their own: `.ipynb` files without a directive, a solution or an output in them.

The notebook branch of the public repository holds what `write` makes, and the launch buttons of the site lead there.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat
import yaml
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from teaching import editions, markdown, numbering
from teaching.source import Block, SourceError, parse

CARRIED = ("binder", "code", "LICENSE")
# What the package needs and Colab lacks; tests/teaching/test_fresh.py finds out if it is more.
LACKING = "jaxtyping wadler-lindig"
INSTALL = """\
# Run this cell first. It installs the book's package where it is missing, in some seconds; PyTorch stays as it is.
# Nothing else is missing on Colab. On a machine without PyTorch leave out --no-deps, and pip brings what is needed.
from importlib.metadata import PackageNotFoundError, version

try:
    version("autoencoders")
except PackageNotFoundError:
    %pip install --quiet --no-deps "autoencoders @ {package}" {lacking}"""
ABOUT = "*This notebook is {page}. Run it from the top; then change something and run it again.*"
UNKNOWN = """\
# The book's package has to be there: in the folder of the book's repository, pip install ./code
from importlib.metadata import version

version("autoencoders");"""
KEPT_TAGS = ("setup", "answer", "test")  # the others say how the site shows a cell
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
    "colab": {"provenance": []},
}
TITLE = "# Notebooks of All About Autoencoders"
README = """\
{title}

A notebook for each chapter of {book}, made from its source; changes belong there. The first cell of each installs the
package in `code/` where it is missing. In Binder this branch is an environment that has it.
"""


@dataclass(frozen=True)
class Addresses:
    """Where the public repository and the site are; empty where the book has not been published."""

    repository: str = ""  # https://github.com/OWNER/NAME
    site: str = ""  # https://OWNER.github.io/NAME
    branch: str = "notebooks"

    @classmethod
    def of(cls, root: Path) -> Addresses:
        """Those in `_config.yml`, or in the environment variables AE_REPOSITORY_URL and AE_SITE_URL.

        Raises:
            ValueError: the repository is not one of GitHub's.
        """
        config = yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8"))["repository"]
        url = os.environ.get("AE_REPOSITORY_URL", str(config["url"])).rstrip("/").removesuffix(".git")
        if not url:
            return cls(site=os.environ.get("AE_SITE_URL", "").rstrip("/"), branch=config["branch"])
        github = re.fullmatch(r"https://github\.com/([\w-]+)/([\w.-]+)", url)
        if github is None:
            raise ValueError(
                f"Colab and Binder are linked for repositories at https://github.com/OWNER/NAME, not {url!r}: "
                "correct AE_REPOSITORY_URL, or repository.url in _config.yml"
            )
        owner, name = github.groups()
        published = f"https://{owner.lower()}.github.io" + (
            f"/{name}" if name.lower() != f"{owner.lower()}.github.io" else ""
        )
        return cls(url, os.environ.get("AE_SITE_URL", published).rstrip("/"), config["branch"])

    @property
    def package(self) -> str:
        """What pip installs the package from."""
        return f"git+{self.repository}@{self.branch}#subdirectory=code" if self.repository else ""

    @property
    def diagrams(self) -> str:
        """Where the notebooks find their diagrams, which the notebook branch has in a folder."""
        raw = self.repository.replace("https://github.com/", "https://raw.githubusercontent.com/")
        return f"{raw}/{self.branch}/diagrams" if self.repository else ""


def chapters(book: markdown.Book) -> list[str]:
    """The pages, without suffix, that have cells to run."""
    return [page for page, blocks in book.numbering.blocks.items() if any(b.name == "code-cell" for b in blocks)]


def write(
    root: Path, dest: Path, addresses: Addresses, package: str = "", *, only_notebooks: bool = False
) -> list[Path]:
    """Write a notebook of every chapter below `dest`, and what they need to run beside them; return the notebooks.

    `package` is what the first cell gives to pip (a wheel, an address), by default the package on the notebook branch.

    Raises:
        SourceError: a chapter has something in it that no notebook can show, with file and line.
        ValueError: `dest` holds something else, which would be lost.
    """
    if not only_notebooks and dest.exists() and any(dest.iterdir()) and not _is_ours(dest):
        raise ValueError(f"{dest} is not empty and holds no notebooks of the book: choose an empty folder")
    book = markdown.Book(root, numbering.of_book(root), addresses.site, addresses.diagrams)
    made = {page: convert(page, book, package or addresses.package) for page in chapters(book)}
    if not only_notebooks:
        shutil.rmtree(dest, ignore_errors=True)
    written = []
    for page, notebook in made.items():
        path = dest / f"{page}.ipynb"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(nbformat.writes(notebook) + "\n", encoding="utf-8")
        written.append(path)
    if not only_notebooks:
        for name in _tracked(root):
            (dest / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(root / name, dest / name)
        (dest / "diagrams").mkdir()
        for name in sorted(_diagrams(book)):
            (dest / "diagrams" / f"{name}.svg").write_text(markdown.diagram(root, name), encoding="utf-8")
        text = README.format(title=TITLE, book=f"[the book]({addresses.site})" if addresses.site else "the book")
        (dest / "README.md").write_text(text, encoding="utf-8")
    return written


def _is_ours(dest: Path) -> bool:
    readme = dest / "README.md"
    return readme.is_file() and readme.read_text(encoding="utf-8", errors="replace").startswith(TITLE)


def _diagrams(book: markdown.Book) -> set[str]:
    blocks = (inner for page in chapters(book) for outer in book.numbering.blocks[page] for inner in outer.walk())
    return {block.argument.strip() for block in blocks if block.name == "diagram"}


def _tracked(root: Path) -> list[str]:
    command = ["git", "ls-files", "-z", "--", *CARRIED]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout.split("\0")[:-1]


def convert(page: str, book: markdown.Book, package: str) -> Any:
    """The notebook of one page.

    Raises:
        SourceError: as `write`.
    """
    path = f"{page}.md"
    source = parse((book.root / path).read_text(encoding="utf-8"), path)
    for outer in source:
        for block in outer.walk():
            is_inside = block is not outer and outer.name not in editions.SOLUTIONS
            markdown.check(block, path, book, is_inside=is_inside)
    maker = Maker(page, book)
    maker.blocks(book.numbering.blocks[page])
    maker.end()
    title, _, text = maker.cells[0].source.partition("\n") if maker.cells else ("", "", "")
    if not title.startswith("# ") or maker.cells[0].cell_type != "markdown":
        raise SourceError(path, 1, "a chapter has to begin with its title")
    maker.cells[0]["source"] = (
        f"{title}\n\n{ABOUT.format(page=book.link('a page of All About Autoencoders', page))}\n{text}"
    )
    cells = [new_code_cell(first_cell(package)), *maker.cells]
    for number, cell in enumerate(cells):
        cell["id"] = f"{page.replace('/', '-').removeprefix('book-')}-{number}"
    return new_notebook(cells=cells, metadata=METADATA)


def first_cell(package: str) -> str:
    """The cell that brings the book's package where it is missing; `package` is what pip gets, empty where unknown."""
    return INSTALL.format(package=package, lacking=LACKING) if package else UNKNOWN


def exercise_texts(page: str, book: markdown.Book) -> dict[str, tuple[str, set[str]]]:
    """The Markdown of each exercise of one page with its heading, and the works it cites, by the exercise's label."""
    found: dict[str, tuple[str, set[str]]] = {}
    maker, label = Maker(page, book), ""
    for block in book.numbering.blocks[page]:
        if block.name in editions.EXERCISES:
            maker.flush()
            maker.cited, label = set(), block.label
        if label and block.name == "code-cell":
            maker.count(block)
        else:
            maker.blocks((block,))
        if label and block.name in ("exercise", "exercise-end"):
            found[label] = joined(maker.waiting), maker.cited
            maker.waiting, maker.cited, label = [], set(), ""
    return found


def joined(parts: list[str]) -> str:
    """Paragraphs, one empty line between two."""
    return re.sub(r"\n{3,}", "\n\n", "\n\n".join(parts)).strip()


@dataclass
class Maker:
    """Cells made so far, and the Markdown that waits for its cell; `numbered` says that the page's numbers are for them."""

    page: str
    book: markdown.Book
    cells: list[Any] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)
    cited: set[str] = field(default_factory=set)
    boxes: int = 0
    numbered: bool = True
    skipping: bool = False  # inside a gated solution

    def blocks(self, blocks: tuple[Block, ...]) -> None:
        for block in blocks:
            number = self.count(block)
            if block.name in editions.SOLUTIONS or self.skipping:
                for child in (inner for inner in block.walk() if inner is not block):
                    self.count(child)
                self.skipping = block.name != "solution-end" and (self.skipping or block.name == "solution-start")
            elif block.name == "code-cell":
                self.code(block, number)
            elif block.kind == "text":
                self.text(block)
            elif block.kind != "front":
                self.directive(block, number)

    def text(self, block: Block) -> None:
        """Text, in a cell for each section."""
        section: list[str] = []
        for line in block.lines:
            if numbering.HEADING.match(line):
                self.waiting.append(self._inline("\n".join(section)))
                self.flush()
                section = []
            section.append(line)
        self.waiting.append(self._inline("\n".join(section)))

    def directive(self, block: Block, number: str) -> None:
        """The Markdown of a directive, those inside it included; an exercise begins a cell."""
        if block.name in editions.EXERCISES:
            self.flush()
        inner = Maker(self.page, self.book, boxes=self.boxes, cited=self.cited, numbered=self.numbered)
        inner.blocks(block.children)
        self.boxes = inner.boxes
        body = "\n\n".join(part for part in inner.waiting if part.strip())
        title = self._inline(block.argument)
        self.waiting.append(markdown.directive(block, title, body, number, self.book))

    def code(self, block: Block, number: str) -> None:
        """A cell of code, and below it the caption of its figure."""
        self.flush()
        tags = [tag for tag in block.tags if tag in KEPT_TAGS]
        metadata: dict[str, Any] = {"tags": tags} if tags else {}
        source = "\n".join(block.body).strip("\n")
        if "test" in block.tags:
            label = block.options.get("mystnb", {}).get("code_prompt_show", "")
            source = f"# {label}\n{source}" if label else source
        elif "setup" not in block.tags and {"hide-input", "remove-input", "remove-cell"} & set(block.tags):
            metadata |= {"jupyter": {"source_hidden": True}, "cellView": "form"}
        self.cells.append(new_code_cell(source, metadata=metadata))
        if number:
            caption = " ".join(numbering.figure(block)["caption"].split())
            self.waiting.append(f"**{number}.** {self._inline(caption)}")

    def flush(self) -> None:
        """Put what waits into a Markdown cell."""
        text = joined(self.waiting)
        self.waiting = []
        if text:
            self.cells.append(new_markdown_cell(text))

    def end(self) -> None:
        """The last cells: what waits, and the works cited."""
        self.flush()
        if self.cited:
            entries = "\n".join(f"- {entry}" for entry in self.book.bibliography.entries(self.cited))
            self.waiting.append(f"## References\n\n{entries}")
            self.flush()

    def count(self, block: Block) -> str:
        if not self.numbered or numbering.kind_of(block) in ("", "equation"):
            return ""
        self.boxes += 1
        return self.book.numbering.boxes[self.page, self.boxes]

    def _inline(self, text: str) -> str:
        return markdown.inline(text, self.page, self.book, self.cited)
