"""From an approval to at most one order, whatever fails on the way."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from functions.execute.checks import MARKET_CHECKS
from functions.execute.facts import AT_ONCE
from functions.execute.pace import ORDERS_A_SECOND
from functions.execute.service import Service, build
from shared.environment import load
from shared.errors import NotThisClientsWork
from tests.unit.execute_world import EXECUTION, NOW_MS, World, filled, refusal, several

pytestmark = pytest.mark.unit


@pytest.fixture
def world() -> World:
    return World()


def fault(on: str, happens: Callable[[], httpx.Response], *, times: int = 10**6) -> Any:
    """Instead of the named call, this happens, so many times."""
    left = [times]

    def intercept(name: str, proceed: Callable[[], httpx.Response]) -> httpx.Response:
        if name == on and left[0] > 0:
            left[0] -= 1
            return happens()
        return proceed()

    return intercept


def after(on: str, happens: Callable[[], httpx.Response], *, times: int = 10**6) -> Any:
    """The named call is carried out, and then this happens to its answer, so many times."""
    left = [times]

    def intercept(name: str, proceed: Callable[[], httpx.Response]) -> httpx.Response:
        answer = proceed()
        if name == on and left[0] > 0:
            left[0] -= 1
            return happens()
        return answer

    return intercept


def broken() -> httpx.Response:
    raise httpx.ReadError("the connection was reset")


def refused_connection() -> httpx.Response:
    raise httpx.ConnectError("nobody listens")


def timed_out() -> httpx.Response:
    raise httpx.ReadTimeout("no answer")


def until(comes: Callable[[], bool]) -> None:
    """Wait for what another thread brings."""
    for _ in range(5000):
        if comes():
            return
        time.sleep(0.001)
    raise AssertionError("it never came")


def body(answer: Any) -> dict[str, Any]:
    parsed: dict[str, Any] = answer.get_json()
    return parsed


# One order


def test_an_approval_places_one_order_and_records_it(world: World) -> None:
    """Read, look, claim, send, record: 200 with the stored execution."""
    answer = world.approve()
    assert answer.status_code == 200
    assert body(answer)["recorded"] is True
    assert body(answer)["execution"] == world.database.execution
    assert world.database.execution is not None
    assert world.database.execution["status"] == "FILLED"
    assert [name for name, _ in world.database.calls] == [
        "begin_execution",
        "claim_execution",
        "record_execution_result",
    ]
    assert len(world.exchange.posted) == 1


def test_what_is_sent_is_to_the_letter_what_was_claimed(world: World) -> None:
    """The bytes, the timestamp and the window are those of the claimed row, signed with the trade key."""
    world.approve()
    (request,) = world.exchange.posted
    (claim,) = world.database.called("claim_execution")
    assert request.content.decode() == claim["p_request_body"]
    assert request.headers["Bitvavo-Access-Timestamp"] == str(claim["p_access_timestamp"])
    assert request.headers["Bitvavo-Access-Window"] == "5000"
    assert json.loads(request.content) == {
        "market": "BTC-EUR",
        "side": "buy",
        "orderType": "limit",
        "operatorId": 7,
        "clientOrderId": str(EXECUTION),
        "amount": "0.00049243",
        "price": "50500",
        "timeInForce": "IOC",
    }


@pytest.mark.parametrize("ahead_ms", [-40_000, 40_000])
def test_an_order_is_dated_by_the_exchanges_own_clock(world: World, ahead_ms: int) -> None:
    """However far off our clock is: what a stalled process sends late is too old for the exchange itself."""
    world.exchange.ahead_ms = ahead_ms
    world.approve()
    (request,) = world.exchange.posted
    assert request.headers["Bitvavo-Access-Timestamp"] == str(NOW_MS + ahead_ms)


def test_market_facts_are_asked_without_a_key(world: World) -> None:
    """Only the look-up of the own order, and the order itself, carry the trade key."""
    world.approve()
    assert world.exchange.keyed == {
        "GET /time": False,
        "GET /markets": False,
        "GET /ticker/book": False,
        "GET /order": True,
        "POST /order": True,
    }


def test_a_second_approval_is_answered_with_the_first_ones_execution(world: World) -> None:
    """Nothing happens twice: 409 with the stored execution, and no market fact is asked for."""
    world.approve()
    asked = len(world.exchange.asked)
    answer = world.approve()
    assert (answer.status_code, body(answer)["code"]) == (409, "ALREADY_EXECUTED")
    assert body(answer)["execution"] == world.database.execution
    assert len(world.exchange.asked) == asked
    assert len(world.exchange.posted) == 1


@pytest.mark.parametrize(
    ("status", "code"),
    [
        ("CLAIMED", "EXECUTION_IN_PROGRESS"),
        ("UNKNOWN", "EXECUTION_IN_PROGRESS"),
        ("OPEN", "ALREADY_EXECUTED"),
        ("PARTIALLY_FILLED", "ALREADY_EXECUTED"),
        ("FILLED", "ALREADY_EXECUTED"),
        ("CANCELED", "ALREADY_EXECUTED"),
        ("REJECTED", "ALREADY_EXECUTED"),
        ("NOT_PLACED", "ALREADY_EXECUTED"),
    ],
)
def test_an_existing_execution_is_told_by_its_state(world: World, status: str, code: str) -> None:
    """In progress while its fate is open, executed before in every other state."""
    world.approve()
    assert world.database.execution is not None
    world.database.execution["status"] = status
    answer = world.approve()
    assert (answer.status_code, body(answer)["code"]) == (409, code)
    assert body(answer)["execution"]["status"] == status


def test_many_approvals_at_once_place_one_order(world: World) -> None:
    """Of twenty approvals that arrive together one sends, nineteen are told 409."""
    with several(20, lambda: world.approve().status_code) as statuses:
        assert sorted(statuses) == [200] + [409] * 19
    assert len(world.exchange.posted) == 1


# Checks


def test_a_failed_check_asks_nothing_of_the_exchange(world: World) -> None:
    """A dead approval costs no market read: 422 with every verdict, those of the market not evaluated."""
    world.database.checks = [
        {"check": "allowlist", "verdict": "FAILED", "code": "NOT_ALLOWLISTED", "facts": {"market": "X"}}
    ]
    answer = world.approve()
    assert (answer.status_code, body(answer)["code"]) == (422, "CHECKS_FAILED")
    verdicts = {check["check"]: check["verdict"] for check in body(answer)["checks"]}
    assert verdicts == {"allowlist": "FAILED"} | {check.name: "NOT_EVALUATED" for check in MARKET_CHECKS}
    assert "NOT_ALLOWLISTED" in body(answer)["error"]
    assert world.exchange.asked == []
    assert world.database.called("claim_execution") == []


def test_failed_market_verdicts_are_handed_to_the_claim_without_bytes_to_send(world: World) -> None:
    """The claim refuses and keeps them; nothing is sent."""
    world.exchange.book |= {"bid": "60000", "ask": "60010"}
    answer = world.approve()
    assert (answer.status_code, body(answer)["code"]) == (422, "CHECKS_FAILED")
    (claim,) = world.database.called("claim_execution")
    assert claim["p_request_body"] is None
    assert [v["code"] for v in claim["p_market_checks"] if v["code"]] == ["PRICE_MOVED"]
    assert world.database.execution is None
    assert world.exchange.posted == []


@pytest.mark.parametrize("fact", ["GET /time", "GET /markets", "GET /ticker/book", "GET /order"])
@pytest.mark.parametrize("happens", [broken, refused_connection, timed_out, lambda: httpx.Response(502)])
def test_a_market_fact_that_cannot_be_read_refuses(
    world: World, fact: str, happens: Callable[[], httpx.Response]
) -> None:
    """Deny by default: an exchange that is silent or broken gives 422 and no order."""
    world.exchange.intercept = fault(fact, happens)
    answer = world.approve()
    assert (answer.status_code, body(answer)["code"]) == (422, "CHECKS_FAILED")
    assert world.exchange.posted == []


def test_an_order_that_the_exchange_has_already_is_not_placed_again(world: World) -> None:
    """A restored database has forgotten the execution; the exchange has not."""
    world.exchange.orders[str(EXECUTION)] = filled(
        {"market": "BTC-EUR", "side": "buy", "orderType": "limit", "clientOrderId": str(EXECUTION)}
        | {"amount": "0.0005", "price": "50000"}
    )
    answer = world.approve()
    assert [check["code"] for check in body(answer)["checks"] if check["code"]] == ["ORDER_EXISTS"]
    assert world.exchange.posted == []


def test_facts_that_are_half_a_window_old_are_too_late() -> None:
    """An instance that froze after its reads claims nothing."""
    world = World(frozen_s=2.6)
    answer = world.approve()
    assert [check["code"] for check in body(answer)["checks"] if check["code"]] == ["TOO_LATE"]
    assert world.exchange.posted == []


# The claim


def test_a_lost_claim_answer_is_asked_for_again_identically(world: World) -> None:
    """The answer was lost after the commit: the identical call gets the claim, and one order leaves."""
    world.database.intercept = after("claim_execution", broken, times=1)
    assert world.approve().status_code == 200
    first, second = world.database.called("claim_execution")
    assert first == second
    assert len(world.exchange.posted) == 1


def test_a_claim_whose_answer_never_comes_sends_nothing(world: World) -> None:
    """Lost twice: 503, nothing sent; a repeat tells that the proposal is being executed."""
    world.database.intercept = after("claim_execution", broken)
    answer = world.approve()
    assert (answer.status_code, body(answer)["code"]) == (503, "UNAVAILABLE")
    assert len(world.database.called("claim_execution")) == 2
    assert world.exchange.posted == []
    world.database.intercept = fault("nothing", broken)
    answer = world.approve()
    assert (answer.status_code, body(answer)["code"]) == (409, "EXECUTION_IN_PROGRESS")
    assert world.exchange.posted == []


def test_a_claim_answered_too_late_is_not_sent(world: World) -> None:
    """The answer was withheld past the window: recorded as not placed, 503 with the execution."""

    def withheld() -> httpx.Response:
        world.clock.sleep(10)
        return timed_out()

    world.database.intercept = after("claim_execution", withheld, times=1)
    answer = world.approve()
    assert (answer.status_code, body(answer)["code"]) == (503, "UNAVAILABLE")
    assert body(answer)["execution"]["status"] == "NOT_PLACED"
    assert body(answer)["execution"]["error_code"] == "TOO_LATE"
    assert world.exchange.posted == []
    assert world.approve().status_code == 409


@pytest.mark.parametrize(("left_s", "sent"), [(1.0, True), (0.999, False)])
def test_an_order_is_sent_only_with_a_second_of_its_window_left(
    world: World, left_s: float, sent: bool
) -> None:
    """One second is the least that is sent with."""

    def slow(name: str, proceed: Callable[[], httpx.Response]) -> httpx.Response:
        answer = proceed()
        if name == "claim_execution":
            world.clock.sleep(5.0 - left_s)
        return answer

    world.database.intercept = slow
    assert (world.approve().status_code == 200) is sent
    assert len(world.exchange.posted) == int(sent)


def test_somebody_elses_claim_is_not_sent(world: World) -> None:
    """Between our reading and our claim another process claimed: 409, nothing sent by us."""

    def overtaken(name: str, proceed: Callable[[], httpx.Response]) -> httpx.Response:
        answer = proceed()
        if name == "begin_execution" and world.database.execution is None:
            world.database.execution = {
                "id": str(EXECUTION),
                "attempt_id": "00000000-0000-0000-0000-000000000001",
                "status": "CLAIMED",
                "mode": "live",
                "market": "BTC-EUR",
                "side": "buy",
                "request": {"body": "{}"},
                "access_timestamp": "1790000000000",
                "access_window_ms": "5000",
            }
        return answer

    world.database.intercept = overtaken
    answer = world.approve()
    assert (answer.status_code, body(answer)["code"]) == (409, "EXECUTION_IN_PROGRESS")
    assert world.exchange.posted == []


@pytest.mark.parametrize(
    "changes",
    [
        {"id": "00000000-0000-0000-0000-000000000001"},
        {"attempt_id": "00000000-0000-0000-0000-000000000001"},
        {"status": "UNKNOWN"},
        {"mode": "dry_run"},
        {"request": {"body": '{"market":"BTC-EUR","amount":"1000"}'}},
        {"access_timestamp": "1790000009999"},
        {"access_window_ms": "60000"},
        {"access_window_ms": None},
        {"status": None},
    ],
)
def test_a_claim_of_something_else_than_was_asked_for_is_not_sent(
    world: World, changes: dict[str, Any]
) -> None:
    """Whatever the database claims to have claimed, only the very order that was decided leaves."""

    def changed(name: str, proceed: Callable[[], httpx.Response]) -> httpx.Response:
        answer = proceed()
        if name != "claim_execution":
            return answer
        claimed = answer.json()
        claimed["execution"] |= changes
        return httpx.Response(200, json=claimed)

    world.database.intercept = changed
    assert world.approve().status_code == 503
    assert world.exchange.posted == []


@pytest.mark.parametrize(
    "answer",
    [
        {"outcome": "busy", "execution": None, "checks": []},
        {"outcome": "granted", "execution": None, "checks": []},
        {"outcome": "claimed", "execution": None, "checks": []},
        {"outcome": "claimed"},
        [],
        {},
    ],
)
def test_any_other_answer_to_a_claim_sends_nothing(world: World, answer: Any) -> None:
    """Busy, unreadable or incomplete: 503, nothing sent."""
    world.database.intercept = fault("claim_execution", lambda: httpx.Response(200, json=answer))
    result = world.approve()
    assert result.status_code == 503
    assert body(result)["code"] == ("BUSY" if "busy" in str(answer) else "UNAVAILABLE")
    assert world.exchange.posted == []


def test_an_owner_who_approves_too_fast_is_told_busy_before_anything_is_asked(world: World) -> None:
    """The database gives no turn: 503 BUSY with the time of the next one, and the exchange is left alone."""
    world.database.intercept = fault("begin_execution", lambda: httpx.Response(200, json={"outcome": "busy"}))
    answer = world.approve()
    assert (answer.status_code, body(answer)["code"], answer.headers["Retry-After"]) == (503, "BUSY", "2")
    assert (world.exchange.asked, world.database.called("claim_execution")) == ([], [])


def test_a_claim_that_the_database_refuses_sends_nothing(world: World) -> None:
    """Bytes that do not fit the proposal are refused by the database; that is no traceback but a 503."""
    refused = {"code": "PT400", "message": "REQUEST_DOES_NOT_FIT", "details": "x", "hint": None}
    world.database.intercept = fault("claim_execution", lambda: httpx.Response(400, json=refused))
    assert world.approve().status_code == 503
    assert len(world.database.called("claim_execution")) == 1
    assert world.exchange.posted == []


# Sending and its outcome


def test_a_connection_that_never_stood_means_not_placed(world: World) -> None:
    """Not a byte left: recorded as NOT_PLACED, 503 with the execution."""
    world.exchange.intercept = fault("POST /order", refused_connection)
    answer = world.approve()
    assert (answer.status_code, body(answer)["code"]) == (503, "UNAVAILABLE")
    assert body(answer)["execution"]["status"] == "NOT_PLACED"
    assert body(answer)["recorded"] is True


def test_a_certain_refusal_is_told_with_the_exchanges_code(world: World) -> None:
    """422 with the exchange's own code and text; recorded as rejected with what it answered."""
    world.exchange.intercept = fault("POST /order", lambda: refusal(400, 216))
    answer = world.approve()
    assert (answer.status_code, body(answer)["code"]) == (422, "ORDER_REJECTED")
    assert body(answer)["exchange"] == {"errorCode": 216, "error": "text of 216"}
    assert body(answer)["execution"]["status"] == "REJECTED"
    (record,) = world.database.called("record_execution_result")
    assert (record["p_outcome"], record["p_error_code"]) == ("rejected", "216")
    assert record["p_response"] == {
        "http_status": "400",
        "body": {"errorCode": 216, "error": "text of 216"},
    }


