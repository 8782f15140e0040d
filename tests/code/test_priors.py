"""Priors over codes: independent codes, a VAE on maps, and the recipes that train priors on the codes of a model."""

import itertools
import math

import pytest
import torch

from autoencoders import autoregressive, data, priors, recipes, vqvae

GENERATOR = torch.Generator().manual_seed(3)
MAPS = torch.randint(5, (400, 2, 3), generator=torch.Generator().manual_seed(0))
LABELS = torch.randint(3, (400,), generator=torch.Generator().manual_seed(1))


def every_map(codes: int, places: int) -> torch.Tensor:
    return torch.tensor(list(itertools.product(range(codes), repeat=places)))


def tiny_vae(classes: int = 0) -> priors.CodeVAE:
    """Maps of two of three codes, one latent; every q(z|s) is wide, so that importance sampling needs few draws."""
    torch.manual_seed(0)
    prior = priors.CodeVAE(3, (1, 2), classes=classes, latent=1, hidden=8, width=2)
    for parameter in prior.decoder.parameters():
        parameter.data.mul_(3)
    last = prior.encoder[-1]
    last.weight.data.zero_()
    last.bias.data.copy_(torch.tensor([0.0, 1.0]))
    return prior


def test_uniform_codes_cost_log_k_a_place():
    prior = priors.IndependentCodes.uniform(5, (2, 3))
    assert torch.allclose(prior.log_prob(MAPS), torch.full((400,), -6 * math.log(5)))
    drawn = prior.sample(4000, generator=GENERATOR)
    assert drawn.shape == (4000, 2, 3)
    shares = torch.bincount(drawn.flatten(), minlength=5) / drawn.numel()
    assert (shares - 0.2).abs().max() < 5 * math.sqrt(0.2 * 0.8 / drawn.numel())


@pytest.mark.parametrize("by_place", [True, False])
@pytest.mark.parametrize("labels", [None, LABELS])
def test_shares_are_those_counted(by_place, labels):
    prior = priors.IndependentCodes.fit(MAPS, 5, labels, by_place=by_place, smoothing=1e-6)
    rows = MAPS if labels is None else MAPS[labels == 2]
    counted = (rows[:, 1, 2] == 4).float().mean() if by_place else (rows == 4).float().mean()
    told = None if labels is None else torch.tensor([2])
    map_ = torch.zeros(1, 2, 3, dtype=torch.int64)
    map_[0, 1, 2] = 4
    assert prior(map_, told)[0, 4, 1, 2].exp().item() == pytest.approx(counted.item(), rel=1e-4)
    assert torch.allclose(prior(map_, told).exp().sum(1), torch.ones(1, 2, 3))


def test_counting_places_apart_never_fits_the_counted_maps_worse():
    together, apart = (priors.IndependentCodes.fit(MAPS, 5, by_place=by_place) for by_place in (False, True))
    assert apart.log_prob(MAPS).mean() > together.log_prob(MAPS).mean()


def test_the_bound_of_a_vae_on_codes_is_below_the_log_probability_and_rises_with_the_draws():
    """log p(s) of a tiny model by quadrature over its one latent."""
    prior = tiny_vae()
    maps = every_map(3, 2).view(9, 1, 2)
    grid = torch.linspace(-8, 8, 2001)[:, None]
    with torch.no_grad():
        p_codes = prior.logits(grid).softmax(1)[:, :, 0]  # (points, codes, places)
        density = torch.exp(-(grid[:, 0] ** 2) / 2) / math.sqrt(2 * math.pi)
        joint = p_codes[:, maps[:, 0, 0], 0] * p_codes[:, maps[:, 0, 1], 1] * density[:, None]
        exact = torch.trapezoid(joint, grid[:, 0], dim=0).log()
        assert exact.exp().sum().item() == pytest.approx(1, abs=1e-5)
        few, many = (
            torch.stack(
                [prior.log_prob(maps, samples=k, generator=torch.Generator().manual_seed(s)) for s in range(200)]
            ).mean(0)
            for k in (1, 50)
        )
    assert (few < exact).all() and (few < many).all()
    assert torch.allclose(many, exact, atol=0.06)


