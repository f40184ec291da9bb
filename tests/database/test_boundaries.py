"""A claim that waited for a lock is decided as of after the wait, whatever passed meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

from tests.database.acts import background, claimed, failed_codes, take, until_it_waits
from tests.database.harness import NOON, POLICY, Caller, TestDatabase, open_trading, order, record

Change = Callable[[TestDatabase], None]
_ATTEMPTS = 10
_MIDNIGHT = datetime.fromisoformat("2026-03-03T00:00:00+00:00")


@dataclass(frozen=True)
class Waiting:
    """A claim that will wait, and what passes while it does."""

    owner: UUID
    proposal: UUID
    meanwhile: Change
    parameters: dict[str, object] = field(default_factory=dict)


def _second_passes(db: TestDatabase) -> None:
    db.advance(timedelta(seconds=1))


def _expiry(db: TestDatabase) -> Waiting:
    owner = db.owner()
    proposal = db.proposal(owner, expires_at=db.now + timedelta(milliseconds=500))
    return Waiting(owner, proposal, _second_passes)


LOCKS: dict[str, Callable[[Caller, Waiting], None]] = {
    "user gate": lambda holder, waiting: take(holder, "user gate", waiting.owner),
    "user claims": lambda holder, waiting: take(holder, "user claims", waiting.owner),
    "proposal": lambda holder, waiting: _hold_row(holder, waiting.proposal),
    "account claims": lambda holder, _: take(holder, "account claims"),
    "global gate": lambda holder, _: take(holder, "global gate"),
}


def _hold_row(holder: Caller, proposal: UUID) -> None:
    holder.connection.execute("select from public.trade_proposals where id = %s for update", (proposal,))


def test_a_claim_that_waits_over_expiry_is_refused(db: TestDatabase) -> None:
    """Whichever of its locks it waits for: the clock is read after the last one."""
    for lock in LOCKS:
        answer = _decided_after_waiting(db, _expiry, lock)

        assert (lock, answer["outcome"]) == (lock, "refused")
        assert failed_codes(answer) == {"PROPOSAL_EXPIRED"}


def test_a_claim_that_waits_over_midnight_counts_for_the_new_day(db: TestDatabase) -> None:
    """Yesterday's trades used the day up; a claim granted after midnight is of today, and counted today."""

    def used_up_before_midnight(db: TestDatabase) -> Waiting:
        db.set_clock(_MIDNIGHT - timedelta(milliseconds=500))
        open_trading(db)
        owner = db.owner({**POLICY, "limits": {"daily": {"trades": 1}}})
        service = db.as_service()
        earlier = claimed(db, service, owner)
        record(service, earlier, "placed", p_order=order(earlier))
        return Waiting(owner, db.proposal(owner), _second_passes)

    waiting: list[Waiting] = []

    def kept(db: TestDatabase) -> Waiting:
        waiting.append(used_up_before_midnight(db))
        return waiting[-1]

    answer = _decided_after_waiting(db, kept)

    assert answer["outcome"] == "claimed"
    today = db.as_service().call("get_execution_status", p_user_id=waiting[-1].owner)["today"]
    assert today["trades"] == "1"


def test_a_claim_that_waits_over_the_end_of_a_cooldown_is_granted(db: TestDatabase) -> None:
    """The cooldown is over when it is decided, although it was not when it was asked."""

    def half_a_second_before_the_end(db: TestDatabase) -> Waiting:
        owner = db.owner({**POLICY, "cooldown_minutes": 10})
        service = db.as_service()
        earlier = claimed(db, service, owner)
        record(service, earlier, "placed", p_order=order(earlier))
        db.advance(timedelta(minutes=10) - timedelta(milliseconds=500))
        return Waiting(owner, db.proposal(owner), _second_passes)

    assert _decided_after_waiting(db, half_a_second_before_the_end)["outcome"] == "claimed"


