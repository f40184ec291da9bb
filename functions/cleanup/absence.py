"""Absence: when finding nothing may be taken for there being nothing.

A look-up lags, a key may belong to another account, a list may be cut, so one 'no such order' says nothing.
A round counts only when the exchange can no longer accept the order, when it was asked by the key that signed
it, and when look-up, open orders, orders and fills were all read back to before it was sent. Two rounds must
agree, and that is decided where they are stored.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from itertools import chain
from uuid import UUID

from functions.cleanup.begun import Execution, Witness
from functions.cleanup.exchange import PATIENTLY, EnoughAsked, Exchange
from functions.cleanup.pages import every_order, every_trade
from functions.cleanup.records import record, release
from functions.cleanup.summary import Found, Summary
from shared.bitvavo import Order
from shared.database import Database
from shared.errors import ExchangeError
from shared.events import Event
from shared.log import log

BEYOND_THE_WINDOW_MS = 60_000
"""How long after the access window a look-up must begin: what was accepted last has long been listed."""

JUDGED_WITHIN_MS = 24 * 60 * 60 * 1000
"""Lists are known to reach back a day; an older order is settled by a person."""

_AROUND_MS = 5 * 60_000
"""Lists are read this far beyond both ends, because the exchange's clock may have been corrected."""


class NotJudged(StrEnum):
    """Why a look-up that found nothing counts for nothing."""

    TOO_EARLY = "TOO_EARLY"
    TOO_LATE = "TOO_LATE"
    OTHER_KEY = "OTHER_KEY"
    ORDER_KNOWN = "ORDER_KNOWN"
    WITNESS_UNSEEN = "WITNESS_UNSEEN"
    LISTS_UNREADABLE = "LISTS_UNREADABLE"
    FILL_LISTED = "FILL_LISTED"
    REFUSED = "REFUSED"


@dataclass(slots=True)
class Listed:
    """What the account's lists hold of the orders in question."""

    orders: dict[UUID, Order] = field(default_factory=dict)
    filled: set[UUID] = field(default_factory=set)


def why_not_judged(execution: Execution, *, exchange_ms: int, fingerprint: str) -> NotJudged | None:
    """Why this run cannot judge the absence of an execution's order; None when it can.

    `exchange_ms` is the exchange's own time (Unix ms) before the look-up began.
    """
    if execution.status not in ("CLAIMED", "UNKNOWN") or execution.exchange_order_id is not None:
        return NotJudged.ORDER_KNOWN
    if execution.trade_key_fingerprint != fingerprint:
        return NotJudged.OTHER_KEY
    if exchange_ms < execution.access_timestamp + execution.access_window_ms + BEYOND_THE_WINDOW_MS:
        return NotJudged.TOO_EARLY
    if exchange_ms >= execution.access_timestamp + JUDGED_WITHIN_MS:
        return NotJudged.TOO_LATE
    return None


