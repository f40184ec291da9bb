"""What can be read: market data from one price path, look-ups that lag, pages, and what reading costs."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest

from local.exchange.foreign import Fate
from tests.exchange.conftest import START_MS, Served
from tests.exchange.trader import ok, refusal

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
RESTING_BUY = {"market": "BTC-EUR", "side": "buy", "orderType": "limit", "amount": "0.001", "price": "49000"}


def test_time_is_the_clock_in_milliseconds_and_nanoseconds(served: Served) -> None:
    """GET /time, public."""
    assert ok(served.public("/time")) == {"time": START_MS, "timeNs": START_MS * 1_000_000}


def test_there_are_twenty_euro_markets_and_more(served: Served) -> None:
    """Rows as recorded in 2026: tickSize set, pricePrecision null, minimums as strings."""
    rows = ok(served.public("/markets"))
    assert len(rows) >= 20
    assert {row["quote"] for row in rows} == {"EUR"}
    btc = ok(served.public("/markets", market="BTC-EUR"))
    assert (btc["minOrderInBaseAsset"], btc["minOrderInQuoteAsset"]) == ("0.00006100", "5.00")
    assert (btc["tickSize"], btc["pricePrecision"], btc["status"]) == ("1.00", None, "trading")
    assert (btc["quantityDecimals"], btc["notionalDecimals"], btc["maxOpenOrders"]) == (8, 2, 100)


def test_assets_name_everything_that_can_be_owned(served: Served) -> None:
    """One row an asset, the euro among them."""
    symbols = {row["symbol"] for row in ok(served.public("/assets"))}
    assert {"EUR", "BTC", "ETH"} <= symbols
    assert ok(served.public("/assets", symbol="BTC"))["name"] == "Bitcoin"


@pytest.mark.parametrize("path", ["/ticker/price", "/ticker/book", "/ticker/24h", "/markets"])
def test_a_ticker_is_an_object_for_one_market_and_an_array_for_all(served: Served, path: str) -> None:
    """As recorded: with market= an object, without it an array."""
    assert ok(served.public(path, market="ETH-EUR"))["market"] == "ETH-EUR"
    assert len(ok(served.public(path))) >= 20
    assert refusal(served.public(path, market="eth-eur")) == (400, 205)


def test_tickers_book_and_candles_tell_the_same_price(served: Served) -> None:
    """All of them are read from one path: bid below price below ask, inside the candle of now."""
    price = Decimal(ok(served.public("/ticker/price", market="ETH-EUR"))["price"])
    top = ok(served.public("/ticker/book", market="ETH-EUR"))
    book = ok(served.public("/ETH-EUR/book", depth=1))
    day = ok(served.public("/ticker/24h", market="ETH-EUR"))
    newest = ok(served.public("/ETH-EUR/candles", interval="1h", limit=1))[0]
    assert Decimal(top["bid"]) < price < Decimal(top["ask"])
    assert book["bids"] == [[top["bid"], top["bidSize"]]]
    assert book["asks"] == [[top["ask"], top["askSize"]]]
    assert book["timestamp"] == START_MS * 1_000_000
    assert Decimal(day["last"]) == price == Decimal(newest[4])
    assert Decimal(day["low"]) <= price <= Decimal(day["high"])
    assert (day["bid"], day["ask"]) == (top["bid"], top["ask"])


def test_the_book_has_depth_on_both_sides(served: Served) -> None:
    """Bids fall and asks rise, no two at one price, as many as were asked for."""
    book = ok(served.public("/ETH-EUR/book", depth=10))
    for side, falling in (("bids", True), ("asks", False)):
        prices = [Decimal(price) for price, _ in book[side]]
        assert len(prices) == 10
        assert prices == sorted(set(prices), reverse=falling)


def test_candles_come_newest_first_with_the_unfinished_one(served: Served) -> None:
    """The first row opened less than an interval ago; the second closed when it opened."""
    rows = ok(served.public("/BTC-EUR/candles", interval="1h"))
    times = [row[0] for row in rows]
    assert times == sorted(times, reverse=True)
    assert times[0] <= START_MS < times[0] + HOUR_MS
    assert all(isinstance(value, str) for value in rows[0][1:])
    assert len(rows) == 1440


def test_candles_have_gaps_where_nobody_traded(served: Served) -> None:
    """An hour without trades has no row."""
    times = [row[0] for row in ok(served.public("/SOL-EUR/candles", interval="1h"))]
    steps = {later - earlier for later, earlier in pairwise(times)}
    assert HOUR_MS in steps
    assert steps - {HOUR_MS}


def test_candles_are_bounded_by_start_end_and_limit(served: Served) -> None:
    """Of the candles that open from start to end, the newest `limit`."""
    end = START_MS - DAY_MS
    start = end - 10 * HOUR_MS
    times = [row[0] for row in ok(served.public("/ETH-EUR/candles", interval="1h", start=start, end=end))]
    assert len(times) >= 9
    assert start <= min(times)
    assert max(times) <= end
    limited = ok(served.public("/ETH-EUR/candles", interval="1h", start=start, end=end, limit=3))
    assert [row[0] for row in limited] == times[:3]


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({}, 203),
        ({"interval": "3h"}, 205),
        ({"interval": "1H"}, 205),
        ({"interval": "1h", "limit": 1441}, 205),
        ({"interval": "1h", "limit": 0}, 205),
        ({"interval": "1h", "start": "yesterday"}, 205),
        ({"interval": "1h", "since": 1}, 200),
    ],
)
def test_a_wrong_parameter_is_named(served: Served, params: dict[str, str | int], code: int) -> None:
    """203 missing, 205 invalid, 200 not supported; `error` names it."""
    answer = served.public("/BTC-EUR/candles", **params)
    assert refusal(answer) == (400, code)
    assert answer.json()["error"].split()[0] in {"interval", "limit", "start", "since"}


def test_an_unknown_path_is_html_without_rate_headers(served: Served) -> None:
    """404 with a page, as the gateway before the real exchange answers."""
    for answer in (served.public("/nonsense"), served.http.put(f"{served.base_url}/v2/time")):
        assert answer.status_code == 404
        assert answer.headers["content-type"].startswith("text/html")
        assert "bitvavo-ratelimit-limit" not in answer.headers


def test_a_look_up_lags_while_lists_do_not(served: Served) -> None:
    """240 until the lag is over although the order is in /ordersOpen; a cancel shows as late."""
    served.admin("/settings", lookup_lag_ms=300)
    order = ok(served.trade.order(**RESTING_BUY))
    one = {"market": "BTC-EUR", "orderId": order["orderId"]}
    served.time.pass_ms(299)
    assert refusal(served.trade.get("/order", **one)) == (404, 240)
    assert len(ok(served.trade.get("/ordersOpen", market="BTC-EUR"))) == 1
    served.time.pass_ms(1)
    assert ok(served.trade.get("/order", **one))["status"] == "new"
    ok(served.trade.delete("/order", **one, operatorId=7))
    served.time.pass_ms(299)
    assert ok(served.trade.get("/order", **one))["status"] == "new"
    served.time.pass_ms(1)
    assert ok(served.trade.get("/order", **one))["status"] == "canceled"


def test_the_client_order_id_wins_over_the_order_id(served: Served) -> None:
    """GET /order with both reads the order that carries the clientOrderId; of several, the newest."""
    name = "0b6f1b34-53a1-4d3c-9d0e-0a4f1c2b3d4e"
    other = ok(served.trade.order(**RESTING_BUY))
    buy = {"market": "BTC-EUR", "side": "buy", "orderType": "market", "amountQuote": "10"}
    ok(served.trade.order(**buy, clientOrderId=name))
    newest = ok(served.trade.order(**buy, clientOrderId=name))
    both = {"market": "BTC-EUR", "orderId": other["orderId"], "clientOrderId": name}
    assert ok(served.trade.get("/order", **both))["orderId"] == newest["orderId"]


def fill_history(served: Served, orders: int, **fields: object) -> Any:
    ok(served.trade.order(**RESTING_BUY))
    served.admin("/markets/BTC-EUR", bids=[["49990", "100"]], asks=[["50010", "100"]])
    served.time.pass_ms(orders * 10)
    return served.admin("/orders", market="BTC-EUR", orders=orders, **fields)["orderIds"]


def test_orders_are_paged_by_time_and_by_id(served: Served) -> None:
    """Newest first, 500 unless told, start and end inclusive, and every page but the last is full."""
    ids = fill_history(served, 700)
    newest = ok(served.trade.get("/orders", market="BTC-EUR"))
    assert [row["orderId"] for row in newest] == ids[:-501:-1]
    rest = ok(served.trade.get("/orders", market="BTC-EUR", end=newest[-1]["created"] - 1, limit=1000))
    assert len(rest) == 201
    assert rest[-1]["price"] == "49000"
    by_id = ok(served.trade.get("/orders", market="BTC-EUR", orderIdFrom=ids[10], orderIdTo=ids[12]))
    assert [row["orderId"] for row in by_id] == ids[12:9:-1]
    start = newest[2]["created"]
    recent = ok(served.trade.get("/orders", market="BTC-EUR", start=start, end=start + DAY_MS))
    assert [row["orderId"] for row in recent] == ids[:-4:-1]


def test_trades_are_paged_by_time_and_by_id(served: Served) -> None:
    """Own fills newest first with their order's ids, bounded by time and by trade id, both inclusive."""
    ids = fill_history(served, 6)
    trades = ok(served.trade.get("/trades", market="BTC-EUR"))
    assert [trade["orderId"] for trade in trades] == ids[::-1]
    bounds = {"tradeIdFrom": trades[3]["id"], "tradeIdTo": trades[1]["id"]}
    assert ok(served.trade.get("/trades", market="BTC-EUR", **bounds)) == trades[1:4]
    until = ok(served.trade.get("/trades", market="BTC-EUR", end=trades[2]["timestamp"], limit=2))
    assert until == trades[2:4]


