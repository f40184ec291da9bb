"""One market as a scan sees it: facts that can be traded on, or the reason why there are none.

Pure: what was read goes in, a verdict comes out. A fact that is stale, missing or contradicts itself makes
the market unusable for this scan, and the reason is kept with the proposal that other markets may lead to.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Context, Decimal
from enum import StrEnum

from functions.scan_tick import indicators
from functions.scan_tick.indicators import Bar
from shared.bitvavo import TRADING
from shared.money import plain

INTERVAL_NAME = "1h"
INTERVAL = indicators.HOUR
CANDLES_READ = 200
"""Candles asked for: a week for the longest indicator, and some for the smoothing of the shorter ones."""

STALE_AFTER = timedelta(hours=3)
"""A market whose last trade is in a candle that closed longer ago has no price that means anything."""

LEAST_TRADED_HOURS = 12
"""Of the last 24 hours; with fewer, every indicator is an average over silence."""

FARTHEST_FROM_CLOSE = Decimal("0.2")
"""Of the last close; a book that stands farther away is frozen, or the candles are of another day."""

FARTHEST_APART = 1000
"""Times the lowest price of the history; a feed whose prices are farther apart holds one that never was."""

OLDEST = timedelta(days=42)
"""Candles that opened earlier are not looked at: a market that hardly trades has its 200 over years."""

DAY = 24


class Trouble(StrEnum):
    """Why a market is unusable for one scan."""

    UNREADABLE = "UNREADABLE"
    RATE_LIMITED = "RATE_LIMITED"
    UNKNOWN_MARKET = "UNKNOWN_MARKET"
    QUOTE_NOT_EUR = "QUOTE_NOT_EUR"
    MARKET_NOT_TRADING = "MARKET_NOT_TRADING"
    BOOK_UNUSABLE = "BOOK_UNUSABLE"
    CANDLES_UNUSABLE = "CANDLES_UNUSABLE"
    TOO_FEW_CANDLES = "TOO_FEW_CANDLES"
    STALE = "STALE"
    TOO_THIN = "TOO_THIN"
    SPREAD_TOO_WIDE = "SPREAD_TOO_WIDE"
    LEFT_OUT = "LEFT_OUT"


OUTAGES = frozenset({Trouble.UNREADABLE, Trouble.RATE_LIMITED})
"""Troubles of the exchange as a whole, for which no job is to blame."""


@dataclass(frozen=True)
class Unusable:
    """A market that this scan leaves alone, and why: a `Trouble`, or the check that an order would fail."""

    market: str
    trouble: str
    sentence: str


@dataclass(frozen=True)
class Reading:
    """What the exchange said about one market, at `read_at` (aware UTC). Bars ascend.

    `status` is the standing of the market: `trading` alone means that it takes orders.
    """

    market: str
    read_at: datetime
    status: str
    quote: str
    quantity_decimals: int
    min_base: Decimal
    min_quote: Decimal
    bid: Decimal
    ask: Decimal
    bars: tuple[Bar, ...]


@dataclass(frozen=True)
class MarketFacts:
    """One usable market. Prices in EUR, volumes in the base currency, changes and deviations in percent."""

    market: str
    read_at: datetime
    quantity_decimals: int
    min_base: Decimal
    min_quote: Decimal
    bid: Decimal
    ask: Decimal
    spread_percent: Decimal
    last_close: Decimal
    last_traded_close_at: datetime
    change_1h_percent: Decimal
    change_6h_percent: Decimal
    change_24h_percent: Decimal
    change_7d_percent: Decimal
    volatility_24h_percent: Decimal
    volatility_7d_percent: Decimal
    sma_20h: Decimal
    sma_50h: Decimal
    rsi_14h: Decimal
    atr_14h: Decimal
    high_24h: Decimal
    low_24h: Decimal
    volume_24h: Decimal
    volume_24h_against_week: Decimal
    untraded_hours_24h: int
    untraded_hours_7d: int
    longest_gap_hours_7d: int
    closes_24h: tuple[Decimal, ...]

    @property
    def turnover_24h(self) -> Decimal:
        """About what was traded in the last 24 hours, in EUR."""
        return self.volume_24h * self.last_close

    def numbers(self) -> dict[str, object]:
        """The facts as the model is shown them and the proposal keeps them; every number is text."""
        return {
            "market": self.market,
            "read_at": self.read_at.isoformat(),
            "bid": plain(self.bid),
            "ask": plain(self.ask),
            "spread_percent": _rounded(self.spread_percent),
            "last_close": plain(self.last_close),
            "minutes_since_last_traded_close": str((self.read_at - self.last_traded_close_at) // _MINUTE),
            "change_1h_percent": _rounded(self.change_1h_percent),
            "change_6h_percent": _rounded(self.change_6h_percent),
            "change_24h_percent": _rounded(self.change_24h_percent),
            "change_7d_percent": _rounded(self.change_7d_percent),
            "hourly_volatility_24h_percent": _rounded(self.volatility_24h_percent),
            "hourly_volatility_7d_percent": _rounded(self.volatility_7d_percent),
            "sma_20h": _price(self.sma_20h),
            "sma_50h": _price(self.sma_50h),
            "rsi_14h": _rounded(self.rsi_14h),
            "atr_14h": _price(self.atr_14h),
            "high_24h": plain(self.high_24h),
            "low_24h": plain(self.low_24h),
            "volume_24h": _price(self.volume_24h),
            "volume_24h_against_week": _rounded(self.volume_24h_against_week),
            "untraded_hours_24h": str(self.untraded_hours_24h),
            "untraded_hours_7d": str(self.untraded_hours_7d),
            "longest_gap_hours_7d": str(self.longest_gap_hours_7d),
            "closes_24h": [plain(close) for close in self.closes_24h],
        }


_MINUTE = timedelta(minutes=1)
_PERCENT_STEP = Decimal("0.001")
_EIGHT_DIGITS = Context(prec=8)


def _rounded(value: Decimal) -> str:
    return plain(value.quantize(_PERCENT_STEP))


def _price(value: Decimal) -> str:
    return plain(_EIGHT_DIGITS.plus(value))


def judge(reading: Reading) -> MarketFacts | Unusable:
    """Facts, when the reading holds a week of fresh candles, a two-sided book and a market that trades."""
    if refused := _refusal_of_market(reading):
        return refused
    if reading.bid >= reading.ask:
        return Unusable(reading.market, Trouble.BOOK_UNUSABLE, "the best bid is not below the best ask")
    try:
        recent = [bar for bar in reading.bars if reading.read_at - bar.opened_at <= OLDEST]
        bars = indicators.without_gaps(indicators.closed(recent, reading.read_at, INTERVAL), INTERVAL)
    except ValueError as error:
        return Unusable(reading.market, Trouble.CANDLES_UNUSABLE, str(error))
    if refused := _refusal_of_candles(reading, bars):
        return refused
    bars = _up_to_now(bars, reading.read_at)
    if refused := _refusal_of_history(reading, bars):
        return refused
    facts = _facts(reading, bars)
    middle = (facts.bid + facts.ask) / 2
    if abs(middle - facts.last_close) > facts.last_close * FARTHEST_FROM_CLOSE:
        return Unusable(
            reading.market, Trouble.BOOK_UNUSABLE, "the book and the last candle contradict each other"
        )
    return facts


def too_wide(facts: MarketFacts, max_spread_percent: Decimal) -> Unusable | None:
    """The refusal of a market whose spread exceeds what the owner's policy lets an order trade on."""
    if facts.spread_percent <= max_spread_percent:
        return None
    sentence = (
        f"spread {_rounded(facts.spread_percent)} % is above the policy's {plain(max_spread_percent)} %"
    )
    return Unusable(facts.market, Trouble.SPREAD_TOO_WIDE, sentence)