def test_a_claim_that_waits_over_a_halt_is_refused(db: TestDatabase) -> None:
    """A halt that answered while the claim waited holds for it."""

    def halted_meanwhile(db: TestDatabase) -> Waiting:
        owner = db.owner()
        return Waiting(
            owner, db.proposal(owner), lambda db: db.as_service().call("halt_trading", p_reason="meanwhile")
        )

    answer = _decided_after_waiting(db, halted_meanwhile)

    assert answer["outcome"] == "refused"
    assert failed_codes(answer) == {"TRADING_HALTED"}


def test_a_claim_that_waits_over_an_edit_of_the_policy_is_refused(db: TestDatabase) -> None:
    """The policy of the moment of decision is another than the one that the function read."""

    def edited_meanwhile(db: TestDatabase) -> Waiting:
        owner = db.owner()
        return Waiting(
            owner,
            db.proposal(owner),
            lambda db: db.do(
                """
                update public.trading_policies
                set policy = jsonb_set(policy, '{min_confidence}', '99')
                where user_id = %s
                """,
                owner,
            ),
        )

    answer = _decided_after_waiting(db, edited_meanwhile)

    assert answer["outcome"] == "refused"
    assert failed_codes(answer) == {"POLICY_CHANGED", "CONFIDENCE_TOO_LOW"}


def test_a_claim_that_waits_for_the_owners_own_change_is_decided_by_it(db: TestDatabase) -> None:
    """While set_trading_policy is under way no claim of that owner reads the policy."""
    for _ in range(_ATTEMPTS):
        owner = db.owner()
        changing, claiming = db.as_user(owner), db.as_service()
        asked = db.claim_parameters(owner, db.proposal(owner))
        changing.connection.execute("begin")
        changing.call("set_trading_policy", p_policy={**POLICY, "min_confidence": 99})
        with background(partial(claiming.call, "claim_execution", **asked)) as claim:
            until_it_waits(db, claiming, claim)
            changing.connection.execute("commit")
            answer = claim.result()
        if answer["outcome"] != "busy":
            break

    assert answer["outcome"] == "refused"
    assert failed_codes(answer) == {"POLICY_CHANGED", "CONFIDENCE_TOO_LOW"}


def test_a_claim_waits_two_seconds_at_most_and_says_busy(db: TestDatabase, service: Caller) -> None:
    """Nothing is stored and nothing refused: whoever is told BUSY may ask again."""
    owner = db.owner()
    proposal = db.proposal(owner)
    for lock in LOCKS:
        holder = db.as_owner_of_the_schema()
        holder.connection.execute("begin")
        LOCKS[lock](holder, Waiting(owner, proposal, _second_passes))
        assert db.claim(service, owner, proposal) == {"outcome": "busy", "execution": None, "checks": []}
        holder.connection.execute("rollback")
    assert db.one("select count(*) from public.audit_events where event = 'EXECUTION_REFUSED'") == 0

    assert db.claim(service, owner, proposal)["outcome"] == "claimed"


def _decided_after_waiting(
    db: TestDatabase, situation: Callable[[TestDatabase], Waiting], lock: str = "user claims"
) -> dict[str, Any]:
    """The answer to a claim that waited for a lock while something passed.

    A lock is waited for some tenths of a second; where this machine was too slow for that the claim says
    busy, and everything is tried once more from noon.
    """
    answer: dict[str, Any] = {}
    for _ in range(_ATTEMPTS):
        db.set_clock(NOON)
        open_trading(db)
        waiting = situation(db)
        holder, claiming = db.as_owner_of_the_schema(), db.as_service()
        asked = db.claim_parameters(waiting.owner, waiting.proposal) | waiting.parameters
        holder.connection.execute("begin")
        LOCKS[lock](holder, waiting)
        with background(partial(claiming.call, "claim_execution", **asked)) as claim:
            until_it_waits(db, claiming, claim)
            waiting.meanwhile(db)
            holder.connection.execute("commit")
            answer = claim.result()
        if answer["outcome"] != "busy":
            break
    return answer
