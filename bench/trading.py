"""A world to measure approvals in: trading is open, the purse is full, and owners have proposals."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import httpx
import jwt
import psycopg

from local import stack, world
from local.stack import Stack
from local.world import Options

MARKET = "BTC-EUR"
ORDER_EUR = Decimal("10.00")
_POLICY = {
    "allowlist": [MARKET],
    "cooldown_minutes": 0,
    "anti_flip_minutes": 0,
    "limits": {"daily": {"trades": 10_000, "value_eur": "1000000"}},
}
_TOKEN_S = 3600


@dataclass(frozen=True)
class Owner:
    """Somebody who may trade, signed in for an hour."""

    user_id: UUID
    token: str

    def bearer(self) -> dict[str, str]:
        """The header that execute asks for."""
        return {"Authorization": f"Bearer {self.token}"}


@dataclass(frozen=True)
class Trading:
    """A stack and a simulated exchange that lets everything through."""

    stack: Stack
    exchange_url: str
    connection: psycopg.Connection

    def environment(self, function: str) -> dict[str, str]:
        """The environment of one of the three functions, as it is served; its model is never asked."""
        return world.environment(function, self.stack, self.exchange_url, "http://127.0.0.1:9/v1", Options())

    def data_api(self) -> httpx.Client:
        """A client for bare calls of the database's functions, over connections that are kept."""
        key = self.stack.secret_key
        return httpx.Client(
            base_url=f"{self.stack.supabase_url}/rest/v1/rpc",
            headers={"apikey": key, "Authorization": f"Bearer {key}"},
            trust_env=False,
            timeout=30.0,
        )

    def owners(self, count: int) -> list[Owner]:
        """New owners, whom nothing but the market can refuse."""
        return [self._owner() for _ in range(count)]

    def proposals(self, owners: Sequence[Owner], count: int) -> list[tuple[Owner, UUID]]:
        """That many pending buys at today's price, dealt out to the owners in turn."""
        price = Decimal(httpx.get(f"{self.exchange_url}/ticker/book?market={MARKET}").json()["ask"])
        made = [(owners[number % len(owners)], uuid4()) for number in range(count)]
        with self.connection.cursor() as cursor:
            cursor.executemany(
                """
                insert into public.trade_proposals (
                    id, user_id, market, side, amount_quote, reference_price, confidence, rationale,
                    expires_at
                ) values (%s, %s, %s, 'buy', %s, %s, 80, 'for a bench', now() + interval '1 hour')
                """,
                [(proposal, owner.user_id, MARKET, ORDER_EUR, price) for owner, proposal in made],
            )
        return made

    def _owner(self) -> Owner:
        user_id = uuid4()
        now = int(time.time())
        claims: Mapping[str, Any] = {
            "sub": str(user_id),
            "aud": "authenticated",
            "role": "authenticated",
            "iss": f"{self.stack.supabase_url}/auth/v1",
            "iat": now,
            "exp": now + _TOKEN_S,
        }
        execute = self.connection.execute
        execute("insert into auth.users (id, email) values (%s, %s)", (user_id, f"{user_id}@bench.test"))
        execute("insert into public.trading_owners (user_id, note) values (%s, 'of a bench')", (user_id,))
        owner = Owner(user_id, jwt.encode(dict(claims), self.stack.jwt_secret, algorithm="HS256"))
        httpx.post(
            f"{self.stack.supabase_url}/rest/v1/rpc/set_trading_policy",
            json={"p_policy": _POLICY},
            headers={"apikey": self.stack.publishable_key, **owner.bearer()},
        ).raise_for_status()
        return owner


@contextmanager
def opened(name: str) -> Iterator[Trading]:
    """A stack of this name and an exchange, with ceilings, points and a purse that no bench reaches.

    Raises LocalWorldError as the world does.
    """
    with stack.running(name) as base, psycopg.connect(base.database_url, autocommit=True) as connection:
        stack.seed_controls(base.database_url)
        connection.execute(
            "update public.trading_controls "
            "set max_daily_value_eur = 1000000, reconciled_at = interlock.clock() where singleton"
        )
        exchange_url, _ = world.start_exchange(base.folder, Options())
        admin = f"{exchange_url.removesuffix('/v2')}/_admin"
        for command, fields in (
            ("limits", {"points": 100_000_000}),
            ("balances", {"symbol": "EUR", "amount": "1000000"}),
        ):
            httpx.post(f"{admin}/{command}", json=fields).raise_for_status()
        yield Trading(base, exchange_url, connection)
