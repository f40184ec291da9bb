"""What the exchange answers, validated; unknown fields are ignored, as its release notes ask of clients."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, Literal, TypeVar
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.alias_generators import to_camel

from shared.errors import ExchangeUnreadable
from shared.money import parse_decimal, plain


def _decimal(value: object) -> Decimal:
    """The exchange writes decimals as strings; a bare number has been parsed exactly."""
    if isinstance(value, Decimal):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return Decimal(value)
    return parse_decimal(value)  # type: ignore[arg-type]  # refuses whatever is not text


def _uuid_or_none(value: object) -> UUID | None:
    """An id that is no UUID was given by somebody else, and is as good as none."""
    try:
        return UUID(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _whole(value: object) -> object:
    return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() else value


def _digits(value: object) -> int | None:
    """A number of significant digits; whatever is none, 0 above all, counts as absent."""
    whole = _whole(value)
    return whole if type(whole) is int and 1 <= whole <= _MOST_DECIMALS else None


_MOST_DECIMALS = 30

Signed = Annotated[Decimal, BeforeValidator(_decimal)]
Unsigned = Annotated[Decimal, BeforeValidator(_decimal), Field(ge=0)]
Positive = Annotated[Decimal, BeforeValidator(_decimal), Field(gt=0)]
Milliseconds = Annotated[int, Field(ge=0, lt=2**53)]
Decimals = Annotated[int, BeforeValidator(_whole), Field(ge=0, le=_MOST_DECIMALS)]
Digits = Annotated[int | None, BeforeValidator(_digits)]
OwnId = Annotated[UUID | None, BeforeValidator(_uuid_or_none)]
Whole = Annotated[int, BeforeValidator(_whole)]
Side = Literal["buy", "sell"]

TRADING = "trading"
"""The status of a market that takes orders."""


class _Answer(BaseModel):
    model_config = ConfigDict(
        strict=True, frozen=True, extra="ignore", alias_generator=to_camel, validate_by_name=True
    )


@dataclass(frozen=True, slots=True)
class ServerTime:
    """The exchange's clock (Unix ms), and the monotonic second at which that answer began to arrive."""

    ms: int
    received_at: float


class Time(_Answer):
    """The answer of `GET /time`."""

    time: Milliseconds


class Market(_Answer):
    """One row of `GET /markets`. Amounts in base or quote currency as named; a limit of None is none.

    Prices are multiples of `tick_size`. `price_precision`, a number of significant digits, is deprecated and
    mostly null or 0 (Bitvavo's release notes of v2.12.0, ccxt 4.5.90): it counts where there is no tick.
    """

    market: str
    status: str
    base: str
    quote: str
    min_base: Annotated[Unsigned, Field(alias="minOrderInBaseAsset")]
    min_quote: Annotated[Unsigned, Field(alias="minOrderInQuoteAsset")]
    max_base: Annotated[Unsigned | None, Field(alias="maxOrderInBaseAsset")] = None
    max_quote: Annotated[Unsigned | None, Field(alias="maxOrderInQuoteAsset")] = None
    quantity_decimals: Decimals
    notional_decimals: Decimals
    tick_size: Unsigned | None = None
    price_precision: Digits = None
    order_types: Annotated[tuple[str, ...], Field(strict=False)] = ()

    @property
    def standing(self) -> str:
        """`trading` when orders are taken, else the status or the field of the row that leaves none."""
        if self.status != TRADING:
            return self.status
        bounds = {
            "tickSize": self.tick_size,
            "maxOrderInBaseAsset": self.max_base,
            "maxOrderInQuoteAsset": self.max_quote,
        }
        for name, bound in bounds.items():
            if bound == 0:
                return f"{TRADING}, with a {name} of 0"
        if self.tick_size is None and self.price_precision is None:
            return f"{TRADING}, without a tickSize"
        return TRADING


class BookTop(_Answer):
    """The best bid and ask of `GET /ticker/book`, prices in quote and sizes in base currency."""

    market: str
    bid: Positive
    bid_size: Unsigned
    ask: Positive
    ask_size: Unsigned


