"""The clocks of one deployment: true time, what database and function make of it, and what is due."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count

from tests.cleanup.short_way import Times

NS = 1_000_000_000


@dataclass
class Clocks(Times):
    """Times that a schedule moves, and what happens by itself in them."""

    _due: list[tuple[int, int, Callable[[], None]]] = field(default_factory=list)
    _order: count[int] = field(default_factory=count)

    def now_ns(self) -> int:
        """True time."""
        return self.true_ns

    def advance(self, seconds: float) -> None:
        """Let time pass for everybody, with what falls due in it."""
        until = self.true_ns + int(seconds * NS)
        while self._due and self._due[0][0] <= until:
            at, _, action = heapq.heappop(self._due)
            self.true_ns = max(self.true_ns, at)
            action()
        self.true_ns = max(self.true_ns, until)

    def later(self, seconds: float, action: Callable[[], None]) -> None:
        """Something happens by itself in so many seconds."""
        heapq.heappush(self._due, (self.true_ns + int(seconds * NS), next(self._order), action))

    @property
    def something_is_due(self) -> bool:
        """Is anything still under way?"""
        return bool(self._due)
