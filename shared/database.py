"""The one way to the database: a remote procedure call through Supabase's data API.

Every RPC is one transaction, answers `jsonb` with numbers as text, and is safe to repeat.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, cast
from uuid import UUID

import httpx
from postgrest import APIError, SyncPostgrestClient
from pydantic import SecretStr

from shared.deadline import DeadlineTransport
from shared.errors import DatabaseRefused, DatabaseUnavailable

# PTxyz is raised by the RPCs themselves; 22 (data) and 23 (integrity) reject what was handed in.
_REFUSED = re.compile(r"PT\d{3}|2[23][0-9A-Z]{3}")
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_LARGEST_EXACT_JSON_INTEGER = 2**53 - 1

KEEP_S = 60.0
"""How long an idle connection is kept: a new one costs round trips, and every call is safe to repeat."""


class Database:
    """Calls RPCs with the secret key. One client a process; safe to share between threads.

    `timeout_s` bounds each wait for the network, and a whole answer; it is longer than the database's own
    limit of 8 s, so after a time-out no statement is still running.
    """

    def __init__(
        self,
        url: str,
        secret_key: SecretStr,
        *,
        timeout_s: float = 10.0,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        key = secret_key.get_secret_value()
        http = httpx.Client(
            http2=False,
            trust_env=False,
            follow_redirects=False,
            timeout=timeout_s,
            transport=transport or DeadlineTransport(timeout_s, keep_s=KEEP_S),
        )
        headers = {"apikey": key, "Authorization": f"Bearer {key}"}
        self._client = SyncPostgrestClient(f"{url}/rest/v1", headers=headers, http_client=http)

    def call(self, rpc: str, **params: object) -> Any:
        """Call one RPC and hand back its JSON answer, an object or an array.

        Decimals, UUIDs, instants and integers beyond 2^53 are sent as text.
        Raises `DatabaseRefused` when the call was refused and nothing remains, and `DatabaseUnavailable` when
        nothing is known: a time-out, a broken connection, a 5xx, an answer that is not JSON.
        """
        arguments = cast(dict[str, str], {name: _plain(value) for name, value in params.items()})
        try:
            answer: object = self._client.rpc(rpc, arguments).execute().data
        except APIError as error:
            code = error.code or ""
            if _REFUSED.fullmatch(code):
                raise DatabaseRefused(
                    code, error.message or rpc, _optional(error.details), error.hint
                ) from None
            raise DatabaseUnavailable(f"{rpc} failed in the database with {code or 'no code'}.") from None
        except httpx.HTTPError as error:
            raise DatabaseUnavailable(
                f"{rpc} got no answer from the database: {type(error).__name__}."
            ) from None
        if not isinstance(answer, (dict, list)):
            raise DatabaseUnavailable(f"{rpc} got an answer from the database that is not JSON.")
        return answer


def _optional(details: object) -> str | None:
    return None if details is None else str(details)


def _plain(value: object) -> object:
    """The JSON form of an argument; text that Postgres cannot store loses the characters in question."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _UNSTORABLE.sub("\ufffd", value)
    if isinstance(value, int):
        return value if abs(value) <= _LARGEST_EXACT_JSON_INTEGER else str(value)
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, float):
        return format(Decimal(repr(value)), "f")
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise TypeError("an instant without a time zone cannot be sent to the database")
        return value.isoformat()
    if isinstance(value, Mapping):
        return {_UNSTORABLE.sub("\ufffd", str(key)): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    raise TypeError(f"a {type(value).__name__} cannot be sent to the database")
