"""Jobs claimed and finished a second, beside the queues that others would take."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from bench import due_jobs
from bench.due_jobs import CLIENTS, JOBS
from bench.table import Bench, Row, Sample, at_least
from local import stack
from local.errors import LocalWorldError
from local.processes import Child
from local.stack import REPOSITORY, Stack

REPETITIONS = 3
WARM_UP_S, MEASURED_S, PATIENCE_S = 0.5, 1.5, 60.0
_RIVALS = Path(__file__).parent / "rivals"


@dataclass(frozen=True)
class Queue:
    """A way to hand out jobs; `program` has the acts that `bench/rivals/__init__.py` tells of."""

    name: str
    program: str
    left: str
    """A query: how many jobs are not finished."""

    def command(self, act: str, url: str) -> list[str | Path]:
        """What runs an act."""
        if self.program.endswith(".mjs"):
            return [shutil.which("node") or "node", _RIVALS / self.program, act, url]
        return [sys.executable, "-m", f"bench.rivals.{self.program}", act, url]


INTERLOCK = Queue(
    "Interlock", "interlock", "select count(*) from public.scan_jobs where finished_token is null"
)
PGMQ = Queue("pgmq", "with_pgmq", "select count(*) from pgmq.q_jobs")
QUEUES = (
    PGMQ,
    Queue(
        "Procrastinate",
        "with_procrastinate",
        "select count(*) from procrastinate_jobs where status in ('todo', 'doing')",
    ),
    Queue("PgQueuer", "with_pgqueuer", "select count(*) from pgqueuer"),
    Queue(
        "Graphile Worker",
        "graphile_worker.mjs",
        "select count(*) from graphile_worker._private_jobs",
    ),
    Queue("pg-boss", "pg_boss.mjs", "select count(*) from pgboss.job where state <> 'completed'"),
)
_MODES = {"one": "one at a time", "best": "at its best"}


def claimed_and_finished() -> list[Row]:
    """All queues in turns, on fresh copies of databases that hold as many due jobs."""
    with stack.running("bench-queues") as base:
        filled = {INTERLOCK: due_jobs.fill(base)} | {queue: _filled(base, queue) for queue in QUEUES}
        fences = {queue: _fences(base, queue, url) for queue, url in filled.items()}
        if not fences[INTERLOCK]:
            raise LocalWorldError("A late worker finished a job that another one holds.")
        return [row for mode in _MODES for row in _rows(base, filled, fences, mode)]


def _rows(base: Stack, filled: dict[Queue, str], fences: dict[Queue, bool], mode: str) -> Iterator[Row]:
    measured: dict[Queue, list[float]] = {queue: [] for queue in filled}
    for _ in range(REPETITIONS):
        for queue, url in filled.items():
            with due_jobs.copy(base, url) as trial:
                measured[queue].append(_a_second(base, queue, trial, mode))
    samples = {queue: Sample(tuple(values), "jobs/s") for queue, values in measured.items()}
    for queue in QUEUES:
        yield Row(
            f"{INTERLOCK.name}, {_MODES[mode]}",
            samples[INTERLOCK],
            f"{queue.name}, {_MODES[mode]}",
            samples[queue],
            at_least(1) if fences[queue] or queue is PGMQ else None,
            "refuses a late worker" if fences[queue] else "takes a late worker's word",
        )


def _filled(base: Stack, queue: Queue) -> str:
    url = due_jobs.as_superuser(base, stack.fresh_database(base, migrated=False))
    _run(queue, "fill", url)
    with psycopg.connect(url, autocommit=True) as superuser:
        superuser.execute("vacuum analyze")
    return url


def _fences(base: Stack, queue: Queue, url: str) -> bool:
    """Whether a worker that lost its job to another can no longer finish it: tried, not read."""
    with due_jobs.copy(base, url) as trial:
        answer = _run(queue, "late", trial).split()[-1:]
    if answer not in (["refused"], ["taken"]):
        raise LocalWorldError(f"{queue.name} did not say what became of a late worker: {answer}")
    return answer == ["refused"]


def _run(queue: Queue, act: str, url: str) -> str:
    done = subprocess.run(  # noqa: S603 - a program of this repository
        queue.command(act, url),
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    if done.returncode:
        raise LocalWorldError(f"{queue.name} cannot {act}: {(done.stderr.strip() or done.stdout)[-1000:]}")
    return done.stdout


def _a_second(base: Stack, queue: Queue, url: str, mode: str) -> float:
    """How many jobs a second its workers finish together, once all of them are at work."""
    with _workers(base, queue, url, mode), psycopg.connect(url, autocommit=True) as observer:
        _wait_for_work(observer, queue)
        time.sleep(WARM_UP_S)
        began, before = time.monotonic(), _finished(observer, queue)
        time.sleep(MEASURED_S)
        ended, after = time.monotonic(), _finished(observer, queue)
    if after == JOBS:
        raise LocalWorldError(f"{queue.name} ran out of jobs: the bench needs more than {JOBS:,}.")
    return (after - before) / (ended - began)


@contextmanager
def _workers(base: Stack, queue: Queue, url: str, mode: str) -> Iterator[None]:
    workers = [
        Child.start(
            f"worker-{number}",
            queue.command(mode, url),
            folder=base.folder,
            environ={**os.environ, "PYTHONPATH": str(REPOSITORY)},
            cwd=REPOSITORY,
        )
        for number in range(CLIENTS)
    ]
    try:
        yield
    finally:
        for worker in workers:
            worker.stop()


def _wait_for_work(observer: psycopg.Connection, queue: Queue) -> None:
    until = time.monotonic() + PATIENCE_S
    while not _finished(observer, queue):
        if time.monotonic() > until:
            raise LocalWorldError(f"{queue.name} finished nothing in {PATIENCE_S:g} s.")
        time.sleep(0.2)


def _finished(observer: psycopg.Connection, queue: Queue) -> int:
    row = observer.execute(queue.left.encode()).fetchone()
    return JOBS - int(row[0]) if row else 0


BENCH = Bench(
    "queues",
    "Jobs claimed and finished",
    f"""
{JOBS:,} due jobs, {CLIENTS} workers in processes of their own, {REPETITIONS} times in turns, each time on a
fresh copy; counted in the database over {MEASURED_S:g} s once work is under way. Every queue works through
its own package: *one at a time* claims one job and finishes it before the next, *at its best* uses what the
package offers to be fast (batches, concurrency, a queue in the worker). Interlock's RPCs are called on a
connection, as the others call theirs; in production PostgREST stands between. What a job *is* differs:
Interlock's finish also judges the lease, settles model calls, writes the audit and says when the job runs
next, one job a call; the others strike the job off, some of them a hundred at once. A finish of many scans
at once would keep the first proposal from its owner until the last scan is done: there is none.

A queue *refuses a late worker* when one that stalled, and lost its job to another, cannot finish it any more.
That is tried in every run. The target is to be ahead of every queue that refuses, and of pgmq, which Supabase
itself offers.
""",
    claimed_and_finished,
)
