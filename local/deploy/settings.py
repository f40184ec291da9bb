"""What a deployment is told: every setting, what is wrong with one, and what each function gets of them.

`SETTINGS` is the whole truth: the file is checked against it, `deploy.env.example` names exactly these.
"""

from __future__ import annotations

import base64
import json
import re
import shlex
import stat
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches
from enum import Enum
from pathlib import Path
from urllib.parse import urlsplit

from local.deploy.envfile import EnvFileError, read
from shared.environment import VARIABLES, FunctionName, Use, load
from shared.errors import SettingsError

FUNCTIONS: tuple[FunctionName, ...] = ("execute", "scan_tick", "cleanup")
DEFAULT_REGION = "europe-west4"
KEY_LENGTH = 64
"""Characters of a Bitvavo key; the exchange answers any other length with code 301."""


class Kind(Enum):
    """What may be done with a setting."""

    PLAIN = 1
    """It may be seen."""
    HIDDEN = 2
    """It goes through pipes and the environment of one program alone, never on a command line."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting: its name, whether it is a secret, whether there is a deployment without it."""

    name: str
    kind: Kind = Kind.PLAIN
    required: bool = True


SETTINGS = (
    Setting("GOOGLE_PROJECT"),
    Setting("GOOGLE_REGION", required=False),
    Setting("ALERT_EMAIL"),
    Setting("SUPABASE_URL"),
    Setting("SUPABASE_SECRET_KEY", Kind.HIDDEN),
    Setting("SUPABASE_DB_URL"),
    Setting("SUPABASE_DB_PASSWORD", Kind.HIDDEN),
    Setting("SUPABASE_JWT_SECRET", Kind.HIDDEN, required=False),
    Setting("BITVAVO_READONLY_KEY", Kind.HIDDEN),
    Setting("BITVAVO_READONLY_SECRET", Kind.HIDDEN),
    Setting("BITVAVO_TRADE_KEY", Kind.HIDDEN),
    Setting("BITVAVO_TRADE_SECRET", Kind.HIDDEN),
    Setting("BITVAVO_OPERATOR_ID"),
    Setting("ACCOUNT_IS_DEDICATED", required=False),
    Setting("OPENAI_API_KEY", Kind.HIDDEN),
    Setting("OPENAI_MODEL"),
    Setting("OPENAI_BASE_URL", required=False),
    Setting("MAX_ORDER_EUR"),
    Setting("MAX_DAILY_VALUE_EUR"),
    Setting("MAX_DAILY_GPT_CALLS"),
    Setting("MAX_DAILY_GPT_TOKENS"),
    Setting("MODEL_TIMEOUT_S", required=False),
    Setting("ACCESS_WINDOW_MS", required=False),
    Setting("ALLOWED_ORIGINS", required=False),
    Setting("NOTIFY_URL", Kind.HIDDEN, required=False),
)
_BY_NAME = {setting.name: setting for setting in SETTINGS}
ADDRESS_NEEDS = ("GOOGLE_PROJECT", "GOOGLE_REGION")
"""All that reserving the fixed address asks for: it comes before the keys, which are bound to it."""

_PLACEHOLDER = re.compile(r"<[^<>]*>")
_RIGHT_NAMES = {
    "SUPABASE_KEY": "SUPABASE_SECRET_KEY",
    "DATABASE_URL": "SUPABASE_DB_URL",
    "PROJECT": "GOOGLE_PROJECT",
    "REGION": "GOOGLE_REGION",
}
_NOT_SET_HERE = {
    "TRADING_MODE": "the mode stays dry_run until ./deploy.sh --live",
    "BITVAVO_REST_URL": "what is deployed trades at Bitvavo itself",
    "SCHEDULER_INSTANCE_ID": "each instance makes its own",
    "SUPABASE_PUBLISHABLE_KEY": "no function reads it",
}


def problems(given: Mapping[str, str], *, only: tuple[str, ...] | None = None) -> Iterator[str]:
    """One sentence for each thing that is wrong; none holds a value. `only` names what is asked for."""
    wrong = [*_wrong_names(given), *_wrong_values(given, only)]
    yield from wrong
    if only is None and not wrong:
        yield from _wrong_together(given)


