"""Pass every request on, unless a fault that was asked for strikes it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from local.faults.kinds import COMMON
from local.faults.plan import FaultPlan, FaultRequest
from local.faults.routes import fault_routes

RPC = "/rest/v1/rpc/"
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
# They describe one connection, not what travels on it; lengths and encodings are made anew.
_OF_ONE_CONNECTION = {
    "connection",
    "content-encoding",
    "content-length",
    "host",
    "keep-alive",
    "transfer-encoding",
    "upgrade",
}


@dataclass(frozen=True)
class Passage:
    """A request that waits to be passed on."""

    client: httpx.AsyncClient
    request: Request
    body: bytes

    async def proceed(self) -> Response:
        """What the server behind answers, or 502 when it cannot be reached."""
        url = self.request.url
        try:
            answer = await self.client.request(
                self.request.method,
                f"{url.path}?{url.query}" if url.query else url.path,
                headers=_travelling(self.request.headers.items()),
                content=self.body,
            )
        except httpx.TransportError as error:
            return PlainTextResponse(f"the server behind the proxy did not answer: {error!r}", 502)
        passed = Response(answer.content, answer.status_code)
        for name, value in _travelling(answer.headers.multi_items()):
            passed.headers.append(name, value)
        return passed


def call_name(request: Request) -> str:
    """As faults name it: the RPC's name, or method and path of any other request."""
    path = request.url.path
    return path.removeprefix(RPC) if path.startswith(RPC) else f"{request.method} {path}"


def create_app(upstream: str, plan: FaultPlan[FaultRequest] | None = None) -> Starlette:
    """The ASGI application that stands before `upstream`, a base URL without a path."""
    faults: FaultPlan[FaultRequest] = plan or FaultPlan()
    client = httpx.AsyncClient(base_url=upstream, trust_env=False, follow_redirects=False, timeout=60)

    async def answer(request: Request) -> Response:
        passage = Passage(client, request, await request.body())
        fault = faults.strike(call_name(request))
        return await (passage.proceed() if fault is None else COMMON[fault.asked.name].run(passage, fault))

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        async with client:
            yield

    return Starlette(
        routes=[*fault_routes(faults, COMMON, FaultRequest), Route("/{path:path}", answer, methods=METHODS)],
        lifespan=lifespan,
    )


def _travelling(headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(name, value) for name, value in headers if name.lower() not in _OF_ONE_CONNECTION]
