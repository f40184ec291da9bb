"""The exchange clients sign what they send, believe only what they can read, and do one kind of work each."""

import contextlib
import gzip
import inspect
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any
from uuid import UUID

import httpx
import pytest
import respx
from pydantic import SecretStr

from shared import bitvavo
from shared.bitvavo import BitvavoOrders, BitvavoReadonly, KeyPair, RateLimit, open_http, sign
from shared.errors import (
    ExchangeError,
    ExchangeNotReached,
    ExchangeRefused,
    ExchangeUnreadable,
    NotThisClientsWork,
)

pytestmark = pytest.mark.unit

BASE = "https://api.bitvavo.com/v2"
KEYS = KeyPair("k" * 64, SecretStr("s" * 64))
OUR_ID = UUID("0f3b2c1d-5a3b-5c1e-9a64-1b2f3c4d5e6f")
LIMITS = {
    "bitvavo-ratelimit-limit": "1000",
    "bitvavo-ratelimit-remaining": "995",
    "bitvavo-ratelimit-resetat": "1790000000000",
}
MARKET_ROW = {
    "market": "BTC-EUR",
    "status": "trading",
    "base": "BTC",
    "quote": "EUR",
    "pricePrecision": None,
    "minOrderInBaseAsset": "0.00006100",
    "minOrderInQuoteAsset": "5.00",
    "maxOrderInBaseAsset": "1000000000.00000000",
    "maxOrderInQuoteAsset": None,
    "quantityDecimals": 8,
    "notionalDecimals": 2,
    "tickSize": "1.00",
    "orderTypes": ["market", "limit"],
    "somethingNew": {"nested": True},
}
ORDER_ROW: dict[str, Any] = {
    "orderId": "00000000-0000-0460-0100-00004676b39f",
    "clientOrderId": str(OUR_ID),
    "market": "BTC-EUR",
    "created": 1790000000100,
    "createdNs": 1790000000100123456,
    "updated": 1790000000101,
    "status": "filled",
    "side": "buy",
    "orderType": "limit",
    "amount": "0.00017000",
    "amountRemaining": "0.00000000",
    "price": "58000",
    "filledAmount": "0.00017000",
    "filledAmountQuote": "9.97506229713",
    "feePaid": "-0.02493770287",
    "feeCurrency": "EUR",
    "fills": [
        {
            "id": "f1",
            "timestamp": 1790000000100,
            "amount": "0.00017000",
            "price": "58000",
            "taker": True,
            "settled": False,
        }
    ],
    "operatorId": 7,
    "visible": True,
}


@pytest.fixture
def http() -> Iterator[httpx.Client]:
    with open_http(5.0) as client:
        yield client


@pytest.fixture
def readonly(http: httpx.Client) -> BitvavoReadonly:
    return BitvavoReadonly(http, BASE, None, now_ms=lambda: 1790000000000, monotonic=lambda: 42.5)


@pytest.fixture
def orders(http: httpx.Client) -> BitvavoOrders:
    return BitvavoOrders(http, BASE, KEYS, operator_id=7)


def look_up(orders: BitvavoOrders) -> bitvavo.Order | None:
    return orders.order("BTC-EUR", OUR_ID, timestamp_ms=1790000000000)


def signature_of(request: httpx.Request) -> str:
    """What the exchange computes from the bytes that reached it."""
    stamp = int(request.headers["Bitvavo-Access-Timestamp"])
    return sign(KEYS.secret, stamp, request.method, request.url.raw_path.decode(), request.content)


