"""The claim of due jobs beside the best single statement over the same table."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Protocol

import psycopg
from psycopg import sql

from bench import due_jobs
from bench.due_jobs import CLIENTS, JOBS
from bench.table import Bench, Row, Sample, at_least
from local import stack

TARGET = 0.85
REPETITIONS = 9
_ACTS = {1: 200, 5: 80, 25: 24}
"""By how many jobs a claim takes: how many claims a client makes. Few, or both mostly pass over leases."""

_RPC = "select public.claim_due_scan_jobs(%(worker)s, %(jobs)s)"
_STATEMENT = sql.SQL("""
update public.scan_jobs as job
set
    locked_at = now(),
    locked_by = %(worker)s,
    lock_expires_at = now() + interval '2 minutes',
    lock_token = gen_random_uuid()
{beside}
where job.ctid = any (array(
        select due.ctid
        from public.scan_jobs as due
        where due.enabled
            and due.next_run_at <= now()
            and (due.lock_expires_at is null or due.lock_expires_at <= now())
            {of_whom}
        order by due.next_run_at, due.id
        limit %(jobs)s
        for update of due skip locked
    ))
    {unless}
returning job.id, job.user_id, job.lock_token, job.lock_expires_at {and_what}
""")
# The fastest of those tried: in, join, any over ids, any over row addresses, each with both kinds of plan.
_BARE = _STATEMENT.format(beside=sql.SQL(""), of_whom=sql.SQL(""), unless=sql.SQL(""), and_what=sql.SQL(""))
_WITH_POLICIES = _STATEMENT.format(
    beside=sql.SQL("from public.trading_policies as policy, public.trading_controls as controls"),
    of_whom=sql.SQL(
        "and exists (select from public.trading_owners as owner where owner.user_id = due.user_id)"
    ),
    unless=sql.SQL(
        "and policy.user_id = job.user_id and 'HALTED' not in (policy.trading_state, controls.trading_state)"
    ),
    and_what=sql.SQL(", policy.policy, policy.policy_hash"),
)


def claims_beside_one_statement() -> list[Row]:
    """In turns, on a fresh copy of the same database each time."""
    with stack.running("bench-claims") as base:
        filled = due_jobs.fill(base)
        return [row for jobs, acts in _ACTS.items() for row in _rows(base, filled, jobs, acts)]


def _rows(base: stack.Stack, filled: str, jobs: int, acts: int) -> list[Row]:
    clients: tuple[Client, ...] = (
        rpc,
        partial(statement, text=_BARE),
        partial(statement, text=_WITH_POLICIES),
    )
    measured: tuple[list[float], ...] = ([], [], [])
    for _ in range(REPETITIONS):
        for values, client in zip(measured, clients, strict=True):
            with due_jobs.copy(base, filled) as url:
                values.append(due_jobs.a_second(url, partial(client, jobs=jobs), acts))
    ours, best, with_policies = (Sample(tuple(values), "jobs/s") for values in measured)
    what = f"claims of {jobs} due job{'s' * (jobs > 1)}"
    return [
        Row(what, ours, f"one statement for {jobs}", best, at_least(TARGET)),
        Row(what, ours, f"one for {jobs}, handing out policies", with_policies),
    ]


class Client(Protocol):
    """A way to claim so many jobs at a time."""

    def __call__(self, connection: psycopg.Connection, number: int, *, jobs: int) -> Callable[[], int]:
        """From its connection and number, the act that is measured."""


def rpc(connection: psycopg.Connection, number: int, jobs: int) -> Callable[[], int]:
    """As the secret key calls it."""
    connection.execute("set role service_role")
    parameters = {"worker": f"worker {number}", "jobs": jobs}

    def act() -> int:
        connection.execute(_RPC, parameters)
        return jobs

    return act


def statement(
    connection: psycopg.Connection, number: int, text: sql.Composed, jobs: int
) -> Callable[[], int]:
    """As the table's owner, planned once."""
    connection.execute("set plan_cache_mode = force_generic_plan")
    parameters = {"worker": f"worker {number}", "jobs": jobs}
    return lambda: connection.execute(text, parameters).rowcount


BENCH = Bench(
    "claims",
    "Claims of due jobs",
    f"""
{JOBS:,} due jobs of as many owners, all in memory, {CLIENTS} clients on connections of their own, answers not
parsed: `claim_due_scan_jobs` beside the fastest single `update … returning` that takes the same number of
jobs under a lease and a fresh token, in turns, {REPETITIONS} times each on a fresh copy. That statement knows
the jobs alone; the claim also sees who is an owner, who is halted and whose worker crashed, and hands out
each job's policy. A second statement, without a target, looks at owners and halts and hands out policies too.
""",
    claims_beside_one_statement,
)
