"""The build itself, on a book of two pages: it publishes no solution, and a fault in a page makes it fail."""

import importlib
import json
import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import toc
import yaml
from docutils import nodes
from docutils.utils import new_document

from autoencoders import claims
from teaching import editions, site

PAGE = """---
jupytext: {formats: 'md:myst', text_representation: {extension: .md, format_name: myst}}
kernelspec: {display_name: Python 3, language: python, name: python3}
---

(start)=
# Start

By {eq}`eq-line`, {numref}`fig-boxes` and {ref}`references`.

$$
y = 2x + \\boldsymbol{1}
$$ (eq-line)

```{diagram} boxes
:alt: Two boxes.
:name: fig-boxes

Two boxes for $x$.
```

```{source} textwrap.indent
:no-docstring:
```

```{exercise} Line
:label: ex-line
:class: self-check
Why?
```

```{code-cell} ipython3
:tags: [answer]
def line(x):
    # BEGIN SOLUTION
    return 2 * x + 1  # CANARY
    # END SOLUTION
```

```{code-cell} ipython3
:tags: [test, remove-cell]
def test_line(line):
    assert line(0) == 1
```

```{code-cell} ipython3
:tags: [hidden-test, remove-cell]
def test_slope(line):
    assert line(1) - line(0) == 2, "CANARY"
```

```{code-cell} ipython3
import os

print("static:", os.environ["AE_STATIC"])
```
"""
SOLUTION = """# Solutions

```{solution} ex-line
Because it is FOLDED.
```
"""


def small_book(root: Path, page: str) -> Path:
    shutil.copyfile(toc.ROOT / "_config.yml", root / "_config.yml")
    for folder in ("_ext", "_assets"):
        shutil.copytree(toc.ROOT / "book" / folder, root / "book" / folder)
    (root / "_toc.yml").write_text(
        yaml.safe_dump({"format": "jb-book", "root": "book/start", "chapters": [{"file": "book/references"}]})
    )
    (root / "book" / "_assets" / "diagrams").mkdir(exist_ok=True)
    (root / "book" / "_assets" / "diagrams" / "boxes.svg").write_text(
        '<svg viewBox="0 0 40 20"><defs><path id="p" d="M0 0h9"/></defs><use href="#p"/></svg>'
    )
    (root / "book" / "solutions").mkdir()
    (root / "book" / "solutions" / "start.md").write_text(SOLUTION)
    (root / "book" / "start.md").write_text(page)
    (root / "book" / "references.md").write_text("(references)=\n# References\n\n```{bibliography}\n```\n")
    (root / "book" / "references.bib").write_text("")
    (root / "code").mkdir()
    (root / "requirements.txt").write_text("")
    return root


def test_small_book_builds_and_publishes_no_solution(tmp_path):
    root = small_book(tmp_path, PAGE)
    assert site.build(root) == 0
    built = root / "_build" / "html"
    text = (built / "book" / "start.html").read_text()
    assert "static: 1" in text
    assert "searchindex.js" not in text and "searchindex.js" in (built / "search.html").read_text()
    assert 'aria-label="Two boxes."' in text and 'href="#boxes-p"' in text
    assert "def" in text and "textwrap.indent" in text
    assert "FOLDED" in text
    assert "Test it: line" in text
    assert not [path for path in built.rglob("*") if path.is_file() and b"CANARY" in path.read_bytes()]
    assert "book/start" in json.loads((root / "_build" / "chapter-times.json").read_text())


def test_editions_take_their_outputs_from_the_public_build(tmp_path, capsys):
    root = small_book(tmp_path, PAGE)
    (root / "book" / "instructors").mkdir()
    (root / "book" / "instructors" / "start.md").write_text("# Notes: start\n\nSay NOTED.\n")
    assert site.build(root) == 0
    capsys.readouterr()
    for edition in editions.EDITIONS:
        assert site.build_edition(root, edition) == 0
    said = capsys.readouterr().out
    assert "Executed notebook" not in said
    assert "of the student edition hold no solution" in said and "of the instructor edition hold no" not in said
    shelf = root / "_build" / "editions"
    pages = {name: (shelf / name / "html" / "book" / "start.html").read_text() for name in editions.EDITIONS}
    assert all("static: 1" in text for text in pages.values())
    for word, has in {"FOLDED": "public instructor", "CANARY": "instructor", "test_slope": "instructor"}.items():
        assert {name for name, text in pages.items() if word in text} == set(has.split()), word
    for name in editions.EDITIONS:
        files = [path for path in (shelf / name).rglob("*") if path.is_file()]
        assert any(b"NOTED" in path.read_bytes() for path in files) == (name == "instructor")
        assert any(b"test_slope" in path.read_bytes() for path in files) == (name == "instructor")
        assert {path.name for path in (shelf / name).iterdir()} == {"source", "html"}


def test_an_unchanged_page_is_not_executed_again(tmp_path, capsys):
    root = small_book(tmp_path, PAGE)
    assert site.build(root) == 0
    assert "Executed notebook" in capsys.readouterr().out
    assert site.build(root) == 0
    assert "Executed notebook" not in capsys.readouterr().out
    assert "book/start" in json.loads((root / "_build" / "chapter-times.json").read_text())


MEETING = """---
jupytext: {formats: 'md:myst', text_representation: {extension: .md, format_name: myst}}
kernelspec: {display_name: Python 3, language: python, name: python3}
---

(NAME)=
# Page NAME

```{code-cell} ipython3
import time
from pathlib import Path

Path("NAME.there").touch()
deadline = time.monotonic() + 60
while not Path("OTHER.there").exists():
    if time.monotonic() > deadline:
        raise TimeoutError("the other page was not executed meanwhile")
    time.sleep(0.05)
```
"""


