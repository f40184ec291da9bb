"""Interlock: `claim_due_scan_jobs` and `finish_scan`, as the secret key calls them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import psycopg

_BATCH = 25
_FINISH = "select public.finish_scan(%s, %s, 'held', null, '[]', null, %s)"


def one(connection: psycopg.Connection) -> None:
    """Claim a job, finish it."""
    while True:
        for job in _claim(connection, 1):
            connection.execute(_FINISH, _finished(job))


def best(connection: psycopg.Connection) -> None:
    """Claim as many as scan_tick works on at once, and finish each without a wait for the one before."""
    while True:
        jobs = _claim(connection, _BATCH)
        with connection.pipeline():
            for job in jobs:
                connection.execute(_FINISH, _finished(job))


def late(connection: psycopg.Connection) -> None:
    """The lease runs out, another worker takes the job, the first one finishes."""
    (stalled,) = _claim(connection, 1)
    connection.execute("reset role")
    connection.execute(
        "update public.scan_jobs set lock_expires_at = now(), next_run_at = '-infinity' where id = %s",
        (stalled["id"],),
    )
    connection.execute("set role service_role")
    (taken_over,) = _claim(connection, 1)
    answer = connection.execute(_FINISH, _finished(stalled)).fetchone()
    if answer is None or taken_over["id"] != stalled["id"]:
        raise RuntimeError("the job was not taken over")
    print("refused" if answer[0]["outcome"] == "lease_lost" else "taken")  # noqa: T201 - the answer


def _claim(connection: psycopg.Connection, jobs: int) -> list[dict[str, Any]]:
    row = connection.execute("select public.claim_due_scan_jobs('a worker', %s)", (jobs,)).fetchone()
    claimed: list[dict[str, Any]] = row[0] if row else []
    return claimed


def _finished(job: dict[str, Any]) -> Sequence[object]:
    return job["id"], job["lock_token"], job["policy_hash"]


if __name__ == "__main__":
    with psycopg.connect(sys.argv[2], autocommit=True, prepare_threshold=0) as opened:
        opened.execute("set role service_role")
        {"one": one, "best": best, "late": late}[sys.argv[1]](opened)
