"""Every coding exercise of the book can be graded: its solution gets all points, each wrong answer loses some."""

import os
from pathlib import Path

import pytest

from teaching import exercises, questions
from teaching.grading.notebook import Submission
from teaching.grading.sandbox import Limits, Sandbox
from teaching.grading.trial import CONTAINED, PROXIED, Trial

ROOT = Path(__file__).resolve().parents[2]
os.environ.setdefault("MPLBACKEND", "Agg")
CODING = [exercise for exercise in exercises.find(ROOT) if exercise.answer is not None]
PAGES = sorted({exercise.path.removeprefix("book/").removesuffix(".md") for exercise in CODING})
# Their tests pass models or objects of their own, which cannot cross.
INSIDE = {"ex-training-vae-step", "ex-training-vae-draw", "ex-hierarchies-draw"}
LIMITS = Limits(cell=60.0, call=60.0)


@pytest.mark.usefixtures("bubblewrap")
@pytest.mark.parametrize("page", PAGES)
def test_solutions_get_all_points_and_wrong_answers_lose_some(page):
    assignment = questions.read(ROOT, page)
    names = exercises.namespace(next(e for e in CODING if e.path == f"book/{page}.md"), "")
    box = Sandbox(assignment.setup, LIMITS)
    trial = Trial(assignment, names, box, LIMITS)

    def lost(question, answer, way):
        submission = Submission({question.label: answer}, {}, {question.label: ()})
        return [
            o.reason for o in trial.outcomes(submission, {question.label: way}, set(), lambda *_: None) if not o.passed
        ]

    try:
        for question in assignment.questions:
            if question.is_coding:
                way = CONTAINED if question.label in INSIDE else PROXIED
                assert lost(question, question.solution, way) == [], question.label
                if way == CONTAINED:
                    assert lost(question, question.solution, PROXIED), f"{question.label} need not be contained"
                for number, answer in enumerate(question.wrong):
                    assert lost(question, answer, way), f"{question.label}: wrong answer {number} gets all points"
    finally:
        box.stop()
