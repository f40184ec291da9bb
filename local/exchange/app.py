"""The HTTP layer: who asks, what it costs, may they, what is the answer."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from local.exchange.auth import authenticate, authorize
from local.exchange.endpoints import ENDPOINTS, Call, Endpoint
from local.exchange.exchange import Exchange, create_exchange
from local.exchange.refusals import Refusal

NOT_FOUND = "<!DOCTYPE html><html><head><title>404 Not Found</title></head><body>404 Not Found</body></html>"


def create_app(exchange: Exchange | None = None) -> Starlette:
    """The ASGI application of an exchange, by default of a fresh one."""
    exchange = exchange or create_exchange()
    return Starlette(
        routes=[
            Route(f"/v2{endpoint.path}", _route(exchange, endpoint), methods=[endpoint.method])
            for endpoint in ENDPOINTS
        ],
        exception_handlers={404: _not_found, 405: _not_found},
    )


def _route(exchange: Exchange, endpoint: Endpoint) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        return respond(exchange, endpoint, request, await request.body())

    return answer


def respond(
    exchange: Exchange, endpoint: Endpoint, request: Request, body: bytes, lag_ms: int | None = None
) -> Response:
    """Identify, charge, authorize, do, answer."""
    now = exchange.clock.now()
    address = request.client.host if request.client else "unknown"
    who, signed = address, False
    headers: dict[str, str] = {}
    try:
        try:
            key = authenticate(
                exchange.keys,
                request.headers,
                request.method,
                target_of(request),
                body,
                now.shown_ms,
                address,
            )
            if key is not None:
                who, signed = key.key, True
        finally:
            headers = exchange.limits.headers(who, now.shown_ms)
            cost = endpoint.cost(request.query_params)
            headers = exchange.limits.spend(who, signed, cost, now.shown_ms)
        authorize(key, endpoint.right)
        for name in request.query_params:
            if name not in endpoint.params:
                raise Refusal(200, name)
        call = Call(
            params=request.query_params,
            path=request.path_params,
            body=_json_object(body) if request.method == "POST" else {},
            key=key,
            now=now,
            lag_ms=exchange.settings.lookup_lag_ms if lag_ms is None else lag_ms,
            request={
                "method": request.method,
                "path": target_of(request),
                "body": body.decode(errors="replace"),
                "timestamp": request.headers.get("bitvavo-access-timestamp", ""),
                "window": request.headers.get("bitvavo-access-window", ""),
            },
        )
        return JSONResponse(endpoint.handler(exchange, call), headers=headers)
    except Refusal as refusal:
        return JSONResponse(refusal.body, refusal.http_status, headers=headers)


def target_of(request: Request) -> str:
    """The path with its query, exactly as sent."""
    path: bytes = request.scope["raw_path"]
    query: bytes = request.scope["query_string"]
    return (path + (b"?" + query if query else b"")).decode("latin-1")


def _json_object(body: bytes) -> dict[str, object]:
    try:
        parsed = json.loads(body, parse_constant=_refuse_constant)
    except ValueError:
        raise Refusal(102) from None
    if not isinstance(parsed, dict):
        raise Refusal(102)
    return parsed


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON")


async def _not_found(_request: Request, _error: Exception) -> Response:
    return HTMLResponse(NOT_FOUND, 404)
