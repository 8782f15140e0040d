"""Decoders that see earlier pixels, free bits, warm-up."""

import pytest
import torch

from autoencoders import models, networks, objectives
from autoencoders.collapse import AutoregressivePixels, WarmUp, free_bits
from autoencoders.objectives import Terms

SHAPE = (1, 3, 4)


def network(reach: int, **options) -> tuple[AutoregressivePixels, torch.Tensor]:
    torch.manual_seed(0)
    pixels = AutoregressivePixels(SHAPE, hidden=5, reach=reach, **options).double()
    return pixels, torch.randn(1, 6, 3, 4, dtype=torch.float64)


def seen(reach: int) -> torch.Tensor:
    """Which pixels (columns) the number of a pixel (row) depends on, by its derivatives at random points."""
    pixels, given = network(reach)
    found = torch.zeros(12, 12, dtype=torch.bool)
    for _ in range(8):
        x = torch.rand(1, *SHAPE, dtype=torch.float64)
        found |= torch.autograd.functional.jacobian(lambda x: pixels.numbers(given, x).flatten(), x).view(12, 12) != 0
    return found


def test_probabilities_of_all_pictures_add_up_to_one():
    pixels, given = network(4)
    everything = torch.cartesian_prod(*[torch.tensor([0.0, 1.0], dtype=torch.float64)] * 12).view(-1, *SHAPE)
    total = pixels(given.expand(len(everything), -1, -1, -1)).log_prob(everything).exp().sum()
    assert torch.isclose(total, torch.ones_like(total))


@pytest.mark.parametrize("reach", [0, 1, 2, 4])
def test_a_pixel_sees_the_earlier_pixels_within_reach_and_no_others(reach):
    expected = torch.zeros(12, 12, dtype=torch.bool)
    for i in range(12):
        for j in range(i):
            expected[i, j] = i // 4 - j // 4 <= reach and abs(i % 4 - j % 4) <= reach
    assert torch.equal(seen(reach), expected)


def test_draws_have_the_frequencies_of_the_probabilities():
    pixels, given = network(4)
    drawn = pixels(given.expand(20_000, -1, -1, -1)).draw(torch.Generator().manual_seed(0))
    for i, j in ((0, 1), (3, 4), (10, 11)):
        both = (drawn.flatten(1)[:, i] * drawn.flatten(1)[:, j]).mean()
        everything = torch.cartesian_prod(*[torch.tensor([0.0, 1.0], dtype=torch.float64)] * 12)
        chance = pixels(given.expand(4096, -1, -1, -1)).log_prob(everything.view(-1, *SHAPE)).exp()
        exact = (chance * everything[:, i] * everything[:, j]).sum()
        assert abs(both - exact) < 4 * (exact * (1 - exact) / 20_000).sqrt() + 1e-9


def test_it_stands_where_a_likelihood_stands():
    pixels, _ = network(4)
    model = models.VAE(
        networks.MLPEncoder(SHAPE, 4, hidden=(8,)), networks.MLPDecoder((6, 3, 4), 2, hidden=(8,)), pixels.float(), 2
    )
    terms = objectives.elbo_terms(model, torch.rand(7, *SHAPE).round(), samples=3)
    assert terms.distortion.shape == terms.rate.shape == (7,)
    terms.total().mean().backward()
    assert all(p.grad is not None for p in model.parameters())


def test_gray_pixels_have_a_density_and_no_draw():
    pixels, given = network(4, likelihood=models.GaussianPixels(0.5))
    x = torch.rand(1, *SHAPE, dtype=torch.float64)
    mean = pixels.numbers(given, x)
    expected = torch.distributions.Normal(mean, 0.5).log_prob(x).sum()
    assert torch.isclose(pixels(given).log_prob(x)[0], expected)
    with pytest.raises(TypeError, match="black-and-white"):
        pixels(given).draw()


def test_free_bits_charge_nothing_below_the_floor():
    rate = torch.tensor([0.5, 3.0], requires_grad=True)
    terms = free_bits(Terms(torch.zeros(2), rate), 2.0)
    assert torch.equal(terms.rate, torch.tensor([2.0, 3.0]))
    terms.rate.sum().backward()
    assert torch.equal(rate.grad, torch.tensor([0.0, 1.0]))


def test_warm_up_rises_in_a_straight_line_to_one():
    objective = WarmUp(lambda model, x, generator: Terms(torch.zeros(1), torch.ones(1)), steps=4)
    rates = [objective(torch.nn.Identity(), torch.zeros(1)).rate.item() for _ in range(6)]
    assert rates == [0, 0.25, 0.5, 0.75, 1, 1]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: AutoregressivePixels((3, 2, 2)), "one channel"),
        (lambda: AutoregressivePixels((1, 2, 2), reach=-1), "reach"),
        (lambda: AutoregressivePixels((1, 2, 2), hidden=3)(torch.zeros(1, 3, 2, 2)), "must give"),
        (lambda: free_bits(Terms(torch.zeros(1), torch.zeros(1)), -1.0), "floor"),
        (lambda: WarmUp(objectives.elbo_terms, 0), "at least one step"),
    ],
)
def test_bad_input(make, message):
    with pytest.raises(ValueError, match=message):
        make()
