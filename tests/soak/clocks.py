"""The clocks of one deployment: true time, what database and function make of it, and what is due."""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count

from local.exchange.clock import NS_PER_MS
from tests.cleanup.short_way import Times

NS = 1_000_000_000


@dataclass
class Clocks(Times):
    """Times that a schedule moves. What execute reads side by side takes its time side by side.

    A thread of such a read sees its own moment, counted from when all of them began; whoever waited for them
    goes on at the latest.
    """

    _due: list[tuple[int, int, Callable[[], None]]] = field(default_factory=list)
    _order: count[int] = field(default_factory=count)
    _main: int = field(default_factory=threading.get_ident)
    _aside: threading.local = field(default_factory=threading.local)
    _latest_ns: int = 0

    @property
    def side_by_side(self) -> bool:
        """Is this a thread of a read that others wait for?"""
        return threading.get_ident() != self._main

    def now_ns(self) -> int:
        """True time, as this thread sees it."""
        if not self.side_by_side:
            return max(self.true_ns, self._latest_ns)
        return int(getattr(self._aside, "ns", self.true_ns))

    def pass_by(self, seconds: float) -> None:
        """Let time pass: for everybody, or for this one of the reads side by side."""
        if self.side_by_side:
            self._aside.ns = max(self.now_ns(), self.true_ns) + int(seconds * NS)
            self._latest_ns = max(self._latest_ns, self._aside.ns)
        else:
            self.advance(seconds)

    def begin_aside(self) -> None:
        """A read begins at the moment at which all of them began, whatever its thread did before."""
        if self.side_by_side:
            self._aside.ns = self.true_ns

    def advance(self, seconds: float) -> None:
        """Let time pass for everybody, with what falls due in it."""
        until = self.now_ns() + int(seconds * NS)
        while self._due and self._due[0][0] <= until:
            at, _, action = heapq.heappop(self._due)
            self.true_ns = max(self.now_ns(), at)
            action()
        self.true_ns = max(self.now_ns(), until)

    def later(self, seconds: float, action: Callable[[], None]) -> None:
        """Something happens by itself in so many seconds."""
        heapq.heappush(self._due, (self.now_ns() + int(seconds * NS), next(self._order), action))

    @property
    def something_is_due(self) -> bool:
        """Is anything still under way?"""
        return bool(self._due)

    def monotonic(self) -> float:
        """Seconds that nobody can set."""
        return self.now_ns() / NS

    def function_ms(self) -> int:
        """What the function's own clock shows, Unix ms; reads side by side begin at one moment."""
        true_ns = self.true_ns if self.side_by_side else self.now_ns()
        return true_ns // NS_PER_MS + self.function_off_ms

    def database_time(self) -> datetime:
        """What the database's clock shows."""
        ms = self.now_ns() // NS_PER_MS + self.database_off_ms
        return datetime.fromtimestamp(ms / 1000, UTC)