class TestSigning:
    def test_the_documented_example(self) -> None:
        """The worked example of the exchange's documentation gives the documented signature."""
        body = b'{"market":"BTC-EUR","side":"buy","price":"5000","amount":"1.23","orderType":"limit"}'
        signature = sign(SecretStr("bitvavo"), 1548172481125, "POST", "/v2/order", body)
        assert signature == "44d022723a20973a18f7ee97398b9fdd405d2d019c8d39e24b8cc0dcb39ca016"

    @respx.mock
    def test_a_read_signs_the_path_with_version_and_query_as_sent(self, orders: BitvavoOrders) -> None:
        """The signature covers /v2, the path and the query exactly as sent, and an empty body."""
        route = respx.get(url__startswith=f"{BASE}/orders").respond(json=[])
        orders.orders("BTC-EUR", 1, 2, order_id_to="a b/ü", timestamp_ms=1790000000000, window_ms=5000)
        request = route.calls.last.request
        assert request.url.raw_path.startswith(
            b"/v2/orders?market=BTC-EUR&limit=1000&start=1&end=2&orderIdTo="
        )
        assert request.content == b""
        assert request.headers["Bitvavo-Access-Key"] == KEYS.key
        assert request.headers["Bitvavo-Access-Window"] == "5000"
        assert request.headers["Bitvavo-Access-Signature"] == signature_of(request)
        assert "Content-Type" not in request.headers

    @respx.mock
    def test_a_cancel_puts_its_parameters_in_the_query_and_signs_an_empty_body(
        self, orders: BitvavoOrders
    ) -> None:
        """DELETE names the order and the operator in the query, and its body is empty."""
        route = respx.delete(url__startswith=f"{BASE}/order").respond(json={"orderId": "x"})
        orders.cancel("BTC-EUR", OUR_ID, timestamp_ms=1790000000000)
        request = route.calls.last.request
        assert dict(request.url.params) == {
            "market": "BTC-EUR",
            "clientOrderId": str(OUR_ID),
            "operatorId": "7",
        }
        assert request.content == b""
        assert request.headers["Bitvavo-Access-Signature"] == signature_of(request)

    @respx.mock
    def test_without_keys_nothing_is_signed(self, readonly: BitvavoReadonly) -> None:
        """A keyless client sends no header that names a key."""
        route = respx.get(f"{BASE}/ticker/book").respond(
            json={"market": "BTC-EUR", "bid": "1", "bidSize": "1", "ask": "2", "askSize": "1"}
        )
        readonly.book_top("BTC-EUR")
        assert not [name for name in route.calls.last.request.headers if name.startswith("bitvavo")]

    @respx.mock
    def test_with_keys_market_data_is_signed_by_the_clock_that_was_handed_in(
        self, http: httpx.Client
    ) -> None:
        """A readonly client with keys signs with `now_ms`."""
        client = BitvavoReadonly(http, BASE, KEYS, now_ms=lambda: 1790000000777)
        route = respx.get(url__startswith=f"{BASE}/markets").respond(json=MARKET_ROW)
        client.market("BTC-EUR")
        request = route.calls.last.request
        assert request.headers["Bitvavo-Access-Timestamp"] == "1790000000777"
        assert request.headers["Bitvavo-Access-Signature"] == signature_of(request)


class TestSecrets:
    def test_a_key_pair_shows_neither_key_nor_secret(self) -> None:
        """Printing a pair, in whatever way, gives nothing away; its fingerprint names it."""
        for shown in (repr(KEYS), str(KEYS), f"{KEYS}", repr({"keys": KEYS})):
            assert KEYS.key not in shown
            assert KEYS.secret.get_secret_value() not in shown
        assert len(KEYS.fingerprint) == 16

    @pytest.mark.parametrize("bad", ["key\n", "", "kéy", "a b"])
    def test_a_key_that_no_header_carries_is_refused_without_being_quoted(self, bad: str) -> None:
        """A pasted line break is refused at once, before a library quotes the key in its error."""
        for key, secret in ((bad, "s"), ("k", bad)):
            with pytest.raises(ValueError, match="printable ASCII") as caught:
                KeyPair(key, SecretStr(secret))
            assert not bad or bad not in str(caught.value)

    @respx.mock
    @pytest.mark.parametrize("error", [httpx.ConnectError, httpx.ReadTimeout])
    def test_an_exception_holds_no_secret(
        self, orders: BitvavoOrders, error: type[httpx.TransportError]
    ) -> None:
        """What is raised on the wire neither says the key nor leads to the request that holds it."""
        respx.get(url__startswith=BASE).mock(side_effect=error("with kkkkkkkk"))
        with pytest.raises((ExchangeNotReached, ExchangeUnreadable)) as caught:
            look_up(orders)
        assert "kkkk" not in str(caught.value)
        assert caught.value.__cause__ is None
        assert caught.value.__suppress_context__


