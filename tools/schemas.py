"""`supabase/schemas/`, the truth about the database, and what still separates a database from it.

People read and edit the schemas; projects get migrations. What a migration has to say is the difference
between a database that the migrations built and one that the schemas built, as ``pgdelta`` renders it.
"""

from __future__ import annotations

import subprocess
import tempfile
import tomllib
from pathlib import Path

import psycopg

from local.errors import LocalWorldError

SUPABASE = Path("supabase")
NO_ACTIONS = 3  # pgdelta render's exit code


def files(repository: Path) -> list[Path]:
    """The schema files in the order in which they are applied: that of ``schema_paths`` in ``config.toml``.

    Raises:
        LocalWorldError: a file that no path names, or that two name: missed, or applied twice.
    """
    root = repository / SUPABASE
    settings = tomllib.loads((root / "config.toml").read_text())
    globs = settings["db"]["migrations"]["schema_paths"]
    named = [found for glob in globs for found in sorted(root.glob(glob))]
    strays = sorted(set((root / "schemas").rglob("*.sql")).symmetric_difference(named))
    if strays or len(named) != len(set(named)):
        raise LocalWorldError(f"schema_paths must name each schema file once; look at {strays or named}.")
    return named


def build(repository: Path, database_url: str) -> None:
    """Apply the schemas to a database that no migration has touched, in one transaction.

    Bodies are checked when they run: files of one folder may call each other whatever they are called.

    Raises:
        LocalWorldError: a file does not apply; with its name and what Postgres said.
    """
    with psycopg.connect(database_url) as connection:
        connection.execute("set local check_function_bodies = off")
        for file in files(repository):
            try:
                connection.execute(file.read_bytes())
            except psycopg.Error as error:
                raise LocalWorldError(f"{file.relative_to(repository)}: {error}") from error


def difference(repository: Path, source_url: str, desired_url: str) -> str:
    """The SQL that turns one database into the other; empty when they agree.

    Raises:
        LocalWorldError: pgdelta cannot tell.
    """
    pgdelta = repository / "node_modules" / ".bin" / "pgdelta"
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        plan = place / "plan.json"
        databases = ("--source", source_url, "--desired", desired_url)
        # Of a hosted project, what the platform itself keeps is left out.
        _run(pgdelta, "plan", *databases, "--profile", "supabase", "--renames", "off", "--out", plan)
        if _run(pgdelta, "render", "--plan", plan, "--out", place / "step", "--allow-drops") == NO_ACTIONS:
            return ""
        return "\n".join(part.read_text() for part in sorted(place.glob("step*.sql")))


def _run(*command: str | Path) -> int:
    ended = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    if ended.returncode not in (0, NO_ACTIONS):
        raise LocalWorldError(f"{Path(command[0]).name} {command[1]} failed: {ended.stderr.strip()[-2000:]}")
    return ended.returncode
