"""The whole local world: the stack, the simulated exchange, the model and the three functions, as processes.

Each function is served by functions-framework as the cloud serves it, with its own environment and no other's
keys. Everything lives as long as the block; its logs and pid files lie in ``.local/<name>/``.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import httpx

from local import stack
from local.errors import LocalWorldError, ProcessError
from local.exchange.keys import READONLY_KEY, READONLY_SECRET, TRADE_KEY, TRADE_SECRET
from local.ports import free_port
from local.processes import Child
from local.stack import KEPT, OPERATOR_ID, REPOSITORY, Stack
from shared.environment import receiver

FUNCTIONS = ("execute", "scan_tick", "cleanup")
_STARTS = 3


@dataclass(frozen=True)
class Options:
    """What a world is made of. The defaults are deterministic, offline and cost nothing."""

    candles: Path | None = None
    prices: Literal["candles", "bitvavo"] = "candles"
    model: Literal["scripted", "openai"] = "scripted"
    trading_mode: Literal["live", "dry_run"] = "live"
    openai: Mapping[str, str] | None = None
    """OPENAI_* variables for the model ``openai``."""
    notify_url: str | None = field(default=None, repr=False)
    """Where the functions send their short messages; plain HTTP is for loopback alone."""

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Options:
        """Read CANDLES, PRICES, MODEL and NOTIFY_URL; a key in the shell alone never spends money.

        Raises:
            LocalWorldError: a value is not one of those that exist, or what it needs is missing.
        """
        options = cls(
            candles=Path(environ["CANDLES"]) if environ.get("CANDLES") else None,
            notify_url=_receiver(environ.get("NOTIFY_URL")),
        )
        match environ.get("PRICES") or "candles":
            case "candles":
                pass
            case "bitvavo":
                options = replace(options, prices="bitvavo")
            case other:
                raise LocalWorldError(f"PRICES={other} does not exist: leave it out, or set PRICES=bitvavo.")
        match environ.get("MODEL") or "scripted":
            case "scripted":
                return options
            case "openai":
                return replace(options, model="openai", openai=_openai(environ))
            case other:
                raise LocalWorldError(f"MODEL={other} does not exist: leave it out, or set MODEL=openai.")


@dataclass(frozen=True)
class World:
    """A running world."""

    stack: Stack
    exchange_url: str
    """Its REST address, as BITVAVO_REST_URL takes it."""
    prices: str
    """Where the exchange's prices come from."""
    model_url: str | None
    """None when the real model is asked."""
    functions: Mapping[str, str]
    """The address of each function."""


@contextmanager
def running(name: str, options: Options, *, kept: bool = False) -> Iterator[World]:
    """A whole world under this name; whatever was started is stopped at the end, also after a signal.

    With `kept` database and exchange go on from the last such world, and are left to the next.

    Raises:
        LocalWorldError: one sentence that says what is wrong and what to do.
    """
    with stack.running(name, kept=kept) as base:
        yield around(base, options)


def around(base: Stack, options: Options) -> World:
    """Everything else of a world around a stack. It ends with the stack. Raises as running does."""
    if base.goes_on:
        stack.set_mode(base.database_url, options.trading_mode)
    else:
        stack.seed_controls(base.database_url, mode=options.trading_mode)
    exchange, prices = start_exchange(base.folder, options)
    model = None if options.openai else start_model(base.folder)
    addresses = {
        function: start_function(function, base.folder, environment(function, base, exchange, model, options))
        for function in FUNCTIONS
    }
    return World(base, exchange, prices, model, addresses)


def start_exchange(folder: Path, options: Options) -> tuple[str, str]:
    """Start the simulated exchange; its REST address and the source of its prices."""
    arguments = ["--prices", "bitvavo"] if options.prices == "bitvavo" else []
    arguments += ["--candles", str(options.candles)] if options.candles else []
    kept = folder / KEPT
    wanted = None
    if kept.is_dir():
        arguments += ["--books", str(kept / "exchange.json")]
        # An execution says at which address its order was placed: absence is judged nowhere else.
        wanted = _number_in(kept / "exchange.port")
    child, address = _start("exchange", "local.exchange", arguments, folder, wanted=wanted)
    if kept.is_dir():
        (kept / "exchange.port").write_text(str(httpx.URL(address).port))
    said = child.log_file.read_text(errors="replace").splitlines()
    prices = next(
        (line.split(maxsplit=1)[1] for line in said if line.strip().startswith("prices")), "unknown"
    )
    return f"{address}/v2", prices


