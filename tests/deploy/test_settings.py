"""What is wrong with the settings is said before anything is done, one sentence each, without a value."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from local.deploy.envfile import EnvFileError, read
from local.deploy.settings import FUNCTIONS, SETTINGS, Kind, environment, problems, secrets_of, shell_lines
from shared.environment import VARIABLES, load
from tests.deploy.cloud import REPOSITORY, SECRETS

pytestmark = pytest.mark.unit

GOOD = {
    "GOOGLE_PROJECT": "a-project",
    "GOOGLE_REGION": "europe-west4",
    "ALERT_EMAIL": "operator@example.com",
    "SUPABASE_URL": "https://ref.supabase.co",
    "SUPABASE_DB_URL": "postgresql://postgres.ref@aws-0-eu-central-1.pooler.supabase.com:5432/postgres",
    "SUPABASE_JWT_SECRET": "canary-jwt",
    "BITVAVO_OPERATOR_ID": "7",
    "ACCOUNT_IS_DEDICATED": "true",
    "OPENAI_MODEL": "a-model",
    "OPENAI_BASE_URL": "https://models.example.com/v1",
    "MAX_ORDER_EUR": "100",
    "MAX_DAILY_VALUE_EUR": "500.00",
    "MAX_DAILY_GPT_CALLS": "100",
    "MAX_DAILY_GPT_TOKENS": "0",
    "MODEL_TIMEOUT_S": "60",
    "ACCESS_WINDOW_MS": "4000",
    "ALLOWED_ORIGINS": "https://app.example.com,https://other.example.com",
    **SECRETS,
}
EXAMPLE = REPOSITORY / "deploy.env.example"


def _legacy_key(role: str) -> str:
    payload = base64.urlsafe_b64encode(json.dumps({"role": role}).encode()).decode().rstrip("=")
    return f"head.{payload}.signature"


def test_good_settings_are_good() -> None:
    """Each setting has a value here, and nothing is wrong with any."""
    assert GOOD.keys() == {setting.name for setting in SETTINGS}
    assert list(problems(GOOD)) == []
    assert list(problems(GOOD | {"SUPABASE_SECRET_KEY": _legacy_key("service_role")})) == []


@pytest.mark.parametrize("name", [setting.name for setting in SETTINGS if setting.required])
def test_a_missing_setting_has_its_sentence(name: str) -> None:
    """Each required setting is named when it is not there."""
    assert list(problems({k: v for k, v in GOOD.items() if k != name})) == [f"{name} is missing."]


@pytest.mark.parametrize("name", [setting.name for setting in SETTINGS if not setting.required])
def test_an_optional_setting_may_be_missing(name: str) -> None:
    """There is a deployment without it."""
    assert list(problems({k: v for k, v in GOOD.items() if k != name})) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GOOGLE_PROJECT", "My Project"),
        ("GOOGLE_REGION", "europe-west4-a"),
        ("ALERT_EMAIL", "operator"),
        ("SUPABASE_URL", "http://ref.supabase.co"),
        ("SUPABASE_URL", "https://ref.supabase.co|x"),
        ("SUPABASE_SECRET_KEY", "sb_publishable_canary"),
        ("SUPABASE_SECRET_KEY", "canary"),
        ("SUPABASE_SECRET_KEY", _legacy_key("anon")),
        ("SUPABASE_DB_URL", "postgresql://postgres:canary@db.ref.supabase.co:5432/postgres"),
        ("SUPABASE_DB_URL", "postgresql://postgres.ref@pooler.supabase.com:6543/postgres"),
        ("SUPABASE_DB_URL", "postgresql://postgres.ref@pooler.supabase.com:port/postgres"),
        ("SUPABASE_DB_URL", "https://ref.supabase.co"),
        ("BITVAVO_READONLY_KEY", "canary"),
        ("BITVAVO_TRADE_KEY", "canary" * 20),
        ("BITVAVO_OPERATOR_ID", "0"),
        ("OPENAI_BASE_URL", "http://models.example.com"),
        ("ACCOUNT_IS_DEDICATED", "yes"),
        ("MAX_ORDER_EUR", "-1"),
        ("MAX_ORDER_EUR", "NaN"),
        ("MAX_DAILY_VALUE_EUR", "1e6"),
        ("MAX_DAILY_GPT_CALLS", "many"),
        ("MAX_DAILY_GPT_TOKENS", "1.5"),
        ("MODEL_TIMEOUT_S", "120"),
        ("ACCESS_WINDOW_MS", "10"),
        ("ALLOWED_ORIGINS", "*"),
        ("NOTIFY_URL", "hooks.example.com/canary"),
    ],
)
def test_a_wrong_value_has_its_sentence_and_is_not_shown(name: str, value: str) -> None:
    """One sentence that names the setting; a value may be a secret."""
    (said,) = problems(GOOD | {name: value})
    assert said.startswith(f"{name} ")
    assert "canary" not in said


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("BITVAVO_TRADE_KEYS", "did you mean BITVAVO_TRADE_KEY?"),
        ("VITE_BITVAVO_TRADE_KEY", "did you mean BITVAVO_TRADE_KEY?"),
        ("SUPABASE_KEY", "did you mean SUPABASE_SECRET_KEY?"),
        ("DATABASE_URL", "did you mean SUPABASE_DB_URL?"),
        ("PROJECT", "did you mean GOOGLE_PROJECT?"),
        ("TRADING_MODE", "the mode stays dry_run until ./deploy.sh --live"),
        ("BITVAVO_REST_URL", "what is deployed trades at Bitvavo itself"),
        ("COLOUR", "deploy.env.example names all there are"),
    ],
)
def test_an_unknown_name_is_refused_with_the_right_one(name: str, says: str) -> None:
    """A misspelt name is not ignored."""
    (said,) = problems(GOOD | {name: "canary"})
    assert said.startswith(f"{name} is not a setting")
    assert says in said


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"BITVAVO_READONLY_KEY": GOOD["BITVAVO_TRADE_KEY"]}, "are the same key"),
        ({"BITVAVO_READONLY_SECRET": GOOD["BITVAVO_TRADE_SECRET"]}, "are the same: copy both again"),
        ({"MAX_ORDER_EUR": "501"}, "MAX_ORDER_EUR is above MAX_DAILY_VALUE_EUR"),
    ],
)
def test_settings_that_do_not_fit_together_have_their_sentence(changes: dict[str, str], says: str) -> None:
    """The pairs differ, and an order fits into a day."""
    (said,) = problems(GOOD | changes)
    assert says in said


def test_the_example_names_every_setting_and_is_not_deployed() -> None:
    """Each placeholder has its sentence; nothing else is wrong with the example."""
    given = read(EXAMPLE)
    named = {
        line.partition("=")[0] for line in EXAMPLE.read_text().splitlines() if "=" in line and line[0] != "#"
    }
    assert named == {setting.name for setting in SETTINGS}
    said = list(problems(given))
    assert said
    assert all(sentence.endswith("still holds the placeholder of deploy.env.example.") for sentence in said)


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("mode", ["dry_run", "live"])
def test_each_function_starts_with_what_it_is_given(function: str, mode: str) -> None:
    """What is handed to a function is what it accepts: no other's keys, nothing missing."""
    given = environment(function, GOOD, mode)  # type: ignore[arg-type]  # the parameter is one of the three
    assert load(function, given).trading_mode == (mode if function != "scan_tick" else "dry_run")  # type: ignore[arg-type]  # likewise


