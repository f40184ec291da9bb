"""What an approval costs, counted: calls, round trips, connections."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from httpcore._sync import http11
from pydantic import SecretStr

from shared.bitvavo import BitvavoReadonly, open_http
from shared.database import KEEP_S, Database
from tests.unit.execute_world import World

pytestmark = pytest.mark.unit

FACTS = ("GET /markets", "GET /order", "GET /ticker/book", "GET /time")
THREADS = 4


def test_an_approval_makes_three_database_calls_and_five_requests() -> None:
    """Begin, claim and record; four market facts and the order. Each of them once."""
    world = World()
    assert world.approve().status_code == 200
    assert [name for name, _ in world.database.calls] == [
        "begin_execution",
        "claim_execution",
        "record_execution_result",
    ]
    assert (*sorted(world.exchange.asked[:4]), *world.exchange.asked[4:]) == (*FACTS, "POST /order")


def test_the_market_facts_take_one_round_trip() -> None:
    """None of the four is answered before all of them are asked."""
    world = World()
    all_asked = threading.Barrier(len(FACTS), timeout=10)

    def hold(name: str, proceed: Callable[[], httpx.Response]) -> httpx.Response:
        if name in FACTS:
            all_asked.wait()
        return proceed()

    world.exchange.intercept = hold
    assert world.approve().status_code == 200


def test_market_facts_are_read_anew_for_every_approval() -> None:
    """What an approval saw is nothing that the next one may rely on: a market halted since is halted."""
    world = World()
    world.exchange.market["status"] = "halted"
    assert world.approve().status_code == 422
    world.exchange.market["status"] = "trading"
    assert world.approve().status_code == 200
    world.database.execution = None
    world.exchange.market["status"] = "halted"
    assert world.approve().status_code == 422


@contextmanager
def _counting(body: str) -> Iterator[tuple[str, list[Any]]]:
    """A server that keeps connections open and answers all alike; its address, and what connected to it."""
    opened: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            opened.append(self.client_address)
            super().setup()

        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        do_POST = do_GET  # noqa: N815 - the name that http.server looks for

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - likewise
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", opened
    finally:
        server.shutdown()
        server.server_close()


def _from_many_threads(ask: Callable[[], object]) -> None:
    with ThreadPoolExecutor(THREADS) as pool:
        for done in [pool.submit(ask) for _ in range(THREADS * 10)]:
            done.result()


def test_the_database_is_asked_over_no_more_connections_than_there_are_threads() -> None:
    """Each is kept for the next call, and no answer leaves one unusable."""
    with _counting("{}") as (url, opened):
        database = Database(url, SecretStr("sb_secret_canary"))
        _from_many_threads(lambda: database.call("begin_execution"))
    assert 1 <= len(opened) <= THREADS


def test_the_exchange_is_asked_over_no_more_connections_than_there_are_threads() -> None:
    """Each is kept for the next request, and no answer leaves one unusable."""
    with _counting('{"time": 1790000000000}') as (url, opened), open_http(5.0) as http:
        market_data = BitvavoReadonly(http, f"{url}/v2", None, lambda: 0)
        _from_many_threads(market_data.time)
    assert 1 <= len(opened) <= THREADS


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The clock by which connections age."""
    told = [0.0]
    monkeypatch.setattr(http11, "time", SimpleNamespace(monotonic=lambda: told[0]))
    return told


def test_a_connection_to_the_database_is_kept_for_a_minute(now: list[float]) -> None:
    """The next approval does not begin with a handshake; a call that meets a closed one may be repeated."""
    with _counting("{}") as (url, opened):
        database = Database(url, SecretStr("sb_secret_canary"))
        for at, connections in ((0, 1), (KEEP_S - 1, 1), (2 * KEEP_S, 2)):
            now[0] = at
            database.call("begin_execution")
            assert len(opened) == connections
    assert KEEP_S == 60


def test_a_connection_to_the_exchange_is_not_kept_longer_than_five_seconds(now: list[float]) -> None:
    """The order must not meet one that the exchange has just closed: it is sent once."""
    with _counting('{"time": 1790000000000}') as (url, opened), open_http(5.0) as http:
        market_data = BitvavoReadonly(http, f"{url}/v2", None, lambda: 0)
        for at, connections in ((0, 1), (4, 1), (10, 2)):
            now[0] = at
            market_data.time()
            assert len(opened) == connections
