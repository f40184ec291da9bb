"""Orders out = approvals in: what the exchange has against what was approved, market by market."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from functions.cleanup.begun import WatchedMarket
from functions.cleanup.exchange import EnoughAsked, Exchange
from functions.cleanup.pages import every_order
from functions.cleanup.summary import Compared, MarketSummary, Summary
from shared.database import Database
from shared.errors import ExchangeError
from shared.events import Event
from shared.log import log


def compare(
    markets: Sequence[WatchedMarket],
    read_started_at: datetime,
    exchange: Exchange,
    database: Database,
    summary: Summary,
) -> None:
    """Read each market completely and hand the orders that carry our operator id to the database.

    `read_started_at` is the database's time before the first read. The exchange is read first and the
    approvals after: claims commit before orders leave, so an order without one is proof and not lag. A market
    that cannot be read completely is not compared, and its mark stays where it is.
    """
    for watched in markets:
        told = MarketSummary(watched.market)
        summary.markets.append(told)
        try:
            with summary.apart("compare", market=watched.market):
                told.outcome = Compared.FAILED
                told.outcome = _compare_one(watched, read_started_at, exchange, database, summary, told)
        except EnoughAsked as enough:
            told.outcome = Compared.NOT_ASKED
            log(Event.RATE_LIMIT_HEEDED, str(enough), market=watched.market)


def _compare_one(
    watched: WatchedMarket,
    read_started_at: datetime,
    exchange: Exchange,
    database: Database,
    summary: Summary,
    told: MarketSummary,
) -> Compared:
    read_to_ms = exchange.now_ms()
    ours: dict[str, dict[str, Any]] = {}
    try:
        for order in every_order(exchange, watched.market, watched.read_from_ms, read_to_ms):
            told.read += 1
            if order.operator_id == exchange.operator_id:
                ours[order.order_id] = order.raw
    except ExchangeError as error:
        log(Event.MARKET_UNREADABLE, str(error), market=watched.market)
        return Compared.UNREADABLE
    told.ours = len(ours)
    answer = database.call(
        "compare_orders",
        p_market=watched.market,
        p_read_started_at=read_started_at,
        p_read_from_ms=watched.read_from_ms,
        p_read_to_ms=read_to_ms,
        p_orders=list(ours.values()),
    )
    told.intruders = len(answer["intruders"])
    summary.reconciled_at = answer["reconciled_at"]
    if told.intruders:
        log(Event.INTRUDER_FOUND, market=watched.market, intruders=answer["intruders"])
        summary.alarm(
            f"{watched.market} holds orders that no approval explains"
            f" ({', '.join(str(one) for one in answer['intruders'])}): trading was halted."
        )
    log(Event.MARKET_COMPARED, market=watched.market, orders=told.read, ours=told.ours)
    return Compared.COMPARED
