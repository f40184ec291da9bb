"""What became of an order: placed, refused for certain, never sent, or unknown. Nothing is guessed.

`ERROR_CODES` is the one table of the exchange's codes. Only a code that is documented, that says without
doubt that this request created no order, and that comes with its own HTTP status is a refusal.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from uuid import UUID

from shared.bitvavo import Answer, Order
from shared.errors import ExchangeUnreadable

DOCS = "https://docs.bitvavo.com/docs/errors"
CCXT = "https://github.com/ccxt/ccxt/blob/master/python/ccxt/bitvavo.py"

ID_ALREADY_OPEN = 220
"""Another open order carries our id: an earlier one is there, and somebody has to look."""


class Fate(StrEnum):
    """What a code says about the order that was sent."""

    NOT_PLACED = "not placed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class ErrorCode:
    """One code of the exchange, the HTTP status it comes with, the order's fate, and who says so."""

    code: int
    http_status: int
    fate: Fate
    meaning: str
    source: str


ERROR_CODES: Mapping[int, ErrorCode] = MappingProxyType(
    {
        code: ErrorCode(code, http_status, fate, meaning, source)
        for http_status, fate, source, meanings in (
            (429, Fate.NOT_PLACED, DOCS, {105: "rate limit exceeded", 112: "too many requests a second"}),
            (
                429,
                Fate.UNKNOWN,
                CCXT,
                {103: "too many new orders a second", 104: "too many new orders a day"},
            ),
            (
                400,
                Fate.NOT_PLACED,
                DOCS,
                {
                    102: "malformed request",
                    200: "path parameter not accepted here",
                    201: "body parameter not accepted here",
                    202: "parameter not for this order type",
                    203: "parameters missing or incompatible",
                    204: "parameter not valid here",
                    205: "invalid value of a parameter",
                    206: "conflicting parameters",
                    210: "amount above the market's maximum",
                    211: "price above the maximum",
                    212: "amount below the market's minimum",
                    213: "price too low",
                    214: "price has too many significant digits",
                    215: "price has more than 15 decimals",
                    216: "insufficient balance",
                    217: "order value below the minimum",
                    218: "trigger amount has too many significant digits",
                    219: "market delisted",
                    231: "time in force not possible while the market is paused",
                    235: "too many open orders in the market",
                    237: "trigger parameter missing",
                    238: "trigger parameter missing",
                    422: "price is no multiple of the tick",
                    423: "market halted",
                    424: "market only takes cancels",
                    425: "market in auction",
                    426: "market matches an auction",
                    429: "too many decimals",
                },
            ),
            (400, Fate.UNKNOWN, CCXT, {110: "invalid endpoint", 230: "rejected by the engine"}),
            (400, Fate.UNKNOWN, DOCS, {ID_ALREADY_OPEN: "an open order carries this id"}),
            (
                403,
                Fate.NOT_PLACED,
                DOCS,
                {
                    300: "authentication required",
                    301: "key of a wrong length",
                    302: "timestamp not in milliseconds",
                    303: "access window out of range",
                    304: "outside the access window",
                    305: "key inactive",
                    306: "key not confirmed",
                    307: "address not allowed",
                    308: "signature of a wrong format",
                    309: "signature wrong",
                    310: "no right to trade",
                    311: "no right to view the account",
                    312: "no right to withdraw",
                    313: "invalid session",
                    316: "public asset information, over a websocket alone",
                    317: "account locked",
                    318: "account not verified",
                    319: "not available in this region",
                    320: "forbidden",
                },
            ),
            (403, Fate.UNKNOWN, CCXT, {315: "no websocket from a browser"}),
            (500, Fate.UNKNOWN, DOCS, {101: "server error", 400: "server error"}),
            (
                503,
                Fate.UNKNOWN,
                DOCS,
                {
                    107: "overloaded",
                    108: "not processed in time",
                    109: "timed out",
                    111: "matching engine unavailable",
                    419: "server unavailable",
                    430: "market data timed out",
                },
            ),
        )
        for code, meaning in meanings.items()
    }
)


class Status(StrEnum):
    """The states of an execution that has been sent."""

    UNKNOWN = "UNKNOWN"
    OPEN = "OPEN"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    FILLED = "FILLED"
    CANCELED = "CANCELED"
    REJECTED = "REJECTED"
    NOT_PLACED = "NOT_PLACED"


@dataclass(frozen=True, slots=True)
class Placed:
    """The exchange has the order, and says where it stands."""

    order: Order
    answer: Answer | None = None


@dataclass(frozen=True, slots=True)
class Rejected:
    """The exchange refused the order for certain."""

    error_code: int
    message: str
    answer: Answer


@dataclass(frozen=True, slots=True)
class NotSent:
    """Not a byte of the order left."""

    reason: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """The order was sent and nothing is known of it, or what is known cannot be believed."""

    reason: str
    answer: Answer | None = None
    order: Order | None = None


Outcome = Placed | Rejected | NotSent | Unknown


def classify(answer: Answer, client_order_id: UUID, market: str, side: str) -> Placed | Rejected | Unknown:
    """What an answer to `POST /order` says about the order that was sent."""
    try:
        value = answer.json()
    except ExchangeUnreadable:
        return Unknown(f"HTTP_{answer.status}", answer)
    if answer.status == 200:
        return _placed(value, answer, client_order_id, market, side)
    refusal = value if isinstance(value, dict) else {}
    code = refusal.get("errorCode")
    if type(code) is not int:
        return Unknown(f"HTTP_{answer.status}", answer)
    known = ERROR_CODES.get(code)
    if known and known.fate is Fate.NOT_PLACED and known.http_status == answer.status:
        return Rejected(code, str(refusal.get("error", known.meaning)), answer)
    return Unknown(str(code), answer)


def _placed(value: object, answer: Answer, client_order_id: UUID, market: str, side: str) -> Placed | Unknown:
    try:
        order = Order.parse(value)
    except ExchangeUnreadable:
        return Unknown("UNREADABLE_ORDER", answer)
    if not is_ours(order, client_order_id, market, side):
        return Unknown("ANOTHER_ORDER", answer)
    if status_of(order) is Status.UNKNOWN:
        return Unknown("UNKNOWN_STATUS", answer, order)
    return Placed(order, answer)


def is_ours(order: Order, client_order_id: UUID, market: str, side: str) -> bool:
    """Is it the order that was sent?"""
    return (order.client_order_id, order.market, order.side) == (client_order_id, market, side)


def status_of(order: Order) -> Status:
    """The execution's state that the exchange's word for an order means; `UNKNOWN` for a word not known.

    A refused order with fills, and a filled one without, contradict themselves and are unknown too.
    """
    filled = order.filled_amount > 0
    match order.status:
        case "new" | "awaitingTrigger":
            return Status.PARTIALLY_FILLED if filled else Status.OPEN
        case "partiallyFilled" if filled:
            return Status.PARTIALLY_FILLED
        case "filled" if filled:
            return Status.FILLED
        case "rejected" if not filled:
            return Status.REJECTED
        case "expired":
            return Status.CANCELED
        case word if word.startswith("canceled"):
            return Status.CANCELED
    return Status.UNKNOWN
