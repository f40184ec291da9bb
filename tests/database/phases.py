"""A project between its phases: the way up, the way down, and all of it that can be compared."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import psycopg
from psycopg import sql

from local import stack, supabase
from local.stack import REPOSITORY, Stack
from tests.database.harness import TestDatabase

PHASE_1 = Path(__file__).with_name("phase1.sql")
ROLLBACK = REPOSITORY / "supabase" / "rollback" / "to_phase_1.sql"
ARCHIVE = "interlock_archive"

_SCHEMA = """
with place as (
    select relation.*, relation.oid::regclass::text as name
    from pg_class as relation
    where relation.relnamespace in (select oid from pg_namespace where nspname = any (%(schemas)s))
)
select 'table', name, concat_ws(
        ' ', relkind, relowner::regrole, relrowsecurity, relforcerowsecurity, reloptions,
        obj_description(oid, 'pg_class'), pg_get_viewdef(case relkind when 'v' then oid end),
        (
            select string_agg(granted::text, ', ' order by granted::text)
            from unnest(coalesce(relacl, acldefault('r', relowner))) as granted
        )
    )
from place where relkind in ('r', 'v', 'S')
union all
select 'columns in order', name, string_agg(attname, ', ' order by attnum)
from place join pg_attribute on attrelid = oid and attnum > 0 and not attisdropped
where relkind in ('r', 'v')
group by name
union all
select 'column', name || '.' || attname, concat_ws(
        ' ', format_type(atttypid, atttypmod), attnotnull, attgenerated::text, attacl,
        pg_get_expr(adbin, adrelid), col_description(place.oid, attnum)
    )
from place
join pg_attribute on attrelid = place.oid and attnum > 0 and not attisdropped
left join pg_attrdef on adrelid = place.oid and adnum = attnum
where relkind in ('r', 'v')
union all
select 'constraint', name || '.' || conname, pg_get_constraintdef(rule.oid)
from place join pg_constraint as rule on conrelid = place.oid
union all
select 'index', indexrelid::regclass::text, pg_get_indexdef(indexrelid)
from place join pg_index on indrelid = oid
union all
select 'trigger', name || '.' || tgname, concat_ws(' ', pg_get_triggerdef(rule.oid), tgenabled::text)
from place join pg_trigger as rule on tgrelid = place.oid and not tgisinternal
union all
select 'policy', name || '.' || polname, concat_ws(
        ' ', polcmd::text, polpermissive, polroles::regrole[], pg_get_expr(polqual, place.oid),
        pg_get_expr(polwithcheck, place.oid)
    )
from place join pg_policy on polrelid = place.oid
union all
select 'function', routine.oid::regprocedure::text, concat_ws(
        ' ', pg_get_functiondef(routine.oid), obj_description(routine.oid, 'pg_proc'),
        (select string_agg(granted::text, ', ' order by granted::text) from unnest(proacl) as granted)
    )
from pg_proc as routine
join pg_namespace as space on space.oid = pronamespace and nspname = any (%(schemas)s)
union all
select 'schema', nspname, concat_ws(
        ' ', obj_description(oid, 'pg_namespace'),
        (select string_agg(granted::text, ', ' order by granted::text) from unnest(nspacl) as granted)
    )
from pg_namespace where nspname = any (%(schemas)s)
union all
select 'default privileges', concat_ws(
        ' ', defaclrole::regrole, defaclnamespace::regnamespace, defaclobjtype::text
    ), (select string_agg(granted::text, ', ' order by granted::text) from unnest(defaclacl) as granted)
