"""Only whom the operator named trades, is scanned for, and may ask for anything."""

from __future__ import annotations

import tomllib
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg import sql
from psycopg.types.json import Jsonb

from local.stack import REPOSITORY
from tests.database.contents import contents
from tests.database.harness import POLICY, Caller, Refused, TestDatabase, execution_id
from tests.database.life import finish_parameters, live, reservation_parameters, scanned
from tests.people import People


def _by_hand(db: TestDatabase, user: UUID) -> tuple[UUID, UUID]:
    """A policy, an enabled job and a pending proposal, made in the dashboard; the ids of the last two."""
    job = uuid4()
    db.do(
        "insert into public.trading_policies (user_id, policy) values (%s, interlock.complete_policy(%s))",
        user,
        Jsonb({"allowlist": ["BTC-EUR"]}),
    )
    db.do("insert into public.scan_jobs (id, user_id, enabled) values (%s, %s, true)", job, user)
    return job, db.proposal(user)


def _own_rpcs(proposal: UUID) -> dict[str, dict[str, object]]:
    return {
        "set_trading_policy": {"p_policy": {"allowlist": ["BTC-EUR"]}},
        "set_trading_state": {"p_state": "HALTED"},
        "schedule_scan": {},
        "decline_proposal": {"p_proposal_id": proposal},
    }


def test_while_no_owner_is_named_nobody_trades(db: TestDatabase, service: Caller) -> None:
    """With policy, job and proposal in place, an empty list of owners still refuses every step."""
    user = db.user()
    job, proposal = _by_hand(db, user)
    asked = db.claim_parameters(user, proposal)

    with pytest.raises(Refused, match="PT403 NOT_AN_OWNER"):
        service.call("claim_execution", **asked)
    with pytest.raises(Refused, match="PT403 NOT_AN_OWNER"):
        service.call(
            "begin_execution",
            p_user_id=user,
            p_proposal_id=proposal,
            p_mode="live",
            p_operator_id=7,
            p_trade_key_fingerprint=asked["p_trade_key_fingerprint"],
            p_override_cooldown=True,
            p_override_anti_flip=True,
        )
    with pytest.raises(Refused, match="PT403 NOT_AN_OWNER"):
        service.call("get_execution_status", p_user_id=user)
    assert service.call("claim_due_scan_jobs", p_instance_id="worker", p_limit=100) == []
    with pytest.raises(Refused, match="PT403 NOT_AN_OWNER"):
        service.call(
            "log_gpt_usage",
            p_id=uuid4(),
            p_user_id=user,
            p_scan_job_id=job,
            p_purpose="scan_proposal",
            p_status="SKIPPED",
            p_reason="a test",
            p_model=None,
            p_prompt_tokens=None,
            p_completion_tokens=None,
        )

    assert db.one("select count(*) from public.trade_executions") == 0
    assert db.one("select count(*) from public.gpt_usage_log") == 0


def test_a_stranger_gets_nothing_and_changes_nothing(db: TestDatabase, service: Caller) -> None:
    """A valid token without a place in the list: every RPC and table, tried with another's real ids."""
    life = live(db, service)
    pending = db.proposal(life.owner)
    stranger = db.as_user(db.user())
    before = contents(db)

    for rpc, parameters in _own_rpcs(pending).items():
        with pytest.raises(Refused, match="PT403 NOT_AN_OWNER"):
            stranger.call(rpc, **parameters)
    services: dict[str, dict[str, object]] = {
        "claim_execution": db.claim_parameters(life.owner, pending),
        "get_execution_status": {"p_user_id": life.owner},
        "reserve_gpt_call": reservation_parameters({"id": life.job, "lock_token": uuid4()}, uuid4()),
        "halt_trading": {"p_reason": "mischief"},
        "set_trading_controls": {"p_changes": {"max_order_eur": "1"}, "p_version": 1},
    }
    for rpc, parameters in services.items():
        with pytest.raises(Refused, match="42501"):
            stranger.call(rpc, **parameters)
    for (table,) in db.rows(
        "select relname from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r'"
    ):
        name = sql.Identifier(table)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            stranger.connection.execute(sql.SQL("insert into public.{} default values").format(name))
        try:
            rows = stranger.connection.execute(sql.SQL("select * from public.{}").format(name)).fetchall()
        except psycopg.errors.InsufficientPrivilege:
            rows = []
        assert rows == []

    assert contents(db) == before


