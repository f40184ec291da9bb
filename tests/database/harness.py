"""A database that only the migrations built, with a clock that a test can move and the hosted roles."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4, uuid5

import psycopg
import pytest
from psycopg import sql
from psycopg.types.json import Jsonb

from local.stack import Stack
from shared.fees import affordable
from shared.money import floor_to

STACK = pytest.StashKey[Stack]()
"""Of a run of pytest: the stack that it brings for the databases."""
MUTANT = pytest.StashKey[str]()
"""Of a run of pytest: SQL that takes one mechanism out of every database (tests/mutants)."""

NAMESPACE = UUID("7f0c1d8e-5a3b-5c1e-9a64-1b2f3c4d5e6f")
FINGERPRINT = "0123456789abcdef"
EXCHANGE = "https://exchange.test/v2"
OPERATOR_ID = 7
NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
MARKET_CHECKS = (
    "price_moved",
    "spread",
    "limit_collar",
    "market_trading",
    "market_minimum",
    "order_exists",
    "clock",
    "window",
)
_READ = (
    "p_user_id",
    "p_proposal_id",
    "p_mode",
    "p_operator_id",
    "p_trade_key_fingerprint",
    "p_override_cooldown",
    "p_override_anti_flip",
)
POLICY: Mapping[str, Any] = {
    "allowlist": ["BTC-EUR", "ETH-EUR"],
    "cooldown_minutes": 0,
    "anti_flip_minutes": 0,
    "limits": {"daily": {"trades": 1000, "value_eur": "1000000"}},
}


class Refused(Exception):  # noqa: N818 - what a database does to a request is refuse it
    """An RPC raised: its SQLSTATE and the code in its message."""

    def __init__(self, sqlstate: str, code: str, detail: str | None) -> None:
        super().__init__(f"{sqlstate} {code}: {detail}")
        self.sqlstate = sqlstate
        self.code = code
        self.detail = detail


@dataclass(frozen=True)
class Caller:
    """A connection that acts as one role, under its hosted limits; every statement is a transaction."""

    connection: psycopg.Connection

    def call(self, rpc: str, **parameters: object) -> Any:
        """Call an RPC of schema public by name; its jsonb answer. Raises `Refused`."""
        names = sql.SQL(", ").join(
            sql.SQL("{} => {}").format(sql.Identifier(name), sql.Placeholder(name)) for name in parameters
        )
        query = sql.SQL("select public.{}({})").format(sql.Identifier(rpc), names)
        values = {name: _parameter(value) for name, value in parameters.items()}
        try:
            row = self.connection.execute(query, values).fetchone()
        except psycopg.Error as error:
            diagnostic = error.diag
            raise Refused(
                diagnostic.sqlstate or "", diagnostic.message_primary or str(error), diagnostic.message_detail
            ) from error
        assert row is not None
        return row[0]

    def outcome(self, rpc: str, **parameters: object) -> Any:
        """The answer of an RPC, or the refusal that it raised."""
        try:
            return self.call(rpc, **parameters)
        except Refused as refused:
            return refused

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """The rows of a query with %s placeholders."""
        return self.connection.execute(query, values).fetchall()


@dataclass
class TestDatabase:
    """One test's database. `admin` owns the schema; the other callers are made with `as_…`."""

    __test__ = False

    url: str
    admin: psycopg.Connection
    _open: list[psycopg.Connection] = field(default_factory=list)

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """The rows of a query as the schema's owner."""
        return self.admin.execute(query, values).fetchall()

    def one(self, query: str, *values: object) -> Any:
        """The first value of the first row."""
        (row,) = self.rows(query, *values)
        return row[0]

    def do(self, query: str, *values: object) -> None:
        """A statement as the schema's owner."""
        self.admin.execute(query, values)

    def script(self, statements: str) -> None:
        """Many statements at once, in one transaction."""
        self.admin.execute(statements.encode())

    # Callers

    def as_service(self) -> Caller:
        """The secret key, through PostgREST."""
        return self._as("service_role", None)

    def as_user(self, user_id: UUID) -> Caller:
        """A signed-in user, owner or not."""
        return self._as("authenticated", user_id)

    def as_owner_of_the_schema(self) -> Caller:
        """The dashboard: the role that owns the schema, on a connection of its own."""
        return self._as("postgres", None)

    def as_owner_once(self, user_id: UUID, rpc: str, **parameters: object) -> Any:
        """One call of an owner's RPC, on a connection that is closed again; its answer."""
        caller = self.as_user(user_id)
        try:
            return caller.call(rpc, **parameters)
        finally:
            self._open.remove(caller.connection)
            caller.connection.close()

    def as_anon(self) -> Caller:
        """Nobody: the publishable key alone."""
        return self._as("anon", None)

    def _as(self, role: str, user_id: UUID | None) -> Caller:
        connection = psycopg.connect(self.url, autocommit=True)
        self._open.append(connection)
        claims = json.dumps({"role": role, "sub": str(user_id) if user_id else None, "aud": role})
        connection.execute("select set_config('request.jwt.claims', %s, false)", (claims,))
        connection.execute("set statement_timeout = '8s'")
        connection.execute("set lock_timeout = '8s'")
        connection.execute(sql.SQL("set role {}").format(sql.Identifier(role)))
        return Caller(connection)

    def close(self) -> None:
        """Close every connection."""
        for connection in (*self._open, self.admin):
            connection.close()

    # The clock

    def set_clock(self, at: datetime) -> None:
        """Stop the database's clock at an instant."""
        self.do("update interlock.stopped_clock set at = %s where true", at)

    def advance(self, by: timedelta) -> None:
        """Move the stopped clock."""
        self.do("update interlock.stopped_clock set at = at + %s where true", by)

    @property
    def now(self) -> datetime:
        """What the database's clock shows."""
        at: datetime = self.one("select interlock.clock()")
        return at

    @property
    def now_ms(self) -> int:
        """The same in Unix ms."""
        return int(self.now.timestamp() * 1000)

    # People and proposals

    def user(self) -> UUID:
        """A user who is no owner."""
        user_id = uuid4()
        self.do("insert into auth.users (id, email) values (%s, %s)", user_id, f"{user_id}@example.test")
        return user_id

    def owner(self, policy: Mapping[str, Any] | None = None) -> UUID:
        """An owner with a policy; unless one is given, nothing waits and the limits are wide."""
        user_id = self.user()
        self.do("insert into public.trading_owners (user_id) values (%s)", user_id)
        self.as_owner_once(user_id, "set_trading_policy", p_policy=POLICY if policy is None else policy)
        return user_id

    def proposal(self, owner: UUID, side: str = "buy", market: str = "BTC-EUR", **columns: object) -> UUID:
        """A pending proposal: a buy of 10.00 EUR or a sell of 0.0002, at a reference price of 50,000 EUR."""
        row: dict[str, object] = {
            "id": uuid4(),
            "user_id": owner,
            "market": market,
            "side": side,
            "amount_quote": Decimal("10.00") if side == "buy" else None,
            "amount": None if side == "buy" else Decimal("0.0002"),
            "reference_price": Decimal(50000),
            "confidence": 80,
            "rationale": "for a test",
        } | columns
        self.admin.execute(
            sql.SQL("insert into public.trade_proposals ({}) values ({})").format(
                sql.SQL(", ").join(map(sql.Identifier, row)), sql.SQL(", ").join(sql.Placeholder() * len(row))
            ),
            [_parameter(value) for value in row.values()],
        )
        proposal = row["id"]
        assert isinstance(proposal, UUID)
        return proposal

    def claim(self, caller: Caller, owner: UUID, proposal: UUID, **changed: object) -> dict[str, Any]:
        """Claim as execute does when all its market checks have passed; `changed` replaces parameters."""
        answer: dict[str, Any] = caller.call(
            "claim_execution", **(self.claim_parameters(owner, proposal) | changed)
        )
        return answer

    def reading_parameters(self, owner: UUID, proposal: UUID) -> dict[str, object]:
        """What the same `execute` hands to begin_execution before."""
        claim = self.claim_parameters(owner, proposal)
        return {name: claim[name] for name in _READ}

    def claim_parameters(self, owner: UUID, proposal: UUID) -> dict[str, object]:
        """What a well-behaved, live `execute` hands to claim_execution: an order at the reference price."""
        side, market, amount, quote, price = self.rows(
            """
            select side, market, amount, amount_quote, reference_price
            from public.trade_proposals
            where id = %s
            """,
            proposal,
        )[0]
        size = amount if side == "sell" else floor_to(affordable(quote, price), 8)
        return {
            "p_user_id": owner,
            "p_proposal_id": proposal,
            "p_attempt_id": uuid4(),
            "p_mode": "live",
            "p_operator_id": OPERATOR_ID,
            "p_trade_key_fingerprint": FINGERPRINT,
            "p_exchange_url": EXCHANGE,
            "p_policy_hash": self.one(
                "select policy_hash from public.trading_policies where user_id = %s", owner
            ),
            "p_override_cooldown": False,
            "p_override_anti_flip": False,
            "p_access_timestamp": self.now_ms,
            "p_access_window_ms": 5000,
            "p_order_value": quote if side == "buy" else amount * price,
            "p_request_body": body(proposal, market, side, size, price),
            "p_market_checks": [
                {
                    "check": name,
                    "verdict": "NOT_APPLICABLE" if name == "limit_collar" else "PASSED",
                    "code": None,
                    "facts": {},
                }
                for name in MARKET_CHECKS
            ],
        }


