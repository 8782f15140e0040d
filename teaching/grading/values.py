"""Values as data: what a test and a student's function may exchange, and nothing that runs when it is read.

A message is JSON with raw buffers behind it, never a pickle. Tensors stand in a table of their own, so that each side can
make them part of its graph before the values that hold them are built. Reading checks everything: the sender may lie.
"""

from __future__ import annotations

import itertools
import json
import math
import socket
import struct
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import distributions as td

LONGEST, LONGEST_TEXT = 1 << 28, 1 << 25  # bytes of one message, and of its JSON
DEEPEST = 40  # lists in lists
HEAD = struct.Struct(">QQ")  # length of the JSON, length of the buffers

DTYPES = {
    name: getattr(torch, name)
    for name in (
        *("float64", "float32", "float16", "bfloat16", "complex64", "complex128"),
        *("int64", "int32", "int16", "int8", "uint8", "uint16", "uint32", "uint64", "bool"),
    )
}
NAMES = {dtype: name for name, dtype in DTYPES.items()}
# What each distribution is made from again; a name in parentheses is whichever of the two was given.
DISTRIBUTIONS: dict[str, tuple[str, ...]] = {
    "Bernoulli": ("logits|probs",),
    "Beta": ("concentration1", "concentration0"),
    "Categorical": ("logits|probs",),
    "Dirichlet": ("concentration",),
    "Exponential": ("rate",),
    "Gamma": ("concentration", "rate"),
    "Independent": ("base_dist", "reinterpreted_batch_ndims"),
    "Laplace": ("loc", "scale"),
    "MixtureSameFamily": ("mixture_distribution", "component_distribution"),
    "MultivariateNormal": ("loc", "scale_tril"),
    "Normal": ("loc", "scale"),
    "OneHotCategorical": ("logits|probs",),
    "Uniform": ("low", "high"),
}
ARGUMENTS = {"base_dist": "base_distribution"}  # where an attribute and its argument have two names


class UnreadableError(TypeError):
    """A value that does not cross, or a message that says nothing."""


