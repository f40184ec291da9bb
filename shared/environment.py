"""What the environment may hold, function by function, and the settings that a function makes of it.

`VARIABLES` is the whole truth: a function checks against it at start, the documents' table is made from it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from enum import StrEnum
from ipaddress import ip_address
from typing import Literal, TypeVar
from urllib.parse import urlsplit
from uuid import uuid4

from pydantic import SecretStr

from shared.bitvavo import KeyPair
from shared.errors import SettingsError
from shared.notify import form_of

FunctionName = Literal["execute", "scan_tick", "cleanup"]
TradingMode = Literal["dry_run", "live"]
T = TypeVar("T")


class Use(StrEnum):
    """What a variable is to a function. The value is the cell of the documents' table."""

    REQUIRED = "yes"
    OPTIONAL = "optional"
    WHEN_LIVE = "when live"
    REFUSED = "**refuses to start**"
    IGNORED = ""


@dataclass(frozen=True, slots=True)
class Variable:
    """One variable: its name, what it is to each function, what it means."""

    name: str
    execute: Use
    scan_tick: Use
    cleanup: Use
    meaning: str

    def use(self, function: FunctionName) -> Use:
        uses: dict[str, Use] = {"execute": self.execute, "scan_tick": self.scan_tick, "cleanup": self.cleanup}
        return uses[function]


_YES, _OPTIONAL, _LIVE, _REFUSED, _NO = Use.REQUIRED, Use.OPTIONAL, Use.WHEN_LIVE, Use.REFUSED, Use.IGNORED

VARIABLES = (
    Variable("SUPABASE_URL", _YES, _YES, _YES, "address of the Supabase project"),
    Variable("SUPABASE_SECRET_KEY", _YES, _YES, _YES, "service access to the database API"),
    Variable(
        "SUPABASE_JWT_SECRET", _OPTIONAL, _NO, _NO, "verifies HS256 user tokens; unset: the project's JWKS"
    ),
    Variable("BITVAVO_TRADE_KEY", _LIVE, _REFUSED, _LIVE, "trade key; cleanup looks up and cancels with it"),
    Variable("BITVAVO_TRADE_SECRET", _LIVE, _REFUSED, _LIVE, "secret of the trade key"),
    Variable("BITVAVO_READONLY_KEY", _REFUSED, _YES, _NO, "read-only key, for market data"),
    Variable("BITVAVO_READONLY_SECRET", _REFUSED, _YES, _NO, "secret of the read-only key"),
    Variable(
        "BITVAVO_OPERATOR_ID",
        _LIVE,
        _NO,
        _LIVE,
        "integer that nothing else on the account uses; one per deployment",
    ),
    Variable(
        "BITVAVO_REST_URL",
        _OPTIONAL,
        _OPTIONAL,
        _OPTIONAL,
        "default `https://api.bitvavo.com/v2`; plain HTTP for loopback alone",
    ),
    Variable("ACCESS_WINDOW_MS", _OPTIONAL, _NO, _NO, "default 5000, 3000 to 10000"),
    Variable("OPENAI_API_KEY", _REFUSED, _YES, _REFUSED, "key of the model's server"),
    Variable("OPENAI_BASE_URL", _REFUSED, _OPTIONAL, _REFUSED, "any OpenAI-compatible server"),
    Variable("OPENAI_MODEL", _REFUSED, _YES, _REFUSED, "name of the model"),
    Variable("MODEL_TIMEOUT_S", _NO, _OPTIONAL, _NO, "seconds that an answer may take; default 45, 5 to 80"),
    Variable(
        "TRADING_MODE",
        _OPTIONAL,
        _NO,
        _OPTIONAL,
        "`dry_run` (default) or `live`; must equal the mode in the database",
    ),
    Variable("SCHEDULER_INSTANCE_ID", _NO, _OPTIONAL, _OPTIONAL, "generated when unset"),
    Variable(
        "ALLOWED_ORIGINS",
        _OPTIONAL,
        _NO,
        _NO,
        "exact origins that get CORS answers, separated by commas; unset: none",
    ),
    Variable(
        "NOTIFY_URL",
        _OPTIONAL,
        _OPTIONAL,
        _OPTIONAL,
        "ntfy, Slack or Telegram address for a short message: a proposal, a fill, a halt, an old `UNKNOWN`",
    ),
)

_NAMES = tuple(variable.name for variable in VARIABLES)
_SPELLED_WITH_CARE = ("BITVAVO_", "TRADING_", "ACCESS_")
_LARGEST_INT64 = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Settings:
    """What one function runs with. Secrets show as asterisks, wherever the object is printed."""

    function: FunctionName
    supabase_url: str
    supabase_secret_key: SecretStr
    supabase_jwt_secret: SecretStr | None
    trade_keys: KeyPair | None
    readonly_keys: KeyPair | None
    operator_id: int | None
    bitvavo_rest_url: str
    access_window_ms: int
    openai_api_key: SecretStr | None
    openai_base_url: str | None
    openai_model: str | None
    model_timeout_s: int
    trading_mode: TradingMode
    scheduler_instance_id: str
    allowed_origins: tuple[str, ...]
    notify_url: str | None = field(repr=False)


