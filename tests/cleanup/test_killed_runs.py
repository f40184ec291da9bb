"""A run that dies, wherever it does, leaves leases that end: the next one takes over, and nothing is lost."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import psycopg
import pytest

from functions.cleanup.run import run
from functions.cleanup.summary import Summary
from local.exchange.faults import ExchangeFaultRequest
from local.world import World
from tests.cleanup.short_way import ShortWay
from tests.cleanup.simulated import MINUTE, Simulation
from tests.database.acts import background
from tests.people import People
from tests.worker import a_worker, wait_until

LEASE_S = 60.0


class _KilledError(BaseException):
    """The platform took the process away: no handler of the run may see it."""


class _DyingWay(ShortWay):
    """Calls the database so many times, and then no more: what was to be told it never arrives."""

    lives = 0

    def call(self, rpc: str, **params: object) -> Any:
        """Like `Database.call`, until the process is killed."""
        if len(self.calls) == self.lives:
            raise _KilledError(rpc)
        return super().call(rpc, **params)


def _dies(sim: Simulation, lives: int) -> str | None:
    """One run that is killed before a call of the database; that call, or None when it came to its end."""
    way = _DyingWay(sim.db, sim.times, sim.service)
    way.lives = lives
    try:
        run(way, sim.asked(), mode="live", instance="killed", sleep=sim.times.advance)
    except _KilledError as killed:
        return str(killed)
    return None


def _left_behind(sim: Simulation) -> list[dict[str, Any]]:
    """One execution of each kind that a run has work with, past the fence: the last one's order rests."""
    sent, unsent, recorded, rests = (sim.claimed(market=m) for m in ("BTC-EUR", "ETH-EUR") * 2)
    sim.placed(sent)
    sim.record(recorded, "placed", p_order=sim.placed(recorded))
    sim.record(unsent, "unknown", p_error_code="NO_ANSWER")
    sim.rest(rests)
    sim.advance(2 * MINUTE)
    return [sent, unsent, recorded, rests]


def test_a_run_killed_before_any_of_its_calls_is_made_up_for(sim: Simulation) -> None:
    """Killed before each call of the database in turn: once its leases are over, one more run settles all."""
    died_before: list[str] = []
    while True:
        executions = _left_behind(sim)
        call = _dies(sim, len(died_before))
        if call is None:
            break
        died_before.append(call)
        sim.advance(LEASE_S)
        sim.clean_up()
        statuses = [sim.status(execution) for execution in executions]
        assert (statuses[0], statuses[2], statuses[3]) == ("FILLED", "FILLED", "CANCELED"), call
        assert sim.settle() <= 4, call
        assert sim.status(executions[1]) == "NOT_PLACED", call
        assert sim.disagreements() == [], call
        assert sim.state == "ACTIVE", call
    assert set(died_before) >= {
        "expire_old_proposals",
        "begin_cleanup",
        "record_execution_result",
        "record_absence",
        "announce_cancel",
        "compare_orders",
        "halt_failing_owners",
        "seal_audit_events",
    }
    assert sim.db.one("select (verify_audit_chain() ->> 'whole')::boolean")


def test_no_cancel_leaves_before_the_audit_has_it(sim: Simulation) -> None:
    """Killed before it is announced, none was asked for; killed right after it was, the audit has it."""
    execution = sim.claimed()
    sim.rest(execution)
    (accepted,) = sim.orders(execution["id"])
    sim.advance(2 * MINUTE)
    assert _dies(sim, 4) == "announce_cancel"
    assert sim.exchange.order_of(accepted).is_open
    assert sim.events("CANCEL_ANNOUNCED") == []

    sim.advance(LEASE_S)
    with pytest.raises(_KilledError):
        run(sim.database(), sim.asked(), mode="live", instance="killed", sleep=_die)
    assert not sim.exchange.order_of(accepted).is_open
    (announced,) = sim.events("CANCEL_ANNOUNCED")
    assert announced["order_id"] == sim.row(execution)["exchange_order_id"]


def _die(_: float) -> None:
    """The first pause of a run is the one after a cancel."""
    raise _KilledError