def test_over_http_a_strangers_token_opens_nothing_and_costs_no_model_call(
    people: People, database: psycopg.Connection
) -> None:
    """Sign in, call every RPC and table of the API, let the scheduler run: no reservation, no model call."""
    stranger = people.stranger()
    calls = people.model_calls()
    tables = [
        name
        for (name,) in database.execute(
            "select relname from pg_class"
            " where relnamespace = 'public'::regnamespace and relkind in ('r', 'v')"
        ).fetchall()
    ]
    rpcs = [
        (name, arguments or [])
        for name, arguments in database.execute(
            "select proname, proargnames from pg_proc where pronamespace = 'public'::regnamespace"
        ).fetchall()
    ]

    for table in tables:
        read = stranger.http.get(f"/rest/v1/{table}", params={"select": "*"})
        assert read.status_code in (401, 403) or read.json() == [], (table, read.text)
        row = {"user_id": stranger.user_id}
        written = stranger.http.post(f"/rest/v1/{table}", json=row)
        assert not written.is_success, (table, written.text)
        changed = stranger.http.patch(f"/rest/v1/{table}", params={"user_id": f"neq.{uuid4()}"}, json=row)
        assert not changed.is_success, (table, changed.text)
    assert len(rpcs) > 20
    for rpc, arguments in rpcs:
        answer = stranger.http.post(f"/rest/v1/rpc/{rpc}", json=dict.fromkeys(arguments))
        assert answer.status_code in (401, 403, 404), (rpc, answer.text)
    people.run("scan_tick")

    assert people.model_calls() == calls
    for table in ("gpt_usage_log", "scan_jobs", "trading_policies", "trading_owners", "audit_events"):
        kept = database.execute(
            sql.SQL("select count(*) from public.{} where user_id = %s").format(sql.Identifier(table)),
            (stranger.user_id,),
        ).fetchone()
        assert kept == (0,), table


@pytest.mark.parametrize("remover", ["dashboard", "secret key"])
def test_an_owner_who_is_removed_is_a_stranger(db: TestDatabase, service: Caller, remover: str) -> None:
    """From then on no claim, no scan, no RPC and no row of the past, and the removal is in the audit."""
    life = live(db, service)
    pending = db.proposal(life.owner)
    asked = db.claim_parameters(life.owner, pending)
    themselves = db.as_user(life.owner)
    assert themselves.rows("select id from public.trade_executions") == [(execution_id(life.proposal),)]

    connection = db.admin if remover == "dashboard" else service.connection
    connection.execute("delete from public.trading_owners where user_id = %s", (life.owner,))

    with pytest.raises(Refused, match="PT403 NOT_AN_OWNER"):
        service.call("claim_execution", **asked)
    with pytest.raises(Refused, match="PT403 NOT_AN_OWNER"):
        service.call("get_execution_status", p_user_id=life.owner)
    for rpc, parameters in _own_rpcs(pending).items():
        with pytest.raises(Refused, match="PT403 NOT_AN_OWNER"):
            themselves.call(rpc, **parameters)
    for (table,) in db.rows(
        "select table_name from information_schema.role_table_grants"
        " where table_schema = 'public' and grantee = 'authenticated'"
    ):
        query = sql.SQL("select 1 from public.{}").format(sql.Identifier(table))
        assert themselves.connection.execute(query).fetchall() == [], table
    assert db.rows("select enabled, last_error from public.scan_jobs") == [
        (False, "its user is no longer an owner")
    ]
    db.advance(timedelta(days=1))
    assert service.call("claim_due_scan_jobs", p_instance_id="worker", p_limit=100) == []
    assert db.one("select count(*) from public.audit_events where event = 'OWNER_REMOVED'") == 1


