"""Orders on the owner's account that no request made: the owner's own by hand, or an intruder's."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from local.exchange.clock import NS_PER_MS, Instant
from local.exchange.decimals import ceil_to, floor_to, rounding
from local.exchange.exchange import Accepted, Exchange
from local.exchange.keys import OWNER
from local.exchange.markets import Market
from local.exchange.matching import Side
from local.exchange.orders import NewOrder, OrderType
from local.exchange.refusals import Refusal

# A little above the smallest order, so that a moved price does not make it too small.
WORTH = Decimal(6)
RECENT_NS = 60_000 * NS_PER_MS


class Fate(StrEnum):
    FILLED = "filled"
    CANCELED = "canceled"
    OPEN = "open"


class ForeignOrders(BaseModel):
    """`orders` of them, buys and sells in turn, created evenly between the account's last order and now."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    market: str
    operator_id: int = 7
    client_order_id: str | None = None
    orders: Annotated[int, Field(ge=1, le=5000)] = 1
    fate: Fate = Fate.FILLED
    account: str = OWNER


def place_foreign(exchange: Exchange, wanted: ForeignOrders) -> list[str]:
    """The ids of the new orders, oldest first. Raises Refusal like any order."""
    if wanted.market not in exchange.engine.markets:
        raise Refusal(205, "market")
    now = exchange.clock.now()
    earlier = exchange.engine.orders(wanted.account, wanted.market, now.steady_ms)
    since = earlier[0].created.shown_ns if earlier else now.shown_ns - RECENT_NS
    step = max(0, now.shown_ns - since) // (wanted.orders + 1)
    ids = []
    for number in range(wanted.orders):
        at = Instant(now.steady_ms, now.shown_ns - step * (wanted.orders - 1 - number))
        ids.append(_place(exchange, wanted, Side.BUY if number % 2 == 0 else Side.SELL, at))
    return ids


def _place(exchange: Exchange, wanted: ForeignOrders, side: Side, at: Instant) -> str:
    market = exchange.engine.markets[wanted.market]
    price = exchange.engine.makers[wanted.market].mid(at.steady_ms)
    asked = _order(wanted, market, side, price)
    order = exchange.engine.place(wanted.account, asked, at)
    if wanted.fate is Fate.CANCELED:
        exchange.engine.cancel(wanted.account, wanted.market, order.id, at)
    exchange.record.append(
        Accepted(
            account=wanted.account,
            market=wanted.market,
            order_id=order.id,
            client_order_id=asked.client_order_id,
            operator_id=asked.operator_id,
            accepted_ms=at.shown_ms,
            request=None,
        )
    )
    return order.id


@rounding()
def _order(wanted: ForeignOrders, market: Market, side: Side, price: Decimal) -> NewOrder:
    if wanted.fate is Fate.FILLED:
        order_type, limit = OrderType.MARKET, None
    else:
        order_type, limit = OrderType.LIMIT, floor_to(price * _away(side), market.tick)
    return NewOrder(
        market=wanted.market,
        side=side,
        order_type=order_type,
        operator_id=wanted.operator_id,
        client_order_id=wanted.client_order_id,
        amount=max(ceil_to(WORTH / (limit or price), market.unit), market.min_base),
        price=limit,
    )


def _away(side: Side) -> Decimal:
    """A share of the price at which an order of that side rests."""
    return Decimal("0.5") if side is Side.BUY else Decimal(2)
