"""What Supabase's own advisors say of the schema, and who may run what with its owner's rights."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from local import stack, supabase
from local.stack import REPOSITORY, Stack
from tests.database.harness import MUTANT

# Only an index that no query has used yet: on a fresh database, all of them.
TOLERATED = {"unused_index"}
OWNERS_RPCS = {
    "set_trading_policy(jsonb)",
    "set_trading_state(text,bigint,text)",
    "schedule_scan(boolean)",
    "decline_proposal(uuid)",
}


@pytest.fixture(scope="module")
def migrated(server: Stack, request: pytest.FixtureRequest) -> Iterator[psycopg.Connection]:
    """A database that the migrations built and no test has touched."""
    url = stack.fresh_database(server)
    try:
        with psycopg.connect(url, autocommit=True) as connection:
            mutant = request.config.stash.get(MUTANT, None)
            if mutant is not None:
                connection.execute(mutant.encode())
            yield connection
    finally:
        stack.drop_database(server, url)


def _url(connection: psycopg.Connection) -> str:
    info = connection.info
    return f"postgresql://{info.user}:{info.password}@{info.host}:{info.port}/{info.dbname}"


def test_the_advisors_find_nothing_but_unused_indexes(migrated: psycopg.Connection, tmp_path: Path) -> None:
    """`supabase db advisors` at level info on the migrated database."""
    tools = supabase.Tools.find(REPOSITORY / "node_modules")
    asked = subprocess.run(
        [
            tools.cli,
            "db",
            "advisors",
            f"--db-url={_url(migrated)}",
            "--level=info",
            "--fail-on=warn",
            "--output-format=json",
        ],
        env={
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(tmp_path),
            "PGSSLMODE": "disable",
            "SUPABASE_TELEMETRY_DISABLED": "1",
            "SUPABASE_NO_UPDATE_NOTIFIER": "1",
            "SUPABASE_NO_KEYRING": "1",
        },
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert asked.returncode == 0, asked.stderr
    advice = json.loads(asked.stdout)["results"]
    assert advice, "not even an unused index: the advisors looked at nothing"
    assert [(one["name"], one["detail"]) for one in advice if one["name"] not in TOLERATED] == []


def test_only_the_owners_rpcs_run_with_more_rights_than_their_caller_has(
    migrated: psycopg.Connection,
) -> None:
    """The definer functions that anon or authenticated may execute are four, each with its reason."""
    callable_by_users = migrated.execute(
        """
        select oid::regprocedure::text, obj_description(oid, 'pg_proc')
        from pg_proc
        where prosecdef
            and pronamespace not in ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
            and (
                has_function_privilege('anon', oid, 'execute')
                or has_function_privilege('authenticated', oid, 'execute')
            )
        """
    ).fetchall()
    assert {name.removeprefix("public.") for name, _ in callable_by_users} == OWNERS_RPCS
    assert [name for name, reason in callable_by_users if "Definer: " not in (reason or "")] == []


def test_every_function_names_its_search_path(migrated: psycopg.Connection) -> None:
    """Definer or not, no caller's search path decides what a name means."""
    assert (
        migrated.execute(
            """
            select oid::regprocedure::text from pg_proc
            where pronamespace in ('public'::regnamespace, 'interlock'::regnamespace)
                and not coalesce(proconfig @> array['search_path=""'], false)
            """
        ).fetchall()
        == []
    )


def test_every_internal_definer_function_gives_its_reason(migrated: psycopg.Connection) -> None:
    """Whatever runs with the owner's rights inside the database says why in its comment."""
    assert (
        migrated.execute(
            """
            select oid::regprocedure::text from pg_proc
            where pronamespace = 'interlock'::regnamespace and prosecdef
                and coalesce(obj_description(oid, 'pg_proc'), '') !~ 'Definer: '
            """
        ).fetchall()
        == []
    )


def test_nothing_is_executable_by_everyone(migrated: psycopg.Connection) -> None:
    """Postgres grants execute on every new function to public; the migrations take it back."""
    assert (
        migrated.execute(
            """
            select routine.oid::regprocedure::text
            from pg_proc as routine
            cross join lateral aclexplode(coalesce(routine.proacl, acldefault('f', routine.proowner))) as acl
            where routine.pronamespace in ('public'::regnamespace, 'interlock'::regnamespace)
                and acl.grantee = 0
            """
        ).fetchall()
        == []
    )


def test_every_rpc_answers_in_utc_and_jsonb(migrated: psycopg.Connection) -> None:
    """Whatever the session's time zone is, an RPC reads and answers instants in UTC."""
    assert (
        migrated.execute(
            """
            select oid::regprocedure::text from pg_proc
            where pronamespace = 'public'::regnamespace
                and (
                    prorettype <> 'jsonb'::regtype
                    or not coalesce(proconfig::text ~* 'timezone=utc', false)
                )
            """
        ).fetchall()
        == []
    )
