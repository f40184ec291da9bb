"""What cleanup reads of the exchange is complete, within its share, and signed with the exchange's time."""

import contextlib
from collections.abc import Iterator
from itertools import chain, repeat
from typing import Any
from uuid import UUID

import httpx
import pytest

from functions.cleanup.exchange import EnoughAsked, Exchange
from functions.cleanup.pages import every_order, every_trade
from shared.errors import ExchangeRefused, ExchangeUnreadable
from tests.unit.fake_cleanup_world import DAY_MS, NOW_MS, FakeExchange, exchange_on, order

pytestmark = pytest.mark.unit


def read(fake: FakeExchange, from_ms: int = NOW_MS - DAY_MS, to_ms: int = NOW_MS) -> list[str]:
    """The ids of every order that a complete read yields."""
    exchange = exchange_on(fake)
    exchange.read_clock()
    return [found.order_id for found in every_order(exchange, "BTC-EUR", from_ms, to_ms)]


def ask_until_enough(exchange: Exchange) -> None:
    """Look up orders for as long as the run may."""
    with contextlib.suppress(EnoughAsked):
        for _ in range(1000):
            exchange.order("BTC-EUR", UUID(int=1))
        pytest.fail("nothing ever ended the questions")


class TestCompleteReads:
    @pytest.mark.parametrize("inclusive", [True, False])
    @pytest.mark.parametrize("apart_ms", [1, 700])
    def test_every_order_behind_many_others_is_read(self, inclusive: bool, apart_ms: int) -> None:
        """1,500 foreign orders in front of ours hide nothing, whichever way the bounds are meant."""
        fake = FakeExchange([order(n, created=NOW_MS - n * apart_ms) for n in range(1, 1502)])
        fake.end_is_inclusive = inclusive
        assert set(read(fake)) == {f"order-{n}" for n in range(1, 1502)}

    @pytest.mark.parametrize("inclusive", [True, False])
    def test_orders_of_the_millisecond_at_which_a_page_ends_are_read(self, inclusive: bool) -> None:
        """A page ends between two orders of a millisecond: neither is lost, however bounds are meant."""
        fake = FakeExchange([order(n, created=NOW_MS - n // 2) for n in range(2, 1502)], page=501)
        fake.end_is_inclusive = inclusive
        assert set(read(fake)) == {f"order-{n}" for n in range(2, 1502)}

    def test_orders_of_one_millisecond_are_read_by_id(self) -> None:
        """More orders in a millisecond than fit on a page are read on by id."""
        fake = FakeExchange([order(n, created=NOW_MS - 5) for n in range(1, 2502)])
        assert set(read(fake)) == {f"order-{n}" for n in range(1, 2502)}

    def test_what_cannot_be_read_on_is_unreadable(self) -> None:
        """When neither time nor id leads on, the read fails instead of ending early."""
        fake = FakeExchange([order(n, created=NOW_MS - 5) for n in range(1, 1502)], knows_id_to=False)
        with pytest.raises(ExchangeUnreadable):
            read(fake)

    def test_a_page_that_was_cut_down_silently_is_not_taken_for_the_last(self) -> None:
        """An exchange that gives 500 rows when asked for 1000 is paged all the same."""
        fake = FakeExchange([order(n) for n in range(1, 1300)], page=500)
        assert len(set(read(fake))) == 1299

    def test_a_long_time_is_read_in_days(self) -> None:
        """No question spans more than 24 h, and the days leave no gap."""
        hourly = [order(n, created=NOW_MS - n * DAY_MS // 24) for n in range(72)]
        fake = FakeExchange(hourly)
        assert set(read(fake, from_ms=NOW_MS - 3 * DAY_MS)) == {f"order-{n}" for n in range(72)}

    def test_a_quiet_market_costs_one_page(self) -> None:
        """The usual case, a few orders in the last minutes, is one request."""
        fake = FakeExchange([order(n) for n in range(1, 20)])
        assert len(read(fake, from_ms=NOW_MS - 600_000)) == 19
        assert len([one for one in fake.asked if one.url.path == "/v2/orders"]) == 1

    def test_a_list_in_another_order_is_unreadable(self) -> None:
        """Paging back relies on newest first, so a long page in another order proves nothing."""
        rows = [order(n) for n in range(300, 1, -1)]
        fake = FakeExchange(
            intercept=lambda r: httpx.Response(200, json=rows) if "orders" in r.url.path else None
        )
        with pytest.raises(ExchangeUnreadable, match="newest first"):
            read(fake)

    def test_an_exchange_that_ignores_the_question_is_unreadable(self) -> None:
        """The same page for every question never counts as having read everything."""
        rows = [order(n) for n in range(300)]
        fake = FakeExchange(
            intercept=lambda r: httpx.Response(200, json=rows) if "orders" in r.url.path else None
        )
        with pytest.raises(ExchangeUnreadable, match="repeats"):
            read(fake)

    def test_a_failure_on_a_later_page_fails_the_read(self) -> None:
        """Half a read is no read, after three tries of the page that is missing."""
        answers: Iterator[httpx.Response | None] = iter([None, *[httpx.Response(502)] * 3])
        fake = FakeExchange([order(n) for n in range(1, 1502)])
        fake.intercept = lambda request: next(answers) if request.url.path == "/v2/orders" else None
        with pytest.raises(ExchangeUnreadable):
            read(fake)

    def test_a_page_that_fails_twice_is_read_all_the_same(self) -> None:
        """Many depend on a list: a failure of the moment is tried again, within the share of the run."""
        answers = chain([None, *[httpx.Response(502)] * 2], repeat(None))
        fake = FakeExchange([order(n) for n in range(1, 1502)])
        fake.intercept = lambda request: next(answers) if request.url.path == "/v2/orders" else None
        assert len(read(fake)) == 1501

    def test_trades_are_read_completely_too(self) -> None:
        """Fills are paged like orders."""
        fills: list[dict[str, Any]] = [
            {
                "id": f"t{n}",
                "orderId": "o",
                "timestamp": NOW_MS - n,
                "market": "BTC-EUR",
                "side": "buy",
                "amount": "1",
                "price": "1",
                "settled": True,
            }
            for n in range(1, 1502)
        ]
        exchange = exchange_on(FakeExchange(trades=fills))
        exchange.read_clock()
        found = {fill.id for fill in every_trade(exchange, "BTC-EUR", NOW_MS - DAY_MS, NOW_MS)}
        assert len(found) == 1501


class TestShare:
    def test_at_most_half_of_what_is_shown_is_spent(self) -> None:
        """A run that could go on for ever stops at half of the points that it found."""
        fake = FakeExchange(remaining=1000)
        exchange = exchange_on(fake)
        exchange.read_clock()
        ask_until_enough(exchange)
        assert fake.remaining == 500
        assert (exchange.points_spent, exchange.points_allowed) == (500, 500)

    @pytest.mark.parametrize(("remaining", "spent"), [(520, 220), (310, 10), (301, 1), (40, 1)])
    def test_300_points_are_left_alone(self, remaining: int, spent: int) -> None:
        """Whoever places orders finds 300 points, and the first look-up shows how many there are."""
        fake = FakeExchange(remaining=remaining)
        exchange = exchange_on(fake)
        exchange.read_clock()
        ask_until_enough(exchange)
        assert exchange.points_spent == spent

    def test_after_429_nothing_more_is_asked(self) -> None:
        """A refusal for asking too much ends the questions of this run."""
        fake = FakeExchange(remaining=None)
        fake.intercept = lambda request: (
            httpx.Response(429, json={"errorCode": 105, "error": "The ban expires at 1790000060000."})
            if request.url.path == "/v2/order"
            else None
        )
        exchange = exchange_on(fake)
        exchange.read_clock()
        with pytest.raises(ExchangeRefused):
            exchange.order("BTC-EUR", UUID(int=1))
        with pytest.raises(EnoughAsked):
            exchange.order("BTC-EUR", UUID(int=1))

    def test_without_headers_little_is_asked(self) -> None:
        """While nothing shows what is left, a run asks for 100 points at most."""
        exchange = exchange_on(FakeExchange(remaining=None))
        exchange.read_clock()
        ask_until_enough(exchange)
        assert exchange.points_spent == 100

    def test_points_and_time_are_kept_back_for_the_comparison(self) -> None:
        """Look-ups leave what the comparison needs, and never less than half for themselves."""
        fake = FakeExchange()
        exchange = exchange_on(fake)
        exchange.read_clock()
        exchange.keep_back(points=50, seconds=0)
        ask_until_enough(exchange)
        assert exchange.points_spent == 450
        exchange.keep_back(points=0, seconds=0)
        exchange.orders_page("BTC-EUR", NOW_MS - 1, NOW_MS, None)

    def test_nothing_is_asked_when_the_time_is_up(self) -> None:
        """A run ends before the next one is due, however slow the exchange is."""
        now = [0.0]
        fake = FakeExchange()
        exchange = exchange_on(fake, seconds=45, monotonic=lambda: now[0])
        exchange.read_clock()
        exchange.keep_back(points=0, seconds=15)
        now[0] = 29.9
        exchange.order("BTC-EUR", UUID(int=1))
        now[0] = 30.0
        with pytest.raises(EnoughAsked):
            exchange.order("BTC-EUR", UUID(int=1))
        exchange.keep_back(points=0, seconds=0)
        exchange.order("BTC-EUR", UUID(int=1))
        now[0] = 45.0
        with pytest.raises(EnoughAsked):
            exchange.order("BTC-EUR", UUID(int=1))


class TestClock:
    def test_reads_are_signed_with_the_exchanges_time_plus_what_has_passed(self) -> None:
        """No clock of this machine is in a signature, and the window is the widest."""
        now = [100.0]
        fake = FakeExchange()
        exchange = exchange_on(fake, monotonic=lambda: now[0])
        exchange.read_clock()
        now[0] = 102.5
        exchange.order("BTC-EUR", UUID(int=1))
        headers = fake.asked[-1].headers
        assert headers["Bitvavo-Access-Timestamp"] == str(NOW_MS + 2500)
        assert headers["Bitvavo-Access-Window"] == "60000"

    def test_nothing_is_signed_before_the_clock_was_read(self) -> None:
        """A guess at the time is never signed."""
        with pytest.raises(RuntimeError):
            exchange_on(FakeExchange()).order("BTC-EUR", UUID(int=1))
