"""What execute answers to requests that are wrong, foreign or not allowed."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.people import People


def _post(people: People, body: Any, headers: dict[str, str], path: str = "/") -> httpx.Response:
    return people.http.post(people.place.functions["execute"] + path, json=body, headers=headers)


def _said(response: httpx.Response) -> tuple[int, str]:
    assert response.headers["content-type"].startswith("application/json")
    assert response.headers["x-request-id"]
    body = response.json()
    assert body["error"]
    return response.status_code, body["code"]


def test_without_a_token_nobody_is_let_in(people: People) -> None:
    """No token, and one that is none, are 401 UNAUTHORIZED."""
    body = {"proposalId": str(uuid4())}
    assert _said(_post(people, body, {})) == (401, "UNAUTHORIZED")
    assert _said(_post(people, body, {"Authorization": "Bearer not.a.token"})) == (401, "UNAUTHORIZED")


def test_the_servers_own_keys_are_no_user(people: People) -> None:
    """The secret key and the publishable key open nothing here."""
    for key in (people.place.stack.secret_key, people.place.stack.publishable_key):
        answer = _post(people, {"proposalId": str(uuid4())}, {"Authorization": f"Bearer {key}"})
        assert _said(answer) == (401, "UNAUTHORIZED")


def test_a_user_who_is_not_an_owner_is_refused(people: People) -> None:
    """A valid token of a user whom the operator has not named is 403, also for the status."""
    stranger = people.stranger()
    answer = _post(people, {"proposalId": str(uuid4())}, stranger.bearer())
    assert _said(answer) == (403, "NOT_AN_OWNER")
    status = people.http.get(people.place.functions["execute"] + "/status", headers=stranger.bearer())
    assert _said(status) == (403, "NOT_AN_OWNER")


def test_another_owners_proposal_is_as_unknown_as_none(people: People) -> None:
    """Both are 404, with the same body."""
    owner, other = people.owner(), people.owner()
    foreign = _post(people, {"proposalId": str(people.proposal(other))}, owner.bearer())
    none = _post(people, {"proposalId": str(uuid4())}, owner.bearer())
    assert _said(foreign) == _said(none) == (404, "PROPOSAL_NOT_FOUND")
    assert foreign.json() == none.json()


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "proposalId"),
        ({"proposalId": "no uuid"}, "proposalId"),
        ({"proposalId": str(uuid4()), "overrideCooldown": "yes"}, "overrideCooldown"),
        ({"proposalId": str(uuid4()), "overrideAntiFlip": 1}, "overrideAntiFlip"),
        ({"proposalId": str(uuid4()), "amount": "1"}, "amount"),
    ],
)
def test_a_wrong_field_is_named(people: People, body: dict[str, Any], field: str) -> None:
    """A malformed body is 400 INVALID_REQUEST and names the field that is wrong."""
    answer = _post(people, body, people.owner().bearer())
    assert _said(answer) == (400, "INVALID_REQUEST")
    assert field in answer.text


def test_method_type_and_size_are_refused_in_that_order(people: People) -> None:
    """405 before 415 before 413, and all of them before any token is looked at."""
    address = people.place.functions["execute"]
    http = people.http
    big = b'{"proposalId": "' + b"x" * 20_000 + b'"}'
    assert http.put(address, content=big).status_code == 405
    assert http.post(address, content=big, headers={"content-type": "text/plain"}).status_code == 415
    assert http.post(address, content=big, headers={"content-type": "application/json"}).status_code == 413


def test_health_needs_no_token_and_status_does(people: People) -> None:
    """GET /health answers 200; GET /status without a token is 401; both status paths answer an owner."""
    address = people.place.functions["execute"]
    owner = people.owner()
    assert people.http.get(f"{address}/health").status_code == 200
    assert people.http.get(f"{address}/status").status_code == 401
    for path in ("/status", "/api/trading/status"):
        answer = people.http.get(address + path, headers=owner.bearer())
        assert answer.status_code == 200, answer.text
        assert answer.json()["trading"]["state"] == "ACTIVE"


def test_the_long_path_executes_as_the_short_one_does(people: People) -> None:
    """POST /api/trading/execute is the same door."""
    owner = people.owner()
    proposal = people.proposal(owner)
    answer = _post(people, {"proposalId": str(proposal)}, owner.bearer(), "/api/trading/execute")
    assert answer.status_code == 200, answer.text
    assert len(people.orders(proposal)) == 1


def test_the_callers_request_id_comes_back(people: People) -> None:
    """A well-formed X-Request-Id is kept; any other is replaced."""
    address = people.place.functions["execute"] + "/health"
    assert people.http.get(address, headers={"X-Request-Id": "abc-123"}).headers["x-request-id"] == "abc-123"
    assert people.http.get(address, headers={"X-Request-Id": "a b"}).headers["x-request-id"] != "a b"
