"""One world for all tests that need one: a real stack, the exchange, the model and the three functions."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import psycopg
import pytest

from local import world
from local.owner import create_user
from local.world import Options, World
from tests.people import OPEN_POLICY, People


@pytest.fixture(scope="session")
def place() -> Iterator[World]:
    """A running world in live mode; a first cleanup has compared the markets and so opened trading."""
    with world.running("test", Options()) as running:
        first = create_user(running.stack, "first@interlock.local", note="whose markets are compared first")
        first.call("set_trading_policy", p_policy=OPEN_POLICY)
        httpx.post(running.functions["cleanup"], json={}, timeout=30.0, trust_env=False).raise_for_status()
        yield running


@pytest.fixture
def database(place: World) -> Iterator[psycopg.Connection]:
    """The world's database, seen as the role that owns it; every statement is a transaction."""
    with psycopg.connect(place.stack.database_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def people(place: World, database: psycopg.Connection) -> Iterator[People]:
    """Owners and strangers of this one test; no other test sees their rows, and their scans end with it."""
    with People(place, database) as made:
        yield made
