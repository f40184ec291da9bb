"""One cell of the matrix: the process ends in one step while the exchange does one thing; then what?

A kill is proven to have hit where it should: before it, what had been asked, answered, stored and accepted is
compared with what the step says. Afterwards a new process gets the same approval, cleanup runs on moved
clocks, and the database has to say what the exchange says.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import UUID

import httpx
import psycopg

from local.exchange.faults import ExchangeFaultRequest
from local.faults.plan import FaultRequest
from tests.crashes.deployment import Answer, Deployment, Process, until
from tests.crashes.outcomes import ORDER, Outcome
from tests.crashes.steps import Call, Moment, Step
from tests.crashes.wire import Kept, Wire

LOOK_UP = "GET /order"
NAMES = {
    Call.BEGIN: "begin_execution",
    Call.FACTS: "GET *",
    Call.CLAIM: "claim_execution",
    Call.ORDER: ORDER,
    Call.LOOK_UP: LOOK_UP,
    Call.RECORD: "record_execution_result",
}
_FACTS = ("GET /time", "GET /markets", "GET /ticker/book", LOOK_UP)
_OPEN = ("CLAIMED", "UNKNOWN")
_TOLD = {"REJECTED": 422, "UNKNOWN": 202}


def applies(step: Step, outcome: Outcome) -> bool:
    """Is there such a step?

    An order whose fate is known at once is not looked up again, and what comes after the time-out answers
    nobody.
    """
    if step.call is Call.LOOK_UP:
        return outcome.looks_again
    return outcome.in_time or step.call is not Call.ORDER or not step.judged


def meets(step: Step, outcome: Outcome) -> bool:
    """Does an order come to that outcome, the first process's or the next one's?"""
    return applies(step, outcome) and (not step.ever_claimed or step.ever_judged)


def expected(step: Step, outcome: Outcome) -> str:
    """What the database has to say in the end."""
    if not step.ever_claimed:
        return outcome.final  # the next process lives through it
    if not step.ever_judged:
        return "NOT_PLACED"
    if outcome.placed is not None:
        return outcome.placed
    return outcome.final if step.ever_recorded else "NOT_PLACED"


def orders_expected(step: Step, outcome: Outcome) -> int:
    """How many orders the exchange has in the end."""
    return outcome.orders if meets(step, outcome) and outcome.placed is not None else 0


@dataclass
class Approval:
    """A proposal of a new owner, approved in a process that will not live to see what comes of it."""

    place: Deployment
    process: Process
    owner: UUID
    proposal: UUID
    answer: Future[Answer]

    def again(self) -> Answer:
        """The same approval once more, in the process that serves by now."""
        return self.place.approve(self.place.process, self.owner, self.proposal)

    @property
    def status(self) -> str | None:
        """The status of the execution, None without one."""
        execution = self.place.execution(self.proposal)
        return None if execution is None else str(execution["status"])

    @property
    def orders(self) -> int:
        """How many orders the exchange has for it."""
        return self.place.orders(self.proposal)


def play(place: Deployment, step: Step, outcome: Outcome, turn: int = 0) -> str:
    """Kill the process in that step and see what becomes of it; the status in the end.

    Raises AssertionError when anything is not as it has to be.
    """
    with reached(place, place.process, step, outcome, turn) as approval:
        prove(approval, step, outcome)
        approval.process.child.kill()
        _let_go(place, step)
        died = approval.answer.exception()
        assert isinstance(died, httpx.TransportError), died
    if step.moment is Moment.TOO_LATE:
        assert approval.orders == 0
    _repeat(approval, step, outcome)
    place.exchange_faults.clear()
    place.clock.advance(10)
    place.clean_up()
    assert approval.again().status == 409
    place.settle()
    last = approval.again()
    assert (last.status, last.code) == (409, "ALREADY_EXECUTED")
    orders = orders_expected(step, outcome)
    if outcome.asks_too_much:
        # It leaves the exchange alone for a minute of its own, and the next cell is not about that.
        place.process.child.kill()
    return judge(approval, expected(step, outcome), orders=orders, halted=orders > 1)


@contextmanager
def reached(
    place: Deployment, process: Process, step: Step, outcome: Outcome, turn: int = 0
) -> Iterator[Approval]:
    """Approve, and stand where the step is; in the end nothing fails and nothing is kept any more."""
    place.quiet()
    for fault in outcome.faults(turn):
        place.exchange_faults.add(ExchangeFaultRequest.model_validate(fault))
    if step.again:
        place.database_faults.add(FaultRequest(name="drop_answer", on=NAMES[step.call]))
    owner = place.owner()
    proposal = place.proposal(owner)
    wire, name = wire_of(place, step.call), NAMES[step.call]
    skip = 1 if step.again or step.call is Call.LOOK_UP else 0
    count = len(_FACTS) if step.call is Call.FACTS else 1
    locking = step.moment is Moment.LOCKED
    if locking:
        # The row is locked after the claim and before the record: while the call in between is under way.
        kept = (
            place.to_exchange.keep_answer(LOOK_UP, skip=1)
            if outcome.looks_again
            else place.to_exchange.keep_answer(ORDER)
        )
    elif step.moment in (Moment.DONE, Moment.ANSWERED):
        kept = wire.keep_answer(name, skip=skip, count=count)
    else:
        kept = wire.keep_request(name, skip=skip, count=count)
    approval = Approval(place, process, owner, proposal, place.begin_approval(process, owner, proposal))
    try:
        until(lambda: kept.held == count or approval.answer.done(), f"{name} is kept")
        assert not approval.answer.done(), f"it was never asked for {name}: {approval.answer.result()}"
        if step.moment is Moment.ANSWERED:
            _answer_the_stopped(approval, wire, kept, count)
        if locking:
            with _locked(approval, kept):
                yield approval
        else:
            yield approval
    finally:
        approval.process.child.kill()
        place.to_exchange.release()
        place.to_database.release()


def wire_of(place: Deployment, call: Call) -> Wire:
    return place.to_exchange if call in (Call.FACTS, Call.ORDER, Call.LOOK_UP) else place.to_database


def _answer_the_stopped(approval: Approval, wire: Wire, kept: Kept, count: int) -> None:
    """Let the answer arrive at a process that is stopped: it has it, and has done nothing with it."""
    approval.process.child.pause()
    answered = wire.answered.total()
    kept.release()
    until(lambda: wire.answered.total() == answered + count, "the answer has arrived")


@contextmanager
def _locked(approval: Approval, kept: Kept) -> Iterator[None]:
    """The row of the execution is locked from before its fate is known until the record has given up."""
    place = approval.place
    with psycopg.connect(place.stack.database_url) as other:
        other.execute(
            "select from public.trade_executions where proposal_id = %s for update", (approval.proposal,)
        )
        kept.release()
        until(lambda: place.waits_for_lock("record_execution_result"), "the record waits")
        yield
        until(lambda: place.to_database.answered[NAMES[Call.RECORD]] == 1, "the record gives up")


def _let_go(place: Deployment, step: Step) -> None:
    """The process is gone; what it had sent is lost, or goes on without it."""
    wire, name = wire_of(place, step.call), NAMES[step.call]
    if step.moment is Moment.LOST:
        wire.lose()
    elif step.moment in (Moment.LATE, Moment.TOO_LATE):
        if step.moment is Moment.TOO_LATE:
            place.clock.advance(10)
        wire.release()
        until(lambda: wire.answered[name] == 1, f"{name} is carried out")


def prove(approval: Approval, step: Step, outcome: Outcome) -> None:
    """What has been asked, answered, stored and accepted is what the step says: the kill hits there."""
    place = approval.place
    looks = outcome.looks_again and step.call >= Call.LOOK_UP
    asked, answered = place.to_database.asked, place.to_database.answered
    exchange_asked, exchange_answered = place.to_exchange.asked, place.to_exchange.answered
    for call in Call:
        name = NAMES[call]
        times = 0 if call > step.call else 2 if call is step.call and step.again else 1
        back = times - (call is step.call and step.moment is not Moment.ANSWERED)
        if call is Call.FACTS:
            seen = [exchange_asked[fact] for fact in _FACTS[:-1]], [exchange_answered[f] for f in _FACTS[:-1]]
            assert seen == ([times] * 3, [back] * 3), (call, seen)
        elif call is Call.LOOK_UP:
            more = exchange_asked[name] - (step.call >= Call.FACTS)
            assert (more > 0) == looks, (call, more)
            if step.call is Call.LOOK_UP:
                assert (more, exchange_asked[name] - exchange_answered[name]) == (times, times - back), call
        elif call is Call.ORDER:
            assert exchange_asked[name] == times, call
            if outcome.in_time or call is step.call:
                assert exchange_answered[name] == back, call
        else:
            assert (asked[name], answered[name]) == (times, back), call
    if step.again:
        first, second = wire_of(place, step.call).bodies[NAMES[step.call]]
        assert first == second, "it asks again for something else"
    stored = outcome.told if step.recorded else "CLAIMED" if step.claimed else None
    assert approval.status == stored, (approval.status, stored)
    accepted = outcome.orders if step.judged and outcome.placed is not None else 0
    assert approval.orders == accepted, (approval.orders, accepted)


def _repeat(approval: Approval, step: Step, outcome: Outcome) -> None:
    """The owner approves once more: what was never claimed is executed now, all else is only told."""
    status = approval.status
    answer = approval.again()
    if not step.ever_claimed:
        assert answer.status == _TOLD.get(outcome.told, 200), (answer.code, answer.checks)
        assert approval.status == outcome.told
        return
    code = "EXECUTION_IN_PROGRESS" if status in _OPEN else "ALREADY_EXECUTED"
    assert (answer.status, answer.code) == (409, code)
    assert answer.body["execution"]["status"] == status


def judge(approval: Approval, status: str, *, orders: int, halted: bool = False) -> str:
    """At most one request, so many orders, and a database that says what the exchange says; the status."""
    place = approval.place
    assert place.to_exchange.asked[ORDER] <= 1
    assert approval.orders == orders
    disagreements = place.disagreements(approval.proposal)
    assert not disagreements, disagreements
    assert approval.status == status
    executed = "FAILED" if status in ("NOT_PLACED", "REJECTED") else "EXECUTED"
    assert place.proposal_status(approval.proposal) == executed
    assert place.incomplete() == []
    assert place.states(approval.owner) == ("HALTED" if halted else "ACTIVE", "ACTIVE")
    if halted:
        place.resume()
        place.clock.advance(60)
        place.clean_up()
        assert place.states(approval.owner) == ("ACTIVE", "ACTIVE")
    return status
