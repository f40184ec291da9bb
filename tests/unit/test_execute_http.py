"""What execute serves, what it refuses, and in which order."""

from __future__ import annotations

import io
import json
from typing import Any
from uuid import UUID

import httpx
import pytest

from tests.unit.execute_world import ORIGIN, PROPOSAL, World, token

pytestmark = pytest.mark.unit

EXECUTE = ("/", "/api/trading/execute")
STATUS = ("/status", "/api/trading/status")
SERVED = {**dict.fromkeys(EXECUTE, "POST"), **dict.fromkeys(STATUS, "GET"), "/health": "GET"}
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE", "CONNECT", "PROPFIND")


@pytest.fixture
def world() -> World:
    return World()


def bearer(user: UUID | None = None) -> dict[str, str]:
    return {"Authorization": f"Bearer {token(user) if user else token()}"}


def approval(**changes: Any) -> dict[str, Any]:
    return {"proposalId": str(PROPOSAL)} | changes


@pytest.mark.parametrize("path", EXECUTE)
def test_an_approval_is_served_at_both_paths(world: World, path: str) -> None:
    """The root and the path of the phase before do the same."""
    answer = world.http.post(path, json=approval(overrideCooldown=True), headers=bearer())
    assert answer.status_code == 200
    (call,) = world.database.called("begin_execution")
    assert (call["p_override_cooldown"], call["p_override_anti_flip"]) == (True, False)


@pytest.mark.parametrize("path", STATUS)
def test_the_status_is_served_at_both_paths(world: World, path: str) -> None:
    """One database call, its answer as it came, and the exchange that tells whether money is real."""
    answer = world.http.get(path, headers=bearer())
    assert answer.get_json() == {
        "trading": {"state": "ACTIVE"},
        "exchange_url": "https://exchange.example.com/v2",
    }
    assert [name for name, _ in world.database.calls] == ["get_execution_status"]


def test_health_needs_no_token_and_asks_nobody(world: World) -> None:
    """The platform's probe costs nothing and tells nothing."""
    answer = world.http.get("/health")
    assert (answer.status_code, answer.get_json()) == (200, {"status": "ok"})
    assert world.database.calls == []


@pytest.mark.parametrize(
    "path",
    ["/healthz", "/api", "/api/trading", "/execute", "/status/", "/STATUS", "/%2e", "/a/../status"],
)
def test_there_is_nothing_at_any_other_path(world: World, path: str) -> None:
    """404 in JSON, whatever the method."""
    for method in ("GET", "POST", "OPTIONS"):
        answer = world.http.open(path, method=method)
        assert (answer.status_code, answer.get_json()["code"]) == (404, "NOT_FOUND")


@pytest.mark.parametrize(("path", "served"), SERVED.items())
def test_any_other_method_is_refused(world: World, path: str, served: str) -> None:
    """405, which names what is served."""
    for method in METHODS:
        if method != served:
            answer = world.http.open(path, method=method, headers=bearer())
            assert answer.status_code == 405
            assert answer.headers["Allow"] == f"{served}, OPTIONS"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "application/json; charset=latin-1"},
        {"Content-Type": "application/json", "Content-Encoding": "gzip"},
        {"Content-Type": "application/jsonx"},
    ],
)
def test_another_content_type_is_refused(world: World, headers: dict[str, str]) -> None:
    """Only JSON in UTF-8, not compressed, whoever asks."""
    answer = world.http.post("/", data=json.dumps(approval()), headers=headers | bearer())
    assert (answer.status_code, answer.get_json()["code"]) == (415, "UNSUPPORTED_MEDIA_TYPE")


def test_a_charset_of_utf_8_is_json_all_the_same(world: World) -> None:
    """Clients that name the charset are served."""
    headers = bearer() | {"Content-Type": "application/json; charset=UTF-8"}
    assert world.http.post("/", data=json.dumps(approval()), headers=headers).status_code == 200


@pytest.mark.parametrize("length", [16 * 1024 + 1, 1024 * 1024])
@pytest.mark.parametrize("announced", [True, False])
def test_a_body_over_16_kib_is_refused(world: World, length: int, announced: bool) -> None:
    """With its length announced or not, a body that is too large is 413, before anything is read of it."""
    headers = [("Content-Type", "application/json")]
    if announced:
        answer = world.http.post("/", data=b" " * length, headers=headers)
    else:
        stream = io.BytesIO(b" " * length)
        answer = world.http.post(
            "/",
            input_stream=stream,
            headers=[*headers, ("Transfer-Encoding", "chunked")],
            environ_overrides={"wsgi.input_terminated": True},
        )
    assert (answer.status_code, answer.get_json()["code"]) == (413, "BODY_TOO_LARGE")


