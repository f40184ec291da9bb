"""Who is let in: a corpus of forged, expired, foreign and malformed tokens, and the few that are good."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from functions.execute.auth import JwksVerifier, ProjectKeys, SecretVerifier, Verifier, authenticate
from shared.errors import KeysUnavailable, Unauthorized

pytestmark = pytest.mark.unit

SECRET = "the-jwt-secret-of-the-project-with-64-characters-0123456789abcdef"
ISSUER = "https://project.supabase.co/auth/v1"
USER = "7f0c1d8e-5a3b-4c1e-9a64-1b2f3c4d5e6f"
EC_KEY = ec.generate_private_key(ec.SECP256R1())
RSA_KEY = rsa.generate_private_key(65537, 2048)
OTHER_EC_KEY = ec.generate_private_key(ec.SECP256R1())
ENC_KEY = ec.generate_private_key(ec.SECP256R1())
JWKS = {
    "keys": [
        json.loads(jwt.algorithms.ECAlgorithm.to_jwk(EC_KEY.public_key()))
        | {"kid": "ec-1", "alg": "ES256", "use": "sig"},
        json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(RSA_KEY.public_key()))
        | {"kid": "rsa-1", "alg": "RS256", "use": "sig"},
        json.loads(jwt.algorithms.ECAlgorithm.to_jwk(ENC_KEY.public_key()))
        | {"kid": "enc-1", "alg": "ES256", "use": "enc"},
    ]
}


def now() -> int:
    return int(time.time())


def claims(**changes: Any) -> dict[str, Any]:
    """The claims of a good token, with changes; `...` takes a claim away."""
    good = {
        "sub": USER,
        "aud": "authenticated",
        "role": "authenticated",
        "iss": ISSUER,
        "iat": now() - 5,
        "exp": now() + 3600,
        "is_anonymous": False,
        "email": "owner@example.com",
    }
    return {name: value for name, value in (good | changes).items() if value is not ...}


def b64(value: bytes | dict[str, Any]) -> str:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def raw(header: dict[str, Any], payload: bytes | dict[str, Any], secret: str = SECRET) -> str:
    """An HS256 token of exactly this header and payload, however odd."""
    signed = f"{b64(header)}.{b64(payload)}"
    return f"{signed}.{b64(hmac.new(secret.encode(), signed.encode(), hashlib.sha256).digest())}"


def hs(secret: str = SECRET, algorithm: str = "HS256", **changes: Any) -> str:
    return jwt.api_jws.encode(json.dumps(claims(**changes)).encode(), secret, algorithm)


def es(key: Any = EC_KEY, kid: str | None = "ec-1", algorithm: str = "ES256", **changes: Any) -> str:
    payload = json.dumps(claims(**changes)).encode()
    return jwt.api_jws.encode(payload, key, algorithm, headers={} if kid is None else {"kid": kid})


def keys(answer: Callable[[httpx.Request], httpx.Response], clock: list[float] | None = None) -> ProjectKeys:
    at = clock if clock is not None else [1000.0]
    return ProjectKeys(
        f"{ISSUER}/.well-known/jwks.json",
        httpx.Client(transport=httpx.MockTransport(answer)),
        monotonic=lambda: at[0],
    )


BY_SECRET: Verifier = SecretVerifier(SECRET, ISSUER)
BY_KEYS: Verifier = JwksVerifier(keys(lambda _: httpx.Response(200, json=JWKS)), ISSUER)

EC_PEM = EC_KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

SAME_FOR_BOTH: dict[str, dict[str, Any]] = {
    "expired": {"exp": now() - 60},
    "expired beyond the leeway": {"exp": now() - 11},
    "issued in the future": {"iat": now() + 86_400},
    "not valid yet": {"nbf": now() + 86_400},
    "without an expiry": {"exp": ...},
    "without an issue time": {"iat": ...},
    "without a subject": {"sub": ...},
    "without an audience": {"aud": ...},
    "without a role": {"role": ...},
    "expiry that is no number": {"exp": "tomorrow"},
    "expiry that is a list": {"exp": [now() + 86_400]},
    "expiry beyond all clocks": {"exp": 1e400},
    "expiry of null": {"exp": None},
    "audience of another service": {"aud": "anon"},
    "audiences": {"aud": ["authenticated", "other"]},
    "audience of null": {"aud": None},
    "anon role": {"role": "anon"},
    "service role": {"role": "service_role"},
    "role in another letter case": {"role": "Authenticated"},
    "roles": {"role": ["authenticated"]},
    "another project": {"iss": "https://other.supabase.co/auth/v1"},
    "issuer with a slash more": {"iss": ISSUER + "/"},
    "issuer of null": {"iss": None},
    "an anonymous user": {"is_anonymous": True},
    "anonymous as text": {"is_anonymous": "false"},
    "anonymous as a number": {"is_anonymous": 0},
    "subject that is no uuid": {"sub": "owner"},
    "subject in upper case": {"sub": USER.upper()},
    "subject with a line break": {"sub": USER + "\n"},
    "subject of a number": {"sub": 1},
    "an empty subject": {"sub": ""},
}


@pytest.mark.parametrize("changes", SAME_FOR_BOTH.values(), ids=SAME_FOR_BOTH)
@pytest.mark.parametrize("by", ["secret", "keys"])
def test_claims_that_are_not_a_signed_in_owners_are_refused(by: str, changes: dict[str, Any]) -> None:
    """A good signature does not help claims that are expired, foreign, anonymous or malformed."""
    sign, verifier = (hs, BY_SECRET) if by == "secret" else (es, BY_KEYS)
    with pytest.raises(Unauthorized):
        authenticate(f"Bearer {sign(**changes)}", verifier)


FORGED: dict[str, tuple[str, Verifier]] = {
    "another secret": (hs("x" * 64), BY_SECRET),
    "no secret": (raw({"alg": "HS256"}, claims(), ""), BY_SECRET),
    "HS384": (hs(algorithm="HS384"), BY_SECRET),
    "HS512": (hs(algorithm="HS512"), BY_SECRET),
    "none": (f"{b64({'alg': 'none'})}.{b64(claims())}.", BY_SECRET),
    "none with a signature": (raw({"alg": "none"}, claims()), BY_SECRET),
    "None": (raw({"alg": "None"}, claims()), BY_SECRET),
    "no algorithm": (raw({"typ": "JWT"}, claims()), BY_SECRET),
    "a list of algorithms": (raw({"alg": ["HS256"]}, claims()), BY_SECRET),
    "a header that is no object": (raw([], claims()), BY_SECRET),  # type: ignore[arg-type]
    "an unknown critical extension": (raw({"alg": "HS256", "crit": ["x"], "x": 1}, claims()), BY_SECRET),
    "a detached payload": (raw({"alg": "HS256", "b64": False, "crit": ["b64"]}, claims()), BY_SECRET),
    "a payload that is no JSON": (raw({"alg": "HS256"}, b"payload"), BY_SECRET),
    "a payload that is a list": (raw({"alg": "HS256"}, b"[]"), BY_SECRET),
    "a payload too deep": (raw({"alg": "HS256"}, b"[" * 3000 + b"]" * 3000), BY_SECRET),
    "a changed payload": (hs().replace(".", ".e", 1), BY_SECRET),
    "no signature": (hs().rpartition(".")[0] + ".", BY_SECRET),
    "a cut signature": (hs()[:-4], BY_SECRET),
    "an asymmetric token where a secret is set": (es(), BY_SECRET),
    "a token longer than any": (hs(padding="x" * 9000), BY_SECRET),
    "a symmetric token where keys are used": (hs(), BY_KEYS),
    "the public key as a secret": (raw({"alg": "HS256", "kid": "ec-1"}, claims(), EC_PEM), BY_KEYS),
    "another key under a known id": (es(OTHER_EC_KEY), BY_KEYS),
    "an unknown key id": (es(kid="ec-2"), BY_KEYS),
    "no key id": (es(kid=None), BY_KEYS),
    "a key id that is a number": (raw({"alg": "ES256", "kid": 1}, claims()), BY_KEYS),
    "another key's id": (es(kid="rsa-1"), BY_KEYS),
    "a key of the project that is for encryption": (es(ENC_KEY, "enc-1"), BY_KEYS),
    "none where keys are used": (raw({"alg": "none", "kid": "ec-1"}, claims()), BY_KEYS),
    "no issuer where keys are used": (es(iss=...), BY_KEYS),
    "a key that it brings along": (
        jwt.encode(
            claims(),
            OTHER_EC_KEY,
            "ES256",
            headers={"jwk": json.loads(jwt.algorithms.ECAlgorithm.to_jwk(OTHER_EC_KEY.public_key()))},
        ),
        BY_KEYS,
    ),
    "an address of keys that it brings along": (
        jwt.encode(
            claims(), OTHER_EC_KEY, "ES256", headers={"kid": "x", "jku": "https://evil.example/jwks.json"}
        ),
        BY_KEYS,
    ),
    "RS512": (es(RSA_KEY, "rsa-1", "RS512"), BY_KEYS),
    "PS256": (es(RSA_KEY, "rsa-1", "PS256"), BY_KEYS),
}


@pytest.mark.parametrize(("token", "verifier"), FORGED.values(), ids=FORGED)
def test_a_forged_token_is_refused(token: str, verifier: Verifier) -> None:
    """Wrong algorithms, wrong keys, keys that a token brings along, broken parts: 401 each."""
    with pytest.raises(Unauthorized):
        authenticate(f"Bearer {token}", verifier)


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Bearer a.b",
        "Bearer a.b.c.d",
        "Bearer ..",
        "Basic dXNlcjpwYXNz",
        "Token " + hs(),
        hs(),
        "Bearer " + hs() + " ",
        "Bearer " + hs() + ", Bearer " + hs(),
        "Bearer\t" + hs(),
        "Bearer sb_secret_0123456789",
        "Bearer sb_publishable_0123456789",
        "Bearer é.é.é",
        "Bearer " + hs().replace("e", "е", 1),  # a Cyrillic letter
    ],
)
def test_a_malformed_header_is_refused(header: str | None) -> None:
    """No header, another scheme, an API key, two tokens: 401, with the same sentence."""
    with pytest.raises(Unauthorized) as refused:
        authenticate(header, BY_SECRET)
    assert str(refused.value) == str(Unauthorized())


def test_the_corpus_is_large() -> None:
    """At least forty bad tokens are tried."""
    assert len(SAME_FOR_BOTH) + len(FORGED) >= 40


@pytest.mark.parametrize(
    ("make", "verifier"),
    [
        (lambda: hs(), BY_SECRET),
        (lambda: hs(iss=...), BY_SECRET),  # local tokens carry none
        (lambda: hs(is_anonymous=...), BY_SECRET),
        (lambda: hs(exp=now() - 5), BY_SECRET),
        (lambda: hs(iat=now() + 5), BY_SECRET),
        (lambda: es(), BY_KEYS),
        (lambda: es(RSA_KEY, "rsa-1", "RS256"), BY_KEYS),
    ],
)
def test_a_good_token_names_its_user(make: Callable[[], str], verifier: Verifier) -> None:
    """What Supabase signs for a signed-in user is accepted, with ten seconds of leeway."""
    token = make()
    assert authenticate(f"Bearer {token}", verifier) == UUID(USER)
    assert authenticate(f"bearer  {token}", verifier) == UUID(USER)


class Served:
    """A JWKS address that counts who asks, and can be down."""

    def __init__(self) -> None:
        self.asked = 0
        self.answer = httpx.Response(200, json=JWKS)

    def __call__(self, _: httpx.Request) -> httpx.Response:
        self.asked += 1
        return self.answer


def test_unknown_key_ids_do_not_make_us_fetch() -> None:
    """In half a minute a hundred tokens with a hundred unknown keys cost one fetch, and another after it."""
    served, clock = Served(), [1000.0]
    held = keys(served, clock)
    for number in range(100):
        with pytest.raises(jwt.InvalidKeyError):
            held.key(f"unknown-{number}")
        clock[0] += 0.3
    assert served.asked == 1
    clock[0] += 1
    with pytest.raises(jwt.InvalidKeyError):
        held.key("unknown")
    assert served.asked == 2


def test_a_known_key_waits_for_no_fetch() -> None:
    """While a stranger's key is looked for at an address that is silent, a known one answers at once."""
    fetching, known, gave_up = threading.Event(), threading.Event(), threading.Event()
    served, clock = Served(), [1000.0]

    def silent_the_second_time(request: httpx.Request) -> httpx.Response:
        if served.asked == 1:
            fetching.set()
            known.wait(5)
            gave_up.set()
            raise httpx.ReadTimeout("silent")
        return served(request)

    held = keys(silent_the_second_time, clock)
    held.key("ec-1")
    clock[0] += 31
    with ThreadPoolExecutor(1) as strangers:
        stranger = strangers.submit(held.key, "unknown")
        assert fetching.wait(5)
        assert held.key("ec-1").key_id == "ec-1"
        assert not gave_up.is_set()
        known.set()
        with pytest.raises(KeysUnavailable):
            stranger.result()


