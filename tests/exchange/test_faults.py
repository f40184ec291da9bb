"""Every fault of the exchange, seen on the wire, and what the exchange had done by then."""

from __future__ import annotations

import socket
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from time import monotonic, sleep
from typing import Any
from uuid import uuid4

import httpx
import pytest

from local.exchange.admin import admin_routes
from local.exchange.faults import KINDS
from local.faults.kinds import table
from tests.exchange.conftest import START_MS, Served
from tests.exchange.trader import ok, refusal

BUY = {"market": "BTC-EUR", "side": "buy", "orderType": "market", "amountQuote": "100"}
ON_ORDER = "POST /order"


def accepted(served: Served) -> int:
    return len(served.record())


def buy(served: Served) -> httpx.Response:
    return served.trade.order(**BUY, clientOrderId=str(uuid4()))


def until(condition: Callable[[], bool]) -> None:
    deadline = monotonic() + 5
    while not condition():
        assert monotonic() < deadline
        sleep(0.005)


def held(served: Served) -> bool:
    return bool(served.faults.rows()[0]["held"])


def in_background(pool: ThreadPoolExecutor, served: Served) -> Future[httpx.Response]:
    future = pool.submit(buy, served)
    until(lambda: held(served))
    return future


@pytest.mark.parametrize(("name", "orders"), [("drop_request", 0), ("drop_answer", 1)])
def test_a_dropped_connection_carries_no_byte(served: Served, name: str, orders: int) -> None:
    """The client sees a closed connection either way; only the exchange knows whether it accepted."""
    served.fail(name, ON_ORDER)
    with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
        buy(served)
    assert accepted(served) == orders


def test_a_dropped_answer_is_an_empty_stream(served: Served) -> None:
    """On the raw socket the end comes before the first byte."""
    served.fail("drop_answer", "GET /time")
    host, port = served.base_url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=5) as raw:
        raw.sendall(b"GET /v2/time HTTP/1.1\r\nHost: exchange\r\n\r\n")
        assert raw.recv(1) == b""


def test_a_held_request_is_carried_out_when_released(served: Served) -> None:
    """It waits before the exchange, which accepts it on arrival."""
    served.fail("hold_request", ON_ORDER)
    with ThreadPoolExecutor() as pool:
        waiting = in_background(pool, served)
        assert accepted(served) == 0
        assert served.admin("/release") == {"released": 1}
        assert ok(waiting.result())["status"] == "filled"
    assert accepted(served) == 1


def test_a_request_held_beyond_its_window_is_refused(served: Served) -> None:
    """304: a short window bounds how late a delayed order can still come into being."""
    served.fail("hold_request", ON_ORDER)
    with ThreadPoolExecutor() as pool:
        waiting = in_background(pool, served)
        served.time.pass_ms(10_001)
        served.admin("/release")
        assert refusal(waiting.result()) == (403, 304)
    assert accepted(served) == 0


def test_a_held_request_outlives_its_client(served: Served) -> None:
    """The client has given up long ago; the order comes into being all the same."""
    served.fail("hold_request", ON_ORDER)
    impatient = served.trade
    with httpx.Client(timeout=0.2, trust_env=False) as http:
        impatient.http = http
        with pytest.raises(httpx.ReadTimeout):
            impatient.order(**BUY)
    assert accepted(served) == 0
    served.admin("/release")
    until(lambda: accepted(served) == 1)


def test_a_held_answer_is_of_an_order_that_exists(served: Served) -> None:
    """Accepted at once; the client hears of it when told to."""
    served.fail("hold_answer", ON_ORDER)
    with ThreadPoolExecutor() as pool:
        waiting = in_background(pool, served)
        assert accepted(served) == 1
        served.admin("/release")
        assert ok(waiting.result())["status"] == "filled"


@pytest.mark.parametrize(("name", "orders"), [("delay_request", 0), ("delay_answer", 1)])
def test_a_delay_beyond_the_clients_patience(served: Served, name: str, orders: int) -> None:
    """A time-out says nothing: with delay_answer the order exists already, with delay_request not yet."""
    served.fail(name, ON_ORDER, delay_ms=400)
    impatient = served.trade
    with httpx.Client(timeout=0.1, trust_env=False) as http:
        impatient.http = http
        with pytest.raises(httpx.ReadTimeout):
            impatient.order(**BUY)
    assert accepted(served) == orders
    until(lambda: accepted(served) == 1)


def test_a_cut_body_ends_half_way(served: Served) -> None:
    """Status 200 and headers for the whole, half of the bytes, the end; the order exists."""
    served.fail("cut", ON_ORDER)
    with pytest.raises(httpx.RemoteProtocolError, match="without sending complete message body"):
        buy(served)
    assert accepted(served) == 1


