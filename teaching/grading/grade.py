"""A folder of submissions, graded two at a time; what is finished survives a kill, and the tables come out the same.

Finished submissions are kept in a journal beside the table, under what decides their result: the notebook's bytes, the
assignment, and this program. Whoever changes any of them grades anew; whoever changes none gets the same bytes.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

import torch

from teaching.grading import notebook, report, sandbox
from teaching.grading.notebook import Submission, UngradableError
from teaching.grading.processes import Job, Processes
from teaching.grading.sandbox import Limits, SandboxError
from teaching.grading.trial import CONTAINED, PROXIED
from teaching.questions import Assignment

SOURCES = Path(__file__).resolve().parent


class Grader:
    """Grades submissions to one assignment; `journal` keeps every finished one."""

    def __init__(
        self, assignment: Assignment, journal: Path, *, trust: bool = False, workers: int = 2, limits: Limits
    ) -> None:
        self.assignment = assignment
        package = sandbox.package_folder()
        self.processes = Processes(assignment, package, limits, trust=trust, workers=workers)
        self.journal = journal
        self.version = _version(package, limits)
        self.known = dict(_entries(journal))

    def key(self, data: bytes) -> str:
        """What a result is kept under: the submission, the assignment and this program decide it."""
        parts = (data, self.assignment.to_json().encode(), self.version.encode())
        return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()

    def ways(self) -> tuple[dict[str, str], list[str]]:
        """How each coding question is graded, decided by its own solution; and what is wrong with those that cannot be."""
        key = self.key(b"ways")
        if key not in self.known:
            coding = [question for question in self.assignment.questions if question.is_coding]
            answers = {question.label: question.solution for question in coding}
            submission = Submission(answers, {}, {label: () for label in answers})
            ways: dict[str, str] = {}
            problems: dict[str, str] = {}
            left = list(answers)
            for way in (PROXIED, CONTAINED):
                job = Job("", ["the solutions"], submission, dict.fromkeys(left, way))
                for _ in self.processes.run([job]):
                    pass
                if job.problem:
                    raise SandboxError(job.problem)
                for label in list(left):
                    failed = [o for o in job.outcomes if o["question"] == label and not o["passed"]]
                    if not failed:
                        ways[label] = way
                        left.remove(label)
                    else:
                        problems[label] = f"{label}: its own solution fails: {failed[0]['reason']}"
                if not left:
                    break
            self._keep(key, {"ways": ways, "problems": [problems[label] for label in left]})
        return self.known[key]["ways"], self.known[key]["problems"]

    def grade(self, folder: Path, progress: TextIO) -> tuple[list[report.Grade], dict[str, str]]:
        """The grade of every file in `folder`, and how each question was graded."""
        ways, problems = self.ways()
        for text in problems:
            print(f"Not graded, for everyone: {text}", file=progress)
        found: dict[str, dict[str, Any]] = {}
        jobs: dict[str, Job] = {}
        paths = submissions(folder)
        for path in paths:
            name = path.relative_to(folder).as_posix().encode("utf-8", "replace").decode()
            try:
                data = notebook.contents(path)
                key = self.key(data)
                if key in self.known:
                    found[name] = self.known[key]
                elif key in jobs:
                    jobs[key].names.append(name)
                else:
                    jobs[key] = Job(key, [name], notebook.read(data, self.assignment), ways)
            except UngradableError as error:
                found[name] = {"problem": str(error)}
        if found:
            print(f"{len(found)} of {len(paths)} need no run: graded before, or not to be graded.", file=progress)
        count = len(found)
        for job in self.processes.run(list(jobs.values())):
            result = {"problem": job.problem} if job.problem else {"outcomes": sorted(job.outcomes, key=self._order)}
            if not job.problem:
                self._keep(job.key, result)
            for name in job.names:
                count += 1
                found[name] = result
                one = report.grade(name, self.assignment, ways, result)
                points = "not graded" if one.total is None else f"{one.total} points"
                seconds = time.monotonic() - job.started
                print(f"[{count:>3}/{len(paths)}] {_shown(name)}: {points}, {seconds:.0f} s", file=progress, flush=True)
        return [report.grade(name, self.assignment, ways, result) for name, result in found.items()], ways

    def _order(self, outcome: dict[str, Any]) -> tuple[int, int]:
        labels = [question.label for question in self.assignment.questions]
        return labels.index(outcome["question"]), outcome["test"]

    def _keep(self, key: str, result: dict[str, Any]) -> None:
        self.known[key] = result
        with self.journal.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"key": key, "result": result}) + "\n")
            file.flush()
            os.fsync(file.fileno())


def submissions(folder: Path) -> list[Path]:
    """The files of a folder and of the folders in it, by name; links are listed and not followed."""
    found = []
    for here, folders, files in os.walk(folder):
        folders[:] = sorted(f for f in folders if not f.startswith(".") and f not in ("__MACOSX", "__pycache__"))
        linked = [f for f in folders if (Path(here) / f).is_symlink()]
        found += [Path(here) / name for name in [*files, *linked] if not name.startswith(".")]
    return sorted(found)


def run(
    folder: Path,
    assignment: Path,
    out: Path,
    roster: Path | None = None,
    *,
    trust: bool = False,
    limits: Limits | None = None,
    workers: int = 2,
    progress: TextIO = sys.stderr,
) -> list[report.Grade]:
    """Grade the submissions in `folder`, and write the tables.

    Raises:
        ValueError: there is no such folder or assignment, it lies where students' code could read it, or no sandbox is had.
    """
    path = assignment / "assignment.json" if assignment.is_dir() else assignment
    if not folder.is_dir():
        raise ValueError(f"there is no folder {folder}")
    if not path.is_file():
        raise ValueError(f"there is no assignment at {path}; `make assignment` writes its folder")
    what = Assignment.from_json(path.read_text(encoding="utf-8"))
    if not any(question.is_coding for question in what.questions):
        raise ValueError(f"the assignment on {what.page} has no coding question: there is nothing to grade but by hand")
    if not trust:
        if why := sandbox.missing():
            raise ValueError(why)
        for place in (folder, path):
            if sandbox.exposed(place, sandbox.package_folder()):
                raise ValueError(f"{place} lies where students' code could read it; move it to a folder of its own")
    out.parent.mkdir(parents=True, exist_ok=True)
    journal = out.with_name(f"{out.stem}-journal.jsonl")
    grader = Grader(what, journal, trust=trust, workers=workers, limits=limits or Limits())
    try:
        grades, ways = grader.grade(folder, progress)
    except SandboxError as error:
        raise ValueError(str(error)) from error
    _write(out, report.table(grades, what, ways))
    if roster is not None:
        text, unknown = report.canvas(grades, what, roster)
        _write(out.with_name(f"{out.stem}-canvas.csv"), text)
        for name in unknown:
            print(f"Nobody on the roster: {_shown(name)}", file=progress)
    return grades


def _write(path: Path, text: str) -> None:
    unfinished = path.with_name(f".{path.name}.part")
    unfinished.write_text(text, encoding="utf-8")
    unfinished.replace(path)


def _entries(journal: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """What an earlier run finished; a line that a kill cut off is left out."""
    if journal.is_file():
        for line in journal.read_text(encoding="utf-8", errors="replace").splitlines():
            with contextlib.suppress(ValueError, KeyError, TypeError):
                entry = json.loads(line)
                yield entry["key"], dict(entry["result"])


def _version(package: Path, limits: Limits) -> str:
    """This program: its source, the book's package, torch, Python and the limits."""
    digest = hashlib.sha256()
    for path in [*sorted(SOURCES.glob("*.py")), *sorted(package.glob("*.py"))]:
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    about = [torch.__version__, sys.version, dataclasses.asdict(limits)]
    return digest.hexdigest() + json.dumps(about, sort_keys=True)


def _shown(name: str) -> str:
    """A file's name as a terminal may get it."""
    return "".join(c if c.isprintable() else "?" for c in name)
