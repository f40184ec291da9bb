"""What every answer has in common."""

from __future__ import annotations

import pytest
from flask import Request, Response
from werkzeug.test import EnvironBuilder

from shared import log
from shared.errors import InvalidRequest, MethodNotAllowed
from shared.web import json_answer, serve

pytestmark = pytest.mark.unit


def request(request_id: str | None = None) -> Request:
    headers = [] if request_id is None else [("X-Request-Id", request_id)]
    return Request(EnvironBuilder(headers=headers).get_environ())


def ok(_: Request) -> Response:
    return json_answer(200, {"request_id": log.request_id.get()})


@pytest.mark.parametrize("given", ["a", "A-1", "x" * 64])
def test_a_well_formed_request_id_is_kept(given: str) -> None:
    """The caller's own id is in the answer and in every log line of the request."""
    answer = serve(request(given), ok)
    assert answer.headers["X-Request-Id"] == given
    assert answer.get_json() == {"request_id": given}


@pytest.mark.parametrize("given", ["", "x" * 65, "a b", "a_b", "é", 'a"b', "a;b"])
def test_any_other_request_id_is_replaced(given: str) -> None:
    """What is not well formed is not echoed: two requests without an id get two."""
    first, second = (serve(request(given), ok).headers["X-Request-Id"] for _ in range(2))
    assert first != second
    assert given not in (first, second)


def test_a_refusal_is_an_answer() -> None:
    """A refused request is answered with its status, code, sentence and details."""

    def refuse(_: Request) -> Response:
        raise InvalidRequest("Wrong fields.", {"proposalId": "must be a UUID"})

    answer = serve(request(), refuse)
    assert answer.status_code == 400
    assert answer.get_json() == {
        "error": "Wrong fields.",
        "code": "INVALID_REQUEST",
        "fields": {"proposalId": "must be a UUID"},
    }


def test_a_wrong_method_names_the_right_ones() -> None:
    """405 says in its head what the path serves."""

    def refuse(_: Request) -> Response:
        raise MethodNotAllowed("POST", "OPTIONS")

    assert serve(request(), refuse).headers["Allow"] == "POST, OPTIONS"


def test_nothing_escapes() -> None:
    """An error that nobody expected is a 503 in JSON with a request id, without its text."""

    def fail(_: Request) -> Response:
        raise RuntimeError("canary")

    answer = serve(request(), fail)
    assert answer.status_code == 503
    assert answer.get_json()["code"] == "UNAVAILABLE"
    assert answer.headers["X-Request-Id"]
    assert "canary" not in answer.get_data(as_text=True)
