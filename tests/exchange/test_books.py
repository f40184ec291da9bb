"""An exchange that is started again knows every order, account and price that the last run had."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import httpx
import pytest

from local.exchange import books
from local.exchange.app import create_app
from local.exchange.clock import Clock
from local.exchange.exchange import Exchange, create_exchange
from local.exchange.foreign import Fate, ForeignOrders, place_foreign
from local.faults.serving import serving

pytestmark = pytest.mark.unit

NOON_NS = 1_790_000_000_000_000_000
HOUR_NS = 3_600_000_000_000


def started(file: Path, at_ns: int) -> Exchange:
    left = books.read(file)
    clock = Clock(lambda: at_ns)
    exchange = create_exchange(clock=clock, candles=None, began_ms=left.began_ms if left else None)
    if left is not None:
        books.go_on(exchange, left)
    return exchange


def trade(exchange: Exchange, fate: Fate) -> None:
    place_foreign(exchange, ForeignOrders(market="BTC-EUR", fate=fate))


def test_orders_accounts_and_prices_go_on(tmp_path: Path) -> None:
    """Filled and resting orders, balances and the path of the price are as if it had never stopped."""
    file = tmp_path / "exchange.json"
    first = started(file, NOON_NS)
    trade(first, Fate.FILLED)
    trade(first, Fate.OPEN)
    books.write(file, first)

    second = started(file, NOON_NS + HOUR_NS)
    assert second.engine.books() == first.engine.books()
    assert second.record == first.record
    assert [second.order_of(one) for one in second.record] == [first.order_of(one) for one in first.record]
    later = Clock(lambda: NOON_NS + HOUR_NS).now().steady_ms
    assert second.engine.makers["BTC-EUR"].mid(later) == first.engine.makers["BTC-EUR"].mid(later)


def test_no_id_is_given_a_second_time(tmp_path: Path) -> None:
    """Orders and fills of the next run are new ones, and no money has come from nowhere."""
    file = tmp_path / "exchange.json"
    first = started(file, NOON_NS)
    trade(first, Fate.FILLED)
    books.write(file, first)
    second = started(file, NOON_NS)
    trade(second, Fate.FILLED)
    orders = [second.order_of(one) for one in second.record]
    assert len({order.id for order in orders}) == 2
    fills = [fill for order in orders for fill in order.fills]
    assert len({fill.id for fill in fills}) == len({fill.number for fill in fills}) == len(fills)
    assert {second.engine.ledger.total(symbol) for symbol in ("EUR", "BTC")} == {Decimal(0)}


def test_what_was_answered_is_on_disk(tmp_path: Path) -> None:
    """The books are written before the answer leaves: a crash right after it forgets nothing."""
    file = tmp_path / "exchange.json"
    exchange = started(file, NOON_NS)
    with serving(create_app(exchange, books=file)) as address:
        command = {"market": "BTC-EUR", "fate": "filled"}
        httpx.post(f"{address}/_admin/orders", json=command, trust_env=False).raise_for_status()
        left = books.read(file)
    assert left is not None
    assert [one.order_id for one in left.record] == [one.order_id for one in exchange.record]


def test_orders_without_a_market_stop_it(tmp_path: Path) -> None:
    """It is not started on other prices with orders that it could not show."""
    file = tmp_path / "exchange.json"
    first = started(file, NOON_NS)
    trade(first, Fate.FILLED)
    books.write(file, first)
    del (second := create_exchange(clock=Clock(lambda: NOON_NS), candles=None)).engine.markets["BTC-EUR"]
    left = books.read(file)
    assert left is not None
    with pytest.raises(books.BooksError, match="orders in BTC-EUR"):
        books.go_on(second, left)


def test_books_that_cannot_be_read_are_said(tmp_path: Path) -> None:
    """One sentence, and what begins anew."""
    file = tmp_path / "exchange.json"
    file.write_text('{"orders": 1}')
    with pytest.raises(books.BooksError, match="FRESH=1"):
        books.read(file)
