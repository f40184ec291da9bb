"""Procrastinate: its worker over a task that does nothing."""

from __future__ import annotations

import asyncio
import sys

import procrastinate
import psycopg
from procrastinate.jobs import Status

from bench.due_jobs import JOBS

_CONCURRENCY = 20


async def fill(app: procrastinate.App) -> None:
    """Jobs of one task."""
    await app.schema_manager.apply_schema_async()
    with psycopg.connect(sys.argv[2], autocommit=True) as connection:
        connection.execute(
            """
            insert into procrastinate_jobs (queue_name, task_name, args, status)
            select 'default', 'scan', jsonb_build_object('job', number), 'todo'
            from generate_series(1, %s) as number
            """,
            (JOBS,),
        )


async def one(app: procrastinate.App) -> None:
    """One job at a time."""
    await app.run_worker_async(concurrency=1, install_signal_handlers=False)


async def best(app: procrastinate.App) -> None:
    """Many at once; each is fetched by itself, and goes when it is done."""
    await app.run_worker_async(concurrency=_CONCURRENCY, delete_jobs="always", install_signal_handlers=False)


async def late(app: procrastinate.App) -> None:
    """The job counts as stalled and is retried, another worker fetches it, the first one finishes it."""
    jobs = app.job_manager
    workers = [await jobs.register_worker() for _ in range(2)]
    stalled = await jobs.fetch_job(None, workers[0])
    if stalled is None or stalled.id is None:
        raise RuntimeError("there is no job")
    await jobs.retry_job_by_id_async(stalled.id, retry_at=None, priority=1_000)
    taken_over = await jobs.fetch_job(None, workers[1])
    if taken_over is None or stalled.id != taken_over.id:
        raise RuntimeError("the job was not taken over")
    await jobs.finish_job(stalled, Status.SUCCEEDED, delete_job=False)
    print("taken" if await jobs.get_job_status_async(stalled.id) == Status.SUCCEEDED else "refused")  # noqa: T201 - the answer


async def _main(act: str, url: str) -> None:
    app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=url))

    @app.task(name="scan")
    async def scan(job: int) -> None:
        """Nothing."""

    async with app.open_async():
        await {"fill": fill, "one": one, "best": best, "late": late}[act](app)


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:]))
