"""The VAE that is trained in the page: its terms, gradients and steps against PyTorch's, and its view, driven."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from playwright.sync_api import Locator, Page
from test_widgets_in_browser import load, write
from torch import Tensor
from torch.nn.utils import parameters_to_vector

from autoencoders import data, in_page, models, networks, objectives, views, widgets

SHAPE, ROWS = (1, 8, 8), 24


def fresh(hidden: tuple[int, ...] = (32,), spread: float = 6.0) -> models.VAE:
    """The book's model, its encoder's last layer enlarged so that log-variances reach both bounds' bends."""
    torch.manual_seed(0)
    encoder, decoder = networks.MLPEncoder(SHAPE, 4, hidden), networks.MLPDecoder(SHAPE, 2, hidden)
    model = models.VAE(encoder, decoder, models.BernoulliPixels(), 2).double()
    with torch.no_grad():
        encoder.net[-1].weight *= spread
    return model


def batch(seed: int) -> tuple[Tensor, Tensor]:
    """Pictures, and the epsilon that `elbo_terms` will draw from a generator of this seed."""
    x = (torch.rand(ROWS, *SHAPE, generator=torch.Generator().manual_seed(100 + seed)) < 0.4).double()
    return x, x.new_empty(1, ROWS, 2).normal_(generator=torch.Generator().manual_seed(seed))


def in_javascript(page: Page, model: models.VAE, body: str, mutation: tuple[str, str] = ("", ""), **values: Any) -> Any:
    """What `body` returns after common.js and tiny_vae.js, with `vae` (the same weights), and `values` as names."""
    source = views.source("tiny_vae")
    assert mutation[0] in source
    hidden = [layer.out_features for layer in model.encoder.net if isinstance(layer, torch.nn.Linear)][:-1]
    values |= {"hidden": hidden, "weights": parameters_to_vector(model.parameters()).tolist(), "rows": ROWS}
    values = {key: value.flatten().tolist() if isinstance(value, Tensor) else value for key, value in values.items()}
    return page.evaluate(
        f"""({{ {", ".join(values)} }}) => {{
            {views.source("common")}
            {source.replace(*mutation) if mutation[0] else source}
            const vae = makeVAE({{ pixels: 64, hidden, latent: 2, rows }});
            vae.theta.set(weights);
            {{ {body} }}
        }}""",
        values,
    )


GRADIENT = """
    const terms = elboAndGradient(vae, x, epsilon, rows, beta);
    return { ...terms, gradient: Array.from(vae.gradient) };
"""


def gap(page: Page, hidden: tuple[int, ...], beta: float, mutation: tuple[str, str] = ("", "")) -> dict[str, float]:
    """The largest difference to PyTorch in each term and in the gradient, relative to the largest entry."""
    model, (x, epsilon) = fresh(hidden), batch(1)
    terms = objectives.elbo_terms(model, x, torch.Generator().manual_seed(1))
    terms.total(beta).mean().backward()
    expected = {
        "distortion": terms.distortion.mean().detach(),
        "rate": terms.rate.mean().detach(),
        "gradient": torch.cat([p.grad.flatten() for p in model.parameters()]),
    }
    found = in_javascript(page, model, GRADIENT, mutation, x=x, epsilon=epsilon, beta=beta)
    assert expected["gradient"].abs().gt(1e-6).double().mean() > 0.5, "a gradient of zeros would prove nothing"
    return {
        key: float((torch.tensor(found[key], dtype=torch.float64) - value).abs().max() / value.abs().max())
        for key, value in expected.items()
    }


@pytest.mark.parametrize("beta", [0.0, 1.0, 4.0])
@pytest.mark.parametrize("hidden", [(32,), (16, 12), ()])
def test_terms_and_gradients_are_those_of_pytorch(hidden, beta, page):
    differences = gap(page, hidden, beta)
    assert max(differences.values()) < 1e-10, differences


@pytest.mark.parametrize(
    "mutation",
    [
        ("dz + (beta * mean) / rows", "dz"),
        ("* deviation) / 2 + (beta", "* deviation) + (beta"),
        ("(beta * (deviation * deviation - 1)) / (2 * rows)", "0"),
        ("(beta * (deviation * deviation - 1)) / (2 * rows)", "(beta * (deviation * deviation - 1)) / rows"),
        ("= dLogVar * slope", "= dLogVar"),
        ("inverse ** 3", "inverse"),
        ("dz + (beta * mean) / rows", "dz + mean / rows"),
        ("- x[k]) / rows;", "- x[k]);"),
        ("(hidden && output[at] === 0)", "false"),
        ("biasGradient[o] += slope;", ""),
        ("dz * epsilon[n * latent + j]", "dz * epsilon[n * latent]"),
    ],
    ids=lambda pair: f"{pair[0]} -> {pair[1]}",
)
def test_a_wrong_gradient_is_noticed(mutation, page):
    assert gap(page, (32,), 4.0, mutation)["gradient"] > 1e-4