def test_the_trade_pair_never_reaches_scan_tick_and_the_model_key_nobody_else() -> None:
    """Which function reads which secret."""
    readers = {
        setting.name: {function for function in FUNCTIONS if setting.name in secrets_of(function, GOOD)}
        for setting in SETTINGS
        if setting.kind is Kind.HIDDEN
    }
    assert readers == {
        "SUPABASE_SECRET_KEY": {"execute", "scan_tick", "cleanup"},
        "SUPABASE_DB_PASSWORD": set(),
        "SUPABASE_JWT_SECRET": {"execute"},
        "BITVAVO_READONLY_KEY": {"scan_tick"},
        "BITVAVO_READONLY_SECRET": {"scan_tick"},
        "BITVAVO_TRADE_KEY": {"execute", "cleanup"},
        "BITVAVO_TRADE_SECRET": {"execute", "cleanup"},
        "OPENAI_API_KEY": {"scan_tick"},
        "NOTIFY_URL": {"execute", "scan_tick", "cleanup"},
    }


def test_no_secret_is_handed_to_the_shell() -> None:
    """The script knows the names of the secrets, never a value."""
    assert "canary" not in "\n".join(shell_lines(GOOD))


def test_every_secret_of_the_functions_is_one_here() -> None:
    """A variable that holds a secret cannot become a plain one of the platform."""
    holds = {v.name for v in VARIABLES if v.name.endswith(("_KEY", "_SECRET")) or v.name == "NOTIFY_URL"}
    assert holds <= {setting.name for setting in SETTINGS if setting.kind is Kind.HIDDEN}


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("NAME=value", "value"),
        ("  export NAME = value  ", "value"),
        ("NAME=value   # why", "value"),
        ("NAME=a#b", "a#b"),
        ("NAME='a # b'", "a # b"),
        ('NAME="it\'s"  # why', "it's"),
        ("NAME=$(id)`id`$HOME", "$(id)`id`$HOME"),
        ("NAME=a=b", "a=b"),
    ],
)
def test_a_line_is_read_and_never_run(tmp_path: Path, line: str, value: str) -> None:
    """A settings file is data: nothing in it is expanded."""
    file = tmp_path / "deploy.env"
    file.write_text(f"# a comment\n\n{line}\n")
    assert read(file) == {"NAME": value}


@pytest.mark.parametrize(
    ("text", "says"),
    [("canary\n", "line 1: this is not NAME=value"), ("A=1\nA=canary\n", "line 2: A is set twice")],
)
def test_a_line_that_is_none_has_its_sentence(tmp_path: Path, text: str, says: str) -> None:
    """The line is named by its number, not shown."""
    file = tmp_path / "deploy.env"
    file.write_text(text)
    with pytest.raises(EnvFileError, match=says) as refused:
        read(file)
    assert "canary" not in str(refused.value)


def test_an_empty_value_is_none(tmp_path: Path) -> None:
    """Also when a comment follows it."""
    file = tmp_path / "deploy.env"
    file.write_text("A=\nB=   # nothing\nC=''\n")
    assert read(file) == {}
