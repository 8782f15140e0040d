"""Chapters as notebooks: nothing of them is lost but what readers must not have, and what has no form is refused."""

import base64
import inspect
import os
import re
import shutil
import subprocess
import sys
import textwrap
import xml.etree.ElementTree as ET
from pathlib import Path

import nbformat
import pytest
import toc
import yaml
from myst_nb.core.read import read_myst_markdown_notebook

from autoencoders import objectives
from teaching import __main__, editions, markdown, notebooks, numbering
from teaching.source import SourceError, parse

SITE = "https://someone.github.io/book"
ADDRESSES = notebooks.Addresses("https://github.com/someone/book", SITE)
FRONT = """---
jupytext: {formats: 'md:myst', text_representation: {extension: .md, format_name: myst}}
kernelspec: {display_name: Python 3, language: python, name: python3}
---

"""
CELL = "\n\n```{code-cell} ipython3\nx = 1\n```\n"
WORKS = """@article{zeta2001, author = {Zeta, Ann}, title = {Ends}, journal = {J}, year = 2001}
@article{alpha1999, author = {Alpha, Bo and Beta, Cy}, title = {Begins}, journal = {J}, year = 1999}
@article{many2010, author = {One, A. and Two, B. and Three, C.}, title = {Many}, journal = {J}, year = 2010}
"""
BOXES = '<svg viewBox="0 0 40 20" width="80"><text class="ae-label" fill="var(--ae-data)">x</text></svg>'


def small_book(root: Path, page: str, solutions: str = "# Solutions\n", **more: str) -> Path:
    """A book of the page `start` and `more` pages, in one numbered part."""
    diagrams = root / "book" / "_assets" / "diagrams"
    diagrams.mkdir(parents=True)
    (root / "book" / "solutions").mkdir()
    shutil.copyfile(toc.ROOT / "book" / "_assets" / "book.css", diagrams.parent / "book.css")
    shutil.copyfile(toc.ROOT / "_config.yml", root / "_config.yml")
    (diagrams / "boxes.svg").write_text(BOXES)
    (root / "book" / "references.bib").write_text(WORKS)
    (root / "book" / "solutions" / "start.md").write_text(solutions)
    for name, text in {"index": "# Book\n", "start": page, **more}.items():
        (root / "book" / f"{name}.md").write_text(text)
    chapters = [{"file": f"book/{name}"} for name in ("start", *more)]
    parts = [{"caption": "All", "numbered": True, "chapters": chapters}]
    (root / "_toc.yml").write_text(yaml.safe_dump({"format": "jb-book", "root": "book/index", "parts": parts}))
    return root


def converted(root: Path, page: str, *, site: str = SITE, **more: str) -> list:
    """The cells that `page` becomes, less the first."""
    root = small_book(root, page, **more)
    book = markdown.Book(root, numbering.of_book(root), site)
    return notebooks.convert("book/start", book, "x.whl").cells[1:]


def shown(root: Path, page: str, **more: str) -> str:
    """The Markdown that `page` becomes."""
    return prose(converted(root, page, **more))


def prose(cells: list) -> str:
    return "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


def code(cells: list) -> list[str]:
    return [cell.source for cell in cells if cell.cell_type == "code"]


@pytest.fixture(scope="session")
def folder(tmp_path_factory) -> Path:
    """What the notebook branch holds, of the real book."""
    dest = tmp_path_factory.mktemp("branch")
    notebooks.write(toc.ROOT, dest, ADDRESSES)
    return dest


@pytest.fixture(scope="session")
def made(folder) -> dict[str, nbformat.NotebookNode]:
    """Every notebook of the real book, by page."""
    return {
        path.relative_to(folder).with_suffix("").as_posix(): nbformat.read(path, as_version=4)
        for path in sorted(folder.rglob("*.ipynb"))
    }


# The real book


def test_every_page_with_a_cell_is_a_notebook(made):
    pages = {page for page in toc.PAGES if "```{code-cell}" in (toc.ROOT / f"{page}.md").read_text(encoding="utf-8")}
    assert set(made) == pages
    assert len(pages) > 10


def test_the_branch_carries_the_package_and_nothing_with_solutions(folder):
    assert (folder / "code" / "pyproject.toml").exists() and (folder / "LICENSE").exists()
    assert not (folder / "tests").exists() and not list(folder.rglob("solutions"))
    assert SITE in (folder / "README.md").read_text()


