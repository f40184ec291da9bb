"""The way down to phase 1 and up again: nothing stays open, and no evidence is lost."""

from __future__ import annotations

import json
from collections.abc import Iterator, Set
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import replace
from time import sleep
from uuid import uuid4

import psycopg
import pytest

from local.errors import LocalWorldError
from local.stack import REPOSITORY, Stack
from tests.database.harness import TestDatabase, order, record
from tests.database.lived import EVIDENCE, Lived, claim, filled_later, live
from tests.database.phases import ARCHIVE, differences, fill_with_phase_1, project, user

PHASE_1_ACCESS = """
    alter table public.trade_proposals enable row level security;
    create policy "each their own" on public.trade_proposals for update to authenticated
        using (user_id::text = current_setting('request.jwt.claim.sub'))
        with check (amount > 0 and asset <> '');
    grant all on public.trade_proposals to authenticated, service_role;
    grant select (user_id, policy), insert on public.scan_jobs to authenticated with grant option;
    grant select on public.scan_jobs to public;
    create function public.own_report() returns bigint language sql stable return 1;
    create function public.own_report(of_whom text) returns text language sql stable return of_whom;
    revoke execute on function public.own_report(text) from public, authenticated, service_role;
    grant execute on function public.own_report(text) to anon;
"""


@pytest.fixture(scope="module")
def empty_project(server: Stack) -> Iterator[Lived]:
    """One that started empty. Tests copy it."""
    with project(server, migrated=True) as made:
        yield live(made)


@pytest.fixture(scope="module")
def phase_1_project(server: Stack) -> Iterator[Lived]:
    """One that was upgraded from phase 1, with the grants and policies of a real one. Tests copy it."""
    with project(server, migrated=False) as made:
        owner, forgetful, vanished = fill_with_phase_1(made), user(made), uuid4()
        for user_id in (forgetful, vanished):
            made.do("insert into public.scan_jobs (user_id, policy) values (%s, '{}')", user_id)
        made.do(PHASE_1_ACCESS)
        tables = {table: made.by_id(table) for table in ("public.scan_jobs", "public.trade_proposals")}
        schema = made.look().without_order()
        made.up()
        made.do("delete from public.trading_policies where user_id = %s", forgetful)
        yield replace(live(made), phase_1_owner=owner, phase_1=tables, phase_1_schema=schema)


@pytest.fixture
def lived(phase_1_project: Lived, server: Stack) -> Iterator[Lived]:
    """A copy of the project that came from phase 1, for one test."""
    with _copy(server, phase_1_project) as copied:
        yield copied


@contextmanager
def _copy(server: Stack, original: Lived) -> Iterator[Lived]:
    with project(server, migrated=True, copied_from=original.project.url) as copied:
        yield replace(original, project=copied)


@pytest.mark.parametrize("start", ["empty_project", "phase_1_project"])
def test_up_down_up_ends_equal(server: Stack, request: pytest.FixtureRequest, start: str) -> None:
    """Schema, grants, comments and every row are the same after a rollback and another upgrade."""
    with _copy(server, request.getfixturevalue(start)) as lived:
        assert lived.project.rows("select rolsuper from pg_roles where rolname = current_user") == [(False,)]

        lived.project.down()
        lived.project.up()

        after = lived.project.look()
        assert differences(lived.contents.schema, after.schema) == {}
        for table, rows in lived.contents.rows.items():
            assert after.rows.pop(table) == rows, table
        assert after.rows == {}
        with lived.project.opened() as database:
            chain = database.as_service().call("verify_audit_chain", p_expected_head=lived.head)
        assert (chain["whole"], chain["more"]) == (True, False), chain


def test_an_unsettled_execution_stops_the_rollback(lived: Lived) -> None:
    """CLAIMED, UNKNOWN, OPEN and PARTIALLY_FILLED each refuse with a sentence, and change nothing."""
    with lived.project.opened() as database:
        service = database.as_service()
        execution = claim(database, service, lived.owner, database.proposal(lived.owner))
        moves = {
            "CLAIMED": None,
            "UNKNOWN": ("unknown", None),
            "OPEN": ("placed", order(execution, "new", "0")),
            "PARTIALLY_FILLED": ("placed", order(execution, "partiallyFilled", "0.0001")),
        }
        for status, move in moves.items():
            if move is not None:
                record(service, execution, move[0], p_order=move[1])
            before = lived.project.look()
            with pytest.raises(
                psycopg.errors.ObjectNotInPrerequisiteState, match="an execution is unsettled"
            ) as refused:
                lived.project.down()
            assert (
                database.one("select status from public.trade_executions where id = %s", execution["id"])
                == status
            )
            assert execution["id"] in (refused.value.diag.message_detail or "")
            assert lived.project.look() == before
        record(service, execution, "placed", p_order=order(execution, updated=filled_later(execution)))
    lived.project.down()


