"""A tick that is killed at any point loses no job, proposes nothing twice, and leaves its call counted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any
from uuid import UUID

import psycopg
import pytest

from local.faults.serving import serving
from local.model import Decision, create_app
from local.owner import Owner
from local.world import World
from tests.people import People
from tests.worker import ASK, Worker, a_worker, wait_until

POINTS = [
    pytest.param("reserve_gpt_call", "hold_request", [], id="before the reservation"),
    pytest.param("reserve_gpt_call", "hold_answer", ["RESERVED"], id="after the reservation"),
    pytest.param(ASK, "hold_request", ["RESERVED"], id="before the model answers"),
    pytest.param(ASK, "hold_answer", ["RESERVED"], id="when the model has answered"),
    pytest.param("finish_scan", "hold_request", ["RESERVED"], id="before the finish"),
]


def always_buy(data: Mapping[str, Any]) -> Decision:
    """A model that proposes whatever the prices are."""
    rationale = "The price is below its average and has turned."
    return Decision("buy", data["markets"][0]["market"], Decimal(10), Decimal(90), rationale)


@pytest.fixture(scope="module")
def model() -> Iterator[str]:
    """The base URL of that model."""
    with serving(create_app(always_buy)) as address:
        yield f"{address}/v1"


@pytest.fixture(scope="module")
def next_worker(place: World, model: str) -> Iterator[Worker]:
    """A worker that nothing happens to."""
    with a_worker(place, model_url=model) as worker:
        yield worker


def expire(database: psycopg.Connection, job: UUID) -> None:
    """Two minutes pass for the lease of a job."""
    database.execute(
        "update public.scan_jobs set lock_expires_at = interlock.clock() - interval '1 s' where id = %s",
        (job,),
    )


def calls(owner: Owner) -> list[str]:
    """How the owner's model calls stand, oldest first."""
    return [row["status"] for row in owner.read("gpt_usage_log", order="created_at.asc")]


@pytest.mark.parametrize(("call", "fault", "left"), POINTS)
def test_a_killed_tick_is_made_up_for_by_the_next(
    place: World,
    people: People,
    database: psycopg.Connection,
    model: str,
    next_worker: Worker,
    call: str,
    fault: str,
    left: list[str],
) -> None:
    """Once the lease is over another tick scans the job: one proposal, and the lost call still counts."""
    owner, job = people.scanned_owner()
    with a_worker(place, model_url=model) as worker:
        worker.held_at(call, fault)
        worker.kill()
    assert calls(owner) == left
    assert owner.read("trade_proposals") == []

    expire(database, job)
    next_worker.tick().result(60)

    assert calls(owner) == [*left, "SUCCEEDED"]
    assert len(owner.read("trade_proposals")) == 1
    (row,) = owner.read("scan_jobs")
    assert row["locked_by"] is None
    assert row["consecutive_failures"] == 0
    assert people.service.call("check_gpt_budget", p_user_id=owner.user_id, p_daily=100, p_hourly=100)[
        "daily_used"
    ] == str(len(left) + 1)


def test_a_tick_killed_after_its_finish_is_finished(
    place: World, people: People, model: str, next_worker: Worker
) -> None:
    """The finish was one transaction: the proposal is there, the job is released, nothing is done again."""
    owner, _ = people.scanned_owner()
    with a_worker(place, model_url=model) as worker:
        worker.held_at("finish_scan", "hold_answer")
        worker.kill()

    next_worker.tick().result(60)

    assert calls(owner) == ["SUCCEEDED"]
    assert len(owner.read("trade_proposals")) == 1


def test_a_tick_killed_with_its_claim_loses_no_job(
    place: World, people: People, database: psycopg.Connection, model: str, next_worker: Worker
) -> None:
    """A claim whose answer never arrived holds the job for one lease and no longer."""
    owner, job = people.scanned_owner()
    with a_worker(place, model_url=model) as worker:
        worker.held_at("claim_due_scan_jobs", "hold_answer")
        worker.kill()
    next_worker.tick().result(60)
    assert calls(owner) == []

    expire(database, job)
    next_worker.tick().result(60)

    assert calls(owner) == ["SUCCEEDED"]


def test_a_job_that_kills_its_worker_counts_as_failing(
    place: World, people: People, database: psycopg.Connection, model: str
) -> None:
    """A crash in the middle is a failure of the job, until a scan succeeds."""
    owner, job = people.scanned_owner()
    with a_worker(place, model_url=model) as worker:
        worker.held_at(ASK, "hold_answer")
        worker.kill()
    expire(database, job)

    people.service.call("claim_due_scan_jobs", p_instance_id="the next worker", p_limit=100)

    (row,) = owner.read("scan_jobs")
    assert row["consecutive_failures"] == 1
    assert "did not finish" in row["last_error"]


def test_an_answer_that_outlived_its_lease_keeps_its_tokens_and_proposes_nothing(
    place: World, people: People, database: psycopg.Connection, model: str, next_worker: Worker
) -> None:
    """The late worker's tokens are settled; the one proposal is that of the worker that holds the job."""
    owner, job = people.scanned_owner()
    with a_worker(place, model_url=model) as worker:
        fault = worker.held_at(ASK, "hold_answer")
        expire(database, job)
        next_worker.tick().result(60)
        (proposal,) = owner.read("trade_proposals")
        fault.release()
        wait_until(lambda: calls(owner) == ["SUCCEEDED", "SUCCEEDED"])

    assert owner.read("trade_proposals") == [proposal]
    assert all(int(row["tokens_used"]) > 0 for row in owner.read("gpt_usage_log"))
