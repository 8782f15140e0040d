"""Draw the README's picture from a trained model: `python book/_ext/readme_picture.py`.

A test image, its place among the codes of a digit autoencoder with two latents, and its reconstruction.
"""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import autoencoders as ae

TARGET = Path(__file__).resolve().parents[1] / "_assets" / "diagrams" / "readme.svg"
STYLE = """
text { font: 15px system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; fill: #3b424a }
.formula { font: italic 17px Georgia, "Times New Roman", serif }
.arrow { stroke: #6b747e; stroke-width: 1.6; fill: none } .head { fill: #6b747e }
.chosen { fill: #e69f00; stroke: #22262b }
.tile { fill: #ffffff; stroke: #c9ced4 }
@media (prefers-color-scheme: dark) {
  text { fill: #c8ced5 } .arrow { stroke: #98a1ab } .head { fill: #98a1ab } .chosen { stroke: #ffffff }
}
"""


def tile(image: torch.Tensor, x: float, y: float, size: float) -> str:
    """One image, dark on a white tile."""
    gray = (255 * (1 - image.clamp(0, 1))).round().byte().numpy()
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(gray)).resize((112, 112), Image.Resampling.NEAREST).save(
        file, "png", optimize=True
    )
    data = base64.b64encode(file.getvalue()).decode()
    return (
        f'<rect class="tile" x="{x - 4:g}" y="{y - 4:g}" width="{size + 8:g}" height="{size + 8:g}" rx="8"/>'
        f'<image x="{x:g}" y="{y:g}" width="{size:g}" height="{size:g}" href="data:image/png;base64,{data}"/>'
    )


def arrow(x: float, y: float, to: float) -> str:
    return f'<path class="arrow" d="M{x} {y}H{to - 6}"/><path class="head" d="M{to} {y}l-8 -4.5v9z"/>'


def label(x: float, y: float, text: str, kind: str = "") -> str:
    return f'<text x="{x:g}" y="{y:g}" text-anchor="middle" class="{kind}">{text}</text>'


def picture() -> str:
    images = ae.data.load("digits").test.images
    model, _ = ae.recipes.get("ae-digits-2").trained(seed=0)
    model.eval()
    with torch.no_grad():
        codes = model.encode(images)
        pictures = model.decode(codes)
    error = ((pictures - images) ** 2).mean((1, 2, 3))
    labels = ae.data.load("digits").test.labels
    chosen = int(torch.where(labels == 3, error, torch.inf).argsort()[5])
    low, high = codes.quantile(0.01, dim=0), codes.quantile(0.99, dim=0)
    inside = ((codes > low) & (codes < high)).all(1)
    points = (codes - low) / (high - low) * torch.tensor([180.0, -180.0]) + torch.tensor([330.0, 220.0])
    dots = "".join(f'<circle cx="{x:.0f}" cy="{y:.0f}" r="2"/>' for x, y in points[inside][:420].tolist())
    x, y = points[chosen].tolist()
    return "".join(
        (
            '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 840 290" role="img" aria-label="A handwritten three enters an '
            "encoder, becomes one point among the codes of other digits in a plane, and leaves the decoder as a slightly "
            f'smoother three."><style>{STYLE}</style>',
            tile(images[chosen, 0], 20, 74, 112),
            label(76, 216, "image"),
            label(76, 240, "x", "formula"),
            arrow(146, 130, 178),
            '<path d="M186 70l104 34v52l-104 34z" fill="#0072b2"/>',
            label(238, 216, "encoder"),
            label(238, 240, "f", "formula"),
            '<rect x="314" y="24" width="212" height="212" rx="8" fill="#e69f00" fill-opacity=".12" stroke="#e69f00"/>',
            f'<g fill="#e69f00" fill-opacity=".55">{dots}</g>',
            f'<circle cx="{x:.0f}" cy="{y:.0f}" r="7" class="chosen" stroke-width="2.5"/>',
            label(420, 258, "code: two numbers"),
            label(420, 282, "z", "formula"),
            '<path d="M550 104l104 -34v120l-104 -34z" fill="#009e73"/>',
            label(602, 216, "decoder"),
            label(602, 240, "g", "formula"),
            arrow(660, 130, 692),
            tile(pictures[chosen, 0], 704, 74, 112),
            label(760, 216, "reconstruction"),
            label(760, 240, "g(f(x))", "formula"),
            arrow(292, 130, 312),
            arrow(528, 130, 548),
            "</svg>\n",
        )
    )


if __name__ == "__main__":
    TARGET.write_text(picture(), encoding="utf-8")
    print(f"{TARGET} ({TARGET.stat().st_size / 1024:.0f} kB)")
