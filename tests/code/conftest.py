"""Shared by the package's tests: a small data set, an empty cache, and shape hints that are checked as the code runs."""

import jaxtyping
import pytest
import torch

# Every public function's shapes are checked against its type hints while the tests run.
jaxtyping.install_import_hook("autoencoders", "_typecheck.check")


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    """No test reads or writes the user's cache, and no test inherits a budget."""
    monkeypatch.setenv("AE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("AE_BUDGET", raising=False)
    monkeypatch.delenv("AE_STATIC", raising=False)


@pytest.fixture
def images() -> torch.Tensor:
    """300 pictures of 8 x 8 with two-dimensional structure: a blob of changing place."""
    generator = torch.Generator().manual_seed(0)
    centers = 1 + 6 * torch.rand(300, 2, generator=generator)
    grid = torch.stack(torch.meshgrid(torch.arange(8.0), torch.arange(8.0), indexing="ij"))
    return torch.exp(-((grid - centers[:, :, None, None]) ** 2).sum(1) / 4)[:, None]
