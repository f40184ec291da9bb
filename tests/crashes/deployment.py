"""One deployment whose processes are killed: a real stack, execute behind two wires, served cleanup."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from decimal import Decimal
from itertools import count
from typing import Any
from uuid import UUID, uuid4

import httpx
import jwt
import psycopg
from psycopg.types.json import Jsonb
from starlette.requests import Request

from local import stack, world
from local.errors import InUseError
from local.exchange.app import create_app
from local.exchange.clock import Clock as ExchangeClock
from local.exchange.engine import Settings
from local.exchange.exchange import Accepted, Exchange, create_exchange
from local.exchange.faults import ExchangeFaultRequest
from local.faults.plan import FaultPlan, FaultRequest
from local.faults.serving import serving
from local.ports import free_port
from local.processes import Child
from local.proxy import app as proxy
from local.stack import REPOSITORY, Stack
from local.world import Options
from tests.agreement import differences
from tests.crashes.clock import CLOCK_FILE, Clock
from tests.crashes.wire import Wire

MARKET = "BTC-EUR"
PRICE = Decimal(50_000)
_POLICY = {
    "allowlist": [MARKET],
    "cooldown_minutes": 0,
    "anti_flip_minutes": 0,
    "limits": {"daily": {"trades": 50, "value_eur": "10000"}},
}
_PATIENCE_S = 20.0
_MOST_RUNS = 25


@dataclass(frozen=True)
class Answer:
    """What execute answered: HTTP status and body."""

    status: int
    body: dict[str, Any]

    @property
    def code(self) -> str | None:
        """The stable code of a failure."""
        return self.body.get("code")

    @property
    def checks(self) -> set[str]:
        """The codes of the checks that failed."""
        return {verdict["code"] for verdict in self.body.get("checks", []) if verdict["verdict"] == "FAILED"}


@dataclass(frozen=True)
class Process:
    """One instance of execute."""

    child: Child
    address: str

    def approve(self, owner: UUID, proposal: UUID, secret: str) -> Answer:
        """Approve a proposal as its owner. Raises `httpx.TransportError` when the process dies meanwhile."""
        claims = {"sub": str(owner), "aud": "authenticated", "role": "authenticated"}
        now = int(time.time())
        token = jwt.encode({**claims, "iat": now, "exp": now + 3600}, secret, "HS256")
        answer = httpx.post(
            self.address,
            json={"proposalId": str(proposal)},
            headers={"Authorization": f"Bearer {token}"},
            timeout=60.0,
            trust_env=False,
        )
        return Answer(answer.status_code, answer.json())


@dataclass
class Deployment:
    """Everything of one deployment, and what a test does to it and knows of it."""

    stack: Stack
    connection: psycopg.Connection
    clock: Clock
    exchange: Exchange
    to_database: Wire
    to_exchange: Wire
    database_faults: FaultPlan[FaultRequest]
    exchange_faults: FaultPlan[ExchangeFaultRequest]
    cleanup_address: str
    _environ: dict[str, str]
    _threads: ThreadPoolExecutor
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))
    _process: Process | None = None
    _next: Future[Process] | None = None

    # Processes

    @property
    def process(self) -> Process:
        """The process that serves: after a crash a new one, which has served nothing yet."""
        if self._process is None or not self._process.child.alive:
            self._process = self.another_process()
        return self._process

    def another_process(self) -> Process:
        """A process beside the one that serves; the next is always being started ahead of time."""
        coming, self._next = (
            self._next or self._threads.submit(self._start),
            self._threads.submit(self._start),
        )
        return coming.result()

    def _start(self) -> Process:
        port = free_port()
        child = Child.start(
            f"execute-{next(self._numbers)}",
            [
                *(sys.executable, "-m", "functions_framework", "--host", "127.0.0.1", "--port", str(port)),
                *("--source", "tests/crashes/served.py", "--target", "execute"),
            ],
            folder=self.stack.folder,
            environ=self._environ,
            cwd=REPOSITORY,
        )
        address = f"http://127.0.0.1:{port}"
        child.wait_for_http(f"{address}/health")
        return Process(child, address)

    def approve(self, process: Process, owner: UUID, proposal: UUID) -> Answer:
        """Approve it and wait for the answer."""
        return process.approve(owner, proposal, self.stack.jwt_secret)

    def begin_approval(self, process: Process, owner: UUID, proposal: UUID) -> Future[Answer]:
        """Approve it, and go on meanwhile."""
        return self._threads.submit(self.approve, process, owner, proposal)

    # People

    def owner(self) -> UUID:
        """A new owner whose policy leaves nothing in the way."""
        owner = uuid4()
        self.connection.execute(
            "insert into auth.users (id, email) values (%s, %s)", (owner, f"{owner}@example.test")
        )
        self.connection.execute("insert into public.trading_owners (user_id) values (%s)", (owner,))
        self.connection.execute(
            """
            insert into public.trading_policies (user_id, policy) values (%s, interlock.complete_policy(%s))
            """,
            (owner, Jsonb(_POLICY)),
        )
        return owner

    def proposal(self, owner: UUID) -> UUID:
        """A pending proposal: buy for 10 EUR at today's price."""
        proposal = uuid4()
        asks = self.exchange.engine.book(MARKET, self.exchange.clock.now()).asks
        self.connection.execute(
            """
            insert into public.trade_proposals
                (id, user_id, market, side, amount_quote, reference_price, confidence, rationale)
            values (%s, %s, %s, 'buy', 10, %s, 80, 'for a test')
            """,
            (proposal, owner, MARKET, asks[0].price),
        )
        return proposal

    # Time and cleanup

    def clean_up(self) -> dict[str, Any]:
        """One run of the served function; its summary."""
        answer = httpx.post(self.cleanup_address, json={}, timeout=60.0, trust_env=False)
        assert answer.status_code == 200, answer.text
        summary: dict[str, Any] = answer.json()
        assert summary["problems"] == [], summary
        return summary

    def settle(self) -> None:
        """Run cleanup minute by minute until nothing is left to learn."""
        for _ in range(_MOST_RUNS):
            self.clock.advance(60)
            self.clean_up()
            if not self._one("select exists (select from trade_executions where next_check_at is not null)"):
                return
        raise AssertionError(f"unsettled after {_MOST_RUNS} runs")

    def resume(self) -> None:
        """The operator has looked, and lets trading go on."""
        self.connection.execute(
            "update public.trading_controls set trading_state = 'ACTIVE', reason = 'looked at'"
        )

    def quiet(self) -> None:
        """Nothing fails and nothing is kept any more; what passes is counted from zero."""
        self.exchange_faults.clear()
        self.database_faults.clear()
        self.to_exchange.clear()
        self.to_database.clear()

    # What is known

    def execution(self, proposal: UUID) -> dict[str, Any] | None:
        """The execution of a proposal as it is stored."""
        found = self.connection.execute(
            "select to_jsonb(execution) from public.trade_executions as execution where proposal_id = %s",
            (proposal,),
        ).fetchone()
        return None if found is None else found[0]

    def orders(self, proposal: UUID) -> int:
        """How many orders the exchange has accepted under the id of a proposal's execution."""
        return len(self._accepted(self._execution_id(proposal)))

    def proposal_status(self, proposal: UUID) -> str:
        """The status of a proposal."""
        return str(self._one("select status from public.trade_proposals where id = %s", proposal))

    def disagreements(self, proposal: UUID) -> list[str]:
        """Where the database does not say what the exchange says; empty when all is well."""
        execution_id = self._execution_id(proposal)
        orders = [self.exchange.order_of(one) for one in self._accepted(execution_id)]
        return list(differences(self.connection, execution_id, orders))

    def waits_for_lock(self, rpc: str) -> bool:
        """Does a call of that RPC wait for a lock now?"""
        return bool(
            self._one(
                """
                select exists (
                    select from pg_catalog.pg_stat_activity
                    where wait_event_type = 'Lock'
                        and query like '%%' || %s || '%%'
                        and pid <> pg_backend_pid()
                )
                """,
                rpc,
            )
        )

    def incomplete(self) -> list[Any]:
        """Executions without their whole evidence."""
        return self.connection.execute("select * from public.incomplete_evidence").fetchall()

    def audit_is_whole(self) -> bool:
        """Seal what is left, and walk the chain of seals from its beginning."""
        while int(self.clean_up()["audit"]["sealed"]):
            self.clock.advance(60)
        answer = self._one("select public.verify_audit_chain(1, null, 100000)")
        return (answer["whole"], answer["more"]) == (True, False)

    def states(self, owner: UUID) -> tuple[str, str]:
        """Whether trading goes on: everybody's state, and the owner's."""
        return (
            str(self._one("select trading_state from public.trading_controls")),
            str(self._one("select trading_state from public.trading_policies where user_id = %s", owner)),
        )

    def _execution_id(self, proposal: UUID) -> UUID:
        found: UUID = self._one("select interlock.execution_id(%s)", proposal)
        return found

    def _accepted(self, execution_id: UUID) -> list[Accepted]:
        return [one for one in self.exchange.record if one.client_order_id == str(execution_id)]

    def _one(self, query: str, *values: object) -> Any:
        row = self.connection.execute(query, values).fetchone()
        assert row is not None
        return row[0]


