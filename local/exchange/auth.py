"""Who signed a request: the access headers, checked in the order in which their errors are numbered.

Source: docs.bitvavo.com, REST API introduction; errors 300 to 312 of its error table.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping
from hashlib import sha256

from local.exchange.keys import MISSING_RIGHT, ApiKey, Right
from local.exchange.refusals import Refusal

DEFAULT_WINDOW_MS = 10_000
LENGTH = 64


def signature(secret: str, timestamp: str, method: str, target: str, body: bytes) -> str:
    """Lower-case hex HMAC-SHA256 over timestamp, method, path with query (from `/v2`) and body."""
    message = f"{timestamp}{method}{target}".encode() + body
    return hmac.new(secret.encode(), message, sha256).hexdigest()


def authenticate(
    keys: Mapping[str, ApiKey],
    headers: Mapping[str, str],
    method: str,
    target: str,
    body: bytes,
    now_ms: int,
    address: str,
) -> ApiKey | None:
    """The key that signed this request, or None when it carries no access headers.

    Whether a timestamp in the future is refused is not established for the real exchange; here it is not.
    Raises Refusal 301 to 309.
    """
    name = headers.get("bitvavo-access-key")
    if name is None:
        return None
    if len(name) != LENGTH:
        raise Refusal(301)
    timestamp = headers.get("bitvavo-access-timestamp", "")
    if not _is_milliseconds(timestamp):
        raise Refusal(302)
    window_ms = _window(headers.get("bitvavo-access-window"))
    given = headers.get("bitvavo-access-signature", "")
    if len(given) != LENGTH:
        raise Refusal(308)
    key = keys.get(name)
    if key is None or not key.active:
        raise Refusal(305)
    if not key.confirmed:
        raise Refusal(306)
    if key.addresses is not None and address not in key.addresses:
        raise Refusal(307)
    if now_ms > int(timestamp) + window_ms:
        raise Refusal(304)
    expected = (signature(key.secret, timestamp, method, target, text) for text in _spellings(method, body))
    if not any(hmac.compare_digest(one.encode(), given.encode()) for one in expected):
        raise Refusal(309)
    return key


def authorize(key: ApiKey | None, right: Right | None) -> None:
    """Raises Refusal 300 without a key, 310 to 312 without the right."""
    if right is None:
        return
    if key is None:
        raise Refusal(300)
    if right not in key.rights:
        raise Refusal(MISSING_RIGHT[right])


def _spellings(method: str, body: bytes) -> tuple[bytes, ...]:
    """The texts whose signature is good: as sent, and as the server re-serialises what it parsed.

    The official client signs compact JSON, sends it with spaces, and sends `{}` with GET while signing
    nothing; all of it is accepted.
    """
    if method in ("GET", "DELETE"):
        return (b"",)
    try:
        compact = json.dumps(json.loads(body), separators=(",", ":"), ensure_ascii=False).encode()
    except (ValueError, UnicodeError):
        return (body,)
    return (body, compact)


def _is_milliseconds(text: str) -> bool:
    return len(text) == len("1548172481125") and text.isascii() and text.isdigit()


def _window(text: str | None) -> int:
    if text is None:
        return DEFAULT_WINDOW_MS
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and 100 <= int(text) <= 60_000):
        raise Refusal(303)
    return int(text)
