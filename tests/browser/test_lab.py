"""The chapters as notebooks in JupyterLab: all of each is rendered, and widgets and training panels run in a kernel."""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from playwright.sync_api import Browser, Page, Route, expect

from teaching import notebooks

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 60_000  # milliseconds, for a machine that does much else
SETTINGS = {
    "@jupyterlab/notebook-extension:tracker": {"windowingMode": "none"},  # every cell is on the page, seen or not
    "@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False},
}
RENDERED = """([path, markdown]) => {
    const panel = [...(window.jupyterapp?.shell.widgets("main") ?? [])].find((one) => one.context?.path === path);
    if (!panel?.context.isReady) return false;
    const rendered = [...panel.content.node.querySelectorAll(".jp-MarkdownOutput")];
    return rendered.length === markdown && rendered.every((cell) => cell.childElementCount);
}"""
# What of the page is not as its Markdown says. Mathematics and attachments come later than the text: it waits for them.
FAULTS = r"""async ([path, expected]) => {
    const panel = [...window.jupyterapp.shell.widgets("main")].find((one) => one.context?.path === path);
    const cells = [...panel.content.node.querySelectorAll(".jp-MarkdownOutput")];
    const all = (selector) => cells.flatMap((cell) => [...cell.querySelectorAll(selector)]);
    const prose = () => cells.map((cell) => {
        const copy = cell.cloneNode(true);
        copy.querySelectorAll("code, pre, mjx-container").forEach((element) => element.remove());
        return copy.textContent;
    });
    const blank = () => all("img").filter((image) => !image.naturalWidth);
    for (let k = 0; k < 100 && (blank().length || prose().some((text) => text.includes("$"))); k++)
        await new Promise((resolve) => setTimeout(resolve, 100));
    const raw = /\{[a-z][\w:+-]*\}|:::|```|^\([\w-]+\)=|^:[a-z-]+: |\$|\\[a-z]+|\*\*|\+\+\+|\]\(|<\/?[a-z]+|\| *---/gim;
    const faults = prose().flatMap((text) => [...text.matchAll(raw)].map((found) =>
        `markup: ${text.slice(Math.max(0, found.index - 30), found.index + 40)}`));
    faults.push(...blank().map((image) => `picture: ${image.alt.slice(0, 60)}`));
    const wrong = "mjx-merror, [data-mjx-error], [data-mml-node=merror], [style*='color: red'], [mathcolor=red]";
    faults.push(...all(wrong).map((element) => `mathematics: ${element.closest("mjx-container")?.textContent}`));
    for (const [tag, count] of Object.entries(expected))
        if (all(tag).length !== count) faults.push(`${all(tag).length} <${tag}>, not ${count}`);
    panel.dispose();
    return faults;
}"""


