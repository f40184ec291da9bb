"""States that cannot be are refused, each by a constraint whose name is the rule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg import sql
from psycopg.types.json import Jsonb

from tests.database.acts import failed_codes
from tests.database.harness import NOON, TestDatabase, execution_id
from tests.database.life import Life, live

LONG = "x" * 5000
NOT_NUMBERS = ("NaN", "Infinity", "-Infinity")


@dataclass(frozen=True)
class Kept:
    """A database with a row in every table, and for each table another row that would fit."""

    db: TestDatabase
    life: Life
    fitting: Mapping[str, Mapping[str, Any]]

    def insert(self, table: str, changes: Mapping[str, object]) -> None:
        """Insert the fitting row with these changes, in the transaction that is open."""
        columns = [
            name
            for (name,) in self.db.rows(
                """
                select attname from pg_attribute
                where attrelid = %s::regclass and attnum > 0 and not attisdropped and attgenerated = ''
                """,
                table,
            )
        ]
        relation = sql.Identifier(*table.split("."))
        listed = sql.SQL(", ").join(map(sql.Identifier, columns))
        self.db.admin.execute(
            sql.SQL("insert into {0} ({1}) select {1} from jsonb_populate_record(null::{0}, %s)").format(
                relation, listed
            ),
            (Jsonb({**self.fitting[table], **changes}),),
        )

    def update(self, table: str, changes: Mapping[str, object]) -> None:
        """Change every row of a table, in the transaction that is open."""
        self.db.admin.execute(
            sql.SQL("update {} set {} where true").format(
                sql.Identifier(*table.split(".")),
                sql.SQL(", ").join(sql.SQL("{} = %s").format(sql.Identifier(name)) for name in changes),
            ),
            [str(value) if value is not None else None for value in changes.values()],
        )


@pytest.fixture(scope="module")
def kept(shared_db: TestDatabase) -> Kept:
    """One owner's whole life, and beside it an owner with a pending proposal."""
    db = shared_db
    service = db.as_service()
    life = live(db, service)
    service.call("seal_audit_events", p_limit=1)
    other, third = db.owner(), db.user()
    pending = db.proposal(other)
    reading = db.reading_parameters(life.owner, db.proposal(life.owner, confidence=1))
    assert failed_codes(service.call("begin_execution", **reading)) == {"CONFIDENCE_TOO_LOW"}
    db.do("insert into interlock.taken_from_phase_1 values ('one')")
    db.do(
        "insert into interlock.absence_rounds values (%s, 1, interlock.clock())", execution_id(life.proposal)
    )

    def stored(table: str) -> dict[str, Any]:
        row: dict[str, Any] = db.one(f"select to_jsonb(item) from {table} as item limit 1")  # noqa: S608 - our own names
        return row

    fresh = {"id": str(uuid4())}
    fitting = {
        "public.trading_controls": stored("public.trading_controls"),
        "public.trading_owners": {"user_id": str(third), "note": "", "created_at": NOON.isoformat()},
        "public.trading_policies": stored("public.trading_policies") | {"user_id": str(third)},
        "public.scan_jobs": stored("public.scan_jobs") | fresh | {"user_id": str(other)},
        "public.trade_proposals": stored("public.trade_proposals")
        | fresh
        | {"status": "PENDING", "user_id": str(other)},
        "public.trade_executions": stored("public.trade_executions")
        | {
            "id": str(execution_id(pending)),
            "proposal_id": str(pending),
            "idempotency_key": str(pending),
            "user_id": str(other),
        },
        "public.trade_history": stored("public.trade_history") | fresh | {"exchange_order_id": "another"},
        "public.gpt_usage_log": stored("public.gpt_usage_log") | fresh,
        "public.audit_events": stored("public.audit_events") | fresh,
        "public.audit_seals": stored("public.audit_seals")
        | {"sequence": 2, "event_id": str(db.one("select event_id from interlock.unsealed_events limit 1"))},
        "public.trade_refusals": stored("public.trade_refusals") | {"proposal_id": str(uuid4())},
        "interlock.taken_from_phase_1": {"statement": "another"},
        "interlock.unsealed_events": stored("interlock.unsealed_events") | {"event_id": str(uuid4())},
        "interlock.market_marks": stored("interlock.market_marks") | {"market": "XRP-EUR"},
        "interlock.absence_rounds": stored("interlock.absence_rounds"),
        "interlock.notices": stored("interlock.notices") | {"notice": "FILLED another"},
        "interlock.approval_paces": stored("interlock.approval_paces") | {"user_id": str(other)},
    }
    return Kept(db, life, fitting)


