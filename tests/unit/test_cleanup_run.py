"""One run of cleanup does everything that is due, each thing apart from the others, and says what it did."""

import json
from typing import Any
from uuid import UUID

import httpx
import pytest

from functions.cleanup.run import run
from functions.cleanup.summary import Compared, Found, Summary
from shared.log import configure
from tests.unit.fake_cleanup_world import (
    DAY_MS,
    KEYS,
    NOW_MS,
    OPERATOR,
    FakeDatabase,
    FakeExchange,
    database_on,
    exchange_on,
    order,
)

pytestmark = pytest.mark.unit

NOW = "2026-09-21T14:13:20+00:00"


def execution(number: int, **fields: Any) -> dict[str, Any]:
    """A leased execution as `begin_cleanup` answers it, numbers as text."""
    return {
        "id": str(UUID(int=number)),
        "market": "BTC-EUR",
        "side": "buy",
        "status": "UNKNOWN",
        "mode": "live",
        "trade_key_fingerprint": KEYS.fingerprint,
        "access_timestamp": str(NOW_MS - 120_000),
        "access_window_ms": "5000",
        "exchange_order_id": None,
        "claimed_at": "2026-09-21T14:11:20.123456+00:00",
        "request": {"body": "{}"},
        **fields,
    }


def world(
    executions: list[dict[str, Any]] | None = None, markets: tuple[str, ...] = ("BTC-EUR",), **begun: Any
) -> FakeDatabase:
    """A database in which nothing is wrong."""
    return FakeDatabase(
        {
            "expire_old_proposals": {"expired": "3"},
            "cleanup_expired_locks": {"released": "1", "abandoned": "2"},
            "begin_cleanup": {
                "now": NOW,
                "mode": "live",
                "mode_matches": True,
                "account_matches": True,
                "account_is_dedicated": False,
                "executions": executions or [],
                "markets": [
                    {"market": one, "read_from_ms": str(NOW_MS - DAY_MS), "holds_back": True}
                    for one in markets
                ],
                **begun,
            },
            "record_execution_result": lambda _: {
                "outcome": "recorded",
                "execution": {"status": "FILLED"},
            },
            "release_reconciliation": {"outcome": "released"},
            "announce_cancel": {"outcome": "announced"},
            "record_absence": {"outcome": "first_round"},
            "compare_orders": lambda p: compared(explained=str(len(p["p_orders"]))),
            "halt_failing_owners": {"halted": []},
            "alarm_overdue_executions": standing(),
            "seal_audit_events": {"sealed": "4", "sequence": "12", "head": "ab" * 32},
            "take_notices": {"notices": []},
        }
    )


def standing(**answer: Any) -> dict[str, Any]:
    """How things stand as the database answers it; all is well unless told otherwise."""
    return {
        "overdue": [],
        "unsettled": "0",
        "unknown": "0",
        "oldest_seconds": None,
        "comparison": comparison(),
        **answer,
    }


def halt(notice: str, actor: str, reason: str, **changed: Any) -> dict[str, Any]:
    """A halt that stands, as the database answers it."""
    return {
        "notice": notice,
        "kind": "HALTED",
        "at": NOW,
        "told": "1",
        "user_id": None,
        "actor": actor,
        "reason": reason,
        **changed,
    }


def comparison(*unread: str) -> dict[str, Any]:
    """The comparison as the database answers it: stale when markets were not read."""
    return {"reconciled_at": NOW, "age_seconds": "38", "stale": bool(unread), "unread_markets": list(unread)}


def logged(capsys: pytest.CaptureFixture[str], event: str) -> list[dict[str, Any]]:
    """The lines of one event."""
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return [line for line in lines if line["event"] == event]


def compared(**answer: Any) -> dict[str, Any]:
    """A comparison as the database answers it; every order explained unless told otherwise."""
    return {
        "explained": "0",
        "contradicted": [],
        "intruders": [],
        "new_intruders": [],
        "operator_ids_newly_hidden": False,
        "reconciled_at": NOW,
        **answer,
    }


def clean_up(
    database: FakeDatabase, exchange: FakeExchange | None, mode: Any = "live", **options: Any
) -> Summary:
    return run(
        database_on(database),
        exchange_on(exchange, **options) if exchange else None,
        mode=mode,
        instance="test",
        sleep=lambda _: None,
    )


