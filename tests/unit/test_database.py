"""How an RPC is called, and which answers mean that nothing remains or that nothing is known."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import httpx
import pytest
from pydantic import SecretStr

from shared.database import Database
from shared.errors import DatabaseRefused, DatabaseUnavailable

pytestmark = pytest.mark.unit


def database(answer: Callable[[httpx.Request], httpx.Response]) -> Database:
    return Database(
        "https://project.supabase.co", SecretStr("sb_secret_canary"), transport=httpx.MockTransport(answer)
    )


def test_an_rpc_is_one_post_with_the_secret_key() -> None:
    """The call goes to the RPC's own address, carries the key in its head, and hands the JSON back."""
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json={"value": "1.50"})

    assert database(answer).call("begin_execution", p_user_id=UUID(int=1)) == {"value": "1.50"}
    (request,) = seen
    assert request.method == "POST"
    assert str(request.url) == "https://project.supabase.co/rest/v1/rpc/begin_execution"
    assert request.headers["apikey"] == "sb_secret_canary"
    assert json.loads(request.content) == {"p_user_id": "00000000-0000-0000-0000-000000000001"}


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        (Decimal("1E-8"), "0.00000001"),
        (Decimal("5.00"), "5.00"),
        (9_223_372_036_854_775_807, "9223372036854775807"),
        (1_790_000_000_000, 1_790_000_000_000),
        (datetime(2026, 11, 24, 4, tzinfo=UTC), "2026-11-24T04:00:00+00:00"),
        ({"a": [Decimal("1.1"), None, True]}, {"a": ["1.1", None, True]}),
        ("nul \x00 and lone \ud800", "nul \ufffd and lone \ufffd"),
        (0.1, "0.1"),
    ],
)
def test_arguments_are_sent_exactly(value: object, sent: object) -> None:
    """No number loses a digit on the way, and no text is one that Postgres cannot store."""
    seen: list[Any] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(json.loads(request.content)["p_value"])
        return httpx.Response(200, json={})

    database(answer).call("some_rpc", p_value=value)
    assert seen == [sent]


@pytest.mark.parametrize("value", [datetime(2026, 1, 1), object(), b"bytes"])  # noqa: DTZ001 - the naive one
def test_what_has_no_exact_form_is_never_sent(value: object) -> None:
    """A naive instant or an unknown object is a mistake of ours, and is found before the network is."""
    with pytest.raises(TypeError):
        database(lambda _: httpx.Response(200, json={})).call("some_rpc", p_value=value)


@pytest.mark.parametrize("code", ["PT400", "PT403", "PT404", "PT409", "22P02", "23505", "23514"])
def test_a_refusal_carries_what_the_database_said(code: str) -> None:
    """Business errors and rejected arguments are refusals: nothing of the call remains."""
    body = {"code": code, "message": "NOT_AN_OWNER", "details": "The sentence.", "hint": "A hint."}
    with pytest.raises(DatabaseRefused) as refused:
        database(lambda _: httpx.Response(400, json=body)).call("some_rpc")
    error = refused.value
    assert (error.code, error.message, error.detail, error.hint) == (
        code,
        "NOT_AN_OWNER",
        "The sentence.",
        "A hint.",
    )


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(500, json={"code": "57014", "message": "canceling statement due to timeout"}),
        httpx.Response(500, json={"code": "55P03", "message": "lock timeout"}),
        httpx.Response(404, json={"code": "PGRST202", "message": "no such function"}),
        httpx.Response(403, json={"code": "42501", "message": "permission denied"}),
        httpx.Response(401, json={"message": "Invalid API key"}),
        httpx.Response(502, text="<html>bad gateway</html>"),
        httpx.Response(200, text="<html>a captive portal</html>"),
        httpx.Response(200, text='{"cut'),
        httpx.Response(200, text="null"),
        httpx.Response(302, headers={"location": "https://elsewhere.example/"}),
    ],
    ids=lambda answer: f"{answer.status_code} {answer.text[:20]}",
)
def test_every_other_answer_means_that_nothing_is_known(answer: httpx.Response) -> None:
    """A time-out, a missing right, a proxy's page, a cut body: whoever called may only ask again."""
    with pytest.raises(DatabaseUnavailable):
        database(lambda _: answer).call("some_rpc")


@pytest.mark.parametrize(
    "error", [httpx.ConnectError, httpx.ReadTimeout, httpx.RemoteProtocolError, httpx.PoolTimeout]
)
def test_a_broken_connection_means_that_nothing_is_known(error: type[httpx.TransportError]) -> None:
    """Whatever the network does, the caller gets one kind of error, and the key is not in it."""

    def answer(_: httpx.Request) -> httpx.Response:
        raise error("canary")

    with pytest.raises(DatabaseUnavailable) as unavailable:
        database(answer).call("some_rpc")
    assert "canary" not in str(unavailable.value)
