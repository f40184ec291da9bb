"""What would be sent: a limit order, immediate or cancel, never worse than what was approved.

A buy spends at most what was approved, fee included; whatever is rounded is rounded in the owner's favour.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from decimal import Decimal, localcontext
from typing import Literal
from uuid import UUID

from shared.bitvavo import BookTop, Market
from shared.fees import affordable
from shared.money import ceil_to_step, floor_to, floor_to_step, plain

_EXACT_DIGITS = 400

Side = Literal["buy", "sell"]


@dataclass(frozen=True, slots=True)
class Wish:
    """What the owner approved, as far as an order is made of it.

    A buy carries `amount_quote` (EUR, fee included) alone, a sell `amount` (base currency) alone; a proposal
    of type market has no `limit_price`. Prices in EUR.
    """

    market: str
    side: Side
    amount: Decimal | None
    amount_quote: Decimal | None
    limit_price: Decimal | None
    reference_price: Decimal


@dataclass(frozen=True, slots=True)
class Draft:
    """An order as it would be sent, and the most EUR that can change hands through it, fee included."""

    market: str
    side: Side
    price: Decimal
    amount: Decimal
    value: Decimal


def current_price(side: Side, book: BookTop) -> Decimal:
    """What a buyer pays now, or a seller gets."""
    return book.ask if side == "buy" else book.bid


def collar_edge(wish: Wish, book: BookTop, max_move_percent: Decimal) -> Decimal:
    """The worst price that the collar allows, not yet rounded."""
    with localcontext(prec=_EXACT_DIGITS):
        collar = max_move_percent.scaleb(-2)
        if wish.side == "buy":
            return min(wish.reference_price, book.ask) * (1 + collar)
        return max(wish.reference_price, book.bid) * (1 - collar)


def draft_order(wish: Wish, market: Market, book: BookTop, max_move_percent: Decimal) -> Draft | None:
    """The order that fulfils the wish in this market, or None when its precision leaves none.

    A market proposal is sent at the edge of the collar, a limit proposal at its price; a buy takes as much as
    `amount_quote` pays for at that price, with the taker fee and what the exchange may round.
    """
    worst = collar_edge(wish, book, max_move_percent) if wish.limit_price is None else wish.limit_price
    tick = tick_of(market, worst)
    if tick is None:
        return None
    price = floor_to_step(worst, tick) if wish.side == "buy" else ceil_to_step(worst, tick)
    if price <= 0:
        return None
    with localcontext(prec=_EXACT_DIGITS):
        if wish.amount_quote is not None:
            exact_amount = affordable(wish.amount_quote, price)
            value = wish.amount_quote
        elif wish.amount is not None:
            exact_amount = wish.amount
            value = wish.amount * max(book.bid, price)
        else:
            return None
    amount = floor_to(exact_amount, market.quantity_decimals)
    if amount <= 0:
        return None
    return Draft(wish.market, wish.side, price, amount, value)


def tick_of(market: Market, price: Decimal) -> Decimal | None:
    """The step of prices around `price`; None when the market names no form of precision, or a tick of 0.

    Newer answers name a tick, older ones a number of significant digits.
    """
    if market.tick_size is not None:
        return market.tick_size or None
    if market.price_precision is None:
        return None
    return Decimal(1).scaleb(price.adjusted() + 1 - market.price_precision)


def _shortest(value: Decimal) -> str:
    """Without zeros at the end, which count as decimals where decimals are limited."""
    with localcontext(prec=_EXACT_DIGITS):
        return plain(value.normalize())


def order_body(draft: Draft, execution_id: UUID, operator_id: int | None) -> bytes:
    """The exact bytes that are claimed, signed and sent: compact ASCII JSON.

    Field names and types: https://docs.bitvavo.com/docs/rest-api/create-order. Decimals are strings,
    `operatorId` is a number; a dry run without an operator id has none.
    """
    body = {
        "market": draft.market,
        "side": draft.side,
        "orderType": "limit",
        "operatorId": operator_id,
        "clientOrderId": str(execution_id),
        "amount": _shortest(draft.amount),
        "price": _shortest(draft.price),
        "timeInForce": "IOC",
    }
    named = {name: value for name, value in body.items() if value is not None}
    return json.dumps(named, separators=(",", ":")).encode()
