"""Who may do what: every role against every table, view and RPC, as the migrations grant it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

import psycopg
import pytest
from psycopg import sql

from tests.database.harness import Caller, Refused, TestDatabase
from tests.database.life import Life, live

ROLES = ("anon", "stranger", "owner", "other owner", "service_role")
NOT_ALLOWED = "42501"

# What each role sees of a table: all of it, its own rows, no rows, or a refusal.
_PERSONAL = {
    "anon": "refused",
    "stranger": "nothing",
    "owner": "own",
    "other owner": "own",
    "service_role": "all",
}
_SECRET = dict.fromkeys(ROLES, "refused") | {"service_role": "all"}
READS: Mapping[str, Mapping[str, str]] = {
    "audit_events": _PERSONAL,
    "audit_seals": _SECRET,
    "gpt_usage_log": _PERSONAL,
    "scan_jobs": _PERSONAL,
    "trade_executions": _PERSONAL,
    "trade_history": _PERSONAL,
    "trade_proposals": _PERSONAL,
    "trade_refusals": _PERSONAL,
    # State and mode alone: see test_of_the_controls_an_owner_sees_state_and_mode_alone.
    "trading_controls": _SECRET,
    "trading_owners": _PERSONAL,
    "trading_policies": _PERSONAL,
}
# Whoever is not named here may write nothing but through the RPCs.
WRITES = {("trading_owners", "service_role"): {"insert", "update", "delete"}}
WRITE_STATEMENTS = {
    "insert": "insert into public.{table} default values",
    "update": "update public.{table} set {column} = {column} where {column} is not null",
    "delete": "delete from public.{table} where {column} is not null",
    "truncate": "truncate public.{table}",
}
VIEWS: Mapping[str, Mapping[str, str]] = dict.fromkeys(
    (
        "blocking_checks",
        "dry_run_results",
        "executions_by_hour",
        "incomplete_evidence",
        "model_spend",
        "overrides_used",
        "recent_proposals",
        "scan_health",
        "unsettled_executions",
    ),
    _PERSONAL,
)
OWNERS_RPCS = {"set_trading_policy", "set_trading_state", "schedule_scan", "decline_proposal"}
SERVICE_RPCS = {
    "alarm_overdue_executions",
    "announce_cancel",
    "begin_cleanup",
    "begin_execution",
    "check_gpt_budget",
    "claim_due_scan_jobs",
    "claim_execution",
    "cleanup_expired_locks",
    "compare_orders",
    "end_notices",
    "expire_old_proposals",
    "finish_scan",
    "get_execution_status",
    "halt_failing_owners",
    "halt_trading",
    "log_gpt_usage",
    "record_absence",
    "record_execution_result",
    "release_job_lock",
    "release_reconciliation",
    "report_unread_markets",
    "reserve_gpt_call",
    "seal_audit_events",
    "set_trading_controls",
    "settle_by_hand",
    "stop_watching",
    "take_notices",
    "verify_audit_chain",
}


@dataclass(frozen=True)
class House:
    """Two owners who have rows in every table, a stranger, and a caller for each role."""

    db: TestDatabase
    owner: Life
    other: Life
    callers: Mapping[str, Caller]

    def user_of(self, role: str) -> UUID | None:
        """The user whose rows a role may see."""
        return {"owner": self.owner.owner, "other owner": self.other.owner}.get(role)


@pytest.fixture(scope="module")
def house(shared_db: TestDatabase) -> House:
    """Filled through the RPCs alone: dry and live, refused, overridden, failed and settled."""
    db = shared_db
    service = db.as_service()
    owner, other = (_with_every_view_filled(db, service) for _ in range(2))
    service.call("seal_audit_events")
    return House(
        db,
        owner,
        other,
        {
            "anon": db.as_anon(),
            "stranger": db.as_user(db.user()),
            "owner": db.as_user(owner.owner),
            "other owner": db.as_user(other.owner),
            "service_role": service,
        },
    )


def _with_every_view_filled(db: TestDatabase, service: Caller) -> Life:
    life = live(db, service, p_override_cooldown=True)
    db.claim(service, life.owner, db.proposal(life.owner, market="DOGE-EUR"))
    db.claim(service, life.owner, db.proposal(life.owner, market="ETH-EUR"))
    version = db.one("select version from public.trading_controls")
    service.call("set_trading_controls", p_changes={"mode": "dry_run"}, p_version=version)
    dry = db.claim(
        service,
        life.owner,
        db.proposal(life.owner),
        p_mode="dry_run",
        p_operator_id=None,
        p_trade_key_fingerprint=None,
        p_exchange_url=None,
    )
    assert dry["outcome"] == "claimed", dry
    service.call("set_trading_controls", p_changes={"mode": "live"}, p_version=version + 1)
    # Evidence is made incomplete behind the guards, so that this view has something to show.
    with db.admin.transaction():
        db.do("alter table public.trade_executions disable trigger user")
        db.do("update public.trade_executions set policy_snapshot = '{}' where user_id = %s", life.owner)
        db.do("alter table public.trade_executions enable trigger user")
    return life


def _attempt(caller: Caller, query: sql.Composed | sql.SQL) -> list[tuple[object, ...]] | str:
    """The rows of a statement, or the SQLSTATE with which it was refused; either way it leaves nothing."""
    try:
        with caller.connection.transaction(force_rollback=True):
            cursor = caller.connection.execute(query)
            return cursor.fetchall() if cursor.description else []
    except psycopg.Error as error:
        return error.sqlstate or str(error)


def _tables(db: TestDatabase) -> set[str]:
    return {
        name
        for (name,) in db.rows(
            """
            select relname from pg_class
            where relnamespace = 'public'::regnamespace and relkind in ('r', 'p')
            """
        )
    }


def _rpcs(db: TestDatabase) -> dict[str, tuple[int, list[str]]]:
    return {
        name: (oid, types)
        for oid, name, types in db.rows(
            """
            select oid::bigint, proname, array(
                select format_type(argument.type, null)
                from unnest(proargtypes) with ordinality as argument (type, place)
                order by argument.place
            )
            from pg_proc
            where pronamespace = 'public'::regnamespace
            """
        )
    }


def test_every_table_view_and_rpc_is_in_the_matrix(house: House) -> None:
    """What a migration adds is refused by this test until somebody says who may use it."""
    views = house.db.rows(
        "select relname from pg_class where relnamespace = 'public'::regnamespace and relkind = 'v'"
    )
    assert _tables(house.db) == set(READS)
    assert {name for (name,) in views} == set(VIEWS)
    assert set(_rpcs(house.db)) == OWNERS_RPCS | SERVICE_RPCS


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("relation", [*READS, *VIEWS])
def test_a_role_reads_what_is_its_own(house: House, relation: str, role: str) -> None:
    """An owner reads own rows, a stranger none, the secret key all; the publishable key is refused."""
    name = sql.Identifier(relation)
    expected = {**READS, **VIEWS}[relation][role]
    seen = _attempt(house.callers[role], sql.SQL("select * from public.{}").format(name))
    if expected == "refused":
        assert seen == NOT_ALLOWED
        return
    there = house.db.admin.execute(sql.SQL("select * from public.{}").format(name)).fetchall()
    if expected == "own":
        whose = house.user_of(role)
        there = house.db.admin.execute(
            sql.SQL("select * from public.{} where user_id = %s").format(name), (whose,)
        ).fetchall()
    assert there, "nothing to see would prove nothing"
    assert sorted(seen, key=str) == ([] if expected == "nothing" else sorted(there, key=str))


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("table", READS)
def test_no_role_writes_a_table(house: House, table: str, role: str) -> None:
    """Rows are written by RPCs; the secret key names owners, and that is all."""
    (column,) = house.db.rows(
        "select attname from pg_attribute where attrelid = %s::regclass and attnum = 1", f"public.{table}"
    )[0]
    names = {"table": sql.Identifier(table), "column": sql.Identifier(column)}
    allowed = {
        operation
        for operation, statement in WRITE_STATEMENTS.items()
        if _attempt(house.callers[role], sql.SQL(statement).format(**names)) != NOT_ALLOWED
    }
    assert allowed == WRITES.get((table, role), set())


def test_of_the_controls_an_owner_sees_state_and_mode_alone(house: House) -> None:
    """Every other column of the controls is refused, one by one; a stranger does not see even these two."""
    columns = house.db.rows(
        "select attname from pg_attribute where attrelid = 'public.trading_controls'::regclass"
        " and attnum > 0 and not attisdropped"
    )
    seen = {
        column: _attempt(
            house.callers["owner"],
            sql.SQL("select {} from public.trading_controls").format(sql.Identifier(column)),
        )
        for (column,) in columns
    }
    assert {column: rows for column, rows in seen.items() if rows != NOT_ALLOWED} == {
        "trading_state": [("ACTIVE",)],
        "mode": [("live",)],
    }
    query = sql.SQL("select trading_state, mode from public.trading_controls")
    assert _attempt(house.callers["stranger"], query) == []
    assert _attempt(house.callers["anon"], query) == NOT_ALLOWED


@pytest.mark.parametrize("role", ROLES)
def test_a_role_calls_the_rpcs_that_are_meant_for_it(house: House, role: str) -> None:
    """Owners their four, the secret key the rest, nobody else any; a stranger is refused inside too."""
    answers = {
        name: _attempt(
            house.callers[role],
            sql.SQL("select public.{}({})").format(
                sql.Identifier(name), sql.SQL(", ").join(sql.SQL("null::" + kind) for kind in types)
            ),
        )
        for name, (_, types) in _rpcs(house.db).items()
    }
    allowed = {name for name, answer in answers.items() if answer != NOT_ALLOWED}
    match role:
        case "service_role":
            assert allowed == SERVICE_RPCS
        case "anon":
            assert allowed == set()
        case "stranger":
            assert {name: answers[name] for name in allowed} == dict.fromkeys(OWNERS_RPCS, "PT403")
        case _:
            assert allowed == OWNERS_RPCS
            assert "PT403" not in answers.values()


def test_an_owner_cannot_decline_what_is_anothers(house: House) -> None:
    """Another owner's proposal is not found, as one that does not exist, and stays pending."""
    proposal = house.db.proposal(house.owner.owner)
    with pytest.raises(Refused, match="PROPOSAL_NOT_FOUND"):
        house.callers["other owner"].call("decline_proposal", p_proposal_id=proposal)
    assert house.db.one("select status from public.trade_proposals where id = %s", proposal) == "PENDING"


