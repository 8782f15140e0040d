"""Each edition has what its readers work with, and nothing that they are not to see."""

import re
from pathlib import Path

import pytest

from teaching import editions, exercises, instructor
from teaching.source import SourceError, listed, parse

ROOT = Path(__file__).resolve().parents[2]

# What stands in private parts of the sample below. Everyone but the students gets the solution of a self-check exercise.
CANARIES = [
    f"CANARY-{place}"
    for place in (
        *("ANSWER", "HIDDEN", "MESSAGE", "INLINE", "GATED", "NOTE"),  # in the chapter
        *("WRITTEN", "RUBRIC", "CODED", "WRONG"),  # in book/solutions
        *("PAGE-NOTE", "PLAN"),  # in book/instructors
    )
]

CHAPTER = '''# A chapter

```{admonition} Teaching notes
:class: teaching-note
CANARY-NOTE
```

```{exercise} Copying
:label: ex-copy
:class: self-check
Why?
```

```{exercise} Secret
:label: ex-secret
Why not?
```

```{solution} ex-secret
CANARY-INLINE
```

````{solution-start} ex-secret
````
CANARY-GATED
````{solution-end}
````

```{exercise-start} Line
:label: ex-line
```
Implement `line`.
```{exercise-end}
```

```{code-cell} ipython3
:tags: [answer]
def line(x):
    """Keep me."""
    # BEGIN SOLUTION
    return 2 * x + 1  # CANARY-ANSWER
    # END SOLUTION


def other():
    # BEGIN SOLUTION
    return "CANARY-ANSWER"
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
:failure_message: CANARY-MESSAGE, said to who fails.
def test_slope(line):
    assert line(1) - line(0) == 2, "CANARY-HIDDEN"
```

```{admonition} Rubric
:class: rubric
- CANARY-RUBRIC
```
'''

SOLUTIONS = """# Solutions

```{solution} ex-copy
:label: sol-copy
The identity is in the family.
```

```{admonition} Rubric
:class: rubric
- CANARY-RUBRIC
```

```{solution} ex-secret
:label: sol-secret
CANARY-WRITTEN
```

```{solution-start} ex-line
:label: sol-line
```
CANARY-CODED
```{solution-end}
```

```{code-cell} ipython3
:tags: [wrong]
# The offset forgotten.
def line(x):
    return 2 * x  # CANARY-WRONG
```
"""
SHOWN = "The identity is in the family."


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "book" / "solutions").mkdir(parents=True)
    (tmp_path / "book" / "_assets").mkdir()
    (tmp_path / "book" / "chapter.md").write_text(CHAPTER)
    (tmp_path / "book" / "solutions" / "chapter.md").write_text(SOLUTIONS)
    (tmp_path / "book" / "chapter.ipynb").write_text('"CANARY-ANSWER"')
    (tmp_path / "book" / ".secret").write_text("CANARY-ANSWER")
    (tmp_path / "book" / "_assets" / "x.css").write_text("a {}")
    (tmp_path / "book" / "instructors").mkdir()
    (tmp_path / "book" / "instructors" / "chapter.md").write_text("# Notes: a chapter\n\nCANARY-PAGE-NOTE\n")
    (tmp_path / "book" / "instructors" / "plan.md").write_text("# Plan\n\nCANARY-PLAN\n")
    (tmp_path / "_config.yml").write_text("{}")
    (tmp_path / "_toc.yml").write_text("root: book/chapter\nparts:\n  - chapters: []\n")
    return tmp_path


def leaks(folder: Path) -> list[str]:
    """Which canaries stand in which files under `folder`."""
    return [
        f"{path.relative_to(folder)}: {canary}"
        for path in folder.rglob("*")
        if path.is_file()
        for canary in CANARIES
        if canary.encode() in path.read_bytes()
    ]


def edition(name: str, root: Path) -> str:
    """The chapter as it stands in an edition, which is written to the folder of its name."""
    editions.write(name, root, root / name)
    return (root / name / "book" / "chapter.md").read_text()


def public(root: Path) -> str:
    return edition("public", root)


@pytest.mark.parametrize("name", ["public", "student"])
def test_editions_for_everyone_leak_nothing(root, name):
    edition(name, root)
    assert leaks(root / name) == []


def test_the_search_for_leaks_finds_each(root):
    assert {leak.split(": ")[1] for leak in leaks(root / "book")} == set(CANARIES)


def test_the_instructor_edition_has_all(root):
    text = edition("instructor", root)
    assert {leak.split(": ")[1] for leak in leaks(root / "instructor")} == set(CANARIES)
    assert SHOWN in text
    assert "Hidden test, 2 points: slope" in text
    assert "A student who fails it reads: CANARY-MESSAGE, said to who fails." in text
    assert "The test above gives 1 point." in text
    assert "Wrong answers that the tests reject: 1\n" in text and "# The offset forgotten." in text
    assert ":class: rubric dropdown" in text
    assert "{doc}`/book/instructors/chapter`" in text


