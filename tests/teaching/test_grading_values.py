"""Values cross between a test and a sandboxed answer unchanged, with their gradients; what is no value is refused."""

import json
import math
import random

import numpy as np
import pytest
import torch
from torch import distributions as td

from teaching.grading.proxies import AnswerLost, Talk
from teaching.grading.sandbox import Limits, Sandbox
from teaching.grading.values import HEAD, Codec, UnreadableError, unpack

ANSWER = """
import torch, math
kept = []
def same(x): return x
def loss(x, logits, mu, log_var):
    each = torch.nn.functional.binary_cross_entropy_with_logits(logits, x, reduction="none")
    return each.flatten(1).sum(1), (0.5 * (mu**2 + log_var.exp() - 1 - log_var)).sum(1)
def through(encoder, decoder, x, generator):
    mu, log_var = encoder(x).chunk(2, dim=1)
    z = mu + (log_var / 2).exp() * torch.randn(mu.shape, generator=generator)
    return decoder(z), mu
def cube(x): return x**3
def edit(x, numbers, names):
    x.mul_(2); numbers.append(4); names["b"] = 2
    return x
def detached(x): return x.detach(), x.sum()
def fails(kind): raise {"value": ValueError, "key": KeyError, "own": type("Own", (ZeroDivisionError,), {})}[kind]("said so")
def adder(n): return lambda x: x + n
def apply(f, *arguments): return f(*arguments)
def draw(n): return torch.rand(n)
def unused(x, y): return 2 * x
def strange(): return object()
"""


@pytest.fixture(scope="module")
def box(bubblewrap):
    found = Sandbox(("import torch",), Limits(call=20.0))
    yield found
    found.stop()


@pytest.fixture
def answer(box):
    talk = Talk(box.start(ANSWER), box.limits)
    talk.defined()
    talk.begin()
    return talk.get


VALUES = [
    *(None, True, 0, -(10**30), 1.5, -0.0, math.inf, "täxt \ud800", 3 + 4j, [], (1, [2.0, "x"]), {"a": {1: None}}),
    *({1, 2}, slice(1, None, 2), range(3), torch.Size([2, 3]), torch.float64, np.float64(0.1), np.int8(-3)),
]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_plain_values_come_back_as_they_were(answer, value):
    found = answer("same")(value)
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize(
    "dtype", [torch.float32, torch.float64, torch.bfloat16, torch.complex64, torch.int64, torch.bool]
)
@pytest.mark.parametrize("shape", [(), (0, 3), (2, 3)])
def test_tensors_keep_every_bit(dtype, shape):
    tensor = (100 * torch.randn(shape)).to(dtype)
    codec = Codec()
    message, buffers = unpack(
        *_parts(codec.pack({"value": codec.encode([tensor, tensor.mT if len(shape) > 1 else tensor])}))
    )
    one, other = codec.decode(message["value"], codec.tensors(message, buffers), buffers)
    assert one.dtype == dtype and torch.equal(one, tensor)
    assert torch.equal(other, tensor.mT if len(shape) > 1 else tensor)


def test_views_arrays_and_distributions_cross(answer):
    same = answer("same")
    x = torch.arange(6.0).view(2, 3)
    for tensor in (
        x.T,
        x[:, ::2],
        torch.tensor([7.0]).expand(1, 1),
        torch.tensor([7.0]).expand(4, 1),
        x.conj(),
        x.bool(),
    ):
        assert torch.equal(same(tensor.clone()), tensor) and same(tensor) is tensor
    array = np.arange(6, dtype=np.int16).reshape(3, 2)
    assert (same(array) == array).all() and same(array).dtype == array.dtype
    mean, scale = torch.randn(4, 3), torch.rand(4, 3) + 0.1
    for law in (
        td.Normal(mean, scale),
        td.Independent(td.Laplace(mean, scale), 1),
        td.MultivariateNormal(mean, torch.diag_embed(scale)),
        td.Independent(td.Bernoulli(probs=scale / 2), 1),
        td.MixtureSameFamily(td.Categorical(logits=mean), td.Normal(mean, scale)),
    ):
        found = same(law)
        assert type(found) is type(law)
        sample = law.sample()
        assert torch.equal(found.log_prob(sample), law.log_prob(sample))


def test_values_and_gradients_are_the_same_to_the_last_bit(answer):
    names = {}
    exec(ANSWER, names)
    torch.manual_seed(0)
    x = (torch.rand(5, 1, 4, 4) < 0.5).float()
    found = []
    for function in (answer("loss"), names["loss"]):
        torch.manual_seed(1)
        inputs = [torch.randn(5, *shape, requires_grad=True) for shape in ((1, 4, 4), (2,), (2,))]
        middle = [3 * t for t in inputs]
        distortion, rate = function(x, *middle)
        (distortion + 0.5 * rate).mean().backward()
        found.append([distortion, rate, *(t.grad for t in inputs)])
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


def test_a_graph_runs_through_the_answer_into_the_tests_own_functions_and_back(answer):
    names = {}
    exec(ANSWER, names)
    found = []
    for function in (answer("through"), names["through"]):
        torch.manual_seed(2)
        encoder, decoder = torch.nn.Linear(3, 4), torch.nn.Linear(2, 3)
        x, generator = torch.randn(6, 3, requires_grad=True), torch.Generator().manual_seed(3)
        y, mu = function(lambda v, net=encoder: net(v), lambda v, net=decoder: net(v), x, generator)
        (y.square().sum() + mu.sum()).backward()
        found.append(
            [y, x.grad, *(p.grad for net in (encoder, decoder) for p in net.parameters()), generator.get_state()]
        )
    for a, b in zip(*found, strict=True):
        assert torch.allclose(a, b, atol=1e-6)


