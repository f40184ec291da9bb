"""The market maker: a ladder of thin levels around the price, which fills up again after it was taken."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from functools import lru_cache
from random import Random
from typing import NamedTuple

from local.exchange.decimals import ZERO, rounding
from local.exchange.markets import Market
from local.exchange.prices import PricePath

LEVELS = 25
HALF_SPREAD = Decimal("0.0002")
FIRST_LEVEL_EUR = 2500
REFILL_MS = 10_000


class Level(NamedTuple):
    price: Decimal
    amount: Decimal


class Ladder(NamedTuple):
    """Both sides of a book, best price first."""

    bids: tuple[Level, ...]
    asks: tuple[Level, ...]


@lru_cache(maxsize=256)
def ladder(market: Market, mid: Decimal, seed: str) -> Ladder:
    """Levels at growing distance from `mid`, each worth a few thousand EUR and more further out."""
    random = Random(seed)  # noqa: S311 - sizes of a made-up book, not secrets
    step = max(mid * HALF_SPREAD, market.tick)
    bids: list[Level] = []
    asks: list[Level] = []
    for number in range(1, LEVELS + 1):
        for side, sign, towards in ((bids, -1, ROUND_FLOOR), (asks, 1, ROUND_CEILING)):
            price = _round(mid + sign * number * step, market.tick, towards)
            worth = Decimal(FIRST_LEVEL_EUR * (1 + number * 0.3) * random.uniform(0.7, 1.3))
            if price > 0:
                side.append(Level(price, _round(worth / price, market.unit, ROUND_CEILING)))
    return Ladder(tuple(bids), tuple(asks))


def _round(value: Decimal, unit: Decimal, towards: str) -> Decimal:
    return (value / unit).quantize(Decimal(1), rounding=towards) * unit


@dataclass
class MarketMaker:
    """Quotes one market along its price path; what was taken comes back when its next period begins.

    `pinned_price` and `pinned` replace path and ladder by fixed ones; pinned levels do not fill up again.
    """

    market: Market
    path: PricePath
    seed: int
    pinned_price: Decimal | None = None
    pinned: Ladder | None = None
    _taken: dict[Decimal, Decimal] = field(default_factory=lambda: defaultdict(lambda: ZERO))
    _period: int = 0

    @rounding()
    def mid(self, now_ms: int) -> Decimal:
        """The price of now, in EUR."""
        return self.path.price(now_ms) if self.pinned_price is None else self.pinned_price

    @rounding()
    def extremes(self, from_ms: int, to_ms: int) -> tuple[Decimal, Decimal]:
        """The lowest and the highest price in a time."""
        if self.pinned_price is not None:
            return self.pinned_price, self.pinned_price
        return self.path.extremes(from_ms, to_ms)

    @rounding()
    def quotes(self, now_ms: int, mid: Decimal | None = None) -> Ladder:
        """What can be taken now (or could, at another price), without the levels that are used up."""
        if self.pinned is not None:
            quoted = self.pinned
        else:
            period = now_ms // REFILL_MS
            if period != self._period:
                self._period = period
                self._taken.clear()
            quoted = ladder(self.market, mid or self.mid(now_ms), f"{self.seed} {self.market.name} {period}")
        return Ladder(*(tuple(self._left(side)) for side in quoted))

    def take(self, price: Decimal, amount: Decimal) -> None:
        """Use up part of a level."""
        self._taken[price] += amount

    def pin(self, levels: Ladder | None) -> None:
        """Quote exactly these levels from now on; None goes back to the ladder."""
        self.pinned = levels
        self._taken.clear()

    def _left(self, side: tuple[Level, ...]) -> list[Level]:
        left = (Level(price, amount - self._taken[price]) for price, amount in side)
        return [level for level in left if level.amount > 0]
