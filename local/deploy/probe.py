"""What a key pair may do, tried with requests that can do nothing.

A right is tried with what no state of the account could carry out: the cancel of an order that does not
exist, an order of nothing, a withdrawal of nothing in a currency that does not exist. The exchange names the
missing right (310 Trade, 311 View, 312 Withdraw) or finds fault with the request itself. When it finds fault
before it looks at the right, the right stays untold: that is never counted as proof.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx

from shared.bitvavo import BitvavoReadonly, KeyPair, Signing
from shared.bitvavo.wire import Client, read
from shared.errors import ExchangeRefused, ExchangeUnreadable

NO_TRADE, NO_VIEW, NO_WITHDRAW = 310, 311, 312
WRONG_ADDRESS = 307
BROKEN = {
    301: "the key has the wrong length: copy it again",
    304: "this machine's clock is off, or the network is very slow",
    305: "the exchange does not know the key, or it was switched off: make a new pair",
    306: "the pair is not confirmed: open the e-mail that Bitvavo sent when it was made",
    308: "the secret does not belong to the key: copy both again",
    309: "the secret does not belong to the key: copy both again",
}
_MARKET = "BTC-EUR"
_NO_SUCH_ORDER = {233, 240}


@dataclass(frozen=True, slots=True)
class Rights:
    """What a pair may do; None where the exchange did not say.

    `order` is the code with which an order of nothing was refused, None when none was tried.
    """

    view: bool | None
    trade: bool | None
    withdraw: bool | None
    order: int | None = None


class Probe(Client):
    """Signs requests that can do nothing, or that only read, on the exchange's own clock."""

    def __init__(self, http: httpx.Client, base_url: str, keys: KeyPair) -> None:
        super().__init__(http, base_url, keys)
        clock = BitvavoReadonly(http, base_url, None, now_ms=lambda: 0).time()
        self._ahead_ms = clock.ms - int(clock.received_at * 1000)

    def code(
        self,
        method: str,
        path: str,
        params: Mapping[str, str | int] | None = None,
        body: Mapping[str, object] | None = None,
    ) -> int:
        """0 when the request was carried out, else the exchange's code. Raises `ExchangeError`."""
        sent = b"" if body is None else json.dumps(body, separators=(",", ":")).encode()
        try:
            read(self._send(method, path, params, body=sent, signing=self._signing()))
        except ExchangeRefused as refused:
            return refused.error_code
        return 0

    def rows(self, path: str, **params: str | int) -> list[Any]:
        """A list that is only read. Raises `ExchangeError`."""
        answer = self._ask("GET", path, params, signing=self._signing())
        if not isinstance(answer, list):
            raise ExchangeUnreadable("The exchange's answer is not a list.")
        return answer

    def rights(self, operator_id: int, *, try_an_order: bool) -> Rights:
        """Try each right. Raises `ExchangeError`."""
        view = self.code("GET", "/account")
        missing: dict[str, str | int] = {
            "market": _MARKET,
            "orderId": str(uuid4()),
            "operatorId": operator_id,
        }
        cancel = self.code("DELETE", "/order", missing)
        nothing = {"market": _MARKET, "side": "buy", "orderType": "limit", "amount": "0", "price": "1"}
        order = (
            self.code("POST", "/order", body=nothing | {"operatorId": operator_id}) if try_an_order else None
        )
        nowhere = {"symbol": "NOSUCHCOIN", "amount": "0", "address": "interlock-tries-this-key"}
        withdrawal = self.code("POST", "/withdrawal", body=nowhere)
        return Rights(
            view={0: True, NO_VIEW: False}.get(view),
            trade=True if cancel in _NO_SUCH_ORDER else {NO_TRADE: False}.get(cancel),
            withdraw={0: True, NO_WITHDRAW: False}.get(withdrawal),
            order=order,
        )

    def _signing(self) -> Signing:
        return Signing(int(time.monotonic() * 1000) + self._ahead_ms)
