"""The schemas are the truth: the migrations build what they say, from nothing and from phase 1."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from local import stack
from local.errors import LocalWorldError
from local.stack import Stack
from tests.database.phases import fill_with_phase_1, project
from tools import schemas
from tools.migration import REPOSITORY
from tools.migration import text as migration

CHANGES = {
    "a column": "alter table public.trading_owners add column extra integer",
    "a rule": "alter table public.trading_owners drop constraint note_is_short",
    "an index": "drop index public.jobs_by_user",
    "a comment": "comment on column public.trading_owners.note is 'else'",
    "a trigger": "drop trigger rows_are_never_deleted on public.trade_executions",
    "a trigger's being on": "alter table public.trade_executions disable trigger rows_are_never_truncated",
    "a policy": "drop policy owners_read_their_own on public.trading_owners",
    "row-level security": "alter table public.trading_owners disable row level security",
    "a grant on a table": "grant select on public.trading_owners to anon",
    "a grant on a column": "grant select (note) on public.trading_owners to anon",
    "a grant on a function": "grant execute on function interlock.digest(text) to anon",
    "a missing grant": "revoke execute on function public.halt_trading(text) from service_role",
    "what a new function may be called by": "alter default privileges grant execute on functions to public",
    "whose rights a function has": "alter function public.halt_trading(text) security invoker",
    "a function's settings": "alter function public.halt_trading(text) reset all",
    "whose rights a view has": "alter view public.scan_health set (security_invoker = false)",
}
TOLD = {
    "a column": r'drop column "extra"',
    "a rule": r'add constraint "note_is_short"',
    "an index": r"create index jobs_by_user",
    "a comment": r'comment on column "public"."trading_owners"."note"',
    "a trigger": r"create trigger rows_are_never_deleted",
    "a trigger's being on": r'enable trigger "rows_are_never_truncated"',
    "a policy": r'create policy "owners_read_their_own"',
    "row-level security": r"enable row level security",
    "a grant on a table": r'revoke all on table "public"."trading_owners" from "anon"',
    "a grant on a column": r'revoke all \("note"\) on table "public"."trading_owners"',
    "a grant on a function": r'revoke all on function "interlock"."digest"\(text\) from "anon"',
    "a missing grant": r'grant execute on function "public"."halt_trading"\(text\) to "service_role"',
    "what a new function may be called by": r"alter default privileges.* on functions from public",
    "whose rights a function has, and its settings": r"halt_trading.*security definer.*search_path",
    "whose rights a view has": r'alter view "public"."scan_health" set \(security_invoker=true\)',
}


@pytest.fixture(scope="module")
def desired(server: Stack) -> Iterator[str]:
    """A database that the schemas built."""
    url = stack.fresh_database(server, migrated=False)
    try:
        schemas.build(REPOSITORY, url)
        yield url
    finally:
        stack.drop_database(server, url)


def test_the_migrations_build_what_the_schemas_say(server: Stack, desired: str) -> None:
    """Nothing separates a project that began empty from the schemas."""
    with project(server, migrated=True) as made:
        assert schemas.difference(REPOSITORY, made.url, desired) == ""


def test_a_phase_1_project_becomes_what_the_schemas_say(server: Stack, desired: str) -> None:
    """Nor a project that had phase 1."""
    with project(server, migrated=False) as made:
        fill_with_phase_1(made)
        made.up()
        assert schemas.difference(REPOSITORY, made.url, desired) == ""


def test_whatever_is_changed_by_hand_is_told(server: Stack, desired: str) -> None:
    """The comparison is not blind to any kind of thing that the schemas hold."""
    with project(server, migrated=False, copied_from=desired) as made:
        for change in CHANGES.values():
            made.do(change)
        told = schemas.difference(REPOSITORY, made.url, desired)
    for named, statement in TOLD.items():
        assert re.search(statement, told, re.IGNORECASE | re.DOTALL), named


def test_a_migration_ends_by_making_the_api_read_the_schema_again() -> None:
    """Else new RPCs answer 404 for minutes; and it never waits for a lock without end."""
    written = migration("add_exposure", "SELECT 1;")
    assert written.rstrip().endswith("notify pgrst, 'reload schema';")
    assert "set local lock_timeout" in written


def test_a_schema_file_that_no_path_names_is_told(tmp_path: Path) -> None:
    """Else what somebody wrote would be in no migration."""
    place = tmp_path / "supabase" / "schemas"
    place.mkdir(parents=True)
    (tmp_path / "supabase" / "config.toml").write_text('[db.migrations]\nschema_paths = ["schemas/a*.sql"]\n')
    (place / "a.sql").write_text("select 1;")
    assert schemas.files(tmp_path) == [place / "a.sql"]
    (place / "b.sql").write_text("select 2;")
    with pytest.raises(LocalWorldError, match=r"b\.sql"):
        schemas.files(tmp_path)


def test_a_file_is_named_for_its_function() -> None:
    """One function a file: whoever looks for it finds it."""
    for file in schemas.files(REPOSITORY):
        names = re.findall(r"^create function \w+\.(\w+)", file.read_text(), re.MULTILINE)
        assert names in ([], [file.stem])


def test_every_function_runs_as_it_is_written(desired: str) -> None:
    """The schemas are applied unchecked, so that order within a folder is free; here each body is checked."""
    with psycopg.connect(desired) as connection:
        for (definition,) in connection.execute(
            "select pg_get_functiondef(oid) from pg_proc"
            " where pronamespace in ('public'::regnamespace, 'interlock'::regnamespace)"
        ).fetchall():
            connection.execute(definition)
        connection.rollback()
