"""Complete reads: every row of a time, page by page, or none at all.

The exchange lists newest first, at most 1000 rows a page, and is asked for at most 24 h at once. Nowhere is
it said whether its bounds include the row they name, so pages overlap by a row and doubles are dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

from functions.cleanup.exchange import Exchange
from shared.bitvavo import Order, Trade
from shared.errors import ExchangeUnreadable

_DAY_MS = 24 * 60 * 60 * 1000

_SURELY_THE_LAST = 100
"""A page with fewer rows is the last one. The limit we ask for could be cut down silently, but not so far."""

Row = TypeVar("Row")


def every_order(exchange: Exchange, market: str, from_ms: int, to_ms: int) -> Iterator[Order]:
    """Every order of the account that was created in that time, in any state.

    Raises `ExchangeUnreadable` as soon as it turns out that the read cannot be complete.
    """
    for start, end in _days(from_ms, to_ms):

        def page(until: int, id_to: str | None, start: int = start) -> tuple[Order, ...]:
            return exchange.orders_page(market, start, until, id_to)

        yield from _newest_first(page, start, end, lambda order: (order.order_id, order.created))


def every_trade(exchange: Exchange, market: str, from_ms: int, to_ms: int) -> Iterator[Trade]:
    """Every fill of the account in that time. Raises `ExchangeUnreadable` like `every_order`."""
    for start, end in _days(from_ms, to_ms):

        def page(until: int, id_to: str | None, start: int = start) -> tuple[Trade, ...]:
            return exchange.trades_page(market, start, until, id_to)

        yield from _newest_first(page, start, end, lambda trade: (trade.id, trade.timestamp))


def _days(from_ms: int, to_ms: int) -> Iterator[tuple[int, int]]:
    start = from_ms
    while True:
        end = min(start + _DAY_MS, to_ms)
        yield start, end
        if end >= to_ms:
            return
        start = end


def _newest_first(
    page: Callable[[int, str | None], tuple[Row, ...]],
    start_ms: int,
    end_ms: int,
    key: Callable[[Row], tuple[str, int]],
) -> Iterator[Row]:
    """Page back from `end_ms` to before `start_ms`; `key` gives a row's id and time.

    Normally the next page ends at the oldest time seen. When a whole page lies within one millisecond, time
    leads nowhere and the next page ends at the oldest id instead; when that leads nowhere either, whatever
    lies behind cannot be read.
    """
    end, id_to = end_ms, None
    seen: set[str] = set()
    while True:
        rows = page(end, id_to)
        keys = [key(row) for row in rows]
        yield from (row for row, (name, _) in zip(rows, keys, strict=True) if name not in seen)
        if len(rows) < _SURELY_THE_LAST:
            return
        del rows  # one page is held at a time, however many there are
        (_, newest), (oldest_id, oldest) = keys[0], keys[-1]
        if newest < oldest:
            raise ExchangeUnreadable("The exchange does not list newest first.")
        if oldest < start_ms:
            return
        names = {name for name, _ in keys}
        if names <= seen and id_to is not None:
            raise ExchangeUnreadable("The exchange repeats a page instead of going on.")
        if oldest + 1 < end:
            end, id_to = oldest + 1, None
        else:
            id_to = oldest_id
        seen = names
