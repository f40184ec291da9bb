"""Candles for markets of which no real ones are held: a seeded random walk, the same on every run."""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache
from random import Random

from local.exchange.candles import HOUR_MS, Candle, Series

HOURS = 61 * 24
HOURLY_DEVIATION = 0.006
# The share of hours in which nobody trades.
QUIET_HOURS = 0.004


@lru_cache(maxsize=64)
def generate(market: str, price: Decimal, tick: Decimal, seed: int) -> Series:
    """Two months of hourly candles that end near `price`, from the epoch on; a few hours have none."""
    random = Random(f"{seed} {market}")  # noqa: S311 - prices, not secrets
    moves = [random.gauss(0, HOURLY_DEVIATION) for _ in range(HOURS)]
    value = float(price)
    for move in moves:
        value /= 1 + move
    candles = []
    for hour, move in enumerate(moves):
        start, value = value, value * (1 + move)
        wick = abs(random.gauss(0, HOURLY_DEVIATION / 2))
        low, high = min(start, value) * (1 - wick), max(start, value) * (1 + wick)
        quiet = random.random() < QUIET_HOURS and 0 < hour < HOURS - 1
        volume = Decimal(f"{random.lognormvariate(9, 1) / start:.8f}")
        if not quiet:
            opened, highest, lowest, closed = (_on_grid(number, tick) for number in (start, high, low, value))
            candles.append(Candle(hour * HOUR_MS, opened, highest, lowest, closed, volume))
    return Series(market, HOUR_MS, tuple(candles), f"seeded generator, seed {seed}")


def _on_grid(value: float, tick: Decimal) -> Decimal:
    return max(Decimal(round(value / float(tick))), Decimal(1)) * tick
