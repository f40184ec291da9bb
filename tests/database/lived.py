"""A project at phase 2 in which everything has happened that leaves a row."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

from tests.database.harness import (
    EXCHANGE,
    FINGERPRINT,
    OPERATOR_ID,
    Caller,
    TestDatabase,
    open_trading,
    order,
    record,
)
from tests.database.phases import Contents, Project

EVIDENCE = (
    "audit_events",
    "audit_seals",
    "gpt_usage_log",
    "interlock.absence_rounds",
    "interlock.market_marks",
    "interlock.notices",
    "interlock.unsealed_events",
    "trade_executions",
    "trade_history",
    "trade_refusals",
    "trading_controls",
    "trading_owners",
    "trading_policies",
)


@dataclass
class Lived:
    """A project at phase 2 in which everything has happened that leaves a row; all executions are settled."""

    project: Project
    contents: Contents
    head: str
    """The head of the audit chain, as cleanup logged it."""
    owner: UUID
    scanning: UUID
    """The owner's job."""
    switched_off: UUID
    """Another owner's job, switched off by that owner."""
    proposals: dict[str, UUID] = field(default_factory=dict)
    phase_1_owner: UUID | None = None
    """Whose enabled job came from phase 1."""
    phase_1: dict[str, dict[UUID, dict[str, object]]] = field(default_factory=dict)
    """Table: its rows before the first upgrade."""
    phase_1_schema: dict[tuple[str, str], str] = field(default_factory=dict)


def live(there: Project) -> Lived:
    """Let everything happen once in a project that is at phase 2."""
    with there.opened() as database:
        service = database.as_service()
        open_trading(database)
        owner = database.owner()
        as_owner = database.as_user(owner)
        scanning = UUID(as_owner.call("schedule_scan")["id"])
        proposals = {"scanned": _scan(service)}
        as_owner.call("schedule_scan")
        _reserve(service, _lease(service))
        service.call(
            "log_gpt_usage",
            p_id=uuid4(),
            p_user_id=owner,
            p_scan_job_id=scanning,
            p_purpose="scan_proposal",
            p_status="SKIPPED",
            p_reason="DAILY_BUDGET_EXHAUSTED",
            p_model=None,
            p_prompt_tokens=None,
            p_completion_tokens=None,
        )
        other = database.owner()
        as_other = database.as_user(other)
        switched_off = UUID(as_other.call("schedule_scan")["id"])
        as_other.call("schedule_scan", p_enabled=False)
        as_other.call("set_trading_state", p_state="HALTED", p_version=None)
        database.do("delete from public.trading_owners where user_id = %s", database.owner())

        proposals["filled"] = proposals["scanned"]
        proposals |= _trade(database, service, owner, proposals["scanned"])
        proposals |= _leave(database, service, owner)
        _compare(database, service)
        head: str = service.call("seal_audit_events")["head"]
        open_trading(database)
    contents = there.look()
    for table in EVIDENCE:
        assert contents.rows[table], f"nothing happened that leaves a row in {table}"
    return Lived(there, contents, head, owner, scanning, switched_off, proposals)


def _lease(service: Caller) -> dict[str, Any]:
    leased: dict[str, Any]
    (leased,) = service.call("claim_due_scan_jobs", p_instance_id="worker", p_limit=5)
    return leased


def _reserve(service: Caller, lease: dict[str, Any]) -> UUID:
    call = uuid4()
    answer = service.call(
        "reserve_gpt_call",
        p_reservation_id=call,
        p_scan_job_id=lease["id"],
        p_lock_token=lease["lock_token"],
        p_purpose="scan_proposal",
        p_model="a model",
        p_most_tokens=10_000,
    )
    assert answer["outcome"] == "reserved", answer
    return call


def _scan(service: Caller) -> UUID:
    lease = _lease(service)
    call = _reserve(service, lease)
    proposal: dict[str, object] = {
        "id": str(uuid4()),
        "market": "BTC-EUR",
        "side": "buy",
        "order_type": "market",
        "amount": None,
        "amount_quote": "10.00",
        "limit_price": None,
        "reference_price": "50000",
        "confidence": "80",
        "rationale": "for a test",
        "model": "a model",
        "prompt_version": "1",
        "input_hash": "abc",
        "market_snapshot": {"ask": "50000"},
        "clamped": [],
    }
    used = {"id": str(call), "status": "SUCCEEDED", "reason": None, "model": "a model"}
    answer = service.call(
        "finish_scan",
        p_scan_job_id=lease["id"],
        p_lock_token=lease["lock_token"],
        p_outcome="proposed",
        p_reason=None,
        p_usage=[used | {"prompt_tokens": 300, "completion_tokens": 50}],
        p_proposal=proposal,
        p_policy_hash=lease["policy_hash"],
    )
    assert answer["outcome"] == "finished", answer
    return UUID(answer["proposal"]["id"])


