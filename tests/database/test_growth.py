"""What a call costs does not grow with the tables: counted in buffers, not in seconds.

Each call may touch one buffer more for each B-tree it descends, since a tree of a million rows is one level
higher than one of ten thousand; and no plan reads a table that grows from end to end.
"""

from __future__ import annotations

from datetime import timedelta

import pytest

from local.stack import Stack
from tests.database.acts import many_due
from tests.database.growth import FEW, MANY, MILLION, Cost, cleanup_compared, compared, least
from tests.database.harness import TestDatabase


@pytest.mark.timeout(300)
def test_no_call_costs_more_among_many_rows(server: Stack, db: TestDatabase) -> None:
    """From 10,000 to 300,000 rows, each call touches at most one buffer more a B-tree descent."""
    _compare(server, db, MANY)


@pytest.mark.timeout(300)
def test_a_cleanup_costs_no_more_after_many_refusals(server: Stack, db: TestDatabase) -> None:
    """Dead approvals, and failures of others, make no call of a cleanup dearer: halts come all the same."""
    _compare_a_cleanup(server, db, 500, FEW)


def test_a_claim_costs_no_more_of_a_long_queue(db: TestDatabase) -> None:
    """Of 1,000 due jobs or of 4,000: what stands behind those that are claimed is not looked at."""
    of_few, of_many = (_cost_of_a_claim(db, due) for due in (1_000, 3_000))

    assert of_many.buffers <= of_few.buffers + of_few.descents
    assert of_many.scanned == frozenset()


def test_a_piece_of_the_chain_costs_no_more_in_a_long_one(db: TestDatabase) -> None:
    """Of 1,000 events or of 6,000: a verification reads its own piece, and the time that this one spans."""
    of_few, of_many = (_cost_of_a_piece(db, events) for events in (1_000, 5_000))

    assert of_many.buffers <= of_few.buffers + of_few.descents
    assert of_many.scanned == frozenset()


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_no_call_costs_more_among_a_million_rows(server: Stack, db: TestDatabase) -> None:
    """The same from 10,000 to a million rows."""
    _compare(server, db, MILLION)


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_a_cleanup_costs_no_more_after_a_million_refusals(server: Stack, db: TestDatabase) -> None:
    """The same from 10,000 to a million of one day."""
    _compare_a_cleanup(server, db, FEW, MILLION)


def _compare(server: Stack, db: TestDatabase, many: int) -> None:
    costs = compared(db, _superuser_url(server, db), many)
    _none_grew(costs)
    assert {name: after.scanned for name, (_, after) in costs.items() if after.scanned} == {}


def _compare_a_cleanup(server: Stack, db: TestDatabase, few: int, many: int) -> None:
    costs = cleanup_compared(db, _superuser_url(server, db), few, many)
    _none_grew(costs)
    # The other tables are empty, which are read whole.
    filled = {"audit_events", "trade_refusals", "unsealed_events"}
    assert {
        name: after.scanned & filled for name, (_, after) in costs.items() if after.scanned & filled
    } == {}


def _superuser_url(server: Stack, db: TestDatabase) -> str:
    return server.admin_url.rpartition("/")[0] + "/" + db.url.rpartition("/")[2]


def _none_grew(costs: dict[str, tuple[Cost, Cost]]) -> None:
    grown = {
        name: (before.buffers, after.buffers, after.descents)
        for name, (before, after) in costs.items()
        if after.buffers > before.buffers + after.descents
    }
    assert grown == {}, f"buffers at few rows, at many, and the descents that may add one each: {grown}"


def _cost_of_a_claim(db: TestDatabase, due: int) -> Cost:
    """What a claim touches once so many jobs more are due."""
    many_due(db, due)
    db.do("analyze public.scan_jobs, public.trading_policies, public.trading_owners")
    return least(db, "claim_due_scan_jobs", {"p_instance_id": "worker", "p_limit": 5})


def _cost_of_a_piece(db: TestDatabase, events: int) -> Cost:
    """What 100 seals of the chain take to verify once as many events more are sealed, each at its time."""
    db.do(
        """
        insert into public.audit_events (at, event, actor)
        select interlock.clock() + number * interval '1 ms', 'A_TEST', 'nobody'
        from generate_series(1, %s) as number
        """,
        events,
    )
    db.advance(timedelta(minutes=1))
    db.as_service().call("seal_audit_events", p_limit=10_000)
    db.do("analyze public.audit_events, public.audit_seals")
    return least(db, "verify_audit_chain", {"p_from": 500, "p_limit": 100})
