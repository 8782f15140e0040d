"""The built book, its pages in the order of the table of contents, and its source."""

from __future__ import annotations

from pathlib import Path

import pytest
import toc


@pytest.fixture(scope="session")
def root() -> Path:
    return toc.ROOT


@pytest.fixture(scope="session")
def site() -> Path:
    """The folder of the built site."""
    if not (toc.SITE / "index.html").exists():
        pytest.fail(toc.UNBUILT)
    return toc.SITE


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "page_name" in metafunc.fixturenames:
        metafunc.parametrize("page_name", toc.PAGES)


@pytest.fixture
def built(site: Path, page_name: str) -> Path:
    """One built page."""
    return site / f"{page_name}.html"


@pytest.fixture
def chapter(root: Path, page_name: str) -> str:
    """The source of one page."""
    return (root / f"{page_name}.md").read_text(encoding="utf-8")
