"""What a function accepts as its environment, and the one line with which it refuses to start."""

from __future__ import annotations

import subprocess
import sys
from typing import Literal

import pytest

from shared.environment import VARIABLES, Settings, Use, load
from shared.errors import SettingsError

pytestmark = pytest.mark.unit

FUNCTIONS: tuple[Literal["execute", "scan_tick", "cleanup"], ...] = ("execute", "scan_tick", "cleanup")
VALUES = {
    "SUPABASE_URL": "https://project.supabase.co",
    "SUPABASE_SECRET_KEY": "sb_secret_canary",
    "SUPABASE_JWT_SECRET": "jwt-canary-that-is-32-characters-long",
    "BITVAVO_TRADE_KEY": "trade-key-canary",
    "BITVAVO_TRADE_SECRET": "trade-secret-canary",
    "BITVAVO_READONLY_KEY": "readonly-key-canary",
    "BITVAVO_READONLY_SECRET": "readonly-secret-canary",
    "BITVAVO_OPERATOR_ID": "7",
    "BITVAVO_REST_URL": "http://127.0.0.1:8000/v2",
    "ACCESS_WINDOW_MS": "4000",
    "OPENAI_API_KEY": "openai-canary",
    "OPENAI_BASE_URL": "https://models.example.com/v1",
    "OPENAI_MODEL": "a-model",
    "MODEL_TIMEOUT_S": "60",
    "TRADING_MODE": "live",
    "SCHEDULER_INSTANCE_ID": "instance-1",
    "ALLOWED_ORIGINS": "https://app.example.com,http://localhost:5173",
    "NOTIFY_URL": "https://hooks.example.com/notify-canary",
}


def environ(function: Literal["execute", "scan_tick", "cleanup"], **changes: str | None) -> dict[str, str]:
    """Everything that the function may hold, with changes; None takes a variable away."""
    allowed = {v.name: VALUES[v.name] for v in VARIABLES if v.use(function) is not Use.REFUSED}
    return {name: value for name, value in (allowed | changes).items() if value is not None}


def refusal(function: Literal["execute", "scan_tick", "cleanup"], **changes: str | None) -> str:
    with pytest.raises(SettingsError) as refused:
        load(function, environ(function, **changes))
    return str(refused.value)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_the_table_has_a_value_here_for_each_variable_and_no_other(
    function: Literal["execute", "scan_tick", "cleanup"],
) -> None:
    """Every variable of the table is exercised by these tests."""
    assert {variable.name for variable in VARIABLES} == VALUES.keys()
    assert isinstance(load(function, environ(function)), Settings)


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("variable", VARIABLES, ids=lambda variable: variable.name)
@pytest.mark.parametrize("mode", ["live", "dry_run", None])
def test_each_variable_is_to_each_function_what_the_table_says(
    function: Literal["execute", "scan_tick", "cleanup"], variable: object, mode: str | None
) -> None:
    """A missing or refused variable stops the function with one line that names it; others do not."""
    name: str = variable.name  # type: ignore[attr-defined]  # a row of VARIABLES
    use: Use = variable.use(function)  # type: ignore[attr-defined]  # likewise
    reads_mode = function != "scan_tick"
    given = environ(function, TRADING_MODE=mode)
    without = {key: value for key, value in given.items() if key != name}
    needed = use is Use.REQUIRED or (
        use is Use.WHEN_LIVE and mode == "live" and reads_mode and name != "TRADING_MODE"
    )
    if needed:
        with pytest.raises(SettingsError, match=f"^{name} is missing: .*$"):
            load(function, without)
    else:
        load(function, without)
    if use is Use.REFUSED:
        with pytest.raises(SettingsError, match=f"^{name} is refused: .*$"):
            load(function, given | {name: VALUES[name]})


def test_an_empty_value_counts_as_unset() -> None:
    """An empty string is no value, neither of a required variable nor of a refused one."""
    assert refusal("execute", SUPABASE_URL="").startswith("SUPABASE_URL is missing")
    settings = load("execute", environ("execute", OPENAI_API_KEY="", VITE_X="", ACCESS_WINDOW_MS=""))
    assert settings.access_window_ms == 5000


def test_what_is_unset_has_the_defaults_of_the_contract() -> None:
    """Unset means dry run, 5000 ms, the real exchange, no origins, and a generated instance id."""
    bare = {"SUPABASE_URL": "https://x.supabase.co/", "SUPABASE_SECRET_KEY": "k"}
    settings = load("execute", bare)
    assert settings.trading_mode == "dry_run"
    assert settings.access_window_ms == 5000
    assert settings.bitvavo_rest_url == "https://api.bitvavo.com/v2"
    assert settings.allowed_origins == ()
    assert settings.supabase_url == "https://x.supabase.co"
    assert (settings.trade_keys, settings.operator_id, settings.supabase_jwt_secret) == (None, None, None)
    assert settings.scheduler_instance_id != load("execute", bare).scheduler_instance_id


def test_what_is_not_a_functions_own_is_ignored() -> None:
    """A variable whose cell is empty is neither read nor checked, nor are two that tools set."""
    settings = load("scan_tick", environ("scan_tick", TRADING_MODE="nonsense", BITVAVO_OPERATOR_ID="x"))
    assert settings.operator_id is None
    assert load("cleanup", environ("cleanup")).readonly_keys is None
    load("execute", environ("execute", SUPABASE_PUBLISHABLE_KEY="p", DATABASE_URL="d", PATH="/bin"))