def test_an_order_that_the_exchange_took_and_rejected_is_rejected(world: World) -> None:
    """An order object with the word rejected and no fills is 422."""

    def rejected() -> httpx.Response:
        sent = json.loads(world.exchange.posted[0].content)
        return httpx.Response(200, json=filled(sent, status="rejected", filledAmount="0"))

    world.exchange.intercept = fault("POST /order", rejected)
    answer = world.approve()
    assert (answer.status_code, body(answer)["code"]) == (422, "ORDER_REJECTED")


DOUBT: dict[str, Callable[[], httpx.Response]] = {
    "broken": broken,
    "timed out": timed_out,
    "502": lambda: httpx.Response(502, text="<html>"),
    "101": lambda: refusal(500, 101),
    "220": lambda: refusal(400, 220),
    "cut": lambda: httpx.Response(200, content=b'{"orderId": "0'),
    "another order": lambda: httpx.Response(200, json={"orderId": "x", "status": "filled"}),
    "redirect": lambda: httpx.Response(307, headers={"location": "https://exchange.example.com/v2/order"}),
}


@pytest.mark.parametrize("happens", DOUBT.values(), ids=DOUBT)
def test_doubt_is_looked_up_and_never_sent_again(world: World, happens: Callable[[], httpx.Response]) -> None:
    """The order had been carried out before its answer was lost: the look-up finds it, 200."""
    world.exchange.intercept = after("POST /order", happens)
    answer = world.approve()
    assert answer.status_code == 200
    assert body(answer)["execution"]["status"] == "FILLED"
    assert len(world.exchange.posted) == 1


