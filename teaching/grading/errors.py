"""Exceptions as data: a type's names and a text cross, and become the nearest exception of Python's own."""

from __future__ import annotations

import builtins
from typing import Any

from teaching.grading.values import UnreadableError

LONGEST = 2000


def described(error: BaseException) -> dict[str, Any]:
    """What crosses of an exception; with the line of the student's cell that it came through, if any."""
    line, trace = None, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == "<answer>":
            line = trace.tb_lineno
        trace = trace.tb_next
    if isinstance(error, SyntaxError):
        line = error.lineno
    try:
        text = str(error)[:LONGEST]
    except BaseException:  # its own method fails
        text = ""
    return {"types": [kind.__name__ for kind in type(error).__mro__], "text": text, "line": line}


def nearest(told: Any) -> Exception:
    """The exception that was described, as the first of Python's own among its types.

    Raises:
        UnreadableError: it is no description.
    """
    if not isinstance(told, dict) or not isinstance(told.get("types"), list) or not isinstance(told.get("text"), str):
        raise UnreadableError("an error that cannot be read")
    text = told["text"][:LONGEST]
    found: Exception = RuntimeError(text)
    for name in told["types"][:20]:
        kind = getattr(builtins, name, None) if isinstance(name, str) else None
        if isinstance(kind, type) and issubclass(kind, Exception):
            try:
                found = kind(text)
                break
            except TypeError:
                continue
    if type(line := told.get("line")) is int:
        found.add_note(f"raised by line {line} of the answer")
    return found
