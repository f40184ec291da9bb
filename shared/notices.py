"""What a person is told, in words: every message to `NOTIFY_URL` is worded here.

Each function takes the row that it tells of, numbers as text as the database answers them.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from shared.money import plain

_LONGEST_REASON = 300


def proposed(proposal: Mapping[str, Any]) -> str:
    """What waits for an owner, until when, at which price and why, and the command that approves it."""
    buys = proposal["side"] == "buy"
    size = f"{proposal['amount_quote']} EUR" if buys else f"{proposal['amount']} {proposal['asset']}"
    price, confidence = _number(proposal["reference_price"]), _number(proposal["confidence"])
    return (
        f"Proposal: {proposal['side']} {size} of {proposal['market']} at {price} EUR, "
        f"confidence {confidence}. It expires at {_minute(proposal['expires_at'])}."
        f"{_because(proposal['rationale'])} ./interlock approve {proposal['id']}"
    )


def contradicted(execution_id: object) -> str:
    """The exchange has an order that was concluded not to exist."""
    return f"Trading is halted: execution {execution_id} contradicts what was recorded of it."


def told(notice: Mapping[str, Any]) -> str:
    """A notice as `take_notices` answers it."""
    match notice["kind"]:
        case "HALTED":
            return _halted(notice)
        case "SCAN_STOPPED":
            return f"The scan of owner {notice['user_id']} has stopped: {notice['reason']}."
        case _:
            return _ended(notice)


def _halted(notice: Mapping[str, Any]) -> str:
    whose = f"Trading of owner {notice['user_id']}" if notice["user_id"] else "Trading"
    since = f"is still halted since {_minute(notice['at'])}" if int(notice["told"]) > 1 else "was halted"
    return f"{whose} {since} ({notice['actor']}): {notice['reason']}."


def _ended(notice: Mapping[str, Any]) -> str:
    order = f"{notice['side']} in {notice['market']} (execution {notice['execution_id']})"
    if not Decimal(notice["amount"]):
        return f"The fate of the {order} is known: {notice['status']}, nothing was filled."
    verb = "Bought" if notice["side"] == "buy" else "Sold"
    fee = f", fee {_number(notice['fee'])} {notice['fee_currency'] or ''}".rstrip()
    partly = "" if notice["status"] == "FILLED" else f" The rest was not: {notice['status']}."
    return (
        f"{verb} {_number(notice['amount'])} in {notice['market']} at {_number(notice['price'])} EUR, "
        f"{_number(notice['amount_quote'])} EUR in all{fee} (execution {notice['execution_id']})."
        f"{partly}{_because(notice['reason'])}"
    )


def _because(reason: str | None) -> str:
    if not reason:
        return ""
    return f' Why: "{reason if len(reason) <= _LONGEST_REASON else f"{reason[: _LONGEST_REASON - 1]}…"}"'


def _number(text: str) -> str:
    return plain(Decimal(text))


def _minute(instant: str) -> str:
    return f"{instant[:16].replace('T', ' ')} UTC"