def body(proposal: UUID, market: str, side: str, amount: Decimal, price: Decimal) -> str:
    """The bytes of an order, as execute writes them."""
    return json.dumps(
        {
            "market": market,
            "side": side,
            "orderType": "limit",
            "operatorId": OPERATOR_ID,
            "clientOrderId": str(execution_id(proposal)),
            "amount": f"{amount:.8f}",
            "price": f"{price:f}",
            "timeInForce": "IOC",
        },
        separators=(",", ":"),
    )


def execution_id(proposal: UUID) -> UUID:
    """The id of a proposal's execution, computed as anyone can."""
    return uuid5(NAMESPACE, str(proposal))


def order(
    execution: Mapping[str, Any], status: str = "filled", filled: str | None = None, **fields: object
) -> dict[str, Any]:
    """An order object as the exchange has it for an execution; filled whole unless `filled` says how much."""
    sent = json.loads(execution["request"]["body"])
    amount = Decimal(sent["amount"] if filled is None else filled)
    quote = amount * Decimal(sent["price"])
    return {
        "orderId": "00000000-0000-0460-0100-" + str(execution["id"])[-12:],
        "clientOrderId": str(execution["id"]),
        "market": sent["market"],
        "side": sent["side"],
        "status": status,
        "orderType": "limit",
        "operatorId": OPERATOR_ID,
        "amount": sent["amount"],
        "price": sent["price"],
        "filledAmount": f"{amount:f}",
        "filledAmountQuote": f"{quote:f}",
        "feePaid": f"{quote * Decimal('0.0025'):f}",
        "feeCurrency": "EUR",
        "fills": [{"id": str(uuid4()), "settled": True}] if amount else [],
        "created": int(execution["access_timestamp"]),
        "updated": int(execution["access_timestamp"]) + 50,
    } | fields