class TestWhatIsKnown:
    @respx.mock
    @pytest.mark.parametrize("error", [httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout])
    def test_before_the_first_byte_nothing_was_sent(
        self, orders: BitvavoOrders, error: type[httpx.TransportError]
    ) -> None:
        """A connection that never came about is told apart from everything later."""
        respx.get(url__startswith=BASE).mock(side_effect=error("no"))
        with pytest.raises(ExchangeNotReached):
            look_up(orders)

    @respx.mock
    @pytest.mark.parametrize(
        "error",
        [
            httpx.ReadTimeout,
            httpx.WriteTimeout,
            httpx.ReadError,
            httpx.WriteError,
            httpx.RemoteProtocolError,
            httpx.LocalProtocolError,
            httpx.DecodingError,
        ],
    )
    def test_after_the_first_byte_nothing_is_known(
        self, orders: BitvavoOrders, error: Callable[[str], httpx.RequestError]
    ) -> None:
        """Whatever breaks once sending began leaves the question open."""
        respx.get(url__startswith=BASE).mock(side_effect=error("no"))
        with pytest.raises(ExchangeUnreadable):
            look_up(orders)

    @respx.mock
    def test_absence_is_said_by_404_with_code_240_alone(self, orders: BitvavoOrders) -> None:
        """Only the exchange's own words for it mean that the look-up found no order."""
        respx.get(url__startswith=BASE).respond(404, json={"errorCode": 240, "error": "No order found."})
        assert look_up(orders) is None

    @respx.mock
    @pytest.mark.parametrize(
        "answer",
        [
            httpx.Response(404, html="<html>Not Found</html>"),
            httpx.Response(404, json={"error": "not found"}),
            httpx.Response(404, json={"errorCode": "240", "error": "No order found."}),
            httpx.Response(404, json={"errorCode": True, "error": "No order found."}),
            httpx.Response(404, content=b""),
            httpx.Response(500, json={"errorCode": 240, "error": "No order found."}),
            httpx.Response(502, html="<html>Bad gateway</html>"),
            httpx.Response(503, json={"errorCode": 109, "error": "timeout"}),
            httpx.Response(301, headers={"Location": "https://elsewhere.example.com/"}),
            httpx.Response(204),
            httpx.Response(200, content=b""),
            httpx.Response(200, content=b'{"orderId": "1"'),
            httpx.Response(200, content=b"\xff\xfe{}"),
            httpx.Response(200, content=b"[" * 100_000),
            httpx.Response(200, content=b'{"filledAmount": NaN}'),
            httpx.Response(200, content=b'{"filledAmount": 1e999999999}'),
            httpx.Response(200, json=[]),
            httpx.Response(200, json=None),
            httpx.Response(200, json={"errorCode": 240, "error": "No order found."}),
        ],
    )
    def test_anything_else_is_unreadable(self, orders: BitvavoOrders, answer: httpx.Response) -> None:
        """HTML, cut bodies, 5xx, redirects and odd JSON are no answer, least of all absence."""
        respx.get(url__startswith=BASE).mock(return_value=answer)
        with pytest.raises(ExchangeUnreadable):
            look_up(orders)

    @respx.mock
    @pytest.mark.parametrize(
        "change",
        [
            {"clientOrderId": "0f3b2c1d-5a3b-5c1e-9a64-1b2f3c4d5e60"},
            {"clientOrderId": None},
            {"market": "ETH-EUR"},
            {"side": "hold"},
            {"filledAmount": None},
            {"filledAmount": "NaN"},
            {"filledAmount": "-1"},
            {"filledAmount": "1e3"},
            {"updated": "soon"},
            {"updated": True},
            {"orderId": ""},
            {"status": None},
            {"fills": [{"id": "f1"}]},
        ],
    )
    def test_an_order_that_is_not_the_one_asked_for_is_unreadable(
        self, orders: BitvavoOrders, change: dict[str, object]
    ) -> None:
        """An order object counts only when it is whole and is the order in question."""
        respx.get(url__startswith=BASE).respond(json={**ORDER_ROW, **change})
        with pytest.raises(ExchangeUnreadable):
            look_up(orders)

    @respx.mock
    @pytest.mark.parametrize(("status", "code"), [(429, 105), (403, 304), (403, 310), (400, 205), (404, 110)])
    def test_a_refusal_keeps_status_and_code(self, orders: BitvavoOrders, status: int, code: int) -> None:
        """A refusal in JSON is handed on with its numbers."""
        respx.get(url__startswith=BASE).respond(status, json={"errorCode": code, "error": "no"})
        with pytest.raises(ExchangeRefused) as caught:
            look_up(orders)
        assert (caught.value.http_status, caught.value.error_code) == (status, code)

    def test_a_cut_body_on_a_real_connection_is_unreadable(self, http: httpx.Client) -> None:
        """A server that promises more bytes than it sends has said nothing."""
        cut = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}"
        with Canned(cut) as base, pytest.raises(ExchangeUnreadable):
            BitvavoReadonly(http, base, None, now_ms=lambda: 0).time()

    def test_a_body_that_drips_is_given_up(self) -> None:
        """An answer that outlasts the time-out is unreadable, however steadily it trickles."""
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"
        server = Canned(head, *(b" " for _ in range(1000)))
        with open_http(0.2) as http, server as base, pytest.raises(ExchangeUnreadable):
            BitvavoReadonly(http, base, None, now_ms=lambda: 0).time()
        assert server.pieces_sent < 100

    @respx.mock
    def test_a_compressed_bomb_is_given_up(self, readonly: BitvavoReadonly) -> None:
        """A small answer that unpacks without end does not fill the memory."""
        bomb = gzip.compress(b" " * (40 * 1024 * 1024))
        respx.get(f"{BASE}/time").respond(200, content=bomb, headers={"Content-Encoding": "gzip"})
        with pytest.raises(ExchangeUnreadable, match="does not end"):
            readonly.time()

    def test_nobody_listening_is_not_reached(self, http: httpx.Client) -> None:
        """A refused connection on a real socket is known to have carried nothing."""
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            base = f"http://127.0.0.1:{unused.getsockname()[1]}/v2"
            with pytest.raises(ExchangeNotReached):
                BitvavoReadonly(http, base, None, now_ms=lambda: 0).time()


