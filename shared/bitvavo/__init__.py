"""Bitvavo's REST API v2, cut into clients that can do one kind of work each.

`BitvavoReadonly` reads market data and raises on anything that trades; `BitvavoOrders` looks up and cancels
this deployment's own orders, raises on market data and has no code that creates an order. The client that
creates one lives in the only function that may.

Source of every fact about the exchange: docs.bitvavo.com, https://docs.bitvavo.com/docs/rest-api/introduction.
"""

from shared.bitvavo.answers import TRADING, BookTop, Candle, Fill, Market, Order, ServerTime, Trade
from shared.bitvavo.keys import KeyPair, sign
from shared.bitvavo.orders import BitvavoOrders
from shared.bitvavo.readonly import BitvavoReadonly
from shared.bitvavo.wire import Answer, RateLimit, Signing, open_http

__all__ = [
    "TRADING",
    "Answer",
    "BitvavoOrders",
    "BitvavoReadonly",
    "BookTop",
    "Candle",
    "Fill",
    "KeyPair",
    "Market",
    "Order",
    "RateLimit",
    "ServerTime",
    "Signing",
    "Trade",
    "open_http",
    "sign",
]
