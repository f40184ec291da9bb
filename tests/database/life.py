"""One owner's whole life through the RPCs: scanned, proposed, approved, filled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from tests.database.harness import Caller, TestDatabase, order, record


@dataclass(frozen=True)
class Life:
    """What an owner left behind in every table."""

    owner: UUID
    job: UUID
    reservation: UUID
    proposal: UUID
    execution: Mapping[str, Any]


def live(db: TestDatabase, service: Caller, **claimed: object) -> Life:
    """A new owner, scanned for, who approved and bought; `claimed` replaces parameters of the claim."""
    owner = db.owner()
    lease = scanned(db, service, owner)
    reservation = reserved(service, lease)
    proposal = proposed(service, lease, reservation)
    execution = db.claim(service, owner, proposal, **claimed)["execution"]
    if execution["status"] == "CLAIMED":
        execution = record(service, execution, "placed", p_order=order(execution))["execution"]
    return Life(owner, UUID(lease["id"]), reservation, proposal, execution)


def scanned(db: TestDatabase, service: Caller, owner: UUID) -> dict[str, Any]:
    """The lease of the owner's job, made due and claimed."""
    db.as_user(owner).call("schedule_scan")
    leases: list[dict[str, Any]] = service.call("claim_due_scan_jobs", p_instance_id="worker-1", p_limit=100)
    return next(lease for lease in leases if lease["user_id"] == str(owner))


def reserved(service: Caller, lease: Mapping[str, Any]) -> UUID:
    """A model call, reserved under the lease."""
    reservation = uuid4()
    answer = service.call("reserve_gpt_call", **reservation_parameters(lease, reservation))
    assert answer["outcome"] == "reserved", answer
    return reservation


def reservation_parameters(lease: Mapping[str, Any], reservation: UUID) -> dict[str, object]:
    """What scan_tick hands to reserve_gpt_call."""
    return {
        "p_reservation_id": reservation,
        "p_scan_job_id": lease["id"],
        "p_lock_token": lease["lock_token"],
        "p_purpose": "scan_proposal",
        "p_model": "a-model",
        "p_most_tokens": 10_000,
    }


def proposed(service: Caller, lease: Mapping[str, Any], reservation: UUID) -> UUID:
    """The proposal of a finished scan."""
    parameters = finish_parameters(lease, reservation)
    answer = service.call("finish_scan", **parameters)
    assert answer["outcome"] == "finished", answer
    return UUID(answer["proposal"]["id"])


def finish_parameters(lease: Mapping[str, Any], reservation: UUID) -> dict[str, object]:
    """What scan_tick hands to finish_scan: one answered call, and a buy of 10.00 EUR at 50,000."""
    return {
        "p_scan_job_id": lease["id"],
        "p_lock_token": lease["lock_token"],
        "p_outcome": "proposed",
        "p_reason": None,
        "p_usage": [
            {
                "id": str(reservation),
                "status": "SUCCEEDED",
                "reason": None,
                "model": "a-model-2026",
                "prompt_tokens": "900",
                "completion_tokens": "100",
            }
        ],
        "p_proposal": {
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
            "model": "a-model-2026",
            "prompt_version": "1",
            "input_hash": "0" * 64,
            "market_snapshot": {},
            "clamped": None,
        },
        "p_policy_hash": lease["policy_hash"],
    }