class TestRateLimit:
    @respx.mock
    def test_the_headers_are_kept(self, orders: BitvavoOrders) -> None:
        """What is left of the rate limit is known after each answer, refusals included."""
        assert orders.rate_limit is None
        respx.get(url__startswith=BASE).respond(
            404, json={"errorCode": 240, "error": "No order found."}, headers=LIMITS
        )
        look_up(orders)
        assert orders.rate_limit == RateLimit(limit=1000, remaining=995, reset_at_ms=1790000000000)

    @pytest.mark.parametrize("headers", [{}, LIMITS], ids=["bare", "with points left"])
    @pytest.mark.parametrize(
        "body", [b"slow down", b'{"errorCode":105,"error":"Banned."}'], ids=["text", "json"]
    )
    @respx.mock
    def test_nothing_is_left_after_429_whatever_it_says(
        self, orders: BitvavoOrders, headers: dict[str, str], body: bytes
    ) -> None:
        """HTTP 429 leaves nothing to spend, with or without headers or JSON."""
        respx.get(url__startswith=BASE).respond(429, content=body, headers=headers)
        with pytest.raises(ExchangeError):
            look_up(orders)
        assert orders.rate_limit is not None
        assert orders.rate_limit.remaining == 0

    @respx.mock
    def test_an_answer_without_headers_changes_nothing(self, orders: BitvavoOrders) -> None:
        """HTML from a gateway carries no limits, and the last known ones stay."""
        respx.get(url__startswith=BASE).mock(
            side_effect=[httpx.Response(200, json=ORDER_ROW, headers=LIMITS), httpx.Response(502)]
        )
        look_up(orders)
        with pytest.raises(ExchangeUnreadable):
            look_up(orders)
        assert orders.rate_limit is not None
        assert orders.rate_limit.remaining == 995


