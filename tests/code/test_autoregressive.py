"""Priors in reading order: what each place depends on, probabilities that sum to 1, and draws that follow them."""

from itertools import product

import jaxtyping
import pytest
import torch
from torch import Tensor, nn

import autoencoders as ae
from autoencoders import autoregressive, reading_order
from autoencoders.autoregressive import CausalTransformer, MaskedConv2d, PixelCNN

KINDS = ("PixelCNN", "CausalTransformer")
CONTEXTS = {"alone": {}, "label": {"classes": 4}, "map": {"condition": 2}, "both": {"classes": 4, "condition": 2}}
context = pytest.mark.parametrize("numbers", CONTEXTS.values(), ids=CONTEXTS.keys())
kinds = pytest.mark.parametrize("kind", KINDS)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def build(kind: str, codes: int = 3, size: tuple[int, int] = (4, 5), **numbers: int) -> reading_order.CodeChain:
    """A small model whose distributions are not uniform."""
    torch.manual_seed(0)
    if kind == "PixelCNN":
        made = PixelCNN(codes, size, channels=12, layers=4, reach=2, **numbers)
        made.last.weight.data *= 20  # far from uniform, yet no map is out of reach
    else:
        made = CausalTransformer(codes, size, width=16, depth=2, heads=2, **numbers)
        made.head[1].weight.data *= 0.7
    return made


def asked(model: reading_order.CodeChain, n: int, seed: int = 0) -> dict[str, Tensor]:
    """Labels and condition for n maps, as far as the model wants them."""
    generator, found = seeded(seed), {}
    if model.classes:
        found["labels"] = torch.randint(model.classes, (n,), generator=generator)
    if model.condition:
        found["condition"] = torch.randn(n, model.condition, *model.size, generator=generator)
    return {name: value.to(next(model.parameters()).dtype) if value.is_floating_point() else value
            for name, value in found.items()}  # fmt: skip


def dependence(model: nn.Module, codes: Tensor, **given: Tensor) -> Tensor:
    """Which embedded codes the first map's logits depend on: (place of the logits, map, place of the code).

    The Jacobian itself, one row for each logit, through the embedding's output.
    """
    caught: list[Tensor] = []

    def hold(module: nn.Module, inputs: tuple, out: Tensor) -> Tensor:
        caught.append(out.detach().requires_grad_())
        return caught[0]

    handle = model.embedding.register_forward_hook(hold)
    logits = model(codes, **given)[0].flatten(1)  # (k, places)
    handle.remove()
    rows = [
        sum(torch.autograd.grad(logit, caught[0], retain_graph=True)[0].abs() for logit in place).sum(-1).flatten(1) > 0
        for place in logits.T
    ]
    return torch.stack(rows)


def exact_past(places: int) -> Tensor:
    return torch.ones(places, places).tril(-1).bool()


def leaks(found: Tensor) -> bool:
    """Some place depends on itself, on a later place, or on another map."""
    return bool(found[:, 1:].any() or (found[:, 0] & ~exact_past(len(found))).any())


def is_blind(found: Tensor) -> bool:
    """Some place does not depend on all the places before it."""
    return bool((~found[:, 0] & exact_past(len(found))).any())


def some_codes(n: int = 2, k: int = 3, size: tuple[int, int] = (4, 5), seed: int = 0) -> Tensor:
    return torch.randint(k, (n, *size), generator=seeded(seed))


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@context
@kinds
def test_each_place_depends_on_all_places_before_it_and_on_no_other(kind, numbers, training):
    """T14: by the Jacobian, at every position, in both modes."""
    model = build(kind, **numbers).double().train(training)
    found = dependence(model, some_codes(), **asked(model, 2))
    assert found.shape == (20, 2, 20)
    assert not leaks(found) and not is_blind(found)


class SingleStack(nn.Module):
    """A stack of masked convolutions as in the first PixelCNN."""

    def __init__(self, first: str = "A", padding: str = "zeros", layers: int = 6):
        super().__init__()
        self.embedding = nn.Embedding(3, 8)
        self.layers = nn.ModuleList(
            MaskedConv2d(first if not i else "B", 8, 3 if i + 1 == layers else 8) for i in range(layers)
        )
        self.padding = padding

    def forward(self, codes: Tensor) -> Tensor:
        x = self.embedding(codes).movedim(-1, 1)
        for layer in self.layers:
            if self.padding == "zeros":
                x = layer(torch.tanh(x))
            else:
                padded = nn.functional.pad(torch.tanh(x), (1, 1, 1, 1), mode=self.padding)
                x = nn.functional.conv2d(padded, layer.weight * layer.seen, layer.bias)
        return x