@pytest.mark.skipif(os.cpu_count() == 1, reason="one page at a time on one core")
def test_two_pages_are_executed_at_once(tmp_path):
    root = small_book(tmp_path, PAGE)
    for name, other in (("one", "two"), ("two", "one")):
        (root / "book" / f"{name}.md").write_text(MEETING.replace("NAME", name).replace("OTHER", other))
    pages = [{"file": f"book/{name}"} for name in ("one", "references", "two")]
    (root / "_toc.yml").write_text(yaml.safe_dump({"format": "jb-book", "root": "book/start", "chapters": pages}))
    assert site.build(root) == 0
    times = json.loads((root / "_build" / "chapter-times.json").read_text())
    assert {"book/one", "book/two", "book/start"} <= set(times)


CLAIM = """
(ch-generation)=
# Samples

```{code-cell} ipython3
import autoencoders as ae

ae.claims.judge("ae-samples-worse", {"N(0, I)": [0.2, 0.3, 0.25], "a fitted Gaussian": [-0.1, -0.2, 0.0]})
```
"""


def test_pages_are_executed_part_by_part_in_the_order_of_the_book(monkeypatch):
    monkeypatch.syspath_prepend(toc.ROOT / "book" / "_ext")
    ahead = importlib.import_module("ahead")
    book = ["book/start", "book/last/b", "book/first/c", "book/last/a"]
    pages = ["book/first/c", "book/last/a", "book/last/b", "book/start", "else/where"]
    assert ahead.by_part(pages, book) == ["book/start", "book/last/a", "book/last/b", "book/first/c", "else/where"]


def test_the_ledger_collects_what_pages_judge_and_refuses_a_claim_of_another_page(tmp_path):
    root = small_book(tmp_path, PAGE[: PAGE.index("\n(")] + CLAIM)
    (root / "book" / "claims.md").write_text("(claims)=\n# Claims\n\n```{claims}\n```\n")
    toc_path = root / "_toc.yml"
    pages = [{"file": f"book/{name}"} for name in ("references", "claims")]
    toc_path.write_text(yaml.safe_dump({"format": "jb-book", "root": "book/start", "chapters": pages}))
    assert site.build(root) == 0
    text = (root / "_build" / "html" / "book" / "claims.html").read_text()
    assert "depends: holds for N(0, I); does not hold for a fitted Gaussian" in text
    assert '<a href="start.html#claim-ae-samples-worse">Samples</a>' in text
    page = root / "book" / "start.md"
    page.write_text(page.read_text().replace("ae-samples-worse", "vae-centered"))
    assert site.build(root) != 0
    assert "belongs to ch-training-vae" in (root / "_build" / "build.log").read_text()


def test_of_two_findings_on_one_claim_a_page_s_last_counts_and_a_page_read_anew_starts_anew(monkeypatch):
    monkeypatch.syspath_prepend(toc.ROOT / "book" / "_ext")
    ledger = importlib.import_module("ledger")

    def page(*effects):
        document = new_document("page")
        for found in effects:
            document += nodes.raw("", claims.judge("vae-centered", found)._repr_html_(), format="html")
        return document

    app = SimpleNamespace(env=SimpleNamespace(docname="book/page"))
    ledger.collect(app, page([1, 1, 1], [2, 2, 2]))
    assert app.env.ae_findings == {"book/page": [{"claim": "vae-centered", "effects": {"": [2.0, 2.0, 2.0]}}]}
    ledger.collect(app, page([3, 3, 3]))
    assert [record["effects"] for record in app.env.ae_findings["book/page"]] == [{"": [3.0, 3.0, 3.0]}]
    ledger.forget(app, app.env, "book/page")
    assert app.env.ae_findings == {}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("{ref}`references`", "{ref}`nowhere`", "undefined label"),
        ("{eq}`eq-line`", "{eq}`eq-nowhere`", "eq-nowhere"),
        ("textwrap.indent", "textwrap.outdent", "cannot show `textwrap.outdent`"),
        (":alt: Two boxes.\n", "", "say in `:alt:`"),
        ("```{diagram} boxes", "```{diagram} bokses", "bokses"),
        ("import os\n", "raise ValueError('no')\n", "ValueError"),
    ],
)
def test_a_fault_in_a_page_fails_the_build(tmp_path, capsys, old, new, message):
    assert old in PAGE
    assert site.build(small_book(tmp_path, PAGE.replace(old, new, 1))) != 0
    assert message in capsys.readouterr().out


def test_the_cache_key_follows_code_and_requirements(tmp_path):
    (tmp_path / "code").mkdir()
    (tmp_path / "requirements.txt").write_text("a==1")
    keys = [site.key(tmp_path)]
    (tmp_path / "code" / "x.py").write_text("a = 1")
    keys.append(site.key(tmp_path))
    (tmp_path / "requirements.txt").write_text("a==2")
    keys.append(site.key(tmp_path))
    (tmp_path / "code" / "__pycache__").mkdir()
    (tmp_path / "code" / "__pycache__" / "x.pyc").write_text("")
    assert len(set(keys)) == 3
    assert site.key(tmp_path) == keys[-1]


def test_repository_address_comes_from_the_environment(tmp_path, monkeypatch):
    shutil.copyfile(toc.ROOT / "_config.yml", tmp_path / "_config.yml")
    monkeypatch.setenv("AE_REPOSITORY_URL", "https://github.com/someone/book")
    site.configure(tmp_path, tmp_path / "cache")
    config = yaml.safe_load((tmp_path / "_config.yml").read_text())
    assert config["repository"]["url"] == "https://github.com/someone/book"
    assert config["html"]["use_repository_button"] is True
