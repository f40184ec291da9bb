"""What the served functions write is one JSON line an event, by the one list of events."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from local.world import FUNCTIONS, World
from shared.events import Event
from tests.people import People

EVENTS = {event.value: event for event in Event}
TRACE = "0af7651916cd43dd8448eb211c80319c"


def lines(place: World, function: str) -> list[dict[str, Any]]:
    """What a function has written so far; what the server says of itself is no JSON."""
    written = (place.stack.folder / f"{function}.log").read_text().splitlines()
    return [json.loads(line) for line in written if line.startswith("{")]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_every_line_is_an_event_of_the_list(place: World, people: People, function: str) -> None:
    """After an approval and a run: its name is on the list, and layer, severity and function are its own."""
    owner, _ = people.scanned_owner()
    people.approve(owner, people.proposal(owner))
    people.run("scan_tick")
    people.run("cleanup")
    written = lines(place, function)
    assert {"function_started", "request_answered"} <= {line["event"] for line in written}
    for line in written:
        event = EVENTS[line["event"]]
        assert (line["layer"], line["severity"]) == (event.layer.value, event.severity.value)
        assert line["function"] == function
        assert line["message"]


def test_one_request_is_followed_by_its_id_and_its_trace(place: World, people: People) -> None:
    """From the answer's id to each step of the approval, with how long the steps took."""
    owner = people.owner()
    proposal = people.proposal(owner)
    answer = httpx.post(
        place.functions["execute"],
        json={"proposalId": str(proposal)},
        headers=owner.bearer() | {"X-Request-Id": "one-approval", "X-Cloud-Trace-Context": f"{TRACE}/7;o=1"},
        timeout=60,
        trust_env=False,
    )
    assert answer.headers["X-Request-Id"] == "one-approval"
    of_it = [line for line in lines(place, "execute") if line.get("request_id") == "one-approval"]
    assert [line["event"] for line in of_it] == [
        "claim_granted",
        "order_sent",
        "order_placed",
        "request_answered",
    ]
    assert {line["trace"] for line in of_it} == {TRACE}
    timed = {line["event"] for line in of_it if isinstance(line.get("duration_ms"), int)}
    assert timed == {"claim_granted", "order_placed", "request_answered"}


def test_each_check_that_blocks_is_counted_by_its_code(place: World, people: People) -> None:
    """A refused approval is one line, and one for each check that refused it."""
    owner = people.owner({"allowlist": []})
    proposal = people.proposal(owner, confidence=1)
    refused = people.approve(owner, proposal)
    blocked = [
        line["code"]
        for line in lines(place, "execute")
        if line["event"] == "check_blocked" and line["proposal_id"] == str(proposal)
    ]
    assert set(blocked) == refused.codes == {"ALLOWLIST_EMPTY", "CONFIDENCE_TOO_LOW"}
