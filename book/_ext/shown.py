"""Code of the package, as a page shows it: the source of a function, class or method, found by its dotted name."""

from __future__ import annotations

import ast
import importlib
import inspect
import textwrap
from typing import Any


def resolve(name: str) -> Any:
    """The object with the dotted `name`: the longest importable module, then attributes.

    Raises:
        LookupError: if no module of that name exists or it has no such attribute.
    """
    parts = name.split(".")
    for end in range(len(parts), 0, -1):
        try:
            found: Any = importlib.import_module(".".join(parts[:end]))
        except ModuleNotFoundError as error:
            if error.name is None or not ".".join(parts[:end]).startswith(error.name):
                raise
            continue
        for attribute in parts[end:]:
            try:
                found = getattr(found, attribute)
            except AttributeError:
                raise LookupError(f"`{'.'.join(parts[:end])}` has no `{'.'.join(parts[end:])}`") from None
        return found
    raise LookupError(f"no module named `{parts[0]}`")


def without_docstring(source: str) -> str:
    """`source` of one function or class, less its docstrings."""
    lines = source.splitlines()
    doomed: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        if (
            isinstance(node, ast.FunctionDef | ast.ClassDef)
            and ast.get_docstring(node) is not None
            and len(node.body) > 1
        ):
            doomed.update(range(node.body[0].lineno - 1, node.body[1].lineno - 1))
    return "\n".join(line for number, line in enumerate(lines) if number not in doomed)


def source_of(name: str, *, docstring: bool = True) -> str:
    """The source of the object called `name`, with or without its docstrings.

    Raises:
        LookupError: there is no such object, or no source of it.
    """
    try:
        source = textwrap.dedent(inspect.getsource(inspect.unwrap(resolve(name)))).rstrip()
    except (TypeError, OSError) as error:
        raise LookupError(str(error)) from error
    return source if docstring else without_docstring(source)
