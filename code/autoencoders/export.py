"""PyTorch networks as a few kilobytes that a page's JavaScript can run.

`pack` turns a chain of layers into a manifest (JSON-able: what to do) and a blob (bytes: the weights), which
`_js/decoder.js` executes. Images are stored height x width x channel there, so the rows or columns of a fully connected
layer beside an image are reordered here, once, and the page never transposes. A convolution of stride 1 is a transposed
convolution with its kernel turned by 180 degrees; the page knows only the transposed one.
"""

from collections.abc import Iterable
from math import prod
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from autoencoders import networks
from autoencoders.models import BernoulliPixels, ExpectedBernoulliPixels

_LEVELS = {"int8": 127, "int6": 31}
"""Steps on either side of zero; int6 is stored as int8 and compresses to three quarters of it."""

LARGEST = 250_000
"""Parameters a packed network may have: beyond it the page is slow to load and to answer."""

_CHAINS = (
    networks.MLPEncoder,
    networks.MLPDecoder,
    networks.ConvDecoder,
    networks.ResidualDecoder,
    networks.MapDecoder,
)
_SUPPORTED = (
    "Linear, ConvTranspose2d, Conv2d with stride 1, ReLU, GELU, Sigmoid, Flatten, Unflatten, Identity, Sequential, "
    "ResidualBlock, " + ", ".join(kind.__name__ for kind in _CHAINS)
)


class _Blob:
    """Appends arrays to one byte string, each on a four-byte boundary, and describes where they lie."""

    def __init__(self, dtype: str) -> None:
        self.data, self.dtype = bytearray(), dtype

    def add(self, values: Tensor, *, channel: int | None = None) -> dict[str, Any]:
        """Store `values`; int8 needs `channel`, the axis with one scale an entry. Without it int8 falls back to float16."""
        array = values.detach().to("cpu", torch.float32).numpy()
        if self.dtype == "float32":
            return self._append(array, "float32")
        if self.dtype == "float16" or channel is None:
            return self._append(array.astype(np.float16), "float16")
        others = tuple(axis for axis in range(array.ndim) if axis != channel)
        scale = np.abs(array).max(axis=others, keepdims=True).astype(np.float32) / _LEVELS[self.dtype]
        scale[scale == 0] = 1
        entry = self._append(np.rint(array / scale).astype(np.int8), "int8")
        return entry | {"scale": self._append(scale, "float32"), "last": channel == array.ndim - 1}

    def _append(self, array: np.ndarray, dtype: str) -> dict[str, Any]:
        self.data.extend(b"\0" * (-len(self.data) % 4))
        entry = {"dtype": dtype, "offset": len(self.data), "size": array.size}
        self.data.extend(array.astype(array.dtype.newbyteorder("<")).tobytes())
        return entry


def painter(model: Any) -> nn.Module:
    """From a code to the mean picture: the decoder, behind it a sigmoid where its output are logits."""
    logits = isinstance(getattr(model, "likelihood", None), (BernoulliPixels, ExpectedBernoulliPixels))
    return nn.Sequential(model.decoder, nn.Sigmoid()) if logits else model.decoder


def pack(
    module: nn.Module,
    dtype: str = "int8",
    *,
    shape: tuple[int, int, int] | None = None,
    subtract: Tensor | None = None,
    add: Tensor | None = None,
) -> tuple[dict[str, Any], bytes]:
    """Write a chain of layers down for the page.

    Args:
        module: an encoder or decoder of `networks`, or an `nn.Sequential` of the layers they are made of.
        dtype: `"int8"` (one float scale an output channel, biases in float16), the coarser `"int6"`, `"float16"` or
            `"float32"`.
        shape: (c, h, w) of the input where the module takes images; without it the input is a vector.
        subtract, add: pictures taken from the input and put onto the output, such as an autoencoder's `mean`.

    Returns:
        The manifest and the weights. The manifest's `output` is `[h, w, c]`, or `[n]` for a vector.

    Raises:
        TypeError: a layer the page cannot run; the message names it and lists those it can.
        ValueError: an unknown `dtype`, more than 250,000 parameters, or layers that do not fit one another.
    """
    if dtype not in (*_LEVELS, "float16", "float32"):
        raise ValueError(f"dtype must be 'int8', 'int6', 'float16' or 'float32', not {dtype!r}")
    count = sum(p.numel() for p in module.parameters())
    if count > LARGEST:
        raise ValueError(
            f"a network for the page may have at most {LARGEST:,} parameters, but this one has {count:,}; train one with "
            "smaller hidden layers for the widget, for example hidden=(128,)"
        )
    blob = _Blob(dtype)
    layers, grid, size = _walk(_flat(module), blob, shape, prod(shape) if shape else None)
    if subtract is not None:
        layers.insert(0, {"op": "add", "values": blob.add(-subtract.permute(1, 2, 0))})
    if add is not None:
        layers.append({"op": "add", "values": blob.add(add.permute(1, 2, 0))})
    first = next((layer["in"] for layer in layers if "in" in layer), 0)
    output = [grid[1], grid[2], grid[0]] if grid else [size]
    return {"input": prod(shape) if shape else first, "output": output, "layers": layers}, bytes(blob.data)


def _flat(module: nn.Module) -> Iterable[nn.Module]:
    """The layers of a chain in order, residual blocks kept whole."""
    if isinstance(module, _CHAINS):
        module = module.net
    if isinstance(module, nn.Sequential):
        for layer in module:
            yield from _flat(layer)
    else:
        yield module