def test_the_api_roles_hold_these_privileges_and_no_others(house: House) -> None:
    """Read from the catalog, so that a privilege that nobody tried (trigger, maintain) is seen too."""
    held = house.db.rows(
        """
        with listed as (
            select relation.relname as name, null as field, acl.*
            from pg_class as relation
            cross join lateral aclexplode(relation.relacl) as acl
            where relation.relnamespace in ('public'::regnamespace, 'interlock'::regnamespace)
            union all
            select relation.relname, field.attname, acl.*
            from pg_class as relation
            join pg_attribute as field on field.attrelid = relation.oid
            cross join lateral aclexplode(field.attacl) as acl
            where relation.relnamespace in ('public'::regnamespace, 'interlock'::regnamespace)
        )
        select coalesce(holder.rolname, 'public'), listed.name || coalesce('.' || listed.field, ''),
            lower(listed.privilege_type)
        from listed
        left join pg_roles as holder on holder.oid = listed.grantee
        where listed.grantee <> 'postgres'::regrole
        """
    )
    readable = {*READS, *VIEWS}
    assert set(held) == (
        {("service_role", name, "select") for name in readable}
        | {("authenticated", name, "select") for name in readable - {"audit_seals", "trading_controls"}}
        | {("authenticated", f"trading_controls.{column}", "select") for column in ("trading_state", "mode")}
        | {
            (role, table, operation)
            for (table, role), operations in WRITES.items()
            for operation in operations
        }
    )