def test_a_claim_under_way_is_waited_for(lived: Lived) -> None:
    """A claim that commits while the rollback waits for it stops the rollback: no order leaves unseen."""
    with lived.project.opened() as database, ThreadPoolExecutor(1) as pool:
        service = database.as_service()
        proposal = database.proposal(lived.owner)
        with service.connection.transaction():
            claim(database, service, lived.owner, proposal)
            rollback = pool.submit(lived.project.down)
            _until_it_waits(database, rollback)
        with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match="an execution is unsettled"):
            rollback.result()


def _until_it_waits(database: TestDatabase, rollback: Future[None]) -> None:
    while not database.rows(
        """
        select from pg_catalog.pg_locks as waiting
        join pg_catalog.pg_database as here on here.oid = waiting.database
        where here.datname = current_database() and not waiting.granted
        """
    ):
        assert not rollback.done(), "it did not wait"
        sleep(0.01)


def test_the_projects_own_functions_keep_who_may_call_them(lived: Lived) -> None:
    """An upgrade closes what it makes itself, and touches no function that was there before."""
    own = {name for name in lived.phase_1_schema if name[0] == "function"}
    assert len(own) == 2
    schema = lived.project.look().schema
    assert {name: schema[name] for name in own} == {name: lived.phase_1_schema[name] for name in own}


def test_the_schema_of_phase_1_is_back(lived: Lived) -> None:
    """Tables, defaults, indexes, grants, policies and default privileges are what they were."""
    lived.project.down()

    assert differences(lived.phase_1_schema, lived.project.look().without_order()) == {}


def test_a_project_that_started_empty_gets_the_schema_of_phase_1(server: Stack, empty_project: Lived) -> None:
    """Phase 1's code finds its tables; they keep row-level security, and nobody is let in unasked."""
    with project(server, migrated=False) as phase_1, _copy(server, empty_project) as lived:
        fill_with_phase_1(phase_1)
        lived.project.down()
        found = differences(phase_1.look().without_order(), lived.project.look().without_order())

    assert found == {
        ("table", name): (
            "r postgres f f postgres=arwdDxtm/postgres",
            "r postgres t f postgres=arwdDxtm/postgres",
        )
        for name in ("scan_jobs", "trade_proposals")
    }


def test_rows_of_phase_1_are_what_they_were(lived: Lived) -> None:
    """Every value that phase 2 refused is back, save that what was PENDING is EXPIRED."""
    expected = deepcopy(lived.phase_1)
    for row in expected["public.trade_proposals"].values():
        row["status"] = "EXPIRED" if row["status"] == "PENDING" else row["status"]

    lived.project.down()

    for table, rows in expected.items():
        after = lived.project.by_id(table)
        assert {identity: after[identity] for identity in rows} == rows
    statuses = {row["status"] for row in expected["public.trade_proposals"].values()}
    assert statuses == {"APPROVED", "EXECUTED", "EXPIRED", "weird"}


def test_proposals_made_since_are_written_as_phase_1_writes_them(lived: Lived) -> None:
    """The asset, an amount of it at the proposal's price, markets with a slash; the status stays."""
    lived.project.down()

    rows = lived.project.by_id("public.trade_proposals")
    after = {
        name: tuple(
            rows[lived.proposals[name]][key] for key in ("asset", "side", "amount", "confidence", "status")
        )
        for name in ("scanned", "rejected", "declined", "declined buy", "expired")
    }
    assert after == {
        "scanned": ("BTC", "buy", 0.0002, 80, "EXECUTED"),
        "rejected": ("BTC", "sell", 0.0002, 80, "FAILED"),
        "declined": ("ETH", "sell", 0.5, 80, "DECLINED"),
        "declined buy": ("BTC", "buy", 0.00025, 80, "DECLINED"),
        "expired": ("BTC", "buy", 0.0002, 80, "EXPIRED"),
    }
    assert rows[lived.proposals["scanned"]]["allowlist"] == ["BTC/EUR", "ETH/EUR"]


