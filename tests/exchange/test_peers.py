"""Clients that others wrote for the real exchange, pointed at the simulated one and otherwise unmodified."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import ccxt  # type: ignore[import-untyped]  # ships no types
import pytest
import requests
from python_bitvavo_api.bitvavo import Bitvavo  # type: ignore[import-untyped]  # likewise

from local.exchange.app import create_app
from local.exchange.engine import Settings
from local.exchange.exchange import create_exchange
from local.exchange.faults import ExchangeFaultRequest
from local.exchange.keys import TRADE_KEY, TRADE_SECRET
from local.faults.plan import FaultPlan
from local.faults.serving import serving

OPERATOR_ID = 7
Faults = FaultPlan[ExchangeFaultRequest]


@pytest.fixture(scope="module")
def faults() -> Faults:
    return FaultPlan()


@pytest.fixture(scope="module")
def address(faults: Faults) -> Iterator[str]:
    exchange = create_exchange(candles=None, settings=Settings(lookup_lag_ms=0))
    with serving(create_app(exchange, faults)) as base_url:
        yield base_url


@pytest.fixture(scope="module")
def official(address: str) -> Any:
    """The official Python client, by its documented option for another address."""
    return Bitvavo({"APIKEY": TRADE_KEY, "APISECRET": TRADE_SECRET, "RESTURL": f"{address}/v2", "TIMEOUT": 5})


def ccxt_client(address: str, secret: str = TRADE_SECRET) -> Any:
    """ccxt by its documented way to another address."""
    client = ccxt.bitvavo(
        {
            "apiKey": TRADE_KEY,
            "secret": secret,
            "timeout": 5000,
            "enableRateLimit": False,
            "options": {"operatorId": OPERATOR_ID},
        }
    )
    client.urls["api"] = {"public": address, "private": address}
    return client


@pytest.fixture(scope="module")
def library(address: str) -> Any:
    client = ccxt_client(address)
    client.load_markets()
    return client


def test_the_official_client_reads_the_market(official: Any) -> None:
    """Time, markets, assets, tickers, book, candles and public trades."""
    assert official.time()["time"] > 0
    assert {market["market"] for market in official.markets()} >= {"BTC-EUR", "ETH-EUR"}
    assert official.markets({"market": "BTC-EUR"})["status"] == "trading"
    assert official.assets({"symbol": "BTC"})["name"] == "Bitcoin"
    price = float(official.tickerPrice({"market": "BTC-EUR"})["price"])
    top = official.tickerBook({"market": "BTC-EUR"})
    assert float(top["bid"]) <= price <= float(top["ask"])
    assert official.ticker24h({"market": "BTC-EUR"})["market"] == "BTC-EUR"
    assert len(official.book("BTC-EUR", {"depth": 5})["asks"]) == 5
    assert len(official.candles("BTC-EUR", "1h", {}, limit=3)) == 3
    assert isinstance(official.publicTrades("BTC-EUR"), list)


def test_the_official_client_trades(official: Any) -> None:
    """A market buy, a limit order that rests, is fetched, listed and cancelled; trades, balance, fees."""
    name = str(uuid4())
    bought = official.placeOrder(
        "BTC-EUR", "buy", "market", {"amountQuote": "50", "operatorId": OPERATOR_ID, "clientOrderId": name}
    )
    assert (bought["status"], bought["clientOrderId"]) == ("filled", name)
    assert official.trades("BTC-EUR")[0]["orderId"] == bought["orderId"]
    limit = {"amount": "0.001", "price": "20000", "operatorId": OPERATOR_ID}
    resting = official.placeOrder("BTC-EUR", "buy", "limit", limit)["orderId"]
    assert official.getOrder("BTC-EUR", resting)["status"] == "new"
    assert [order["orderId"] for order in official.ordersOpen({"market": "BTC-EUR"})] == [resting]
    assert official.cancelOrder("BTC-EUR", resting, OPERATOR_ID)["orderId"] == resting
    assert official.getOrders("BTC-EUR")[0]["status"] == "canceled"
    assert {row["symbol"] for row in official.balance()} >= {"EUR", "BTC"}
    assert official.account()["fees"]["taker"] == "0.0025"
    assert official.getRemainingLimit() < 1000


def test_the_official_client_sees_the_errors_it_knows(official: Any, address: str, faults: Faults) -> None:
    """Refusals as the objects it documents; a page of HTML and a lost answer as it has always seen them."""
    nobody = Bitvavo({"APIKEY": TRADE_KEY, "APISECRET": "wrong", "RESTURL": f"{address}/v2"})
    assert nobody.balance()["errorCode"] == 309
    assert official.cancelOrder("BTC-EUR", str(uuid4()))["errorCode"] == 203
    assert official.getOrder("BTC-EUR", str(uuid4()))["errorCode"] == 240
    too_much = {"amount": "100", "price": "20000", "operatorId": OPERATOR_ID}
    assert official.placeOrder("BTC-EUR", "buy", "limit", too_much)["errorCode"] == 216
    faults.add(ExchangeFaultRequest(name="error_502", on="GET /time"))
    with pytest.raises(requests.exceptions.JSONDecodeError):
        official.time()
    faults.add(ExchangeFaultRequest(name="drop_answer", on="POST /order"))
    with pytest.raises(requests.exceptions.ConnectionError):
        official.placeOrder("BTC-EUR", "buy", "market", {"amountQuote": "5", "operatorId": OPERATOR_ID})
    faults.add(ExchangeFaultRequest(name="storm", on="GET /time"))
    assert official.time()["errorCode"] == 105
    assert official.getRemainingLimit() == 0


def test_ccxt_reads_the_market(library: Any) -> None:
    """Markets with their precisions and limits, tickers, book, candles, time."""
    market = library.market("BTC/EUR")
    assert (market["precision"]["price"], market["precision"]["amount"]) == (1.0, 1e-08)
    assert market["limits"]["cost"]["min"] == 5.0
    assert len(library.symbols) >= 20
    assert library.fetch_time() > 0
    ticker = library.fetch_ticker("BTC/EUR")
    assert ticker["bid"] < ticker["last"] < ticker["ask"]
    assert len(library.fetch_tickers()) == len(library.symbols)
    book = library.fetch_order_book("BTC/EUR", 5)
    assert book["bids"][0][0] < book["asks"][0][0]
    candles = library.fetch_ohlcv("BTC/EUR", "1h", limit=3)
    assert [candle[0] for candle in candles] == sorted(candle[0] for candle in candles)
    assert isinstance(library.fetch_trades("BTC/EUR"), list)


def test_ccxt_trades(library: Any) -> None:
    """A market buy by cost, a market sale, a limit order created, fetched, listed, cancelled; trades."""
    before = library.fetch_balance()["EUR"]["total"]
    bought = library.create_order("BTC/EUR", "market", "buy", 0.001, None, {"cost": 50})
    assert bought["status"] == "closed"
    assert library.fetch_balance()["EUR"]["total"] == pytest.approx(before - 50)
    sold = library.create_order("BTC/EUR", "market", "sell", 0.0005)
    assert (sold["status"], sold["filled"], sold["fee"]["currency"]) == ("closed", 0.0005, "EUR")
    resting = library.create_order("BTC/EUR", "limit", "buy", 0.001, 20000, {"postOnly": True})
    assert library.fetch_order(resting["id"], "BTC/EUR")["status"] == "open"
    assert [order["id"] for order in library.fetch_open_orders("BTC/EUR")] == [resting["id"]]
    assert library.fetch_balance()["EUR"]["used"] == pytest.approx(20.05)
    library.cancel_order(resting["id"], "BTC/EUR")
    assert library.fetch_order(resting["id"], "BTC/EUR")["status"] == "canceled"
    assert {order["id"] for order in library.fetch_orders("BTC/EUR")} >= {bought["id"], sold["id"]}
    assert library.fetch_my_trades("BTC/EUR")[-1]["order"] == sold["id"]
    assert library.fetch_trading_fees()["BTC/EUR"]["taker"] == 0.0025


def test_ccxt_sees_the_errors_it_knows(library: Any, address: str, faults: Faults) -> None:
    """Each refusal is the exception that ccxt has for its code; outages are network errors."""
    with pytest.raises(ccxt.AuthenticationError):
        ccxt_client(address, "wrong").fetch_balance()
    with pytest.raises(ccxt.InsufficientFunds):
        library.create_order("BTC/EUR", "limit", "buy", 100, 20000)
    with pytest.raises(ccxt.InvalidOrder):
        library.create_order("BTC/EUR", "market", "sell", 0.00005)
    with pytest.raises(ccxt.OrderNotFound):
        library.fetch_order(str(uuid4()), "BTC/EUR")
    with pytest.raises(ccxt.OrderNotFound):
        library.cancel_order(str(uuid4()), "BTC/EUR")
    with pytest.raises(ccxt.BadRequest):
        library.fetch_ohlcv("BTC/EUR", "3h")
    faults.add(ExchangeFaultRequest(name="error_503", on="POST /order", code=107, done=False))
    with pytest.raises(ccxt.ExchangeNotAvailable):
        library.create_order("BTC/EUR", "market", "sell", 0.0005)
    faults.add(ExchangeFaultRequest(name="drop_answer", on="POST /order"))
    with pytest.raises(ccxt.NetworkError):
        library.create_order("BTC/EUR", "market", "sell", 0.0005)
    faults.add(ExchangeFaultRequest(name="error_502", on="GET /time"))
    with pytest.raises(ccxt.ExchangeNotAvailable):
        library.fetch_time()
    faults.add(ExchangeFaultRequest(name="storm", on="GET /time"))
    with pytest.raises(ccxt.RateLimitExceeded):
        library.fetch_time()