def test_a_body_of_16_kib_is_read(world: World) -> None:
    """The limit itself is within the limit."""
    body = json.dumps(approval()).ljust(16 * 1024)
    headers = bearer() | {"Content-Type": "application/json"}
    assert world.http.post("/", data=body, headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, {"proposalId"}),
        (approval(extra=1), {"extra"}),
        (approval(overrideCooldown=1), {"overrideCooldown"}),
        (approval(overrideCooldown="true"), {"overrideCooldown"}),
        (approval(overrideAntiFlip=None), {"overrideAntiFlip"}),
        (approval(override_cooldown=True), {"override_cooldown"}),
        (approval(proposal_id=str(PROPOSAL)), {"proposal_id"}),
        ({"proposalId": 1, "overrideCooldown": "x", "y": []}, {"proposalId", "overrideCooldown", "y"}),
        ({"proposalId": None}, {"proposalId"}),
        ({"proposalId": str(PROPOSAL).replace("-", "")}, {"proposalId"}),
        ({"proposalId": f"{{{PROPOSAL}}}"}, {"proposalId"}),
        ({"proposalId": f"urn:uuid:{PROPOSAL}"}, {"proposalId"}),
        ({"proposalId": f" {PROPOSAL}"}, {"proposalId"}),
        ({"proposalId": f"{PROPOSAL}\n"}, {"proposalId"}),
        ({"proposalId": [str(PROPOSAL)]}, {"proposalId"}),
    ],
)
def test_each_wrong_field_is_named(world: World, body: dict[str, Any], fields: set[str]) -> None:
    """400 with a sentence for each field, and the database is not asked."""
    answer = world.http.post("/", json=body, headers=bearer())
    assert (answer.status_code, answer.get_json()["code"]) == (400, "INVALID_REQUEST")
    assert answer.get_json()["fields"].keys() == fields
    assert world.database.calls == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"x"',
        b"1",
        b"NaN",
        b'{"proposalId": NaN}',
        b"\xff",
        b"\xef\xbb\xbf{}",
        '{"proposalId": "x"}'.encode("utf-16"),
        b"[" * 16_000,
        b'{"a":' * 3000,
        b'{"proposalId": "%b", "proposalId": "%b"}' % (str(PROPOSAL).encode(), str(PROPOSAL).encode()),
        b'{"overrideCooldown": false, "overrideCooldown": true}',
    ],
)
def test_what_is_not_one_json_object_is_refused(world: World, body: bytes) -> None:
    """Broken, nested beyond sense, not UTF-8, or the same field twice: 400."""
    answer = world.http.post("/", data=body, headers=bearer() | {"Content-Type": "application/json"})
    assert (answer.status_code, answer.get_json()["code"]) == (400, "INVALID_REQUEST")
    assert world.database.calls == []


def test_an_id_in_upper_case_is_the_same_proposal(world: World) -> None:
    """The spelling of an id never makes another proposal of it."""
    assert world.approve(proposalId=str(PROPOSAL).upper()).status_code == 200
    assert world.database.called("begin_execution")[0]["p_proposal_id"] == str(PROPOSAL)


def test_what_is_wrong_is_told_in_the_order_of_the_contract(world: World) -> None:
    """405, 415, 413, 401, 400, 403, 404, 409, 422: each hides what comes after it."""
    stranger = bearer(UUID(int=1))
    json_type = {"Content-Type": "application/json"}
    large = b" " * 20_000
    elsewhere = json.dumps({"proposalId": str(UUID(int=2))})
    world.database.checks = [{"check": "allowlist", "verdict": "FAILED", "code": "X", "facts": {}}]
    told = [
        world.http.put("/", data=large),
        world.http.post("/", data=large),
        world.http.post("/", data=large, headers=json_type),
        world.http.post("/", data=b"{", headers=json_type),
        world.http.post("/", data=b"{", headers=json_type | stranger),
        world.http.post("/", data=elsewhere, headers=json_type | stranger),
        world.http.post("/", data=elsewhere, headers=json_type | bearer()),
        world.http.post("/", json=approval(), headers=bearer()),
    ]
    assert [answer.status_code for answer in told] == [405, 415, 413, 401, 400, 403, 404, 422]
    world.database.checks = []
    world.approve()
    world.database.checks = [{"check": "allowlist", "verdict": "FAILED", "code": "X", "facts": {}}]
    assert world.approve().status_code == 409


