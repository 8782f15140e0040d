"""The digit autoencoder of the chapter on deep autoencoders, trained from scratch."""

import pytest

from autoencoders import data, evaluation, recipes


def test_sixteen_latents_reconstruct_digits_to_the_promised_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AE_CACHE", "off")
    monkeypatch.delenv("AE_BUDGET", raising=False)
    model, _ = recipes.get("ae-digits-16").trained(seed=0, progress=False)
    assert evaluation.mse(model, data.load("digits").test.images) <= 0.0125
