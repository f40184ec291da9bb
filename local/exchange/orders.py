"""Orders and fills as values, and as the exchange writes them."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Literal

from local.exchange.clock import Instant
from local.exchange.decimals import ZERO, plain
from local.exchange.markets import Market
from local.exchange.matching import End, SelfTrade, Side


class OrderType(StrEnum):
    MARKET = "market"
    LIMIT = "limit"


class TimeInForce(StrEnum):
    GTC = "GTC"
    IOC = "IOC"
    FOK = "FOK"


Words = Literal["new", "old"]
Rounds = Literal["order", "fill"]

# The old words say why; the newer documents keep six words and move the reason to restatementReason.
# Source: docs.bitvavo.com of August 2025; newer get-open-orders and websocket pages.
_OLD_WORDS = {
    End.FILLED: "filled",
    End.REQUEST: "canceled",
    End.IOC: "canceledIOC",
    End.FOK: "canceledFOK",
    End.POST_ONLY: "canceledPostOnly",
    End.SELF_TRADE: "canceledSelfTradePrevention",
    End.PROTECTION: "canceledMarketProtection",
    End.LIQUIDITY: "canceled",
    End.ADMIN: "canceled",
}
_NEW_WORDS = dict.fromkeys(End, "canceled") | {End.FILLED: "filled", End.LIQUIDITY: "expired"}
_REASONS = {
    End.SELF_TRADE: "cancelOnSelfTradePrevention",
    End.PROTECTION: "cancelOnExecutionPriceProtection",
    End.ADMIN: "cancelOnAdminRequest",
}


@dataclass(frozen=True)
class NewOrder:
    """A request to trade that is well-formed; whether it fits the market is another question."""

    market: str
    side: Side
    order_type: OrderType
    operator_id: int
    client_order_id: str | None = None
    amount: Decimal | None = None
    amount_quote: Decimal | None = None
    price: Decimal | None = None
    time_in_force: TimeInForce = TimeInForce.GTC
    post_only: bool = False
    self_trade: SelfTrade = SelfTrade.DECREMENT
    response_required: bool = True


@dataclass(frozen=True)
class Fill:
    """One trade of an order, numbered through all orders.

    `fee` is in quote; the client learns it once `settles_at` (steady ms) has come.
    """

    id: str
    number: int
    at: Instant
    amount: Decimal
    price: Decimal
    taker: bool
    fee: Decimal
    settles_at: int

    @property
    def quote(self) -> Decimal:
        return self.amount * self.price


@dataclass(frozen=True)
class Order:
    """One state of an order; a change makes a new one. `hold` is what it keeps back, in `hold_symbol`."""

    id: str
    sequence: int
    account: str
    asked: NewOrder
    market: Market
    created: Instant
    updated: Instant
    hold: Decimal
    taker_rate: Decimal
    maker_rate: Decimal
    rounds_fills: bool = False
    fills: tuple[Fill, ...] = ()
    decremented: Decimal = ZERO
    end: End | None = None

    @property
    def is_open(self) -> bool:
        return self.end is None

    @property
    def hold_symbol(self) -> str:
        return self.market.quote if self.asked.side is Side.BUY else self.market.base

    @property
    def filled(self) -> Decimal:
        return sum((fill.amount for fill in self.fills), ZERO)

    @property
    def filled_quote(self) -> Decimal:
        return sum((fill.quote for fill in self.fills), ZERO)

    @property
    def fee(self) -> Decimal:
        return sum((fill.fee for fill in self.fills), ZERO)

    @property
    def remaining(self) -> Decimal:
        """Base amount that can still trade; only orders with an amount rest."""
        return (self.asked.amount or ZERO) - self.filled - self.decremented

    def status(self, words: Words) -> str:
        if self.end is None:
            return "partiallyFilled" if self.fills else "new"
        return (_OLD_WORDS if words == "old" else _NEW_WORDS)[self.end]

    def row(self, words: Words, now_ms: int) -> dict[str, object]:
        """The object of `GET /order` at a moment (steady ms); fees of unsettled fills are not in it yet."""
        asked = self.asked
        settled = [fill for fill in self.fills if fill.settles_at <= now_ms]
        row: dict[str, object] = {"orderId": self.id}
        if asked.client_order_id is not None:
            row["clientOrderId"] = asked.client_order_id
        row |= {
            "market": self.market.name,
            "created": self.created.shown_ms,
            "createdNs": self.created.shown_ns,
            "updated": self.updated.shown_ms,
            "updatedNs": self.updated.shown_ns,
            "status": self.status(words),
            "side": asked.side.value,
            "orderType": asked.order_type.value,
        }
        if asked.amount is not None:
            row |= {"amount": plain(asked.amount), "amountRemaining": plain(self.remaining)}
        if asked.amount_quote is not None:
            left = ZERO if self.end is End.FILLED else asked.amount_quote - self.filled_quote - self.fee
            row |= {"amountQuote": plain(asked.amount_quote), "amountQuoteRemaining": plain(left)}
        if asked.price is not None:
            row["price"] = plain(asked.price)
        row |= {
            "onHold": plain(self.hold),
            "onHoldCurrency": self.hold_symbol,
            "filledAmount": plain(self.filled),
            "filledAmountQuote": plain(self.filled_quote),
            "feePaid": plain(sum((fill.fee for fill in settled), ZERO)),
            "feeCurrency": self.market.quote,
            "fills": [fill_row(fill, self.market, now_ms) for fill in self.fills],
            "selfTradePrevention": asked.self_trade.value,
            "visible": self.is_open and asked.order_type is OrderType.LIMIT,
            "operatorId": asked.operator_id,
        }
        if asked.order_type is OrderType.LIMIT:
            row |= {"timeInForce": asked.time_in_force.value, "postOnly": asked.post_only}
        else:
            row["disableMarketProtection"] = False
        if self.decremented and self.end is not End.SELF_TRADE:
            row["restatementReason"] = "decrementOnSelfTradePrevention"
        elif self.end in _REASONS:
            row["restatementReason"] = _REASONS[self.end]
        return row

    def receipt(self) -> dict[str, object]:
        """The answer when `responseRequired` is false."""
        short = {"market": self.market.name, "orderId": self.id, "created": self.created.shown_ms}
        if self.asked.client_order_id is not None:
            short["clientOrderId"] = self.asked.client_order_id
        return short | {"updated": self.updated.shown_ms}


def fill_row(fill: Fill, market: Market, now_ms: int) -> dict[str, object]:
    """An element of `fills`: without fee and its currency until it has settled."""
    settled = fill.settles_at <= now_ms
    row: dict[str, object] = {
        "id": fill.id,
        "timestamp": fill.at.shown_ms,
        "amount": plain(fill.amount),
        "price": plain(fill.price),
        "taker": fill.taker,
        "settled": settled,
    }
    if settled:
        row |= {"fee": plain(fill.fee), "feeCurrency": market.quote}
    return row


def trade_row(order: Order, fill: Fill, now_ms: int) -> dict[str, object]:
    """An element of `GET /trades`."""
    row: dict[str, object] = {"orderId": order.id, "market": order.market.name}
    if order.asked.client_order_id is not None:
        row["clientOrderId"] = order.asked.client_order_id
    row |= {"side": order.asked.side.value, "operatorId": order.asked.operator_id}
    return row | fill_row(fill, order.market, now_ms)
