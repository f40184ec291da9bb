"""An approval beside its database calls alone: what `execute` costs above the network that it must cross."""

from __future__ import annotations

import time
from typing import Any
from uuid import UUID, uuid4

import httpx

from bench import bare, trading
from bench.table import Bench, Row, Sample, at_most
from bench.trading import Owner, Trading
from local import world
from local.errors import LocalWorldError
from local.exchange.keys import TRADE_KEY
from local.stack import OPERATOR_ID

REPETITIONS = 100
_WARM_UP = 10
_OWNERS = 10
"""So many that none approves faster than one owner may."""
_PAUSE_S = 0.2
"""An instance sends five orders a second and lets whatever is more wait, which is not measured here."""
TARGET = 1.25
_PLACED = "POST /order"
_FACTS = ("GET /markets", "GET /order", "GET /ticker/book", "GET /time")


class Approvals:
    """Approvals of one warm `execute`, and its database calls bare, each over a connection that is kept."""

    def __init__(self, place: Trading, address: str) -> None:
        self._place = place
        self._execute = httpx.Client(base_url=address, trust_env=False, timeout=30.0)
        self._exchange = httpx.Client(base_url=place.exchange_url.removesuffix("/v2"), trust_env=False)
        self._database = place.data_api()
        self.seconds: list[float] = []
        self.whole_seconds: list[float] = []
        self.bare_seconds: list[float] = []

    def approve(self, owner: Owner, proposal: UUID) -> None:
        """From request to answer, less what the exchange took to make its answers."""
        began = time.perf_counter()
        response = self._execute.post("/", json={"proposalId": str(proposal)}, headers=owner.bearer())
        took = time.perf_counter() - began
        if response.status_code != httpx.codes.OK:
            raise LocalWorldError(f"execute answered {response.status_code}: {response.text}")
        self.whole_seconds.append(took)
        self.seconds.append(took - self._answer_seconds())
        self._told = response.json()["execution"]

    def call_bare(self, owner: Owner, proposal: UUID) -> None:
        """Begin, claim and record what `execute` did for its last approval: the three calls alone count."""
        self._took = 0.0
        asked = bare.begin(str(owner.user_id), str(proposal), OPERATOR_ID, TRADE_KEY)
        begun = self._call("begin_execution", asked)
        now_ms = time.time_ns() // 1_000_000
        checks = [check for check in self._told["checks"] if check["check"] in bare.MARKET_CHECKS]
        claim = bare.claim(asked, begun, self._place.exchange_url, now_ms, checks)
        execution = self._call("claim_execution", claim)["execution"]
        order = {
            **self._told["response"]["body"],
            "clientOrderId": execution["id"],
            "orderId": str(uuid4()),
            "fills": [{**fill, "id": str(uuid4())} for fill in self._told["response"]["body"]["fills"]],
        }
        recorded = self._call("record_execution_result", bare.record(execution, order))
        if recorded["outcome"] != "recorded":
            raise LocalWorldError(f"The bare calls ended otherwise: {recorded}")
        self.bare_seconds.append(self._took)

    def _call(self, rpc: str, params: dict[str, object]) -> Any:
        began = time.perf_counter()
        answer = self._database.post(f"/{rpc}", json=params).raise_for_status().json()
        self._took += time.perf_counter() - began
        return answer

    def _answer_seconds(self) -> float:
        """The slowest of the four facts, which are asked for at the same time, and the order."""
        latest = self._exchange.get("/_admin/times").json()[-len(_FACTS) - 1 :]
        facts, order = latest[:-1], latest[-1]
        if tuple(sorted(fact["on"] for fact in facts)) != _FACTS or order["on"] != _PLACED:
            raise LocalWorldError(f"An approval asked the exchange otherwise: {latest}")
        return float(max(fact["us"] for fact in facts) + order["us"]) / 1e6


def beside_its_calls() -> list[Row]:
    """Approvals and bare calls in turns. Raises LocalWorldError when either does not end as it should."""
    with trading.opened("bench-execute") as place:
        address = world.start_function("execute", place.stack.folder, place.environment("execute"))
        approvals = Approvals(place, address)
        waiting = iter(place.proposals(place.owners(_OWNERS), 2 * (_WARM_UP + REPETITIONS)))
        for repetition in range(_WARM_UP + REPETITIONS):
            time.sleep(_PAUSE_S)
            ways = (approvals.approve, approvals.call_bare)
            for way in ways if repetition % 2 == 0 else reversed(ways):
                way(*next(waiting))
    return [
        Row(
            "execute: request to answer, less the exchange's",
            _milliseconds(approvals.seconds),
            "its three database calls",
            _milliseconds(approvals.bare_seconds),
            at_most(TARGET),
        ),
        Row(
            "execute: request to answer",
            _milliseconds(approvals.whole_seconds),
            "its three database calls",
            _milliseconds(approvals.bare_seconds),
        ),
    ]


def _milliseconds(seconds: list[float]) -> Sample:
    return Sample(tuple(1000 * one for one in seconds[_WARM_UP:]), "ms")


BENCH = Bench(
    "execute",
    "An approval",
    f"""
A warm `execute` as the cloud serves it, from request to answer: three database calls, four market facts side
by side, one order. Taken off is what the simulated exchange took to make its answers: the slowest of the four
facts and the order; the time on the way to it and back stays in. Beside it the same three database calls with
the same arguments, made bare by one HTTP client over a kept connection. In turns, {REPETITIONS} times each.
All of it runs on one machine, where a wire takes no time: what `execute` adds is the processor's work for a
web server, a token, five requests to the exchange and the checks.
""",
    beside_its_calls,
)
