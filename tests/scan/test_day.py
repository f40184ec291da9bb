"""A day of many jobs on a clock that is moved by the minute: punctual, each due time once, few calls.

The tick is the one that is served, on the database that the migrations build. Exchange and model answer from
memory. Most owners scan twice a day, one in a hundred every quarter of an hour, and what falls due falls due
in crowds. Several ticks begin each minute, and the next minute begins while they are still at work.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from queue import SimpleQueue
from threading import Lock
from typing import Any
from uuid import UUID

import httpx
import httpx2
import pytest
from pydantic import SecretStr

from functions.scan_tick.ask import ASK_AGAIN
from functions.scan_tick.job import Outside
from functions.scan_tick.model import Model
from functions.scan_tick.tick import Summary, tick
from local import stack
from local.world import World
from shared.bitvavo import BitvavoReadonly
from tests.database.harness import Caller, TestDatabase, opened
from tests.unit.scanning import EXCHANGE, candle_rows, completion, hourly

JOBS = 10_000
A_TWENTIETH = JOBS // 20
DAY = timedelta(hours=24)
MINUTE = timedelta(minutes=1)
LEASE = timedelta(minutes=2)
TICKS_AT_ONCE = 3
CONNECTIONS = 16

SELDOM, OFTEN = timedelta(hours=12), timedelta(minutes=15)
ONE_IN = 100
"""Of so many owners one scans often, which makes 'within one interval' a matter of minutes."""

CALLS_A_JOB = 3
CALM = ["100", "100.1"] * 100

HOLD = {
    "action": "hold",
    "market": None,
    "amount_eur": None,
    "confidence": 60,
    "rationale": "The price is near its average, and nothing has turned.",
}
BUY = HOLD | {"action": "buy", "market": "BTC-EUR", "amount_eur": 40, "confidence": 80}


def test_a_twentieth_of_the_day(made: TestDatabase) -> None:
    """500 jobs, one day: every one within its interval, none twice for one due time, at most 3 calls each."""
    _must_hold(made, _live_through(made, A_TWENTIETH))


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_a_day_of_ten_thousand_jobs(made: TestDatabase) -> None:
    """10,000 jobs, one day: every one within its interval, none twice for one due time, 3 calls each."""
    _must_hold(made, _live_through(made, JOBS))


@pytest.fixture
def made(place: World) -> Iterator[TestDatabase]:
    """A database of its own, its clock stopped."""
    url = stack.fresh_database(place.stack)
    try:
        with opened(url) as database:
            yield database
    finally:
        stack.drop_database(place.stack, url)


@dataclass(frozen=True)
class Lived:
    """What a day came to: `intervals` of all jobs, `shared` the minutes in which several ticks had jobs."""

    database: Counted
    intervals: Mapping[UUID, timedelta]
    endings: Counter[str]
    shared: int
    ended_at: datetime


def _live_through(made: TestDatabase, jobs: int) -> Lived:
    _schedule(made, jobs)
    database = Counted([made.as_service() for _ in range(CONNECTIONS)])
    clock = Clock(made.now)
    outside = Outside(
        database=database,
        model=_model(),
        now=clock.now,
        monotonic=clock.monotonic,
        sleep=lambda _seconds: None,
    )
    minutes: list[list[Future[Summary]]] = [[]]
    with (
        httpx.Client(transport=httpx.MockTransport(Market(clock).answer)) as http,
        ThreadPoolExecutor(2 * TICKS_AT_ONCE) as pool,
    ):
        exchange = BitvavoReadonly(http, EXCHANGE, None, lambda: 0)
        for _ in range(DAY // MINUTE):
            made.advance(MINUTE)
            clock.at += MINUTE
            ticks = [
                pool.submit(tick, exchange, outside, f"worker {number}") for number in range(TICKS_AT_ONCE)
            ]
            wait(minutes[-1])
            minutes.append(ticks)
    summaries = [[each.result() for each in ticks] for ticks in minutes]
    return Lived(
        database,
        dict(made.rows(_INTERVALS)),
        Counter(result.ending for ticks in summaries for each in ticks for result in each.results),
        sum(sum(bool(each.results) for each in ticks) > 1 for ticks in summaries),
        clock.at,
    )


_INTERVALS = """
    select job.id, make_interval(mins => (policy.policy ->> 'scan_interval_minutes')::integer)
    from public.scan_jobs as job
    join public.trading_policies as policy using (user_id)
