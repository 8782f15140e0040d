"""The launch buttons of a site that is published from a repository: each leads to the notebook of its own page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import toc
import yaml

from teaching import notebooks, site

COLAB = "https://colab.research.google.com/github/someone/book/blob/notebooks/{page}.ipynb"
BINDER = "https://mybinder.org/v2/gh/someone/book/notebooks?urlpath=lab/tree/{page}.ipynb"
HUB = (
    "https://hub.example.org/hub/user-redirect/git-pull?repo=https%3A//github.com/someone/book"
    "&urlpath=lab/tree/book/{page}.ipynb&branch=notebooks"
)


@pytest.fixture(scope="module")
def published(tmp_path_factory) -> Path:
    """The site as the publishing workflow would build it, with a hub, without outputs."""
    folder = tmp_path_factory.mktemp("published")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AE_REPOSITORY_URL", "https://github.com/someone/book")
        patch.setenv("AE_JUPYTERHUB_URL", "https://hub.example.org")
        site.prepare(toc.ROOT, folder / "source", folder / "cache", execute={"execute_notebooks": "off"})
        site.jupyter_book(folder / "source", folder, folder / "cache", "-q")
    return folder / "_build" / "html"


def launched(page: Path) -> set[str]:
    text = page.read_text(encoding="utf-8").replace("&amp;", "&")
    return set(re.findall(r'href="([^"]*(?:colab\.research|mybinder|hub\.example)[^"]*)"', text))


def test_every_page_with_code_leads_to_its_own_notebook_on_the_notebook_branch(published, tmp_path):
    addresses = notebooks.Addresses("https://github.com/someone/book", "https://someone.github.io/book")
    branch = tmp_path / "branch"
    made = {
        path.relative_to(branch).with_suffix("").as_posix() for path in notebooks.write(toc.ROOT, branch, addresses)
    }
    with_code = [
        page for page in toc.PAGES if "```{code-cell}" in (toc.ROOT / f"{page}.md").read_text(encoding="utf-8")
    ]
    assert sorted(made) == sorted(with_code)
    for page in toc.PAGES:
        wanted = {link.format(page=page) for link in (COLAB, BINDER, HUB)} if page in made else set()
        assert launched(published / f"{page}.html") == wanted, page
    for name in ("binder/postBuild", "code/pyproject.toml", "LICENSE", "README.md"):
        assert (branch / name).is_file(), name
    assert not (branch / "book" / "solutions").exists()


def test_no_button_without_a_repository(tmp_path, monkeypatch):
    monkeypatch.setenv("AE_REPOSITORY_URL", "")
    (tmp_path / "_config.yml").write_text((toc.ROOT / "_config.yml").read_text(encoding="utf-8"))
    site.configure(tmp_path, tmp_path / "cache")
    config = yaml.safe_load((tmp_path / "_config.yml").read_text(encoding="utf-8"))
    assert "launch_buttons" not in config and "repository" not in config


@pytest.mark.parametrize(("width", "theme"), [(1280, "light"), (375, "dark")])
def test_the_menu_opens_by_keyboard_and_names_what_it_launches(published, open_page, axe, width, theme):
    page = open_page(width=width, theme=theme)
    page.goto((published / "book" / "vae" / "elbo.html").as_uri())
    button = page.locator(".dropdown-launch-buttons > button")
    button.focus()
    page.keyboard.press("Enter")
    items = page.locator(".dropdown-launch-buttons .dropdown-menu a")
    items.first.wait_for(state="visible")
    assert [item.inner_text().strip() for item in items.all()] == ["Binder", "JupyterHub", "Colab"]
    assert page.errors == []  # before the audit, whose reading of style sheets is refused where there is no server
    assert axe(page) == []