def _walk(
    chain: Iterable[nn.Module], blob: _Blob, grid: tuple[int, int, int] | None, size: int | None
) -> tuple[list[dict[str, Any]], tuple[int, int, int] | None, int | None]:
    """Describe each layer; `grid` is the running (c, h, w) while the values are an image, `size` their number.

    `flattened` remembers the image a vector was made from, since its entries keep the page's order h, w, c.
    """
    layers: list[dict[str, Any]] = []
    flattened: tuple[int, int, int] | None = None
    chain = list(chain)
    for index, layer in enumerate(chain):
        match layer:
            case nn.Identity():
                pass
            case nn.Flatten():
                if grid is None and not layers:
                    raise ValueError("a network that takes images needs their shape: pack(module, shape=(c, h, w))")
                flattened, grid = grid, None
            case nn.Unflatten():
                made = tuple(int(n) for n in layer.unflattened_size)
                if len(made) != 3 or prod(made) != size or flattened not in (None, made):
                    raise ValueError(
                        f"Unflatten must make an image (c, h, w) of the {size} values before it, not {made}"
                    )
                grid = made
                flattened = None
            case nn.Linear():
                if grid is not None or size not in (None, layer.in_features):
                    raise ValueError(
                        f"{layer} needs a vector of its size, but gets {grid or size}; put a Flatten before it"
                    )
                weight, bias = layer.weight, layer.bias
                if flattened is not None:
                    weight = weight[:, _channels_last(flattened)]
                target = _next_image(chain[index + 1 :])
                if target is not None:
                    order = _channels_last(target)
                    weight, bias = weight[order], None if bias is None else bias[order]
                layers.append({"op": "dense", "in": layer.in_features, "out": layer.out_features})
                layers[-1] |= _weights(blob, weight, bias, channel=0)
                flattened, size = None, layer.out_features
            case nn.Conv2d() | nn.ConvTranspose2d():
                description, grid = _convolution(layer, blob, grid)
                layers.append(description)
                size = prod(grid)
            case networks.ResidualBlock():
                inner, _, _ = _walk(_flat(layer.net), blob, grid, size)
                layers.append({"op": "residual", "layers": inner})
            case nn.ReLU():
                layers.append({"op": "relu"})
            case nn.Sigmoid():
                layers.append({"op": "sigmoid"})
            case nn.GELU():
                layers.append({"op": "gelu" if layer.approximate == "none" else "gelu_tanh"})
            case _:
                raise TypeError(f"the page cannot run a {type(layer).__name__}; it can run {_SUPPORTED}")
    return layers, grid, size


def _next_image(rest: Iterable[nn.Module]) -> tuple[int, int, int] | None:
    """The image that a vector becomes before anything but an activation touches it."""
    for layer in rest:
        if isinstance(layer, nn.Unflatten):
            return tuple(int(n) for n in layer.unflattened_size)  # type: ignore[return-value]
        if not isinstance(layer, nn.ReLU | nn.GELU | nn.Sigmoid | nn.Identity):
            return None
    return None


def _channels_last(shape: tuple[int, int, int]) -> Tensor:
    """Where entry (y, x, c) of the page's order lies in PyTorch's order (c, y, x)."""
    return torch.arange(prod(shape)).reshape(shape).permute(1, 2, 0).flatten()


def _weights(blob: _Blob, weight: Tensor, bias: Tensor | None, *, channel: int) -> dict[str, Any]:
    return {"weight": blob.add(weight, channel=channel)} | ({} if bias is None else {"bias": blob.add(bias)})


def _convolution(
    layer: nn.Conv2d | nn.ConvTranspose2d, blob: _Blob, grid: tuple[int, int, int] | None
) -> tuple[dict[str, Any], tuple[int, int, int]]:
    """A transposed convolution for the page, its weight ordered (in, y, x, out)."""
    name = type(layer).__name__
    (k, k2), (s, s2), padding = layer.kernel_size, layer.stride, layer.padding
    plain = layer.groups == 1 and set(layer.dilation) == {1} and k == k2 and s == s2
    zeros = not isinstance(padding, str) and padding[0] == padding[1] and layer.padding_mode == "zeros"
    if not plain or not zeros:
        raise TypeError(f"the page runs square, dense {name} layers with zero padding, not {layer}")
    if isinstance(layer, nn.Conv2d) and s != 1:
        raise TypeError(f"the page runs Conv2d with stride 1 only, not {layer}; it can run {_SUPPORTED}")
    if isinstance(layer, nn.ConvTranspose2d) and set(layer.output_padding) != {0}:
        raise TypeError(f"the page runs ConvTranspose2d without output padding, not {layer}")
    if grid is None or grid[0] != layer.in_channels:
        raise ValueError(
            f"{layer} needs an image of {layer.in_channels} channels before it, but gets {grid or 'a vector'}"
        )
    p = int(padding[0])
    if isinstance(layer, nn.Conv2d):
        weight, p = layer.weight.flip(2, 3).permute(1, 2, 3, 0), k - 1 - p
    else:
        weight = layer.weight.permute(0, 2, 3, 1)
    c, h, w = grid
    after = (layer.out_channels, (h - 1) * s - 2 * p + k, (w - 1) * s - 2 * p + k)
    description = {"op": "transposed", "from": [h, w, c], "to": [after[1], after[2], after[0]], "kernel": k}
    description |= {"stride": s, "padding": p} | _weights(blob, weight.contiguous(), layer.bias, channel=3)
    return description, after
