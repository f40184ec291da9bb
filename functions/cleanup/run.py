"""One run: expire, recover, reconcile, compare, halt, alarm, seal, tell. Any number of runs may overlap."""

from __future__ import annotations

from collections.abc import Callable

from functions.cleanup.absence import Judge
from functions.cleanup.begun import Begun
from functions.cleanup.compare import compare
from functions.cleanup.exchange import PAGE_POINTS, Exchange
from functions.cleanup.settle import cancel_what_rests, settle
from functions.cleanup.summary import Found, MarketSummary, Summary
from shared.database import Database
from shared.environment import TradingMode
from shared.errors import DatabaseUnavailable, ExchangeError
from shared.events import Event
from shared.log import log
from shared.notices import told

MOST_EXECUTIONS = 250
"""Executions that one run leases; with a minute between runs about what half of the rate limit looks up."""

READ_BACK_POINTS = 4 * PAGE_POINTS
"""Points that look-ups leave for judging absence, a market: or only what exists would ever be settled."""

COMPARISON_SECONDS = 15.0
"""Time of a run that look-ups leave for the comparison: without it, live trading stops."""

_SEAL_PAGE = 1000
_SEAL_PAGES = 10


def run(
    database: Database,
    exchange: Exchange | None,
    *,
    mode: TradingMode,
    instance: str,
    sleep: Callable[[float], None],
) -> Summary:
    """Do everything that is due. `exchange` is None when there are no keys, and then it is not asked.

    Nothing is raised: what failed is in the summary, and the rest was done all the same.
    """
    summary = Summary(instance=instance, mode=mode)
    _expire_proposals(database, summary)
    _release_locks(database, summary)
    begun = _begin(database, exchange, mode, instance, summary)
    if begun is None:
        return summary
    if exchange is None:
        _tell_what_waits(begun, summary)
    else:
        _ask_the_exchange(begun, database, exchange, mode, summary, sleep)
    _halt_failing_owners(database, summary)
    _alarm_overdue(database, summary)
    _seal(database, summary)
    _take_notices(database, summary)
    return summary


def _expire_proposals(database: Database, summary: Summary) -> None:
    with summary.apart("expire_old_proposals"):
        summary.proposals_expired = int(database.call("expire_old_proposals")["expired"])
        if summary.proposals_expired:
            log(Event.PROPOSALS_EXPIRED, expired=summary.proposals_expired)


def _release_locks(database: Database, summary: Summary) -> None:
    with summary.apart("cleanup_expired_locks"):
        answer = database.call("cleanup_expired_locks")
        summary.locks_released = int(answer["released"])
        summary.reservations_abandoned = int(answer["abandoned"])
        if summary.locks_released:
            log(Event.LOCKS_EXPIRED, "a scan crashed or stalled", expired=summary.locks_released)
        if summary.reservations_abandoned:
            log(Event.CALLS_ABANDONED, abandoned=summary.reservations_abandoned)


def _halt_failing_owners(database: Database, summary: Summary) -> None:
    with summary.apart("halt_failing_owners"):
        summary.owners_halted = len(database.call("halt_failing_owners")["halted"])


def _alarm_overdue(database: Database, summary: Summary) -> None:
    """Tell of executions whose fate is open for long, also when the exchange could not be asked."""
    with summary.apart("alarm_overdue_executions"):
        answer = database.call("alarm_overdue_executions")
        for overdue in answer["overdue"]:
            log(Event.EXECUTION_OVERDUE, **overdue)
            named = f"Execution {overdue['execution_id']}"
            summary.alarm(f"{named} is {overdue['status']} for {overdue['minutes']} minutes.")
        if int(answer["unsettled"]):
            log(
                Event.EXECUTIONS_UNSETTLED,
                unsettled=int(answer["unsettled"]),
                unknown=int(answer["unknown"]),
                oldest_seconds=int(answer["oldest_seconds"]),
            )
        comparison = answer["comparison"]
        if comparison["stale"]:
            log(
                Event.COMPARISON_STALE,
                reconciled_at=comparison["reconciled_at"],
                unread_markets=comparison["unread_markets"],
            )


