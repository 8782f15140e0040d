"""Vector-quantized autoencoders, with one map of codes and with several."""

import pytest
import torch

from autoencoders import autoregressive, networks, objectives, priors, quantizers, training, vqvae

SHAPE = (1, 16, 16)


def one_map(codebook: quantizers.Codebook | None = None) -> vqvae.VQVAE:
    torch.manual_seed(0)
    codebook = codebook or quantizers.GradientCodebook(8, 4)
    with torch.no_grad():
        codebook.codes.copy_(torch.randn(codebook.codes.shape))
    return vqvae.VQVAE(networks.MapEncoder(SHAPE, 4, (8, 8)), networks.MapDecoder(SHAPE, 4, (8, 8)), codebook)


def hierarchy(levels: int = 2) -> vqvae.HierarchicalVQVAE:
    torch.manual_seed(0)
    books = [quantizers.GradientCodebook(8, 4) for _ in range(levels)]
    with torch.no_grad():
        for book in books:
            book.codes.copy_(torch.randn(8, 4))
    return vqvae.HierarchicalVQVAE(SHAPE, books, (1,) * levels, channels=8)


@pytest.fixture
def x() -> torch.Tensor:
    return torch.rand(6, *SHAPE, generator=torch.Generator().manual_seed(1))


def test_a_picture_is_what_its_indices_decode_to(x):
    model = one_map().eval()
    indices = model.indices(x)
    assert indices.shape == (6, 4, 4)
    assert torch.allclose(model.decode_indices(indices), model(x), atol=1e-5)
    assert model.codes(x).shape == (6, 4 * 16)


def test_terms_are_per_example_and_do_not_depend_on_the_batch(x):
    model = one_map().eval()
    terms = objectives.vq_terms(model, x, variance=0.1)
    alone = objectives.vq_terms(model, x[2:3], variance=0.1)
    doubled = objectives.vq_terms(model, torch.cat([x, x]), variance=0.1)
    assert torch.allclose(terms.distortion[2:3], alone.distortion) and torch.allclose(terms.rate[2:3], alone.rate)
    assert torch.allclose(doubled.total().mean(), terms.total().mean())
    expected = (x - model(x)).square().flatten(1).sum(1) / 0.2
    assert torch.allclose(terms.distortion, expected, rtol=1e-5)


def gradients(model: vqvae.VQVAE, loss: torch.Tensor) -> dict[str, float]:
    model.zero_grad()
    loss.backward()
    parts = dict(encoder=model.encoder, codebook=model.quantizer, decoder=model.decoder)
    return {
        name: sum(p.grad.abs().sum().item() for p in part.parameters() if p.grad is not None)
        for name, part in parts.items()
    }


def test_which_part_of_the_loss_moves_which_parameters(x):
    model = one_map()
    moved = {}
    for name in ("reconstruction", "codebook", "commitment"):
        x_hat, (q,) = model.autoencode(x)
        losses = dict(
            reconstruction=objectives.squared_error(x, x_hat), codebook=q.codebook_loss, commitment=q.commitment_loss
        )
        moved[name] = {part for part, size in gradients(model, losses[name].mean()).items() if size > 0}
    assert moved == {"reconstruction": {"encoder", "decoder"}, "codebook": {"codebook"}, "commitment": {"encoder"}}


def test_beta_weights_the_commitment_alone(x):
    """A beta on the codebook loss, as several published losses have it, changes what moves the codes."""
    model = one_map()
    moves = [gradients(model, objectives.vq_terms(model, x, commitment=beta).rate.mean()) for beta in (0.25, 0.5, 1.0)]
    assert moves[0]["codebook"] == pytest.approx(moves[1]["codebook"]) == pytest.approx(moves[2]["codebook"])
    assert moves[1]["encoder"] == pytest.approx(2 * moves[0]["encoder"], rel=1e-4)
    assert moves[2]["encoder"] == pytest.approx(4 * moves[0]["encoder"], rel=1e-4)


def stopped_after(steps: int, model: torch.nn.Module, examples, objective, path, **settings) -> None:
    run = training.steps(model, examples, objective, checkpoint=path, checkpoint_every=1, **settings)
    for _ in range(steps):
        next(run)
    run.close()