@dataclass(frozen=True, slots=True)
class Candle:
    """One interval that had trades: its begin (Unix ms), prices in quote and volume in base currency."""

    time_ms: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal


class Fill(_Answer):
    """One fill of an order. Fee and its currency are missing until it is settled."""

    id: str
    timestamp: Milliseconds
    amount: Unsigned
    price: Unsigned
    taker: bool | None = None
    fee: Signed | None = None
    fee_currency: str | None = None
    settled: bool = False


class Order(_Answer):
    """An order object. Amounts in base currency unless named quote; times in Unix ms.

    `status` is the exchange's own word. `client_order_id` is None when there is none or it is no UUID. `raw`
    is the object as it was received: decimals are the strings that came, and a bare one became a string.
    """

    order_id: Annotated[str, Field(min_length=1)]
    client_order_id: OwnId = None
    market: str
    side: Side
    status: str
    order_type: str
    amount: Unsigned | None = None
    amount_remaining: Unsigned | None = None
    amount_quote: Unsigned | None = None
    amount_quote_remaining: Unsigned | None = None
    price: Unsigned | None = None
    filled_amount: Unsigned
    filled_amount_quote: Unsigned
    fee_paid: Signed | None = None
    fee_currency: str | None = None
    fills: Annotated[tuple[Fill, ...], Field(strict=False)] = ()
    created: Milliseconds
    updated: Milliseconds
    operator_id: Whole | None = None
    raw: Annotated[dict[str, Any], Field(repr=False)]

    @classmethod
    def parse(cls, value: object) -> Order:
        """Read one order object. Raises `ExchangeUnreadable` when it is not one."""
        if not isinstance(value, Mapping):
            raise ExchangeUnreadable("The exchange's answer is not an order.")
        return validate(cls, {**value, "raw": _as_text(value)})


class Trade(_Answer):
    """One own fill of `GET /trades`."""

    id: str
    order_id: str
    client_order_id: OwnId = None
    timestamp: Milliseconds
    market: str
    side: Side
    amount: Unsigned
    price: Unsigned
    fee: Signed | None = None
    fee_currency: str | None = None
    settled: bool = False


Model = TypeVar("Model", bound=BaseModel)


def validate(model: type[Model], value: object) -> Model:
    """Read `value` as `model`. Raises `ExchangeUnreadable`, which names the field and never its value."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise ExchangeUnreadable(_what_is_wrong(model.__name__.lower(), error)) from None


def in_market(market: str, rows: Iterable[Model]) -> tuple[Model, ...]:
    """Hand back the rows. Raises `ExchangeUnreadable` when one is of another market than was asked for."""
    kept = tuple(rows)
    if any(getattr(row, "market", None) != market for row in kept):
        raise ExchangeUnreadable(f"The exchange answered with another market than {market}.")
    return kept


def listed(value: object) -> list[object]:
    """A JSON array. Raises `ExchangeUnreadable` for anything else."""
    if not isinstance(value, list):
        raise ExchangeUnreadable("The exchange's answer is not a list.")
    return value


_CandleRow = tuple[Milliseconds, Positive, Positive, Positive, Positive, Unsigned]
_CANDLES: TypeAdapter[list[_CandleRow]] = TypeAdapter(list[_CandleRow])


def candles(value: object) -> tuple[Candle, ...]:
    """Read `GET /{market}/candles`, newest first there, as candles that ascend by time.

    Raises `ExchangeUnreadable` when a row is malformed or two begin at the same time.
    """
    try:
        rows = _CANDLES.validate_python(value)
    except ValidationError as error:
        raise ExchangeUnreadable(_what_is_wrong("candles", error)) from None
    if len({row[0] for row in rows}) != len(rows):
        raise ExchangeUnreadable("The exchange answered with two candles of one time.")
    return tuple(Candle(*row) for row in sorted(rows, key=lambda row: row[0]))


def _what_is_wrong(name: str, error: ValidationError) -> str:
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"]) or "the whole"
    return f"The exchange's answer cannot be read as {name}: {where} ({first['type']})."


def _as_text(value: object) -> Any:
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, Mapping):
        return {key: _as_text(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_as_text(item) for item in value]
    return value