def claim(
    database: TestDatabase, service: Caller, owner: UUID, proposal: UUID, **changed: object
) -> dict[str, Any]:
    """The execution of a proposal, just claimed."""
    answer = database.claim(service, owner, proposal, **changed)
    assert answer["outcome"] == "claimed", answer
    execution: dict[str, Any] = answer["execution"]
    return execution


def _trade(database: TestDatabase, service: Caller, owner: UUID, scanned: UUID) -> dict[str, UUID]:
    """One execution of each kind; the last is a conclusion that a fact contradicts."""
    made = {
        name: database.proposal(owner)
        for name in ("canceled", "not placed", "absent once", "dry", "contradicted")
    }
    made["rejected"] = database.proposal(owner, side="sell")

    filled = claim(database, service, owner, scanned, p_override_cooldown=True)
    record(service, filled, "placed", p_order=order(filled, "partiallyFilled", "0.0001"))
    record(service, filled, "placed", p_order=order(filled, updated=filled_later(filled)))
    rejected = claim(database, service, owner, made["rejected"])
    record(
        service,
        rejected,
        "rejected",
        p_error_code="216",
        p_response={"http_status": "400", "body": {"errorCode": 216}},
    )
    canceled = claim(database, service, owner, made["canceled"])
    record(service, canceled, "placed", p_order=order(canceled, "canceled", "0.0001"))
    record(service, claim(database, service, owner, made["not placed"]), "not_placed", p_error_code="WINDOW")
    doubtful = claim(database, service, owner, made["absent once"])
    record(service, doubtful, "unknown")
    ended = int(doubtful["access_timestamp"]) + 70_000
    absent = service.call(
        "record_absence",
        p_execution_id=doubtful["id"],
        p_trade_key_fingerprint=FINGERPRINT,
        p_exchange_url=EXCHANGE,
        p_run_started_at=database.now,
        p_began_ms=ended,
        p_ended_ms=ended,
    )
    assert absent["outcome"] == "first_round", absent
    record(service, doubtful, "placed", "cleanup", p_order=order(doubtful))
    database.do("update public.trading_controls set mode = 'dry_run' where singleton")
    claim(database, service, owner, made["dry"], p_mode="dry_run")
    open_trading(database)
    contradicted = claim(database, service, owner, made["contradicted"])
    record(service, contradicted, "not_placed", p_error_code="WINDOW")
    answer = record(service, contradicted, "placed", "cleanup", p_order=order(contradicted))
    assert answer["outcome"] == "contradicted", answer
    return made


def filled_later(execution: dict[str, Any]) -> int:
    """When the exchange last changed an order that filled on, ms."""
    return int(execution["access_timestamp"]) + 100


def _leave(database: TestDatabase, service: Caller, owner: UUID) -> dict[str, UUID]:
    """Proposals that nobody executes."""
    an_hour_ago = database.now - timedelta(hours=1)
    made = {
        "expired": database.proposal(
            owner, created_at=an_hour_ago, expires_at=an_hour_ago + timedelta(minutes=15)
        ),
        "declined": database.proposal(
            owner,
            side="sell",
            market="ETH-EUR",
            amount=Decimal("0.5"),
            order_type="limit",
            limit_price=Decimal(2000),
        ),
        "declined buy": database.proposal(owner, order_type="limit", limit_price=Decimal(40000)),
    }
    refused = database.claim(service, owner, made["expired"])
    assert refused["outcome"] == "refused", refused
    service.call("expire_old_proposals")
    for name in ("declined", "declined buy"):
        database.as_user(owner).call("decline_proposal", p_proposal_id=made[name])
    return made


def _compare(database: TestDatabase, service: Caller) -> None:
    """Cleanup compares a market and finds an order that nobody approved."""
    run = service.call(
        "begin_cleanup",
        p_instance_id="cleanup",
        p_mode="live",
        p_operator_id=OPERATOR_ID,
        p_trade_key_fingerprint=FINGERPRINT,
        p_limit=10,
    )
    (mark,) = [market for market in run["markets"] if market["market"] == "BTC-EUR"]
    intruder = {
        "orderId": str(uuid4()),
        "clientOrderId": str(uuid4()),
        "market": "BTC-EUR",
        "side": "buy",
        "status": "filled",
        "orderType": "limit",
        "operatorId": OPERATOR_ID,
        "amount": "0.1",
        "price": "50000",
        "filledAmount": "0.1",
        "filledAmountQuote": "5000",
        "feePaid": "12.5",
        "feeCurrency": "EUR",
        "fills": [],
        "created": database.now_ms,
        "updated": database.now_ms,
    }
    answer = service.call(
        "compare_orders",
        p_market="BTC-EUR",
        p_read_started_at=run["now"],
        p_read_from_ms=mark["read_from_ms"],
        p_read_to_ms=database.now_ms,
        p_orders=[intruder],
    )
    assert len(answer["intruders"]) == 1, answer
