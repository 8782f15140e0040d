"""Quantizers: the nearest code, which loss moves what, and moving averages that neither leak nor jump."""

import math
import socket

import pytest
import torch
from torch import distributed as dist
from torch import multiprocessing as mp

from autoencoders import codebooks, quantizers


def seeded(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(params=["gradient", "moving average"])
def codebook(request) -> quantizers.Codebook:
    torch.manual_seed(0)
    kind = quantizers.GradientCodebook if request.param == "gradient" else quantizers.MovingAverageCodebook
    made = kind(8, 3)
    made.initialize(seeded(4, 3, 5, 5))
    return made


def test_the_nearest_code_is_nearest():
    z, codes = seeded(500, 7), seeded(40, 7, seed=1)
    brute = (z[:, None].double() - codes.double()).square().sum(2).argmin(1)
    assert torch.equal(quantizers.nearest_code(z, codes), brute)


def test_a_common_offset_changes_no_choice():
    """T8: |z|^2 + |c|^2 - 2 z.c in float32 gets nearly all of these wrong."""
    z, codes = 1e-3 * seeded(3000, 64), 1e-3 * seeded(512, 64, seed=1)
    moved = (30 + z, 30 + codes)
    exact = torch.cdist(moved[0].double(), moved[1].double()).argmin(1)
    assert torch.equal(quantizers.nearest_code(*moved), exact)
    naive = (moved[1].square().sum(1) - 2 * moved[0] @ moved[1].T).argmin(1)
    assert (naive == exact).float().mean() < 0.5


def test_of_equal_codes_the_first_is_chosen_and_chunks_make_no_difference(monkeypatch):
    codes = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    assert quantizers.nearest_code(torch.tensor([[0.0, 2.0]]), codes).tolist() == [1]
    z, codes = seeded(101, 4), seeded(9, 4, seed=1)
    whole = quantizers.nearest_code(z, codes)
    monkeypatch.setattr(codebooks, "_CHUNK", 20)
    assert torch.equal(quantizers.nearest_code(z, codes), whole)
    assert quantizers.nearest_code(z[:0], codes).shape == (0,)


def test_indices_and_values_are_inverse_and_keep_the_places(codebook):
    z = seeded(2, 3, 4, 5)
    quantized = codebook(z) if isinstance(codebook, quantizers.GradientCodebook) else codebook.eval()(z)
    assert quantized.indices.shape == (2, 4, 5)
    assert torch.allclose(codebook.values(quantized.indices), quantized.values, atol=1e-6)
    assert torch.equal(codebook.indices(codebook.values(quantized.indices)), quantized.indices)


def test_losses_are_per_example_and_squared_distances(codebook):
    z = seeded(3, 3, 2, 2)
    quantized = codebook.eval()(z)
    distance = (codebook.values(quantized.indices) - z).square().flatten(1).sum(1)
    assert torch.allclose(quantized.codebook_loss, distance)
    assert torch.allclose(quantized.commitment_loss, distance)
    alone = codebook(z[1:2])
    assert torch.allclose(alone.commitment_loss, quantized.commitment_loss[1:2])


@pytest.mark.parametrize(
    "make",
    [
        lambda: quantizers.GradientCodebook(8, 3),
        lambda: quantizers.StochasticCodebook(8, 3),
        lambda: quantizers.ResidualQuantizer([quantizers.GradientCodebook(8, 3) for _ in range(3)]),
    ],
    ids=["gradient", "stochastic", "residual"],
)
def test_which_loss_moves_what(make):
    """T4, T5: reconstruction moves encoder and decoder, the codebook loss the codes, commitment the encoder."""
    torch.manual_seed(0)
    encoder, decoder = torch.nn.Conv2d(1, 3, 1), torch.nn.Conv2d(3, 1, 1)
    codebook = make()
    codebook.initialize(seeded(4, 3, 5, 5))
    x = seeded(2, 1, 5, 5)

    def moved(beta: float = 1.0) -> dict[str, dict[str, float]]:
        found = {}
        for name in ("reconstruction", "codebook", "commitment"):
            for module in (encoder, decoder, codebook):
                module.zero_grad(set_to_none=True)
            torch.manual_seed(1)
            quantized = codebook(encoder(x))
            losses = {
                "reconstruction": (decoder(quantized.values) - x).square().sum(),
                "codebook": quantized.codebook_loss.sum(),
                "commitment": beta * quantized.commitment_loss.sum(),
            }
            losses[name].backward()
            parts = {"encoder": encoder.weight, "decoder": decoder.weight}
            parts |= {f"codes {i}": codes for i, codes in enumerate(codebook.parameters())}
            found[name] = {k: 0.0 if p.grad is None else p.grad.norm().item() for k, p in parts.items()}
        return found

    table = moved()
    assert {name: [part for part, size in row.items() if size > 0] for name, row in table.items()} == {
        "reconstruction": ["encoder", "decoder"],
        "codebook": [f"codes {i}" for i, _ in enumerate(codebook.parameters())],
        "commitment": ["encoder"],
    }
    tripled = moved(beta=3.0)
    assert tripled["commitment"]["encoder"] == pytest.approx(3 * table["commitment"]["encoder"])
    assert tripled["codebook"] == table["codebook"]


def test_the_gradient_passes_straight_through(codebook):
    z = seeded(2, 3, 4, 4).requires_grad_()
    weights = seeded(2, 3, 4, 4, seed=5)
    (codebook.eval()(z).values * weights).sum().backward()
    assert torch.equal(z.grad, weights)


def test_a_gradient_step_on_the_codebook_loss_goes_toward_the_cluster_means():
    torch.manual_seed(0)
    codebook, z = quantizers.GradientCodebook(4, 2), seeded(50, 2)
    codebook.initialize(z)
    optimizer = torch.optim.SGD(codebook.parameters(), lr=0.01)
    for _ in range(300):
        optimizer.zero_grad()
        quantized = codebook(z)
        quantized.codebook_loss.sum().backward()
        optimizer.step()
    indices = codebook.indices(z)
    for k in indices.unique():
        assert torch.allclose(codebook.codes[k], z[indices == k].mean(0), atol=1e-3)


# Moving averages


def average(**options) -> quantizers.MovingAverageCodebook:
    torch.manual_seed(0)
    return quantizers.MovingAverageCodebook(6, 2, **options)


def test_sums_over_counts_are_the_codes_from_the_start():
    """T6: averages that start from zero throw every code that is not chosen at once far away."""
    for codebook in (average(), average()):
        assert torch.equal(codebook.sums / codebook.counts[:, None], codebook.codes)
        codebook.initialize(seeded(100, 2))
        assert torch.equal(codebook.sums / codebook.counts[:, None], codebook.codes)


def test_a_code_that_is_not_chosen_stays_and_the_others_go_to_their_vectors():
    codebook = average(decay=0.9)
    codebook.codes.copy_(torch.tensor([[0.0, 0], [4, 0], [0, 4], [-4, 0], [0, -4], [9, 9]]))
    codebook.sums.copy_(codebook.codes)
    z = torch.tensor([[3.0, 0.0], [3.0, 1.0], [0.0, 3.0]])
    before = codebook.codes.clone()
    for _ in range(200):
        codebook(z)
    assert torch.equal(codebook.codes[[0, 3, 4, 5]], before[[0, 3, 4, 5]])
    assert torch.allclose(codebook.codes[1], torch.tensor([3.0, 0.5]), atol=1e-3)
    assert torch.allclose(codebook.codes[2], torch.tensor([0.0, 3.0]), atol=1e-3)


def test_smoothing_keeps_the_total_and_is_not_written_back():
    codebook = average(decay=0.5, smoothing=1.0)
    z = seeded(40, 2)
    codebook(z)
    expected = 0.5 * 6 + 0.5 * 40
    assert codebook.counts.sum().item() == pytest.approx(expected)
    codebook(z)
    assert codebook.counts.sum().item() == pytest.approx(0.5 * expected + 0.5 * 40)
    used = torch.bincount(codebook.indices(z), minlength=6) > 0
    smoothed = codebook.sums / codebook.codes
    total = codebook.counts.sum()
    wanted = (codebook.counts + 1) * total / (total + 6)
    assert torch.allclose(smoothed[used][:, 0], wanted[used], rtol=1e-4)


def test_evaluation_changes_nothing_and_training_quantizes_before_it_moves():
    codebook, z = average(decay=0.0), seeded(30, 2)
    before = {name: value.clone() for name, value in codebook.state_dict().items()}
    quantized = codebook.eval()(z)
    assert all(torch.equal(before[name], value) for name, value in codebook.state_dict().items())
    trained = codebook.train()(z)
    assert torch.equal(trained.values, quantized.values), "with the codes it found"
    assert not torch.equal(codebook.codes, before["codes"])


def test_a_code_out_of_use_starts_anew_with_new_statistics():
    """T7: a revived code with its old sums is thrown back at the next step."""
    codebook = average(decay=0.5, restart=0.1)
    codebook.codes[5] = codebook.sums[5] = 1000.0
    z = seeded(40, 2)
    for _ in range(8):
        codebook(z)
    assert codebook.codes[5].norm() < 5
    dead = average(decay=0.5, restart=0.1)
    dead.codes[5] = dead.sums[5] = 1000.0
    dead.counts[5] = 0.15
    dead(z)
    assert any(torch.equal(dead.codes[5], vector) for vector in z)
    assert torch.equal(dead.sums[5], dead.codes[5]) and dead.counts[5] == 1


def test_restarts_are_a_function_of_the_seed():
    z = seeded(40, 2)

    def run(seed: int) -> torch.Tensor:
        codebook = average(decay=0.5, restart=4.0, seed=seed)
        torch.manual_seed(seed + 100)
        for _ in range(5):
            codebook(z)
        return codebook.codes

    assert torch.equal(run(1), run(1))
    assert not torch.equal(run(1), run(2))


def test_k_means_on_the_first_training_batch_starts_the_codes_once():
    z = seeded(30, 2, 4)
    by_hand, lazy = average(seed=3), average(start="k-means", seed=3)
    lazy.eval()(z)
    assert not lazy.started and torch.equal(lazy.codes, average().codes), "evaluation starts nothing"
    by_hand.initialize(z, seed=3)
    quantized = lazy.train()(z)
    assert torch.equal(quantized.indices, by_hand.indices(z))
    assert torch.equal(quantized.codebook_loss, by_hand(z).codebook_loss)
    assert torch.equal(lazy.codes, by_hand.codes) and torch.equal(lazy.sums, by_hand.sums)
    resumed = average(start="k-means", seed=3)
    resumed.load_state_dict(lazy.state_dict())
    for codebook in (lazy, resumed, by_hand):
        codebook(seeded(30, 2, 4, seed=9))
    assert torch.equal(lazy.codes, by_hand.codes), "the second batch moves the codes as any other"
    assert torch.equal(resumed.codes, by_hand.codes)


def test_a_start_by_k_means_is_a_function_of_its_seed_and_looks_at_so_many_vectors(monkeypatch):
    z = seeded(500, 2)

    def started(seed: int) -> torch.Tensor:
        torch.manual_seed(seed + 50)
        codebook = quantizers.MovingAverageCodebook(6, 2, start="k-means", seed=seed)
        codebook(z)
        return codebook.codes

    assert torch.equal(started(1), started(1)) and not torch.equal(started(1), started(2))
    monkeypatch.setattr(codebooks, "_START", 6)
    codebook = quantizers.MovingAverageCodebook(6, 2, start="k-means", decay=0.0)
    codebook._start(z)
    assert all(any(torch.allclose(code, vector) for vector in z) for code in codebook.codes), (
        "six centers of six vectors"
    )


def test_perplexity_is_of_pooled_counts():
    """T7: averaged over batches that use two codes each it would be 2."""
    batches = [torch.tensor([2 * i, 2 * i + 1] * 8) for i in range(4)]
    counts = sum(torch.bincount(batch, minlength=8) for batch in batches)
    assert quantizers.pooled_perplexity(counts) == pytest.approx(8)
    assert quantizers.pooled_perplexity(torch.bincount(batches[0], minlength=8)) == pytest.approx(2)
    with pytest.raises(ValueError, match="at least one map"):
        quantizers.pooled_perplexity(torch.zeros(3))


def _process(rank: int, world: int, port: int, folder: str, start: str) -> None:
    dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=world)
    codebook = average(decay=0.8, restart=0.05, start=start)
    for step in range(6):
        z = seeded(40, 2, seed=step)
        codebook(z.chunk(world)[rank])
    torch.save(codebook.state_dict(), f"{folder}/{rank}.pt")
    dist.destroy_process_group()