def load(function: FunctionName, environ: Mapping[str, str]) -> Settings:
    """Read the settings of one function. An empty value counts as unset; what is not its own is ignored.

    Raises `SettingsError`, one sentence that names the variable and never its value.
    """
    given = {name: value for name, value in environ.items() if value}
    _refuse_wrong_names(given)
    _refuse_what_is_not_for(function, given)
    own = {v.name: given[v.name] for v in VARIABLES if v.name in given and v.use(function) is not Use.IGNORED}
    mode = _mode(own)
    _require_what_is_missing(function, own, mode)
    return Settings(
        function=function,
        supabase_url=_read(own, "SUPABASE_URL", _url),
        supabase_secret_key=_read(own, "SUPABASE_SECRET_KEY", _secret),
        supabase_jwt_secret=_read_optional(own, "SUPABASE_JWT_SECRET", _secret),
        trade_keys=_keys(own, "BITVAVO_TRADE_KEY", "BITVAVO_TRADE_SECRET"),
        readonly_keys=_keys(own, "BITVAVO_READONLY_KEY", "BITVAVO_READONLY_SECRET"),
        operator_id=_read_optional(own, "BITVAVO_OPERATOR_ID", _integer(1, _LARGEST_INT64)),
        bitvavo_rest_url=_read_optional(own, "BITVAVO_REST_URL", _url) or "https://api.bitvavo.com/v2",
        access_window_ms=_read_optional(own, "ACCESS_WINDOW_MS", _integer(3000, 10000)) or 5000,
        openai_api_key=_read_optional(own, "OPENAI_API_KEY", _secret),
        openai_base_url=_read_optional(own, "OPENAI_BASE_URL", _url),
        openai_model=_read_optional(own, "OPENAI_MODEL", _word),
        model_timeout_s=_read_optional(own, "MODEL_TIMEOUT_S", _integer(5, 80)) or 45,
        trading_mode=mode,
        scheduler_instance_id=_read_optional(own, "SCHEDULER_INSTANCE_ID", _word) or f"{function}-{uuid4()}",
        allowed_origins=_read_optional(own, "ALLOWED_ORIGINS", _origins) or (),
        notify_url=_read_optional(own, "NOTIFY_URL", receiver),
    )


def _refuse_wrong_names(given: Mapping[str, str]) -> None:
    for name in sorted(given):
        if name.startswith("VITE_"):
            published = "a build publishes whatever has that prefix to every browser"
            raise SettingsError(f"{name} is refused: {published}; use {_right_name(name)}.")
        if name == "SUPABASE_KEY":
            raise SettingsError("SUPABASE_KEY is refused: the right name is SUPABASE_SECRET_KEY.")
        if name.startswith(_SPELLED_WITH_CARE) and name not in _NAMES:
            raise SettingsError(f"{name} is not a known variable: did you mean {_right_name(name)}?")


def _right_name(name: str) -> str:
    bare = name.removeprefix("VITE_")
    if bare == "SUPABASE_KEY":
        return "SUPABASE_SECRET_KEY"
    return next(iter(get_close_matches(bare, _NAMES, n=1, cutoff=0.5)), "a name from the table of variables")


def _refuse_what_is_not_for(function: FunctionName, given: Mapping[str, str]) -> None:
    for variable in VARIABLES:
        if variable.name in given and variable.use(function) is Use.REFUSED:
            raise SettingsError(f"{variable.name} is refused: {function} must never hold it.")


def _mode(own: Mapping[str, str]) -> TradingMode:
    match own.get("TRADING_MODE", "dry_run"):
        case "live":
            return "live"
        case "dry_run":
            return "dry_run"
    raise SettingsError("TRADING_MODE must be dry_run or live.")


def _require_what_is_missing(function: FunctionName, own: Mapping[str, str], mode: TradingMode) -> None:
    for variable in VARIABLES:
        use = variable.use(function)
        if variable.name in own:
            continue
        if use is Use.REQUIRED:
            raise SettingsError(f"{variable.name} is missing: {function} cannot start without it.")
        if use is Use.WHEN_LIVE and mode == "live":
            raise SettingsError(f"{variable.name} is missing: {function} needs it when TRADING_MODE is live.")


def _read(own: Mapping[str, str], name: str, parse: Callable[[str], T]) -> T:
    try:
        return parse(own[name])
    except ValueError as error:
        raise SettingsError(f"{name} {error}.") from None


def _read_optional(own: Mapping[str, str], name: str, parse: Callable[[str], T]) -> T | None:
    return _read(own, name, parse) if name in own else None


def _keys(own: Mapping[str, str], key: str, secret: str) -> KeyPair | None:
    if key not in own or secret not in own:
        return None
    return KeyPair(key=_read(own, key, _word), secret=_read(own, secret, _secret))


def _word(value: str) -> str:
    if not re.fullmatch(r"[!-~]+", value):
        raise ValueError("must be printable ASCII without spaces or line breaks")
    return value


def _secret(value: str) -> SecretStr:
    return SecretStr(_word(value))


def _integer(least: int, most: int) -> Callable[[str], int]:
    def parse(value: str) -> int:
        if not re.fullmatch(r"[0-9]{1,19}", value) or not least <= int(value) <= most:
            raise ValueError(f"must be a whole number from {least} to {most}")
        return int(value)

    return parse


def _encrypted(value: str) -> str:
    """An address that secrets are sent to or that is one: encrypted, unless it never leaves the machine."""
    parts = urlsplit(_word(value))
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must be an http or https address")
    if parts.scheme == "http" and not _is_loopback(parts.hostname):
        raise ValueError("must begin with https (plain http is for loopback alone)")
    return value


def _url(value: str) -> str:
    parts = urlsplit(_encrypted(value))
    if parts.username is not None or parts.query or parts.fragment:
        raise ValueError("must be a plain address, without user, query or fragment")
    return value.rstrip("/")


def receiver(value: str) -> str:
    """The address of a receiver of messages, whose form is one that is served."""
    form_of(_encrypted(value))
    return value


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _origins(value: str) -> tuple[str, ...]:
    origins = tuple(origin.strip() for origin in value.split(",") if origin.strip())
    for origin in origins:
        if not re.fullmatch(r"https?://[a-z0-9.\-\[\]:]+", origin):
            raise ValueError("must hold exact origins like https://app.example.com, separated by commas")
    return origins
