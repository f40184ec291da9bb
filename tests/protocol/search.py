"""Every state that can be reached, breadth first: what must never be is found by its shortest story."""

from __future__ import annotations

import gc
from collections import deque
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby

from tests.protocol import database as db
from tests.protocol.database import CONCLUSIONS, GONE, STATUS, TICK_MS, Rules
from tests.protocol.world import IDLE, RESTING, TIME_PASSES, Exchange, World, steps


class Property(StrEnum):
    """What must hold, each by what is said when it does not."""

    ONE_ORDER = "there are two orders for one proposal"
    NO_FALSE_CONCLUSION = "the database says that there is no order, and the exchange has it"
    TRUE_IN_THE_END = "everything is over, and the database contradicts the exchange for ever"
    ALWAYS_A_WAY = "from here nothing leads to an end in which database and exchange agree"


@dataclass(frozen=True, slots=True)
class Explored:
    """How much there was, and the shortest story that breaks a property, if one does."""

    states: int
    steps: int
    ends: int
    broken: Property | None
    story: tuple[str, ...]

    def told(self) -> str:
        """The counterexample, for a person; time that goes by is told as one."""
        lines: list[str] = []
        for sentence, same in groupby(self.story):
            times = len(list(same))
            lines.append(f"{times * TICK_MS // 1000} seconds pass." if sentence == TIME_PASSES else sentence)
        numbered = [f"{number:>4}. {line}" for number, line in enumerate(lines, 1)]
        return "\n".join([*numbered, f"      So {self.broken}."])


def explore(
    exchange: Exchange, rules: Rules | None = None, held: Collection[Property] = tuple(Property)
) -> Explored:
    """Search every interleaving of every step until there is no new state, or one of `held` is broken."""
    with _without_collector():
        return _Search(exchange, rules or Rules(), held).run()


class _Search:
    def __init__(self, exchange: Exchange, rules: Rules, held: Collection[Property]) -> None:
        self.exchange = exchange
        self.rules = rules
        self.held = held
        self.numbers: dict[World, int] = {}
        self.came: list[tuple[int, str]] = []
        self.before: list[list[int]] = []
        self.waiting: deque[tuple[int, World]] = deque()
        self.steps = 0

    def run(self) -> Explored:
        ends: list[int] = []
        good: list[int] = []
        self._reach(World(), -1, "")
        while self.waiting:
            number, world = self.waiting.popleft()
            if (broken := forbidden(world, self.exchange)) in self.held:
                return self._found(len(ends), broken, number)
            if broken is Property.ONE_ORDER:
                continue
            if is_at_rest(world, self.rules):
                ends.append(number)
                if is_true(world):
                    good.append(number)
                elif Property.TRUE_IN_THE_END in self.held:
                    return self._found(len(ends), Property.TRUE_IN_THE_END, number)
            for sentence, after in steps(world, self.exchange, self.rules):
                self.steps += 1
                self._reach(after, number, sentence)
        stuck = _cannot_reach(good, self.before) if Property.ALWAYS_A_WAY in self.held else None
        return self._found(len(ends), None if stuck is None else Property.ALWAYS_A_WAY, stuck or 0)

    def _reach(self, world: World, parent: int, sentence: str) -> None:
        number = self.numbers.setdefault(_same_as(world), len(self.came))
        if number == len(self.came):
            self.came.append((parent, sentence))
            self.before.append([])
            self.waiting.append((number, world))
        if parent >= 0:
            self.before[number].append(parent)

    def _found(self, ends: int, broken: Property | None, number: int) -> Explored:
        story = []
        while number > 0:
            number, sentence = self.came[number]
            story.append(sentence)
        return Explored(len(self.came), self.steps, ends, broken, tuple(reversed(story)))


def forbidden(world: World, exchange: Exchange) -> Property | None:
    """What no state may show, or None.

    A surprising exchange may make two orders of one request, and show an order after any wait: of it only
    one request is asked, and that the truth is told in the end.
    """
    if exchange.surprises:
        return Property.ONE_ORDER if world.sent > 1 else None
    if len(world.orders) > 1:
        return Property.ONE_ORDER
    row = world.database.execution
    if row is not None and row.status in CONCLUSIONS and world.orders:
        return Property.NO_FALSE_CONCLUSION
    return None


def is_at_rest(world: World, rules: Rules) -> bool:
    """Is everything over, so that not even a cleanup that sees everything would change what is stored?"""
    row = world.database.execution
    return (
        world.processes == (IDLE, IDLE)
        and world.cleanup == RESTING
        and not world.wire
        and all(order.word != "new" for order in world.orders)
        and (row is None or row.status in ("FILLED", "CANCELED", *CONCLUSIONS))
        and (
            not rules.compares
            or db.compare(world.database, tuple(order.word for order in world.orders), rules)
            == world.database
        )
    )


def is_true(world: World) -> bool:
    """Does the database say what the exchange says, now that everything is over?

    An order that the execution does not name is no lie when the audit tells of it: that has halted trading.
    """
    row = world.database.execution
    named = -1 if row is None else row.order
    if any(number != named and number not in world.database.told for number, _ in enumerate(world.orders)):
        return False
    if row is None:
        return True
    return row.status in CONCLUSIONS if named < 0 else row.status == STATUS[world.orders[named].word]


def _same_as(world: World) -> World:
    """Of two worlds that differ only in which process is which, always the same one."""
    first, second = world.processes
    if first <= second:
        return world
    return world._replace(
        processes=(second, first),
        wire=tuple(sorted(request._replace(sender=_other(request.sender)) for request in world.wire)),
        database=_swapped(world.database),
        copy=None if world.copy is None else _swapped(world.copy),
    )


def _other(process: int) -> int:
    return process if process == GONE else 1 - process


def _swapped(database: db.Database) -> db.Database:
    row = database.execution
    if row is None or row.attempt == GONE:
        return database
    return database._replace(execution=row._replace(attempt=_other(row.attempt)))


def _cannot_reach(goals: list[int], before: list[list[int]]) -> int | None:
    """The first state found from which no way leads to a goal, or None."""
    can = bytearray(len(before))
    for goal in goals:
        can[goal] = 1
    left = list(goals)
    while left:
        for number in before[left.pop()]:
            if not can[number]:
                can[number] = 1
                left.append(number)
    return next((number for number, reached in enumerate(can) if not reached), None)


@contextmanager
def _without_collector() -> Iterator[None]:
    """Nothing here is cyclic: the collector would walk it all again and again."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()
