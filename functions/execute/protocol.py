"""From an approval to at most one order: read, look, decide, claim, send once, settle.

Nothing before `_send_once` can spend money, and nothing after it may let an error escape: once a byte has
left, the answer says what is known, and cleanup settles the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from uuid import UUID, uuid4

from functions.execute.checks import Verdict, Word, any_failed, elapsed_ms, judge, not_evaluated
from functions.execute.exchange import BitvavoTrade
from functions.execute.facts import MarketFacts, Unread, read_facts
from functions.execute.order import Draft, draft_order, order_body
from functions.execute.outcome import (
    ID_ALREADY_OPEN,
    NotSent,
    Outcome,
    Placed,
    Rejected,
    Status,
    Unknown,
    classify,
    is_ours,
    status_of,
)
from functions.execute.pace import Pace
from functions.execute.records import Begun, Claim, Claimed, Execution, Records
from functions.execute.request import Approval
from shared.bitvavo import BitvavoReadonly, Order, ServerTime
from shared.errors import DatabaseError, DatabaseUnavailable, ExchangeError, ExchangeNotReached
from shared.events import Event
from shared.log import log
from shared.notices import contradicted

LEAST_WINDOW_LEFT_MS = 1000
"""With less than this left of the access window an order is not sent: it might arrive too late."""

APPROVE_AGAIN_AFTER_S = 2
"""In this time the database gives an owner who approves too fast one more turn."""

LOOK_AGAIN_AFTER_S = (0.3, 0.5, 0.7, 1.0)
"""Waits before each look-up of an order whose fate is unknown: look-ups lag half a second behind creation."""

LOOK_AGAIN_FOR_S = 6.0
"""No look-up begins later than this after the first."""

RECORD_AGAIN_AFTER_S = (0.2, 0.5, 1.0, 2.0)
"""Waits before each repeat of a record that failed."""

RECORD_AGAIN_FOR_S = 20.0
"""No repeat begins later than this after the first."""


@dataclass(frozen=True, slots=True)
class Trader:
    """What an execution is carried out with. Without `trade` nothing can be sent: that is a dry run.

    `side_by_side` reads the market facts, and has threads enough that none waits for another's.
    """

    records: Records
    market_data: BitvavoReadonly
    trade: BitvavoTrade | None
    side_by_side: Executor
    operator_id: int | None
    access_window_ms: int
    pace: Pace
    now_ms: Callable[[], int]
    monotonic: Callable[[], float]
    sleep: Callable[[float], None]
    notify: Callable[[str], object]


@dataclass(frozen=True, slots=True)
class Exists:
    """The proposal has an execution already; nothing was decided."""

    execution: Execution


@dataclass(frozen=True, slots=True)
class ChecksFailed:
    """A check failed; nothing was claimed or sent."""

    checks: tuple[Verdict, ...]


@dataclass(frozen=True, slots=True)
class Busy:
    """It is somebody else's turn, or this owner has had too many; nothing was claimed or sent."""

    again_after_s: int = 1


