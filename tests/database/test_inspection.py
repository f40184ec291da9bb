"""What a person sees in the dashboard is what happened, in numbers that say what to do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from psycopg import sql
from psycopg.rows import dict_row

from tests.database.harness import NOON, Caller, TestDatabase, execution_id, order, record
from tests.database.life import live, reservation_parameters, reserved, scanned

VIEWS = (
    "blocking_checks",
    "dry_run_results",
    "executions_by_hour",
    "incomplete_evidence",
    "model_spend",
    "overrides_used",
    "recent_proposals",
    "scan_health",
    "unsettled_executions",
)


def _view(db: TestDatabase, name: str) -> list[dict[str, Any]]:
    with db.admin.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(sql.SQL("select * from public.{}").format(sql.Identifier(name))).fetchall()


def _later(db: TestDatabase, by: timedelta) -> None:
    """The clock moves, and cleanup has compared the orders meanwhile."""
    db.advance(by)
    db.do("update public.trading_controls set reconciled_at = interlock.clock() where singleton")


def _dry(db: TestDatabase, service: Caller) -> dict[str, object]:
    """The deployment in dry_run mode, and what a dry claim leaves out."""
    version = db.one("select version from public.trading_controls")
    service.call("set_trading_controls", p_changes={"mode": "dry_run"}, p_version=version)
    return {
        "p_mode": "dry_run",
        "p_operator_id": None,
        "p_trade_key_fingerprint": None,
        "p_exchange_url": None,
    }


def test_proposals_are_listed_newest_first_with_what_became_of_them(
    db: TestDatabase, service: Caller
) -> None:
    """A buy in its EUR, a sell at the reference price, each with its execution; none older than a week."""
    owner = db.owner()
    db.proposal(owner)
    db.advance(timedelta(days=8))
    db.do("update public.trading_controls set reconciled_at = interlock.clock() where singleton")
    bought = db.proposal(owner)
    db.claim(service, owner, bought)
    db.advance(timedelta(minutes=1))
    sold = db.proposal(owner, side="sell")

    assert [
        (row["proposal_id"], row["status"], row["side"], row["eur"], row["execution_status"])
        for row in _view(db, "recent_proposals")
    ] == [
        (sold, "PENDING", "sell", Decimal("10.00"), None),
        (bought, "EXECUTING", "buy", Decimal("10.00"), "CLAIMED"),
    ]


def test_a_dry_run_is_not_listed_as_executed(db: TestDatabase, service: Caller) -> None:
    """Where an order would have been it says DRY_RUN, so that nobody looks for one."""
    owner = db.owner()
    db.claim(service, owner, db.proposal(owner), **_dry(db, service))
    assert [(row["status"], row["execution_status"]) for row in _view(db, "recent_proposals")] == [
        ("DRY_RUN", "DRY_RUN")
    ]


def test_the_status_tells_what_an_approval_could_come_to(db: TestDatabase, service: Caller) -> None:
    """The edge of the collar for a buy and for a sell, a limit as it is, and the highest fee."""
    owner = db.owner({"allowlist": ["BTC-EUR"], "max_price_move_percent": "1.5"})
    db.proposal(owner, reference_price=Decimal(50000))
    db.proposal(owner, side="sell", reference_price=Decimal(50000))
    db.proposal(owner, reference_price=Decimal(50000), order_type="limit", limit_price=Decimal(50010))
    pending = service.call("get_execution_status", p_user_id=owner)["pending_proposals"]
    assert {row["worst_price"] for row in pending} == {"50750", "49250", "50010"}
    assert {row["fee_percent"] for row in pending} == {"0.25"}


def test_the_status_tells_how_the_scan_stands(db: TestDatabase, service: Caller) -> None:
    """None yet, due, running, what it came to and when the next is, off; and what a policy allows in vain."""
    owner = db.owner({"allowlist": []})
    themselves = db.as_user(owner)

    def told() -> dict[str, Any]:
        status: dict[str, Any] = service.call("get_execution_status", p_user_id=owner)
        return status

    assert told()["scan"] is None
    assert [warning["code"] for warning in told()["policy_warnings"]] == ["ALLOWLIST_EMPTY"]
    themselves.call("schedule_scan")
    assert (told()["scan"]["enabled"], told()["scan"]["running"]) == (True, False)
    (lease,) = service.call("claim_due_scan_jobs", p_instance_id="worker")
    assert told()["scan"]["running"] is True
    service.call(
        "finish_scan",
        p_scan_job_id=lease["id"],
        p_lock_token=lease["lock_token"],
        p_outcome="failed",
        p_reason="the market is unreadable",
        p_usage=[],
        p_proposal=None,
        p_policy_hash=lease["policy_hash"],
    )
    scan = told()["scan"]
    assert (scan["running"], scan["consecutive_failures"]) == (False, "1")
    assert (scan["last_outcome"], scan["last_error"]) == (
        "failed: the market is unreadable",
        "the market is unreadable",
    )
    themselves.call("schedule_scan", p_enabled=False)
    assert told()["scan"]["enabled"] is False


def test_executions_are_counted_by_the_hour_of_their_claim_and_by_outcome(
    db: TestDatabase, service: Caller
) -> None:
    """Two fills in one hour are one line with their sum; another outcome and another hour are others."""
    owner = db.owner()
    for market, outcome in (("BTC-EUR", "placed"), ("ETH-EUR", "placed"), ("BTC-EUR", "not_placed")):
        execution = db.claim(service, owner, db.proposal(owner, market=market))["execution"]
        fact = order(execution, filled="0.0001") if outcome == "placed" else None
        record(service, execution, outcome, p_order=fact)
        _later(db, timedelta(minutes=15))
    _later(db, timedelta(minutes=15))
    db.claim(service, owner, db.proposal(owner))

    lines = {(row["hour"], row["status"]): row for row in _view(db, "executions_by_hour")}

    assert {
        key: (row["user_id"], row["mode"], row["executions"], row["filled_eur"]) for key, row in lines.items()
    } == {
        (NOON, "FILLED"): (owner, "live", 2, Decimal(10)),
        (NOON, "NOT_PLACED"): (owner, "live", 1, 0),
        (NOON + timedelta(hours=1), "CLAIMED"): (owner, "live", 1, 0),
    }


def test_an_execution_is_listed_with_its_age_until_it_is_settled(db: TestDatabase, service: Caller) -> None:
    """CLAIMED, UNKNOWN and OPEN are open questions; FILLED and NOT_PLACED are not."""
    owner = db.owner()
    execution = db.claim(service, owner, db.proposal(owner))["execution"]
    db.advance(timedelta(minutes=7))

    (row,) = _view(db, "unsettled_executions")
    assert (str(row["id"]), row["status"], row["age"], row["order_value_eur"]) == (
        execution["id"],
        "CLAIMED",
        timedelta(minutes=7),
        Decimal("10.00"),
    )
    record(service, execution, "unknown", p_error_code="TIMEOUT")
    assert [(row["status"], row["error_code"]) for row in _view(db, "unsettled_executions")] == [
        ("UNKNOWN", "TIMEOUT")
    ]
    record(service, execution, "placed", p_order=order(execution, "new", filled="0"))
    assert [row["status"] for row in _view(db, "unsettled_executions")] == ["OPEN"]
    later = order(execution, updated=int(execution["access_timestamp"]) + 90)
    record(service, execution, "placed", p_order=later)
    assert _view(db, "unsettled_executions") == []


def test_no_evidence_is_missing_after_every_kind_of_outcome(db: TestDatabase, service: Caller) -> None:
    """Filled, part filled and cancelled, refused, not placed, open and dry: the view stays empty."""
    owner = db.owner()
    partly = {"status": "canceledIOC", "filled": "0.0001"}
    for outcome, fields in (
        ("placed", {}),
        ("placed", partly),
        ("rejected", None),
        ("not_placed", None),
        ("unknown", None),
    ):
        execution = db.claim(service, owner, db.proposal(owner))["execution"]
        fact = None if fields is None else order(execution, **fields)
        assert record(service, execution, outcome, p_order=fact)["outcome"] == "recorded"
    db.claim(service, owner, db.proposal(owner, market="ETH-EUR"), **_dry(db, service))

    assert db.one("select count(distinct status) from public.trade_executions") == 6
    assert _view(db, "incomplete_evidence") == []


@pytest.mark.parametrize(
    ("missing", "made_so"),
    [
        (
            "policy snapshot",
            "update public.trade_executions set policy_snapshot = '{}' where true",
        ),
        (
            "audit event",
            "delete from interlock.unsealed_events where true;"
            " delete from public.audit_events where execution_id is not null",
        ),
        ("history", "delete from public.trade_history where true"),
        ("history", "update public.trade_history set amount = amount / 2 where true"),
    ],
)
def test_missing_evidence_is_named(db: TestDatabase, service: Caller, missing: str, made_so: str) -> None:
    """Only behind the guards can evidence be lost; if it is, the view says of which execution and what."""
    life = live(db, service)
    for table in ("trade_executions", "audit_events", "trade_history"):
        db.do(f"alter table public.{table} disable trigger user")
    db.script(made_so)

    assert [(row["id"], row["what"]) for row in _view(db, "incomplete_evidence")] == [
        (execution_id(life.proposal), missing)
    ]


def test_the_health_of_a_scan_tells_due_from_held_from_crashed(db: TestDatabase, service: Caller) -> None:
    """Due without a worker it is overdue; held it says by whom and for how long; a crash is counted."""
    owner = db.owner()
    db.as_user(owner).call("schedule_scan")
    assert _view(db, "scan_health")[0]["overdue_by"] is None
    db.advance(timedelta(minutes=3))
    (due,) = _view(db, "scan_health")
    assert (due["overdue_by"], due["locked_by"], due["lock_is_expired"]) == (timedelta(minutes=3), None, None)

    service.call("claim_due_scan_jobs", p_instance_id="first", p_limit=1)
    db.advance(timedelta(minutes=1))
    (held,) = _view(db, "scan_health")
    assert (held["overdue_by"], held["locked_by"], held["locked_for"], held["lock_is_expired"]) == (
        None,
        "first",
        timedelta(minutes=1),
        False,
    )

    db.advance(timedelta(minutes=1))
    (crashed,) = _view(db, "scan_health")
    assert (crashed["lock_is_expired"], crashed["overdue_by"]) == (True, timedelta(minutes=5))
    service.call("claim_due_scan_jobs", p_instance_id="second", p_limit=1)
    (rescued,) = _view(db, "scan_health")
    assert (rescued["locked_by"], rescued["consecutive_failures"], rescued["last_error"]) == (
        "second",
        1,
        "worker first did not finish",
    )
    db.advance(timedelta(minutes=2))
    assert service.call("cleanup_expired_locks")["released"] == "1"

    counted = "select locks_expired_in_24_hours from public.scan_health"
    assert db.rows(counted) == [(2,)]
    assert db.as_user(owner).rows(counted) == [(2,)], "an owner counts the crashes of their own job"
    db.advance(timedelta(hours=24, minutes=1))
    assert db.rows(counted) == [(0,)]


def test_a_scan_that_is_switched_off_is_not_overdue(db: TestDatabase) -> None:
    """It says why it is off, and asks nobody to look."""
    owner = db.as_user(db.owner())
    owner.call("schedule_scan")
    owner.call("schedule_scan", p_enabled=False)
    db.advance(timedelta(days=1))
    (row,) = _view(db, "scan_health")
    assert (row["enabled"], row["overdue_by"], row["last_error"]) == (
        False,
        None,
        "switched off by the owner",
    )


def test_model_calls_are_shown_against_the_budget(db: TestDatabase, service: Caller) -> None:
    """With limits and tokens, of unreported calls the most; what was skipped or released is no spend."""
    owner = db.owner({"allowlist": ["BTC-EUR"], "limits": {"gpt": {"daily": 9, "hourly": 3}}})
    lease = scanned(db, service, owner)
    answered, unanswered, unused = (reserved(service, lease) for _ in range(3))
    settled = {
        answered: ("SUCCEEDED", 900, 100),
        unanswered: ("FAILED", 0, 0),
        unused: ("RELEASED", 0, 0),
    }
    for reservation, (status, asked, said) in settled.items():
        service.call(
            "log_gpt_usage",
            p_id=reservation,
            p_user_id=owner,
            p_scan_job_id=lease["id"],
            p_purpose=None,
            p_status=status,
            p_reason=None,
            p_model=None,
            p_prompt_tokens=asked,
            p_completion_tokens=said,
        )
    reserved(service, lease)
    refusal = service.call("reserve_gpt_call", **reservation_parameters(lease, execution_id(answered)))
    assert refusal["reason"] == "HOURLY_BUDGET_EXHAUSTED"

    def spend() -> tuple[object, ...]:
        (row,) = _view(db, "model_spend")
        assert (row["user_id"], row["daily_limit"], row["hourly_limit"]) == (owner, 9, 3)
        return (
            row["calls_today"],
            row["calls_in_60_minutes"],
            row["calls_without_answer_today"],
            row["tokens_today"],
        )

    assert spend() == (3, 3, 1, 1000 + 2 * 10_000)
    db.advance(timedelta(minutes=60))
    assert spend() == (3, 0, 1, 1000 + 2 * 10_000)
    db.set_clock(datetime(2026, 3, 3, 0, 0, tzinfo=UTC))
    assert spend() == (0, 0, 0, 0)


def test_the_checks_that_refused_are_counted(db: TestDatabase, service: Caller) -> None:
    """Each refused approval counts once for each check that failed it, with the last time."""
    owner = db.owner()
    proposal = db.proposal(owner, market="DOGE-EUR", confidence=10)
    db.claim(service, owner, proposal)
    db.advance(timedelta(minutes=1))
    db.claim(service, owner, proposal)

    assert {row["code"]: (row["check_name"], row["refusals"]) for row in _view(db, "blocking_checks")} == {
        "NOT_ALLOWLISTED": ("allowlist", 2),
        "CONFIDENCE_TOO_LOW": ("confidence", 2),
    }
    assert {row["last_at"] for row in _view(db, "blocking_checks")} == {NOON + timedelta(minutes=1)}


def test_overrides_are_listed(db: TestDatabase, service: Caller) -> None:
    """Which approval overrode what; an approval without override is not there."""
    owner = db.owner()
    flipped = db.proposal(owner)
    db.claim(service, owner, flipped, p_override_anti_flip=True)
    db.claim(service, owner, db.proposal(owner, market="ETH-EUR"))

    assert [
        (row["execution_id"], row["override_cooldown"], row["override_anti_flip"])
        for row in _view(db, "overrides_used")
    ] == [(execution_id(flipped), False, True)]


@pytest.mark.parametrize(
    ("side", "price", "later_price", "percent"),
    [
        ("buy", "49500", "49995", "1.00"),
        ("buy", "49500", "49005", "-1.00"),
        ("sell", "50500", "49995", "1.00"),
        ("buy", "50500", "51000", None),
    ],
    ids=["rises", "falls", "sold before a fall", "a limit not reached"],
)
def test_a_dry_run_is_valued_from_the_market_price_at_approval_to_the_last_one_that_a_scan_stored(
    db: TestDatabase, service: Caller, side: str, price: str, later_price: str, percent: str | None
) -> None:
    """The edge of the collar at which it would have been sent, 50,000 here, is no price that was paid."""
    owner = db.owner()
    dry = _dry(db, service)
    proposal = db.proposal(owner, side=side)
    checks: Any = db.claim_parameters(owner, proposal)["p_market_checks"]
    checks[0]["facts"] = {"current_price": price}
    db.claim(service, owner, proposal, **dry, p_market_checks=checks)
    db.advance(timedelta(hours=1))
    db.proposal(owner, side=side, reference_price=Decimal(later_price))

    (row,) = _view(db, "dry_run_results")
    assert (
        row["execution_id"],
        row["price_at_approval"],
        row["last_scanned_price"],
        row["last_scanned_at"],
    ) == (
        execution_id(proposal),
        Decimal(price),
        Decimal(later_price),
        NOON + timedelta(hours=1),
    )
    assert row["result_percent"] == (None if percent is None else Decimal(percent))


def test_every_view_looks_with_the_rights_of_whoever_looks(shared_db: TestDatabase) -> None:
    """Without security_invoker a view shows everybody's rows to everybody."""
    found = shared_db.rows(
        """
        select relname, coalesce(reloptions, '{}') @> '{security_invoker=true}'
        from pg_class where relnamespace = 'public'::regnamespace and relkind = 'v'
        """
    )
    assert sorted(found) == [(view, True) for view in VIEWS]


