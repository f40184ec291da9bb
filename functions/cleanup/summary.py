"""What a run did, for whoever reads the scheduler's log."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum

from functions.cleanup.exchange import EnoughAsked
from shared.errors import DatabaseRefused, DatabaseUnavailable, InterlockError
from shared.events import Event
from shared.log import log

_TOLD_AT_ONCE = 5


class Found(StrEnum):
    """What a look-up of one execution came to."""

    RECORDED = "recorded"
    UNCHANGED = "unchanged"
    CONTRADICTED = "contradicted"
    NOT_FOUND = "not_found"
    NOT_PLACED = "not_placed"
    UNREADABLE = "unreadable"
    FAILED = "failed"
    NOT_ASKED = "not_asked"


class Compared(StrEnum):
    """What the comparison of one market came to."""

    COMPARED = "compared"
    REFUSED = "refused"
    UNREADABLE = "unreadable"
    BLIND = "blind"
    FAILED = "failed"
    NOT_ASKED = "not_asked"


UNREAD = (Compared.REFUSED, Compared.UNREADABLE, Compared.BLIND)


@dataclass(slots=True)
class MarketSummary:
    """One watched market: orders read, those that may be ours, and those that no approval explains.

    `operator_ids_shown` is None when nothing was read that could show one.
    """

    market: str
    outcome: Compared = Compared.NOT_ASKED
    read: int = 0
    ours: int = 0
    intruders: int = 0
    operator_ids_shown: bool | None = None


@dataclass(slots=True)
class Summary:
    """Filled in step by step; a step that fails is named in `problems` and stops no other."""

    instance: str
    mode: str
    proposals_expired: int = 0
    locks_released: int = 0
    reservations_abandoned: int = 0
    owners_halted: int = 0
    executions: Counter[Found] = field(default_factory=Counter)
    markets: list[MarketSummary] = field(default_factory=list)
    reconciled_at: str | None = None
    exchange: str = "not asked"
    points_spent: int = 0
    points_allowed: int | None = None
    events_sealed: int = 0
    audit_head: str | None = None
    audit_sequence: str | None = None
    alarms: list[str] = field(default_factory=list)
    news: list[str] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    """Names of what `alarms` and `news` tell, for the database to know that it was told."""
    problems: list[str] = field(default_factory=list)
    database_reached: bool = True

    @contextmanager
    def apart(self, what: str, **facts: object) -> Iterator[None]:
        """Run one step or one item so that its failure is told and touches nothing else.

        `EnoughAsked` passes: it is no failure, and ends more than this item.
        """
        try:
            yield
        except EnoughAsked:
            raise
        except DatabaseUnavailable as error:
            self._tell(Event.DATABASE_UNAVAILABLE, what, str(error), error, facts)
        except DatabaseRefused as error:
            self._tell(Event.DATABASE_REFUSED, what, str(error), error, facts)
        except InterlockError as error:
            self._tell(Event.CLEANUP_STEP_FAILED, what, str(error), error, facts)
        except Exception as error:  # noqa: BLE001 - a bug in one item must not leave the others unsettled
            self._tell(Event.CLEANUP_STEP_FAILED, what, type(error).__name__, error, facts)

    def alarm(self, sentence: str) -> None:
        """Something that a person should hear of now."""
        self.alarms.append(sentence)

    def message(self) -> str | None:
        """What a person should hear of, short; None when there is nothing."""
        told = [*self.alarms, *self.news]
        if not told:
            return None
        more = len(told) - _TOLD_AT_ONCE
        return " ".join([*told[:_TOLD_AT_ONCE], *([f"And {more} more."] if more > 0 else [])])

    def as_json(self) -> dict[str, object]:
        """The answer to the scheduler."""
        return {
            "summary": self.sentence(),
            "instance": self.instance,
            "mode": self.mode,
            "proposals_expired": self.proposals_expired,
            "locks_released": self.locks_released,
            "reservations_abandoned": self.reservations_abandoned,
            "owners_halted": self.owners_halted,
            "executions": {found.value: self.executions[found] for found in Found},
            "markets": [
                {
                    "market": market.market,
                    "outcome": market.outcome.value,
                    "orders_read": market.read,
                    "ours": market.ours,
                    "intruders": market.intruders,
                    "operator_ids_shown": market.operator_ids_shown,
                }
                for market in self.markets
            ],
            "reconciled_at": self.reconciled_at,
            "exchange": {
                "state": self.exchange,
                "points_spent": self.points_spent,
                "points_allowed": self.points_allowed,
            },
            "audit": {
                "sealed": self.events_sealed,
                "head": self.audit_head,
                "sequence": self.audit_sequence,
            },
            "alarms": self.alarms,
            "news": self.news,
            "problems": self.problems,
        }

    def sentence(self) -> str:
        """The run in one line."""
        parts = [f"{_count(self.proposals_expired, 'proposal')} expired"]
        if self.locks_released:
            parts.append(f"{_count(self.locks_released, 'lock')} of crashed scans released")
        parts.append(_executions(self.executions))
        parts.append(self._comparison())
        if self.owners_halted:
            parts.append(f"trading of {_count(self.owners_halted, 'owner')} halted")
        parts.append(f"{_count(self.events_sealed, 'event')} sealed")
        if self.alarms:
            parts.append(f"{_count(len(self.alarms), 'ALARM')}: {self.alarms[0]}")
        if self.problems:
            parts.append(_count(len(self.problems), "problem"))
        return "; ".join(part.removesuffix(".") for part in parts) + "."

    def _comparison(self) -> str:
        compared = [market for market in self.markets if market.outcome is Compared.COMPARED]
        unread = "".join(
            f"; {outcome.value}: {', '.join(names)}"
            for outcome in UNREAD
            if (names := [market.market for market in self.markets if market.outcome is outcome])
        )
        if not compared:
            return f"no orders compared (exchange: {self.exchange}{unread})"
        intruders = sum(market.intruders for market in compared)
        whole = f"{len(compared)} of {_count(len(self.markets), 'market')} compared"
        return f"{whole}{f' ({unread[2:]})' if unread else ''}, " + (
            "every order explained" if not intruders else f"{_count(intruders, 'order')} WITHOUT AN APPROVAL"
        )

    def _tell(self, event: Event, what: str, why: str, error: Exception, facts: Mapping[str, object]) -> None:
        named = ", ".join(f"{name} {value}" for name, value in facts.items())
        self.problems.append(f"{what}{f' ({named})' if named else ''}: {why}")
        log(event, f"{what}: {why}", error=error, **facts)


def _executions(found: Counter[Found]) -> str:
    if not found.total():
        return "no execution to look up"
    told = ", ".join(f"{found[kind]} {kind.value.replace('_', ' ')}" for kind in Found if found[kind])
    return f"{_count(found.total(), 'execution')} looked up: {told}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
