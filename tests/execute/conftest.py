"""A second execute behind a proxy that loses the database's answers, and the exchange's faults."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import httpx
import psycopg
import pytest

from local import world
from local.faults.plan import FaultPlan, FaultRequest
from local.faults.serving import serving
from local.proxy.app import create_app
from local.world import Options, World
from tests.people import People


@dataclass(frozen=True)
class Proxied:
    """An execute of its own, and the faults between it and the database."""

    address: str
    faults: FaultPlan[FaultRequest]

    def fail(self, name: str, on: str, **fields: object) -> None:
        """The next calls of an RPC meet this fault."""
        self.faults.add(FaultRequest.model_validate({"name": name, "on": on, **fields}))


@pytest.fixture(scope="session")
def _behind(place: World) -> Iterator[Proxied]:
    faults: FaultPlan[FaultRequest] = FaultPlan()
    with serving(create_app(place.stack.supabase_url, faults)) as address:
        base = replace(place.stack, supabase_url=address)
        environ = world.environment("execute", base, place.exchange_url, None, Options())
        yield Proxied(
            world.start_function("execute", place.stack.folder, environ, name="execute-behind-proxy"), faults
        )


@pytest.fixture
def proxied(_behind: Proxied) -> Iterator[Proxied]:
    """Execute behind the proxy, without a fault."""
    yield _behind
    _behind.faults.clear()


@pytest.fixture
def doubters(place: World, database: psycopg.Connection, proxied: Proxied) -> Iterator[People]:
    """People whose approvals go to the execute behind the proxy."""
    elsewhere = replace(place, functions={**place.functions, "execute": proxied.address})
    with People(elsewhere, database) as made:
        yield made


@pytest.fixture
def exchange_fails(place: World) -> Iterator[Callable[..., None]]:
    """Order a fault of the exchange, `fails("drop_answer", on="POST /order")`; all are cleared at the end."""
    admin = place.exchange_url.removesuffix("/v2") + "/_admin"
    with httpx.Client(trust_env=False) as http:

        def fails(name: str, on: str, **fields: object) -> None:
            http.post(f"{admin}/faults", json={"name": name, "on": on, **fields}).raise_for_status()

        yield fails
        http.delete(f"{admin}/faults").raise_for_status()