def test_another_process_makes_the_same_bytes(folder, tmp_path):
    script = (
        "import sys; from pathlib import Path; from teaching import notebooks\n"
        "addresses = notebooks.Addresses('https://github.com/someone/book', 'https://someone.github.io/book')\n"
        "notebooks.write(Path(sys.argv[1]), Path(sys.argv[2]), addresses, only_notebooks=True)"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "12345", "PYTHONPATH": f"{toc.ROOT}:{toc.ROOT / 'code'}"}
    subprocess.run([sys.executable, "-c", script, toc.ROOT, tmp_path], env=environment, check=True)
    first, second = (
        {path.relative_to(at): path.read_bytes() for path in at.rglob("*.ipynb")} for at in (folder, tmp_path)
    )
    assert list(first) and first == second


def test_notebooks_are_valid_and_hold_no_output(made):
    for page, notebook in made.items():
        nbformat.validate(notebook)
        assert len({cell.id for cell in notebook.cells}) == len(notebook.cells), page
        assert notebook.metadata.kernelspec.name == "python3"
        for cell in notebook.cells:
            assert cell.source.strip(), page
            if cell.cell_type == "code":
                assert cell.outputs == [] and cell.execution_count is None, page


def test_the_first_cell_installs_the_package_from_the_notebook_branch(made):
    for page, notebook in made.items():
        first = notebook.cells[0]
        assert first.cell_type == "code", page
        assert '"autoencoders @ git+https://github.com/someone/book@notebooks#subdirectory=code"' in first.source
        assert "--no-deps" in first.source, "torch is to stay as it is"


def test_without_an_address_the_first_cell_says_what_to_do(tmp_path):
    root = small_book(tmp_path / "source", "# Start" + CELL)
    (path,) = notebooks.write(root, tmp_path / "made", notebooks.Addresses(), only_notebooks=True)
    first = nbformat.read(path, as_version=4).cells[0]
    assert "pip install ./code" in first.source and "%pip" not in first.source
    (path,) = notebooks.write(root, tmp_path / "made", notebooks.Addresses(), "a.whl", only_notebooks=True)
    assert "autoencoders @ a.whl" in nbformat.read(path, as_version=4).cells[0].source


def fragments(lines: list[str]) -> set[str]:
    """What of some lines a notebook would show as it is: runs between roles, spans of code and mathematics."""
    parts = (part for line in lines for part in re.split(r"\{[\w:]+\}`[^`]*`|`|\$", line))
    return {part.strip() for part in parts if len(part.strip()) >= 25}


def secret_and_open(root: Path) -> tuple[set[str], set[str]]:
    """The fragments that only teachers have, and those that every reader of the chapters has."""
    secret, public = [], []
    paths = [path for path in (root / "book").rglob("*.md") if not path.name.startswith(".")]
    for path in paths:
        is_solutions = "solutions" in path.parts
        inside = False
        for block in parse(path.read_text(encoding="utf-8"), path.name):
            inside = inside or block.name == "solution-start"
            hidden = block.name in editions.SOLUTIONS or "hidden-test" in block.tags or "rubric" in block.classes
            if is_solutions or inside or hidden:
                secret += block.lines
            elif "answer" in block.tags:
                solution = False
                for line in block.body:
                    solution = line.strip() == editions.BEGIN or (solution and line.strip() != editions.END)
                    (secret if solution else public).append(line)
            else:
                public += block.lines
            inside = inside and block.name != "solution-end"
    for path in (root / "code" / "autoencoders").glob("*.py"):  # pages show functions of the package
        public += path.read_text(encoding="utf-8").splitlines()
    return fragments(secret), fragments(public)


def test_no_solution_hidden_test_or_rubric_is_in_a_notebook(made):
    secret, public = secret_and_open(toc.ROOT)
    secret -= public
    assert len(secret) > 1000
    for page, notebook in made.items():
        text = "\n".join(cell.source for cell in notebook.cells)
        assert not any(mark in text for mark in (editions.BEGIN, editions.END, "hidden-test")), page
        found = [line for line in secret if line in text]
        # What the text itself says elsewhere on its page, folded differently, is no secret.
        source = " ".join(" ".join(public).split())
        assert [line for line in found if line not in source] == [], page


def test_answers_are_stubs(made):
    answers = [cell.source for notebook in made.values() for cell in notebook.cells if "answer" in tags(cell)]
    assert len(answers) > 20
    for source in answers:
        assert editions.STUB in source
        compile(source, "answer", "exec")


def tags(cell) -> list[str]:
    return cell.metadata.get("tags", [])


