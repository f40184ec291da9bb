"""Every fault of the proxy before the Supabase API, seen on the wire, and what had been committed by then."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from local.faults.kinds import COMMON, table
from local.faults.plan import FaultPlan, FaultRequest
from local.faults.serving import serving
from local.proxy.app import create_app

CLAIM = "/rest/v1/rpc/claim_execution"


@dataclass
class Behind:
    """A server that remembers what it was asked, as a database remembers what was committed."""

    committed: list[Request] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)

    async def answer(self, request: Request) -> Response:
        self.bodies.append(await request.body())
        self.committed.append(request)
        headers = {"Content-Range": "0-0/1", "X-Path": str(request.url.path)}
        return JSONResponse({"outcome": "claimed", "query": request.url.query}, 201, headers=headers)


@dataclass
class Proxied:
    behind: Behind
    faults: FaultPlan[FaultRequest]
    http: httpx.Client

    def claim(self, timeout: float = 5) -> httpx.Response:
        return self.http.post(CLAIM, json={"p_mode": "live"}, timeout=timeout)

    def fail(self, name: str, on: str = "claim_execution", **fields: object) -> None:
        answer = self.http.post("/_admin/faults", json={"name": name, "on": on, **fields})
        assert answer.status_code == 200, answer.text

    def until_held(self) -> None:
        deadline = monotonic() + 5
        while not self.faults.rows()[0]["held"]:
            assert monotonic() < deadline
            sleep(0.005)

    def until_committed(self, number: int) -> None:
        deadline = monotonic() + 5
        while len(self.behind.committed) < number:
            assert monotonic() < deadline
            sleep(0.005)


@pytest.fixture(scope="module")
def addresses() -> Iterator[tuple[Behind, FaultPlan[FaultRequest], str]]:
    behind = Behind()
    methods = ["GET", "POST", "PATCH", "DELETE"]
    app = Starlette(routes=[Route("/{path:path}", behind.answer, methods=methods)])
    faults: FaultPlan[FaultRequest] = FaultPlan()
    with serving(app) as upstream, serving(create_app(upstream, faults)) as address:
        yield behind, faults, address


@pytest.fixture
def proxied(addresses: tuple[Behind, FaultPlan[FaultRequest], str]) -> Iterator[Proxied]:
    behind, faults, address = addresses
    behind.committed.clear()
    behind.bodies.clear()
    with httpx.Client(base_url=address, timeout=5, trust_env=False) as http:
        yield Proxied(behind, faults, http)
    faults.clear()


def test_what_no_fault_strikes_passes_unchanged(proxied: Proxied) -> None:
    """Method, path, query, headers and body go through, and status, headers and body come back."""
    answer = proxied.http.patch(
        "/rest/v1/trade%20x?id=eq.1&select=%2A", content=b"\x00body", headers={"apikey": "k", "X-Two": "2"}
    )
    (seen,) = proxied.behind.committed
    assert (seen.method, seen.scope["raw_path"]) == ("PATCH", b"/rest/v1/trade%20x")
    assert (seen.url.query, proxied.behind.bodies) == ("id=eq.1&select=%2A", [b"\x00body"])
    assert (seen.headers["apikey"], seen.headers["x-two"]) == ("k", "2")
    assert (answer.status_code, answer.headers["content-range"]) == (201, "0-0/1")
    assert answer.json()["outcome"] == "claimed"


@pytest.mark.parametrize(("name", "commits"), [("drop_request", 0), ("drop_answer", 1)])
def test_a_lost_request_and_a_lost_answer_look_the_same(proxied: Proxied, name: str, commits: int) -> None:
    """The connection closes without a byte; only the database knows whether it committed."""
    proxied.fail(name)
    with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
        proxied.claim()
    assert len(proxied.behind.committed) == commits
    assert proxied.claim().status_code == 201


@pytest.mark.parametrize(("name", "commits"), [("hold_request", 0), ("hold_answer", 1)])
def test_what_is_held_goes_on_when_released(proxied: Proxied, name: str, commits: int) -> None:
    """A request is held before the database sees it, an answer after it committed."""
    proxied.fail(name)
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(proxied.claim)
        proxied.until_held()
        assert len(proxied.behind.committed) == commits
        assert proxied.http.post("/_admin/release").json() == {"released": 1}
        assert waiting.result().status_code == 201
    assert len(proxied.behind.committed) == 1


@pytest.mark.parametrize(("name", "commits"), [("delay_request", 0), ("delay_answer", 1)])
def test_a_delay_beyond_the_callers_patience(proxied: Proxied, name: str, commits: int) -> None:
    """A time-out of the caller, who cannot know whether anything was committed."""
    proxied.fail(name, delay_ms=400)
    with pytest.raises(httpx.ReadTimeout):
        proxied.claim(timeout=0.1)
    assert len(proxied.behind.committed) == commits
    proxied.until_committed(1)


def test_a_cut_answer_ends_half_way(proxied: Proxied) -> None:
    """Committed; half of the body arrives."""
    proxied.fail("cut")
    with pytest.raises(httpx.RemoteProtocolError, match="without sending complete message body"):
        proxied.claim()
    assert len(proxied.behind.committed) == 1


@pytest.mark.parametrize("done", [True, False])
@pytest.mark.parametrize(("name", "status"), [("error_500", 500), ("error_502", 502), ("not_json", 200)])
def test_an_answer_that_says_nothing_of_the_commit(
    proxied: Proxied, name: str, status: int, done: bool
) -> None:
    """500, a page of HTML, or no JSON: after the commit or, with done: false, without one."""
    proxied.fail(name, done=done)
    answer = proxied.claim()
    assert answer.status_code == status
    assert ("<!DOCTYPE html>" in answer.text) == (name == "error_502")
    assert len(proxied.behind.committed) == int(done)


def test_a_fault_strikes_the_rpc_it_names(proxied: Proxied) -> None:
    """By RPC name or pattern; any other request by method and path."""
    proxied.fail("error_500", on="claim_*", count=None)
    proxied.fail("error_500", on="GET /auth/*", count=None)
    assert proxied.http.post("/rest/v1/rpc/begin_execution", json={}).status_code == 201
    assert proxied.claim().status_code == 500
    assert proxied.http.get("/rest/v1/trade_executions").status_code == 201
    assert proxied.http.get("/auth/v1/user").status_code == 500


def test_a_fault_strikes_by_count_and_by_probability_and_seed(proxied: Proxied) -> None:
    """`count` calls after `skip`; with a probability the same seed strikes the same calls again."""
    proxied.fail("error_500", skip=1, count=2)
    assert [proxied.claim().status_code for _ in range(4)] == [201, 500, 500, 201]
    runs = []
    for _ in range(2):
        proxied.http.delete("/_admin/faults")
        proxied.fail("error_500", probability=0.5, count=None, seed=11)
        runs.append([proxied.claim().status_code for _ in range(20)])
    assert runs[0] == runs[1]
    assert set(runs[0]) == {201, 500}


def test_a_server_that_is_not_there_is_a_bad_gateway() -> None:
    """The proxy answers 502 with a sentence when it cannot reach what stands behind it."""
    with serving(create_app("http://127.0.0.1:9")) as address:
        answer = httpx.post(f"{address}{CLAIM}", json={}, trust_env=False)
    assert answer.status_code == 502
    assert "did not answer" in answer.text


def test_the_readme_has_the_table_of_faults() -> None:
    """The table is made from the code."""
    assert table(COMMON) in Path("local/proxy/README.md").read_text()
