"""The people of a test: owners with a policy of their own, and what they have proposals for."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from decimal import Decimal
from types import TracebackType
from typing import Any
from uuid import UUID, uuid4

import httpx
import psycopg
from pydantic import SecretStr

from local.exchange.keys import TRADE_KEY, TRADE_SECRET
from local.owner import Owner, create_user
from local.stack import OPERATOR_ID
from local.world import World
from shared.bitvavo import BitvavoOrders, BitvavoReadonly, KeyPair, Order, open_http
from shared.database import Database

OPEN_POLICY: dict[str, Any] = {"allowlist": ["BTC-EUR", "ETH-EUR"], "limits": {"daily": {"trades": 50}}}
_DAY_MS = 24 * 60 * 60 * 1000


@dataclass(frozen=True)
class Approval:
    """What execute answered to an approval."""

    status: int
    body: dict[str, Any]

    @property
    def codes(self) -> set[str]:
        """The codes of the checks that failed."""
        return {verdict["code"] for verdict in self.body.get("checks", []) if verdict["verdict"] == "FAILED"}

    def check(self, name: str) -> dict[str, Any]:
        """The verdict of one check."""
        found: dict[str, Any] = next(v for v in self.body["checks"] if v["check"] == name)
        return found


class People:
    """Makes owners and strangers, and acts for them over HTTP."""

    def __init__(self, place: World, connection: psycopg.Connection) -> None:
        self.place = place
        self._connection = connection
        self._open = ExitStack()
        self.http = self._open.enter_context(httpx.Client(trust_env=False, timeout=60.0))
        self.service = Database(place.stack.supabase_url, SecretStr(place.stack.secret_key))
        exchange = self._open.enter_context(open_http(5.0))
        self._market = BitvavoReadonly(exchange, place.exchange_url, None, lambda: 0)
        keys = KeyPair(key=TRADE_KEY, secret=SecretStr(TRADE_SECRET))
        self._orders = BitvavoOrders(exchange, place.exchange_url, keys, OPERATOR_ID)

    def __enter__(self) -> People:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def stranger(self) -> Owner:
        """A user with a valid token whom the operator has not named."""
        return self._enter(create_user(self.place.stack, f"{uuid4()}@interlock.local"))

    def owner(self, policy: Mapping[str, Any] = OPEN_POLICY) -> Owner:
        """An owner with this policy; what it leaves out takes its default."""
        made = self._enter(create_user(self.place.stack, f"{uuid4()}@interlock.local", note="of a test"))
        made.call("set_trading_policy", p_policy=policy)
        return made

    def scanned_owner(self, policy: Mapping[str, Any] = OPEN_POLICY) -> tuple[Owner, UUID]:
        """An owner whose scan is due, and its job. The scan is switched off when the test ends."""
        made = self.owner(policy)
        job = made.call("schedule_scan")
        self._open.callback(made.call, "schedule_scan", p_enabled=False)
        return made, UUID(job["id"])

    def _enter(self, owner: Owner) -> Owner:
        self._open.push(owner.http.__exit__)
        return owner

    def proposal(
        self,
        owner: Owner,
        side: str = "buy",
        market: str = "BTC-EUR",
        priced_in: str | None = None,
        **columns: object,
    ) -> UUID:
        """Store a pending proposal at today's price: a buy of 10 EUR or a sell of about as much.

        `priced_in` names the market that the price is read from, when it is another one.
        """
        book = self._market.book_top(priced_in or market)
        price = book.ask if side == "buy" else book.bid
        row: dict[str, object] = {
            "id": uuid4(),
            "user_id": owner.user_id,
            "market": market,
            "side": side,
            "amount_quote": Decimal("10.00") if side == "buy" else None,
            "amount": None if side == "buy" else round(Decimal(10) / price, 6),
            "reference_price": price,
            "confidence": 80,
            "rationale": "for a test",
        } | columns
        names = psycopg.sql.SQL(", ").join(map(psycopg.sql.Identifier, row))
        places = psycopg.sql.SQL(", ").join(psycopg.sql.Placeholder() * len(row))
        self._connection.execute(
            psycopg.sql.SQL("insert into public.trade_proposals ({}) values ({})").format(names, places),
            list(row.values()),
        )
        return UUID(str(row["id"]))

    def traded(self, owner: Owner, side: str, asset: str = "BTC") -> None:
        """The owner has just traded, as far as the history knows."""
        self._connection.execute(
            "insert into public.trade_history (user_id, asset, side, amount) values (%s, %s, %s, 0.1)",
            (owner.user_id, asset, side),
        )

    def approve(self, owner: Owner, proposal: UUID, **overrides: bool) -> Approval:
        """Approve a proposal with the owner's token."""
        response = self.http.post(
            self.place.functions["execute"],
            json={"proposalId": str(proposal), **overrides},
            headers=owner.bearer(),
        )
        return Approval(response.status_code, response.json())

    def run(self, function: str) -> dict[str, Any]:
        """Run scan_tick or cleanup as the scheduler does; its summary."""
        response = self.http.post(self.place.functions[function], json={})
        assert response.status_code == 200, response.text
        summary: dict[str, Any] = response.json()
        return summary

    def orders(self, proposal: UUID, market: str = "BTC-EUR") -> list[Order]:
        """The orders that the exchange has for a proposal, asked of the exchange itself."""
        now = self._market.time().ms
        found = self._orders.orders(market, now - _DAY_MS + 60_000, now + 60_000, timestamp_ms=now)
        row = self._connection.execute("select interlock.execution_id(%s)", (proposal,)).fetchone()
        assert row is not None
        return [order for order in found if order.client_order_id == row[0]]

    def model_calls(self) -> int:
        """How many completions the scripted model was asked for since it started."""
        assert self.place.model_url is not None
        answer = self.http.get(f"{self.place.model_url.removesuffix('/v1')}/_admin/calls").json()
        return int(answer["calls"])
