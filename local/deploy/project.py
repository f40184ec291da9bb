"""The Supabase project of a deployment: what must hold before anything is done, and its controls.

`python -m local.deploy.project facts FILE [MODE] [--leave-unsettled]` and `controls FILE MODE`; each says
what it found or did, and ends the program with a sentence when something is wrong. Secrets go from the
settings file into headers alone.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
from pydantic import SecretStr

from local.deploy.envfile import EnvFileError, read
from shared.bitvavo import KeyPair

_UNSETTLED = "in.(CLAIMED,UNKNOWN,OPEN,PARTIALLY_FILLED)"
_HTTP_TIMEOUT_S = 20.0


@dataclass(frozen=True)
class Facts:
    """What the project says of itself. `controls` is None before the migrations."""

    controls: Mapping[str, Any] | None
    unsettled: int


def facts(given: Mapping[str, str]) -> Facts:
    """Ask the project what a deployment depends on. Ends the program when it must not go on."""
    with _project(given) as http:
        auth = _get(http, "/auth/v1/settings")
        if not auth.get("disable_signup"):
            sys.exit(
                "Anybody can sign up at this Supabase project: switch off 'Allow new users to sign up'"
                " (Authentication, Sign In / Providers) and run this again."
            )
        if auth.get("external", {}).get("anonymous_users"):
            sys.exit(
                "Anonymous users can sign in at this Supabase project: switch off 'Allow anonymous sign-ins'"
                " (Authentication, Sign In / Providers) and run this again."
            )
        rows = _rows(http, "trading_controls", select="*")
        if rows is None:
            return Facts(None, 0)
        unsettled = _rows(http, "trade_executions", select="id", status=_UNSETTLED)
        return Facts(rows[0], len(unsettled or []))


def hold_fast(given: Mapping[str, str], found: Facts) -> None:
    """End the program when a key or an operator id would change under executions that need the old one."""
    controls = found.controls
    if controls is None or controls["trade_key_fingerprint"] is None:
        return
    changed = [
        name
        for name, new, old in (
            ("trade key", trade_keys(given).fingerprint, controls["trade_key_fingerprint"]),
            ("operator id", given["BITVAVO_OPERATOR_ID"], str(controls["operator_id"])),
        )
        if new != old
    ]
    if not changed:
        return
    what = f"The {' and the '.join(changed)} would change"
    if controls["mode"] == "live" and controls["trading_state"] != "HALTED":
        sys.exit(
            f"{what} while trading is not halted: halt it first (./interlock halt --all 'changing keys'),"
            " let cleanup settle what is unsettled, and run this again."
        )
    if found.unsettled:
        sys.exit(
            f"{what}, but {found.unsettled} execution(s) are unsettled and only the present key can look them"
            " up: wait until the view unsettled_executions is empty, and run this again."
        )


def stay_until_settled(found: Facts, mode: str) -> None:
    """End the program when live trading would end under executions whose orders may still trade."""
    if found.controls is None or (found.controls["mode"], mode) != ("live", "dry_run") or not found.unsettled:
        return
    sys.exit(
        f"{found.unsettled} live execution(s) are unsettled: halt trading, let cleanup settle them until the"
        " view unsettled_executions is empty, and run this again; or add --leave-unsettled: cleanup settles"
        " them in dry run too, but nothing is compared meanwhile."
    )


def trade_keys(given: Mapping[str, str]) -> KeyPair:
    """The trade pair of the settings."""
    return KeyPair(given["BITVAVO_TRADE_KEY"], SecretStr(given["BITVAVO_TRADE_SECRET"]))


def wanted_controls(given: Mapping[str, str], mode: str) -> dict[str, str]:
    """The controls that the settings ask for. The trading state is none of them: only a person resumes."""
    dedicated = given.get("ACCOUNT_IS_DEDICATED")
    return {
        "mode": mode,
        "operator_id": given["BITVAVO_OPERATOR_ID"],
        "trade_key_fingerprint": trade_keys(given).fingerprint,
        "max_order_eur": given["MAX_ORDER_EUR"],
        "max_daily_value_eur": given["MAX_DAILY_VALUE_EUR"],
        "max_daily_gpt_calls": given["MAX_DAILY_GPT_CALLS"],
        "max_daily_gpt_tokens": given["MAX_DAILY_GPT_TOKENS"],
        **({} if dedicated is None else {"account_is_dedicated": dedicated}),
    }


def set_controls(given: Mapping[str, str], mode: str) -> None:
    """Change what differs, and nothing else; a change made meanwhile is not overwritten."""
    found = facts(given)
    if found.controls is None:
        sys.exit("The migrations are not applied: there are no controls to set.")
    hold_fast(given, found)
    changes = {
        name: value
        for name, value in wanted_controls(given, mode).items()
        if not _same(name, found.controls[name], value)
    }
    if not changes:
        print("The controls are as the settings ask.")
        return
    for name, value in changes.items():
        print(f"{name}: {found.controls[name]} -> {value}")
    asked = {"p_changes": changes, "p_version": int(found.controls["version"])}
    with _project(given) as http:
        try:
            answer = http.post("/rest/v1/rpc/set_trading_controls", json=asked)
        except httpx.HTTPError as error:
            sys.exit(f"Whether the controls were set is not known ({type(error).__name__}): run this again.")
    if not answer.is_success:
        said = answer.json() if answer.headers.get("content-type", "").startswith("application/json") else {}
        sys.exit(
            f"The controls were not set: {said.get('details') or said.get('message') or answer.status_code}"
        )


def rows_of(given: Mapping[str, str], table: str, **query: str) -> list[dict[str, Any]] | None:
    """The rows of a table as PostgREST filters them, read with the secret key; None before the migrations."""
    with _project(given) as http:
        return _rows(http, table, **query)


def _project(given: Mapping[str, str]) -> httpx.Client:
    key = given["SUPABASE_SECRET_KEY"]
    return httpx.Client(
        base_url=given["SUPABASE_URL"],
        headers={"apikey": key, "Authorization": f"Bearer {key}"},
        timeout=_HTTP_TIMEOUT_S,
    )


def _get(http: httpx.Client, path: str, **query: str) -> Any:
    answer = _ask(http, path, query)
    if answer.status_code in (401, 403):
        sys.exit(
            "The Supabase project refuses SUPABASE_SECRET_KEY: copy it again from Project Settings, API keys."
        )
    if not answer.is_success:
        sys.exit(f"The Supabase project answered {answer.status_code} to GET {path}.")
    return answer.json()


def _rows(http: httpx.Client, table: str, **query: str) -> list[dict[str, Any]] | None:
    """The rows of a table; None when there is no such table yet."""
    if _ask(http, f"/rest/v1/{table}", query).status_code == httpx.codes.NOT_FOUND:
        return None
    rows: list[dict[str, Any]] = _get(http, f"/rest/v1/{table}", **query)
    return rows


def _ask(http: httpx.Client, path: str, query: Mapping[str, str]) -> httpx.Response:
    try:
        return http.get(path, params=dict(query))
    except httpx.HTTPError as error:
        sys.exit(
            f"The Supabase project cannot be reached at {http.base_url} ({type(error).__name__}):"
            " check SUPABASE_URL, and that the project is not paused."
        )


def _same(name: str, stored: object, wanted: str) -> bool:
    if name.startswith("max_") and stored is not None:
        return Decimal(str(stored)) == Decimal(wanted)
    if isinstance(stored, bool):
        return stored == (wanted == "true")
    return str(stored) == wanted


def _settings(file: str) -> dict[str, str]:
    """The settings, which the script has checked before."""
    try:
        return read(Path(file))
    except EnvFileError as error:
        sys.exit(str(error))


def main(arguments: list[str]) -> None:
    """`facts FILE [MODE] [--leave-unsettled]` and `controls FILE MODE`."""
    match arguments:
        case ["facts", file, *asked]:
            given = _settings(file)
            found = facts(given)
            hold_fast(given, found)
            if "--leave-unsettled" not in asked:
                stay_until_settled(found, "dry_run" if "dry_run" in asked else "")
            controls = found.controls or {}
            print(f"registered_mode={shlex.quote(str(controls.get('mode', '')))}")
            print(f"trading_state={shlex.quote(str(controls.get('trading_state', '')))}")
        case ["controls", file, mode]:
            set_controls(_settings(file), mode)
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
