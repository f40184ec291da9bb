"""The key pairs of the simulated exchange: constants, printed at start, worth nothing anywhere else."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

READONLY_KEY = "simulated-exchange-readonly-key".ljust(64, "0")
READONLY_SECRET = "simulated-exchange-readonly-secret".ljust(64, "0")
TRADE_KEY = "simulated-exchange-trade-key".ljust(64, "0")
TRADE_SECRET = "simulated-exchange-trade-secret".ljust(64, "0")

OWNER = "owner"


class Right(StrEnum):
    """What Bitvavo's key dialog calls View access, Trade digital assets, Withdraw digital assets."""

    VIEW = "view"
    TRADE = "trade"
    WITHDRAW = "withdraw"


MISSING_RIGHT = {Right.TRADE: 310, Right.VIEW: 311, Right.WITHDRAW: 312}


@dataclass(frozen=True)
class ApiKey:
    """One key of an account. `addresses` lists who may use it (None: anyone)."""

    key: str
    secret: str
    account: str
    rights: frozenset[Right]
    addresses: frozenset[str] | None = None
    active: bool = True
    confirmed: bool = True

    def __repr__(self) -> str:
        return f"ApiKey({self.key.rstrip('0')}, {self.account}, {sorted(self.rights)})"


DEFAULT_KEYS = (
    ApiKey(READONLY_KEY, READONLY_SECRET, OWNER, frozenset({Right.VIEW})),
    ApiKey(TRADE_KEY, TRADE_SECRET, OWNER, frozenset({Right.VIEW, Right.TRADE})),
)
