"""Updates a second of the VAE that is trained in the page, in a headless Chromium.

    python benchmarks/vae_in_browser.py [--rounds 5] [--batch-size 64]

Two speeds: of bare updates (forward, backward and Adam in a loop), and of the widget at full pace, with all its drawings.
The book promises 30 a second. Medians over rounds.
"""

import argparse
import os
import shutil
import statistics
import tempfile
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from autoencoders import data, views, widgets

FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]


def bare(page: Page, batch: int) -> float:
    """Updates a second of the arithmetic alone, after a warm-up."""
    return page.evaluate(
        f"""(batch) => {{
            {views.source("tiny_vae")}
            const pictures = Uint8Array.from({{ length: 1500 * 64 }}, (_, k) => ((k * 7919) % 10 < 4 ? 1 : 0));
            const training = makeTraining(pictures, {{ pixels: 64, hidden: [32], latent: 2, batch, rows: 1, seed: 0 }});
            const run = (count) => {{ for (let k = 0; k < count; k++) training.update(1, 0.01); }};
            run(200);
            const began = performance.now();
            run(1000);
            return 1e6 / (performance.now() - began);
        }}""",
        batch,
    )


def shown(page: Page) -> float:
    """Updates a second of the widget, from 1,500 updates on: before that it goes slowly on purpose."""
    page.get_by_role("button", name="Start").click()
    seconds = """async (count) => {
        const number = document.querySelector('ae-view').firstChild.shadowRoot.querySelector('.number');
        const updates = () => parseInt(number.textContent.replaceAll(',', ''));
        const until = async (more) => {
            while (updates() < more) await new Promise(requestAnimationFrame);
            return [performance.now(), updates()];
        };
        const [from, first] = await until(1500), [to, last] = await until(1500 + count);
        return [to - from, last - first];
    }"""
    took, made = page.evaluate(seconds, 2000)
    return 1e3 * made / took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch-size", type=int, default=64)
    arguments = parser.parse_args()
    os.environ["AE_STATIC"] = "1"
    digits = data.load("digits").train
    html = widgets.vae_in_page(digits.images, digits.labels, batch_size=arguments.batch_size)._repr_html_()
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        path = Path(folder, "page.html")
        path.write_text(f'<!doctype html><html lang="en"><meta charset="utf-8"><body>{html}</body></html>', "utf-8")
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        speeds: dict[str, list[float]] = {"bare updates": [], "with drawings": []}
        for _ in range(arguments.rounds):
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            page.goto(path.as_uri())
            page.wait_for_function("'ready' in document.querySelector('ae-view').dataset")
            speeds["bare updates"].append(bare(page, arguments.batch_size))
            speeds["with drawings"].append(shown(page))
            page.close()
        browser.close()
    print(f"4,420 parameters, batches of {arguments.batch_size} binary digits of 8 x 8 pixels")
    for name, values in speeds.items():
        spread = f"{min(values):,.0f} to {max(values):,.0f}"
        print(f"{name:14} {statistics.median(values):7,.0f} updates a second   (of {len(values)} rounds, {spread})")


if __name__ == "__main__":
    main()
