"""The process is not killed but stopped, and goes on when nobody expects it any more."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from tests.crashes.cell import NAMES, Approval, judge, prove, reached, wire_of
from tests.crashes.deployment import Answer, Deployment, until
from tests.crashes.outcomes import OUTCOMES, Outcome
from tests.crashes.steps import STEPS, Call, Moment, Step

EXPIRED = "EXPIRED"
"""The end of a proposal that nobody executed in time."""

_BY_NAME = {outcome.name: outcome for outcome in OUTCOMES}


class Span(Enum):
    """How long a process is stopped: what is over meanwhile, and the seconds between runs of cleanup."""

    WINDOW = "the access window", (), 10.0
    LEASE = "the lease of cleanup, which concludes", (70.0, 35.0, 35.0), 10.0
    LIFE = "the proposal's life", (70.0, 35.0, 420.0, 420.0), 10.0

    def __init__(self, beyond: str, until_cleanup_s: tuple[float, ...], at_last_s: float) -> None:
        self.beyond = beyond
        self.until_cleanup_s = until_cleanup_s
        self.at_last_s = at_last_s

    @property
    def another_asks(self) -> bool:
        """Does the owner approve in another process meanwhile?"""
        return self is Span.LEASE


STOPS = tuple(step for step in STEPS if not step.again and step.moment in (Moment.ANSWERED, Moment.LATE))
"""Where a process is stopped: with an answer that it has not looked at, or with a request under way."""


@dataclass(frozen=True)
class End:
    """What the stopped process answers when it goes on, and what the database says in the end."""

    http: int
    code: str | None
    status: str

    def __str__(self) -> str:
        return f"{self.http}{f' {self.code}' if self.code else ''}, then {self.status}"


def outcome_of(step: Step) -> Outcome:
    """The order is filled; for the step of the look-up, its answer is dropped."""
    return _BY_NAME["answer-dropped" if step.call is Call.LOOK_UP else "filled"]


def expected(step: Step, span: Span) -> End:
    """What has to come of it."""
    if step.judged or step.call > Call.ORDER:
        return End(200, None, "FILLED")
    if step.claimed:
        # The request comes after its window: 304. Whoever concluded before that keeps the last word.
        return End(422, "ORDER_REJECTED", "REJECTED" if span is Span.WINDOW else "NOT_PLACED")
    if span is Span.LEASE:
        return End(409, "ALREADY_EXECUTED", "FILLED")
    if span is Span.LIFE:
        return End(422, "CHECKS_FAILED", EXPIRED)
    if step.call is Call.BEGIN:
        return End(200, None, "FILLED")
    return End(422, "CHECKS_FAILED", "FILLED")  # too late, and the owner approves once more


def play(place: Deployment, step: Step, span: Span) -> End:
    """Stop the process in that step for that long; what it answered and the status in the end.

    Raises AssertionError when anything is not as it has to be.
    """
    outcome, wanted = outcome_of(step), expected(step, span)
    with reached(place, place.process, step, outcome) as approval:
        prove(approval, step, outcome)
        approval.process.child.pause()
        _time_passes(approval, step, span)
        if step.moment is Moment.LATE:
            wire, name = wire_of(place, step.call), NAMES[step.call]
            wire.release()
            until(lambda: wire.answered[name] == 1, f"{name} is carried out")
        approval.process.child.resume()
        answer = approval.answer.result(30)
    _compare(answer, wanted, step, span)
    if wanted.status == "FILLED" and answer.code == "CHECKS_FAILED":
        assert place.proposal_status(approval.proposal) == "PENDING"
        assert approval.again().status == 200
    place.settle()
    if wanted.status == EXPIRED:
        assert approval.status is None
        assert approval.again().checks == {"PROPOSAL_NOT_PENDING", "PROPOSAL_EXPIRED"}
        assert (approval.orders, place.proposal_status(approval.proposal)) == (0, EXPIRED)
        return wanted
    last = approval.again()
    assert (last.status, last.code) == (409, "ALREADY_EXECUTED")
    judge(approval, wanted.status, orders=int(wanted.status == "FILLED"))
    return wanted


def _time_passes(approval: Approval, step: Step, span: Span) -> None:
    place = approval.place
    if span.another_asks:
        other = place.another_process()
        try:
            answer = place.approve(other, approval.owner, approval.proposal)
        finally:
            other.child.kill()
        told = "ALREADY_EXECUTED" if step.recorded else "EXECUTION_IN_PROGRESS"
        assert (answer.status, answer.code) == ((409, told) if step.claimed else (200, None))
    for seconds in span.until_cleanup_s:
        place.clock.advance(seconds)
        place.clean_up()
    if span is not Span.WINDOW and step.claimed:
        assert approval.status == ("FILLED" if step.judged else "NOT_PLACED")
    place.clock.advance(span.at_last_s)


def _compare(answer: Answer, wanted: End, step: Step, span: Span) -> None:
    assert (answer.status, answer.code) == (wanted.http, wanted.code), (answer.code, answer.checks)
    if wanted.code == "ORDER_REJECTED":
        assert answer.body["exchange"]["errorCode"] == 304
        assert answer.body["execution"]["status"] == wanted.status
    if wanted.code == "CHECKS_FAILED":
        assert ("TOO_LATE" in answer.checks) == (step.call is not Call.BEGIN)
        assert ("PROPOSAL_EXPIRED" in answer.checks) == (span is Span.LIFE)