@pytest.mark.parametrize("path", ["/orders", "/trades"])
def test_a_page_spans_a_day_at_most(served: Served, path: str) -> None:
    """205 for a longer window: the stricter of what the documents say."""
    window = {"start": START_MS - DAY_MS - 1, "end": START_MS}
    assert refusal(served.trade.get(path, market="BTC-EUR", **window)) == (400, 205)
    assert refusal(served.trade.get(path, market="BTC-EUR", limit=1001)) == (400, 205)
    assert refusal(served.trade.get(path)) == (400, 203)


@pytest.mark.parametrize("fate", list(Fate))
def test_foreign_orders_end_as_they_are_told(served: Served, fate: Fate) -> None:
    """The owner's own by hand, or an intruder's: filled, cancelled or open, recorded without a request."""
    ids = fill_history(served, 2, fate=fate, operator_id=99)
    rows = {row["orderId"]: row for row in ok(served.trade.get("/orders", market="BTC-EUR"))}
    words = {Fate.FILLED: "filled", Fate.CANCELED: "canceled", Fate.OPEN: "new"}
    for one in ids:
        assert (rows[one]["status"], rows[one]["operatorId"]) == (words[fate], 99)
    assert [one["request"] for one in served.record()[1:]] == [None, None]


def test_public_trades_show_what_was_traded(served: Served) -> None:
    """GET /{market}/trades: both sides of the same event, without who."""
    fill_history(served, 2)
    trades = ok(served.public("/BTC-EUR/trades"))
    assert [(trade["side"], trade["price"]) for trade in trades] == [("sell", "49990"), ("buy", "50010")]


