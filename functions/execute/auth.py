"""Who asks: the Supabase access token is verified here, without a call to anyone.

With the project's JWT secret only HS256 tokens are accepted, else only ES256 and RS256 tokens that a key of
the project's JWKS signed (https://supabase.com/docs/guides/auth/signing-keys).
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol
from uuid import UUID

import jwt
from jwt import PyJWKClient

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
    """Accepts ES256 and RS256 tokens that a key of the project's JWKS signed, and nothing else.

    The set is cached for 10 minutes and fetched at most every 30 seconds, whatever key ids the tokens name;
    after a failed fetch it is left alone for 5.
    """

    def __init__(
        self, jwks_url: str, issuer: str, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._keys = _PatientJwkClient(jwks_url, monotonic)
        self._issuer = issuer

    def claims(self, token: str) -> Mapping[str, Any]:
        key_id = jwt.get_unverified_header(token).get("kid")
        if not isinstance(key_id, str):
            raise jwt.InvalidTokenError("no key id")
        claims = _decode(token, self._keys.get_signing_key(key_id), ["ES256", "RS256"])
        if claims.get("iss") != self._issuer:
            raise jwt.InvalidIssuerError("another issuer, or none")
        return claims


def verifier_for(settings: Settings) -> Verifier:
    """The verifier that the environment asks for."""
    issuer = f"{settings.supabase_url}/auth/v1"
    if settings.supabase_jwt_secret is not None:
        return SecretVerifier(settings.supabase_jwt_secret.get_secret_value(), issuer)
    return JwksVerifier(f"{issuer}/.well-known/jwks.json", issuer)


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


class _PatientJwkClient(PyJWKClient):
    """Remembers a failed fetch for a while, so that an outage costs one request its time-out and not all."""

    _PATIENCE_S = 5.0

    def __init__(self, url: str, monotonic: Callable[[], float]) -> None:
        super().__init__(url, lifespan=600, timeout=3, cooldown_duration=30)
        self._monotonic = monotonic
        self._failed_at: float | None = None

    def fetch_data(self) -> Any:
        if self._failed_at is not None and self._monotonic() - self._failed_at < self._PATIENCE_S:
            raise KeysUnavailable()
        try:
            fetched = super().fetch_data()
        except (jwt.PyJWTError, ValueError, OSError) as error:
            self._failed_at = self._monotonic()
            log(Event.JWKS_UNAVAILABLE, reason=type(error).__name__)
            raise KeysUnavailable() from None
        self._failed_at = None
        return fetched
