"""What every answer over HTTP has in common: JSON, a request id, and never a traceback."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping
from uuid import uuid4

from flask import Request, Response

from shared import log
from shared.errors import RequestRefused
from shared.events import Event

_REQUEST_ID = re.compile(r"[A-Za-z0-9-]{1,64}")
_TRACE = re.compile(r"[0-9a-f]{32}")


def request_id_of(request: Request) -> str:
    """The caller's `X-Request-Id` when it is well formed, else a new one.

    It ties log lines together and is never used as an id of anything.
    """
    given = request.headers.get("X-Request-Id", "")
    return given if _REQUEST_ID.fullmatch(given) else str(uuid4())


def json_answer(
    status: int, body: Mapping[str, object], headers: Mapping[str, str] | None = None
) -> Response:
    """An answer with a JSON body. Numbers that matter are text in it already."""
    answer = Response(json.dumps(body, default=str, allow_nan=False), status, mimetype="application/json")
    answer.headers.update(headers or {})
    return answer


def failure(
    status: int,
    code: str,
    sentence: str,
    details: Mapping[str, object] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """The one shape of all failures: `{"error": sentence, "code": code, ...}`."""
    return json_answer(status, {"error": sentence, "code": code, **(details or {})}, headers)


def refusal(refused: RequestRefused) -> Response:
    """The answer to a request that is refused."""
    return failure(refused.status, refused.code, str(refused), refused.details(), refused.headers())


def serve(request: Request, handle: Callable[[Request], Response]) -> Response:
    """Answer one request with what `handle` makes of it.

    A `RequestRefused` becomes its answer. Anything else that escapes is logged and answered 503
    `UNAVAILABLE`, so whoever has done what cannot be repeated must not let anything escape.
    """
    started = time.monotonic()
    request_id = request_id_of(request)
    trace = request.headers.get("X-Cloud-Trace-Context", "").partition("/")[0]
    in_request = log.request_id.set(request_id)
    in_trace = log.trace.set(trace if _TRACE.fullmatch(trace) else None)
    try:
        answer = _answer(request, handle)
        answer.headers["X-Request-Id"] = request_id
        answer.headers["Cache-Control"] = "no-store"
        answer.headers["X-Content-Type-Options"] = "nosniff"
        log.log(
            Event.REQUEST_ANSWERED,
            method=request.method,
            path=request.path,
            status=answer.status_code,
            duration_ms=round((time.monotonic() - started) * 1000),
        )
        return answer
    finally:
        log.trace.reset(in_trace)
        log.request_id.reset(in_request)


def _answer(request: Request, handle: Callable[[Request], Response]) -> Response:
    try:
        return handle(request)
    except RequestRefused as refused:
        return refusal(refused)
    except Exception as error:  # noqa: BLE001 - the last resort: a caller gets an answer, never a traceback
        log.log(Event.REQUEST_FAILED, "an error that nothing expected", error=error)
        return failure(503, "UNAVAILABLE", "Something failed that should not have; the log says what.")
