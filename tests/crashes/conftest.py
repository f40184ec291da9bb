"""The deployment whose processes are killed and stopped."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.crashes.deployment import Deployment, deployment


@pytest.fixture(scope="package")
def _shared() -> Iterator[Deployment]:
    with deployment() as made:
        yield made


@pytest.fixture
def place(_shared: Deployment) -> Iterator[Deployment]:
    """One for all cells; a cell that failed leaves nothing behind for the next."""
    yield _shared
    _shared.quiet()
    _shared.resume()
