"""The scheduled scan over HTTP: `POST /`, private to the scheduler's identity."""

import os
import sys
import time
from datetime import UTC, datetime

from flask import Request, Response

from functions.scan_tick.job import Outside
from functions.scan_tick.model import Model
from functions.scan_tick.tick import tick
from shared import log, web
from shared.bitvavo import BitvavoReadonly, open_http
from shared.database import Database
from shared.environment import Settings, load
from shared.errors import DatabaseError, MethodNotAllowed, NotFound, SettingsError
from shared.events import Event

EXCHANGE_TIMEOUT_S = 5.0


def _model(settings: Settings) -> Model:
    if settings.openai_model is None or settings.openai_api_key is None:
        raise SettingsError(
            "OPENAI_MODEL and OPENAI_API_KEY are missing: scan_tick cannot start without them."
        )
    return Model(
        settings.openai_model,
        settings.openai_api_key,
        settings.openai_base_url,
        timeout_s=settings.model_timeout_s,
    )


log.configure("scan_tick", os.environ.get("GOOGLE_CLOUD_PROJECT"))
try:
    _settings = load("scan_tick", os.environ)
    _language_model = _model(_settings)
except SettingsError as error:
    sys.exit(str(error))

_exchange = BitvavoReadonly(
    open_http(EXCHANGE_TIMEOUT_S),
    _settings.bitvavo_rest_url,
    _settings.readonly_keys,
    now_ms=lambda: time.time_ns() // 1_000_000,
)
_outside = Outside(
    database=Database(_settings.supabase_url, _settings.supabase_secret_key),
    model=_language_model,
    now=lambda: datetime.now(UTC),
    monotonic=time.monotonic,
    sleep=time.sleep,
    notify_url=_settings.notify_url,
)
log.log(Event.FUNCTION_STARTED, instance=_settings.scheduler_instance_id)


def scan_tick(request: Request) -> Response:
    """Answer one request of the scheduler with a summary of the tick."""
    return web.serve(request, _handle)


def _handle(request: Request) -> Response:
    if request.path != "/":
        raise NotFound
    if request.method != "POST":
        raise MethodNotAllowed("POST")
    try:
        summary = tick(_exchange, _outside, _settings.scheduler_instance_id)
    except DatabaseError as error:
        log.log(Event.SCAN_CLAIM_FAILED, error=error)
        return web.failure(503, "UNAVAILABLE", "No job could be claimed; the next tick tries again.")
    return web.json_answer(200, summary.answer())
