"""Each checker finds the fault it looks for, and passes a page without it."""

import checkers
import pytest

PAGE = """<html><body><nav><svg aria-hidden="true"></svg></nav><article>
<h1 id="title">Title</h1><p>Text with <span class="math">\\(\\theta\\)</span> and <code>$$</code>.</p>
<img src="a.png" alt="A curve that falls."><svg role="img" aria-label="Two boxes."></svg>
<a href="#title">up</a> <a href="page.html#title">here</a> <a href="https://example.org/">out</a>
</article></body></html>"""


def write(folder, text, name="page.html"):
    (folder / "a.png").write_bytes(b"")
    path = folder / name
    path.write_text(text)
    checkers.read.cache_clear()
    return path


@pytest.mark.parametrize(
    ("checker", "old", "new"),
    [
        (checkers.broken_links, 'href="#title"', 'href="#nowhere"'),
        (checkers.broken_links, "page.html#title", "missing.html"),
        (checkers.broken_links, "page.html#title", "page.html#nowhere"),
        (checkers.broken_links, 'src="a.png"', 'src="b.png"'),
        (checkers.foreign_assets, 'src="a.png"', 'src="https://example.org/a.png"'),
        (checkers.foreign_assets, "<nav>", '<script src="//example.org/x.js"></script><nav>'),
        (checkers.without_alt, ' alt="A curve that falls."', ""),
        (checkers.without_alt, "A curve that falls.", "../_images/a.png"),
        (checkers.without_alt, ' aria-label="Two boxes."', ""),
        (checkers.without_alt, ' aria-hidden="true"', ""),
        (checkers.raw_mathematics, '<span class="math">\\(\\theta\\)</span>', "$$\\theta$$"),
        (checkers.unresolved, "Text", "As {cite:p}`x` and [?] say, text"),
        (checkers.unresolved, "<p>Text", '<p class="system-message">Text'),
    ],
)
def test_page_checker_finds_its_fault(tmp_path, checker, old, new):
    assert checker(write(tmp_path, PAGE)) == []
    assert old in PAGE
    assert len(checker(write(tmp_path, PAGE.replace(old, new, 1)))) >= 1


def cell(source, *outputs, count=1):
    return {"cell_type": "code", "source": [source], "outputs": list(outputs), "execution_count": count}


def test_error_outputs_finds_errors_warnings_and_cells_that_never_ran():
    fine = cell("x", {"output_type": "stream", "name": "stderr", "text": ["100%"]})
    error = cell("x", {"output_type": "error", "ename": "ValueError", "evalue": "no"})
    warning = cell("x", {"output_type": "stream", "name": "stderr", "text": ["UserWarning: old"]})
    assert checkers.error_outputs({"cells": [fine, cell("", count=None)]}) == []
    for broken in (error, warning, cell("x", count=None)):
        assert len(checkers.error_outputs({"cells": [fine, broken]})) == 1


@pytest.mark.parametrize(
    "text",
    [
        "Vector quantisation is old.",
        "The reparametrization trick.",
        "It is reparameterised.",
        "We regularise and normalised.",
        "The colour of each neighbour.",
        "The centre of a grey image.",
        "We minimize the ELBO.",
        "The variational lower bound loss falls.",
        "We maximize the negative ELBO.",
        "```{code-cell} ipython3\nax.set(ylabel='ELBO loss')\n```",
        "```{code-cell} ipython3\nloss = elbo\n```",
    ],
)
def test_prose_lint_finds(text):
    assert checkers.prose_faults(text)


@pytest.mark.parametrize(
    "text",
    [
        "Quantization, the reparameterization trick and parameterized models; we exercise, precisely, to raise and advise.",
        "We maximize the ELBO, that is, minimize the negative ELBO.",
        "The optimum and the minimal optimizer, a random color, noise, otherwise likewise.",
        "Install `colour` from [here](https://example.org/colour).",
        "```{code-cell} ipython3\nax.set(ylabel='negative ELBO, nats')\ncentre = 3\n```",
    ],
)
def test_prose_lint_passes(text):
    assert checkers.prose_faults(text) == []


def test_citations_and_keys_are_found():
    assert checkers.cited("As {cite:t}`a2000x` and {cite}`b2001y, c2002z` say") == {"a2000x", "b2001y", "c2002z"}
    assert checkers.bibliography_keys("@article{a2000x,\n title={x}}\n@book{ b2001y ,\n}") == ["a2000x", "b2001y"]


@pytest.mark.parametrize(
    "source",
    [
        "from autoencoders.training import fit",
        "from autoencoders import training",
        "from .training import fit",
        "from . import training",
        "import autoencoders.training",
        "def f():\n    from autoencoders import data",
    ],
)
def test_import_upwards_is_found(source):
    assert checkers.imports_up(source, "data", ["data", "training"])


def test_import_downwards_and_from_elsewhere_passes():
    source = "import torch\nfrom data import x\nfrom autoencoders.data import load\nfrom . import data"
    assert checkers.imports_up(source, "training", ["data", "training"]) == []


@pytest.mark.parametrize(
    "source",
    ["assert x", "try:\n    x\nexcept:\n    pass", "torch.load('x')", "import pickle", "from pickle import load"],
)
def test_banned_code_is_found(source):
    assert checkers.banned_code(source)


def test_code_without_banned_constructs_passes():
    assert checkers.banned_code("try:\n    ae.data.load('x')\nexcept ValueError:\n    raise") == []


@pytest.mark.parametrize("text", ["see /" + "work/x", "cd /" + "root/x", "https://py" + "pi.org/simple"])
def test_machine_names_are_found(text):
    assert checkers.machine_names(text)


def test_relative_paths_pass_the_machine_check():
    inside = "/" + "work/x"
    assert checkers.machine_names(f"book{inside} and https://example.org{inside} and ./root") == []