def test_an_account_sees_fees_and_balances(served: Served) -> None:
    """Default rates 0.25 % and 0.15 %; what an open order holds is in order, not available."""
    ok(served.trade.order(**RESTING_BUY))
    assert ok(served.readonly.get("/account"))["fees"] == {
        "tier": 0,
        "volume": "0",
        "taker": "0.0025",
        "maker": "0.0015",
    }
    euro = {"symbol": "EUR", "available": "9950.87", "inOrder": "49.13"}
    assert ok(served.readonly.get("/balance", symbol="EUR")) == [euro]
    assert {row["symbol"] for row in ok(served.readonly.get("/balance"))} == {"BTC", "ETH", "EUR"}


def test_points_are_charged_by_key_and_by_address(served: Served) -> None:
    """Each answer tells limit, what is left of it and when it is whole again: the next whole minute."""
    served.admin("/limits", points=1000)
    headers = served.public("/time").headers
    assert headers["bitvavo-ratelimit-limit"] == "1000"
    assert headers["bitvavo-ratelimit-remaining"] == "999"
    assert headers["bitvavo-ratelimit-resetat"] == str(START_MS + 60_000 - START_MS % 60_000)
    assert served.trade.get("/balance").headers["bitvavo-ratelimit-remaining"] == "995"
    assert served.trade.get("/time").headers["bitvavo-ratelimit-remaining"] == "994"
    assert served.readonly.get("/time").headers["bitvavo-ratelimit-remaining"] == "999"
    assert served.public("/ticker/24h").headers["bitvavo-ratelimit-remaining"] == "974"
    served.time.pass_ms(60_000)
    assert served.public("/time").headers["bitvavo-ratelimit-remaining"] == "999"


