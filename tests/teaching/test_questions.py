"""What an assignment asks is all that the source says, with points, and survives the way through JSON."""

from pathlib import Path

import pytest

from teaching import editions, exercises, questions

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted({exercise.path.removeprefix("book/").removesuffix(".md") for exercise in exercises.find(ROOT)})


@pytest.mark.parametrize("page", PAGES)
def test_every_page_with_exercises_can_be_assigned(page):
    found = questions.read(ROOT, page)
    assert [question.label for question in found.questions] == [
        exercise.label for exercise in exercises.find(ROOT) if exercise.path == f"book/{page}.md"
    ]
    for question in found.questions:
        if question.is_coding:
            assert editions.STUB in question.stub and editions.BEGIN in question.solution
            assert {test.hidden for test in question.tests} == {True, False} and question.wrong
        else:
            assert not question.tests and question.written_solution
        assert question.title and (question.self_check or question.points + question.points_by_hand > 0), question.label
    assert questions.Assignment.from_json(found.to_json()) == found


def test_what_is_no_page_or_no_assignment_is_refused():
    with pytest.raises(ValueError, match="there is no page 'vae/nothing'"):
        questions.read(ROOT, "vae/nothing")
    with pytest.raises(ValueError, match="'welcome' has no exercise"):
        questions.read(ROOT, "welcome")
    for text in ("{}", "[1]", "nonsense", '{"questions": [{"wrong": []}]}'):
        with pytest.raises(ValueError, match="not an assignment"):
            questions.Assignment.from_json(text)
