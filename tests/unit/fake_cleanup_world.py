"""An exchange and a database that answer over HTTP from plain lists, for cleanup's own tests."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import httpx
from pydantic import SecretStr

from functions.cleanup.exchange import Exchange
from shared.bitvavo import BitvavoOrders, BitvavoReadonly, KeyPair
from shared.database import Database

BASE = "https://exchange.example.com/v2"
KEYS = KeyPair("k" * 64, SecretStr("s" * 64))
OPERATOR = 7
NOW_MS = 1_790_000_000_000
DAY_MS = 86_400_000


def order(number: int, **fields: Any) -> dict[str, Any]:
    """An order object of our operator, filled, created `number` ms before now unless told otherwise."""
    return {
        "orderId": f"order-{number}",
        "clientOrderId": str(UUID(int=number)),
        "market": "BTC-EUR",
        "side": "buy",
        "status": "filled",
        "orderType": "limit",
        "amount": "0.001",
        "filledAmount": "0.001",
        "filledAmountQuote": "58",
        "feePaid": "0.145",
        "feeCurrency": "EUR",
        "fills": [],
        "created": NOW_MS - number,
        "updated": NOW_MS - number,
        "operatorId": OPERATOR,
        **fields,
    }


@dataclass
class FakeExchange:
    """Orders and fills by list, newest first; what tests vary is a field."""

    orders: list[dict[str, Any]] = field(default_factory=list)
    trades: list[dict[str, Any]] = field(default_factory=list)
    time_ms: int = NOW_MS
    page: int = 1000
    end_is_inclusive: bool = True
    knows_id_to: bool = True
    remaining: int | None = 1000
    hidden_from_look_ups: set[str] = field(default_factory=set)
    intercept: Callable[[httpx.Request], httpx.Response | None] = lambda _: None
    asked: list[httpx.Request] = field(default_factory=list)
    canceled: list[str] = field(default_factory=list)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        answer = self.intercept(request) or self._answer(request)
        if self.remaining is not None and request.url.path != "/v2/time":
            self.remaining -= 5 if request.url.path in ("/v2/orders", "/v2/ordersOpen", "/v2/trades") else 1
            answer.headers["bitvavo-ratelimit-limit"] = "1000"
            answer.headers["bitvavo-ratelimit-remaining"] = str(self.remaining)
            answer.headers["bitvavo-ratelimit-resetat"] = str(self.time_ms + 30_000)
        return answer

    def _answer(self, request: httpx.Request) -> httpx.Response:
        query = dict(request.url.params)
        match request.method, request.url.path:
            case "GET", "/v2/time":
                return httpx.Response(200, json={"time": self.time_ms})
            case "GET", "/v2/order":
                found = [
                    one
                    for one in self.orders
                    if one["clientOrderId"] == query["clientOrderId"]
                    and one["market"] == query["market"]
                    and one["clientOrderId"] not in self.hidden_from_look_ups
                ]
                if found:
                    return httpx.Response(200, json=found[0])
                return httpx.Response(404, json={"errorCode": 240, "error": "No order found."})
            case "DELETE", "/v2/order":
                self.canceled.append(query["clientOrderId"])
                for one in self.orders:
                    if one["clientOrderId"] == query["clientOrderId"]:
                        one["status"] = "canceled"
                return httpx.Response(200, json={"orderId": "some"})
            case "GET", "/v2/orders":
                return self._page(self.orders, "created", "orderId", "orderIdTo", query)
            case "GET", "/v2/trades":
                return self._page(self.trades, "timestamp", "id", "tradeIdTo", query)
            case "GET", "/v2/ordersOpen":
                here = [one for one in self.orders if one["market"] == query["market"]]
                return httpx.Response(200, json=[one for one in here if one["status"] == "new"])
        return httpx.Response(404, html="<html>no such path</html>")

    def _page(
        self, rows: list[dict[str, Any]], time: str, name: str, name_to: str, query: dict[str, str]
    ) -> httpx.Response:
        start, end = int(query["start"]), int(query["end"])
        if end - start > DAY_MS:
            return httpx.Response(400, json={"errorCode": 205, "error": "end parameter is invalid."})
        listed = sorted(rows, key=lambda row: -row[time])
        if self.knows_id_to and name_to in query:
            names = [row[name] for row in listed]
            listed = listed[names.index(query[name_to]) :]
        if not self.end_is_inclusive:
            end -= 1
        listed = [row for row in listed if row["market"] == query["market"] and start <= row[time] <= end]
        return httpx.Response(200, json=listed[: min(self.page, int(query["limit"]))])


@dataclass
class FakeDatabase:
    """Answers RPCs from a table of answers, and keeps the calls."""

    answers: dict[str, Any] = field(default_factory=dict)
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        rpc = request.url.path.rpartition("/")[2]
        params = json.loads(request.content)
        self.calls.append((rpc, params))
        answer = self.answers[rpc]
        if callable(answer):
            answer = answer(params)
        return answer if isinstance(answer, httpx.Response) else httpx.Response(200, json=answer)

    def of(self, rpc: str) -> list[dict[str, Any]]:
        """The parameters of each call of one RPC."""
        return [params for name, params in self.calls if name == rpc]


def database_on(fake: FakeDatabase) -> Database:
    return Database("https://db.example.com", SecretStr("secret"), transport=httpx.MockTransport(fake))


def exchange_on(
    fake: FakeExchange, *, seconds: float = 45, monotonic: Callable[[], float] = lambda: 0.0
) -> Exchange:
    http = httpx.Client(transport=httpx.MockTransport(fake))
    return Exchange(
        BitvavoReadonly(http, BASE, None, now_ms=lambda: NOW_MS, monotonic=monotonic),
        BitvavoOrders(http, BASE, KEYS, OPERATOR, monotonic=monotonic),
        operator_id=OPERATOR,
        fingerprint=KEYS.fingerprint,
        address=BASE,
        seconds=seconds,
        monotonic=monotonic,
    )
