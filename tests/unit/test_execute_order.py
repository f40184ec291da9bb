"""What is sent is never worse than what was approved."""

from __future__ import annotations

import json
from decimal import Decimal, localcontext
from typing import Any, Literal
from uuid import UUID

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from functions.execute.order import (
    Draft,
    Wish,
    collar_edge,
    draft_order,
    order_body,
    tick_of,
)
from shared.bitvavo import BookTop, Market
from shared.fees import rounding_room

pytestmark = pytest.mark.unit


def market(**fields: Any) -> Market:
    row = {
        "market": "BTC-EUR",
        "status": "trading",
        "base": "BTC",
        "quote": "EUR",
        "minOrderInBaseAsset": "0.00006100",
        "minOrderInQuoteAsset": "5.00",
        "quantityDecimals": 8,
        "notionalDecimals": 2,
        "tickSize": "1.00",
        "orderTypes": ("market", "limit"),
    }
    return Market.model_validate(row | fields)


def book(bid: str | Decimal, ask: str | Decimal) -> BookTop:
    return BookTop(
        market="BTC-EUR", bid=Decimal(bid), bid_size=Decimal(1), ask=Decimal(ask), ask_size=Decimal(1)
    )


def wish(side: Literal["buy", "sell"], **fields: str) -> Wish:
    numbers: dict[str, Any] = {name: Decimal(value) for name, value in fields.items()}
    given = {"amount": None, "amount_quote": None, "limit_price": None, "reference_price": Decimal(50000)}
    return Wish(market="BTC-EUR", side=side, **(given | numbers))


ONE_PERCENT = Decimal("1.0")


def test_a_market_buy_is_sent_at_the_collars_edge() -> None:
    """The edge is one percent above the lower of reference and ask, rounded down to the tick."""
    draft = draft_order(wish("buy", amount_quote="25"), market(), book("49990", "50010"), ONE_PERCENT)
    # (25 - 0.07) / (50500 * 1.0025) = 0.000492432...
    assert draft == Draft("BTC-EUR", "buy", Decimal("50500.00"), Decimal("0.00049243"), Decimal(25))


def test_a_market_sell_is_sent_at_the_collars_edge() -> None:
    """The edge is one percent below the higher of reference and bid, rounded up to the tick."""
    draft = draft_order(wish("sell", amount="0.000123456"), market(), book("50010", "50020"), ONE_PERCENT)
    assert draft is not None
    assert draft.price == Decimal("49510.00")  # 50010 * 0.99 = 49509.9
    assert draft.amount == Decimal("0.00012345")
    assert draft.value == Decimal("0.000123456") * Decimal(50010)


@pytest.mark.parametrize(
    ("side", "limit", "sent"), [("buy", "50000.7", "50000.00"), ("sell", "50000.2", "50001.00")]
)
def test_a_limit_is_rounded_in_the_owners_favour(side: Literal["buy", "sell"], limit: str, sent: str) -> None:
    """A buyer's limit goes down to the tick, a seller's up."""
    amounts = {"amount_quote": "25"} if side == "buy" else {"amount": "0.001"}
    asked = wish(side, limit_price=limit, **amounts)
    draft = draft_order(asked, market(), book("49990", "50010"), ONE_PERCENT)
    assert draft is not None
    assert draft.price == Decimal(sent)


def test_a_sell_is_valued_at_the_higher_of_bid_and_price() -> None:
    """What can change hands counts in full: the approved amount, at the better of the two prices."""
    asked = wish("sell", amount="0.001", limit_price="50400")
    draft = draft_order(asked, market(), book("50000", "50010"), ONE_PERCENT)
    assert draft is not None
    assert draft.value == Decimal("50.4")