def record(
    caller: Caller, execution: Mapping[str, Any], outcome: str, actor: str = "execute", **changed: object
) -> dict[str, Any]:
    """Record a result as execute does; `changed` replaces parameters."""
    parameters: dict[str, object] = {
        "p_execution_id": execution["id"],
        "p_actor": actor,
        "p_attempt_id": execution["attempt_id"],
        "p_outcome": outcome,
        "p_order": None,
        "p_response": None,
        "p_error_code": None,
    }
    answer: dict[str, Any] = caller.call("record_execution_result", **(parameters | changed))
    return answer


@contextmanager
def opened(url: str) -> Iterator[TestDatabase]:
    """A fresh database made ready: its clock stopped at noon, trading live and open, just compared."""
    admin = psycopg.connect(url, autocommit=True)
    database = TestDatabase(url, admin)
    try:
        admin.execute(
            """
            create table interlock.stopped_clock (at timestamptz not null);
            create or replace function interlock.clock() returns timestamptz
            language sql volatile security definer set search_path = ''
            as 'select at from interlock.stopped_clock';
            """
        )
        admin.execute("insert into interlock.stopped_clock values (%s)", (NOON,))
        open_trading(database)
        yield database
    finally:
        database.close()


def open_trading(database: TestDatabase) -> None:
    """Live, active, compared just now, with wide ceilings."""
    database.do(
        """
        update public.trading_controls
        set trading_state = 'ACTIVE', reason = 'test', mode = 'live',
            operator_id = %s, trade_key_fingerprint = %s,
            max_order_eur = 1000000, max_daily_value_eur = 1000000000, max_daily_gpt_calls = null,
            max_daily_gpt_tokens = null, reconciled_at = interlock.clock()
        where singleton
        """,
        OPERATOR_ID,
        FINGERPRINT,
    )


def _parameter(value: object) -> object:
    return Jsonb(value) if isinstance(value, (dict, list)) else value
