"""Orders out = approvals in: what the exchange has against what was approved, market by market."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass
from typing import Any

from functions.cleanup.begun import Begun, WatchedMarket
from functions.cleanup.exchange import EnoughAsked, Exchange
from functions.cleanup.pages import every_order
from functions.cleanup.summary import UNREAD, Compared, MarketSummary, Summary
from shared.database import Database
from shared.errors import ExchangeError, ExchangeRefused
from shared.events import Event
from shared.log import log

_REFUSED = (400, 404)
"""The market itself: what concerns the key or the rate limit is answered with another status."""

_WHY = {
    "REFUSED": "the exchange refuses it",
    "UNREADABLE": "its orders could not be read completely",
    "BLIND": "its list does not show an order that is known to be ours",
}

_NO_OPERATOR_ID = (None, -(2**63))
"""The least number there is stands for none in recorded orders."""

MOST_AT_ONCE = 200
"""Orders that one call hands over: a busy day is compared piece by piece, in bounded time and memory."""


def compare(
    markets: Sequence[WatchedMarket],
    begun: Begun,
    exchange: Exchange,
    database: Database,
    summary: Summary,
) -> None:
    """Read each market completely and hand the orders that may be ours to the database.

    Those are the ones that carry our operator id or show none, and every one in an account that is dedicated
    to this deployment. The exchange is read first and the approvals after: claims commit before orders leave,
    so an order without one is proof and not lag. A market that cannot be read completely, or whose read does
    not show an order that is known, keeps its mark, and the database is told why.
    """
    named = {watched.market for watched in markets if not watched.holds_back}
    for watched in markets:
        told = MarketSummary(watched.market)
        summary.markets.append(told)
        comparison = _Comparison(watched, begun, exchange.now_ms(), database, summary, told)
        try:
            with summary.apart("compare", market=watched.market):
                told.outcome = Compared.FAILED
                told.outcome = _compare_one(comparison, exchange)
        except EnoughAsked as enough:
            told.outcome = Compared.NOT_ASKED
            log(Event.RATE_LIMIT_HEEDED, str(enough), market=watched.market)
    _report(named, database, summary)
    hidden = [told.market for told in summary.markets if told.operator_ids_shown is False]
    if hidden and not begun.account_is_dedicated:
        log(Event.OPERATOR_IDS_NOT_SHOWN, markets=hidden)


def _report(named: Set[str], database: Database, summary: Summary) -> None:
    """Say which markets were not read, and why, and alarm of those of which a person should hear now.

    What owners merely name is asked for less often from then on. So nothing is said of it when it may have
    been the exchange that could not be read at all.
    """
    outcomes = {told.market: told.outcome for told in summary.markets}
    readable = Compared.COMPARED in outcomes.values()
    unread = {
        market: outcome.name
        for market, outcome in outcomes.items()
        if outcome is Compared.REFUSED or (outcome in UNREAD and (readable or market not in named))
    }
    if not unread:
        return
    with summary.apart("report_unread_markets"):
        for told in database.call("report_unread_markets", p_unread=unread)["told"]:
            stops = (
                "live trading stops 15 minutes after its last comparison"
                if told["holds_back"]
                else "it holds nothing back"
            )
            summary.alarm(f"{told['market']} is not compared: {_WHY[told['why']]}; {stops}.")


@dataclass(frozen=True, slots=True)
class _Comparison:
    watched: WatchedMarket
    begun: Begun
    read_to_ms: int
    database: Database
    summary: Summary
    told: MarketSummary

    def hand_over(self, orders: dict[str, dict[str, Any]], *, complete: bool) -> None:
        """Compare these orders. Only the last piece says from where on was read: it alone moves the mark."""
        answer = self.database.call(
            "compare_orders",
            p_market=self.watched.market,
            p_read_started_at=self.begun.now,
            p_read_from_ms=self.watched.read_from_ms if complete else self.read_to_ms,
            p_read_to_ms=self.read_to_ms,
            p_orders=list(orders.values()),
            p_operator_ids_shown=self.told.operator_ids_shown if complete else None,
        )
        self.told.intruders += len(answer["intruders"])
        if complete:
            self.summary.reconciled_at = answer["reconciled_at"]
        if answer["operator_ids_newly_hidden"]:
            self.summary.alarm(
                "OPERATOR_IDS_NOT_SHOWN: the exchange shows no operatorId on orders, so one that Interlock"
                " did not send would not be noticed. If nothing else trades on the account, set"
                " account_is_dedicated."
            )
        self._tell(answer["new_intruders"], answer["contradicted"])

    def _tell(self, intruders: Sequence[str], contradicted: Sequence[str]) -> None:
        market = self.watched.market
        if intruders:
            log(Event.INTRUDER_FOUND, market=market, intruders=intruders)
            self.summary.alarm(f"{market} holds orders that no approval explains: {', '.join(intruders)}.")
        for execution_id in contradicted:
            log(Event.RECORD_CONTRADICTED, market=market, execution_id=execution_id)
            self.summary.alarm(f"The exchange contradicts the record of execution {execution_id}.")


def _compare_one(comparison: _Comparison, exchange: Exchange) -> Compared:
    watched, told = comparison.watched, comparison.told
    missing = set(watched.expected)
    any_shows = ours_hides = False
    ours: dict[str, dict[str, Any]] = {}
    try:
        for order in every_order(exchange, watched.market, watched.read_from_ms, comparison.read_to_ms):
            told.read += 1
            shown = order.operator_id not in _NO_OPERATOR_ID
            any_shows |= shown
            ours_hides |= not shown and order.order_id in watched.expected
            if (
                shown
                and order.operator_id != exchange.operator_id
                and not comparison.begun.account_is_dedicated
            ):
                continue
            missing.discard(order.order_id)
            ours[order.order_id] = order.raw
            if len(ours) == MOST_AT_ONCE:
                told.ours += len(ours)
                comparison.hand_over(ours, complete=False)
                ours = {}
    except ExchangeError as error:
        log(Event.MARKET_UNREADABLE, str(error), market=watched.market)
        refused = isinstance(error, ExchangeRefused) and error.http_status in _REFUSED
        return Compared.REFUSED if refused else Compared.UNREADABLE
    told.ours += len(ours)
    told.operator_ids_shown = any_shows and not ours_hides if told.read else None
    comparison.hand_over(ours, complete=not missing)
    if missing:
        log(Event.COMPARISON_BLIND, market=watched.market, orders=told.read, missing=sorted(missing))
        return Compared.BLIND
    log(Event.MARKET_COMPARED, market=watched.market, orders=told.read, ours=told.ours)
    return Compared.COMPARED