def most_traded(facts: Sequence[MarketFacts], most: int) -> tuple[list[MarketFacts], list[Unusable]]:
    """At most so many markets, those with the largest turnover, and the rest as left out."""
    by_turnover = sorted(facts, key=lambda each: (-each.turnover_24h, each.market))
    left_out = [
        Unusable(
            each.market, Trouble.LEFT_OUT, f"a question holds {most} markets, those with the most turnover"
        )
        for each in by_turnover[most:]
    ]
    return by_turnover[:most], left_out


def _refusal_of_market(reading: Reading) -> Unusable | None:
    if reading.quote != "EUR":
        return Unusable(reading.market, Trouble.QUOTE_NOT_EUR, f"quoted in {reading.quote}")
    if reading.status != TRADING:
        return Unusable(reading.market, Trouble.MARKET_NOT_TRADING, f"status is {reading.status}")
    return None


def _refusal_of_candles(reading: Reading, bars: Sequence[Bar]) -> Unusable | None:
    if not bars:
        return Unusable(reading.market, Trouble.TOO_FEW_CANDLES, "no closed candle")
    if any(not bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high for bar in bars):
        return Unusable(reading.market, Trouble.CANDLES_UNUSABLE, "a candle's prices contradict each other")
    if max(bar.high for bar in bars) > min(bar.low for bar in bars) * FARTHEST_APART:
        sentence = f"its prices are more than {FARTHEST_APART} times apart"
        return Unusable(reading.market, Trouble.CANDLES_UNUSABLE, sentence)
    age = reading.read_at - (bars[-1].opened_at + INTERVAL)
    if age > STALE_AFTER:
        return Unusable(
            reading.market, Trouble.STALE, f"the last closed candle is {age // _MINUTE} minutes old"
        )
    return None