def test_second_derivatives_cross(answer):
    x = torch.tensor([2.0, -1.0], requires_grad=True)
    (slope,) = torch.autograd.grad(answer("cube")(x).sum(), x, create_graph=True)
    (bend,) = torch.autograd.grad(slope.sum(), x)
    assert torch.equal(slope.detach(), 3 * x.detach() ** 2) and torch.equal(bend, 6 * x.detach())


def test_what_is_detached_stays_so_and_what_is_unused_has_no_gradient(answer):
    x, y = torch.ones(2, requires_grad=True), torch.ones(2, requires_grad=True)
    held, total = answer("detached")(x)
    assert not held.requires_grad and total.requires_grad
    assert torch.autograd.grad(answer("unused")(x, y).sum(), (x, y), allow_unused=True)[1] is None
    with torch.no_grad():
        assert not answer("cube")(x).requires_grad


def test_changes_of_arguments_come_back(answer):
    x, numbers, names = torch.ones(3), [1, 2, 3], {"a": 1}
    result = answer("edit")(x, numbers, names)
    assert result is x and torch.equal(x, torch.full((3,), 2.0))
    assert numbers == [1, 2, 3, 4] and names == {"a": 1, "b": 2}


def test_random_numbers_are_drawn_from_one_stream(answer):
    torch.manual_seed(7)
    found = [answer("draw")(3), torch.rand(3), answer("draw")(3)]
    torch.manual_seed(7)
    assert torch.equal(torch.cat(found), torch.cat([torch.rand(3) for _ in range(3)]))


def test_functions_cross_in_both_directions(answer):
    add = answer("adder")(3)
    assert add(4) == 7 and answer("apply")(add, 5) == 8 and answer("apply")(lambda a, b: [a, b], 1, (2,)) == [1, (2,)]
    assert answer("apply")(lambda: answer("apply")(lambda: 6)) == 6
    with pytest.raises(ZeroDivisionError, match="mine"):
        answer("apply")(_raising)


def _raising():
    raise ZeroDivisionError("mine")


def test_errors_come_as_the_nearest_of_pythons_own(answer):
    for kind, error in (("value", ValueError), ("key", KeyError), ("own", ZeroDivisionError)):
        with pytest.raises(error, match="said so"):
            answer("fails")(kind)
    with pytest.raises(NameError, match="does not define `nothing`"):
        answer("nothing")
    with pytest.raises(TypeError, match="a object cannot be passed"):
        answer("strange")()
    with pytest.raises(UnreadableError, match="a Linear cannot be passed"):
        answer("same")(torch.nn.Linear(1, 1))


def _parts(data):
    text, _ = HEAD.unpack(data[: HEAD.size])
    return data[HEAD.size : HEAD.size + text], data[HEAD.size + text :]


def test_no_bytes_do_more_than_to_be_refused():
    codec = Codec()
    sample = [torch.ones(2), np.ones(2), {"a": (1, 2.5)}, slice(1), td.Normal(0.0, 1.0), torch.float32, range(3), 1j]
    data = codec.pack({"op": "reply", "value": codec.encode(sample)})
    text, body = _parts(data)
    draw = random.Random(0)
    for _ in range(3000):
        broken = bytearray(text)
        for _ in range(draw.randint(1, 4)):
            broken[draw.randrange(len(broken))] = draw.randrange(256)
        try:
            message, buffers = unpack(bytes(broken), body)
            Codec().decode(message.get("value"), Codec().tensors(message, buffers), buffers)
        except UnreadableError:
            pass


@pytest.mark.parametrize(
    "node",
    [
        *(
            ["tensor", 0],
            ["tensor", -1],
            ["tensor", True],
            ["array", "|O", [1], 0, False],
            ["array", "<f8", [-1], 0, False],
        ),
        *(
            ["distribution", "Normal", {}],
            ["distribution", "Transform", {}],
            ["dict", [[["list", []], 1]]],
            ["set", [["list", []]]],
        ),
        *(
            ["eval", "1"],
            ["range", [1, 2, 0]],
            ["dtype", "__class__"],
            ["float", "1"],
            [],
            {},
            [["tuple"]],
            ["size", [1.5]],
        ),
    ],
    ids=json.dumps,
)
def test_a_node_of_no_value_is_refused(node):
    with pytest.raises(UnreadableError):
        Codec().decode(node, [], [])


def test_tensors_that_lie_about_their_size_are_refused():
    buffers = [memoryview(bytes(8))]
    for entry in (
        {"dtype": "float32", "shape": [1 << 40], "buffer": 0},
        {"dtype": "float32", "shape": [-1, -2], "buffer": 0},
        {"dtype": "float32", "shape": [1] * 65, "buffer": 0},
        {"dtype": "__class__", "shape": [2], "buffer": 0},
        {"dtype": "float32", "shape": [2], "buffer": 1},
        {"dtype": "float32", "shape": 2, "buffer": 0},
    ):
        with pytest.raises(UnreadableError):
            Codec().tensors({"table": [entry]}, buffers)


def test_an_answer_that_says_nothing_is_lost_and_no_test_can_catch_that(box):
    talk = Talk(box.start("import os\ndef f():\n    os._exit(0)"), box.limits)
    talk.defined()
    talk.begin()
    with pytest.raises(AnswerLost, match="its process ended"):
        talk.get("f")()
    assert not issubclass(AnswerLost, Exception)
