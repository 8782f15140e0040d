"""How long it takes to grade 30 submissions of one page on this machine, two at a time, from their start to the table.

    PYTHONPATH=. python benchmarks/grading.py

Ten are right, ten wrong, eight half done, and two never end in one of their answers, which costs the time limit.
"""

from __future__ import annotations

import io
import json
import re
import statistics
import tempfile
import time
from pathlib import Path

from teaching import questions
from teaching.grading import grade

ROOT = Path(__file__).resolve().parent.parent
PAGE = "vae/reparameterization"
ENDLESS = "\n    while True:\n        pass\n"


def notebook(answers: dict[str, str], number: int) -> str:
    cells = [
        {
            "cell_type": "code",
            "metadata": {"autoencoders": {"question": label}, "tags": ["answer"]},
            "source": f"# {number}\n{source}",
            "outputs": [],
            "execution_count": None,
        }
        for label, source in answers.items()
    ]
    return json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})


def main() -> None:
    assignment = questions.read(ROOT, PAGE)
    coding = [question for question in assignment.questions if question.is_coding]
    endless = {coding[0].label: coding[0].solution.split("\n")[0] + ENDLESS}
    kinds = {
        "right": (10, {q.label: q.solution for q in coding}),
        "wrong": (10, {q.label: q.wrong[0] for q in coding}),
        "half": (8, {q.label: q.solution if i % 2 else q.stub for i, q in enumerate(coding)}),
        "endless": (2, {q.label: q.solution for q in coding} | endless),
    }
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "submissions"
        folder.mkdir()
        for kind, (count, answers) in kinds.items():
            for number in range(count):
                (folder / f"{kind}-{number}.ipynb").write_text(notebook(answers, number), encoding="utf-8")
        path = Path(place) / "assignment.json"
        path.write_text(assignment.to_json(), encoding="utf-8")
        told, began = io.StringIO(), time.perf_counter()
        grades = grade.run(folder, path, Path(place) / "grades.csv", progress=told)
        total = time.perf_counter() - began
    seconds = [int(found) for found in re.findall(r", (\d+) s$", told.getvalue(), flags=re.MULTILINE)]
    assert len(grades) == 30 and all(one.is_graded for one in grades)
    print(
        f"{len(grades)} submissions of {PAGE}: {total:.0f} s in all, {statistics.median(seconds):.0f} s each (median)"
    )


if __name__ == "__main__":
    main()
