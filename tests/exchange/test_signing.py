"""Only who holds a secret gets in, at the right time, from the right place, with the right it needs."""

from __future__ import annotations

import json

import pytest

from local.exchange.auth import authenticate, signature
from local.exchange.keys import TRADE_KEY, ApiKey, Right
from local.exchange.refusals import Refusal
from tests.exchange.conftest import Served
from tests.exchange.trader import ok, refusal

# The worked example of Bitvavo's documentation of its REST API's authentication.
SECRET = "bitvavo"
TIMESTAMP = "1548172481125"
BODY = '{"market":"BTC-EUR","side":"buy","price":"5000","amount":"1.23","orderType":"limit"}'
SIGNATURE = "44d022723a20973a18f7ee97398b9fdd405d2d019c8d39e24b8cc0dcb39ca016"
KEY = ApiKey("k" * 64, SECRET, "someone", frozenset({Right.TRADE}))


def enters(
    *, timestamp: str = TIMESTAMP, method: str = "POST", target: str = "/v2/order", body: str = BODY
) -> bool:
    headers = {
        "bitvavo-access-key": KEY.key,
        "bitvavo-access-timestamp": timestamp,
        "bitvavo-access-signature": SIGNATURE,
    }
    try:
        return authenticate({KEY.key: KEY}, headers, method, target, body.encode(), int(TIMESTAMP), "") == KEY
    except Refusal as refused:
        if refused.code != 309:
            raise
        return False


def test_the_documented_example_verifies() -> None:
    """The signature that Bitvavo's documentation prints is the one that is accepted."""
    assert signature(SECRET, TIMESTAMP, "POST", "/v2/order", BODY.encode()) == SIGNATURE
    assert enters()


@pytest.mark.parametrize(
    "changed",
    [
        {"timestamp": "1548172481126"},
        {"method": "PUT"},
        {"target": "/v2/orders"},
        {"target": "/v2/order?"},
        {"target": "/v2/order?a=1"},
        {"body": BODY.replace("1.23", "1.24")},
        {"body": BODY.replace("buy", "Buy")},
        {"body": BODY.replace('"price"', '"Price"')},
    ],
)
def test_one_changed_character_is_refused(changed: dict[str, str]) -> None:
    """Timestamp, method, path, query and every value are signed."""
    assert not enters(**changed)


def test_a_changed_query_is_refused(served: Served) -> None:
    """The query is part of what is signed, exactly as sent."""
    assert ok(served.trade.get("/orders", market="BTC-EUR")) == []
    signed = served.trade.send("GET", "/orders", {"market": "BTC-EUR"})
    tampered = served.http.get(
        f"{served.base_url}/v2/orders", params={"market": "ETH-EUR"}, headers=dict(signed.request.headers)
    )
    assert refusal(tampered) == (403, 309)


def test_the_same_json_in_other_spacing_is_accepted() -> None:
    """The official client signs compact JSON and sends it with spaces; the server re-serialises."""
    assert enters(body=json.dumps(json.loads(BODY)))
    assert enters(body=json.dumps(json.loads(BODY), indent=2))


def test_a_body_sent_with_a_get_is_not_signed(served: Served) -> None:
    """The official client sends `{}` with signed GETs and signs nothing for it."""
    signed = served.trade.get("/balance")
    again = served.http.request("GET", signed.request.url, headers=signed.request.headers, content=b"{}")
    assert ok(again) == ok(signed)


@pytest.mark.parametrize(
    ("header", "value", "code"),
    [
        ("key", "short", 301),
        ("key", "u" * 64, 305),
        ("timestamp", "1548172481", 302),
        ("timestamp", "not a number.", 302),
        ("window", "99", 303),
        ("window", "60001", 303),
        ("window", "ten", 303),
        ("signature", "ab", 308),
        ("signature", "0" * 64, 309),
    ],
)
def test_a_wrong_access_header_has_its_own_code(served: Served, header: str, value: str, code: int) -> None:
    """301, 302, 303, 305, 308 and 309 name the header that is wrong."""
    assert refusal(served.trade.send("GET", "/balance", {}, changed={header: value})) == (403, code)


def test_a_private_route_without_a_key_is_refused(served: Served) -> None:
    """300: authentication is required."""
    assert refusal(served.public("/balance")) == (403, 300)


def test_a_request_counts_until_its_window_ends(served: Served) -> None:
    """A signed request is good to the last millisecond of timestamp + window, and 304 from then on."""
    signed_at = str(served.now_ms())
    served.time.pass_ms(100)
    ok(served.trade.send("GET", "/balance", {}, signed_at=signed_at, changed={"window": "100"}))
    served.time.pass_ms(1)
    late = served.trade.send("GET", "/balance", {}, signed_at=signed_at, changed={"window": "100"})
    assert refusal(late) == (403, 304)


def test_the_widest_window_is_a_minute(served: Served) -> None:
    """A window of 60,000 ms is accepted."""
    signed_at = str(served.now_ms())
    served.time.pass_ms(60_000)
    ok(served.trade.send("GET", "/balance", {}, signed_at=signed_at, changed={"window": "60000"}))


def test_a_view_key_reads_balances_and_nothing_of_orders(served: Served) -> None:
    """310: without the right to trade no order is placed, read, listed or cancelled."""
    key = served.readonly
    ok(key.get("/balance"))
    order = {"market": "BTC-EUR", "side": "buy", "orderType": "market", "amountQuote": "10"}
    assert refusal(key.order(**order)) == (403, 310)
    for path in ("/order", "/orders", "/ordersOpen", "/trades"):
        assert refusal(key.get(path, market="BTC-EUR")) == (403, 310)
    assert refusal(key.delete("/order", market="BTC-EUR", operatorId=7)) == (403, 310)
    assert served.record() == []


def test_each_right_is_its_own(served: Served) -> None:
    """311 without View, 312 without Withdraw."""
    assert refusal(served.trade.post("/withdrawal", {})) == (403, 312)
    served.admin(f"/keys/{TRADE_KEY}", rights=["trade"])
    assert refusal(served.trade.get("/balance")) == (403, 311)
    assert ok(served.trade.get("/orders", market="BTC-EUR")) == []


def test_a_key_may_be_bound_to_addresses(served: Served) -> None:
    """307 from any other address."""
    served.admin(f"/keys/{TRADE_KEY}", addresses=["10.1.2.3"])
    assert refusal(served.trade.get("/balance")) == (403, 307)
    served.admin(f"/keys/{TRADE_KEY}", addresses=["127.0.0.1"])
    ok(served.trade.get("/balance"))


@pytest.mark.parametrize(("field", "code"), [("active", 305), ("confirmed", 306)])
def test_a_key_must_be_active_and_confirmed(served: Served, field: str, code: int) -> None:
    """305 for a deleted key, 306 until its e-mail is confirmed."""
    served.admin(f"/keys/{TRADE_KEY}", **{field: False})
    assert refusal(served.trade.get("/balance")) == (403, code)
