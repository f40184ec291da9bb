"""``make serve``: the local world, kept running, with cleanup and scan_tick on their schedule.

The schedule is the cloud's: both run every minute, and runs may overlap. Database, keys, password and the
exchange's books stay in ``.local/serve/kept`` for the next run; FRESH=1 begins anew. Trading that was
halted stays halted, and the mode is what MODE says. ``.local/serve.env`` holds what a shell needs.
Ends with Ctrl-C or a signal, or with the reason when a process of it is gone; nothing is left running.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Any, Literal

import httpx

from local import stack, world
from local.cycle import EMAIL, POLICY
from local.errors import LocalWorldError
from local.owner import create_user
from local.processes import check_all
from local.stack import KEPT, LOCAL, REPOSITORY, write_private
from local.world import Options, World

NAME = "serve"
EVERY_S = 60.0
VARIABLES = LOCAL / "serve.env"
PASSWORD = LOCAL / NAME / KEPT / "owner.password"
SCHEDULED = ("cleanup", "scan_tick")
_LONGEST_RUN_S = 300.0
_LOOKED_AFTER_S = 1.0


def main() -> None:
    """Serve until interrupted; a failure is one line and exit 1."""
    try:
        options = replace(Options.from_environment(os.environ), trading_mode=_mode(os.environ))
        print("Setting up …", flush=True)
        # A first start that did not come to its end is none.
        if os.environ.get("FRESH") or not PASSWORD.exists():
            stack.forget(NAME)
        with world.running(NAME, options, kept=True) as place:
            try:
                _introduce(place, options)
                with suppress(KeyboardInterrupt, SystemExit):
                    _keep_schedule(place)
            finally:
                VARIABLES.unlink(missing_ok=True)
            print("\nStopping everything …", flush=True)
    except LocalWorldError as error:
        sys.exit(f"make serve: {error}")
    print("Nothing is left running.")


def _mode(environ: Mapping[str, str]) -> Literal["live", "dry_run"]:
    match environ.get("MODE") or "live":
        case "live" | "dry_run" as mode:
            return mode
        case other:
            raise LocalWorldError(f"MODE={other} does not exist: leave it out, or set MODE=dry_run.")


def variables(place: World) -> str:
    """A shell's variables: the addresses, and the keys of the stack."""
    environ = place.stack.environment() | {
        # The Supabase command line asks for encryption unless told otherwise, and there is none here.
        "DATABASE_URL": f"{place.stack.database_url}?sslmode=disable",
        "SUPABASE_TELEMETRY_DISABLED": "1",
        "INTERLOCK_URL": place.functions["execute"],
        "SCAN_TICK_URL": place.functions["scan_tick"],
        "CLEANUP_URL": place.functions["cleanup"],
        "EXCHANGE_URL": place.exchange_url,
    }
    return "".join(f"export {name}={value}\n" for name, value in environ.items())


def _introduce(place: World, options: Options) -> None:
    write_private(VARIABLES, variables(place))
    if place.stack.goes_on:
        password = f"as at the first start; it is in {PASSWORD.relative_to(REPOSITORY)}"
    else:
        owner = create_user(place.stack, EMAIL, note="the owner of this local world")
        owner.call("set_trading_policy", p_policy=POLICY)
        owner.call("schedule_scan")
        write_private(PASSWORD, f"{owner.password}\n")
        password = f"{owner.password}  (shown this once)"
    lines = [
        ("mode", f"{options.trading_mode}, against a simulated exchange: no real money"),
        ("dashboard", place.stack.supabase_url),
        ("execute", place.functions["execute"]),
        ("scan_tick", f"{place.functions['scan_tick']} (every minute)"),
        ("cleanup", f"{place.functions['cleanup']} (every minute)"),
        ("exchange", f"{place.exchange_url} ({place.prices})"),
        ("model", place.model_url or "the real one"),
        ("messages", "sent to NOTIFY_URL" if options.notify_url else "nobody is told: set NOTIFY_URL"),
        ("publishable key", place.stack.publishable_key),
        ("owner", EMAIL),
        ("password", password),
        ("database", "goes on from the last run; FRESH=1 begins anew" if place.stack.goes_on else "new"),
    ]
    print("\n".join(f"  {name:<16} {value}" for name, value in lines))
    print(
        "In another terminal:\n"
        f"  . {VARIABLES.relative_to(REPOSITORY)}\n"
        f"  ./interlock login {EMAIL}\n"
        "Ctrl-C stops everything.\n",
        flush=True,
    )


def _keep_schedule(place: World) -> None:
    """Start each scheduled function every minute, cleanup first, whether or not its last run has ended."""
    with httpx.Client(trust_env=False, timeout=_LONGEST_RUN_S) as http:
        while True:
            for function in SCHEDULED:
                threading.Thread(target=_run, args=(http, place, function), daemon=True).start()
                _wait(place, 2.0 if function == SCHEDULED[0] else EVERY_S - 2.0)


def _wait(place: World, seconds: float) -> None:
    """Let time pass, as long as all that was started runs. Raises ProcessError when something has ended."""
    over = time.monotonic() + seconds
    while (left := over - time.monotonic()) > 0:
        check_all(place.stack.folder)
        time.sleep(min(left, _LOOKED_AFTER_S))


def _run(http: httpx.Client, place: World, function: str) -> None:
    with suppress(RuntimeError):  # the client was closed while this run was on its way: the end
        try:
            answer = http.post(place.functions[function], json={})
            said = _short(answer.json()) if answer.is_success else _failure(answer)
        except (httpx.HTTPError, ValueError) as error:
            said = f"no answer: {type(error).__name__}"
        print(f"{datetime.now().astimezone():%H:%M:%S}  {function:<10} {said}", flush=True)


def _failure(answer: httpx.Response) -> str:
    return f"HTTP {answer.status_code}: {answer.json().get('error', 'no reason given')}"


def _short(summary: dict[str, Any]) -> str:
    if isinstance(summary.get("summary"), str):
        return str(summary["summary"])
    endings = ", ".join(f"{count} {name}" for name, count in (summary.get("endings") or {}).items())
    if not summary.get("claimed"):
        return "no scan was due"
    due = "1 scan was due" if summary["claimed"] == 1 else f"{summary['claimed']} scans were due"
    return f"{due}: {endings.replace('_', ' ')}"


if __name__ == "__main__":
    main()
