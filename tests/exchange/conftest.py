"""An exchange of its own for every test, on a clock that stands still until the test moves it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from local.exchange.app import create_app
from local.exchange.clock import NS_PER_MS, Clock
from local.exchange.engine import Settings
from local.exchange.exchange import Exchange, create_exchange
from local.exchange.faults import ExchangeFaultRequest
from local.exchange.keys import READONLY_KEY, READONLY_SECRET, TRADE_KEY, TRADE_SECRET
from local.faults.plan import FaultPlan
from local.faults.serving import serving
from tests.exchange.trader import Trader

# 2026-11-24T04:20:00Z, inside an hourly candle.
START_MS = 1_795_494_000_000


@dataclass
class Source:
    """A source of time that a test moves by hand."""

    ns: int = START_MS * NS_PER_MS

    def __call__(self) -> int:
        return self.ns

    def pass_ms(self, ms: int) -> None:
        self.ns += ms * NS_PER_MS


@dataclass
class Served:
    """An exchange with its server: its two traders, its admin routes and its time."""

    exchange: Exchange
    faults: FaultPlan[ExchangeFaultRequest]
    base_url: str
    time: Source
    http: httpx.Client

    @property
    def trade(self) -> Trader:
        return Trader(self.base_url, TRADE_KEY, TRADE_SECRET, self.now_ms, self.http)

    @property
    def readonly(self) -> Trader:
        return Trader(self.base_url, READONLY_KEY, READONLY_SECRET, self.now_ms, self.http)

    def now_ms(self) -> int:
        return self.exchange.clock.now().shown_ms

    def public(self, path: str, **params: str | int) -> httpx.Response:
        return self.http.get(f"{self.base_url}/v2{path}", params=params)

    def admin(self, path: str, **command: object) -> Any:
        answer = self.http.post(f"{self.base_url}/_admin{path}", json=command)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def fail(self, name: str, on: str, **fields: object) -> Any:
        return self.admin("/faults", name=name, on=on, **fields)

    def record(self) -> Any:
        return self.http.get(f"{self.base_url}/_admin/record").json()

    def available(self, symbol: str) -> str:
        balances = self.trade.get("/balance", symbol=symbol).json()
        return str(balances[0]["available"])


@pytest.fixture
def time_source() -> Source:
    return Source()


@pytest.fixture
def exchange(time_source: Source) -> Exchange:
    """Generated prices, look-ups without lag, points enough for any test."""
    return create_exchange(
        clock=Clock(time_source), candles=None, settings=Settings(lookup_lag_ms=0), points=100_000
    )


@dataclass
class Switch:
    """One server for all tests, which serves the application of the present one."""

    app: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.app is None:
            raise RuntimeError("no test is running")
        await self.app(scope, receive, send)


@pytest.fixture(scope="session")
def switch() -> Switch:
    return Switch()


@pytest.fixture(scope="session")
def address(switch: Switch) -> Iterator[str]:
    with serving(switch) as base_url:
        yield base_url


@pytest.fixture(scope="session")
def http() -> Iterator[httpx.Client]:
    with httpx.Client(timeout=5, trust_env=False) as client:
        yield client


@pytest.fixture
def served(
    exchange: Exchange, time_source: Source, switch: Switch, address: str, http: httpx.Client
) -> Iterator[Served]:
    faults: FaultPlan[ExchangeFaultRequest] = FaultPlan()
    switch.app = create_app(exchange, faults)
    one = Served(exchange, faults, address, time_source, http)
    # A book of two levels a side, so that a test can say what an order meets.
    one.admin(
        "/markets/BTC-EUR",
        price="50000",
        bids=[["49990", "0.02"], ["49900", "1"]],
        asks=[["50010", "0.02"], ["50100", "1"]],
    )
    yield one
    faults.clear()
