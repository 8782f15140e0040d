"""An assignment: one chapter's exercises as a notebook for students, with everything that the instructor needs beside it.

`make assignment CHAPTER=vae/reparameterization` writes it; `notes.md` in the folder says what each file is.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from teaching import autograder, editions, markdown, notebooks, numbering, questions, rubrics
from teaching.questions import Assignment, Question, Test
from teaching.source import parse

PASSED, HIDDEN_PASSED = 'print("public tests passed")', 'print("hidden tests passed")'
WRITTEN = "*Your answer here.*"
HAND_IN = """\
# Assignment: {title}

The exercises of {chapter}. {total}

**How to hand in.** Write your answers into the cells that say so, and keep the names of the functions. Add cells wherever
you like; leave the given ones in place. At the end restart the kernel, run everything from the top, save, and hand in this
one file, `{name}.ipynb`, where your instructor says.

Code is graded by tests. Some of them stand below each answer, so that you can run them yourself; others, for the same
task, are run after you have handed in. A test that passes here is no promise about those."""
KEY = """\
# Answer key: {title}

For the instructor only: solutions, hidden tests and rubrics. {total}"""


def folder_name(page: str) -> str:
    """`vae-reparameterization` for `vae/reparameterization`."""
    return page.replace("/", "-")


def read(root: Path, page: str, only: Iterable[str] = ()) -> Assignment:
    """The assignment of a page, or of those of its exercises that `only` names, in the order of the page.

    Raises:
        ValueError: there is no such page, or none of its exercises has such a label; with the nearest that there are.
        SourceError: as `questions.read`.
    """
    page = page.removeprefix("book/").removesuffix(".md")
    if not (root / "book" / f"{page}.md").is_file():
        known = [path.relative_to(root / "book").with_suffix("").as_posix() for path in (root / "book").rglob("*.md")]
        raise ValueError(f"there is no page {page!r}{_nearest(page, [k for k in known if 'solutions/' not in k])}")
    assignment = questions.read(root, page)
    labels, wanted = [question.label for question in assignment.questions], list(only)
    for label in wanted:
        if label not in labels:
            raise ValueError(f"{page} has no exercise {label!r}; it has {', '.join(labels)}{_nearest(label, labels)}")
    chosen = tuple(question for question in assignment.questions if not wanted or question.label in wanted)
    return dataclasses.replace(assignment, questions=chosen)


def _nearest(name: str, known: list[str]) -> str:
    last = {each.rpartition("/")[2]: each for each in known}
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.6)
    near += [last[end] for end in difflib.get_close_matches(name.rpartition("/")[2], list(last), n=3, cutoff=0.6)]
    near = list(dict.fromkeys(near))[:3]
    return f"; did you mean {' or '.join(near)}?" if near else ""


def write(
    root: Path,
    page: str,
    dest: Path | None = None,
    *,
    only: Iterable[str] = (),
    addresses: notebooks.Addresses | None = None,
    with_autograder: bool = True,
) -> Path:
    """Write the assignment of a page to the folder `dest`, by default one in `_build/assignments`; return the folder.

    What else is in the folder, submissions for instance, stays there.

    Raises:
        ValueError: as `read`; or otter-grader, which makes the autograder, is not installed.
        SourceError: something in an exercise or a solution has no form in a notebook or a test file.
    """
    addresses = addresses or notebooks.Addresses.of(root)
    assignment = read(root, page, only)
    with_autograder = with_autograder and bool(autograder.test_files(assignment))
    if with_autograder:
        autograder.require()
    dest = dest or root / "_build" / "assignments" / folder_name(assignment.page)
    book = markdown.Book(root, numbering.of_book(root), addresses.site, addresses.diagrams)
    name, tests = assignment.page.rpartition("/")[2], autograder.public_files(assignment)
    files = {
        f"{name}.ipynb": nbformat.writes(student(assignment, book, addresses.package)) + "\n",
        "answer-key.ipynb": nbformat.writes(answer_key(assignment, book, addresses.package)) + "\n",
        "assignment.json": assignment.to_json(),
        "rubric.md": rubrics.text(assignment),
        "rubric.csv": rubrics.table(assignment),
        "notes.md": rubrics.notes(assignment, autograder.python_version(root), addresses.package),
        **{f"public_tests/{file}": text for file, text in tests.items()},
    }
    dest.mkdir(parents=True, exist_ok=True)
    for stale in [dest / "autograder.zip", *dest.glob("public_tests/*.py")]:
        stale.unlink(missing_ok=True)
    for file, text in files.items():
        (dest / file).parent.mkdir(exist_ok=True)
        (dest / file).write_text(text, encoding="utf-8")
    if with_autograder:
        autograder.build(root, assignment, dest / "autograder.zip")
    return dest


def student(assignment: Assignment, book: markdown.Book, package: str) -> Any:
    """The notebook that students get: no solution, no hidden test."""
    notebook = _notebook(assignment, book, package, with_solutions=False)
    published = "\n".join(line for block in book.numbering.blocks[f"book/{assignment.page}"] for line in block.lines)
    assert_clean(nbformat.writes(notebook), assignment, published)
    return notebook


def answer_key(assignment: Assignment, book: markdown.Book, package: str) -> Any:
    """The same notebook with the solutions, all tests and the rubrics in it."""
    return _notebook(assignment, book, package, with_solutions=True)


def _notebook(assignment: Assignment, book: markdown.Book, package: str, *, with_solutions: bool) -> Any:
    page = f"book/{assignment.page}"
    texts = notebooks.exercise_texts(page, book)
    by_tests, by_hand = rubrics.points(assignment)
    total = f"{rubrics.counted(by_tests + by_hand)} in all: {by_tests} by tests, {by_hand} marked by hand."
    if with_solutions:
        head = KEY.format(title=assignment.title, total=total)
    else:
        chapter = book.link(f"the chapter “{assignment.title}” of All About Autoencoders", page)
        name = assignment.page.rpartition("/")[2]
        head = HAND_IN.format(title=assignment.title, chapter=chapter, total=total, name=name)
    cells = [
        new_markdown_cell(head, id="title"),
        new_code_cell(notebooks.first_cell(package), id="install"),
        *(_code(text, f"setup-{number}", "setup") for number, text in enumerate(assignment.setup, start=1)),
    ]
    cited: set[str] = set()
    for question in assignment.questions:
        text, works = texts[question.label]
        cells += _question(question, text, with_solutions=with_solutions)
        cited |= works
        if with_solutions:
            cells += _explanation(question, page, book, cited)
    if cited:
        entries = "\n".join(f"- {entry}" for entry in book.bibliography.entries(cited))
        cells.append(new_markdown_cell(f"## References\n\n{entries}", id="references"))
    return new_notebook(cells=cells, metadata=notebooks.METADATA)


def _question(question: Question, text: str, *, with_solutions: bool) -> list[Any]:
    """The text, the answer cell, and the tests that may be seen."""
    heading, _, body = text.partition("\n")
    label, answer = question.label, {"autoencoders": {"question": question.label}, "tags": ["answer"]}
    cells = [new_markdown_cell(f"{heading}\n\n*{rubrics.worth(question)}*\n\n{body.strip()}", id=f"{label}-text")]
    if not question.is_coding:
        if not with_solutions:
            cells.append(new_markdown_cell(WRITTEN, id=f"{label}-answer", metadata=answer))
        return cells
    source = solution(question) if with_solutions else question.stub
    cells.append(new_code_cell(source.strip("\n"), id=f"{label}-answer", metadata=answer))
    for number, test in enumerate(question.tests, start=1):
        if with_solutions or not test.hidden:
            cells.append(_code(_test(test), f"{label}-test-{number}", "hidden-test" if test.hidden else "test"))
    return cells


def _code(source: str, name: str, tag: str) -> Any:
    # A cell with the last tag does not stop "run all": a test fails until its answer is written.
    tags = [tag, "raises-exception"] if tag.endswith("test") else [tag]
    return new_code_cell(source.strip("\n"), id=name, metadata={"tags": tags})


def solution(question: Question) -> str:
    """The answer cell with its solution, without the marks around it."""
    lines = question.solution.splitlines()
    return "\n".join(line for line in lines if line.strip() not in (editions.BEGIN, editions.END))


def _test(test: Test) -> str:
    """A test's cell: what defines it, and the lines that run it."""
    kind = "Hidden test" if test.hidden else "Public test"
    head = f"# {kind}, {rubrics.counted(test.points)}."
    if test.hidden and test.failure_message:
        head += f" {test.failure_message}"
    calls = [f"{name}({', '.join(parameters)})" for name, parameters in autograder.functions(test.source).items()]
    return "\n".join([head, test.source.strip("\n"), "", "", *calls, HIDDEN_PASSED if test.hidden else PASSED])