def _begin(
    database: Database, exchange: Exchange | None, mode: TradingMode, instance: str, summary: Summary
) -> Begun | None:
    """Lease what is due; None when the database does not answer, and the run ends."""
    begun = None
    with summary.apart("begin_cleanup"):
        try:
            begun = Begun.parse(
                database.call(
                    "begin_cleanup",
                    p_instance_id=instance,
                    p_mode=mode,
                    p_operator_id=exchange.operator_id if exchange else None,
                    p_trade_key_fingerprint=exchange.fingerprint if exchange else None,
                    p_limit=MOST_EXECUTIONS,
                )
            )
        except DatabaseUnavailable:
            summary.database_reached = False
            raise
    return begun


def _ask_the_exchange(
    begun: Begun,
    database: Database,
    exchange: Exchange,
    mode: TradingMode,
    summary: Summary,
    sleep: Callable[[float], None],
) -> None:
    """Reconcile, then compare. What was sent live is settled in any mode; only live mode compares."""
    markets = begun.markets if mode == "live" and begun.mode_matches else ()
    summary.executions[Found.NOT_ASKED] = len(begun.executions)
    summary.markets = [MarketSummary(watched.market) for watched in markets]
    if mode == "live" and not begun.account_matches:
        summary.exchange = "not asked: operator id or trade key are not the registered ones"
        log(Event.WRONG_ACCOUNT, summary.exchange)
        return
    if not markets and not begun.executions:
        return
    try:
        began_ms = exchange.read_clock()
    except ExchangeError as error:
        summary.exchange = f"out of reach: {error}"
        log(Event.EXCHANGE_OUT_OF_REACH, str(error))
        return
    summary.exchange = "asked" if begun.mode_matches else "asked, without comparing: MODE_MISMATCH"
    summary.executions.clear()
    to_compare = PAGE_POINTS * len(markets)
    to_judge = READ_BACK_POINTS * len({execution.market for execution in begun.executions})
    exchange.keep_back(points=to_compare + to_judge, seconds=COMPARISON_SECONDS)
    looked_up = settle(begun.executions, exchange, database, summary)
    exchange.keep_back(points=to_compare, seconds=COMPARISON_SECONDS)
    cancel_what_rests(looked_up.resting, exchange, database, summary, sleep)
    Judge(exchange, database, summary, began_ms, begun.now, begun.witness).judge(looked_up.missing)
    exchange.keep_back(points=0, seconds=0)
    if markets:
        summary.markets.clear()
        compare(markets, begun, exchange, database, summary)
    summary.points_spent, summary.points_allowed = exchange.points_spent, exchange.points_allowed


def _tell_what_waits(begun: Begun, summary: Summary) -> None:
    if not begun.left_waiting:
        return
    summary.exchange = f"not asked: no trade key, and {begun.left_waiting} live execution(s) are unsettled"
    log(Event.LIVE_LEFT_WAITING, summary.exchange, executions=begun.left_waiting)
    summary.alarm(
        f"{begun.left_waiting} live execution(s) are unsettled and cleanup has no trade key to look them up."
    )


def _seal(database: Database, summary: Summary) -> None:
    """Seal the audit, write the chain's head to the log, another trust domain."""
    with summary.apart("seal_audit_events"):
        for _ in range(_SEAL_PAGES):
            answer = database.call("seal_audit_events", p_limit=_SEAL_PAGE)
            summary.events_sealed += int(answer["sealed"])
            summary.audit_head, summary.audit_sequence = answer["head"], answer["sequence"]
            if int(answer["sealed"]) < _SEAL_PAGE:
                break
        log(
            Event.AUDIT_SEALED,
            sealed=summary.events_sealed,
            head=summary.audit_head,
            sequence=summary.audit_sequence,
        )


def _take_notices(database: Database, summary: Summary) -> None:
    """What a person has to be told now, whoever did it and in whatever run it happened."""
    with summary.apart("take_notices"):
        for notice in database.call("take_notices")["notices"]:
            if notice["kind"] == "HALTED":
                log(
                    Event.TRADING_HALTED,
                    notice["reason"],
                    user_id=notice["user_id"],
                    actor=notice["actor"],
                    at=notice["at"],
                    told=int(notice["told"]),
                )
                summary.alarm(told(notice))
            else:
                log(Event.NOTICE_GIVEN, notice=notice["notice"])
                summary.news.append(told(notice))
            summary.notices.append(notice["notice"])
