"""The Python side of the widgets: what they refuse, what they carry, and that a page holds everything once."""

import asyncio
import gzip
import json
import math
import re
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from html import unescape
from typing import Any

import anywidget
import numpy as np
import pytest
import torch
import traitlets

from autoencoders import (
    autoregressive,
    code_views,
    data,
    in_page,
    metric_views,
    networks,
    panel,
    planes,
    quantizers,
    recipes,
    stories,
    views,
    widgets,
)
from autoencoders.models import VAE, VQVAE, Autoencoder, BernoulliPixels, GaussianPixels, HierarchicalVQVAE

SHAPE = (1, 8, 8)


@pytest.fixture
def static(monkeypatch):
    """As in the book's build: no kernel behind the page, and a page that is still empty."""
    monkeypatch.setenv("AE_STATIC", "1")
    monkeypatch.setattr(views, "_on_page", set())


@pytest.fixture
def model() -> Autoencoder:
    torch.manual_seed(0)
    return Autoencoder(networks.MLPEncoder(SHAPE, 2, hidden=(16,)), networks.MLPDecoder(SHAPE, 2, hidden=(16,)))


@pytest.fixture
def labels() -> torch.Tensor:
    return torch.arange(300) % 3


def in_a_kernel(scenario: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """Run it in an event loop of its own thread: the browser tests leave a loop running in this one."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, scenario()).result()


def state(html: str) -> dict:
    return json.loads(unescape(re.search(r'data-state="([^"]*)"', html)[1]))


def ids(html: str) -> list[str]:
    return re.findall(r'<script type="text/plain" id="([^"]*)"', html)


def test_a_live_kernel_gets_a_widget_whose_state_python_sees(model, images, labels):
    view = widgets.latent_plane(model, images, labels, z=(0.5, -0.5))
    assert isinstance(view, anywidget.AnyWidget)
    assert view.z == (0.5, -0.5)
    view.set_state({"z": [1.0, 2.0]})  # what the page sends
    assert view.z == (1.0, 2.0)
    assert view._esm.count("export default") == 1
    with pytest.raises(traitlets.TraitError):
        view.z = (1.0, 2.0, 3.0)
    kl = widgets.gaussian_kl()
    with pytest.raises(traitlets.TraitError):
        kl.direction = "sideways"
    clouds = widgets.estimator_variance(m=2)
    assert (clouds.m, clouds.samples) == (2, 4)
    with pytest.raises(traitlets.TraitError):
        clouds.m = 3


def test_a_page_without_a_kernel_gets_html_that_names_no_server(static, model, images, labels):
    html = widgets.latent_plane(model, images, labels)._repr_html_()
    assert "<ae-view" in html and "needs JavaScript" in html
    assert not re.search(r"(src|href)\s*=", html) and "http" not in html


def test_two_widgets_on_a_page_share_one_copy_of_scripts_and_weights(static, model, images, labels):
    first, second = (widgets.latent_plane(model, images, labels)._repr_html_() for _ in range(2))
    assert ids(second) == [] and '<script type="module">' not in second
    assert state(first)["weights"] == state(second)["weights"]
    other = widgets.gaussian_kl()._repr_html_()
    assert len(ids(other)) == 1, "only its own module is new: the shared one is there"
    everything = ids(first) + ids(second) + ids(other)
    assert len(everything) == len(set(everything))


def test_nothing_in_a_text_can_break_out_of_the_page(static):
    evil = """Try: </script><b onclick='x'>"&amp;</b> <!-- """
    html = widgets.gaussian_kl(hint=evil)._repr_html_()
    assert state(html)["hint"] == evil
    assert "</script><b" not in html and "<!--" not in html.split("<ae-view")[1]
    body = re.sub(r'data-state="[^"]*"', "", html)
    assert all("<" not in script for script in re.findall(r'<script type="text/plain"[^>]*>(.*?)</script>', body, re.S))


def test_the_point_starts_in_a_hole_between_the_codes():
    ring = np.linspace(0, 2 * np.pi, 80, endpoint=False)
    codes = np.stack([np.cos(ring), np.sin(ring)], axis=1).astype(np.float32)
    assert np.linalg.norm(planes._emptiest(codes)) < 0.15


def test_the_latent_plane_refuses_codes_that_are_not_planar(images, labels):
    model = Autoencoder(networks.MLPEncoder(SHAPE, 3, hidden=()), networks.MLPDecoder(SHAPE, 3, hidden=()))
    with pytest.raises(ValueError, match="two numbers"):
        widgets.latent_plane(model, images, labels)


def test_the_components_explain_the_share_their_eigenvalues_say(images):
    x = images.flatten(1).numpy()
    values, vectors = np.linalg.eigh(np.cov(x.T))
    view = widgets.principal_components(x.mean(0), vectors.T[::-1][:10], values[::-1], images[:5], start=3)
    assert sum(view.shares) == pytest.approx(values[::-1][:10].sum() / values.sum(), rel=1e-5)
    assert view.m == 3
    with pytest.raises(traitlets.TraitError):
        view.m = 11
    with pytest.raises(ValueError, match="components must be"):
        widgets.principal_components(x.mean(0), vectors[:, :7], values, images[:5])


def efficiency(images, **changes):
    """A `label_efficiency` of two readers, two codes, three counts and two seeds."""
    accuracies = {r: {name: torch.tensor([[0.2, 0.5, 0.9], [0.4, 0.7, 0.9]]) for name in "ab"} for r in ("one", "two")}
    readings = {r: {name: torch.arange(12).view(3, 4) % 3 for name in "ab"} for r in ("one", "two")}
    known: dict[str, Any] = dict(counts=[10, 100, 1000], accuracies=accuracies, readings=readings)
    known |= dict(images=images[:4], labels=torch.arange(4) % 3, class_names=["x", "y", "z"])
    return widgets.label_efficiency(**known | changes)


def test_label_efficiency_carries_median_and_range_and_opens_where_it_is_told(images):
    view = efficiency(images, start=1000)
    assert view.middle[0][1] == pytest.approx([0.3, 0.6, 0.9])
    assert (view.low[1][0][0], view.high[1][0][0]) == (0.2, 0.4)
    assert (view.labels, view.reader, view.answers) == (1000, 0, [0, 1, 2, 0])
    with pytest.raises(traitlets.TraitError):
        view.labels = 50
    assert efficiency(images).labels == 100


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (dict(counts=[10, 5, 1000]), "ascending counts"),
        (dict(counts=[10, 100]), r"accuracies must be \(seeds, 2\)"),
        (dict(readings={"one": {}}), "every reader of"),
        (dict(labels=[0, 1]), "4 pictures need 4 labels"),
    ],
)
def test_label_efficiency_refuses_what_does_not_match(images, wrong, message):
    with pytest.raises(ValueError, match=message):
        efficiency(images, **wrong)


