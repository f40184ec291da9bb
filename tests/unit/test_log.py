"""What a log line holds, and what it never holds."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from pydantic import SecretStr

from shared import log
from shared.errors import DatabaseUnavailable
from shared.events import Event

pytestmark = [pytest.mark.unit, pytest.mark.usefixtures("logs_as_execute")]


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_an_event_is_one_json_line_with_its_layer_and_severity(capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever a field holds, an event is one line that a machine reads."""
    log.log(
        Event.ORDER_SENT,
        "two\nlines",
        amount=Decimal("1E-8"),
        id=UUID(int=1),
        at=datetime(2026, 1, 1, tzinfo=UTC),
        names=frozenset({"b", "a"}),
        thing=object(),
    )
    (line,) = lines(capsys)
    assert line["event"] == "order_sent"
    assert (line["severity"], line["layer"], line["function"]) == ("NOTICE", "checks", "execute")
    assert line["amount"] == "0.00000001"
    assert line["at"] == "2026-01-01T00:00:00+00:00"
    assert line["names"] == ["a", "b"]
    assert line["thing"] == "<object>"


def test_a_request_id_is_in_every_line_of_its_request(capsys: pytest.CaptureFixture[str]) -> None:
    """Lines of a request carry its id, lines outside of one carry none."""
    token = log.request_id.set("abc")
    log.log(Event.ORDER_SENT)
    log.request_id.reset(token)
    log.log(Event.ORDER_SENT)
    inside, outside = lines(capsys)
    assert inside["request_id"] == "abc"
    assert "request_id" not in outside


def test_a_secret_is_written_as_asterisks(capsys: pytest.CaptureFixture[str]) -> None:
    """A `SecretStr` never reaches a line, however deep it lies."""
    log.log(Event.ORDER_SENT, key=SecretStr("canary"), nested={"keys": [SecretStr("canary")]})
    (line,) = lines(capsys)
    assert line["key"] == "****"
    assert "canary" not in json.dumps(line)


def test_a_foreign_errors_text_is_not_logged(capsys: pytest.CaptureFixture[str]) -> None:
    """A library's message can quote what it was given: the line has its class and where it was raised."""
    try:
        raise ValueError("canary")
    except ValueError as error:
        log.log(Event.REQUEST_FAILED, error=error)
    (line,) = lines(capsys)
    assert line["error"] == "ValueError"
    assert line["stack_trace"].startswith("Traceback (most recent call last):")
    assert "test_log.py" in line["stack_trace"]
    assert "canary" not in json.dumps(line).replace('raise ValueError(\\"canary\\")', "")


def test_our_own_errors_text_is_logged(capsys: pytest.CaptureFixture[str]) -> None:
    """Our errors hold no secret, and their sentence is what a person needs."""
    log.log(Event.DATABASE_UNAVAILABLE, error=DatabaseUnavailable("begin_execution got no answer."))
    assert lines(capsys)[0]["reason"] == "begin_execution got no answer."


def test_libraries_are_heard_from_warnings_on(capsys: pytest.CaptureFixture[str]) -> None:
    """httpx names every URL at INFO, and a URL can be a secret; a warning is a JSON line like any other."""
    logging.getLogger("httpx").info("POST https://hooks.example.com/canary")
    logging.getLogger("werkzeug").warning("careful")
    logging.getLogger("werkzeug").critical("broken")
    warned, failed = lines(capsys)
    assert (warned["event"], warned["logger"], warned["message"]) == ("library_warned", "werkzeug", "careful")
    assert (failed["event"], failed["severity"], failed["layer"]) == ("library_failed", "ERROR", "keys")


def test_a_line_is_shown_beside_its_trace_where_the_project_is_known(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Cloud Logging groups by the trace's full name; without a project the bare id is kept."""
    seen = "0af7651916cd43dd8448eb211c80319c"
    token = log.trace.set(seen)
    log.log(Event.ORDER_SENT)
    log.configure("execute", "interlock-prod")
    log.log(Event.ORDER_SENT)
    log.trace.reset(token)
    log.log(Event.ORDER_SENT)
    bare, named, outside = lines(capsys)
    field = "logging.googleapis.com/trace"
    assert (bare["trace"], bare.get(field)) == (seen, None)
    assert (named.get("trace"), named[field]) == (None, f"projects/interlock-prod/traces/{seen}")
    assert "trace" not in outside
    assert field not in outside