@pytest.mark.parametrize("happens", DOUBT.values(), ids=DOUBT)
def test_what_is_not_found_stays_unknown(world: World, happens: Callable[[], httpx.Response]) -> None:
    """A look-up that finds nothing proves nothing: 202 UNKNOWN, sent once, looked up a few times."""
    world.exchange.intercept = fault("POST /order", happens)
    answer = world.approve()
    assert answer.status_code == 202
    assert body(answer)["code"] == "UNKNOWN"
    assert body(answer)["execution"]["status"] == "UNKNOWN"
    assert len(world.exchange.posted) == 1
    assert 2 <= world.exchange.asked.count("GET /order") <= 6


def test_a_look_up_that_lags_is_asked_again(world: World) -> None:
    """The exchange shows an order half a second after it was created; it is found all the same."""
    world.exchange.intercept = after("POST /order", timed_out)
    lagging = world.exchange.intercept
    lags = [3]  # the look-up of the facts, and two after the order

    def intercept(name: str, proceed: Callable[[], httpx.Response]) -> httpx.Response:
        if name == "GET /order" and lags[0] > 0:
            lags[0] -= 1
            return refusal(404, 240)
        answered: httpx.Response = lagging(name, proceed)
        return answered

    world.exchange.intercept = intercept
    assert world.approve().status_code == 200


