"""The served function against the real API: what the moved clocks of the other tests prove, once for real."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import httpx
import psycopg
import pytest

from local.exchange.keys import TRADE_KEY
from local.stack import OPERATOR_ID
from local.world import World
from tests.database.acts import at_once
from tests.people import People

Command = Callable[..., Any]


@pytest.fixture
def exchange(place: World, database: psycopg.Connection) -> Iterator[Command]:
    """Command the exchange, `exchange("faults", name=…, on=…)`; everything is as before at the end."""
    admin = place.exchange_url.removesuffix("/v2") + "/_admin"
    with httpx.Client(trust_env=False) as http:

        def command(route: str, **fields: object) -> Any:
            return http.post(f"{admin}/{route}", json=fields).raise_for_status().json()

        yield command
        http.delete(f"{admin}/faults").raise_for_status()
        command("clock", offset_ms=0)
        command(f"keys/{TRADE_KEY}", rights=["view", "trade"])
        database.execute("update public.trading_controls set trading_state = 'ACTIVE', reason = 'test'")


def _due(database: psycopg.Connection, *, marks_age_s: int = 60) -> None:
    """Let what waits be due now, and the marks be a minute old."""
    database.execute(
        "update public.trade_executions set next_check_at = interlock.clock() where next_check_at is not null"
    )
    database.execute(
        "update interlock.absence_rounds set recorded_at = recorded_at - interval '31 seconds' where true"
    )
    database.execute(
        "update interlock.market_marks set read_to = read_to - make_interval(secs => %s), asked_at = null",
        (marks_age_s,),
    )


def _row(database: psycopg.Connection, proposal: UUID) -> tuple[Any, ...]:
    row = database.execute(
        "select status, error_code from public.trade_executions where proposal_id = %s", (proposal,)
    ).fetchone()
    assert row is not None
    return row


def test_a_lost_answer_is_settled(people: People, database: psycopg.Connection, exchange: Command) -> None:
    """202 UNKNOWN, then cleanup finds the order: FILLED, and the summary says what it cost."""
    owner = people.owner()
    proposal = people.proposal(owner)
    exchange("faults", name="drop_answer", on="POST /order")
    exchange("faults", name="error_502", on="GET /order", skip=1, count=4, done=False)
    assert people.approve(owner, proposal).status == 202
    _due(database)
    summary = people.run("cleanup")
    assert _row(database, proposal) == ("FILLED", "NO_ANSWER")
    assert len(people.orders(proposal)) == 1
    assert summary["executions"]["recorded"] >= 1
    assert 0 < summary["exchange"]["points_spent"] <= summary["exchange"]["points_allowed"] <= 500
    assert summary["problems"] == []


def test_a_lost_request_is_concluded_after_two_rounds(
    people: People, database: psycopg.Connection, exchange: Command
) -> None:
    """202 UNKNOWN; past the fence, two rounds that agree conclude NOT_PLACED."""
    owner = people.owner()
    proposal = people.proposal(owner)
    exchange("faults", name="drop_request", on="POST /order")
    assert people.approve(owner, proposal).status == 202
    _due(database)
    people.run("cleanup")
    assert _row(database, proposal)[0] == "UNKNOWN"
    for offset_ms in (90_000, 150_000):
        exchange("clock", offset_ms=offset_ms)
        _due(database)
        people.run("cleanup")
    assert _row(database, proposal) == ("NOT_PLACED", "ABSENT")
    assert people.orders(proposal) == []


def test_an_intruder_halts_and_the_next_approval_says_so(
    people: People, database: psycopg.Connection, exchange: Command
) -> None:
    """One order with our operator id and no approval: 422 TRADING_HALTED from the next run on."""
    owner = people.owner()
    proposal = people.proposal(owner)
    exchange("orders", market="BTC-EUR", orders=1, operator_id=OPERATOR_ID)
    _due(database)
    summary = people.run("cleanup")
    assert sum(market["intruders"] for market in summary["markets"]) >= 1
    assert any("no approval explains" in alarm for alarm in summary["alarms"])
    refused = people.approve(owner, proposal)
    assert (refused.status, refused.codes) == (422, {"TRADING_HALTED"})
    _due(database)
    assert people.run("cleanup")["alarms"] == []


def test_a_key_without_its_right_concludes_nothing(
    people: People, database: psycopg.Connection, exchange: Command
) -> None:
    """The trade key has lost its right: nothing is concluded or compared, and the summary says so."""
    owner = people.owner()
    proposal = people.proposal(owner)
    exchange("faults", name="drop_request", on="POST /order")
    assert people.approve(owner, proposal).status == 202
    exchange("clock", offset_ms=90_000)
    exchange(f"keys/{TRADE_KEY}", rights=["view"])
    _due(database)
    summary = people.run("cleanup")
    assert _row(database, proposal)[0] == "UNKNOWN"
    assert {market["outcome"] for market in summary["markets"]} == {"unreadable"}
    assert summary["executions"]["unreadable"] >= 1
    exchange(f"keys/{TRADE_KEY}", rights=["view", "trade"])
    for offset_ms in (150_000, 210_000):
        exchange("clock", offset_ms=offset_ms)
        _due(database)
        people.run("cleanup")
    assert _row(database, proposal)[0] == "NOT_PLACED"


def test_a_dead_cleanup_stops_live_trades_and_the_status_says_why(
    people: People, database: psycopg.Connection
) -> None:
    """Without a comparison for 15 minutes no approval passes; the next cleanup opens trading again."""
    owner = people.owner()
    proposal = people.proposal(owner)
    with database.transaction():
        database.execute("alter table public.trading_controls disable trigger b_changes_are_versioned")
        database.execute(
            "update public.trading_controls set reconciled_at = reconciled_at - interval '16 minutes'"
        )
        database.execute("alter table public.trading_controls enable trigger b_changes_are_versioned")
    assert people.approve(owner, proposal).codes == {"RECONCILIATION_STALE"}
    status = people.http.get(f"{people.place.functions['execute']}/status", headers=owner.bearer()).json()
    assert status["reconciliation"]["stale"] is True
    _due(database)
    people.run("cleanup")
    assert people.approve(owner, proposal).status == 200


def test_four_runs_at_once_read_each_market_once(
    people: People, database: psycopg.Connection, exchange: Command
) -> None:
    """Overlapping runs share the work: no market and no execution is read by two of them."""
    owner = people.owner()
    proposal = people.proposal(owner)
    exchange("faults", name="drop_answer", on="POST /order")
    exchange("faults", name="error_502", on="GET /order", skip=1, count=4, done=False)
    assert people.approve(owner, proposal).status == 202
    _due(database)
    summaries = at_once([lambda: people.run("cleanup")] * 4)
    compared = [market["market"] for one in summaries for market in one["markets"]]
    assert sorted(compared) == sorted(set(compared)) != []
    assert sum(one["executions"]["recorded"] for one in summaries) >= 1
    assert _row(database, proposal)[0] == "FILLED"
    assert [one["problems"] for one in summaries] == [[]] * 4
