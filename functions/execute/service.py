"""The function put together: what it is made of, and how a request finds its way through it."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from flask import Request, Response

from functions.execute import facts
from functions.execute.answer import answer
from functions.execute.auth import Verifier, authenticate, verifier_for
from functions.execute.cors import allow, preflight
from functions.execute.exchange import BitvavoTrade
from functions.execute.pace import ORDERS_A_SECOND, Pace
from functions.execute.protocol import Trader, execute
from functions.execute.records import Account, Records
from functions.execute.request import Action, parse_approval, read_body, route
from shared.bitvavo import BitvavoReadonly, open_http
from shared.database import Database
from shared.environment import Settings
from shared.errors import DatabaseRefused, DatabaseUnavailable, KeysUnavailable
from shared.events import Event
from shared.log import log
from shared.notify import notify
from shared.web import failure, json_answer, serve

READ_TIMEOUT_S = 3.0
"""Market facts older than half an access window are of no use."""

ORDER_TIMEOUT_S = 8.0
"""How long an order's answer is waited for before its fate counts as unknown."""


@dataclass(frozen=True, slots=True)
class Service:
    """What the function is made of: built once, shared by all requests."""

    verifier: Verifier
    records: Records
    trader: Trader
    allowed_origins: tuple[str, ...]


def build(settings: Settings) -> Service:
    """Put the function together. Only in live mode is there a client that can place an order."""
    keys, url = settings.trade_keys, settings.bitvavo_rest_url
    fingerprint = keys.fingerprint if keys else None
    account = Account(settings.trading_mode, settings.operator_id, fingerprint, url)
    records = Records(Database(settings.supabase_url, settings.supabase_secret_key), account)
    trade = None
    if settings.trading_mode == "live" and keys is not None and settings.operator_id is not None:
        trade = BitvavoTrade(open_http(ORDER_TIMEOUT_S), url, keys, settings.operator_id)
    trader = Trader(
        records=records,
        market_data=BitvavoReadonly(open_http(READ_TIMEOUT_S), url, None, _now_ms),
        trade=trade,
        # Started when they are first needed: the server forks after this.
        side_by_side=ThreadPoolExecutor(facts.AT_ONCE * ORDERS_A_SECOND, thread_name_prefix="facts"),
        operator_id=settings.operator_id,
        access_window_ms=settings.access_window_ms,
        pace=Pace(time.monotonic),
        now_ms=_now_ms,
        monotonic=time.monotonic,
        sleep=time.sleep,
        notify=partial(notify, settings.notify_url),
    )
    return Service(verifier_for(settings), records, trader, settings.allowed_origins)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def handle(service: Service, request: Request) -> Response:
    """Answer one request, whatever it is."""
    answered = serve(request, partial(_or_unavailable, service))
    return allow(request, answered, service.allowed_origins)


def _or_unavailable(service: Service, request: Request) -> Response:
    """Answer, or say that a dependency is down: nothing was sent then, and a repeat is safe."""
    try:
        return _answer(service, request)
    except DatabaseRefused as error:
        log(Event.DATABASE_REFUSED, error=error)
    except DatabaseUnavailable as error:
        log(Event.DATABASE_UNAVAILABLE, error=error)
    except KeysUnavailable as error:
        return failure(503, "UNAVAILABLE", str(error))
    return failure(503, "UNAVAILABLE", "The database could not be asked; nothing was sent, ask again.")


def _answer(service: Service, request: Request) -> Response:
    """Route, authenticate, carry out, answer. Raises only when nothing was sent."""
    match route(request.method, request.path):
        case Action.PREFLIGHT:
            return preflight(request, service.allowed_origins)
        case Action.HEALTH:
            return json_answer(200, {"status": "ok"})
        case Action.STATUS:
            user_id = authenticate(request.headers.get("Authorization"), service.verifier)
            return json_answer(200, service.records.status(user_id))
        case Action.APPROVE:
            body = read_body(request)
            user_id = authenticate(request.headers.get("Authorization"), service.verifier)
            return answer(execute(service.trader, user_id, parse_approval(body)))