def test_jobs_made_since_carry_their_owners_policy(lived: Lived) -> None:
    """Phase 1's scheduler finds the policy in the job, and runs no job that was off."""
    ((policy,),) = lived.project.rows(
        "select policy from public.trading_policies where user_id = %s", lived.owner
    )
    assert isinstance(policy, dict)

    lived.project.down()

    jobs = lived.project.by_id("public.scan_jobs")
    assert jobs[lived.scanning]["policy"] == policy | {"allowlist": ["BTC/EUR", "ETH/EUR"]}
    assert (jobs[lived.scanning]["status"], jobs[lived.switched_off]["status"]) == ("active", "paused")


def test_a_phase_1_job_that_was_switched_since_stays_as_it_is(lived: Lived) -> None:
    """Phase 1 had it active; its owner switched it off in phase 2; a rollback does not wake it."""
    with lived.project.opened() as database:
        owner = lived.phase_1_owner
        assert owner is not None
        job = database.one("select id from public.scan_jobs where user_id = %s and enabled", owner)
        database.do("insert into public.trading_owners (user_id) values (%s)", owner)
        database.as_user(owner).call("schedule_scan", p_enabled=False)

    lived.project.down()

    assert lived.project.by_id("public.scan_jobs")[job]["status"] == "paused"


def test_nothing_is_pending_afterwards(lived: Lived) -> None:
    """Phase 1's own open proposals stay shut, and one that is open at the rollback expires, audited."""
    with lived.project.opened() as database:
        pending = database.proposal(lived.owner)

    lived.project.down()

    assert lived.project.rows("select id from public.trade_proposals where status = 'PENDING'") == []
    assert lived.project.by_id("public.trade_proposals")[pending]["status"] == "EXPIRED"
    assert lived.project.rows(
        f"select event, actor from {ARCHIVE}.audit_events where proposal_id = %s order by at",  # noqa: S608 - a constant
        pending,
    ) == [("PROPOSAL_STORED", "postgres"), ("PROPOSAL_EXPIRED", "rollback")]


def test_all_evidence_is_in_the_archive(lived: Lived) -> None:
    """Every row of every table that phase 1 does not have, and every column that it does not have."""
    lived.project.down()

    archived = lived.project.look().rows
    for table in EVIDENCE:
        assert archived[f"{ARCHIVE}.{table.rpartition('.')[2]}"] == lived.contents.rows[table], table
    for table in ("scan_jobs", "trade_proposals"):
        kept = [json.loads(row) for row in archived[f"{ARCHIVE}.{table}"]]
        for row in kept:
            del row["left_as"]
        assert sorted(map(_text, kept)) == sorted(map(_text, map(json.loads, lived.contents.rows[table])))


def _text(row: dict[str, object]) -> str:
    return json.dumps(row, sort_keys=True)


def test_the_archive_is_closed_and_held_together(lived: Lived) -> None:
    """No API role reads it, and phase 1 cannot delete what the evidence is about."""
    lived.project.down()

    with lived.project.opened() as database:
        for caller in (database.as_anon(), database.as_user(lived.owner), database.as_service()):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                caller.rows(f"select * from {ARCHIVE}.trade_executions")  # noqa: S608 - a constant
        for table, key in (
            ("public.trade_proposals", lived.proposals["filled"]),
            ("public.scan_jobs", lived.scanning),
            ("auth.users", lived.owner),
        ):
            with pytest.raises(psycopg.errors.ForeignKeyViolation):
                database.do(f"delete from {table} where id = %s", key)  # noqa: S608 - one of three constants


