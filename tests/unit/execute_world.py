"""A database and an exchange that answer execute over HTTP from memory, and a clock that only tests move.

They keep what the protocol relies on: a claim is granted once and repeated for its attempt alone, an order is
created by `POST /order` alone. What the real ones decide besides is proved against the real ones.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import httpx
import jwt
from flask import Request, Response
from pydantic import SecretStr
from werkzeug.test import Client, TestResponse
from werkzeug.wrappers import Request as WsgiRequest

from functions.execute.auth import SecretVerifier
from functions.execute.exchange import BitvavoTrade
from functions.execute.facts import AT_ONCE
from functions.execute.pace import Pace
from functions.execute.protocol import Trader
from functions.execute.records import Account, Records
from functions.execute.service import Service, handle
from shared.bitvavo import BitvavoReadonly, KeyPair
from shared.database import Database
from shared.environment import TradingMode

USER = UUID("7f0c1d8e-5a3b-4c1e-9a64-1b2f3c4d5e6f")
PROPOSAL = UUID("11111111-2222-4333-8444-555555555555")
EXECUTION = UUID("e05ecef8-3d52-5e6f-8f91-c798d87a6b20")
OPERATOR = 7
NOW_MS = 1_790_000_000_000

JWT_SECRET = "canary-jwt-secret-of-the-project-0123456789abcdef"
SECRET_KEY = "canary-supabase-secret-key"
TRADE_KEY = "canary-trade-key"
TRADE_SECRET = "canary-trade-secret"
ORIGIN = "https://app.example.com"

Intercept = Callable[[str, Callable[[], httpx.Response]], httpx.Response]
"""Gets the name of what is called and a way to carry it out; hands back the answer, or raises."""

POLICY = {
    "allowlist": ["BTC-EUR"],
    "min_confidence": 70,
    "limits": {
        "order": {"min_eur": "6", "max_eur": "250"},
        "daily": {"trades": 5, "value_eur": "1000"},
        "gpt": {"daily": 20, "hourly": 4},
    },
    "cooldown_minutes": 60,
    "anti_flip_minutes": 120,
    "max_price_move_percent": "1.0",
    "max_spread_percent": "0.5",
    "proposal_ttl_minutes": 15,
    "scan_interval_minutes": 60,
}


def carry_out(_: str, proceed: Callable[[], httpx.Response]) -> httpx.Response:
    """No fault."""
    return proceed()


@dataclass
class Clock:
    """Moves when somebody sleeps, or a test moves it."""

    now_s: float = 1000.0

    def monotonic(self) -> float:
        return self.now_s

    def now_ms(self) -> int:
        return NOW_MS + round((self.now_s - 1000.0) * 1000)

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds


def proposal(**changes: Any) -> dict[str, Any]:
    """A market buy for 25 EUR, with changes."""
    return {
        "id": str(PROPOSAL),
        "user_id": str(USER),
        "market": "BTC-EUR",
        "side": "buy",
        "order_type": "market",
        "amount": None,
        "amount_quote": "25",
        "limit_price": None,
        "reference_price": "50000",
        "confidence": "80",
        "status": "PENDING",
        **changes,
    }


@dataclass
class FakeDatabase:
    """One owner, one proposal, at most one execution."""

    mode: TradingMode = "live"
    proposal: dict[str, Any] = field(default_factory=proposal)
    policy: dict[str, Any] | None = field(default_factory=lambda: dict(POLICY))
    checks: list[dict[str, Any]] = field(
        default_factory=lambda: [{"check": "allowlist", "verdict": "PASSED", "code": None, "facts": {}}]
    )
    execution: dict[str, Any] | None = None
    intercept: Intercept = carry_out
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, request: httpx.Request) -> httpx.Response:
        name, params = request.url.path.rpartition("/")[2], json.loads(request.content)
        self.calls.append((name, params))

        def proceed() -> httpx.Response:
            with self._lock:
                return getattr(self, f"_{name}")(params)  # type: ignore[no-any-return]  # each answers so

        return self.intercept(name, proceed)

    def called(self, name: str) -> list[dict[str, Any]]:
        return [params for called, params in self.calls if called == name]

    def _mine(self, params: dict[str, Any]) -> httpx.Response | None:
        if params["p_user_id"] != str(USER):
            return _raised("PT403", "NOT_AN_OWNER")
        if params.get("p_proposal_id", str(PROPOSAL)) != str(PROPOSAL):
            return _raised("PT404", "PROPOSAL_NOT_FOUND")
        return None

    def _begin_execution(self, params: dict[str, Any]) -> httpx.Response:
        return self._mine(params) or httpx.Response(
            200,
            json={
                "proposal": self.proposal,
                "execution": self.execution,
                "execution_id": str(EXECUTION),
                "policy": self.policy,
                "policy_hash": "hash",
                "checks": [] if self.execution else self.checks,
            },
        )

    def _claim_execution(self, params: dict[str, Any]) -> httpx.Response:
        if self.execution is not None:
            same = self.execution["attempt_id"] == params["p_attempt_id"]
            claimed = same and self.execution["status"] in ("CLAIMED", "DRY_RUN")
            return self._claimed("claimed" if claimed else "exists")
        verdicts = self.checks + params["p_market_checks"]
        if any(verdict["verdict"] not in ("PASSED", "NOT_APPLICABLE") for verdict in verdicts):
            return httpx.Response(200, json={"outcome": "refused", "execution": None, "checks": verdicts})
        self.execution = {
            "id": str(EXECUTION),
            "user_id": str(USER),
            "proposal_id": str(PROPOSAL),
            "attempt_id": params["p_attempt_id"],
            "status": "CLAIMED" if self.mode == "live" else "DRY_RUN",
            "mode": self.mode,
            "market": self.proposal["market"],
            "side": self.proposal["side"],
            "request": {"method": "POST", "path": "/v2/order", "body": params["p_request_body"]},
            "access_timestamp": str(params["p_access_timestamp"]),
            "access_window_ms": str(params["p_access_window_ms"]),
            "exchange_order_id": None,
            "error_code": None,
        }
        return self._claimed("claimed")

    def _claimed(self, outcome: str) -> httpx.Response:
        return httpx.Response(200, json={"outcome": outcome, "execution": self.execution, "checks": []})

    def _record_execution_result(self, params: dict[str, Any]) -> httpx.Response:
        assert self.execution is not None
        if params["p_outcome"] == "placed":
            words = {"filled": "FILLED", "canceled": "CANCELED", "rejected": "REJECTED", "new": "OPEN"}
            self.execution["status"] = words.get(params["p_order"]["status"], "UNKNOWN")
            self.execution["exchange_order_id"] = params["p_order"]["orderId"]
        else:
            self.execution["status"] = params["p_outcome"].upper()
        self.execution["error_code"] = params["p_error_code"]
        return httpx.Response(200, json={"outcome": "recorded", "execution": self.execution})

    def _get_execution_status(self, params: dict[str, Any]) -> httpx.Response:
        return self._mine(params) or httpx.Response(200, json={"trading": {"state": "ACTIVE"}})


def _raised(code: str, message: str) -> httpx.Response:
    return httpx.Response(int(code[2:]), json={"code": code, "message": message, "details": "", "hint": None})


@dataclass
class FakeExchange:
    """One market with a fixed book; every order that it takes is filled at once."""

    clock: Clock
    ahead_ms: int = 0
    market: dict[str, Any] = field(
        default_factory=lambda: {
            "market": "BTC-EUR",
            "status": "trading",
            "base": "BTC",
            "quote": "EUR",
            "minOrderInBaseAsset": "0.00006100",
            "minOrderInQuoteAsset": "5.00",
            "quantityDecimals": 8,
            "notionalDecimals": 2,
            "tickSize": "1.00",
            "orderTypes": ["market", "limit"],
        }
    )
    book: dict[str, str] = field(
        default_factory=lambda: {"bid": "49990", "bidSize": "1", "ask": "50010", "askSize": "1"}
    )
    remaining: int = 1000
    orders: dict[str, dict[str, Any]] = field(default_factory=dict)
    posted: list[httpx.Request] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    keyed: dict[str, bool] = field(default_factory=dict)
    intercept: Intercept = carry_out

    def answer(self, request: httpx.Request) -> httpx.Response:
        name = f"{request.method} {request.url.path.removeprefix('/v2')}"
        self.asked.append(name)
        self.keyed[name] = "Bitvavo-Access-Key" in request.headers
        if request.method == "POST":
            self.posted.append(request)
        answer = self.intercept(name, lambda: self._carry_out(name, request))
        limits = {"limit": "1000", "remaining": str(self.remaining), "resetat": str(NOW_MS + 30_000)}
        answer.headers.update({f"bitvavo-ratelimit-{name}": value for name, value in limits.items()})
        return answer

    def _carry_out(self, name: str, request: httpx.Request) -> httpx.Response:
        match name:
            case "GET /time":
                return httpx.Response(200, json={"time": self.clock.now_ms() + self.ahead_ms})
            case "GET /markets":
                return httpx.Response(200, json=self.market)
            case "GET /ticker/book":
                return httpx.Response(200, json={"market": "BTC-EUR", **self.book})
            case "GET /order":
                found = self.orders.get(request.url.params["clientOrderId"])
                return httpx.Response(200, json=found) if found else refusal(404, 240)
            case "POST /order":
                sent = json.loads(request.content)
                order = filled(sent)
                self.orders[sent["clientOrderId"]] = order
                return httpx.Response(200, json=order)
        return httpx.Response(404, text="<html>not found</html>")


def filled(sent: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """The order object of an order that was filled at its price."""
    return {
        "orderId": f"order-{uuid4()}",
        **sent,
        "status": "filled",
        "filledAmount": sent["amount"],
        "filledAmountQuote": "24.9",
        "feePaid": "0.06",
        "feeCurrency": "EUR",
        "fills": [],
        "created": NOW_MS,
        "updated": NOW_MS,
        **changes,
    }


def refusal(status: int, code: int) -> httpx.Response:
    """The exchange says no."""
    return httpx.Response(status, json={"errorCode": code, "error": f"text of {code}"})


class World:
    """Execute between the two, and a caller. `frozen_s` passes between its reads and what it does next."""

    def __init__(self, mode: TradingMode = "live", *, frozen_s: float = 0.0) -> None:
        self.clock = Clock()
        self.database = FakeDatabase(mode)
        self.exchange = FakeExchange(self.clock)
        self.notified: list[str] = []
        live = mode == "live"
        keys = KeyPair(TRADE_KEY, SecretStr(TRADE_SECRET))
        http = httpx.Client(transport=httpx.MockTransport(self.exchange.answer))
        url = "https://exchange.example.com/v2"
        monotonic = self.clock.monotonic
        operator = OPERATOR if live else None
        records = Records(
            Database(
                "https://project.supabase.co",
                SecretStr(SECRET_KEY),
                transport=httpx.MockTransport(self.database.answer),
            ),
            Account(mode, operator, keys.fingerprint if live else None, url),
        )
        self.trader = Trader(
            records=records,
            market_data=BitvavoReadonly(http, url, None, self.clock.now_ms, monotonic=monotonic),
            trade=BitvavoTrade(http, url, keys, OPERATOR, monotonic=monotonic) if live else None,
            side_by_side=ThreadPoolExecutor(AT_ONCE),
            operator_id=operator,
            access_window_ms=5000,
            pace=Pace(monotonic),
            now_ms=self.clock.now_ms,
            monotonic=lambda: monotonic() + frozen_s,
            sleep=self.clock.sleep,
            notify=self.notified.append,
        )
        verifier = SecretVerifier(JWT_SECRET, "https://project.supabase.co/auth/v1")
        service = Service(verifier, records, self.trader, (ORIGIN,))

        @WsgiRequest.application
        def app(request: WsgiRequest) -> Response:
            return handle(service, Request(request.environ))

        self.app = app
        self.http = Client(app)

    def approve(self, **changes: Any) -> TestResponse:
        """POST an approval of the proposal with the owner's token."""
        body = {"proposalId": str(PROPOSAL)} | changes
        return self.http.post("/", json=body, headers={"Authorization": f"Bearer {token()}"})


def token(user: UUID = USER) -> str:
    """An access token as the auth API signs it."""
    now = int(time.time())
    claims = {"sub": str(user), "aud": "authenticated", "role": "authenticated", "iat": now, "exp": now + 60}
    return jwt.encode(claims, JWT_SECRET, "HS256")


@contextmanager
def several(count: int, work: Callable[[], Any]) -> Iterator[list[Any]]:
    """What `count` threads that start together hand back."""
    barrier, results = threading.Barrier(count), []

    def run() -> None:
        barrier.wait()
        results.append(work())

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    yield results
