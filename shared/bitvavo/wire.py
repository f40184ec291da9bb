"""The transport: one request out, one answer in, and no doubt about what is known afterwards."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NoReturn

import httpx

from shared.bitvavo.keys import KeyPair, sign
from shared.deadline import DeadlineTransport
from shared.errors import ExchangeNotReached, ExchangeRefused, ExchangeUnreadable, NotThisClientsWork
from shared.money import parse_json_number

LONGEST_WINDOW_MS = 60_000
"""The widest access window that the exchange takes, for what needs no fence: reads and cancels."""

_LARGEST_BODY = 32 * 1024 * 1024
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)


@dataclass(frozen=True, slots=True)
class Signing:
    """When a signed request says it was made, and how long after that the exchange may still accept it."""

    timestamp_ms: int
    window_ms: int = LONGEST_WINDOW_MS


@dataclass(frozen=True, slots=True)
class RateLimit:
    """Weight points per minute, those left after the last answer, and when they are full again (Unix ms)."""

    limit: int
    remaining: int
    reset_at_ms: int


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer as it came: status, bytes, and the monotonic second at which its head was there."""

    status: int
    body: bytes
    received_at: float

    def json(self) -> object:
        """The JSON value of the body; numbers with a point or an exponent are decimals.

        Raises `ExchangeUnreadable` for anything that is not JSON.
        """
        try:
            return json.loads(
                self.body.decode("utf-8"), parse_float=parse_json_number, parse_constant=_no_constant
            )
        except (ValueError, RecursionError):
            raise ExchangeUnreadable(f"The exchange answered {self.status} without readable JSON.") from None


def open_http(timeout_s: float) -> httpx.Client:
    """A connection pool for the exchange, safe to share between threads.

    HTTP/1.1, no redirects and no proxies from the environment: a request goes once to where it was meant to
    go. Retries are on connect alone, before a byte is sent. `timeout_s` bounds each wait and a whole answer.
    """
    return httpx.Client(
        timeout=timeout_s,
        follow_redirects=False,
        trust_env=False,
        headers={"Accept": "application/json", "User-Agent": "interlock"},
        transport=DeadlineTransport(timeout_s),
    )


class Client:
    """What the clients have in common: sending, signing, and telling a refusal from an unreadable answer."""

    def __init__(
        self,
        http: httpx.Client,
        base_url: str,
        keys: KeyPair | None,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._http = http
        self._base_url = base_url.rstrip("/")
        self._keys = keys
        self._monotonic = monotonic
        self._rate_limit: RateLimit | None = None

    @property
    def rate_limit(self) -> RateLimit | None:
        """What the last answer said is left; nothing is left after a 429. None before the first answer."""
        return self._rate_limit

    def _ask(
        self,
        method: str,
        path: str,
        params: Mapping[str, str | int] | None = None,
        *,
        signing: Signing | None = None,
    ) -> object:
        """Send one request without a body and read its answer: the JSON value of a 200.

        Raises `ExchangeRefused` for a 4xx that says so in JSON, `ExchangeNotReached` when no byte was sent,
        `ExchangeUnreadable` for everything else.
        """
        return read(self._send(method, path, params, signing=signing))

    def _send(
        self,
        method: str,
        path: str,
        params: Mapping[str, str | int] | None = None,
        *,
        body: bytes = b"",
        signing: Signing | None = None,
    ) -> Answer:
        """Send one request once and hand back whatever came, of any status.

        Raises `ExchangeNotReached` when the connection failed before any byte was sent, `ExchangeUnreadable`
        when it failed later: the request may have been carried out.
        """
        request = self._http.build_request(
            method, f"{self._base_url}{path}", params=params, content=body or None
        )
        if body:
            request.headers["Content-Type"] = "application/json"
        if self._keys is not None and signing is not None:
            target = request.url.raw_path.decode("ascii")
            request.headers["Bitvavo-Access-Key"] = self._keys.key
            request.headers["Bitvavo-Access-Timestamp"] = str(signing.timestamp_ms)
            request.headers["Bitvavo-Access-Window"] = str(signing.window_ms)
            request.headers["Bitvavo-Access-Signature"] = sign(
                self._keys.secret, signing.timestamp_ms, method, target, body
            )
        try:
            answer = self._exchange(request)
        except _NOT_SENT as error:
            raise ExchangeNotReached(f"{method} {path} reached nobody: {type(error).__name__}.") from None
        except httpx.HTTPError as error:
            raise ExchangeUnreadable(f"{method} {path} got no answer: {type(error).__name__}.") from None
        return answer

    def _exchange(self, request: httpx.Request) -> Answer:
        response = self._http.send(request, stream=True)
        received_at = self._monotonic()
        try:
            self._rate_limit = _rate_limit(response) or self._rate_limit
            body = bytearray()
            for chunk in response.iter_bytes():
                body += chunk
                if len(body) > _LARGEST_BODY:
                    raise ExchangeUnreadable("The exchange's answer does not end.")
        finally:
            response.close()
        return Answer(response.status_code, bytes(body), received_at)


def read(answer: Answer) -> object:
    """The JSON value of a 200.

    Raises `ExchangeRefused` for a 4xx whose body is `{"errorCode": int, "error": text}`, and
    `ExchangeUnreadable` for anything else: a 5xx says nothing certain, a redirect is followed by nobody.
    """
    value = answer.json()
    if answer.status == httpx.codes.OK:
        return value
    if 400 <= answer.status < 500 and isinstance(value, dict):
        code, text = value.get("errorCode"), value.get("error")
        if type(code) is int and isinstance(text, str):
            raise ExchangeRefused(answer.status, code, text)
    raise ExchangeUnreadable(f"The exchange answered {answer.status}, which says nothing certain.")


def never(work: str) -> Callable[..., NoReturn]:
    """A method for work that its client must never do: it raises `NotThisClientsWork`."""

    def refuse(client: object, *_arguments: object, **_options: object) -> NoReturn:
        raise NotThisClientsWork(f"{type(client).__name__} must never {work}.")

    return refuse


def _rate_limit(response: httpx.Response) -> RateLimit | None:
    """What the headers `bitvavo-ratelimit-*` say; None without them (https://docs.bitvavo.com/docs/rate-limits)."""
    try:
        limit, remaining, reset_at_ms = (
            int(response.headers[f"bitvavo-ratelimit-{name}"]) for name in ("limit", "remaining", "resetat")
        )
    except (KeyError, ValueError):
        limit, remaining, reset_at_ms = 0, 0, 0
        if response.status_code != httpx.codes.TOO_MANY_REQUESTS:
            return None
    if response.status_code == httpx.codes.TOO_MANY_REQUESTS:
        remaining = 0
    return RateLimit(limit, remaining, reset_at_ms)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number")
