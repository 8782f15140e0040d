"""Functions that stand for a sandboxed answer's: a test calls them, and they ask the answer's process.

Gradients cross too. A result becomes an output of `Segment`, whose backward pass asks the process for the product with its
Jacobian; so a graph may run through the answer, back into a function that the test passed, and on, each part computed
where it belongs. What the process says is read as values and checked; if it says nothing, `AnswerLost` ends the test.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

from teaching.grading.errors import described, nearest
from teaching.grading.sandbox import Limits
from teaching.grading.values import Channel, Codec, UnreadableError


class AnswerLost(BaseException):  # no test may catch it, as `pytest.raises(Exception)` would
    """The answer's process is gone, silent, or talks nonsense."""


class Asked(Codec):
    """One message to an answer's process."""

    def __init__(self, talk: Talk) -> None:
        super().__init__()
        self.talk = talk
        self.inputs: list[tuple[int, torch.Tensor]] = []

    def describe(self, tensor: torch.Tensor) -> dict[str, Any]:
        self.talk.sent.append(tensor)
        number = len(self.talk.sent) - 1
        if tensor.requires_grad:
            self.inputs.append((number, tensor))
        return {"number": number, "grad": tensor.requires_grad, "leaf": tensor.is_leaf}

    def other(self, value: Any) -> list[Any]:
        if isinstance(value, torch.Generator):
            return ["generator", self.talk.generator(value)]
        if (key := getattr(value, "answer_key", None)) is not None:
            return ["function", key]
        if callable(value) and not isinstance(value, (type, nn.Module)):
            self.talk.callbacks.append(value)
            return ["callback", len(self.talk.callbacks) - 1]
        return super().other(value)

    def foreign(self, node: list[Any]) -> Any:
        kind, key = node
        known: list[Any] = {"generator": self.talk.generators, "callback": self.talk.callbacks}.get(kind, [])
        if kind == "function" and type(key) is int:
            return self.talk.function(key)
        if type(key) is not int or not 0 <= key < len(known):
            raise UnreadableError("a function or generator that was never passed")
        return known[key]


class Segment(torch.autograd.Function):
    """A part of the graph that lies in the answer's process: `made` from the inputs, which it knows by their numbers."""

    @staticmethod
    def forward(
        ctx: Any, talk: Talk, made: list[int], values: list[torch.Tensor], numbers: list[int], *inputs: Any
    ) -> Any:
        ctx.talk, ctx.made, ctx.numbers = talk, made, numbers
        ctx.save_for_backward(*inputs)
        ctx.set_materialize_grads(False)
        return tuple(values)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        given = [(key, grad) for key, grad in zip(ctx.made, grads, strict=True) if grad is not None]
        again = torch.is_grad_enabled()  # a graph of the gradient is wanted
        inputs = list(zip(ctx.numbers, ctx.saved_tensors, strict=True)) if again else []
        found = ctx.talk.gradients([key for key, _ in given], ctx.numbers, [grad for _, grad in given], inputs)
        return None, None, None, None, *found


