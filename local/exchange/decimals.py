"""Exact decimal arithmetic: the ledger may round only where it says so."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Context, Decimal, DivisionByZero, Inexact, InvalidOperation, Overflow, localcontext

ZERO = Decimal(0)

# In this context a lost digit raises instead of passing unnoticed.
EXACT = Context(prec=96, traps=[Inexact, InvalidOperation, DivisionByZero, Overflow])
ROUNDING = Context(prec=28)


@contextmanager
def rounding() -> Iterator[None]:
    """Ordinary decimal arithmetic, for prices and sizes that are made up anyway; also a decorator."""
    with localcontext(ROUNDING):
        yield


def unit_of(decimals: int) -> Decimal:
    """The smallest step with that many decimals: 2 gives 0.01."""
    return Decimal(1).scaleb(-decimals)


def floor_to(value: Decimal, unit: Decimal) -> Decimal:
    """The largest multiple of `unit` that is not above a value of zero or more."""
    return value // unit * unit


def ceil_to(value: Decimal, unit: Decimal) -> Decimal:
    """The smallest multiple of `unit` that is not below a value of zero or more."""
    below = floor_to(value, unit)
    return below if below == value else below + unit


def plain(value: Decimal) -> str:
    """As the exchange writes numbers: no exponent, no trailing zeros, no negative zero."""
    text = f"{value:f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("", "-0") else text