def test_gradients_agree_with_finite_differences(page):
    """Without PyTorch: the loss itself, moved a little in single parameters of every layer."""
    model, (x, epsilon) = fresh(), batch(2)
    worst = in_javascript(
        page,
        model,
        """
        const loss = () => { const t = elboAndGradient(vae, x, epsilon, rows, beta); return t.distortion + beta * t.rate; };
        loss();
        const gradient = vae.gradient.slice(), h = 1e-6, largest = gradient.reduce((a, g) => Math.max(a, Math.abs(g)), 0);
        let worst = 0;
        for (let k = 3; k < gradient.length; k += 37) {
            const kept = vae.theta[k];
            vae.theta[k] = kept + h;
            const up = loss();
            vae.theta[k] = kept - h;
            const slope = (up - loss()) / (2 * h);
            vae.theta[k] = kept;
            worst = Math.max(worst, Math.abs(slope - gradient[k]) / largest);
        }
        return worst;
        """,
        x=x,
        epsilon=epsilon,
        beta=2.0,
    )
    assert worst < 1e-6


@pytest.mark.parametrize("mutation", [("", ""), ("0.999 ** steps", "0.99 ** steps"), ("+ 1e-8", "+ 1e-3")])
def test_after_many_steps_the_weights_are_those_of_pytorch(mutation, page):
    model, batches, steps = fresh(spread=1.0), [batch(k) for k in range(5)], 40
    xs, epsilons = (torch.cat([pair[i].flatten() for pair in batches]) for i in (0, 1))
    found = in_javascript(
        page,
        model,
        """
        for (let k = 0; k < steps; k++) {
            const part = (all, length) => Float64Array.from(all.slice((k % 5) * length, (k % 5 + 1) * length));
            elboAndGradient(vae, part(xs, rows * 64), part(epsilons, rows * 2), rows, 1.5);
            adamStep(vae, 0.01);
        }
        return Array.from(vae.theta);
        """,
        mutation,
        xs=xs,
        epsilons=epsilons,
        steps=steps,
    )
    before = parameters_to_vector(model.parameters()).detach().clone()
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    for k in range(steps):
        optimizer.zero_grad()
        generator = torch.Generator().manual_seed(k % 5)
        objectives.elbo_terms(model, batches[k % 5][0], generator).total(1.5).mean().backward()
        optimizer.step()
    after = parameters_to_vector(model.parameters()).detach()
    difference = (torch.tensor(found, dtype=torch.float64) - after).abs().max()
    assert (after - before).abs().max() > 0.1
    assert (difference > 1e-4) if mutation[0] else (difference < 1e-8)


def test_encodings_and_decodings_are_those_of_pytorch(page):
    model, (x, epsilon) = fresh(), batch(3)
    body = """
        const { means, deviations } = encodeRows(vae, x, rows);
        return [means, deviations, decodeRows(vae, z, rows)].map((values) => Array.from(values));
    """
    found = in_javascript(page, model, body, x=x, z=epsilon)
    with torch.no_grad():
        q = model.encode(x).base_dist
        expected = [q.loc, q.scale, model.decode(epsilon[0]).mean]
    for values, value in zip(found, expected, strict=True):
        assert np.allclose(values, value.flatten().numpy(), rtol=1e-10, atol=1e-12)


def test_a_seed_decides_the_run_and_an_epoch_shows_every_picture_once(page):
    body = """
        const pictures = Uint8Array.from({ length: 40 * 64 }, (_, k) => (k * 7919) % 3 === 0 ? 1 : 0);
        const run = (seed) => {
            const training = makeTraining(pictures, { pixels: 64, hidden: [8], latent: 2, batch: 8, rows: 1, seed });
            for (let k = 0; k < 12; k++) training.update(1, 0.01);
            return Array.from(training.vae.theta);
        };
        const numbered = Uint8Array.from({ length: 40 }, (_, k) => k);
        const training = makeTraining(numbered, { pixels: 1, hidden: [], latent: 1, batch: 8, rows: 1, seed: 5 });
        const seen = [];
        for (let k = 0; k < 10; k++) { training.update(0, 0); seen.push(...training.vae.encoder[0].input); }
        const { pair, uniform } = randomNumbers(3);
        const draw = (f) => Array.from({ length: 100000 }, f);
        return { same: [run(1), run(1), run(2)], seen, normals: draw(pair), uniforms: draw(uniform) };
    """
    found = in_javascript(page, fresh(), body)
    first, again, other = found["same"]
    assert first == again != other
    epochs = [found["seen"][:40], found["seen"][40:]]
    assert all(sorted(epoch) == list(range(40)) for epoch in epochs) and epochs[0] != epochs[1]
    first, second = np.array(found["normals"]).T
    assert np.corrcoef(first, second)[0, 1] == pytest.approx(0, abs=0.015)
    for values, mean, variance in ((first, 0, 1), (second, 0, 1), (found["uniforms"], 0.5, 1 / 12)):
        assert np.mean(values) == pytest.approx(mean, abs=0.015)
        assert np.var(values) == pytest.approx(variance, rel=0.02)
    assert np.mean(first**4) == pytest.approx(3, rel=0.05) == np.mean(second**4)


