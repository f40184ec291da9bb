"""What the numbers are, over gaps too, and which markets a scan leaves alone."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.scan_tick import indicators
from functions.scan_tick.indicators import HOUR, Bar
from functions.scan_tick.market import (
    CANDLES_READ,
    MarketFacts,
    Reading,
    Trouble,
    Unusable,
    judge,
    most_traded,
    too_wide,
)
from tests.unit.scanning import LAST_HOUR, NOW, hourly, week_of

pytestmark = pytest.mark.unit

# The worked example of Wilder's RSI with 14 periods at
# https://chartschool.stockcharts.com/table-of-contents/technical-indicators-and-overlays/technical-indicators/relative-strength-index-rsi
RSI_CLOSES = [
    "44.3389",
    "44.0902",
    "44.1497",
    "43.6124",
    "44.3278",
    "44.8264",
    "45.0955",
    "45.4245",
    "45.8433",
    "46.0826",
    "45.8931",
    "46.0328",
    "45.6140",
    "46.2820",
    "46.2820",
    "46.0028",
    "46.0328",
    "46.4116",
    "46.2222",
    "45.6439",
]
RSI_VALUES = ["70.53", "66.32", "66.55", "69.41", "66.36", "57.97"]


def reading(bars: tuple[Bar, ...], **changes: object) -> Reading:
    """A market that trades around 100 EUR, with these candles."""
    calm = Reading(
        "BTC-EUR",
        NOW,
        "trading",
        "EUR",
        8,
        Decimal("0.0001"),
        Decimal(5),
        Decimal("99.9"),
        Decimal("100.1"),
        bars,
    )
    return replace(calm, **changes)  # type: ignore[arg-type]


def facts(bars: tuple[Bar, ...], **changes: object) -> MarketFacts:
    """The facts of a market that is usable."""
    judged = judge(reading(bars, **changes))
    assert isinstance(judged, MarketFacts), judged
    return judged


def trouble(bars: tuple[Bar, ...], **changes: object) -> str:
    """Why a market is unusable."""
    judged = judge(reading(bars, **changes))
    assert isinstance(judged, Unusable), judged
    return judged.trouble


def test_rsi_is_wilders() -> None:
    """The relative strength index agrees with the published worked example to two decimals."""
    for length, expected in enumerate(RSI_VALUES, start=15):
        rsi = indicators.relative_strength_index(hourly(RSI_CLOSES[:length]))
        assert rsi.quantize(Decimal("0.01")) == Decimal(expected)


@pytest.mark.parametrize(
    ("closes", "rsi"),
    [(["5"] * 20, 50), ([str(n) for n in range(1, 21)], 100), ([str(n) for n in range(20, 0, -1)], 0)],
)
def test_rsi_at_its_ends(closes: list[str], rsi: int) -> None:
    """A price that never moved is at 50, one that only rose at 100, one that only fell at 0."""
    assert indicators.relative_strength_index(hourly(closes)) == rsi


def test_atr_counts_the_jump_from_the_last_close() -> None:
    """The true range reaches from the last close when the bar does not."""
    flat = hourly(["10"] * 15)
    jump = replace(flat[-1], open=Decimal(17), high=Decimal(18), low=Decimal(16), close=Decimal(17))
    assert indicators.average_true_range((*flat[:-1], jump)) == Decimal(8) / 14


def test_volatility_is_the_sample_deviation_of_returns() -> None:
    """Returns of +10 % and -10 % deviate by the square root of 200 percent points."""
    bars = hourly(["100", "110", "99"])
    assert indicators.volatility_percent(bars, 2).quantize(Decimal("0.0001")) == Decimal("14.1421")


def test_averages_changes_volume_and_spread() -> None:
    """Mean of the last closes, percent against so many hours ago, base traded, percent of the middle."""
    bars = hourly(["10", "20", "30", "40"])
    assert indicators.simple_moving_average(bars, 2) == 35
    assert indicators.change_percent(bars, 1) == Decimal(100) / 3
    assert indicators.change_percent(bars, 3) == 300
    assert indicators.volume(bars, 3) == 3
    assert indicators.spread_percent(Decimal(99), Decimal(101)) == 2


def test_an_hour_without_a_trade_keeps_the_price_and_trades_nothing() -> None:
    """A gap is filled with the last close and no volume, and is counted."""
    bars = hourly(["10", "11", "12", "13", "14"])
    filled = indicators.without_gaps((bars[0], bars[1], bars[4]), HOUR)
    assert [bar.close for bar in filled] == [10, 11, 11, 11, 14]
    assert [bar.opened_at for bar in filled] == [bar.opened_at for bar in bars]
    assert indicators.volume(filled, 5) == 3
    assert indicators.longest_gap(filled) == 2


@given(st.sets(st.integers(min_value=1, max_value=198), max_size=90))
def test_gaps_never_move_an_hour(missing: set[int]) -> None:
    """Whatever hours are missing, 'a day ago' is 24 hours ago and the filled series has every hour once."""
    bars = hourly([str(100 + hour) for hour in range(200)])
    filled = indicators.without_gaps([bar for hour, bar in enumerate(bars) if hour not in missing], HOUR)
    assert [bar.opened_at for bar in filled] == [bar.opened_at for bar in bars]
    assert sum(not bar.traded for bar in filled) == len(missing)
    assert filled[-25].opened_at == filled[-1].opened_at - 24 * HOUR


@pytest.mark.parametrize(
    "shift",
    [timedelta(0), timedelta(minutes=-30), timedelta(minutes=30)],
    ids=["twice", "backwards", "off grid"],
)
def test_candles_off_their_grid_are_not_used(shift: timedelta) -> None:
    """Two candles of one time, out of order or between the hours make the market unusable."""
    bars = week_of()
    wrong = replace(bars[-1], opened_at=bars[-2].opened_at + shift)
    assert trouble((*bars[:-1], wrong)) is Trouble.CANDLES_UNUSABLE


def test_the_growing_candle_is_not_looked_at() -> None:
    """The candle of the current hour changes nothing, whatever it says."""
    one = Decimal(1)
    growing = Bar(LAST_HOUR + HOUR, one, one, one, one, volume=Decimal(10**6))
    assert facts((*week_of(), growing)) == facts(week_of())


def test_hours_without_trades_up_to_now_count() -> None:
    """When the last trade was two hours ago, the last close stands for them and its age is told."""
    bars = week_of(hours=203)
    quiet = facts(tuple(bar for bar in bars if bar.opened_at <= LAST_HOUR - 2 * HOUR))
    assert quiet.untraded_hours_24h == 2
    assert quiet.change_1h_percent == 0
    assert quiet.numbers()["minutes_since_last_traded_close"] == "130"


def test_numbers_are_text_in_plain_notation() -> None:
    """The model and the snapshot get strings without exponents, for tiny prices too."""
    tiny = facts(
        tuple(
            replace(bar, open=p, high=p, low=p, close=p) for bar in week_of() for p in [Decimal("0.000001")]
        ),
        bid=Decimal("0.00000099"),
        ask=Decimal("0.00000101"),
    )
    numbers = tiny.numbers()
    assert numbers["bid"] == "0.00000099"
    assert numbers["sma_50h"] == "0.000001"
    assert all(isinstance(value, str | list) for value in numbers.values())


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"status": "halted"}, Trouble.MARKET_NOT_TRADING),
        ({"status": "auction"}, Trouble.MARKET_NOT_TRADING),
        ({"quote": "USDC"}, Trouble.QUOTE_NOT_EUR),
        ({"bid": Decimal("100.1")}, Trouble.BOOK_UNUSABLE),
        ({"bid": Decimal("100.2")}, Trouble.BOOK_UNUSABLE),
        ({"bid": Decimal(150), "ask": Decimal(151)}, Trouble.BOOK_UNUSABLE),
        ({"read_at": NOW + timedelta(hours=3)}, Trouble.STALE),
    ],
    ids=[
        "halted",
        "auction",
        "not EUR",
        "locked book",
        "crossed book",
        "frozen book",
        "stale",
    ],
)
def test_an_unusable_market_says_why(changes: dict[str, object], expected: Trouble) -> None:
    """A market that does not trade, contradicts itself or is stale is left alone for that reason."""
    assert trouble(week_of(), **changes) is expected


@pytest.mark.parametrize("hours", [0, 1, 168])
def test_a_market_without_a_week_of_candles_is_left_alone(hours: int) -> None:
    """What the longest indicator cannot look back on is not made up."""
    assert trouble(week_of(hours=200)[200 - hours :]) is Trouble.TOO_FEW_CANDLES


def test_a_market_that_hardly_trades_is_left_alone() -> None:
    """With trades in fewer than half of the day's hours the indicators say nothing."""
    bars = week_of()
    thin = tuple(bar for hour, bar in enumerate(bars) if hour < 176 or hour in (180, 199))
    assert trouble(thin) is Trouble.TOO_THIN


