"""What a function does when it starts: what its requests do not need makes every cold start slower."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from local.exchange.keys import READONLY_KEY, READONLY_SECRET, TRADE_KEY, TRADE_SECRET

pytestmark = pytest.mark.unit

REPOSITORY = Path(__file__).resolve().parents[2]

SERVE = {"blinker", "click", "flask", "itsdangerous", "jinja2", "markupsafe", "werkzeug"}
ASK = {"anyio", "certifi", "h11", "h2", "hpack", "httpcore", "httpx", "hyperframe", "idna"}
CALL_THE_DATABASE = {"deprecation", "multidict", "packaging", "postgrest", "propcache", "yarl"}
VALIDATE = {"annotated_types", "pydantic", "pydantic_core", "typing_extensions", "typing_inspection"}
VERIFY_TOKENS = {"_cffi_backend", "cryptography", "jwt"}

ALL = SERVE | ASK | CALL_THE_DATABASE | VALIDATE
IMPORTED = {"execute": ALL | VERIFY_TOKENS, "scan_tick": ALL, "cleanup": ALL}
"""The packages of others that each function imports when it starts."""

PROJECT = {
    "SUPABASE_URL": "https://project.supabase.co",
    "SUPABASE_SECRET_KEY": "sb_secret_canary",
}
TRADES = {
    "BITVAVO_TRADE_KEY": TRADE_KEY,
    "BITVAVO_TRADE_SECRET": TRADE_SECRET,
    "BITVAVO_OPERATOR_ID": "7",
    "TRADING_MODE": "live",
}
ENVIRONMENT: Mapping[str, Mapping[str, str]] = {
    "execute": {**PROJECT, **TRADES},
    "cleanup": {**PROJECT, **TRADES},
    "scan_tick": {
        **PROJECT,
        "BITVAVO_READONLY_KEY": READONLY_KEY,
        "BITVAVO_READONLY_SECRET": READONLY_SECRET,
        "OPENAI_API_KEY": "canary",
        "OPENAI_MODEL": "a-model",
    },
}

TELL = """
import gc, importlib, json, ssl, sys, threading
# The command line of httpx: imported where a development tool brings these, and never deployed.
sys.modules.update(dict.fromkeys(("pygments", "rich")))
before = set(sys.modules)
importlib.import_module(f"functions.{sys.argv[1]}.main")
imported = {
    name.partition(".")[0]
    for name, module in list(sys.modules.items())
    if name not in before and "site-packages" in (getattr(module, "__file__", None) or "")
}
frozen = gc.get_freeze_count()
gc.unfreeze()
contexts = sum(isinstance(thing, ssl.SSLContext) for thing in gc.get_objects())
threads = threading.active_count()
print(json.dumps({"imported": sorted(imported), "contexts": contexts, "threads": threads, "frozen": frozen}))
"""


@pytest.fixture(scope="module", params=IMPORTED)
def started(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """A function, and what a fresh process says after it has imported that function as the cloud does."""
    function: str = request.param
    told = subprocess.run(
        [sys.executable, "-c", TELL, function],
        env={"PYTHONPATH": ".", **ENVIRONMENT[function]},
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    return function, json.loads(told.stdout.splitlines()[-1])


def test_a_start_imports_what_requests_need_and_no_more(started: tuple[str, dict[str, Any]]) -> None:
    """No model library, no client for what is not used: those packages and no others."""
    function, told = started
    assert set(told["imported"]) == IMPORTED[function]


def test_a_start_makes_one_tls_context_and_no_thread(started: tuple[str, dict[str, Any]]) -> None:
    """All clients of a process share one: each would take longer to make than most requests."""
    _, told = started
    assert (told["contexts"], told["threads"]) == (1, 1)


def test_execute_alone_hides_its_start_from_the_collector(started: tuple[str, dict[str, Any]]) -> None:
    """Its server forks and works for long: a page that the collector writes to is no longer shared."""
    function, told = started
    assert (told["frozen"] > 0) is (function == "execute")
