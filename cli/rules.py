"""Every field of a policy: what it means, its unit, range and default, and which way is looser.

The database decides what a policy may hold; a test holds this table to it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from enum import Enum
from typing import Any


class Looser(Enum):
    """Which way a field allows more."""

    MORE = "more"
    LESS = "less"


@dataclass(frozen=True, slots=True)
class Field:
    """A field by its path. Amounts and percentages are written as text, so the default of one is text."""

    path: str
    unit: str
    least: str
    most: str
    default: Any
    looser: Looser
    meaning: str

    def of(self, policy: object) -> Any:
        """Its value in a policy; None where it is left out."""
        for name in self.path.split("."):
            policy = policy.get(name) if isinstance(policy, Mapping) else None
        return policy

    @property
    def range(self) -> str:
        """Between what it may lie."""
        return f"{self.least} to {self.most}" if self.least else f"up to {self.most}"


_MORE, _LESS = Looser.MORE, Looser.LESS

FIELDS = (
    Field(
        "allowlist",
        "markets",
        "",
        "100",
        [],
        _MORE,
        "What may trade, such as `BTC-EUR`. Empty: nothing.",
    ),
    Field(
        "min_confidence",
        "points",
        "0",
        "100",
        70,
        _LESS,
        "The confidence that the model must have in a proposal.",
    ),
    Field(
        "limits.order.min_eur",
        "EUR, text",
        "0.01",
        "1000000",
        "6",
        _LESS,
        "The least that an order is worth, fee included.",
    ),
    Field(
        "limits.order.max_eur",
        "EUR, text",
        "0.01",
        "1000000",
        "250",
        _MORE,
        "The most that an order is worth, fee included.",
    ),
    Field("limits.daily.trades", "orders", "0", "10000", 5, _MORE, "How many orders a UTC day may have."),
    Field(
        "limits.daily.value_eur",
        "EUR, text",
        "0",
        "100000000",
        "1000",
        _MORE,
        "What all orders of a UTC day may be worth together.",
    ),
    Field("limits.gpt.daily", "calls", "0", "10000", 20, _MORE, "How often the model is asked in a UTC day."),
    Field(
        "limits.gpt.hourly",
        "calls",
        "0",
        "10000",
        4,
        _MORE,
        "How often the model is asked within 60 minutes.",
    ),
    Field(
        "cooldown_minutes",
        "minutes",
        "0",
        "525600",
        60,
        _LESS,
        "After a trade in an asset, how long there is no other in it.",
    ),
    Field(
        "anti_flip_minutes",
        "minutes",
        "0",
        "525600",
        120,
        _LESS,
        "After a trade in an asset, how long the other side of it is not traded.",
    ),
    Field(
        "max_price_move_percent",
        "percent, text",
        "0",
        "50",
        "1.0",
        _MORE,
        "How far the price may have moved since the proposal, and how far an order may reach.",
    ),
    Field(
        "max_spread_percent",
        "percent, text",
        "0",
        "50",
        "0.5",
        _MORE,
        "How far best bid and best ask may lie apart.",
    ),
    Field("proposal_ttl_minutes", "minutes", "1", "1440", 15, _MORE, "How long a proposal may be approved."),
    Field(
        "scan_interval_minutes", "minutes", "1", "10080", 60, _LESS, "How long a scan waits after the last."
    ),
)


@dataclass(frozen=True, slots=True)
class Change:
    """A field that a policy would change. `is_looser` is None where neither can be told."""

    field: Field
    before: str
    after: str
    left_out: bool
    is_looser: bool | None

    def as_json(self) -> dict[str, Any]:
        """For scripts."""
        return {
            "field": self.field.path,
            "before": self.before,
            "after": self.after,
            "left_out": self.left_out,
            "looser": self.is_looser,
        }


def changes(before: object, given: object) -> Iterator[Change]:
    """What giving this policy would change, each way; what is left out of it takes its default."""
    for field in FIELDS:
        old, new = field.of(before), field.of(given)
        left_out = new is None
        new = field.default if left_out else new
        if isinstance(old, list) and isinstance(new, list):
            yield from _markets(field, old, new, left_out)
        elif (was := _number(old)) is None or (will := _number(new)) is None:
            if old != new:
                yield Change(field, str(old), str(new), left_out, None)
        elif was != will:
            is_looser = (will > was) is (field.looser is Looser.MORE)
            yield Change(field, str(old), str(new), left_out, is_looser)


def _markets(field: Field, old: list[Any], new: list[Any], left_out: bool) -> Iterator[Change]:
    was, will = ([str(market).replace("/", "-") for market in markets] for markets in (old, new))
    if added := [market for market in will if market not in was]:
        yield Change(field, "not allowed", ", ".join(added), left_out, True)
    if gone := [market for market in was if market not in will]:
        yield Change(field, ", ".join(gone), "not allowed", left_out, False)


def _number(value: object) -> Decimal | None:
    try:
        return None if isinstance(value, bool | list) or value is None else Decimal(str(value))
    except InvalidOperation:
        return None