@dataclass(frozen=True)
class Case:
    """Changes of a fitting row, any one of which breaks the rule and no other."""

    changes: tuple[Mapping[str, object], ...]
    lifted: tuple[str, ...] = ()
    """Other rules that say the same of this state and would refuse it first."""
    unguarded: bool = False
    """A trigger refuses it first; here without."""


def broken_by(*changes: Mapping[str, object], lifted: tuple[str, ...] = (), unguarded: bool = False) -> Case:
    return Case(changes, lifted, unguarded)


def _each(column: str, *values: object) -> tuple[Mapping[str, object], ...]:
    return tuple({column: value} for value in values)


NOBODY = str(uuid4())
TWICE = object()
"""Stands for the value that the stored row has already."""
_UNIQUE_KEYS = ("id_is_computed_from_the_proposal", "key_is_the_proposal")
_OPEN = {"status": "OPEN", "settled_at": None, "filled_amount": 0}
_NO_ORDER = {"exchange_order_id": None, "fills_settled": False}

CASES: Mapping[str, Mapping[str, Case]] = {
    "public.trading_controls": {
        "trading_controls_pkey": broken_by({}),
        "there_is_one_row": broken_by({"singleton": False}),
        "state_is_known": broken_by(*_each("trading_state", "active", "", "OPEN")),
        "reason_is_short": broken_by({"reason": LONG}),
        "mode_is_known": broken_by(*_each("mode", "LIVE", "paper")),
        "operator_id_is_positive": broken_by(*_each("operator_id", 0, -7)),
        "fingerprint_is_16_hex_digits": broken_by(
            *_each("trade_key_fingerprint", "0123456789ABCDEF", "0123456789abcde", "0123456789abcdef0")
        ),
        "live_names_operator_and_key": broken_by({"operator_id": None}, {"trade_key_fingerprint": None}),
        "order_ceiling_is_an_amount": broken_by(*_each("max_order_eur", -1, *NOT_NUMBERS)),
        "daily_ceiling_is_an_amount": broken_by(*_each("max_daily_value_eur", -1, *NOT_NUMBERS)),
        "call_ceiling_is_a_count": broken_by({"max_daily_gpt_calls": -1}),
        "token_ceiling_is_a_count": broken_by({"max_daily_gpt_tokens": -1}),
        "comparison_has_a_time": broken_by(*_each("reconciled_at", "infinity", "-infinity"), unguarded=True),
    },
    "public.trading_owners": {
        "trading_owners_pkey": broken_by({"user_id": TWICE}),
        "trading_owners_user_id_fkey": broken_by({"user_id": NOBODY}),
        "note_is_short": broken_by({"note": LONG}),
    },
    "public.trading_policies": {
        "trading_policies_pkey": broken_by({"user_id": TWICE}),
        "trading_policies_user_id_fkey": broken_by({"user_id": NOBODY}),
        "policy_is_complete_and_valid": broken_by(*_each("policy", {}, [], "x", {"allowlist": []})),
        "state_is_known": broken_by({"trading_state": "PAUSED"}),
        "reason_is_short": broken_by({"state_reason": LONG}),
    },
    "public.scan_jobs": {
        "scan_jobs_pkey": broken_by({"id": TWICE}),
        "user_exists": broken_by({"user_id": NOBODY}),
        "an_owner_has_one_enabled_job": broken_by({"user_id": TWICE, "enabled": True}),
        "lock_is_whole": broken_by({"locked_by": "worker"}, {"lock_expires_at": NOON.isoformat()}),
        "token_only_with_a_lock": broken_by({"lock_token": NOBODY}),
        "worker_name_is_short": broken_by(
            *(
                {
                    "locked_by": name,
                    "locked_at": NOON.isoformat(),
                    "lock_expires_at": NOON.isoformat(),
                }
                for name in ("", LONG)
            )
        ),
        "failures_are_a_count": broken_by({"consecutive_failures": -1}),
        "error_is_short": broken_by({"last_error": LONG}),
        "outcome_is_short": broken_by({"last_outcome": LONG}),
    },
    "public.trade_proposals": {
        "trade_proposals_pkey": broken_by({"id": TWICE}),
        "user_exists": broken_by({"user_id": NOBODY}),
        "trade_proposals_scan_job_id_fkey": broken_by({"scan_job_id": NOBODY}),
        "market_is_named": broken_by(*_each("market", None, "", "btc-eur", "BTC/EUR", "BTC-EUR-X", LONG)),
        "side_is_known": broken_by(*_each("side", None, "BUY", "hold")),
        "order_type_is_known": broken_by({"order_type": None}),
        "a_buy_carries_whole_cents_of_quote": broken_by(
            *_each("amount_quote", None, 0, -1, "10.001"), {"amount": 1}
        ),
        "a_sell_carries_an_amount": broken_by(
            *({"side": "sell", "amount_quote": None, "amount": amount} for amount in (None, 0, -1)),
            {"side": "sell", "amount": 1},
        ),
        "a_limit_order_alone_has_a_limit_price": broken_by(
            {"limit_price": 50000},
            {"order_type": "stop"},
            *({"order_type": "limit", "limit_price": price} for price in (None, 0, -1)),
        ),
        "reference_price_is_a_price": broken_by(*_each("reference_price", None, 0, -1)),
        "confidence_is_0_to_100": broken_by(*_each("confidence", None, -1, 101, "100.0001")),
        "amounts_are_finite": broken_by(
            *_each("reference_price", *NOT_NUMBERS),
            *_each("confidence", *NOT_NUMBERS),
            *(
                {"legacy": {}, "status": "EXPIRED", column: value}
                for column in ("amount", "amount_quote", "limit_price")
                for value in NOT_NUMBERS
            ),
        ),
        "it_expires_within_a_day": broken_by(
            *_each(
                "expires_at",
                NOON.isoformat(),
                (NOON + timedelta(hours=24, seconds=1)).isoformat(),
                "infinity",
            )
        ),
        "rationale_is_short": broken_by({"rationale": LONG}),
        "sources_are_short": broken_by({"model": LONG}, {"prompt_version": LONG}, {"input_hash": LONG}),
        "status_is_known": broken_by(*_each("status", "pending", "DONE")),
        "policy_is_kept": broken_by({"policy_hash": None}, {"policy_snapshot": None}, unguarded=True),
        "phase_1_rows_are_never_pending": broken_by({"legacy": {}}),
        "proposal_and_execution_agree": broken_by(*_each("status", "EXECUTING", "EXECUTED", "FAILED")),
    },
    "public.trade_executions": {
        "trade_executions_pkey": broken_by({"id": TWICE, "proposal_id": TWICE, "idempotency_key": TWICE}),
        "one_execution_a_proposal": broken_by({"id": NOBODY, "proposal_id": TWICE}, lifted=_UNIQUE_KEYS),
        "one_execution_a_key": broken_by({"id": NOBODY, "idempotency_key": TWICE}, lifted=_UNIQUE_KEYS),
        "trade_executions_proposal_id_fkey": broken_by(
            {
                "proposal_id": NOBODY,
                "idempotency_key": NOBODY,
                "id": str(execution_id(UUID(NOBODY))),
            }
        ),
        "trade_executions_user_id_fkey": broken_by({"user_id": NOBODY}),
        "key_is_the_proposal": broken_by({"idempotency_key": "x"}),
        "id_is_computed_from_the_proposal": broken_by({"id": NOBODY}),
        "status_is_known": broken_by({"status": "PLACED", "settled_at": None}),
        "mode_is_known": broken_by({"mode": "LIVE"}),
        "dry_runs_are_born_final": broken_by({"status": "DRY_RUN"}, {"mode": "dry_run"}),
        "live_names_operator_and_key": broken_by(
            {"operator_id": None}, {"trade_key_fingerprint": None}, {"exchange_url": None}
        ),
        "exchange_url_is_short": broken_by(*_each("exchange_url", "", LONG)),
        "side_is_known": broken_by({"side": "Buy"}),
        "order_value_is_an_amount": broken_by(*_each("order_value", 0, -1, *NOT_NUMBERS)),
        "fills_are_amounts": broken_by(
            *_each("filled_amount", "NaN", "Infinity"),
            *_each("filled_amount_quote", -1, *NOT_NUMBERS),
            *_each("fee", *NOT_NUMBERS),
        ),
        "nothing_fills_without_an_order": broken_by({**_NO_ORDER, "status": "NOT_PLACED"}),
        "a_filled_order_has_fills": broken_by(*_each("filled_amount", 0, -1)),
        "a_placed_order_has_an_id": broken_by({**_OPEN, **_NO_ORDER}),
        "settled_means_final": broken_by({"settled_at": None}, {"status": "OPEN"}),
        "request_holds_the_exact_bytes": broken_by(*_each("request", {}, [], "x", {"body": {}})),
        "checks_are_a_list": broken_by(*_each("checks", {}, "x")),
        "access_timestamp_is_in_ms": broken_by(*_each("access_timestamp", 0, -1, 1772452800, 2**60)),
        "access_window_is_3_to_10_s": broken_by(*_each("access_window_ms", 0, 2999, 10001)),
        "attempts_are_a_count": broken_by({"check_attempts": -1}),
        "proposal_and_execution_agree": broken_by({}),
    },
    "public.trade_history": {
        "trade_history_pkey": broken_by({"id": TWICE}),
        "trade_history_user_id_fkey": broken_by({"user_id": NOBODY}),
        "trade_history_execution_id_fkey": broken_by({"execution_id": NOBODY}, unguarded=True),
        "one_row_an_order": broken_by({"exchange_order_id": TWICE}),
        "side_is_known": broken_by({"side": "SELL"}),
        "asset_is_named": broken_by(*({"asset": asset, "market": None} for asset in ("", "btc", LONG))),
        "asset_is_the_base_of_the_market": broken_by({"asset": "ETH"}),
        "amount_is_an_amount": broken_by(*_each("amount", 0, -1, *NOT_NUMBERS)),
        "quote_is_an_amount": broken_by(*_each("amount_quote", -1, *NOT_NUMBERS)),
        "price_is_a_price": broken_by(*_each("price", 0, -1, *NOT_NUMBERS)),
        "fee_is_finite": broken_by(*_each("fee", *NOT_NUMBERS)),
        "mode_is_known": broken_by({"mode": "LIVE"}, unguarded=True),
    },
    "public.gpt_usage_log": {
        "gpt_usage_log_pkey": broken_by({"id": TWICE}),
        "gpt_usage_log_user_id_fkey": broken_by({"user_id": NOBODY}),
        "gpt_usage_log_scan_job_id_fkey": broken_by({"scan_job_id": NOBODY}),
        "status_is_known": broken_by({"status": "DONE", "success": None}),
        "success_means_succeeded": broken_by({"success": False}, {"status": "FAILED"}),
        "purpose_is_short": broken_by(*_each("purpose", "", LONG)),
        "reason_is_short": broken_by({"reason": LONG}),
        "model_is_short": broken_by({"model": LONG}),
        "tokens_are_counts": broken_by({"prompt_tokens": -1}, {"completion_tokens": -1}, {"tokens_used": -1}),
        "a_call_not_made_used_nothing": broken_by(
            *({"status": status, "success": False} for status in ("SKIPPED", "RELEASED"))
        ),
    },
    "public.audit_events": {"audit_events_pkey": broken_by({"id": TWICE})},
    "public.audit_seals": {
        "audit_seals_pkey": broken_by({"sequence": 1}),
        "audit_seals_event_id_key": broken_by({"event_id": TWICE}),
        "audit_seals_event_id_fkey": broken_by({"event_id": NOBODY}),
        "sequence_starts_at_1": broken_by(*_each("sequence", 0, -1)),
        "seals_are_hashes": broken_by(
            *_each("seal", "", "x", "A" * 64), *_each("previous_seal", "", "0" * 63)
        ),
    },
    "public.trade_refusals": {
        "trade_refusals_pkey": broken_by({"proposal_id": TWICE}),
        "trade_refusals_event_id_fkey": broken_by({"event_id": NOBODY}),
        "a_refusal_happened": broken_by({"times": 0}, {"recent_at": [NOON.isoformat()] * 6}),
    },
    "interlock.taken_from_phase_1": {"taken_from_phase_1_pkey": broken_by({"statement": TWICE})},
    "interlock.unsealed_events": {"unsealed_events_pkey": broken_by({"event_id": TWICE})},
    "interlock.market_marks": {
        "market_marks_pkey": broken_by({"market": "BTC-EUR"}),
        "unread_is_known": broken_by({"unread": "NEVER"}),
    },
    "interlock.notices": {"notices_pkey": broken_by({"notice": TWICE})},
    "interlock.approval_paces": {
        "approval_paces_pkey": broken_by({"user_id": TWICE}),
    },
    "interlock.absence_rounds": {
        "absence_rounds_pkey": broken_by({}),
        "absence_rounds_execution_id_fkey": broken_by({"execution_id": NOBODY}),
    },
}


