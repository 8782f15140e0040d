"""Codes drawn by distance, against exact probabilities; codebooks in a row, each for what the others left."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from autoencoders import codebooks, quantizers


def seeded(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# Stochastic


def stochastic(codes: torch.Tensor, temperature: float) -> quantizers.StochasticCodebook:
    made = quantizers.StochasticCodebook(*codes.shape, temperature=temperature)
    made.codes.data.copy_(codes)
    return made


@pytest.mark.parametrize(("offset", "spread"), [(0.0, 1.0), (30.0, 1e-3)])
def test_codes_are_drawn_with_probability_proportional_to_exp_of_minus_distance(offset, spread):
    """Each share of 20,000 draws is within 4.5 standard errors of its probability, which is found in double precision."""
    n, temperature = 20_000, 2.0 * spread**2
    codes, vectors = offset + spread * seeded(7, 3), offset + spread * seeded(4, 3, seed=1)
    distance = torch.cdist(vectors.double(), codes.double()).square()
    exact = (-distance / temperature).softmax(1)
    codebook = stochastic(codes, temperature)
    assert torch.allclose(codebook.probabilities(vectors).double(), exact, atol=1e-5)
    drawn = codebook(vectors[:, :, None].expand(-1, -1, n), generator=generator()).indices
    shares = torch.nn.functional.one_hot(drawn, 7).double().mean(1)
    assert ((shares - exact).abs() <= 4.5 * (exact * (1 - exact) / n).sqrt()).all()
    assert exact.amax(1).max() < 0.95, "or else there is little to draw"


def test_draws_are_a_function_of_the_generator_and_not_of_the_mode():
    codebook, z = stochastic(seeded(8, 3), 1.0), seeded(2, 3, 5, 5)
    first = codebook(z, generator=generator(1))
    torch.manual_seed(5)
    assert torch.equal(codebook.eval()(z, generator=generator(1)).indices, first.indices)
    assert not torch.equal(codebook(z, generator=generator(2)).indices, first.indices)
    assert first.indices.shape == (2, 5, 5)


def test_without_sampling_and_at_a_small_temperature_the_nearest_is_chosen(monkeypatch):
    codes, z = seeded(40, 5), seeded(3, 5, 20)
    nearest = quantizers.GradientCodebook(40, 5)
    nearest.codes.data.copy_(codes)
    expected = nearest(z)
    warm, cold = stochastic(codes, 100.0), stochastic(codes, 1e-12)
    assert (warm(z, generator=generator()).indices != expected.indices).float().mean() > 0.8
    for found in (warm(z, sample=False), cold(z, generator=generator()), stochastic(codes, 1e-300)(z)):
        assert torch.equal(found.indices, expected.indices)
        assert torch.equal(found.values, expected.values)
    assert torch.equal(warm.indices(z), expected.indices)
    assert torch.equal(cold.probabilities(z).argmax(1), expected.indices)
    monkeypatch.setattr(codebooks, "_CHUNK", 90)
    assert torch.equal(cold(z, generator=generator()).indices, expected.indices)
    assert cold(z[:0]).indices.shape == (0, 20) and cold.probabilities(z[:0]).shape == (0, 40, 20)


def test_losses_and_gradients_are_those_of_the_drawn_code():
    codebook, z = stochastic(seeded(6, 3), 5.0), seeded(2, 3, 4).requires_grad_()
    quantized = codebook(z, generator=generator())
    chosen = codebook.values(quantized.indices)
    assert not torch.equal(quantized.indices, codebook.indices(z))
    assert torch.allclose(quantized.values, chosen, atol=1e-6)
    assert torch.allclose(quantized.codebook_loss, (chosen - z).square().sum((1, 2)))
    weights = seeded(2, 3, 4, seed=3)
    (quantized.values * weights).sum().backward()
    assert torch.equal(z.grad, weights) and codebook.codes.grad is None


# Residual


def residual(stages: int = 4, kind: type[quantizers.Codebook] = quantizers.GradientCodebook):
    torch.manual_seed(0)
    return quantizers.ResidualQuantizer([kind(8, 3) for _ in range(stages)])


def test_the_error_falls_with_each_stage():
    quantizer, z = residual(), seeded(20, 3, 5, 5)
    quantizer.initialize(z)
    indices = quantizer.indices(z)
    assert indices.shape == (20, 4, 5, 5)
    errors = [(quantizer.values(indices[:, :stages]) - z).square().mean().item() for stages in (1, 2, 3, 4)]
    assert all(after < 0.7 * before for before, after in zip([z.square().mean().item(), *errors], errors, strict=False))
    one = quantizers.GradientCodebook(32, 3)
    one.initialize(z)
    assert errors[-1] < (one.values(one.indices(z)) - z).square().mean().item(), (
        "32 codes in a row beat 32 side by side"
    )


@pytest.mark.parametrize("kind", [quantizers.GradientCodebook, quantizers.MovingAverageCodebook])
def test_values_are_the_sum_of_codes_and_losses_compare_each_stage_with_its_residual(kind):
    quantizer, z = residual(3, kind).eval(), seeded(4, 3, 5)
    quantizer.initialize(z)
    quantized = quantizer(z)
    assert quantized.indices.shape == (4, 3, 5)
    assert torch.equal(quantized.indices, quantizer.indices(z))
    assert torch.allclose(quantized.values, quantizer.values(quantized.indices), atol=1e-6)
    left, loss = z, torch.zeros(4)
    for stage, indices in zip(quantizer.stages, quantized.indices.unbind(1), strict=True):
        assert torch.equal(indices, stage.indices(left))
        left = left - stage.values(indices)
        loss = loss + left.square().sum((1, 2))
    assert torch.allclose(quantized.codebook_loss, loss) and torch.allclose(quantized.commitment_loss, loss)
    alone = quantizer(z[1:2])
    assert torch.allclose(alone.codebook_loss, loss[1:2], rtol=1e-5), "per example"


def test_gradients_pass_once_and_each_codebook_learns_from_its_own_residual():
    quantizer, z = residual(2), seeded(4, 3, 5).requires_grad_()
    quantizer.initialize(z)
    weights = seeded(4, 3, 5, seed=3)
    (quantizer(z).values * weights).sum().backward()
    assert torch.equal(z.grad, weights) and all(p.grad is None for p in quantizer.parameters())
    z.grad = None
    quantized = quantizer(z)
    (quantized.codebook_loss + quantized.commitment_loss).sum().backward()
    left, pull = z.detach(), torch.zeros_like(z)
    for stage, indices in zip(quantizer.stages, quantized.indices.unbind(1), strict=True):
        error = (left - stage.values(indices)).detach()
        rows = torch.nn.functional.one_hot(indices, 8).float().flatten(0, 1)
        assert torch.allclose(stage.codes.grad, -2 * rows.T @ error.movedim(1, -1).reshape(-1, 3), atol=1e-5)
        left, pull = error, pull + 2 * error
    assert torch.allclose(z.grad, pull, atol=1e-6)


def test_in_training_every_moving_average_takes_its_own_residual_and_may_start_by_k_means():
    torch.manual_seed(0)
    stages = [quantizers.MovingAverageCodebook(8, 3, decay=0.5, start="k-means") for _ in range(3)]
    quantizer, z = quantizers.ResidualQuantizer(stages), seeded(20, 3, 5)
    by_hand = residual(3, quantizers.MovingAverageCodebook)
    by_hand.initialize(z)
    quantized = quantizer(z)
    assert torch.equal(quantized.indices, by_hand.indices(z))
    assert torch.allclose(quantized.values, by_hand.values(quantized.indices), atol=1e-6), "quantized before they moved"
    assert all(stage.started for stage in stages)
    before = [stage.codes.clone() for stage in stages]
    for _ in range(3):
        quantizer(z + 0.1)
    assert all(not torch.equal(old, stage.codes) for old, stage in zip(before, stages, strict=True))


_MEMORY = """
import torch
from pathlib import Path
from autoencoders import quantizers

def resident(which):
    return next(int(l.split()[1]) / 1024 for l in Path("/proc/self/status").read_text().splitlines() if l.startswith(which))

torch.set_num_threads(1)
generator = torch.Generator().manual_seed(0)
z, codes = (30 + 1e-3 * torch.randn(n, 8, generator=generator) for n in (100_000, 8_192))
quantizers.nearest_code(z[:9], codes[:9])
Path("/proc/self/clear_refs").write_text("5")
held = resident("VmRSS")
found = quantizers.nearest_code(z, codes)
print(resident("VmHWM") - held)
some = z[::500].double()
exact = (some[:, None] - codes.double()).square().sum(2).argmin(1)
print((found[::500] == exact).all().item())
"""


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="Linux says what a process needed at its peak")
def test_many_vectors_and_codes_take_little_memory_and_stay_exact():
    """All distances at once would be 3.3 GB, and chunks allocated one by one add up; ten times as many: the benchmark."""
    done = subprocess.run([sys.executable, "-c", _MEMORY], capture_output=True, text=True, check=True)
    megabytes, exact = done.stdout.split()
    assert float(megabytes) < 60
    assert exact == "True"