class Codec:
    """Values to JSON nodes and back, with the buffers and the table of tensors of one message.

    A side derives from it and says what a tensor, a function and an object of its own are.
    """

    def __init__(self) -> None:
        self.buffers: list[bytes] = []
        self.table: list[dict[str, Any]] = []
        self._places: dict[int, int] = {}
        self._kept: list[torch.Tensor] = []  # an id is good while its object lives

    # What the two sides do differently.

    def describe(self, tensor: torch.Tensor) -> dict[str, Any]:
        """What to say of a tensor beside its values."""
        return {}

    def other(self, value: Any) -> list[Any]:
        """The node of what is none of the types below."""
        raise UnreadableError(f"a {type(value).__name__} cannot be passed to or from a sandboxed answer")

    def foreign(self, node: list[Any]) -> Any:
        """The value of such a node."""
        raise UnreadableError("a value of no known kind")

    # Writing.

    def buffer(self, data: bytes) -> int:
        self.buffers.append(data)
        return len(self.buffers) - 1

    def place(self, tensor: torch.Tensor) -> int:
        """The tensor's place in the table; one tensor has one."""
        if id(tensor) not in self._places:
            plain = tensor.detach().as_subclass(torch.Tensor)
            if plain.layout != torch.strided or plain.device.type != "cpu" or plain.dtype not in NAMES:
                raise UnreadableError(f"a {plain.layout} tensor of {plain.dtype} on {plain.device} cannot be passed")
            entry = {"dtype": NAMES[plain.dtype], "shape": list(plain.shape), "buffer": self.buffer(_bytes(plain))}
            self.table.append(entry | self.describe(tensor))
            self._places[id(tensor)] = len(self.table) - 1
            self._kept.append(tensor)
        return self._places[id(tensor)]

    def encode(self, value: Any, depth: int = 0) -> Any:
        if depth > DEEPEST:
            raise UnreadableError("a value of too many levels")
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, np.generic):
            return ["array", *self._array(np.asarray(value)), True]
        if isinstance(value, int):
            return int(value)
        if isinstance(value, float):
            return float(value) if math.isfinite(value) else ["float", repr(float(value))]
        if isinstance(value, str):
            return str(value)
        if isinstance(value, torch.Tensor):
            return ["tensor", self.place(value)]
        if isinstance(value, np.ndarray):
            return ["array", *self._array(value), False]
        if isinstance(value, torch.Size):
            return ["size", [int(n) for n in value]]
        if isinstance(value, (tuple, list, set, frozenset)):
            kind = next(k for k in (tuple, list, set, frozenset) if isinstance(value, k))
            return [kind.__name__, [self.encode(entry, depth + 1) for entry in value]]
        if isinstance(value, dict):
            return ["dict", [[self.encode(k, depth + 1), self.encode(v, depth + 1)] for k, v in value.items()]]
        if isinstance(value, complex):
            return ["complex", repr(value.real), repr(value.imag)]
        if isinstance(value, (slice, range)):
            parts = [value.start, value.stop, value.step]
            return [type(value).__name__, [self.encode(part, depth + 1) for part in parts]]
        if isinstance(value, torch.dtype) and value in NAMES:
            return ["dtype", NAMES[value]]
        if isinstance(value, td.Distribution):
            return self._distribution(value, depth)
        if isinstance(value, (Iterator, type({}.keys()), type({}.values()), type({}.items()))):
            return ["iterator", [self.encode(entry, depth + 1) for entry in value]]
        return self.other(value)

    def _array(self, value: np.ndarray) -> tuple[str, list[int], int]:
        if value.dtype.kind not in "biufc":
            raise UnreadableError(f"a numpy array of {value.dtype} cannot be passed")
        return value.dtype.str, list(value.shape), self.buffer(np.ascontiguousarray(value).tobytes())

    def _distribution(self, value: td.Distribution, depth: int) -> list[Any]:
        name = type(value).__name__
        if name not in DISTRIBUTIONS or type(value) is not getattr(td, name):
            raise UnreadableError(f"a distribution {name} cannot be passed")
        parts = {}
        for part in DISTRIBUTIONS[name]:
            given = next((p for p in part.split("|") if p in value.__dict__), part.split("|")[0])
            parts[ARGUMENTS.get(given, given)] = self.encode(getattr(value, given), depth + 1)
        return ["distribution", name, parts]

    def pack(self, message: dict[str, Any]) -> bytes:
        """The message's bytes, with the tensors and buffers that were encoded for it."""
        whole = message | {"table": self.table, "buffers": [len(data) for data in self.buffers]}
        text = json.dumps(whole, allow_nan=False).encode("utf-8", "surrogatepass")
        size = sum(len(data) for data in self.buffers)
        if len(text) > LONGEST_TEXT or len(text) + size > LONGEST:
            raise UnreadableError(f"a value of {(len(text) + size) >> 20} MB; {LONGEST >> 20} MB can be passed")
        return HEAD.pack(len(text), size) + b"".join([text, *self.buffers])

    # Reading.

    def tensors(self, message: dict[str, Any], buffers: list[memoryview]) -> list[torch.Tensor]:
        """The values of the table's tensors."""
        return [_tensor(entry, buffers) for entry in _is(message.get("table"), list)]

    def decode(self, node: Any, tensors: list[torch.Tensor], buffers: list[memoryview]) -> Any:
        """The value of a node; the sender is not trusted.

        Raises:
            UnreadableError: it is not the node of any value.
        """
        try:
            return self._decode(node, tensors, buffers)
        except UnreadableError:
            raise
        except (ValueError, TypeError, KeyError, IndexError, RuntimeError, OverflowError) as error:
            raise UnreadableError(f"a value that cannot be read ({type(error).__name__})") from None

    def _decode(self, node: Any, tensors: list[torch.Tensor], buffers: list[memoryview]) -> Any:
        if node is None or isinstance(node, (bool, int, float, str)):
            return node
        tag, *rest = _is(node, list)

        def every(nodes: Any) -> list[Any]:
            return [self._decode(entry, tensors, buffers) for entry in _is(nodes, list)]

        simple: dict[str, Callable[..., Any]] = {
            "tensor": lambda place: tensors[_index(place, tensors)],
            "float": lambda text: {"inf": math.inf, "-inf": -math.inf, "nan": math.nan}[text],
            "complex": lambda real, imag: complex(float(real), float(imag)),
            "tuple": lambda nodes: tuple(every(nodes)),
            "list": every,
            "set": lambda nodes: set(every(nodes)),
            "frozenset": lambda nodes: frozenset(every(nodes)),
            "iterator": lambda nodes: iter(every(nodes)),
            "size": lambda nodes: torch.Size([_is(n, int) for n in _is(nodes, list)]),
            "dict": lambda nodes: dict(every(pair) for pair in _is(nodes, list)),
            "slice": lambda nodes: slice(*every(nodes)),
            "range": lambda nodes: range(*(_is(n, int) for n in every(nodes))),
            "dtype": lambda name: DTYPES[name],
        }
        if tag in simple:
            return simple[tag](*rest)
        if tag == "array":
            return _numpy(rest, buffers)
        if tag == "distribution":
            name, parts = rest
            wanted = [part.split("|") for part in DISTRIBUTIONS[name]]
            if len(parts) != len(wanted):
                raise UnreadableError("a distribution without its parameters")
            return getattr(td, name)(**{key: self._decode(part, tensors, buffers) for key, part in parts.items()})
        return self.foreign(node)


