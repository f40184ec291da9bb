"""What is explored: the whole protocol, the protocol without each of its rules, and what it relies on."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

from tests.protocol.database import Rules
from tests.protocol.search import Explored, Property, explore
from tests.protocol.world import Exchange

WHOLE_PROTOCOL = Rules()
RESTORED = Exchange(
    "What is accepted is shown within a minute. The database may be lost and restored from a copy.",
    restores=True,
)
BLIND = Exchange(
    "What is accepted is shown within a minute. Once, for less than 30 s, reads show too little.",
    blind=True,
)
SURPRISING = Exchange(
    "An order is shown when it pleases the exchange, and a request may be carried out twice.",
    surprises=True,
)


@dataclass(frozen=True, slots=True)
class Case:
    """One exploration. `breaks` is the property that it must break; None: everything holds."""

    says: str
    exchange: Exchange
    rules: Rules = WHOLE_PROTOCOL
    breaks: Property | None = None

    def explored(self) -> Explored:
        """Explore it; where something must break, only that is looked for."""
        return explore(self.exchange, self.rules, tuple(Property) if self.breaks is None else (self.breaks,))


def _without(rule: str, says: str, exchange: Exchange, breaks: Property) -> Case:
    return Case(says, exchange, WHOLE_PROTOCOL._replace(**{rule: False}), breaks)


WHOLE: Mapping[str, Case] = {
    "restored": Case(RESTORED.says, RESTORED),
    "blind": Case(BLIND.says, BLIND),
    "surprising": Case(SURPRISING.says, SURPRISING),
}
"""The protocol as it is, at each exchange."""

WITHOUT: Mapping[str, Case] = {
    "stored-timestamp": _without(
        "stored_timestamp",
        "The order is signed with the time at which it is sent instead of the claimed timestamp.",
        RESTORED,
        Property.ONE_ORDER,
    ),
    "stored-timestamp-stalled": _without(
        "stored_timestamp", "The same, where no database is lost.", BLIND, Property.NO_FALSE_CONCLUSION
    ),
    "attempt-id": _without(
        "attempt_id",
        "Whoever asks for a claim that is there already is answered that it is theirs.",
        BLIND,
        Property.ONE_ORDER,
    ),
    "two-rounds": _without(
        "two_rounds", "One round that finds nothing is enough.", BLIND, Property.NO_FALSE_CONCLUSION
    ),
    "fact-wins": _without(
        "fact_wins",
        "What was concluded stays, whatever the exchange shows later.",
        SURPRISING,
        Property.TRUE_IN_THE_END,
    ),
    "wait-beyond-the-window": _without(
        "waits_beyond_the_window",
        "Finding nothing counts as soon as the window is over.",
        BLIND,
        Property.NO_FALSE_CONCLUSION,
    ),
    "look-first": _without(
        "looks_first",
        "Nobody asks the exchange for an order of this proposal before it is claimed.",
        RESTORED,
        Property.ONE_ORDER,
    ),
    "send-once": _without(
        "sends_once", "An order whose answer is lost is sent again.", BLIND, Property.ONE_ORDER
    ),
    "comparison": _without(
        "compares",
        "Orders at the exchange are not compared with approvals.",
        RESTORED,
        Property.TRUE_IN_THE_END,
    ),
}
"""The protocol without one of its rules, and what then breaks."""

BEYOND: Mapping[str, Case] = {
    "restored-in-no-time": Case(
        "The restored database answers while orders signed before are still accepted.",
        RESTORED._replace(restore_takes=0),
        breaks=Property.ONE_ORDER,
    ),
    "restored-and-blind": Case(
        "A database is restored, and at that moment the exchange does not show what it has.",
        RESTORED._replace(blind=True),
        breaks=Property.ONE_ORDER,
    ),
    "long-blind": Case(
        "Reads show too little for longer than the two rounds are apart.",
        BLIND._replace(longest_spell=2),
        breaks=Property.NO_FALSE_CONCLUSION,
    ),
}
"""What the protocol relies on, each taken to excess: here it does not hold, and that has to be known."""

CASES: Mapping[str, Case] = {**WHOLE, **WITHOUT, **BEYOND}


def explore_all(names: Iterable[str]) -> Iterator[tuple[str, Explored]]:
    """Explore several cases on all processors; the largest should come first."""
    chosen = list(names)
    with ProcessPoolExecutor(min(len(chosen), os.cpu_count() or 1), get_context("spawn")) as pool:
        yield from zip(chosen, pool.map(_explored, chosen), strict=True)


def _explored(name: str) -> Explored:
    return CASES[name].explored()