"""


def _must_hold(made: TestDatabase, lived: Lived) -> None:
    leases, calls = lived.database.leases, lived.database.calls
    assert lived.shared > 0, "no two ticks had jobs in the same minute: nothing was proved"
    assert set(lived.endings) == {"proposed", "held", "outage"}
    assert lived.endings.total() == len(leases)

    assert {lease.job for lease in leases} == set(lived.intervals)
    assert [lease for lease in leases if lease.at - lease.due_at > lived.intervals[lease.job]] == []
    ahead = made.rows("select id, next_run_at from public.scan_jobs where enabled and lock_token is null")
    assert len(ahead) == len(lived.intervals)
    assert [job for job, due_at in ahead if lived.ended_at - due_at > lived.intervals[job]] == []

    times = Counter((lease.job, lease.due_at) for lease in leases)
    assert [which for which, often in times.items() if often > 1] == []
    assert lived.database.finished == Counter({lease.token: 1 for lease in leases})

    too_many = [each for each in calls.values() if each.total() > CALLS_A_JOB + (1 if each[ASK_AGAIN] else 0)]
    assert too_many == []
    assert made.one("select count(*) from public.gpt_usage_log where status = 'RESERVED'") == 0


def _schedule(made: TestDatabase, jobs: int) -> None:
    """As many owners whose scans fall due in crowds, one crowd each quarter of the first twelve hours."""
    made.do(
        """
        with person as (
            insert into auth.users (id) select gen_random_uuid() from generate_series(1, %s) returning id
        ),
        named as (insert into public.trading_owners (user_id) select id from person returning user_id),
        numbered as (select user_id, row_number() over () as number from named),
        allowed as (
            insert into public.trading_policies (user_id, policy)
            select user_id, interlock.complete_policy(jsonb_build_object(
                'allowlist', '["BTC-EUR"]'::jsonb,
                'scan_interval_minutes', case when number %% %s = 0 then %s else %s end,
                'limits', '{"gpt": {"daily": 1000, "hourly": 100}}'::jsonb
            ))
            from numbered
            returning user_id
        )
        insert into public.scan_jobs (user_id, enabled, next_run_at)
        select user_id, true, interlock.clock() + interval '15 minutes' * (number %% 48)
        from numbered
        """,
        jobs,
        ONE_IN,
        OFTEN // MINUTE,
        SELDOM // MINUTE,
    )


@dataclass
class Clock:
    """Both clocks of a worker; moved after the database's, as a lease is counted from before its claim."""

    at: datetime

    def now(self) -> datetime:
        """The time of day."""
        return self.at

    def monotonic(self) -> float:
        """Seconds."""
        return self.at.timestamp()


@dataclass(frozen=True)
class Lease:
    """One job handed to one tick."""

    job: UUID
    token: UUID
    due_at: datetime
    at: datetime


@dataclass
class Counted:
    """The database, without the API before it; keeps what was leased, finished, and called for each lease."""

    callers: list[Caller]
    leases: list[Lease] = field(default_factory=list)
    finished: Counter[UUID] = field(default_factory=Counter)
    calls: dict[UUID, Counter[str]] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)
    _free: SimpleQueue[Caller] = field(default_factory=SimpleQueue)

    def __post_init__(self) -> None:
        for caller in self.callers:
            self._free.put(caller)

    def call(self, rpc: str, **params: object) -> Any:
        """As the secret key does, on a connection that nobody uses now."""
        caller = self._free.get()
        try:
            answer = caller.call(rpc, **params)
        finally:
            self._free.put(caller)
        with self._lock:
            self._count(rpc, params, answer)
        return answer

    def _count(self, rpc: str, params: Mapping[str, object], answer: Any) -> None:
        if rpc == "claim_due_scan_jobs":
            self.leases += [
                Lease(
                    UUID(job["id"]),
                    UUID(job["lock_token"]),
                    datetime.fromisoformat(job["due_at"]),
                    datetime.fromisoformat(job["lock_expires_at"]) - LEASE,
                )
                for job in answer
            ]
            return
        token = params["p_lock_token"]
        assert isinstance(token, UUID)
        self.calls.setdefault(token, Counter())[str(params.get("p_purpose", rpc))] += 1
        if rpc == "finish_scan" and answer["outcome"] == "finished":
            self.finished[token] += 1


@dataclass(frozen=True)
class Market:
    """One calm market, its last hour the one that the clock shows."""

    clock: Clock

    def answer(self, request: httpx.Request) -> httpx.Response:
        """As the exchange does."""
        match request.url.path.removeprefix("/v2/"):
            case "markets":
                return httpx.Response(
                    200,
                    json={
                        "market": "BTC-EUR",
                        "status": "trading",
                        "base": "BTC",
                        "quote": "EUR",
                        "minOrderInBaseAsset": "0.0001",
                        "minOrderInQuoteAsset": "5.00",
                        "quantityDecimals": 8,
                        "notionalDecimals": 2,
                        "tickSize": "0.01",
                    },
                )
            case "ticker/book":
                book = {"market": "BTC-EUR", "bid": "99.9", "bidSize": "1", "ask": "100.1", "askSize": "1"}
                return httpx.Response(200, json=book)
            case _:
                hour = self.clock.at.replace(minute=0, second=0, microsecond=0)
                return httpx.Response(200, json=candle_rows(hourly(CALM, last=hour)))


def _model() -> Model:
    """Mostly holds, proposes every fourth time, rambles now and then, and is sometimes out of order."""
    asked = count(1)

    def answer(request: httpx2.Request) -> httpx2.Response:
        number = next(asked)
        is_asked_again = len(json.loads(request.content)["messages"]) > 2
        if number % 50 == 0 and not is_asked_again:
            return httpx2.Response(503)
        if number % 20 == 1 and not is_asked_again:
            return httpx2.Response(200, json=completion("It depends."))
        return httpx2.Response(200, json=completion(json.dumps(BUY if number % 4 == 0 else HOLD)))

    return Model(
        "from memory", SecretStr("key"), "http://model.test/v1", transport=httpx2.MockTransport(answer)
    )
