"""One request on its way through the exchange: who asks, what it costs, may they, what is the answer."""

from __future__ import annotations

import json
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from local.exchange.auth import authenticate, authorize
from local.exchange.clock import Instant
from local.exchange.endpoints import Call, Endpoint
from local.exchange.exchange import Exchange
from local.exchange.keys import ApiKey
from local.exchange.refusals import Refusal


@dataclass(frozen=True)
class Visit:
    """A request whose body has arrived; `proceed` carries it out, now or when a fault lets it."""

    exchange: Exchange
    endpoint: Endpoint
    request: Request
    body: bytes

    async def proceed(self, *, lag_ms: int | None = None, off_ms: int = 0) -> Response:
        """The answer; look-ups lag by `lag_ms` and the clock is off by `off_ms` for this request alone."""
        now = self.exchange.clock.now().off_by(off_ms)
        headers: dict[str, str] = {}
        try:
            key = self._identify(now, headers)
            authorize(key, self.endpoint.right)
            call = self._call(key, now, lag_ms)
            return JSONResponse(self.endpoint.handler(self.exchange, call), headers=headers)
        except Refusal as refusal:
            return JSONResponse(refusal.body, refusal.http_status, headers=headers)

    @property
    def target(self) -> str:
        """The path with its query, exactly as sent."""
        path: bytes = self.request.scope["raw_path"]
        query: bytes = self.request.scope["query_string"]
        return (path + (b"?" + query if query else b"")).decode("latin-1")

    @property
    def market(self) -> str | None:
        """The market that the request is about, where it names one."""
        named = self.request.path_params.get("market") or self.request.query_params.get("market")
        if named is None and self.body:
            try:
                named = json.loads(self.body)["market"]
            except (ValueError, KeyError, TypeError):
                return None
        return named if named in self.exchange.engine.markets else None

    def _identify(self, now: Instant, headers: dict[str, str]) -> ApiKey | None:
        """The key that signed; the points are charged to it, or to the address when nothing valid signed."""
        address = self.request.client.host if self.request.client else "unknown"
        cost = self.endpoint.cost(self.request.query_params)
        key, refusal = None, None
        try:
            key = authenticate(
                self.exchange.keys,
                self.request.headers,
                self.request.method,
                self.target,
                self.body,
                now.shown_ms,
                address,
            )
        except Refusal as refused:
            refusal = refused
        who = key.key if key else address
        try:
            self.exchange.limits.spend(who, signed=key is not None, weight=cost, now_ms=now.shown_ms)
        finally:
            headers.update(self.exchange.limits.headers(who, now.shown_ms))
        if refusal is not None:
            raise refusal
        return key

    def _call(self, key: ApiKey | None, now: Instant, lag_ms: int | None) -> Call:
        for name in self.request.query_params:
            if name not in self.endpoint.params:
                raise Refusal(200, name)
        return Call(
            params=self.request.query_params,
            path=self.request.path_params,
            body=_json_object(self.body) if self.request.method == "POST" else {},
            key=key,
            now=now,
            lag_ms=lag_ms,
            request={
                "method": self.request.method,
                "path": self.target,
                "body": self.body.decode(errors="replace"),
                "timestamp": self.request.headers.get("bitvavo-access-timestamp", ""),
                "window": self.request.headers.get("bitvavo-access-window", ""),
            },
        )


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
