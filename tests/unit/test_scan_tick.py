"""One tick: jobs side by side, facts shared, one failure touching no other, claims that end."""

import json
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import httpx2
import pytest

from functions.scan_tick.market import MarketFacts, Trouble, Unusable
from functions.scan_tick.reader import FRESH_FOR_S, MarketReader
from functions.scan_tick.tick import CLAIM_FOR_S, JOBS_AT_ONCE, tick
from shared.errors import DatabaseUnavailable
from tests.loopback import Reply, serving
from tests.unit.scanning import (
    DECISION,
    NOW,
    Clock,
    Ledger,
    TalkingModel,
    an_exchange,
    completion,
    outside,
)

pytestmark = pytest.mark.unit

GOOD = completion(json.dumps(DECISION))


def test_all_claimed_jobs_wait_for_the_model_at_the_same_time() -> None:
    """25 jobs are asked about side by side: no answer is given before all 25 questions are there."""
    everybody = threading.Barrier(JOBS_AT_ONCE, timeout=20)

    def together(_request: httpx2.Request) -> httpx2.Response:
        everybody.wait()
        return httpx2.Response(200, json=GOOD)

    ledger = Ledger().with_jobs(JOBS_AT_ONCE)
    with an_exchange("BTC-EUR", "ETH-EUR") as exchange:
        summary = tick(exchange.client, outside(ledger, TalkingModel(together)), "worker")
    assert summary.answer()["endings"] == {"proposed": JOBS_AT_ONCE}
    assert len(ledger.proposals) == JOBS_AT_ONCE


def test_the_jobs_of_one_tick_share_the_market_facts() -> None:
    """However many jobs look at a market, it is read once: three requests a market."""
    ledger = Ledger().with_jobs(10)
    with an_exchange("BTC-EUR", "ETH-EUR") as exchange:
        summary = tick(exchange.client, outside(ledger, TalkingModel(GOOD)), "worker")
        assert len(exchange.router.calls) == 2 * 3
    assert summary.market_reads == 2


def test_two_database_calls_a_job_and_a_claim_for_many() -> None:
    """A job costs a reservation and a finish; the claim is shared by a full load of workers."""
    ledger = Ledger().with_jobs(2 * JOBS_AT_ONCE)
    with an_exchange("BTC-EUR", "ETH-EUR") as exchange:
        tick(exchange.client, outside(ledger, TalkingModel(GOOD)), "worker")
    calls = Counter(name for name, _ in ledger.calls)
    assert calls["reserve_gpt_call"] == calls["finish_scan"] == 2 * JOBS_AT_ONCE
    assert calls["claim_due_scan_jobs"] <= 4


def test_one_jobs_failure_touches_no_other() -> None:
    """A job with an unreadable policy and one whose answer rambles fail alone."""
    ledger = Ledger().with_jobs(3)
    policies = iter([ledger.policy, None, ledger.policy])
    claim = ledger._claim_due_scan_jobs

    def claimed(**params: Any) -> list[dict[str, Any]]:
        return [{**job, "policy": next(policies)} for job in claim(**params)]

    ledger.__dict__["_claim_due_scan_jobs"] = claimed
    with an_exchange("BTC-EUR", "ETH-EUR") as exchange:
        summary = tick(exchange.client, outside(ledger, TalkingModel(GOOD)), "worker")
    assert summary.answer()["endings"] == {"failed": 1, "proposed": 2}


def test_a_tick_stops_claiming_before_the_platform_gives_up() -> None:
    """When jobs keep coming, claims end after their time and what was claimed is finished."""
    clock = Clock()
    ledger = Ledger(budget=10_000).with_jobs(20 * JOBS_AT_ONCE)

    def slow(_request: httpx2.Request) -> httpx2.Response:
        clock.seconds += CLAIM_FOR_S / JOBS_AT_ONCE / 2
        return httpx2.Response(200, json=GOOD)

    with an_exchange("BTC-EUR", "ETH-EUR") as exchange:
        summary = tick(exchange.client, outside(ledger, TalkingModel(slow), clock), "worker")
    assert JOBS_AT_ONCE <= len(summary.results) < 10 * JOBS_AT_ONCE
    assert len(ledger.finished) == len(summary.results)


def test_a_claim_that_is_not_answered_is_an_error_of_the_tick() -> None:
    """Without a first claim there is nothing to sum up, and the caller hears of it."""
    ledger = Ledger(down=["claim_due_scan_jobs"])
    with an_exchange() as exchange, pytest.raises(DatabaseUnavailable):
        tick(exchange.client, outside(ledger, TalkingModel(GOOD)), "worker")


def test_a_claim_that_fails_half_way_ends_the_claiming_and_not_the_jobs() -> None:
    """What was claimed before is finished, and the summary says that the tick was not whole."""
    ledger = Ledger().with_jobs(2 * JOBS_AT_ONCE)
    ledger.before["finish_scan"] = lambda _params: ledger.down.append("claim_due_scan_jobs")
    with an_exchange("BTC-EUR", "ETH-EUR") as exchange:
        summary = tick(exchange.client, outside(ledger, TalkingModel(GOOD)), "worker")
    assert (len(summary.results), summary.whole) == (JOBS_AT_ONCE, False)
    assert len(ledger.finished) == JOBS_AT_ONCE


