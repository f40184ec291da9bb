"""A pair of API keys, and the signature that proves a request comes from whoever holds it."""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass, field
from hashlib import sha256

from pydantic import SecretStr

_HEADER_SAFE = re.compile(r"[!-~]+")


@dataclass(frozen=True, slots=True)
class KeyPair:
    """An API key and its secret. Printing the pair shows neither.

    Raises `ValueError`, without the value, for anything that a header cannot carry: a library would quote it.
    """

    key: str = field(repr=False)
    secret: SecretStr = field(repr=False)

    def __post_init__(self) -> None:
        if not _HEADER_SAFE.fullmatch(self.key) or not _HEADER_SAFE.fullmatch(self.secret.get_secret_value()):
            raise ValueError("an exchange key must be printable ASCII without spaces or line breaks")

    @property
    def fingerprint(self) -> str:
        """The first 16 hex digits of the key's SHA-256: names the key without giving it away."""
        return sha256(self.key.encode("ascii")).hexdigest()[:16]


def sign(secret: SecretStr, timestamp_ms: int, method: str, path_with_query: str, body: bytes = b"") -> str:
    """Lower-case hex HMAC-SHA256 over timestamp, method, path and body, without separators.

    `path_with_query` begins with `/v2` and holds the query exactly as it is sent; `body` is the exact bytes
    of a POST and empty for GET and DELETE (https://docs.bitvavo.com/docs/rest-api/introduction).
    """
    message = f"{timestamp_ms}{method}{path_with_query}".encode("ascii") + body
    return hmac.new(secret.get_secret_value().encode("ascii"), message, sha256).hexdigest()
