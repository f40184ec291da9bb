"""What a deployment asks of Supabase and does there, on the real stack."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

import psycopg
import pytest

from local import stack
from local.deploy import migrate
from local.deploy.project import facts, rows_of, set_controls
from local.exchange.keys import TRADE_KEY
from local.stack import OPERATOR_ID
from local.world import World
from tests.people import People


@pytest.fixture
def given(place: World) -> Mapping[str, str]:
    """The settings of a deployment whose project is the local stack, as its controls are."""
    return {
        "SUPABASE_URL": place.stack.supabase_url,
        "SUPABASE_SECRET_KEY": place.stack.secret_key,
        "BITVAVO_TRADE_KEY": TRADE_KEY,
        "BITVAVO_TRADE_SECRET": "canary-trade-secret",
        "BITVAVO_OPERATOR_ID": str(OPERATOR_ID),
        "MAX_ORDER_EUR": "1000.00",
        "MAX_DAILY_VALUE_EUR": "5000",
        "MAX_DAILY_GPT_CALLS": "200",
        "MAX_DAILY_GPT_TOKENS": "100000",
    }


@pytest.fixture
def version(database: psycopg.Connection) -> Iterator[int]:
    """The version of the controls; the one that a test changes is put back."""
    row = database.execute("select version from public.trading_controls").fetchone()
    assert row is not None
    yield int(row[0])
    database.execute("update public.trading_controls set max_daily_gpt_tokens = null where true")


def test_the_project_tells_what_a_deployment_depends_on(given: Mapping[str, str]) -> None:
    """Sign-up is off, the controls are there, and what is unsettled is counted."""
    found = facts(given)
    assert found.controls is not None
    assert found.controls["trade_key_fingerprint"] == hashlib.sha256(TRADE_KEY.encode()).hexdigest()[:16]
    assert found.unsettled >= 0


def test_controls_are_changed_where_they_differ_and_nowhere_else(
    given: Mapping[str, str], version: int, database: psycopg.Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    """One change of one field; a second time there is nothing to change."""
    set_controls(given, "live")
    assert capsys.readouterr().out == "max_daily_gpt_tokens: None -> 100000\n"
    set_controls(given, "live")
    assert capsys.readouterr().out == "The controls are as the settings ask.\n"
    (now,) = database.execute("select version from public.trading_controls").fetchone() or (None,)
    assert now == version + 1


def test_a_dedicated_account_is_a_setting(
    given: Mapping[str, str], version: int, database: psycopg.Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    """Set as it is asked for; where the settings say nothing, the control stays."""
    set_controls({**given, "ACCOUNT_IS_DEDICATED": "true"}, "live")
    assert "account_is_dedicated: False -> true\n" in capsys.readouterr().out
    for settings in ({**given, "ACCOUNT_IS_DEDICATED": "true"}, given):
        set_controls(settings, "live")
        assert capsys.readouterr().out == "The controls are as the settings ask.\n"
    set_controls({**given, "ACCOUNT_IS_DEDICATED": "false"}, "live")
    assert capsys.readouterr().out == "account_is_dedicated: True -> false\n"
    (now,) = database.execute("select version from public.trading_controls").fetchone() or (None,)
    assert now == version + 2


def test_controls_that_the_database_refuses_have_its_sentence(given: Mapping[str, str], version: int) -> None:
    """Nothing of the change remains."""
    with pytest.raises(SystemExit, match="The controls were not set: ") as refused:
        set_controls({**given, "MAX_ORDER_EUR": "-1"}, "live")
    assert "500" not in str(refused.value)
    assert int(facts(given).controls["version"]) == version  # type: ignore[index]  # it was migrated


def test_rows_are_read_with_the_secret_key(given: Mapping[str, str], people: People) -> None:
    """The questions that `make check-keys` asks, as the data API takes them."""
    owner = people.owner()
    proposal = people.proposal(owner)
    assert {"market": "BTC-EUR"} in (
        rows_of(given, "trade_proposals", select="market", status="in.(PENDING)") or []
    )
    policies = rows_of(given, "trading_policies", select="policy") or []
    assert any("BTC-EUR" in row["policy"]["allowlist"] for row in policies)
    assert rows_of(given, "trade_executions", select="id", id=f"in.({proposal},{proposal})") == []
    assert rows_of(given, "no_such_table", select="id") is None


def test_the_migrations_are_applied_once_with_the_password_in_the_environment(
    place: World, tmp_path: Path
) -> None:
    """An empty project becomes one of phase 2; a second time nothing is left to apply."""
    url = stack.fresh_database(place.stack, migrated=False)
    parts = urlsplit(url)
    bare = urlunsplit(parts._replace(netloc=f"{parts.username}@{parts.hostname}:{parts.port}"))
    settings = tmp_path / "deploy.env"
    settings.write_text(f"SUPABASE_DB_URL={bare}\nSUPABASE_DB_PASSWORD='{unquote(parts.password or '')}'\n")
    try:
        for _ in range(2):
            migrate.main(settings)
            with psycopg.connect(url) as connection:
                row = connection.execute("select trading_state, mode from public.trading_controls").fetchone()
            assert row == ("HALTED", "dry_run")
    finally:
        stack.drop_database(place.stack, url)
