"""Runs may overlap, a dead cleanup does not go unnoticed, and who keeps failing is halted."""

from __future__ import annotations

from collections import Counter
from typing import Any
from uuid import UUID

import pytest

from functions.cleanup.run import run
from functions.cleanup.summary import Summary
from local.stack import OPERATOR_ID
from tests.cleanup.short_way import ShortWay
from tests.cleanup.simulated import MINUTE, Deploy, Simulation
from tests.database.acts import at_once
from tests.database.contents import contents

# Twice, and four at once


def _left_behind(sim: Simulation) -> list[dict[str, Any]]:
    """Four executions of each kind: with an order, without one, and settled."""
    executions = []
    for number in range(12):
        execution = sim.claimed(market=("BTC-EUR", "ETH-EUR")[number % 2])
        if number % 3 == 0:
            sim.placed(execution)
        if number % 3 == 1:
            sim.record(execution, "placed", p_order=sim.placed(execution))
        executions.append(execution)
    return executions


def test_a_second_run_changes_nothing_and_asks_nothing(sim: Simulation) -> None:
    """Run again at once: not one row differs, and nothing is asked of the exchange."""
    _left_behind(sim)
    sim.advance(2 * MINUTE)
    sim.clean_up()
    before = contents(sim.db)
    again = sim.clean_up()
    assert contents(sim.db) == before
    assert (again.points_spent, again.executions.total(), again.events_sealed) == (0, 0, 0)


def test_what_is_open_is_looked_up_before_what_is_final(sim: Simulation) -> None:
    """An owner waits for an open execution: it comes before older ones whose fees may still settle."""
    executions = []
    for number in range(4):
        executions.append(sim.claimed())
        if number in (0, 2):
            sim.record(executions[-1], "placed", p_order=sim.placed(executions[-1]))
        sim.advance(1)
    sim.advance(MINUTE)
    begun = sim.service.call(
        "begin_cleanup",
        p_instance_id="test",
        p_mode="live",
        p_operator_id=OPERATOR_ID,
        p_trade_key_fingerprint=sim.keys.fingerprint,
        p_limit=3,
    )
    leased = [execution["id"] for execution in begun["executions"]]
    assert leased == [executions[number]["id"] for number in (1, 3, 0)]


def test_four_runs_at_once_do_the_work_of_one(deploy: Deploy) -> None:
    """Rows, conclusions and points spent are those of a single run, each execution looked up once."""
    with deploy() as sim:
        alone = _settled_by(sim, 1)
    with deploy() as sim:
        together = _settled_by(sim, 4)
        assert sim.disagreements() == []
        assert sim.state == "ACTIVE"
        assert sim.db.one("select (verify_audit_chain() ->> 'whole')::boolean")
    assert together[1] == alone[1]
    assert together[0] <= alone[0] * 1.1


def _settled_by(sim: Simulation, runs: int) -> tuple[int, Counter[str]]:
    """Points spent and audit events until all is settled, by so many runs at once a minute."""
    _left_behind(sim)
    points = 0
    ways = [ShortWay(sim.db, sim.times, sim.db.as_service()) for _ in range(runs)]
    for _ in range(8):
        sim.advance(MINUTE)

        def one(number: int) -> Summary:
            return run(ways[number], sim.asked(), mode="live", instance=f"run-{number}", sleep=lambda _: None)

        summaries = at_once([lambda number=number: one(number) for number in range(runs)])  # type: ignore[misc]  # a default argument binds
        assert [summary.problems for summary in summaries] == [[]] * runs
        points += sum(summary.points_spent for summary in summaries)
    events = sim.db.rows("select event, count(*) from public.audit_events group by event")
    return points, Counter(dict(events))


# A cleanup that is dead


