"""Measures of samples: the classification accuracy score, the Frechet distance and sharpness."""

import inspect
import math

import numpy as np
import pytest
import scipy.linalg
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from autoencoders import judge, samples


def flat(images):
    return images.flatten(1)


def pictures(matrix):
    """Rows of numbers as pictures of one pixel row, so that `flat` gives them back."""
    return torch.as_tensor(np.asarray(matrix))[:, None, None]


def gaussian(n, d, seed):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def with_moments(mean, covariance, n=50, seed=0):
    """Points whose sample mean and covariance are exactly these."""
    z = gaussian(n, len(mean), seed).numpy()
    z = z - z.mean(0)
    white = z @ np.linalg.inv(np.linalg.cholesky(np.cov(z.T))).T
    return pictures(white @ np.linalg.cholesky(covariance).T + mean)


def by_sqrtm(a, b):
    """The textbook formula, with scipy's root of a matrix."""
    a, b = (x.flatten(1).double().numpy() for x in (a, b))
    s_a, s_b = np.cov(a.T), np.cov(b.T)
    root = scipy.linalg.sqrtm(s_a @ s_b).real
    return ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(s_a + s_b - 2 * root)


def distance(a, b, **options):
    return samples.frechet_distance(a, b, flat, **options).value


# ---- classification accuracy score


