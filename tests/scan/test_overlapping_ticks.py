"""Ticks that overlap: each job once, and exactly as many calls as the budgets allow."""

from __future__ import annotations

from collections import Counter
from typing import Any

import psycopg
import pytest

from local.world import World
from tests.people import OPEN_POLICY, People
from tests.worker import Worker, a_worker


def policy(hourly: int) -> dict[str, Any]:
    """An open policy with so many model calls an hour."""
    return {**OPEN_POLICY, "limits": {"gpt": {"daily": 100, "hourly": hourly}}}


def ticks(worker: Worker, count: int) -> Counter[str]:
    """So many ticks at the same time; how the jobs of all of them ended."""
    running = [worker.tick() for _ in range(count)]
    endings: Counter[str] = Counter()
    for tick in running:
        summary = tick.result(60).json()
        endings.update(summary["endings"])
    return endings


def test_sixteen_overlapping_ticks_make_as_many_calls_as_the_hour_allows(
    place: World, people: People
) -> None:
    """However often the job falls due, the model is asked exactly as often as the hourly limit says."""
    owner, _ = people.scanned_owner(policy(hourly=3))
    before = people.model_calls()
    with a_worker(place) as worker:
        for _ in range(5):
            owner.call("schedule_scan")
            ticks(worker, 16)

    assert people.model_calls() == before + 3
    rows = Counter(row["status"] for row in owner.read("gpt_usage_log"))
    assert rows == {"SUCCEEDED": 3, "SKIPPED": 2}
    skipped = owner.read("gpt_usage_log", status="eq.SKIPPED")
    assert {row["reason"] for row in skipped} == {"HOURLY_BUDGET_EXHAUSTED"}


def change_controls(people: People, database: psycopg.Connection, changes: dict[str, str | None]) -> None:
    """Change the account's controls, as its operator."""
    row = database.execute("select version from public.trading_controls").fetchone()
    assert row is not None
    people.service.call("set_trading_controls", p_changes=changes, p_version=row[0])


@pytest.mark.parametrize("ceiling", ["max_daily_gpt_calls", "max_daily_gpt_tokens"])
def test_the_account_ceiling_holds_across_owners(
    place: World, people: People, database: psycopg.Connection, ceiling: str
) -> None:
    """Eight owners with budget left make no more calls together than the account may make today."""
    owners = [people.scanned_owner(policy(hourly=10))[0] for _ in range(8)]
    row = database.execute(
        """
        select all_daily, all_tokens from interlock.calls_used(null, interlock.clock())
        """
    ).fetchone()
    assert row is not None
    calls, tokens = row
    least, most, reason = {
        "max_daily_gpt_calls": (3, 3, "ACCOUNT_DAILY_CALLS_EXHAUSTED"),
        # A call under way counts the most that it may use: the last one is made while anything is left.
        "max_daily_gpt_tokens": (1, 1, "ACCOUNT_DAILY_TOKENS_EXHAUSTED"),
    }[ceiling]
    before = people.model_calls()
    limits = {"max_daily_gpt_calls": calls + 3, "max_daily_gpt_tokens": tokens + 1}
    change_controls(people, database, {ceiling: str(limits[ceiling])})
    try:
        with a_worker(place) as worker:
            ticks(worker, 4)
            for owner in owners:
                owner.call("schedule_scan")
            ticks(worker, 4)
    finally:
        change_controls(people, database, {"max_daily_gpt_calls": "100000", "max_daily_gpt_tokens": None})

    assert least <= people.model_calls() - before <= most
    skipped = [row for owner in owners for row in owner.read("gpt_usage_log", status="eq.SKIPPED")]
    assert {row["reason"] for row in skipped} == {reason}


def test_a_due_job_is_scanned_by_one_of_many_ticks(place: World, people: People) -> None:
    """Ten due jobs and eight overlapping ticks: ten calls, ten endings, no job twice."""
    owners = [people.scanned_owner()[0] for _ in range(10)]
    with a_worker(place) as worker:
        endings = ticks(worker, 8)

    assert sum(endings.values()) == 10
    for owner in owners:
        assert [row["status"] for row in owner.read("gpt_usage_log")] == ["SUCCEEDED"]
        assert len(owner.read("trade_proposals")) <= 1
