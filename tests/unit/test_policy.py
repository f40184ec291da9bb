"""The policy is read whole or not at all."""

import copy
import json
from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from shared.policy import TradingPolicy, parse_policy

pytestmark = pytest.mark.unit

DEFAULT: dict[str, Any] = json.loads(
    """
    {
      "allowlist": ["BTC-EUR"],
      "min_confidence": 70,
      "limits": {
        "order": {"min_eur": "6", "max_eur": "250"},
        "daily": {"trades": 5, "value_eur": "1000"},
        "gpt": {"daily": 20, "hourly": 4}
      },
      "cooldown_minutes": 60,
      "anti_flip_minutes": 120,
      "max_price_move_percent": "1.0",
      "max_spread_percent": "0.5",
      "proposal_ttl_minutes": 15,
      "scan_interval_minutes": 60
    }
    """
)

MISSING = object()

PATHS = [
    "allowlist",
    "min_confidence",
    "limits",
    "limits.order",
    "limits.order.min_eur",
    "limits.order.max_eur",
    "limits.daily",
    "limits.daily.trades",
    "limits.daily.value_eur",
    "limits.gpt",
    "limits.gpt.daily",
    "limits.gpt.hourly",
    "cooldown_minutes",
    "anti_flip_minutes",
    "max_price_move_percent",
    "max_spread_percent",
    "proposal_ttl_minutes",
    "scan_interval_minutes",
]


def changed(path: str, value: object) -> dict[str, Any]:
    """The default policy with one field replaced, added or, for MISSING, left out."""
    policy = copy.deepcopy(DEFAULT)
    *parents, name = path.split(".")
    target = policy
    for parent in parents:
        target = target[parent]
    if value is MISSING:
        del target[name]
    else:
        target[name] = value
    return policy


def is_policy(stored: object) -> bool:
    """Is it read?"""
    try:
        parse_policy(stored)
    except ValidationError:
        return False
    return True


def test_the_default_policy_is_read_without_loss() -> None:
    """Every field of the contract's default policy arrives with its exact value, money as Decimal."""
    policy = parse_policy(DEFAULT)
    assert policy.allowlist == ["BTC-EUR"]
    assert policy.min_confidence == Decimal(70)
    assert (policy.limits.order.min_eur, policy.limits.order.max_eur) == (Decimal(6), Decimal(250))
    assert (policy.limits.daily.trades, policy.limits.daily.value_eur) == (5, Decimal(1000))
    assert (policy.limits.gpt.daily, policy.limits.gpt.hourly) == (20, 4)
    assert (policy.cooldown_minutes, policy.anti_flip_minutes) == (60, 120)
    assert str(policy.max_price_move_percent) == "1.0"
    assert str(policy.max_spread_percent) == "0.5"
    assert (policy.proposal_ttl_minutes, policy.scan_interval_minutes) == (15, 60)


def test_a_fractional_confidence_keeps_its_spelling() -> None:
    """A confidence of 72.1 is exactly 72.1, not the nearest binary fraction."""
    assert parse_policy(changed("min_confidence", 72.1)).min_confidence == Decimal("72.1")


def test_an_empty_allowlist_is_a_policy() -> None:
    """An empty allowlist is valid: it means that nothing may trade."""
    assert parse_policy(changed("allowlist", [])).allowlist == []


def test_no_field_has_a_default() -> None:
    """No reader fills anything: the model itself has no default for any field."""
    assert all(field.is_required() for field in TradingPolicy.model_fields.values())


@pytest.mark.parametrize("path", PATHS)
def test_a_missing_field_is_refused(path: str) -> None:
    """A policy that lacks any one field, nested ones too, is not a policy."""
    with pytest.raises(ValidationError):
        parse_policy(changed(path, MISSING))


@pytest.mark.parametrize(
    "path", ["surprise", "limits.surprise", "limits.order.surprise", "limits.gpt.weekly"]
)
def test_an_unknown_field_is_refused(path: str) -> None:
    """A field that the contract does not name is refused at every depth."""
    with pytest.raises(ValidationError):
        parse_policy(changed(path, 1))


@pytest.mark.parametrize("path", ["limits.order.max_eur", "limits.daily.value_eur", "max_spread_percent"])
@pytest.mark.parametrize(
    "value",
    [
        250,
        250.5,
        True,
        None,
        "",
        " 250",
        "250\n",
        "2e2",
        "NaN",
        "Infinity",
        "-1",
        "+1",
        "007",
        "1,5",
        ".5",
        "5.",
        "٣",
    ],
)
def test_money_and_percentages_are_plain_strings(path: str, value: object) -> None:
    """Money and percentages come as strings in plain notation; numbers, exponents and NaN are refused."""
    with pytest.raises(ValidationError):
        parse_policy(changed(path, value))


