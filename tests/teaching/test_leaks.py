"""The scanner finds a solution or a hidden test in every kind of file that a site consists of, and nothing else."""

import base64
import gzip
import html
import json
import pickle
import struct
import time
import zipfile
import zlib
from pathlib import Path

import pytest

from teaching import editions, exercises, leaks, scan, site

ROOT = Path(__file__).resolve().parents[2]

CHAPTER = """# A chapter

A line of text that everyone may read and that also stands in a solution.

```{exercise} Copying
:label: ex-copy
:class: self-check
Why?
```

```{exercise-start} Line
:label: ex-line
```
Implement `line`.
```{exercise-end}
```

```{code-cell} ipython3
:tags: [answer]
def line(x):
    # BEGIN SOLUTION
    slope, offset = "two", {'one': 1}
    return len(slope) - 1 + offset["one"] * x
    # END SOLUTION
```

```{code-cell} ipython3
:tags: [test, remove-cell]
:points: 1
def test_line_at_zero(line):
    assert line(0) == 1
```

```{code-cell} ipython3
:tags: [hidden-test, remove-cell]
:points: 2
:failure_message: Think of the slope, which has to be two and not one.
def test_its_slopes(line):
    assert line(1) - line(0) == 2
```
"""
SOLUTIONS = """# Solutions

```{solution} ex-copy
:label: sol-copy
The identity is in the family, so that nothing has to be compressed for a perfect copy.
```

```{solution-start} ex-line
:label: sol-line
```
A line of text that everyone may read and that also stands in a solution.

Two points determine a line's *slope* and its offset, as {eq}`eq-line` says, and both are given to you here.
```{solution-end}
```

```{code-cell} ipython3
:tags: [wrong]
# The offset forgotten by mistake.
def line(x):
    return 2 * x + 0 * len("an offset of nought")
```
"""
CODE = '    return len(slope) - 1 + offset["one"] * x'
PROSE = "Two points determine a line's slope and its offset, as"
SELF_CHECK = "The identity is in the family, so that nothing has to be compressed for a perfect copy."


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "book" / "solutions").mkdir(parents=True)
    (tmp_path / "book" / "chapter.md").write_text(CHAPTER)
    (tmp_path / "book" / "solutions" / "chapter.md").write_text(SOLUTIONS)
    (tmp_path / "_config.yml").write_text("{}")
    (tmp_path / "_toc.yml").write_text("root: book/chapter\n")
    (tmp_path / "site").mkdir()
    return tmp_path


def png(*chunks: bytes) -> bytes:
    """A picture of one pixel with more chunks."""
    head = struct.pack(">4sIIBBBBB", b"IHDR", 1, 1, 8, 0, 0, 0, 0)
    parts = [head, *chunks, b"IDAT" + zlib.compress(b"\0\0"), b"IEND"]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(part) - 4) + part + struct.pack(">I", zlib.crc32(part)) for part in parts
    )


def itxt(text: str, *, compressed: bool) -> bytes:
    data = zlib.compress(text.encode()) if compressed else text.encode()
    return b"iTXtComment\0" + bytes([compressed, 0]) + b"en\0\0" + data


def archive(text: str, path: Path) -> bytes:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as written:
        written.writestr("folder/notes.txt", text)
    return path.read_bytes()


def address(content: bytes) -> bytes:
    return f'<img src="data:image/png;base64,{base64.b64encode(content).decode()}">'.encode()


def spans(text: str) -> str:
    """Code as a page has it: every word in an element of its own."""
    return " ".join(f'<span class="n">{html.escape(word)}</span>' for word in text.split(" "))


