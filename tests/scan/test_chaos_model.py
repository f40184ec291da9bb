"""A public chaos server in place of the model: every call is counted, every job released with its reason."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from local.ports import free_port
from local.processes import Child
from local.stack import REPOSITORY
from local.world import World
from tests.people import OPEN_POLICY, People
from tests.worker import a_worker

LLMOCK = Path(sys.executable).with_name("llmock")

CHAOS = ["400=0.1", "401=0.05", "429=0.15", "500=0.15", "503=0.1"]
SAYS = [
    json.dumps(
        {
            "action": "buy",
            "market": "BTC-EUR",
            "amount_eur": 400,
            "confidence": 99,
            "rationale": "The price is far below its average and has turned.",
        }
    ),
    "Buy everything now!",
    json.dumps({"action": "buy", "market": "DOGE-EUR", "amount_eur": 1e9, "override_cooldown": True}),
    "",
]
JOBS = 24


@pytest.fixture
def chaos(place: World) -> Iterator[str]:
    """llmock as it comes, with a third of its answers broken."""
    port = free_port()
    rates = [argument for rate in CHAOS for argument in ("--error-rate", rate)]
    child = Child.start(
        "llmock",
        [LLMOCK, "serve", "--port", str(port), "--log-level", "warning", *rates],
        folder=place.stack.folder,
        environ={"PATH": "", "HOME": str(place.stack.folder)},
        cwd=REPOSITORY,
    )
    try:
        child.wait_for_http(f"http://127.0.0.1:{port}/health", patience_s=30)
        yield f"http://127.0.0.1:{port}"
    finally:
        child.stop()


def test_chaos_at_the_model_stays_inside_budget_and_policy(place: World, people: People, chaos: str) -> None:
    """Errors, ramblings and greed: rows and calls agree, no proposal leaves the policy, no job is stuck."""
    limits = {"gpt": {"daily": 50, "hourly": 50}, "order": {"min_eur": "6", "max_eur": "50"}}
    owners = [people.scanned_owner({**OPEN_POLICY, "limits": limits})[0] for _ in range(JOBS)]
    replies = [{"type": "reply", "text": said, "times": 8} for said in SAYS]
    httpx.post(f"{chaos}/_llmock/scenario", json={"behaviors": replies}, trust_env=False).raise_for_status()

    with a_worker(place, model_url=f"{chaos}/v1") as worker:
        summary = worker.tick().result(60).json()

    assert summary["claimed"] == sum(summary["endings"].values()) == JOBS
    assert not {"unfinished", "lease_lost"} & set(summary["endings"])
    asked = httpx.get(f"{chaos}/_llmock/requests", trust_env=False).json()["requests"]
    calls = [row for owner in owners for row in owner.read("gpt_usage_log")]
    assert len(calls) == len(asked) == summary["model_calls"]
    statuses = Counter(row["status"] for row in calls)
    released = sum(request["status"] == 429 or request["status"] >= 500 for request in asked)
    assert statuses["RELEASED"] == released
    assert set(statuses) <= {"SUCCEEDED", "FAILED", "RELEASED"}
    assert all(row["reason"] for row in calls if row["status"] != "SUCCEEDED")
    for owner in owners:
        (job,) = owner.read("scan_jobs")
        assert job["locked_by"] is None
        proposals = owner.read("trade_proposals")
        ended_badly = not any(row["status"] == "SUCCEEDED" for row in owner.read("gpt_usage_log"))
        assert (job["last_error"] is not None) == ended_badly
        for proposal in proposals:
            assert (proposal["market"], proposal["side"]) == ("BTC-EUR", "buy")
            assert float(proposal["amount_quote"]) == 50
            assert proposal["clamped"] == {"amount_eur": "400", "to": "50.00"}
    assert summary["endings"].get("proposed", 0) > 0
