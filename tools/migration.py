"""``make migration NAME=add_exposure``: what the schemas say and the migrations do not yet, to read."""

from __future__ import annotations

import re
import sys
from datetime import UTC, datetime
from pathlib import Path

from local import stack
from local.errors import LocalWorldError
from tools import schemas

REPOSITORY = Path(__file__).resolve().parents[1]
MIGRATIONS = REPOSITORY / "supabase" / "migrations"
_MIGRATION = """\
-- Purpose: {purpose}.

set local lock_timeout = '5s';
set local statement_timeout = '60s';

{statements}

notify pgrst, 'reload schema';
"""


def text(name: str, statements: str) -> str:
    """The migration's text. Its last statement makes PostgREST read the schema again."""
    return _MIGRATION.format(purpose=name.replace("_", " "), statements=statements.strip())


def main(name: str, now: datetime) -> None:
    """Write the migration, or say that there is nothing to write.

    Raises:
        SystemExit: the name is none, or one of the two databases cannot be built; with a sentence.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]{2,60}", name):
        sys.exit("Name the migration for what it does: make migration NAME=add_exposure_limits")

    try:
        with stack.running("migration") as server:
            migrated = stack.fresh_database(server)
            desired = stack.fresh_database(server, migrated=False)
            schemas.build(REPOSITORY, desired)
            statements = schemas.difference(REPOSITORY, migrated, desired)
    except LocalWorldError as error:
        sys.exit(str(error))
    if not statements:
        print("Nothing to write: the migrations build what the schemas say.")
        return
    file = MIGRATIONS / f"{now:%Y%m%d%H%M%S}_{name}.sql"
    file.write_text(text(name, statements))
    print(f"{file.relative_to(REPOSITORY)}: read it, say in its first line why, commit it with the schemas.")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "", datetime.now(UTC))
