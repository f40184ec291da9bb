"""Reading `POST /order`: first whether the request is one, then whether the market takes it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from typing import TypeVar

from local.exchange.markets import Market, MarketStatus
from local.exchange.matching import SelfTrade, Side
from local.exchange.orders import NewOrder, OrderType, TimeInForce
from local.exchange.refusals import Refusal

MAX_OPERATOR_ID = 9_223_372_036_854_775_807
MAX_AMOUNT = Decimal(1_000_000_000)
MAX_PRICE = Decimal(100_000_000_000)
MIN_PRICE = Decimal("0.000000000000001")

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
# Short enough that no product of two of them loses a digit.
_DECIMAL = re.compile(r"[0-9]{1,20}(\.[0-9]{1,20})?")

_COMMON = {
    "market",
    "side",
    "orderType",
    "operatorId",
    "clientOrderId",
    "amount",
    "selfTradePrevention",
    "responseRequired",
    "disableMarketProtection",
    "codGroupId",
}
_FOR_TYPE = {
    OrderType.MARKET: {"amountQuote"},
    OrderType.LIMIT: {"price", "timeInForce", "postOnly"},
}
_TRIGGERS = {"triggerAmount", "triggerType", "triggerReference"}
_KNOWN = _COMMON | _TRIGGERS | set().union(*_FOR_TYPE.values())

_CLOSED = {
    MarketStatus.HALTED: 423,
    MarketStatus.CANCEL_ONLY: 424,
    MarketStatus.AUCTION: 425,
    MarketStatus.AUCTION_MATCHING: 426,
}


def read_new_order(body: Mapping[str, object], markets: Mapping[str, Market]) -> NewOrder:
    """The order that a JSON object asks for. Raises Refusal 201 to 206."""
    for name in body:
        if name not in _KNOWN:
            raise Refusal(201, name)
    for name in ("market", "side", "orderType"):
        if body.get(name) is None:
            raise Refusal(203, name)
    market = body["market"]
    if not isinstance(market, str) or market not in markets:
        raise Refusal(205, "market")
    order_type = _word(OrderType, body, "orderType", OrderType.MARKET)
    operator_id = read_operator_id(body.get("operatorId"))
    for name in body:
        if name not in _COMMON | _FOR_TYPE[order_type]:
            raise Refusal(202, name)
    if body.get("disableMarketProtection") not in (None, False):
        raise Refusal(205, "disableMarketProtection")
    cod_group = body.get("codGroupId")
    if cod_group is not None and (type(cod_group) is not int or not 1 <= cod_group <= 1000):
        raise Refusal(205, "codGroupId")
    order = NewOrder(
        market=market,
        side=_word(Side, body, "side", Side.BUY),
        order_type=order_type,
        operator_id=operator_id,
        client_order_id=_client_order_id(body.get("clientOrderId")),
        amount=_decimal(body, "amount"),
        amount_quote=_decimal(body, "amountQuote"),
        price=_decimal(body, "price"),
        time_in_force=_word(TimeInForce, body, "timeInForce", TimeInForce.GTC),
        post_only=_flag(body, "postOnly", False),
        self_trade=_word(SelfTrade, body, "selfTradePrevention", SelfTrade.DECREMENT),
        response_required=_flag(body, "responseRequired", True),
    )
    if order.amount is not None and order.amount_quote is not None:
        raise Refusal(206, "amount", "amountQuote")
    if order.amount is None and order.amount_quote is None:
        raise Refusal(203, "amount")
    if order_type is OrderType.LIMIT and order.price is None:
        raise Refusal(203, "price")
    if order.post_only and order.time_in_force is not TimeInForce.GTC:
        raise Refusal(206, "postOnly", "timeInForce")
    return order


def read_operator_id(value: object) -> int:
    """Raises Refusal 203 when it is absent or not a JSON number, 205 outside the range of an int64."""
    if type(value) is not int:
        raise Refusal(203, "operatorId")
    if not 1 <= value <= MAX_OPERATOR_ID:
        raise Refusal(205, "operatorId")
    return value


def check_market(order: NewOrder, market: Market, value: Decimal) -> None:
    """Whether the market takes the order; `value` is what it is worth in quote now.

    Raises Refusal 205, 210 to 217, 422 to 429.
    """
    if market.status in _CLOSED:
        raise Refusal(_CLOSED[market.status])
    if order.price is not None:
        _check_price(order.price, market)
    if order.amount is not None:
        if order.amount > min(market.max_base, MAX_AMOUNT):
            raise Refusal(210, market.max_base)
        if order.amount % market.unit:
            raise Refusal(429, "amount")
        if order.amount < market.min_base:
            raise Refusal(212)
    if order.amount_quote is not None and order.amount_quote % market.cent:
        raise Refusal(205, "amountQuote")
    if value > market.max_quote:
        raise Refusal(210, market.max_quote)
    if value < market.min_quote:
        raise Refusal(217, market.min_quote, market.quote)


def _check_price(price: Decimal, market: Market) -> None:
    if price > MAX_PRICE:
        raise Refusal(211)
    if price < MIN_PRICE:
        raise Refusal(213)
    exponent = price.normalize().as_tuple().exponent
    if isinstance(exponent, int) and exponent < -15:
        raise Refusal(215)
    if market.price_precision is None:
        if price % market.tick:
            raise Refusal(422, f"{market.tick:f}")
    elif len(price.normalize().as_tuple().digits) > market.price_precision:
        raise Refusal(214)


def _client_order_id(value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not _UUID.fullmatch(value):
        raise Refusal(205, "clientOrderId")
    return value


def _decimal(body: Mapping[str, object], name: str) -> Decimal | None:
    value = body.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or not _DECIMAL.fullmatch(value):
        raise Refusal(205, name)
    return Decimal(value)


def _flag(body: Mapping[str, object], name: str, default: bool) -> bool:
    value = body.get(name, default)
    if not isinstance(value, bool):
        raise Refusal(205, name)
    return value


Word = TypeVar("Word", bound=StrEnum)


def _word(words: type[Word], body: Mapping[str, object], name: str, default: Word) -> Word:
    value = body.get(name)
    if value is None:
        return default
    try:
        return words(str(value))
    except ValueError:
        raise Refusal(205, name) from None