class TestAnswers:
    @respx.mock
    def test_the_exchange_clock_and_the_moment_it_was_read(self, readonly: BitvavoReadonly) -> None:
        """The exchange's milliseconds come with the monotonic second at which they arrived."""
        respx.get(f"{BASE}/time").respond(json={"time": 1790000000000, "timeNs": 1790000000000123456})
        assert readonly.time() == bitvavo.ServerTime(ms=1790000000000, received_at=42.5)

    @respx.mock
    @pytest.mark.parametrize("shape", [MARKET_ROW, [MARKET_ROW]])
    def test_a_market_comes_as_an_object_or_an_array(self, readonly: BitvavoReadonly, shape: object) -> None:
        """Recordings and documentation differ, and both are read; unknown fields are ignored."""
        respx.get(f"{BASE}/markets").respond(json=shape)
        market = readonly.market("BTC-EUR")
        assert (market.min_base, market.min_quote) == (Decimal("0.00006100"), Decimal("5.00"))
        assert (market.max_quote, market.price_precision, market.tick_size) == (None, None, Decimal(1))
        assert market.order_types == ("market", "limit")

    @respx.mock
    def test_an_old_row_has_a_precision_and_no_tick(self, readonly: BitvavoReadonly) -> None:
        """tickSize and pricePrecision may each be null."""
        respx.get(f"{BASE}/markets").respond(json={**MARKET_ROW, "tickSize": None, "pricePrecision": 5})
        market = readonly.market("BTC-EUR")
        assert (market.tick_size, market.price_precision) == (None, 5)

    @respx.mock
    @pytest.mark.parametrize("precision", [0, "0", None, 5, -1, "none", 31, True, 0.5])
    def test_beside_a_tick_the_precision_is_not_needed(
        self, readonly: BitvavoReadonly, precision: object
    ) -> None:
        """A row as ccxt 4.5.90 quotes it: pricePrecision is deprecated and mostly 0, and tickSize decides."""
        row = {**MARKET_ROW, "pricePrecision": precision, "quantityDecimals": "8", "notionalDecimals": "2"}
        respx.get(f"{BASE}/markets").respond(json=row)
        market = readonly.market("BTC-EUR")
        assert (market.tick_size, market.quantity_decimals, market.standing) == (Decimal(1), 8, "trading")
        assert market.price_precision == (5 if precision == 5 else None)

    @respx.mock
    @pytest.mark.parametrize(
        ("fields", "standing"),
        [
            ({}, "trading"),
            ({"status": "halted"}, "halted"),
            ({"tickSize": "0"}, "trading, with a tickSize of 0"),
            ({"tickSize": "0.00", "pricePrecision": 5}, "trading, with a tickSize of 0"),
            ({"tickSize": None}, "trading, without a tickSize"),
            ({"tickSize": None, "pricePrecision": 0}, "trading, without a tickSize"),
            ({"maxOrderInBaseAsset": "0"}, "trading, with a maxOrderInBaseAsset of 0"),
            ({"maxOrderInQuoteAsset": "0.00"}, "trading, with a maxOrderInQuoteAsset of 0"),
            ({"maxOrderInQuoteAsset": "0", "status": "auction"}, "auction"),
        ],
    )
    def test_a_row_that_leaves_no_order_is_of_a_market_that_does_not_trade(
        self, readonly: BitvavoReadonly, fields: dict[str, object], standing: str
    ) -> None:
        """A limit or a step of zero is no outage: the market stands there and takes nothing."""
        respx.get(f"{BASE}/markets").respond(json={**MARKET_ROW, **fields})
        assert readonly.market("BTC-EUR").standing == standing

    @respx.mock
    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("tickSize", "-1"),
            ("tickSize", "soon"),
            ("minOrderInQuoteAsset", None),
            ("maxOrderInBaseAsset", "-1"),
            ("quantityDecimals", "8.0"),
            ("notionalDecimals", 31),
        ],
    )
    def test_a_row_that_cannot_be_read_says_which_field(
        self, readonly: BitvavoReadonly, name: str, value: object
    ) -> None:
        """The field is named, as the exchange calls it; its value is not."""
        respx.get(f"{BASE}/markets").respond(json={**MARKET_ROW, name: value})
        with pytest.raises(ExchangeUnreadable, match=f"as market: {name} ") as raised:
            readonly.market("BTC-EUR")
        assert str(value) not in str(raised.value)

    @respx.mock
    @pytest.mark.parametrize(
        "shape", [[], [MARKET_ROW, MARKET_ROW], {**MARKET_ROW, "market": "ETH-EUR"}, "BTC-EUR"]
    )
    def test_another_market_is_no_answer(self, readonly: BitvavoReadonly, shape: object) -> None:
        """Facts about another market, or about none, are unreadable."""
        respx.get(f"{BASE}/markets").respond(json=shape)
        with pytest.raises(ExchangeUnreadable):
            readonly.market("BTC-EUR")

    @respx.mock
    @pytest.mark.parametrize("bid", [None, "0", "NaN", "-1", 0.5])
    def test_a_book_without_a_price_is_no_book(self, readonly: BitvavoReadonly, bid: object) -> None:
        """A missing or impossible price is unreadable; a bare number is read exactly."""
        row = {"market": "BTC-EUR", "bid": bid, "bidSize": "1", "ask": "2.10", "askSize": "0"}
        respx.get(f"{BASE}/ticker/book").respond(json=row)
        if bid == 0.5:
            assert readonly.book_top("BTC-EUR").bid == Decimal("0.5")
        else:
            with pytest.raises(ExchangeUnreadable):
                readonly.book_top("BTC-EUR")

    @respx.mock
    def test_candles_ascend(self, readonly: BitvavoReadonly) -> None:
        """The exchange's newest-first rows come back oldest first, with gaps as they are."""
        rows = [[7200000, "3", "4", "2", "3.5", "10"], [0, "1", "2", "1", "2", "0"]]
        route = respx.get(url__startswith=f"{BASE}/BTC-EUR/candles").respond(json=rows)
        first, last = readonly.candles("BTC-EUR", "1h", 2)
        assert (first.time_ms, last.time_ms) == (0, 7200000)
        assert last.close == Decimal("3.5")
        assert dict(route.calls.last.request.url.params) == {"interval": "1h", "limit": "2"}

    @respx.mock
    def test_a_market_name_cannot_leave_its_place_in_the_path(self, readonly: BitvavoReadonly) -> None:
        """A name with slashes or dots stays one segment."""
        route = respx.get(url__startswith=BASE).respond(json=[])
        readonly.candles("../order?x=", "1h", 1)
        assert route.calls.last.request.url.raw_path.startswith(b"/v2/..%2Forder%3Fx%3D/candles?")

    @respx.mock
    @pytest.mark.parametrize(
        "rows", [{}, [[0, "1", "2", "1", "2"]], [[0, 1.5, "2", "1", "2", "inf"]], [["0"] * 6], [None]]
    )
    def test_malformed_candles_are_unreadable(self, readonly: BitvavoReadonly, rows: object) -> None:
        """One bad row spoils the answer."""
        respx.get(url__startswith=BASE).respond(json=rows)
        with pytest.raises(ExchangeUnreadable):
            readonly.candles("BTC-EUR", "1h", 2)

    @respx.mock
    def test_two_candles_of_one_time_are_unreadable(self, readonly: BitvavoReadonly) -> None:
        """A doubled candle would count its volume twice."""
        respx.get(url__startswith=BASE).respond(json=[[0, "1", "2", "1", "2", "3"]] * 2)
        with pytest.raises(ExchangeUnreadable):
            readonly.candles("BTC-EUR", "1h", 2)

    @respx.mock
    def test_an_order_keeps_what_was_received(self, orders: BitvavoOrders) -> None:
        """Decimals stay the strings that came, and a bare number is kept without passing through a float."""
        body = json.dumps(ORDER_ROW).replace('"58000"', "58000.10000000000000000001", 1)
        respx.get(url__startswith=BASE).respond(content=body.encode())
        order = look_up(orders)
        assert order is not None
        assert order.price == Decimal("58000.10000000000000000001")
        assert order.raw == {**ORDER_ROW, "price": "58000.10000000000000000001"}
        assert (order.filled_amount_quote, order.fee_paid) == (
            Decimal("9.97506229713"),
            Decimal("-0.02493770287"),
        )
        assert order.fills[0].fee is None
        assert not order.fills[0].settled
        assert order.operator_id == 7

    @respx.mock
    @pytest.mark.parametrize("given", ["not-a-uuid", None, 5])
    def test_a_foreign_order_without_a_usable_id_does_not_spoil_the_page(
        self, orders: BitvavoOrders, given: object
    ) -> None:
        """An id that is no UUID reads as none: the owner's own orders never blind the comparison."""
        respx.get(url__startswith=BASE).respond(json=[{**ORDER_ROW, "clientOrderId": given, "operatorId": 0}])
        (order,) = orders.orders("BTC-EUR", 0, 1, timestamp_ms=0)
        assert order.client_order_id is None

    @respx.mock
    def test_a_page_with_another_market_is_unreadable(self, orders: BitvavoOrders) -> None:
        """A page that ignored the question proves nothing about this market."""
        respx.get(url__startswith=BASE).respond(json=[ORDER_ROW, {**ORDER_ROW, "market": "ETH-EUR"}])
        with pytest.raises(ExchangeUnreadable):
            orders.open_orders("BTC-EUR", timestamp_ms=0)

    @respx.mock
    def test_own_trades(self, orders: BitvavoOrders) -> None:
        """A fill names its order; its fee may still be missing."""
        row = {
            "id": "t1",
            "orderId": "o1",
            "clientOrderId": str(OUR_ID),
            "timestamp": 5,
            "market": "BTC-EUR",
            "side": "sell",
            "amount": "1",
            "price": "2",
            "taker": True,
            "settled": False,
        }
        respx.get(url__startswith=f"{BASE}/trades").respond(json=[row])
        (trade,) = orders.own_trades("BTC-EUR", 0, 10, timestamp_ms=0)
        assert (trade.order_id, trade.client_order_id, trade.fee) == ("o1", OUR_ID, None)


