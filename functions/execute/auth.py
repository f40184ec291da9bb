"""Who asks: the Supabase access token is verified here, without a call to anyone.

With the project's JWT secret only HS256 tokens are accepted, else only ES256 and RS256 tokens that a key of
the project's JWKS signed (https://supabase.com/docs/guides/auth/signing-keys).
"""

from __future__ import annotations

import math
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

import httpx
import jwt

from shared.deadline import DeadlineTransport
from shared.environment import Settings
from shared.errors import KeysUnavailable, Unauthorized
from shared.events import Event
from shared.log import log

LEEWAY_S = 10
_LONGEST_TOKEN = 8 * 1024
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_BEARER = re.compile(r"[Bb][Ee][Aa][Rr][Ee][Rr] +([A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+)")


class Verifier(Protocol):
    """Tells whose token it is."""

    def claims(self, token: str) -> Mapping[str, Any]:
        """The claims of a token whose signature, audience and times hold. Raises `jwt.PyJWTError`."""


class SecretVerifier:
    """Accepts HS256 tokens that were signed with the project's JWT secret, and nothing else."""

    def __init__(self, secret: str, issuer: str) -> None:
        self._secret = secret
        self._issuer = issuer

    def claims(self, token: str) -> Mapping[str, Any]:
        claims = _decode(token, self._secret, ["HS256"])
        if claims.get("iss", self._issuer) != self._issuer:
            raise jwt.InvalidIssuerError("another issuer")
        return claims


class JwksVerifier:
    """Accepts ES256 and RS256 tokens that a key of the project's JWKS signed, and nothing else."""

    def __init__(self, keys: ProjectKeys, issuer: str) -> None:
        self._keys = keys
        self._issuer = issuer

    def claims(self, token: str) -> Mapping[str, Any]:
        key_id = jwt.get_unverified_header(token).get("kid")
        if not isinstance(key_id, str):
            raise jwt.InvalidTokenError("no key id")
        claims = _decode(token, self._keys.key(key_id), ["ES256", "RS256"])
        if claims.get("iss") != self._issuer:
            raise jwt.InvalidIssuerError("another issuer, or none")
        return claims


@dataclass(frozen=True)
class _KeySet:
    """The project's keys as they were fetched, at a monotonic second."""

    keys: Mapping[str, jwt.PyJWK]
    fetched_at: float


class ProjectKeys:
    """The project's public keys: kept for ten minutes, and fetched at most every 30 seconds.

    A known key waits for nobody's fetch. A token that names an unknown key makes nobody fetch sooner, and an
    outage costs one such request in five seconds its time-out, not each.
    """

    LIFESPAN_S = 600.0
    REFRESH_AFTER_S = 30.0
    RETRY_AFTER_S = 5.0

    def __init__(
        self, url: str, http: httpx.Client, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._url = url
        self._http = http
        self._monotonic = monotonic
        self._one_at_a_time = threading.Lock()
        self._held = _KeySet({}, -math.inf)
        self._failed_at = -math.inf

    def key(self, key_id: str) -> jwt.PyJWK:
        """The key of that id.

        Raises `jwt.InvalidKeyError` when the project has none, `KeysUnavailable` when that cannot be told.
        """
        return self._known(key_id) or self._looked_for(key_id)

    def _known(self, key_id: str) -> jwt.PyJWK | None:
        """Reads the set once: another thread may put a new one in its place at any time."""
        held = self._held
        return held.keys.get(key_id) if self._monotonic() - held.fetched_at <= self.LIFESPAN_S else None

    def _looked_for(self, key_id: str) -> jwt.PyJWK:
        with self._one_at_a_time:
            if known := self._known(key_id):
                return known
            if self._monotonic() - self._held.fetched_at > self.REFRESH_AFTER_S:
                self._fetch()
            if key_id not in self._held.keys:
                raise jwt.InvalidKeyError("no key of the project")
            return self._held.keys[key_id]

    def _fetch(self) -> None:
        if self._monotonic() - self._failed_at < self.RETRY_AFTER_S:
            raise KeysUnavailable()
        try:
            answer = self._http.get(self._url).raise_for_status().json()
            keys = jwt.PyJWKSet.from_dict(answer).keys
        except (httpx.HTTPError, ValueError, AttributeError, TypeError, jwt.PyJWTError) as error:
            self._failed_at = self._monotonic()
            log(Event.JWKS_UNAVAILABLE, reason=type(error).__name__)
            raise KeysUnavailable() from None
        signing = {key.key_id: key for key in keys if key.key_id and key.public_key_use in ("sig", None)}
        self._held = _KeySet(signing, self._monotonic())


def open_keys(url: str, *, timeout_s: float = 3.0) -> ProjectKeys:
    """The keys that an address serves, asked without redirects or proxies from the environment."""
    http = httpx.Client(transport=DeadlineTransport(timeout_s), timeout=timeout_s, trust_env=False)
    return ProjectKeys(url, http)


def verifier_for(settings: Settings) -> Verifier:
    """The verifier that the environment asks for."""
    issuer = f"{settings.supabase_url}/auth/v1"
    if settings.supabase_jwt_secret is not None:
        return SecretVerifier(settings.supabase_jwt_secret.get_secret_value(), issuer)
    return JwksVerifier(open_keys(f"{issuer}/.well-known/jwks.json"), issuer)


def authenticate(authorization: str | None, verifier: Verifier) -> UUID:
    """The id of the signed-in user who asks.

    Raises `Unauthorized` for everything that is not a valid access token of a user who is not anonymous, with
    one and the same sentence, and `KeysUnavailable` when that cannot be told.
    """
    bearer = _BEARER.fullmatch(authorization or "")
    if bearer is None or len(bearer[1]) > _LONGEST_TOKEN:
        raise Unauthorized()
    try:
        return _user_of(verifier.claims(bearer[1]))
    except KeysUnavailable:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a forged token provokes, it is not a valid one
        log(Event.TOKEN_REFUSED, reason=type(error).__name__)
        raise Unauthorized() from None


def _decode(token: str, key: Any, algorithms: list[str]) -> dict[str, Any]:
    return jwt.decode(
        token,
        key,
        algorithms=algorithms,
        audience="authenticated",
        leeway=LEEWAY_S,
        options={"require": ["exp", "iat", "sub", "aud"], "strict_aud": True},
    )


def _user_of(claims: Mapping[str, Any]) -> UUID:
    if claims.get("role") != "authenticated":
        raise jwt.InvalidTokenError("another role")
    if claims.get("is_anonymous", False) is not False:
        raise jwt.InvalidTokenError("an anonymous user")
    subject = claims["sub"]
    if not isinstance(subject, str) or not _UUID.fullmatch(subject):
        raise jwt.InvalidTokenError("a subject that is no user")
    return UUID(subject)