def test_a_candle_that_contradicts_itself_is_not_used() -> None:
    """A high below the close, or a price below the low, is no data."""
    bars = week_of()
    assert trouble((*bars[:-1], replace(bars[-1], high=bars[-1].low - 1))) is Trouble.CANDLES_UNUSABLE


@pytest.mark.parametrize("price", ["0.000000000000000000000001", "123456789012345678901234567890"])
def test_a_price_that_never_was_is_not_used(price: str) -> None:
    """One candle of another magnitude makes its market unusable, and no other market with it."""
    bars, absurd = week_of(), Decimal(price)
    one = replace(bars[100], open=absurd, high=absurd, low=absurd, close=absurd)
    assert trouble((*bars[:100], one, *bars[101:])) is Trouble.CANDLES_UNUSABLE


def test_candles_of_long_ago_are_not_looked_at() -> None:
    """A candle from the beginning of time changes no number, and half a million hours are not filled in."""
    bars = week_of()
    ancient = replace(bars[0], opened_at=datetime(1970, 1, 1, tzinfo=UTC))
    assert facts((ancient, *bars)) == facts(bars)


def test_enough_candles_are_read() -> None:
    """What is asked for covers the longest indicator and its gaps."""
    assert CANDLES_READ > indicators.WEEK + 24


def test_spread_is_judged_by_the_policy() -> None:
    """A spread equal to the bound is allowed, one above it is not."""
    seen = facts(week_of(), bid=Decimal(99), ask=Decimal(101))
    assert too_wide(seen, Decimal(2)) is None
    refused = too_wide(seen, Decimal("1.9"))
    assert refused is not None
    assert refused.trouble is Trouble.SPREAD_TOO_WIDE


def test_the_most_traded_markets_come_first() -> None:
    """Turnover in EUR decides, not the amount of the base currency."""
    cheap = replace(facts(week_of()), market="A-EUR", volume_24h=Decimal(1000), last_close=Decimal("0.01"))
    dear = replace(cheap, market="B-EUR", volume_24h=Decimal(1), last_close=Decimal(100))
    kept, left_out = most_traded([cheap, dear], 1)
    assert [each.market for each in kept] == ["B-EUR"]
    assert [(each.market, each.trouble) for each in left_out] == [("A-EUR", Trouble.LEFT_OUT)]