class TestOneKindOfWorkEach:
    @pytest.mark.parametrize(
        "work", ["place_order", "cancel_order", "order", "orders", "open_orders", "own_trades", "balance"]
    )
    def test_the_readonly_client_never_trades(self, readonly: BitvavoReadonly, work: str) -> None:
        """Asked for anything about orders, the market data client raises and sends nothing."""
        with respx.mock(assert_all_called=False) as router:
            with pytest.raises(NotThisClientsWork, match="BitvavoReadonly must never"):
                getattr(readonly, work)("BTC-EUR", side="buy")
            assert not router.calls

    @pytest.mark.parametrize(
        "work", ["market", "markets", "book_top", "ticker", "candles", "balance", "account"]
    )
    def test_the_orders_client_reads_no_market_and_no_balance(self, orders: BitvavoOrders, work: str) -> None:
        """Asked for market data or balances, the orders client raises and sends nothing."""
        with respx.mock(assert_all_called=False) as router:
            with pytest.raises(NotThisClientsWork, match="BitvavoOrders must never"):
                getattr(orders, work)("BTC-EUR")
            assert not router.calls

    def test_no_shared_client_can_create_an_order(self) -> None:
        """Nothing in the shared clients posts anything."""
        for module in (bitvavo.orders, bitvavo.readonly, bitvavo.wire, bitvavo.answers):
            assert '"POST"' not in inspect.getsource(module)

    def test_the_transport_goes_only_where_it_is_sent(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Redirects are not followed, and a proxy in the environment is not used."""
        monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
        moved = b"HTTP/1.1 307 Temporary Redirect\r\nLocation: /v2/time\r\nContent-Length: 0\r\n\r\n"
        server = Canned(moved)
        with open_http(5.0) as fresh, server as base, pytest.raises(ExchangeUnreadable):
            BitvavoReadonly(fresh, base, None, now_ms=lambda: 0).time()
        assert server.asked == 1


class Canned:
    """A server on loopback that answers every connection with the same pieces, 20 ms apart, and hangs up."""

    def __init__(self, *pieces: bytes) -> None:
        self._pieces = pieces
        self.asked = 0
        self.pieces_sent = 0
        self._server = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> str:
        self._thread.start()
        return f"http://127.0.0.1:{self._server.getsockname()[1]}/v2"

    def __exit__(self, *_: object) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._thread.join(5)

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._server.accept()
                with connection, contextlib.suppress(ConnectionError):
                    self.asked += 1
                    connection.recv(65536)
                    for piece in self._pieces:
                        connection.sendall(piece)
                        self.pieces_sent += 1
                        time.sleep(0.02)
