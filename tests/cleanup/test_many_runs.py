"""Runs may overlap, a backlog drains within its share, and a dead cleanup does not go unnoticed."""

from __future__ import annotations

import tracemalloc
from collections import Counter
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from psycopg.types.json import Jsonb

from functions.cleanup.run import run
from functions.cleanup.summary import Summary
from local.exchange.keys import OWNER
from local.exchange.limits import Limits
from tests.cleanup.simulated import MINUTE, Deploy, ShortWay, Simulation
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

        summaries = at_once([lambda number=number: one(number) for number in range(runs)])  # type: ignore[misc]
        assert [summary.problems for summary in summaries] == [[]] * runs
        points += sum(summary.points_spent for summary in summaries)
    events = sim.db.rows("select event, count(*) from public.audit_events group by event")
    return points, Counter(dict(events))


# A backlog


def _backlog(sim: Simulation, size: int, apart_s: float) -> list[UUID]:
    """So many orders that execute sent and never recorded, oldest first, and time enough since."""
    owner = sim.owner()
    ids = []
    price = sim.exchange.engine.book("BTC-EUR", sim.exchange.clock.now())[1][0].price
    sim.exchange.engine.makers["BTC-EUR"].pinned_price = price
    template = sim.claimed(owner)
    columns = "user_id, mode, operator_id, trade_key_fingerprint, exchange_url, market, side, order_value,"
    columns += (
        " policy_hash, policy_snapshot, checks, override_cooldown, override_anti_flip, access_window_ms"
    )
    sim.exchange.engine.deposit(OWNER, "EUR", Decimal(20 * size))
    for _ in range(size):
        sim.times.advance(apart_s)
        sim.sync()
        proposal = sim.db.proposal(owner, reference_price=price)
        body = template["request"]["body"].replace(
            template["id"], str(sim.db.one("select interlock.execution_id(%s)", proposal))
        )
        with sim.db.admin.transaction():
            sim.db.do("update public.trade_proposals set status = 'EXECUTING' where id = %s", proposal)
            sim.db.do(
                f"""
                insert into public.trade_executions (
                    id, proposal_id, idempotency_key, attempt_id, status, request, claimed_at,
                    access_timestamp, next_check_at, {columns}
                )
                select
                    interlock.execution_id(%s), %s, %s, gen_random_uuid(), 'CLAIMED', %s, interlock.clock(),
                    %s, interlock.clock() + interval '5 seconds', {columns}
                from public.trade_executions where id = %s
                """,  # noqa: S608 - names of columns, from above
                proposal,
                proposal,
                str(proposal),
                Jsonb({"method": "POST", "path": "/v2/order", "body": body}),
                sim.exchange_ms,
                template["id"],
            )
        execution = {
            "id": sim.db.one("select interlock.execution_id(%s)", proposal),
            "request": {"body": body},
        }
        sim.appear(execution)
        ids.append(execution["id"])
    return ids


def _drain(sim: Simulation, size: int) -> list[Summary]:
    """One run a minute until the backlog is settled."""
    runs: list[Summary] = []
    while sim.db.one("select count(*) from public.trade_executions where status = 'CLAIMED'"):
        assert len(runs) < size / 50 + 10
        runs.append(sim.clean_up())
        sim.advance(MINUTE)
    return runs


def _drains_in_order(deploy: Deploy, size: int, apart_s: float) -> int:
    """Let a backlog drain; the peak of memory, in bytes."""
    with deploy() as sim:
        sim.exchange.limits = _Watched()
        ids = _backlog(sim, size, apart_s)
        # Compared until now: what is older is found by look-ups alone.
        sim.db.do("update interlock.market_marks set read_to = interlock.clock() where true")
        sim.advance(MINUTE)
        tracemalloc.start()
        runs = _drain(sim, size)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert sim.state == "ACTIVE"
        first = sim.db.rows(
            """
            select execution_id from public.audit_events where event = 'EXECUTION_FILLED'
            order by at, (select claimed_at from public.trade_executions as e where e.id = execution_id)
            """
        )
        # The comparison settles those of its last ten minutes, whatever waits before them.
        waited = dict.fromkeys(ids[: -int(700 / apart_s)])
        assert [row[0] for row in first if row[0] in waited] == list(waited)
        assert sim.exchange.limits.most <= 500
        assert all(summary.points_spent <= (summary.points_allowed or 0) <= 500 for summary in runs)
        assert all(summary.as_json()["exchange"] for summary in runs)
        return peak


class _Watched(Limits):
    """Remembers the most points that were left over, minute by minute."""

    most = 0

    def spend(self, who: str, signed: bool, weight: int, now_ms: int) -> dict[str, str]:
        headers = super().spend(who, signed, weight, now_ms)
        if signed:
            self.most = max(self.most, self._accounts[who].spent)
        return headers


def test_a_backlog_is_worked_off_oldest_first_within_half_of_the_limit(deploy: Deploy) -> None:
    """Look-ups begin with the oldest execution; no minute spends more than half of its points."""
    with deploy() as sim:
        sim.exchange.limits = watched = _Watched()
        ids = _backlog(sim, 300, 1.0)
        sim.advance(MINUTE)
        summary = sim.clean_up()
        checked = {
            row[0] for row in sim.db.rows("select id from public.trade_executions where check_attempts > 0")
        }
        oldest = [identifier for identifier in ids if identifier in checked]
        assert oldest == ids[: len(oldest)]
        assert 0 < summary.points_spent <= watched.most <= 500
        assert summary.as_json()["exchange"]["points_spent"] == summary.points_spent  # type: ignore[index]
        _drain(sim, 300)
        assert watched.most <= 500


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_a_backlog_of_10_000_drains_in_the_memory_of_1_000(deploy: Deploy) -> None:
    """Ten times the backlog takes ten times the runs, half of the limit, and at most 1.1 times the memory."""
    small = _drains_in_order(deploy, 1_000, 7.0)
    large = _drains_in_order(deploy, 10_000, 7.0)
    assert large <= small * 1.1, (small, large)


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
    status = sim.service.call("get_execution_status", p_user_id=owner)["reconciliation"]
    assert (status["stale"], int(status["age_seconds"]) > 15 * 60) == (True, True)
    sim.clean_up()
    assert sim.claim(owner, proposal)["outcome"] == "claimed"


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


@pytest.mark.parametrize(
    ("outcome", "code", "times"),
    [
        ("unknown", "NO_ANSWER", 3),
        ("not_placed", "304", 5),
        ("not_placed", "CLOCK_SKEW", 5),
        ("rejected", "216", 3),
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
