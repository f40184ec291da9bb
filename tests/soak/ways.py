"""From a process to its servers without a network: whoever stands in between may do anything at each step."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Protocol
from uuid import UUID

import httpx
from pydantic import SecretStr
from starlette.types import ASGIApp, Message, Scope

from functions.scan_tick.answer import Completion
from functions.scan_tick.model import Model, NotAnswered, NotAsked
from functions.scan_tick.question import Question
from local.faults.wire import TRANSPORT
from shared.database import Database

ADDRESS = "https://exchange.test/v2"


class Crash(BaseException):
    """The process dies here: nothing of it goes on."""


@dataclass
class Process:
    """One run of a function, and what it has learned: the soak looks at the order by its eyes."""

    name: str
    depth: int = 0
    asked: UUID | None = None
    """The proposal that it executes."""
    book: tuple[Decimal, Decimal] | None = None
    """Best bid and ask, as it was last told."""
    reservation: UUID | None = None
    """The model call that it reserved last."""
    began_ns: int = 0
    """When its run began to look."""


class Between(Protocol):
    """Who stands in between."""

    def exchange_call(self, process: Process, name: str, request: httpx.Request) -> httpx.Response:
        """Carry a request to the exchange, or not."""

    def database_call(self, process: Process, rpc: str, params: dict[str, object]) -> Any:
        """Carry a call to the database, or not."""

    def model_call(self, process: Process, question: Question) -> Completion | NotAsked | NotAnswered:
        """Ask the model, or not."""


class ExchangeWay(httpx.BaseTransport):
    """The network of one process."""

    def __init__(self, between: Between, process: Process) -> None:
        self._between = between
        self._process = process

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Raises what a network raises, or Crash."""
        return self._between.exchange_call(self._process, _endpoint(request), request)


class DatabaseWay(Database):
    """The data API of one process."""

    def __init__(self, between: Between, process: Process) -> None:
        self._between = between
        self._process = process

    def call(self, rpc: str, **params: object) -> Any:
        """Like `Database.call`, with the same exceptions; or Crash."""
        return self._between.database_call(self._process, rpc, params)


class ModelWay(Model):
    """The model of one process."""

    def __init__(self, between: Between, process: Process) -> None:
        super().__init__("scripted", SecretStr("-"))
        self._between = between
        self._process = process

    def ask(self, question: Question, timeout_s: float) -> Completion | NotAsked | NotAnswered:  # noqa: ARG002 - the soak has its own time
        """Whatever the schedule makes the model say; or Crash."""
        return self._between.model_call(self._process, question)


def _endpoint(request: httpx.Request) -> str:
    path = request.url.path.removeprefix("/v2")
    return f"{request.method} {'/{market}/candles' if path.endswith('/candles') else path}"


@dataclass
class _Connection:
    """The connection of one request; a fault may break it."""

    broken: bool = False

    def abort(self) -> None:
        self.broken = True

    close = abort


@dataclass
class _Exchange:
    """One request and its answer, as an ASGI application sees them."""

    body: bytes
    received: bool = False
    status: int = 0
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    answer: bytearray = field(default_factory=bytearray)

    async def receive(self) -> Message:
        if self.received:
            return {"type": "http.disconnect"}
        self.received = True
        return {"type": "http.request", "body": self.body, "more_body": False}

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status, self.headers = message["status"], list(message["headers"])
        else:
            self.answer += message.get("body", b"")


def served(app: ASGIApp, request: httpx.Request) -> httpx.Response:
    """Serve one request at once, in this thread. Raises RemoteProtocolError when the connection breaks."""
    path, _, query = request.url.raw_path.partition(b"?")
    connection = _Connection()
    exchange = _Exchange(request.read())
    scope: Scope = {
        "type": "http",
        "http_version": "1.1",
        "method": request.method,
        "scheme": "https",
        "path": request.url.path,
        "raw_path": path,
        "query_string": query,
        "headers": [(name.lower(), value) for name, value in request.headers.raw],
        "client": ("192.0.2.1", 1),
        "server": ("exchange.test", 443),
        TRANSPORT: connection,
    }
    running = app(scope, exchange.receive, exchange.send).__await__()
    try:
        next(running)
    except StopIteration:
        pass
    else:
        raise RuntimeError("the exchange waits for something")
    if connection.broken:
        raise httpx.RemoteProtocolError("the connection broke")
    return httpx.Response(exchange.status, headers=exchange.headers, content=bytes(exchange.answer))
