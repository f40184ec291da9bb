"""What cleanup tells the database of one execution: a fact, or that nothing could be learned."""

from __future__ import annotations

from uuid import UUID

from functions.cleanup.summary import Found, Summary
from shared.bitvavo import Order
from shared.database import Database
from shared.events import Event
from shared.log import log


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
        summary.alarm(f"The exchange contradicts the record of execution {execution_id}.")
        return Found.CONTRADICTED
    log(Event.EXECUTION_SETTLED, outcome=answer["outcome"], **facts)
    return Found.RECORDED if answer["outcome"] == "recorded" else Found.UNCHANGED


def release(execution_id: UUID, reason: str, database: Database, summary: Summary) -> None:
    """Hand an execution back, its status untouched; it is looked at again later, with back-off."""
    with summary.apart("release", execution_id=execution_id):
        database.call("release_reconciliation", p_execution_id=execution_id, p_reason=reason)
