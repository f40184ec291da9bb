"""Who owns what. Money only moves between purses, so the sum over all of them never changes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from decimal import Decimal
from typing import Literal, NamedTuple

from local.exchange.decimals import ZERO
from local.exchange.refusals import Refusal

MAKER = "market maker"
FEES = "fees"
CLEARING = "clearing"
OUTSIDE = "outside"


class Purse(NamedTuple):
    """Part of an account: what is free, or what its open orders hold."""

    account: str
    part: Literal["available", "inOrder"] = "available"


class Ledger:
    """Balances by purse and asset. Only the exchange's own accounts may owe."""

    _MAY_OWE = frozenset({MAKER, CLEARING, OUTSIDE})

    def __init__(self) -> None:
        self._balances: dict[tuple[Purse, str], Decimal] = defaultdict(lambda: ZERO)

    def move(self, amount: Decimal, symbol: str, source: Purse, target: Purse) -> None:
        """Raises Refusal 216 when the source holds less."""
        if amount < 0:
            raise ValueError(f"an amount of {amount} {symbol} does not move backwards")
        if self._balances[source, symbol] < amount and source.account not in self._MAY_OWE:
            raise Refusal(216)
        self._balances[source, symbol] -= amount
        self._balances[target, symbol] += amount

    def balance(self, purse: Purse, symbol: str) -> Decimal:
        return self._balances[purse, symbol]

    def symbols(self, account: str) -> list[str]:
        """Assets of which an account has any, in alphabetical order."""
        held = (
            symbol for (purse, symbol), sum_ in self._balances.items() if purse.account == account and sum_
        )
        return sorted(set(held))

    def accounts(self) -> list[str]:
        """Everyone who ever had or owed anything, in alphabetical order."""
        return sorted({purse.account for purse, _ in self._balances})

    def rows(self) -> list[tuple[str, str, str, Decimal]]:
        """Every balance: account, part, asset, amount."""
        return [(purse.account, purse.part, symbol, sum_) for (purse, symbol), sum_ in self._balances.items()]

    def replace(self, rows: Iterable[tuple[str, str, str, Decimal]]) -> None:
        """Put these balances in the place of all that there are."""
        self._balances.clear()
        for account, part, symbol, amount in rows:
            purse = Purse(account, "inOrder" if part == "inOrder" else "available")
            self._balances[purse, symbol] = amount

    def total(self, symbol: str) -> Decimal:
        """The sum over all purses: zero, because what came in is owed to the outside."""
        return sum((held for (_, name), held in self._balances.items() if name == symbol), ZERO)
