"""``make serve``: the local world, kept running, with cleanup and scan_tick on their schedule.

The schedule is the cloud's: both run every minute, and runs may overlap. Ends with Ctrl-C or a signal, and
leaves nothing running.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from contextlib import suppress
from datetime import datetime
from typing import Any

import httpx

from local import world
from local.cycle import EMAIL, POLICY
from local.errors import LocalWorldError
from local.owner import create_user
from local.world import Options, World

EVERY_S = 60.0
SCHEDULED = ("cleanup", "scan_tick")
_LONGEST_RUN_S = 300.0


def main() -> None:
    """Serve under the name ``serve`` until interrupted; a failure is one line and exit 1."""
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    try:
        options = Options.from_environment(os.environ)
        print("Setting up …", flush=True)
        with world.running("serve", options) as place:
            _introduce(place)
            _keep_schedule(place, stopped)
            print("\nStopping everything …", flush=True)
    except LocalWorldError as error:
        sys.exit(f"make serve: {error}")
    print("Nothing is left running.")


def _introduce(place: World) -> None:
    owner = create_user(place.stack, EMAIL, note="the owner of this local world")
    owner.call("set_trading_policy", p_policy=POLICY)
    owner.call("schedule_scan")
    lines = [
        ("dashboard", place.stack.supabase_url),
        ("execute", place.functions["execute"]),
        ("scan_tick", f"{place.functions['scan_tick']} (every minute)"),
        ("cleanup", f"{place.functions['cleanup']} (every minute)"),
        ("exchange", f"{place.exchange_url} ({place.prices})"),
        ("model", place.model_url or "the real one"),
        ("publishable key", place.stack.publishable_key),
        ("owner", owner.email),
        ("password", f"{owner.password}  (shown this once)"),
    ]
    print("\n".join(f"  {name:<16} {value}" for name, value in lines))
    print("Ctrl-C stops everything.\n", flush=True)


def _keep_schedule(place: World, stopped: threading.Event) -> None:
    """Start each scheduled function every minute, cleanup first, whether or not its last run has ended."""
    with httpx.Client(trust_env=False, timeout=_LONGEST_RUN_S) as http:
        while not stopped.is_set():
            for function in SCHEDULED:
                threading.Thread(target=_run, args=(http, place, function), daemon=True).start()
                stopped.wait(2.0 if function == SCHEDULED[0] else EVERY_S - 2.0)


def _run(http: httpx.Client, place: World, function: str) -> None:
    with suppress(RuntimeError):  # the client was closed while this run was on its way: the end
        try:
            answer = http.post(place.functions[function], json={})
            said = _short(answer.json()) if answer.is_success else f"HTTP {answer.status_code}"
        except (httpx.HTTPError, ValueError) as error:
            said = f"no answer: {type(error).__name__}"
        print(f"{datetime.now().astimezone():%H:%M:%S}  {function:<10} {said}", flush=True)


def _short(summary: dict[str, Any]) -> str:
    if isinstance(summary.get("summary"), str):
        return str(summary["summary"])
    endings = ", ".join(f"{count} {name}" for name, count in (summary.get("endings") or {}).items())
    return f"{summary.get('claimed', 0)} jobs claimed{': ' if endings else ''}{endings}"


if __name__ == "__main__":
    main()
