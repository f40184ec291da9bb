"""The names of everything that Interlock logs: one list, with the layer that speaks and how severe it is.

A name never changes once it is deployed: metrics and alerts are built on it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Self


class Layer(StrEnum):
    """Which of the four layers of protection speaks, and what it speaks of."""

    about: str

    def __new__(cls, name: str, about: str) -> Self:
        layer = str.__new__(cls, name)
        layer._value_ = name
        layer.about = about
        return layer

    DATABASE = (
        "database",
        "what the database decides or keeps: claims, locks, halts, evidence; or that it gave no answer",
    )
    KEYS = (
        "keys",
        "who asks us, and whom we ask with which key: requests, tokens, accounts, the exchange, messages",
    )
    CHECKS = (
        "checks",
        "an approval on its way to at most one order: verdicts, sending, outcome, settlement, comparison",
    )
    SCHEDULER = (
        "scheduler",
        "what runs by the clock: ticks, leases, the model and its budget, cleanup",
    )


class Severity(StrEnum):
    """Severities of Cloud Logging that are used, and what each asks of a person."""

    asks: str

    def __new__(cls, name: str, asks: str) -> Self:
        severity = str.__new__(cls, name)
        severity._value_ = name
        severity.asks = asks
        return severity

    INFO = "INFO", "nothing"
    NOTICE = "NOTICE", "nothing: it is what an owner would want to read afterwards"
    WARNING = "WARNING", "nothing while it is rare: Interlock copes with it"
    ERROR = "ERROR", "to look at it by day; where it lasts and has an alert, at once"
    CRITICAL = "CRITICAL", "to look at it at once"


class Wakes(StrEnum):
    """When an event wakes a person."""

    AT_ONCE = "at once"
    LASTING = "when it comes again and again for"
    MISSING = "when it has not come for"


@dataclass(frozen=True, slots=True)
class Alert:
    """What a person must know at night. `page` is the anchor in docs/OPERATIONS.md that says what to do."""

    page: str
    wakes: Wakes = Wakes.AT_ONCE
    minutes: int = 0

    def when(self) -> str:
        """When it wakes a person, in words."""
        return self.wakes if self.wakes is Wakes.AT_ONCE else f"{self.wakes} {self.minutes} minutes"


class Event(StrEnum):
    """One thing that can happen: its layer, how severe it is, what it says, and the alert that it gives."""

    layer: Layer
    severity: Severity
    says: str
    alert: Alert | None

    def __new__(
        cls, name: str, layer: Layer, severity: Severity, says: str, alert: Alert | None = None
    ) -> Self:
        event = str.__new__(cls, name)
        event._value_ = name
        event.layer = layer
        event.severity = severity
        event.says = says
        event.alert = alert
        return event

    # all three functions
    FUNCTION_STARTED = (
        "function_started",
        Layer.KEYS,
        Severity.INFO,
        "an instance started: its environment holds what it must and nothing that it must not",
    )
    REQUEST_ANSWERED = (
        "request_answered",
        Layer.KEYS,
        Severity.INFO,
        "a request was answered, with status and duration",
    )
    REQUEST_FAILED = (
        "request_failed",
        Layer.KEYS,
        Severity.ERROR,
        "an error that nothing expected; the caller got an answer all the same",
    )
    LIBRARY_WARNED = ("library_warned", Layer.KEYS, Severity.WARNING, "a library warned")
    LIBRARY_FAILED = ("library_failed", Layer.KEYS, Severity.ERROR, "a library reported an error")
    NOTIFY_FAILED = (
        "notify_failed",
        Layer.KEYS,
        Severity.WARNING,
        "a message to a person did not arrive at `NOTIFY_URL`",
    )
    RATE_LIMIT_HEEDED = (
        "rate_limit_heeded",
        Layer.KEYS,
        Severity.WARNING,
        "something was left for later so that the exchange's rate limit is not exhausted",
    )
    DATABASE_UNAVAILABLE = (
        "database_unavailable",
        Layer.DATABASE,
        Severity.ERROR,
        "the database could not be asked or gave no readable answer",
        Alert("the-database-does-not-answer", Wakes.LASTING, 10),
    )
    DATABASE_REFUSED = (
        "database_refused",
        Layer.DATABASE,
        Severity.ERROR,
        "the database refused a call of ours, and nothing of it remains",
    )

    # execute: who asks
    TOKEN_REFUSED = ("token_refused", Layer.KEYS, Severity.NOTICE, "an access token is not a valid one")
    JWKS_UNAVAILABLE = (
        "jwks_unavailable",
        Layer.KEYS,
        Severity.ERROR,
        "the keys that verify access tokens could not be fetched",
    )

    # execute: from approval to order
    MARKET_FACTS_UNREADABLE = (
        "market_facts_unreadable",
        Layer.KEYS,
        Severity.WARNING,
        "the exchange did not tell a fact that an approval needs; its checks fail",
    )
    CHECKS_FAILED = (
        "checks_failed",
        Layer.CHECKS,
        Severity.NOTICE,
        "an approval was refused; nothing was claimed or sent",
    )
    CHECK_BLOCKED = ("check_blocked", Layer.CHECKS, Severity.NOTICE, "one check that failed, with its code")
    APPROVALS_TOO_FAST = (
        "approvals_too_fast",
        Layer.CHECKS,
        Severity.WARNING,
        "an owner approves faster than one owner may; nothing was decided or stored",
    )
    CLAIM_GRANTED = (
        "claim_granted",
        Layer.DATABASE,
        Severity.INFO,
        "the proposal's one execution was claimed",
    )
    CLAIM_REFUSED = (
        "claim_refused",
        Layer.DATABASE,
        Severity.NOTICE,
        "the database refused the claim by a check of its own or of ours",
    )
    CLAIM_EXISTS = (
        "claim_exists",
        Layer.DATABASE,
        Severity.NOTICE,
        "somebody else had claimed it meanwhile",
    )
    CLAIM_BUSY = (
        "claim_busy",
        Layer.DATABASE,
        Severity.WARNING,
        "contention: the locks of the claim could not be had in two seconds",
    )
    CLAIM_REPEATED = (
        "claim_repeated",
        Layer.DATABASE,
        Severity.WARNING,
        "the answer to a claim was lost; the identical call was repeated",
    )
    DRY_RUN_RECORDED = (
        "dry_run_recorded",
        Layer.CHECKS,
        Severity.NOTICE,
        "success in a dry run: everything but the order itself was done",
    )
    ORDER_SENT = ("order_sent", Layer.CHECKS, Severity.NOTICE, "the order is about to leave, once")
    ORDER_NOT_SENT = (
        "order_not_sent",
        Layer.CHECKS,
        Severity.WARNING,
        "failure: claimed, but not a byte reached the exchange",
    )
    ORDER_PLACED = ("order_placed", Layer.CHECKS, Severity.NOTICE, "success: the exchange has the order")
    ORDER_REJECTED = (
        "order_rejected",
        Layer.CHECKS,
        Severity.WARNING,
        "failure: the exchange refused the order for certain",
    )
    ORDER_UNKNOWN = (
        "order_unknown",
        Layer.CHECKS,
        Severity.ERROR,
        "sent, fate unknown; cleanup settles it within minutes",
    )
    ORDER_FOUND_BY_LOOKUP = (
        "order_found_by_lookup",
        Layer.CHECKS,
        Severity.NOTICE,
        "an order of unknown fate was found by looking again",
    )
    ORDER_ID_ALREADY_OPEN = (
        "order_id_already_open",
        Layer.CHECKS,
        Severity.CRITICAL,
        "the exchange has an earlier open order under the id of this execution",
        Alert("an-earlier-order-under-the-same-id"),
    )
    RECORD_FAILED = (
        "record_failed",
        Layer.DATABASE,
        Severity.ERROR,
        "what became of an order could not be written down; cleanup will store it",
    )
    RECORD_CONTRADICTED = (
        "record_contradicted",
        Layer.CHECKS,
        Severity.CRITICAL,
        "the exchange has an order that was concluded not to exist; trading was halted",
        Alert("a-fact-contradicts-the-record"),
    )

    # scan_tick
    SCAN_TICK_FINISHED = (
        "scan_tick_finished",
        Layer.SCHEDULER,
        Severity.INFO,
        "a tick ended: jobs, model calls, market reads, duration",
    )
    SCAN_CLAIM_FAILED = (
        "scan_claim_failed",
        Layer.SCHEDULER,
        Severity.ERROR,
        "no job could be claimed; the next tick tries again",
    )
    SCAN_JOB_FINISHED = ("scan_job_finished", Layer.SCHEDULER, Severity.INFO, "a job ended, and how")
    SCAN_JOB_BROKE = (
        "scan_job_broke",
        Layer.SCHEDULER,
        Severity.ERROR,
        "a job met an error that nothing expected",
    )
    SCAN_NOT_FINISHED = (
        "scan_not_finished",
        Layer.SCHEDULER,
        Severity.ERROR,
        "the end of a job could not be stored; its lease runs out",
    )
    SCAN_LEASE_LOST = (
        "scan_lease_lost",
        Layer.SCHEDULER,
        Severity.WARNING,
        "contention: the job was somebody else's by the time it ended",
    )
    LOCK_TAKEN_OVER = (
        "lock_taken_over",
        Layer.SCHEDULER,
        Severity.WARNING,
        "a tick took a job whose lock had expired: the worker before it crashed or stalled",
    )
    SCAN_BUDGET_EXHAUSTED = (
        "scan_budget_exhausted",
        Layer.SCHEDULER,
        Severity.NOTICE,
        "the budget allows no further model call now",
    )
    MODEL_ANSWERED = (
        "model_answered",
        Layer.SCHEDULER,
        Severity.INFO,
        "the model answered, with its tokens and duration",
    )
    MODEL_OUTAGE = (
        "model_outage",
        Layer.SCHEDULER,
        Severity.WARNING,
        "the model could not be asked; it counts against nothing",
    )
    MODEL_CALL_FAILED = (
        "model_call_failed",
        Layer.SCHEDULER,
        Severity.WARNING,
        "the model was asked and did not answer; the call counts",
    )
    MODEL_ANSWER_REFUSED = (
        "model_answer_refused",
        Layer.SCHEDULER,
        Severity.WARNING,
        "the model's answer is not one that could become a proposal",
    )

    # cleanup
    CLEANUP_DONE = (
        "cleanup_done",
        Layer.SCHEDULER,
        Severity.INFO,
        "a run ended, with all that it did and its duration",
        Alert("cleanup-does-not-run", Wakes.MISSING, 10),
    )
    CLEANUP_STEP_FAILED = (
        "cleanup_step_failed",
        Layer.SCHEDULER,
        Severity.ERROR,
        "one step or item of a run failed; the others were done",
        Alert("a-step-of-cleanup-fails", Wakes.LASTING, 10),
    )
    PROPOSALS_EXPIRED = ("proposals_expired", Layer.SCHEDULER, Severity.INFO, "proposals ran out of time")
    LOCKS_EXPIRED = (
        "locks_expired",
        Layer.SCHEDULER,
        Severity.WARNING,
        "locks of crashed or stalled workers were released",
    )
    CALLS_ABANDONED = (
        "calls_abandoned",
        Layer.SCHEDULER,
        Severity.WARNING,
        "model calls were reserved and never settled; they count against the budget",
    )
    EXCHANGE_OUT_OF_REACH = (
        "exchange_out_of_reach",
        Layer.KEYS,
        Severity.ERROR,
        "the exchange did not even tell its time",
    )
    WRONG_ACCOUNT = (
        "wrong_account",
        Layer.KEYS,
        Severity.ERROR,
        "operator id or trade key are not the registered ones; the exchange is not asked",
    )
    LIVE_LEFT_WAITING = (
        "live_left_waiting",
        Layer.KEYS,
        Severity.ERROR,
        "live executions are unsettled and cleanup has no trade key to look them up",
    )
    LOOKUP_UNREADABLE = (
        "lookup_unreadable",
        Layer.KEYS,
        Severity.WARNING,
        "a look-up gave no readable answer",
    )
    LOOKUP_FOUND_NOTHING = (
        "lookup_found_nothing",
        Layer.CHECKS,
        Severity.WARNING,
        "the exchange says that there is no such order; that alone concludes nothing",
    )
    EXECUTION_SETTLED = ("execution_settled", Layer.CHECKS, Severity.NOTICE, "a look-up told an order's fate")
    ABSENCE_CONCLUDED = (
        "absence_concluded",
        Layer.CHECKS,
        Severity.WARNING,
        "two complete rounds agree that an order was never placed",
    )
    EXECUTIONS_UNSETTLED = (
        "executions_unsettled",
        Layer.CHECKS,
        Severity.NOTICE,
        "how many live executions are unsettled, how many of them UNKNOWN, and the age of the oldest",
    )
    EXECUTION_OVERDUE = (
        "execution_overdue",
        Layer.CHECKS,
        Severity.CRITICAL,
        "an execution is unsettled for more than 10 minutes; told once in 6 hours",
        Alert("an-execution-stays-unsettled"),
    )
    RESTING_ORDER_CANCELED = (
        "resting_order_canceled",
        Layer.CHECKS,
        Severity.WARNING,
        "an order of ours rested against expectation",
    )
    MARKET_UNREADABLE = (
        "market_unreadable",
        Layer.KEYS,
        Severity.WARNING,
        "a market's lists of orders or fills could not be read completely",
    )
    MARKET_COMPARED = (
        "market_compared",
        Layer.CHECKS,
        Severity.INFO,
        "every order of ours in a market was compared with its approval",
    )
    COMPARISON_BLIND = (
        "comparison_blind",
        Layer.KEYS,
        Severity.ERROR,
        "a market's list does not show an order that is known to be ours: it counts for nothing",
    )
    OPERATOR_IDS_NOT_SHOWN = (
        "operator_ids_not_shown",
        Layer.KEYS,
        Severity.WARNING,
        "the exchange shows no operatorId on orders: one that Interlock did not send would not be noticed",
    )
    COMPARISON_STALE = (
        "comparison_stale",
        Layer.CHECKS,
        Severity.ERROR,
        "nothing was compared for 15 minutes: no live order is claimed",
        Alert("nothing-is-compared", Wakes.LASTING, 5),
    )
    INTRUDER_FOUND = (
        "intruder_found",
        Layer.CHECKS,
        Severity.CRITICAL,
        "an order that carries our operator id has no approval; trading was halted",
        Alert("an-order-without-an-approval"),
    )
    TRADING_HALTED = (
        "trading_halted",
        Layer.DATABASE,
        Severity.CRITICAL,
        "trading is halted, an owner's or everybody's, by whom and why; told again at growing intervals",
        Alert("trading-is-halted"),
    )
    NOTICE_GIVEN = (
        "notice_given",
        Layer.DATABASE,
        Severity.NOTICE,
        "a fill, the end of an unknown fate, or a scan that stopped, for a person to hear of",
    )
    AUDIT_SEALED = ("audit_sealed", Layer.DATABASE, Severity.NOTICE, "the head of the audit's chain")