@dataclass(frozen=True, slots=True)
class Judge:
    """Judges the executions whose look-up found nothing, with what one run knows."""

    exchange: Exchange
    database: Database
    summary: Summary
    began_ms: int
    """The exchange's own time before any of this run's look-ups."""
    run_started_at: datetime
    """The database's time before them."""
    witness: Witness | None

    def judge(self, missing: Sequence[Execution]) -> None:
        """Complete a round for each execution that can be judged, and leave the others to a later run."""
        by_market: dict[str, list[Execution]] = defaultdict(list)
        for execution in missing:
            why = why_not_judged(execution, exchange_ms=self.began_ms, fingerprint=self.exchange.fingerprint)
            if why is None:
                by_market[execution.market].append(execution)
            else:
                self._leave(execution, why, Found.NOT_FOUND)
        judged = 0
        try:
            if by_market and not self._sees_the_witness():
                for execution in (one for group in by_market.values() for one in group):
                    self._leave(execution, NotJudged.WITNESS_UNSEEN, Found.UNREADABLE)
                return
            for market, group in by_market.items():
                self._judge_market(market, group)
                judged += len(group)
        except EnoughAsked as enough:
            left = sum(len(group) for group in by_market.values()) - judged
            self.summary.executions[Found.NOT_FOUND] += left
            log(Event.RATE_LIMIT_HEEDED, str(enough), left_for_later=left)

    def _sees_the_witness(self) -> bool:
        """An order that the exchange is known to have must be visible, or this run sees another account."""
        if self.witness is None:
            return True
        try:
            seen = self.exchange.order(self.witness.market, self.witness.id, tries=PATIENTLY)
        except ExchangeError:
            return False
        return seen is not None and seen.order_id == self.witness.exchange_order_id

    def _judge_market(self, market: str, group: Sequence[Execution]) -> None:
        try:
            listed = read_back(
                self.exchange,
                market,
                from_ms=min(execution.access_timestamp for execution in group) - _AROUND_MS,
                to_ms=self.exchange.now_ms() + _AROUND_MS,
                wanted={execution.id for execution in group},
            )
        except ExchangeError as error:
            log(Event.MARKET_UNREADABLE, str(error), market=market)
            for execution in group:
                self._leave(execution, NotJudged.LISTS_UNREADABLE, Found.UNREADABLE)
            return
        ended_ms = self.exchange.now_ms()
        for execution in group:
            found = Found.FAILED
            with self.summary.apart("judge absence", execution_id=execution.id):
                found = self._judge_one(execution, listed, ended_ms)
            self.summary.executions[found] += 1

    def _judge_one(self, execution: Execution, listed: Listed, ended_ms: int) -> Found:
        if order := listed.orders.get(execution.id):
            return record(execution.id, order, self.database, self.summary)
        if execution.id in listed.filled:
            release(execution.id, NotJudged.FILL_LISTED, self.database, self.summary)
            return Found.UNREADABLE
        answer = self.database.call(
            "record_absence",
            p_execution_id=execution.id,
            p_trade_key_fingerprint=self.exchange.fingerprint,
            p_exchange_url=self.exchange.address,
            p_run_started_at=self.run_started_at,
            p_began_ms=self.began_ms,
            p_ended_ms=ended_ms,
        )
        if answer["outcome"] == "concluded":
            log(Event.ABSENCE_CONCLUDED, execution_id=execution.id, market=execution.market)
            return Found.NOT_PLACED
        if answer["outcome"] == "refused":
            log(
                Event.LOOKUP_FOUND_NOTHING,
                answer["reason"],
                execution_id=execution.id,
                market=execution.market,
                not_judged=NotJudged.REFUSED.value,
            )
            release(execution.id, f"{NotJudged.REFUSED}: {answer['reason']}", self.database, self.summary)
            return Found.UNREADABLE
        log(
            Event.LOOKUP_FOUND_NOTHING,
            execution_id=execution.id,
            market=execution.market,
            round=answer["outcome"],
        )
        return Found.NOT_FOUND

    def _leave(self, execution: Execution, why: NotJudged, found: Found) -> None:
        log(
            Event.LOOKUP_FOUND_NOTHING,
            execution_id=execution.id,
            market=execution.market,
            not_judged=why.value,
        )
        release(execution.id, why, self.database, self.summary)
        self.summary.executions[found] += 1


def read_back(exchange: Exchange, market: str, *, from_ms: int, to_ms: int, wanted: Iterable[UUID]) -> Listed:
    """Open orders, orders and fills of that time, kept where they carry a wanted id.

    Raises an `ExchangeError` unless all three were read completely.
    """
    ids = frozenset(wanted)
    listed = Listed()
    for order in chain(exchange.open_orders(market), every_order(exchange, market, from_ms, to_ms)):
        if order.client_order_id in ids:
            listed.orders[order.client_order_id] = order
    for trade in every_trade(exchange, market, from_ms, to_ms):
        if trade.client_order_id in ids:
            listed.filled.add(trade.client_order_id)
    return listed
