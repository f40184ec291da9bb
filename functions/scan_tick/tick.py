"""One tick: claim what is due, scan all of it side by side, say what came of it.

Ticks may overlap, and one may be killed at any point: a job belongs to whoever holds its lease, and a lease
runs out by itself.
"""

from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextvars import copy_context
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError

from functions.scan_tick.job import ClaimedJob, Outside, Result
from functions.scan_tick.reader import MarketReader
from functions.scan_tick.scan import scan
from shared.bitvavo import BitvavoReadonly
from shared.errors import DatabaseError, DatabaseUnavailable
from shared.events import Event
from shared.log import log

JOBS_AT_ONCE = 25
MARKETS_AT_ONCE = 8

CLAIM_FOR_S = 20.0
"""A tick claims no longer than this; what it holds then ends within a lease, before the platform gives up."""

_JOBS = TypeAdapter(list[ClaimedJob])


@dataclass(frozen=True)
class Summary:
    """What a tick did. `whole` is false when the database stopped answering claims half way."""

    results: tuple[Result, ...]
    market_reads: int
    duration_ms: int
    whole: bool

    def answer(self) -> dict[str, Any]:
        """The summary as JSON."""
        endings = [result.ending for result in self.results]
        return {
            "claimed": len(endings),
            "endings": {ending: endings.count(ending) for ending in sorted(set(endings))},
            "model_calls": sum(result.calls for result in self.results),
            "market_reads": self.market_reads,
            "duration_ms": self.duration_ms,
            "whole": self.whole,
            "jobs": [
                {
                    "id": str(result.job_id),
                    "ending": result.ending,
                    "reason": result.reason,
                    "proposal_id": None if result.proposal_id is None else str(result.proposal_id),
                    "model_calls": result.calls,
                }
                for result in self.results
            ],
        }


def tick(exchange: BitvavoReadonly, outside: Outside, instance_id: str) -> Summary:
    """Claim and scan until nothing is due or the time for claiming is over; returns when all jobs have ended.

    Claims again when half of the workers are free, as long as claims come back full. Raises DatabaseError
    when not even the first claim is answered.
    """
    started = outside.monotonic()
    results: list[Result] = []
    running: set[Future[Result]] = set()
    claiming = whole = True
    with (
        ThreadPoolExecutor(MARKETS_AT_ONCE, "market") as reads,
        ThreadPoolExecutor(JOBS_AT_ONCE, "job") as workers,
    ):
        markets = MarketReader(exchange, reads, outside.now, outside.monotonic)
        while claiming or running:
            free = JOBS_AT_ONCE - len(running)
            if claiming and free * 2 >= JOBS_AT_ONCE:
                claimed_at = outside.monotonic()
                try:
                    jobs = _claim(outside, instance_id, free)
                except DatabaseError as error:
                    if not results and not running:
                        raise
                    log(Event.SCAN_CLAIM_FAILED, error=error)
                    jobs, whole = [], False
                for job in jobs:
                    work = copy_context().run
                    running.add(workers.submit(work, scan, job, claimed_at, markets, outside))
                claiming = len(jobs) == free
            done, running = wait(running, return_when=FIRST_COMPLETED)
            results.extend(future.result() for future in done)
            claiming = claiming and outside.monotonic() - started < CLAIM_FOR_S
    duration_ms = round((outside.monotonic() - started) * 1000)
    summary = Summary(tuple(results), markets.reads, duration_ms, whole)
    log(Event.SCAN_TICK_FINISHED, **{k: v for k, v in summary.answer().items() if k != "jobs"})
    return summary


def _claim(outside: Outside, instance_id: str, most: int) -> list[ClaimedJob]:
    answer = outside.database.call("claim_due_scan_jobs", p_instance_id=instance_id, p_limit=most)
    try:
        return _JOBS.validate_python(answer)
    except ValidationError as error:
        raise DatabaseUnavailable("claim_due_scan_jobs gave an answer that cannot be read.") from error
