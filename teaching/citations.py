"""Citations as the site prints them, by author and year, and the full entries of the works cited."""

from __future__ import annotations

import re
from pathlib import Path

from pybtex.backends.markdown import Backend
from pybtex.database import BibliographyData, Entry, parse_file
from pybtex.plugin import find_plugin
from pybtex.richtext import Text


class Bibliography:
    """The works in a BibTeX file."""

    def __init__(self, path: Path) -> None:
        self._data = parse_file(str(path), bib_format="bibtex")

    def __contains__(self, key: str) -> bool:
        return key in self._data.entries

    def cite(self, key: str, *, textual: bool) -> str:
        """`Kramer (1991)` if textual, else `Kramer, 1991`."""
        entry = self._data.entries[key]
        who, when = _authors(entry), dict(entry.fields or {}).get("year", "")
        return f"{who} ({when})" if textual else f"{who}, {when}"

    def entries(self, keys: set[str]) -> list[str]:
        """The full references of `keys`, in Markdown, by author and year."""
        style = find_plugin("pybtex.style.formatting", "plain")()
        chosen = BibliographyData({key: self._data.entries[key] for key in sorted(keys)})
        return [_plain(entry.text.render(Backend())) for entry in style.format_bibliography(chosen)]


def _authors(entry: Entry) -> str:
    persons = dict(entry.persons or {})
    people = persons.get("author") or persons.get("editor") or []
    names = [_last(person.rich_prelast_names + person.rich_last_names) for person in people]
    if len(names) > 2:
        return f"{names[0]} *et al.*"
    return " and ".join(names) or dict(entry.fields or {}).get("title", "")


def _last(parts: list[Text]) -> str:
    return " ".join(str(part) for part in parts)


def _plain(markdown: str) -> str:
    """pybtex escapes characters that need none inside a sentence."""
    return re.sub(r"\\([.\-()#!+])", r"\1", markdown).replace("\n", " ").strip()
