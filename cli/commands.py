"""What each command does: asks, and says what was answered, for people and as JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from rich.console import RenderableType

from cli import show
from cli.ends import Exit, Refused, Said, Unavailable, UnknownFate, WrongCall
from cli.owner import Owner
from cli.web import Answer, NoAnswerError, NotSentError

APPROVAL_PATIENCE_S = 90.0
"""Longer than `execute` takes at the very most."""

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_PREFIX = re.compile(r"[0-9a-f-]{4,36}")
_REACHED = ("OPEN", "PARTIALLY_FILLED", "FILLED", "CANCELED", "DRY_RUN")
_NOT_YET_KNOWN = ("CLAIMED", "UNKNOWN")
_SAFE = "Repeat the same command: that is safe, never places a second order, and tells what happened."


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


def approve(owner: Owner, wanted: str, *, override_cooldown: bool, override_anti_flip: bool) -> Said:
    """Approve one proposal. Whatever is not known for certain is said to be unknown."""
    proposal = _identify(owner, wanted)
    body = {
        "proposalId": proposal,
        "overrideCooldown": override_cooldown,
        "overrideAntiFlip": override_anti_flip,
    }
    try:
        answer = owner.interlock("POST", "/", body, APPROVAL_PATIENCE_S)
    except NotSentError as error:
        raise Unavailable(
            f"{owner.session.interlock_url} cannot be reached ({error}): this approval was not sent.",
            "NOT_REACHED",
            {"proposalId": proposal},
        ) from None
    except (NoAnswerError, KeyboardInterrupt) as error:
        raise _unknown(proposal, str(error) or type(error).__name__) from None
    return _approved(proposal, answer)


def _approved(proposal: str, answer: Answer) -> Said:
    """What an answer of `execute` means. Only what is its own is believed."""
    body = answer.body if isinstance(answer.body, dict) else {}
    code = str(body.get("code") or "")
    execution = body.get("execution")
    told_all = {**body, "httpStatus": answer.status, "proposalId": proposal}
    if isinstance(execution, dict):
        return _with_execution(told_all, execution, code)
    if answer.status == 422 and code == "CHECKS_FAILED":
        shown = [show.line("Refused; nothing was sent.", "bold"), *show.refusal(body.get("checks") or [])]
        return Said(told_all, shown, Exit.REFUSED)
    if answer.status == 503 and code in ("UNAVAILABLE", "BUSY"):
        raise Unavailable(answer.said(), code, told_all)
    if 400 <= answer.status < 500 and code:
        kind = WrongCall if answer.status == 401 else Refused
        raise kind(answer.said(), code, told_all)
    raise _unknown(proposal, f"HTTP {answer.status}, and not in Interlock's words")


def _with_execution(told_all: dict[str, Any], execution: Mapping[str, Any], code: str) -> Said:
    """The proposal has an execution, from now or from before: its state decides."""
    state = str(execution.get("status"))
    shown = []
    if code in ("ALREADY_EXECUTED", "EXECUTION_IN_PROGRESS"):
        shown.append(show.line("This proposal was approved before; nothing was sent now."))
    shown.append(show.line(show.fate(execution), "bold"))
    exchange = told_all.get("exchange")
    if isinstance(exchange, dict) and exchange.get("error"):
        shown.append(show.line(f"The exchange says: {exchange['error']}"))
    shown.append(show.line(f"execution {execution.get('id')}", "dim"))
    if told_all.get("recorded") is False:
        shown.append(show.line("The database does not know it yet; cleanup will store it."))
    if state in _REACHED:
        return Said(told_all, shown)
    return Said(told_all, shown, Exit.UNKNOWN if state in _NOT_YET_KNOWN else Exit.REFUSED)


def _unknown(proposal: str, why: str) -> UnknownFate:
    return UnknownFate(
        f"No answer that can be read ({why}): whether the order was placed is not known here. {_SAFE}",
        "NO_ANSWER",
        {"proposalId": proposal},
    )


def decline(owner: Owner, wanted: str) -> Said:
    """Decline one pending proposal."""
    proposal = _identify(owner, wanted)
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
    said = "A scan is due now: it proposes within a minute, or holds." if enabled else "Your scan is off."
    return Said(row, [show.line(said)])


def _identify(owner: Owner, wanted: str) -> str:
    """The whole id of one's own proposal that is meant by an id or an unambiguous beginning of it."""
    given = wanted.strip().lower()
    if _UUID.fullmatch(given):
        return given
    digits = given.replace("-", "")
    if not _PREFIX.fullmatch(given) or len(digits) < 4 or len(digits) > 32 or not _is_beginning(given):
        raise WrongCall(
            "A proposal is named by its id, or the first four characters or more of it.", "WRONG_ID"
        )
    found = owner.rows(
        "trade_proposals",
        [
            ("select", "id,status,market,side"),
            ("id", f"gte.{_as_uuid(digits.ljust(32, '0'))}"),
            ("id", f"lte.{_as_uuid(digits.ljust(32, 'f'))}"),
            ("order", "created_at.desc"),
            ("limit", "10"),
        ],
    )
    if not found:
        raise Refused(f"You have no proposal whose id begins with {given}.", "PROPOSAL_NOT_FOUND")
    if len(found) > 1:
        ids = [str(row["id"]) for row in found]
        raise WrongCall(
            f"Several proposals begin with {given}: {', '.join(ids)}.", "AMBIGUOUS_ID", {"ids": ids}
        )
    return str(found[0]["id"])


def _as_uuid(digits: str) -> str:
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def _is_beginning(given: str) -> bool:
    """Do the hyphens stand where those of an id stand, or are there none?"""
    digits = given.replace("-", "")
    return given == digits or _as_uuid(digits.ljust(32, "0")).startswith(given)