def test_the_student_edition_is_the_public_one_without_the_solutions_of_self_check_exercises(root):
    everyone, students = public(root), edition("student", root)
    assert SHOWN in everyone and SHOWN not in students
    start, end = everyone.index("```{solution} ex-copy"), everyone.index("```{exercise} Secret")
    assert students.split() == (everyone[:start] + everyone[end:]).split()


def cells(text: str) -> list[tuple]:
    return [(b.tags, b.options, b.body) for o in parse(text, "x") for b in o.walk() if b.name == "code-cell"]


def test_all_editions_have_the_same_cells_so_that_these_are_executed_once(root):
    assert cells(edition("instructor", root)) == cells(public(root)) == cells(edition("student", root))
    assert len(cells(public(root))) == 2


def test_editions_of_the_book_have_the_same_cells_and_students_get_no_solution(tmp_path):
    for name in editions.EDITIONS:
        editions.write(name, ROOT, tmp_path / name)
    pages = [path.relative_to(tmp_path / "public") for path in (tmp_path / "public").rglob("*.md")]
    assert len(pages) > 20
    for page in pages:
        everyone, students, instructors = ((tmp_path / name / page).read_text() for name in editions.EDITIONS)
        assert cells(everyone) == cells(students) == cells(instructors), page
        assert "{solution" not in students, page
    notes = {path.relative_to(tmp_path / "instructor") for path in (tmp_path / "instructor").rglob("*.md")} - {*pages}
    assert {path.parts[1] for path in notes} == {"instructors"}


def test_notes_stand_in_the_instructors_table_of_contents_alone(root):
    for name in editions.EDITIONS:
        edition(name, root)
        named = listed(root / name)
        assert named == ["chapter"] + ["instructors/plan", "instructors/chapter"] * (name == "instructor")


def test_notes_for_a_page_that_is_not_there_are_refused(root):
    (root / "book" / "instructors" / "chapters.md").write_text("# Notes\n")
    with pytest.raises(SourceError, match=r"book/instructors/chapters\.md:1: .*not there"):
        edition("instructor", root)


def test_a_folder_of_solutions_with_a_misspelt_name_is_refused(root):
    (root / "book" / "solutions").rename(root / "book" / "solution")
    (root / "book" / "chapter.md").write_text("# A chapter\n")
    for name in editions.EDITIONS:
        with pytest.raises(SourceError, match=r"book/solution/chapter\.md:1: _toc\.yml does not name"):
            edition(name, root)


@pytest.mark.parametrize("name", ["public", "student"])
@pytest.mark.parametrize(
    ("guard", "what"),
    [("hidden-test", "hidden test"), ("answer", "answer"), ("rubric", "rubric"), ("solution", "solution")],
)
def test_a_filter_that_lets_something_through_is_caught(root, monkeypatch, name, guard, what):
    """The filter's own rules broken one by one: the planted canary stops the edition."""
    original = editions._filter

    def broken(block, path, rules):
        is_hit = guard in block.tags or guard in block.classes or guard == block.name
        return list(block.lines) if is_hit else original(block, path, rules)

    monkeypatch.setattr(editions, "_filter", broken)
    monkeypatch.setattr(editions, "_assert_clean", lambda text, path: None)
    with pytest.raises(SourceError, match=rf"book/chapter\.md:\d+: this {what} would be published"):
        edition(name, root)


def test_a_solution_under_another_exercise_is_caught(root, monkeypatch):
    monkeypatch.setattr(editions, "_has_solution", lambda block, rules: block.label == "ex-secret")
    with pytest.raises(SourceError, match="this solution would be published"):
        edition("student", root)


def test_answers_become_stubs_with_their_indentation(root):
    text = public(root)
    assert 'def line(x):\n    """Keep me."""\n    ...  # your code here\n' in text
    assert "def other():\n    ...  # your code here\n" in text


def test_visible_tests_are_folded_and_say_how_to_run_them(root):
    blocks = [block for block in parse(public(root), "x") if "test" in block.tags]
    assert len(blocks) == 1
    assert blocks[0].tags == ("test", "hide-input")
    assert blocks[0].options["mystnb"]["code_prompt_show"] == "Test it: line at zero"
    assert blocks[0].body[-1] == "# test_line_at_zero(line)"


def test_self_check_solution_follows_its_exercise_folded(root):
    names = [
        (b.name, b.argument or b.label) for b in parse(public(root), "x") if b.name.startswith(("exercise", "sol"))
    ]
    assert names[:3] == [("exercise", "Copying"), ("solution", "ex-copy"), ("exercise", "Secret")]
    assert ":class: dropdown\n:label: sol-copy" in public(root)


def test_other_files_are_copied_and_hidden_ones_are_not(root):
    public(root)
    found = {p.relative_to(root / "public").as_posix() for p in (root / "public").rglob("*") if p.is_file()}
    assert found == {".edition", "_config.yml", "_toc.yml", "book/chapter.md", "book/_assets/x.css"}