@dataclass(frozen=True, slots=True)
class DryRun:
    """Everything but the order itself was done."""

    execution: Execution


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of the order that was claimed, and whether the database knows it."""

    execution: Execution
    outcome: Outcome
    recorded: bool


Result = Exists | ChecksFailed | Busy | DryRun | Settled


def execute(trader: Trader, user_id: UUID, approval: Approval) -> Result:
    """Carry out one approval.

    Raises what `Records` raises, and only when nothing has been sent.
    """
    begun = trader.records.begin(user_id, approval)
    if begun is None:
        log(Event.APPROVALS_TOO_FAST, proposal_id=approval.proposal_id)
        return Busy(APPROVE_AGAIN_AFTER_S)
    if begun.execution is not None:
        return Exists(begun.execution)
    if any_failed(begun.checks):
        return _checks_failed(approval, begun.checks + not_evaluated())

    with trader.pace.turn() as turn:
        if turn is None:
            log(Event.RATE_LIMIT_HEEDED, "no turn came in time", proposal_id=approval.proposal_id)
            return Busy()
        attempt = _Attempt(uuid4())
        facts = _look(trader, begun)
        claim = _decide(trader, begun, facts, attempt)
        claimed = _claim(trader, user_id, approval, claim)
        if claimed.outcome == "refused":
            return _checks_failed(approval, claimed.checks)
        if claimed.execution is None:
            return Busy()
        if claimed.outcome == "exists":
            return Exists(claimed.execution)
        if trader.trade is None:
            log(Event.DRY_RUN_RECORDED, execution_id=claimed.execution.id)
            return DryRun(claimed.execution)

        execution = _own(claimed.execution, begun, claim)
        turn.use()
        began_s = trader.monotonic()
        outcome = _send_once(trader, trader.trade, execution, facts.time, attempt)
    return _settle(trader, trader.trade, execution, outcome, began_s)


@dataclass(slots=True)
class _Attempt:
    """This process's one try at one order: made at random here, and sent at most once."""

    id: UUID
    sent: bool = False

    def send(self) -> None:
        """Set the flag, before the first byte."""
        if self.sent:
            raise AssertionError("an attempt is sent once")
        self.sent = True


def _look(trader: Trader, begun: Begun) -> MarketFacts:
    """Read the market facts in one round trip, and heed what the exchange says about our appetite."""
    facts = read_facts(
        begun.wish().market,
        begun.execution_id,
        trader.market_data,
        trader.trade,
        trader.side_by_side,
        trader.now_ms,
    )
    for unread in facts.unread:
        log(Event.MARKET_FACTS_UNREADABLE, reason=unread.why, error_code=unread.error_code)
    if facts.rate_limited:
        trader.pace.rest()
    trader.pace.heed(trader.market_data.rate_limit, trader.now_ms())
    if trader.trade is not None:
        trader.pace.heed(trader.trade.rate_limit, trader.now_ms())
    return facts


def _decide(trader: Trader, begun: Begun, facts: MarketFacts, attempt: _Attempt) -> Claim:
    """Draft the order and judge it by the market's facts. What failed a check has no bytes to send."""
    wish, policy = begun.wish(), begun.policy()
    draft: Draft | None = None
    if not isinstance(facts.market, Unread) and not isinstance(facts.book, Unread):
        draft = draft_order(wish, facts.market, facts.book, policy.max_price_move_percent)
    now_s = trader.monotonic()
    verdicts = judge(wish, policy, facts, draft, window_ms=trader.access_window_ms, monotonic_s=now_s)
    sendable = not any_failed(verdicts)
    return Claim(
        attempt_id=attempt.id,
        policy_hash=begun.policy_hash,
        # Without the exchange's time the clock's verdict has failed, and ours only dates the refusal.
        access_timestamp_ms=trader.now_ms() if isinstance(facts.time, Unread) else facts.time.ms,
        access_window_ms=trader.access_window_ms,
        order_value=draft.value if draft else wish.amount_quote,
        body=order_body(draft, begun.execution_id, trader.operator_id) if draft and sendable else None,
        market_checks=verdicts,
    )


def _claim(trader: Trader, user_id: UUID, approval: Approval, claim: Claim) -> Claimed:
    """Claim the execution; when the answer is lost, the identical call is repeated once."""
    began_s = trader.monotonic()
    try:
        claimed = trader.records.claim(user_id, approval, claim)
    except DatabaseUnavailable as lost:
        log(Event.CLAIM_REPEATED, proposal_id=approval.proposal_id, reason=str(lost))
        claimed = trader.records.claim(user_id, approval, claim)
    event = {
        "claimed": Event.CLAIM_GRANTED,
        "exists": Event.CLAIM_EXISTS,
        "refused": Event.CLAIM_REFUSED,
        "busy": Event.CLAIM_BUSY,
    }[claimed.outcome]
    log(
        event,
        proposal_id=approval.proposal_id,
        attempt_id=claim.attempt_id,
        duration_ms=_since_ms(trader, began_s),
    )
    return claimed


