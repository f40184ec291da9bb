"""The client that places orders. Nothing else in what is deployed has one."""

from __future__ import annotations

from shared.bitvavo import Answer, BitvavoOrders, Signing


class BitvavoTrade(BitvavoOrders):
    """Looks up, cancels and places this deployment's own orders; raises on market data and balances."""

    def place(self, body: bytes, *, timestamp_ms: int, window_ms: int) -> Answer:
        """Send one order once, these very bytes, and hand back whatever came.

        The exchange refuses it later than `window_ms` after `timestamp_ms` (its own clock, Unix ms).
        Raises `ExchangeNotReached` when no byte was sent and `ExchangeUnreadable` when nothing is known.
        """
        return self._send("POST", "/order", body=body, signing=Signing(timestamp_ms, window_ms))
