"""The entry point: HTTP in, HTTP out. What happens in between is in `protocol`."""

from __future__ import annotations

import os
import sys
import time
from functools import partial
from typing import NamedTuple

from flask import Request, Response

from functions.execute.answer import answer
from functions.execute.auth import Verifier, authenticate, verifier_for
from functions.execute.cors import allow, preflight
from functions.execute.exchange import BitvavoTrade
from functions.execute.pace import Pace
from functions.execute.protocol import Trader
from functions.execute.protocol import execute as carry_out
from functions.execute.records import Account, Records
from functions.execute.request import Action, parse_approval, read_body, route
from shared import log
from shared.bitvavo import BitvavoReadonly, open_http
from shared.database import Database
from shared.environment import Settings, load
from shared.errors import DatabaseRefused, DatabaseUnavailable, KeysUnavailable, SettingsError
from shared.events import Event
from shared.notify import notify
from shared.web import failure, json_answer, serve

READ_TIMEOUT_S = 3.0
"""Market facts older than half an access window are of no use."""

ORDER_TIMEOUT_S = 8.0
"""How long an order's answer is waited for before its fate counts as unknown."""


class Parts(NamedTuple):
    """What the function is made of: built once, shared by all requests."""

    verifier: Verifier
    records: Records
    trader: Trader
    allowed_origins: tuple[str, ...]


def build(settings: Settings) -> Parts:
    """Put the function together. Only in live mode is there a client that can place an order."""
    keys = settings.trade_keys
    account = Account(settings.trading_mode, settings.operator_id, keys.fingerprint if keys else None)
    records = Records(Database(settings.supabase_url, settings.supabase_secret_key), account)
    trade = None
    if settings.trading_mode == "live" and keys is not None and settings.operator_id is not None:
        trade = BitvavoTrade(
            open_http(ORDER_TIMEOUT_S), settings.bitvavo_rest_url, keys, settings.operator_id
        )
    trader = Trader(
        records=records,
        market_data=BitvavoReadonly(open_http(READ_TIMEOUT_S), settings.bitvavo_rest_url, None, _now_ms),
        trade=trade,
        operator_id=settings.operator_id,
        access_window_ms=settings.access_window_ms,
        pace=Pace(time.monotonic),
        now_ms=_now_ms,
        monotonic=time.monotonic,
        sleep=time.sleep,
        notify=partial(notify, settings.notify_url),
    )
    return Parts(verifier_for(settings), records, trader, settings.allowed_origins)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def answer_request(parts: Parts, request: Request) -> Response:
    """Route, authenticate, carry out, answer. Raises only when nothing was sent."""
    match route(request.method, request.path):
        case Action.PREFLIGHT:
            return preflight(request, parts.allowed_origins)
        case Action.HEALTH:
            return json_answer(200, {"status": "ok"})
        case Action.STATUS:
            user_id = authenticate(request.headers.get("Authorization"), parts.verifier)
            return json_answer(200, parts.records.status(user_id))
        case Action.APPROVE:
            body = read_body(request)
            user_id = authenticate(request.headers.get("Authorization"), parts.verifier)
            return answer(carry_out(parts.trader, user_id, parse_approval(body)))


def or_unavailable(parts: Parts, request: Request) -> Response:
    """Answer, or say that a dependency is down: nothing was sent then, and a repeat is safe."""
    try:
        return answer_request(parts, request)
    except DatabaseRefused as error:
        log.log(Event.DATABASE_REFUSED, error=error)
    except DatabaseUnavailable as error:
        log.log(Event.DATABASE_UNAVAILABLE, error=error)
    except KeysUnavailable as error:
        return failure(503, "UNAVAILABLE", str(error))
    return failure(503, "UNAVAILABLE", "The database could not be asked; nothing was sent, ask again.")


log.configure("execute")
try:
    PARTS = build(load("execute", os.environ))
except SettingsError as error:
    sys.exit(str(error))
log.log(Event.FUNCTION_STARTED, mode="live" if PARTS.trader.trade else "dry_run")


def execute(request: Request) -> Response:
    """Serve one request; the name that functions-framework is given."""
    return allow(request, serve(request, partial(or_unavailable, PARTS)), PARTS.allowed_origins)
