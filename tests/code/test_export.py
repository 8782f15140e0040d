"""What the page can run is packed faithfully, what it cannot is refused by name. The page's side is in tests/browser."""

import json
import zlib

import numpy as np
import pytest
import torch
from torch import nn

from autoencoders import export, networks

SHAPE = (3, 8, 8)


def unpack(entry: dict, blob: bytes) -> np.ndarray:
    """An array as the page reads it."""
    kind = {"int8": np.int8, "float16": np.float16, "float32": np.float32}[entry["dtype"]]
    return np.frombuffer(blob, kind, entry["size"], entry["offset"])


def test_float32_keeps_every_bit_and_int8_stays_within_half_a_step():
    layer = nn.Linear(5, 7)
    for dtype in ("float32", "int8"):
        manifest, blob = export.pack(nn.Sequential(layer), dtype)
        (packed,) = manifest["layers"]
        values = unpack(packed["weight"], blob).reshape(7, 5)
        weight = layer.weight.detach().numpy()
        if dtype == "float32":
            assert (values == weight).all()
            assert (unpack(packed["bias"], blob) == layer.bias.detach().numpy()).all()
        else:
            scale = unpack(packed["weight"]["scale"], blob)[:, None]
            assert np.abs(values * scale - weight).max() <= 0.51 * scale.max()


def test_the_manifest_is_json_and_says_the_size_of_input_and_output():
    manifest, blob = export.pack(networks.ConvDecoder(SHAPE, 2, channels=(4, 6), hidden=10))
    assert json.loads(json.dumps(manifest)) == manifest
    assert (manifest["input"], manifest["output"]) == (2, [8, 8, 3])
    assert [layer["op"] for layer in manifest["layers"]] == [
        "dense",
        "relu",
        "dense",
        "relu",
        "transposed",
        "relu",
        "transposed",
    ]
    assert len(blob) > 0


def test_int8_takes_about_a_byte_a_parameter():
    decoder = networks.MLPDecoder((1, 28, 28), 2, hidden=(128, 64))
    size = {dtype: len(export.pack(decoder, dtype)[1]) for dtype in ("int8", "float16", "float32")}
    count = networks.parameter_count(decoder)
    assert size["int8"] < 1.1 * count < size["float16"] < 2.1 * count < size["float32"] < 4.1 * count


def test_int6_is_int8_in_sixty_three_steps_and_compresses_better():
    layer = nn.Linear(64, 200)
    blobs = {dtype: export.pack(nn.Sequential(layer), dtype) for dtype in ("int8", "int6")}
    manifest, blob = blobs["int6"]
    packed = manifest["layers"][0]["weight"]
    assert packed["dtype"] == "int8", "the page reads it as it reads int8"
    values, scale = unpack(packed, blob).reshape(200, 64), unpack(packed["scale"], blob)[:, None]
    assert np.abs(values).max() == 31
    assert np.abs(values * scale - layer.weight.detach().numpy()).max() <= 0.51 * scale.max()
    size = {dtype: len(zlib.compress(blob, 9)) for dtype, (_, blob) in blobs.items()}
    assert size["int6"] < 0.85 * size["int8"]


def test_an_all_zero_channel_packs_to_zeros():
    layer = nn.Linear(4, 2)
    with torch.no_grad():
        layer.weight[1] = 0
    manifest, blob = export.pack(layer)
    assert (unpack(manifest["layers"][0]["weight"], blob).reshape(2, 4)[1] == 0).all()


def image(*shape: int) -> list[nn.Module]:
    return [nn.Linear(2, shape[0] * shape[1] * shape[2]), nn.Unflatten(1, shape)]


@pytest.mark.parametrize(
    ("layers", "name"),
    [
        ([nn.Linear(2, 3), nn.Tanh()], "Tanh"),
        ([*image(3, 4, 4), nn.BatchNorm2d(3)], "BatchNorm2d"),
        ([networks.PatchTransformerDecoder((1, 8, 8), 2, width=8, heads=2)], "PatchTransformerDecoder"),
        ([*image(3, 4, 4), nn.Conv2d(3, 3, 3, stride=2)], "Conv2d"),
        ([*image(4, 4, 4), nn.Conv2d(4, 4, 3, groups=2)], "Conv2d"),
        ([*image(3, 4, 4), nn.ConvTranspose2d(3, 3, 4, 2, output_padding=1)], "ConvTranspose2d"),
    ],
)
def test_an_unsupported_layer_is_named_with_what_the_page_runs(layers, name):
    with pytest.raises(TypeError, match=rf"page .*runs? .*{name}|cannot run a {name}; it can run Linear"):
        export.pack(nn.Sequential(*layers))


def test_too_many_parameters_are_refused_with_the_limit_and_the_count():
    decoder = networks.MLPDecoder((1, 28, 28), 16, hidden=(400,))
    with pytest.raises(ValueError, match=r"250,000 parameters.*321,184"):
        export.pack(decoder)


def test_layers_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="Flatten"):
        export.pack(nn.Sequential(nn.Linear(2, 5), nn.Linear(4, 3)))
    with pytest.raises(ValueError, match="Unflatten"):
        export.pack(nn.Sequential(nn.Linear(2, 5), nn.Unflatten(1, (1, 2, 2))))
    with pytest.raises(ValueError, match="image of 3 channels"):
        export.pack(nn.Sequential(nn.Linear(2, 3), nn.ConvTranspose2d(3, 1, 4)))
    with pytest.raises(ValueError, match="shape"):
        export.pack(networks.MLPEncoder(SHAPE, 2, hidden=(8,)))
    with pytest.raises(ValueError, match="float16"):
        export.pack(nn.Linear(2, 2), "int4")
