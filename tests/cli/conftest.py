"""A deployment that answers what a test says, and the command line in front of it."""

from __future__ import annotations

import io
import json
import os
import pty
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from cli.__main__ import main
from tests.loopback import Asked, Loopback, Reply, serving

REPOSITORY = Path(__file__).resolve().parents[2]
PASSWORD = "correct-horse-battery"
EMAIL = "owner@interlock.local"
CTRL_D = "\x04"
PROPOSAL = "b15bc6d5-a516-418d-8d7e-20f79f625a42"


@dataclass
class Ran:
    """What one command said, and how it ended."""

    exit: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output, which must be one JSON object and nothing else."""
        return json.loads(self.out)


@dataclass
class Deployment:
    """Supabase and execute behind one address: `replies` answers a path, the last one again and again."""

    server: Loopback
    replies: dict[str, list[Reply | Callable[[Asked], Reply]]] = field(default_factory=dict)
    tokens_made: int = 0

    def says(self, path: str, *replies: Reply | Callable[[Asked], Reply]) -> None:
        self.replies[path] = list(replies)

    def __call__(self, asked: Asked) -> Reply:
        queue = self.replies.get(asked.path)
        if not queue:
            return Reply(404, {"error": f"a test did not expect {asked.path}", "code": "NOT_EXPECTED"})
        reply = queue.pop(0) if len(queue) > 1 else queue[0]
        return reply if isinstance(reply, Reply) else reply(asked)

    def tokens(self, _: Asked, *, lasting_s: int = 3600) -> Reply:
        """Fresh tokens, numbered."""
        self.tokens_made += 1
        return Reply(
            200,
            {
                "access_token": f"access-{self.tokens_made}",
                "refresh_token": f"refresh-{self.tokens_made}",
                "expires_at": int(time.time()) + lasting_s,
            },
        )


class CommandLine:
    """Runs commands in this process, as a shell without a terminal would."""

    def __init__(self, patch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], folder: Path) -> None:
        self._patch = patch
        self._capsys = capsys
        self.folder = folder / "interlock"

    def __call__(self, *arguments: str, stdin: str = "") -> Ran:
        self._patch.setattr("sys.stdin", io.StringIO(stdin))
        self._capsys.readouterr()
        try:
            code = main(arguments)
        except SystemExit as ended:
            code = int(str(ended.code))
        said = self._capsys.readouterr()
        return Ran(code, said.out, said.err)


def status(**changes: object) -> dict[str, Any]:
    """A status as execute answers it."""
    return {
        "now": "2026-11-24T09:00:00+00:00",
        "trading": {
            "state": "ACTIVE",
            "mode": "live",
            "owner_state": "ACTIVE",
            "owner_reason": "",
            "global_state": "ACTIVE",
            "global_reason": "",
        },
        "reconciliation": {"age_seconds": "38", "stale": False, "unread_markets": []},
        "today": {
            "trades": "1",
            "trades_limit": "5",
            "value_eur": "147.52",
            "value_limit_eur": "1000",
            "account_value_eur": "147.52",
            "account_value_limit_eur": "5000",
            "account_order_limit_eur": "1000",
        },
        "model_budget": {"daily_used": "1", "daily_limit": "20", "hourly_used": "1", "hourly_limit": "4"},
        "windows": [],
        "pending_proposals": [],
        "unsettled_executions": [],
        "last_execution": None,
        "scan": None,
        "policy": None,
        "policy_warnings": [],
        "exchange_url": "http://127.0.0.1:9/v2",
        **changes,
    }


def proposal(**changes: object) -> dict[str, Any]:
    return {
        "id": PROPOSAL,
        "market": "BTC-EUR",
        "asset": "BTC",
        "side": "buy",
        "amount": None,
        "amount_quote": "149.00",
        "limit_price": None,
        "reference_price": "62355",
        "confidence": "79.80",
        "expires_at": "2026-11-24T09:12:30+00:00",
        "rationale": "it is cheap",
        "worst_price": "62978.55",
        "fee_percent": "0.25",
        **changes,
    }


@pytest.fixture
def deployment() -> Iterator[Deployment]:
    with serving(lambda _: Reply(500)) as server:
        made = Deployment(server)
        server.answering = made
        made.says("/auth/v1/token", made.tokens)
        made.says("/status", Reply(200, status()))
        yield made


@pytest.fixture
def interlock(
    deployment: Deployment,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> CommandLine:
    """The command line, with the deployment in its environment and nobody signed in."""
    for name in ("NO_COLOR", "FORCE_COLOR", "SUPABASE_SECRET_KEY", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("SUPABASE_URL", deployment.server.url)
    monkeypatch.setenv("SUPABASE_PUBLISHABLE_KEY", "sb_publishable_x")
    monkeypatch.setenv("INTERLOCK_URL", deployment.server.url)
    return CommandLine(monkeypatch, capsys, tmp_path)


@pytest.fixture
def owner(interlock: CommandLine) -> CommandLine:
    """The same with an owner signed in."""
    assert interlock("login", EMAIL, stdin=f"{PASSWORD}\n").exit == 0
    return interlock


def on_a_terminal(*arguments: str, answers: Sequence[tuple[str, str]]) -> Ran:
    """Run a command on a terminal of its own, where a person answers each question as it is asked."""
    parent, child = pty.openpty()
    try:
        running = subprocess.Popen(
            [sys.executable, "-m", "cli", *arguments],
            stdin=child,
            stdout=child,
            stderr=child,
            cwd=REPOSITORY,
            env=dict(os.environ),
            start_new_session=True,
        )
        os.close(child)
        seen = ""
        for question, answer in answers:
            while question not in seen:
                seen += os.read(parent, 1024).decode()
            os.write(parent, f"{answer}{'' if answer == CTRL_D else chr(10)}".encode())
        with suppress(OSError):  # the other end is closed: it has ended
            while said := os.read(parent, 1024):
                seen += said.decode()
        return Ran(running.wait(timeout=20), seen, "")
    finally:
        os.close(parent)
