"""One submission's tests. They run here, in a process that the student's code does not reach; only its functions' values come in.

A question is graded in one of two ways, and the assignment's own solution decides which: `proxied` where its functions can
be called from here, `contained` where they take or return objects that cannot cross. Then the tests run in the answer's
own process, in the sandbox, beside controls that have to fail; whoever could forge a result there would leave a flag.
"""

from __future__ import annotations

import ast
import contextlib
import inspect
import random
import secrets
import signal
import traceback
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from teaching.grading.notebook import Submission, defined
from teaching.grading.proxies import AnswerLost, Talk
from teaching.grading.sandbox import Limits, Sandbox
from teaching.questions import Assignment, Question, Test

PROXIED, CONTAINED = "proxied", "contained"
LONGEST_REASON = 300
MOST_LOST = 2  # tests of a question whose process was lost, after which the rest are not tried
CONTROLS = (
    "assert False",
    "assert 1 == 2",
    "assert abs(-1.0) < 0.5",
    "assert torch.allclose(torch.zeros(3), torch.ones(3))",
    "assert torch.equal(torch.zeros(3), torch.ones(3))",
    "assert torch.isclose(torch.tensor(0.0), torch.tensor(1.0))",
    "assert bool((torch.zeros(3) == torch.ones(3)).all())",
    "assert [1] == [2]",
    "torch.testing.assert_close(torch.zeros(3), torch.ones(3))",
)


class TooLongError(BaseException):  # no test may catch it
    """A test did not end in its time."""


@dataclass(frozen=True)
class Outcome:
    """A test of a question: whether it earns its points, and why not."""

    question: str
    test: int  # place among the question's tests
    passed: bool
    reason: str = ""

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


class Trial:
    """Grades the answers of one submission, each in a fresh process of one sandbox."""

    def __init__(self, assignment: Assignment, names: dict[str, Any], sandbox: Sandbox, limits: Limits) -> None:
        self.assignment, self.names, self.sandbox, self.limits = assignment, names, sandbox, limits

    def outcomes(
        self,
        submission: Submission,
        ways: dict[str, str],
        done: set[tuple[str, int]],
        began: Callable[[str, int], None],
    ) -> Iterator[Outcome]:
        """Every test's outcome but those in `done`; `began` hears of a test before it starts."""
        for question in self.assignment.questions:
            if question.label not in ways:
                continue
            waiting = [k for k in range(len(question.tests)) if (question.label, k) not in done]
            if question.label in submission.missing:
                for k in waiting:
                    yield Outcome(question.label, k, False, submission.missing[question.label])
                continue
            answer, helpers = submission.answers[question.label], submission.helpers[question.label]
            way = self._proxied if ways[question.label] == PROXIED else self._contained
            yield from self._tried(question, waiting, began, way(question, answer, helpers))
        self.sandbox.end()

    def _tried(
        self, question: Question, waiting: list[int], began: Callable[[str, int], None], failure: Callable[[Test], str]
    ) -> Iterator[Outcome]:
        """The outcomes of a question's tests, of each of which `failure` says why it fails."""
        lost, reason = 0, ""
        for k in waiting:
            began(question.label, k)
            if lost < MOST_LOST:
                try:
                    reason = failure(question.tests[k])
                except AnswerLost as error:
                    lost, reason = lost + 1, f"the answer was stopped: {error}"
                except _Broken as error:
                    lost, reason = MOST_LOST, str(error)
            yield Outcome(question.label, k, not reason, reason)

    def _proxied(self, question: Question, answer: str, helpers: tuple[str, ...]) -> Callable[[Test], str]:
        """Why a test fails that runs here: all tests of a question talk to one process, until it is lost."""
        talk: Talk | None = None

        def failure(test: Test) -> str:
            nonlocal talk
            mine, talk = talk or self._started(answer, helpers), None
            reason = self._failure(question, test, mine)
            talk = mine
            return reason

        return failure

    def _contained(self, question: Question, answer: str, helpers: tuple[str, ...]) -> Callable[[Test], str]:
        """Why a test fails that runs beside the answer, in a new process each time."""

        def failure(test: Test) -> str:
            told = (self._failure_inside(test, name, answer, helpers) for name in test_names(test.source))
            return next(filter(None, told), "")

        return failure

    def _started(self, answer: str, helpers: tuple[str, ...]) -> Talk:
        """A conversation with the answer behind its cell's execution."""
        try:
            talk = Talk(self.sandbox.start(answer, helpers), self.limits)
        except (OSError, EOFError, TimeoutError):
            self.sandbox.stop()
            talk = Talk(self.sandbox.start(answer, helpers), self.limits)
        try:
            talk.defined()
        except Exception as error:
            raise _Broken(f"the cell fails: {_told(error)}") from None
        return talk

    def _failure(self, question: Question, test: Test, talk: Talk) -> str:
        """Why the test fails; empty if it passes."""
        theirs = set(defined(question.solution))
        seed()
        with _time_limit(self.limits.test):
            scope = dict(self.names)
            exec(compile(test.source, "<test>", "exec"), scope)
            for name in test_names(test.source):
                try:
                    talk.begin()
                    wanted = [k for k, p in inspect.signature(scope[name]).parameters.items() if p.default is p.empty]
                    arguments = {key: talk.get(key) if key in theirs else self.names[key] for key in wanted}
                    scope[name](**arguments)
                except TooLongError:
                    raise AnswerLost("the test took too long") from None
                except Exception as error:
                    return _reason(name, test, error)
        return ""

    def _failure_inside(self, test: Test, name: str, answer: str, helpers: tuple[str, ...]) -> str:
        """Why a test fails in the answer's process; that its controls do not fail is a reason too."""
        for sabotaged in random.sample((True, False), 2):
            mark = secrets.token_hex(16)
            source, chosen = with_ending(test.source, name, mark, fails=sabotaged)
            # `torch.testing` takes a second to load: only where the test has loaded it.
            lines = [line for line in CONTROLS if "torch.testing" not in line or "torch.testing" in source]
            controls = [f"control_{secrets.token_hex(8)}" for _ in lines]
            source += "".join(f"\n\ndef {c}():\n    {line}\n" for c, line in zip(controls, lines, strict=True))
            order = [chosen, *controls] if secrets.randbelow(2) else [*controls, chosen]
            found = self._started(answer, helpers).contained(f"import torch\n{source}", order)
            if not isinstance(found, list) or any(not isinstance(f, list) or len(f) != 2 for f in found):
                raise AnswerLost("it sent no results")
            results = dict(zip(order, found, strict=False))
            if len(results) != len(order) or any(results[c][0] is not None or not results[c][1] for c in controls):
                return f"{name}: comparisons that have to fail pass: review this answer"
            value, error = results[chosen]
            if not sabotaged and value != mark:
                return _short(f"{name}: {error}" if isinstance(error, str) else f"{name}: it did not run to its end")
            if sabotaged and value is not None:
                return f"{name}: passes though it has to fail: review this answer"
        return ""