def test_the_internal_schema_is_closed(house: House) -> None:
    """No API role reaches schema interlock: neither by name nor, its clock apart, by any function."""
    for role in ("anon", "authenticated", "service_role"):
        assert not house.db.one("select has_schema_privilege(%s, 'interlock', 'usage')", role)
        assert not house.db.one("select has_schema_privilege(%s, 'interlock', 'create')", role)
        assert not house.db.one("select has_schema_privilege(%s, 'public', 'create')", role)
        reachable = house.db.rows(
            """
            select oid::regprocedure::text from pg_proc
            where pronamespace = 'interlock'::regnamespace and has_function_privilege(%s, oid, 'execute')
            """,
            role,
        )
        assert reachable == ([] if role == "anon" else [("interlock.clock()",)])


def test_the_secret_key_names_and_removes_owners(house: House) -> None:
    """The one table that the secret key writes, with a where clause as hosted projects insist on."""
    service = house.callers["service_role"].connection
    user_id = house.db.user()
    with service.transaction(force_rollback=True):
        service.execute("insert into public.trading_owners (user_id, note) values (%s, 'new')", (user_id,))
        noted = service.execute(
            "update public.trading_owners set note = 'seen' where user_id = %s", (user_id,)
        )
        removed = service.execute("delete from public.trading_owners where user_id = %s", (user_id,))
        assert (noted.rowcount, removed.rowcount) == (1, 1)


def test_every_update_and_delete_in_the_rpcs_has_a_where(house: House) -> None:
    """Hosted projects refuse one without (safeupdate, 21000), also inside functions."""
    bodies = house.db.rows(
        "select oid::regprocedure::text, prosrc from pg_proc"
        " where pronamespace in ('public'::regnamespace, 'interlock'::regnamespace)"
    )
    found = [
        (routine, statement)
        for routine, body in bodies
        for statement in re.findall(
            r"\b(?:update|delete from) (?:public|interlock)\.[^;]*", re.sub(r"--[^\n]*|'[^']*'", "", body)
        )
    ]
    assert len(found) > 20
    assert [pair for pair in found if not re.search(r"\bwhere\b", pair[1])] == []