def start_model(folder: Path, *, delay_s: float = 0.0) -> str:
    """Start the scripted model, which takes so long to answer; the base URL that an OpenAI client takes."""
    return f"{_start('model', 'local.model', ['--delay', str(delay_s)], folder)[1]}/v1"


def start_function(
    function: str, folder: Path, environ: Mapping[str, str], *, name: str | None = None
) -> str:
    """Serve one function as the cloud does; its address."""
    return serve_function(function, folder, environ, name=name)[1]


def serve_function(
    function: str, folder: Path, environ: Mapping[str, str], *, name: str | None = None
) -> tuple[Child, str]:
    """Serve one function as the cloud does; its processes and its address."""
    return _serve(
        name or function,
        [
            *(sys.executable, "-m", "functions_framework", "--host", "127.0.0.1"),
            *("--source", f"functions/{function}/main.py", "--target", function),
        ],
        folder,
        environ,
        ready="/health",
    )


def environment(
    function: str, base: Stack, exchange: str, model: str | None, options: Options
) -> dict[str, str]:
    """The whole environment of one function: what it needs, and no other's keys."""
    environ = {
        "SUPABASE_URL": base.supabase_url,
        "SUPABASE_SECRET_KEY": base.secret_key,
        "BITVAVO_REST_URL": exchange,
    }
    trade = {
        "BITVAVO_TRADE_KEY": TRADE_KEY,
        "BITVAVO_TRADE_SECRET": TRADE_SECRET,
        "BITVAVO_OPERATOR_ID": str(OPERATOR_ID),
        "TRADING_MODE": options.trading_mode,
    }
    match function:
        case "execute":
            environ |= trade | {"SUPABASE_JWT_SECRET": base.jwt_secret}
        case "cleanup":
            environ |= trade
        case "scan_tick":
            environ |= {"BITVAVO_READONLY_KEY": READONLY_KEY, "BITVAVO_READONLY_SECRET": READONLY_SECRET}
            environ |= options.openai or {
                "OPENAI_API_KEY": "local",
                "OPENAI_BASE_URL": str(model),
                "OPENAI_MODEL": "scripted",
            }
    if options.notify_url is not None:
        environ["NOTIFY_URL"] = options.notify_url
    return _inherited(base.folder) | environ


def _start(
    name: str, module: str, arguments: list[str], folder: Path, *, wanted: int | None = None
) -> tuple[Child, str]:
    command = [sys.executable, "-m", module, *arguments]
    return _serve(name, command, folder, _inherited(folder), ready="/", wanted=wanted)


def _number_in(file: Path) -> int | None:
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return None


def _serve(
    name: str,
    command: list[str],
    folder: Path,
    environ: Mapping[str, str],
    *,
    ready: str,
    wanted: int | None = None,
) -> tuple[Child, str]:
    for attempt in range(1, _STARTS + 1):
        port = free_port(wanted if attempt == 1 else None)
        child = Child.start(
            name, [*command, "--port", str(port)], folder=folder, environ=environ, cwd=REPOSITORY
        )
        address = f"http://127.0.0.1:{port}"
        try:
            child.wait_for_http(f"{address}{ready}")
        except ProcessError as error:
            child.stop()
            if attempt == _STARTS or "in use" not in child.log_file.read_text(errors="replace"):
                raise LocalWorldError(str(error)) from error
        else:
            return child, address
    raise AssertionError("unreachable")


def _inherited(folder: Path) -> dict[str, str]:
    """What every process needs of this one's environment: where programs and certificates are."""
    kept = ("PATH", "LANG", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR")
    # A home of their own: gunicorn keeps a control socket there, the same for all who share one.
    return {"PYTHONPATH": ".", "PYTHONUNBUFFERED": "1", "HOME": str(_home(folder))} | {
        name: os.environ[name] for name in kept if name in os.environ
    }


def _home(folder: Path) -> Path:
    home = folder / "home"
    home.mkdir(parents=True, exist_ok=True)
    return home


def _receiver(address: str | None) -> str | None:
    try:
        return receiver(address) if address else None
    except ValueError as error:
        raise LocalWorldError(f"NOTIFY_URL {error}.") from None


def _openai(environ: Mapping[str, str]) -> dict[str, str]:
    for name in ("OPENAI_API_KEY", "OPENAI_MODEL"):
        if not environ.get(name):
            raise LocalWorldError(f"MODEL=openai needs {name}: set it, or leave MODEL out.")
    names = ("OPENAI_API_KEY", "OPENAI_MODEL", "OPENAI_BASE_URL")
    return {name: environ[name] for name in names if environ.get(name)}