@pytest.fixture(scope="module")
def bars():
    """Three classes that a classifier can learn from few pictures: a bar at the top, in the middle or at the bottom."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(240) % 3
    images = 0.1 * torch.rand(240, 1, 12, 12, generator=generator)
    images[torch.arange(240), 0, 4 * labels + 1] += 0.8
    return images, labels


def test_real_pictures_score_near_one_and_with_wrong_labels_near_zero(bars):
    images, labels = bars
    test_images, test_labels = images[120:], labels[120:]
    score = samples.classification_accuracy_score(images[:120], labels[:120], test_images, test_labels, epochs=30)
    assert score > 0.95
    wrong = samples.classification_accuracy_score(
        images[:120], (labels[:120] + 1) % 3, test_images, test_labels, epochs=30
    )
    assert wrong < 0.05


def test_the_score_is_the_accuracy_on_real_pictures_and_not_on_the_samples(bars):
    images, labels = bars
    constant = torch.zeros_like(images[:90])  # nothing to learn: one class is read everywhere
    score = samples.classification_accuracy_score(constant, labels[:90], images, labels, epochs=2)
    assert score == pytest.approx(1 / 3)


def test_the_score_is_that_of_the_books_classifier_and_top_counts_the_most_probable(bars):
    images, labels = bars
    few = (images[:30], labels[:30], images[30:], labels[30:])
    log_probability = judge.train_classifier(*few[:2], epochs=1, seed=4)(few[2]).detach()
    ranks = (log_probability > log_probability.gather(1, few[3][:, None])).sum(1)
    for top in (1, 2, 3):
        score = samples.classification_accuracy_score(*few, epochs=1, seed=4, top=top)
        assert score == pytest.approx((ranks < top).double().mean().item())
    assert score == 1


def test_the_score_leaves_the_random_state_alone_and_repeats(bars):
    images, labels = bars
    state = torch.get_rng_state()
    first, again = (
        samples.classification_accuracy_score(images[:30], labels[:30], images, labels, epochs=1) for _ in range(2)
    )
    assert first == again
    assert torch.equal(torch.get_rng_state(), state)


def test_the_score_says_what_is_wrong_with_its_data(bars):
    images, labels = bars

    # Without the run-time check of shapes, which readers do not have.
    score = inspect.unwrap(samples.classification_accuracy_score)

    with pytest.raises(ValueError, match="no image to learn class 2"):
        score(images[labels < 2], labels[labels < 2], images, labels)
    with pytest.raises(ValueError, match="no image to learn class 3"):
        score(images, torch.where(torch.arange(240) == 7, 255, labels), images, labels)
    with pytest.raises(ValueError, match="count from 0"):
        score(images, labels - 1, images, labels)
    with pytest.raises(ValueError, match="one shape"):
        score(images[..., :8], labels, images, labels)
    with pytest.raises(ValueError, match="one label"):
        score(images, labels[:-1], images, labels)
    with pytest.raises(ValueError, match="test picture"):
        score(images, labels, images[:0], labels[:0])
    with pytest.raises(ValueError, match="top"):
        score(images, labels, images, labels, top=4)
    with pytest.raises(ValueError, match="not finite"):
        score(images / 0, labels, images, labels)


# ---- Frechet distance


def test_frechet_distance_of_diagonal_gaussians_is_the_closed_form():
    mean, a, b = np.array([1.0, -2.0, 0.5]), np.array([1.0, 4.0, 0.25]), np.array([9.0, 1.0, 0.25])
    found = distance(with_moments(np.zeros(3), np.diag(a)), with_moments(mean, np.diag(b), seed=1))
    assert found == pytest.approx((mean**2).sum() + ((np.sqrt(a) - np.sqrt(b)) ** 2).sum(), rel=1e-10)


def test_frechet_distance_of_a_shift_alone_is_its_squared_length():
    a = pictures(gaussian(40, 5, 0))
    assert distance(a, a + 3.0) == pytest.approx(5 * 9.0, rel=1e-10)


def test_frechet_distance_of_a_rotated_gaussian_is_the_closed_form():
    # S_a = diag(p, q) and S_b the same by angle t: det(S_a S_b) = (pq)^2, and tr (S_a S_b)^(1/2) = sqrt(tr(S_a S_b) + 2pq).
    p, q, t = 9.0, 1.0, 0.7
    turn = np.array([[math.cos(t), -math.sin(t)], [math.sin(t), math.cos(t)]])
    s_a, s_b = np.diag([p, q]), turn @ np.diag([p, q]) @ turn.T
    expected = 2 * (p + q) - 2 * math.sqrt(np.trace(s_a @ s_b) + 2 * p * q)
    found = distance(with_moments(np.zeros(2), s_a), with_moments(np.zeros(2), s_b, seed=1))
    assert expected > 1
    assert found == pytest.approx(expected, rel=1e-10)


def test_frechet_distance_agrees_with_the_root_of_a_matrix_by_scipy():
    a, b = gaussian(300, 20, 0) @ gaussian(20, 20, 1), gaussian(200, 20, 2) @ gaussian(20, 20, 3) + 0.3
    a, b = pictures(a), pictures(b)
    assert distance(a, b) == pytest.approx(by_sqrtm(a, b), rel=1e-8)
    assert distance(b, a) == pytest.approx(distance(a, b), rel=1e-10)


def test_frechet_distance_of_a_set_to_itself_is_zero_also_with_fewer_samples_than_features():
    for shape in ((60, 6), (5, 30), (2, 4)):
        x = pictures(100 * gaussian(*shape, 0))
        assert 0 <= distance(x, x) < 1e-20


def test_frechet_distance_with_fewer_samples_than_features_is_that_of_the_singular_covariances():
    # Equally many points on one line each: a distance that needs no root, (sd_a - sd_b)^2 along a common axis.
    points, axis = gaussian(7, 1, 0), torch.nn.functional.normalize(gaussian(1, 12, 1))
    a, b = pictures(points @ axis), pictures(3 * points[:5] @ axis)
    sds = points.std(), 3 * points[:5].std()
    means = points.mean(), 3 * points[:5].mean()
    expected = (sds[0] - sds[1]) ** 2 + (means[0] - means[1]) ** 2
    assert distance(a, b) == pytest.approx(expected.item(), rel=1e-9)


@settings(deadline=None, max_examples=15)
@given(batch=st.integers(1, 60), seed=st.integers(0, 1000))
def test_frechet_distance_does_not_depend_on_batches_or_order(batch, seed):
    generator = torch.Generator().manual_seed(seed)
    a, b = torch.rand(50, 1, 4, 4, generator=generator), torch.rand(40, 1, 4, 4, generator=generator)
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.Flatten())  # batch statistics would show
    whole = samples.frechet_distance(a, b, net)
    parts = samples.frechet_distance(a[torch.randperm(50, generator=generator)], b, net, batch_size=batch)
    assert parts.value == pytest.approx(whole.value, rel=1e-5)
    assert net.training
    assert torch.equal(net[1].running_mean, torch.zeros(3))


def test_frechet_distance_survives_a_large_common_offset_where_float32_does_not():
    a = (1000 + 0.05 * gaussian(500, 8, 0)).float()
    b = (1000 + 0.10 * gaussian(500, 8, 1)).float()
    exact = by_sqrtm(pictures(a), pictures(b))

    def naive(x):  # E[x x^T] - mean mean^T in float32, as streaming implementations have it
        return x.T @ x / len(x) - torch.outer(x.mean(0), x.mean(0))

    s_a, s_b = naive(a).numpy(), naive(b).numpy()
    wrong = ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(s_a + s_b - 2 * scipy.linalg.sqrtm(s_a @ s_b).real)
    assert distance(pictures(a), pictures(b)) == pytest.approx(exact, rel=1e-7)
    assert float(wrong) != pytest.approx(exact, rel=0.5)


def test_frechet_distance_of_two_sets_from_one_distribution_is_biased_upwards_the_more_the_fewer_they_are():
    values = [distance(pictures(gaussian(n, 10, n)), pictures(gaussian(n, 10, n + 1))) for n in (20, 200, 2000)]
    assert values[0] > 5 * values[1] > 25 * values[2] > 0


def test_frechet_distance_is_named_by_net_and_number_of_samples_and_never_called_fid():
    images, classifier = torch.rand(12, 1, 8, 8), judge.DigitClassifier()
    features = samples.classifier_features(classifier)
    result = samples.frechet_distance(images, images[:9] ** 2, features)
    assert (result.features, result.count) == ("DigitClassifier.features", 9)
    assert repr(result) == f"Frechet distance (DigitClassifier.features, 9): {result.value:.4g}"
    assert repr(samples.frechet_distance(images, images, features, name="digits net")).startswith(
        "Frechet distance (digits net, 12): "
    )
    assert samples.frechet_distance(images, images, flat).features == "flat"
    assert samples.frechet_distance(images, images, nn.Flatten()).features == "Flatten"
    assert "FID" not in repr(result)
    with pytest.raises(ValueError, match="name="):
        samples.frechet_distance(images, images, lambda x: x.flatten(1))


def test_classifier_features_are_what_the_class_is_read_off_linearly_and_keep_the_mode():
    images, classifier = torch.rand(6, 1, 8, 8), judge.DigitClassifier().train()
    features = samples.classifier_features(classifier)
    numbers = features(images)
    assert numbers.shape == (6, 128)
    assert torch.allclose(classifier.net[-2](numbers).log_softmax(1), classifier(images))
    samples.frechet_distance(images, images, features)
    assert all(part.training for part in classifier.modules())


def test_frechet_distance_says_what_is_wrong_with_its_data():
    images = torch.rand(6, 1, 4, 4)
    with pytest.raises(ValueError, match="two pictures, not 6 and 1"):
        distance(images, images[:1])
    with pytest.raises(ValueError, match="one shape"):
        distance(images, images[..., :3])
    with pytest.raises(ValueError, match="not finite"):
        distance(images, images / 0)


# ---- sharpness


def test_sharpness_of_known_pictures():
    rows, columns = torch.meshgrid(torch.arange(6.0), torch.arange(7.0), indexing="ij")
    constant, ramp, board = torch.full((6, 7), 0.3), 0.1 * rows + 0.05 * columns, (rows + columns) % 2
    stack = torch.stack([constant, ramp, board, rows**2])[:, None]
    # A checkerboard's Laplacian is -4 or 4, that of rows^2 is 2.
    assert samples.sharpness(stack).tolist() == pytest.approx([0, 0, 16, 4], abs=1e-9)
    assert samples.sharpness(stack.expand(-1, 3, -1, -1)).tolist() == pytest.approx([0, 0, 16, 4], abs=1e-9)


def test_sharpness_agrees_with_scipys_laplacian_inside_the_border():
    from scipy.ndimage import laplace

    image = torch.rand(1, 2, 9, 8, generator=torch.Generator().manual_seed(0))
    inside = np.stack([laplace(channel) for channel in image[0].double().numpy()])[:, 1:-1, 1:-1]
    assert samples.sharpness(image).item() == pytest.approx((inside**2).mean(), rel=1e-5)


def test_blur_lowers_sharpness_and_noise_raises_it(images):
    blurred = torch.nn.functional.avg_pool2d(images, 3, stride=1)
    noisy = images + 0.1 * torch.randn(images.shape, generator=torch.Generator().manual_seed(0))
    assert (samples.sharpness(blurred) < samples.sharpness(images[..., 1:-1, 1:-1])).all()
    assert samples.sharpness(noisy).mean() > samples.sharpness(images).mean() + 0.1


def test_sharpness_needs_a_pixel_with_four_neighbors():
    with pytest.raises(ValueError, match="3 x 3"):
        samples.sharpness(torch.rand(1, 1, 2, 9))