class TestReconciling:
    def test_what_is_found_is_recorded_as_it_was_received(self) -> None:
        """An order that the exchange has is recorded with its raw object, by the actor cleanup."""
        found = order(1, somethingNew="kept")
        database = world([execution(1)])
        summary = clean_up(database, FakeExchange([found]))
        (recorded,) = database.of("record_execution_result")
        assert recorded["p_order"] == found
        assert (recorded["p_actor"], recorded["p_outcome"], recorded["p_attempt_id"]) == (
            "cleanup",
            "placed",
            None,
        )
        assert summary.executions == {Found.RECORDED: 1}
        assert not database.of("release_reconciliation")

    def test_finding_nothing_too_early_concludes_nothing(self) -> None:
        """A look-up that may lag leaves the status alone and hands the execution back."""
        database = world([execution(1, access_timestamp=str(NOW_MS - 60_000))])
        summary = clean_up(database, FakeExchange())
        assert not database.of("record_execution_result")
        assert database.of("release_reconciliation") == [
            {"p_execution_id": str(UUID(int=1)), "p_reason": "TOO_EARLY"}
        ]
        assert summary.executions == {Found.NOT_FOUND: 1}

    @pytest.mark.parametrize(
        "answer",
        [
            httpx.Response(404, html="<html>not found</html>"),
            httpx.Response(403, json={"errorCode": 310, "error": "no trade right"}),
            httpx.Response(503, json={"errorCode": 109, "error": "timeout"}),
        ],
    )
    def test_an_unreadable_look_up_concludes_nothing(self, answer: httpx.Response) -> None:
        """HTML, a key without the right and an outage are told apart from finding nothing."""
        fake = FakeExchange(intercept=lambda r: answer if r.url.path == "/v2/order" else None)
        database = world([execution(1)])
        summary = clean_up(database, fake)
        assert summary.executions == {Found.UNREADABLE: 1}
        assert not database.of("record_execution_result")
        assert len(database.of("release_reconciliation")) == 1

    def test_one_failure_touches_no_other(self) -> None:
        """Of three executions, an unreadable and a failing one leave the third to be settled."""
        database = world([execution(1), execution(2), execution(3)])

        def record(params: dict[str, Any]) -> Any:
            if params["p_execution_id"] == str(UUID(int=2)):
                return httpx.Response(400, json={"code": "PT400", "message": "INVALID_RESULT"})
            return {"outcome": "recorded", "execution": {"status": "FILLED"}}

        database.answers["record_execution_result"] = record
        fake = FakeExchange([order(1), order(2), order(3)])
        fake.intercept = lambda r: httpx.Response(500) if str(UUID(int=1)) in str(r.url) else None
        summary = clean_up(database, fake)
        assert summary.executions == {Found.UNREADABLE: 1, Found.FAILED: 1, Found.RECORDED: 1}
        assert len(summary.problems) == 1
        assert "PT400" in summary.problems[0]
        assert summary.markets[0].outcome is Compared.COMPARED

    def test_an_answer_that_nobody_expected_touches_no_other(self) -> None:
        """Even an answer of a wrong shape is one item's failure."""
        database = world([execution(1), execution(2)])
        database.answers["record_execution_result"] = lambda p: (
            {}
            if p["p_execution_id"].endswith("1")
            else {"outcome": "unchanged", "execution": {"status": "FILLED"}}
        )
        summary = clean_up(database, FakeExchange([order(1), order(2)]))
        assert summary.executions == {Found.FAILED: 1, Found.UNCHANGED: 1}

    def test_a_contradiction_is_an_alarm(self) -> None:
        """When a fact overturns a conclusion, a person hears of it."""
        database = world([execution(1)])
        database.answers["record_execution_result"] = {
            "outcome": "contradicted",
            "execution": {"status": "FILLED"},
        }
        summary = clean_up(database, FakeExchange([order(1)]))
        assert summary.executions == {Found.CONTRADICTED: 1}
        assert "contradicts" in (summary.message() or "")

    def test_an_old_unknown_is_an_alarm(self) -> None:
        """What the database names as open for long is told, also when the exchange is away."""

        def away(_: httpx.Request) -> httpx.Response:
            raise httpx.ConnectError("no")

        database = world([execution(1)])
        database.answers["alarm_overdue_executions"] = standing(
            overdue=[
                {
                    "execution_id": str(UUID(int=1)),
                    "market": "BTC-EUR",
                    "status": "UNKNOWN",
                    "minutes": "15",
                }
            ]
        )
        summary = clean_up(database, FakeExchange(intercept=away))
        assert summary.alarms == [f"Execution {UUID(int=1)} is UNKNOWN for 15 minutes."]

    def test_a_halted_owner_is_in_the_summary(self) -> None:
        """How many owners the run halted is in the summary; the audit tells who, why and whom else."""
        database = world()
        database.answers["halt_failing_owners"] = {
            "halted": [{"user_id": str(UUID(int=9)), "reason": "three executions of unknown fate"}]
        }
        summary = clean_up(database, FakeExchange())
        assert summary.as_json()["owners_halted"] == 1
        assert "trading of 1 owner halted" in summary.sentence()

    def test_every_halt_is_told_whoever_halted(self, capsys: pytest.CaptureFixture[str]) -> None:
        """A halt that the audit holds is a log line and a message, with its reason and by whom."""
        configure("cleanup")
        database = world()
        database.answers["take_notices"] = {
            "notices": [
                halt("HALTED everybody", "operator", "going to sleep"),
                halt("HALTED 9", "cleanup", "three refusals", user_id=str(UUID(int=9)), told="2"),
            ]
        }
        summary = clean_up(database, None)
        assert summary.alarms == [
            "Trading was halted (operator): going to sleep.",
            f"Trading of owner {UUID(int=9)} is still halted since {NOW[:16].replace('T', ' ')} UTC "
            "(cleanup): three refusals.",
        ]
        assert summary.notices == ["HALTED everybody", "HALTED 9"]
        told = logged(capsys, "trading_halted")
        assert [(line["message"], line["severity"]) for line in told] == [
            ("going to sleep", "CRITICAL"),
            ("three refusals", "CRITICAL"),
        ]

    def test_how_things_stand_is_logged(self, capsys: pytest.CaptureFixture[str]) -> None:
        """The number and age of open fates are numbers that a metric can be made of."""
        configure("cleanup")
        database = world()
        database.answers["alarm_overdue_executions"] = standing(
            unsettled="3", unknown="2", oldest_seconds="61"
        )
        clean_up(database, None)
        (line,) = logged(capsys, "executions_unsettled")
        assert (line["unsettled"], line["unknown"], line["oldest_seconds"]) == (3, 2, 61)

    @pytest.mark.parametrize("unread", [(), ("ETH-EUR", "BTC-EUR")])
    def test_a_stale_comparison_is_logged(
        self, unread: tuple[str, ...], capsys: pytest.CaptureFixture[str]
    ) -> None:
        """While a market is not compared, live trading stands still, and each run says so and names it."""
        configure("cleanup")
        database = world()
        database.answers["alarm_overdue_executions"] = standing(comparison=comparison(*unread))
        clean_up(database, None)
        named = [line["unread_markets"] for line in logged(capsys, "comparison_stale")]
        assert named == ([[*unread]] if unread else [])

    def test_a_resting_order_is_cancelled_and_its_end_recorded_from_a_look_up(self) -> None:
        """An order that rests is cancelled, and both states recorded are those that look-ups showed."""
        resting = order(1, status="new", filledAmount="0", filledAmountQuote="0")
        database = world([execution(1)])
        fake = FakeExchange([resting])
        summary = clean_up(database, fake)
        assert fake.canceled == [str(UUID(int=1))]
        assert summary.alarms == [
            f"The order of execution {UUID(int=1)} was resting in BTC-EUR: its cancel is asked for."
        ]
        assert [call["p_order"]["status"] for call in database.of("record_execution_result")] == [
            "new",
            "canceled",
        ]

    def test_a_cancel_that_a_look_up_does_not_show_yet_is_looked_up_again(self) -> None:
        """Look-ups lag behind a cancel: what still rests there is recorded once, and its end as well."""
        resting = order(1, status="new", filledAmount="0", filledAmountQuote="0")
        fake, left = FakeExchange([resting]), [1]

        def lagging(request: httpx.Request) -> httpx.Response | None:
            if request.method == "GET" and request.url.path == "/v2/order" and fake.canceled and left.pop():
                left.append(0)
                return httpx.Response(200, json={**resting, "status": "new"})
            return None

        fake.intercept = lagging
        database = world([execution(1)])
        clean_up(database, fake)
        assert [call["p_order"]["status"] for call in database.of("record_execution_result")] == [
            "new",
            "canceled",
        ]

    def test_without_the_announcement_nothing_is_cancelled(self) -> None:
        """What the audit cannot have is not asked for; the next run tries again."""
        database = world([execution(1)])
        database.answers["announce_cancel"] = httpx.Response(500, json={"code": "57014", "message": "slow"})
        fake = FakeExchange([order(1, status="new", filledAmount="0", filledAmountQuote="0")])
        summary = clean_up(database, fake)
        assert (fake.canceled, summary.alarms, len(summary.problems)) == ([], [], 1)

    def test_a_cancel_that_came_too_late_is_settled_by_the_look_up(self) -> None:
        """An order that filled before the cancel arrived is recorded as filled."""
        resting = order(1, status="partiallyFilled")
        fake = FakeExchange([resting])

        def too_late(request: httpx.Request) -> httpx.Response | None:
            if request.method != "DELETE":
                return None
            resting["status"] = "filled"
            return httpx.Response(404, json={"errorCode": 240, "error": "no longer active"})

        fake.intercept = too_late
        database = world([execution(1)])
        summary = clean_up(database, fake)
        assert [call["p_order"]["status"] for call in database.of("record_execution_result")] == [
            "partiallyFilled",
            "filled",
        ]
        assert not summary.problems

    def test_a_backlog_is_worked_on_oldest_first_within_the_share(self) -> None:
        """What does not fit into a run's share is left, and the comparison still happens."""
        database = world([execution(n) for n in range(1, 251)])
        fake = FakeExchange(remaining=500)
        summary = clean_up(database, fake)
        asked = [r.url.params["clientOrderId"] for r in fake.asked if r.url.path == "/v2/order"]
        assert asked == [str(UUID(int=n)) for n in range(1, len(asked) + 1)]
        assert summary.executions[Found.NOT_ASKED] == 250 - len(asked) > 0
        assert summary.markets[0].outcome is Compared.COMPARED
        assert fake.remaining is not None
        assert fake.remaining >= 300


