"""The application: Bitvavo's routes under /v2, and the routes that command the simulation under /_admin."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from local.exchange.admin import admin_routes
from local.exchange.books import KeptBooks
from local.exchange.endpoints import ENDPOINTS, Endpoint
from local.exchange.exchange import Exchange, create_exchange
from local.exchange.faults import KINDS, ExchangeFaultRequest
from local.exchange.visit import Visit
from local.faults.plan import FaultPlan
from local.faults.wire import ARRIVED

NOT_FOUND = "<!DOCTYPE html><html><head><title>404 Not Found</title></head><body>404 Not Found</body></html>"

Times = deque[dict[str, object]]
"""How long the latest answers under /v2 took: `on` what was asked, `us` microseconds."""

_TIMES_KEPT = 1000


@dataclass(frozen=True)
class _Timed:
    """Notes the time from a request's last byte to its answer's, on the connections that tell of it."""

    app: ASGIApp
    times: Times

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)
        if ARRIVED in scope and scope["path"].startswith("/v2/"):
            us = (time.monotonic_ns() - scope[ARRIVED]()) // 1000
            self.times.append({"on": f"{scope['method']} {scope['path'].removeprefix('/v2')}", "us": us})


def create_app(
    exchange: Exchange | None = None,
    faults: FaultPlan[ExchangeFaultRequest] | None = None,
    books: Path | None = None,
) -> Starlette:
    """The ASGI application of an exchange, by default of a fresh one, without faults and books on disk.

    Faults that break connections need `local.faults.wire.BreakableProtocol`, which `serving` sets.
    """
    exchange = exchange or create_exchange()
    faults = faults or FaultPlan()
    times: Times = deque(maxlen=_TIMES_KEPT)

    async def latest_times(_request: Request) -> Response:
        return JSONResponse(list(times))

    return Starlette(
        routes=[
            *(
                Route(f"/v2{endpoint.path}", _route(exchange, faults, endpoint), methods=[endpoint.method])
                for endpoint in ENDPOINTS
            ),
            *admin_routes(exchange, faults),
            Route("/_admin/times", latest_times),
        ],
        middleware=[
            Middleware(_Timed, times),
            *([] if books is None else [Middleware(KeptBooks, exchange, books)]),
        ],
        exception_handlers={404: _not_found, 405: _not_found},
    )


def _route(
    exchange: Exchange, faults: FaultPlan[ExchangeFaultRequest], endpoint: Endpoint
) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        visit = Visit(exchange, endpoint, request, await request.body())
        fault = faults.strike(endpoint.name)
        return await (visit.proceed() if fault is None else KINDS[fault.asked.name].run(visit, fault))

    return answer


async def _not_found(_request: Request, _error: Exception) -> Response:
    return HTMLResponse(NOT_FOUND, 404)
