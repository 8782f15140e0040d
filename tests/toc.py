"""The book's pages in the order of its table of contents, for the tests of its source and of the built site."""

from __future__ import annotations

from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
SITE = ROOT / "_build" / "html"
UNBUILT = "the book is not built: run `make book` (or `make test`, which does)"


def files(toc: dict) -> list[str]:
    """Every page that a table of contents names, without suffix."""
    found = [toc[key] for key in ("root", "file") if key in toc]
    for key in ("parts", "chapters", "sections"):
        for entry in toc.get(key, ()):
            found += files(entry)
    return found


PAGES = files(yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8")))