# The view.


@pytest.fixture(scope="session")
def digits() -> Any:
    return data.load("digits")


@pytest.fixture
def opened(digits: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Page], Page]:
    """`opened(page)`: the page with the widget on it, as the book's build makes it."""
    monkeypatch.setenv("AE_STATIC", "1")
    monkeypatch.setattr(views, "_on_page", set())
    view = widgets.vae_in_page(
        digits.train.images, digits.train.labels, classes=(0, 1, 3, 4, 6, 7), count=600, codes=100
    )
    address = write(tmp_path / "page.html", view)
    return lambda page: load(page, address)


def button(page: Page, name: str) -> Locator:
    return page.get_by_role("button", name=name, exact=name != "Reset")


def updates(page: Page) -> int:
    return int(page.locator("ae-view .number").inner_text().split()[0].replace(",", ""))


def reading(page: Page, row: int) -> float:
    return float(page.locator("ae-view td").nth(row).inner_text())


def train_to(page: Page, count: int, name: str = "Start") -> None:
    button(page, name).click()
    deadline = time.monotonic() + 120
    while updates(page) < count:
        assert time.monotonic() < deadline, f"only {updates(page)} updates"
        page.wait_for_timeout(50)
    button(page, "Pause").click()


def choose(page: Page, slider: str, step: int) -> None:
    page.get_by_role("slider", name=slider).evaluate(
        "(input, step) => { input.value = step; input.dispatchEvent(new Event('input')); }", step
    )


def test_it_trains_pauses_and_is_reset(opened, page):
    opened(page)
    assert updates(page) == 0
    page.wait_for_timeout(300)
    assert updates(page) == 0, "it waits for the reader"
    untrained = page.locator("ae-view canvas").evaluate_all("all => all.map((canvas) => canvas.toDataURL())")
    train_to(page, 300)
    trained = updates(page)
    assert reading(page, 2) < 0.7 * 64 * np.log(2), "a fair coin for every pixel costs 44 nats"
    assert reading(page, 2) == pytest.approx(reading(page, 0) + reading(page, 1), abs=0.11)
    page.wait_for_timeout(400)
    assert updates(page) == trained
    assert f"Paused after {trained:,}" in page.locator("ae-view [role=status]").inner_text()
    button(page, "Reset").first.click()
    assert updates(page) == 0
    reset = page.locator("ae-view canvas").evaluate_all("all => all.map((canvas) => canvas.toDataURL())")
    assert [a == b for a, b in zip(reset, untrained, strict=True)] == [True] * len(untrained), "same seed, same weights"
    page.get_by_role("button", name="New seed").click()
    assert page.locator("ae-view").get_by_text("seed 1", exact=True).is_visible()
    assert page.locator("ae-view canvas").evaluate_all("all => all.map((canvas) => canvas.toDataURL())") != untrained
    assert page.errors == [] and page.foreign == []


def test_its_canvases_keep_their_sizes_while_the_numbers_beside_them_grow(opened, page):
    opened(page)

    empty, full, absurd = page.evaluate(
        """() => {  // at once: the next drawing writes the readings anew
            const root = document.querySelector('ae-view').firstChild.shadowRoot;
            const sizes = () => [...root.querySelectorAll('canvas')].map((c) => [c.clientWidth, c.clientHeight]);
            return [null, '1234.5', '123456789.1'].map((text) => {
                if (text) for (const cell of root.querySelectorAll('td')) cell.textContent = text;
                return sizes();
            });
        }"""
    )
    assert empty == full != absurd, "the table and the chart share a row"


def test_beta_moves_the_rate_and_the_learning_rate_the_pace(opened, page):
    opened(page)
    rate = {}
    for name, step in (("start", 8), ("high", 14), ("zero", 0)):
        choose(page, "β", step)
        train_to(page, updates(page) + 500, "Start" if name == "start" else "Go on")
        rate[name] = reading(page, 1)
    assert rate["high"] < 0.5 < 1.5 < rate["start"] < rate["zero"]
    assert page.get_by_role("slider", name="β").get_attribute("aria-valuetext") == "0"
    button(page, "Reset").first.click()
    choose(page, "β", 8)
    choose(page, "learning rate", 0)
    train_to(page, 300)
    assert reading(page, 2) > 40, "at a hundredth of the learning rate 300 updates do little"
    assert page.errors == []


