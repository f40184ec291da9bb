"""Answers that break the connection, and the protocol class that lets an application do so."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

TRANSPORT = "interlock.transport"
ARRIVED = "interlock.arrived"


class BreakableProtocol(H11Protocol):
    """uvicorn's HTTP/1.1, with the connection's transport in each request's scope.

    Beside it, to be called, when the latest bytes of the request arrived (ns of the monotonic clock).
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # TCP alone
        super().connection_made(transport)
        self._arrived_ns = 0
        self.app = _with_connection(self.app, transport, lambda: self._arrived_ns)

    def data_received(self, data: bytes) -> None:
        """Note the time, before anything is read of it."""
        self._arrived_ns = time.monotonic_ns()
        super().data_received(data)


class Dropped(Response):
    """The connection closes without one byte of an answer."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI
        scope[TRANSPORT].abort()
        await _gone(receive)


class Cut(Response):
    """The headers promise the whole body; the connection closes after half of it."""

    def __init__(self, whole: Response) -> None:
        super().__init__(bytes(whole.body), whole.status_code)
        self.raw_headers = whole.raw_headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        half = bytes(self.body)[: len(self.body) // 2]
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": half, "more_body": True})
        scope[TRANSPORT].close()
        await _gone(receive)


def _with_connection(app: ASGIApp, transport: asyncio.Transport, arrived_ns: Callable[[], int]) -> ASGIApp:
    async def run(scope: Scope, receive: Receive, send: Send) -> None:
        scope[TRANSPORT] = transport
        scope[ARRIVED] = arrived_ns
        await app(scope, receive, send)

    return run


async def _gone(receive: Receive) -> None:
    """Wait until the server has noticed, or it would answer 500 on its own."""
    while (await receive())["type"] != "http.disconnect":
        pass