def test_a_look_up_with_a_word_nobody_knows_is_asked_again(world: World) -> None:
    """It says nothing of the fate; the next one does."""
    words = ["aWordFromTomorrow", "filled"]

    def intercept(name: str, proceed: Callable[[], httpx.Response]) -> httpx.Response:
        answer = proceed()
        if name == "POST /order":
            return timed_out()
        if name == "GET /order" and world.exchange.orders:
            return httpx.Response(200, json={**answer.json(), "status": words.pop(0)})
        return answer

    world.exchange.intercept = intercept
    answer = world.approve()
    assert (answer.status_code, body(answer)["execution"]["status"], words) == (200, "FILLED", [])


def test_look_ups_end(world: World) -> None:
    """An exchange that answers nothing any more costs a bounded time."""

    def silent(_: str, proceed: Callable[[], httpx.Response]) -> httpx.Response:
        if world.exchange.posted:
            world.clock.sleep(8)
            raise httpx.ReadTimeout("silence")
        return proceed()

    world.exchange.intercept = silent
    begun = world.clock.now_s
    assert world.approve().status_code == 202
    assert world.clock.now_s - begun < 30


# The record


def test_a_record_is_repeated_until_it_is_written(world: World) -> None:
    """Three broken answers do not lose the outcome."""
    world.database.intercept = fault("record_execution_result", broken, times=3)
    answer = world.approve()
    assert (answer.status_code, body(answer)["recorded"]) == (200, True)