def _refusal_of_history(reading: Reading, bars: Sequence[Bar]) -> Unusable | None:
    if len(bars) <= indicators.WEEK:
        sentence = f"{len(bars)} hours of candles, {indicators.WEEK + 1} are needed"
        return Unusable(reading.market, Trouble.TOO_FEW_CANDLES, sentence)
    traded = sum(bar.traded for bar in bars[-DAY:])
    if traded < LEAST_TRADED_HOURS:
        return Unusable(reading.market, Trouble.TOO_THIN, f"trades in {traded} of the last {DAY} hours")
    return None


def _up_to_now(bars: Sequence[Bar], now: datetime) -> tuple[Bar, ...]:
    """The bars and the untraded intervals since, so that '24 hours' ends now and not at the last trade."""
    extended = list(bars)
    while extended[-1].opened_at + 2 * INTERVAL <= now:
        extended.append(extended[-1].quiet_after(extended[-1].opened_at + INTERVAL))
    return tuple(extended)


def _facts(reading: Reading, bars: Sequence[Bar]) -> MarketFacts:
    day, week = bars[-DAY:], bars[-indicators.WEEK :]
    volume_of_a_day = indicators.volume(bars, indicators.WEEK) / 7
    volume_today = indicators.volume(bars, DAY)
    return MarketFacts(
        market=reading.market,
        read_at=reading.read_at,
        quantity_decimals=reading.quantity_decimals,
        min_base=reading.min_base,
        min_quote=reading.min_quote,
        bid=reading.bid,
        ask=reading.ask,
        spread_percent=indicators.spread_percent(reading.bid, reading.ask),
        last_close=bars[-1].close,
        last_traded_close_at=next(bar.opened_at for bar in reversed(bars) if bar.traded) + INTERVAL,
        change_1h_percent=indicators.change_percent(bars, 1),
        change_6h_percent=indicators.change_percent(bars, 6),
        change_24h_percent=indicators.change_percent(bars, DAY),
        change_7d_percent=indicators.change_percent(bars, indicators.WEEK),
        volatility_24h_percent=indicators.volatility_percent(bars, DAY),
        volatility_7d_percent=indicators.volatility_percent(bars, indicators.WEEK),
        sma_20h=indicators.simple_moving_average(bars, 20),
        sma_50h=indicators.simple_moving_average(bars, 50),
        rsi_14h=indicators.relative_strength_index(bars),
        atr_14h=indicators.average_true_range(bars),
        high_24h=max(bar.high for bar in day),
        low_24h=min(bar.low for bar in day),
        volume_24h=volume_today,
        volume_24h_against_week=volume_today / volume_of_a_day if volume_of_a_day else Decimal(0),
        untraded_hours_24h=sum(not bar.traded for bar in day),
        untraded_hours_7d=sum(not bar.traded for bar in week),
        longest_gap_hours_7d=indicators.longest_gap(week),
        closes_24h=tuple(bar.close for bar in day),
    )