def test_every_rule_of_every_table_has_a_case(kept: Kept) -> None:
    """A constraint or unique index that a migration adds fails this test until a case breaks it."""
    rules = kept.db.rows(
        """
        select space.nspname || '.' || relation.relname, rule.name
        from (
            select conrelid as relid, conname as name from pg_constraint
            -- What may be empty is said by the column itself; Postgres 18 lists that as constraints too.
            where contype <> 'n'
            union
            select indrelid, indexrelid::regclass::text from pg_index where indisunique
        ) as rule
        join pg_class as relation on relation.oid = rule.relid and relation.relkind = 'r'
        join pg_namespace as space on space.oid = relation.relnamespace
        where space.nspname in ('public', 'interlock') and relation.relname <> 'stopped_clock'
        """
    )
    written = {(table, rule) for table, cases in CASES.items() for rule in cases}
    assert {(table, rule.rpartition(".")[2]) for table, rule in rules} == written


@pytest.mark.parametrize("table", [name for name in CASES if name != "public.trading_controls"])
def test_a_row_that_breaks_no_rule_is_stored(kept: Kept, table: str) -> None:
    """Otherwise a refusal of a changed row would prove nothing."""
    changes = {"execution_id": None} if table == "public.trade_history" else {}
    with kept.db.admin.transaction(force_rollback=True):
        if table == "interlock.absence_rounds":
            kept.db.do("delete from interlock.absence_rounds where true")
        kept.insert(table, changes)


