"""An owner of the local world, who does what an owner does: through Supabase's API, with their own token."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import Any

import httpx

from local.errors import LocalWorldError
from local.stack import Stack


@dataclass(frozen=True)
class Owner:
    """A signed-in user. The token is good for an hour."""

    user_id: str
    email: str
    password: str = field(repr=False)
    token: str = field(repr=False)
    http: httpx.Client = field(repr=False)
    """Talks to the Supabase API as this user."""

    def call(self, rpc: str, **parameters: object) -> Any:
        """Call an owner's RPC; its answer. Raises LocalWorldError with what the database said."""
        return _json(self.http.post(f"/rest/v1/rpc/{rpc}", json=parameters))

    def read(self, table: str, **query: str) -> list[dict[str, Any]]:
        """Own rows of a table or view, as PostgREST filters them."""
        rows: list[dict[str, Any]] = _json(self.http.get(f"/rest/v1/{table}", params=query))
        return rows

    def bearer(self) -> dict[str, str]:
        """The header that execute asks for."""
        return {"Authorization": f"Bearer {self.token}"}


def create_user(stack: Stack, email: str, note: str | None = None) -> Owner:
    """Create a user through the auth API with the secret key, and name them an owner if a note is given."""
    password = secrets.token_urlsafe(12)
    with _admin(stack) as admin:
        user = _json(
            admin.post(
                "/auth/v1/admin/users", json={"email": email, "password": password, "email_confirm": True}
            )
        )
        if note is not None:
            _json(
                admin.post("/rest/v1/trading_owners", json={"user_id": user["id"], "note": note}),
                empty=True,
            )
    http = httpx.Client(
        base_url=stack.supabase_url, headers={"apikey": stack.publishable_key}, trust_env=False, timeout=10.0
    )
    session = _json(
        http.post(
            "/auth/v1/token",
            params={"grant_type": "password"},
            json={"email": email, "password": password},
        )
    )
    token = str(session["access_token"])
    http.headers["Authorization"] = f"Bearer {token}"
    return Owner(str(user["id"]), email, password, token, http)


def _admin(stack: Stack) -> httpx.Client:
    return httpx.Client(
        base_url=stack.supabase_url,
        headers={"apikey": stack.secret_key, "Authorization": f"Bearer {stack.secret_key}"},
        trust_env=False,
        timeout=10.0,
    )


def _json(response: httpx.Response, *, empty: bool = False) -> Any:
    if response.is_success:
        return None if empty else response.json()
    try:
        body = response.json()
    except ValueError:
        body = {}
    said = ": ".join(
        str(body[key])
        for key in ("message", "msg", "error_description", "details", "detail")
        if body.get(key)
    )
    raise LocalWorldError(
        f"{response.request.url.path} answered {response.status_code}: {said or 'nothing'}."
    )
