"""The price of a market at every moment: one path through its candles, and on after the last of them.

Everything that the exchange says about prices is read from this path, so tickers, books and candles agree.
Inside a candle the price goes from open over low and high (a rising candle; else high and low) to close, in
straight lines. After the last candle the series begins again from its first, scaled to go on from the last
close: time never runs out of real movements.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from functools import cached_property

from local.exchange.candles import DAY_MS, STEPS, Candle, Series
from local.exchange.decimals import ZERO

# The Unix epoch was a Thursday; Bitvavo's weeks begin on Monday.
_MONDAY_MS = 4 * DAY_MS


def bucket(interval: str, at_ms: int) -> int:
    """The opening time (Unix ms, UTC) of the candle that holds a moment."""
    if interval == "1M":
        day = datetime.fromtimestamp(at_ms / 1000, tz=UTC)
        return int(datetime(day.year, day.month, 1, tzinfo=UTC).timestamp() * 1000)
    phase = _MONDAY_MS if interval == "1W" else 0
    return (at_ms - phase) // STEPS[interval] * STEPS[interval] + phase


def bucket_end(interval: str, start_ms: int) -> int:
    """When the candle that opens then closes."""
    if interval == "1M":
        later = datetime.fromtimestamp(start_ms / 1000, tz=UTC) + timedelta(days=32)
        return bucket(interval, int(later.timestamp() * 1000))
    return start_ms + STEPS[interval]


@dataclass(frozen=True)
class PricePath:
    """The price path of one market, in multiples of `tick` after the end of its series.

    The series is made when it is first needed.
    """

    load: Callable[[], Series]
    tick: Decimal

    @cached_property
    def series(self) -> Series:
        return self.load()

    def price(self, at_ms: int) -> Decimal:
        """The price at a moment, on the tick grid; where no trades happen, the last one."""
        index = self._index(at_ms)
        if index < 0:
            return self._on_grid(self._candles[0].open)
        candle = self._candle(index)
        done = at_ms - candle.at
        if done >= self.series.step_ms:
            return self._on_grid(candle.close)
        third = self.series.step_ms / 3
        leg = min(int(done / third), 2)
        start, end = _corners(candle)[leg : leg + 2]
        share = Decimal(done / third - leg)
        return self._on_grid(start + (end - start) * share)

    def extremes(self, from_ms: int, to_ms: int) -> tuple[Decimal, Decimal]:
        """The lowest and the highest price from one moment to another, both included."""
        prices = [self.price(from_ms), self.price(to_ms)]
        third = self.series.step_ms / 3
        for candle in self._from(self._index(from_ms), to_ms):
            prices += [
                self._on_grid(price)
                for corner, price in enumerate(_corners(candle))
                if from_ms <= candle.at + corner * third <= to_ms
            ]
        return min(prices), max(prices)

    def volume(self, from_ms: int, to_ms: int) -> Decimal:
        """Base amount traded from one moment to another, spread evenly inside a candle."""
        total = ZERO
        step = self.series.step_ms
        for candle in self._from(self._index(from_ms), to_ms):
            overlap = min(to_ms, candle.at + step) - max(from_ms, candle.at)
            if overlap > 0:
                total += candle.volume * overlap / step
        return round(total, 8)

    def candles(self, interval: str, start_ms: int, end_ms: int, limit: int, now_ms: int) -> list[Candle]:
        """Candles that open from start to end, newest first, the unfinished one included; gaps stay gaps."""
        rows: list[Candle] = []
        opening = bucket(interval, min(end_ms, now_ms))
        earliest = max(start_ms, bucket(interval, self._candles[0].at))
        while opening >= earliest and len(rows) < limit:
            row = self._summary(opening, min(bucket_end(interval, opening), now_ms))
            if row is not None:
                rows.append(row)
            opening = bucket(interval, opening - 1)
        return rows

    def _summary(self, from_ms: int, to_ms: int) -> Candle | None:
        """One candle out of all that happened from one moment up to another; None where nothing did."""
        step = self.series.step_ms
        parts = [
            candle
            if from_ms <= candle.at and candle.at + step <= to_ms
            else self._part(candle, max(from_ms, candle.at), min(to_ms, candle.at + step))
            for candle in self._from(self._index(from_ms), to_ms)
            if candle.at + step > from_ms
        ]
        if not parts or to_ms <= from_ms:
            return None
        return Candle(
            at=from_ms,
            open=parts[0].open,
            high=max(part.high for part in parts),
            low=min(part.low for part in parts),
            close=parts[-1].close,
            volume=sum((part.volume for part in parts), ZERO),
        )

    def _part(self, candle: Candle, from_ms: int, to_ms: int) -> Candle:
        last = min(to_ms, candle.at + self.series.step_ms - 1)
        low, high = self.extremes(from_ms, last)
        return Candle(from_ms, self.price(from_ms), high, low, self.price(last), self.volume(from_ms, to_ms))

    @cached_property
    def _candles(self) -> tuple[Candle, ...]:
        return self.series.candles

    @cached_property
    def _times(self) -> list[int]:
        return [candle.at for candle in self._candles]

    @cached_property
    def _span(self) -> int:
        return self._times[-1] + self.series.step_ms - self._times[0]

    def _index(self, at_ms: int) -> int:
        """The number of the last candle that opened by then, counted through all repetitions; -1: none."""
        cycle, phase = divmod(at_ms - self._times[0], self._span)
        if cycle < 0:
            return -1
        return cycle * len(self._times) + bisect_right(self._times, self._times[0] + phase) - 1

    def _candle(self, index: int) -> Candle:
        cycle, number = divmod(index, len(self._candles))
        candle = self._candles[number]
        if cycle == 0:
            return candle
        scale = (self._candles[-1].close / self._candles[0].open) ** cycle
        opened, high, low, close = (self._on_grid(price * scale) for price in candle[1:5])
        return Candle(candle.at + cycle * self._span, opened, high, low, close, candle.volume)

    def _from(self, index: int, before_ms: int) -> Iterator[Candle]:
        """Candles from a number on that open before a moment."""
        index = max(index, 0)
        while (candle := self._candle(index)).at < before_ms:
            yield candle
            index += 1

    def _on_grid(self, price: Decimal) -> Decimal:
        steps = (price / self.tick).quantize(Decimal(1), rounding=ROUND_HALF_EVEN)
        return max(steps, Decimal(1)) * self.tick


def _corners(candle: Candle) -> tuple[Decimal, Decimal, Decimal, Decimal]:
    if candle.close >= candle.open:
        return candle.open, candle.low, candle.high, candle.close
    return candle.open, candle.high, candle.low, candle.close
