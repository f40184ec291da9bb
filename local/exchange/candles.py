"""Candles from files: `timestamp,open,high,low,close,volume`, one market and interval a file.

The first column's name and the letter case are free. Timestamps are ISO 8601 (UTC when they name no zone)
or Unix seconds or milliseconds. A name like `OHLCV_BTC-EUR_BITVAVO_1h_2024.csv` says market and interval;
without one the market is BTC-EUR and the interval the shortest step between two rows.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from local.errors import LocalWorldError

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS

# Steps of the intervals whose length is fixed; 1M follows the calendar.
STEPS = {
    "1m": MINUTE_MS,
    "5m": 5 * MINUTE_MS,
    "15m": 15 * MINUTE_MS,
    "30m": 30 * MINUTE_MS,
    "1h": HOUR_MS,
    "2h": 2 * HOUR_MS,
    "4h": 4 * HOUR_MS,
    "6h": 6 * HOUR_MS,
    "8h": 8 * HOUR_MS,
    "12h": 12 * HOUR_MS,
    "1d": DAY_MS,
    "1W": 7 * DAY_MS,
}
INTERVALS = (*STEPS, "1M")

COLUMNS = ("open", "high", "low", "close", "volume")
DEFAULT_MARKET = "BTC-EUR"
_MARKET = re.compile(r"(?<![A-Za-z0-9])([A-Za-z0-9]+)-([A-Za-z0-9]+)(?=[^A-Za-z0-9-]|$)")
_INTERVAL = re.compile(rf"(?<![A-Za-z0-9])({'|'.join(INTERVALS)})(?![A-Za-z0-9])")
# Unix seconds stay below the first until the year 5138, and milliseconds passed it in 1973; so the others.
_MILLISECONDS_FROM = 10**11
_MICROSECONDS_FROM = 10**14
_NANOSECONDS_FROM = 10**17


class CandleError(LocalWorldError):
    """A candle file cannot be used; the text names the file, the line and the reason."""


class Candle(NamedTuple):
    """One interval that had trades: opening time in Unix ms, prices in EUR, volume in the base asset."""

    at: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal


@dataclass(frozen=True)
class Series:
    """Candles of one market in ascending time; a missing step had no trades."""

    market: str
    step_ms: int
    candles: tuple[Candle, ...]
    source: str

    def ending_at(self, now_ms: int) -> Series:
        """The same candles re-dated by whole steps so that the last one closed most recently before now."""
        shift = now_ms // self.step_ms * self.step_ms - (self.candles[-1].at + self.step_ms)
        moved = tuple(candle._replace(at=candle.at + shift) for candle in self.candles)
        return Series(self.market, self.step_ms, moved, self.source)


def load(path: Path) -> dict[str, Series]:
    """The finest series of each EUR market in a file, or in the `.csv` files of a folder.

    Raises CandleError.
    """
    if not path.exists():
        raise CandleError(f"{path}: no such file or folder; CANDLES names candle files")
    files = sorted(path.glob("*.csv")) if path.is_dir() else [path]
    if not files:
        raise CandleError(f"{path}: holds no .csv file")
    found: dict[str, Series] = {}
    for file in files:
        series = read(file)
        held = found.get(series.market)
        if held is None or series.step_ms < held.step_ms:
            found[series.market] = series
    return found


def read(path: Path) -> Series:
    """One candle file. Raises CandleError."""
    market = _market_of(path)
    try:
        with path.open(newline="", encoding="utf-8-sig") as lines:
            rows = list(_rows(path, csv.reader(lines)))
    except OSError as error:
        raise CandleError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        raise CandleError(f"{path}:{line}: is not UTF-8 text") from None
    if not rows:
        raise CandleError(f"{path}: holds no candle")
    rows.sort(key=lambda row: row[1].at)
    for (_, earlier), (line, later) in pairwise(rows):
        if earlier.at == later.at:
            raise CandleError(f"{path}:{line}: the same timestamp stands on an earlier line")
    step = _step_of(path, [candle.at for _, candle in rows])
    for line, candle in rows:
        if (candle.at - rows[0][1].at) % step:
            raise CandleError(f"{path}:{line}: the timestamp is not a whole step after the first one")
    return Series(market, step, tuple(candle for _, candle in rows), path.name)


def _market_of(path: Path) -> str:
    named = _MARKET.search(path.stem)
    if named is None or named[0].isdigit() or re.match(r"\d+-\d+", named[0]):
        return DEFAULT_MARKET
    market = f"{named[1]}-{named[2]}".upper()
    if not market.endswith("-EUR"):
        raise CandleError(f"{path}: names {market}; the exchange trades EUR markets")
    return market


def _step_of(path: Path, times: list[int]) -> int:
    named = _INTERVAL.search(path.stem)
    if named is not None and named[1] in STEPS:
        return STEPS[named[1]]
    if named is not None:
        raise CandleError(f"{path}: candles of {named[1]} have no fixed length; use 1W or finer")
    if len(times) < 2:
        raise CandleError(f"{path}: one candle, and the file's name does not say its interval")
    step = min(later - earlier for earlier, later in pairwise(times))
    if step not in STEPS.values():
        raise CandleError(f"{path}: rows are {step} ms apart, which is none of {', '.join(STEPS)}")
    return step


def _rows(path: Path, lines: Iterable[list[str]]) -> Iterator[tuple[int, Candle]]:
    order: tuple[str, ...] = COLUMNS
    for line, cells in enumerate(lines, start=1):
        if not any(cell.strip() for cell in cells):
            continue
        if line == 1 and not _starts_with_a_number(cells):
            order = _header(path, cells)
            continue
        if len(cells) != 1 + len(COLUMNS):
            raise CandleError(f"{path}:{line}: has {len(cells)} columns instead of 6")
        try:
            at = _timestamp(cells[0].strip())
            numbers = dict(zip(order, map(_number, cells[1:]), strict=True))
        except ValueError as error:
            raise CandleError(f"{path}:{line}: {error}") from None
        candle = Candle(at, **numbers)
        inner = (candle.open, candle.close)
        if not 0 < candle.low <= min(inner) <= max(inner) <= candle.high:
            raise CandleError(f"{path}:{line}: open and close are not between low and high, or not above 0")
        if candle.volume < 0:
            raise CandleError(f"{path}:{line}: the volume is negative")
        yield line, candle


def _header(path: Path, cells: list[str]) -> tuple[str, ...]:
    names = tuple(cell.strip().lower() for cell in cells[1:])
    if sorted(names) != sorted(COLUMNS):
        raise CandleError(f"{path}:1: the columns are not timestamp,{','.join(COLUMNS)}")
    return names


def _starts_with_a_number(cells: list[str]) -> bool:
    return cells[0].strip()[:1].isdigit()


def _timestamp(text: str) -> int:
    """Unix ms. Raises ValueError with a sentence."""
    try:
        number = Decimal(text)
    except InvalidOperation:
        pass
    else:
        if not number.is_finite() or number < 0:
            raise ValueError(f"{text!r} is not a timestamp")
        if number >= _MICROSECONDS_FROM:
            unit = "microseconds" if number < _NANOSECONDS_FROM else "nanoseconds"
            raise ValueError(
                f"{text!r} looks like {unit}; a timestamp is Unix seconds, Unix milliseconds or ISO 8601"
            )
        return int(number) if number >= _MILLISECONDS_FROM else int(number * 1000)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a timestamp") from None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return round(aware.timestamp() * 1000)


def _number(text: str) -> Decimal:
    """Raises ValueError with a sentence."""
    try:
        value = Decimal(text.strip())
    except InvalidOperation:
        raise ValueError(f"{text!r} is not a number") from None
    if not value.is_finite():
        raise ValueError(f"{text!r} is not a finite number")
    return value
