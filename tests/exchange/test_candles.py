"""Prices come from candle files, re-dated to end now, with one line for what is wrong with a file."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from local.exchange.app import create_app
from local.exchange.candles import DAY_MS, HOUR_MS, MINUTE_MS, Candle, CandleError, Series, load, read
from local.exchange.clock import Clock
from local.exchange.exchange import DEFAULT_SEED, create_exchange
from local.exchange.generator import generate
from local.exchange.prices import PricePath
from local.exchange.public import PublicDataError, fetch
from local.faults.serving import serving
from tests.exchange.conftest import START_MS, Source

HEADER = "timestamp,open,high,low,close,volume"
ROW = "2024-01-01T00:00:00Z,10,12,9,11,3.5"
NEXT = "2024-01-01T01:00:00Z,11,13,10,12,1"
JANUARY_2024_MS = 1_704_067_200_000
THIS_HOUR_MS = START_MS // HOUR_MS * HOUR_MS


def file(folder: Path, *lines: str, name: str = "BTC-EUR_1h.csv") -> Path:
    path = folder / name
    path.write_text("\n".join(lines) + "\n")
    return path


def candle(at: int, prices: str) -> Candle:
    """Open, high, low, close and volume out of one text."""
    return Candle(at, *map(Decimal, prices.split()))


def series(*rows: tuple[int, str]) -> Series:
    """Hourly candles: the number of the hour; open, high, low, close."""
    candles = (candle(hour * HOUR_MS, f"{prices} 1") for hour, prices in rows)
    return Series("BTC-EUR", HOUR_MS, tuple(candles), "test")


def texts(*values: Decimal) -> str:
    return " ".join(f"{value.normalize():f}" for value in values)


def path_of(held: Series, tick: str = "0.1") -> PricePath:
    return PricePath(lambda: held, Decimal(tick))


@pytest.mark.parametrize(
    "first",
    [
        "2024-01-01T00:00:00.000+0000",
        "2024-01-01T00:00:00Z",
        "2024-01-01 00:00:00",
        "2024-01-01",
        "2024-01-01T01:00:00+01:00",
        "1704067200",
        "1704067200.0",
        "1704067200000",
    ],
)
def test_a_timestamp_may_be_iso_or_unix(tmp_path: Path, first: str) -> None:
    """ISO 8601, UTC when it names no zone; Unix seconds; Unix milliseconds."""
    found = read(file(tmp_path, HEADER, f"{first},10,12,9,11,3.5"))
    assert found.candles[0].at == JANUARY_2024_MS


@pytest.mark.parametrize(
    ("first", "unit"),
    [
        ("1704067200000000", "microseconds"),
        ("1704067200000000.0", "microseconds"),
        ("100000000000000", "microseconds"),
        ("1704067200000000000", "nanoseconds"),
        ("1e999999", "nanoseconds"),
    ],
)
def test_a_timestamp_in_a_finer_unit_is_refused_by_its_name(tmp_path: Path, first: str, unit: str) -> None:
    """Read as milliseconds, it would be a candle of the year 55969."""
    path = file(tmp_path, HEADER, f"{first},10,12,9,11,3.5")
    with pytest.raises(CandleError) as raised:
        read(path)
    assert str(raised.value) == (
        f"{path}:2: {first!r} looks like {unit}; a timestamp is Unix seconds, Unix milliseconds or ISO 8601"
    )


def test_the_last_millisecond_before_microseconds_is_one(tmp_path: Path) -> None:
    """14 digits are milliseconds, 15 are not."""
    found = read(file(tmp_path, HEADER, "99999999999999,10,12,9,11,3.5"))
    assert found.candles[0].at == 99_999_999_999_999


@pytest.mark.parametrize(
    "header", [HEADER, "Datetime,Open,High,Low,Close,Volume", "x,VOLUME,CLOSE,OPEN,HIGH,LOW", None]
)
def test_the_first_column_and_the_letter_case_are_free(tmp_path: Path, header: str | None) -> None:
    """Columns are found by name in any case and order; without a header they stand in the usual order."""
    row = "2024-01-01,3.5,11,10,12,9" if header and header.startswith("x") else "2024-01-01,10,12,9,11,3.5"
    found = read(file(tmp_path, *(line for line in (header, row) if line)))
    assert found.candles == (candle(JANUARY_2024_MS, "10 12 9 11 3.5"),)


@pytest.mark.parametrize(
    ("name", "market", "step"),
    [
        ("OHLCV_ETH-EUR_BITVAVO_1d_2023-01-01-00-00_2025-08-26-00-00.csv", "ETH-EUR", DAY_MS),
        ("sol-eur.5m.csv", "SOL-EUR", 5 * MINUTE_MS),
        ("2024-01-01_prices.csv", "BTC-EUR", HOUR_MS),
    ],
)
def test_the_name_says_market_and_interval(tmp_path: Path, name: str, market: str, step: int) -> None:
    """What the name does not say is BTC-EUR and the shortest step between two rows."""
    first = JANUARY_2024_MS
    rows = (f"{first + number * step},10,12,9,11,1" for number in (0, 1, 3))
    found = read(file(tmp_path, HEADER, *rows, name=name))
    assert (found.market, found.step_ms) == (market, step)


@pytest.mark.parametrize(
    ("lines", "line"),
    [
        ((HEADER, ROW, "2024-01-01T01:00:00Z,11,13,10,12"), 3),
        ((HEADER, ROW, "yesterday,11,13,10,12,1"), 3),
        ((HEADER, "2024-01-01T00:00:00Z,10,12,9,eleven,3.5"), 2),
        ((HEADER, "2024-01-01T00:00:00Z,10,12,9,NaN,3.5"), 2),
        ((HEADER, "2024-01-01T00:00:00Z,10,12,9,Infinity,3.5"), 2),
        ((HEADER, "2024-01-01T00:00:00Z,10,9,12,11,3.5"), 2),
        ((HEADER, "2024-01-01T00:00:00Z,0,0,0,0,3.5"), 2),
        ((HEADER, "2024-01-01T00:00:00Z,10,12,9,11,-1"), 2),
        ((HEADER, ROW, NEXT, ROW), 4),
        ((HEADER, ROW, "2024-01-01T00:30:00Z,11,13,10,12,1"), 3),
        (("time,price", ROW), 1),
    ],
)
def test_a_malformed_line_is_named_in_one_line(tmp_path: Path, lines: tuple[str, ...], line: int) -> None:
    """The sentence begins with the file and the number of its line."""
    path = file(tmp_path, *lines)
    with pytest.raises(CandleError) as raised:
        load(path)
    assert str(raised.value).startswith(f"{path}:{line}: ")
    assert "\n" not in str(raised.value)


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    """Bytes that are not UTF-8 are refused at their line."""
    path = tmp_path / "BTC-EUR_1h.csv"
    path.write_bytes(HEADER.encode() + b"\n\xff\xfe\n")
    with pytest.raises(CandleError, match=r":2: is not UTF-8 text"):
        load(path)


@pytest.mark.parametrize("lines", [(), (HEADER,)])
def test_a_file_without_candles_is_named(tmp_path: Path, lines: tuple[str, ...]) -> None:
    """An empty file, or one with a header alone."""
    with pytest.raises(CandleError, match="holds no candle"):
        load(file(tmp_path, *lines))


def test_a_path_without_files_is_named(tmp_path: Path) -> None:
    """Neither a missing path nor an empty folder passes for prices; other quotes than EUR are refused."""
    with pytest.raises(CandleError, match="no such file or folder"):
        load(tmp_path / "nowhere")
    with pytest.raises(CandleError, match=r"holds no \.csv file"):
        load(tmp_path)
    with pytest.raises(CandleError, match="names BTC-USDC"):
        load(file(tmp_path, HEADER, ROW, name="BTC-USDC_1h.csv"))


def test_a_folder_gives_the_finest_series_of_each_market(tmp_path: Path) -> None:
    """Of two files of one market the one with the shorter interval is used."""
    file(tmp_path, HEADER, ROW, name="ADA-EUR_1d.csv")
    file(tmp_path, HEADER, ROW, name="ADA-EUR_1h.csv")
    file(tmp_path, HEADER, ROW, name="DOT-EUR_4h.csv")
    assert {name: one.step_ms for name, one in load(tmp_path).items()} == {
        "ADA-EUR": HOUR_MS,
        "DOT-EUR": 4 * HOUR_MS,
    }


def test_the_last_closed_candle_ends_now(tmp_path: Path) -> None:
    """Candles move by whole intervals: the last one closed when the running interval began."""
    exchange = create_exchange(clock=Clock(Source()), candles=file(tmp_path, HEADER, ROW, NEXT))
    rows = exchange.engine.makers["BTC-EUR"].path.candles("1h", 0, START_MS, 10, START_MS)
    assert [row.at for row in rows] == [THIS_HOUR_MS, THIS_HOUR_MS - HOUR_MS, THIS_HOUR_MS - 2 * HOUR_MS]
    assert texts(rows[1].close, rows[2].volume) == "12 3.5"


def test_the_exchange_says_where_its_prices_come_from(tmp_path: Path) -> None:
    """The source names the file, and what the generator made."""
    exchange = create_exchange(candles=file(tmp_path, HEADER, ROW, NEXT))
    assert exchange.source == (
        f"BTC-EUR 1h from BTC-EUR_1h.csv; seeded generator (seed {DEFAULT_SEED}) for 23 markets"
    )


def test_a_market_beyond_the_table_gets_a_row_of_its_own(tmp_path: Path) -> None:
    """A file of any EUR market makes that market tradable."""
    exchange = create_exchange(candles=file(tmp_path, HEADER, ROW, name="NEW-EUR_1h.csv"))
    assert exchange.engine.markets["NEW-EUR"].tick == Decimal("0.001")
    assert len(exchange.engine.markets) == 25


def test_coarse_candles_are_sums_of_fine_ones_and_gaps_stay() -> None:
    """Open of the first, extremes of all, close of the last, volumes added; no row where there is none."""
    held = series((0, "10 12 9 11"), (1, "11 14 11 13"), (9, "13 13 8 9"))
    rows = path_of(held).candles("4h", 0, 10 * HOUR_MS, 10, 10 * HOUR_MS)
    assert rows == [
        candle(8 * HOUR_MS, "13 13 8 9 1"),
        candle(0, "10 14 9 13 2"),
    ]


def test_weeks_begin_on_monday_and_months_on_the_first() -> None:
    """1W and 1M follow the calendar in UTC."""
    held = generate("BTC-EUR", Decimal(100), Decimal("0.01"), seed=3).ending_at(START_MS)
    weeks = path_of(held).candles("1W", 0, START_MS, 100, START_MS)
    months = path_of(held).candles("1M", 0, START_MS, 100, START_MS)
    assert {(row.at // DAY_MS + 3) % 7 for row in weeks[:-1]} == {0}
    assert months[0].at == 1_793_491_200_000
    assert sum(row.volume for row in weeks) == sum(row.volume for row in months)


def test_finer_candles_are_cut_from_the_same_path() -> None:
    """Minutes inside an hour start at its open, touch its extremes and end at its close."""
    held = series((0, "10 12 9 11"))
    rows = path_of(held).candles("5m", 0, HOUR_MS - 1, 100, HOUR_MS)
    assert len(rows) == 12
    assert texts(rows[-1].open, min(row.low for row in rows), max(row.high for row in rows)) == "10 9 12"
    assert abs(rows[0].close - 11) <= Decimal("0.1")


def test_after_its_end_a_series_goes_on_from_its_last_close() -> None:
    """The next candle is the first one again, scaled: the price neither ends nor jumps."""
    held = series((0, "10 12 9 11"), (1, "11 22 11 20"))
    later = path_of(held)
    assert later.price(2 * HOUR_MS) == 20
    rows = later.candles("1h", 2 * HOUR_MS, 3 * HOUR_MS, 10, 4 * HOUR_MS)
    assert [row.close for row in rows] == [40, 22]
    assert later.price(4 * HOUR_MS) == 40


def test_a_price_stays_inside_its_candle_and_reaches_its_extremes() -> None:
    """The path runs open, low, high, close in a rising candle, and high before low in a falling one."""
    path = path_of(series((0, "10 12 9 11"), (1, "11 12 9 10")))
    thirds = [path.price(third * HOUR_MS // 3) for third in range(6)]
    assert thirds == [10, 9, 12, 11, 12, 9]
    assert texts(*path.extremes(0, HOUR_MS)) == "9 12"
    assert texts(*path.extremes(0, HOUR_MS // 6)) == "9.5 10"


def test_the_generator_makes_the_same_prices_from_the_same_seed() -> None:
    """Two runs agree; another seed does not."""
    one, same, other = (generate("BTC-EUR", Decimal(100), Decimal("0.01"), seed) for seed in (1, 1, 2))
    assert one == same
    assert one != other
    assert abs(one.candles[-1].close - 100) <= Decimal("0.01")


def test_public_data_of_an_exchange_prices_another(tmp_path: Path) -> None:
    """PRICES=bitvavo reads markets and hourly candles over HTTP; here from a simulated exchange."""
    first = create_exchange(candles=file(tmp_path, HEADER, ROW, NEXT))
    with serving(create_app(first)) as address:
        data = fetch(first.clock.now().steady_ms, f"{address}/v2")
    second = create_exchange(candles=data)
    now = second.clock.now().steady_ms // HOUR_MS * HOUR_MS - 1
    assert second.engine.makers["BTC-EUR"].mid(now) == first.engine.makers["BTC-EUR"].mid(now)
    assert f"from {address}/v2" in second.source


def test_public_data_that_cannot_be_had_is_one_line() -> None:
    """No network: the sentence names the address and the way out."""
    with pytest.raises(PublicDataError) as raised:
        fetch(START_MS, "http://127.0.0.1:9")
    assert "127.0.0.1:9" in str(raised.value)
    assert "\n" not in str(raised.value)
