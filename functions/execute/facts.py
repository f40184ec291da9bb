"""The market facts: four reads side by side, one round trip."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID

from functions.execute.exchange import BitvavoTrade
from shared.bitvavo import BitvavoReadonly, BookTop, Market, Order, ServerTime
from shared.errors import ExchangeError, ExchangeRefused

TOO_MANY_REQUESTS = 429
"""The HTTP status of an exhausted rate limit, and of a ban."""

AT_ONCE = 4
"""How many reads one approval has under way at the same time."""

OUTSIDE_ACCESS_WINDOW = 304
"""The exchange's code for a request whose timestamp it does not accept."""


@dataclass(frozen=True, slots=True)
class Unread:
    """A fact that could not be read, and why. Every check that needs it fails."""

    why: str
    http_status: int | None = None
    error_code: int | None = None


class NotAsked:
    """A fact that nobody asked for, because nothing depends on it."""


NOT_ASKED = NotAsked()
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class MarketFacts:
    """What the exchange says, each fact as it was read or why it was not.

    `own_order` is the order that already carries the proposal's id, None when there is none.
    """

    time: ServerTime | Unread
    market: Market | Unread
    book: BookTop | Unread
    own_order: Order | Unread | NotAsked | None

    @property
    def unread(self) -> tuple[Unread, ...]:
        """The facts that could not be read."""
        facts = (self.time, self.market, self.book, self.own_order)
        return tuple(fact for fact in facts if isinstance(fact, Unread))

    @property
    def rate_limited(self) -> bool:
        """Did the exchange say that we ask too much?"""
        return any(fact.http_status == TOO_MANY_REQUESTS for fact in self.unread)


def read_facts(
    market: str,
    execution_id: UUID,
    market_data: BitvavoReadonly,
    trade: BitvavoTrade | None,
    side_by_side: Executor,
    now_ms: Callable[[], int],
) -> MarketFacts:
    """Read everything that the market checks need; without a trade client no own order is looked for.

    The look-up is signed with our own clock: a read needs no fence, and a clock that is off shows in it.
    """

    def own_order() -> Order | NotAsked | None:
        if trade is None:
            return NOT_ASKED
        return trade.order(market, execution_id, timestamp_ms=now_ms())

    time = side_by_side.submit(_read, market_data.time)
    listing = side_by_side.submit(_read, lambda: market_data.market(market))
    book = side_by_side.submit(_read, lambda: market_data.book_top(market))
    own = side_by_side.submit(_read, own_order)
    return MarketFacts(time.result(), listing.result(), book.result(), own.result())


def _read(ask: Callable[[], T]) -> T | Unread:
    try:
        return ask()
    except ExchangeRefused as refused:
        return Unread(str(refused), refused.http_status, refused.error_code)
    except ExchangeError as error:
        return Unread(str(error))