def unpack(text: bytes, body: bytes) -> tuple[dict[str, Any], list[memoryview]]:
    """A message and its buffers.

    Raises:
        UnreadableError: the bytes are not a message.
    """
    try:
        message = _is(json.loads(text), dict)
        sizes = [_is(size, int) for size in _is(message.get("buffers"), list)]
    except (ValueError, RecursionError, MemoryError):
        raise UnreadableError("bytes that are no message") from None
    if any(size < 0 for size in sizes) or sum(sizes) != len(body):
        raise UnreadableError("a message whose buffers do not have their sizes")
    ends = np.cumsum([0, *sizes]).tolist()
    return message, [memoryview(body)[a:b] for a, b in itertools.pairwise(ends)]


class Channel:
    """Messages over a socket, with a time at which waiting ends."""

    def __init__(self, end: socket.socket) -> None:
        self.socket = end

    def send(self, data: bytes, until: float | None = None) -> None:
        self._wait(until)
        self.socket.sendall(data)

    def receive(self, until: float | None = None) -> tuple[dict[str, Any], list[memoryview]]:
        """The next message.

        Raises:
            TimeoutError: none came in time.
            EOFError: the other side is gone.
            UnreadableError: it is none, or too long.
        """
        text, body = HEAD.unpack(self._read(HEAD.size, until))
        if text > LONGEST_TEXT or text + body > LONGEST:
            raise UnreadableError("a message longer than any may be")
        return unpack(self._read(text, until), self._read(body, until))

    def _wait(self, until: float | None) -> None:
        left = None if until is None else until - time.monotonic()
        if left is not None and left <= 0:
            raise TimeoutError
        self.socket.settimeout(left)

    def _read(self, size: int, until: float | None) -> bytes:
        data = bytearray()
        while len(data) < size:
            self._wait(until)
            got = self.socket.recv(min(size - len(data), 1 << 20))
            if not got:
                raise EOFError
            data += got
        return bytes(data)


def _bytes(tensor: torch.Tensor) -> bytes:
    if not tensor.numel():
        return b""
    dense = torch.empty(tensor.numel(), dtype=tensor.dtype)  # a view may have strides that cannot be seen as bytes
    dense.copy_(tensor.reshape(-1))
    return dense.view(torch.uint8).numpy().tobytes()


def _tensor(entry: Any, buffers: list[memoryview]) -> torch.Tensor:
    try:
        dtype = DTYPES[_is(entry, dict)["dtype"]]
        shape = [_is(size, int) for size in _is(entry["shape"], list)]
        data = buffers[_index(entry["buffer"], buffers)]
    except (KeyError, IndexError):
        raise UnreadableError("a tensor that cannot be read") from None
    if len(shape) > 64 or any(size < 0 for size in shape) or math.prod(shape) * dtype.itemsize != len(data):
        raise UnreadableError("a tensor whose values do not have its shape")
    if not len(data):
        return torch.empty(shape, dtype=dtype)
    return torch.frombuffer(bytearray(data), dtype=dtype).reshape(shape)


def _numpy(parts: list[Any], buffers: list[memoryview]) -> Any:
    name, shape, place, single = parts
    if not (isinstance(name, str) and len(name) <= 5 and name[:1] in "<>|" and name[1:2] in "biufc"):
        raise UnreadableError("an array of no known kind")
    found = np.frombuffer(bytearray(buffers[_index(place, buffers)]), np.dtype(name)).reshape(_is(shape, list))
    return found[()] if single is True and found.ndim == 0 else found


def _is(value: Any, kind: type) -> Any:
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise UnreadableError(f"a {type(value).__name__} where a {kind.__name__} has to stand")
    return value


def _index(place: Any, entries: list[Any]) -> int:
    if not 0 <= _is(place, int) < len(entries):
        raise UnreadableError("a place that does not exist")
    return place
