"""The names of everything that Interlock logs: one list, grouped by layer, with how severe each is.

A name never changes once it is deployed: dashboards and alerts are built on it.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Self


class Layer(StrEnum):
    """Which layer of the protection speaks."""

    REQUEST = "request"
    DATABASE = "database"
    API = "api"
    EXECUTION = "execution"
    SCHEDULER = "scheduler"


class Severity(StrEnum):
    """Severities of Cloud Logging that are used. ERROR and above wake a person."""

    INFO = "INFO"
    NOTICE = "NOTICE"
    WARNING = "WARNING"
    ERROR = "ERROR"
    CRITICAL = "CRITICAL"


class Event(StrEnum):
    """One thing that can happen, its layer, and how severe it is."""

    layer: Layer
    severity: Severity

    def __new__(cls, name: str, layer: Layer, severity: Severity) -> Self:
        event = str.__new__(cls, name)
        event._value_ = name
        event.layer = layer
        event.severity = severity
        return event

    # requests of all three functions
    FUNCTION_STARTED = "function_started", Layer.REQUEST, Severity.INFO
    REQUEST_ANSWERED = "request_answered", Layer.REQUEST, Severity.INFO
    REQUEST_FAILED = "request_failed", Layer.REQUEST, Severity.ERROR
    TOKEN_REFUSED = "token_refused", Layer.REQUEST, Severity.NOTICE
    JWKS_UNAVAILABLE = "jwks_unavailable", Layer.REQUEST, Severity.ERROR

    # the database
    DATABASE_UNAVAILABLE = "database_unavailable", Layer.DATABASE, Severity.ERROR
    DATABASE_REFUSED = "database_refused", Layer.DATABASE, Severity.ERROR
    CLAIM_GRANTED = "claim_granted", Layer.DATABASE, Severity.INFO
    CLAIM_REFUSED = "claim_refused", Layer.DATABASE, Severity.NOTICE
    CLAIM_EXISTS = "claim_exists", Layer.DATABASE, Severity.NOTICE
    CLAIM_BUSY = "claim_busy", Layer.DATABASE, Severity.WARNING
    CLAIM_REPEATED = "claim_repeated", Layer.DATABASE, Severity.WARNING

    # the exchange's API
    MARKET_FACTS_UNREADABLE = "market_facts_unreadable", Layer.API, Severity.WARNING
    RATE_LIMIT_HEEDED = "rate_limit_heeded", Layer.API, Severity.WARNING
    NOTIFY_FAILED = "notify_failed", Layer.API, Severity.WARNING

    # the scheduled scan
    SCAN_TICK_FINISHED = "scan_tick_finished", Layer.SCHEDULER, Severity.INFO
    SCAN_JOB_FINISHED = "scan_job_finished", Layer.SCHEDULER, Severity.INFO
    SCAN_JOB_BROKE = "scan_job_broke", Layer.SCHEDULER, Severity.ERROR
    SCAN_NOT_FINISHED = "scan_not_finished", Layer.SCHEDULER, Severity.ERROR
    SCAN_CLAIM_FAILED = "scan_claim_failed", Layer.SCHEDULER, Severity.ERROR
    SCAN_LEASE_LOST = "scan_lease_lost", Layer.SCHEDULER, Severity.WARNING
    SCAN_BUDGET_EXHAUSTED = "scan_budget_exhausted", Layer.SCHEDULER, Severity.NOTICE
    MODEL_OUTAGE = "model_outage", Layer.SCHEDULER, Severity.WARNING
    MODEL_CALL_FAILED = "model_call_failed", Layer.SCHEDULER, Severity.WARNING
    MODEL_ANSWER_REFUSED = "model_answer_refused", Layer.SCHEDULER, Severity.WARNING

    # an execution
    CHECKS_FAILED = "checks_failed", Layer.EXECUTION, Severity.NOTICE
    ORDER_NOT_SENT = "order_not_sent", Layer.EXECUTION, Severity.WARNING
    ORDER_SENT = "order_sent", Layer.EXECUTION, Severity.NOTICE
    ORDER_PLACED = "order_placed", Layer.EXECUTION, Severity.NOTICE
    ORDER_REJECTED = "order_rejected", Layer.EXECUTION, Severity.WARNING
    ORDER_UNKNOWN = "order_unknown", Layer.EXECUTION, Severity.CRITICAL
    ORDER_FOUND_BY_LOOKUP = "order_found_by_lookup", Layer.EXECUTION, Severity.NOTICE
    ORDER_ID_ALREADY_OPEN = "order_id_already_open", Layer.EXECUTION, Severity.CRITICAL
    DRY_RUN_RECORDED = "dry_run_recorded", Layer.EXECUTION, Severity.NOTICE
    RECORD_FAILED = "record_failed", Layer.EXECUTION, Severity.CRITICAL
    RECORD_CONTRADICTED = "record_contradicted", Layer.EXECUTION, Severity.CRITICAL

    # cleanup
    CLEANUP_DONE = "cleanup_done", Layer.SCHEDULER, Severity.INFO
    CLEANUP_STEP_FAILED = "cleanup_step_failed", Layer.SCHEDULER, Severity.ERROR
    PROPOSALS_EXPIRED = "proposals_expired", Layer.SCHEDULER, Severity.INFO
    LOCKS_RELEASED = "locks_released", Layer.SCHEDULER, Severity.WARNING
    EXCHANGE_OUT_OF_REACH = "exchange_out_of_reach", Layer.API, Severity.ERROR
    WRONG_ACCOUNT = "wrong_account", Layer.API, Severity.ERROR
    LOOKUP_UNREADABLE = "lookup_unreadable", Layer.API, Severity.WARNING
    LOOKUP_FOUND_NOTHING = "lookup_found_nothing", Layer.EXECUTION, Severity.WARNING
    EXECUTION_SETTLED = "execution_settled", Layer.EXECUTION, Severity.NOTICE
    ABSENCE_CONCLUDED = "absence_concluded", Layer.EXECUTION, Severity.WARNING
    EXECUTION_OVERDUE = "execution_overdue", Layer.EXECUTION, Severity.ERROR
    RESTING_ORDER_CANCELED = "resting_order_canceled", Layer.EXECUTION, Severity.WARNING
    MARKET_UNREADABLE = "market_unreadable", Layer.API, Severity.WARNING
    MARKET_COMPARED = "market_compared", Layer.EXECUTION, Severity.INFO
    COMPARISON_BLIND = "comparison_blind", Layer.API, Severity.ERROR
    OWNER_HALTED = "owner_halted", Layer.EXECUTION, Severity.ERROR
    INTRUDER_FOUND = "intruder_found", Layer.EXECUTION, Severity.CRITICAL
    AUDIT_SEALED = "audit_sealed", Layer.DATABASE, Severity.NOTICE
