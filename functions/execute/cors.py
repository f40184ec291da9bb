"""Which pages of the web may call: those of the exact origins that the operator named."""

from __future__ import annotations

from flask import Request, Response

from functions.execute.request import ROUTES

_REMEMBER_S = "600"


def preflight(request: Request, allowed_origins: tuple[str, ...]) -> Response:
    """The answer to OPTIONS: what the path serves, and for an allowed origin what its pages may send."""
    served, _ = ROUTES[request.path]
    answer = Response(status=204, headers={"Allow": f"{served}, OPTIONS"})
    if request.headers.get("Origin") in allowed_origins:
        answer.headers["Access-Control-Allow-Methods"] = f"{served}, OPTIONS"
        answer.headers["Access-Control-Allow-Headers"] = "Authorization, Content-Type, X-Request-Id"
        answer.headers["Access-Control-Max-Age"] = _REMEMBER_S
    return answer


def allow(request: Request, answer: Response, allowed_origins: tuple[str, ...]) -> Response:
    """Let a page of an allowed origin read the answer; any other page's browser keeps it from it."""
    if not allowed_origins:
        return answer
    answer.headers.add("Vary", "Origin")
    origin = request.headers.get("Origin")
    if origin in allowed_origins:
        answer.headers["Access-Control-Allow-Origin"] = origin
        answer.headers["Access-Control-Expose-Headers"] = "X-Request-Id"
    return answer
