"""Trials in processes, two at a time; one that dies or falls silent is taken up behind the test that it was at.

A process is forked behind the page's setup, so that it costs no start. It runs the tests of one submission and tells each
outcome through a pipe. The tests are the instructor's, but they compute with what a student's function returned, which may
be too large: so their process has limits too, and its death costs one test.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import selectors
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from teaching.grading.notebook import Submission
from teaching.grading.sandbox import Limits, Sandbox, SandboxError
from teaching.grading.trial import Outcome, Trial, seed
from teaching.questions import Assignment

MEMORY = 6 << 30  # bytes that the tests may take beyond what their process has at its start
MOST_RESTARTS = 20


@dataclass
class Job:
    """A submission on its way: what is known of it, and the process that is at work on it."""

    key: str
    names: list[str]
    submission: Submission
    ways: dict[str, str]
    outcomes: list[dict[str, Any]] = field(default_factory=list)
    at: tuple[str, int] | None = None
    heard: float = 0.0
    started: float = 0.0
    process: int = 0
    pipe: int = -1
    text: bytes = b""
    restarts: int = 0
    problem: str = ""


class Processes:
    """Runs jobs on one assignment."""

    def __init__(self, assignment: Assignment, package: Path, limits: Limits, *, trust: bool, workers: int) -> None:
        self.assignment, self.package, self.limits = assignment, package, limits
        self.trust, self.workers = trust, workers
        self._names: dict[str, Any] | None = None

    def run(self, waiting: list[Job]) -> Iterator[Job]:
        """Work on `waiting` in processes, and give each back when it is done."""
        patience = 2 * self.limits.setup + self.limits.cell + self.limits.test + 30
        running: list[Job] = []
        waiting = list(waiting)
        selector = selectors.DefaultSelector()
        try:
            while waiting or running:
                while waiting and len(running) < self.workers:
                    running.append(waiting.pop(0))
                    self._fork(running[-1])
                    selector.register(running[-1].pipe, selectors.EVENT_READ, running[-1])
                for key, _ in selector.select(timeout=1.0):
                    self._hear(key.data)
                for job in list(running):
                    if job.pipe >= 0 and time.monotonic() - job.heard > patience:
                        os.kill(job.process, signal.SIGKILL)
                        job.heard = time.monotonic()  # its pipe closes now
                    if job.pipe < 0:
                        continue
                    if job.text == b"\0":
                        selector.unregister(job.pipe)
                        os.close(job.pipe)
                        os.waitpid(job.process, 0)
                        job.pipe, job.process, job.text = -1, 0, b""
                        if self._go_on(job):
                            self._fork(job)
                            selector.register(job.pipe, selectors.EVENT_READ, job)
                        else:
                            running.remove(job)
                            yield job
        finally:
            for job in running:
                if job.process:
                    os.kill(job.process, signal.SIGKILL)
                    os.waitpid(job.process, 0)
            selector.close()

    def _hear(self, job: Job) -> None:
        """Take in what the job's process tells; at its end the text is a zero byte."""
        data = os.read(job.pipe, 1 << 16)
        job.heard = time.monotonic()
        *lines, rest = (job.text + data).split(b"\n")
        job.text = rest if data else b"\0"
        for line in lines:
            told = json.loads(line)
            if "began" in told:
                job.at = (told["began"][0], told["began"][1])
            elif "problem" in told:
                job.problem = told["problem"]
            elif "outcome" in told:
                job.outcomes.append(told["outcome"])
                job.at = None

    def _go_on(self, job: Job) -> bool:
        """Whether another process has to go on with the job; the test that the last one died in is lost."""
        if job.problem:
            return False
        total = sum(len(question.tests) for question in self.assignment.questions if question.label in job.ways)
        if len(job.outcomes) == total:
            return False
        if job.at is not None:
            reason = "its result stopped the grading process: too large, or endless"
            job.outcomes.append(Outcome(*job.at, passed=False, reason=reason).to_dict())
            job.at = None
        job.restarts += 1
        if job.restarts > MOST_RESTARTS:
            job.problem = "the grading process kept ending"
        return not job.problem and len(job.outcomes) < total

    def _fork(self, job: Job) -> None:
        names = self._setup()
        reading, writing = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        job.heard = time.monotonic()
        job.started = job.started or job.heard
        job.process = os.fork()
        if job.process:
            os.close(writing)
            job.pipe = reading
            return
        try:
            self._work(job, names, writing)
        finally:
            os._exit(0)

    def _work(self, job: Job, names: dict[str, Any], pipe: int) -> None:
        """What the forked process does."""

        def tell(**what: Any) -> None:
            os.write(pipe, json.dumps(what).encode() + b"\n")

        with open("/proc/self/statm", encoding="ascii") as file:
            held = int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
        if not self.trust:
            resource.setrlimit(resource.RLIMIT_AS, (held + MEMORY, resource.RLIM_INFINITY))
        box = Sandbox(self.assignment.setup, self.limits, trust=self.trust, package=self.package)
        try:
            trial = Trial(self.assignment, names, box, self.limits)
            done = {(outcome["question"], outcome["test"]) for outcome in job.outcomes}
            with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
                for outcome in trial.outcomes(job.submission, job.ways, done, lambda *at: tell(began=at)):
                    tell(outcome=outcome.to_dict())
        except SandboxError as error:
            tell(problem=str(error))
        finally:
            box.stop()

    def _setup(self) -> dict[str, Any]:
        """What the page's setup cells define, for the tests."""
        if self._names is None:
            os.environ.setdefault("MPLBACKEND", "Agg")
            torch.set_num_threads(1)  # threads do not survive the fork
            self._names = {"__name__": "__main__"}
            seed()
            for source in self.assignment.setup:
                exec(compile(source, "<setup>", "exec"), self._names)
        return self._names
