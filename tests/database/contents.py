"""What a database holds, for tests which claim that nothing changed."""

from __future__ import annotations

from psycopg import sql

from tests.database.harness import TestDatabase


def contents(db: TestDatabase) -> dict[str, tuple[int, str]]:
    """Of every table, public or internal: how many rows it has, and a digest over all of them."""
    tables = db.rows(
        """
        select relnamespace::regnamespace::text, relname from pg_class
        where relnamespace in ('public'::regnamespace, 'interlock'::regnamespace) and relkind = 'r'
        order by 1, 2
        """
    )
    found: dict[str, tuple[int, str]] = {}
    for schema, table in tables:
        row = db.admin.execute(
            sql.SQL(
                "select count(*), md5(coalesce(string_agg(item::text, '|' order by item::text), ''))"
                " from {} as item"
            ).format(sql.Identifier(schema, table))
        ).fetchone()
        assert row is not None
        found[table] = (row[0], row[1])
    return found
