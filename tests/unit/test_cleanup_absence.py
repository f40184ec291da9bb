"""Absence is judged only by who can see, only when it is certain to show, and only by complete reads."""

from typing import Any
from uuid import UUID

import httpx
import pytest

from functions.cleanup.absence import NotJudged, why_not_judged
from functions.cleanup.begun import Execution
from functions.cleanup.summary import Found, Summary
from tests.unit.fake_cleanup_world import BASE, DAY_MS, KEYS, NOW_MS, FakeDatabase, FakeExchange, order
from tests.unit.test_cleanup_run import NOW, clean_up, execution, world

pytestmark = pytest.mark.unit

ID = str(UUID(int=1))


def fill(number: int) -> dict[str, Any]:
    """A fill of the order with that number."""
    return {
        "id": f"fill-{number}",
        "orderId": f"order-{number}",
        "clientOrderId": str(UUID(int=number)),
        "timestamp": NOW_MS - number,
        "market": "BTC-EUR",
        "side": "buy",
        "amount": "1",
        "price": "1",
        "settled": True,
    }


def judged(
    exchange: FakeExchange, executions: list[dict[str, Any]] | None = None, **begun: Any
) -> tuple[Summary, FakeDatabase]:
    """A run over executions whose look-up finds nothing, without markets to compare."""
    database = world(executions or [execution(1)], markets=(), **begun)
    return clean_up(database, exchange), database


def reasons(database: FakeDatabase) -> list[str]:
    return [call["p_reason"] for call in database.of("release_reconciliation")]


class TestWhoMayJudge:
    @pytest.mark.parametrize(
        ("fields", "expected"),
        [
            ({}, None),
            ({"status": "CLAIMED"}, None),
            ({"status": "OPEN"}, NotJudged.ORDER_KNOWN),
            ({"status": "FILLED"}, NotJudged.ORDER_KNOWN),
            ({"exchange_order_id": "order-1"}, NotJudged.ORDER_KNOWN),
            ({"trade_key_fingerprint": "0123456789abcdef"}, NotJudged.OTHER_KEY),
            ({"trade_key_fingerprint": None}, NotJudged.OTHER_KEY),
            ({"access_timestamp": str(NOW_MS - 65_000)}, None),
            ({"access_timestamp": str(NOW_MS - 64_999)}, NotJudged.TOO_EARLY),
            ({"access_timestamp": str(NOW_MS - 70_000), "access_window_ms": "10000"}, None),
            ({"access_timestamp": str(NOW_MS - 69_999), "access_window_ms": "10000"}, NotJudged.TOO_EARLY),
            ({"access_timestamp": str(NOW_MS - DAY_MS + 1)}, None),
            ({"access_timestamp": str(NOW_MS - DAY_MS)}, NotJudged.TOO_LATE),
        ],
    )
    def test_every_condition_and_its_edge(self, fields: dict[str, Any], expected: NotJudged | None) -> None:
        """Open, ours, the same key, past the window and a minute, and younger than a day."""
        row = Execution.model_validate(execution(1, **fields))
        why = why_not_judged(row, exchange_ms=NOW_MS, fingerprint=KEYS.fingerprint)
        assert why == expected

    def test_the_time_that_counts_is_the_exchanges_before_the_look_up(self) -> None:
        """A look-up that began too early does not count, however long it took."""
        young = execution(1, access_timestamp=str(NOW_MS - 64_999))
        clock = iter([0.0] * 4 + [30.0] * 100)
        database = world([young], markets=())
        clean_up(database, FakeExchange(), monotonic=lambda: next(clock))
        assert reasons(database) == ["TOO_EARLY"]
        assert not database.of("record_absence")


