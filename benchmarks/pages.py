"""Weight and speed of the built pages in a real Chromium: compressed bytes, time until usable, event to drawn image.

    python benchmarks/pages.py [--rounds 5]        after `make book`

A page is usable when its text and formulas are laid out and its first widget has drawn. The link is a simulated 10 Mb/s
with 40 ms latency, an empty cache each time, and gzip on the wire as any static host does it. Medians over rounds.
"""

import argparse
import gzip
import http.server
import os
import statistics
import threading
from functools import partial
from pathlib import Path
from urllib.parse import urlparse

from playwright.sync_api import Page, sync_playwright

SITE = Path(os.environ.get("AE_SITE", Path(__file__).parent.parent / "_build" / "html"))
LINK = dict(offline=False, downloadThroughput=10e6 / 8, uploadThroughput=10e6 / 8, latency=40)
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
DRAWN = """() => { window.aeDrawn = []; document.addEventListener('ae-drawn', e => window.aeDrawn.push(e.detail), true); }"""


class Gzipped(http.server.SimpleHTTPRequestHandler):
    """Serves the site as a static host does: text compressed, fonts and pictures as they are."""

    def do_GET(self) -> None:
        path = Path(self.translate_path(urlparse(self.path).path))
        if path.is_dir():
            path /= "index.html"
        if not path.is_file():
            self.send_error(404)
            return
        body = path.read_bytes()
        self.send_response(200)
        self.send_header("Content-Type", self.guess_type(str(path)))
        if path.suffix in (".html", ".js", ".css", ".svg"):
            body = gzip.compress(body, 6)
            self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.server.sent += len(body)  # type: ignore[attr-defined]

    def log_message(self, *_: object) -> None:
        pass


def usable(page: Page, url: str) -> float:
    """Seconds from navigation until text, formulas and (where there is one) the first widget are on the screen."""
    page.goto(url, wait_until="domcontentloaded")
    page.wait_for_function(
        "() => { const m = document.querySelector('.math'), w = document.querySelector('ae-view');"
        " return (!m || document.querySelector('mjx-container')) && (!w || 'ready' in w.dataset); }"
    )
    return page.evaluate("performance.now()") / 1e3


def drawn(page: Page) -> list[float]:
    """Milliseconds from event to drawn for every slider and pad of the page, moved by its arrow keys."""
    page.evaluate(DRAWN)
    for control in page.locator("ae-view input[type=range], ae-view [role=slider]").all():
        if control.is_visible():
            control.focus()
            for key in ["ArrowRight"] * 6 + ["ArrowLeft"] * 6:
                page.keyboard.press(key)
                page.wait_for_timeout(20)
    return page.evaluate("window.aeDrawn.map(d => d.ms ?? d)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Gzipped, directory=str(SITE)))
    server.sent = 0  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"{'page':42} {'kB gzip':>8} {'usable s':>9} {'widgets':>8} {'drawn ms':>9}")
    with sync_playwright() as playwright:
        import shutil

        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        for file in sorted((SITE / "book").rglob("*.html")):
            url = f"http://127.0.0.1:{server.server_port}/{file.relative_to(SITE)}"
            weights, times, latencies = [], [], []
            for _ in range(rounds):
                context = browser.new_context(viewport={"width": 1280, "height": 900})
                page = context.new_page()
                context.new_cdp_session(page).send("Network.emulateNetworkConditions", LINK)
                server.sent = 0  # type: ignore[attr-defined]
                times.append(usable(page, url))
                page.wait_for_load_state("networkidle")
                weights.append(server.sent / 1e3)  # type: ignore[attr-defined]
                widgets = page.locator("ae-view").count()
                latencies += drawn(page) if widgets and len(times) == 1 else []
                context.close()
            shown = f"{statistics.median(latencies):9.2f}" if latencies else f"{'-':>9}"
            name = str(file.relative_to(SITE / "book").with_suffix(""))
            print(f"{name:42} {statistics.median(weights):8.0f} {statistics.median(times):9.2f} {widgets:8} {shown}")
        browser.close()
    server.shutdown()


if __name__ == "__main__":
    main()
