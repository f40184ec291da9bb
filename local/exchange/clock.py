"""The exchange's clock: it follows a source, runs at a speed, and can be wrong on purpose."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Lock
from typing import NamedTuple

NS_PER_MS = 1_000_000


class Instant(NamedTuple):
    """One moment, read once per request.

    `steady_ms` only moves forward and drives prices, settlement and lag; `shown_ns` is what the exchange
    says the time is, an offset away from it. Both count from the Unix epoch.
    """

    steady_ms: int
    shown_ns: int

    @property
    def shown_ms(self) -> int:
        return self.shown_ns // NS_PER_MS

    def off_by(self, offset_ms: int) -> Instant:
        """The same moment on a clock that is off by that many milliseconds."""
        return Instant(self.steady_ms, self.shown_ns + offset_ms * NS_PER_MS)


class Clock:
    """Turns the nanoseconds of `source` into instants; may be driven from several threads."""

    def __init__(self, source: Callable[[], int] = time.time_ns, speed: float = 1.0) -> None:
        self._source = source
        self._lock = Lock()
        self._speed = speed
        self._source_anchor = self._steady_anchor = source()
        self._offset_ms = 0

    @property
    def speed(self) -> float:
        return self._speed

    @property
    def offset_ms(self) -> int:
        return self._offset_ms

    def now(self) -> Instant:
        with self._lock:
            steady = self._steady()
        return Instant(steady // NS_PER_MS, steady).off_by(self._offset_ms)

    def set_speed(self, speed: float) -> None:
        """From now on `speed` seconds pass here per second of the source; 0 stands still."""
        with self._lock:
            self._steady_anchor, self._source_anchor = self._steady(), self._source()
            self._speed = speed

    def advance(self, ms: int) -> None:
        """Let that much time pass at once, with all that happens in it."""
        with self._lock:
            self._steady_anchor += ms * NS_PER_MS

    def set_offset(self, ms: int) -> None:
        """Show a time that is wrong by that much."""
        self._offset_ms = ms

    def step(self, ms: int) -> None:
        """Move the shown time by that much, as a corrected server clock would."""
        self._offset_ms += ms

    def _steady(self) -> int:
        return self._steady_anchor + int((self._source() - self._source_anchor) * self._speed)
