"""The trading core: orders, balances and books. It does no input or output and is told the time.

Money follows what was recorded on the real exchange: an order holds its value and the taker fee in whole
cents; its fills pay amount times price and the plain fee; when it ends, the total is rounded once, up for a
buy and down for a sell, and the fee absorbs the remainder. Until then the part of a cent stays in order.
Nothing was recorded of an order with several fills, so `rounds` may be `fill`: each of them is rounded so.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal, localcontext
from functools import wraps
from itertools import count
from random import Random
from threading import RLock
from typing import Concatenate, ParamSpec, TypeVar
from uuid import UUID

from local.exchange.book import Ladder, Level, MarketMaker
from local.exchange.clock import Instant
from local.exchange.decimals import EXACT, ZERO, ceil_to, floor_to
from local.exchange.intake import check_market
from local.exchange.ledger import CLEARING, FEES, MAKER, OUTSIDE, Ledger, Purse
from local.exchange.markets import Market
from local.exchange.matching import End, Match, Offer, Side, Wanted, match
from local.exchange.orders import Fill, NewOrder, Order, OrderType, Rounds, TimeInForce, Words
from local.exchange.prices import PricePath
from local.exchange.refusals import Refusal

P = ParamSpec("P")
R = TypeVar("R")


@dataclass
class Settings:
    """How the exchange behaves; all of it may be changed while it runs.

    Rates are shares of the traded value; times are in milliseconds. `rounds` says what moves whole cents; an
    order by amountQuote does so as a whole in any case, its fee inside. `lists_operator_ids` says whether the
    rows of `GET /orders` hold `operatorId`.
    """

    taker_rate: Decimal = Decimal("0.0025")
    maker_rate: Decimal = Decimal("0.0015")
    lookup_lag_ms: int = 250
    settle_after_ms: int = 0
    words: Words = "new"
    rounds: Rounds = "order"
    lists_operator_ids: bool = True


@dataclass(frozen=True)
class PublicTrade:
    """A trade as anyone sees it."""

    id: str
    at: Instant
    amount: Decimal
    price: Decimal
    side: Side


def _atomic(
    method: Callable[Concatenate[Engine, P], R],
) -> Callable[Concatenate[Engine, P], R]:
    """One at a time, and in a decimal context in which a lost digit raises."""

    @wraps(method)
    def run(self: Engine, /, *args: P.args, **kwargs: P.kwargs) -> R:
        with self._lock, localcontext(EXACT):
            return method(self, *args, **kwargs)

    return run


class Engine:
    """All state of the exchange that money depends on."""

    def __init__(
        self, markets: Mapping[str, Market], paths: Mapping[str, PricePath], settings: Settings, seed: int
    ) -> None:
        self.markets = dict(markets)
        self.settings = settings
        self.ledger = Ledger()
        self.makers = {name: MarketMaker(market, paths[name], seed) for name, market in markets.items()}
        self.public_trades: dict[str, list[PublicTrade]] = defaultdict(list)
        self._versions: dict[str, dict[str, list[Order]]] = {name: {} for name in markets}
        self._by_client: dict[tuple[str, str, str], list[str]] = defaultdict(list)
        self._open: dict[str, dict[str, None]] = {name: {} for name in markets}
        self._reached: dict[str, int] = {}
        self._ids = Random(seed)  # noqa: S311 - ids of made-up trades, not secrets
        self._trade_numbers = count()
        self._lock = RLock()
        self._seed = seed
        self.changes = 0
        """Goes up with every order and every deposit, so that a change can be noticed."""

    # What one run leaves to the next

    @_atomic
    def books(
        self,
    ) -> tuple[list[tuple[str, str, str, Decimal]], list[list[Order]], dict[str, int], int]:
        """Balances, every state of each order, how far resting orders saw the price, and fills so far."""
        orders = [list(versions) for by_id in self._versions.values() for versions in by_id.values()]
        fills = sum(len(versions[-1].fills) for versions in orders)
        return self.ledger.rows(), orders, dict(self._reached), fills

    @_atomic
    def go_on(
        self,
        balances: Iterable[tuple[str, str, str, Decimal]],
        orders: Iterable[list[Order]],
        reached: Mapping[str, int],
        fills: int,
    ) -> None:
        """Take on what :meth:`books` gave of another engine with these markets."""
        for versions in orders:
            for order in versions:
                self._store(order)
        self.ledger.replace(balances)
        self._reached.update(reached)
        self._ids = Random(f"{self._seed} {fills}")  # noqa: S311 - no id of a fill is given a second time
        self._trade_numbers = count(fills)

    # What the world does

    @_atomic
    def deposit(self, account: str, symbol: str, amount: Decimal) -> None:
        """Money comes in from outside; a negative amount goes out. Raises Refusal 216."""
        self.changes += 1
        inside, outside = Purse(account), Purse(OUTSIDE)
        if amount >= 0:
            self.ledger.move(amount, symbol, outside, inside)
        else:
            self.ledger.move(-amount, symbol, inside, outside)

    @_atomic
    def advance(self, now: Instant) -> None:
        """Let resting orders trade with all that the price did since the last call."""
        for name, resting in self._open.items():
            if resting:
                self._trade_resting(name, now)

    @_atomic
    def change_market(self, market: Market) -> None:
        """Put a market in the place of the one with its name, for instance with another status."""
        self.markets[market.name] = market
        self.makers[market.name].market = market

    # What a trader does

    @_atomic
    def place(self, account: str, asked: NewOrder, now: Instant) -> Order:
        """Accept an order and trade it. Raises Refusal 205 to 235 and 422 to 429."""
        self.advance(now)
        market = self.markets[asked.market]
        book = self.book(asked.market, now)
        check_market(asked, market, self._value(asked, book, now))
        if asked.client_order_id is not None and self._open_with(account, asked):
            raise Refusal(220)
        if len(self.open_orders(account, asked.market)) >= market.max_open_orders:
            raise Refusal(235, market.max_open_orders)
        against = self._offers(asked.market, asked.side.other, now)
        matched = match(self._wanted(account, asked, market), against)
        hold = self._hold_for(asked, market, matched)
        order = Order(
            id=self._next_id(asked.market),
            sequence=len(self._versions[asked.market]),
            account=account,
            asked=asked,
            market=market,
            created=now,
            updated=now,
            hold=hold,
            taker_rate=self.settings.taker_rate,
            maker_rate=self.settings.maker_rate,
            rounds_fills=self.settings.rounds == "fill" and asked.amount is not None,
        )
        self.ledger.move(hold, order.hold_symbol, Purse(account), Purse(account, "inOrder"))
        self._store(order)
        self._settle(order, matched, now)
        return self._latest(order)

    @_atomic
    def cancel(self, account: str, market: str, order_id: str, now: Instant, end: End = End.REQUEST) -> Order:
        """Raises Refusal 240 when no open order of the account has that id."""
        self.advance(now)
        order = self._find(account, market, order_id)
        if order is None or not order.is_open:
            raise Refusal(240)
        return self._finish(order, end, now)

    # What anyone reads

    @_atomic
    def order(self, account: str, market: str, order_id: str, as_of_ms: int) -> Order | None:
        """An order as it stood at a moment (steady ms); None when it was not there yet."""
        known = [
            version
            for version in self._versions[market].get(order_id, ())
            if version.account == account and version.updated.steady_ms <= as_of_ms
        ]
        return known[-1] if known else None

    @_atomic
    def ids_of(self, account: str, market: str, client_order_id: str) -> list[str]:
        """Orders that carry a clientOrderId, oldest first: at most one open, any number of closed ones."""
        return list(self._by_client[account, market, client_order_id.lower()])

    @_atomic
    def orders(self, account: str, market: str, as_of_ms: int) -> list[Order]:
        """All orders of an account in a market as they stood at a moment (steady ms), newest first."""
        found: list[Order] = []
        for versions in reversed(self._versions[market].values()):
            known = [one for one in versions if one.updated.steady_ms <= as_of_ms]
            if known and known[-1].account == account:
                found.append(known[-1])
        return found

    @_atomic
    def open_orders(self, account: str, market: str) -> list[Order]:
        """Open orders of an account in a market, newest first."""
        latest = (self._versions[market][order_id][-1] for order_id in reversed(self._open[market]))
        return [order for order in latest if order.account == account]

    @_atomic
    def book(self, market: str, now: Instant) -> Ladder:
        """The market maker's levels and everyone's resting orders, added up by price, best first."""
        return Ladder(
            bids=tuple(_levels(self._offers(market, Side.BUY, now))),
            asks=tuple(_levels(self._offers(market, Side.SELL, now))),
        )

    # Placing

    def _wanted(self, account: str, asked: NewOrder, market: Market) -> Wanted:
        return Wanted(
            account=account,
            side=asked.side,
            limit=asked.price,
            amount=asked.amount,
            budget=asked.amount_quote,
            unit=market.unit,
            cost=1 + self.settings.taker_rate if asked.side is Side.BUY else Decimal(1),
            rests=asked.order_type is OrderType.LIMIT and asked.time_in_force is TimeInForce.GTC,
            all_or_nothing=asked.time_in_force is TimeInForce.FOK,
            post_only=asked.post_only,
            self_trade=asked.self_trade,
        )

    def _value(self, asked: NewOrder, book: Ladder, now: Instant) -> Decimal:
        """What an order is worth in quote: at its limit, else at the best price of the other side."""
        if asked.amount_quote is not None:
            return asked.amount_quote
        against = book.asks if asked.side is Side.BUY else book.bids
        price = asked.price or (against[0].price if against else self.makers[asked.market].mid(now.steady_ms))
        return (asked.amount or ZERO) * price

    def _hold_for(self, asked: NewOrder, market: Market, matched: Match) -> Decimal:
        """What the order keeps back until it ends: base of a sell, quote and taker fee of a buy."""
        if asked.side is Side.SELL:
            return asked.amount or sum((size for _, size in matched.trades), ZERO)
        if asked.amount_quote is not None:
            return asked.amount_quote
        if asked.price is not None:
            notional = asked.price * (asked.amount or ZERO)
        else:
            notional = sum((offer.price * size for offer, size in matched.trades), ZERO)
        held = ceil_to(notional * (1 + self.settings.taker_rate), market.cent)
        if self.settings.rounds == "order":
            return held
        costs = (offer.price * size * (1 + self.settings.taker_rate) for offer, size in matched.trades)
        return max(held, sum((ceil_to(cost, market.cent) for cost in costs), ZERO))

    def _settle(self, order: Order, matched: Match, now: Instant) -> None:
        for offer, size in matched.trades:
            if offer.order is None:
                self.makers[order.market.name].take(offer.price, size)
                self._pay_maker(order.market, order.asked.side.other, size, offer.price)
            else:
                resting = self._latest(self._versions[order.market.name][offer.order][0])
                self._fill(resting, size, offer.price, now, taker=False)
            self._fill(order, size, offer.price, now, taker=True)
            order = self._latest(order)
            self._publish(order, order.asked.side, now)
        for one in matched.decrements:
            resting = self._latest(self._versions[order.market.name][one.order][0])
            if one.cancelled:
                self._finish(resting, End.SELF_TRADE, now)
            else:
                self._store(replace(resting, decremented=resting.decremented + one.amount, updated=now))
        if matched.lost:
            order = self._store(replace(order, decremented=matched.lost))
        if matched.end is not None:
            self._finish(order, matched.end, now)

    # Trading while resting

    def _trade_resting(self, name: str, now: Instant) -> None:
        maker = self.makers[name]
        since = self._reached.get(name, now.steady_ms)
        low, high = maker.extremes(min(since, now.steady_ms), now.steady_ms)
        self._reached[name] = now.steady_ms
        resting = [self._versions[name][order_id][-1] for order_id in self._open[name]]
        for order in sorted(resting, key=_priority):
            limit, side = order.asked.price, order.asked.side
            if limit is None:
                continue
            met = maker.quotes(now.steady_ms, low if side is Side.BUY else high)
            for level in met.asks if side is Side.BUY else met.bids:
                if not order.is_open or not side.accepts(limit, level.price):
                    break
                size = min(level.amount, order.remaining)
                maker.take(level.price, size)
                self._pay_maker(order.market, side.other, size, limit)
                self._fill(order, size, limit, now, taker=False)
                order = self._latest(order)
                self._publish(order, side.other, now)

    # Money

    def _fill(self, order: Order, amount: Decimal, price: Decimal, now: Instant, *, taker: bool) -> None:
        """Pay one trade of an order, and end the order when nothing is left of it."""
        market, account = order.market, order.account
        fill = Fill(
            id=str(UUID(int=self._ids.getrandbits(128), version=4)),
            number=next(self._trade_numbers),
            at=now,
            amount=amount,
            price=price,
            taker=taker,
            fee=self._fee(order, amount * price, order.taker_rate if taker else order.maker_rate),
            settles_at=now.steady_ms + self.settings.settle_after_ms,
        )
        held = Purse(account, "inOrder")
        after = replace(order, fills=(*order.fills, fill), updated=now)
        if order.asked.side is Side.BUY:
            short = max(fill.quote + fill.fee - order.hold, ZERO)
            self.ledger.move(short, market.quote, Purse(account), held)
            self.ledger.move(fill.quote, market.quote, held, Purse(CLEARING))
            self.ledger.move(fill.fee, market.quote, held, Purse(FEES))
            self.ledger.move(amount, market.base, Purse(CLEARING), Purse(account))
            after = replace(after, hold=order.hold + short - fill.quote - fill.fee)
        else:
            before_cents, after_cents = (floor_to(_proceeds(one), market.cent) for one in (order, after))
            whole = after_cents - before_cents
            self.ledger.move(amount, market.base, held, Purse(CLEARING))
            self.ledger.move(fill.quote - fill.fee, market.quote, Purse(CLEARING), held)
            self.ledger.move(fill.fee, market.quote, Purse(CLEARING), Purse(FEES))
            self.ledger.move(whole, market.quote, held, Purse(account))
            after = replace(after, hold=order.hold - amount)
        self._store(after)
        if order.asked.amount is not None and after.remaining == 0 and not taker:
            self._finish(after, End.FILLED, now)

    def _fee(self, order: Order, quote: Decimal, rate: Decimal) -> Decimal:
        """The fee of a fill: plain, or with what is left of a cent where each fill is rounded."""
        cent, plain_fee = order.market.cent, quote * rate
        if not order.rounds_fills:
            return plain_fee
        if order.asked.side is Side.SELL:
            return quote - floor_to(quote - plain_fee, cent)
        within = order.hold + self.ledger.balance(Purse(order.account), order.market.quote)
        return max(min(ceil_to(quote + plain_fee, cent), within) - quote, ZERO)

    def _finish(self, order: Order, end: End, now: Instant) -> Order:
        """Close an order: round its total to the cent, let the fee absorb the rest, give the hold back."""
        market, account = order.market, order.account
        held = Purse(account, "inOrder")
        extra = _remainder(order)
        self.ledger.move(extra, market.quote, held, Purse(FEES))
        back = order.hold - extra if order.asked.side is Side.BUY else order.hold
        self.ledger.move(back, order.hold_symbol, held, Purse(account))
        fills = order.fills
        if extra:
            fills = (*fills[:-1], replace(fills[-1], fee=fills[-1].fee + extra))
        return self._store(replace(order, fills=fills, hold=ZERO, end=end, updated=now))

    def _pay_maker(self, market: Market, side: Side, amount: Decimal, price: Decimal) -> None:
        maker, clearing = Purse(MAKER), Purse(CLEARING)
        if side is Side.SELL:
            self.ledger.move(amount, market.base, maker, clearing)
            self.ledger.move(amount * price, market.quote, clearing, maker)
        else:
            self.ledger.move(amount * price, market.quote, maker, clearing)
            self.ledger.move(amount, market.base, clearing, maker)

    # Keeping

    def _store(self, order: Order) -> Order:
        """Keep a state of an order; earlier ones stay readable for look-ups that lag."""
        self.changes += 1
        versions = self._versions[order.market.name].setdefault(order.id, [])
        if not versions and order.asked.client_order_id is not None:
            key = (order.account, order.market.name, order.asked.client_order_id.lower())
            self._by_client[key].append(order.id)
        if versions and versions[-1].updated == order.updated:
            versions[-1] = order
        else:
            versions.append(order)
        if order.is_open:
            self._open[order.market.name][order.id] = None
            self._reached.setdefault(order.market.name, order.created.steady_ms)
        else:
            self._open[order.market.name].pop(order.id, None)
            if not self._open[order.market.name]:
                self._reached.pop(order.market.name, None)
        return order

    def _latest(self, order: Order) -> Order:
        return self._versions[order.market.name][order.id][-1]

    def _find(self, account: str, market: str, order_id: str) -> Order | None:
        versions = self._versions[market].get(order_id)
        return versions[-1] if versions and versions[-1].account == account else None

    def _open_with(self, account: str, asked: NewOrder) -> bool:
        ids = self._by_client[account, asked.market, (asked.client_order_id or "").lower()]
        return any(self._versions[asked.market][order_id][-1].is_open for order_id in ids)

    def _next_id(self, market: str) -> str:
        """Unique in its market only, and no RFC 4122 version, as recorded on the real exchange."""
        return f"00000000-0000-0460-0100-{len(self._versions[market]) + 1:012x}"

    def _publish(self, order: Order, taker: Side, now: Instant) -> None:
        fill = order.fills[-1]
        trade = PublicTrade(fill.id, now, fill.amount, fill.price, taker)
        self.public_trades[order.market.name].append(trade)

    def _offers(self, market: str, side: Side, now: Instant) -> list[Offer]:
        """Everything on one side of the book, best price first, resting orders before the market maker."""
        quotes = self.makers[market].quotes(now.steady_ms)
        levels = quotes.bids if side is Side.BUY else quotes.asks
        offers = [
            Offer(order.asked.price, order.remaining, order.account, order.id)
            for order_id in self._open[market]
            if (order := self._versions[market][order_id][-1]).asked.side is side
            and order.asked.price is not None
        ]
        offers += [Offer(level.price, level.amount, MAKER) for level in levels]
        return sorted(offers, key=lambda offer: offer.price, reverse=side is Side.BUY)


def _priority(order: Order) -> Decimal:
    """Among the buys and among the sells, the better price is smaller."""
    price = order.asked.price or ZERO
    return -price if order.asked.side is Side.BUY else price


def _proceeds(order: Order) -> Decimal:
    return order.filled_quote - order.fee


def _remainder(order: Order) -> Decimal:
    """What is left of a cent when an order ends: it goes to the fee."""
    cent = order.market.cent
    if order.asked.side is Side.SELL:
        return _proceeds(order) - floor_to(_proceeds(order), cent)
    spent = order.filled_quote + order.fee
    return ceil_to(spent, cent) - spent


def _levels(offers: Iterable[Offer]) -> Iterator[Level]:
    total: dict[Decimal, Decimal] = defaultdict(lambda: ZERO)
    for offer in offers:
        total[offer.price] += offer.amount
    return (Level(price, amount) for price, amount in total.items())