@pytest.mark.parametrize("page", [page for page in toc.PAGES if "appendix" not in page])
def test_every_code_cell_of_the_public_edition_is_there_in_order(made, page):
    """MyST-NB's own reader, which makes the site's cells, says which these are."""
    unsolved = dict.fromkeys(editions.written_solutions(toc.ROOT), "")
    text = editions.filter_chapter(toc.ROOT / f"{page}.md", toc.ROOT, editions.EDITIONS["public"], unsolved)
    expected = [cell for cell in read_myst_markdown_notebook(text).cells if cell.cell_type == "code"]
    if page not in made:
        assert expected == []
        return
    found = [cell for cell in made[page].cells if cell.cell_type == "code"][1:]
    assert [re.sub(r"^# Test it: .*\n", "", cell.source) for cell in found] == [c.source.strip("\n") for c in expected]
    for cell, of_site in zip(found, expected, strict=True):
        given = tags(of_site)
        assert set(tags(cell)) == {"setup", "answer", "test"} & set(given)
        is_folded = cell.metadata.get("jupyter", {}).get("source_hidden", False)
        assert is_folded == (cell.metadata.get("cellView") == "form")
        hides = {"hide-input", "remove-input", "remove-cell"} & set(given)
        assert is_folded == bool(hides and not {"setup", "test"} & set(given))


def test_every_paragraph_of_the_public_edition_is_there(made):
    """Long runs of plain text between roles, mathematics and breaks, found again in the notebook's own order."""
    solutions = dict.fromkeys(editions.written_solutions(toc.ROOT), "")
    total = 0
    for page, notebook in made.items():
        text = editions.filter_chapter(toc.ROOT / f"{page}.md", toc.ROOT, editions.EDITIONS["public"], solutions)
        body = re.sub(r"\A---\n.*?\n---\n|```\{code-cell\}.*?\n```|^\$\$.*?^\$\$.*?$", "\n", text, flags=re.S | re.M)
        notebook_text = " ".join(prose(notebook.cells).split())
        for line in body.splitlines():
            if not re.match(r"\s*([`:]|\(.*\)=)", line):
                for part in fragments([re.sub(r"^\s*(\* )?- ", "", line).replace("|", "`")]):
                    total += 1
                    assert " ".join(part.split()).lstrip("# ") in notebook_text, page
    assert total > 3000


def test_no_syntax_of_the_book_is_left_in_a_notebook(made):
    left = re.compile(r"^\s*[`:]{3,}\{|\{[\w:+.-]+\}`|^\([\w-]+\)=|\$\$ *\([\w-]+\)|^\s*:\w+: |^\+\+\+", re.M)
    for page, notebook in made.items():
        for cell in notebook.cells:
            if cell.cell_type == "markdown":
                text = re.sub(r"^```.*?^```", "", cell.source, flags=re.S | re.M)
                assert left.search(text) is None, f"{page}: {left.search(text)}"
                assert text.count("$$") % 2 == 0, page


def test_diagrams_are_pictures_that_stand_alone(made, folder):
    shown_names = set()
    for page, notebook in made.items():
        for name in re.findall(re.escape(ADDRESSES.diagrams) + r"/([\w-]+)\.svg\)", prose(notebook.cells)):
            svg = (folder / "diagrams" / f"{name}.svg").read_text(encoding="utf-8")
            element = ET.fromstring(svg)
            assert element.tag == "{http://www.w3.org/2000/svg}svg"
            assert float(element.attrib["width"]) > 0 and float(element.attrib["height"]) > 0, name
            assert "var(" not in svg, f"{page}: {name}"
            shown_names.add(name)
    assert shown_names == {path.stem for path in (folder / "diagrams").iterdir()}
    assert len(shown_names) >= 10


def test_shown_code_is_the_code_that_runs(made):
    shown_names = 0
    for page in made:
        blocks = parse((toc.ROOT / f"{page}.md").read_text(encoding="utf-8"), page)
        for block in (inner for outer in blocks for inner in outer.walk() if inner.name == "source"):
            assert f"`{block.argument.strip()}`\n\n```python\n" in prose(made[page].cells), page
            shown_names += 1
    assert shown_names > 0


# Single elements, on a small book


def test_source_is_that_of_the_object(tmp_path):
    text = shown(tmp_path, "# Start\n\n```{source} autoencoders.objectives.elbo_terms\n```" + CELL)
    found = re.search(r"```python\n(.*?)\n```", text, re.S)
    assert found and found[1] == inspect.getsource(objectives.elbo_terms).rstrip()
    assert "`autoencoders.objectives.elbo_terms`" in text


GATED = """
````{solution-start} ex-line
````
CANARY {numref}`fig-canary`

## CANARY

```{code-cell} ipython3
CANARY = 1
```

```{diagram} boxes
:alt: CANARY
:name: NAME

CANARY
```

````{tip}
```{list-table} CANARY
* - CANARY
```
````

````{solution-end}
````
"""