@pytest.mark.parametrize(
    ("happens", "status", "state"),
    [
        (None, 200, "FILLED"),
        (lambda: refusal(400, 216), 422, "REJECTED"),
        (timed_out, 202, "UNKNOWN"),
        (refused_connection, 503, "NOT_PLACED"),
    ],
)
@pytest.mark.parametrize(
    "record", [broken, lambda: httpx.Response(200, json={}), lambda: httpx.Response(500, text="x")]
)
def test_what_cannot_be_recorded_is_told_all_the_same(
    world: World,
    happens: Callable[[], httpx.Response] | None,
    status: int,
    state: str,
    record: Callable[[], httpx.Response],
) -> None:
    """The answer is what the exchange said, with `recorded: false`; after a byte has left it is no 5xx."""
    if happens is not None:
        world.exchange.intercept = fault("POST /order", happens)
    world.database.intercept = fault("record_execution_result", record)
    answer = world.approve()
    assert answer.status_code == status
    assert body(answer)["recorded"] is False
    assert body(answer)["execution"]["status"] == state
    assert body(answer)["execution"]["id"] == str(EXECUTION)


def test_a_record_that_the_database_refuses_is_not_repeated(world: World) -> None:
    """A refusal will not change: the answer tells what the exchange said."""
    refused = {"code": "PT400", "message": "INVALID_RESULT", "details": "x", "hint": None}
    world.database.intercept = fault("record_execution_result", lambda: httpx.Response(400, json=refused))
    answer = world.approve()
    assert (answer.status_code, body(answer)["recorded"]) == (200, False)
    assert len(world.database.called("record_execution_result")) == 1


