"""A fresh database for every test of the database itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from local import stack
from local.stack import Stack
from tests.database.harness import MUTANT, STACK, Caller, TestDatabase, opened


@pytest.fixture(scope="session")
def server(request: pytest.FixtureRequest) -> Stack:
    """Where fresh databases are made: the world's stack, unless whoever runs the tests brings one."""
    brought = request.config.stash.get(STACK, None)
    if brought is not None:
        return brought
    found: Stack = request.getfixturevalue("place").stack
    return found


@pytest.fixture
def db(server: Stack, request: pytest.FixtureRequest) -> Iterator[TestDatabase]:
    """A database that only the migrations built: clock stopped at noon, trading live and open."""
    with _made(server, request) as database:
        yield database


@pytest.fixture(scope="module")
def shared_db(server: Stack, request: pytest.FixtureRequest) -> Iterator[TestDatabase]:
    """The same, once a module, for tests that leave nothing behind."""
    with _made(server, request) as database:
        yield database


@contextmanager
def _made(server: Stack, request: pytest.FixtureRequest) -> Iterator[TestDatabase]:
    url = stack.fresh_database(server)
    try:
        with opened(url) as database:
            mutant = request.config.stash.get(MUTANT, None)
            if mutant is not None:
                database.script(mutant)
            yield database
    finally:
        stack.drop_database(server, url)


@pytest.fixture
def service(db: TestDatabase) -> Caller:
    """The secret key."""
    return db.as_service()
