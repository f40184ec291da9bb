"""Whether the database says what the exchange's own record says: status, filled amounts, fee and history."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from uuid import UUID

import psycopg

from local.exchange.orders import Order


def differences(connection: psycopg.Connection, execution_id: UUID, orders: Iterable[Order]) -> Iterator[str]:
    """Each difference of one live execution from its orders, in a sentence; none when all is well."""
    row = connection.execute(
        """
        select status, exchange_order_id, filled_amount, filled_amount_quote, fee
        from public.trade_executions
        where id = %s
        """,
        (execution_id,),
    ).fetchone()
    assert row is not None
    history = connection.execute(
        """
        select exchange_order_id, amount, amount_quote, fee
        from public.trade_history
        where execution_id = %s
        order by exchange_order_id
        """,
        (execution_id,),
    ).fetchall()
    by_id = {order.id: order for order in orders}
    status, named, *filled = row
    said = f"execution {execution_id} is {status}"
    if not by_id:
        if status not in ("NOT_PLACED", "REJECTED") or history:
            yield f"{said}, and the exchange never had its order"
        return
    if named not in by_id:
        yield f"{said} and names {named}; the exchange has {list(by_id)}"
        return
    known = by_id[named]
    truth = "FILLED" if known.status("new") == "filled" else "CANCELED"
    if (status, filled) != (truth, [known.filled, known.filled_quote, known.fee]):
        yield f"{said}, stored {filled}; real {truth} {[known.filled, known.filled_quote, known.fee]}"
    traded = sorted(
        (order.id, order.filled, order.filled_quote, order.fee) for order in by_id.values() if order.filled
    )
    if traded != history:
        yield f"{said}: history {history}, traded {traded}"
