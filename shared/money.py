"""Money and amounts: decimals from text to text, exact in between, never a float."""

from __future__ import annotations

import re
from decimal import ROUND_FLOOR, Context, Decimal, localcontext

_PLAIN = re.compile(r"-?[0-9]{1,40}(\.[0-9]{1,40})?")
_JSON_NUMBER = re.compile(r"-?[0-9]{1,40}(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,2})?")
# Wide enough that no product, quotient or remainder of two numbers read above is ever rounded.
_EXACT = Context(prec=400)


def parse_decimal(text: str) -> Decimal:
    """Read a decimal in plain notation, `-12.50`.

    Raises `ValueError` for an exponent, NaN, infinity, a plus sign, spaces, anything that is not a `str`
    (a float above all), and more than 40 digits on either side of the point.
    """
    if not isinstance(text, str) or not _PLAIN.fullmatch(text):
        raise ValueError("must be a decimal number in plain notation")
    return Decimal(text)


def parse_json_number(text: str) -> Decimal:
    """Read the text of a JSON number with a point or an exponent exactly; for `json.loads(parse_float=...)`.

    Raises `ValueError` for a number so long that writing it out would be an attack.
    """
    if not _JSON_NUMBER.fullmatch(text):
        raise ValueError("must be a number of a reasonable length")
    return Decimal(text)


def plain(value: Decimal) -> str:
    """Write a decimal without an exponent, with the digits that it has: `0.00000010`, `5.00`, `100`.

    Raises `ValueError` for NaN and infinity.
    """
    text = format(_finite(value), "f")
    return text.removeprefix("-") if value.is_zero() else text


def floor_to(value: Decimal, decimals: int) -> Decimal:
    """Round down, towards minus infinity, to that many decimals (0 or more)."""
    return _finite(value).quantize(Decimal(1).scaleb(-decimals), rounding=ROUND_FLOOR, context=_EXACT)


def floor_to_step(value: Decimal, step: Decimal) -> Decimal:
    """The largest multiple of `step` that is not above `value`. Raises `ValueError` unless `step` > 0."""
    multiple, rest = _divide(value, step)
    return multiple - step if rest < 0 else multiple


def ceil_to_step(value: Decimal, step: Decimal) -> Decimal:
    """The smallest multiple of `step` that is not below `value`. Raises `ValueError` unless `step` > 0."""
    multiple, rest = _divide(value, step)
    return multiple + step if rest > 0 else multiple


def _divide(value: Decimal, step: Decimal) -> tuple[Decimal, Decimal]:
    """The multiple of `step` that `value` reaches on its way from zero, and what is left over."""
    if not _finite(step) > 0:
        raise ValueError("a step must be above zero")
    with localcontext(_EXACT):
        count, rest = divmod(_finite(value), step)
        return count * step, rest


def _finite(value: Decimal) -> Decimal:
    if not isinstance(value, Decimal) or not value.is_finite():
        raise ValueError("must be a finite decimal")
    return value