class TestComparing:
    def test_only_orders_that_may_be_ours_are_handed_over(self) -> None:
        """The owner's own orders are nobody's business; ours, and those of none, are handed over whole."""
        ours, foreign, none = order(1), order(2, operatorId=0), order(3, operatorId=None)
        database = world()
        summary = clean_up(database, FakeExchange([ours, foreign, none]))
        (compared,) = database.of("compare_orders")
        assert compared == {
            "p_market": "BTC-EUR",
            "p_read_started_at": NOW,
            "p_read_from_ms": NOW_MS - DAY_MS,
            "p_read_to_ms": NOW_MS,
            "p_orders": [ours, none],
            "p_operator_ids_shown": True,
        }
        assert (summary.markets[0].read, summary.markets[0].ours) == (3, 2)
        assert summary.reconciled_at == NOW

    def test_the_exchange_is_read_before_the_approvals(self) -> None:
        """No order of the reading can be younger than the approvals that it is compared with."""
        database, fake = world(), FakeExchange([order(1)])
        pages_at_comparison = []

        def comparing(_: object) -> object:
            pages_at_comparison.append(len([r for r in fake.asked if r.url.path == "/v2/orders"]))
            return compared()

        database.answers["compare_orders"] = comparing
        clean_up(database, fake)
        assert pages_at_comparison == [len([r for r in fake.asked if r.url.path == "/v2/orders"])]

    def test_an_incomplete_read_moves_no_mark(self) -> None:
        """A market that cannot be read is not compared; the others are."""
        database = world(markets=("ETH-EUR", "BTC-EUR"))
        fake = FakeExchange()
        fake.intercept = lambda r: httpx.Response(502) if "market=ETH-EUR" in str(r.url) else None
        summary = clean_up(database, fake)
        assert [call["p_market"] for call in database.of("compare_orders")] == ["BTC-EUR"]
        assert [market.outcome for market in summary.markets] == [Compared.UNREADABLE, Compared.COMPARED]

    def test_an_intruder_is_an_alarm(self) -> None:
        """An order without an approval is told to a person at once, with its id."""
        database = world()
        database.answers["compare_orders"] = compared(intruders=["order-1"], new_intruders=["order-1"])
        summary = clean_up(database, FakeExchange([order(1)]))
        assert summary.markets[0].intruders == 1
        assert "order-1" in (summary.message() or "")
        assert "WITHOUT AN APPROVAL" in summary.sentence()

    def test_an_intruder_that_was_told_is_named_and_not_told_again(self) -> None:
        """The summary counts it as long as it is read; nobody is woken twice."""
        database = world()
        database.answers["compare_orders"] = compared(intruders=["order-1"])
        summary = clean_up(database, FakeExchange([order(1)]))
        assert "WITHOUT AN APPROVAL" in summary.sentence()
        assert summary.message() is None

    def test_a_contradiction_that_the_comparison_finds_is_an_alarm(self) -> None:
        """An order whose absence was concluded, found among the orders, is told to a person."""
        database = world()
        database.answers["compare_orders"] = compared(contradicted=[str(UUID(int=1))])
        assert str(UUID(int=1)) in (clean_up(database, FakeExchange([order(1)])).message() or "")

    def test_a_read_without_a_known_order_moves_no_mark(self) -> None:
        """Whoever does not see an order that the exchange has is blind, and has read nothing completely."""
        database = world(markets=())
        database.answers["begin_cleanup"]["markets"] = [
            {
                "market": "BTC-EUR",
                "read_from_ms": str(NOW_MS - DAY_MS),
                "holds_back": True,
                "expected": ["order-1", "order-2"],
            }
        ]
        summary = clean_up(database, FakeExchange([order(1)]))
        (handed,) = database.of("compare_orders")
        assert handed["p_read_from_ms"] == handed["p_read_to_ms"] == NOW_MS
        assert [market.outcome for market in summary.markets] == [Compared.BLIND]
        assert summary.reconciled_at is None

    def test_many_orders_are_handed_over_piece_by_piece(self) -> None:
        """No call carries more than 200 orders, and only the last one says that the read is complete."""
        database = world()
        fake = FakeExchange([order(number) for number in range(1, 1203)])
        summary = clean_up(database, fake)
        pieces = database.of("compare_orders")
        assert [len(piece["p_orders"]) for piece in pieces] == [*[200] * 6, 2]
        assert [piece["p_read_from_ms"] for piece in pieces] == [*[NOW_MS] * 6, NOW_MS - DAY_MS]
        assert (summary.markets[0].read, summary.markets[0].ours) == (1202, 1202)

    def test_a_mode_mismatch_settles_and_compares_nothing(self) -> None:
        """When the database is in another mode, what is open is settled and reconciled_at stays."""
        database = world([execution(1)], mode="dry_run", mode_matches=False)
        fake = FakeExchange([order(1)])
        summary = clean_up(database, fake)
        assert summary.executions == {Found.RECORDED: 1}
        assert not database.of("compare_orders")
        assert not [r for r in fake.asked if r.url.path == "/v2/orders"]
        assert "MODE_MISMATCH" in summary.exchange

    def test_another_account_is_not_asked_at_all(self) -> None:
        """A key or operator id that is not the registered one sees another account's orders."""
        database = world([execution(1)], account_matches=False)
        fake = FakeExchange([order(1)])
        summary = clean_up(database, fake)
        assert not fake.asked
        assert summary.executions == {Found.NOT_ASKED: 1}
        assert len(database.of("seal_audit_events")) == 1