@pytest.mark.parametrize("path", ["limits.daily.trades", "limits.gpt.hourly", "cooldown_minutes"])
@pytest.mark.parametrize("value", ["5", 5.0, 5.5, True, None, -1, [5]])
def test_counts_and_minutes_are_integers(path: str, value: object) -> None:
    """Counts and minutes are non-negative JSON integers and nothing that could be coerced to one."""
    with pytest.raises(ValidationError):
        parse_policy(changed(path, value))


@pytest.mark.parametrize("value", ["70", True, None, -1, 100.5, float("nan"), float("inf")])
def test_confidence_is_a_number_between_0_and_100(value: object) -> None:
    """The confidence threshold is a finite number between 0 and 100."""
    with pytest.raises(ValidationError):
        parse_policy(changed("min_confidence", value))


@pytest.mark.parametrize("value", ["BTC/EUR", "btc-eur", "BTCEUR", "BTC-EUR ", "", "*", 7, None, "BTC-EUR\n"])
def test_a_market_is_spelled_as_the_exchange_spells_it(value: object) -> None:
    """An allowlist entry that is not a market's name in the exchange's own spelling is refused."""
    with pytest.raises(ValidationError):
        parse_policy(changed("allowlist", [value]))


@pytest.mark.parametrize(
    ("path", "least", "most"),
    [
        ("min_confidence", 0, 100),
        ("limits.daily.trades", 0, 10_000),
        ("limits.gpt.daily", 0, 10_000),
        ("limits.gpt.hourly", 0, 10_000),
        ("cooldown_minutes", 0, 525_600),
        ("anti_flip_minutes", 0, 525_600),
        ("proposal_ttl_minutes", 1, 1_440),
        ("scan_interval_minutes", 1, 10_080),
    ],
)
def test_a_whole_number_lies_in_its_range(path: str, least: int, most: int) -> None:
    """The least and the most are read; one less and one more are refused."""
    assert is_policy(changed(path, least))
    assert is_policy(changed(path, most))
    assert not is_policy(changed(path, least - 1))
    assert not is_policy(changed(path, most + 1))


@pytest.mark.parametrize(
    ("path", "read", "refused"),
    [
        ("limits.order.min_eur", ("0.01", "250"), ("0", "0.00999999", "250.00000001")),
        ("limits.order.max_eur", ("6", "1000000"), ("5.99999999", "1000000.00000001")),
        ("limits.daily.value_eur", ("0", "100000000"), ("100000000.00000001",)),
        ("max_price_move_percent", ("0", "0.00000001", "50"), ("50.00000001",)),
        ("max_spread_percent", ("0", "0.00000001", "50"), ("0.000000001", "50.00000001")),
    ],
)
def test_a_decimal_lies_in_its_range(path: str, read: tuple[str, ...], refused: tuple[str, ...]) -> None:
    """Up to the bound is read, the smallest step beyond is refused, and so is a ninth decimal."""
    assert all(is_policy(changed(path, value)) for value in read)
    assert not any(is_policy(changed(path, value)) for value in refused)


@pytest.mark.parametrize("field", ["allowlist", "limits", "limits.order", "limits.daily", "limits.gpt"])
def test_a_policy_that_was_read_stays_as_it_is(field: str) -> None:
    """No part can be replaced or get another value after it was judged."""
    read: Any = parse_policy(DEFAULT)
    *parents, name = field.split(".")
    for parent in parents:
        read = getattr(read, parent)
    with pytest.raises(ValidationError):
        setattr(read, name, getattr(read, name))


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("A-EU", True),
        ("-EU", False),
        ("A-E", False),
        (f"{'A1' * 10}-{'E2' * 5}", True),
        (f"{'A1' * 10}A-{'E2' * 5}", False),
        (f"{'A1' * 10}-{'E2' * 5}E", False),
    ],
)
def test_a_market_has_a_base_and_a_quote_of_some_length(name: str, read: bool) -> None:
    """1 to 20 capitals and digits, a hyphen, 2 to 10 capitals and digits."""
    assert is_policy(changed("allowlist", [name])) is read


def test_an_allowlist_names_at_most_a_hundred_markets() -> None:
    """The hundredth is read, with the hundred and first the policy is refused."""
    names = [f"X{number}-EUR" for number in range(101)]
    assert is_policy(changed("allowlist", names[:100]))
    assert not is_policy(changed("allowlist", names))


@pytest.mark.parametrize(
    ("path", "value", "sentence"),
    [
        ("max_spread_percent", 0.5, "must be a decimal number as a string in plain notation"),
        ("min_confidence", "70", "must be a number"),
        ("allowlist", ["BTC-EUR", "ETH-EUR", "BTC-EUR"], "must name each market once"),
        ("limits.order.max_eur", "5", "min_eur must not be above max_eur"),
    ],
)
def test_a_refusal_says_what_is_wrong(path: str, value: object, sentence: str) -> None:
    """One field is at fault, and the sentence says what it must be."""
    with pytest.raises(ValidationError) as refusal:
        parse_policy(changed(path, value))
    assert [error["msg"] for error in refusal.value.errors()] == [f"Value error, {sentence}"]