def test_a_contradiction_is_told_to_a_person(world: World) -> None:
    """The database halted trading because this order contradicts what it had concluded."""

    def contradicted(name: str, proceed: Callable[[], httpx.Response]) -> httpx.Response:
        answer = proceed()
        if name != "record_execution_result":
            return answer
        return httpx.Response(200, json=answer.json() | {"outcome": "contradicted"})

    world.database.intercept = contradicted
    assert world.approve().status_code == 200
    assert len(world.notified) == 1


def test_an_error_nobody_expected_after_sending_is_unknown_and_no_5xx(world: World) -> None:
    """Even a mistake of ours, once a byte may have left, is answered with what is known."""

    def mistaken() -> httpx.Response:
        raise ZeroDivisionError

    world.exchange.intercept = fault("POST /order", mistaken)
    answer = world.approve()
    assert answer.status_code == 202
    assert len(world.exchange.posted) == 1


# Dry run


def test_a_dry_run_claims_and_sends_nothing() -> None:
    """Everything is decided and kept, nothing is sent or looked up: 200 with a DRY_RUN execution."""
    world = World("dry_run")
    answer = world.approve()
    assert answer.status_code == 200
    assert body(answer)["execution"]["status"] == "DRY_RUN"
    (claim,) = world.database.called("claim_execution")
    assert claim["p_mode"] == "dry_run"
    assert claim["p_operator_id"] is claim["p_trade_key_fingerprint"] is None
    assert "operatorId" not in json.loads(claim["p_request_body"])
    assert {name.split()[0] for name in world.exchange.asked} == {"GET"}
    assert "GET /order" not in world.exchange.asked
    assert body(world.approve())["code"] == "ALREADY_EXECUTED"


# Pace


