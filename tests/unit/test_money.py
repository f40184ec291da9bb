"""Money goes from text to text without losing a digit."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.money import ceil_to_step, floor_to, floor_to_step, parse_decimal, parse_json_number, plain

pytestmark = pytest.mark.unit

_AMOUNTS = st.decimals(
    min_value=-(10**18), max_value=10**18, allow_nan=False, allow_infinity=False, places=18
)
_STEPS = st.decimals(min_value="0.000000001", max_value=1000, places=9)


@pytest.mark.parametrize("text", ["0", "5.00", "-0.02493770287", "9007199254740993.000000000000000001"])
def test_what_is_read_is_written_again_digit_by_digit(text: str) -> None:
    """A decimal in plain notation comes back as the text that it was."""
    assert plain(parse_decimal(text)) == text


@pytest.mark.parametrize(
    "text", ["NaN", "Infinity", "-inf", "1e3", "1E-7", "", " 1", "1 ", "+1", ".5", "5.", "1,5", "١", "1" * 41]
)
def test_only_plain_notation_is_a_number(text: str) -> None:
    """NaN, infinity, exponents, spaces, other alphabets' digits and endless numbers are refused."""
    with pytest.raises(ValueError, match="plain notation"):
        parse_decimal(text)


@pytest.mark.parametrize("value", [0.1, 1, None, Decimal(1), True])
def test_only_text_is_parsed(value: object) -> None:
    """A float never becomes money, and neither does anything else that is not text."""
    with pytest.raises(ValueError, match="plain notation"):
        parse_decimal(value)  # type: ignore[arg-type]


def test_json_numbers_are_exact_and_bounded() -> None:
    """A bare JSON number keeps its digits, and one that would fill the memory when written out is refused."""
    assert parse_json_number("0.1") == Decimal("0.1")
    assert plain(parse_json_number("1.5e-7")) == "0.00000015"
    with pytest.raises(ValueError, match="reasonable length"):
        parse_json_number("1e999999999")


def test_nothing_is_written_with_an_exponent() -> None:
    """Small, large and zero values are written in full, and zero has no sign."""
    assert plain(Decimal("1E-8")) == "0.00000001"
    assert plain(Decimal("1E+3")) == "1000"
    assert plain(Decimal("-0.00")) == "0.00"
    with pytest.raises(ValueError, match="finite"):
        plain(Decimal("NaN"))


@given(_AMOUNTS, st.integers(min_value=0, max_value=18))
def test_rounding_down_never_gains_and_loses_less_than_one_unit(value: Decimal, decimals: int) -> None:
    """A floored value is at most the value, less than one unit below it, and has no more decimals."""
    floored = floor_to(value, decimals)
    assert 0 <= Fraction(value) - Fraction(floored) < Fraction(1, 10**decimals)
    assert -int(floored.as_tuple().exponent) == decimals


@given(_AMOUNTS, _STEPS)
def test_steps_enclose_the_value(value: Decimal, step: Decimal) -> None:
    """The steps below and above enclose the value, are multiples of the step, and meet only on a multiple."""
    below, above = floor_to_step(value, step), ceil_to_step(value, step)
    assert below <= value <= above
    assert Fraction(below) % Fraction(step) == Fraction(above) % Fraction(step) == 0
    assert Fraction(above) - Fraction(below) == (0 if below == value else Fraction(step))


@pytest.mark.parametrize("step", [Decimal(0), Decimal(-1), Decimal("NaN")])
def test_a_step_is_above_zero(step: Decimal) -> None:
    """A market without a usable step gives an error instead of a price."""
    with pytest.raises(ValueError, match="must be"):
        floor_to_step(Decimal(1), step)
