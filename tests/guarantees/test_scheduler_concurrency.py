"""A scan job is held by one worker at a time, and a crashed worker's job comes free."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg

from tests.people import People


def _claim(people: People, worker: str) -> dict[UUID, dict[str, Any]]:
    jobs = people.service.call("claim_due_scan_jobs", p_instance_id=worker, p_limit=100)
    return {UUID(job["id"]): job for job in jobs}


def test_a_claimed_job_is_not_claimed_again(people: People) -> None:
    """While one worker holds a job, another worker that claims gets others, never this one."""
    _, job = people.scanned_owner()

    first = _claim(people, "worker-1")
    second = _claim(people, "worker-2")

    assert job in first
    assert job not in second


def test_two_ticks_at_once_ask_the_model_once_for_one_job(people: People) -> None:
    """A scheduler that delivers twice costs no second model call and writes no second proposal."""
    owner, _ = people.scanned_owner()

    people.run("scan_tick")
    people.run("scan_tick")

    assert len(owner.read("gpt_usage_log")) == 1
    assert len(owner.read("trade_proposals")) <= 1


def test_an_expired_lock_is_released_and_counts_as_a_failure(
    people: People, database: psycopg.Connection
) -> None:
    """A lock past its time is released by cleanup; the crash it stands for is counted."""
    _, job = people.scanned_owner()
    database.execute(
        """
        update public.scan_jobs
        set
            locked_at = interlock.clock() - %s,
            locked_by = 'crashed-worker',
            lock_expires_at = interlock.clock() - %s
        where id = %s
        """,
        (timedelta(seconds=130), timedelta(seconds=10), job),
    )

    released = people.service.call("cleanup_expired_locks")

    assert int(released["released"]) >= 1
    row = database.execute(
        "select locked_by, consecutive_failures, last_error from public.scan_jobs where id = %s", (job,)
    ).fetchone()
    assert row == (None, 1, "worker crashed-worker did not finish")
    assert job in _claim(people, "worker-3")


def test_a_worker_that_lost_its_lease_finishes_nothing(people: People, database: psycopg.Connection) -> None:
    """Only the token of the lease ends it; the late worker is told so and stores no proposal."""
    owner, job = people.scanned_owner()
    late = _claim(people, "late-worker")[job]
    database.execute(
        "update public.scan_jobs set lock_expires_at = interlock.clock() - interval '1 s' where id = %s",
        (job,),
    )
    current = _claim(people, "next-worker")[job]

    answer = people.service.call(
        "finish_scan",
        p_scan_job_id=job,
        p_lock_token=late["lock_token"],
        p_outcome="proposed",
        p_reason=None,
        p_usage=[],
        p_proposal={
            "id": uuid4(),
            "market": "BTC-EUR",
            "side": "buy",
            "order_type": "market",
            "amount_quote": "10.00",
            "reference_price": "60000",
            "confidence": "80",
        },
        p_policy_hash=late["policy_hash"],
    )

    assert answer["outcome"] == "lease_lost"
    assert owner.read("trade_proposals") == []
    row = database.execute("select lock_token from public.scan_jobs where id = %s", (job,)).fetchone()
    assert row == (UUID(current["lock_token"]),)
