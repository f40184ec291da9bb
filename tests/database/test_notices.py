"""What a person has to be told is decided in the database, and no lost answer keeps it from them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from tests.database.acts import claimed
from tests.database.harness import POLICY, Caller, TestDatabase, order, record


def _taken(caller: Caller) -> list[dict[str, Any]]:
    notices: list[dict[str, Any]] = caller.call("take_notices")["notices"]
    return notices


def _kinds(caller: Caller) -> list[str]:
    return [notice["kind"] for notice in _taken(caller)]


def test_a_halt_is_told_for_as_long_as_it_stands(db: TestDatabase, service: Caller) -> None:
    """At once, and then at growing intervals, whatever becomes of an answer; a new reason is told at once."""
    service.call("halt_trading", p_reason="the operator sleeps")
    told_after: list[int] = []
    for minute in range(0, 3 * 24 * 60, 10):
        for notice in _taken(service):
            told_after.append(minute)
            assert (notice["actor"], notice["user_id"]) == ("operator", None)
            assert (notice["reason"], notice["told"]) == ("the operator sleeps", str(len(told_after)))
            service.call("end_notices", p_notices=[notice["notice"]])
        db.advance(timedelta(minutes=10))
    assert told_after == [0, 10, 50, 210, 850, 850 + 1440, 850 + 2 * 1440]

    service.call("halt_trading", p_reason="and snores")
    (again,) = _taken(service)
    assert (again["reason"], again["told"]) == ("the operator sleeps; and snores", "1")
    db.do("update public.trading_controls set trading_state = 'ACTIVE' where singleton")
    db.advance(timedelta(days=3))
    assert _taken(service) == []


def test_every_halt_is_told_whoever_halted(db: TestDatabase, service: Caller) -> None:
    """An owner, a hand in the dashboard, a fact: each with its reason. What was never set up is no news."""
    db.do("update public.trading_controls set trading_state = 'ACTIVE' where singleton")
    assert _taken(service) == []
    owner = db.owner()
    db.as_user(owner).call("set_trading_state", p_state="HALTED")
    db.do("update public.trading_controls set trading_state = 'HALTED', reason = 'by hand' where singleton")

    told = {(notice["actor"], notice["user_id"], notice["reason"]) for notice in _taken(service)}

    assert told == {
        ("owner", str(owner), "set by the owner"),
        (db.one("select session_user::text"), None, "by hand"),
    }
    db.advance(timedelta(days=1))
    version = db.one("select version from public.trading_policies where user_id = %s", owner)
    db.as_user(owner).call("set_trading_policy", p_policy={**POLICY, "min_confidence": 1})
    assert len(_taken(service)) == 2, "who edits a policy need not know of the halt"
    version = db.one("select version from public.trading_policies where user_id = %s", owner)
    db.as_user(owner).call("set_trading_state", p_state="ACTIVE", p_version=version)
    db.advance(timedelta(days=1))
    assert [notice["user_id"] for notice in _taken(service)] == [None]


def test_a_clock_that_was_set_back_keeps_no_halt_quiet(db: TestDatabase, service: Caller) -> None:
    """It is told at once, and once."""
    service.call("halt_trading", p_reason="a test")
    db.advance(timedelta(hours=-1))
    assert _kinds(service) == ["HALTED"]
    assert _kinds(service) == []


def test_a_fill_is_told_until_it_was(db: TestDatabase, service: Caller) -> None:
    """With price and reason; a lost answer only puts it off, and what was told is told no more."""
    execution = claimed(db, service)
    record(service, execution, "unknown")
    assert _taken(service) == []
    fact = order(execution)
    record(service, execution, "placed", actor="cleanup", p_order=fact)

    (told,) = _taken(service)

    assert (told["kind"], told["status"], told["reason"]) == ("FILLED", "FILLED", "for a test")
    assert (told["price"], told["amount"]) == ("50000.00000000", fact["filledAmount"])
    assert _taken(service) == []
    db.advance(timedelta(minutes=2))
    assert _kinds(service) == ["FILLED"]
    service.call("end_notices", p_notices=[told["notice"]])
    db.advance(timedelta(minutes=2))
    record(service, execution, "placed", actor="cleanup", p_order=fact)
    assert _taken(service) == []


def test_the_end_of_an_unknown_fate_is_told(db: TestDatabase, service: Caller) -> None:
    """Also when nothing came of it; what was never unknown and came to nothing is no news."""
    for before in ("unknown", None):
        execution = claimed(db, service)
        if before is not None:
            record(service, execution, before)
        record(service, execution, "not_placed")
    (told,) = _taken(service)
    assert (told["kind"], told["status"], told["amount"]) == ("SETTLED", "NOT_PLACED", "0")


def test_a_scan_that_stops_is_told(db: TestDatabase, service: Caller) -> None:
    """Switched off after ten failures, not by its owner."""
    owner = db.owner()
    job = UUID(db.as_user(owner).call("schedule_scan")["id"])
    db.as_user(owner).call("schedule_scan", p_enabled=False)
    db.as_user(owner).call("schedule_scan")
    assert _taken(service) == []
    db.do("update public.scan_jobs set consecutive_failures = 9 where id = %s", job)
    service.call("claim_due_scan_jobs", p_instance_id=str(uuid4()))
    db.advance(timedelta(minutes=3))
    service.call("cleanup_expired_locks")
    (told,) = _taken(service)
    assert (told["kind"], told["user_id"]) == ("SCAN_STOPPED", str(owner))
    assert "disabled after ten failures" in told["reason"]


def test_what_nobody_could_be_told_for_a_day_is_no_news(db: TestDatabase, service: Caller) -> None:
    """Fills do not pile up where no message arrives; a halt that stands is told however old."""
    execution = claimed(db, service)
    record(service, execution, "placed", p_order=order(execution, filled="0.001"))
    db.advance(timedelta(hours=25))
    assert _kinds(service) == ["HALTED"]


def test_a_halt_is_told_before_any_other_news(db: TestDatabase, service: Caller) -> None:
    """However much an owner's fills have to be told of, and however often they could not."""
    db.do(
        "select interlock.give_notice('SETTLED', gen_random_uuid()::text, '{}') from generate_series(1, 25)"
    )
    db.advance(timedelta(seconds=1))
    service.call("halt_trading", p_reason="a test")
    assert "HALTED" in _kinds(service)
