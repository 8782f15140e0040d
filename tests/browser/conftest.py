"""A real Chromium for the browser tests: pages that record what went wrong, and the accessibility audit.

Debian's `chromium` (or any Chrome on the path) is used where there is one, otherwise the browser playwright downloaded.
Without a browser these tests are skipped with the command that installs one; in CI a skip is a failure.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Error, Page, Request, sync_playwright

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
INSTALL = "apt-get install chromium (Debian, as root) or .venv/bin/playwright install chromium"
LOCAL_SCHEMES = ("file:", "blob:", "data:", "about:")
LOOPBACK = ("http://127.0.0.1", "http://localhost", "http://[::1]")


def browser_path() -> str | None:
    """The system's Chromium or Chrome, or None: then playwright looks for its own."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    return next((path for name in names if (path := shutil.which(name))), None)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """One browser for the session; every test opens its own context in it."""
    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(executable_path=browser_path(), args=FLAGS)
        except Error as error:
            reason = f"no Chromium starts here ({str(error).splitlines()[0]}); install one: {INSTALL}"
            if os.environ.get("CI") == "true":
                pytest.fail(reason)
            pytest.skip(reason)
        yield browser
        browser.close()


def watch(page: Page) -> Page:
    """Record on the page's own lists `errors` (console errors, exceptions) and `foreign` (requests to another host)."""
    page.errors = []  # type: ignore[attr-defined]
    page.foreign = []  # type: ignore[attr-defined]

    def note_request(request: Request) -> None:
        if not request.url.startswith(LOCAL_SCHEMES + LOOPBACK):
            page.foreign.append(request.url)  # type: ignore[attr-defined]

    page.on("console", lambda message: page.errors.append(message.text) if message.type == "error" else None)  # type: ignore[attr-defined]
    page.on("pageerror", lambda error: page.errors.append(str(error)))  # type: ignore[attr-defined]
    page.on("request", note_request)
    return page


@pytest.fixture(scope="session")
def watched() -> Callable[[Page], Page]:
    """`watched(page)`: the page, which from now on keeps its `errors` and `foreign` requests."""
    return watch


@pytest.fixture
def open_page(chromium: Browser) -> Iterator[Callable[..., Page]]:
    """`open_page(width=375, theme="dark", has_touch=True)`: a fresh context and a watched page in it.

    Any further keyword is an option of playwright's `new_context`. All contexts close when the test ends.
    """
    contexts: list[BrowserContext] = []

    def open_(*, width: int = 1280, height: int = 900, theme: str = "light", **options: Any) -> Page:
        context = chromium.new_context(
            viewport={"width": width, "height": height}, color_scheme="dark" if theme == "dark" else "light", **options
        )
        contexts.append(context)
        return watch(context.new_page())

    yield open_
    for context in contexts:
        context.close()


@pytest.fixture
def page(open_page: Callable[..., Page]) -> Page:
    """A fresh page, 1280 x 900, light, with `page.errors` and `page.foreign`."""
    return open_page()


@pytest.fixture(scope="session")
def axe() -> Callable[..., list[dict[str, Any]]]:
    """`axe(page)`: the serious and critical violations axe-core finds, each with its rule and the elements' HTML."""

    def audit(page: Page, *, allow: tuple[str, ...] = ()) -> list[dict[str, Any]]:
        found = Axe().run(page).response["violations"]
        return [
            {
                "rule": v["id"],
                "impact": v["impact"],
                "help": v["help"],
                "where": [f"{n['html'][:160]} | {n.get('failureSummary', '')[:240]}" for n in v["nodes"][:5]],
            }
            for v in found
            if v["impact"] in ("serious", "critical") and v["id"] not in allow
        ]

    return audit


@pytest.fixture(scope="session")
def overflow() -> Callable[[Page], float]:
    """`overflow(page)`: by how many pixels the page is wider than its window; 0 where nothing sticks out."""

    def measure(page: Page) -> float:
        return page.evaluate("Math.max(0, document.documentElement.scrollWidth - document.documentElement.clientWidth)")

    return measure