def test_what_phase_1_writes_meanwhile_is_a_phase_1_row(lived: Lived) -> None:
    """Added and changed rows are kept in legacy and open nothing; what phase 1 deletes stays deleted."""
    here = lived.project
    declined, filled, expired = (lived.proposals[name] for name in ("declined", "filled", "expired"))
    with here.opened() as database:
        pending = database.proposal(lived.owner)
    here.down()
    newcomer = user(here)
    here.do("insert into public.trade_proposals (user_id, asset, side) values (%s, 'XRP', 'buy')", newcomer)
    here.do(
        "update public.trade_proposals set status = 'PENDING', rationale = 'again' where id = any (%s)",
        [declined, pending],
    )
    here.do("update public.trade_proposals set status = 'weird', side = 'hold' where id = %s", filled)
    here.do("delete from public.trade_proposals where id = %s", expired)
    here.up()

    rows = here.by_id("public.trade_proposals")
    (added,) = [row for row in rows.values() if row["user_id"] == str(newcomer)]
    assert (added["status"], _kept(added, "status"), _kept(added, "asset")) == ("EXPIRED", "PENDING", "XRP")
    for proposal in (declined, pending):
        row = rows[proposal]
        assert (row["status"], row["rationale"], _kept(row, "status")) == ("EXPIRED", "again", "PENDING")
    assert (rows[declined]["market"], rows[declined]["limit_price"]) == ("ETH-EUR", 2000)
    assert (rows[filled]["status"], rows[filled]["side"]) == ("EXECUTED", "buy")
    assert (_kept(rows[filled], "status"), _kept(rows[filled], "side")) == ("weird", "hold")
    assert expired not in rows
    _assert_evidence_is_whole(lived)


def test_jobs_that_phase_1_writes_meanwhile_are_phase_1_jobs(lived: Lived) -> None:
    """A new one runs if its user has no other; an owner keeps the one job and the policy of phase 2."""
    here = lived.project
    here.down()
    newcomer = user(here)
    for owner in (newcomer, lived.owner):
        here.do(
            """
            insert into public.scan_jobs (user_id, policy, created_at)
            values (%s, '{"limits": {"gpt": {"daily": 1}}}', '2020-01-01')
            """,
            owner,
        )
    here.do("update public.scan_jobs set status = 'active' where id = %s", lived.switched_off)
    here.up()

    enabled = here.rows("select user_id, id from public.scan_jobs where enabled")
    assert [job for owner, job in enabled if owner == lived.owner] == [lived.scanning]
    assert newcomer in {owner for owner, _ in enabled}
    assert lived.switched_off in {job for _, job in enabled}
    assert here.rows(
        "select policy #>> '{limits,gpt,daily}' from public.trading_policies where user_id = %s", newcomer
    ) == [("1",)]
    after, before = (set(contents.rows["trading_policies"]) for contents in (here.look(), lived.contents))
    assert before < after
    _assert_evidence_is_whole(lived, but={"trading_policies"})


def _assert_evidence_is_whole(lived: Lived, but: Set[str] = frozenset()) -> None:
    after = lived.project.look().rows
    for table in set(EVIDENCE) - but:
        assert set(after[table]) >= set(lived.contents.rows[table]), table
    with lived.project.opened() as database:
        chain = database.as_service().call("verify_audit_chain", p_expected_head=lived.head)
    assert chain["whole"], chain


def _kept(row: dict[str, object], column: str) -> object:
    legacy = row["legacy"]
    assert isinstance(legacy, dict)
    return legacy[column]


def test_a_column_that_would_be_lost_stops_the_way_up(lived: Lived) -> None:
    """The archive is not emptied into tables that cannot hold all of it; mended, the same upgrade goes on."""
    lived.project.down()
    lived.project.do(f"alter table {ARCHIVE}.trade_executions add column later text")
    with pytest.raises(
        LocalWorldError, match="trade_executions has no column for what the archive keeps: later"
    ):
        lived.project.up()
    with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match="was not restored"):
        lived.project.down()

    lived.project.do(f"alter table {ARCHIVE}.trade_executions drop column later")
    lived.project.up()

    assert differences(lived.contents.schema, lived.project.look().schema) == {}
    assert lived.project.look().rows == lived.contents.rows


def test_only_phase_2_is_rolled_back(server: Stack) -> None:
    """On a project that has no phase 2 the rollback says so."""
    with (
        project(server, migrated=False) as before,
        pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match="there is nothing to roll back"),
    ):
        before.down()


def test_other_migrations_stay_applied(lived: Lived) -> None:
    """The list of applied migrations loses those of phase 2 and no other."""
    versions = "select version from supabase_migrations.schema_migrations"
    ours = {path.name.partition("_")[0] for path in (REPOSITORY / "supabase" / "migrations").glob("*.sql")}
    lived.project.do("insert into supabase_migrations.schema_migrations (version) values ('20250101000000')")
    before = {version for (version,) in lived.project.rows(versions)}

    lived.project.down()

    assert before == {*ours, "20250101000000"}
    assert lived.project.rows(versions) == [("20250101000000",)]