def _explanation(question: Question, page: str, book: markdown.Book, cited: set[str]) -> list[Any]:
    """The written solution and the rubric, in cells; a written question's solution is its answer."""
    maker = notebooks.Maker(page, book, cited=cited, numbered=False)
    path = f"book/solutions ({question.label})"
    for block in parse(question.written_solution, path):
        for inner in block.walk():
            markdown.check(inner, path, book)
        maker.blocks(
            block.children if block.name == "solution" else () if block.name in editions.SOLUTIONS else (block,)
        )
    maker.flush()
    for number, cell in enumerate(maker.cells, start=1):
        cell["id"] = f"{question.label}-solution-{number}"
    if not question.is_coding:
        for cell in maker.cells[:1]:
            cell["metadata"] = {"autoencoders": {"question": question.label}, "tags": ["answer"]}
            cell["id"] = f"{question.label}-answer"
    if question.rubric and not question.self_check:
        lines = markdown.inline(
            "\n".join(f"- ({line.points}) {line.text}" for line in question.rubric), page, book, cited
        )
        maker.cells.append(new_markdown_cell(f"**Rubric.**\n\n{lines}", id=f"{question.label}-rubric"))
    return maker.cells


def assert_clean(text: str, assignment: Assignment, published: str) -> None:
    """A last look at the students' notebook, independent of how it was made; `published` is what the page's readers see.

    Raises:
        ValueError: it holds a mark of a solution, the name of a hidden test, or a line of what students do not get.
    """
    for mark in (editions.BEGIN, editions.END, "hidden-test"):
        if mark in text:
            raise ValueError(f"`{mark}` would be given to students")
    for question in assignment.questions:
        for secret in _secrets(question):
            if json.dumps(secret, ensure_ascii=False)[1:-1] in text and secret not in published:
                raise ValueError(f"`{secret}`, of {question.label}, would be given to students")


def _secrets(question: Question) -> list[str]:
    """Names of hidden tests, and all lines long enough to be told from others of what students do not get."""
    hidden = [test for test in question.tests if test.hidden]
    lines = solution(question).splitlines()
    found = [name for test in hidden for name in autograder.functions(test.source)]
    found += [line.strip() for line in lines if len(line.strip()) > 15]
    texts = [question.written_solution, *question.wrong]
    texts += [text for test in hidden for text in (test.source, test.failure_message)]
    texts += [line.text for line in question.rubric]
    return found + [line.strip() for text in texts for line in text.splitlines() if len(line.strip()) > 25]
