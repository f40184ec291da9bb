"""Clocks that the test moves, and by them the way from cleanup to the database and to the exchange."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Lock
from typing import Any

import httpx
import psycopg
from psycopg.types.json import Jsonb
from pydantic import SecretStr

from functions.cleanup.exchange import Exchange
from local.exchange.clock import NS_PER_MS
from local.exchange.keys import TRADE_KEY, TRADE_SECRET
from local.stack import OPERATOR_ID
from shared.bitvavo import BitvavoOrders, BitvavoReadonly, KeyPair
from shared.database import Database
from shared.errors import DatabaseRefused, DatabaseUnavailable
from tests.database.harness import Caller, TestDatabase

TRADE_KEYS = KeyPair(TRADE_KEY, SecretStr(TRADE_SECRET))
_REFUSED = re.compile(r"PT\d{3}|2[23][0-9A-Z]{3}")


@dataclass
class Times:
    """True time, and how far the clocks of database and function are off from it."""

    true_ns: int
    database_off_ms: int = 0
    function_off_ms: int = 0

    def advance(self, seconds: float) -> None:
        """Let time pass, for everybody."""
        self.true_ns += int(seconds * 1_000_000_000)

    def monotonic(self) -> float:
        """Seconds that nobody can set."""
        return self.true_ns / 1_000_000_000

    def function_ms(self) -> int:
        """What the function's own clock shows, Unix ms."""
        return self.true_ns // NS_PER_MS + self.function_off_ms

    def database_time(self) -> datetime:
        """What the database's clock shows."""
        ms = self.true_ns // NS_PER_MS + self.database_off_ms
        return datetime.fromtimestamp(ms / 1000, UTC)


class ShortWay(Database):
    """The same RPCs as the same role, without HTTP; before each call the database's clock is set."""

    def __init__(self, database: TestDatabase, times: Times, caller: Caller) -> None:
        self._database = database
        self._times = times
        self._caller = caller
        self._lock = Lock()
        self.calls: list[str] = []

    def call(self, rpc: str, **params: object) -> Any:
        """Like `Database.call`, with the same exceptions."""
        with self._lock:
            self.calls.append(rpc)
            self._database.set_clock(self._times.database_time())
            names = psycopg.sql.SQL(", ").join(
                psycopg.sql.SQL("{} => {}").format(
                    psycopg.sql.Identifier(name), psycopg.sql.Placeholder(name)
                )
                for name in params
            )
            query = psycopg.sql.SQL("select public.{}({})").format(psycopg.sql.Identifier(rpc), names)
            try:
                row = self._caller.connection.execute(
                    query, {k: _plain(v) for k, v in params.items()}
                ).fetchone()
            except psycopg.Error as error:
                code = error.sqlstate or ""
                if _REFUSED.fullmatch(code):
                    said = error.diag.message_primary or rpc
                    raise DatabaseRefused(code, said, error.diag.message_detail, None) from error
                raise DatabaseUnavailable(f"{rpc} failed in the database with {code}: {error}") from error
        assert row is not None
        return row[0]


def asked(
    http: httpx.Client, url: str, keys: KeyPair, times: Times, operator_id: int = OPERATOR_ID
) -> Exchange:
    """The exchange as one run sees it."""
    clock = BitvavoReadonly(http, url, None, times.function_ms, monotonic=times.monotonic)
    return Exchange(
        clock,
        BitvavoOrders(http, url, keys, operator_id, monotonic=times.monotonic),
        operator_id=operator_id,
        fingerprint=keys.fingerprint,
        address=url,
        seconds=45.0,
        monotonic=times.monotonic,
    )


def _plain(value: object) -> object:
    return Jsonb(value) if isinstance(value, (dict, list)) else value
