"""The Postgres on which each seed has a database of its own."""

from __future__ import annotations

import pytest

from local.stack import Stack
from local.world import World


@pytest.fixture(scope="session")
def server(place: World) -> Stack:
    """The world's own stack."""
    return place.stack
