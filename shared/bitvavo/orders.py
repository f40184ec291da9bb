"""The client that looks up and cancels this deployment's own orders."""

from __future__ import annotations

import time
from collections.abc import Callable
from uuid import UUID

import httpx

from shared.bitvavo.answers import Order, Trade, in_market, listed, validate
from shared.bitvavo.keys import KeyPair
from shared.bitvavo.wire import LONGEST_WINDOW_MS, Client, Signing, never
from shared.errors import ExchangeRefused, ExchangeUnreadable

LARGEST_PAGE = 1000
_NO_SUCH_ORDER = (404, 240)


class BitvavoOrders(Client):
    """Own orders and fills, read and cancelled with the trade key; nothing here creates an order.

    `timestamp_ms` says when a request was made, on a clock that does not run ahead of the exchange's.
    Every method raises `ExchangeNotReached`, `ExchangeUnreadable` or `ExchangeRefused` when it has no answer.
    """

    def __init__(
        self,
        http: httpx.Client,
        base_url: str,
        keys: KeyPair,
        operator_id: int,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(http, base_url, keys, monotonic=monotonic)
        self._operator_id = operator_id

    def order(
        self, market: str, client_order_id: UUID, *, timestamp_ms: int, window_ms: int = LONGEST_WINDOW_MS
    ) -> Order | None:
        """The order that carries our id, in any state, weight 1.

        None only for HTTP 404 with JSON code 240, and one None is not absence: look-ups lag behind creation.
        """
        params: dict[str, str | int] = {"market": market, "clientOrderId": str(client_order_id)}
        try:
            found = Order.parse(self._ask("GET", "/order", params, signing=Signing(timestamp_ms, window_ms)))
        except ExchangeRefused as refused:
            if (refused.http_status, refused.error_code) == _NO_SUCH_ORDER:
                return None
            raise
        if found.market != market or found.client_order_id != client_order_id:
            raise ExchangeUnreadable("The exchange answered with another order than was asked for.")
        return found

    def orders(
        self,
        market: str,
        start_ms: int,
        end_ms: int,
        limit: int = LARGEST_PAGE,
        *,
        order_id_to: str | None = None,
        timestamp_ms: int,
        window_ms: int = LONGEST_WINDOW_MS,
    ) -> tuple[Order, ...]:
        """One page of the account's orders of any state, newest first, weight 5.

        A page of `limit` may not be the last. Keep `end_ms` within 24 h of `start_ms`.
        """
        params: dict[str, str | int] = {"market": market, "limit": limit, "start": start_ms, "end": end_ms}
        if order_id_to is not None:
            params["orderIdTo"] = order_id_to
        page = self._ask("GET", "/orders", params, signing=Signing(timestamp_ms, window_ms))
        return in_market(market, (Order.parse(row) for row in listed(page)))

    def open_orders(
        self, market: str, *, timestamp_ms: int, window_ms: int = LONGEST_WINDOW_MS
    ) -> tuple[Order, ...]:
        """All open orders of the account in one market, weight 5 at most."""
        rows = self._ask("GET", "/ordersOpen", {"market": market}, signing=Signing(timestamp_ms, window_ms))
        return in_market(market, (Order.parse(row) for row in listed(rows)))

    def own_trades(
        self,
        market: str,
        start_ms: int,
        end_ms: int,
        limit: int = LARGEST_PAGE,
        *,
        trade_id_to: str | None = None,
        timestamp_ms: int,
        window_ms: int = LONGEST_WINDOW_MS,
    ) -> tuple[Trade, ...]:
        """One page of the account's fills, newest first, weight 5, of at most 24 h."""
        params: dict[str, str | int] = {"market": market, "limit": limit, "start": start_ms, "end": end_ms}
        if trade_id_to is not None:
            params["tradeIdTo"] = trade_id_to
        page = self._ask("GET", "/trades", params, signing=Signing(timestamp_ms, window_ms))
        return in_market(market, (validate(Trade, row) for row in listed(page)))

    def cancel(
        self, market: str, client_order_id: UUID, *, timestamp_ms: int, window_ms: int = LONGEST_WINDOW_MS
    ) -> None:
        """Ask to cancel our order, weight 1. The answer says nothing of its state: look it up afterwards."""
        params: dict[str, str | int] = {
            "market": market,
            "clientOrderId": str(client_order_id),
            "operatorId": self._operator_id,
        }
        self._ask("DELETE", "/order", params, signing=Signing(timestamp_ms, window_ms))

    market = never("read market data")
    markets = never("read market data")
    book_top = never("read market data")
    ticker = never("read market data")
    candles = never("read market data")
    balance = never("read a balance")
    account = never("read the account")
