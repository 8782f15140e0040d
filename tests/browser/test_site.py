"""Every page of the built book in a real browser: from disk and served, light and dark, wide and narrow."""

from __future__ import annotations

import functools
import http.server
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import toc
from playwright.sync_api import Page

PAGES = ["index", *toc.PAGES]
THEMES = ("light", "dark")
WIDTHS = (1280, 375)


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *arguments: Any) -> None:
        pass


@pytest.fixture(scope="session")
def site() -> Path:
    if not (toc.SITE / "index.html").exists():
        pytest.fail(toc.UNBUILT)
    return toc.SITE


@pytest.fixture(scope="session")
def served(site: Path) -> Iterator[str]:
    """The address of the site on the loopback interface."""
    handler = functools.partial(Quiet, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def settle(page: Page, url: str) -> None:
    """Open `url` and wait until its formulas are set."""
    page.goto(url, wait_until="load" if "/index.html" not in url else "commit")
    if "/index.html" in url:  # leads on to the first page
        page.wait_for_url(f"**/{toc.PAGES[0]}.html", wait_until="load")
    page.evaluate("window.MathJax?.startup?.promise?.then(() => true) ?? true")
    page.wait_for_timeout(150)


def unset_mathematics(page: Page) -> list[str]:
    """Formulas that are still TeX on the screen, and MathJax's own errors."""
    return page.evaluate(
        """() => {
            const raw = [...document.querySelectorAll(".math, .amsmath")]
                .filter(e => !e.querySelector("mjx-container") && e.closest(".bd-article") && e.textContent.includes("\\\\"));
            const failed = [...document.querySelectorAll("mjx-merror, [data-mjx-error]")];
            const undefined_ = [...document.querySelectorAll("mjx-mtext[style*='red'], mjx-utext[style*='red']")];
            return [...raw, ...failed, ...undefined_].map(e => (e.dataset.mjxError ?? "") + e.textContent.slice(0, 100));
        }"""
    )


def broken_images(page: Page) -> list[str]:
    """Pictures that cannot be shown, those included that load when the reader comes near."""
    return page.evaluate(
        """async () => {
            const images = [...document.images];
            for (const i of images) i.loading = "eager";
            await Promise.all(images.map(i => i.decode().catch(() => null)));
            return images.filter(i => i.naturalWidth === 0).map(i => i.getAttribute("src").slice(0, 100));
        }"""
    )


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("scheme", ["file", "http"])
def test_page_opens_without_error_or_foreign_request(
    open_page: Callable[..., Any], site: Path, served: str, scheme: str, name: str
):
    page = open_page()
    settle(page, (site / f"{name}.html").as_uri() if scheme == "file" else f"{served}/{name}.html")
    assert page.errors == []
    assert page.foreign == []
    assert unset_mathematics(page) == []
    assert broken_images(page) == []


@pytest.mark.parametrize("name", toc.PAGES)
@pytest.mark.parametrize("theme", THEMES)
def test_no_serious_accessibility_violation(
    open_page: Callable[..., Any], axe: Callable[..., list], served: str, theme: str, name: str
):
    for width in WIDTHS:
        page = open_page(width=width, theme=theme)
        settle(page, f"{served}/{name}.html")
        assert page.evaluate("document.documentElement.dataset.theme") == theme
        assert axe(page) == [], f"at {width} px"


@pytest.mark.parametrize("name", toc.PAGES)
def test_page_fits_a_phone(open_page: Callable[..., Any], overflow: Callable[[Page], float], served: str, name: str):
    page = open_page(width=360, height=740)
    settle(page, f"{served}/{name}.html")
    assert overflow(page) <= 0


REASONS = """() => [...document.querySelectorAll(".ae-derivation > mjx-table > mjx-itable > mjx-mtr > mjx-mtd:nth-child(4)")]
    .filter(cell => cell.querySelector("mjx-c"))
    .map(cell => {
        const last = [...cell.querySelectorAll("mjx-c")].at(-1).getBoundingClientRect();
        const line = cell.parentElement.children[1].getBoundingClientRect();
        return {right: last.right, below: last.top >= line.bottom - 4};
    })"""


@pytest.mark.parametrize(("width", "below"), [(375, True), (1280, False)])
def test_reasons_of_a_derivation_stand_below_its_lines_on_a_phone(
    open_page: Callable[..., Any], served: str, width: int, below: bool
):
    page = open_page(width=width)
    settle(page, f"{served}/book/autoencoders/linear.html")
    reasons = page.evaluate(REASONS)
    assert len(reasons) > 10
    assert {reason["below"] for reason in reasons} == {below}
    assert max(reason["right"] for reason in reasons) <= width


def test_search_finds_a_word(open_page: Callable[..., Any], served: str):
    page = open_page()
    page.goto(f"{served}/search.html?q=autoencoder")
    page.wait_for_selector("#search-results li", timeout=10_000)
    assert page.errors == []
    assert page.foreign == []


# --- The checks themselves: each sees the fault it is for. -------------------------------------------------------------

BROKEN = """<!doctype html><html lang="en" data-theme="light"><head><title>x</title>
<script>throw new Error("no")</script><script src="https://example.org/x.js"></script></head>
<body><main class="bd-article"><h1>x</h1><span class="math">\\(\\theta\\)</span><img src="none.png">
<p style="color: #ccc; background: #fff">pale</p><div style="width: 900px">wide</div></main></body></html>"""
SOUND = """<!doctype html><html lang="en" data-theme="light"><head><title>x</title></head>
<body><main class="bd-article"><h1>x</h1><p>fine</p></main></body></html>"""


@pytest.mark.parametrize(("text", "sound"), [(SOUND, True), (BROKEN, False)], ids=["sound", "broken"])
def test_checks_tell_a_broken_page_from_a_sound_one(
    open_page: Callable[..., Any], axe: Callable[..., list], overflow: Callable[[Page], float], tmp_path, text, sound
):
    (tmp_path / "page.html").write_text(text)
    page = open_page(width=360)
    page.goto((tmp_path / "page.html").as_uri(), wait_until="domcontentloaded")
    page.wait_for_timeout(300)
    seen = {
        "error": bool(page.errors),
        "foreign": bool(page.foreign),
        "mathematics": bool(unset_mathematics(page)),
        "image": bool(broken_images(page)),
        "overflow": overflow(page) > 0,
    }
    rules = {violation["rule"] for violation in axe(page)}
    seen["contrast"] = "color-contrast" in rules
    seen["alternative text"] = "image-alt" in rules
    assert seen == dict.fromkeys(seen, not sound)
