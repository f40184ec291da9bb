"""An approval: shown, asked about, sent once, and told as far as it is known."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from rich.console import RenderableType

from cli import show
from cli.ends import Exit, Refused, Said, Unavailable, UnknownFate, WrongCall
from cli.owner import Owner
from cli.web import Answer, NoAnswerError, NotSentError

APPROVAL_PATIENCE_S = 90.0
"""Longer than `execute` takes at the very most."""

SHORTEST_BEGINNING = 6
"""Digits of an id: with fewer, another proposal is soon meant."""

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_PREFIX = re.compile(r"[0-9a-f-]{6,36}")
_REACHED = ("OPEN", "PARTIALLY_FILLED", "FILLED", "CANCELED", "DRY_RUN")
_NOT_YET_KNOWN = ("CLAIMED", "UNKNOWN")
_MOST_PENDING_TOLD = 100
"""A status tells so many pending proposals and no more."""

_SAFE = "Repeat the same command: that is safe, never places a second order, and tells what happened."
_SELECTED = "id,status,market,asset,side,amount,amount_quote,limit_price,created_at"


def approve(
    owner: Owner,
    wanted: str,
    *,
    override_cooldown: bool,
    override_anti_flip: bool,
    quiet: bool,
    confirm: Callable[[str], bool],
    show_now: Callable[[list[RenderableType]], None],
) -> Said:
    """Approve one proposal. Whatever is not known for certain is said to be unknown."""
    proposal = identify(owner, wanted)
    agreed = confirm("") if quiet else _agreed(owner, proposal, confirm, show_now)
    if not agreed:
        raise Refused("Nothing was sent.", "NOT_CONFIRMED", {"proposalId": proposal})
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


def _agreed(
    owner: Owner,
    proposal: str,
    confirm: Callable[[str], bool],
    show_now: Callable[[list[RenderableType]], None],
) -> bool:
    """Show what it could come to, and ask. What is not pending any more can send nothing: nobody is asked."""
    try:
        status = owner.status()
    except Unavailable as error:
        facts = {**error.facts, "proposalId": proposal}
        raise Unavailable(f"{error} This approval was not sent.", error.code, facts) from None
    show_now([show.header(owner.session, status)])
    pending = status["pending_proposals"]
    row = next((row for row in pending if row.get("id") == proposal), None)
    if row is not None:
        show_now([show.at_worst(row, str(status["now"]))])
    elif len(pending) < _MOST_PENDING_TOLD:
        return True
    return confirm("Approve it?")


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
    if (spent := _why_so_much(execution)) is not None:
        shown.append(show.line(spent))
    shown.append(show.line(f"execution {execution.get('id')}", "dim"))
    if told_all.get("recorded") is False:
        shown.append(show.line("The database does not know it yet; cleanup will store it."))
    if state in _REACHED:
        return Said(told_all, shown)
    return Said(told_all, shown, Exit.UNKNOWN if state in _NOT_YET_KNOWN else Exit.REFUSED)


def _why_so_much(execution: Mapping[str, Any]) -> str | None:
    """Why a buy spent less than was approved, from what was ordered and what was filled."""
    try:
        ordered = json.loads(execution["request"]["body"])
        filled, price = Decimal(execution["filled_amount"]), Decimal(execution["filled_amount_quote"])
        spent = price + (Decimal(execution["fee"]) if execution["fee_currency"] == "EUR" else 0)
        if execution["side"] != "buy" or filled <= 0:
            return None
        average = (price / filled).quantize(Decimal("0.01"))
        return (
            f"You approved at most {show.cents(execution['order_value'])}, fee included: enough for"
            f" {ordered['amount']} {execution['asset']} at up to {show.eur(ordered['price'])}. Bought at"
            f" {show.eur(average)}, that came to {show.cents(spent)}."
        )
    except (KeyError, TypeError, ValueError, InvalidOperation):
        return None


def _unknown(proposal: str, why: str) -> UnknownFate:
    return UnknownFate(
        f"No answer that can be read ({why}): whether the order was placed is not known here. {_SAFE}",
        "NO_ANSWER",
        {"proposalId": proposal},
    )


def identify(owner: Owner, wanted: str) -> str:
    """The whole id of one's own proposal that is meant by an id or an unambiguous beginning of it."""
    given = wanted.strip().lower()
    if _UUID.fullmatch(given):
        return given
    digits = given.replace("-", "")
    is_long_enough = SHORTEST_BEGINNING <= len(digits) <= 32
    if not _PREFIX.fullmatch(given) or not is_long_enough or not _is_beginning(given):
        raise WrongCall(
            f"A proposal is named by its id, or the first {SHORTEST_BEGINNING} characters or more of it.",
            "WRONG_ID",
        )
    found = owner.rows(
        "trade_proposals",
        [
            ("select", _SELECTED),
            ("id", f"gte.{_as_uuid(digits.ljust(32, '0'))}"),
            ("id", f"lte.{_as_uuid(digits.ljust(32, 'f'))}"),
            ("order", "created_at.desc"),
            ("limit", "10"),
        ],
    )
    if not found:
        raise Refused(f"You have no proposal whose id begins with {given}.", "PROPOSAL_NOT_FOUND")
    if len(found) > 1:
        raise WrongCall(
            f"Several proposals begin with {given}: name more of the one that is meant.",
            "AMBIGUOUS_ID",
            {"proposals": found},
            [f"{row['id']}  {show.order(row)}, {row['status']}" for row in found],
        )
    return str(found[0]["id"])


def _as_uuid(digits: str) -> str:
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def _is_beginning(given: str) -> bool:
    """Do the hyphens stand where those of an id stand, or are there none?"""
    digits = given.replace("-", "")
    return given == digits or _as_uuid(digits.ljust(32, "0")).startswith(given)