def test_what_a_killed_run_leased_is_left_alone_until_its_lease_ends(sim: Simulation) -> None:
    """A dead run cannot be told from a slow one: nobody looks its executions up before a minute is over."""
    execution = sim.claimed()
    sim.placed(execution)
    # Compared until now: what is older is found by its look-up alone.
    sim.advance(15 * MINUTE)
    sim.db.do("update interlock.market_marks set read_to = interlock.clock() where true")
    assert _dies(sim, 3) == "record_execution_result"
    for _ in range(int(LEASE_S) // 15 - 1):
        sim.advance(15)
        assert sim.clean_up().executions.total() == 0
        assert sim.status(execution) == "CLAIMED"
    sim.advance(15)
    assert sim.clean_up().executions.total() == 1
    assert sim.disagreements() == []


def test_a_market_that_a_killed_run_was_reading_is_read_by_the_next(sim: Simulation) -> None:
    """Killed at the comparison, a minute later another run has compared: reconciled_at lags by a minute."""
    sim.owner()
    assert _dies(sim, 3) == "compare_orders"
    sim.advance(20)
    assert sim.clean_up().markets == []
    sim.advance(40)
    assert {str(market.outcome) for market in sim.clean_up().markets} == {"compared"}
    assert sim.db.one("select reconciled_at = interlock.clock() from public.trading_controls")


def test_a_run_that_overlaps_a_slow_one_takes_what_is_left(sim: Simulation) -> None:
    """While one hangs at a look-up, another settles what became due since and asks nothing a second time."""
    first = sim.claimed()
    sim.placed(first)
    sim.advance(10)
    held = sim.faults.add(ExchangeFaultRequest(name="hold_answer", on="GET /order"))
    slow_way = ShortWay(sim.db, sim.times, sim.db.as_service())

    def slow() -> Summary:
        return run(slow_way, sim.asked(), mode="live", instance="slow", sleep=sim.times.advance)

    with background(slow) as under_way:
        wait_until(lambda: held.held == 1)
        second = sim.claimed()
        sim.placed(second)
        sim.advance(10)
        overlapping = sim.clean_up()
        held.release()
        slow_one = under_way.result()
    assert (overlapping.executions, overlapping.markets) == ({"recorded": 1}, [])
    assert overlapping.points_spent == 1
    assert [market.outcome for market in slow_one.markets] == ["compared", "compared"]
    assert slow_one.executions == {"recorded": 1}
    assert sim.disagreements() == []


@pytest.mark.parametrize(
    ("call", "fault"), [("GET /v2/order", "hold_answer"), ("compare_orders", "hold_request")]
)
def test_a_killed_process_is_made_up_for(
    place: World, people: People, database: psycopg.Connection, call: str, fault: str
) -> None:
    """kill -9 in the middle of the served function: a minute later the next run does what it left undone."""
    owner = people.owner()
    proposal = people.proposal(owner)
    assert people.approve(owner, proposal).status == 200
    _a_minute_later(database)
    with a_worker(place, "cleanup") as worker:
        worker.held_at(call, fault)
        worker.kill()
    before = _oldest_mark(database)
    _a_minute_later(database)
    made_up = people.run("cleanup")
    assert made_up["executions"]["recorded"] >= 1
    assert {market["outcome"] for market in made_up["markets"]} == {"compared"}
    assert _oldest_mark(database) > before
    assert (made_up["alarms"], made_up["problems"]) == ([], [])


def _a_minute_later(database: psycopg.Connection) -> None:
    """What was leased or put off is due, and the markets were compared a minute ago."""
    database.execute(
        "update public.trade_executions set next_check_at = interlock.clock() where next_check_at is not null"
    )
    database.execute(
        """
        update interlock.market_marks
        set read_to = read_to - interval '1 minute', asked_at = asked_at - interval '1 minute'
        where true
        """
    )


def _oldest_mark(database: psycopg.Connection) -> datetime:
    row = database.execute("select min(read_to) from interlock.market_marks").fetchone()
    assert row is not None
    oldest: datetime = row[0]
    return oldest