class Talk:
    """The conversation with one answer's process."""

    def __init__(self, channel: Channel, limits: Limits) -> None:
        self.channel, self.limits = channel, limits
        self.until = time.monotonic() + limits.cell
        self._depth = 0
        self._clear()

    def _clear(self) -> None:
        self.sent: list[torch.Tensor] = []
        self.callbacks: list[Callable[..., Any]] = []
        self.generators: list[torch.Generator] = []

    def defined(self) -> None:
        """Wait until the student's cell, which the process got with its start, has been executed.

        Raises:
            Exception: what it raised.
            AnswerLost: it crashed, or took too long.
        """
        self._reply([], [])

    def begin(self) -> None:
        """A test begins: what the last one passed is forgotten on both sides."""
        self._clear()
        self._ask(Asked(self), {"op": "forget"})

    def get(self, name: str) -> Any:
        """What `name` stands for in the answer; a function becomes one that asks."""
        return self._ask(Asked(self), {"op": "get", "name": name}, [])

    def contained(self, source: str, tests: list[str]) -> Any:
        """What the functions `tests` of `source` return or how they fail, run in the answer's own process."""
        return self._ask(Asked(self), {"op": "contained", "source": source, "tests": tests}, seconds=self.limits.test)

    def function(self, key: int) -> Callable[..., Any]:
        def answer(*arguments: Any, **named: Any) -> Any:
            asked = Asked(self)
            what = dict(arguments=asked.encode(list(arguments)), named=asked.encode(named), state=self._state(asked))
            message = dict(op="call", key=key, grad=torch.is_grad_enabled()) | what
            return self._ask(asked, message, list(arguments))

        answer.answer_key = key  # type: ignore[attr-defined]
        return answer

    def generator(self, generator: torch.Generator) -> int:
        for key, known in enumerate(self.generators):
            if known is generator:
                return key
        self.generators.append(generator)
        return len(self.generators) - 1

    def gradients(self, made: list[int], numbers: list[int], grads: list[Any], inputs: list[Any]) -> list[Any]:
        """The gradients of what was made with respect to what was sent; differentiable if `inputs` are given."""
        asked = Asked(self)
        node = asked.encode(grads)
        message = dict(op="gradients", made=made, given=numbers, grads=node, again=bool(inputs))
        found = self._ask(asked, message, inputs=inputs)
        if not isinstance(found, list) or len(found) != len(numbers):
            raise AnswerLost("the answer's process gave no gradients")
        return found

    def _ask(
        self, asked: Asked, message: dict[str, Any], arguments: Any = (), inputs: Any = (), seconds: float | None = None
    ) -> Any:
        if not self._depth:
            self.until = time.monotonic() + (seconds or self.limits.call)
        self._depth += 1
        try:
            self._send(asked.pack(message))
            return self._reply(list(arguments), [*inputs, *asked.inputs])
        finally:
            self._depth -= 1

    def _send(self, data: bytes) -> None:
        try:
            self.channel.send(data, self.until)
        except TimeoutError:
            raise AnswerLost("it took too long") from None
        except OSError:
            raise AnswerLost("its process ended") from None

    def _receive(self) -> tuple[dict[str, Any], list[memoryview]]:
        try:
            return self.channel.receive(self.until)
        except TimeoutError:
            raise AnswerLost("it took too long") from None
        except (EOFError, OSError):
            raise AnswerLost("its process ended") from None

    def _reply(self, arguments: list[Any], inputs: list[tuple[int, torch.Tensor]]) -> Any:
        """What the process answers, with its calls of the test's functions served on the way."""
        for _ in range(self.limits.messages):
            try:
                message, buffers = self._receive()
                if message.get("op") == "callback":
                    self._serve(message, buffers, inputs)
                    continue
                if message.get("error"):
                    raise nearest(message["error"])
                return self._read(message, buffers, inputs, arguments)
            except UnreadableError as error:
                raise AnswerLost(f"it sent {error}") from None
        raise AnswerLost("it called the test's functions without end")

    def _serve(
        self, message: dict[str, Any], buffers: list[memoryview], inputs: list[tuple[int, torch.Tensor]]
    ) -> None:
        asked, error, node = Asked(self), None, None
        tensors = self._tensors(asked, message, buffers, inputs)
        given = [asked.decode(message.get(key), tensors, buffers) for key in ("arguments", "named")]
        key = message.get("key")
        if type(key) is not int or not 0 <= key < len(self.callbacks) or [type(g) for g in given] != [list, dict]:
            raise UnreadableError("a call of no function")
        self._restore(asked, message.get("state"), tensors, buffers)
        try:
            with torch.set_grad_enabled(message.get("grad") is True):
                node = asked.encode(self.callbacks[key](*given[0], **given[1]))
        except Exception as raised:
            asked = Asked(self)
            error = described(raised)
        state = self._state(asked)
        inputs.extend(asked.inputs)
        self._send(asked.pack({"op": "result", "value": node, "error": error, "state": state}))

    def _read(
        self,
        message: dict[str, Any],
        buffers: list[memoryview],
        inputs: list[tuple[int, torch.Tensor]],
        arguments: list[Any],
    ) -> Any:
        asked = Asked(self)
        tensors = self._tensors(asked, message, buffers, inputs)

        def value(node: Any) -> Any:
            return asked.decode(node, tensors, buffers)

        self._restore(asked, message.get("state"), tensors, buffers)
        for number, node in _pairs(message.get("changed")):
            self._change(number, value(node))
        for place, node in _pairs(message.get("arguments")):
            if place >= len(arguments):
                raise UnreadableError("a change of nothing that was passed")
            _replace(arguments[place], value(node))
        return value(message.get("value"))

    def _tensors(
        self, asked: Asked, message: dict[str, Any], buffers: list[memoryview], inputs: list[tuple[int, torch.Tensor]]
    ) -> list[torch.Tensor]:
        """The table's tensors as parts of the graph."""
        found = asked.tensors(message, buffers)
        made: dict[int, int] = {}
        for place, entry in enumerate(message["table"]):
            if "yours" in entry:
                number = entry["yours"]
                if type(number) is not int or not 0 <= number < len(self.sent):
                    raise UnreadableError("a tensor that was never passed")
                found[place] = self.sent[number]
            elif "made" in entry:
                dtype = found[place].dtype
                if type(entry["made"]) is not int or not (dtype.is_floating_point or dtype.is_complex):
                    raise UnreadableError("a gradient of what has none")
                made[place] = entry["made"]
        if made and inputs:
            numbers, tensors = [number for number, _ in inputs], [tensor for _, tensor in inputs]
            with torch.enable_grad():
                parts = Segment.apply(self, list(made.values()), [found[place] for place in made], numbers, *tensors)
            for place, part in zip(made, parts, strict=True):
                found[place] = part
        elif made:
            for place in made:
                found[place].requires_grad_()
        return found

    def _change(self, number: int, value: Any) -> None:
        """Do to a tensor of the test what the answer did to its copy."""
        if number >= len(self.sent) or not isinstance(value, torch.Tensor):
            raise UnreadableError("a change of nothing that was passed")
        with torch.no_grad():
            try:
                self.sent[number].copy_(value)
            except RuntimeError:  # another shape, or a tensor whose entries share their memory
                self.sent[number].data = value.to(self.sent[number].dtype)

    def _state(self, asked: Asked) -> Any:
        at = {key: generator.get_state() for key, generator in enumerate(self.generators)}
        return asked.encode((torch.get_rng_state(), at))

    def _restore(self, asked: Asked, node: Any, tensors: list[torch.Tensor], buffers: list[memoryview]) -> None:
        """Draw on where the answer stopped."""
        if node is None:
            return
        try:
            everywhere, generators = asked.decode(node, tensors, buffers)
            if not torch.equal(everywhere, torch.get_rng_state()):
                torch.set_rng_state(everywhere)
            for key, state in generators.items():
                self.generators[key].set_state(state)
        except (TypeError, ValueError, RuntimeError, AttributeError, IndexError) as error:
            raise UnreadableError(f"a state of no generator ({type(error).__name__})") from None


def _pairs(found: Any) -> list[tuple[int, Any]]:
    if found is None:
        return []
    if not isinstance(found, list) or any(
        not isinstance(p, list) or len(p) != 2 or type(p[0]) is not int for p in found
    ):
        raise UnreadableError("changes that cannot be read")
    if any(place < 0 for place, _ in found):
        raise UnreadableError("a change of nothing that was passed")
    return [(place, node) for place, node in found]


def _replace(argument: Any, value: Any) -> None:
    """Give a list, a dictionary or an array of the test what the answer's copy of it holds."""
    if type(argument) is not type(value):
        raise UnreadableError("a change to another type")
    if isinstance(argument, dict):
        argument.clear()
        argument.update(value)
    elif isinstance(argument, list):
        argument[:] = value
    elif isinstance(argument, np.ndarray) and argument.shape == value.shape:
        argument[...] = value
