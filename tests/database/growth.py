"""What calls touch in a filled database: buffers, descents of B-trees, tables read whole."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from tests.database.acts import many_due
from tests.database.harness import FINGERPRINT, OPERATOR_ID, TestDatabase

FEW, MANY, MILLION = 10_000, 300_000, 1_000_000
GROWING = (
    "scan_jobs",
    "trade_proposals",
    "trade_executions",
    "trade_history",
    "gpt_usage_log",
    "audit_events",
    "audit_seals",
    "trade_refusals",
    "unsealed_events",
)


@dataclass(frozen=True)
class Cost:
    """What one call touched."""

    buffers: int
    descents: int
    scanned: frozenset[str]


def compared(db: TestDatabase, superuser_url: str, many: int) -> dict[str, tuple[Cost, Cost]]:
    """What each call costs among few rows, and what it costs among many."""
    before = _costs(db, superuser_url, 0, FEW)
    after = _costs(db, superuser_url, FEW, many)
    return {name: (before[name], after[name]) for name in after}


def cleanup_compared(
    db: TestDatabase, superuser_url: str, few: int, many: int
) -> dict[str, tuple[Cost, Cost]]:
    """What each call of a cleanup costs after few refusals and after many, of one day."""
    owner = db.owner()
    db.advance(timedelta(days=1))
    before = _costs_of_a_cleanup(db, superuser_url, owner, 0, few)
    after = _costs_of_a_cleanup(db, superuser_url, owner, few, many)
    return {name: (before[name], after[name]) for name in after}


def _costs_of_a_cleanup(
    db: TestDatabase, superuser_url: str, owner: UUID, start: int, end: int
) -> dict[str, Cost]:
    rows = {"start": start, "end": end - 1, "owner": owner, "now": db.now}
    _fill_in(superuser_url, _REFUSALS, rows)
    run: dict[str, object] = {
        "p_instance_id": "cleanup",
        "p_mode": "live",
        "p_operator_id": OPERATOR_ID,
        "p_trade_key_fingerprint": FINGERPRINT,
        "p_limit": 250,
    }
    calls: dict[str, dict[str, object]] = {
        "expire_old_proposals": {},
        "cleanup_expired_locks": {},
        "begin_cleanup": run,
        "halt_failing_owners": {},
        "alarm_overdue_executions": {},
        "seal_audit_events": {"p_limit": 10},
    }
    return {rpc: least(db, rpc, parameters) for rpc, parameters in calls.items()}


def _costs(db: TestDatabase, superuser_url: str, start: int, end: int) -> dict[str, Cost]:
    owner = db.owner()
    job = UUID(db.as_user(owner).call("schedule_scan")["id"])
    _fill(db, superuser_url, owner, start, end)
    proposal = db.proposal(owner)
    claim = db.claim_parameters(owner, proposal)
    many_due(db, 5)
    lease = _lease(db, job)
    calls: dict[str, tuple[str, dict[str, object]]] = {
        "claim of jobs": ("claim_due_scan_jobs", {"p_instance_id": "worker", "p_limit": 5}),
        "reservation": (
            "reserve_gpt_call",
            {
                "p_reservation_id": uuid4(),
                "p_scan_job_id": job,
                "p_lock_token": lease,
                "p_purpose": "test",
                "p_model": "scripted",
                "p_most_tokens": 10_000,
            },
        ),
        "reading a proposal": ("begin_execution", db.reading_parameters(owner, proposal)),
        "execution claim": ("claim_execution", claim),
        "status": ("get_execution_status", {"p_user_id": owner}),
    }
    return {name: least(db, rpc, parameters) for name, (rpc, parameters) in calls.items()}


def _lease(db: TestDatabase, job: UUID) -> UUID:
    """Give the job a lease, so that a reservation under it is granted; claims take the others."""
    token = uuid4()
    db.do(
        """
        update public.scan_jobs
        set locked_at = interlock.clock(), locked_by = 'test', lock_token = %s,
            lock_expires_at = interlock.clock() + interval '2 minutes'
        where id = %s
        """,
        token,
        job,
    )
    return token


def least(db: TestDatabase, rpc: str, parameters: dict[str, object]) -> Cost:
    """The least of a few runs: planning and a cold cache of the catalog touch buffers too."""
    return min((_cost(db, rpc, parameters) for _ in range(4)), key=lambda cost: cost.buffers)


def _cost(db: TestDatabase, rpc: str, parameters: dict[str, object]) -> Cost:
    """Run one call in a transaction of its own and roll it back; what it touched."""
    names = sql.SQL(", ").join(
        sql.SQL("{} => {}").format(sql.Identifier(name), sql.Placeholder(name)) for name in parameters
    )
    values = {
        name: Jsonb(value) if isinstance(value, (dict, list)) else value for name, value in parameters.items()
    }
    with db.admin.transaction(force_rollback=True):
        before = _counted(db)
        query = sql.SQL("explain (analyze, buffers, format json) select public.{}({})").format(
            sql.Identifier(rpc), names
        )
        row = db.admin.execute(query, values).fetchone()
        after = _counted(db)
    assert row is not None
    plan: dict[str, Any] = (json.loads(row[0]) if isinstance(row[0], str) else row[0])[0]["Plan"]
    scanned = {name for name in GROWING if after[name][0] > before[name][0]}
    descents = sum(
        after[name][1] - before[name][1] + (after[name][2] - before[name][2]) * after[name][3]
        for name in after
    )
    return Cost(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"], descents, frozenset(scanned))


def _counted(db: TestDatabase) -> dict[str, tuple[int, int, int, int]]:
    """For each table, in this transaction: full scans, index descents, rows written, and its indexes."""
    return {
        name: (scans, descents, written, indexes)
        for name, scans, descents, written, indexes in db.rows(
            """
            select
                used.relname,
                used.seq_scan,
                coalesce(sum(pg_stat_get_xact_numscans(index.indexrelid)), 0)::int,
                (used.n_tup_ins + used.n_tup_upd)::int,
                count(index.indexrelid)::int
            from pg_stat_xact_user_tables as used
            left join pg_index as index on index.indrelid = used.relid
            where used.schemaname in ('public', 'interlock')
            group by used.relname, used.seq_scan, used.n_tup_ins, used.n_tup_upd
            """
        )
    }


def _fill(db: TestDatabase, superuser_url: str, owner: UUID, start: int, end: int) -> None:
    """Finished rows of this owner and of others, of the days before today."""
    rows: dict[str, object] = {
        "start": start,
        "end": end - 1,
        "owners": [owner, *(db.owner() for _ in range(3))],
        "yesterday": db.now - timedelta(days=1),
    }
    _fill_in(superuser_url, _STATEMENTS, rows)


def _fill_in(superuser_url: str, statements: tuple[str, ...], rows: dict[str, object]) -> None:
    with psycopg.connect(superuser_url, autocommit=True) as superuser:
        superuser.execute(
            "set session_replication_role = replica"
        )  # no triggers: the rows are as they must be
        for statement in statements:
            superuser.execute(statement, rows)
        superuser.execute("vacuum analyze")


_STATEMENTS = (
    """
    create temporary table filling as
    select
        number,
        gen_random_uuid() as proposal_id,
        (%(owners)s::uuid[])[1 + number %% 4] as user_id,
        %(yesterday)s::timestamptz - number * interval '10 seconds' as at
    from generate_series(%(start)s::int, %(end)s::int) as number
    """,
    """
    insert into public.trade_proposals (
        id, user_id, market, side, amount_quote, reference_price, confidence, status, expires_at, created_at,
        policy_hash, policy_snapshot
    )
    select
        proposal_id, user_id, 'BTC-EUR', 'buy', 10, 50000, 80, 'EXECUTED', at + interval '15 minutes', at,
        'x', '{}'
    from filling
    """,
    """
    insert into public.trade_executions (
        id, user_id, proposal_id, idempotency_key, attempt_id, status, mode, operator_id,
        trade_key_fingerprint, exchange_url, market, side, order_value, policy_hash, policy_snapshot, checks,
        override_cooldown, override_anti_flip, request, exchange_order_id, filled_amount,
        filled_amount_quote, fills_settled, claimed_at, access_timestamp, access_window_ms, settled_at
    )
    select
        interlock.execution_id(proposal_id), user_id, proposal_id, proposal_id::text, gen_random_uuid(),
        'FILLED', 'live', 7, '0123456789abcdef', 'https://exchange.test/v2', 'BTC-EUR', 'buy', 10, 'x',
        '{}', '[]', false, false,
        '{"body": "{}"}', number::text, 0.0002, 10, true, at, extract(epoch from at)::bigint * 1000, 5000, at
    from filling
    """,
    """
    insert into public.trade_history (
        user_id, asset, market, side, amount, amount_quote, price, fee, fee_currency, execution_id,
        exchange_order_id, executed_at, counted_at, mode
    )
    select
        user_id, 'BTC', 'BTC-EUR', 'buy', 0.0002, 10, 50000, 0.025, 'EUR',
        interlock.execution_id(proposal_id), number::text, at, at, 'live'
    from filling
    """,
    """
    insert into public.gpt_usage_log (user_id, purpose, status, success, tokens_used, created_at)
    select user_id, 'scan_proposal', 'SUCCEEDED', true, 100, at from filling
    """,
    """
    insert into public.audit_events (at, user_id, proposal_id, execution_id, actor, event)
    select at, user_id, proposal_id, interlock.execution_id(proposal_id), 'execute', 'EXECUTION_CLAIMED'
    from filling
    """,
    """
    insert into public.scan_jobs (user_id, enabled, next_run_at)
    select user_id, false, at from filling
    """,
    "drop table filling",
)

_REFUSALS = (
    """
    create temporary table filling as
    select
        gen_random_uuid() as event_id,
        gen_random_uuid() as proposal_id,
        %(now)s::timestamptz - number * interval '80 milliseconds' as at
    from generate_series(%(start)s::int, %(end)s::int) as number
    """,
    """
    insert into public.audit_events (id, at, user_id, proposal_id, actor, event, detail)
    select
        event_id, at, %(owner)s, proposal_id, 'execute', 'EXECUTION_REFUSED',
        '{"before": "claim", "checks": [{"check": "spread", "verdict": "FAILED", "code": "SPREAD_TOO_WIDE"}]}'
    from filling
    """,
    """
    insert into public.audit_events (at, user_id, actor, event)
    select at, gen_random_uuid(), 'execute', 'EXECUTION_REJECTED' from filling
    """,
    "insert into interlock.unsealed_events (event_id, at) select event_id, at from filling",
    """
    insert into public.trade_refusals (
        proposal_id, verdicts, user_id, clock_skew, recent_at, event_id
    )
    select proposal_id, repeat('0', 64), %(owner)s, false, array[at], event_id from filling
    """,
    "drop table filling",
)