@pytest.mark.parametrize(
    ("path", "params", "points"),
    [
        ("/ordersOpen", {"market": "BTC-EUR"}, 5),
        ("/ordersOpen", {}, 100),
        ("/orders", {"market": "BTC-EUR"}, 5),
        ("/trades", {"market": "BTC-EUR"}, 5),
        ("/order", {"market": "BTC-EUR", "orderId": "x"}, 1),
        ("/ticker/24h", {"market": "BTC-EUR"}, 1),
        ("/account", {}, 1),
    ],
)
def test_each_call_has_its_price(served: Served, path: str, params: dict[str, str], points: int) -> None:
    """The later, higher weights of the documents."""
    served.admin("/limits", points=1000)
    assert served.trade.get(path, **params).headers["bitvavo-ratelimit-remaining"] == str(1000 - points)


def test_over_the_limit_a_key_is_banned_for_a_minute(served: Served) -> None:
    """429 with code 105, whose text says until when; nobody else is affected."""
    served.admin("/limits", points=10)
    ok(served.trade.get("/balance"))
    ok(served.trade.get("/balance"))
    banned = served.trade.get("/time")
    assert refusal(banned) == (429, 105)
    assert banned.json()["error"].endswith(f"The ban expires at {START_MS + 60_000}.")
    ok(served.readonly.get("/time"))
    ok(served.public("/time"))
    served.time.pass_ms(59_999)
    assert refusal(served.trade.get("/time")) == (429, 105)
    served.time.pass_ms(1)
    ok(served.trade.get("/time"))


def test_over_the_limit_an_address_is_banned_for_a_quarter_of_an_hour(served: Served) -> None:
    """The ban of unsigned calls is by address, and signed calls from there still pass."""
    served.admin("/limits", points=1)
    ok(served.public("/time"))
    assert refusal(served.public("/time")) == (429, 105)
    ok(served.trade.get("/time"))
    elsewhere = served.http.get(f"{served.base_url}/v2/time", headers={"X-Forwarded-For": "10.1.2.3"})
    assert ok(elsewhere)["time"] == START_MS
    served.time.pass_ms(15 * 60_000 - 1)
    assert refusal(served.public("/time")) == (429, 105)
    served.time.pass_ms(1)
    ok(served.public("/time"))


def test_the_clock_has_a_speed_and_can_be_moved(served: Served) -> None:
    """Time passes as fast as told, jumps ahead with all that happens in it, and can be shown wrongly."""
    served.admin("/clock", speed=60)
    served.time.pass_ms(1000)
    assert served.now_ms() == START_MS + 60_000
    served.admin("/clock", speed=0, advance_ms=HOUR_MS, offset_ms=-5000)
    served.time.pass_ms(1000)
    assert ok(served.public("/time"))["time"] == START_MS + 60_000 + HOUR_MS - 5000


def test_a_resting_order_meets_every_price_that_passed(served: Served) -> None:
    """What the price did between two calls is not missed, also when time jumped over it."""
    price = Decimal(ok(served.public("/ticker/price", market="ETH-EUR"))["price"])
    limit = (price * Decimal("0.99")).quantize(Decimal("0.1"))
    asked = {"market": "ETH-EUR", "side": "buy", "orderType": "limit", "amount": "0.01", "price": str(limit)}
    order = ok(served.trade.order(**asked))
    path = served.exchange.engine.makers["ETH-EUR"].path
    low, _ = path.extremes(START_MS, START_MS + 10 * DAY_MS)
    assert low < limit < price
    served.admin("/clock", advance_ms=10 * DAY_MS)
    final = ok(served.trade.get("/order", market="ETH-EUR", orderId=order["orderId"]))
    assert (final["status"], final["fills"][0]["price"], final["fills"][0]["taker"]) == (
        "filled",
        str(limit),
        False,
    )


@pytest.mark.parametrize(
    ("path", "command"),
    [
        ("/clock", {"speed": -1}),
        ("/settings", {"words": "latin"}),
        ("/settings", {"colour": "red"}),
        ("/orders", {"market": "XYZ-EUR"}),
        ("/markets/XYZ-EUR", {}),
        ("/keys/unknown", {}),
    ],
)
def test_a_wrong_command_is_answered_with_a_sentence(
    served: Served, path: str, command: dict[str, object]
) -> None:
    """The admin routes refuse what they do not understand."""
    answer = served.http.post(f"{served.base_url}/_admin{path}", json=command)
    assert answer.status_code in (400, 404)
    assert answer.json()["error"]