@pytest.mark.parametrize("kind", ["codes", "prior"])
def test_a_run_that_was_stopped_ends_with_the_same_bits(kind, tmp_path):
    """Counts, sums, restarts and the start by k-means are in the checkpoint, too."""
    images = torch.rand(40, *SHAPE, generator=torch.Generator().manual_seed(2))

    def fresh() -> torch.nn.Module:
        if kind == "prior":
            torch.manual_seed(0)
            return autoregressive.PixelCNN(5, (3, 4), classes=2, channels=4, layers=2)
        return one_map(quantizers.MovingAverageCodebook(8, 4, start="k-means", restart=2.0))

    if kind == "prior":
        generator = torch.Generator().manual_seed(3)
        examples = torch.randint(5, (40, 3, 4), generator=generator), torch.randint(2, (40,), generator=generator)
        objective = priors.prior_terms
    else:
        examples, objective = images, objectives.vq_terms
    settings = dict(epochs=3, batch_size=8, seed=1, device="cpu")
    whole, parts = fresh(), fresh()
    training.fit(whole, examples, objective, progress=False, **settings)
    stopped_after(7, parts, examples, objective, tmp_path / "run", **settings)
    again = fresh()
    training.fit(again, examples, objective, progress=False, checkpoint=tmp_path / "run", **settings)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name


@pytest.mark.parametrize("levels", [2, 3])
def test_a_hierarchy_decodes_what_it_encodes(x, levels):
    model = hierarchy(levels).eval()
    indices = model.indices(x)
    assert [tuple(map_.shape[1:]) for map_ in indices] == list(model.sizes)
    assert model.sizes == ((4, 4), (8, 8))[:2] if levels == 2 else model.sizes == ((2, 2), (4, 4), (8, 8))
    assert torch.allclose(model.decode_indices(indices), model(x), atol=1e-5)
    assert model.codes(x).shape == (6, sum(4 * h * w for h, w in model.sizes))
    assert objectives.vq_terms(model, x).rate.shape == (6,)


def test_the_picture_depends_on_every_map_and_each_finer_map_on_the_coarser(x):
    model = hierarchy(3).eval()
    indices = list(model.indices(x))
    whole = model.decode_indices(indices)
    for level in range(3):
        changed = [*indices]
        changed[level] = (indices[level] + 1) % 8
        assert not torch.allclose(model.decode_indices(changed), whole)
    features = model.quantize(x)[1].values
    with torch.no_grad():
        model.quantizers[0].codes.add_(1.0)
    assert not torch.equal(model.quantize(x)[1].values, features)


def test_a_map_left_out_is_its_average_code(x):
    model = hierarchy(2).eval()
    top, bottom = model.indices(x)
    mean = model.quantizers[1].codes.mean(0)[None, :, None, None].expand(6, -1, 8, 8)
    expected = model.decode([model.quantizers[0].values(top), mean])
    assert torch.allclose(model.decode_indices([top, None]), expected)
    assert not torch.allclose(model.decode_indices([None, bottom]), expected)


def test_a_finer_prior_is_told_the_coarser_codes_place_by_place(x):
    model = hierarchy(3).eval()
    top, middle, _ = model.indices(x)
    told = model.condition([top, middle])
    assert told.shape == (6, 8, 8, 8)
    assert torch.equal(told[:, :4, ::4, ::4], model.quantizers[0].values(top))
    assert torch.equal(told[:, 4:, 1::2, 1::2], model.quantizers[1].values(middle))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: networks.MapEncoder((1, 30, 28), 4, (8, 8)), "divisible by 4"),
        (lambda: networks.MapDecoder((1, 28, 30), 4, (8, 8)), "divisible by 4"),
        (lambda: vqvae.HierarchicalVQVAE((1, 20, 20), [quantizers.GradientCodebook(4, 2)], (3,)), "divisible by 8"),
        (lambda: vqvae.HierarchicalVQVAE(SHAPE, [quantizers.GradientCodebook(4, 2)], (1, 1)), "1 codebooks"),
        (lambda: one_map().decode_indices(torch.full((1, 4, 4), 8)), "8 codes"),
        (lambda: hierarchy().decode_indices([None, None]), "at least"),
        (lambda: hierarchy().decode_indices([torch.zeros(1, 4, 4, dtype=torch.int64)]), "2 levels"),
        (lambda: hierarchy().condition([]), "first 1 to 1"),
        (lambda: hierarchy()(torch.rand(2, 1, 20, 20)), "pictures of shape"),
        (lambda: objectives.vq_terms(one_map(), torch.rand(2, *SHAPE), variance=0.0), "variance"),
    ],
)
def test_bad_input_is_refused_with_what_to_do(make, message):
    with pytest.raises(ValueError, match=message):
        make()