ANSWERS: list[tuple[str, dict[str, object], int, int | None]] = [
    ("error_500", {}, 500, 101),
    ("error_502", {}, 502, None),
    ("error_503", {"code": 107}, 503, 107),
    ("error_503", {"code": 108}, 503, 108),
    ("error_503", {}, 503, 109),
    ("error_503", {"code": 111}, 503, 111),
    ("not_json", {}, 200, None),
    ("error_code", {}, 503, 109),
    ("error_code", {"http_status": 400, "error_code": 230}, 400, 230),
]


@pytest.mark.parametrize("done", [True, False])
@pytest.mark.parametrize(("name", "fields", "status", "code"), ANSWERS)
def test_an_answer_that_says_nothing_of_the_order(
    served: Served, name: str, fields: dict[str, object], status: int, code: int | None, done: bool
) -> None:
    """The same answer stands before an accepted order and, with done: false, before none."""
    served.fail(name, ON_ORDER, done=done, **fields)
    answer = buy(served)
    assert answer.status_code == status
    if code is None:
        with pytest.raises(ValueError, match="Expecting value"):
            answer.json()
    else:
        assert answer.json()["errorCode"] == code
    assert accepted(served) == int(done)


def test_a_bad_gateway_is_a_page_of_html(served: Served) -> None:
    """As the gateway before the real exchange answers."""
    served.fail("error_502", "GET /time")
    answer = served.public("/time")
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.text.startswith("<!DOCTYPE html>")


def test_a_wrong_status_is_well_formed_and_false(served: Served) -> None:
    """The answer has another status than the order; a look-up tells the truth."""
    served.fail("wrong_status", ON_ORDER, status="rejected")
    order = ok(buy(served))
    assert (order["status"], order["filledAmount"]) == ("rejected", "0.00199461")
    assert ok(served.trade.get("/order", market="BTC-EUR", orderId=order["orderId"]))["status"] == "filled"


def test_a_thin_book_fills_a_part_and_an_empty_one_nothing(served: Served) -> None:
    """The struck order alone meets it; the next one meets the book of before."""
    order = {**BUY, "orderType": "limit", "timeInForce": "IOC", "price": "50010", "amount": "0.01"}
    del order["amountQuote"]
    served.fail("thin_book", ON_ORDER, worth="50.01")
    served.fail("thin_book", ON_ORDER)
    filled = [ok(served.trade.order(**order))["filledAmount"] for _ in range(3)]
    assert filled == ["0.001", "0", "0.01"]


def test_a_request_that_the_network_repeats_makes_two_orders(served: Served) -> None:
    """Two orders under one clientOrderId, and the answer of the first."""
    served.fail("twice", ON_ORDER)
    order = ok(buy(served))
    first, second = served.record()
    assert first["clientOrderId"] == second["clientOrderId"]
    assert order["orderId"] == first["orderId"] != second["orderId"]


def test_a_storm_refuses_calls_in_a_row(served: Served) -> None:
    """429 with code 105 for as many calls as asked, and nothing is accepted."""
    served.fail("storm", "*", count=3)
    assert refusal(served.public("/time")) == (429, 105)
    assert refusal(buy(served)) == (429, 105)
    assert f"expires at {START_MS + 60_000}." in buy(served).json()["error"]
    assert accepted(served) == 0
    ok(buy(served))


def test_a_lag_of_any_length_hides_what_happened(served: Served) -> None:
    """Look-up and lists are read as they were an hour ago, until the fault is gone."""
    served.fail("lag", "GET /*", count=None, ms=3_600_000)
    order = ok(buy(served))
    one = {"market": "BTC-EUR", "orderId": order["orderId"]}
    served.time.pass_ms(3_599_999)
    assert refusal(served.trade.get("/order", **one)) == (404, 240)
    for path in ("/orders", "/ordersOpen", "/trades"):
        assert ok(served.trade.get(path, market="BTC-EUR")) == []
    served.time.pass_ms(1)
    assert ok(served.trade.get("/order", **one))["status"] == "filled"
    served.http.delete(f"{served.base_url}/_admin/faults")
    assert len(ok(served.trade.get("/trades", market="BTC-EUR"))) == 1


def test_a_clock_that_is_off_is_off_for_the_calls_it_strikes(served: Served) -> None:
    """GET /time is wrong by `ms` once; a signed call meets the wrong clock as 304."""
    served.fail("clock_off", "GET /time", ms=-7000)
    assert ok(served.public("/time"))["time"] == START_MS - 7000
    assert ok(served.public("/time"))["time"] == START_MS
    served.fail("clock_off", ON_ORDER, ms=10_001)
    assert refusal(buy(served)) == (403, 304)