def test_canaries_in_every_kind_of_solution_stay_out(tmp_path):
    page = FRONT + textwrap.dedent("""\
        # Start

        ```{exercise} Why
        :label: ex-why
        :class: self-check
        Why?
        ```

        ```{solution} ex-why
        CANARY {eq}`eq-one`
        ```

        ````{exercise-start} Line
        :label: ex-line
        :class: self-check
        ````
        Write `line`.

        $$
        a
        $$ (eq-one)

        ````{exercise-end}
        ````
        INLINE
        ```{code-cell} ipython3
        :tags: [answer]
        def line(x):
            # BEGIN SOLUTION
            return x  # CANARY
            # END SOLUTION
        ```

        ```{code-cell} ipython3
        :tags: [test, remove-cell]
        def test_line(line):
            assert line(0) == 0
        ```

        ```{code-cell} ipython3
        :tags: [hidden-test, remove-cell]
        def test_two(line):
            assert line(2) == 2, "CANARY"
        ```

        ```{admonition} Rubric
        :class: rubric
        CANARY
        ```

        ```{diagram} boxes
        :alt: Boxes.
        :name: fig-seen
        Seen.
        ```

        ```{list-table} Seen
        * - a
        ```

        See {numref}`fig-seen`, {ref}`ex-line`.
        """).replace("INLINE\n", GATED.replace("NAME", "fig-dropped"))
    solutions = "# S\n\n```{solution} ex-why\nCANARY\n```\n" + GATED.replace("NAME", "fig-canary")
    root = small_book(tmp_path / "source", page, solutions)
    (path,) = notebooks.write(root, tmp_path / "made", ADDRESSES, only_notebooks=True)
    assert "CANARY" not in path.read_text()
    cells = nbformat.read(path, as_version=4).cells[1:]
    assert [source.splitlines()[0] for source in code(cells)] == ["def line(x):", "# Test it: line"]
    assert code(cells)[0].splitlines()[1] == f"    {editions.STUB}"
    text = prose(cells)
    assert text.index("Exercise 1.1: Why") < text.index("Exercise 1.2: Line") < text.index("Write `line`")
    # The site folds the solutions of self-check exercises, so that what is in them has numbers there.
    assert "**Figure 1.2.** Seen." in text and "**Table 1.2.** Seen" in text
    assert f"See [Figure 1.2]({SITE}/book/start.html#fig-seen)" in text


def test_an_exercise_begins_a_cell(tmp_path):
    page = (
        "# Start\n\n```{exercise} A\n:label: ex-a\nWhy?\n```\n\n```{exercise} B\n:label: ex-b\nHow?\n```\n\nAfter."
        + CELL
    )
    texts = [cell.source for cell in converted(tmp_path, page) if cell.cell_type == "markdown"]
    assert texts[1:] == ["### Exercise 1.1: A\n\nWhy?", "### Exercise 1.2: B\n\nHow?\n\nAfter."]


def test_under_the_title_stands_which_page_it_is(tmp_path):
    page = "# Start\n\nText." + CELL
    lines = shown(tmp_path / "with", page).split("\n\n")
    assert lines[0] == "# 1. Start" and lines[2] == "Text."
    assert f"is [a page of All About Autoencoders]({SITE}/book/start.html)" in lines[1]
    assert "is a page of All About Autoencoders." in shown(tmp_path / "without", page, site="")


@pytest.mark.parametrize("page", [FRONT + "Text." + CELL, FRONT + CELL.strip(), "```{code-cell}\n# A comment\n```\n"])
def test_a_chapter_has_to_begin_with_its_title(tmp_path, page):
    with pytest.raises(SourceError, match=r"^book/start\.md:1: .*title"):
        converted(tmp_path, page)


def test_sections_begin_cells_and_a_heading_in_code_does_not(tmp_path):
    page = (
        "(a)=\n# Start\n\nOne.\n\n(b)=\n## Two\n\nText.\n\n```bash\n# no heading\n## nor this\n```\n\n### Three\n\nEnd."
        + CELL
    )
    cells = converted(tmp_path, page)
    texts = [cell.source for cell in cells if cell.cell_type == "markdown"]
    assert [text.splitlines()[0] for text in texts] == ["# 1. Start", "## Two", "### Three"]
    assert "```bash\n# no heading\n## nor this\n```" in texts[1]


