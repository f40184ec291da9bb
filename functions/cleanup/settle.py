"""Reconcile: what became of each execution whose fate is open, by looking its order up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from functions.cleanup.begun import Execution
from functions.cleanup.exchange import EnoughAsked, Exchange
from functions.cleanup.summary import Found, Summary
from shared.bitvavo import Order
from shared.database import Database
from shared.errors import ExchangeError, ExchangeRefused
from shared.events import Event
from shared.log import log

OVERDUE = timedelta(minutes=15)
"""An order whose fate is open for longer is worth a message."""

_RESTING = frozenset({"new", "awaitingTrigger", "partiallyFilled"})
_NO_LONGER_ACTIVE = (404, 240)
# Look-ups lag behind a cancel by fractions of a second; the next run is a minute away.
_AFTER_A_CANCEL_S = (0.5, 1.0, 2.0)


def settle(
    executions: Sequence[Execution], now: datetime, exchange: Exchange, database: Database, summary: Summary
) -> list[Execution]:
    """Look up each execution and record what is found; finding nothing concludes nothing.

    `now` is the database's time. Hands back the executions whose orders rest although none should.
    """
    resting = []
    for number, execution in enumerate(executions):
        found = Found.FAILED
        try:
            with summary.apart("settle", execution_id=execution.id):
                order = _look_up(execution, exchange, database, summary)
                if isinstance(order, Order):
                    found = record(execution.id, order, database, summary)
                    if order.status in _RESTING:
                        resting.append(execution)
                else:
                    found = order
        except EnoughAsked as enough:
            summary.executions[Found.NOT_ASKED] += len(executions) - number
            log(Event.RATE_LIMIT_HEEDED, str(enough), left_for_later=len(executions) - number)
            break
        summary.executions[found] += 1
        if found in (Found.NOT_FOUND, Found.UNREADABLE, Found.FAILED):
            _alarm_when_overdue(execution, now, summary)
    return resting


def cancel_what_rests(
    resting: Sequence[Execution],
    exchange: Exchange,
    database: Database,
    summary: Summary,
    sleep: Callable[[float], None],
) -> None:
    """Cancel orders of ours that rest against expectation, and record what look-ups show afterwards."""
    for execution in resting:
        log(Event.RESTING_ORDER_CANCELED, execution_id=execution.id, market=execution.market)
        summary.alarm(f"The order of execution {execution.id} was resting in {execution.market}: cancelled.")
        try:
            with summary.apart("cancel", execution_id=execution.id):
                _cancel(execution, exchange, database, summary, sleep)
        except EnoughAsked as enough:
            log(Event.RATE_LIMIT_HEEDED, str(enough), execution_id=execution.id)


def record(execution_id: UUID, order: Order, database: Database, summary: Summary) -> Found:
    """Record an order object. What it means for the execution is decided where the execution is stored."""
    answer = database.call(
        "record_execution_result",
        p_execution_id=execution_id,
        p_actor="cleanup",
        p_attempt_id=None,
        p_outcome="placed",
        p_order=order.raw,
        p_response=None,
        p_error_code=None,
    )
    facts = {
        "execution_id": execution_id,
        "market": order.market,
        "exchange_order_id": order.order_id,
        "order_status": order.status,
        "status": answer["execution"]["status"],
    }
    if answer["outcome"] == "contradicted":
        log(Event.RECORD_CONTRADICTED, **facts)
        summary.alarm(f"The exchange contradicts the record of execution {execution_id}: trading is halted.")
        return Found.CONTRADICTED
    log(Event.EXECUTION_SETTLED, outcome=answer["outcome"], **facts)
    return Found.RECORDED if answer["outcome"] == "recorded" else Found.UNCHANGED


def _look_up(execution: Execution, exchange: Exchange, database: Database, summary: Summary) -> Order | Found:
    """The order, or why there is none to record; then the execution waits for a later look-up."""
    try:
        order = exchange.order(execution.market, execution.id)
    except ExchangeError as error:
        log(Event.LOOKUP_UNREADABLE, str(error), execution_id=execution.id, market=execution.market)
        _release(execution, str(error), database, summary)
        return Found.UNREADABLE
    if order is None:
        log(Event.LOOKUP_FOUND_NOTHING, execution_id=execution.id, market=execution.market)
        _release(execution, "NOT_FOUND", database, summary)
        return Found.NOT_FOUND
    return order


def _cancel(
    execution: Execution,
    exchange: Exchange,
    database: Database,
    summary: Summary,
    sleep: Callable[[float], None],
) -> None:
    """The cancel's own answer is never recorded: it says that a cancellation was asked for, not what filled.

    What no look-up shows in time is seen by the next run.
    """
    try:
        exchange.cancel(execution.market, execution.id)
    except ExchangeRefused as refused:
        if (refused.http_status, refused.error_code) != _NO_LONGER_ACTIVE:
            raise
    for pause in _AFTER_A_CANCEL_S:
        sleep(pause)
        order = exchange.order(execution.market, execution.id)
        if order is not None and order.status not in _RESTING:
            record(execution.id, order, database, summary)
            return


def _alarm_when_overdue(execution: Execution, now: datetime, summary: Summary) -> None:
    age = now - execution.claimed_at
    if age < OVERDUE or execution.status not in ("CLAIMED", "UNKNOWN"):
        return
    minutes = age // timedelta(minutes=1)
    log(Event.EXECUTION_OVERDUE, execution_id=execution.id, market=execution.market, minutes=minutes)
    summary.alarm(f"Execution {execution.id} is {execution.status} for {minutes} minutes.")


def _release(execution: Execution, reason: str, database: Database, summary: Summary) -> None:
    with summary.apart("release", execution_id=execution.id):
        database.call("release_reconciliation", p_execution_id=execution.id, p_reason=reason)