class _Broken(Exception):
    """The answer's cell raises, so that none of its tests can be tried."""


def seed() -> None:
    """Let every test draw the same random numbers, whatever ran before."""
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


def test_names(source: str) -> list[str]:
    """The tests of a cell, in order."""
    return [p.name for p in ast.parse(source).body if isinstance(p, ast.FunctionDef) and p.name.startswith("test_")]


def with_ending(source: str, name: str, mark: str, *, fails: bool) -> tuple[str, str]:
    """The cell with its test `name` renamed; it ends by returning `mark`, or fails at its end."""
    tree = ast.parse(source)
    chosen = f"test_{secrets.token_hex(8)}"
    for part in tree.body:
        if isinstance(part, ast.FunctionDef) and part.name == name:
            part.name = chosen
            part.body += ast.parse(f"assert False, {mark!r}" if fails else f"return_ = {mark!r}").body
            if not fails:
                part.body.append(ast.Return(ast.Name("return_", ast.Load())))
    return ast.unparse(ast.fix_missing_locations(tree)), chosen


@contextlib.contextmanager
def _time_limit(seconds: float) -> Iterator[None]:
    def stop(*_: Any) -> None:
        raise TooLongError

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _reason(name: str, test: Test, error: Exception) -> str:
    what = _told(error)
    if isinstance(error, AssertionError) and not str(error):
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == "<test>"]
        what = test.source.splitlines()[lines[-1] - 1].strip() if lines and lines[-1] else what
    return _short(": ".join(filter(None, [name, what, test.failure_message])))


def _told(error: BaseException) -> str:
    notes = [f"({note})" for note in getattr(error, "__notes__", ())]
    return " ".join([": ".join(filter(None, [type(error).__name__, str(error)])), *notes])


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= LONGEST_REASON else text[: LONGEST_REASON - 4] + " ..."
