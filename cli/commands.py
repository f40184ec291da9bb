"""What each command does: asks, and says what was answered, for people and as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from rich.console import RenderableType

from cli import show
from cli.approving import identify
from cli.ends import Ended, Refused, Said, WrongCall
from cli.owner import Owner


def proposals(owner: Owner) -> Said:
    """The proposals that wait for a decision."""
    told = owner.status()
    pending = told["pending_proposals"]
    shown = [show.header(owner.session, told), *show.proposals(pending, told["now"])]
    if pending:
        hint = f"./interlock approve {show.short(pending[0]['id'])}, or decline"
        shown += [show.line(""), show.line(hint, "dim")]
    return Said({"now": told["now"], "proposals": pending}, shown)


def status(owner: Owner) -> Said:
    """Everything that an owner wants to know."""
    told = owner.status()
    return Said(told, [show.header(owner.session, told), *show.status(told)])


def decline(owner: Owner, wanted: str) -> Said:
    """Decline one pending proposal."""
    proposal = identify(owner, wanted)
    answer = owner.call("decline_proposal", {"p_proposal_id": proposal})
    state = str(answer["proposal"]["status"])
    if answer["outcome"] == "declined":
        return Said(answer, [show.line("Declined.")])
    raise Refused(
        f"The proposal is {state}; only a PENDING one can be declined.", "PROPOSAL_NOT_PENDING", answer
    )


def policy(owner: Owner) -> Said:
    """One's own trading policy, whole."""
    found = owner.rows(
        "trading_policies", [("select", "policy,policy_hash,trading_state,state_reason,version,updated_at")]
    )
    if not found:
        raise Refused("You have no trading policy yet: ./interlock policy FILE sets one.", "NO_POLICY")
    return Said(found[0], _policy_shown(found[0]))


def set_policy(owner: Owner, text: str) -> Said:
    """Set one's own trading policy from its JSON; what it leaves out takes its default."""
    try:
        wanted = json.loads(text)
    except ValueError as error:
        raise WrongCall(f"The policy is not JSON: {error}.", "WRONG_ARGUMENTS") from None
    row = owner.call("set_trading_policy", {"p_policy": wanted})
    return Said(row, [show.line("Your policy is set.", "bold"), *_policy_shown(row)])


def _policy_shown(row: Mapping[str, Any]) -> list[RenderableType]:
    return [show.line(each) for each in json.dumps(row["policy"], indent=2, ensure_ascii=False).splitlines()]


def scan(owner: Owner, *, enabled: bool) -> Said:
    """Make one's own scan due at once and switch it on, or switch it off."""
    row = owner.call("schedule_scan", {"p_enabled": enabled})
    if not enabled:
        return Said(row, [show.line("Your scan is off. ./interlock scan switches it on again.")])
    try:
        told = owner.status()
    except Ended as error:
        return Said(
            row, [show.line(f"A scan is due now. What may keep it from proposing is not known: {error}")]
        )
    against = show.obstacles(told)
    said = "it will propose nothing" if against else "it proposes within a minute, or holds"
    doubts = show.doubts(told)
    shown = [show.line(f"A scan is due now: {said}."), *map(show.line, against + doubts)]
    shown.append(
        show.line(f"The last one: {show.last_scan(told.get('scan') or {}, str(told['now']))}", "dim")
    )
    return Said({**row, "obstacles": against, "doubts": doubts}, shown)
