"""Orders over HTTP: what is refused and how, what becomes of what is accepted."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest

from local.exchange.clock import Clock
from local.exchange.exchange import create_exchange
from tests.exchange.conftest import Served
from tests.exchange.trader import ok, refusal

MARKET_BUY = {"market": "BTC-EUR", "side": "buy", "orderType": "market", "amountQuote": "100"}
LIMIT_BUY = {"market": "BTC-EUR", "side": "buy", "orderType": "limit", "amount": "0.001", "price": "50010"}
RESTING_BUY = LIMIT_BUY | {"price": "49000"}
# More than the first ask of 0.02, at no more than its price.
GREEDY_BUY = LIMIT_BUY | {"amount": "0.05"}


def without(name: str) -> dict[str, object]:
    return LIMIT_BUY | {name: None}


@pytest.mark.parametrize(
    ("order", "code"),
    [
        (without("market"), 203),
        (without("side"), 203),
        (without("orderType"), 203),
        (without("amount"), 203),
        (without("price"), 203),
        (without("operatorId"), 203),
        (LIMIT_BUY | {"operatorId": "7"}, 203),
        (LIMIT_BUY | {"operatorId": True}, 203),
        (LIMIT_BUY | {"operatorId": 0}, 205),
        (LIMIT_BUY | {"operatorId": 2**63}, 205),
        (LIMIT_BUY | {"market": "btc-eur"}, 205),
        (LIMIT_BUY | {"side": "BUY"}, 205),
        (LIMIT_BUY | {"orderType": "Limit"}, 205),
        (LIMIT_BUY | {"clientOrderId": "my-order"}, 205),
        (LIMIT_BUY | {"amount": 0.001}, 205),
        (LIMIT_BUY | {"amount": "1e-3"}, 205),
        (LIMIT_BUY | {"amount": "-1"}, 205),
        (LIMIT_BUY | {"amount": "NaN"}, 205),
        (LIMIT_BUY | {"timeInForce": "DAY"}, 205),
        (LIMIT_BUY | {"postOnly": "yes"}, 205),
        (LIMIT_BUY | {"selfTradePrevention": "never"}, 205),
        (LIMIT_BUY | {"disableMarketProtection": True}, 205),
        (LIMIT_BUY | {"colour": "red"}, 201),
        (LIMIT_BUY | {"amountQuote": "10"}, 202),
        (MARKET_BUY | {"timeInForce": "IOC"}, 202),
        (MARKET_BUY | {"price": "50000"}, 202),
        (MARKET_BUY | {"amount": "0.001"}, 206),
        (MARKET_BUY | {"amountQuote": "4.6165"}, 205),
        (MARKET_BUY | {"amountQuote": "4.99"}, 217),
        (LIMIT_BUY | {"amount": "0.000060"}, 212),
        (LIMIT_BUY | {"amount": "0.0001", "price": "49000"}, 217),
        (LIMIT_BUY | {"amount": "0.000000001"}, 429),
        (LIMIT_BUY | {"amount": "0.12345678901234567890", "price": "99999999999999999999"}, 211),
        (LIMIT_BUY | {"amount": "1" * 21}, 205),
        (LIMIT_BUY | {"amount": "2000000000"}, 210),
        (LIMIT_BUY | {"price": "50010.5"}, 422),
        (LIMIT_BUY | {"price": "0.0000000000000001"}, 213),
        (LIMIT_BUY | {"price": "200000000000"}, 211),
        (LIMIT_BUY | {"amount": "1"}, 216),
    ],
)
def test_a_bad_order_is_refused_with_its_code(served: Served, order: dict[str, object], code: int) -> None:
    """Every refusal is HTTP 400 with the code of the error table, and nothing is accepted."""
    assert refusal(served.trade.order(**order)) == (400, code)
    assert served.record() == []
    assert served.available("EUR") == "10000"


def test_a_body_that_is_not_a_json_object_is_refused(served: Served) -> None:
    """102: invalid JSON."""
    for body in (b"", b"{", b"[]", b'{"amount": NaN}'):
        assert refusal(served.trade.send("POST", "/order", {}, body)) == (400, 102)


@pytest.mark.parametrize(
    ("status", "code"), [("halted", 423), ("cancelOnly", 424), ("auction", 425), ("auctionMatching", 426)]
)
def test_a_market_that_does_not_trade_takes_no_order(served: Served, status: str, code: int) -> None:
    """423 to 426 say why; an open order can still be cancelled, and the frozen ticker still be read."""
    resting = ok(served.trade.order(**RESTING_BUY))
    assert served.admin("/markets/BTC-EUR", status=status)["status"] == status
    assert refusal(served.trade.order(**LIMIT_BUY)) == (400, code)
    assert ok(served.public("/ticker/book", market="BTC-EUR"))["bid"] == "49990"
    cancel = {"market": "BTC-EUR", "orderId": resting["orderId"], "operatorId": 7}
    ok(served.trade.delete("/order", **cancel))


def test_before_the_tick_size_digits_were_counted(served: Served) -> None:
    """214: with pricePrecision 5 a price of six significant digits is too detailed, and tickSize is null."""
    row = served.admin("/markets/BTC-EUR", price_precision=5)
    assert (row["tickSize"], row["pricePrecision"]) == (None, 5)
    assert refusal(served.trade.order(**(LIMIT_BUY | {"price": "50010.5"}))) == (400, 214)


def test_a_market_buy_spends_its_quote_amount(served: Served) -> None:
    """The order object has the documented fields, and the balance moved by exactly amountQuote."""
    order = ok(served.trade.order(**MARKET_BUY, clientOrderId=(name := str(uuid4()))))
    assert order["clientOrderId"] == name
    assert (order["status"], order["operatorId"], order["amountQuoteRemaining"]) == ("filled", 7, "0")
    assert (order["filledAmount"], order["filledAmountQuote"]) == ("0.00199461", "99.7504461")
    assert (order["feePaid"], order["feeCurrency"]) == ("0.2495539", "EUR")
    assert [fill["price"] for fill in order["fills"]] == ["50010"]
    assert served.available("EUR") == "9900"
    assert served.available("BTC") == "0.25199461"


def test_an_order_walks_thin_levels(served: Served) -> None:
    """A market order larger than the best level goes on to the next one."""
    order = ok(served.trade.order(**(MARKET_BUY | {"amountQuote": None, "amount": "0.03"})))
    assert [(fill["price"], fill["amount"]) for fill in order["fills"]] == [
        ("50010", "0.02"),
        ("50100", "0.01"),
    ]


def test_what_was_taken_is_gone_until_the_book_fills_up(served: Served) -> None:
    """The second taker meets a thinner book; ten seconds later the market maker quotes anew."""
    twin = create_exchange(clock=Clock(served.time), candles=None)
    twin.engine.makers["ETH-EUR"].pinned_price = Decimal(3900)
    served.admin("/markets/ETH-EUR", price="3900")
    best = ok(served.public("/ticker/book", market="ETH-EUR"))
    take = MARKET_BUY | {"market": "ETH-EUR", "amountQuote": None, "amount": best["askSize"]}
    assert [fill["price"] for fill in ok(served.trade.order(**take))["fills"]] == [best["ask"]]
    assert float(ok(served.public("/ticker/book", market="ETH-EUR"))["ask"]) > float(best["ask"])
    served.admin("/clock", speed=0, advance_ms=10_000)
    twin.clock.advance(10_000)
    untouched = twin.engine.book("ETH-EUR", twin.clock.now()).asks
    book = ok(served.public("/ETH-EUR/book"))["asks"]
    assert [(Decimal(price), Decimal(amount)) for price, amount in book] == list(untouched)


def test_gtc_rests_with_what_is_left_and_fills_later(served: Served) -> None:
    """The rest of a limit order waits at its price, and trades when the price comes to it."""
    order = ok(served.trade.order(**GREEDY_BUY))
    assert (order["status"], order["amountRemaining"], order["onHold"]) == (
        "partiallyFilled",
        "0.03",
        "1504.0595",
    )
    served.admin("/markets/BTC-EUR", bids=[["49980", "1"]], asks=[["50000", "0.01"], ["50010", "0.005"]])
    assert look(served, order)["amountRemaining"] == "0.015"
    served.admin("/markets/BTC-EUR", bids=[["49980", "1"]], asks=[["50000", "1"]])
    final = look(served, order)
    assert (final["status"], final["amountRemaining"], final["onHold"]) == ("filled", "0", "0")
    assert [fill["taker"] for fill in final["fills"]] == [True, False, False, False]


@pytest.mark.parametrize(
    ("fields", "filled", "new_words", "old_words"),
    [
        (GREEDY_BUY | {"timeInForce": "IOC"}, "0.02", "canceled", "canceledIOC"),
        (GREEDY_BUY | {"timeInForce": "FOK"}, "0", "canceled", "canceledFOK"),
        (LIMIT_BUY | {"postOnly": True}, "0", "canceled", "canceledPostOnly"),
        (LIMIT_BUY | {"timeInForce": "FOK"}, "0.001", "filled", "filled"),
    ],
)
def test_a_final_status_says_why_in_old_words_and_less_in_new_ones(
    served: Served, fields: dict[str, object], filled: str, new_words: str, old_words: str
) -> None:
    """A final order may carry fills; filledAmount decides. Nothing stays on hold."""
    order = ok(served.trade.order(**fields))
    assert (order["status"], order["filledAmount"], order["onHold"]) == (new_words, filled, "0")
    served.admin("/settings", words="old")
    assert look(served, order)["status"] == old_words


def test_a_market_order_without_enough_liquidity_expires(served: Served) -> None:
    """`expired`, final and partly filled; the unspent quote comes back to the cent."""
    served.admin("/markets/BTC-EUR", asks=[["50010", "0.001"]], bids=[])
    order = ok(served.trade.order(**MARKET_BUY))
    assert (order["status"], order["filledAmount"]) == ("expired", "0.001")
    assert served.available("EUR") == "9949.86"


def test_market_protection_cuts_a_market_order_short(served: Served) -> None:
    """A price 10 % worse than the first is not taken, and restatementReason says so."""
    served.admin("/markets/BTC-EUR", asks=[["50000", "0.001"], ["56000", "1"]], bids=[])
    order = ok(served.trade.order(**MARKET_BUY))
    assert (order["status"], order["filledAmount"]) == ("canceled", "0.001")
    assert order["restatementReason"] == "cancelOnExecutionPriceProtection"
    served.admin("/settings", words="old")
    assert look(served, order)["status"] == "canceledMarketProtection"


@pytest.mark.parametrize(
    ("rule", "resting", "incoming"),
    [
        ("decrementAndCancel", "canceledSelfTradePrevention", "new"),
        ("cancelOldest", "canceledSelfTradePrevention", "new"),
        ("cancelNewest", "new", "canceledSelfTradePrevention"),
        ("cancelBoth", "canceledSelfTradePrevention", "canceledSelfTradePrevention"),
    ],
)
def test_an_account_never_trades_with_itself(served: Served, rule: str, resting: str, incoming: str) -> None:
    """The four rules of self-trade prevention decide which order gives way; no fill is made."""
    served.admin("/settings", words="old")
    sell = ok(served.trade.order(**(LIMIT_BUY | {"side": "sell", "price": "50005"})))
    bought = LIMIT_BUY | {"amount": "0.003", "price": "50005", "selfTradePrevention": rule}
    buy = ok(served.trade.order(**bought))
    assert (look(served, sell)["status"], look(served, buy)["status"]) == (resting, incoming)
    assert ok(served.trade.get("/trades", market="BTC-EUR")) == []
    assert look(served, buy)["amountRemaining"] == ("0.002" if rule == "decrementAndCancel" else "0.003")


def test_decrementing_takes_the_smaller_from_the_larger(served: Served) -> None:
    """The smaller order is cancelled, the larger loses as much and says so."""
    sell = ok(served.trade.order(**(LIMIT_BUY | {"side": "sell", "price": "50005", "amount": "0.003"})))
    buy = ok(served.trade.order(**(LIMIT_BUY | {"price": "50005"})))
    assert (buy["status"], buy["restatementReason"]) == ("canceled", "cancelOnSelfTradePrevention")
    left = look(served, sell)
    assert (left["status"], left["amountRemaining"], left["filledAmount"]) == ("new", "0.002", "0")
    assert left["restatementReason"] == "decrementOnSelfTradePrevention"


def test_a_client_order_id_is_unique_among_open_orders_only(served: Served) -> None:
    """220 while the first is open; once it closed, a careless client really buys twice."""
    name = str(uuid4())
    resting = ok(served.trade.order(**RESTING_BUY, clientOrderId=name))
    assert refusal(served.trade.order(**MARKET_BUY, clientOrderId=name)) == (400, 220)
    ok(served.trade.delete("/order", market="BTC-EUR", clientOrderId=name, operatorId=7))
    first = ok(served.trade.order(**MARKET_BUY, clientOrderId=name))
    second = ok(served.trade.order(**MARKET_BUY, clientOrderId=name))
    assert len({resting["orderId"], first["orderId"], second["orderId"]}) == 3
    assert served.available("EUR") == "9800"
    assert [one["clientOrderId"] for one in served.record()] == [name] * 3


def test_an_order_id_is_unique_in_its_market_only(served: Served) -> None:
    """The first orders of two markets have the same orderId: the market belongs to the key."""
    one = ok(served.trade.order(**RESTING_BUY))
    other = ok(served.trade.order(**(MARKET_BUY | {"market": "ETH-EUR"})))
    assert one["orderId"] == other["orderId"]
    assert look(served, one)["market"] == "BTC-EUR"
    assert look(served, other)["market"] == "ETH-EUR"


def test_cancelling_names_operator_and_order(served: Served) -> None:
    """203 without operatorId or order, 240 when the order is not active; the answer has three ids."""
    name = str(uuid4())
    order = ok(served.trade.order(**RESTING_BUY, clientOrderId=name))
    both = {"market": "BTC-EUR", "orderId": order["orderId"]}
    assert refusal(served.trade.delete("/order", **both)) == (400, 203)
    assert refusal(served.trade.delete("/order", market="BTC-EUR", operatorId=7)) == (400, 203)
    canceled = ok(served.trade.delete("/order", **both, operatorId=7))
    assert canceled == {"orderId": order["orderId"], "clientOrderId": name, "operatorId": 7}
    assert refusal(served.trade.delete("/order", **both, operatorId=7)) == (404, 240)
    assert look(served, order)["status"] == "canceled"
    assert served.available("EUR") == "10000"


def test_all_open_orders_of_a_market_can_be_cancelled(served: Served) -> None:
    """DELETE /orders answers with what it cancelled."""
    ids = {ok(served.trade.order(**RESTING_BUY))["orderId"] for _ in range(3)}
    canceled = ok(served.trade.delete("/orders", market="BTC-EUR", operatorId=7))
    assert {one["orderId"] for one in canceled} == ids
    assert ok(served.trade.get("/ordersOpen", market="BTC-EUR")) == []


def test_too_many_open_orders_are_refused(served: Served) -> None:
    """235 beyond maxOpenOrders."""
    served.admin("/markets/BTC-EUR", max_open_orders=1)
    ok(served.trade.order(**RESTING_BUY))
    assert refusal(served.trade.order(**RESTING_BUY)) == (400, 235)


def test_a_receipt_is_enough_when_no_response_is_required(served: Served) -> None:
    """responseRequired false: market, ids and times, nothing about fills."""
    receipt = ok(served.trade.order(**MARKET_BUY, responseRequired=False))
    assert set(receipt) == {"market", "orderId", "created", "updated"}


def test_fees_of_fills_that_settle_late_are_missing_until_then(served: Served) -> None:
    """While settled is false a fill has no fee, and feePaid grows when it settles."""
    served.admin("/settings", settle_after_ms=5000)
    order = ok(served.trade.order(**MARKET_BUY))
    assert (order["status"], order["feePaid"], order["fills"][0]["settled"]) == ("filled", "0", False)
    assert not {"fee", "feeCurrency"} & set(order["fills"][0])
    served.time.pass_ms(5000)
    settled = look(served, order)
    assert (settled["feePaid"], settled["fills"][0]["fee"]) == ("0.2495539", "0.2495539")
    assert ok(served.trade.get("/trades", market="BTC-EUR"))[0]["settled"] is True


def test_the_record_keeps_the_request_of_every_accepted_order(served: Served) -> None:
    """What was accepted can be compared with what a client believes: exact body, timestamp, window, state."""
    refused = served.trade.order(**without("amount"))
    accepted = served.trade.order(**MARKET_BUY, clientOrderId=str(uuid4()))
    assert refused.status_code == 400
    (one,) = served.record()
    assert one["request"]["body"].encode() == accepted.request.content
    assert one["request"]["timestamp"] == accepted.request.headers["bitvavo-access-timestamp"]
    assert (one["request"]["method"], one["request"]["path"]) == ("POST", "/v2/order")
    assert one["order"] == ok(accepted)


def look(served: Served, order: dict[str, Any]) -> Any:
    return ok(served.trade.get("/order", market=order["market"], orderId=order["orderId"]))
