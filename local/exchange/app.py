"""The application: Bitvavo's routes under /v2, and the routes that command the simulation under /_admin."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from local.exchange.admin import admin_routes
from local.exchange.endpoints import ENDPOINTS, Endpoint
from local.exchange.exchange import Exchange, create_exchange
from local.exchange.faults import KINDS, ExchangeFaultRequest
from local.exchange.visit import Visit
from local.faults.plan import FaultPlan

NOT_FOUND = "<!DOCTYPE html><html><head><title>404 Not Found</title></head><body>404 Not Found</body></html>"


def create_app(
    exchange: Exchange | None = None, faults: FaultPlan[ExchangeFaultRequest] | None = None
) -> Starlette:
    """The ASGI application of an exchange, by default of a fresh one without faults.

    Faults that break connections need `local.faults.wire.BreakableProtocol`, which `serving` sets.
    """
    exchange = exchange or create_exchange()
    faults = faults or FaultPlan()
    return Starlette(
        routes=[
            *(
                Route(f"/v2{endpoint.path}", _route(exchange, faults, endpoint), methods=[endpoint.method])
                for endpoint in ENDPOINTS
            ),
            *admin_routes(exchange, faults),
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
