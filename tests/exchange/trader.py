"""A Bitvavo client of a few lines, written from the documentation and from nothing in `local`."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any
from urllib.parse import urlencode

import httpx

OPERATOR_ID = 7


@dataclass
class Trader:
    """Signs each request with `key` and `secret` at the time that `now_ms` gives."""

    base_url: str
    key: str
    secret: str
    now_ms: Callable[[], int]
    http: httpx.Client

    def get(self, path: str, **params: object) -> httpx.Response:
        return self.send("GET", path, params)

    def delete(self, path: str, **params: object) -> httpx.Response:
        return self.send("DELETE", path, params)

    def order(self, **fields: object) -> httpx.Response:
        """POST /order with our operator id unless the fields say otherwise; None leaves a field out."""
        body = {"operatorId": OPERATOR_ID, **fields}
        return self.post("/order", {name: value for name, value in body.items() if value is not None})

    def post(self, path: str, body: object) -> httpx.Response:
        return self.send("POST", path, {}, json.dumps(body, separators=(",", ":")).encode())

    def send(
        self,
        method: str,
        path: str,
        params: Mapping[str, object],
        body: bytes = b"",
        changed: Mapping[str, str] = MappingProxyType({}),
        signed_at: str | None = None,
    ) -> httpx.Response:
        """One request signed now or at another time; `changed` replaces access headers after signing."""
        target = f"/v2{path}" + (f"?{urlencode(params)}" if params else "")
        timestamp = signed_at or str(self.now_ms())
        signed = f"{timestamp}{method}{target}".encode() + body
        access = {
            "key": self.key,
            "timestamp": timestamp,
            "signature": hmac.new(self.secret.encode(), signed, hashlib.sha256).hexdigest(),
            "window": "10000",
            **changed,
        }
        headers = {f"Bitvavo-Access-{name}": value for name, value in access.items()}
        headers["Content-Type"] = "application/json"
        return self.http.request(method, self.base_url + target, headers=headers, content=body)


def ok(response: httpx.Response) -> Any:
    """The JSON of an answer that must be 200."""
    assert response.status_code == 200, response.text
    return response.json()


def refusal(response: httpx.Response) -> tuple[int, int]:
    """HTTP status and error code of an answer that must be a refusal in the exchange's form."""
    body = response.json()
    assert set(body) == {"errorCode", "error"}
    return response.status_code, body["errorCode"]