@pytest.mark.parametrize("start", ["uniform", "k-means"])
def test_two_processes_move_one_codebook(tmp_path, start):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    mp.spawn(_process, (2, port, str(tmp_path), start), nprocs=2)
    found = [torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2)]
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])
    alone = average(decay=0.8, restart=0.05)
    if start == "k-means":
        alone.initialize(seeded(40, 2).chunk(2)[0])  # process 0's
    for step in range(6):
        alone(seeded(40, 2, seed=step))
    assert torch.allclose(alone.codes, found[0]["codes"], atol=1e-5)


# Scalars


def test_scalar_quantization_has_every_code_of_the_grid():
    quantizer = quantizers.ScalarQuantizer((3, 4, 2))
    every = torch.arange(24)
    values = quantizer.values(every)
    assert quantizer.size == 24 and len(values.unique(dim=0)) == 24
    assert values.min() == -1 and values.max() == 1
    inside = torch.atanh(values.double() * 0.95)
    quantized = quantizer(inside.float())
    assert torch.equal(quantized.indices, every)
    assert torch.allclose(quantized.values, values, atol=1e-6)
    assert quantized.codebook_loss.tolist() == [0.0] * 24


def test_scalar_quantization_lets_the_gradient_of_the_bound_through():
    z = seeded(2, 2, 3).requires_grad_()
    quantizers.ScalarQuantizer((5, 5))(z).values.sum().backward()
    assert torch.allclose(z.grad, 1 - torch.tanh(z.detach()).square(), atol=1e-6)


