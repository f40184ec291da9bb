"""Simulations, on the world's Postgres."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest

from local.stack import Stack
from local.world import World
from tests.cleanup.simulated import Deploy, Simulation, simulation
from tests.database.harness import MUTANT, STACK


@pytest.fixture(scope="session")
def server(request: pytest.FixtureRequest) -> Stack:
    """Where fresh databases are made: the world's stack, unless whoever runs the tests brings one."""
    brought = request.config.stash.get(STACK, None)
    if brought is not None:
        return brought
    place: World = request.getfixturevalue("place")
    return place.stack


@pytest.fixture
def deploy(server: Stack, request: pytest.FixtureRequest) -> Deploy:
    """Make a deployment whose time the test moves: `with deploy() as sim:`."""
    return partial(simulation, server, mutant=request.config.stash.get(MUTANT, None))


@pytest.fixture
def sim(deploy: Deploy) -> Iterator[Simulation]:
    """One deployment."""
    with deploy() as made:
        yield made