def test_every_column_of_a_view_says_what_it_is(shared_db: TestDatabase) -> None:
    """Tables, views and functions have their comments elsewhere; here each number that a person reads."""
    assert (
        shared_db.rows(
            """
            select relation.relname, field.attname
            from pg_class as relation
            join pg_attribute as field on field.attrelid = relation.oid and field.attnum > 0
            where relation.relnamespace = 'public'::regnamespace and relation.relkind = 'v'
                and col_description(relation.oid, field.attnum) is null
            """
        )
        == []
    )


def test_a_clock_that_was_set_back_keeps_no_alarm_quiet(db: TestDatabase, service: Caller) -> None:
    """An execution that was told of in the future is told of now."""
    owner = db.owner()
    db.claim(service, owner, db.proposal(owner))
    for at in (NOON + timedelta(hours=12), NOON + timedelta(minutes=11)):
        db.set_clock(at)
        assert len(service.call("alarm_overdue_executions")["overdue"]) == 1


def test_cleanup_is_told_how_old_open_fates_are_and_alarms_once_in_six_hours(
    db: TestDatabase, service: Caller
) -> None:
    """Counts and age at any time; an alarm and its event after ten minutes, and again after six hours."""
    owner = db.owner()
    before = service.call("alarm_overdue_executions")
    assert (before["unsettled"], before["unknown"], before["oldest_seconds"]) == ("0", "0", None)
    record(service, db.claim(service, owner, db.proposal(owner))["execution"], "unknown")
    _later(db, timedelta(minutes=10))
    db.claim(service, owner, db.proposal(owner, market="ETH-EUR"))

    now = service.call("alarm_overdue_executions")
    assert (now["unsettled"], now["unknown"], now["oldest_seconds"], now["overdue"]) == ("2", "1", "600", [])
    _later(db, timedelta(seconds=1))
    (overdue,) = service.call("alarm_overdue_executions")["overdue"]
    assert (overdue["status"], overdue["minutes"]) == ("UNKNOWN", "10")
    _later(db, timedelta(minutes=1))
    assert service.call("alarm_overdue_executions")["overdue"] == []
    _later(db, timedelta(hours=6))
    again = service.call("alarm_overdue_executions")["overdue"]
    assert [one["status"] for one in again] == ["UNKNOWN", "CLAIMED"]
    assert db.one("select count(*) from public.audit_events where event = 'EXECUTION_OVERDUE'") == 3


def test_cleanup_is_told_when_the_comparison_is_too_old_for_live_trading(
    db: TestDatabase, service: Caller
) -> None:
    """The same fifteen minutes that stop a claim; a dry run compares nothing and is never stale."""
    _later(db, timedelta())
    db.advance(timedelta(minutes=15))
    assert service.call("alarm_overdue_executions")["comparison"]["stale"] is False
    db.advance(timedelta(milliseconds=1))
    assert service.call("alarm_overdue_executions")["comparison"]["stale"] is True
    _dry(db, service)
    assert service.call("alarm_overdue_executions")["comparison"]["stale"] is False
