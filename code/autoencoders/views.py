"""One front-end module, two hosts: Jupyter's widget machinery where a kernel lives, inlined HTML where none does.

A widget is an ES module in `_js/`, `export default {render({model, el})}`, behind the shared `common.js` (and
`decoder.js` where it runs a network). `show` gives it its state: a live `AnyWidget` whose traits Python sees change, or,
while the book is built (the environment says `AE_STATIC=1`), a `StaticView` that carries scripts and arrays in its HTML.
"""

import base64
import hashlib
import json
import os
import zlib
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from typing import Any

import anywidget
import numpy as np
import traitlets
from torch import Tensor

_on_page: set[str] = set()  # the hashes of what this page, that is this kernel, has already inlined


def source(name: str) -> str:
    """The text of one JavaScript file of the package."""
    return (files("autoencoders") / "_js" / f"{name}.js").read_text(encoding="utf-8")


class StaticView:
    """A widget without a kernel: HTML that holds its scripts and its data, and needs no other server or file.

    Scripts and arrays are inlined under the hash of their content, once a page, by the first widget that needs them.
    """

    def __init__(self, modules: list[str], state: dict[str, Any]) -> None:
        self.modules, self.state = modules, state

    def _repr_html_(self) -> str:
        inlined: list[str] = []

        def asset(text: str) -> str:
            name = "ae-" + hashlib.sha256(text.encode()).hexdigest()[:12]
            if name not in _on_page:
                _on_page.add(name)
                # With every < escaped, nothing inside can end the script element or open a comment.
                body = json.dumps(text, ensure_ascii=False).replace("<", "\\u003c")
                inlined.append(f'<script type="text/plain" id="{name}">{body}</script>')
            return name

        def portable(value: Any) -> Any:
            if isinstance(value, bytes):
                return {"bytes": asset(base64.b64encode(zlib.compress(value, 9)).decode())}
            return value

        scripts = " ".join(asset(source(name)) for name in self.modules)
        state = json.dumps({key: portable(value) for key, value in self.state.items()}, allow_nan=False)
        host = source("host")
        if host not in _on_page:
            _on_page.add(host)
            inlined.append(f'<script type="module">\n{host}</script>')
        said = f"{self.state['label']} This figure is interactive and needs JavaScript."
        return (
            f'{"".join(inlined)}<ae-view data-esm="{scripts}" data-state="{escape(state)}">'
            f"<p>{escape(said)}</p></ae-view>"
        )

    def __repr__(self) -> str:
        return f"StaticView({self.modules[-1]}: {self.state['label']})"


def is_static() -> bool:
    """Whether the page being made has no kernel behind it."""
    return os.environ.get("AE_STATIC", "") not in ("", "0")


def show(
    name: str,
    *,
    label: str,
    hint: str,
    state: dict[str, Any],
    user: dict[str, traitlets.TraitType],
    decoder: bool = False,
    scripts: Sequence[str] = (),
) -> Any:
    """The widget of `_js/<name>.js`.

    Args:
        label: one sentence that says what the figure shows, for screen readers and for pages without JavaScript.
        hint: the sentence that tells the reader what to try.
        state: what the module reads: bytes and JSON-able values.
        user: what the reader changes, as traits with their start values; in a live kernel Python sees the changes.
        decoder: whether the module runs a packed network.
        scripts: other files of `_js/` that it builds on.
    """
    state = state | {"label": label, "hint": hint}
    modules = ["common", *(["decoder"] if decoder else []), *scripts, name]
    if is_static():
        return StaticView(modules, state | {key: trait.default() for key, trait in user.items()})
    traits = {key: traitlets.Any(value).tag(sync=True) for key, value in state.items()}
    traits |= {key: trait.tag(sync=True) for key, trait in user.items()}
    esm = "\n".join(map(source, modules))
    kind = type("".join(word.title() for word in name.split("_")), (anywidget.AnyWidget,), {"_esm": esm, **traits})
    return kind()


def picture_bytes(images: Tensor | np.ndarray) -> bytes:
    """Pictures (..., c, h, w) in [0, 1] as bytes in the page's order: height, width, channel."""
    array = np.moveaxis(as_array(images), -3, -1)
    return np.rint(255 * array.clip(0, 1)).astype(np.uint8).tobytes()


def as_array(values: Any) -> np.ndarray:
    """A float32 array of whatever holds the numbers; a tensor may need a gradient or lie on another device."""
    if isinstance(values, Tensor):
        values = values.detach().cpu().numpy()
    return np.asarray(values, dtype=np.float32)


def picture_shape(images: Any, name: str = "images") -> list[int]:
    """Height, width and channels of pictures (n, c, h, w).

    Raises:
        ValueError: it is not a stack of gray or RGB pictures.
    """
    shape = tuple(images.shape)
    if len(shape) != 4 or shape[1] not in (1, 3) or not shape[0]:
        raise ValueError(
            f"{name} must be pictures of shape (n, channels, height, width) with 1 or 3 channels, not {shape}; "
            "a single picture becomes such a stack with picture[None]"
        )
    return [shape[2], shape[3], shape[1]]


def glyphs(names: list[str]) -> list[str]:
    """One mark a class: the name itself where all are single characters, else letters a, b, c, ..."""
    return list(names) if all(len(name) == 1 for name in names) else [chr(ord("a") + k % 26) for k in range(len(names))]


def few_levels(pixels: bytes, levels: int) -> bytes:
    """The same pixels in few gray levels, 0 to levels - 1, which compress to a third."""
    return np.rint(np.frombuffer(pixels, np.uint8) / 255 * (levels - 1)).astype(np.uint8).tobytes()
