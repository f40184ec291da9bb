"""What the candles say: pure functions of closed candles and the top of the book, in decimals.

The exchange has no candle for an interval without a trade. Such an interval is not left out, which would
pull distant hours together, and not interpolated, which would invent trades: it is filled with the last close
and a volume of zero, because that was the price then, and how many were filled is reported with the rest.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Self

HOUR = timedelta(hours=1)
WEEK = 168
"""Hours that the longest indicator looks back."""

RSI_PERIODS = 14
ATR_PERIODS = 14

_HUNDRED = Decimal(100)


@dataclass(frozen=True)
class Bar:
    """One interval. `opened_at` is aware UTC, prices are in the quote currency, `volume` in the base."""

    opened_at: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    traded: bool = True

    def quiet_after(self, opened_at: datetime) -> Self:
        """The interval that nothing was traded in: the price stood at this bar's close."""
        return type(self)(opened_at, self.close, self.close, self.close, self.close, Decimal(0), traded=False)


def closed(bars: Sequence[Bar], now: datetime, interval: timedelta) -> tuple[Bar, ...]:
    """The bars whose interval is over; the exchange also reports the one that is still growing."""
    return tuple(bar for bar in bars if bar.opened_at + interval <= now)


def without_gaps(bars: Sequence[Bar], interval: timedelta) -> tuple[Bar, ...]:
    """The bars, ascending, with every interval between the first and the last that has none filled in.

    Raises ValueError when they are not strictly ascending on the interval's grid.
    """
    filled: list[Bar] = []
    for bar in bars:
        if filled:
            step = bar.opened_at - filled[-1].opened_at
            if step <= timedelta(0) or step % interval:
                raise ValueError("candles are not in order on the grid of their interval")
            while filled[-1].opened_at + interval < bar.opened_at:
                filled.append(filled[-1].quiet_after(filled[-1].opened_at + interval))
        filled.append(bar)
    return tuple(filled)


def longest_gap(bars: Sequence[Bar]) -> int:
    """The most intervals in a row without a trade."""
    longest = run = 0
    for bar in bars:
        run = 0 if bar.traded else run + 1
        longest = max(longest, run)
    return longest


def change_percent(bars: Sequence[Bar], intervals: int) -> Decimal:
    """The last close against the close so many intervals earlier, in percent. Needs `intervals` + 1 bars."""
    before = bars[-1 - intervals].close
    return (bars[-1].close - before) / before * _HUNDRED


def volatility_percent(bars: Sequence[Bar], intervals: int) -> Decimal:
    """The sample standard deviation of the last returns from bar to bar, in percent of price a bar.

    Needs `intervals` + 1 bars and two intervals at least.
    """
    window = bars[-1 - intervals :]
    returns = [(later.close / earlier.close - 1) * _HUNDRED for earlier, later in pairwise(window)]
    mean = sum(returns, Decimal(0)) / len(returns)
    return (sum(((each - mean) ** 2 for each in returns), Decimal(0)) / (len(returns) - 1)).sqrt()


def simple_moving_average(bars: Sequence[Bar], intervals: int) -> Decimal:
    """The mean of the last closes. Needs so many bars."""
    return sum((bar.close for bar in bars[-intervals:]), Decimal(0)) / intervals


def relative_strength_index(bars: Sequence[Bar], periods: int = RSI_PERIODS) -> Decimal:
    """Wilder's RSI, 0 to 100, smoothed over all bars that are given; 50 when the price never moved.

    Source: J. Welles Wilder, New Concepts in Technical Trading Systems, 1978. Needs `periods` + 1 bars.
    """
    moves = [later.close - earlier.close for earlier, later in pairwise(bars)]
    up = sum((max(move, Decimal(0)) for move in moves[:periods]), Decimal(0)) / periods
    down = sum((max(-move, Decimal(0)) for move in moves[:periods]), Decimal(0)) / periods
    for move in moves[periods:]:
        up = (up * (periods - 1) + max(move, Decimal(0))) / periods
        down = (down * (periods - 1) + max(-move, Decimal(0))) / periods
    if up + down == 0:
        return Decimal(50)
    return _HUNDRED * up / (up + down)


def average_true_range(bars: Sequence[Bar], periods: int = ATR_PERIODS) -> Decimal:
    """Wilder's average true range in the quote currency, smoothed over all bars that are given.

    Source: J. Welles Wilder, New Concepts in Technical Trading Systems, 1978. Needs `periods` + 1 bars.
    """
    ranges = [
        max(later.high, earlier.close) - min(later.low, earlier.close) for earlier, later in pairwise(bars)
    ]
    average = sum(ranges[:periods], Decimal(0)) / periods
    for true_range in ranges[periods:]:
        average = (average * (periods - 1) + true_range) / periods
    return average


def volume(bars: Sequence[Bar], intervals: int) -> Decimal:
    """What was traded in the last intervals, in the base currency."""
    return sum((bar.volume for bar in bars[-intervals:]), Decimal(0))


def spread_percent(bid: Decimal, ask: Decimal) -> Decimal:
    """The distance between the best prices, in percent of the middle."""
    return (ask - bid) / ((ask + bid) / 2) * _HUNDRED
