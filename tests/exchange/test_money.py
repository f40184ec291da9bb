"""Balances, holds and fees move as they were recorded on the real exchange, and nothing is ever lost."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local.exchange.book import Ladder, Level
from local.exchange.clock import Clock, Instant
from local.exchange.decimals import ZERO
from local.exchange.engine import Engine, Settings
from local.exchange.exchange import create_exchange
from local.exchange.keys import DEFAULT_KEYS, OWNER, ApiKey, Right
from local.exchange.ledger import CLEARING, FEES, MAKER, Purse
from local.exchange.matching import SelfTrade, Side
from local.exchange.orders import NewOrder, Order, OrderType, TimeInForce
from local.exchange.refusals import Refusal
from tests.exchange.conftest import START_MS, Source

CENT = Decimal("0.01")
TAKER, MAKES = Decimal("0.0025"), Decimal("0.0015")
STRANGER = "stranger"
STRANGERS_KEY = ApiKey("s" * 64, "s" * 64, STRANGER, frozenset({Right.VIEW, Right.TRADE}))
BALANCES = {"EUR": Decimal(10_000), "BTC": Decimal("0.25")}


def instant(ms: int = 0) -> Instant:
    return Instant(START_MS + ms, (START_MS + ms) * 1_000_000)


def engine_with(bids: list[tuple[str, str]], asks: list[tuple[str, str]]) -> Engine:
    exchange = create_exchange(
        clock=Clock(Source()),
        candles=None,
        keys=(*DEFAULT_KEYS, STRANGERS_KEY),
        settings=Settings(lookup_lag_ms=0),
        balances=BALANCES,
    )
    levels = [tuple(Level(Decimal(price), Decimal(size)) for price, size in side) for side in (bids, asks)]
    maker = exchange.engine.makers["BTC-EUR"]
    maker.pin(Ladder(*levels))
    maker.pinned_price = Decimal(30_000)
    return exchange.engine


def test_a_buy_of_ten_euro_spends_ten_euro_with_the_fee_inside() -> None:
    """amountQuote 10 gave filledAmountQuote 9.97506229713 and a fee of the rest, 10 exactly."""
    engine = engine_with([], [("28123.1", "1")])
    order = engine.place(OWNER, buy(amount_quote=Decimal(10)), instant())
    assert order.filled_quote + order.fee == 10
    assert order.filled_quote <= Decimal(10) / Decimal("1.0025")
    assert spent(engine) == 10


def test_the_recorded_buy_costs_its_value_and_a_fee_up_to_the_next_cent() -> None:
    """6.8976 EUR of base cost 6.92: the plain fee is 0.0172, the fee paid 0.0224."""
    engine = engine_with([], [("28740", "1")])
    order = engine.place(OWNER, buy(amount=Decimal("0.00024")), instant())
    assert (order.filled_quote, order.fee) == (Decimal("6.8976"), Decimal("0.0224"))
    assert spent(engine) == Decimal("6.92")


def test_the_recorded_sale_pays_its_value_less_a_fee_down_to_the_cent() -> None:
    """6.8928 EUR of base brought 6.87: the fee paid is 0.0228."""
    engine = engine_with([("28720", "1")], [])
    order = engine.place(OWNER, sell(amount=Decimal("0.00024")), instant())
    assert (order.filled_quote, order.fee) == (Decimal("6.8928"), Decimal("0.0228"))
    assert spent(engine) == Decimal("-6.87")


def test_a_limit_buy_holds_its_value_and_the_taker_fee_in_whole_cents() -> None:
    """0.0003 at 30000 held 9.03 EUR."""
    engine = engine_with([], [("31000", "1")])
    order = engine.place(OWNER, buy(amount=Decimal("0.0003"), price=Decimal(30_000)), instant())
    assert order.hold == Decimal("9.03")
    assert engine.ledger.balance(Purse(OWNER, "inOrder"), "EUR") == Decimal("9.03")


def test_an_order_that_fills_in_pieces_is_rounded_once() -> None:
    """Three fills of one order cost the sum of their values and plain fees, up to one cent."""
    engine = engine_with([], [("30001", "0.0001"), ("30002", "0.0001"), ("30003", "0.0001")])
    order = engine.place(OWNER, buy(amount=Decimal("0.0003"), price=Decimal(30_003)), instant())
    plain = order.filled_quote * Decimal("1.0025")
    assert len(order.fills) == 3
    assert plain <= spent(engine) < plain + CENT
    assert spent(engine) == order.filled_quote + order.fee


@pytest.mark.parametrize("side", Side)
def test_where_each_fill_is_rounded_each_moves_whole_cents(side: Side) -> None:
    """Every fill pays its value and the plain fee, up to the cent for a buy and down for a sale."""
    levels = [("30001", "0.0001"), ("30002", "0.0001"), ("30003", "0.0001")]
    engine = engine_with(levels[::-1], levels)
    engine.settings.rounds = "fill"
    limit = Decimal(30_003) if side is Side.BUY else Decimal(30_001)
    order = engine.place(OWNER, new_order(side, Decimal("0.0003"), None, limit), instant())
    moved = [fill.quote + (fill.fee if side is Side.BUY else -fill.fee) for fill in order.fills]
    assert moved == [Decimal("3.01") if side is Side.BUY else Decimal("2.99")] * 3
    assert spent(engine) == (sum(moved) if side is Side.BUY else -sum(moved))
    assert not order.is_open
    assert engine.ledger.balance(Purse(OWNER, "inOrder"), "EUR") == 0


def test_an_order_whose_fills_are_rounded_beyond_its_hold_takes_from_what_is_available() -> None:
    """A buy at its limit holds one cent for rounding; ten fills round ten times."""
    engine = engine_with([], [("30000", "0.00003")] * 10)
    engine.settings.rounds = "fill"
    order = engine.place(OWNER, buy(amount=Decimal("0.0003"), price=Decimal(30_000)), instant())
    assert len(order.fills) == 10
    assert spent(engine) == Decimal("9.10") > Decimal("9.03")


def test_a_dearer_fee_shows_on_the_fill() -> None:
    """The taker rate is a setting, and an order pays the rate of the time when it was placed."""
    engine = engine_with([], [("30000", "1")])
    engine.settings.taker_rate = Decimal("0.01")
    order = engine.place(OWNER, buy(amount=Decimal("0.01")), instant())
    assert order.fee == 3


def buy(
    amount: Decimal | None = None, amount_quote: Decimal | None = None, price: Decimal | None = None
) -> NewOrder:
    return new_order(Side.BUY, amount, amount_quote, price)


def sell(amount: Decimal | None = None, price: Decimal | None = None) -> NewOrder:
    return new_order(Side.SELL, amount, None, price)


def new_order(
    side: Side,
    amount: Decimal | None,
    amount_quote: Decimal | None,
    price: Decimal | None,
    time_in_force: TimeInForce = TimeInForce.GTC,
    post_only: bool = False,
    self_trade: SelfTrade = SelfTrade.DECREMENT,
) -> NewOrder:
    return NewOrder(
        market="BTC-EUR",
        side=side,
        order_type=OrderType.MARKET if price is None else OrderType.LIMIT,
        operator_id=7,
        amount=amount,
        amount_quote=amount_quote,
        price=price,
        time_in_force=time_in_force,
        post_only=post_only,
        self_trade=self_trade,
    )


def spent(engine: Engine, account: str = OWNER) -> Decimal:
    """EUR that left an account since the start."""
    return BALANCES["EUR"] - total(engine, account, "EUR")


def total(engine: Engine, account: str, symbol: str) -> Decimal:
    return sum(
        (engine.ledger.balance(Purse(account, part), symbol) for part in ("available", "inOrder")), ZERO
    )


amounts = st.integers(10_000, 3_000_000).map(lambda units: Decimal(units).scaleb(-8))
prices = st.integers(29_970, 30_030).map(Decimal)
budgets = st.integers(500, 30_000).map(lambda cents: Decimal(cents).scaleb(-2))


@st.composite
def asked(draw: st.DrawFn) -> NewOrder:
    side = draw(st.sampled_from(Side))
    if draw(st.integers(0, 3)) == 0:
        by_quote = side is Side.BUY and draw(st.booleans())
        return new_order(side, None if by_quote else draw(amounts), draw(budgets) if by_quote else None, None)
    force = draw(st.sampled_from(TimeInForce))
    return new_order(
        side,
        draw(amounts),
        None,
        draw(prices),
        force,
        post_only=force is TimeInForce.GTC and draw(st.booleans()),
        self_trade=draw(st.sampled_from(SelfTrade)),
    )


steps = st.lists(
    st.tuples(st.sampled_from([OWNER, STRANGER]), asked(), st.integers(0, 20_000), st.booleans()),
    min_size=1,
    max_size=15,
)


@settings(max_examples=150, deadline=None)
@given(steps, st.booleans(), st.sampled_from(("order", "fill")))
def test_orders_move_balances_by_amount_price_and_fee_and_nothing_is_lost(
    moves: list[tuple[str, NewOrder, int, bool]], thin: bool, rounds: Literal["order", "fill"]
) -> None:
    """Whatever two traders do: each balance is explained by its orders to the cent, and all sums are kept."""
    engine = engine_with_little() if thin else engine_on_a_ladder()
    engine.settings.rounds = rounds
    ms = 0
    refused: set[int] = set()
    for account, order, pause_ms, cancels in moves:
        ms += pause_ms
        try:
            placed = engine.place(account, order, instant(ms))
            if cancels and placed.is_open:
                engine.cancel(account, "BTC-EUR", placed.id, instant(ms))
        except Refusal as refusal:
            refused.add(refusal.code)
        for symbol in ("EUR", "BTC"):
            assert engine.ledger.total(symbol) == 0
            assert engine.ledger.balance(Purse(CLEARING), symbol) == 0
        for name in (OWNER, STRANGER):
            explain(engine, name, instant(ms))
        assert engine.ledger.balance(Purse(FEES), "EUR") == all_fees(engine, instant(ms))
    assert refused <= {212, 216, 217}


def engine_on_a_ladder() -> Engine:
    engine = engine_with([], [])
    engine.makers["BTC-EUR"].pin(None)
    return engine


def engine_with_little() -> Engine:
    """So little is quoted that the two traders soon meet each other and themselves."""
    return engine_with([("29990", "0.004"), ("29980", "0.01")], [("30010", "0.004"), ("30020", "0.01")])


def explain(engine: Engine, account: str, now: Instant) -> None:
    orders = engine.orders(account, "BTC-EUR", now.steady_ms)
    assert total(engine, account, "EUR") == BALANCES["EUR"] - sum(map(cost, orders), ZERO)
    assert total(engine, account, "BTC") == BALANCES["BTC"] + sum(map(gain, orders), ZERO)
    assert engine.ledger.balance(Purse(account), "EUR") % CENT == 0
    for order in orders:
        assert order.asked.amount is None or order.remaining >= 0
        plain = sum((fill.quote * (TAKER if fill.taker else MAKES) for fill in order.fills), ZERO)
        rounded = len(order.fills) if order.rounds_fills else int(not order.is_open)
        assert order.fee == plain if not rounded else plain <= order.fee < plain + rounded * CENT
        if not order.is_open:
            assert cost(order) % CENT == 0
            assert order.hold == 0


def all_fees(engine: Engine, now: Instant) -> Decimal:
    everyone = (engine.orders(name, "BTC-EUR", now.steady_ms) for name in (OWNER, STRANGER))
    return sum((order.fee for orders in everyone for order in orders), ZERO)


def cost(order: Order) -> Decimal:
    """EUR that an order took from its account, its fee included."""
    if order.asked.side is Side.BUY:
        return order.filled_quote + order.fee
    return order.fee - order.filled_quote


def gain(order: Order) -> Decimal:
    return order.filled if order.asked.side is Side.BUY else -order.filled


def test_two_traders_trade_with_each_other() -> None:
    """The resting one pays the maker's rate, the other the taker's; both sides move."""
    engine = engine_with([], [])
    selling = engine.place(STRANGER, sell(amount=Decimal("0.001"), price=Decimal(30_000)), instant())
    bought = engine.place(OWNER, buy(amount=Decimal("0.001"), price=Decimal(30_001)), instant())
    sold = engine.order(STRANGER, "BTC-EUR", selling.id, instant().steady_ms)
    assert sold is not None
    assert (bought.fee, sold.fee) == (Decimal("0.08"), Decimal("0.05"))
    assert (spent(engine), spent(engine, STRANGER)) == (Decimal("30.08"), Decimal("-29.95"))
    assert total(engine, OWNER, "BTC") - total(engine, STRANGER, "BTC") == Decimal("0.002")


def test_an_account_sees_and_cancels_its_own_orders_alone() -> None:
    """Another account's order is not found by its id."""
    engine = engine_with([], [])
    order = engine.place(STRANGER, sell(amount=Decimal("0.001"), price=Decimal(30_000)), instant())
    assert engine.order(OWNER, "BTC-EUR", order.id, instant().steady_ms) is None
    assert engine.orders(OWNER, "BTC-EUR", instant().steady_ms) == []
    with pytest.raises(Refusal) as refused:
        engine.cancel(OWNER, "BTC-EUR", order.id, instant())
    assert refused.value.code == 240


def test_only_the_maker_the_fees_and_the_traders_share_what_there_is() -> None:
    """After a trade the clearing account is empty: what a buyer paid, the maker and the fee account have."""
    engine = engine_with([], [("30000", "1")])
    order = engine.place(OWNER, buy(amount_quote=Decimal(10)), instant())
    assert engine.ledger.balance(Purse(CLEARING), "EUR") == 0
    assert engine.ledger.balance(Purse(CLEARING), "BTC") == 0
    assert engine.ledger.balance(Purse(FEES), "EUR") == order.fee
    assert engine.ledger.balance(Purse(MAKER), "EUR") == order.filled_quote