def test_the_check_notices_the_blind_spot_of_a_single_stack():
    """Masked convolutions never see what is far to the right in the rows above, and leak nothing."""
    torch.manual_seed(0)
    found = dependence(SingleStack().double(), some_codes())
    assert not leaks(found)
    assert is_blind(found)
    seen = found[2 * 5 + 0, 0].view(4, 5)  # from row 2, column 0: one step up reaches one to the right, two steps two
    assert seen.tolist() == [[True] * 3 + [False] * 2, [True] * 2 + [False] * 3, [False] * 5, [False] * 5]


def test_the_check_notices_mask_b_in_the_first_layer():
    torch.manual_seed(0)
    assert leaks(dependence(SingleStack(first="B").double(), some_codes()))
    model = build("PixelCNN")
    model.layers[0] = autoregressive._Gated(12, 2, 0, is_first=False)
    found = dependence(model.double(), some_codes())
    assert leaks(found)
    assert bool(found[:, 0].diagonal().all())


def test_the_check_notices_batch_normalization_in_training_alone():
    """In eval mode its statistics are constants: whoever tests that mode alone sees nothing."""
    model = build("PixelCNN")
    model.hidden = nn.Sequential(nn.BatchNorm2d(12), model.hidden)
    model.double()
    assert leaks(dependence(model.train(), some_codes()))
    assert dependence(model, some_codes())[:, 1].any()  # on other maps, too
    assert not leaks(dependence(model.eval(), some_codes()))


def test_the_check_notices_reflected_borders(monkeypatch):
    torch.manual_seed(0)
    assert leaks(dependence(SingleStack(padding="reflect").double(), some_codes()))
    model, pad = build("PixelCNN").double(), nn.functional.pad
    monkeypatch.setattr(autoregressive.F, "pad", lambda x, sides: pad(x, (*sides, 0, 0)[:4], mode="reflect"))
    assert leaks(dependence(model, some_codes()))


def test_the_check_notices_attention_without_its_mask(monkeypatch):
    model, attention = build("CausalTransformer").double(), nn.functional.scaled_dot_product_attention
    monkeypatch.setattr(autoregressive.F, "scaled_dot_product_attention", lambda q, k, v, is_causal: attention(q, k, v))
    assert leaks(dependence(model, some_codes()))


class NotShifted(CausalTransformer):
    """Each place reads its own code, not the one before."""

    def forward(self, codes: Tensor) -> Tensor:
        x = self.embedding(codes.flatten(1)) + self.positions
        for block in self.blocks:
            x = block(x)
        return self.head(x).movedim(-1, 1).unflatten(2, self.size)


def test_the_check_notices_codes_that_are_not_shifted():
    torch.manual_seed(0)
    found = dependence(NotShifted(3, (4, 5), width=16, heads=2).double(), some_codes())
    assert leaks(found)
    assert bool(found[:, 0].diagonal().all())


def test_masks_see_what_they_say():
    assert MaskedConv2d("A", 1, 1).seen.tolist() == [[1, 1, 1], [1, 0, 0], [0, 0, 0]]
    assert MaskedConv2d("B", 1, 1).seen.tolist() == [[1, 1, 1], [1, 1, 0], [0, 0, 0]]
    for arguments in (("C", 1), ("A", 0)):
        with pytest.raises(ValueError, match="mask is 'A' or 'B'"):
            MaskedConv2d(arguments[0], 1, 1, reach=arguments[1])


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (4, 1), (2, 3), (6, 6), (9, 4)], ids=str)
@kinds
def test_cached_draws_are_the_naive_ones_at_any_size(kind, size):
    model = build(kind, codes=7, size=size, classes=4)
    given = asked(model, 20)
    cached = model.sample(20, generator=seeded(1), **given)
    assert cached.shape == (20, *size) and cached.dtype == torch.int64
    assert torch.equal(cached, model.sample_naively(20, generator=seeded(1), **given))


@pytest.mark.parametrize("rows", [0, 2, 4])
@pytest.mark.parametrize("temperature", [0.5, 1, 3.0])
@context
@kinds
def test_cached_draws_are_the_naive_ones_whatever_is_asked_for(kind, numbers, temperature, rows):
    model = build(kind, codes=7, **numbers)
    given = asked(model, 8) | {"given": some_codes(8, 7)}
    draws = [
        draw(8, rows=rows, temperature=temperature, generator=seeded(2), **given)
        for draw in (model.sample, model.sample_naively)
    ]
    assert torch.equal(*draws)
    assert torch.equal(draws[0][:, :rows], given["given"][:, :rows])
    assert rows == 4 or not torch.equal(draws[0], given["given"])


