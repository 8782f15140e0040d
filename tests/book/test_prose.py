"""The chapters' source: spelling, names, citations."""

import checkers


def test_terms_are_the_books(chapter):
    assert checkers.prose_faults(chapter) == []


def test_written_solutions_use_the_books_terms(root):
    faults = {
        path.name: checkers.prose_faults(path.read_text())
        for path in [*(root / "book" / "solutions").glob("*.md"), *(root / "book" / "instructors").rglob("*.md")]
    }
    assert {name: found for name, found in faults.items() if found} == {}


def test_citations_are_in_the_bibliography(root, chapter):
    bibliography = root / "book" / "references.bib"
    keys = checkers.bibliography_keys(bibliography.read_text(encoding="utf-8")) if bibliography.exists() else []
    assert checkers.cited(chapter) - set(keys) == set()


def test_bibliography_is_in_order_and_without_doubles(root):
    keys = checkers.bibliography_keys((root / "book" / "references.bib").read_text(encoding="utf-8"))
    assert keys == sorted(set(keys))


def test_first_heading_is_a_labeled_title(chapter):
    lines = chapter.splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("# "))
    above = next(line for line in reversed(lines[:at]) if line.strip())
    assert above.startswith("(") and above.endswith(")=")
