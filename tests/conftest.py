"""One world for all tests that need one: a real stack, the exchange, the model and the three functions."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import httpx
import psycopg
import pytest

from local import stack, world
from local.errors import InUseError
from local.owner import create_user
from local.world import Options, World
from tests.people import OPEN_POLICY, People


@pytest.fixture(scope="session")
def place() -> Iterator[World]:
    """A running world in live mode; a first cleanup has compared the markets and so opened trading."""
    with ExitStack() as entered:
        running = _first_free(entered)
        first = create_user(running.stack, "first@interlock.local", note="whose markets are compared first")
        first.call("set_trading_policy", p_policy=OPEN_POLICY)
        httpx.post(running.functions["cleanup"], json={}, timeout=30.0, trust_env=False).raise_for_status()
        yield running


def _first_free(entered: ExitStack) -> World:
    """A world under a name of its own, so that several test runs go side by side in one checkout.

    With STACK=given the stack is the one that the environment names.
    """
    if os.environ.get("STACK") == "given":
        return world.around(entered.enter_context(stack.given("given", os.environ)), Options())
    for number in range(1, 9):
        with suppress(InUseError):
            return entered.enter_context(world.running(f"test-{number}", Options()))
    raise InUseError("Eight test runs are under way in this checkout: wait for one to end.")


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
