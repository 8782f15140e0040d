"""A student's answer, served: inside the sandbox its functions are called for whoever asks over the channel.

Tensors keep their part in a graph: what is given that needs a gradient becomes a leaf here, and products with the Jacobian
of what was made from it are computed when they are asked for. A function that a test passes becomes one that asks back.
"""

from __future__ import annotations

import ast
import inspect
import re
import traceback
from typing import Any

import numpy as np
import torch
from torch import nn

from teaching.grading.errors import described, nearest
from teaching.grading.values import Channel, Codec

MAGIC = re.compile(r"^([ \t]*)[%!].*$", flags=re.MULTILINE)


class Served(Codec):
    """One message of an answer's process, with what earlier messages made known."""

    def __init__(self, answer: Answer) -> None:
        super().__init__()
        self.answer = answer

    def describe(self, tensor: torch.Tensor) -> dict[str, Any]:
        given = self.answer.given.get(id(tensor))
        if given is not None and (tensor._version == given[2] or not tensor.requires_grad):
            return {"yours": given[0]}
        if not tensor.requires_grad:
            return {}
        self.answer.made.append(tensor)
        return {"made": len(self.answer.made) - 1}

    def other(self, value: Any) -> list[Any]:
        if isinstance(value, torch.Generator):
            for key, known in self.answer.generators.items():
                if known is value:
                    return ["generator", key]
        if callable(value) and not isinstance(value, (type, nn.Module)):
            if (key := getattr(value, "callback_key", None)) is not None:
                return ["callback", key]
            self.answer.functions.append(value)
            return ["function", len(self.answer.functions) - 1]
        return super().other(value)

    def foreign(self, node: list[Any]) -> Any:
        kind, key = node
        if kind == "generator":
            return self.answer.generators.setdefault(key, torch.Generator())
        return self.answer.callback(key) if kind == "callback" else self.answer.functions[key]


