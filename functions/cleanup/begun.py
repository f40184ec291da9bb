"""What the database hands to a run: the executions it leased and the markets it has to compare."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from shared.errors import DatabaseUnavailable


class _Answer(BaseModel):
    # Numbers come as text: strict would refuse them.
    model_config = ConfigDict(frozen=True, extra="ignore")


class Execution(_Answer):
    """What cleanup needs of an execution. Times in Unix ms, on the exchange's clock."""

    id: UUID
    market: str
    side: str
    status: str
    trade_key_fingerprint: str | None
    access_timestamp: int
    access_window_ms: int
    exchange_order_id: str | None
    claimed_at: datetime


class WatchedMarket(_Answer):
    """A market to compare, and the time (Unix ms) from which its orders have to be read."""

    market: str
    read_from_ms: Annotated[int, Field(ge=0)]
    holds_back: bool
    """Does live trading wait for it?"""
    expected: frozenset[str] = frozenset()
    """Ids of known orders of ours in that time: a read that does not show them is none."""


class Witness(_Answer):
    """An execution whose order the exchange has: whoever does not see it sees another account."""

    id: UUID
    market: str
    exchange_order_id: str


class Begun(_Answer):
    """The answer of `begin_cleanup`. `now` is the database's time before anything was read."""

    now: datetime
    mode: str
    mode_matches: bool
    account_matches: bool
    account_is_dedicated: bool
    executions: tuple[Execution, ...]
    markets: tuple[WatchedMarket, ...]
    left_waiting: Annotated[int, Field(ge=0)] = 0
    """Unsettled live executions that a run without a trade key cannot look up."""
    witness: Witness | None = None

    @classmethod
    def parse(cls, answer: object) -> Begun:
        """Raises `DatabaseUnavailable` when the answer is not one."""
        try:
            return cls.model_validate(answer)
        except ValidationError as error:
            where = ".".join(str(part) for part in error.errors()[0]["loc"])
            raise DatabaseUnavailable(f"begin_cleanup answered something unreadable: {where}.") from None