def test_the_error_map_speaks_of_layers_only_where_layers_are_compared(static, images):
    rebuilt = {"old": images[:2], "new": images[:2]}
    assert "for old, new layers." in widgets.error_map(images[:2], rebuilt)._repr_html_()
    page = widgets.error_map(images[:2], rebuilt, kinds="codebooks")._repr_html_()
    assert "for old, new." in page and "codebooks&quot;" in page


def test_what_belongs_together_must_have_the_same_keys_and_shapes(images):
    with pytest.raises(ValueError, match=r"errors must have the widths"):
        widgets.bottleneck_width({1: images[:8], 2: images[:8]}, images[:8], {1: 0.1})
    with pytest.raises(ValueError, match="m = 2: pictures of shape"):
        widgets.bottleneck_width({1: images[:8], 2: images[:7]}, images[:8], {1: 0.1, 2: 0.1})
    with pytest.raises(ValueError, match="layer types"):
        widgets.error_map(images[:8], {"linear": images[:8]}, errors={"conv": 0.1})
    with pytest.raises(ValueError, match="pictures of shape"):
        widgets.error_map(images[0], {"linear": images[0]})
    with pytest.raises(ValueError, match="at most 100"):
        widgets.sparsity({0.1: images}, {0.1: {"mse": 0.1, "active": np.ones(5), "units": 300}})
    with pytest.raises(ValueError, match="statistics must have"):
        widgets.sparsity({0.1: images[:9]}, {})
    with pytest.raises(ValueError, match="samples must have the names"):
        widgets.rate_distortion({"a": (1.0, 2.0)}, images[:8], {"a": images[:8]}, {"b": images[:8]})
    with pytest.raises(ValueError, match="a, drawn: pictures of shape"):
        widgets.rate_distortion({"a": (1.0, 2.0)}, images[:8], {"a": images[:8]}, {"a": images[:7]})
    with pytest.raises(ValueError, match="standard deviation of q"):
        widgets.gaussian_kl(q=(0.0, 0.0))
    for wrong in ({"latents": 21}, {"draws": 7}, {"width": 1.0}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            widgets.prior_monte_carlo(**wrong)
    with pytest.raises(ValueError, match=r"c must be one of 0\.01"):
        widgets.two_pulls(c=0.2)
    with pytest.raises(ValueError, match="between 0 and 2"):
        widgets.two_pulls(w=-1.0)
    with pytest.raises(ValueError, match="log-variance must lie between -6 and 2"):
        widgets.two_pulls(q=(0.0, 3.0))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (dict(codes=[(0, 0)]), "two to twenty"),
        (dict(codes=[(0, 0), (0, 0)]), "different"),
        (dict(codes=[(0, 0), (3, 0)]), "must lie in"),
        (dict(z=(0, 9)), "must lie in"),
        (dict(beta=2.5), "beta must lie"),
    ],
)
def test_the_copied_gradient_refuses_what_it_cannot_draw(wrong, message):
    with pytest.raises(ValueError, match=message):
        widgets.copied_gradient(**wrong)