def test_an_unreadable_claim_is_an_error_of_the_tick() -> None:
    """An answer that is no list of jobs runs nothing."""
    ledger = Ledger()
    ledger.__dict__["_claim_due_scan_jobs"] = lambda **_params: [{"id": "not a uuid"}]
    with an_exchange() as exchange, pytest.raises(DatabaseUnavailable):
        tick(exchange.client, outside(ledger, TalkingModel(GOOD)), "worker")


def test_overlapping_ticks_run_each_job_once() -> None:
    """Four ticks at a time over the same due jobs finish each of them once, inside one budget."""
    ledger = Ledger(budget=12).with_jobs(40)
    talking = TalkingModel(GOOD)
    with an_exchange("BTC-EUR", "ETH-EUR") as exchange, ThreadPoolExecutor(4) as ticks:
        world = outside(ledger, talking)
        summaries = list(ticks.map(lambda name: tick(exchange.client, world, name), "abcd"))
    endings = Counter(result.ending for summary in summaries for result in summary.results)
    assert endings == {"proposed": 12, "budget_exhausted": 28}
    assert len(talking.asked) == 12


def test_a_new_proposal_is_announced_once() -> None:
    """NOTIFY_URL hears of each new proposal: what, at which price, until when, why, and how to approve it."""
    ledger = Ledger().with_jobs(1)
    with an_exchange("BTC-EUR", "ETH-EUR") as exchange, serving(lambda _: Reply(200)) as person:
        exchange.router.route(host="127.0.0.1").pass_through()
        world = replace(outside(ledger, TalkingModel(GOOD)), notify_url=f"{person.url}/topic")
        tick(exchange.client, world, "worker")
    [heard] = person.asked
    text = heard.raw.decode()
    [(proposal_id, proposal)] = ledger.proposals.items()
    assert text.startswith("Proposal: buy 100.00 EUR of BTC-EUR at 100.1 EUR, confidence ")
    assert f"It expires at {str(proposal['expires_at'])[:16].replace('T', ' ')} UTC." in text
    assert text.endswith(f"./interlock approve {proposal_id}")
    assert f'Why: "{DECISION["rationale"]}"' in text


def test_a_market_is_read_anew_for_a_job_that_comes_later() -> None:
    """A reference price is never older than a few seconds, however long the tick runs."""
    clock = Clock()
    with an_exchange("BTC-EUR") as exchange, ThreadPoolExecutor(1) as pool:
        markets = MarketReader(exchange.client, pool, clock.now, clock.monotonic)
        first = markets.read(["BTC-EUR"], clock.seconds + 10)
        again = markets.read(["BTC-EUR"], clock.seconds + 10)
        clock.sleep(FRESH_FOR_S + 1)
        [later] = markets.read(["BTC-EUR"], clock.seconds + 10)
    assert first == again
    assert markets.reads == 2
    assert isinstance(later, MarketFacts)
    assert later.read_at == NOW + timedelta(seconds=FRESH_FOR_S + 1)


def test_the_rate_limit_is_left_to_those_who_trade() -> None:
    """Near the end of the exchange's limit nothing more is read until it is full again."""
    clock = Clock()
    reset_at = round((NOW + timedelta(seconds=30)).timestamp() * 1000)
    headers = {
        "bitvavo-ratelimit-limit": "1000",
        "bitvavo-ratelimit-remaining": "299",
        "bitvavo-ratelimit-resetat": str(reset_at),
    }
    with an_exchange("BTC-EUR", "ETH-EUR") as exchange, ThreadPoolExecutor(1) as pool:
        exchange.router.get("/time").respond(json={"time": 0}, headers=headers)
        exchange.client.time()
        markets = MarketReader(exchange.client, pool, clock.now, clock.monotonic)
        [refused] = markets.read(["BTC-EUR"], clock.seconds + 10)
        clock.sleep(31)
        [read] = markets.read(["ETH-EUR"], clock.seconds + 10)
    assert isinstance(refused, Unusable)
    assert refused.trouble is Trouble.RATE_LIMITED
    assert isinstance(read, MarketFacts)


def test_a_market_that_is_not_read_in_time_is_unreadable() -> None:
    """A job waits for the exchange until its deadline and no longer."""
    held = threading.Event()

    def hang(_request: httpx.Request) -> httpx.Response:
        held.wait(5)
        return httpx.Response(503)

    clock = Clock()
    with an_exchange() as exchange, ThreadPoolExecutor(1) as pool:
        exchange.router.get("/markets").mock(side_effect=hang)
        markets = MarketReader(exchange.client, pool, clock.now, clock.monotonic)
        [read] = markets.read(["BTC-EUR"], clock.seconds + 0.05)
        held.set()
    assert read == Unusable("BTC-EUR", Trouble.UNREADABLE, "not read in time")
