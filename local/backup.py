"""``make backup`` and ``make restore``: the database of ``make serve`` copied, and the copy put back.

To rehearse what a restore of a hosted project does: everything since the copy is forgotten, and the exchange
has not forgotten it. The functions and the API keep running; their connections are cut, as a restore does.
"""

from __future__ import annotations

import sys

import psycopg
from psycopg import sql

from local.errors import LocalWorldError
from local.serve import NAME
from local.stack import Stack, started

_SERVED = "postgres"
_COPY = "interlock_backup"


def main(arguments: list[str]) -> None:
    """``take`` or ``put-back``; a failure is one line and exit 1."""
    try:
        match arguments:
            case ["take"]:
                _copy(started(NAME), _SERVED, _COPY)
                print("Copied. make restore puts it back.")
            case ["put-back"]:
                _copy(started(NAME), _COPY, _SERVED)
                print("Restored: what happened since the copy is forgotten, at the exchange it is not.")
            case _:
                sys.exit("usage: python -m local.backup take|put-back")
    except LocalWorldError as error:
        sys.exit(f"make {'restore' if arguments == ['put-back'] else 'backup'}: {error}")


def _copy(stack: Stack, source: str, copy: str) -> None:
    """Replace one database by a copy of another, whoever is connected to them. Raises LocalWorldError."""
    place = f"{stack.admin_url.rpartition('/')[0]}/template1"
    try:
        with psycopg.connect(place, autocommit=True) as admin:
            if not admin.execute("select 1 from pg_database where datname = %s", (source,)).fetchone():
                raise LocalWorldError("There is no copy yet: make backup takes one.")
            names = {"source": sql.Identifier(source), "copy": sql.Identifier(copy)}
            admin.execute(sql.SQL("alter database {source} with allow_connections false").format(**names))
            try:
                admin.execute(sql.SQL("drop database if exists {copy} with (force)").format(**names))
                admin.execute(
                    "select pg_terminate_backend(pid) from pg_stat_activity where datname = %s", (source,)
                )
                admin.execute(
                    sql.SQL(
                        "create database {copy} template {source} owner postgres strategy file_copy"
                    ).format(**names)
                )
            finally:
                admin.execute(sql.SQL("alter database {source} with allow_connections true").format(**names))
    except psycopg.Error as error:
        raise LocalWorldError(f"Postgres refuses: {' '.join(str(error).split())}") from error


if __name__ == "__main__":
    main(sys.argv[1:])