from pg_default_acl
"""


@dataclass(frozen=True)
class Contents:
    """Everything in schemas public, interlock and interlock_archive."""

    schema: dict[tuple[str, str], str]
    """Kind and name of an object: its definition, comment and grants."""
    rows: dict[str, list[str]]
    """Table: its rows as JSON text, in one order."""

    def without_order(self) -> dict[tuple[str, str], str]:
        """The schema, whatever the order of the columns, without the archive."""
        return {
            (kind, name): definition
            for (kind, name), definition in self.schema.items()
            if kind != "columns in order" and not name.startswith(ARCHIVE)
        }


@dataclass(frozen=True)
class Project:
    """One database, at whatever phase it is."""

    server: Stack
    url: str

    def up(self) -> None:
        """Apply the migrations as an operator does. Raises LocalWorldError."""
        tools = supabase.Tools.find(REPOSITORY / "node_modules")
        supabase.migrate(self.server.folder, REPOSITORY, tools, self.url)

    def down(self) -> None:
        """Roll back as role postgres, in a session of another time zone. Raises psycopg.Error."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute("set timezone = 'Asia/Tokyo'")
            connection.execute(ROLLBACK.read_bytes())

    def do(self, statements: str, *values: object) -> None:
        """Write as role postgres."""
        with psycopg.connect(self.url) as connection:
            connection.execute(statements, values or None)

    def rows(self, query: str, *values: object) -> list[tuple[object, ...]]:
        """Read as role postgres."""
        with psycopg.connect(self.url) as connection:
            connection.execute("set timezone = 'UTC'")
            return connection.execute(query, values or None).fetchall()

    def by_id(self, table: str) -> dict[UUID, dict[str, object]]:
        """The rows of a table that has an id, as JSON, by that id."""
        found: dict[UUID, dict[str, object]] = {}
        for identity, row in self.rows(f"select id, to_jsonb(here) from {table} as here"):  # noqa: S608 - our own names
            assert isinstance(identity, UUID)
            assert isinstance(row, dict)
            found[identity] = row
        return found

    @contextmanager
    def opened(self) -> Iterator[TestDatabase]:
        """The callers of a phase-2 project, on the real clock."""
        database = TestDatabase(self.url, psycopg.connect(self.url, autocommit=True))
        try:
            yield database
        finally:
            database.close()

    def look(self) -> Contents:
        """All of it."""
        schemas = ["public", "interlock", ARCHIVE]
        with psycopg.connect(self.url) as connection:
            connection.execute("set timezone = 'UTC'")
            schema = {
                (kind, name): definition
                for kind, name, definition in connection.execute(_SCHEMA, {"schemas": schemas})
            }
            rows = {}
            for (kind, name), definition in schema.items():
                if kind == "table" and definition.startswith("r "):
                    query = sql.SQL("select to_jsonb(here)::text from {} as here order by 1").format(
                        sql.Identifier(*name.split("."))
                    )
                    rows[name] = [row for (row,) in connection.execute(query)]
        return Contents(schema, rows)


@contextmanager
def project(server: Stack, *, migrated: bool, copied_from: str | None = None) -> Iterator[Project]:
    """A database for the block: empty, migrated from empty, or a copy of one that nobody is connected to."""
    if copied_from is None:
        url = stack.fresh_database(server, migrated=migrated)
    else:
        name = f"fresh_{os.urandom(6).hex()}"
        with psycopg.connect(server.admin_url, autocommit=True) as admin:
            admin.execute(
                sql.SQL("create database {} template {} owner postgres strategy file_copy").format(
                    sql.Identifier(name), sql.Identifier(copied_from.rpartition("/")[2])
                )
            )
        url = f"{copied_from.rpartition('/')[0]}/{name}"
    try:
        yield Project(server, url)
    finally:
        stack.drop_database(server, url)


def user(of: Project) -> UUID:
    """Somebody who can sign in."""
    identity = UUID(bytes=os.urandom(16), version=4)
    of.do("insert into auth.users (id, email) values (%s, %s)", identity, f"{identity}@example.test")
    return identity


def fill_with_phase_1(empty: Project) -> UUID:
    """Make phase 1's tables with their awkward rows; the user whose rows they are."""
    owner = user(empty)
    empty.do(PHASE_1.read_text().replace(":'owner'", f"'{owner}'"))
    return owner


def differences(
    before: dict[tuple[str, str], str], after: dict[tuple[str, str], str]
) -> dict[tuple[str, str], tuple[str | None, str | None]]:
    """What is not the same: as it was, as it is."""
    return {
        name: (before.get(name), after.get(name))
        for name in sorted({*before, *after})
        if before.get(name) != after.get(name)
    }
