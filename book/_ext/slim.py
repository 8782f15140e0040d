"""Keep pages light: pictures that load when the reader comes near, icon fonts with just the icons that the site uses, and
the index of all words on the search page alone.
"""

import logging
import re
from pathlib import Path
from typing import Any

from fontTools import subset
from sphinx.application import Sphinx

IMAGE = re.compile(r"<img\b([^>]*?)\s*/?>")
SIZE = re.compile(r'style="width: (\d+)px; height: (\d+)px;"')
RULE = re.compile(r"([^{}]+)\{[^{}]*?(?:content|--fa):\s*\"\\([0-9a-f]+)\"[^{}]*\}")
SEARCH = re.compile(r'\s*<script src="[^"]*\b(?:searchtools|language_data|searchindex)\.js[^"]*"></script>')


def lazy_images(app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any) -> None:
    """Let the page's pictures load late, and tell the browser their size early, so that the text does not jump."""
    if "body" in context:
        context["body"] = IMAGE.sub(_lazy, context["body"])


def _lazy(image: re.Match[str]) -> str:
    attributes = SIZE.sub(r'width="\1" height="\2"', image[1])
    return f'<img{attributes} loading="lazy" decoding="async">'


def icons_used(site: Path) -> set[int]:
    """Code points of the icons that a page or a script names, or that a style sheet of the theme draws."""
    named: dict[str, int] = {}
    drawn: set[int] = set()
    for path in site.rglob("_static/**/*.css"):
        for selectors, code in RULE.findall(text := path.read_text(errors="ignore")):
            names = re.findall(r"\.fa-([\w-]+)", selectors)
            named |= dict.fromkeys(names, int(code, 16))
            drawn |= set() if names else {int(code, 16)}
        drawn |= {int(code, 16) for code in re.findall(r'--pst-icon-[\w-]+:\s*"\\([0-9a-f]+)"', text)}
    pages = [path for path in site.rglob("*") if path.suffix in (".html", ".js") and "vendor" not in path.parts]
    mentioned = {name for path in pages for name in re.findall(r"\bfa-([\w-]+)", path.read_text(errors="ignore"))}
    return drawn | {named[name] for name in mentioned if name in named}


def _kept(rule: re.Match[str], used: set[int]) -> str:
    """The rule that draws an icon, or nothing where nobody uses it."""
    unused = ".fa-" in rule[1] and int(rule[2], 16) not in used
    return "" if unused else rule[0]


def subset_icons(app: Sphinx, error: Exception | None) -> None:
    """Rewrite the theme's icon fonts and their rules with the icons in use: 300 kB on every page become a few."""
    if error is not None or app.builder.format != "html":
        return
    site = Path(app.outdir)
    used = icons_used(site)
    for path in site.rglob("_static/**/*.css"):
        text = path.read_text(errors="ignore")
        path.write_text(RULE.sub(lambda rule: _kept(rule, used), text))
    for path in site.glob("_static/vendor/fontawesome/webfonts/*.woff2"):
        options = subset.Options(flavor="woff2", notdef_outline=True)
        font = subset.load_font(str(path), options)
        subsetter = subset.Subsetter(options)
        subsetter.populate(unicodes=used)
        subsetter.subset(font)
        subset.save_font(font, str(path), options)


def search_on_its_page(app: Sphinx, error: Exception | None) -> None:
    """The theme loads the index of the whole book on every page; only `search.html` reads it."""
    if error is None and app.builder.format == "html":
        for path in Path(app.outdir).rglob("*.html"):
            text = path.read_text(encoding="utf-8")
            if path.name != "search.html" and SEARCH.search(text):
                path.write_text(SEARCH.sub("", text), encoding="utf-8")


def setup(app: Sphinx) -> dict[str, Any]:
    logging.getLogger("fontTools").setLevel(logging.WARNING)  # it would list every glyph
    app.connect("html-page-context", lazy_images, priority=900)
    app.connect("build-finished", search_on_its_page, priority=940)
    app.connect("build-finished", subset_icons, priority=950)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