def _wrong_values(given: Mapping[str, str], only: tuple[str, ...] | None) -> Iterator[str]:
    for setting in SETTINGS:
        if only is not None and setting.name not in only:
            continue
        if setting.required and setting.name not in given:
            yield f"{setting.name} is missing."
        elif _PLACEHOLDER.search(given.get(setting.name, "")):
            yield f"{setting.name} still holds the placeholder of deploy.env.example."
        elif setting.name in given:
            yield from _wrong_value(setting.name, given[setting.name])


def environment(function: FunctionName, given: Mapping[str, str], mode: str) -> dict[str, str]:
    """What one function gets: what it may hold of the settings, and the mode where it reads one."""
    own = {
        variable.name: given[variable.name]
        for variable in VARIABLES
        if variable.name in given and variable.use(function) not in (Use.REFUSED, Use.IGNORED)
    }
    return own | ({"TRADING_MODE": mode} if function != "scan_tick" else {})


def secrets_of(function: FunctionName, given: Mapping[str, str]) -> list[str]:
    """The names of the secrets that one function reads."""
    return [name for name in environment(function, given, "live") if _is_secret(name)]


def example(file: Path) -> dict[str, str]:
    """The values of the example, with which a plan can be shown before there are settings."""
    return {name: name if " " in value else re.sub("[<>]", "", value) for name, value in read(file).items()}


def shell_lines(given: Mapping[str, str]) -> Iterator[str]:
    """The settings that may be seen, and what each function gets, as assignments for the shell."""
    yield f"project={shlex.quote(given['GOOGLE_PROJECT'])}"
    yield f"region={shlex.quote(given.get('GOOGLE_REGION', DEFAULT_REGION))}"
    if "SUPABASE_URL" not in given:
        return
    yield f"alert_email={shlex.quote(given['ALERT_EMAIL'])}"
    yield f"supabase_url={shlex.quote(given['SUPABASE_URL'])}"
    every = [setting.name for setting in SETTINGS if setting.name in given]
    uses = {function: secrets_of(function, given) for function in FUNCTIONS}
    used = [name for name in every if any(name in own for own in uses.values())]
    yield f"secrets={shlex.quote(' '.join(used))}"
    for function in FUNCTIONS:
        yield f"secrets_{function}={shlex.quote(' '.join(uses[function]))}"
        plain = {
            name: value
            for name, value in environment(function, given, "").items()
            if not _is_secret(name) and name != "TRADING_MODE"
        }
        yield f"plain_{function}={shlex.quote('|'.join(f'{name}={value}' for name, value in plain.items()))}"


def _is_secret(name: str) -> bool:
    return name in _BY_NAME and _BY_NAME[name].kind is Kind.HIDDEN


def _wrong_names(given: Mapping[str, str]) -> Iterator[str]:
    for name in given:
        if name in _BY_NAME:
            continue
        bare = name.removeprefix("VITE_")
        if name in _NOT_SET_HERE:
            yield f"{name} is not a setting: {_NOT_SET_HERE[name]}."
            continue
        meant = _RIGHT_NAMES.get(bare) or next(iter(get_close_matches(bare, _BY_NAME, n=1, cutoff=0.6)), None)
        hint = f": did you mean {meant}?" if meant else ": deploy.env.example names all there are."
        yield f"{name} is not a setting{hint}"


def _wrong_value(name: str, value: str) -> Iterator[str]:
    sentence = None
    match name:
        case "GOOGLE_PROJECT":
            if not re.fullmatch(r"[a-z][a-z0-9-]{4,28}[a-z0-9]", value):
                sentence = "must be the project's id: 6 to 30 lower-case letters, digits and hyphens"
        case "GOOGLE_REGION":
            if not re.fullmatch(r"[a-z]+-[a-z]+[0-9]+", value):
                sentence = "must be a region like europe-west4"
        case "ALERT_EMAIL":
            if not re.fullmatch(r"[^\s@,=]+@[^\s@,=]+\.[^\s@,=]+", value):
                sentence = "must be an e-mail address"
        case "SUPABASE_SECRET_KEY":
            sentence = _wrong_supabase_key(value)
        case "SUPABASE_DB_URL":
            sentence = _wrong_database_url(value)
        case "BITVAVO_READONLY_KEY" | "BITVAVO_TRADE_KEY":
            if len(value) != KEY_LENGTH:
                sentence = f"must be {KEY_LENGTH} characters long, as Bitvavo's keys are: copy it again"
        case "BITVAVO_OPERATOR_ID":
            if not re.fullmatch(r"[1-9][0-9]{0,17}", value):
                sentence = "must be a whole number of 1 or more, which nothing else on the account uses"
        case "MAX_ORDER_EUR" | "MAX_DAILY_VALUE_EUR":
            if _amount(value) is None:
                sentence = "must be an amount in EUR like 250 or 250.00; 0 lets nothing trade"
        case "MAX_DAILY_GPT_CALLS" | "MAX_DAILY_GPT_TOKENS":
            if not re.fullmatch(r"[0-9]{1,12}", value):
                sentence = "must be a whole number; 0 lets the model never be asked"
        case "ACCOUNT_IS_DEDICATED":
            if value not in ("true", "false"):
                sentence = "must be true or false"
        case "OPENAI_BASE_URL" | "ALLOWED_ORIGINS" | "OPENAI_MODEL" | "SUPABASE_URL":
            if "|" in value:
                sentence = "must not hold a vertical bar"
    if sentence is not None:
        yield f"{name} {sentence}."


