"""Every exercise of the book: solutions exist and pass, stubs fail."""

import os
from pathlib import Path

import pytest

from teaching import editions, exercises
from teaching.source import SourceError

ROOT = Path(__file__).resolve().parents[2]
os.environ.setdefault("MPLBACKEND", "Agg")
EXERCISES = exercises.find(ROOT)
CODING = [exercise for exercise in EXERCISES if exercise.answer is not None]
WRONG = exercises.wrong_answers(ROOT)
WRITTEN = [exercise for exercise in EXERCISES if exercise.answer is None]


def failures(exercise: exercises.Exercise, answer: str, *, visible: bool = True, hidden: bool = True) -> list[str]:
    """The tests that `answer` fails; all of them where it does not even run."""
    cells = (exercise.tests if visible else ()) + (exercise.hidden_tests if hidden else ())
    try:
        names = exercises.namespace(exercise, answer)
        tests = exercises.test_functions(cells, names)
    except Exception as error:
        return [f"{type(error).__name__}: {error}"]
    failed = []
    for name, test in tests.items():
        try:
            test()
        except Exception as error:
            failed.append(f"{name}: {type(error).__name__}: {error}")
    return failed


def test_exercises_are_found_where_the_book_has_any():
    mentions = sum(
        path.read_text(encoding="utf-8").count("{exercise")
        for path in editions.source_files(ROOT)
        if path.suffix == ".md"
    )
    assert (len(EXERCISES) > 0) == (mentions > 0)


def test_labels_are_unique():
    labels = [exercise.label for exercise in EXERCISES]
    assert sorted(labels) == sorted(set(labels))


@pytest.mark.parametrize("exercise", WRITTEN, ids=lambda e: e.label)
def test_written_exercise_has_a_solution(exercise):
    assert exercise.label in editions.written_solutions(ROOT), f"{exercise.path}:{exercise.line}: no solution"


def test_every_written_solution_answers_an_exercise():
    assert set(editions.written_solutions(ROOT)) <= {exercise.label for exercise in EXERCISES}


@pytest.mark.parametrize("exercise", CODING, ids=lambda e: e.label)
def test_coding_exercise_has_visible_and_hidden_tests(exercise):
    assert exercise.tests, f"{exercise.path}:{exercise.line}: no visible test"
    assert exercise.hidden_tests, f"{exercise.path}:{exercise.line}: no hidden test"


@pytest.mark.parametrize("exercise", CODING, ids=lambda e: e.label)
def test_solution_passes_all_tests(exercise):
    assert failures(exercise, exercise.solution) == []


@pytest.mark.parametrize("exercise", CODING, ids=lambda e: e.label)
def test_stub_fails_a_test(exercise):
    exercises.namespace(exercise, exercise.stub)  # The page executes the stub: it has to run.
    assert failures(exercise, exercise.stub)


@pytest.mark.parametrize("exercise", CODING, ids=lambda e: e.label)
def test_coding_exercise_has_three_wrong_answers(exercise):
    assert len(WRONG.get(exercise.label, ())) >= 3, (
        f"{exercise.path}:{exercise.line}: put cells tagged `wrong` behind its solution"
    )


@pytest.mark.parametrize(("label", "number"), [(label, i) for label, cells in WRONG.items() for i in range(len(cells))])
def test_wrong_answer_runs_and_the_hidden_tests_reject_it(label, number):
    (exercise,) = (e for e in CODING if e.label == label)
    answer = "\n".join(WRONG[label][number].body)
    exercises.namespace(exercise, answer)  # plausible: it runs
    assert failures(exercise, answer, visible=False), "the hidden tests accept it"


SAMPLE = """
```{code-cell} ipython3
:tags: [setup]
two = 2
```

```{exercise} Line
:label: ex-line
```

```{code-cell} ipython3
:tags: [answer]
def line(x):
    # BEGIN SOLUTION
    return two * x + 1
    # END SOLUTION
```

```{code-cell} ipython3
:tags: [test, remove-cell]
def test_zero(line):
    assert line(0) == 1
```

```{code-cell} ipython3
:tags: [hidden-test, remove-cell]
def test_slope(line):
    assert line(1) - line(0) == 2
```
"""


def test_a_right_answer_passes_a_wrong_one_and_the_stub_do_not():
    (exercise,) = exercises.find_in(SAMPLE, "x.md")
    assert failures(exercise, exercise.solution) == []
    assert [text.split(":")[0] for text in failures(exercise, "def line(x):\n    return 1")] == ["test_slope"]
    assert failures(exercise, exercise.stub)
    assert "test_zero" in failures(exercise, exercise.stub, hidden=False)[0]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("```{exercise} Line\n:label: ex-line\n```\n", "", "before any exercise"),
        (":label: ex-line\n", "", "needs a `:label:`"),
        ("[test, remove-cell]\n", "[answer]\n", "a second answer cell"),
    ],
)
def test_cells_that_belong_to_no_exercise_are_refused(old, new, message):
    with pytest.raises(SourceError) as caught:
        exercises.find_in(SAMPLE.replace(old, new, 1), "x.md")
    assert message in str(caught.value)


def test_two_tests_of_one_name_are_refused():
    (exercise,) = exercises.find_in(SAMPLE.replace("test_slope", "test_zero"), "x.md")
    assert "two tests are named `test_zero`" in failures(exercise, exercise.solution)[0]


def test_a_test_of_something_undefined_is_refused():
    (exercise,) = exercises.find_in(SAMPLE.replace("def test_slope(line)", "def test_slope(curve)"), "x.md")
    assert "asks for curve" in failures(exercise, exercise.solution)[0]
