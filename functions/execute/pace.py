"""How fast orders may leave this instance, and how much is asked of the exchange. Decided before a claim.

Nothing waits after a claim: the access window is running then.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from shared.bitvavo import RateLimit

ORDERS_A_SECOND = 5
"""Also how many approvals may be between their turn and their order at the same time."""

LONGEST_WAIT_S = 2.0
"""How long an approval may wait for its turn before it is told to come back."""

POINTS_LEFT_ALONE = 100
"""Weight points of the exchange's limit that are never spent: beyond it, it bans the key or the address."""

_LONGEST_REST_S = 60.0


@dataclass(slots=True)
class Turn:
    """A place among the orders of this second. It is given back unless it is used."""

    used: bool = False

    def use(self) -> None:
        """An order is about to leave."""
        self.used = True


class Pace:
    """At most five orders a second, and none while the exchange's rate limit is nearly spent."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._changed = threading.Condition()
        self._taken = 0
        self._used_at: list[float] = []
        self._rests_until = 0.0

    @contextmanager
    def turn(self) -> Iterator[Turn | None]:
        """A turn for one order, waited for; None when none comes in time or the exchange needs rest."""
        turn = Turn() if self._take() else None
        try:
            yield turn
        finally:
            if turn is not None:
                self._give_back(turn)

    def heed(self, limit: RateLimit | None, now_ms: int) -> None:
        """Rest until the limit is full again, at most a minute, when little is left of it."""
        if limit is None or limit.remaining >= POINTS_LEFT_ALONE:
            return
        told_s = (limit.reset_at_ms - now_ms) / 1000
        believed = (
            limit.remaining > 0 and told_s > 0
        )  # with nothing left there may be a ban, which lasts longer
        rest_s = min(told_s, _LONGEST_REST_S) if believed else _LONGEST_REST_S
        self.rest(rest_s)

    def rest(self, rest_s: float = _LONGEST_REST_S) -> None:
        """Let nothing leave for a while; a minute after the exchange has said that it is too much."""
        with self._changed:
            self._rests_until = max(self._rests_until, self._monotonic() + rest_s)

    def _take(self) -> bool:
        deadline = self._monotonic() + LONGEST_WAIT_S
        with self._changed:
            while True:
                now = self._monotonic()
                if now < self._rests_until:
                    return False
                self._used_at = [at for at in self._used_at if now - at < 1.0]
                if self._taken + len(self._used_at) < ORDERS_A_SECOND:
                    self._taken += 1
                    return True
                if now >= deadline:
                    return False
                next_free = min((at + 1.0 for at in self._used_at), default=deadline)
                self._changed.wait(max(0.001, min(next_free, deadline) - now))

    def _give_back(self, turn: Turn) -> None:
        with self._changed:
            self._taken -= 1
            if turn.used:
                self._used_at.append(self._monotonic())
            self._changed.notify_all()
