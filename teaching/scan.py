"""What a file says, in every form that it says it in, and a quick search for many phrases at once."""

from __future__ import annotations

import base64
import gzip
import html
import io
import re
import zipfile
import zlib
from collections.abc import Iterable, Iterator

import numpy as np

WORD = bytes(code for code in range(128) if chr(code).isalnum() or code == ord("_"))
OTHER = bytes(set(range(256)) - set(WORD))
TAG = re.compile(rb"<[^<>]*>")
# A file inside a text: a data address, or a picture among a notebook's outputs.
EMBEDDED = re.compile(rb"(?:base64,|\")((?:[A-Za-z0-9+/]|\\n){64,}={0,2})")
MAGIC = (b"\x89PNG", b"\x1f\x8b", b"PK\x03\x04", b"<svg", b"<?xml")
WINDOW = 8
SHORTEST = 2 * WINDOW - 1
DEPTH = 3  # a file in a file in a file


def squeeze(content: bytes) -> bytes:
    """Letters, digits and underscores alone: the same whatever a format does to spaces, quotes and line ends."""
    return content.translate(None, OTHER)


class Phrases:
    """Phrases of letters, digits and underscores, to be found in texts that are long.

    A window of 8 bytes in the text, at every eighth place, is looked up among all windows that a phrase has at its first 8
    places. A phrase of 15 bytes or more contains one of the text's windows wherever it stands.
    """

    def __init__(self, phrases: Iterable[bytes]) -> None:
        self._by_window: dict[int, list[bytes]] = {}
        for phrase in phrases:
            if len(phrase) < SHORTEST:
                raise ValueError(f"the phrase {phrase!r} is shorter than {SHORTEST} letters")
            for start in range(WINDOW):
                window = int.from_bytes(phrase[start : start + WINDOW], "little")
                self._by_window.setdefault(window, []).append(phrase)
        self._windows = np.array(sorted(self._by_window), dtype="<u8")

    def found(self, text: bytes) -> set[bytes]:
        """The phrases that stand in the squeezed `text`."""
        if not len(self._windows) or len(text) < SHORTEST:
            return set()
        windows = np.unique(np.frombuffer(text, dtype="<u8", count=len(text) // WINDOW))
        hits = np.intersect1d(windows, self._windows, assume_unique=True)
        candidates = {phrase for window in hits.tolist() for phrase in self._by_window[window]}
        return {phrase for phrase in candidates if phrase in text}


def readings(name: str, content: bytes, depth: int = DEPTH) -> Iterator[bytes]:
    """A file's bytes, and what a reader of its format finds in them: text without markup, streams uncompressed."""
    yield content
    if not depth:
        return
    if name.endswith((".html", ".svg", ".xml", ".ipynb", ".js", ".json")):
        yield html.unescape(TAG.sub(b"", content).decode("utf-8", "ignore")).encode()
    for inner in _streams(content):
        yield from readings("", inner, depth - 1)
    for match in EMBEDDED.finditer(content):
        data = match[1].replace(b"\\n", b"").rstrip(b"=")
        inner = base64.b64decode(data[: len(data) - (len(data) % 4 == 1)] + b"=" * (-len(data) % 4))
        if inner.startswith(MAGIC):
            yield from readings("", inner, depth - 1)


def _streams(content: bytes) -> Iterator[bytes]:
    """The compressed parts of an inventory, an archive or a picture, as they were before."""
    try:
        if content.startswith(b"# Sphinx inventory"):
            yield zlib.decompress(content.split(b"\n", 4)[4])
        elif content.startswith(b"\x1f\x8b"):
            yield gzip.decompress(content)
        elif content.startswith(b"PK\x03\x04"):
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                yield "\n".join(archive.namelist()).encode()
                for entry in archive.namelist():
                    yield from readings(entry, archive.read(entry), DEPTH - 1)
        elif content.startswith(b"\x89PNG"):
            yield from _png_texts(content)
    except (zlib.error, OSError, EOFError, zipfile.BadZipFile, IndexError) as error:
        raise ValueError(f"a compressed file cannot be read, so nobody knows what it holds: {error}") from error


def _png_texts(content: bytes) -> Iterator[bytes]:
    """The texts among a PNG picture's metadata."""
    at = 8
    while at + 8 <= len(content):
        length, kind = int.from_bytes(content[at : at + 4], "big"), content[at + 4 : at + 8]
        data = content[at + 8 : at + 8 + length]
        if kind == b"zTXt":
            yield zlib.decompress(data.split(b"\0", 1)[1][1:])
        elif kind == b"iTXt":
            head, rest = data.split(b"\0", 1)
            text = rest[2:].split(b"\0", 2)[2]
            yield head + b"\n" + (zlib.decompress(text) if rest[:1] == b"\1" else text)
        elif kind == b"eXIf":
            yield data
        at += 12 + length
