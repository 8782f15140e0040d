"""Tests see the book as it is when nobody has published it: the publishing workflow sets addresses for the build alone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

ADDRESSES = ("AE_REPOSITORY_URL", "AE_SITE_URL", "AE_JUPYTERHUB_URL")


@pytest.fixture(scope="session", autouse=True)
def unpublished() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name in ADDRESSES:
            patch.delenv(name, raising=False)
        yield