def test_keys_are_kept_for_ten_minutes() -> None:
    """A known key costs no fetch until its set is ten minutes old; a rotated-out key is then unknown."""
    served, clock = Served(), [1000.0]
    held = keys(served, clock)
    for _ in range(10):
        assert held.key("ec-1").key_id == "ec-1"
        clock[0] += 60
    assert served.asked == 1
    served.answer = httpx.Response(200, json={"keys": JWKS["keys"][1:]})
    clock[0] += 60
    with pytest.raises(jwt.InvalidKeyError):
        held.key("ec-1")
    assert served.asked == 2


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(500),
        httpx.Response(302, headers={"location": "https://evil.example/"}),
        httpx.Response(200, text="<html>"),
        httpx.Response(200, json=[]),
        httpx.Response(200, json={"keys": []}),
        httpx.Response(200, json={"keys": "x"}),
        httpx.Response(200, json={"keys": [1]}),
    ],
)
def test_keys_that_cannot_be_fetched_are_an_outage_and_no_refusal(answer: httpx.Response) -> None:
    """Whether a token is good cannot be told then; the address is left alone for five seconds."""
    served, clock = Served(), [1000.0]
    served.answer = answer
    held = keys(served, clock)
    for _ in range(3):
        with pytest.raises(KeysUnavailable):
            authenticate(f"Bearer {es()}", JwksVerifier(held, ISSUER))
    assert served.asked == 1
    served.answer = httpx.Response(200, json=JWKS)
    clock[0] += 6
    assert authenticate(f"Bearer {es()}", JwksVerifier(held, ISSUER)) == UUID(USER)
