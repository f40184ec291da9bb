"""The model is asked only inside the budget, and a refusal says which limit was reached."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest

from local.owner import Owner
from tests.people import OPEN_POLICY, People


def _policy(daily: int, hourly: int) -> dict[str, Any]:
    return {**OPEN_POLICY, "limits": {"gpt": {"daily": daily, "hourly": hourly}}}


def _use(people: People, job: UUID, calls: int) -> list[dict[str, Any]]:
    """Reserve calls under one lease of the job."""
    leases = people.service.call("claim_due_scan_jobs", p_instance_id="budget", p_limit=100)
    token = next(lease["lock_token"] for lease in leases if lease["id"] == str(job))
    return [
        people.service.call(
            "reserve_gpt_call",
            p_reservation_id=uuid4(),
            p_scan_job_id=job,
            p_lock_token=token,
            p_purpose="test",
            p_model="scripted",
            p_most_tokens=10_000,
        )
        for _ in range(calls)
    ]


def _check(people: People, owner: Owner, daily: int, hourly: int) -> dict[str, Any]:
    answer: dict[str, Any] = people.service.call(
        "check_gpt_budget", p_user_id=owner.user_id, p_daily=daily, p_hourly=hourly
    )
    return answer


def test_calls_within_the_budget_are_allowed(people: People) -> None:
    """An owner who has used nothing may call."""
    owner = people.owner(_policy(5, 2))

    assert _check(people, owner, 5, 2) == {
        "can_call": True,
        "reason": None,
        "daily_used": "0",
        "hourly_used": "0",
    }


@pytest.mark.parametrize(
    ("daily", "hourly", "reason"),
    [
        (2, 5, "DAILY_BUDGET_EXHAUSTED"),
        (5, 2, "HOURLY_BUDGET_EXHAUSTED"),
        (2, 2, "DAILY_BUDGET_EXHAUSTED"),
    ],
)
def test_an_exhausted_budget_refuses_and_names_the_daily_limit_first(
    people: People, daily: int, hourly: int, reason: str
) -> None:
    """The call after the last one allowed is refused with the limit's name, and the refusal is kept."""
    owner, job = people.scanned_owner(_policy(daily, hourly))

    *allowed, refused = _use(people, job, 3)

    assert [answer["outcome"] for answer in allowed] == ["reserved", "reserved"]
    assert (refused["outcome"], refused["reason"]) == ("refused", reason)
    assert _check(people, owner, daily, hourly)["reason"] == reason
    rows = owner.read("gpt_usage_log", order="created_at.asc")
    assert [row["status"] for row in rows] == ["RESERVED", "RESERVED", "SKIPPED"]
    assert rows[-1]["reason"] == reason


def test_a_scan_without_budget_asks_no_model_and_says_why(people: People) -> None:
    """With a budget of 0 the tick calls no model, keeps the reason and comes back in 30 minutes."""
    owner, _ = people.scanned_owner(_policy(0, 0))
    before = people.model_calls()

    people.run("scan_tick")

    assert people.model_calls() == before
    (row,) = owner.read("gpt_usage_log")
    assert (row["status"], row["reason"]) == ("SKIPPED", "DAILY_BUDGET_EXHAUSTED")
    (job,) = owner.read("scan_jobs")
    assert job["locked_by"] is None
    assert job["last_error"] == "DAILY_BUDGET_EXHAUSTED"


def test_a_scan_within_its_budget_is_charged_what_the_answer_reports(people: People) -> None:
    """One scan is one call at the model and one settled row with its tokens."""
    owner, _ = people.scanned_owner(_policy(5, 2))
    before = people.model_calls()

    people.run("scan_tick")

    assert people.model_calls() == before + 1
    (row,) = owner.read("gpt_usage_log")
    assert (row["status"], row["success"]) == ("SUCCEEDED", True)
    assert int(row["tokens_used"]) == int(row["prompt_tokens"]) + int(row["completion_tokens"]) > 0
