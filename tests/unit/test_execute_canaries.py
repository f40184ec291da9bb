"""No secret leaves: planted canaries are looked for in everything that a long, bad run says."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import httpx
import pytest
from werkzeug.test import TestResponse

from functions.execute.auth import authenticate
from shared import log
from shared.errors import InterlockError
from shared.events import Event
from tests.unit.execute_world import (
    JWT_SECRET,
    PROPOSAL,
    SECRET_KEY,
    TRADE_KEY,
    TRADE_SECRET,
    World,
    refusal,
    token,
)

pytestmark = pytest.mark.unit


@dataclass
class Said:
    """Everything that was said, and the secrets that must not be in it."""

    capsys: pytest.CaptureFixture[str]
    texts: list[str] = field(default_factory=list)
    secrets: set[str] = field(default_factory=lambda: {JWT_SECRET, SECRET_KEY, TRADE_KEY, TRADE_SECRET})

    def secret(self, value: str) -> str:
        """Plant a canary. Of a token, the signature alone is one too."""
        self.secrets |= {value, value.rpartition(".")[2]} - {""}
        return value

    def answer(self, answer: TestResponse) -> None:
        self.texts += [answer.get_data(as_text=True), str(answer.headers)]

    def error(self, error: BaseException) -> None:
        self.texts += ["".join(traceback.format_exception(error)), repr(error)]

    def take_lines(self) -> None:
        captured = self.capsys.readouterr()
        self.texts += captured.out.splitlines() + captured.err.splitlines()

    def leaked(self) -> set[str]:
        return {secret for secret in self.secrets for text in self.texts if secret in text}


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Iterator[Said]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    log.configure("execute")
    yield Said(capsys)
    root.handlers = handlers
    root.setLevel(level)


def broken() -> httpx.Response:
    raise httpx.ReadError("reset")


def mistaken() -> httpx.Response:
    raise ZeroDivisionError


FAULTS: tuple[Callable[[], httpx.Response], ...] = (
    broken,
    mistaken,
    lambda: httpx.Response(500, text="<html>"),
    lambda: httpx.Response(401, json={"message": "Invalid API key", "hint": "Double check your key"}),
    lambda: httpx.Response(200, text="{"),
    lambda: refusal(400, 216),
    lambda: refusal(403, 309),
)


def raised_by(happens: Callable[[], httpx.Response]) -> BaseException:
    """The error of a call to the exchange whose answer this is."""
    world = World()
    world.exchange.intercept = lambda _name, _proceed: happens()
    with pytest.raises((InterlockError, ZeroDivisionError)) as raised:
        world.trader.market_data.time()
    return raised.value


class Broken:
    """A verifier that fails in a way that nobody expected, with the token in its text."""

    def claims(self, token: str) -> dict[str, object]:
        raise RuntimeError(token)


CALLS = (
    "begin_execution",
    "claim_execution",
    "record_execution_result",
    "GET /time",
    "GET /order",
    "POST /order",
)


def test_no_secret_is_in_anything_that_is_said(said: Said) -> None:
    """A canary that is logged on purpose is found; of a thousand texts of a bad run, none holds one."""
    log.log(Event.ORDER_SENT, said.secret("canary-on-purpose"))
    said.take_lines()
    assert said.leaked() == {"canary-on-purpose"}
    said.texts.clear()

    for happens in FAULTS:
        for on in CALLS:
            world = World()

            def intercept(
                name: str,
                proceed: Callable[[], httpx.Response],
                on: str = on,
                happens: Callable[[], httpx.Response] = happens,
            ) -> httpx.Response:
                return happens() if name == on else proceed()

            world.database.intercept = world.exchange.intercept = intercept
            for body in ({"proposalId": str(PROPOSAL)}, {"proposalId": "x"}, {}):
                bearer = {"Authorization": f"Bearer {said.secret(token())}"}
                said.answer(world.http.post("/", json=body, headers=bearer))
                said.answer(world.http.get("/status", headers=bearer))
            said.texts += [repr(world.trader), repr(world.trader.trade), repr(world.trader.records)]
        said.error(raised_by(happens))
        for spoilt in ("x" * 30, "", "é", "\n"):
            bad = said.secret(token() + spoilt)
            with pytest.raises(InterlockError) as raised:
                authenticate(f"Bearer {bad}", Broken())
            said.error(raised.value)
        said.take_lines()
    assert len(said.texts) >= 1000
    assert said.leaked() == set()
