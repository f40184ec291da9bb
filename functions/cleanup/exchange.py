"""The exchange as one run sees it: one clock, so many points, so much time."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar
from uuid import UUID

from shared.bitvavo import BitvavoOrders, BitvavoReadonly, Order, ServerTime, Trade
from shared.errors import ExchangeUnreadable

LOOKUP_POINTS = 1
CANCEL_POINTS = 1
# Open orders of one market cost 1 or 5, depending on the year of the documentation: the higher is reckoned.
PAGE_POINTS = 5

_NEVER_BELOW = 300
"""Points that stay for whoever places orders with the same key."""

_UNTIL_SHOWN = 100
"""Points that may be spent while no answer has shown what is left."""

PATIENTLY = 3
"""Tries of a read that many others depend on. A single look-up is tried once: the next run tries again."""

T = TypeVar("T")


class EnoughAsked(Exception):  # noqa: N818 - not an error: the run goes on without the exchange
    """This run has asked the exchange enough; what is left waits for the next one."""


class Exchange:
    """Own orders, read with the exchange's own time and within what the run may spend.

    A run spends at most half of the points that the rate limit showed at its beginning, leaves 300 of them
    alone, and asks nothing later than `seconds` after it was made; then every method raises `EnoughAsked`.
    Otherwise they raise what the clients raise.
    """

    def __init__(
        self,
        clock: BitvavoReadonly,
        orders: BitvavoOrders,
        *,
        operator_id: int,
        fingerprint: str,
        address: str,
        seconds: float,
        monotonic: Callable[[], float],
    ) -> None:
        self.operator_id = operator_id
        self.fingerprint = fingerprint
        self.address = address
        self.points_spent = 0
        self.points_allowed: int | None = None
        self._clock = clock
        self._orders = orders
        self._monotonic = monotonic
        self._deadline = monotonic() + seconds
        self._kept_points = 0
        self._kept_seconds = 0.0
        self._time: ServerTime | None = None

    def read_clock(self) -> int:
        """Ask the exchange what time it is (Unix ms); everything later is signed with that answer."""
        self._time = self._clock.time()
        return self._time.ms

    def now_ms(self) -> int:
        """The exchange's time: its last answer plus the monotonic time since. It never runs ahead of it."""
        if self._time is None:
            raise RuntimeError("the exchange's clock is read before anything is signed")
        return self._time.ms + int((self._monotonic() - self._time.received_at) * 1000)

    def keep_back(self, *, points: int, seconds: float) -> None:
        """Leave this much for what comes later in the run, though never more than half of the points."""
        self._kept_points = points
        self._kept_seconds = seconds

    def order(self, market: str, client_order_id: UUID, *, tries: int = 1) -> Order | None:
        """The order that carries our id, or None when the look-up found none, which is not absence."""
        return self._ask(
            LOOKUP_POINTS, lambda now: self._orders.order(market, client_order_id, timestamp_ms=now), tries
        )

    def open_orders(self, market: str) -> tuple[Order, ...]:
        """All open orders of the account in one market."""
        return self._ask(
            PAGE_POINTS, lambda now: self._orders.open_orders(market, timestamp_ms=now), PATIENTLY
        )

    def orders_page(
        self, market: str, start_ms: int, end_ms: int, order_id_to: str | None
    ) -> tuple[Order, ...]:
        """One page of the account's orders, newest first."""
        return self._ask(
            PAGE_POINTS,
            lambda now: self._orders.orders(
                market, start_ms, end_ms, order_id_to=order_id_to, timestamp_ms=now
            ),
            PATIENTLY,
        )

    def trades_page(
        self, market: str, start_ms: int, end_ms: int, trade_id_to: str | None
    ) -> tuple[Trade, ...]:
        """One page of the account's fills, newest first."""
        return self._ask(
            PAGE_POINTS,
            lambda now: self._orders.own_trades(
                market, start_ms, end_ms, trade_id_to=trade_id_to, timestamp_ms=now
            ),
            PATIENTLY,
        )

    def cancel(self, market: str, client_order_id: UUID) -> None:
        """Ask for the cancellation of our order; only a look-up says what came of it."""
        self._ask(CANCEL_POINTS, lambda now: self._orders.cancel(market, client_order_id, timestamp_ms=now))

    def _ask(self, points: int, ask: Callable[[int], T], tries: int = 1) -> T:
        for _ in range(tries - 1):
            self._spend(points)
            with suppress(ExchangeUnreadable):
                return ask(self.now_ms())
        self._spend(points)
        return ask(self.now_ms())

    def _spend(self, points: int) -> None:
        if self._monotonic() >= self._deadline - self._kept_seconds:
            raise EnoughAsked("the time of this run is up")
        allowed, left = _UNTIL_SHOWN, _UNTIL_SHOWN + _NEVER_BELOW
        if shown := self._orders.rate_limit:
            if self.points_allowed is None:
                self.points_allowed = (shown.remaining + self.points_spent) // 2
            allowed, left = self.points_allowed, shown.remaining
        kept = min(self._kept_points, allowed // 2)
        if self.points_spent + points > allowed - kept or left - points < _NEVER_BELOW + kept:
            raise EnoughAsked("this run's share of the rate limit is spent")
        self.points_spent += points
