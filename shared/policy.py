"""The trading policy as it stands in the database, read strictly and never completed.

The stored policy is whole: `set_trading_policy` fills every default and a constraint refuses the rest,
so a reader that meets a missing, unknown or mistyped field has met something that must not trade.
The policy's hash is computed in the database alone.
"""

import re
from decimal import Decimal
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

MARKET_PATTERN = r"^[A-Z0-9]{1,20}-[A-Z0-9]{2,10}$"

_PLAIN_DECIMAL = re.compile(r"(0|[1-9][0-9]{0,17})(\.[0-9]{1,18})?")


def _plain_decimal(value: object) -> Decimal:
    """Reads a non-negative decimal from a string in plain notation; a JSON number is refused.

    Raises ValueError for signs, exponents, NaN, infinity, spaces, leading zeros and anything but a string.
    """
    if not isinstance(value, str) or not _PLAIN_DECIMAL.fullmatch(value):
        raise ValueError("must be a decimal number as a string in plain notation")
    return Decimal(value)


def _percentage_points(value: object) -> Decimal:
    """Reads a finite JSON number; a float is taken at its shortest spelling, as the database wrote it."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise ValueError("must be a number")
    return Decimal(repr(value)) if isinstance(value, float) else Decimal(value)


_STRICT = ConfigDict(strict=True, extra="forbid", frozen=True)

PlainDecimal = Annotated[Decimal, BeforeValidator(_plain_decimal)]
Confidence = Annotated[Decimal, BeforeValidator(_percentage_points), Field(ge=0, le=100, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0)]
Market = Annotated[str, Field(pattern=MARKET_PATTERN)]


class OrderLimits(BaseModel):
    """Order value in EUR, fee included, between which an order may lie."""

    model_config = _STRICT

    min_eur: PlainDecimal
    max_eur: PlainDecimal


class DailyLimits(BaseModel):
    """Trades and order value in EUR per UTC day."""

    model_config = _STRICT

    trades: Count
    value_eur: PlainDecimal


class GptLimits(BaseModel):
    """Model calls per UTC day and within the last 60 minutes."""

    model_config = _STRICT

    daily: Count
    hourly: Count


class Limits(BaseModel):
    """The three kinds of limit that a policy sets."""

    model_config = _STRICT

    order: OrderLimits
    daily: DailyLimits
    gpt: GptLimits


class TradingPolicy(BaseModel):
    """One owner's policy: what may trade, how much, how often. No field has a default.

    Confidence is 0 to 100, percentages are percent (`1.0` is one in a hundred), durations whole minutes.
    """

    model_config = _STRICT

    allowlist: list[Market]
    min_confidence: Confidence
    limits: Limits
    cooldown_minutes: Count
    anti_flip_minutes: Count
    max_price_move_percent: PlainDecimal
    max_spread_percent: PlainDecimal
    proposal_ttl_minutes: Count
    scan_interval_minutes: Count


def parse_policy(stored: object) -> TradingPolicy:
    """Reads the jsonb of `trading_policies.policy` as an RPC answers it.

    Raises pydantic.ValidationError when a field is missing, unknown, mistyped or not a number that can be.
    """
    return TradingPolicy.model_validate(stored)
