"""What became of an order, read from the exchange's answer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from uuid import UUID

import pytest

from functions.execute.outcome import (
    ERROR_CODES,
    Fate,
    Placed,
    Rejected,
    Status,
    Unknown,
    classify,
    status_of,
)
from shared.bitvavo import Answer, Order

pytestmark = pytest.mark.unit

ID = UUID("e05ecef8-3d52-5e6f-8f91-c798d87a6b20")
ORDER = {
    "orderId": "00000000-0000-0460-0100-000000000001",
    "clientOrderId": str(ID),
    "market": "BTC-EUR",
    "side": "buy",
    "status": "filled",
    "orderType": "limit",
    "amount": "0.0005",
    "filledAmount": "0.0005",
    "filledAmountQuote": "25",
    "feePaid": "0.06",
    "feeCurrency": "EUR",
    "fills": [],
    "created": 1_790_000_000_000,
    "updated": 1_790_000_000_001,
}

# 'Refused for certain', typed from the exchange's documentation: HTTP status and codes.
CERTAIN = {
    429: {105, 112},
    400: {102, *range(200, 207), *range(210, 220), 231, 235, 237, 238, 422, 423, 424, 425, 426, 429},
    403: {*range(300, 314), 316, 317, 318, 319, 320},
}
# Listed, and yet an order may stand, or the code is known from hearsay alone.
DOUBTFUL = {
    429: {103, 104},
    400: {110, 220, 230},
    403: {315},
    500: {101, 400},
    503: {107, 108, 109, 111, 419, 430},
}


def answered(status: int, body: object) -> Answer:
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Answer(status, text, 0.0)


def outcome(status: int, body: object) -> Placed | Rejected | Unknown:
    return classify(answered(status, body), ID, "BTC-EUR", "buy")


def refused(status: int, code: object, **fields: object) -> Placed | Rejected | Unknown:
    return outcome(status, {"errorCode": code, "error": "text", **fields})


def test_a_readable_order_of_ours_is_placed() -> None:
    """An order object with our id, market and side is a fact."""
    placed = outcome(200, ORDER)
    assert placed == Placed(Order.parse(ORDER), answered(200, ORDER))


@pytest.mark.parametrize(
    ("status", "code"), [(status, code) for status, codes in CERTAIN.items() for code in sorted(codes)]
)
def test_a_documented_refusal_with_its_own_status_is_certain(status: int, code: int) -> None:
    """The code, the HTTP status and the JSON agree: no order was placed."""
    body = {"errorCode": code, "error": "text"}
    assert outcome(status, body) == Rejected(code, "text", answered(status, body))
    wordless = outcome(status, {"errorCode": code})
    assert isinstance(wordless, Rejected)
    assert wordless.message == ERROR_CODES[code].meaning


def test_no_other_code_is_certain() -> None:
    """Of all codes with all statuses, only the listed ones are refusals; the rest is unknown."""
    for status in (200, 201, 202, 301, 400, 401, 403, 404, 408, 409, 418, 425, 429, 500, 502, 503, 504):
        for code in range(90, 600):
            certain = code in CERTAIN.get(status, set())
            assert isinstance(refused(status, code), Rejected) is certain, (status, code)


UNLISTED = 240  # the answer to a look-up that finds no order


@pytest.mark.parametrize("code", sorted({UNLISTED}.union(*DOUBTFUL.values())))
def test_a_doubtful_code_is_unknown_and_named(code: int) -> None:
    """An earlier open order, an overload, a time-out, a code known from hearsay: nothing is concluded."""
    for status in (400, 403, 404, 429, 500, 503):
        assert refused(status, code) == Unknown(
            str(code), answered(status, {"errorCode": code, "error": "text"})
        )


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>502 Bad Gateway</html>",
        b'{"errorCode": 216, "err',
        b"\xff\xfe",
        b"[" * 5000,
        b"NaN",
        b"null",
        b"[]",
        b'"216"',
        b"216",
        b"{}",
        b'{"errorCode": "216", "error": "x"}',
        b'{"errorCode": true, "error": "x"}',
        b'{"errorCode": 216.0, "error": "x"}',
        b'{"errorCode": [216]}',
    ],
)
@pytest.mark.parametrize("status", [200, 201, 204, 302, 400, 403, 404, 429, 500, 502])
def test_a_body_that_cannot_be_read_is_unknown(status: int, body: bytes) -> None:
    """Whatever the status: HTML, a cut body, another JSON than an order or a refusal proves nothing."""
    assert outcome(status, body) == Unknown(
        "UNREADABLE_ORDER" if status == 200 and readable(body) else f"HTTP_{status}", answered(status, body)
    )


def readable(body: bytes) -> bool:
    """Is it JSON at all?"""
    try:
        json.loads(body, parse_constant=lambda _: 1 / 0)
    except (ValueError, RecursionError, ZeroDivisionError):
        return False
    return True


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in ORDER.items() if key != name}


@pytest.mark.parametrize(
    ("reason", "order"),
    [
        ("ANOTHER_ORDER", {**ORDER, "clientOrderId": str(UUID(int=1))}),
        ("ANOTHER_ORDER", {**ORDER, "clientOrderId": None}),
        ("ANOTHER_ORDER", {**ORDER, "market": "ETH-EUR"}),
        ("ANOTHER_ORDER", {**ORDER, "side": "sell"}),
        ("UNREADABLE_ORDER", {**ORDER, "filledAmount": "NaN"}),
        ("UNREADABLE_ORDER", {**ORDER, "filledAmount": -1}),
        ("UNREADABLE_ORDER", {**ORDER, "orderId": ""}),
        *(
            ("UNREADABLE_ORDER", without(name))
            for name in ("orderId", "status", "filledAmount", "created", "market", "side")
        ),
    ],
)
def test_another_order_or_an_unreadable_one_is_unknown(reason: str, order: Mapping[str, Any]) -> None:
    """A 200 that is not to the letter our order is no fact; what came is kept."""
    assert outcome(200, order) == Unknown(reason, answered(200, order))


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "onHold"},
        {"status": "FILLED"},
        {"filledAmount": "0"},
        {"status": "rejected"},
        {"status": "partiallyFilled", "filledAmount": "0"},
    ],
)
def test_an_order_in_an_unknown_state_is_kept_as_evidence(changes: dict[str, str]) -> None:
    """The word is not understood or contradicts its fills, but the order is there: cleanup reads it again."""
    order = {**ORDER, **changes}
    assert outcome(200, order) == Unknown("UNKNOWN_STATUS", answered(200, order), Order.parse(order))


@pytest.mark.parametrize(
    ("word", "filled", "status"),
    [
        ("new", "0", Status.OPEN),
        ("new", "1", Status.PARTIALLY_FILLED),
        ("awaitingTrigger", "0", Status.OPEN),
        ("partiallyFilled", "1", Status.PARTIALLY_FILLED),
        ("partiallyFilled", "0", Status.UNKNOWN),
        ("filled", "1", Status.FILLED),
        ("filled", "0", Status.UNKNOWN),
        ("canceled", "0", Status.CANCELED),
        ("canceled", "1", Status.CANCELED),
        ("canceledAuction", "0", Status.CANCELED),
        ("canceledSelfTradePrevention", "0", Status.CANCELED),
        ("canceledIOC", "1", Status.CANCELED),
        ("canceledFOK", "0", Status.CANCELED),
        ("canceledMarketProtection", "0", Status.CANCELED),
        ("canceledPostOnly", "0", Status.CANCELED),
        ("expired", "1", Status.CANCELED),
        ("rejected", "0", Status.REJECTED),
        ("rejected", "1", Status.UNKNOWN),
        ("Canceled", "0", Status.UNKNOWN),
        ("expiredSoon", "0", Status.UNKNOWN),
        ("", "0", Status.UNKNOWN),
    ],
)
def test_the_exchanges_word_means_one_state(word: str, filled: str, status: Status) -> None:
    """Old and new words are both known; a word that is not, or contradicts its fills, is unknown."""
    assert status_of(Order.parse({**ORDER, "status": word, "filledAmount": filled})) is status


def test_the_table_lists_these_codes_with_their_own_statuses() -> None:
    """Certain and doubtful codes, typed a second time: none is missing, moved or one too many."""
    listed = {Fate.NOT_PLACED: CERTAIN, Fate.UNKNOWN: DOUBTFUL}
    assert {(row.fate, row.http_status, row.code) for row in ERROR_CODES.values()} == {
        (fate, status, code)
        for fate, codes_of in listed.items()
        for status, codes in codes_of.items()
        for code in codes
    }
    assert all(row.code == code for code, row in ERROR_CODES.items())


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (200, "path parameter"),
        (201, "body parameter"),
        (210, "amount above the market's maximum"),
        (211, "price above the maximum"),
        (212, "amount below the market's minimum"),
        (213, "price too low"),
        (214, "price has too many significant digits"),
        (215, "price has more than 15 decimals"),
        (217, "order value below the minimum"),
        (218, "trigger amount has too many significant digits"),
        (313, "session"),
        (315, "browser"),
        (316, "websocket"),
        (317, "account locked"),
        (318, "account not verified"),
        (319, "region"),
        (320, "forbidden"),
    ],
)
def test_a_code_means_what_the_exchanges_page_says(code: int, words: str) -> None:
    """Typed from docs.bitvavo.com/docs/errors; 315 from the sentence that ccxt quotes."""
    assert words in ERROR_CODES[code].meaning


def test_every_row_of_the_table_says_where_it_is_from() -> None:
    """What comes from hearsay alone never counts as a refusal."""
    for row in ERROR_CODES.values():
        assert row.source.startswith("https://")
        assert row.meaning
        if "ccxt" in row.source:
            assert row.fate is Fate.UNKNOWN