def labeled_codes() -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    factors = {"row": torch.arange(12) // 4, "column": torch.arange(12) % 4}
    return {"both": torch.stack([*factors.values()], 1).float()}, factors


def test_the_unit_of_a_bar_is_the_mean_difference_of_all_pairs():
    z = torch.randn(30, 3, generator=torch.Generator().manual_seed(0)).double()
    expected = (z[:, None] - z).abs().mean((0, 1))
    assert metric_views.mean_differences(z.numpy()) == pytest.approx(expected.numpy())


def test_the_game_begins_without_a_guess_and_python_sees_the_score():
    view = widgets.fixed_factor(*labeled_codes(), pairs=4)
    assert (view.guess, view.round, view.pairs, view.score) == (-1, 0, 4, [[0, 0, 0]])
    view.set_state({"guess": 1, "score": [[1, 1, 1]]})  # what the page sends
    assert (view.guess, view.score) == (1, [[1, 1, 1]])
    with pytest.raises(traitlets.TraitError):
        view.guess = 2


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (dict(codes={}), "at least one"),
        (dict(codes={"a": torch.zeros(12, 2), "b": torch.zeros(12, 3)}), "of one shape"),
        (dict(codes={"a": torch.zeros(12, 17)}), "1 to 16 latents"),
        (dict(factors={"row": torch.arange(12)}), "two to six factors"),
        (dict(factors={"row": torch.arange(12), "column": torch.arange(9)}), "two to six factors"),
        (dict(factors={"row": torch.arange(12), "same": torch.zeros(12)}), "at least two"),
        (dict(pairs=3), "pairs must be one of"),
    ],
)
def test_the_game_refuses_what_cannot_be_played(wrong, message):
    codes, factors = labeled_codes()
    with pytest.raises(ValueError, match=message):
        widgets.fixed_factor(**(dict(codes=codes, factors=factors) | wrong))


def test_a_codebook_starts_well_or_badly():
    points = torch.rand(40, 2, generator=torch.Generator().manual_seed(0))
    view = widgets.codebook_learning(points, points[:3], start="badly")
    assert view.codes == view.starts["badly"] and view.at == tuple(view.codes[0])
    assert np.allclose(view.starts["well"], points[:3], atol=1e-4)
    view.set_state({"codes": [[0.0, 0.0], [0.5, 0.5], [1.0, 1.0]]})
    assert view.codes[1] == [0.5, 0.5]
    with pytest.raises(traitlets.TraitError):
        view.rule = "guess"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (dict(points=torch.rand(40, 3)), "points must be"),
        (dict(codes=torch.rand(1, 2)), "2 to 10 codes"),
        (dict(badly=torch.rand(4, 2)), "as many codes"),
        (dict(start="somewhere"), "well, badly"),
        (dict(rule="guess"), "lloyd, average, gradient"),
        (dict(code=3), "between 0 and 2"),
        (dict(batch=41), "number of points"),
        (dict(decay=1.0), "decay"),
        (dict(rate=0.0), "rate"),
    ],
)
def test_a_codebook_refuses_what_it_cannot_draw(wrong, said):
    with pytest.raises(ValueError, match=said):
        widgets.codebook_learning(**{"points": torch.rand(40, 2), "codes": torch.rand(3, 2)} | wrong)


def test_a_histogram_of_active_units_counts_every_picture(images):
    active = np.arange(50) % 9
    view = widgets.sparsity({0.5: images[:9] - 0.5}, {0.5: {"mse": 0.01, "active": active, "units": 8}})
    assert sum(view.histograms[0]) == pytest.approx(1)
    assert view.means == [pytest.approx(active.mean())]


def test_the_sampled_noise_depends_on_its_seed_alone():
    one, same, other = (widgets.reparameterized_sample(seed=seed) for seed in (0, 0, 1))
    assert one.noise == same.noise != other.noise
    assert len(one.noise) == 40 and all(len(draw) == 12 for draw in one.noise)
    values = np.array(one.noise)
    assert abs(values.mean()) < 0.15 and abs(values.std() - 1) < 0.1
    with pytest.raises(traitlets.TraitError):
        one.sigma = 0.0
    with pytest.raises(traitlets.TraitError):
        one.draw = 40


