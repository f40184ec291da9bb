"""Why an approval was refused, in sentences: one for each check and code, with the facts that decided it."""

# ruff: noqa: E501 - a sentence a line
from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from string import Formatter
from types import MappingProxyType
from typing import Any

SENTENCES: Mapping[tuple[str, str], str] = MappingProxyType(
    {
        (
            "proposal_pending",
            "PROPOSAL_NOT_PENDING",
        ): "The proposal is {status}; only a PENDING one can be approved.",
        ("proposal_not_expired", "PROPOSAL_EXPIRED"): "The proposal expired at {expires_at}.",
        ("allowlist", "ALLOWLIST_EMPTY"): "Your policy allows no market, so nothing may trade.",
        (
            "allowlist",
            "NOT_ALLOWLISTED",
        ): "{market} is not among the markets that your policy allows: {allowlist}.",
        (
            "quote_currency",
            "QUOTE_NOT_EUR",
        ): "The market is quoted in {quote}; Interlock trades EUR markets alone.",
        (
            "order_size",
            "SIZE_BELOW_MINIMUM",
        ): "The order is worth {order_value_eur} EUR, less than your minimum of {min_eur} EUR.",
        (
            "order_size",
            "SIZE_ABOVE_MAXIMUM",
        ): "The order is worth {order_value_eur} EUR, more than your maximum of {max_eur} EUR.",
        (
            "confidence",
            "CONFIDENCE_TOO_LOW",
        ): "The model's confidence of {confidence} is below your threshold of {min_confidence}.",
        (
            "cooldown",
            "COOLDOWN_ACTIVE",
        ): "{asset} was traded at {last_trade_at}; your cooldown of {minutes} minutes lasts until {until} (--override-cooldown).",
        (
            "anti_flip",
            "ANTI_FLIP_ACTIVE",
        ): "The other side of {asset} was traded at {last_opposite_trade_at}; your anti-flip window of {minutes} minutes lasts until {until} (--override-anti-flip).",
        (
            "trading_state",
            "TRADING_HALTED",
        ): "Trading is halted: everybody's is {global_state}{global_reason}, yours is {owner_state}{owner_reason}.",
        (
            "trading_state",
            "REDUCE_ONLY",
        ): "Only sells may trade now: everybody's state is {global_state}{global_reason}, yours is {owner_state}{owner_reason}.",
        ("daily_trades", "DAILY_TRADES_EXHAUSTED"): "{used} of your {limit} trades of this UTC day are used.",
        (
            "daily_value",
            "DAILY_VALUE_EXHAUSTED",
        ): "An order of {order_value_eur} EUR does not fit any more: {used_eur} of your {limit_eur} EUR of this UTC day are used.",
        (
            "account_order",
            "ACCOUNT_LIMIT_EXHAUSTED",
        ): "An order of {order_value_eur} EUR is above the operator's ceiling of {limit_eur} EUR.",
        (
            "account_daily_value",
            "ACCOUNT_LIMIT_EXHAUSTED",
        ): "An order of {order_value_eur} EUR does not fit any more: all owners together have used {used_eur} of the {limit_eur} EUR of this UTC day.",
        (
            "unsettled",
            "UNSETTLED_EXECUTION",
        ): "Your execution {execution_id} in {market} is not settled: its order may still trade.",
        ("policy_complete", "POLICY_INVALID"): "Your policy is not valid: {error}.",
        (
            "policy_unchanged",
            "POLICY_CHANGED",
        ): "Your policy changed while this was being decided; approve again.",
        ("mode", "MODE_MISMATCH"): "execute runs in the mode {function}, and the database says {registered}.",
        (
            "account",
            "WRONG_ACCOUNT",
        ): "execute trades with operator id {operator_id} and key {trade_key_fingerprint}; registered are {registered_operator_id} and {registered_trade_key_fingerprint}.",
        (
            "reconciliation",
            "RECONCILIATION_STALE",
        ): "The last complete comparison of orders with approvals ({reconciled_at}) is more than {limit_minutes} minutes old: cleanup does not do its work.",
        (
            "price_moved",
            "PRICE_MOVED",
        ): "The price is {current_price} EUR, more than {max_price_move_percent} % away from the {reference_price} EUR of the proposal.",
        (
            "spread",
            "SPREAD_TOO_WIDE",
        ): "Between the bid of {bid} EUR and the ask of {ask} EUR lies more than {max_spread_percent} %.",
        (
            "limit_collar",
            "LIMIT_OUTSIDE_COLLAR",
        ): "The limit of {limit_price} EUR, sent as {sent_price} EUR, is more than {max_price_move_percent} % away from the reference price of {reference_price} EUR or the current one of {current_price} EUR.",
        ("market_trading", "MARKET_NOT_TRADING"): "The exchange says that the market is '{status}'.",
        (
            "market_minimum",
            "BELOW_MARKET_MINIMUM",
        ): "The rounded order of {amount} at {price} EUR, worth {value} EUR, is not within what the market takes: at least {min_amount}, and {min_value} EUR.",
        (
            "order_exists",
            "ORDER_EXISTS",
        ): "The exchange already has an order for this proposal: {order_id}, {status}.",
        ("clock", "CLOCK_SKEW"): "The clocks of the exchange, of Interlock and of the database do not agree.",
        (
            "window",
            "TOO_LATE",
        ): "The market's facts were {age_ms} ms old, more than half of the access window of {access_window_ms} ms.",
    }
)
"""By check and code."""

_INSTANTS = frozenset(
    {"expires_at", "now", "last_trade_at", "last_opposite_trade_at", "until", "reconciled_at"}
)
_REASONS = frozenset({"global_reason", "owner_reason"})


def why(verdict: Mapping[str, Any]) -> str:
    """One sentence for one failed check. A check or fact that is not known here is shown as it came."""
    facts = verdict.get("facts")
    facts = facts if isinstance(facts, Mapping) else {}
    if facts.get("unread"):
        return f"The exchange did not tell ({facts['unread']}), and what is not known is refused."
    sentence = SENTENCES.get((str(verdict.get("check")), str(verdict.get("code"))))
    if sentence is None or not wanted(sentence) <= set(facts):
        named = ", ".join(f"{name.replace('_', ' ')} {_told(name, value)}" for name, value in facts.items())
        return f"{verdict.get('check')}: {named or 'no facts were given'}."
    said = {name: _told(name, value) for name, value in facts.items()}
    for whose in ("global", "owner"):
        if facts.get(f"{whose}_state") == "ACTIVE":  # then its reason explains nothing
            said[f"{whose}_reason"] = ""
    return sentence.format(**said)


def wanted(sentence: str) -> set[str]:
    """The facts that a sentence names."""
    return {name for _, name, _, _ in Formatter().parse(sentence) if name}


def _told(name: str, value: object) -> str:
    if name in _REASONS:
        return f" ({value})" if value else ""
    if value is None:
        return "none yet" if name in _INSTANTS else "none"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return instant(str(value)) if name in _INSTANTS else str(value)


def instant(text: str) -> str:
    """An instant as the clock on the wall shows it, and in UTC beside it; what is none stays as it is."""
    try:
        here = datetime.fromisoformat(text).astimezone()
    except ValueError:
        return text
    if not here.utcoffset():
        return f"{here:%Y-%m-%d %H:%M:%S %Z}"
    there = here.astimezone(UTC)
    day = "" if there.date() == here.date() else f"{there:%Y-%m-%d} "
    return f"{here:%Y-%m-%d %H:%M:%S %Z} ({day}{there:%H:%M} UTC)"