@pytest.mark.parametrize(("mode", "can_send"), [("live", True), ("dry_run", False)])
def test_only_a_live_function_can_send_at_all(mode: str, can_send: bool) -> None:
    """Whatever keys a dry run holds, there is no client that could place an order with them."""
    assert (_built(mode).trader.trade is not None) is can_send


def test_no_approval_that_has_its_turn_waits_to_read_its_market() -> None:
    """Five approvals may have a turn: all of their reads are under way at the same time."""
    reads = ORDERS_A_SECOND * AT_ONCE
    all_asked = threading.Barrier(reads, timeout=10)
    side_by_side = _built("live").trader.side_by_side
    for asked in [side_by_side.submit(all_asked.wait) for _ in range(reads)]:
        asked.result()


def _built(mode: str) -> Service:
    return build(
        load(
            "execute",
            {
                "SUPABASE_URL": "https://project.supabase.co",
                "SUPABASE_SECRET_KEY": "secret",
                "BITVAVO_TRADE_KEY": "key",
                "BITVAVO_TRADE_SECRET": "secret",
                "BITVAVO_OPERATOR_ID": "7",
                "TRADING_MODE": mode,
            },
        )
    )


def test_a_nearly_spent_rate_limit_makes_the_next_approval_wait(world: World) -> None:
    """Little is left of the limit: the next approval is BUSY before anything is asked or claimed."""
    world.exchange.remaining = 50
    assert world.approve().status_code == 200
    world.database.execution = None
    asked = len(world.exchange.asked)
    answer = world.approve()
    assert (answer.status_code, body(answer)["code"]) == (503, "BUSY")
    assert answer.headers["Retry-After"]
    assert len(world.exchange.asked) == asked
    world.clock.sleep(31)
    world.exchange.orders.clear()
    world.exchange.remaining = 1000
    assert world.approve().status_code == 200


def test_a_ban_on_one_read_is_heeded_whatever_the_others_say(world: World) -> None:
    """Of four reads one was told 429: the next approval is BUSY for a minute."""
    world.exchange.intercept = fault("GET /ticker/book", lambda: refusal(429, 105), times=1)
    assert world.approve().status_code == 422
    assert body(world.approve())["code"] == "BUSY"
    world.clock.sleep(61)
    assert world.approve().status_code == 200


def test_a_ban_is_heeded_although_a_later_answer_shows_points_left(world: World) -> None:
    """The limits of an address and of a key are two: what one answer shows says nothing of the other."""
    market_data = world.trader.market_data

    def intercept(name: str, proceed: Callable[[], httpx.Response]) -> httpx.Response:
        if name == "GET /time":
            return refusal(429, 105)
        if name in ("GET /markets", "GET /ticker/book"):
            until(lambda: market_data.rate_limit is not None)
        return proceed()

    world.exchange.intercept = intercept
    assert world.approve().status_code == 422
    assert body(world.approve())["code"] == "BUSY"


def test_what_an_order_leaves_of_the_rate_limit_is_heeded(world: World) -> None:
    """Its own answer may be the first that shows how little is left."""

    def intercept(name: str, proceed: Callable[[], httpx.Response]) -> httpx.Response:
        world.exchange.remaining = 50 if name == "POST /order" else 1000
        return proceed()

    world.exchange.intercept = intercept
    assert world.approve().status_code == 200
    world.database.execution = None
    assert body(world.approve())["code"] == "BUSY"


def test_evidence_of_an_endless_answer_is_its_beginning(world: World) -> None:
    """What the exchange says is kept, and a page of it is enough."""
    world.exchange.intercept = fault("POST /order", lambda: httpx.Response(502, text="x" * 100_000))
    world.approve()
    (kept,) = world.database.called("record_execution_result")
    assert kept["p_response"] == {"http_status": "502", "body": "x" * 4000}


# The client


@pytest.mark.parametrize("work", ["market", "markets", "book_top", "ticker", "candles", "balance", "account"])
def test_the_trading_client_refuses_what_is_not_its_work(world: World, work: str) -> None:
    """The trade key is never used to read market data or balances."""
    with pytest.raises(NotThisClientsWork):
        getattr(world.trader.trade, work)("BTC-EUR")