def test_a_lease_that_outlives_its_owner_buys_no_model_call_and_stores_no_proposal(
    db: TestDatabase, service: Caller
) -> None:
    """An owner removed in the middle of a scan: the call is refused, and nothing is proposed to them."""
    owner = db.owner()
    lease = scanned(db, service, owner)
    db.do("delete from public.trading_owners where user_id = %s", owner)

    reservation = uuid4()
    refused = service.call("reserve_gpt_call", **reservation_parameters(lease, reservation))
    finish = finish_parameters(lease, reservation) | {"p_usage": []}
    for policy_hash in (None, lease["policy_hash"]):
        answer: dict[str, Any] = service.call("finish_scan", **(finish | {"p_policy_hash": policy_hash}))
        assert answer["proposal"] is None, answer

    assert (refused["outcome"], refused["reason"]) == ("refused", "NOT_AN_OWNER")
    assert db.rows("select status from public.gpt_usage_log") == [("SKIPPED",)]
    assert db.one("select count(*) from public.trade_proposals") == 0


def test_a_row_of_the_list_cannot_be_handed_to_another_user(db: TestDatabase, service: Caller) -> None:
    """Whoever leaves is removed and whoever comes is named: an edit in between would say neither."""
    owner = db.owner()
    user = db.user()
    for connection in (db.admin, service.connection):
        with pytest.raises(psycopg.errors.RestrictViolation, match="stays with its user"):
            connection.execute(
                "update public.trading_owners set user_id = %s where user_id = %s", (user, owner)
            )
    with pytest.raises(psycopg.errors.RestrictViolation, match="TRUNCATE"):
        db.do("truncate public.trading_owners")
    assert db.rows("select user_id from public.trading_owners") == [(owner,)]


def test_no_job_and_no_policy_is_handed_to_another_user(db: TestDatabase) -> None:
    """Also the schema's owner makes another one in place of it, so that both are audited."""
    owner, other = db.owner(), db.user()
    db.as_user(owner).call("schedule_scan")
    for table in ("scan_jobs", "trading_policies"):
        with pytest.raises(psycopg.errors.RestrictViolation, match="stays with its user"):
            db.admin.execute(
                sql.SQL("update public.{} set user_id = %s where user_id = %s").format(sql.Identifier(table)),
                (other, owner),
            )


def test_a_policy_that_is_set_again_changes_nothing(db: TestDatabase) -> None:
    """Whoever looked at a version and loosens by it is not told that something had changed."""
    owner = db.owner()
    themselves = db.as_user(owner)
    before = themselves.rows("select version, updated_at from public.trading_policies")
    db.advance(timedelta(minutes=1))
    themselves.call("set_trading_policy", p_policy=dict(POLICY))
    assert themselves.rows("select version, updated_at from public.trading_policies") == before


def test_the_status_names_what_can_still_be_approved(db: TestDatabase, service: Caller) -> None:
    """A proposal past its time is no longer pending, whether or not cleanup has said so."""
    owner = db.owner()
    proposal = db.proposal(owner)
    shown = service.call("get_execution_status", p_user_id=owner)["pending_proposals"]
    assert [row["id"] for row in shown] == [str(proposal)]
    db.advance(timedelta(minutes=15))
    assert service.call("get_execution_status", p_user_id=owner)["pending_proposals"] == []


def test_naming_an_owner_again_gives_back_what_was_theirs(db: TestDatabase, service: Caller) -> None:
    """Policy and history were kept, and the scan waits until the owner switches it on."""
    life = live(db, service)
    service.connection.execute("delete from public.trading_owners where user_id = %s", (life.owner,))
    service.connection.execute("insert into public.trading_owners (user_id) values (%s)", (life.owner,))

    themselves = db.as_user(life.owner)
    assert themselves.rows("select id from public.trade_executions") == [(execution_id(life.proposal),)]
    assert service.call("claim_due_scan_jobs", p_instance_id="worker", p_limit=100) == []
    themselves.call("schedule_scan")
    assert len(service.call("claim_due_scan_jobs", p_instance_id="worker", p_limit=100)) == 1


def test_nobody_signs_up() -> None:
    """The project's own configuration: no sign-up by e-mail, phone, provider or anonymously."""
    auth = tomllib.loads((REPOSITORY / "supabase" / "config.toml").read_text())["auth"]
    assert auth["enable_signup"] is False
    assert auth["enable_anonymous_sign_ins"] is False
    assert "enable_signup" not in auth["email"], "false there would also switch off signing in"
    assert [name for name, provider in auth.get("external", {}).items() if provider.get("enabled")] == []
