"""The linear autoencoder finds the principal subspace, and the test that says so can fail."""

import pytest
import torch
from sklearn.decomposition import PCA
from torch import Tensor

from autoencoders import data, evaluation, recipes
from autoencoders.models import Autoencoder

M = 32


@pytest.fixture(scope="module")
def pca() -> PCA:
    return PCA(M, svd_solver="full").fit(data.load("digits").train.images.flatten(1).numpy())


def largest_angle(model: Autoencoder, pca: PCA) -> float:
    decoder = model.decoder.net[0].weight.detach()
    return evaluation.principal_angles(decoder, torch.as_tensor(pca.components_.T)).max().item()


def error_ratio(model: Autoencoder, pca: PCA, images: Tensor) -> float:
    flat = images.flatten(1).numpy()
    best = ((pca.inverse_transform(pca.transform(flat)) - flat) ** 2).mean()
    return evaluation.mse(model, images) / float(best)


def test_the_linear_autoencoder_matches_pca_in_subspace_and_in_error(pca, monkeypatch):
    monkeypatch.setenv("AE_CACHE", "off")  # trained here and now
    digits = data.load("digits")
    model, _ = recipes.get(f"linear-digits-{M}").trained(seed=0, progress=False)
    assert largest_angle(model, pca) < 1  # degrees
    for images in (digits.train.images, digits.test.images):
        assert error_ratio(model, pca, images) == pytest.approx(1, abs=0.01)


def test_a_hasty_training_has_the_error_of_pca_and_not_its_subspace(pca, monkeypatch):
    monkeypatch.setenv("AE_CACHE", "off")
    recipe = recipes.get(f"linear-digits-{M}").replace(learning_rate=1e-3, epochs=40)
    model, _ = recipe.trained(seed=0, progress=False)
    assert error_ratio(model, pca, data.load("digits").test.images) < 1.03
    assert largest_angle(model, pca) > 30


def test_the_smallest_loss_is_half_the_sum_of_the_discarded_eigenvalues(pca):
    x = data.load("digits").train.images.flatten(1).double()
    x = x - x.mean(0)
    eigenvalues = torch.linalg.eigvalsh(x.T @ x / len(x)).flip(0)
    components = torch.as_tensor(pca.components_.T).double()
    loss = 0.5 * (x - x @ components @ components.T).square().sum(1).mean()
    torch.testing.assert_close(loss, 0.5 * eigenvalues[M:].sum(), rtol=1e-5, atol=0)
