"""The trading policy as it stands in the database, read strictly and never completed.

The stored policy is whole: `set_trading_policy` fills every default and a constraint refuses the rest,
so a reader that meets a missing, unknown or mistyped field has met something that must not trade.
The policy's hash is computed in the database alone. The ranges are those of interlock.policy_error there;
a property test holds the two to the same answer.
"""

import re
from decimal import Decimal
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

MARKET_PATTERN = r"^[A-Z0-9]{1,20}-[A-Z0-9]{2,10}$"

_PLAIN_DECIMAL = re.compile(r"(0|[1-9][0-9]{0,11})(\.[0-9]{1,8})?")


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
    return Decimal(str(value))


def _each_once(markets: list[str]) -> list[str]:
    """Raises ValueError when a market is named twice."""
    if len(set(markets)) < len(markets):
        raise ValueError("must name each market once")
    return markets


_STRICT = ConfigDict(strict=True, extra="forbid", frozen=True)

PlainDecimal = Annotated[Decimal, BeforeValidator(_plain_decimal)]
OrderValue = Annotated[PlainDecimal, Field(ge=Decimal("0.01"), le=1_000_000)]
DailyValue = Annotated[PlainDecimal, Field(le=100_000_000)]
Percent = Annotated[PlainDecimal, Field(le=50)]
Confidence = Annotated[Decimal, BeforeValidator(_percentage_points), Field(ge=0, le=100, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0, le=10_000)]
Minutes = Annotated[int, Field(ge=0, le=525_600)]
Market = Annotated[str, Field(pattern=MARKET_PATTERN)]
Allowlist = Annotated[list[Market], Field(max_length=100), AfterValidator(_each_once)]


class OrderLimits(BaseModel):
    """Order value in EUR, fee included, between which an order may lie."""

    model_config = _STRICT

    min_eur: OrderValue
    max_eur: OrderValue

    @model_validator(mode="after")
    def _least_is_not_above_most(self) -> Self:
        if self.min_eur > self.max_eur:
            raise ValueError("min_eur must not be above max_eur")
        return self


class DailyLimits(BaseModel):
    """Trades and order value in EUR per UTC day."""

    model_config = _STRICT

    trades: Count
    value_eur: DailyValue


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

    allowlist: Allowlist
    min_confidence: Confidence
    limits: Limits
    cooldown_minutes: Minutes
    anti_flip_minutes: Minutes
    max_price_move_percent: Percent
    max_spread_percent: Percent
    proposal_ttl_minutes: Annotated[int, Field(ge=1, le=1_440)]
    scan_interval_minutes: Annotated[int, Field(ge=1, le=10_080)]


def parse_policy(stored: object) -> TradingPolicy:
    """Reads the jsonb of `trading_policies.policy` as an RPC answers it.

    Raises pydantic.ValidationError when a field is missing, unknown, mistyped or not a number that can be.
    """
    return TradingPolicy.model_validate(stored)
