"""A simulation for each test, on the world's Postgres."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from local.stack import Stack
from local.world import World
from tests.cleanup.simulated import Simulation, simulation
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
def sim(server: Stack, request: pytest.FixtureRequest) -> Iterator[Simulation]:
    """A deployment whose time the test moves."""
    with simulation(server) as made:
        mutant = request.config.stash.get(MUTANT, None)
        if mutant is not None:
            made.db.script(mutant)
        yield made