def _own(execution: Execution, begun: Begun, claim: Claim) -> Execution:
    """The claimed execution, when it is to the letter what this process asked for.

    Raises `DatabaseUnavailable` when it is not: then nothing is sent.
    """
    asked = (
        begun.execution_id,
        claim.attempt_id,
        "CLAIMED",
        "live",
        claim.access_timestamp_ms,
        claim.access_window_ms,
        claim.body,
    )
    stored = (
        execution.id,
        execution.attempt_id,
        execution.status,
        execution.mode,
        execution.access_timestamp,
        execution.access_window_ms,
        execution.request.body.encode(),
    )
    if asked != stored:
        raise DatabaseUnavailable("The database claimed something else than it was asked for.")
    return execution


def _send_once(
    trader: Trader,
    trade: BitvavoTrade,
    execution: Execution,
    time: ServerTime | Unread,
    attempt: _Attempt,
) -> Outcome:
    """Send the claimed bytes, once, while enough of the access window is left. Never raises."""
    if isinstance(time, Unread):
        return NotSent("CLOCK_SKEW")
    left_ms = execution.access_window_ms - elapsed_ms(time, trader.monotonic())
    if left_ms < LEAST_WINDOW_LEFT_MS:
        return NotSent("TOO_LATE")
    log(Event.ORDER_SENT, execution_id=execution.id, window_left_ms=left_ms)
    attempt.send()
    try:
        answer = trade.place(
            execution.request.body.encode(),
            timestamp_ms=execution.access_timestamp,
            window_ms=execution.access_window_ms,
        )
        return classify(answer, execution.id, execution.market, execution.side)
    except ExchangeNotReached:
        return NotSent("NOT_REACHED")
    except ExchangeError:
        return Unknown("NO_ANSWER")
    except Exception as error:  # noqa: BLE001 - a byte may have left: whatever happened, its fate is unknown
        log(Event.REQUEST_FAILED, "while the order was sent", error=error, execution_id=execution.id)
        return Unknown("FAILED_WHILE_SENDING")


def _settle(
    trader: Trader, trade: BitvavoTrade, execution: Execution, outcome: Outcome, began_s: float
) -> Settled:
    """Look again when the fate is unknown, record what is known, and tell it. Never raises."""
    try:
        trader.pace.heed(trade.rate_limit, trader.now_ms())
        if isinstance(outcome, Unknown):
            outcome = _look_again(trader, trade, execution, outcome)
        _log_outcome(execution, outcome, _since_ms(trader, began_s))
        return _record(trader, execution, outcome)
    except Exception as error:  # noqa: BLE001 - a byte may have left: the answer still says what is known
        log(Event.REQUEST_FAILED, "after the order was sent", error=error, execution_id=execution.id)
        return Settled(_told(execution, outcome), outcome, recorded=False)


def _look_again(
    trader: Trader, trade: BitvavoTrade, execution: Execution, unknown: Unknown
) -> Placed | Unknown:
    """Look the order up a few times. What is not found stays unknown: a look-up lags behind creation."""
    if unknown.reason == str(ID_ALREADY_OPEN):
        log(Event.ORDER_ID_ALREADY_OPEN, execution_id=execution.id, market=execution.market)
    for _ in _tries(trader, LOOK_AGAIN_AFTER_S, LOOK_AGAIN_FOR_S):
        try:
            order = trade.order(execution.market, execution.id, timestamp_ms=trader.now_ms())
        except ExchangeError:
            continue
        if order is not None and _is_known(order, execution):
            log(Event.ORDER_FOUND_BY_LOOKUP, execution_id=execution.id, status=order.status)
            return Placed(order)
    return unknown