class TestARound:
    def test_a_complete_round_is_handed_to_the_database(self) -> None:
        """When nothing is found anywhere, the round is recorded with what judges it; nothing else is."""
        exchange = FakeExchange([order(2, operatorId=0)])
        summary, database = judged(exchange)
        assert database.of("record_absence") == [
            {
                "p_execution_id": ID,
                "p_trade_key_fingerprint": KEYS.fingerprint,
                "p_exchange_url": BASE,
                "p_run_started_at": NOW,
                "p_began_ms": NOW_MS,
                "p_ended_ms": NOW_MS,
            }
        ]
        assert summary.executions == {Found.NOT_FOUND: 1}
        assert {r.url.path for r in exchange.asked} == {
            "/v2/time",
            "/v2/order",
            "/v2/ordersOpen",
            "/v2/orders",
            "/v2/trades",
        }
        assert not database.of("record_execution_result")

    def test_the_lists_are_read_back_to_before_the_order_was_sent(self) -> None:
        """Orders and fills are asked for from five minutes before the oldest access timestamp."""
        oldest = NOW_MS - 3_600_000
        exchange = FakeExchange()
        judged(exchange, [execution(1), execution(2, access_timestamp=str(oldest))])
        starts = {r.url.params["start"] for r in exchange.asked if r.url.path in ("/v2/orders", "/v2/trades")}
        assert starts == {str(oldest - 5 * 60_000)}

    def test_a_round_that_the_database_refuses_is_handed_back(self) -> None:
        """Another exchange's silence, say, concludes nothing: the execution is asked for again, later."""
        database = world([execution(1)], markets=())
        database.answers["record_absence"] = {"outcome": "refused", "reason": "another exchange"}
        summary = clean_up(database, FakeExchange())
        assert reasons(database) == ["REFUSED: another exchange"]
        assert summary.executions == {Found.UNREADABLE: 1}

    def test_one_reading_of_a_market_serves_all_its_executions(self) -> None:
        """Fifty missing orders of one market cost fifty look-ups and one reading."""
        exchange = FakeExchange()
        summary, database = judged(exchange, [execution(n) for n in range(1, 51)])
        assert len(database.of("record_absence")) == 50
        assert summary.points_spent == 50 + 3 * 5

    def test_what_agrees_with_an_earlier_round_is_concluded(self) -> None:
        """The database answers that two rounds agree, and the summary says so."""
        database = world([execution(1)], markets=())
        database.answers["record_absence"] = {"outcome": "concluded"}
        summary = clean_up(database, FakeExchange())
        assert summary.executions == {Found.NOT_PLACED: 1}
        assert "1 not placed" in summary.sentence()


class TestBlindness:
    @pytest.mark.parametrize("path", ["/v2/ordersOpen", "/v2/orders", "/v2/trades"])
    @pytest.mark.parametrize(
        "answer",
        [
            httpx.Response(404, html="<html>not found</html>"),
            httpx.Response(403, json={"errorCode": 310, "error": "no trade right"}),
            httpx.Response(503, json={"errorCode": 107, "error": "overloaded"}),
            httpx.Response(200, content=b'[{"orderId":'),
        ],
    )
    def test_without_every_list_there_is_no_round(self, path: str, answer: httpx.Response) -> None:
        """One list that cannot be read spoils the round: another outcome is only a matter of time."""
        exchange = FakeExchange(intercept=lambda r: answer if r.url.path == path else None)
        summary, database = judged(exchange)
        assert not database.of("record_absence")
        assert reasons(database) == ["LISTS_UNREADABLE"]
        assert summary.executions == {Found.UNREADABLE: 1}

    def test_an_order_behind_1500_others_is_found(self) -> None:
        """A look-up that lags is overruled by the list, however long the list is."""
        ours = order(1, created=NOW_MS - 110_000)
        foreign = [order(n, created=NOW_MS - n, operatorId=0) for n in range(2, 1502)]
        exchange = FakeExchange([ours, *foreign], hidden_from_look_ups={ID})
        summary, database = judged(exchange)
        assert [call["p_order"] for call in database.of("record_execution_result")] == [ours]
        assert not database.of("record_absence")
        assert summary.executions == {Found.RECORDED: 1}

    def test_an_open_order_is_found_among_the_open_ones(self) -> None:
        """An order that only the list of open orders shows is recorded from there."""
        resting = order(1, status="new", created=NOW_MS - 10 * DAY_MS)
        _, database = judged(FakeExchange([resting], hidden_from_look_ups={ID}))
        assert [call["p_order"] for call in database.of("record_execution_result")] == [resting]

    def test_a_fill_without_its_order_is_no_absence(self) -> None:
        """A fill proves an order, even when no list shows the order itself."""
        summary, database = judged(FakeExchange(trades=[fill(1)]))
        assert not database.of("record_absence")
        assert reasons(database) == ["FILL_LISTED"]
        assert summary.executions == {Found.UNREADABLE: 1}

    def test_whoever_does_not_see_a_known_order_judges_nothing(self) -> None:
        """An order that the exchange is known to have is looked for first: it tells another account apart."""
        witness = {"id": str(UUID(int=9)), "market": "BTC-EUR", "exchange_order_id": "order-9"}
        _, blind = judged(FakeExchange(), witness=witness)
        assert reasons(blind) == ["WITNESS_UNSEEN"]
        assert not blind.of("record_absence")
        _, seeing = judged(FakeExchange([order(9)]), witness=witness)
        assert len(seeing.of("record_absence")) == 1
        _, another = judged(FakeExchange([order(9, orderId="order-8")]), witness=witness)
        assert not another.of("record_absence")

    def test_a_round_that_the_share_cuts_short_does_not_count(self) -> None:
        """Points that run out between the lists leave the question open."""
        exchange = FakeExchange(remaining=312)
        summary, database = judged(exchange)
        assert not database.of("record_absence")
        assert summary.executions == {Found.NOT_FOUND: 1}
        assert exchange.remaining is not None
        assert exchange.remaining >= 300
