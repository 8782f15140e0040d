"""Every encoder fits every decoder, for every picture they accept; what they cannot take they refuse in words."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from autoencoders import evaluation, models, networks

SHAPES = [(1, 28, 28), (3, 32, 32), (2, 8, 20)]
PAIRS = {
    "linear": (networks.MLPEncoder, networks.MLPDecoder, {"hidden": ()}),
    "mlp": (networks.MLPEncoder, networks.MLPDecoder, {"hidden": (20, 10)}),
    "conv": (networks.ConvEncoder, networks.ConvDecoder, {"channels": (4, 6), "hidden": 16}),
    "residual": (networks.ResidualEncoder, networks.ResidualDecoder, {"channels": (4, 6), "hidden": 16, "blocks": 2}),
    "transformer": (
        networks.PatchTransformerEncoder,
        networks.PatchTransformerDecoder,
        {"patch": 4, "width": 16, "depth": 1, "heads": 2},
    ),
}


def build(kind: str, shape, latent: int = 3) -> models.Autoencoder:
    encoder, decoder, options = PAIRS[kind]
    return models.Autoencoder(encoder(shape, latent, **options), decoder(shape, latent, **options))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("first, second", list(itertools.product(PAIRS, repeat=2)))
def test_any_encoder_goes_with_any_decoder(first, second, shape):
    model = models.Autoencoder(build(first, shape).encoder, build(second, shape).decoder)
    for b in (1, 3):
        x = torch.rand(b, *shape)
        z = model.encode(x)
        assert z.shape == (b, 3)
        assert model.decode(z).shape == model(x).shape == x.shape


@pytest.mark.parametrize("kind", PAIRS)
@given(b=st.integers(2, 4), latent=st.integers(1, 9), seed=st.integers(0, 1000))
@settings(max_examples=8, deadline=None)
def test_no_picture_looks_at_its_neighbors_in_the_batch(kind, b, latent, seed):
    torch.manual_seed(seed)
    model, x = build(kind, (1, 8, 8), latent).train(), torch.rand(b, 1, 8, 8)
    with torch.no_grad():
        together, alone = model(x), torch.cat([model(row[None]) for row in x])
    assert torch.allclose(together, alone, atol=1e-5)


@pytest.mark.parametrize("kind", PAIRS)
def test_training_and_evaluation_mode_are_the_same_function(kind):
    model, x = build(kind, (1, 8, 8)), torch.rand(2, 1, 8, 8)
    with torch.no_grad():
        assert torch.allclose(model.train()(x), model.eval()(x), atol=1e-6)


@pytest.mark.parametrize("kind", PAIRS)
def test_every_parameter_receives_a_gradient(kind):
    torch.manual_seed(0)
    model = build(kind, (3, 16, 16))
    (model(torch.rand(4, 3, 16, 16)) - 0.3).square().sum().backward()
    silent = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert silent == []


@pytest.mark.parametrize("kind", PAIRS)
def test_the_output_is_not_squashed(kind):
    torch.manual_seed(0)
    decoder = build(kind, (1, 8, 8)).decoder
    with torch.no_grad():
        list(decoder.parameters())[-1].add_(100.0)  # the last bias, or the last weight
        out = decoder(torch.rand(4, 3) + 1)
    assert out.abs().max() > 5


def test_an_encoder_without_hidden_layers_is_a_linear_map():
    torch.manual_seed(0)
    encoder = networks.MLPEncoder((1, 4, 4), 2, hidden=(), bias=False)
    a, b = torch.rand(2, 5, 1, 4, 4)
    assert torch.allclose(encoder(2 * a - 3 * b), 2 * encoder(a) - 3 * encoder(b), atol=1e-5)
    (weight,) = encoder.parameters()
    assert weight.shape == (2, 16)
    assert torch.allclose(encoder(a), a.flatten(1) @ weight.T, atol=1e-6)


def test_bias_can_be_left_out_everywhere():
    model = build("mlp", (1, 4, 4))
    plain = networks.MLPEncoder((1, 4, 4), 3, (20, 10), bias=False)
    assert networks.parameter_count(model.encoder) - networks.parameter_count(plain) == 20 + 10 + 3


def test_parameter_count_is_right_and_leaves_out_what_is_frozen():
    encoder = networks.MLPEncoder((1, 28, 28), 20, (400,))
    assert networks.parameter_count(encoder) == 784 * 400 + 400 + 400 * 20 + 20
    for p in list(encoder.parameters())[:2]:
        p.requires_grad_(False)
    assert networks.parameter_count(encoder) == 400 * 20 + 20


@pytest.mark.parametrize("hidden", [(), (7,), (9, 5)])
def test_decoders_mirror_encoders(hidden):
    encoder = networks.MLPEncoder((1, 4, 6), 3, hidden, bias=False)
    decoder = networks.MLPDecoder((1, 4, 6), 3, hidden, bias=False)
    shapes = [tuple(p.shape) for p in encoder.parameters()]
    assert [tuple(p.shape)[::-1] for p in decoder.parameters()] == shapes[::-1]


def test_a_residual_network_without_its_corrections_is_the_plain_one():
    torch.manual_seed(0)
    model, x = build("residual", (1, 8, 8)), torch.rand(3, 1, 8, 8)
    plain = build("conv", (1, 8, 8))
    blocks = [m for m in model.modules() if isinstance(m, networks.ResidualBlock)]
    assert len(blocks) == 4
    with torch.no_grad():
        for block in blocks:
            block.net[-1].weight.zero_()
            block.net[-1].bias.zero_()
        for (_, target), (_, source) in zip(_outside_blocks(plain), _outside_blocks(model), strict=True):
            target.copy_(source)
        assert torch.allclose(model(x), plain(x), atol=1e-6)


def _outside_blocks(model):
    inside = {id(p) for m in model.modules() if isinstance(m, networks.ResidualBlock) for p in m.parameters()}
    return [(name, p) for name, p in model.named_parameters() if id(p) not in inside]


def test_the_patch_transformer_mixes_patches():
    torch.manual_seed(0)
    decoder = networks.PatchTransformerDecoder((1, 8, 8), 2, patch=4, width=16, depth=1, heads=2)
    spread = decoder.spread(torch.zeros(1, 2)).unflatten(1, (4, 16)).detach()
    tokens = (spread + decoder.position).detach().requires_grad_()
    out = decoder.norm(decoder.blocks(tokens))
    (gradient,) = torch.autograd.grad(out[0, 0, :3].sum(), tokens)
    assert gradient[0, 3].any()  # the first patch depends on the last


# Bad shapes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["conv", "residual"])
@pytest.mark.parametrize("shape", [(1, 30, 28), (1, 28, 26), (3, 9, 9)])
def test_sides_that_cannot_be_halved_are_refused(kind, shape):
    for network in PAIRS[kind][:2]:
        with pytest.raises(ValueError, match=rf"divisible by 4.*{shape[0]} x {shape[1]} x {shape[2]}"):
            network(shape, 2, channels=(4, 6))


def test_sides_that_cannot_be_cut_into_patches_are_refused():
    for network in PAIRS["transformer"][:2]:
        with pytest.raises(ValueError, match=r"whole patches.*1 x 28 x 30.*patch=4"):
            network((1, 28, 30), 2, patch=4)


@pytest.mark.parametrize("kind", PAIRS)
def test_pictures_of_another_size_do_not_pass_silently(kind):
    model = build(kind, (1, 8, 8))
    for wrong in (torch.rand(2, 1, 8, 12), torch.rand(2, 3, 8, 8), torch.rand(2, 1, 16, 16)):
        with pytest.raises((RuntimeError, ValueError, TypeError)):
            model.encode(wrong)
    with pytest.raises((RuntimeError, ValueError, TypeError)):
        model.decode(torch.rand(2, 4))


# Measuring a model changes nothing (T16) ------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [True, False])
def test_measuring_puts_the_mode_back_and_draws_nothing(mode):
    model, x = build("conv", (1, 8, 8)).train(mode), torch.rand(7, 1, 8, 8)
    before = torch.get_rng_state()
    evaluation.mse(model, x)
    codes = evaluation.in_batches(model.encode, x, batch_size=3)
    assert model.training is mode and torch.equal(torch.get_rng_state(), before)
    assert codes.shape == (7, 3) and not codes.requires_grad
