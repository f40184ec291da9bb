"""Asking over HTTP, once, and telling apart what was not sent from what was not answered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import httpx

from cli.ends import WrongCall

PATIENCE_S = 20.0

_NOT_SENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
)


class NotSentError(Exception):
    """No connection could be made: not a byte was sent. The text is why."""


class NoAnswerError(Exception):
    """It may have arrived; no complete answer came back. The text is why."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP status and the JSON object or list of its body; None when the body is neither."""

    status: int
    body: Any

    @property
    def is_success(self) -> bool:
        """Was it a 2xx with a body that can be read, or without one?"""
        return 200 <= self.status < 300

    def said(self) -> str:
        """What a person reads of a refusal, whoever refused: execute, the database or the auth service."""
        body = self.body if isinstance(self.body, dict) else {}
        for name in ("error", "details", "detail", "msg", "error_description", "message"):
            if isinstance(body.get(name), str) and body[name]:
                return str(body[name])
        return f"HTTP {self.status}, without a reason that can be read."

    def code(self) -> str:
        """The stable code of a refusal: execute's `code`, or the message of the database's RPCs."""
        body = self.body if isinstance(self.body, dict) else {}
        code = str(body.get("code") or "")
        named = body.get("message") if code.startswith("PT") else body.get("error_code") or code
        return str(named or f"HTTP_{self.status}")


def ask(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str],
    params: Sequence[tuple[str, str]] = (),
    body: object = None,
    patience_s: float = PATIENCE_S,
) -> Answer:
    """Send one request and read its answer.

    Follows no redirect, which would carry the token elsewhere; a proxy of the environment is used, but never
    to this machine. Raises NotSentError and NoAnswerError.
    """
    try:
        with httpx.Client(trust_env=not is_loopback(url), timeout=patience_s) as http:
            response = http.request(method, url, headers=dict(headers), params=list(params), json=body)
    except _NOT_SENT as error:
        raise NotSentError(type(error).__name__) from None
    except httpx.HTTPError as error:
        raise NoAnswerError(type(error).__name__) from None
    try:
        read = response.json()
    except ValueError:
        read = None
    return Answer(response.status_code, read if isinstance(read, dict | list) else None)


def address(name: str, value: str) -> str:
    """An address without its last slash. Raises WrongCall unless it is HTTPS, or HTTP to this machine."""
    try:
        parts = urlsplit(value.strip())
        plain_http = parts.scheme == "http" and is_loopback(value.strip())
        good = bool(parts.hostname) and not parts.username and (parts.scheme == "https" or plain_http)
        good = good and value.isascii() and value.strip().isprintable()
    except ValueError:
        good = False
    if not good:
        raise WrongCall(
            f"{name} must be an https:// address (http:// for this machine alone).", "WRONG_ADDRESS"
        )
    return value.strip().rstrip("/")


def header_value(name: str, value: str) -> str:
    """A key as a header carries it. Raises WrongCall, which does not repeat it."""
    if not (value.isascii() and value.isprintable()):
        raise WrongCall(f"{name} holds what no key holds: copy it again.", "WRONG_KEY")
    return value


def is_loopback(url: str) -> bool:
    """Does the address name this machine?"""
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
