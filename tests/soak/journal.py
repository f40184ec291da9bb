"""What was set when, and what the world did: the soak's own knowledge, written down as it happens.

Nothing here is worked out by the product. A change counts from the moment at which whoever made it was
answered; a halt that Interlock made itself, from the call after which it was seen.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID


@dataclass(frozen=True)
class Proposal:
    """A proposal as it was stored. A buy has `amount_quote` (EUR), a sell `amount` (base currency)."""

    id: UUID
    owner: UUID
    market: str
    side: str
    amount: Decimal | None
    amount_quote: Decimal | None
    limit_price: Decimal | None
    reference_price: Decimal
    confidence: Decimal
    expires_at: datetime


@dataclass(frozen=True)
class Claim:
    """An execution that was claimed: by which process, when on the database's clock, and for how much EUR."""

    id: UUID
    proposal: Proposal
    process: str
    at: datetime
    true_ns: int
    value: Decimal
    body: str
    window_ms: int


@dataclass
class Reservation:
    """A model call that was reserved, on the database's clock, and whether the model was asked."""

    id: UUID
    owner: UUID
    at: datetime
    asked: bool = False
    counts: bool = False


@dataclass(frozen=True)
class Lease:
    """Who was handed a scan job last, and until when on the database's clock."""

    process: str
    until: datetime


@dataclass(frozen=True)
class Accepted:
    """An order that the exchange accepted, at a true time. Its id is unique within its market."""

    market: str
    order_id: str
    execution: UUID | None
    true_ns: int
    body: str | None


@dataclass
class Journal:
    """All that the judgement rests on."""

    mode: str = "live"
    state: str = "ACTIVE"
    max_order_eur: Decimal = Decimal(0)
    max_daily_value_eur: Decimal = Decimal(0)
    max_daily_gpt_calls: int | None = None
    policies: dict[UUID, dict[str, Any]] = field(default_factory=dict)
    states: dict[UUID, str] = field(default_factory=dict)
    proposals: dict[UUID, Proposal] = field(default_factory=dict)
    declined: set[UUID] = field(default_factory=set)
    claims: dict[UUID, Claim] = field(default_factory=dict)
    sent: dict[UUID, list[str]] = field(default_factory=lambda: defaultdict(list))
    """The bodies that left for the exchange, by the id that they carry."""
    accepted: list[Accepted] = field(default_factory=list)
    repeated: set[UUID] = field(default_factory=set)
    """Executions whose request the network carried out twice."""
    surprising: set[UUID] = field(default_factory=set)
    """Executions of which the exchange says one thing and later another: their order comes up late."""
    intruders: set[tuple[str, str]] = field(default_factory=set)
    """Market and id of the orders with our operator id that the soak placed itself."""
    compared: set[str] = field(default_factory=set)
    """Markets of which cleanup has compared the orders."""
    looked_since: dict[UUID, int] = field(default_factory=dict)
    """Of executions whose absence is judged: true time at which the first of the two rounds began."""
    reservations: dict[UUID, Reservation] = field(default_factory=dict)
    leases: dict[UUID, Lease] = field(default_factory=dict)
    heads: list[str] = field(default_factory=list)
    """Heads of the audit's chain that cleanup has told."""
    halts: list[str] = field(default_factory=list)
    """Reasons of the halts that Interlock made itself."""
    failures: Counter[tuple[UUID, str]] = field(default_factory=Counter)
    """What an automatic halt counts, by owner and kind."""
    violations: list[str] = field(default_factory=list)

    def controls_set(self, changes: Mapping[str, object]) -> None:
        """The operator has set these controls."""
        for name, value in changes.items():
            match name:
                case "trading_state":
                    self.state = str(value)
                case "max_order_eur" | "max_daily_value_eur":
                    setattr(self, name, Decimal(str(value)))
                case "mode" | "max_daily_gpt_calls":
                    setattr(self, name, value)

    def violated(self, sentence: str) -> None:
        """Something happened that must never happen."""
        self.violations.append(sentence)

    def orders_of(self, execution: UUID) -> list[Accepted]:
        """What the exchange accepted under an execution's id."""
        return [order for order in self.accepted if order.execution == execution]
