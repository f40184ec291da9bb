"""Whatever answer is lost, at most one order leaves, and the truth is told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.execute.conftest import Proxied
from tests.people import People


def test_a_claim_whose_answer_was_lost_once_places_one_order(doubters: People, proxied: Proxied) -> None:
    """The connection closed after the commit: the same process asks again and sends, once."""
    owner = doubters.owner()
    proposal = doubters.proposal(owner)
    proxied.fail("drop_answer", "claim_execution")
    answer = doubters.approve(owner, proposal)
    assert (answer.status, answer.body["execution"]["status"]) == (200, "FILLED")
    assert len(doubters.orders(proposal)) == 1


def test_a_claim_whose_answer_is_always_lost_places_none(doubters: People, proxied: Proxied) -> None:
    """503, and a repeat is told 409; nothing was sent."""
    owner = doubters.owner()
    proposal = doubters.proposal(owner)
    proxied.fail("drop_answer", "claim_execution", count=None)
    answer = doubters.approve(owner, proposal)
    assert (answer.status, answer.body["code"]) == (503, "UNAVAILABLE")
    repeat = doubters.approve(owner, proposal)
    assert (repeat.status, repeat.body["code"]) == (409, "EXECUTION_IN_PROGRESS")
    assert doubters.orders(proposal) == []


def test_a_claim_answered_after_its_window_is_not_placed(doubters: People, proxied: Proxied) -> None:
    """The answer was withheld past the time-out: recorded as NOT_PLACED, nothing was sent."""
    owner = doubters.owner()
    proposal = doubters.proposal(owner)
    proxied.fail("delay_answer", "claim_execution", delay_ms=12_000)
    answer = doubters.approve(owner, proposal)
    assert (answer.status, answer.body["code"]) == (503, "UNAVAILABLE")
    assert answer.body["execution"]["status"] == "NOT_PLACED"
    assert doubters.orders(proposal) == []
    assert doubters.approve(owner, proposal).body["code"] == "ALREADY_EXECUTED"


def test_a_second_request_with_the_same_id_never_makes_a_second_order(
    doubters: People, people: People, proxied: Proxied
) -> None:
    """The caller's request id is no key to anything: with the answer lost in between, one order at most."""
    owner = doubters.owner()
    proposal = doubters.proposal(owner)
    proxied.fail("drop_answer", "claim_execution", count=None)
    headers = {**owner.bearer(), "X-Request-Id": "the-same"}
    body = {"proposalId": str(proposal)}
    lost = doubters.http.post(doubters.place.functions["execute"], json=body, headers=headers)
    second = people.http.post(people.place.functions["execute"], json=body, headers=headers)
    assert (lost.status_code, second.status_code) == (503, 409)
    assert lost.headers["X-Request-Id"] == second.headers["X-Request-Id"] == "the-same"
    assert people.orders(proposal) == []


def test_an_order_whose_record_is_lost_is_told_all_the_same(doubters: People, proxied: Proxied) -> None:
    """The record cannot be written: 200 with `recorded: false` and the exchange's own state."""
    owner = doubters.owner()
    proposal = doubters.proposal(owner)
    proxied.fail("error_502", "record_execution_result", count=None, done=False)
    answer = doubters.approve(owner, proposal)
    assert (answer.status, answer.body["recorded"]) == (200, False)
    assert answer.body["execution"]["status"] == "FILLED"
    assert len(doubters.orders(proposal)) == 1


@pytest.mark.parametrize("name", ["drop_request", "drop_answer", "cut", "not_json", "error_500", "error_502"])
def test_a_reading_that_is_lost_sends_nothing(doubters: People, proxied: Proxied, name: str) -> None:
    """Without the proposal nothing is decided: 503."""
    owner = doubters.owner()
    proposal = doubters.proposal(owner)
    proxied.fail(name, "begin_execution")
    assert doubters.approve(owner, proposal).status == 503
    assert doubters.orders(proposal) == []
    assert doubters.approve(owner, proposal).status == 200


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("drop_answer", {}),
        ("cut", {}),
        ("not_json", {}),
        ("error_502", {}),
        ("error_500", {}),
        ("error_503", {"code": 109}),
        ("wrong_status", {"status": "onHold"}),
    ],
)
def test_an_order_whose_answer_is_lost_is_found(
    people: People, exchange_fails: Callable[..., None], name: str, fields: dict[str, Any]
) -> None:
    """The exchange carried the order out and its answer was no use: the look-up finds it."""
    owner = people.owner()
    proposal = people.proposal(owner)
    exchange_fails(name, "POST /order", **fields)
    answer = people.approve(owner, proposal)
    assert (answer.status, answer.body["execution"]["status"]) == (200, "FILLED")
    assert len(people.orders(proposal)) == 1


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("drop_request", {}),
        ("error_502", {"done": False}),
        ("error_503", {"code": 111, "done": False}),
    ],
)
def test_an_order_that_cannot_be_found_stays_unknown(
    people: People, exchange_fails: Callable[..., None], name: str, fields: dict[str, Any]
) -> None:
    """Nothing was carried out, and nobody can know: 202, never sent again."""
    owner = people.owner()
    proposal = people.proposal(owner)
    exchange_fails(name, "POST /order", **fields)
    answer = people.approve(owner, proposal)
    assert (answer.status, answer.body["execution"]["status"]) == (202, "UNKNOWN")
    assert people.orders(proposal) == []
    assert people.approve(owner, proposal).body["code"] == "EXECUTION_IN_PROGRESS"


@pytest.mark.parametrize("name", ["drop_request", "cut", "error_502"])
@pytest.mark.parametrize("on", ["GET /time", "GET /markets", "GET /ticker/book", "GET /order"])
def test_a_fact_that_cannot_be_read_claims_nothing(
    people: People, exchange_fails: Callable[..., None], name: str, on: str
) -> None:
    """Deny by default: 422, and the proposal stays pending."""
    owner = people.owner()
    proposal = people.proposal(owner)
    exchange_fails(name, on)
    answer = people.approve(owner, proposal)
    assert (answer.status, answer.body["code"]) == (422, "CHECKS_FAILED")
    assert people.orders(proposal) == []
    (row,) = owner.read("trade_proposals", id=f"eq.{proposal}", select="status")
    assert row == {"status": "PENDING"}


@pytest.mark.parametrize("off_ms", [-8000, 8000])
def test_an_exchange_whose_clock_is_off_gets_no_order(
    people: People, exchange_fails: Callable[..., None], off_ms: int
) -> None:
    """Its time is half a window behind the database's, or two seconds ahead: refused in the claim."""
    owner = people.owner()
    proposal = people.proposal(owner)
    exchange_fails("clock_off", "GET /time", ms=off_ms)
    answer = people.approve(owner, proposal)
    assert answer.status == 422
    assert answer.codes & {"CLOCK_SKEW", "TOO_LATE"}
    assert people.orders(proposal) == []
