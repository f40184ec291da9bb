"""The migrations build what the hardening guide's verification asks for."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from local import stack
from local.world import World

_READS_A_CLOCK = (
    r"\m(now|timeofday|clock_timestamp|statement_timestamp|transaction_timestamp)\s*\("
    r"|\m(current_date|current_time|current_timestamp|localtime|localtimestamp)\M"
)
TABLES = (
    "audit_events",
    "audit_seals",
    "gpt_usage_log",
    "scan_jobs",
    "trade_executions",
    "trade_history",
    "trade_proposals",
    "trade_refusals",
    "trading_controls",
    "trading_owners",
    "trading_policies",
)


@pytest.fixture
def migrated(place: World) -> Iterator[psycopg.Connection]:
    """A database that only the migrations built."""
    url = stack.fresh_database(place.stack)
    try:
        with psycopg.connect(url, autocommit=True) as connection:
            yield connection
    finally:
        stack.drop_database(place.stack, url)


def test_the_new_tables_exist(migrated: psycopg.Connection) -> None:
    """The guide's first statement returns the three new tables."""
    rows = migrated.execute(
        """
        select table_name from information_schema.tables
        where table_schema = 'public' and table_name in ('trade_executions', 'gpt_usage_log', 'trade_history')
        """
    ).fetchall()
    assert {row[0] for row in rows} == {"trade_executions", "gpt_usage_log", "trade_history"}


@pytest.mark.parametrize(
    ("table", "columns"),
    [
        ("scan_jobs", {"locked_at", "locked_by", "lock_expires_at"}),
        (
            "trade_proposals",
            {"override_cooldown", "override_anti_flip", "policy_hash", "policy_snapshot"},
        ),
    ],
)
def test_the_new_columns_exist(migrated: psycopg.Connection, table: str, columns: set[str]) -> None:
    """The guide's second and third statements return every column that they name."""
    rows = migrated.execute(
        "select column_name from information_schema.columns where table_name = %s and column_name = any(%s)",
        (table, list(columns)),
    ).fetchall()
    assert {row[0] for row in rows} == columns


def test_row_level_security_is_on_for_every_table(migrated: psycopg.Connection) -> None:
    """The guide asks it of the new tables; here it holds for all of them, and for the internal ones."""
    rows = migrated.execute(
        """
        select relation.relname
        from pg_class as relation
        join pg_namespace as space on space.oid = relation.relnamespace
        where space.nspname in ('public', 'interlock') and relation.relkind = 'r' and relation.relrowsecurity
        """
    ).fetchall()
    assert {row[0] for row in rows} == {
        *TABLES,
        "unsealed_events",
        "market_marks",
        "absence_rounds",
        "notices",
        "approval_paces",
        "taken_from_phase_1",
    }


def test_a_proposal_has_one_execution_by_constraint(migrated: psycopg.Connection) -> None:
    """The uniqueness that everything rests on is the database's own."""
    rows = migrated.execute(
        """
        select pg_get_constraintdef(oid) from pg_constraint
        where conrelid = 'public.trade_executions'::regclass and contype = 'u'
        """
    ).fetchall()
    assert {row[0] for row in rows} == {"UNIQUE (proposal_id)", "UNIQUE (idempotency_key)"}


def test_everything_that_the_dashboard_shows_has_a_comment(migrated: psycopg.Connection) -> None:
    """Tables, columns, views and functions each say what they are."""
    rows = migrated.execute(
        """
        select relation.relname || coalesce('.' || field.attname, '')
        from pg_class as relation
        join pg_namespace as space on space.oid = relation.relnamespace and space.nspname = 'public'
        left join pg_attribute as field
            on field.attrelid = relation.oid and field.attnum > 0 and not field.attisdropped
            and relation.relkind = 'r'
        where relation.relkind in ('r', 'v')
            and (
                obj_description(relation.oid, 'pg_class') is null
                or (field.attnum is not null and col_description(relation.oid, field.attnum) is null)
            )
        union all
        select routine.oid::regprocedure::text
        from pg_proc as routine
        join pg_namespace as space on space.oid = routine.pronamespace
        where space.nspname in ('public', 'interlock') and obj_description(routine.oid, 'pg_proc') is null
        """
    ).fetchall()
    assert rows == []


def test_trading_starts_closed(migrated: psycopg.Connection) -> None:
    """A new project is HALTED, in dry_run, with ceilings of 0 and without owners."""
    row = migrated.execute(
        """
        select trading_state, reason, mode, max_order_eur, max_daily_value_eur, max_daily_gpt_calls,
            (select count(*) from public.trading_owners)
        from public.trading_controls
        """
    ).fetchone()
    assert row == ("HALTED", "not set up", "dry_run", 0, 0, 0, 0)


def test_the_clock_is_read_in_one_place(migrated: psycopg.Connection) -> None:
    """Every function takes the time from interlock.clock, whose body reads the wall clock and no more."""
    body = migrated.execute(
        "select prosrc from pg_proc where oid = 'interlock.clock()'::regprocedure"
    ).fetchone()
    readers = migrated.execute(
        """
        with written as (
            select routine.oid::regprocedure::text as place, routine.prosrc as text
            from pg_proc as routine
            join pg_namespace as space on space.oid = routine.pronamespace
            where space.nspname in ('public', 'interlock')
                and routine.oid <> 'interlock.clock()'::regprocedure
            union all
            select adrelid::regclass::text, pg_get_expr(adbin, adrelid)
            from pg_attrdef
            where adrelid::regclass::text !~ '^auth[.]'
            union all
            select viewname, definition from pg_views where schemaname = 'public'
        )
        select place from written where text ~* %s
        """,
        (_READS_A_CLOCK,),
    ).fetchall()
    assert body == ("select clock_timestamp()",)
    assert readers == []