@pytest.mark.parametrize(
    ("name", "suggested"),
    [
        ("BITVAVO_TRADE_KEYS", "BITVAVO_TRADE_KEY"),
        ("BITVAVO_OPERATORID", "BITVAVO_OPERATOR_ID"),
        ("BITVAVO_READ_ONLY_KEY", "BITVAVO_READONLY_KEY"),
        ("TRADING_MODES", "TRADING_MODE"),
        ("ACCESS_WINDOW", "ACCESS_WINDOW_MS"),
        ("BITVAVO_KEY", "BITVAVO_TRADE_KEY"),
        ("VITE_SUPABASE_KEY", "SUPABASE_SECRET_KEY"),
        ("VITE_BITVAVO_TRADE_KEY", "BITVAVO_TRADE_KEY"),
        ("SUPABASE_KEY", "SUPABASE_SECRET_KEY"),
    ],
)
def test_a_wrong_name_is_refused_with_the_right_one(name: str, suggested: str) -> None:
    """A misspelt name is not ignored: the line names it and the name that was meant."""
    said = refusal("execute", **{name: "canary"})
    assert said.startswith(name)
    assert suggested in said.removeprefix(name)
    assert "canary" not in said


def test_a_vite_name_is_refused_with_the_reason() -> None:
    """Whoever used the prefix learns that it publishes the value."""
    assert "browser" in refusal("execute", VITE_ANYTHING="x")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SUPABASE_URL", "project.supabase.co"),
        ("SUPABASE_URL", "http://project.supabase.co"),
        ("SUPABASE_URL", "https://user:canary@project.supabase.co"),
        ("SUPABASE_URL", "https://project.supabase.co?x=canary"),
        ("SUPABASE_SECRET_KEY", "canary\n"),
        ("SUPABASE_JWT_SECRET", " canary"),
        ("BITVAVO_REST_URL", "http://api.bitvavo.com/v2"),
        ("BITVAVO_REST_URL", "http://127.0.0.1.evil.example/v2"),
        ("BITVAVO_REST_URL", "ftp://127.0.0.1/v2"),
        ("BITVAVO_REST_URL", "http://"),
        ("BITVAVO_TRADE_KEY", "with canary"),
        ("BITVAVO_TRADE_SECRET", "canary\u00e9"),
        ("BITVAVO_OPERATOR_ID", "0"),
        ("BITVAVO_OPERATOR_ID", "9223372036854775808"),
        ("BITVAVO_OPERATOR_ID", "+5"),
        ("BITVAVO_OPERATOR_ID", "7.0"),
        ("BITVAVO_OPERATOR_ID", "\u0667"),
        ("ACCESS_WINDOW_MS", "2999"),
        ("ACCESS_WINDOW_MS", "10001"),
        ("ACCESS_WINDOW_MS", "5e3"),
        ("TRADING_MODE", "LIVE"),
        ("TRADING_MODE", "paper"),
        ("ALLOWED_ORIGINS", "*"),
        ("ALLOWED_ORIGINS", "https://app.example.com/"),
        ("ALLOWED_ORIGINS", "null"),
        ("NOTIFY_URL", "hooks.example.com/canary"),
        ("NOTIFY_URL", "http://ntfy.example.com/canary"),
        ("NOTIFY_URL", "https://ntfy.example.com/canary#discord"),
        ("NOTIFY_URL", "https://api.telegram.org/botcanary/sendMessage"),
        ("NOTIFY_URL", "https://api.telegram.org/botcanary?chat_id=5"),
    ],
)
def test_a_malformed_value_is_refused_without_being_shown(name: str, value: str) -> None:
    """One line names the variable and says what it must be; a value may be a secret and is not in it."""
    said = refusal("execute", **{name: value})
    assert said.startswith(f"{name} ")
    assert "\n" not in said
    assert "canary" not in said


@pytest.mark.parametrize("value", ["4", "81", "4.5", "+9"])
def test_the_models_time_fits_a_lease(value: str) -> None:
    """From 5 to 80 seconds; 45 when unset."""
    assert (
        refusal("scan_tick", MODEL_TIMEOUT_S=value) == "MODEL_TIMEOUT_S must be a whole number from 5 to 80."
    )
    assert load("scan_tick", environ("scan_tick", MODEL_TIMEOUT_S=None)).model_timeout_s == 45
    assert load("scan_tick", environ("scan_tick", MODEL_TIMEOUT_S="80")).model_timeout_s == 80


@pytest.mark.parametrize("value", ["1", "9223372036854775807"])
def test_the_operator_id_takes_every_positive_int64(value: str) -> None:
    """Both ends of the exchange's range are accepted, exactly."""
    assert load("execute", environ("execute", BITVAVO_OPERATOR_ID=value)).operator_id == int(value)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.9.10", "[::1]"])
def test_plain_http_is_accepted_for_loopback(host: str) -> None:
    """The simulated exchange is reached without TLS, because nothing leaves the machine."""
    url = f"http://{host}:8000/v2"
    assert load("execute", environ("execute", BITVAVO_REST_URL=url)).bitvavo_rest_url == url


@pytest.mark.parametrize("function", FUNCTIONS)
def test_settings_print_no_secret(function: Literal["execute", "scan_tick", "cleanup"]) -> None:
    """Neither repr nor str of the settings holds a secret, or the address that is one."""
    assert "canary" not in repr(load(function, environ(function)))


def test_a_function_exits_at_import_with_one_line() -> None:
    """Without its environment the process ends with status 1 and a single line on standard error."""
    run = subprocess.run(
        [sys.executable, "-c", "import functions.execute.main"],
        env={"PYTHONPATH": "."},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 1
    assert run.stderr == "SUPABASE_URL is missing: execute cannot start without it.\n"