def test_a_list_table_becomes_a_table(tmp_path):
    page = textwrap.dedent("""\
        # Start

        :::{list-table} Norms, by {eq}`eq-n`
        :header-rows: 1
        :name: tab-norms

        * - name
          - norm
        * - `a | b`
          - $\\lVert x | y \\rVert$ and |
        * - several
            lines
          - $p(x \\mid z)$
        :::

        $$
        n
        $$ (eq-n)

        ```{list-table}
        * - no
          - header
        ```

        {numref}`tab-norms`
        """)
    text = shown(tmp_path, page + CELL)
    caption = f"**Table 1.1.** Norms, by [(1.1)]({SITE}/book/start.html#equation-eq-n)"
    table = "| name | norm |\n| --- | --- |\n"
    assert f"{caption}\n\n{table}" in text
    first, second = (line for line in text.splitlines() if line.startswith(("| `a", "| several")))
    assert re.split(r"(?<!\\)\|", first) == ["", r" `a \| b` ", r" $\lVert x \vert  y \rVert$ and \| ", ""]
    assert second == r"| several lines | $p(x \mid z)$ |"
    assert "\n\n|  |  |\n| --- | --- |\n| no | header |" in text
    assert f"[Table 1.1]({SITE}/book/start.html#tab-norms)" in text


def test_admonitions_keep_their_mathematics_and_what_is_inside_them(tmp_path):
    page = textwrap.dedent("""\
        # Start

        ````{admonition} Predict $x$
        Before.

        $$
        x^2
        $$ (eq-x)

        ```python
        inner()
        ```

        - a list
        ````

        ```{note}
        Noted.
        ```

        {eq}`eq-x`
        """)
    text = shown(tmp_path, page + CELL)
    box = re.search(r"<blockquote>\n\n(.*?)\n\n</blockquote>", text, re.S)
    assert box and box[1].startswith("**Predict $x$.** Before.")
    assert "\n\n$$\nx^2\n\\tag{1.1}\n$$\n\n```python\ninner()\n```\n\n- a list" in box[1]
    assert "**Note.** Noted." in text
    assert f"[(1.1)]({SITE}/book/start.html#equation-eq-x)" in text


def test_dropdowns_proofs_and_statements(tmp_path):
    page = textwrap.dedent("""\
        # Start

        ```{prf:theorem} Pythagoras
        :label: thm-p
        $a^2 + b^2 = c^2$.
        ```

        ```{prf:proof}
        See {prf:ref}`thm-p`.
        ```

        ```{prf:lemma}
        :label: lem-l
        Small.
        ```

        :::{dropdown} More on {prf:ref}`lem-l`
        Folded.
        :::
        """)
    text = shown(tmp_path, page + CELL)
    theorem, lemma = (
        f"[{name}]({SITE}/book/start.html#{label})"
        for name, label in (("Theorem 1.1", "thm-p"), ("Lemma 1.1", "lem-l"))
    )
    assert "**Theorem 1.1 (Pythagoras).** $a^2 + b^2 = c^2$." in text
    assert f"*Proof.* See {theorem}. ∎" in text
    assert "**Lemma 1.1.** Small." in text
    assert f"<details><summary>More on {lemma}</summary>\n\nFolded.\n\n</details>" in text


def test_captions_follow_their_figures_and_diagrams_are_shown(tmp_path):
    page = textwrap.dedent("""\
        # Start

        ```{diagram} boxes
        :alt: A [box].
        :name: fig-boxes

        By {cite:t}`zeta2001`.
        ```

        ```{code-cell} ipython3
        ---
        mystnb:
          figure:
            name: fig-plot
            caption: |
              After {numref}`fig-boxes`,
              over two lines.
        tags: [hide-input]
        ---
        plot()
        ```

        ```{diagram} boxes
        :alt: No caption, no number.
        ```

        {numref}`fig-plot`, {numref}`the plot <fig-plot>`
        """)
    cells = converted(tmp_path, page)
    text = prose(cells)
    pictures = re.findall(r"!\[(.*?)\]\(data:image/svg\+xml;base64,([^)]*)\)", text)
    assert [alt for alt, _ in pictures] == ["A (box).", "No caption, no number."]
    assert f"({pictures[0][1]})\n\n**Figure 1.1.** By Zeta (2001)." in text.replace("data:image/svg+xml;base64,", "")
    at = next(number for number, cell in enumerate(cells) if cell.source == "plot()")
    link = f"[Figure 1.1]({SITE}/book/start.html#fig-boxes)"
    assert cells[at + 1].source.startswith(f"**Figure 1.2.** After {link}, over two lines.")
    assert text.count("Figure 1.2.") == 1 and "Figure 1.3" not in text
    assert f"[the plot]({SITE}/book/start.html#fig-plot)" in text
    svg = base64.b64decode(pictures[0][1]).decode()
    element = ET.fromstring(svg)
    assert (element.attrib["width"], element.attrib["height"]) == ("40", "20")
    assert "var(" not in svg