def _wrong_supabase_key(value: str) -> str | None:
    if value.startswith("sb_publishable_"):
        return "is a publishable key: it needs the secret one (sb_secret_…)"
    if value.startswith("sb_secret_"):
        return None
    try:
        payload = value.split(".")[1]
        role = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["role"]
    except (IndexError, ValueError, KeyError, TypeError):
        return "must be a secret key (sb_secret_…) or the legacy service_role key"
    return None if role == "service_role" else "is the legacy key of another role than service_role"


def _wrong_database_url(value: str) -> str | None:
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        return "must be an address like postgresql://postgres.REF@HOST:5432/postgres"
    if parts.scheme not in ("postgres", "postgresql") or not parts.hostname or not parts.username:
        return "must be an address like postgresql://postgres.REF@HOST:5432/postgres"
    if parts.password is not None:
        return "must not hold the password: take it out, it belongs in SUPABASE_DB_PASSWORD"
    if port == 6543:
        return "names the transaction pooler (port 6543): migrations need the session pooler (port 5432)"
    return None


def _wrong_together(given: Mapping[str, str]) -> Iterator[str]:
    if given["BITVAVO_READONLY_KEY"] == given["BITVAVO_TRADE_KEY"]:
        yield "BITVAVO_READONLY_KEY and BITVAVO_TRADE_KEY are the same key: make two pairs."
    elif given["BITVAVO_READONLY_SECRET"] == given["BITVAVO_TRADE_SECRET"]:
        yield "BITVAVO_READONLY_SECRET and BITVAVO_TRADE_SECRET are the same: copy both again."
    order, day = _amount(given["MAX_ORDER_EUR"]), _amount(given["MAX_DAILY_VALUE_EUR"])
    if order is not None and day is not None and order > day:
        yield "MAX_ORDER_EUR is above MAX_DAILY_VALUE_EUR: no order of that size could ever pass."
    said = set()
    for function in FUNCTIONS:
        try:
            load(function, environment(function, given, "live"))
        except SettingsError as error:
            said.add(str(error))
    yield from sorted(said)


def _amount(value: str) -> Decimal | None:
    if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,2})?", value):
        return None
    try:
        return Decimal(value)
    except InvalidOperation:
        return None


def settings_of(file: Path, *, only: tuple[str, ...] | None = None) -> dict[str, str]:
    """The settings in a file; ends the program with a sentence for each thing that is wrong."""
    try:
        given = read(file)
        if stat.S_IMODE(file.stat().st_mode) & 0o077:
            sys.exit(f"{file} can be read by other users of this machine: chmod 600 {shlex.quote(str(file))}")
    except EnvFileError as error:
        sys.exit(str(error))
    wrong = list(problems(given, only=only))
    if wrong:
        sys.exit("\n".join([f"{file} is not right yet:", *(f"  {sentence}" for sentence in wrong)]))
    return given


def main(arguments: list[str]) -> None:
    """`shell FILE`, `address FILE` and `example FILE`: assignments for the shell, or what is wrong."""
    verb, file = arguments[0], Path(arguments[1])
    overrides = dict(part.split("=", 1) for part in arguments[2:])
    match verb:
        case "shell":
            given = settings_of(file)
        case "address":
            given = settings_of(file, only=ADDRESS_NEEDS)
            given = {name: value for name, value in given.items() if name in ADDRESS_NEEDS}
        case _:
            given = example(file)
    given |= {name: value for name, value in overrides.items() if value}
    print("\n".join(shell_lines(given)))


if __name__ == "__main__":
    main(sys.argv[1:])