def residual(*more: quantizers.Codebook) -> quantizers.ResidualQuantizer:
    return quantizers.ResidualQuantizer([quantizers.GradientCodebook(4, 2), quantizers.GradientCodebook(4, 2), *more])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: quantizers.GradientCodebook(0, 4), "at least one code"),
        (lambda: quantizers.MovingAverageCodebook(4, 0), "at least one code"),
        (lambda: quantizers.MovingAverageCodebook(4, 2, decay=1.0), "from 0 to below 1"),
        (lambda: quantizers.MovingAverageCodebook(4, 2, restart=-1), "at least 0"),
        (lambda: quantizers.MovingAverageCodebook(4, 2, start="zero"), '"uniform" or by "k-means", not \'zero\''),
        (
            lambda: quantizers.MovingAverageCodebook(4, 2, start="k-means")(torch.zeros(1, 2, 3)),
            "needs as many vectors, not 3",
        ),
        (lambda: quantizers.GradientCodebook(4, 2).initialize(torch.zeros(6, 4)), r"a map is \(b, 2, "),
        (
            lambda: quantizers.GradientCodebook(4, 2)(torch.zeros(2, 3, 4)),
            r"a map is \(b, 2, \.\.\.\), not \(2, 3, 4\)",
        ),
        (lambda: quantizers.GradientCodebook(4, 2).values(torch.tensor([[0, 4]])), "codes, 0 to 3, but .* 0 to 4"),
        (lambda: quantizers.GradientCodebook(4, 2).values(torch.tensor([[-1]])), "from -1 to -1"),
        (lambda: quantizers.GradientCodebook(4, 2).initialize(torch.zeros(3, 2)), "needs as many vectors, not 3"),
        (lambda: quantizers.nearest_code(torch.zeros(3, 2), torch.zeros(0, 2)), "at least one"),
        (lambda: quantizers.nearest_code(torch.zeros(3, 2), torch.zeros(4, 3)), "as long as a code, 3 numbers"),
        (lambda: quantizers.StochasticCodebook(0, 2), "at least one code"),
        (lambda: quantizers.StochasticCodebook(4, 2, temperature=0.0), "positive number; .* sample=False: not 0.0"),
        (lambda: quantizers.StochasticCodebook(4, 2, temperature=math.nan), "positive number"),
        (lambda: quantizers.StochasticCodebook(4, 2)(torch.zeros(2, 3)), r"a map is \(b, 2, \.\.\.\)"),
        (lambda: quantizers.StochasticCodebook(4, 2).probabilities(torch.zeros(2, 3)), r"a map is \(b, 2, \.\.\.\)"),
        (lambda: residual().initialize(torch.zeros(3, 2)), "needs as many vectors, not 3"),
        (lambda: quantizers.ResidualQuantizer([]), r"at least one, .* not of lengths \[\]"),
        (lambda: residual(quantizers.GradientCodebook(4, 3)), r"of one length, not of lengths \[2, 2, 3\]"),
        (lambda: residual()(torch.zeros(2, 3)), r"a map is \(b, 2, \.\.\.\)"),
        (lambda: residual().indices(torch.zeros(2, 3)), r"a map is \(b, 2, \.\.\.\)"),
        (lambda: residual().values(torch.zeros(2, 3, dtype=torch.int64)), r"2 stages .* not \(2, 3\)"),
        (lambda: residual().values(torch.zeros(2, 0, dtype=torch.int64)), r"2 stages .* not \(2, 0\)"),
        (lambda: residual().values(torch.full((1, 2), 4)), "codes, 0 to 3, but"),
        (lambda: quantizers.ScalarQuantizer(()), "at least two levels"),
        (lambda: quantizers.ScalarQuantizer((4, 1)), "at least two levels"),
        (lambda: quantizers.ScalarQuantizer((4, 4))(torch.zeros(2, 3)), r"is \(b, 2, \.\.\.\)"),
        (lambda: quantizers.ScalarQuantizer((4, 4)).values(torch.tensor([16])), "there are 16 codes"),
    ],
)
def test_bad_input_is_refused_with_what_to_do(make, message):
    with pytest.raises(ValueError, match=message):
        make()