def test_citations_are_by_author_and_year_and_end_in_a_list(tmp_path):
    page = "# Start\n\nA {cite:p}`zeta2001,alpha1999`, b {cite:t}`many2010`, c {cite}`zeta2001`." + CELL
    text = shown(tmp_path, page)
    assert "A (Alpha and Beta, 1999, Zeta, 2001), b One *et al.* (2010), c (Zeta, 2001)." in text
    listed = text[text.index("## References") :].splitlines()[2:]
    assert ["Begins" in listed[0], "Many" in listed[1], "Ends" in listed[2], len(listed)] == [True, True, True, 3]


def test_roles_in_code_are_left_alone_and_links_need_an_address(tmp_path):
    page = "(s)=\n# Start\n\n`` {ref}`s` `` and ``{eq}`` by {ref}`s`, {ref}`this <s>` and {math}`x`." + CELL
    root = tmp_path / "with"
    text = shown(root, page)
    link = f"{SITE}/book/start.html#s"
    assert f"`` {{ref}}`s` `` and ``{{eq}}`` by [Start]({link}), [this]({link}) and $x$." in text
    assert "by Start, this and $x$." in shown(tmp_path / "without", page, site="")


def test_numbers_begin_anew_in_every_chapter(tmp_path):
    more = "# Second\n\n$$\na\n$$ (eq-a)\n\n$$\nno number\n$$\n\n$$\nb\n$$ (eq-b)\n"
    page = "# Start\n\n$$\nc\n$$ (eq-c)\n\n{eq}`eq-c` {eq}`eq-a` {eq}`eq-b`" + CELL
    text = shown(tmp_path, page, second=more)
    assert text.startswith("# 1. Start") and "\\tag{1.1}" in text
    links = [("start", "c", "1.1"), ("second", "a", "2.1"), ("second", "b", "2.2")]
    assert " ".join(f"[({n})]({SITE}/book/{at}.html#equation-eq-{label})" for at, label, n in links) in text


def test_numbers_run_on_through_a_part_that_is_not_numbered(tmp_path):
    more = "# Second\n\n$$\na\n$$ (eq-a)\n"
    root = small_book(tmp_path, "# Start\n\n$$\nc\n$$ (eq-c)\n\n{eq}`eq-a`" + CELL, second=more)
    (root / "_toc.yml").write_text((root / "_toc.yml").read_text().replace("numbered: true", "numbered: false"))
    book = markdown.Book(root, numbering.of_book(root), "")
    text = prose(notebooks.convert("book/start", book, "").cells)
    assert text.startswith("# Start\n") and "\\tag{1}" in text and text.endswith("(2)")


# What is refused

PLACES = {
    "in text": "# Start\n\nOne\nHERE" + CELL,
    "after front matter": FRONT + "# Start\n\nHERE" + CELL,
    "in an admonition": FRONT + "# Start\n\n````{admonition} A\n:class: tip\n\nText.\n\nHERE\n````" + CELL,
    "in an exercise": "# Start\n\n````{exercise} A\n:label: ex-a\n\nText.\nHERE\n````" + CELL,
    "in two boxes": "# Start\n\n`````{note}\nOne\n````{tip}\nTwo\nHERE\n````\n`````" + CELL,
    "in a caption of a diagram": "# Start\n\n````{diagram} boxes\n:alt: A.\n\nText.\nHERE\n````" + CELL,
    "in a dropdown after a heading": "# Start\n\n## Two\n\n````{dropdown} A\nText.\n\nHERE\n````" + CELL,
}
INLINE = {
    "{ref}`nowhere`": "`{ref}` refers to `nowhere`",
    "{ref}`there <nowhere>`": "`{ref}` refers to `nowhere`",
    "{eq}`eq-nowhere`": "`{eq}` refers to `eq-nowhere`",
    "{numref}`fig-nowhere`": "`{numref}` refers to `fig-nowhere`",
    "{prf:ref}`thm-nowhere`": "`{prf:ref}` refers to `thm-nowhere`",
    "{cite:t}`nobody1900`": "`{cite:t}` refers to `nobody1900`",
    "{cite}`zeta2001, nobody1900`": "`{cite}` refers to `nobody1900`",
    "{doc}`start`": "role `{doc}`",
    "{term}`word`": "role `{term}`",
    "{abbr}`word`": "role `{abbr}`",
    "{misspelled}`word`": "unknown role `{misspelled}`",
    "```{misspelled}\nx\n```": "unknown directive `{misspelled}`",
    "```{margin}\nx\n```": "directive `{margin}`",
    "```{figure} x.png\nx\n```": "directive `{figure}`",
    "```{raw} html\nx\n```": "directive `{raw}`",
}


