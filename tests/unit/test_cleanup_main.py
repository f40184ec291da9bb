"""Served as the cloud serves it: `POST /` alone, JSON always, and one line when it cannot start."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import functions_framework
import pytest
import respx
from flask.testing import FlaskClient

from tests.unit.test_cleanup_run import halt, standing, world

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "functions" / "cleanup" / "main.py"
URL = "http://127.0.0.1:9/rest/v1/rpc/"


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[FlaskClient]:
    for name in [
        name for name in os.environ if name.startswith(("BITVAVO_", "TRADING_", "OPENAI_", "ACCESS_"))
    ]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("SUPABASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("SUPABASE_SECRET_KEY", "sb_secret_made_up")
    monkeypatch.setenv("NOTIFY_URL", "http://127.0.0.1:9/hook")
    app = functions_framework.create_app(target="cleanup", source=str(SOURCE))  # type: ignore[no-untyped-call]  # it has no types
    with app.test_client() as opened:
        yield opened


def answer(**answers: Any) -> None:
    """Let the database answer these RPCs, and all others as when nothing is wrong."""
    for rpc, value in {**world(mode="dry_run").answers, **answers}.items():
        if not callable(value):
            respx.post(f"{URL}{rpc}").respond(json=value)


@respx.mock
def test_a_run_is_answered_with_its_summary(client: FlaskClient) -> None:
    """The scheduler reads what was done, and the caller's request id comes back."""
    answer()
    response = client.post("/", headers={"X-Request-Id": "tick-1"})
    assert response.status_code == 200
    assert response.headers["X-Request-Id"] == "tick-1"
    assert response.json is not None
    assert response.json["proposals_expired"] == 3
    assert response.json["mode"] == "dry_run"


@respx.mock
def test_an_alarm_reaches_a_person(client: FlaskClient) -> None:
    """What a run has to tell is sent to NOTIFY_URL after all was done; without an alarm nothing is sent."""
    person = respx.post("http://127.0.0.1:9/hook").respond(200)
    answer()
    client.post("/")
    assert not person.called
    overdue = {"execution_id": "e", "market": "BTC-EUR", "status": "UNKNOWN", "minutes": "11"}
    answer(
        alarm_overdue_executions=standing(overdue=[overdue]),
        take_notices={"notices": [halt("HALTED everybody", "operator", "going to sleep")]},
    )
    ended = respx.post(f"{URL}end_notices").respond(json={"ended": "0"})
    client.post("/")
    (call,) = person.calls
    assert call.request.content.decode() == (
        "Execution e is UNKNOWN for 11 minutes. Trading was halted (operator): going to sleep."
    )
    assert json.loads(ended.calls.last.request.content) == {"p_notices": ["HALTED everybody"]}


@respx.mock
def test_what_did_not_arrive_is_not_said_to_be_told(client: FlaskClient) -> None:
    """The next run takes the notice up again."""
    respx.post("http://127.0.0.1:9/hook").respond(500)
    answer(take_notices={"notices": [halt("HALTED everybody", "operator", "going to sleep")]})
    ended = respx.post(f"{URL}end_notices").respond(json={"ended": "0"})
    client.post("/")
    assert not ended.called


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/", 405), ("POST", "/run", 404)])
def test_nothing_else_is_served(client: FlaskClient, method: str, path: str, status: int) -> None:
    """Another method or path does nothing and says so in JSON."""
    response = client.open(path, method=method)
    assert response.status_code == status
    assert response.json is not None
    assert "error" in response.json


def test_without_a_database_it_is_unavailable(client: FlaskClient) -> None:
    """503 says that nothing could be done, with what was tried."""
    response = client.post("/")
    assert response.status_code == 503
    assert response.json is not None
    assert response.json["code"] == "UNAVAILABLE"
    assert response.json["problems"]


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({}, "SUPABASE_URL"),
        (
            {"SUPABASE_URL": "http://127.0.0.1:9", "SUPABASE_SECRET_KEY": "s", "OPENAI_API_KEY": "k"},
            "OPENAI_API_KEY",
        ),
        (
            {"SUPABASE_URL": "http://127.0.0.1:9", "SUPABASE_SECRET_KEY": "s", "TRADING_MODE": "live"},
            "BITVAVO_",
        ),
    ],
)
def test_a_wrong_environment_is_one_line(environment: dict[str, str], named: str) -> None:
    """The function does not start, and says in one line which variable is to blame."""
    started = subprocess.run(
        [sys.executable, str(SOURCE)],
        env={"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert started.returncode == 1
    assert started.stderr.count("\n") == 1
    assert named in started.stderr
