"""What the scan's unit tests share: an exchange that answers, a model that says what it is told, a database.

The exchange is answered by respx and the model by an httpx2 transport, both below the real clients; the
database is the one boundary with a stand-in, a small ledger in memory with the rules of a lease and a budget.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from threading import Lock
from typing import Any
from uuid import UUID, uuid4

import httpx
import httpx2
import respx
from pydantic import SecretStr

from functions.scan_tick.indicators import Bar
from functions.scan_tick.job import ClaimedJob, Outside, Result
from functions.scan_tick.model import MOST_COMPLETION_TOKENS, Model
from functions.scan_tick.reader import MarketReader
from functions.scan_tick.scan import scan
from shared.bitvavo import BitvavoReadonly, open_http
from shared.errors import DatabaseUnavailable

NOW = datetime(2026, 11, 24, 4, 10, tzinfo=UTC)
LAST_HOUR = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)
EXCHANGE = "http://exchange.test/v2"

POLICY: dict[str, Any] = {
    "allowlist": ["BTC-EUR", "ETH-EUR"],
    "min_confidence": 70,
    "limits": {
        "order": {"min_eur": "6", "max_eur": "250"},
        "daily": {"trades": 5, "value_eur": "1000"},
        "gpt": {"daily": 20, "hourly": 4},
    },
    "cooldown_minutes": 60,
    "anti_flip_minutes": 120,
    "max_price_move_percent": "1.0",
    "max_spread_percent": "0.5",
    "proposal_ttl_minutes": 15,
    "scan_interval_minutes": 60,
}

DECISION: dict[str, Any] = {
    "action": "buy",
    "market": "BTC-EUR",
    "amount_eur": 100,
    "confidence": 80,
    "rationale": "The price stands below its average and has turned up with more volume than usual.",
}


def hourly(closes: Sequence[str], last: datetime = LAST_HOUR) -> tuple[Bar, ...]:
    """One bar an hour with these closes, the last of which opened at `last`; each traded one unit."""
    first = last - timedelta(hours=len(closes) - 1)
    prices = [Decimal(close) for close in closes]
    return tuple(
        Bar(
            first + timedelta(hours=hour),
            prices[max(hour - 1, 0)],
            max(price, prices[max(hour - 1, 0)]),
            min(price, prices[max(hour - 1, 0)]),
            price,
            Decimal(1),
        )
        for hour, price in enumerate(prices)
    )


def week_of(close: str = "100", hours: int = 200) -> tuple[Bar, ...]:
    """Calm hours around one price, enough for every indicator."""
    return hourly([str(Decimal(close) + Decimal(hour % 2) / 10) for hour in range(hours)][::-1])


def candle_rows(bars: Sequence[Bar]) -> list[list[object]]:
    """The bars as `GET /{market}/candles` answers them: newest first, prices as strings."""
    return [
        [
            round(bar.opened_at.timestamp() * 1000),
            *map(str, (bar.open, bar.high, bar.low, bar.close, bar.volume)),
        ]
        for bar in reversed(bars)
    ]


@dataclass
class Exchange:
    """What the exchange answers about each market; count its requests in `router.calls`."""

    router: respx.MockRouter
    client: BitvavoReadonly

    def lists(self, market: str, *, bid: str = "99.9", ask: str = "100.1", **fields: str) -> None:
        """The market is there, calm around 100 EUR; `fields` change its row."""
        base, _, quote = market.partition("-")
        self.router.get("/markets", params={"market": market}).respond(
            json={
                "market": market,
                "status": "trading",
                "base": base,
                "quote": quote,
                "minOrderInBaseAsset": "0.0001",
                "minOrderInQuoteAsset": "5.00",
                "quantityDecimals": 8,
                "notionalDecimals": 2,
                "tickSize": "0.01",
                **fields,
            }
        )
        self.quotes(market, bid, ask)
        self.has_candles(market, week_of())

    def quotes(self, market: str, bid: str, ask: str) -> None:
        """The top of the book."""
        self.router.get("/ticker/book", params={"market": market}).respond(
            json={"market": market, "bid": bid, "bidSize": "1", "ask": ask, "askSize": "1"}
        )

    def has_candles(self, market: str, bars: Sequence[Bar]) -> None:
        """The hourly candles."""
        self.router.get(f"/{market}/candles").respond(json=candle_rows(bars))

    def fails(self, market: str, answer: httpx.Response | Exception) -> None:
        """Every question about the market gets this."""
        for route in (
            self.router.get("/markets", params={"market": market}),
            self.router.get("/ticker/book", params={"market": market}),
            self.router.get(f"/{market}/candles"),
        ):
            route.mock(side_effect=[answer] * 100 if isinstance(answer, httpx.Response) else answer)


@contextmanager
def an_exchange(*markets: str) -> Iterator[Exchange]:
    """An exchange that lists these markets."""
    with respx.mock(base_url=EXCHANGE, assert_all_called=False) as router, open_http(1.0) as http_client:
        exchange = Exchange(router, BitvavoReadonly(http_client, EXCHANGE, None, lambda: 0))
        for market in markets:
            exchange.lists(market)
        yield exchange


def completion(
    content: str | None,
    *,
    finish_reason: object = "stop",
    usage: object = None,
    **message: object,
) -> dict[str, Any]:
    """A chat completion with this content; it used 700 and 80 tokens."""
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 0,
        "model": "test",
        "choices": [
            {
                "index": 0,
                "finish_reason": finish_reason,
                "message": {"role": "assistant", "content": content, **message},
            }
        ],
        "usage": usage or {"prompt_tokens": 700, "completion_tokens": 80, "total_tokens": 780},
    }


Say = Callable[[httpx2.Request], httpx2.Response]


class TalkingModel:
    """The network of a model that says these things, the last of them for ever; keeps what it was asked."""

    def __init__(
        self, *says: Mapping[str, Any] | httpx2.Response | Exception | Say, timeout_s: float = 45
    ) -> None:
        self._says = list(says)
        self._timeout_s = timeout_s
        self._lock = Lock()
        self.asked: list[dict[str, Any]] = []

    def model(self) -> Model:
        """The real client over this network."""
        transport = httpx2.MockTransport(self._answer)
        return Model(
            "test-model",
            SecretStr("key"),
            "http://model.test/v1",
            timeout_s=self._timeout_s,
            transport=transport,
        )

    def _answer(self, request: httpx2.Request) -> httpx2.Response:
        with self._lock:
            self.asked.append(json.loads(request.content))
            said = self._says.pop(0) if len(self._says) > 1 else self._says[0]
        if isinstance(said, Exception):
            raise said
        if isinstance(said, httpx2.Response):
            return httpx2.Response(said.status_code, headers=said.headers, content=said.content)
        return said(request) if callable(said) else httpx2.Response(200, json=said)


@dataclass
class Ledger:
    """The database's part in memory: due jobs under leases, a budget of calls, fenced finishes.

    The next answers of the RPCs in `lost` are lost after the work was done, of those in `down` before it;
    `before` is what else happens just before an RPC.
    """

    budget: int = 100
    jobs: dict[UUID, UUID | None] = field(default_factory=dict)
    policy: Any = field(default_factory=lambda: deepcopy(POLICY))
    blocked: dict[str, Any] = field(default_factory=dict)
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    usage: dict[UUID, dict[str, Any]] = field(default_factory=dict)
    proposals: dict[UUID, dict[str, Any]] = field(default_factory=dict)
    finished: dict[UUID, dict[str, Any]] = field(default_factory=dict)
    done_tokens: set[UUID] = field(default_factory=set)
    lost: list[str] = field(default_factory=list)
    down: list[str] = field(default_factory=list)
    refuse: dict[str, Exception] = field(default_factory=dict)
    before: dict[str, Callable[[dict[str, Any]], None]] = field(default_factory=dict)
    lock: Any = field(default_factory=Lock)

    def with_jobs(self, count: int) -> "Ledger":
        """So many jobs are due."""
        self.jobs |= {uuid4(): None for _ in range(count)}
        return self

    def call(self, rpc: str, **params: Any) -> Any:
        """Answer like the RPC of that name."""
        with self.lock:
            self.calls.append((rpc, params))
            if rpc in self.before:
                self.before[rpc](params)
            if rpc in self.down:
                self.down.remove(rpc)
                raise DatabaseUnavailable
            if rpc in self.refuse and (rpc != "finish_scan" or params["p_proposal"] is not None):
                raise self.refuse[rpc]
            answer = getattr(self, f"_{rpc}")(**params)
            if rpc in self.lost:
                self.lost.remove(rpc)
                raise DatabaseUnavailable
            return deepcopy(answer)

    def named(self, rpc: str) -> list[dict[str, Any]]:
        """The parameters of all calls of one RPC."""
        return [params for name, params in self.calls if name == rpc]

    def lease(self, job_id: UUID) -> ClaimedJob:
        """Take one job, as a claim does."""
        token = self.jobs[job_id] = uuid4()
        return ClaimedJob(
            id=job_id, lock_token=token, policy=self.policy, policy_hash="hash", blocked=self.blocked
        )

    def _claim_due_scan_jobs(self, p_instance_id: str, p_limit: int) -> list[dict[str, Any]]:
        assert p_instance_id
        due = [each for each, held in self.jobs.items() if held is None and each not in self.finished]
        return [json.loads(self.lease(job_id).model_dump_json()) for job_id in due[:p_limit]]

    def _reserve_gpt_call(
        self,
        p_reservation_id: UUID,
        p_scan_job_id: UUID,
        p_lock_token: UUID,
        p_purpose: str,
        p_model: str,
        p_most_tokens: int,
    ) -> dict[str, Any]:
        assert p_purpose
        assert p_model
        assert p_most_tokens > MOST_COMPLETION_TOKENS
        if p_reservation_id not in self.usage:
            if self.jobs[p_scan_job_id] != p_lock_token:
                return {"outcome": "lease_lost", "reason": None}
            counted = sum(row["status"] not in ("RELEASED", "SKIPPED") for row in self.usage.values())
            status = "RESERVED" if counted < self.budget else "SKIPPED"
            self.usage[p_reservation_id] = {"status": status, "purpose": p_purpose}
        if self.usage[p_reservation_id]["status"] == "SKIPPED":
            return {"outcome": "refused", "reason": "HOURLY_BUDGET_EXHAUSTED"}
        return {"outcome": "reserved", "reason": None}

    def _finish_scan(self, **p: Any) -> dict[str, Any]:
        assert (p["p_outcome"] == "proposed") == (p["p_proposal"] is not None)
        for row in p["p_usage"]:
            if row["status"] == "RELEASED" and UUID(row["id"]) not in self.usage:
                continue
            assert self.usage[UUID(row["id"])]["status"] in ("RESERVED", row["status"])
            self.usage[UUID(row["id"])] |= row
        job_id, token = p["p_scan_job_id"], p["p_lock_token"]
        if self.jobs[job_id] != token:
            outcome = "already_finished" if token in self.done_tokens else "lease_lost"
            proposal = self.proposals.get(UUID(p["p_proposal"]["id"])) if p["p_proposal"] else None
            return {"outcome": outcome, "proposal": proposal, "next_run_at": None}
        self.jobs[job_id] = None
        self.done_tokens.add(token)
        self.finished[job_id] = p
        proposal = None
        if p["p_proposal"]:
            proposal = {**p["p_proposal"], "expires_at": "2026-11-24T04:25:00+00:00"}
            self.proposals[UUID(proposal["id"])] = proposal
        return {"outcome": "finished", "proposal": proposal, "next_run_at": None}


@dataclass
class Clock:
    """A monotonic clock and one of the day that only move when they are told to."""

    seconds: float = 1000.0

    def monotonic(self) -> float:
        """Seconds."""
        return self.seconds

    def now(self) -> datetime:
        """The day's clock, ten past four at 1000 s."""
        return NOW + timedelta(seconds=self.seconds - 1000)

    def sleep(self, seconds: float) -> None:
        """Time passes at once."""
        self.seconds += seconds


def outside(ledger: Ledger, talking: TalkingModel, clock: Clock | None = None) -> Outside:
    """Everything that a scan touches."""
    clock = clock or Clock()
    return Outside(
        database=ledger,
        model=talking.model(),
        now=clock.now,
        monotonic=clock.monotonic,
        sleep=clock.sleep,
    )


def scan_one(ledger: Ledger, talking: TalkingModel, exchange: Exchange, clock: Clock | None = None) -> Result:
    """Claim one job and scan it to its end."""
    clock = clock or Clock()
    world = outside(ledger, talking, clock)
    with ThreadPoolExecutor(2) as reads:
        markets = MarketReader(exchange.client, reads, world.now, world.monotonic)
        job_id = next(iter(ledger.with_jobs(1).jobs))
        return scan(ledger.lease(job_id), clock.monotonic(), markets, world)