@pytest.mark.parametrize("given", INLINE)
@pytest.mark.parametrize("place", PLACES)
def test_what_no_notebook_can_show_is_refused_with_file_and_line(tmp_path, place, given):
    page = PLACES[place].replace("HERE", given)
    line = page[: page.index(given)].count("\n") + 1
    with pytest.raises(SourceError) as caught:
        converted(tmp_path, page)
    assert str(caught.value).startswith(f"book/start.md:{line}: "), str(caught.value)
    assert INLINE[given] in str(caught.value)


# A fence of backticks cannot have any in its title, so titles with roles are on colon fences.
TITLES = {
    "of a list-table": ":::{list-table} Title HERE\n* - a\n:::",
    "of an exercise": ":::{exercise} Title HERE\n:label: ex-a\nWhy?\n:::",
    "of an admonition": ":::{admonition} Title HERE\nText.\n:::",
    "of a theorem": ":::{prf:theorem} Title HERE\n:label: thm-a\nText.\n:::",
    "of a dropdown": ":::{dropdown} Title HERE\nText.\n:::",
    "of an empty box": ":::{admonition} Title HERE\n:::",
}


@pytest.mark.parametrize("given", ["{ref}`nowhere`", "{cite:t}`nobody1900`", "{term}`word`"])
@pytest.mark.parametrize("title", TITLES)
def test_a_reference_to_nothing_in_a_title_is_refused(tmp_path, title, given):
    with pytest.raises(SourceError, match=r"^book/start\.md:3: "):
        converted(tmp_path, "# Start\n\n" + TITLES[title].replace("HERE", given) + CELL)


@pytest.mark.parametrize("given", ["{ref}`nowhere`", "{cite:t}`nobody1900`", "{term}`word`"])
def test_a_reference_to_nothing_in_the_caption_of_a_plot_is_refused(tmp_path, given):
    page = (
        "# Start\n\n```{code-cell} ipython3\n---\nmystnb:\n  figure:\n"
        f"    caption: |\n      Seen in {given}.\n---\nplot()\n```\n"
    )
    with pytest.raises(SourceError, match=r"^book/start\.md:3: "):
        converted(tmp_path, page)


@pytest.mark.parametrize(
    "inside", ["```{code-cell} ipython3\ny = 2\n```", "### A heading", "```{exercise} E\n:label: ex-e\nWhy?\n```"]
)
def test_what_would_begin_a_cell_inside_a_box_is_refused(tmp_path, inside):
    """A cell in a box does not run on the site either; a heading or an exercise in one would take the text with it."""
    page = f"# Start\n\nBefore.\n\n````{{admonition}} Box\nBody.\n\n{inside}\n\nRest.\n````\n{CELL}"
    line = page[: page.index(inside)].count("\n") + 1
    with pytest.raises(SourceError, match=rf"^book/start\.md:{line}: .*inside a directive"):
        converted(tmp_path, page)


def test_a_code_fence_may_show_what_is_refused_elsewhere(tmp_path):
    fence = "```markdown\n# Title\n\n{ref}`nowhere`, {term}`word`\n\n$$\na\n$$ (eq-no)\n```"
    page = f"# Start\n\n{fence}\n\n````{{note}}\nSo:\n\n{fence}\n````" + CELL
    assert shown(tmp_path, page).count(fence) == 2


TWICE = {
    "equations": "$$\na\n$$ (twice)\n\n$$\nb\n$$ (twice)\n",
    "a section and an exercise": "(twice)=\n## Two\n\n```{exercise} E\n:label: twice\nWhy?\n```\n",
    "a figure in a box": "(twice)=\n## Two\n\n````{note}\n```{diagram} boxes\n:alt: A.\n:name: twice\n\nB.\n```\n````\n",
}


@pytest.mark.parametrize("case", TWICE)
def test_two_labels_that_are_the_same_are_refused(tmp_path, case):
    with pytest.raises(SourceError, match=r"^book/start\.md:\d+: the label `twice` is also on book/start\.md"):
        converted(tmp_path, "# Start\n\n" + TWICE[case] + CELL)


