"""A fresh database for every test of the database itself."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from local import stack
from local.world import World
from tests.database.harness import Caller, TestDatabase, opened


@pytest.fixture
def db(place: World) -> Iterator[TestDatabase]:
    """A database that only the migrations built: clock stopped at noon, trading live and open."""
    url = stack.fresh_database(place.stack)
    try:
        with opened(url) as database:
            yield database
    finally:
        stack.drop_database(place.stack, url)


@pytest.fixture
def service(db: TestDatabase) -> Caller:
    """The secret key."""
    return db.as_service()
