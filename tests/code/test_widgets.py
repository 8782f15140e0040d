"""The Python side of the widgets: what they refuse, what they carry, and that a page holds everything once."""

import asyncio
import json
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

from autoencoders import networks, panel, recipes, views, widgets
from autoencoders.models import Autoencoder

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
    assert np.linalg.norm(widgets._emptiest(codes)) < 0.15


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
    with pytest.raises(ValueError, match="standard deviation of q"):
        widgets.gaussian_kl(q=(0.0, 0.0))


def test_a_histogram_of_active_units_counts_every_picture(images):
    active = np.arange(50) % 9
    view = widgets.sparsity({0.5: images[:9] - 0.5}, {0.5: {"mse": 0.01, "active": active, "units": 8}})
    assert sum(view.histograms[0]) == pytest.approx(1)
    assert view.means == [pytest.approx(active.mean())]


def test_the_denoiser_carries_both_networks(model, images):
    view = widgets.denoiser(model, images[:4])
    assert view.encoder["input"] == 64 and view.encoder["output"] == [2]
    assert view.decoder["output"] == [8, 8, 1]


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