class Answer:
    """What one answer defines, served over a channel."""

    def __init__(self, channel: Channel, names: dict[str, Any]) -> None:
        self.channel, self.names = channel, names
        self.forget()

    def forget(self) -> None:
        """A new test begins: nothing of the last one is asked for again."""
        self.given: dict[int, tuple[int, torch.Tensor, int]] = {}  # by id: its number outside, itself, its version
        self.leaves: dict[int, torch.Tensor] = {}  # by number
        self.made: list[torch.Tensor] = []
        self.functions: list[Any] = []
        self.generators: dict[int, torch.Generator] = {}

    def serve(self) -> None:
        while True:
            try:
                message, buffers = self.channel.receive()
            except EOFError:
                return
            self._answer(message, buffers)

    def callback(self, key: int) -> Any:
        """A function that calls the test's."""

        def call(*arguments: Any, **named: Any) -> Any:
            served = Served(self)
            what = dict(arguments=served.encode(list(arguments)), named=served.encode(named))
            asked = dict(op="callback", key=key, grad=torch.is_grad_enabled(), state=self._state(served))
            self.channel.send(served.pack(asked | what))
            while True:
                message, buffers = self.channel.receive()
                if message["op"] != "result":
                    self._answer(message, buffers)
                    continue
                value = self._read(message, buffers, ["value"])[0]
                if message["error"]:
                    raise nearest(message["error"])
                return value

        call.callback_key = key  # type: ignore[attr-defined]
        return call

    def _answer(self, message: dict[str, Any], buffers: list[memoryview]) -> None:
        reply = Served(self)
        try:
            found = getattr(self, f"do_{message['op']}")(message, buffers, reply)
            data = reply.pack({"op": "reply", "error": None} | found)
        except BaseException as error:
            reply = Served(self)
            data = reply.pack({"op": "reply", "value": None, "error": described(error)})
        self.channel.send(data)

    def do_define(self, message: dict[str, Any], buffers: list[memoryview], reply: Served) -> dict[str, Any]:
        """Run the student's cell, behind what other cells of the notebook define."""
        for source in message["helpers"]:
            _run_definitions(source, self.names)
        run(message["answer"], self.names, "<answer>")
        return {"value": None}

    def do_forget(self, message: dict[str, Any], buffers: list[memoryview], reply: Served) -> dict[str, Any]:
        self.forget()
        return {"value": None}

    def do_get(self, message: dict[str, Any], buffers: list[memoryview], reply: Served) -> dict[str, Any]:
        """What a name stands for."""
        if message["name"] not in self.names:
            raise NameError(f"the answer does not define `{message['name']}`")
        return {"value": reply.encode(self.names[message["name"]])}

    def do_call(self, message: dict[str, Any], buffers: list[memoryview], reply: Served) -> dict[str, Any]:
        """Call a function that an earlier reply named; changes of the arguments go back with the result."""
        outer, self.given = self.given, {}  # a tensor is the test's own while the call lasts
        try:
            arguments, named = self._read(message, buffers, ["arguments", "named"])
            before = [_snapshot(value) for value in arguments]
            with torch.set_grad_enabled(message["grad"]):
                value = self.functions[message["key"]](*arguments, **named)
            return self._result(reply, value, arguments, before)
        finally:
            self.given = outer

    def _result(self, reply: Served, value: Any, arguments: list[Any], before: list[Any]) -> dict[str, Any]:
        return dict(
            value=reply.encode(value),
            changed=[
                [number, reply.encode(tensor.detach().clone())]
                for number, tensor, version in self.given.values()
                if tensor._version != version
            ],
            arguments=[
                [i, reply.encode(value)]
                for i, value in enumerate(arguments)
                if before[i] is not None and not _same(before[i], value)
            ],
            state=self._state(reply),
        )

    def do_gradients(self, message: dict[str, Any], buffers: list[memoryview], reply: Served) -> dict[str, Any]:
        """The product of `grads` with the Jacobian of what was made with respect to what was given."""
        outputs = [self.made[k] for k in message["made"]]
        inputs = [self.leaves[k] for k in message["given"]]
        (grads,) = self._read(message, buffers, ["grads"])
        found = torch.autograd.grad(
            outputs, inputs, grads, retain_graph=True, allow_unused=True, create_graph=message["again"]
        )
        return {"value": reply.encode(list(found))}

    def do_contained(self, message: dict[str, Any], buffers: list[memoryview], reply: Served) -> dict[str, Any]:
        """Run tests here, for an answer whose values cannot cross; what each returned, or how it failed."""
        scope = dict(self.names)
        run(message["source"], scope, "<test>")
        found = []
        for name in message["tests"]:
            torch.manual_seed(0)
            try:
                wanted = [k for k, p in inspect.signature(scope[name]).parameters.items() if p.default is p.empty]
                found.append([scope[name](**{key: self.names[key] for key in wanted}), None])
            except BaseException as error:
                lines = [
                    frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == "<test>"
                ]
                where = message["source"].splitlines()[lines[-1] - 1].strip() if lines and lines[-1] else ""
                parts = [type(error).__name__, str(error)[:500] or where]
                found.append([None, ": ".join(filter(None, parts))])
        return {"value": reply.encode(found)}

    def _read(self, message: dict[str, Any], buffers: list[memoryview], keys: list[str]) -> list[Any]:
        served, tensors = Served(self), []
        for entry, tensor in zip(message["table"], served.tensors(message, buffers), strict=True):
            number = entry.get("number")
            if number is not None:
                if entry["grad"]:
                    self.leaves[number] = tensor.requires_grad_()
                    # As outside: what is the result of something may be changed in place, what is not may not.
                    tensor = tensor if entry["leaf"] else tensor.clone()
                self.given[id(tensor)] = (number, tensor, tensor._version)
            elif "made" in entry:
                tensor = self.made[entry["made"]]
            tensors.append(tensor)
        values = [served.decode(message[key], tensors, buffers) for key in keys]
        if state := message.get("state"):
            everywhere, generators = served.decode(state, tensors, buffers)
            torch.set_rng_state(everywhere)
            for key, at in generators.items():
                self.generators.setdefault(key, torch.Generator()).set_state(at)
        return values

    def _state(self, served: Served) -> Any:
        """Where the random numbers stand."""
        at = {key: generator.get_state() for key, generator in self.generators.items()}
        return served.encode((torch.get_rng_state(), at))


def run(source: str, names: dict[str, Any], title: str) -> None:
    """Execute a cell; the notebook's own commands, lines with % or !, are left out."""
    try:
        code = compile(source, title, "exec")
    except SyntaxError:
        code = compile(MAGIC.sub(r"\1pass", source), title, "exec")
    exec(code, names)


def _run_definitions(source: str, names: dict[str, Any]) -> None:
    """Execute only what a cell imports and the functions and classes that it defines; what fails is left out."""
    try:
        body = ast.parse(MAGIC.sub(r"\1pass", source)).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    for part in body:
        if isinstance(part, (ast.FunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom)):
            try:
                exec(compile(ast.Module([part], []), "<cell>", "exec"), names)
            except Exception:
                continue


def _snapshot(value: Any) -> Any:
    return value.copy() if isinstance(value, (list, dict, np.ndarray)) else None


def _same(before: Any, after: Any) -> bool:
    if isinstance(before, np.ndarray):
        return np.array_equal(before, after)
    if isinstance(before, dict):
        before, after = [x for pair in before.items() for x in pair], [x for pair in after.items() for x in pair]
    return len(before) == len(after) and all(a is b for a, b in zip(before, after, strict=True))
