"""What each command does: asks, and says what was answered, for people and as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich.console import RenderableType

from cli import show
from cli.approving import identify
from cli.ends import Ended, Refused, Said, WrongCall
from cli.owner import Owner, sign_out
from cli.rules import FIELDS, Change, changes
from cli.sessions import Session, Sessions


def deployments(sessions: Sessions) -> Said:
    """Where somebody is signed in. Tokens are not shown."""
    every = [
        {
            "email": session.email,
            "interlockUrl": session.interlock_url,
            "supabaseUrl": session.supabase_url,
            "default": is_default,
        }
        for session, is_default in sessions.every()
    ]
    if not every:
        return Said({"deployments": every}, [show.line("Nobody is signed in anywhere: ./interlock login")])
    rows = [
        (
            str(one["email"]),
            str(one["interlockUrl"]),
            str(one["supabaseUrl"]),
            "the last login" if one["default"] else "",
        )
        for one in every
    ]
    heads = ("owner", "INTERLOCK_URL", "SUPABASE_URL", "meant by default")
    return Said({"deployments": every}, [show.table(heads, rows)])


def logout(session: Session, sessions: Sessions) -> Said:
    """Forget the tokens of one deployment."""
    ended = sign_out(session, sessions)
    shown = [show.line(f"Signed out: {session.email} at {session.interlock_url}.")]
    if not ended:
        shown.append(
            show.line("The project did not confirm it: until it ends by itself, a copied token works on.")
        )
    told = {"email": session.email, "interlockUrl": session.interlock_url, "ended": ended}
    return Said(told, shown)


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


def explain_policy() -> Said:
    """Every field of a policy; nobody is asked."""
    facts = [
        {
            "field": field.path,
            "meaning": field.meaning,
            "unit": field.unit,
            "range": field.range,
            "default": field.default,
        }
        for field in FIELDS
    ]
    rows = [
        (
            field.path,
            field.meaning.replace("`", ""),
            field.unit,
            field.range,
            "none" if field.default == [] else str(field.default),
        )
        for field in FIELDS
    ]
    heads = ("field", "meaning", "unit", "range", "default")
    return Said(
        {"fields": facts}, [show.table(heads, rows), show.line("docs/POLICY.md has an example.", "dim")]
    )


def set_policy(
    owner: Owner,
    text: str,
    confirm: Callable[[str], bool],
    show_now: Callable[[list[RenderableType]], None],
) -> Said:
    """Set one's own trading policy from its JSON, after showing what that tightens and loosens."""
    try:
        wanted = json.loads(text)
    except ValueError as error:
        raise WrongCall(f"The policy is not JSON: {error}.", "WRONG_ARGUMENTS") from None
    found = owner.rows("trading_policies", [("select", "policy")])
    changed = list(changes(found[0]["policy"], wanted)) if found else []
    if found:
        show_now(_changes_shown(changed))
    if any(change.is_looser is not False for change in changed) and not confirm(
        "This allows more than your policy does now. Set it?"
    ):
        raise Refused("Your policy was not changed.", "NOT_CONFIRMED")
    row = owner.call("set_trading_policy", {"p_policy": wanted})
    shown = [show.line("Your policy is set.", "bold"), *_policy_shown(row)]
    shown += [show.line(f"Look again: {each['sentence']}", "bold") for each in row.get("warnings") or []]
    return Said({**row, "changes": [change.as_json() for change in changed]}, shown)


def _changes_shown(changed: Sequence[Change]) -> list[RenderableType]:
    if not changed:
        return [show.line("Nothing changes: this is your policy already.")]
    ways = {True: "looser", False: "tighter", None: "different"}
    rows = [
        (
            change.field.path,
            change.before,
            f"{change.after}{' (left out: its default)' if change.left_out else ''}",
            ways[change.is_looser],
        )
        for change in changed
    ]
    return [show.table(("field", "now", "then", "which is"), rows)]


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