def test_a_user_who_is_no_owner_is_told_so(world: World) -> None:
    """403, for an approval and for the status."""
    stranger = bearer(UUID(int=1))
    for answer in (
        world.http.post("/", json=approval(), headers=stranger),
        world.http.get("/status", headers=stranger),
    ):
        assert (answer.status_code, answer.get_json()["code"]) == (403, "NOT_AN_OWNER")


@pytest.mark.parametrize("path", SERVED)
def test_a_preflight_is_answered_for_an_allowed_origin(world: World, path: str) -> None:
    """204 with what a page of that origin may send, without a token."""
    answer = world.http.options(path, headers={"Origin": ORIGIN})
    assert answer.status_code == 204
    assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert answer.headers["Access-Control-Allow-Methods"] == f"{SERVED[path]}, OPTIONS"
    assert "Authorization" in answer.headers["Access-Control-Allow-Headers"]
    assert answer.headers["Vary"] == "Origin"


@pytest.mark.parametrize(
    "origin",
    [None, "null", "*", "https://evil.example.com", f"{ORIGIN}.evil.example", f"{ORIGIN}/", ORIGIN.upper()],
)
def test_no_other_origin_gets_a_cors_header(world: World, origin: str | None) -> None:
    """Exact origins alone, on a preflight as on any answer."""
    headers = {} if origin is None else {"Origin": origin}
    for answer in (world.http.options("/", headers=headers), world.http.get("/health", headers=headers)):
        assert answer.status_code in (200, 204)
        assert not [name for name in answer.headers.keys() if name.startswith("Access-Control")]  # noqa: SIM118


def test_every_answer_to_an_allowed_origin_can_be_read_by_its_page(world: World) -> None:
    """Failures too: a page can show what went wrong."""
    for answer in (
        world.http.get("/nowhere", headers={"Origin": ORIGIN}),
        world.http.put("/", headers={"Origin": ORIGIN}),
        world.http.post("/", json={}, headers={"Origin": ORIGIN}),
        world.http.post("/", json=approval(), headers=bearer() | {"Origin": ORIGIN}),
    ):
        assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
        assert answer.headers["X-Request-Id"]


def test_a_database_that_is_down_is_503(world: World) -> None:
    """Approval and status say that nothing was sent."""

    def down(*_: object) -> httpx.Response:
        raise httpx.ConnectError("nobody listens")

    world.database.intercept = down
    for answer in (world.approve(), world.http.get("/status", headers=bearer())):
        assert (answer.status_code, answer.get_json()["code"]) == (503, "UNAVAILABLE")
    assert world.exchange.asked == []


@pytest.mark.parametrize(
    "changes",
    [
        {"amount_quote": None},
        {"amount": "1"},
        {"side": "hold"},
        {"order_type": "limit"},
        {"limit_price": "1"},
        {"reference_price": "NaN"},
        {"reference_price": "Infinity"},
        {"reference_price": "-1"},
        {"reference_price": "0"},
        {"reference_price": 50000.1},
        {"amount_quote": "1e400"},
        {"amount_quote": "9" * 200},
        {"market": None},
    ],
)
def test_a_proposal_with_hostile_values_is_never_an_order(world: World, changes: dict[str, Any]) -> None:
    """Whatever stands in the table, a proposal that is not a sane order gives no order and no traceback."""
    world.database.proposal |= changes
    assert world.approve().status_code in (422, 503)
    assert world.exchange.posted == []


@pytest.mark.parametrize("digits", [20, 39])
def test_numbers_of_many_digits_give_no_order_beyond_the_approval(world: World, digits: int) -> None:
    """Exact to the last digit: enormous and tiny numbers are compared and rounded without an error."""
    world.database.proposal |= {"reference_price": "50000." + "0" * (digits - 1) + "1"}
    assert world.approve().status_code == 200


@pytest.mark.parametrize("changes", [{"max_price_move_percent": "NaN"}, {"allowlist": None}, {"x": 1}])
def test_a_policy_that_cannot_be_read_trades_nothing(world: World, changes: dict[str, Any]) -> None:
    """A policy that a hand has broken is not completed by the function."""
    assert world.database.policy is not None
    world.database.policy |= changes
    assert world.approve().status_code == 503
    world.database.policy = None
    assert world.approve().status_code == 503
    assert world.exchange.posted == []