def test_a_clock_that_steps_stays_where_it_went(served: Served) -> None:
    """From the struck call on, time is another, forwards or backwards."""
    served.fail("clock_step", "GET /time", ms=30_000)
    assert ok(served.public("/time"))["time"] == START_MS + 30_000
    served.fail("clock_step", "GET /time", ms=-40_000)
    assert ok(served.public("/time"))["time"] == START_MS - 10_000
    assert ok(served.public("/time"))["time"] == START_MS - 10_000


def test_a_foreign_order_carries_our_operator_id(served: Served) -> None:
    """It is there when the struck call reads, with the ids that were asked for and no request behind it."""
    name = str(uuid4())
    served.fail("foreign_order", "GET /orders", client_order_id=name)
    (order,) = ok(served.trade.get("/orders", market="BTC-EUR"))
    assert (order["operatorId"], order["clientOrderId"], order["status"]) == (7, name, "filled")
    assert served.record()[0]["request"] is None


def test_fifteen_hundred_foreign_orders_stand_in_front_of_ours(served: Served) -> None:
    """Ours is on the second page of orders and of trades; nothing is missing."""
    ours = ok(buy(served))
    served.admin("/markets/BTC-EUR", bids=[["49990", "100"]], asks=[["50010", "100"]])
    served.time.pass_ms(60_000)
    served.fail("foreign_orders", "GET /orders", operator_id=99)
    first = ok(served.trade.get("/orders", market="BTC-EUR", limit=1000))
    second = ok(served.trade.get("/orders", market="BTC-EUR", limit=1000, end=first[-1]["created"] - 1))
    assert (len(first), len(second)) == (1000, 501)
    assert second[-1]["orderId"] == ours["orderId"]
    trades = ok(served.trade.get("/trades", market="BTC-EUR", limit=1000))
    assert len({trade["orderId"] for trade in trades}) == 1000


def test_a_fault_strikes_the_next_matching_calls_and_no_other(served: Served) -> None:
    """By name of the call, after `skip` of them, `count` times."""
    served.fail("error_500", "GET /{market}/candles", skip=1, count=2)
    assert served.public("/time").status_code == 200
    seen = [served.public("/BTC-EUR/candles", interval="1d", limit=1).status_code for _ in range(5)]
    assert seen == [200, 500, 500, 200, 200]


def strikes(served: Served, seed: int) -> list[bool]:
    served.http.delete(f"{served.base_url}/_admin/faults")
    served.fail("error_500", "GET /time", probability=0.5, count=None, seed=seed)
    return [served.public("/time").status_code == 500 for _ in range(30)]


def test_a_probability_with_a_seed_strikes_the_same_calls_again(served: Served) -> None:
    """The same seed strikes the same calls, another one others."""
    first = strikes(served, 1)
    assert 5 < sum(first) < 25
    assert strikes(served, 1) == first
    assert strikes(served, 2) != first


def test_the_faults_in_force_can_be_read_and_forgotten(served: Served) -> None:
    """GET tells how often each was met and struck; DELETE ends all of them and lets go of what they hold."""
    served.fail("hold_answer", ON_ORDER)
    with ThreadPoolExecutor() as pool:
        waiting = in_background(pool, served)
        (row,) = served.http.get(f"{served.base_url}/_admin/faults").json()
        assert (row["name"], row["met"], row["struck"], row["held"]) == ("hold_answer", 1, 1, 1)
        served.http.delete(f"{served.base_url}/_admin/faults")
        ok(waiting.result())
    assert served.http.get(f"{served.base_url}/_admin/faults").json() == []


@pytest.mark.parametrize(
    ("command", "complaint"),
    [
        ({"name": "explode"}, "no fault 'explode'"),
        ({"name": "cut", "ms": 5}, "cut does not read ms"),
        ({"name": "cut", "probability": 2}, "probability"),
        ({"name": "error_503", "code": 500}, "code"),
        ({"name": "cut", "when": "now"}, "when"),
    ],
)
def test_a_fault_that_cannot_be_is_refused(served: Served, command: dict[str, Any], complaint: str) -> None:
    """400 with a sentence: a test never believes in a fault that was misspelled."""
    answer = served.http.post(f"{served.base_url}/_admin/faults", json=command)
    assert answer.status_code == 400
    assert complaint in answer.json()["error"]


def test_the_readme_has_every_command(served: Served) -> None:
    """No route under /_admin is undocumented."""
    readme = Path("local/exchange/README.md").read_text()
    for route in admin_routes(served.exchange, served.faults):
        assert f" {route.path}" in readme


def test_the_readme_has_the_table_of_faults() -> None:
    """The table is made from the code."""
    assert table(KINDS) in Path("local/exchange/README.md").read_text()
