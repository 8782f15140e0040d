"""Measurements against independent computations."""

import numpy as np
import pytest
import scipy.linalg
import torch
from torch import nn

from autoencoders import evaluation, models, networks


def test_principal_angles_agree_with_scipy_from_right_angles_to_a_millionth_of_a_degree():
    generator = torch.Generator().manual_seed(0)
    a, b = torch.randn(50, 4, generator=generator), torch.randn(50, 4, generator=generator)
    expected = np.rad2deg(np.sort(scipy.linalg.subspace_angles(a.double().numpy(), b.double().numpy())))
    assert evaluation.principal_angles(a, b).numpy() == pytest.approx(expected)
    a = torch.eye(5)[:, :2].double()
    tilt = np.deg2rad(1e-6)
    b = a.clone()
    b[:, 0] = np.cos(tilt) * a[:, 0] + np.sin(tilt) * torch.eye(5).double()[:, 4]
    assert evaluation.principal_angles(a, b)[-1].item() == pytest.approx(1e-6, rel=1e-6)


def test_principal_angles_ignore_the_choice_of_basis():
    generator = torch.Generator().manual_seed(0)
    a, mix = torch.randn(50, 4, generator=generator), torch.randn(4, 4, generator=generator)
    assert evaluation.principal_angles(a, a @ mix).max().item() < 1e-3


def test_mse_is_the_mean_over_pixels_and_keeps_the_mode(images):
    model = models.Autoencoder(networks.MLPEncoder((1, 8, 8), 2), networks.MLPDecoder((1, 8, 8), 2)).train()
    with torch.no_grad():
        expected = ((model(images) - images) ** 2).mean().item()
    assert evaluation.mse(model, images) == pytest.approx(expected, rel=1e-5)
    assert evaluation.error_per_image(model, images).mean().item() == pytest.approx(expected, rel=1e-5)
    assert model.training


def test_in_batches_evaluates_in_eval_mode_and_restores_the_mode_even_after_an_error(images):
    class Watcher(nn.Module):
        def forward(self, x):
            assert not self.training
            if x.shape[-1] != 8:
                raise RuntimeError("other size")
            return x

    module = Watcher().train()
    assert torch.equal(evaluation.in_batches(module, images, batch_size=7), images)
    assert module.training
    with pytest.raises(RuntimeError):
        evaluation.in_batches(module, images[..., :4])
    assert module.training


def test_distance_to_nearest_is_exact_far_from_the_origin():
    codes = 3000 + torch.tensor([[0.0, 0.0], [1.0, 0.0]])
    points = 3000 + torch.tensor([[0.25, 0.0], [1.0, 2.0]])
    assert evaluation.distance_to_nearest(points, codes).tolist() == [0.25, 2.0]


def test_a_probe_reads_separate_clusters_and_not_shuffled_labels():
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(600) % 3
    codes = 10.0 * torch.eye(3)[labels] + torch.randn(600, 3, generator=generator)
    apart = evaluation.probe(codes[:400], labels[:400], codes[400:], labels[400:])
    assert apart.knn == apart.linear == 1.0
    mixed = labels[torch.randperm(600, generator=generator)]
    assert -1 <= apart.silhouette <= 1
    chance = evaluation.probe(codes[:400], mixed[:400], codes[400:], mixed[400:])
    assert chance.knn < 0.5
    assert chance.linear < 0.5


def test_the_classifier_reads_pictures_and_not_noise_and_leaves_the_random_state(images):
    labels = (images[:, 0, :, :4].sum((1, 2)) > images[:, 0, :, 4:].sum((1, 2))).long()
    state = torch.get_rng_state()
    classifier = evaluation.train_classifier(images, labels, epochs=20)
    assert torch.equal(state, torch.get_rng_state())
    guesses = evaluation.in_batches(classifier, images).argmax(1)
    assert (guesses == labels).float().mean() > 0.95
    assert evaluation.readable_share(classifier, images) > 0.8
    assert evaluation.readable_share(classifier, images, threshold=1.1) == 0.0


def test_gap_share_is_small_for_fresh_codes_and_one_far_away():
    codes, held_out, fresh = torch.randn(3, 2000, 2, generator=torch.Generator().manual_seed(0))
    assert evaluation.gap_share(held_out, codes, held_out) == pytest.approx(0.01, abs=1e-3)
    assert evaluation.gap_share(fresh, codes, held_out) < 0.03
    assert evaluation.gap_share(fresh + 20, codes, held_out) == 1.0
    # A change of units moves points, codes and the yardstick together.
    assert evaluation.gap_share(3 * fresh, 3 * codes, 3 * held_out) == evaluation.gap_share(fresh, codes, held_out)


def test_gap_share_knows_a_hole_that_the_bounding_box_does_not():
    angle = torch.linspace(0, 2 * torch.pi, 401)[:-1]
    ring = torch.stack([angle.cos(), angle.sin()], 1)
    assert evaluation.gap_share(torch.zeros(1, 2), ring[::2], ring[1::2]) == 1.0


def test_readings_give_the_largest_probability_and_its_class():
    class Fixed(nn.Module):
        def forward(self, x):
            return torch.tensor([[0.2, 0.7, 0.1], [0.95, 0.03, 0.02]]).log()[: len(x)]

    images = torch.zeros(2, 1, 8, 8)
    probability, label = evaluation.readings(Fixed(), images)
    assert probability.tolist() == pytest.approx([0.7, 0.95])
    assert label.tolist() == [1, 0]
    assert evaluation.readable_share(Fixed(), images) == 0.5