KINDS = {
    "book/page.html": lambda text, path: f"<p>{html.escape(text)}</p>".encode(),
    "book/code.html": lambda text, path: spans(text).encode(),
    "book/wrapped.html": lambda text, path: text.replace(" ", "\n  ").encode(),
    "_sources/book/page.md": lambda text, path: text.encode(),
    "searchindex.js": lambda text, path: f'Search.setIndex({{"titles": [{json.dumps(text)}]}})'.encode(),
    "page.ipynb": lambda text, path: json.dumps({"cells": [{"source": [text + "\n"]}]}).encode(),
    "picture.png": lambda text, path: png(b"tEXtComment\0" + text.encode("latin-1")),
    "compressed.png": lambda text, path: png(b"zTXtComment\0\0" + zlib.compress(text.encode())),
    "international.png": lambda text, path: png(itxt(text, compressed=False)),
    "both.png": lambda text, path: png(itxt(text, compressed=True)),
    "exif.png": lambda text, path: png(b"eXIfMM\0*" + text.encode()),
    "picture.svg": lambda text, path: f"<svg><desc>{html.escape(text)}</desc></svg>".encode(),
    "embedded.html": lambda text, path: address(png(b"zTXtComment\0\0" + zlib.compress(text.encode() + b"\n" * 99))),
    "output.ipynb": lambda text, path: json.dumps(
        {"data": {"image/png": base64.encodebytes(png(itxt(text + "\n" * 99, compressed=True))).decode()}}
    ).encode(),
    "objects.inv": lambda text, path: (
        b"# Sphinx inventory version 2\n# P\n# V\n# zlib\n" + zlib.compress(text.encode())
    ),
    "page.doctree": lambda text, path: pickle.dumps({"text": ["before", text, "after"]}),
    "page.js.gz": lambda text, path: gzip.compress(text.encode()),
    "download.zip": lambda text, path: archive(text, path),
    "page.unknown": lambda text, path: b"\0\xff" + text.encode() + b"\xfe",
}
SECRETS = {
    "canary": (leaks.canary("ex-line", "answer"), "the answer of ex-line"),
    "name": ("test_its_slopes", "the hidden test of ex-line"),
    "code": (CODE, "the answer of ex-line"),
    "prose": (PROSE, "the solution of ex-line"),
    "message": ("Think of the slope, which has to be two and not one.", "the hidden test of ex-line"),
    "wrong": ('return 2 * x + 0 * len("an offset of nought")', "the wrong answer of ex-line"),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("secret", SECRETS)
def test_a_leak_is_found_in_each_kind_of_file(root, kind, secret):
    text, owner = SECRETS[secret]
    path = root / "site" / kind
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(KINDS[kind](text, root / "x.zip"))
    with pytest.raises(leaks.LeakError) as caught:
        leaks.check(root, "student", root / "site")
    assert f"site/{kind}: `" in str(caught.value)
    assert owner in str(caught.value)


@pytest.mark.parametrize("kind", KINDS)
def test_what_everyone_may_read_is_no_leak(root, kind):
    path = root / "site" / kind
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "A line of text that everyone may read and that also stands in a solution. test_line_at_zero ex-line"
    path.write_bytes(KINDS[kind](text, root / "x.zip"))
    assert leaks.check(root, "student", root / "site") == 1


def test_the_search_index_has_stems(root):
    (root / "site" / "searchindex.js").write_text('Search.setIndex({"terms": {"test_its_slop": 3}})')
    with pytest.raises(leaks.LeakError, match=r"searchindex\.js: `test_its_slopes`"):
        leaks.check(root, "student", root / "site")


def test_a_self_check_solution_is_for_the_public_and_not_for_students(root):
    (root / "site" / "page.html").write_text(f"<p>{SELF_CHECK}</p>")
    assert leaks.check(root, "public", root / "site") == 1
    with pytest.raises(leaks.LeakError, match="the solution of ex-copy"):
        leaks.check(root, "student", root / "site")


def test_a_line_that_the_package_has_too_is_no_secret(root):
    (root / "code").mkdir()
    (root / "code" / "lines.py").write_text(f"def line(x):\n{CODE}\n")
    (root / "site" / "page.html").write_text(spans(CODE))
    assert leaks.check(root, "student", root / "site") == 1


def test_a_hidden_test_with_the_name_of_a_visible_one_is_refused(root):
    (root / "book" / "chapter.md").write_text(CHAPTER.replace("test_its_slopes", "test_line_at_zero"))
    with pytest.raises(ValueError, match="has the name of something that everyone sees: test_line_at_zero"):
        leaks.check(root, "student", root / "site")


def test_a_damaged_archive_is_not_passed_over(root):
    (root / "site" / "page.js.gz").write_bytes(gzip.compress(b"x" * 100)[:-12])
    with pytest.raises(ValueError, match="nobody knows what it holds"):
        leaks.check(root, "student", root / "site")


def test_each_private_part_of_a_chapter_gets_its_canary():
    for text in (CHAPTER, SOLUTIONS):
        found = leaks.regions(text, "x")
        planted = leaks.plant(text, "x")
        assert [r.kind for r in found]
        assert all(planted.count(leaks.canary(r.owner, r.kind)) == 1 for r in found)
        assert [line for line in planted.split("\n") if "canary" not in line] == text.split("\n")
    kinds = {(r.owner, r.kind) for text in (CHAPTER, SOLUTIONS) for r in leaks.regions(text, "x")}
    assert kinds == {
        ("ex-line", "answer"),
        ("ex-line", "hidden test"),
        ("ex-copy", "solution"),
        ("ex-line", "solution"),
        ("ex-line", "wrong answer"),
    }


def test_the_scanner_knows_every_solution_and_hidden_test_of_the_book():
    """It reads the source on its own; what the parser finds there has to be among its secrets."""
    hidden = leaks.secrets(ROOT, self_check=False)
    owners = set(hidden.canaries.values())
    for exercise in exercises.find(ROOT):
        if exercise.answer:
            assert f"the answer of {exercise.label}" in owners
            assert f"the hidden test of {exercise.label}" in owners
        for block in exercise.hidden_tests:
            assert {name.split("(")[0] for name in "\n".join(block.body).split("def ")[1:]} & set(hidden.names)
    for label in editions.written_solutions(ROOT):
        assert f"the solution of {label}" in owners
    told = {owner for owner in hidden.lines.values() if owner.startswith("the solution of")}
    assert len(told) > 0.9 * len(editions.written_solutions(ROOT))


def test_phrases_are_found_wherever_they_stand():
    words = [b"abcdefghijklmno", b"exactly_fifteen", b"a_longer_phrase_of_several_words"]
    phrases = scan.Phrases(words)
    for shift in range(20):
        for word in words:
            assert phrases.found(b"x" * shift + word + b"y" * (20 - shift)) == {word}
            assert phrases.found(b"x" * shift + word[:-1] + b"?") == set()
    assert phrases.found(b"".join(words)) == set(words)
    with pytest.raises(ValueError, match="shorter than 15"):
        scan.Phrases([b"too_short"])


def test_a_site_as_large_as_the_book_s_is_scanned_in_seconds(root):
    line = b"<p>Some text of a page, as long as pages are, with <b>words</b> in it.</p>\n"
    for number in range(30):
        (root / "site" / f"{number}.html").write_bytes(line * 13_000)  # 1 MB each
    started = time.process_time()
    leaks.check(root, "student", root / "site")
    assert time.process_time() - started < 10


def test_a_site_with_a_leak_does_not_stay(root, monkeypatch):
    """A leak that the filter has no part in, from an extension for instance, fails the build and takes the site away."""

    def jupyter_book(source, output, cache, *flags):
        (output / "_build" / "html").mkdir(parents=True, exist_ok=True)
        (output / "_build" / "html" / "index.html").write_text(spans(CODE))
        return 0, ""

    monkeypatch.setattr(site, "jupyter_book", jupyter_book)
    monkeypatch.setattr(site, "cache_folder", lambda root: root / "cache")
    (root / "_config.yml").write_text("execute: {}\nrepository: {url: '', branch: notebooks}\nlaunch_buttons: {}\n")
    with pytest.raises(leaks.LeakError, match=r"html/index\.html: `return len\(slope\)"):
        site.build(root)
    assert not (root / "_build" / "html").exists()
    with pytest.raises(leaks.LeakError, match=r"student/html/index\.html: `return len\(slope\)"):
        site.build_edition(root, "student")
    assert not (root / "_build" / "editions" / "student").exists()
    (root / "book" / "chapter.md").write_text(CHAPTER.replace("test_its_slopes", "test_line_at_zero"))
    with pytest.raises(ValueError, match="rename it"):
        site.build(root)
    assert not (root / "_build" / "html").exists()
    assert site.build_edition(root, "instructor") == 0
    assert (root / "_build" / "editions" / "instructor" / "html" / "index.html").exists()