@pytest.mark.parametrize("wrong", [dict(f="cube"), dict(mu=2.5), dict(sigma=0.0), dict(samples=1)])
def test_the_reparameterized_sample_refuses_what_it_cannot_draw(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        widgets.reparameterized_sample(**wrong)


def test_the_denoiser_carries_both_networks(model, images):
    view = widgets.denoiser(model, images[:4])
    assert view.encoder["input"] == 64 and view.encoder["output"] == [2]
    assert view.decoder["output"] == [8, 8, 1]


def story(images: torch.Tensor, **changes: Any) -> Any:
    """Three moments of a story about five pictures, two of them shown."""
    generator = torch.Generator().manual_seed(0)
    given = dict(
        steps=[0, 10, 20],
        means=torch.randn(3, 5, 2, generator=generator) * torch.tensor([0.0, 1.0, 3.0])[:, None, None],
        deviations=torch.rand(3, 5, 2, generator=generator) + 0.1,
        labels=torch.tensor([2, 3, 2, 3, 1]),
        originals=images[:2],
        drawn=images[:2].expand(3, *images[:2].shape),
        pairs={"a 2 and a 3": (0, 1)},
    )
    return widgets.separability_story(**(given | changes))


def test_the_overlap_of_two_posteriors_is_the_integral_of_the_root_of_their_product():
    means, deviations = np.array([[[0.3, -1.0], [1.2, 0.5]]]), np.array([[[0.7, 1.4], [1.1, 0.4]]])
    grid = np.linspace(-12, 12, 4001)
    product = 1.0
    for j in range(2):
        a, b = (
            np.exp(-0.5 * ((grid - means[0, k, j]) / deviations[0, k, j]) ** 2) / deviations[0, k, j] for k in (0, 1)
        )
        product *= np.sqrt(a * b).sum() * (grid[1] - grid[0]) / np.sqrt(2 * np.pi)
    assert stories._overlaps(means, deviations, 0, 1)[0] == pytest.approx(product, rel=1e-6)
    assert stories._overlaps(means, deviations, 1, 1)[0] == pytest.approx(1)


def test_the_story_opens_where_the_first_pair_comes_apart(images):
    view = story(
        images, means=torch.tensor([0.0, 0.1, 9.0])[:, None, None] * torch.arange(5.0)[:, None].expand(3, 5, 2)
    )
    assert view.frame == 2 and view.pair == "a 2 and a 3"
    with pytest.raises(traitlets.TraitError):
        view.frame = 3


def test_the_story_refuses_what_does_not_belong_together(images):
    with pytest.raises(ValueError, match=r"\(2, n, 2\)"):
        story(images, steps=[0, 10])
    with pytest.raises(ValueError, match="drawn must hold the 2 originals"):
        story(images, drawn=images[:2])
    with pytest.raises(ValueError, match="below 2"):
        story(images, pairs={"a 2 and a 1": (0, 4)})


def test_two_planes_carry_an_autoencoder_and_the_probabilities_of_a_vae(model, images, labels):
    vae = VAE(
        networks.MLPEncoder(SHAPE, 4, hidden=(16,)), networks.MLPDecoder(SHAPE, 2, hidden=(16,)), BernoulliPixels(), 2
    )
    view = widgets.two_planes({"autoencoder": model, "VAE": vae}, images, labels)
    assert view.names == ["autoencoder", "VAE"] and view.linked
    assert [layer["op"] for layer in view.right_manifest["layers"]][-1] == "sigmoid"
    assert [layer["op"] for layer in view.left_manifest["layers"]][-1] == "dense"
    assert view.right == pytest.approx(vae.codes(images[:1])[0].tolist())
    for side in ("left", "right"):
        assert all(low <= -2 and high >= 2 for low, high in getattr(view, f"{side}_range")), "the prior is in sight"


def test_two_planes_refuse_one_model_and_codes_that_are_not_planar(model, images, labels):
    with pytest.raises(ValueError, match="two models"):
        widgets.two_planes({"autoencoder": model}, images, labels)
    wide = Autoencoder(networks.MLPEncoder(SHAPE, 3, hidden=()), networks.MLPDecoder(SHAPE, 3, hidden=()))
    with pytest.raises(ValueError, match="wide: the planes need codes with two numbers"):
        widgets.two_planes({"autoencoder": model, "wide": wide}, images, labels)


@pytest.mark.parametrize(("count", "most"), [(5, 16), (16, 16), (60, 16), (150, 16)])
def test_kept_epochs_hold_first_and_last_and_more_early_ones(count, most):
    kept = panel._spread_frames(count, most)
    assert kept[0] == 0 and kept[-1] == count - 1 and len(kept) <= most
    gaps = np.diff(kept)
    assert (np.sort(gaps) == gaps).all() or gaps[-1] >= gaps[0]


def test_the_recorded_run_opens_on_its_last_epoch(static, monkeypatch):
    monkeypatch.setenv("AE_BUDGET", "smoke")
    shown = state(widgets.training_panel("ae-digits-2")._repr_html_())
    assert shown["frame"] == len(shown["epochs"]) - 1
    assert len(shown["train_loss"]) == len(shown["loss_epochs"]) == len(shown["validation_loss"])
    assert not shown["live"]


def test_the_live_panel_trains_pauses_goes_on_and_resets_without_holding_the_loop(monkeypatch):
    recipe = recipes.get("ae-digits-2").replace(epochs=2)

    async def scenario() -> None:
        live = widgets.training_panel(recipe)
        start = {k: v.clone() for k, v in live.model.state_dict().items()}
        live.start()
        gaps, before = [], asyncio.get_running_loop().time()
        while not live.history.records:  # other work in the kernel gets its turn while it trains
            await asyncio.sleep(0)
            now = asyncio.get_running_loop().time()
            gaps.append(now - before)
            before = now
        assert len(gaps) > 5 and np.median(gaps) < 0.5
        live.pause()
        assert live.pause_button.disabled and not live.start_button.disabled
        epochs = len(live.history.records)
        await asyncio.sleep(0.1)
        assert len(live.history.records) == epochs
        live.start()
        await live.wait()
        assert live.view.epochs == [1, 2] and live.view.note == "Done."
        assert len(live.view.reconstructions) == 2 * 8 * 784
        assert live.view.validation_loss[1] < live.view.validation_loss[0]
        live.sliders["learning_rate"].value = 1e-3
        assert live.recipe.learning_rate == 1e-3 and live.view.epochs == []
        assert all(torch.equal(v, start[k]) for k, v in live.model.state_dict().items())

    in_a_kernel(scenario)


def test_the_live_panel_says_when_the_loss_is_not_finite():
    async def scenario() -> str:
        live = widgets.training_panel(recipes.get("ae-digits-2").replace(learning_rate=1.0, epochs=1))
        with torch.no_grad():
            next(live.model.parameters()).fill_(float("nan"))
        live.start()
        await live.wait()
        assert not live.start_button.disabled
        return live.view.note

    assert "not finite" in in_a_kernel(scenario)


def test_the_panel_offers_the_numbers_that_the_recipe_has():
    plain = recipes.get("ae-digits-2")
    assert set(panel.Panel(plain).sliders) == {"epochs", "batch_size", "learning_rate"}
    noisy = plain.replace(objective="denoising", noise=0.3)
    assert panel.Panel(noisy).sliders["noise"].value == 0.3
    sparse = plain.replace(objective="sparse", weight=0.01)
    assert panel.Panel(sparse).sliders["weight"].value == pytest.approx(0.01)


def test_tiny_digits_are_black_or_white_and_keep_the_middle_of_a_digit():
    digits = data.load("digits").train.images[:50]
    tiny = in_page.tiny_digits(digits)
    assert tiny.shape == (50, 1, 8, 8) and set(tiny.unique().tolist()) == {0.0, 1.0}
    assert ((tiny.mean((1, 2, 3)) > 0.08) & (tiny.mean((1, 2, 3)) < 0.75)).all()
    assert torch.equal(in_page.tiny_digits(tiny), tiny), "what is tiny already stays as it is"
    assert in_page.tiny_digits(torch.zeros(1, 1, 28, 28)).sum() == 0
    corner = torch.zeros(1, 1, 16, 16)
    corner[..., :2, :2] = 1
    assert in_page.tiny_digits(corner).nonzero().tolist() == [[0, 0, 0, 0]]


def test_the_vae_in_the_page_carries_its_pictures_a_bit_a_pixel(images, labels):
    view = widgets.vae_in_page(images, labels, classes=(2, 0), count=120, codes=50)
    kept = [k for k in range(300) if labels[k] in (0, 2)][:120]
    unpacked = np.unpackbits(np.frombuffer(view.pictures, np.uint8)).reshape(120, 1, 8, 8)
    assert np.array_equal(unpacked, in_page.tiny_digits(images[kept]).numpy())
    assert list(view.labels) == labels[kept].tolist()
    assert [view.labels[k] for k in view.examples] == [0] * 5 + [2] * 5
    assert np.allclose(torch.distributions.Normal(0, 1).cdf(torch.tensor(view.quantiles)), (np.arange(6) + 0.5) / 6)


def test_python_sees_and_sets_what_the_vae_in_the_page_does(images, labels):
    view = widgets.vae_in_page(images, labels, beta=0.5, seed=3)
    assert (view.beta, view.learning_rate, view.seed, view.running, view.updates) == (0.5, 0.01, 3, False, 0)
    view.set_state({"updates": 40, "running": True})  # what the page sends
    assert view.updates == 40 and view.running
    view.beta = 8
    with pytest.raises(traitlets.TraitError):
        view.beta = 8.5
    with pytest.raises(traitlets.TraitError):
        view.learning_rate = 0.5


def test_the_vae_in_the_page_weighs_under_sixty_kilobytes(static):
    digits = data.load("digits").train
    html = widgets.vae_in_page(digits.images, digits.labels)._repr_html_()
    assert len(state(html)["examples"]) == 10
    assert len(gzip.compress(html.encode())) < 60_000


def test_the_vae_in_the_page_refuses_what_it_cannot_train_on(images, labels):
    cases = [
        (dict(beta=9.0), "beta must lie on its slider, from 0 to 8"),
        (dict(learning_rate=0.1), "learning_rate must lie"),
        (dict(learning_rate=float("nan")), "learning_rate must lie"),
        (dict(batch_size=301), "batch_size must be from 1 to 300"),
        (dict(codes=0), "codes"),
        (dict(hidden=(1000,)), "at most 20,000 parameters"),
        (dict(hidden=(0,)), "hidden layers"),
        (dict(class_names=["a", "b"]), "labels up to 2"),
        (dict(classes=(7,)), "no picture has a label in"),
    ]
    for options, message in cases:
        with pytest.raises(ValueError, match=message):
            widgets.vae_in_page(images, labels, **options)
    with pytest.raises(ValueError, match="one number a picture"):
        widgets.vae_in_page(images, labels[:-1])
    with pytest.raises(ValueError, match="gray pictures"):
        widgets.vae_in_page(images.expand(-1, 3, -1, -1), labels)
    with pytest.raises(ValueError, match="gray pictures"):
        widgets.vae_in_page(images[:, :, :5], labels)


def test_a_square_of_pictures_refuses_what_it_cannot_show(model, images, labels):
    three = Autoencoder(networks.MLPEncoder(SHAPE, 3, hidden=()), networks.MLPDecoder(SHAPE, 3, hidden=()))
    vae = VAE(three.encoder, three.decoder, BernoulliPixels(), 3)
    with pytest.raises(ValueError, match="two latents"):
        widgets.quantile_plane(vae)
    for wrong, message in (
        (dict(u=(0.5, 1.5)), "unit square"),
        (dict(spacing="odd"), "spacing"),
        (dict(side=1), "side"),
    ):
        with pytest.raises(ValueError, match=message):
            widgets.quantile_plane(model, **wrong)
    for wrong, message in ((dict(corners=(0, 1, 2, 9)), "four positions"), (dict(path="arc"), "'line' or 'sphere'")):
        with pytest.raises(ValueError, match=message):
            widgets.four_corners(three, images[:4], labels[:4], **wrong)
    with pytest.raises(ValueError, match="needs a label"):
        widgets.four_corners(three, images[:4], labels[:3])


def test_the_page_paints_probabilities_where_a_decoder_gives_logits(model):
    vae = VAE(networks.MLPEncoder(SHAPE, 4, hidden=()), model.decoder, BernoulliPixels(), 2)
    assert widgets.quantile_plane(vae).manifest["layers"][-1]["op"] == "sigmoid"
    assert widgets.quantile_plane(model).manifest["layers"][-1]["op"] != "sigmoid"


def small_vqvae(codes: int = 5) -> VQVAE:
    torch.manual_seed(0)
    pair = networks.MapEncoder(SHAPE, 4, (6,)), networks.MapDecoder(SHAPE, 4, (6,))
    model = VQVAE(*pair, quantizers.MovingAverageCodebook(codes, 4))
    with torch.no_grad():
        model.quantizer.codes.normal_()
    return model.eval()


def test_painting_begins_with_the_encoders_own_codes(images):
    model = small_vqvae()
    view = widgets.paint_codes(model, images[:4], image=2)
    own = model.indices(images[:4])
    assert view.codes == own[2].flatten().tolist()
    assert view.code == own[2, 2, 2] and view.place == (2, 2)
    assert sorted(view.order) == list(range(5))
    with pytest.raises(traitlets.TraitError):
        view.code = 5
    for wrong, message in ((dict(code=5), "one of the 5 codes"), (dict(image=4), "one of the 4 pictures")):
        with pytest.raises(ValueError, match=message):
            widgets.paint_codes(model, images[:4], **wrong)
    with pytest.raises(ValueError, match="at most 256"):
        widgets.paint_codes(small_vqvae(300), images[:4])


def test_a_codes_picture_is_the_average_of_what_is_decoded_where_it_stands(images):
    model, x = small_vqvae(), images[:6]
    indices, decoded = model.indices(x), model(x).detach().clamp(0, 1)
    code = int(indices[0, 0, 0])
    cells = [
        decoded[i, :, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
        for i, row, column in (indices == code).nonzero().tolist()
    ]
    alone = code_views.code_pictures(model, x, margin=0)
    assert alone.shape == (5, 1, 2, 2)
    assert torch.allclose(alone[code], torch.stack(cells).mean(0), atol=1e-6)
    wide = code_views.code_pictures(model, x, margin=0.5)
    assert torch.allclose(wide[:, :, 1:3, 1:3], alone, atol=1e-6)
    unused = set(range(5)) - set(indices.flatten().tolist())
    assert all((alone[k] == 0).all() for k in unused)


def plane_vae(likelihood: torch.nn.Module | None = None, latent: int = 2) -> VAE:
    torch.manual_seed(0)
    encoder = networks.MLPEncoder(SHAPE, 2 * latent, hidden=(16,))
    decoder = networks.MLPDecoder(SHAPE, latent, hidden=(16,))
    return VAE(encoder, decoder, likelihood or BernoulliPixels(), latent)


def test_the_posterior_plane_begins_with_the_encoder_inside_the_window(static, images):
    model, binary = plane_vae(), (images[:3] > 0.5).float()
    found = state(widgets.posterior_plane(model, binary, start=1, points=101)._repr_html_())
    with torch.no_grad():
        q = model.encode(binary)
    np.testing.assert_allclose(found["mean"], q.mean[1], rtol=1e-6)
    np.testing.assert_allclose(found["scale"], q.stddev[1], rtol=1e-6)
    assert found["image"] == 1
    assert sum(found["node_weights"]) == pytest.approx(1)
    for (x, y), mean, lines in zip(found["ranges"], q.mean.tolist(), found["contours"], strict=True):
        assert x[0] < mean[0] < x[1] and y[0] < mean[1] < y[1]
        assert len(lines) == 3 and all(lines)
        inner, outer = (np.concatenate(lines[level]) for level in (0, 2))  # half of the mass lies within 99 % of it
        assert np.ptp(inner, axis=0).max() < np.ptp(outer, axis=0).max()


def test_the_posterior_plane_refuses_what_it_cannot_show(images):
    binary = (images[:3] > 0.5).float()
    with pytest.raises(ValueError, match="two latents"):
        widgets.posterior_plane(plane_vae(latent=3), binary)
    with pytest.raises(ValueError, match="binarize"):
        widgets.posterior_plane(plane_vae(), images[:3])
    with pytest.raises(ValueError, match="start must be"):
        widgets.posterior_plane(plane_vae(), binary, start=3)
    with pytest.raises(TypeError, match="Bernoulli"):
        widgets.posterior_plane(plane_vae(GaussianPixels()), binary)


def test_the_prior_monte_carlo_widget_refuses_what_its_sliders_cannot_show():
    view = widgets.prior_monte_carlo(latents=3, draws=100, width=0.5)
    assert (view.latents, view.draws, view.width) == (3, 100, 0.5)
    with pytest.raises(traitlets.TraitError):
        view.draws = 7


@pytest.fixture
def hierarchy() -> HierarchicalVQVAE:
    torch.manual_seed(0)
    books = [quantizers.MovingAverageCodebook(count, 3) for count in (4, 8)]
    for book in books:
        book.initialize(torch.randn(40, 3))
    return HierarchicalVQVAE(SHAPE, books, (1, 1), channels=4).eval()


@torch.no_grad()
def test_every_combination_of_maps_is_shown_with_its_bits_and_its_error(hierarchy, images):
    view = widgets.map_switch(hierarchy, images[:4], test=images[:300])
    assert view.on == [True, False] and view.names == ["top", "bottom"]
    assert view.bits == [4 * 2.0, 16 * 3.0]
    top, bottom = hierarchy.indices(images[:300])
    combinations = [(top, None), (None, bottom), (top, bottom)]
    expected = [float((hierarchy.decode_indices(maps) - images[:300]).square().mean()) for maps in combinations]
    assert view.errors == pytest.approx(expected, rel=1e-5)
    assert len(view.pictures) == 3 * 4 * 64
    with pytest.raises(traitlets.TraitError):
        view.on = [True]


@pytest.mark.parametrize(
    "wrong", [dict(names=("top",)), dict(on=(False, False)), dict(on=(True,)), dict(images=torch.zeros(8, 8))]
)
def test_switched_maps_refuse_what_does_not_fit(wrong, hierarchy, images):
    with pytest.raises(ValueError, match=r"hierarchy of 2 maps|images must be pictures"):
        widgets.map_switch(hierarchy, **{"images": images[:4]} | wrong)


@pytest.fixture
def written() -> tuple[autoregressive.PixelCNN, VQVAE]:
    """An untrained prior over maps of two by two codes, and a model with such maps of pictures of 8 x 8."""
    torch.manual_seed(0)
    model = VQVAE(
        networks.MapEncoder(SHAPE, 3, channels=(4, 4)),
        networks.MapDecoder(SHAPE, 3, channels=(4, 4)),
        quantizers.GradientCodebook(5, 3),
    )
    return autoregressive.PixelCNN(5, (2, 2), classes=3, channels=4, layers=1), model.eval()


def test_the_replayed_draw_is_that_of_the_prior(written):
    prior, model = written
    view = widgets.prior_drawing(prior, model, classes=(2, 0), draws=2, likely=5, seed=7)
    codes = torch.from_numpy(np.frombuffer(view.codes, "<u2").astype(int)).view(4, 2, 2)
    labels = torch.tensor([2, 2, 0, 0])
    assert torch.equal(codes, prior.sample(4, labels, generator=torch.Generator().manual_seed(7)))
    costs = torch.tensor(view.costs).sum(1) * np.log(2)
    assert costs.tolist() == pytest.approx((-prior.log_prob(codes, labels)).tolist(), abs=0.02)
    assert view.place == 2 and view.classes == ["2", "0"]
    frames = np.frombuffer(view.frames, np.uint8).reshape(4, 5, 8, 8)
    last = model.decode_indices(codes).detach()[:, 0].clamp(0, 1)
    assert np.abs(frames[:, -1] / 15 - last.numpy()).max() < 1 / 29


def test_the_likeliest_codes_come_with_their_probabilities(written):
    prior, model = written
    view = widgets.prior_drawing(prior, model, classes=(1,), draws=1, likely=5)
    chances = np.frombuffer(view.chances, np.uint8).reshape(4, 5) / 255
    assert (np.diff(chances, axis=1) <= 0).all()
    assert chances.sum(1) == pytest.approx(np.ones(4), abs=0.02)
    expected = prior(torch.zeros(1, 2, 2, dtype=torch.int64), torch.tensor([1])).softmax(1)[0, :, 0, 0]
    top = np.frombuffer(view.top, "<u2").reshape(4, 5)[0]
    assert chances[0] == pytest.approx(expected[top.astype(int)].tolist(), abs=0.003)


@pytest.mark.parametrize("wrong", [dict(classes=()), dict(classes=(3,)), dict(draws=0), dict(likely=6), dict(place=5)])
def test_the_drawing_refuses_what_it_cannot_draw(written, wrong):
    with pytest.raises(ValueError, match=r"classes must be|draw at least"):
        widgets.prior_drawing(*written, **(dict(likely=2) | wrong))


def test_the_explorer_sorts_each_method_by_its_bits_and_opens_where_it_is_told(static, images):
    x = images[:6]
    methods = {"JPEG": {"90": (1.0, 0.01, x), "10": (0.5, 0.02, x / 2)}, "VAE": {"0.1": (0.2, 0.03, x)}}
    found = state(widgets.codec_explorer(methods, x, start=("JPEG", "90"))._repr_html_())
    assert (found["method"], found["point"], found["places"]) == (0, 1, 64)
    assert found["methods"][0]["settings"] == ["10", "90"] and found["methods"][0]["bits"] == [0.5, 1.0]
    assert found["methods"][1]["color"] == "posterior"


def test_the_explorer_holds_the_pictures_of_each_point_in_the_order_of_its_bits(images):
    x = images[:6]
    view = widgets.codec_explorer({"JPEG": {"90": (1.0, 0.01, x), "10": (0.5, 0.02, x / 2)}}, x)
    assert view.pictures == views.picture_bytes(x / 2) + views.picture_bytes(x)


@pytest.mark.parametrize(
    ("methods", "start", "message"),
    [
        ({}, None, "1 to 26 methods"),
        ({"JPEG": {}}, None, "each with a setting"),
        ({"JPEG": {"10": (0.0, 0.1, 6)}}, None, "JPEG, 10: bits and error"),
        ({"JPEG": {"10": (0.5, math.inf, 6)}}, None, "bits and error"),
        ({"JPEG": {"10": (0.5, 0.1, 5)}}, None, "JPEG, 10: pictures of shape"),
        ({"JPEG": {"10": (0.5, 0.1, 6)}}, ("JPEG", "20"), "start is a method"),
    ],
)
def test_the_explorer_refuses_what_it_cannot_draw(methods, start, message, images):
    given = {m: {s: (bits, mse, images[:n]) for s, (bits, mse, n) in v.items()} for m, v in methods.items()}
    with pytest.raises(ValueError, match=message):
        widgets.codec_explorer(given, images[:6], start=start)


def test_traversals_begin_at_the_pictures_own_code_and_the_largest_beta(images):
    vae = plane_vae()
    view = widgets.latent_traversals({1.0: vae, 8.0: vae}, images[:3], {1.0: [1.0, 2.0], 8.0: torch.zeros(2)})
    assert (view.beta, view.image, view.z) == (8.0, 0, [])
    with torch.no_grad():
        np.testing.assert_allclose(view.codes_0, vae.codes(images[:3]).numpy(), rtol=1e-5)
    assert view.rates_1 == [0.0, 0.0]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (dict(rates={1.0: [1.0, 2.0]}), "rates must have the betas"),
        (dict(start=3.0), "start must be one of"),
        (dict(steps=2), "at least 3 steps"),
        (dict(rates={1.0: [1.0], 8.0: [1.0, 2.0]}), "a rate for each"),
    ],
)
def test_traversals_refuse_what_does_not_belong_together(changes, said, images):
    vae = plane_vae()
    given = dict(models={1.0: vae, 8.0: vae}, images=images[:3], rates={1.0: [1.0, 2.0], 8.0: [0.0, 0.0]})
    with pytest.raises(ValueError, match=said):
        widgets.latent_traversals(**given | changes)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (dict(codes=torch.zeros(5, 3)), "codes must be"),
        (dict(start=10.0), "among them"),
        (dict(angles=[30.0, 0.0]), "ascending"),
        (dict(factors={"x": [1, 2]}), "a value for each"),
        (dict(factors={}), "at least one factor"),
        (dict(scores={"MIG": [0.5]}), "a number for each"),
    ],
)
def test_turned_latents_refuse_what_does_not_belong_together(changes, said):
    codes = torch.randn(5, 2, generator=torch.Generator().manual_seed(0))
    given = dict(codes=codes, factors={"x": range(5)}, angles=[0.0, 30.0], scores={"MIG": [0.5, 0.1]})
    assert widgets.rotated_latents(**given).angle == 0.0
    with pytest.raises(ValueError, match=said):
        widgets.rotated_latents(**given | changes)
