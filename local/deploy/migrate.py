"""`python -m local.deploy.migrate FILE`: `supabase/migrations`, applied with the pinned Supabase CLI.

The password is in the environment of that program alone (PGPASSWORD), not in the address on its command line.
"""

from __future__ import annotations

import sys
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

from local import supabase
from local.deploy.envfile import read
from local.errors import LocalWorldError

_REPOSITORY = Path(__file__).resolve().parents[2]
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def main(file: Path) -> None:
    """Apply what is not applied yet. Ends the program with a sentence when a migration fails."""
    given = read(file)
    folder = _REPOSITORY / ".local" / "deploy"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    parts = urlsplit(given["SUPABASE_DB_URL"])
    password = quote(given["SUPABASE_DB_PASSWORD"], safe="")
    with_password = f"{parts.username}:{password}@{parts.hostname}:{parts.port or 5432}"
    try:
        supabase.migrate(
            folder,
            _REPOSITORY,
            supabase.Tools.find(_REPOSITORY / "node_modules"),
            urlunsplit(parts._replace(netloc=with_password)),
            sslmode="disable" if parts.hostname in _LOOPBACK else "require",
        )
    except LocalWorldError as error:
        sys.exit(str(error))
    print("The migrations are applied.")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