def test_a_label_of_another_page_is_refused(tmp_path):
    with pytest.raises(SourceError, match=r"^book/second\.md:\d+: the label `twice` is also on book/start\.md"):
        converted(tmp_path, "(twice)=\n# Start\n" + CELL, second="(twice)=\n# Second\n")


def test_nothing_is_written_where_a_page_is_refused(tmp_path):
    root = small_book(tmp_path / "source", "# Start" + CELL, second="# Second\n\n{ref}`nowhere`" + CELL)
    dest = tmp_path / "made"
    with pytest.raises(SourceError, match=r"book/second\.md:3: "):
        notebooks.write(root, dest, ADDRESSES, only_notebooks=True)
    assert not dest.exists()


# Addresses


def addressed(root: Path, url: str = "", branch: str = "notebooks") -> notebooks.Addresses:
    (root / "_config.yml").write_text(yaml.safe_dump({"repository": {"url": url, "branch": branch}}))
    return notebooks.Addresses.of(root)


@pytest.fixture
def unset(monkeypatch):
    for name in ("AE_REPOSITORY_URL", "AE_SITE_URL"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


@pytest.mark.parametrize(
    ("url", "repository", "site"),
    [
        ("https://github.com/Someone/book", "https://github.com/Someone/book", "https://someone.github.io/book"),
        ("https://github.com/someone/book/", "https://github.com/someone/book", SITE),
        ("https://github.com/someone/book.git", "https://github.com/someone/book", SITE),
        ("https://github.com/someone/a.b-c_d", "https://github.com/someone/a.b-c_d", f"{SITE[:-4]}a.b-c_d"),
        ("https://github.com/Ann/ann.github.io", "https://github.com/Ann/ann.github.io", "https://ann.github.io"),
        ("https://github.com/Ann/Ann.github.io", "https://github.com/Ann/Ann.github.io", "https://ann.github.io"),
        ("", "", ""),
    ],
)
def test_the_site_follows_from_the_repository(tmp_path, unset, url, repository, site):
    found = addressed(tmp_path, url)
    assert (found.repository, found.site) == (repository, site)
    assert found.package == (f"git+{repository}@notebooks#subdirectory=code" if url else "")


def test_the_environment_goes_before_the_configuration(tmp_path, unset):
    unset.setenv("AE_REPOSITORY_URL", "https://github.com/other/text.git")
    found = addressed(tmp_path, "https://github.com/someone/book", "made")
    assert found == notebooks.Addresses("https://github.com/other/text", "https://other.github.io/text", "made")
    unset.setenv("AE_SITE_URL", "https://book.example/")
    assert addressed(tmp_path).site == "https://book.example"
    unset.setenv("AE_REPOSITORY_URL", "")
    assert addressed(tmp_path, "https://github.com/someone/book") == notebooks.Addresses("", "https://book.example")


@pytest.mark.parametrize(
    "url", ["https://example.org/a/b", "git@github.com:a/b.git", "https://github.com/a", "https://github.com/a/b/c"]
)
def test_an_address_that_is_not_of_github_is_refused(tmp_path, unset, url):
    with pytest.raises(ValueError, match="AE_REPOSITORY_URL"):
        addressed(tmp_path, url)


def test_the_command_says_what_it_made_and_what_is_wrong(tmp_path, unset, capsys, monkeypatch):
    root = small_book(tmp_path / "source", "# Start" + CELL)
    subprocess.run(["git", "init", "--quiet", str(root)], check=True)
    monkeypatch.setattr(__main__, "ROOT", root)
    assert __main__.main(["notebooks", str(tmp_path / "made"), "--package", "a.whl"]) == 0
    assert "1 notebooks are in" in capsys.readouterr().out
    unset.setenv("AE_REPOSITORY_URL", "https://example.org/a/b")
    assert __main__.main(["notebooks", str(tmp_path / "made")]) == 1
    assert "AE_REPOSITORY_URL" in capsys.readouterr().err


def test_a_folder_with_something_else_in_it_is_left_alone(tmp_path):
    root = small_book(tmp_path / "root", "# Start\n" + CELL)
    dest = tmp_path / "mine"
    dest.mkdir()
    (dest / "README.md").write_text("# My notes\n")
    with pytest.raises(ValueError, match="choose an empty folder"):
        notebooks.write(root, dest, notebooks.Addresses())
    assert (dest / "README.md").read_text() == "# My notes\n"


def test_notebooks_are_written_over_those_of_before(folder):
    stale = folder / "book" / "stale.ipynb"
    stale.write_text("{}")
    notebooks.write(toc.ROOT, folder, ADDRESSES)
    assert not stale.exists() and (folder / "README.md").read_text().startswith(notebooks.TITLE)