def test_the_keyboard_starts_and_pauses_it(opened, page):
    opened(page)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_timeout(500)
    page.keyboard.press("Space")
    count = updates(page)
    page.wait_for_timeout(300)
    assert count > 0 and updates(page) == count
    for _ in range(3):
        page.keyboard.press("Tab")
    page.keyboard.press("ArrowRight")
    assert page.get_by_role("slider", name="β").get_attribute("aria-valuetext") == "1.5"


def test_it_rests_while_it_is_out_of_view(opened, page):
    opened(page)
    button(page, "Start").click()
    page.wait_for_timeout(300)
    page.evaluate("document.querySelector('main').style.paddingTop = '5000px'")
    page.wait_for_timeout(400)
    resting = updates(page)
    page.wait_for_timeout(400)
    assert 0 < resting == updates(page)
    page.evaluate("document.querySelector('main').style.paddingTop = ''")
    page.wait_for_timeout(400)
    assert updates(page) > resting


def test_its_voice_is_not_a_stream(opened, page):
    """A screen reader hears of the training every few seconds, not at every drawing."""
    opened(page)
    page.evaluate(
        """() => {
            const status = document.querySelector('ae-view').firstChild.shadowRoot.querySelector('[role=status]');
            window.said = [];
            new MutationObserver(() => said.push(status.textContent)).observe(status, { childList: true });
        }"""
    )
    button(page, "Start").click()
    page.wait_for_timeout(2500)
    assert len(page.evaluate("said")) <= 2


def test_a_live_kernel_starts_it_and_hears_of_it(digits, page):
    """The module Jupyter would get, with a model that records what would go to Python."""
    live = widgets.vae_in_page(digits.train.images, digits.train.labels, count=200, codes=50)
    state = {key: value for key, value in live.get_state().items() if not key.startswith("_")}
    for key in ("layout", "tabbable", "tooltip"):
        state.pop(key, None)
    state = {key: list(bytes(v)) if isinstance(v, bytes | memoryview) else v for key, v in state.items()}
    page.set_content("<!doctype html><html lang=en><body><div id=here></div></body></html>")
    result = page.evaluate(
        """async ([source, state]) => {
            for (const key of ["pictures", "labels"]) state[key] = new DataView(Uint8Array.from(state[key]).buffer);
            const listeners = {}, told = [];
            const model = {
                get: (key) => state[key],
                set: (key, value) => { state[key] = value; for (const f of listeners['change:' + key] ?? []) f(); },
                save_changes: () => told.push(state.updates),
                on: (event, f) => (listeners[event] ??= new Set()).add(f),
                off: (event, f) => listeners[event].delete(f),
            };
            const pause = (ms) => new Promise((done) => setTimeout(done, ms));
            const { default: view } = await import(URL.createObjectURL(new Blob([source], { type: 'text/javascript' })));
            const el = document.getElementById('here'), close = await view.render({ model, el });
            model.set('running', true);  // as when Python sets a trait
            await pause(2500);
            const times = told.length;
            model.set('running', false);
            await pause(100);
            const last = told.at(-1);
            model.set('seed', 7);
            const after = state.updates;
            model.set('learning_rate', 1e308);  // no slider goes there
            model.set('running', true);
            await pause(800);
            const said = el.firstChild.shadowRoot.querySelector('[role=status]').textContent, failed = !state.running;
            close();
            const left = el.children.length, listening = Object.values(listeners).map((s) => s.size);
            return { times, last, after, said, failed, left, listening };
        }""",
        [live._esm, state],
    )
    assert 1 <= result["times"] <= 5 and result["last"] > 0
    assert result["after"] == 0, "another seed begins anew"
    assert result["failed"] and "no longer a finite number" in result["said"]
    assert result["left"] == 0 and set(result["listening"]) == {0}


def test_the_page_unpacks_the_pictures_that_python_packed(opened, digits, page):
    opened(page)
    train_to(page, 1)
    kept = torch.isin(digits.train.labels, torch.tensor([0, 1, 3, 4, 6, 7]))
    first = in_page.tiny_digits(digits.train.images[kept][digits.train.labels[kept] == 0][:1])[0, 0]
    drawn = page.locator("ae-view figure", has_text="binary digits").locator("canvas")
    ink = drawn.evaluate("canvas => Array.from(canvas.getContext('2d').getImageData(0, 0, 8, 8).data)")
    assert (np.array(ink).reshape(8, 8, 4)[..., 0] < 128).tolist() == first.bool().tolist()
