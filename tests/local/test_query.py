"""`make sql`: what the dashboard's SQL editor does, for a terminal."""

from __future__ import annotations

import os
import subprocess
import sys

from local.stack import REPOSITORY
from local.world import World


def _sql(text: str, url: str | None) -> tuple[int, str, str]:
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": "."} | ({"DATABASE_URL": url} if url else {})
    ran = subprocess.run(
        [sys.executable, "-m", "local.query"],
        cwd=REPOSITORY,
        env=environ,
        input=text,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return ran.returncode, " ".join(ran.stdout.split()), ran.stderr


def test_every_statement_is_answered(place: World) -> None:
    """Rows as a table, one row as names and values, JSON set out, and how many there were."""
    script = """
        select n, 'x' as letter from generate_series(1, 2) as n;
        select '{"a": 1.50}'::jsonb as told;
        select 1 where false
    """
    _, said, _ = _sql(script, place.stack.database_url)
    assert said == 'n letter 1 x 2 x (2 rows) told { "a": 1.5 } (1 row) (0 rows)'


def test_nothing_of_a_script_that_fails_is_kept(place: World) -> None:
    """One transaction: what stood before the failing statement is not there either."""
    code, _, error = _sql("create table public.kept (); select 1 / 0", place.stack.database_url)
    assert (code, error) == (1, "make sql: division by zero\n")
    _, said, _ = _sql("select to_regclass('public.kept') is null as gone", place.stack.database_url)
    assert said == "gone True (1 row)"


def test_without_an_address_it_says_where_to_get_one() -> None:
    """Nobody has to know where the variables of the local world are."""
    code, _, error = _sql("select 1", None)
    assert (code, ". .local/serve.env" in error) == (1, True)