@pytest.mark.parametrize(
    ("asked", "fields"),
    [
        (wish("buy", amount_quote="0.01"), {}),
        (wish("buy", amount_quote="25"), {"tickSize": None}),
        (wish("buy", amount_quote="25"), {"tickSize": "0", "pricePrecision": 5}),
        (wish("buy", amount_quote="25"), {"tickSize": "60000"}),
        (wish("sell", amount="0.001"), {"quantityDecimals": 2}),
        (wish("sell", amount="0.001", limit_price="0.5"), {"tickSize": None}),
        (wish("sell"), {}),
    ],
)
def test_what_precision_leaves_nothing_of_is_no_order(asked: Wish, fields: dict[str, Any]) -> None:
    """An amount or price that rounds to nothing, or has no known step, makes no order."""
    assert draft_order(asked, market(**fields), book("49990", "50010"), ONE_PERCENT) is None


@pytest.mark.parametrize("precision", [{}, {"tickSize": None, "pricePrecision": 5}])
@pytest.mark.parametrize("collar", ["100", "150"])
def test_a_collar_of_everything_never_sells_for_nothing(precision: dict[str, Any], collar: str) -> None:
    """With a collar of 100 % the edge of a sell is zero, with more it is below: neither is a price."""
    asked = wish("sell", amount="1")
    assert draft_order(asked, market(**precision), book("50000", "50010"), Decimal(collar)) is None


def test_a_price_below_one_euro_is_a_price() -> None:
    """Markets whose prices have many decimals trade like any other."""
    asked = wish("buy", amount_quote="25", reference_price="0.00005")
    tiny = market(tickSize="0.00000001", quantityDecimals=0)
    draft = draft_order(asked, tiny, book("0.0000499", "0.00005"), ONE_PERCENT)
    assert draft is not None
    assert draft.price == Decimal("0.0000505")


LONG = Decimal("1.0000000000000000000000000000000000001")  # 37 decimals


def test_no_digit_of_a_long_number_is_lost() -> None:
    """Edge, value and body are exact beyond the 28 digits that decimals are rounded to by default."""
    asked = wish("sell", amount=str(LONG), reference_price=str(LONG))
    assert collar_edge(asked, book("1", "1"), ONE_PERCENT) == Decimal(
        "0.990000000000000000000000000000000000099"
    )
    assert collar_edge(
        wish("buy", amount_quote="25", reference_price=str(LONG)), book("2", "2"), ONE_PERCENT
    ) == Decimal("1.010000000000000000000000000000000000101")
    draft = draft_order(asked, market(tickSize=str(LONG), quantityDecimals=30), book("1", "1"), Decimal(0))
    assert draft is not None
    assert draft.price == LONG
    with localcontext(prec=100):
        assert draft.value == LONG * LONG
    assert json.loads(order_body(draft, UUID(int=1), 7))["price"] == str(LONG)


@pytest.mark.parametrize(
    ("price", "precision", "tick"),
    [("50123.4", 5, "1"), ("1.23456", 5, "0.0001"), ("0.00012345678", 5, "0.00000001"), ("123456", 5, "10")],
)
def test_older_markets_count_significant_digits(price: str, precision: int, tick: str) -> None:
    """Without a tick the step of prices follows from the number of significant digits."""
    old = market(tickSize=None, pricePrecision=precision)
    assert tick_of(old, Decimal(price)) == Decimal(tick)


def test_the_body_is_compact_ascii_with_the_exact_fields() -> None:
    """Decimals are plain strings without idle zeros, the operator id is a number, nothing rests."""
    draft = Draft("BTC-EUR", "buy", Decimal("50500.00"), Decimal("0.00050000"), Decimal(25))
    assert order_body(draft, UUID(int=1), 7) == (
        b'{"market":"BTC-EUR","side":"buy","orderType":"limit","operatorId":7,'
        b'"clientOrderId":"00000000-0000-0000-0000-000000000001",'
        b'"amount":"0.0005","price":"50500","timeInForce":"IOC"}'
    )


def test_a_dry_run_without_an_operator_id_names_none() -> None:
    """The field is absent, not null and not zero."""
    draft = Draft("BTC-EUR", "buy", Decimal(1), Decimal(1), Decimal(1))
    assert "operatorId" not in json.loads(order_body(draft, UUID(int=1), None))


TAKER_FEE, ROUNDED = Decimal("0.0025"), Decimal("0.01")