def test_writing_twice_leaves_nothing_of_the_first(root):
    public(root)
    (root / "public" / "book" / "stale.md").write_text("CANARY-WRITTEN")
    public(root)
    assert not (root / "public" / "book" / "stale.md").exists()


def test_a_folder_that_is_no_edition_is_left_alone(root):
    with pytest.raises(ValueError, match="not an edition"):
        editions.write("public", root, root / "book")
    assert (root / "book" / "chapter.md").exists()


def test_unknown_edition_lists_the_known():
    with pytest.raises(ValueError, match=r"unknown edition `pubic`; known are instructor, public, student"):
        editions.write("pubic", Path(), Path())


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[hidden-test, remove-cell]", "[hidden_test, remove-cell]", "unknown cell tag"),
        ("[hidden-test, remove-cell]", "[remove-cell]", "has to be tagged `test` or `hidden-test`"),
        (":tags: [hidden-test, remove-cell]", ":tag: [hidden-test, remove-cell]", "unknown option `tag`"),
        (":class: rubric", ":class: rubrik", "unknown class `rubrik`"),
        (":class: teaching-note", ":class: teaching-notes", "unknown class `teaching-notes`"),
        ("[answer]", "[setup]", "outside a cell tagged `answer`"),
        ("    # END SOLUTION\n\n\n", "\n\n", "again before"),
        ("    # END SOLUTION\n```", "```", "without `# END SOLUTION`"),
        ("    # BEGIN SOLUTION\n    return 2", "    return 2", "without `# BEGIN SOLUTION`"),
        ("    # BEGIN SOLUTION\n    return 2", "    x = 1  # BEGIN SOLUTION\n    return 2", "alone on its line"),
        (":label: ex-copy\n", ":label: ex-copied\n", "has no solution"),
        ("````{solution-end}\n````\n", "", "without its {solution-end}"),
        ("def test_line_at_zero(line):\n    assert", "assert", "has to define a function `test_"),
    ],
)
def test_a_slip_that_would_publish_a_solution_stops_the_build(root, old, new, message):
    assert old in CHAPTER
    (root / "book" / "chapter.md").write_text(CHAPTER.replace(old, new, 1))
    with pytest.raises(SourceError, match=r"book/chapter\.md:\d+: ") as caught:
        public(root)
    assert message in str(caught.value)


def test_two_solutions_to_one_exercise_are_refused(root):
    (root / "book" / "solutions" / "more.md").write_text("```{solution} ex-copy\nAgain.\n```\n")
    with pytest.raises(SourceError, match="a second solution to `ex-copy`"):
        public(root)


NOTES = {name: path for name, path in instructor.notes(ROOT).items() if name != instructor.PLAN}
PAGES = sorted({exercise.path.removeprefix("book/").removesuffix(".md") for exercise in exercises.find(ROOT)})


def test_every_page_with_exercises_has_teaching_notes():
    assert sorted(NOTES) == PAGES


@pytest.mark.parametrize("page", PAGES)
def test_teaching_notes_have_their_parts_and_name_exercises_of_their_page(page):
    text = NOTES[page].read_text(encoding="utf-8")
    headings = [line for line in text.splitlines() if line.startswith("## ")]
    assert headings == ["## Objectives", "## Timing", "## Misconceptions", "## What to assign"]
    assert text.count("\n- ") >= 2
    labels = {e.label: e.path for e in exercises.find(ROOT)}
    named = set(re.findall(r"\{ref\}`(ex-[\w-]+)`", text))
    assert named and named <= set(labels)
    assert any(labels[label] == f"book/{page}.md" for label in named)


def test_the_public_table_of_times_says_what_the_notes_say():
    text = (ROOT / "book" / "appendix" / "instructors.md").read_text(encoding="utf-8")
    rows = re.findall(r"\* - \{doc\}`/book/([\w/-]+)`\n  - .+\n  - (\d+)\n  - (\d+)\n  - (\d+)\n", text)
    found = {}
    for page, path in NOTES.items():
        times = re.search(r"^Reading (\d+) minutes, lecture (\d+), lab (\d+)\.$", path.read_text(), re.MULTILINE)
        assert times, page
        found[page] = times.groups()
    assert {page: tuple(times) for page, *times in rows} == found
    assert [page for page, *_ in rows] == [page for page in listed(ROOT) if page in NOTES]


def test_the_weekly_plans_name_pages_and_exercises_that_exist():
    text = (ROOT / "book" / "instructors" / "plan.md").read_text(encoding="utf-8")
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ["Two weeks", "Four weeks", "Eight weeks"]
    assert {page for page in re.findall(r"\{doc\}`/book/([\w/-]+)`", text)} <= set(listed(ROOT))
    assert set(re.findall(r"`(ex-[\w-]+)`", text)) <= {e.label for e in exercises.find(ROOT)}