@context
@kinds
def test_a_walk_shows_each_places_distribution_in_reading_order(kind, numbers):
    model = build(kind, codes=7, **numbers).double()
    given, start = asked(model, 5), some_codes(5, 7)
    drawn = model.sample(5, given=start, rows=1, temperature=0.7, generator=seeded(3), **given)
    places = list(model.walk(5, given=start, rows=1, temperature=0.7, generator=seeded(3), **given))
    assert [(place.row, place.column) for place in places] == list(product(range(1, 4), range(5)))
    whole = (model(drawn, **given) / 0.7).softmax(1)
    for row, column, probabilities, codes in places:
        assert torch.equal(codes, drawn[:, row, column])
        assert torch.allclose(probabilities, whole[:, :, row, column], atol=1e-12)


@kinds
def test_a_walk_leaves_gradients_on_between_its_steps_and_modes_as_they_are(kind):
    model = build(kind)
    for place in model.walk(2, generator=seeded()):
        assert torch.is_grad_enabled()
        assert not place.probabilities.requires_grad
    assert model.training
    model.eval().sample(2, generator=seeded())
    assert not model.training


@context
@kinds
def test_probabilities_of_all_maps_sum_to_1(kind, numbers):
    model = build(kind, size=(2, 2), **numbers).double()
    maps = torch.tensor(list(product(range(3), repeat=4))).view(81, 2, 2)
    given = {name: value.expand(81, *value.shape[1:]) for name, value in asked(model, 1).items()}
    probabilities = model.log_prob(maps, **given).exp()
    assert probabilities.shape == (81,)
    assert probabilities.max() > 10 * probabilities.min()
    assert torch.allclose(probabilities.sum(), torch.tensor(1.0, dtype=torch.float64), atol=1e-12)


@kinds
def test_draws_come_as_often_as_log_prob_says(kind):
    """T9: 20,000 maps; each of the 81 shares within 4.5 standard errors, and chi-squared within 5 of its own."""
    model, n = build(kind, size=(2, 2)), 20_000
    maps = torch.tensor(list(product(range(3), repeat=4))).view(81, 2, 2)
    expected = n * model.log_prob(maps).exp().double().detach()
    assert expected.min() > 5 and expected.max() > 10 * expected.min()
    drawn = model.sample(n, generator=seeded(4)).flatten(1)
    places = torch.tensor([27, 9, 3, 1])
    counts = torch.bincount((drawn * places).sum(1), minlength=81)
    assert ((counts - expected).abs() / expected.sqrt()).max() < 4.5

    def chi_squared(counts: Tensor) -> float:
        return float(((counts - expected) ** 2 / expected).sum())

    assert abs(chi_squared(counts) - 80) < 5 * 160**0.5
    turned = torch.bincount((drawn * places[[0, 2, 1, 3]]).sum(1), minlength=81)  # columns read before rows
    assert chi_squared(turned) > 80 + 20 * 160**0.5


@kinds
def test_labels_and_condition_change_every_places_distribution(kind):
    model, codes = build(kind, classes=4, condition=2), some_codes(1)
    given = asked(model, 1)
    logits = model(codes, **given)
    for changed in ({"labels": (given["labels"] + 1) % 4}, {"condition": given["condition"] + 1}):
        assert ((model(codes, **(given | changed)) - logits).abs().amax(1) > 1e-4).all()


@kinds
def test_draws_are_set_by_the_generator_alone(kind):
    model = build(kind, codes=7)
    state = torch.get_rng_state()
    first = model.sample(6, generator=seeded(5))
    assert torch.equal(state, torch.get_rng_state())
    torch.manual_seed(99)
    assert torch.equal(first, model.sample(6, generator=seeded(5)))
    assert not torch.equal(first, model.sample(6, generator=seeded(6)))


@kinds
def test_low_temperatures_draw_the_likeliest_code(kind):
    model = build(kind, codes=7)
    cold = [model.sample(3, temperature=1e-6, generator=seeded(seed)) for seed in (0, 1)]
    assert torch.equal(*cold)
    assert torch.equal(model(cold[0]).argmax(1), cold[0])


