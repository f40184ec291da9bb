"""A database with 200,000 due jobs, copied for every trial, and clients that come at the same moment."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier
from queue import Queue

import psycopg
from psycopg import sql

from local import stack
from local.errors import LocalWorldError
from local.stack import Stack

JOBS = 200_000
CLIENTS = 4
_PATIENCE_S = 60.0
_POLICY = '{"allowlist": ["BTC-EUR"]}'

Client = Callable[[psycopg.Connection, int], Callable[[], int]]
"""From its connection and number, the act that is measured; it answers how many jobs it dealt with."""


def fill(base: Stack) -> str:
    """A database of owners whose scan is due, one job each; its URL."""
    url = stack.fresh_database(base)
    stack.seed_controls(url)
    with psycopg.connect(as_superuser(base, url), autocommit=True) as superuser:
        superuser.execute("set session_replication_role = replica")
        # Checking a policy takes longer than all the rest, and this one is known to be good.
        superuser.execute("alter table public.trading_policies drop constraint policy_is_complete_and_valid")
        superuser.execute(
            "insert into auth.users (id) select gen_random_uuid() from generate_series(1, %s)", (JOBS,)
        )
        superuser.execute("insert into public.trading_owners (user_id) select id from auth.users")
        superuser.execute(
            """
            insert into public.trading_policies (user_id, policy)
            select account.id, chosen.policy
            from auth.users as account, (select interlock.complete_policy(%s) as policy) as chosen
            """,
            (_POLICY,),
        )
        superuser.execute(
            """
            insert into public.scan_jobs (user_id, enabled, next_run_at)
            select id, true, now() - random() * interval '1 hour' from auth.users
            """
        )
        superuser.execute("vacuum analyze")
    return url


@contextmanager
def copy(base: Stack, url: str) -> Iterator[str]:
    """A copy of a database, as it was made, in memory and for this block alone; its URL."""
    name, template = f"trial_{time.monotonic_ns()}", url.rpartition("/")[2]
    with psycopg.connect(base.admin_url, autocommit=True) as admin:
        admin.execute(
            sql.SQL("create database {} template {} strategy file_copy").format(
                sql.Identifier(name), sql.Identifier(template)
            )
        )
        try:
            trial = f"{url.rpartition('/')[0]}/{name}"
            _warm(as_superuser(base, trial))
            yield trial
        finally:
            admin.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


def _warm(url: str) -> None:
    """Read every table and index into memory, as those of a database at work are."""
    with psycopg.connect(url, autocommit=True) as superuser:
        superuser.execute("create extension pg_prewarm")
        superuser.execute("select pg_prewarm(oid) from pg_class where relkind in ('r', 'i')")


def as_superuser(base: Stack, url: str) -> str:
    """The same database, for the superuser."""
    return f"{base.admin_url.rpartition('/')[0]}/{url.rpartition('/')[2]}"


def a_second(url: str, client: Client, acts: int) -> float:
    """How many jobs a second the clients deal with together, each doing so many acts after one to warm up."""
    context = get_context("fork")
    start, results = context.Barrier(CLIENTS), context.Queue()
    clients = [
        context.Process(target=_act, args=(url, client, number, acts, start, results), daemon=True)
        for number in range(CLIENTS)
    ]
    try:
        for process in clients:
            process.start()
        spans: list[tuple[float, float, int]] = [results.get(timeout=_PATIENCE_S) for _ in clients]
    finally:
        for process in clients:
            process.kill()
            process.join()
    dealt_with = sum(jobs for _, _, jobs in spans)
    if not dealt_with:
        raise LocalWorldError("The clients found no job that is due.")
    return dealt_with / (max(end for _, end, _ in spans) - min(began for began, _, _ in spans))


def _act(
    url: str,
    client: Client,
    number: int,
    acts: int,
    start: Barrier,
    results: Queue[tuple[float, float, int]],
) -> None:
    with psycopg.connect(url, autocommit=True, prepare_threshold=0) as connection:
        act = client(connection, number)
        with connection.transaction(force_rollback=True):
            act()
        start.wait(_PATIENCE_S)
        began = time.monotonic()
        jobs = sum(act() for _ in range(acts))
        results.put((began, time.monotonic(), jobs))
