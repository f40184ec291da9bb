"""PgQueuer: its queue manager over an entry point that does nothing."""

from __future__ import annotations

import asyncio
import sys
from datetime import timedelta
from uuid import uuid4

import psycopg
from pgqueuer import Job, PgQueuer, Queries
from pgqueuer.db import PsycopgDriver
from pgqueuer.ports.repository import EntrypointExecutionParameter
from pgqueuer.types import QueueEntrypoint, QueueManagerId

from bench.due_jobs import JOBS

_BATCH = 100
_LEASE = timedelta(seconds=1)


async def fill(driver: PsycopgDriver) -> None:
    """Jobs of one entry point."""
    queries = Queries(driver)
    await queries.install()
    for _ in range(JOBS // 10_000):
        await queries.enqueue(["scan"] * 10_000, [None] * 10_000, [0] * 10_000)


async def one(driver: PsycopgDriver) -> None:
    """One job at a time."""
    await _work(driver, 1)


async def best(driver: PsycopgDriver) -> None:
    """A hundred at once."""
    await _work(driver, _BATCH)


async def late(driver: PsycopgDriver) -> None:
    """The heartbeat stops, another worker picks the job, the first one settles it."""
    queries = Queries(driver)

    async def pick() -> Job:
        (job,) = await queries.dequeue(
            batch_size=1,
            entrypoints={QueueEntrypoint("scan"): EntrypointExecutionParameter(concurrency_limit=0)},
            queue_manager_id=QueueManagerId(uuid4()),
            global_concurrency_limit=None,
            heartbeat_timeout=_LEASE,
        )
        return job

    stalled = await pick()
    await driver.execute("delete from pgqueuer where id <> $1", stalled.id)
    await asyncio.sleep(2 * _LEASE.total_seconds())
    taken_over = await pick()
    if taken_over.id != stalled.id:
        raise RuntimeError("the job was not taken over")
    await queries.log_jobs([(stalled, "successful", None)])
    print("refused" if await driver.fetch("select from pgqueuer") else "taken")  # noqa: T201 - the answer


async def _work(driver: PsycopgDriver, batch: int) -> None:
    worker = PgQueuer(driver)

    @worker.entrypoint("scan")
    async def scan(job: Job) -> None:
        """Nothing."""

    await worker.run(batch_size=batch)


async def _main(act: str, url: str) -> None:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await {"fill": fill, "one": one, "best": best, "late": late}[act](PsycopgDriver(connection))


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:]))