@kinds
def test_a_prior_learns_which_maps_there_are(kind):
    """Two maps, one for each label: bits go to 0 with the label."""
    model = build(kind, classes=2)
    codes, labels = some_codes(2), torch.tensor([0, 1])
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    for _ in range(150):
        optimizer.zero_grad()
        (-model.log_prob(codes, labels).mean()).backward()
        optimizer.step()
    assert model.log_prob(codes, labels).min() > -0.3
    assert model.log_prob(codes, labels.flip(0)).max() < -5
    assert (model.sample(20, labels.repeat(10), generator=seeded()) == codes.repeat(10, 1, 1)).float().mean() > 0.9


@kinds
def test_integers_of_any_width_are_codes_and_an_empty_batch_is_fine(kind):
    model, codes = build(kind, classes=4), some_codes(2)
    labels = torch.tensor([0, 3])
    assert torch.equal(model.log_prob(codes.int(), labels.int()), model.log_prob(codes, labels))
    assert model(codes[:0], labels[:0]).shape == (0, 3, 4, 5)


@kinds
def test_codes_and_maps_that_a_prior_was_not_trained_on_are_refused(kind):
    model = build(kind)
    with pytest.raises(ValueError, match="knows 3 codes, 0 to 2, but the map has 0 to 3"):
        model.log_prob(torch.arange(4).repeat(5).view(1, 4, 5))
    with pytest.raises(ValueError, match="knows 3 codes"):
        model(some_codes() - 1)
    with pytest.raises(ValueError, match=r"maps of \(4, 5\) codes, not \(5, 4\)"):
        model(some_codes(size=(5, 4)))


@pytest.mark.parametrize("how", ["sample", "sample_naively", "walk"])
@kinds
def test_what_cannot_be_drawn_is_refused_at_once(kind, how, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # its checks would come first
    plain, full = build(kind), build(kind, classes=4, condition=2)
    given = asked(full, 2)
    draw, fully = getattr(plain, how), getattr(full, how)
    for n, temperature in ((0, 1.0), (-1, 1.0), (2, 0.0), (2, -1.0), (2, float("nan"))):
        with pytest.raises(ValueError, match="at least one map, at a positive temperature"):
            draw(n, temperature=temperature)
    for rows, codes in ((1, None), (5, some_codes()), (-1, some_codes())):
        with pytest.raises(ValueError, match="how many of the 4 rows of `given` are kept"):
            draw(2, given=codes, rows=rows)
    with pytest.raises(ValueError, match="2 have to be given, not 3"):
        draw(2, given=some_codes(3), rows=1)
    with pytest.raises(ValueError, match="knows 3 codes"):
        draw(2, given=some_codes() + 1, rows=1)
    with pytest.raises(ValueError, match=r"not \(4, 4\)"):
        draw(2, given=some_codes(size=(4, 4)), rows=1)
    with pytest.raises(ValueError, match="labels are not part of this prior"):
        draw(2, given["labels"])
    with pytest.raises(ValueError, match="condition is not part of this prior"):
        draw(2, condition=given["condition"])
    with pytest.raises(ValueError, match="labels are needed"):
        fully(2, condition=given["condition"])
    with pytest.raises(ValueError, match="condition is needed"):
        fully(2, given["labels"])
    for labels in (torch.tensor([0, 4]), torch.tensor([-1, 0]), torch.tensor([0, 1, 2])):
        with pytest.raises(ValueError, match="labels have to be 2 numbers from 0 to 3"):
            fully(2, labels, given["condition"])
    with pytest.raises(ValueError, match=r"has to be \(2, 2, 4, 5\), not \(2, 2, 5, 4\)"):
        fully(2, given["labels"], torch.zeros(2, 2, 5, 4))


def test_numbers_that_make_no_prior_are_refused():
    for arguments in ({"codes": 0}, {"size": (0, 4)}, {"classes": -1}, {"condition": -1}):
        for kind in (PixelCNN, CausalTransformer):
            with pytest.raises(ValueError, match="codes and both sides of the map are at least 1"):
                kind(**({"codes": 3, "size": (4, 4)} | arguments))
    for arguments in ({"channels": 0}, {"layers": 0}, {"reach": 0}):
        with pytest.raises(ValueError, match="channels, layers and reach"):
            PixelCNN(3, (4, 4), **arguments)
    for arguments in ({"width": 0}, {"depth": 0}, {"heads": 0}, {"width": 10, "heads": 4}):
        with pytest.raises(ValueError, match="share the width equally"):
            CausalTransformer(3, (4, 4), **arguments)


def test_both_are_found_in_the_package():
    assert ae.autoregressive.CausalTransformer is ae.transformer.CausalTransformer
    assert issubclass(ae.autoregressive.PixelCNN, ae.reading_order.CodeChain)
