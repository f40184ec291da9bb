"""The client that reads market data and can do nothing else."""

from __future__ import annotations

import time
from collections.abc import Callable
from urllib.parse import quote

import httpx

from shared.bitvavo import answers
from shared.bitvavo.answers import BookTop, Candle, Market, Model, ServerTime, Time, in_market, validate
from shared.bitvavo.keys import KeyPair
from shared.bitvavo.wire import Client, Signing, never, read
from shared.errors import ExchangeUnreadable


class BitvavoReadonly(Client):
    """Market data, signed when there are keys (its rate limit is then the key's, not the address's).

    Every method raises `ExchangeNotReached`, `ExchangeUnreadable` or `ExchangeRefused` when it has no answer.
    """

    def __init__(
        self,
        http: httpx.Client,
        base_url: str,
        keys: KeyPair | None,
        now_ms: Callable[[], int],
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(http, base_url, keys, monotonic=monotonic)
        self._now_ms = now_ms

    def time(self) -> ServerTime:
        """The exchange's clock. Never signed: it is asked to find out what to sign with."""
        answer = self._send("GET", "/time")
        return ServerTime(validate(Time, read(answer)).time, answer.received_at)

    def market(self, market: str) -> Market:
        """Status, minimums and precision of one market."""
        return self._one(Market, "/markets", market)

    def book_top(self, market: str) -> BookTop:
        """Best bid and ask of one market. A halted market still shows its last row."""
        return self._one(BookTop, "/ticker/book", market)

    def candles(self, market: str, interval: str, limit: int) -> tuple[Candle, ...]:
        """The latest `limit` (1 to 1440) candles, ascending by time.

        Intervals without trades are missing, and the last candle may still be growing.
        """
        path = f"/{quote(market, safe='')}/candles"
        return answers.candles(self._data(path, {"interval": interval, "limit": limit}))

    place_order = never("place an order")
    cancel_order = never("cancel an order")
    order = never("look up an order")
    orders = never("read orders")
    open_orders = never("read open orders")
    own_trades = never("read the account's trades")
    balance = never("read a balance")

    def _one(self, model: type[Model], path: str, market: str) -> Model:
        """The row of `market`: recordings show an object, the documentation an array."""
        value = self._data(path, {"market": market})
        rows = in_market(
            market, (validate(model, row) for row in (value if isinstance(value, list) else [value]))
        )
        if len(rows) != 1:
            raise ExchangeUnreadable(f"The exchange answered with {len(rows)} rows for {market}.")
        return rows[0]

    def _data(self, path: str, params: dict[str, str | int]) -> object:
        return self._ask("GET", path, params, signing=Signing(self._now_ms()) if self._keys else None)
