"""What is sent is never worse than what was approved, judged on the simulated exchange's own books."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal
from uuid import uuid4

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from functions.execute.checks import any_failed, judge
from functions.execute.exchange import BitvavoTrade
from functions.execute.facts import NOT_ASKED, MarketFacts
from functions.execute.order import Wish, collar_edge, draft_order, order_body
from functions.execute.outcome import Placed, Rejected, classify
from local.exchange.app import create_app
from local.exchange.clock import NS_PER_MS, Clock
from local.exchange.engine import Settings
from local.exchange.exchange import create_exchange
from local.exchange.keys import TRADE_KEY, TRADE_SECRET
from local.faults.plan import FaultPlan
from local.faults.serving import serving
from shared.bitvavo import BitvavoReadonly, KeyPair, open_http
from shared.policy import TradingPolicy
from tests.exchange.trader import Trader, ok
from tests.unit.execute_world import NOW_MS, OPERATOR, POLICY

PRICES = {"BTC-EUR": "50000", "ETH-EUR": "3000", "XRP-EUR": "2", "ADA-EUR": "0.5", "DOGE-EUR": "0.2"}


@dataclass(frozen=True)
class Exchange:
    """The exchange over HTTP: as execute sees it, as its owner sees it, and as a test commands it."""

    market_data: BitvavoReadonly
    trade: BitvavoTrade
    owner: Trader
    admin: str
    http: httpx.Client

    def command(self, path: str, **command: object) -> None:
        self.http.post(f"{self.admin}{path}", json=command).raise_for_status()

    def quote(
        self, market: str, bid: Decimal, ask: Decimal, thin: Decimal, tick: Decimal, offers: int = 1
    ) -> None:
        """Quote thin `offers` worth `thin` EUR each at the best prices, and a deep level a percent behind."""
        bids = [bid] * offers + [below(bid * Decimal("0.99"), tick)]
        asks = [ask] * offers + [ask + max(tick, below(ask * Decimal("0.01"), tick))]
        sizes = [round(thin / ask, 8)] * offers + [Decimal(1_000_000)]

        def levels(prices: list[Decimal]) -> list[list[str]]:
            return [[f"{price:f}", f"{size:f}"] for price, size in zip(prices, sizes, strict=True)]

        self.command(f"/markets/{market}", bids=levels(bids), asks=levels(asks))

    def balance(self, symbol: str) -> Decimal:
        """What is there of a currency, held or not."""
        (row,) = ok(self.owner.get("/balance", symbol=symbol))
        return Decimal(row["available"]) + Decimal(row["inOrder"])


def below(value: Decimal, tick: Decimal) -> Decimal:
    """The next price at or below, at least a tick."""
    return max(value // tick * tick, tick)


@pytest.fixture(scope="module")
def exchange() -> Iterator[Exchange]:
    """An exchange of its own whose time stands still, with money enough for any order of these tests."""
    simulated = create_exchange(
        clock=Clock(lambda: NOW_MS * NS_PER_MS),
        candles=None,
        settings=Settings(lookup_lag_ms=0),
        points=10**9,
    )
    with serving(create_app(simulated, FaultPlan())) as address, open_http(5.0) as http:
        keys = KeyPair(TRADE_KEY, SecretStr(TRADE_SECRET))
        one = Exchange(
            BitvavoReadonly(http, f"{address}/v2", None, lambda: NOW_MS),
            BitvavoTrade(http, f"{address}/v2", keys, OPERATOR),
            Trader(address, TRADE_KEY, TRADE_SECRET, lambda: NOW_MS, http),
            f"{address}/_admin",
            http,
        )
        for symbol in ("EUR", *(name.split("-")[0] for name in PRICES)):
            one.command("/balances", symbol=symbol, amount="100000000")
        yield one


shares = st.decimals(Decimal("-0.03"), Decimal("0.03"), places=4)
cents = st.decimals(Decimal(6), Decimal(5000), places=2)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from(sorted(PRICES)),
    side=st.sampled_from(("buy", "sell")),
    eur=cents,
    drift=st.decimals(Decimal("-0.01"), Decimal("0.01"), places=4),
    gap=st.decimals(Decimal(0), Decimal("0.004"), places=4),
    limit=st.none() | st.decimals(Decimal("-0.01"), Decimal("0.01"), places=6),
    moved=shares,
    thin=st.decimals(Decimal(1), Decimal(2000), places=2),
    tick=st.none() | st.sampled_from(("0.00001", "0.0001", "0.001", "0.01")),
    old=st.booleans(),
    fee=st.sampled_from(("0", "0.0015", "0.0025")),
    rounds=st.sampled_from(("order", "fill")),
    offers=st.integers(1, 9),
)
def test_no_fill_is_worse_than_what_was_approved(
    exchange: Exchange,
    name: str,
    side: Literal["buy", "sell"],
    eur: Decimal,
    drift: Decimal,
    gap: Decimal,
    limit: Decimal | None,
    moved: Decimal,
    thin: Decimal,
    tick: str | None,
    old: bool,
    fee: str,
    rounds: str,
    offers: int,
) -> None:
    """Whatever the book does between decision and order: price within collar and limit, EUR within."""
    reference = Decimal(PRICES[name])
    step = Decimal(tick) if tick else (Decimal(1) if reference > 1000 else Decimal("0.00001"))
    exchange.command("/settings", taker_rate=fee, rounds=rounds)
    exchange.command(f"/markets/{name}", tick=f"{step:f}", price_precision=5 if old else None)

    bid = below(reference * (1 + drift), step)
    exchange.quote(name, bid, below(bid * (1 + gap), step), thin, step)
    listed, book = exchange.market_data.market(name), exchange.market_data.book_top(name)
    wish = Wish(
        name,
        side,
        round(eur / reference, 8) if side == "sell" else None,
        eur if side == "buy" else None,
        None if limit is None else reference * (1 + limit),
        reference,
    )
    policy = TradingPolicy.model_validate(POLICY)
    draft = draft_order(wish, listed, book, policy.max_price_move_percent)
    facts = MarketFacts(exchange.market_data.time(), listed, book, NOT_ASKED)
    verdicts = judge(wish, policy, facts, draft, window_ms=5000, monotonic_s=facts_read_at(facts))
    if draft is None or any_failed(verdicts):
        return

    exchange.quote(
        name, below(bid * (1 + moved), step), below(book.ask * (1 + moved), step), thin, step, offers
    )
    base = name.split("-")[0]
    before = {symbol: exchange.balance(symbol) for symbol in ("EUR", base)}
    execution_id = uuid4()
    body = order_body(draft, execution_id, OPERATOR)
    answer = exchange.trade.place(body, timestamp_ms=NOW_MS, window_ms=5000)
    outcome = classify(answer, execution_id, name, side)
    assert not isinstance(outcome, Rejected), (outcome, body)
    assert isinstance(outcome, Placed)

    edge = collar_edge(wish, book, policy.max_price_move_percent)
    worst = edge if wish.limit_price is None else wish.limit_price
    after = {symbol: exchange.balance(symbol) for symbol in before}
    spent, sold = before["EUR"] - after["EUR"], before[base] - after[base]
    for fill in outcome.order.fills:
        assert fill.price <= worst if side == "buy" else fill.price >= worst
    if side == "buy":
        # The room is for orders that rest with 5 EUR at least; where smaller ones do, each may cost its cent.
        beyond = max(0, len(outcome.order.fills) - 2 - int(eur // 5)) if rounds == "fill" else 0
        assert 0 <= spent <= eur + beyond * Decimal("0.01")
        assert sold <= 0
    else:
        assert wish.amount is not None
        assert 0 <= sold <= wish.amount
        assert -spent >= sold * worst * (1 - Decimal(fee)) - Decimal("0.01") * max(
            1, len(outcome.order.fills)
        )


@pytest.mark.parametrize("rounds", ["order", "fill"])
@pytest.mark.parametrize(("eur", "fills"), [("6", 3), ("25", 7), ("40", 10), ("250", 10)])
def test_a_buy_leaves_room_for_every_fill_that_is_rounded(
    exchange: Exchange, eur: str, fills: int, rounds: str
) -> None:
    """All at its limit, with as many fills as it reckons with: it spends no cent more than was approved."""
    price, step = Decimal(50_000), Decimal(1)
    exchange.command("/settings", taker_rate="0.0025", rounds=rounds)
    exchange.command("/markets/BTC-EUR", tick="1", price_precision=None)
    exchange.quote("BTC-EUR", price - 10, price, Decimal(eur) / fills, step, fills)
    listed, book = exchange.market_data.market("BTC-EUR"), exchange.market_data.book_top("BTC-EUR")
    draft = draft_order(Wish("BTC-EUR", "buy", None, Decimal(eur), price, price), listed, book, Decimal(1))
    assert draft is not None
    before, execution_id = exchange.balance("EUR"), uuid4()
    answer = exchange.trade.place(
        order_body(draft, execution_id, OPERATOR), timestamp_ms=NOW_MS, window_ms=5000
    )
    outcome = classify(answer, execution_id, "BTC-EUR", "buy")
    assert isinstance(outcome, Placed)
    assert (len(outcome.order.fills), outcome.order.filled_amount) == (fills, draft.amount)
    assert before - exchange.balance("EUR") <= Decimal(eur)


def facts_read_at(facts: MarketFacts) -> float:
    """The moment of the facts themselves: these tests are not about time."""
    received_at: Any = getattr(facts.time, "received_at", 0.0)
    return float(received_at)
