"""The function `cleanup`: expires, recovers, reconciles. Private to the scheduler, every minute."""

from __future__ import annotations

import os
import sys
import time

from flask import Request, Response

from functions.cleanup.exchange import Exchange
from functions.cleanup.run import run
from shared.bitvavo import BitvavoOrders, BitvavoReadonly, open_http
from shared.database import Database
from shared.environment import Settings, load
from shared.errors import MethodNotAllowed, NotFound, SettingsError
from shared.events import Event
from shared.log import configure, log
from shared.notify import notify
from shared.web import failure, json_answer, serve

EXCHANGE_TIMEOUT_S = 5.0
EXCHANGE_SECONDS = 45.0
"""A run stops asking the exchange after this long: the next one begins a minute after it."""

configure("cleanup", os.environ.get("GOOGLE_CLOUD_PROJECT"))
try:
    _settings: Settings = load("cleanup", os.environ)
except SettingsError as error:
    sys.exit(str(error))
_database = Database(_settings.supabase_url, _settings.supabase_secret_key)
_http = open_http(EXCHANGE_TIMEOUT_S)
log(Event.FUNCTION_STARTED, mode=_settings.trading_mode, instance=_settings.scheduler_instance_id)


def cleanup(request: Request) -> Response:
    """Answer `POST /` with a summary of the run; 503 when the database cannot be reached."""
    return serve(request, _cleanup)


def _cleanup(request: Request) -> Response:
    if request.path != "/":
        raise NotFound
    if request.method != "POST":
        raise MethodNotAllowed("POST")
    began_s = time.monotonic()
    summary = run(
        _database,
        _exchange(_settings),
        mode=_settings.trading_mode,
        instance=_settings.scheduler_instance_id,
        sleep=time.sleep,
    )
    told = summary.as_json()
    duration_ms = round((time.monotonic() - began_s) * 1000)
    log(Event.CLEANUP_DONE, summary.sentence(), result=told, duration_ms=duration_ms)
    message = summary.message()
    if message and notify(_settings.notify_url, message) and summary.notices:
        with summary.apart("end_notices"):
            _database.call("end_notices", p_notices=summary.notices)
    if not summary.database_reached:
        return failure(503, "UNAVAILABLE", "The database could not be reached.", told)
    return json_answer(200, told)


def _exchange(settings: Settings) -> Exchange | None:
    """The exchange for one run; its points and its clock are never kept beyond it."""
    if settings.trade_keys is None or settings.operator_id is None:
        return None
    url = settings.bitvavo_rest_url
    return Exchange(
        BitvavoReadonly(_http, url, None, now_ms=lambda: time.time_ns() // 1_000_000),
        BitvavoOrders(_http, url, settings.trade_keys, settings.operator_id),
        operator_id=settings.operator_id,
        fingerprint=settings.trade_keys.fingerprint,
        address=url,
        seconds=EXCHANGE_SECONDS,
        monotonic=time.monotonic,
    )