class TestTheWholeRun:
    def test_a_dry_run_needs_no_exchange(self) -> None:
        """Without keys everything that is the database's own is done."""
        database = world(mode="dry_run")
        summary = clean_up(database, None, mode="dry_run")
        assert (summary.proposals_expired, summary.locks_released, summary.reservations_abandoned) == (
            3,
            1,
            2,
        )
        assert (summary.events_sealed, summary.audit_sequence) == (4, "12")
        assert database.of("begin_cleanup") == [
            {
                "p_instance_id": "test",
                "p_mode": "dry_run",
                "p_operator_id": None,
                "p_trade_key_fingerprint": None,
                "p_limit": 250,
            }
        ]
        assert not summary.problems

    def test_a_dry_run_with_keys_asks_nothing_either(self) -> None:
        """Keys alone are no reason to ask: in dry_run mode there is nothing to compare."""
        fake = FakeExchange()
        clean_up(world(), fake, mode="dry_run")
        assert not fake.asked

    def test_a_dry_run_settles_what_was_sent_live(self) -> None:
        """An order that was sent keeps its fate, whatever the mode is now; nothing is compared."""
        database = world([execution(1)], mode="dry_run")
        summary = clean_up(database, FakeExchange([order(1)]), mode="dry_run")
        assert summary.executions == {Found.RECORDED: 1}
        assert not database.of("compare_orders")

    def test_what_no_key_can_look_up_is_told_aloud(self) -> None:
        """Without a trade key a live execution waits, and a person hears of it."""
        database = world(mode="dry_run", left_waiting="2")
        summary = clean_up(database, None, mode="dry_run")
        assert "2 live execution(s) are unsettled" in summary.exchange
        assert "no trade key" in (summary.message() or "")

    def test_the_registered_account_is_proved(self) -> None:
        """The run names its operator id and its key's fingerprint, never the key."""
        database = world()
        clean_up(database, FakeExchange())
        (begun,) = database.of("begin_cleanup")
        assert (begun["p_operator_id"], begun["p_trade_key_fingerprint"]) == (OPERATOR, KEYS.fingerprint)

    def test_an_outage_of_the_exchange_is_told_and_stops_nothing_else(self) -> None:
        """With the exchange away, the rest is done and the summary says what was not."""

        def away(_: httpx.Request) -> httpx.Response:
            raise httpx.ConnectError("no")

        database = world([execution(1)])
        summary = clean_up(database, FakeExchange(intercept=away))
        assert summary.exchange.startswith("out of reach")
        assert summary.executions == {Found.NOT_ASKED: 1}
        assert [market.outcome for market in summary.markets] == [Compared.NOT_ASKED]
        assert summary.events_sealed == 4
        assert summary.database_reached

    def test_without_a_database_the_run_ends_and_says_so(self) -> None:
        """When nothing can be leased, nothing is asked of the exchange."""
        database = world()
        database.answers = dict.fromkeys(database.answers, httpx.Response(503))
        fake = FakeExchange()
        summary = clean_up(database, fake)
        assert not summary.database_reached
        assert not fake.asked
        assert len(summary.problems) == 3
        json.dumps(summary.as_json())

    def test_a_failed_step_leaves_the_others(self) -> None:
        """Expiry that fails leaves locks, look-ups, comparison and seals."""
        database = world([execution(1)])
        database.answers["expire_old_proposals"] = httpx.Response(
            500, json={"code": "57014", "message": "slow"}
        )
        summary = clean_up(database, FakeExchange([order(1)]))
        assert summary.executions == {Found.RECORDED: 1}
        assert (summary.locks_released, summary.events_sealed) == (1, 4)
        assert len(summary.problems) == 1
        assert summary.database_reached

    def test_sealing_goes_on_until_nothing_is_left(self) -> None:
        """More events than one call seals are sealed by the same run."""
        left = [1000, 1000, 17]
        database = world()
        database.answers["seal_audit_events"] = lambda _: {
            "sealed": str(left.pop(0)),
            "sequence": "2017",
            "head": "cd" * 32,
        }
        assert clean_up(database, None).events_sealed == 2017

    def test_the_log_has_a_line_for_each_thing_and_no_secret(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Each item is a log line with its id, the seal's head is among them, and no key is."""
        configure("cleanup")
        database = world([execution(1), execution(2)])
        clean_up(database, FakeExchange([order(1)]))
        lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        events = [line["event"] for line in lines]
        assert {"execution_settled", "lookup_found_nothing", "market_compared", "audit_sealed"} <= set(events)
        assert next(line for line in lines if line["event"] == "audit_sealed")["head"] == "ab" * 32
        shown = json.dumps(lines)
        assert KEYS.key not in shown
        assert KEYS.secret.get_secret_value() not in shown

    def test_the_summary_is_one_readable_sentence(self) -> None:
        """A person reads in the scheduler's log what happened."""
        summary = clean_up(world([execution(1), execution(2)]), FakeExchange([order(1)]))
        assert summary.sentence() == (
            "3 proposals expired; 1 lock of crashed scans released; 2 executions looked up: 1 recorded,"
            " 1 not found; 1 of 1 market compared, every order explained; 4 events sealed."
        )
        told = summary.as_json()
        assert told["exchange"] == {"state": "asked", "points_spent": 22, "points_allowed": 500}