@dataclass(frozen=True)
class Lab:
    """A JupyterLab server: where it is, and the folder it shows."""

    address: str
    token: str
    folder: Path

    def url(self, notebook: str) -> str:
        return f"{self.address}/lab/tree/{notebook}?token={self.token}"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A server of its own, on the notebooks of all chapters; it asks nothing of another host."""
    home, folder = tmp_path_factory.mktemp("jupyter"), tmp_path_factory.mktemp("notebooks")
    notebooks.write(ROOT, folder, notebooks.Addresses(), only_notebooks=True)
    settings = home / "config" / "labconfig" / "default_setting_overrides.json"
    settings.parent.mkdir(parents=True)
    settings.write_text(json.dumps(SETTINGS))
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("AE_", "JUPYTER"))}
    own = {"JUPYTER_CONFIG_DIR": "config", "JUPYTER_DATA_DIR": "data", "JUPYTER_RUNTIME_DIR": "runtime"}
    own |= {"IPYTHONDIR": "ipython", "AE_CACHE": "models"}
    kept |= {"PYTHONPATH": str(ROOT / "code")}  # the package that is tested is the one beside these tests
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    lab = Lab(f"http://127.0.0.1:{port}", secrets.token_hex(8), folder)
    options = {
        "ServerApp.ip": "127.0.0.1",
        "ServerApp.port": port,
        "ServerApp.port_retries": 0,
        "ServerApp.root_dir": folder,
        "ServerApp.allow_root": True,
        "IdentityProvider.token": lab.token,
        "LabApp.extension_manager": "readonly",
        "LabApp.expose_app_in_browser": True,
    }
    command = [
        sys.executable,
        "-m",
        "jupyterlab",
        "--no-browser",
        *(f"--{key}={value}" for key, value in options.items()),
    ]
    with (home / "log").open("w") as log:
        environment = kept | {key: str(home / name) for key, name in own.items()}
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
    try:
        _until_it_answers(lab, server, home / "log")
        yield lab
    finally:
        server.terminate()  # which ends its kernels too
        server.wait(60)


def _until_it_answers(lab: Lab, server: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + PATIENCE / 1000
    while server.poll() is None and time.monotonic() < end:
        try:
            urllib.request.urlopen(f"{lab.address}/api/status?token={lab.token}", timeout=5).close()
            return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    pytest.fail(f"JupyterLab does not answer:\n{log.read_text()[-2000:]}")


@pytest.fixture(scope="module")
def desk(lab: Lab, chromium: Browser, watched: Callable[[Page], Page]) -> Iterator[Page]:
    """A page with JupyterLab on it, which starts no kernels: there are many notebooks to read."""

    def configure(route: Route) -> None:
        started, asked = route.fetch(), '"notebookStartsKernel": %s'
        assert asked % "true" in started.text()
        route.fulfill(response=started, body=started.text().replace(asked % "true", asked % "false"))

    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    page = watched(context.new_page())
    page.route("**/lab?token=*", configure)
    page.set_default_timeout(PATIENCE)
    page.goto(f"{lab.address}/lab?token={lab.token}")
    page.wait_for_function("window.jupyterapp?.shell.currentWidget != null")
    yield page
    context.close()


def faults(desk: Page, lab: Lab, name: str) -> list[str]:
    """What is wrong with the Markdown of a notebook, which is opened and closed."""
    cells = [cell for cell in nbformat.read(lab.folder / name, as_version=4).cells if cell.cell_type == "markdown"]
    desk.evaluate("async (path) => { await window.jupyterapp.commands.execute('docmanager:open', { path }); }", name)
    desk.wait_for_function(RENDERED, arg=[name, len(cells)])
    lines = [line for cell in cells for line in cell.source.splitlines()]
    expected = {"table": sum(line.startswith("| ---") or line.startswith("|---") for line in lines)}
    expected |= {"img": sum(line.startswith("![") for line in lines)}
    return desk.evaluate(FAULTS, [name, expected])


def test_every_notebook_is_rendered_whole(lab, desk):
    names = sorted(path.relative_to(lab.folder).as_posix() for path in lab.folder.glob("book/**/*.ipynb"))
    found = {name: faults(desk, lab, name) for name in names if ".ipynb_checkpoints" not in name}
    assert len(found) > 15
    assert {name: wrong for name, wrong in found.items() if wrong} == {}
    assert not desk.foreign, "a notebook asked another host for something"


SPOILED = [
    ("As {eq}`eq-a` says.", "markup: As {eq}"),
    ("(sec-a)=\n\nText.", "markup: (sec-a)="),
    (":::{note}\nText.\n:::", "markup: :::{note}"),
    ("Half a formula, $$x.", "markup: Half a formula"),
    (r"Half a fraction, $\frac{1$.", "markup: Half a fraction"),
    (r"$\nosuchcommand x$", "mathematics: "),
    ("![A box](attachment:missing.svg)", "picture: A box"),
    ("| a |\n| --- | --- |\n", "0 <table>, not 1"),
]


def test_what_is_not_rendered_is_noticed(lab, desk):
    cells = [new_markdown_cell(markdown) for markdown, _ in SPOILED]
    nbformat.write(new_notebook(cells=cells, metadata=notebooks.METADATA), lab.folder / "spoiled.ipynb")
    found = faults(desk, lab, "spoiled.ipynb")
    missed = [said for _, said in SPOILED if not any(fault.startswith(said) for fault in found)]
    assert missed == [], found


def test_a_widget_and_a_training_panel_answer_to_the_reader_and_to_python(lab, open_page):
    """The cells of a chapter that make them, run as they are; what Python knows of them is asked in a cell below."""
    page = open_page(height=1400)
    page.set_default_timeout(PATIENCE)
    chapter = nbformat.read(lab.folder / "book/autoencoders/linear.ipynb", as_version=4)
    needed = ("setup", "ae.widgets.principal_components(", "ae.widgets.training_panel(")
    code = [cell for cell in chapter.cells if cell.cell_type == "code"]
    cells = [c for c in code if any(word in c.source or word in c.metadata.get("tags", ()) for word in needed)]
    assert len(cells) == 3
    cells[0]["source"] += '\ntwo = ae.recipes.get("linear-digits-2", DATA)'  # the chapter names it where it trains long
    path = lab.folder / "live.ipynb"
    asked = new_code_cell("print('m', Out[2].m, 'epochs', len(Out[3].history.records), Out[3].recipe.epochs)")
    nbformat.write(new_notebook(cells=[*cells, asked], metadata=chapter.metadata), path)
    page.goto(lab.url(path.name))
    page.wait_for_function(RENDERED, arg=[path.name, 0])
    expect(page.get_by_text("Python 3 (ipykernel) | Idle")).to_be_visible(timeout=PATIENCE)
    page.errors.clear()
    for number in range(3):
        run(page, number)

    slider = page.get_by_role("slider", name="components added")
    picture = page.locator(".jp-Cell").nth(1).locator("canvas").nth(-2)
    before = slider.input_value(), drawn(picture)
    slider.focus()
    for _ in range(3):
        slider.press("ArrowRight")
    expect(slider).to_have_value(str(int(before[0]) + 3))
    assert drawn(picture) != before[1]

    panel = page.locator(".jp-Cell").nth(2)
    epochs = panel.locator(".widget-slider", has_text="epochs").locator(".widget-readout")
    epochs.fill("40")
    epochs.press("Enter")
    expect(panel.locator(".widget-slider", has_text="epochs").locator(".widget-readout")).to_have_text("40")
    untrained = drawn(panel.locator("canvas").first)
    status, shown = panel.locator("p[role=status]"), panel.locator("output")
    expect(shown).to_have_text("not started")
    shown.evaluate(
        """(node) => {
            const watched = { subtree: true, childList: true, characterData: true };
            window.said = new Set();
            new MutationObserver(() => said.add(node.textContent)).observe(node, watched);
        }"""
    )
    panel.get_by_role("button", name="Start").click()
    expect(status).to_contain_text("Done. Epoch 40:", timeout=PATIENCE)
    said = page.evaluate("[...said]")
    assert len(said) > 2, f"training was not to be seen: {said}"
    assert drawn(panel.locator("canvas").first) != untrained
    expect(panel.get_by_role("button", name="Start")).to_be_enabled()

    run(page, 3)
    expect(page.locator(".jp-Cell").nth(3).locator(".jp-OutputArea-output")).to_have_text(
        f"m {int(before[0]) + 3} epochs 40 40"
    )
    assert not page.errors and not page.foreign


def drawn(canvas: Any) -> str:
    """What is on a canvas."""
    return canvas.evaluate("(canvas) => canvas.toDataURL()")


def run(page: Page, number: int) -> None:
    """Run one cell of the notebook, as a reader does, and wait for its end."""
    cell = page.locator(".jp-Notebook .jp-Cell").nth(number)
    cell.locator(".jp-InputArea-prompt").click()
    page.keyboard.press("Control+Enter")
    expect(cell.locator(".jp-InputArea-prompt")).to_have_text(f"[{number + 1}]:", timeout=PATIENCE)
    assert cell.locator("[data-mime-type='application/vnd.jupyter.error']").count() == 0, cell.inner_text()
