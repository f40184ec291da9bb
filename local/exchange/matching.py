"""What an incoming order meets: a pure function of the order and of the offers on the other side."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from local.exchange.decimals import ZERO, floor_to

# A market order stops where the next price is this much worse than the first. Bitvavo publishes no figure;
# ccxt's documentation of disableMarketProtection names 10 %.
PROTECTION = Decimal("0.10")


class Side(StrEnum):
    BUY = "buy"
    SELL = "sell"

    @property
    def other(self) -> Side:
        return Side.SELL if self is Side.BUY else Side.BUY

    def accepts(self, limit: Decimal, price: Decimal) -> bool:
        """A buyer pays up to the limit, a seller takes no less."""
        return price <= limit if self is Side.BUY else price >= limit


class SelfTrade(StrEnum):
    """What happens when an order meets one of the same account."""

    DECREMENT = "decrementAndCancel"
    OLDEST = "cancelOldest"
    NEWEST = "cancelNewest"
    BOTH = "cancelBoth"


class End(StrEnum):
    """Why an order is no longer open."""

    FILLED = "filled"
    REQUEST = "request"
    IOC = "ioc"
    FOK = "fok"
    POST_ONLY = "post only"
    SELF_TRADE = "self trade"
    PROTECTION = "price protection"
    LIQUIDITY = "no liquidity"
    ADMIN = "admin request"


class Offer(NamedTuple):
    """Something to trade with: the market maker's (no order) or a resting order."""

    price: Decimal
    amount: Decimal
    account: str
    order: str | None = None


@dataclass(frozen=True)
class Wanted:
    """An incoming order, reduced to what matching needs.

    `amount` is in base and `budget` in quote, one of them given. `cost` is the quote that one quote of
    notional uses up of the budget: 1 + fee for a buy, 1 for a sell.
    """

    account: str
    side: Side
    limit: Decimal | None
    amount: Decimal | None
    budget: Decimal | None
    unit: Decimal
    cost: Decimal
    rests: bool
    all_or_nothing: bool = False
    post_only: bool = False
    self_trade: SelfTrade = SelfTrade.DECREMENT


class Decrement(NamedTuple):
    """A resting order loses that amount without a trade; all of it when it is cancelled."""

    order: str
    amount: Decimal
    cancelled: bool


@dataclass(frozen=True)
class Match:
    """Trades in order, own resting orders that give way, what the incoming one lost to them, and its end.

    `end` is None when the order goes on resting in the book.
    """

    trades: tuple[tuple[Offer, Decimal], ...] = ()
    decrements: tuple[Decrement, ...] = ()
    lost: Decimal = ZERO
    end: End | None = None


def match(wanted: Wanted, offers: Iterable[Offer]) -> Match:
    """Walk the offers, best first, until the order is done or nothing acceptable is left."""
    trades: list[tuple[Offer, Decimal]] = []
    decrements: list[Decrement] = []
    lost = ZERO
    left, budget = wanted.amount, wanted.budget
    best: Decimal | None = None
    end: End | None = None
    for offer in offers:
        if wanted.limit is not None and not wanted.side.accepts(wanted.limit, offer.price):
            break
        best = best or offer.price
        if wanted.limit is None and _is_protected(wanted.side, best, offer.price):
            end = End.PROTECTION
            break
        if wanted.post_only:
            return Match(end=End.POST_ONLY)
        can = _affordable(left, budget, offer.price, wanted)
        size = min(can, offer.amount)
        if offer.account == wanted.account and offer.order is not None:
            own = _meet_own(wanted, offer, size)
            if own.decrement is not None:
                decrements.append(own.decrement)
            if own.stops:
                end = End.SELF_TRADE
                break
            if left is not None:
                left -= own.lost
                lost += own.lost
                if left == 0:
                    end = End.SELF_TRADE
                    break
            continue
        if size > 0:
            trades.append((offer, size))
            if left is not None:
                left -= size
            if budget is not None:
                budget -= size * offer.price * wanted.cost
        if can <= offer.amount:
            end = End.FILLED if trades else None
            break
    if wanted.all_or_nothing and end is not End.FILLED:
        return Match(end=End.FOK)
    if end is None and not wanted.rests:
        end = End.LIQUIDITY if wanted.limit is None else End.IOC
    return Match(tuple(trades), tuple(decrements), lost, end)


class _Own(NamedTuple):
    decrement: Decrement | None
    lost: Decimal = ZERO
    stops: bool = False


def _meet_own(wanted: Wanted, offer: Offer, size: Decimal) -> _Own:
    """An order with a budget has no amount to decrement: there the resting one gives way."""
    order, rule = str(offer.order), wanted.self_trade
    if rule is SelfTrade.NEWEST:
        return _Own(None, stops=True)
    if rule is SelfTrade.OLDEST or (rule is SelfTrade.DECREMENT and wanted.amount is None):
        return _Own(Decrement(order, offer.amount, cancelled=True))
    if rule is SelfTrade.BOTH:
        return _Own(Decrement(order, offer.amount, cancelled=True), stops=True)
    return _Own(Decrement(order, size, cancelled=size == offer.amount), lost=size)


def _affordable(left: Decimal | None, budget: Decimal | None, price: Decimal, wanted: Wanted) -> Decimal:
    if left is not None:
        return left
    return floor_to((budget or ZERO) // (price * wanted.cost * wanted.unit) * wanted.unit, wanted.unit)


def _is_protected(side: Side, best: Decimal, price: Decimal) -> bool:
    worst = best * (1 + PROTECTION) if side is Side.BUY else best * (1 - PROTECTION)
    return not side.accepts(worst, price)
