"""Reconcile: what became of each execution whose fate is open, by looking its order up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from functions.cleanup.begun import Execution
from functions.cleanup.exchange import EnoughAsked, Exchange
from functions.cleanup.records import record, release
from functions.cleanup.summary import Found, Summary
from shared.bitvavo import Order
from shared.database import Database
from shared.errors import ExchangeError, ExchangeRefused
from shared.events import Event
from shared.log import log

_RESTING = frozenset({"new", "awaitingTrigger", "partiallyFilled"})
_NO_LONGER_ACTIVE = (404, 240)
# Look-ups lag behind a cancel by fractions of a second; the next run is a minute away.
_AFTER_A_CANCEL_S = (0.5, 1.0, 2.0)


@dataclass(slots=True)
class LookedUp:
    """Executions that need more than a look-up: those whose order rests, and those without one."""

    resting: list[tuple[Execution, Order]] = field(default_factory=list)
    missing: list[Execution] = field(default_factory=list)


def settle(
    executions: Sequence[Execution], exchange: Exchange, database: Database, summary: Summary
) -> LookedUp:
    """Look up each execution and record what is found; finding nothing concludes nothing here."""
    looked_up = LookedUp()
    for number, execution in enumerate(executions):
        found: Found | None = Found.FAILED
        try:
            with summary.apart("settle", execution_id=execution.id):
                order = _look_up(execution, exchange, database, summary)
                if order is None:
                    looked_up.missing.append(execution)
                    found = None
                elif isinstance(order, Order):
                    found = record(execution.id, order, database, summary)
                    if order.status in _RESTING:
                        looked_up.resting.append((execution, order))
                else:
                    found = order
        except EnoughAsked as enough:
            summary.executions[Found.NOT_ASKED] += len(executions) - number
            log(Event.RATE_LIMIT_HEEDED, str(enough), left_for_later=len(executions) - number)
            break
        if found is not None:
            summary.executions[found] += 1
    return looked_up


def cancel_what_rests(
    resting: Sequence[tuple[Execution, Order]],
    exchange: Exchange,
    database: Database,
    summary: Summary,
    sleep: Callable[[float], None],
) -> None:
    """Cancel orders of ours that rest against expectation, and record what look-ups show afterwards."""
    for execution, order in resting:
        try:
            with summary.apart("cancel", execution_id=execution.id):
                _cancel(execution, order, exchange, database, summary, sleep)
        except EnoughAsked as enough:
            log(Event.RATE_LIMIT_HEEDED, str(enough), execution_id=execution.id)


def _look_up(
    execution: Execution, exchange: Exchange, database: Database, summary: Summary
) -> Order | Found | None:
    """The order, None when the exchange says that it has none, or why that cannot be read."""
    try:
        order = exchange.order(execution.market, execution.id)
    except ExchangeError as error:
        log(Event.LOOKUP_UNREADABLE, str(error), execution_id=execution.id, market=execution.market)
        release(execution.id, str(error), database, summary)
        return Found.UNREADABLE
    return order


def _cancel(
    execution: Execution,
    resting: Order,
    exchange: Exchange,
    database: Database,
    summary: Summary,
    sleep: Callable[[float], None],
) -> None:
    """Announce it, so that the audit has it whatever happens next, ask for it, and look what came of it.

    The cancel's own answer is never recorded: it says that a cancellation was asked for, not what filled.
    What no look-up shows in time is seen by the next run.
    """
    database.call("announce_cancel", p_execution_id=execution.id, p_order_id=resting.order_id)
    log(Event.RESTING_ORDER_CANCELED, execution_id=execution.id, market=execution.market)
    summary.alarm(
        f"The order of execution {execution.id} was resting in {execution.market}: its cancel is asked for."
    )
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