@pytest.mark.parametrize(
    ("table", "rule"), [(table, rule) for table, cases in CASES.items() for rule in cases]
)
def test_a_rule_refuses_what_breaks_it(kept: Kept, table: str, rule: str) -> None:
    """Whoever writes, with whatever rights: the state is refused and the rule is named."""
    case = CASES[table][rule]
    for changes in case.changes:
        with (
            kept.db.admin.transaction(force_rollback=True),
            pytest.raises(psycopg.errors.IntegrityError) as refused,
        ):
            _break(kept, table, case, changes)
        named = refused.value.diag.constraint_name
        if rule == "proposal_and_execution_agree":
            assert "a proposal" in (refused.value.diag.message_primary or "")
        else:
            assert named == rule, (changes, refused.value)


def _break(kept: Kept, table: str, case: Case, changes: Mapping[str, object]) -> None:
    for other in case.lifted:
        kept.db.do(f"alter table {table} drop constraint {other}")
    if case.unguarded:
        kept.db.do(f"alter table {table} disable trigger user")
    if table == "public.trading_controls" and changes:
        kept.update(table, changes)
    else:
        present = kept.db.one(f"select to_jsonb(item) from {table} as item limit 1")  # noqa: S608 - our own names
        kept.insert(
            table, {name: present[name] if value is TWICE else value for name, value in changes.items()}
        )
    kept.db.do("set constraints all immediate")


@pytest.mark.parametrize("value", NOT_NUMBERS)
def test_every_numeric_column_refuses_what_is_no_number(kept: Kept, value: str) -> None:
    """NaN and both infinities, in every numeric column that there is, also behind the triggers."""
    columns = kept.db.rows(
        """
        select relation.oid::regclass::text, field.attname
        from pg_attribute as field
        join pg_class as relation on relation.oid = field.attrelid and relation.relkind = 'r'
        where relation.relnamespace in ('public'::regnamespace, 'interlock'::regnamespace)
            and field.atttypid = 'numeric'::regtype and field.attgenerated = ''
        """
    )
    assert len(columns) >= 15
    for relation, column in columns:
        table = f"public.{relation.rpartition('.')[2]}"
        with kept.db.admin.transaction(force_rollback=True):
            kept.db.do(f"alter table {table} disable trigger user")
            with pytest.raises(psycopg.errors.CheckViolation):
                kept.update(table, {column: value})