def test_a_dead_cleanup_stops_new_trades_within_15_minutes(sim: Simulation) -> None:
    """No comparison, no trade: the refusal says so, the status says so, and the next cleanup lifts it."""
    owner = sim.owner()
    sim.clean_up()
    for minutes in range(5, 15, 5):
        sim.advance(5 * MINUTE)
        assert sim.claim(owner, sim.proposal(owner, market="BTC-EUR"))["outcome"] == "claimed", minutes
        owner = sim.owner()
    sim.advance(5 * MINUTE + 1)
    proposal = sim.proposal(owner)
    assert sim.refused_with(owner, proposal) == {"RECONCILIATION_STALE"}
    status = _comparison(sim, owner)
    assert (status["stale"], int(status["age_seconds"]) > 15 * 60) == (True, True)
    assert status["unread_markets"] == ["BTC-EUR", "ETH-EUR"]
    sim.clean_up()
    assert (_comparison(sim, owner)["stale"], _comparison(sim, owner)["unread_markets"]) == (False, [])
    assert sim.claim(owner, proposal)["outcome"] == "claimed"


def _comparison(sim: Simulation, owner: UUID) -> dict[str, Any]:
    comparison: dict[str, Any] = sim.service.call("get_execution_status", p_user_id=owner)["reconciliation"]
    return comparison


def test_one_market_that_cannot_be_read_stops_trading_too(sim: Simulation) -> None:
    """reconciled_at is that of the oldest complete read: a market that stays unread is not forgotten."""
    sim.owner()
    sim.clean_up()
    for _ in range(16):
        sim.advance(MINUTE)
        sim.faults.clear()
        # Of the two markets, the one that is read first fails, three times as a list is tried.
        sim.fail("error_502", "GET /orders", count=3, done=False)
        sim.clean_up()
    age = sim.db.one("select interlock.clock() - reconciled_at from public.trading_controls")
    marks = dict(sim.db.rows("select market, interlock.clock() - read_to from interlock.market_marks"))
    assert age == max(marks.values())


# An owner whose executions keep failing


def test_orders_that_the_balance_does_not_cover_halt_nobody(sim: Simulation) -> None:
    """Code 216 says that there is too little to sell or to pay with: harmless, and no fault of anything."""
    owner = sim.owner()
    sim.clean_up()
    for market in ("BTC-EUR", "ETH-EUR", "BTC-EUR", "ETH-EUR"):
        sim.advance(30)
        sim.record(sim.claimed(owner, market), "rejected", p_error_code="216")
    assert sim.clean_up().owners_halted == 0
    assert sim.claim(owner, sim.proposal(owner))["outcome"] == "claimed"


@pytest.mark.parametrize(
    ("outcome", "code", "times"),
    [
        ("unknown", "NO_ANSWER", 3),
        ("not_placed", "304", 5),
        ("not_placed", "CLOCK_SKEW", 5),
        ("rejected", "310", 3),
    ],
)
def test_an_owner_who_keeps_failing_is_halted_and_told(
    sim: Simulation, outcome: str, code: str, times: int
) -> None:
    """So often and no sooner; the others trade on; after a person has loosened it, the count begins again."""
    failing, other = sim.owner(), sim.owner()
    sim.clean_up()
    sim.advance(1)
    for number in range(times):
        assert sim.clean_up().owners_halted == 0
        execution = sim.claimed(failing, market=("BTC-EUR", "ETH-EUR")[number % 2])
        sim.record(execution, outcome, p_error_code=code)
        if outcome == "unknown":
            sim.record(execution, "placed", p_order=sim.placed(execution))
        sim.advance(30)
    summary = sim.clean_up()
    assert summary.owners_halted == 1
    assert str(failing) in (summary.message() or "")
    assert sim.clean_up().message() is None
    assert sim.refused_with(failing, sim.proposal(failing)) == {"TRADING_HALTED"}
    assert sim.claim(other, sim.proposal(other))["outcome"] == "claimed"
    assert sim.state == "ACTIVE"
    sim.advance(1)
    sim.db.do("update public.trading_policies set trading_state = 'ACTIVE' where user_id = %s", failing)
    assert sim.clean_up().owners_halted == 0
