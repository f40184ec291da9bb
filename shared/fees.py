"""What the exchange takes of a buy beside its price: the fee, and what it rounds to the cent.

The database judges by the same numbers, `interlock.taker_fee()` and `interlock.rounding_room()`.
"""

from __future__ import annotations

from decimal import Decimal, localcontext

TAKER_FEE = Decimal("0.0025")
"""The default taker fee, 0.25 % (https://bitvavo.com/en/fees). A dearer one seen on a fill halts trading."""

CENT = Decimal("0.01")
"""The exchange moves EUR in whole cents and lets the fee absorb the rest, of each order or of each fill."""

LEAST_RESTING = 5
"""EUR, the least order that rests in a EUR market: so much at least meets each fill but the outermost two."""

MOST_FILLS = 10
"""A buy leaves a cent for each of so many fills at most, however much it is worth."""

_EXACT_DIGITS = 400


def rounding_room(amount_quote: Decimal) -> Decimal:
    """EUR that a buy of so many EUR leaves for rounding: a cent for each fill that it may have.

    An order that meets resting ones takes all of them but the last, and the first may be what is left of one.
    """
    return CENT * min(MOST_FILLS, 2 + int(amount_quote // LEAST_RESTING))


def affordable(amount_quote: Decimal, price: Decimal) -> Decimal:
    """The base amount that so many EUR pay for at a price, fee and rounding included; not rounded itself.

    Zero or less when they pay for nothing.
    """
    with localcontext(prec=_EXACT_DIGITS):
        return (amount_quote - rounding_room(amount_quote)) / (price * (1 + TAKER_FEE))