def _is_known(order: Order, execution: Execution) -> bool:
    ours = is_ours(order, execution.id, execution.market, execution.side)
    return ours and status_of(order) is not Status.UNKNOWN


def _record(trader: Trader, execution: Execution, outcome: Outcome) -> Settled:
    """Write the outcome down, again and again for a few seconds if need be."""
    for _ in _tries(trader, (0.0, *RECORD_AGAIN_AFTER_S), RECORD_AGAIN_FOR_S):
        try:
            recorded = trader.records.record(execution, outcome)
        except DatabaseUnavailable as error:
            log(Event.DATABASE_UNAVAILABLE, execution_id=execution.id, error=error)
            continue
        except DatabaseError as error:
            log(Event.DATABASE_REFUSED, execution_id=execution.id, error=error)
            break
        if recorded.outcome == "contradicted":
            log(Event.RECORD_CONTRADICTED, execution_id=execution.id)
            trader.notify(contradicted(execution.id))
        return Settled(recorded.execution, outcome, recorded=True)
    log(Event.RECORD_FAILED, "cleanup will store it", execution_id=execution.id)
    return Settled(_told(execution, outcome), outcome, recorded=False)


def _tries(trader: Trader, waits_s: tuple[float, ...], for_s: float) -> Iterator[None]:
    """Wait and yield, wait and yield, until the time is up."""
    until = trader.monotonic() + for_s
    for wait_s in waits_s:
        if trader.monotonic() + wait_s > until:
            return
        trader.sleep(wait_s)
        yield


def _told(execution: Execution, outcome: Outcome) -> Execution:
    """The execution as the exchange's answer makes it, for an answer that the database does not know."""
    told: dict[str, object]
    match outcome:
        case Placed(order):
            told = {
                "status": status_of(order).value,
                "exchange_order_id": order.order_id,
                "filled_amount": order.raw.get("filledAmount"),
                "filled_amount_quote": order.raw.get("filledAmountQuote"),
                "fee": order.raw.get("feePaid"),
                "fee_currency": order.fee_currency,
            }
        case Rejected(error_code):
            told = {"status": Status.REJECTED.value, "error_code": str(error_code)}
        case NotSent(reason):
            told = {"status": Status.NOT_PLACED.value, "error_code": reason}
        case Unknown(reason):
            told = {"status": Status.UNKNOWN.value, "error_code": reason}
    return execution.model_copy(update={"status": told["status"], "row": {**execution.row, **told}})


def _log_outcome(execution: Execution, outcome: Outcome, duration_ms: int) -> None:
    """One event for how it ended; `duration_ms` counts from before the order was sent, look-ups included."""
    tell = partial(log, execution_id=execution.id, market=execution.market, duration_ms=duration_ms)
    match outcome:
        case Placed(order):
            tell(
                Event.ORDER_PLACED,
                order_id=order.order_id,
                status=order.status,
                filled_amount=order.filled_amount,
                filled_amount_quote=order.filled_amount_quote,
            )
        case Rejected(error_code, message):
            tell(Event.ORDER_REJECTED, error_code=error_code, reason=message)
        case Unknown(reason):
            tell(Event.ORDER_UNKNOWN, "cleanup settles it", reason=reason)
        case NotSent(reason):
            tell(Event.ORDER_NOT_SENT, reason=reason)


def _since_ms(trader: Trader, began_s: float) -> int:
    return round((trader.monotonic() - began_s) * 1000)


def _checks_failed(approval: Approval, checks: tuple[Verdict, ...]) -> ChecksFailed:
    failed = [verdict for verdict in checks if verdict.verdict is Word.FAILED]
    for verdict in failed:
        log(Event.CHECK_BLOCKED, check=verdict.check, code=verdict.code, proposal_id=approval.proposal_id)
    log(
        Event.CHECKS_FAILED,
        codes=[verdict.code for verdict in failed],
        proposal_id=approval.proposal_id,
    )
    return ChecksFailed(checks)