@contextmanager
def deployment() -> Iterator[Deployment]:
    """A deployment of its own, live and open, under the first name that is free in this checkout."""
    with ExitStack() as entered:
        base = _first_free(entered)
        stack.seed_controls(base.database_url)
        connection = entered.enter_context(psycopg.connect(base.database_url, autocommit=True))
        connection.execute(
            "update public.trading_controls set max_order_eur = 1000000, max_daily_value_eur = 1000000000"
        )
        clock = Clock(connection, base.folder / "moved_by_ms")
        exchange = create_exchange(
            clock=ExchangeClock(clock.now_ns),
            candles=None,
            settings=Settings(settle_after_ms=5_000),
            points=1_000_000,
        )
        exchange.engine.makers[MARKET].pinned_price = PRICE
        exchange.engine.deposit("owner", "EUR", Decimal(1_000_000))
        exchange_faults: FaultPlan[ExchangeFaultRequest] = FaultPlan()
        to_exchange = Wire(create_app(exchange, exchange_faults), _exchange_call)
        exchange_url = f"{entered.enter_context(serving(to_exchange))}/v2"
        database_faults: FaultPlan[FaultRequest] = FaultPlan()
        to_database = Wire(proxy.create_app(base.supabase_url, database_faults), proxy.call_name)
        database_url = entered.enter_context(serving(to_database))
        cleanup = world.start_function(
            "cleanup", base.folder, world.environment("cleanup", base, exchange_url, None, Options())
        )
        behind = replace(base, supabase_url=database_url)
        environ = world.environment("execute", behind, exchange_url, None, Options())
        threads = entered.enter_context(ThreadPoolExecutor(8))
        made = Deployment(
            stack=base,
            connection=connection,
            clock=clock,
            exchange=exchange,
            to_database=to_database,
            to_exchange=to_exchange,
            database_faults=database_faults,
            exchange_faults=exchange_faults,
            cleanup_address=cleanup,
            _environ=environ | {CLOCK_FILE: str(clock.file)},
            _threads=threads,
        )
        made.owner()  # whose market the first cleanup compares, which opens trading
        made.clean_up()
        try:
            yield made
        finally:
            made.quiet()


def until(true: Callable[[], bool], what: str) -> None:
    """Wait for something that happens by itself. Raises AssertionError when it does not."""
    deadline = time.monotonic() + _PATIENCE_S
    while not true():
        assert time.monotonic() < deadline, f"it never happened: {what}"
        time.sleep(0.005)


def _first_free(entered: ExitStack) -> Stack:
    for number in range(1, 9):
        with suppress(InUseError):
            return entered.enter_context(stack.running(f"crashes-{number}"))
    raise InUseError("Eight such runs are under way in this checkout: wait for one to end.")


def _exchange_call(request: Request) -> str:
    """As faults name it: `POST /order`."""
    return f"{request.method} {request.url.path.removeprefix('/v2')}"
