"""A world for cleanup whose time the test moves: real SQL, the exchange over HTTP, cleanup's own code.

Every clock is its own: true time, what the exchange shows, what the database reads. Only the way from cleanup
to the database is shorter than in production: the same RPCs, as service_role, without the HTTP in between.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from uuid import UUID

import httpx
import psycopg
from psycopg.types.json import Jsonb

from functions.cleanup.exchange import Exchange as AskedExchange
from functions.cleanup.run import run
from functions.cleanup.summary import Summary
from functions.execute.exchange import BitvavoTrade
from functions.execute.facts import AT_ONCE
from functions.execute.pace import Pace
from functions.execute.protocol import ChecksFailed, Result, Trader, execute
from functions.execute.records import Account, Records
from functions.execute.request import Approval
from local import stack
from local.exchange.app import create_app
from local.exchange.clock import Clock
from local.exchange.endpoints import Call, place_order
from local.exchange.exchange import Accepted, Exchange, create_exchange
from local.exchange.faults import ExchangeFaultRequest
from local.exchange.orders import Order
from local.faults.plan import Fault, FaultPlan
from local.faults.serving import serving
from local.stack import OPERATOR_ID, Stack
from shared.bitvavo import Answer, BitvavoReadonly, KeyPair, open_http
from shared.environment import TradingMode
from shared.fees import affordable
from shared.log import configure
from tests.agreement import differences
from tests.cleanup.short_way import TRADE_KEYS, ShortWay, Times, asked
from tests.database.harness import POLICY, Caller, TestDatabase, body, opened, record

MINUTE = 60.0
_PATIENCE_S = 30.0
"""Longer than in production: while an answer is held, the test does other things."""


@dataclass
class Simulation:
    """One deployment: its database, its exchange, and what the test does to them."""

    server: Stack
    db: TestDatabase
    exchange: Exchange
    faults: FaultPlan[ExchangeFaultRequest]
    url: str
    times: Times
    http: httpx.Client
    service: Caller
    keys: KeyPair = TRADE_KEYS
    notices: list[str] = field(default_factory=list)
    """What execute told a person."""

    # Time

    def advance(self, seconds: float) -> None:
        """Let time pass, for everybody."""
        self.times.advance(seconds)
        self.sync()

    def sync(self) -> None:
        """Show the database its time."""
        self.db.set_clock(self.times.database_time())

    @property
    def exchange_ms(self) -> int:
        """What the exchange's clock shows, Unix ms."""
        return self.exchange.clock.now().shown_ms

    def fail(self, name: str, on: str, **fields: object) -> Fault[ExchangeFaultRequest]:
        """From now on, calls of the exchange meet this fault."""
        return self.faults.add(
            ExchangeFaultRequest.model_validate({"name": name, "on": on, "count": None, **fields})
        )

    def lag(self, ms: int) -> None:
        """From now on, look-ups and lists show what was so long ago."""
        for on in ("GET /order*", "GET /trades"):
            self.fail("lag", on, ms=ms)

    # Approving and sending

    def owner(self) -> UUID:
        """An owner to whom nothing but the account's limits applies."""
        self.sync()
        owner = self.db.user()
        self.db.do("insert into public.trading_owners (user_id) values (%s)", owner)
        self.db.do(
            """
            insert into public.trading_policies (user_id, policy) values (%s, interlock.complete_policy(%s))
            """,
            owner,
            Jsonb(dict(POLICY)),
        )
        return owner

    def proposal(self, owner: UUID, market: str = "BTC-EUR", side: str = "buy") -> UUID:
        """A pending proposal of 10 EUR at the exchange's own price."""
        self.sync()
        bids, asks = self.exchange.engine.book(market, self.exchange.clock.now())
        price = (asks if side == "buy" else bids)[0].price
        size = {} if side == "buy" else {"amount": round(Decimal(10) / price, 6)}
        return self.db.proposal(owner, side=side, market=market, reference_price=price, **size)

    def claim(self, owner: UUID, proposal: UUID) -> dict[str, Any]:
        """Approve it as execute does; the claim's answer."""
        self.sync()
        (row,) = self.db.rows(
            """
            select side, market, amount, amount_quote, reference_price
            from public.trade_proposals
            where id = %s
            """,
            proposal,
        )
        side, market, amount, quote, price = row
        size = amount if side == "sell" else affordable(quote, price)
        decimals = self.exchange.engine.markets[market].quantity_decimals
        size = size.quantize(Decimal(1).scaleb(-decimals), rounding="ROUND_DOWN")
        return self.db.claim(
            self.service,
            owner,
            proposal,
            p_access_timestamp=self.exchange_ms,
            p_trade_key_fingerprint=self.keys.fingerprint,
            p_exchange_url=self.url,
            p_request_body=body(proposal, market, side, size, price),
        )

    def claimed(
        self, owner: UUID | None = None, market: str = "BTC-EUR", side: str = "buy"
    ) -> dict[str, Any]:
        """The execution of a fresh proposal, of a fresh owner unless one is given."""
        owner = owner or self.owner()
        answer = self.claim(owner, self.proposal(owner, market, side))
        assert answer["outcome"] == "claimed", answer
        execution: dict[str, Any] = answer["execution"]
        return execution

    def send(self, execution: Mapping[str, Any]) -> Answer:
        """Send the claimed bytes as execute does."""
        trade = BitvavoTrade(self.http, self.url, self.keys, OPERATOR_ID)
        return trade.place(
            execution["request"]["body"].encode(),
            timestamp_ms=int(execution["access_timestamp"]),
            window_ms=int(execution["access_window_ms"]),
        )

    def placed(self, execution: Mapping[str, Any]) -> dict[str, Any]:
        """Send it; the order as the exchange answered."""
        answer = self.send(execution)
        assert answer.status == 200, answer.body
        order: dict[str, Any] = json.loads(answer.body)
        return order

    def appear(self, execution: Mapping[str, Any], **changed: object) -> dict[str, Any]:
        """The order comes up at the exchange only now: no window and no signature is looked at any more."""
        asked = {**json.loads(execution["request"]["body"]), **changed}
        key = self.exchange.keys[self.keys.key]
        call = Call(params={}, path={}, body=asked, key=key, now=self.exchange.clock.now())
        order = place_order(self.exchange, call)
        assert isinstance(order, dict)
        return order

    def rest(self, execution: Mapping[str, Any]) -> dict[str, Any]:
        """The order rests at the exchange against expectation, far from the price."""
        low = int(Decimal(json.loads(execution["request"]["body"])["price"]) * 7 / 10)
        return self.appear(execution, timeInForce="GTC", price=str(low))

    def record(self, execution: Mapping[str, Any], outcome: str, **changed: Any) -> dict[str, Any]:
        """Record a result as execute does."""
        self.sync()
        return record(self.service, execution, outcome, **changed)

    def approve(self, owner: UUID, proposal: UUID) -> Result:
        """Approve it through execute's own code, from the reading to the record."""
        self.sync()
        account = Account("live", OPERATOR_ID, self.keys.fingerprint, self.url)
        with ThreadPoolExecutor(AT_ONCE) as side_by_side:
            trader = Trader(
                records=Records(self.database(), account),
                market_data=BitvavoReadonly(
                    self.http, self.url, None, self.times.function_ms, monotonic=self.times.monotonic
                ),
                trade=BitvavoTrade(
                    self.http, self.url, self.keys, OPERATOR_ID, monotonic=self.times.monotonic
                ),
                side_by_side=side_by_side,
                operator_id=OPERATOR_ID,
                access_window_ms=5000,
                pace=Pace(self.times.monotonic),
                now_ms=self.times.function_ms,
                monotonic=self.times.monotonic,
                sleep=self.times.advance,
                notify=self.notices.append,
            )
            return execute(
                trader, owner, Approval(proposal, override_cooldown=False, override_anti_flip=False)
            )

    def refused_with(self, owner: UUID, proposal: UUID) -> set[str]:
        """The codes with which the approval of a proposal is refused."""
        result = self.approve(owner, proposal)
        assert isinstance(result, ChecksFailed), result
        return {str(check.code) for check in result.checks if check.code is not None}

    def absent(self) -> dict[str, Any]:
        """An execution that was never sent, and whose absence cleanup has concluded."""
        execution = self.claimed()
        self.record(execution, "unknown", p_error_code="NO_ANSWER")
        self.settle()
        assert self.status(execution) == "NOT_PLACED"
        return execution

    # Cleaning up

    def database(self) -> ShortWay:
        """The database as a function of this deployment calls it."""
        return ShortWay(self.db, self.times, self.service)

    def clean_up(self, *, mode: TradingMode = "live", instance: str = "test", **options: Any) -> Summary:
        """One run, whose message arrives; it takes no time unless something in it sleeps."""
        database = self.database()
        summary = run(
            database,
            self.asked(**options),
            mode=mode,
            instance=instance,
            sleep=self.times.advance,
        )
        if summary.notices:
            database.call("end_notices", p_notices=summary.notices)
        return summary

    def asked(
        self, *, keys: KeyPair | None = None, url: str | None = None, operator_id: int = OPERATOR_ID
    ) -> AskedExchange:
        """The exchange as one run sees it; with other keys, at another address."""
        return asked(self.http, url or self.url, keys or self.keys, self.times, operator_id)

    def settle(self, *, minutes: float = 1.0, most: int = 200, **options: Any) -> int:
        """Run cleanup, minutes apart, until nothing is left to learn; how many runs that took."""
        for number in range(1, most + 1):
            self.clean_up(**options)
            if not self.db.one(
                "select exists (select from trade_executions where next_check_at is not null)"
            ):
                return number
            self.advance(minutes * MINUTE)
        raise AssertionError(f"unsettled after {most} runs: {self.rows()}")

    # Losing the database

    def dump(self) -> str:
        """Keep the database as it is now; the URL of the copy."""
        self.db.close()
        name = self.db.url.rpartition("/")[2]
        kept = f"{name}_kept"
        with psycopg.connect(self.server.admin_url, autocommit=True) as admin:
            admin.execute(
                psycopg.sql.SQL("create database {} template {} owner postgres").format(
                    psycopg.sql.Identifier(kept), psycopg.sql.Identifier(name)
                )
            )
        self._open(self.db.url)
        return self.db.url.removesuffix(name) + kept

    def restore(self, kept: str) -> None:
        """Go on with a database that was kept."""
        self.db.close()
        stack.drop_database(self.server, self.db.url)
        self._open(kept)

    def _open(self, url: str) -> None:
        self.db = TestDatabase(url, psycopg.connect(url, autocommit=True))
        self.service = self.db.as_service()

    # What is known

    def row(self, execution: Mapping[str, Any]) -> dict[str, Any]:
        """An execution as it is stored."""
        row: dict[str, Any] = self.db.one(
            "select to_jsonb(execution) from public.trade_executions as execution where id = %s",
            execution["id"],
        )
        return row

    def rows(self) -> list[tuple[Any, ...]]:
        """Every execution, short."""
        return self.db.rows(
            """
            select id, status, next_check_at, check_attempts
            from public.trade_executions
            order by claimed_at
            """
        )

    def status(self, execution: Mapping[str, Any]) -> str:
        """The status of an execution."""
        return str(self.row(execution)["status"])

    def orders(self, identifier: object) -> list[Accepted]:
        """What the exchange accepted under an id."""
        return [one for one in self.exchange.record if one.client_order_id == str(identifier)]

    @property
    def state(self) -> str:
        """The global trading state."""
        return str(self.db.one("select trading_state from public.trading_controls"))

    def events(self, event: str) -> list[dict[str, Any]]:
        """The details of each audit event of one kind."""
        return [
            detail
            for (detail,) in self.db.rows(
                "select detail from public.audit_events where event = %s order by at", event
            )
        ]

    def disagreements(self) -> list[str]:
        """Where the database does not say what the exchange's record says; empty when all is well."""
        orders: dict[str | None, list[Order]] = defaultdict(list)
        for one in self.exchange.record:
            orders[one.client_order_id].append(self.exchange.order_of(one))
        live = self.db.rows("select id from public.trade_executions where mode = 'live'")
        return [said for (one,) in live for said in differences(self.db.admin, one, orders[str(one)])]


Deploy = Callable[..., AbstractContextManager[Simulation]]


@contextmanager
def simulation(server: Stack, *, seed: int = 1, mutant: str | None = None) -> Iterator[Simulation]:
    """A deployment of its own at noon: live, registered with the exchange's trade key, compared just now."""
    configure("cleanup")
    database_url = stack.fresh_database(server)
    try:
        with opened(database_url) as db:
            times = Times(int(db.now.timestamp()) * 1_000_000_000)
            exchange = create_exchange(clock=Clock(lambda: times.true_ns), candles=None, seed=seed)
            faults: FaultPlan[ExchangeFaultRequest] = FaultPlan()
            with serving(create_app(exchange, faults)) as address, open_http(_PATIENCE_S) as http:
                db.do(
                    "update public.trading_controls set trade_key_fingerprint = %s where singleton",
                    TRADE_KEYS.fingerprint,
                )
                sim = Simulation(server, db, exchange, faults, f"{address}/v2", times, http, db.as_service())
                if mutant is not None:
                    db.script(mutant)
                try:
                    yield sim
                finally:
                    sim.db.close()
                    if sim.db.url != database_url:
                        stack.drop_database(server, sim.db.url)
    finally:
        stack.drop_database(server, database_url)
