"""One rule book for policies: what the database stores is what the functions can read, and nothing else."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from psycopg.types.json import Jsonb
from pydantic import ValidationError

from cli.rules import FIELDS, Field
from shared.policy import parse_policy
from tests.database.harness import TestDatabase

DEFAULTS: Mapping[str, Any] = {
    "allowlist": ["BTC-EUR"],
    "min_confidence": 70,
    "limits": {
        "order": {"min_eur": "6", "max_eur": "250"},
        "daily": {"trades": 5, "value_eur": "1000"},
        "gpt": {"daily": 20, "hourly": 4},
    },
    "cooldown_minutes": 60,
    "anti_flip_minutes": 120,
    "max_price_move_percent": "1.0",
    "max_spread_percent": "0.5",
    "proposal_ttl_minutes": 15,
    "scan_interval_minutes": 60,
}
PATHS = (
    (),
    ("allowlist",),
    ("min_confidence",),
    ("limits",),
    ("limits", "order"),
    ("limits", "order", "min_eur"),
    ("limits", "order", "max_eur"),
    ("limits", "daily"),
    ("limits", "daily", "trades"),
    ("limits", "daily", "value_eur"),
    ("limits", "gpt"),
    ("limits", "gpt", "daily"),
    ("limits", "gpt", "hourly"),
    ("cooldown_minutes",),
    ("anti_flip_minutes",),
    ("max_price_move_percent",),
    ("max_spread_percent",),
    ("proposal_ttl_minutes",),
    ("scan_interval_minutes",),
)
EDGES = (0, 1, 50, 100, 1440, 10_000, 10_080, 525_600, 1_000_000, 100_000_000, 10**9)

_text = st.text(st.characters(exclude_categories=["Cs"], min_codepoint=1), max_size=12)
_numbers = st.one_of(
    st.sampled_from(EDGES).flatmap(lambda edge: st.integers(edge - 1, edge + 1)),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(0, 101),
)
_decimals = st.one_of(
    st.sampled_from(EDGES).map(str),
    st.decimals(0, 10**12, allow_nan=False, allow_infinity=False, places=2).map(lambda value: f"{value:f}"),
    st.from_regex(r"\A-?[0-9]{1,13}(\.[0-9]{1,9})?\Z"),
    st.sampled_from(["0x10", "1_000", "1,5", "\u0666", "0.01", "0.009", "50.00000001"]),
    st.sampled_from(["", "6", "06", "+6", "-6", " 6", "6 ", "6\n", ".5", "5.", "1e2", "1E2", "NaN", "-inf"]),
)
_markets = st.one_of(
    st.from_regex(r"\A[A-Z0-9]{1,21}-[A-Z0-9]{1,11}\Z"),
    st.sampled_from(
        ["BTC-EUR", "ETH-EUR", "btc-eur", "BTC/EUR", "BTC-EUR\n", " BTC-EUR", "\u00c4-EUR", "-EUR"]
    ),
    _text,
)
_allowlists = st.one_of(
    st.lists(_markets, max_size=4),
    st.integers(98, 103).map(lambda count: [f"X{number}-EUR" for number in range(count)]),
)
_values = st.one_of(
    st.none(),
    st.booleans(),
    _numbers,
    _decimals,
    _text,
    _allowlists,
    st.dictionaries(_text, _numbers, max_size=2),
)
_fitting = {
    "allowlist": _allowlists,
    **dict.fromkeys(("min_eur", "max_eur", "value_eur"), _decimals),
    **dict.fromkeys(("max_price_move_percent", "max_spread_percent"), _decimals),
}


@st.composite
def _documents(draw: st.DrawFn) -> object:
    """The default policy with up to three changes: a value replaced, a field left out or one too many."""
    document: Any = copy.deepcopy(DEFAULTS)
    for _ in range(draw(st.sampled_from([1, 1, 1, 2, 3]))):
        path = draw(st.sampled_from(PATHS))
        if not path:
            if draw(st.booleans()):
                return draw(_values)
            continue
        *parents, name = path
        holder = document
        for parent in parents:
            holder = holder.get(parent) if isinstance(holder, dict) else None
        if not isinstance(holder, dict):
            continue
        match draw(st.sampled_from(["fitting"] * 5 + ["any", "missing", "unknown"])):
            case "fitting":
                holder[name] = draw(_fitting.get(name, _numbers))
            case "any":
                holder[name] = draw(_values)
            case "missing":
                holder.pop(name, None)
            case _:
                holder[draw(_text)] = draw(_values)
    return document


@settings(
    max_examples=400,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(document=_documents())
def test_database_and_functions_accept_the_same_policies(shared_db: TestDatabase, document: object) -> None:
    """A document is a policy for both or for neither; if for neither, the database says why."""
    ((stored, error),) = shared_db.rows(
        "select given, interlock.policy_error(given) from (select %s::jsonb) as one (given)", Jsonb(document)
    )
    event("a policy" if error is None else "none")
    assert _is_readable(stored) == (error is None), error
    assert error is None or 10 < len(error) < 250


def _is_readable(stored: object) -> bool:
    try:
        parse_policy(stored)
    except ValidationError:
        return False
    return True


@pytest.mark.parametrize("given", [{}, {"allowlist": ["BTC/EUR"]}, {"limits": {"gpt": {"daily": 1}}}])
def test_what_an_owner_leaves_out_is_filled_before_it_is_stored(
    shared_db: TestDatabase, given: dict[str, Any]
) -> None:
    """The stored policy is complete, so no reader fills anything; BTC/EUR is read as BTC-EUR."""
    caller = shared_db.as_user(shared_db.owner())
    stored = caller.call("set_trading_policy", p_policy=given)["policy"]
    expected = copy.deepcopy(dict(DEFAULTS)) | {"allowlist": ["BTC-EUR"] if "allowlist" in given else []}
    if "limits" in given:
        expected["limits"]["gpt"]["daily"] = 1
    assert stored == expected
    parse_policy(stored)


def test_setting_a_policy_warns_of_what_may_be_misspelled(db: TestDatabase) -> None:
    """Markets that the exchange refuses, that nobody has seen, that are not in EUR; an empty allowlist."""
    owner = db.owner()
    caller = db.as_user(owner)
    db.do(
        """
        insert into interlock.market_marks (market, read_to, watched_since, first_read_at, unread)
        select mark.market, interlock.clock(), interlock.clock(), mark.first_read_at, mark.unread
        from (
            values ('BTC-EUR', interlock.clock(), null), ('TYPO-EUR', null, 'REFUSED')
        ) as mark (market, first_read_at, unread)
        """
    )

    def warned(*markets: str) -> list[tuple[str, list[str]]]:
        answer = caller.call("set_trading_policy", p_policy={"allowlist": list(markets)})
        assert all(warning["sentence"] for warning in answer["warnings"])
        return [(warning["code"], warning["markets"]) for warning in answer["warnings"]]

    assert warned("BTC-EUR") == []
    assert warned() == [("ALLOWLIST_EMPTY", [])]
    assert warned("BTC-EUR", "NEW-EUR", "TYPO-EUR", "BTC-USDC") == [
        ("MARKET_NEVER_SEEN", ["NEW-EUR"]),
        ("MARKET_REFUSED", ["TYPO-EUR"]),
        ("QUOTE_NOT_EUR", ["BTC-USDC"]),
    ]
    db.do("update public.trading_controls set mode = 'dry_run' where singleton")
    assert warned("BTC-EUR", "NEW-EUR") == []


def _with(field: Field, value: object) -> dict[str, Any]:
    document: dict[str, Any] = copy.deepcopy(dict(DEFAULTS))
    holder = document
    *parents, name = field.path.split(".")
    for parent in parents:
        holder = holder[parent]
    holder[name] = value
    # So that the range of one is not held back by the other's.
    if field.path == "limits.order.min_eur":
        document["limits"]["order"]["max_eur"] = "1000000"
    if field.path == "limits.order.max_eur":
        document["limits"]["order"]["min_eur"] = "0.01"
    return document


def test_what_is_explained_is_what_the_database_decides(db: TestDatabase) -> None:
    """Every field, no other, with its default; both ends of its range are taken and nothing beyond them."""

    def error(document: object) -> str | None:
        found: str | None = db.one("select interlock.policy_error(%s)", Jsonb(document))
        return found

    default = db.one("select interlock.default_policy()")
    assert {field.path: field.of(default) for field in FIELDS} == {
        field.path: field.default for field in FIELDS
    }
    assert {".".join(path) for path in PATHS} - {
        "",
        "limits",
        "limits.order",
        "limits.daily",
        "limits.gpt",
    } == {field.path for field in FIELDS}
    for field in FIELDS:
        if field.path == "allowlist":
            for count, is_right in ((int(field.most), True), (int(field.most) + 1, False)):
                markets = [f"X{number}-EUR" for number in range(count)]
                assert (error(_with(field, markets)) is None) is is_right
            continue
        is_text = isinstance(field.default, str)
        step = Decimal("0.00000001") if is_text else Decimal(1)
        for value, is_right in (
            (Decimal(field.least), True),
            (Decimal(field.most), True),
            (Decimal(field.least) - step, False),
            (Decimal(field.most) + step, False),
        ):
            told = error(_with(field, f"{value:f}" if is_text else int(value)))
            assert (told is None) is is_right, (field.path, value, told)
