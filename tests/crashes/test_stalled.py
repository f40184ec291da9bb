"""A process that was stopped for as long as anyone likes does no harm when it goes on."""

from __future__ import annotations

import time

import pytest

from tests.crashes import stalled
from tests.crashes.cell import Approval, judge, prove, reached
from tests.crashes.deployment import Deployment
from tests.crashes.outcomes import OUTCOMES
from tests.crashes.stalled import STOPS, Span
from tests.crashes.steps import Call, Moment, Step

CLAIM_ANSWERED = Step(Call.CLAIM, Moment.ANSWERED)


STALLS = [(step, span) for step in STOPS for span in Span]
SPANS = list(Span)
SHORT = [
    (step, span)
    for number, step in enumerate(STOPS)
    for span in Span
    if step == CLAIM_ANSWERED or span is SPANS[number % len(SPANS)]
]


def _name(of: object) -> str:
    return of.name if isinstance(of, (Step, Span)) else str(of)


@pytest.mark.parametrize(("step", "span"), SHORT, ids=_name)
def test_a_stopped_process_goes_on_and_does_no_harm(place: Deployment, step: Step, span: Span) -> None:
    """Its late request is refused by database or exchange, and the record stays what the exchange says."""
    stalled.play(place, step, span)


@pytest.mark.soak
@pytest.mark.parametrize(("step", "span"), [of for of in STALLS if of not in SHORT], ids=_name)
def test_a_process_stops_anywhere_for_any_time(place: Deployment, step: Step, span: Span) -> None:
    """All other places and spans."""
    stalled.play(place, step, span)


def test_a_process_that_notices_its_stall_sends_nothing(place: Deployment) -> None:
    """Stopped between claim and order for longer than its window, on its own clock too: not a byte leaves."""
    filled = OUTCOMES[0]
    with reached(place, place.process, CLAIM_ANSWERED, filled) as approval:
        prove(approval, CLAIM_ANSWERED, filled)
        time.sleep(4.2)  # of a window of 5 s a second has to be left
        approval.process.child.resume()
        answer = approval.answer.result(30)
    assert (answer.status, answer.code) == (503, "UNAVAILABLE")
    assert answer.body["execution"]["error_code"] == "TOO_LATE"
    assert _orders_sent(approval) == 0
    place.settle()
    judge(approval, "NOT_PLACED", orders=0)


def _orders_sent(approval: Approval) -> int:
    return approval.place.to_exchange.asked["POST /order"]