@pytest.mark.parametrize(
    ("eur", "room"),
    [
        ("0.01", 2),
        ("4.99", 2),
        ("5", 3),
        ("6", 3),
        ("9.99", 3),
        ("25", 7),
        ("39.99", 9),
        ("40", 10),
        ("250", 10),
    ],
)
def test_a_buy_leaves_a_cent_for_each_fill_that_it_may_have(eur: str, room: int) -> None:
    """Two, and one more for every 5 EUR, and ten at most: of 25 EUR 7 cents, of 250 EUR 10."""
    assert rounding_room(Decimal(eur)) == room * ROUNDED


def decimals(low: str, high: str, places: int) -> st.SearchStrategy[Decimal]:
    return st.decimals(Decimal(low), Decimal(high), places=places, allow_nan=False, allow_infinity=False)


precise = st.one_of(
    st.builds(
        lambda tick: {"tickSize": tick},
        st.sampled_from(("0.00000001", "0.0001", "0.01", "0.05", "0.5", "1", "1.00", "25")),
    ),
    st.builds(lambda digits: {"tickSize": None, "pricePrecision": digits}, st.integers(3, 8)),
)


@settings(max_examples=400, deadline=None)
@given(
    side=st.sampled_from(("buy", "sell")),
    reference=decimals("0.0001", "100000", 6),
    drift=decimals("-0.2", "0.2", 6),
    gap=decimals("0", "0.02", 6),
    limit_drift=st.one_of(st.none(), decimals("-0.2", "0.2", 6)),
    collar=decimals("0", "20", 3),
    eur=decimals("0.01", "1000000", 2),
    amount=decimals("0.00000001", "100000", 12),
    places=st.integers(0, 12),
    precision=precise,
)
@example(
    side="buy",
    reference=Decimal(50000),
    drift=Decimal(0),
    gap=Decimal(0),
    limit_drift=None,
    collar=Decimal(1),
    eur=Decimal(25),
    amount=Decimal(1),
    places=8,
    precision={"tickSize": "1"},
)
def test_whatever_is_drafted_is_never_worse_than_what_was_approved(
    side: Literal["buy", "sell"],
    reference: Decimal,
    drift: Decimal,
    gap: Decimal,
    limit_drift: Decimal | None,
    collar: Decimal,
    eur: Decimal,
    amount: Decimal,
    places: int,
    precision: dict[str, Any],
) -> None:
    """Price within collar and limit and on the tick, EUR within what was approved, amounts rounded down."""
    with localcontext(prec=400):
        bid = reference * (1 + drift)
        ask = bid * (1 + gap)
        limit = None if limit_drift is None else reference * (1 + limit_drift)
    asked = Wish(
        "BTC-EUR",
        side,
        amount if side == "sell" else None,
        eur if side == "buy" else None,
        limit,
        reference,
    )
    listed = market(quantityDecimals=places, **precision)
    top = book(bid, ask)
    draft = draft_order(asked, listed, top, collar)
    assume(draft is not None)
    assert draft is not None

    with localcontext(prec=400):
        edge = collar_edge(asked, top, collar)
        tick = tick_of(listed, edge if limit is None else limit)
        assert tick is not None
        assert draft.price > 0
        assert draft.price % tick == 0
        assert draft.amount > 0
        assert draft.amount == round(draft.amount, places)
        if side == "buy":
            worst = edge if limit is None else limit
            assert worst - tick < draft.price <= worst
            cost = draft.amount * draft.price * (1 + TAKER_FEE) + ROUNDED * min(10, 2 + int(eur // 5))
            assert cost <= eur == draft.value
            one_more = draft.amount + Decimal(1).scaleb(-places)
            assert one_more * draft.price * (1 + TAKER_FEE) + ROUNDED * min(10, 2 + int(eur // 5)) > eur
        else:
            worst = edge if limit is None else limit
            assert worst <= draft.price < worst + tick
            assert amount - Decimal(1).scaleb(-places) < draft.amount <= amount
            assert draft.value >= draft.amount * max(draft.price, bid)

    sent = json.loads(order_body(draft, UUID(int=1), 7))
    assert Decimal(sent["price"]) == draft.price
    assert Decimal(sent["amount"]) == draft.amount
    assert "E" not in sent["price"] + sent["amount"]
