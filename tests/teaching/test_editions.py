"""The public edition: solutions and hidden tests are gone, what readers work with is there."""

from pathlib import Path

import pytest

from teaching import editions
from teaching.source import SourceError, parse

CANARIES = ("CANARY-ANSWER", "CANARY-HIDDEN", "CANARY-WRITTEN", "CANARY-RUBRIC", "CANARY-INLINE", "CANARY-GATED")

CHAPTER = '''# A chapter

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
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "book" / "solutions").mkdir(parents=True)
    (tmp_path / "book" / "_assets").mkdir()
    (tmp_path / "book" / "chapter.md").write_text(CHAPTER)
    (tmp_path / "book" / "solutions" / "chapter.md").write_text(SOLUTIONS)
    (tmp_path / "book" / "chapter.ipynb").write_text('"CANARY-ANSWER"')
    (tmp_path / "book" / ".secret").write_text("CANARY-ANSWER")
    (tmp_path / "book" / "_assets" / "x.css").write_text("a {}")
    for name in ("_config.yml", "_toc.yml"):
        (tmp_path / name).write_text("{}")
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


def public(root: Path) -> str:
    editions.write("public", root, root / "public")
    return (root / "public" / "book" / "chapter.md").read_text()


def test_public_edition_leaks_nothing(root):
    public(root)
    assert leaks(root / "public") == []


def test_the_search_for_leaks_finds_one(root):
    assert leaks(root / "book")


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
    with pytest.raises(ValueError, match=r"unknown edition `pubic`; known are public"):
        editions.write("pubic", Path(), Path())


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[hidden-test, remove-cell]", "[hidden_test, remove-cell]", "unknown cell tag"),
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