def test_samples_of_a_vae_on_codes_follow_its_probabilities():
    prior = tiny_vae(classes=2)
    maps, labels = every_map(3, 2).view(9, 1, 2), torch.ones(9, dtype=torch.int64)
    drawn = prior.sample(20_000, torch.ones(20_000, dtype=torch.int64), generator=GENERATOR)
    shares = torch.bincount(drawn[:, 0, 0] * 3 + drawn[:, 0, 1], minlength=9) / len(drawn)
    with torch.no_grad():
        expected = prior.log_prob(maps, labels, samples=5000, generator=GENERATOR).exp()
    assert ((shares - expected).abs() < 5 * (expected / len(drawn)).sqrt() + 0.003).all()


def test_terms_are_per_example_and_the_same_for_every_batch():
    torch.manual_seed(0)
    for prior in (autoregressive.PixelCNN(5, (2, 3), channels=4, layers=2), priors.CodeVAE(5, (2, 3), latent=2)):
        with torch.no_grad():
            terms = priors.prior_terms(prior, (MAPS, LABELS), torch.Generator().manual_seed(0))
        assert terms.distortion.shape == (400,) and bool((terms.distortion > 0).all())


def test_a_prior_of_a_finer_map_sees_the_coarser_one():
    recipe = recipes.Recipe(
        "two", "digits", 4, objective="vq", codebook=6, halvings=(1, 1), options={"channels": 8}, epochs=1
    )
    fine = recipes.PriorRecipe("fine", recipe, level=1, options={"channels": 8, "layers": 2})
    prior, model = fine.model(), recipe.model().eval()
    assert isinstance(model, vqvae.HierarchicalVQVAE)
    maps = model.indices(data.load("digits").test.images[:3])
    labels = torch.tensor([1, 2, 3])
    first = priors.log_prob(prior, (maps[1], labels, maps[0]), condition=model.condition)
    other = priors.log_prob(prior, (maps[1], labels, (maps[0] + 1) % 6), condition=model.condition)
    assert first.shape == (3,) and not torch.allclose(first, other)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: priors.IndependentCodes.fit(MAPS, 4), "4 codes, but the maps go from 0 to 4"),
        (lambda: priors.IndependentCodes.fit(MAPS, 5, smoothing=0.0), "above 0"),
        (lambda: priors.IndependentCodes.fit(MAPS, 5, LABELS).sample(2), "give 2 labels from 0 to 2"),
        (lambda: priors.CodeVAE(0, (2, 3)), "at least 1"),
        (lambda: priors.CodeVAE(4, (2, 3)).encode(MAPS), "codes from 0 to 3"),
        (lambda: priors.CodeVAE(5, (2, 3), classes=3).encode(MAPS), "labels are needed"),
        (lambda: priors.CodeVAE(5, (2, 3)).sample(0), "at least one map"),
        (lambda: recipes.PriorRecipe("p", recipes.get("vae-digits")), "objective 'vq'"),
        (lambda: recipes.get("pixelcnn-digits").replace(level=1), "there is no map 1"),
        (lambda: recipes.get("pixelcnn-digits").replace(width=1), "its fields are data, name"),
        (lambda: recipes.get("pixelcnn-digits").replace(network="rnn"), "pixelcnn, transformer, vae"),
        (lambda: recipes.get("pixelcnn-digits").codes("tests"), "train, validation and test"),
    ],
)
def test_bad_input_is_refused_with_what_to_do(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_the_data_set_of_a_prior_is_that_of_its_model():
    recipe = recipes.get("pixelcnn-digits", "fashion")
    assert recipe.data == "fashion" and recipe.of.data == "fashion" and recipe.expected == ""
    assert recipe.key(0) != recipes.get("pixelcnn-digits").key(0)
