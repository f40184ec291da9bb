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
