"""An approval as anybody would write it: the same calls as `execute` makes, and no check of its own.

One HTTP client for everything, made when the instance starts; the database is asked through `postgrest`.
"""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import functions_framework
import httpx
import jwt
from flask import Request
from postgrest import SyncPostgrestClient
from pydantic import BaseModel

from bench import bare


class Approval(BaseModel):
    """The body of a request."""

    proposalId: UUID  # noqa: N815 - as it is sent


_url, _key = os.environ["SUPABASE_URL"], os.environ["SUPABASE_SECRET_KEY"]
_exchange = os.environ["BITVAVO_REST_URL"]
_trade_key, _trade_secret = os.environ["BITVAVO_TRADE_KEY"], os.environ["BITVAVO_TRADE_SECRET"]
_operator_id = int(os.environ["BITVAVO_OPERATOR_ID"])
_http = httpx.Client(timeout=10.0)
_database = SyncPostgrestClient(
    f"{_url}/rest/v1", headers={"apikey": _key, "Authorization": f"Bearer {_key}"}, http_client=_http
)


@functions_framework.http
def approve(request: Request) -> tuple[dict[str, Any], int]:
    """Begin, look at the market, claim, order, record, answer; a GET says that it is ready."""
    if request.method == "GET":
        return {}, 200
    token = request.headers["Authorization"].removeprefix("Bearer ")
    secret = os.environ["SUPABASE_JWT_SECRET"]
    user = jwt.decode(token, secret, algorithms=["HS256"], audience="authenticated")["sub"]
    proposal = str(Approval.model_validate_json(request.get_data()).proposalId)

    asked = bare.begin(user, proposal, _operator_id, _trade_key)
    begun = _call("begin_execution", asked)
    market = begun["proposal"]["market"]
    lookup = f"/order?market={market}&clientOrderId={bare.execution_id(proposal)}"
    with ThreadPoolExecutor(4) as side_by_side:
        facts = [
            side_by_side.submit(_ask, "GET", "/time"),
            side_by_side.submit(_ask, "GET", f"/markets?market={market}"),
            side_by_side.submit(_ask, "GET", f"/ticker/book?market={market}"),
            side_by_side.submit(_ask, "GET", lookup, int(time.time() * 1000)),
        ]
        clock, *_ = [fact.result() for fact in facts]

    claim = bare.claim(asked, begun, _exchange, clock["time"])
    claimed = _call("claim_execution", claim)
    if claimed["outcome"] != "claimed":
        return claimed, 409
    execution = claimed["execution"]
    order = _ask("POST", "/order", execution["access_timestamp"], execution["request"]["body"])
    return _call("record_execution_result", bare.record(execution, order)), 200


def _call(rpc: str, params: dict[str, Any]) -> Any:
    return _database.rpc(rpc, params).execute().data


def _ask(method: str, path: str, timestamp_ms: int | None = None, body: str = "") -> Any:
    headers = {"Content-Type": "application/json"} if body else {}
    if timestamp_ms is not None:
        target = f"{urlsplit(_exchange).path}{path}"
        headers |= bare.signed(_trade_key, _trade_secret, int(timestamp_ms), method, target, body)
    return _http.request(method, f"{_exchange}{path}", headers=headers, content=body or None).json()
