"""What an approval says to the database and to the exchange, said without a check in between.

The standard library alone: the reference function imports it and is not to start slower for it.
"""

from __future__ import annotations

import hmac
import json
import uuid
from collections.abc import Mapping
from decimal import ROUND_DOWN, Decimal
from hashlib import sha256
from typing import Any

ACCESS_WINDOW_MS = 5000
_NAMESPACE = uuid.UUID("7f0c1d8e-5a3b-5c1e-9a64-1b2f3c4d5e6f")
MARKET_CHECKS = (
    "price_moved",
    "spread",
    "limit_collar",
    "market_trading",
    "market_minimum",
    "order_exists",
    "clock",
    "window",
)


def execution_id(proposal_id: str) -> str:
    """The id of a proposal's execution, which its order carries."""
    return str(uuid.uuid5(_NAMESPACE, proposal_id))


def begin(user_id: str, proposal_id: str, operator_id: int, trade_key: str) -> dict[str, object]:
    """The parameters of `begin_execution`."""
    return {
        "p_user_id": user_id,
        "p_proposal_id": proposal_id,
        "p_mode": "live",
        "p_operator_id": operator_id,
        "p_trade_key_fingerprint": sha256(trade_key.encode()).hexdigest()[:16],
        "p_override_cooldown": False,
        "p_override_anti_flip": False,
    }


def market_checks(price: str) -> list[dict[str, object]]:
    """All verdicts that a claim is handed: nobody has looked."""
    facts = {"reference_price": price, "current_price": price, "max_price_move_percent": "1.0"}
    return [
        {
            "check": name,
            "verdict": "NOT_APPLICABLE" if name == "limit_collar" else "PASSED",
            "code": None,
            "facts": facts,
        }
        for name in MARKET_CHECKS
    ]


def claim(
    asked: Mapping[str, object],
    begun: Mapping[str, Any],
    exchange_url: str,
    time_ms: int,
    checks: list[dict[str, object]] | None = None,
) -> dict[str, object]:
    """The parameters of `claim_execution`, given those of `begin_execution` and its answer: a buy."""
    proposal = begun["proposal"]
    price, value = Decimal(proposal["reference_price"]), Decimal(proposal["amount_quote"])
    amount = ((value - Decimal("0.10")) / (price * Decimal("1.0025"))).quantize(Decimal("1e-8"), ROUND_DOWN)
    order = {
        "market": proposal["market"],
        "side": "buy",
        "orderType": "limit",
        "operatorId": asked["p_operator_id"],
        "clientOrderId": execution_id(str(asked["p_proposal_id"])),
        "amount": f"{amount:f}",
        "price": f"{price:f}",
        "timeInForce": "IOC",
    }
    return {
        **asked,
        "p_attempt_id": str(uuid.uuid4()),
        "p_exchange_url": exchange_url,
        "p_policy_hash": begun["policy_hash"],
        "p_access_timestamp": time_ms,
        "p_access_window_ms": ACCESS_WINDOW_MS,
        "p_order_value": f"{value:f}",
        "p_request_body": json.dumps(order, separators=(",", ":")),
        "p_market_checks": market_checks(f"{price:f}") if checks is None else checks,
    }


def record(execution: Mapping[str, Any], order: Mapping[str, object]) -> dict[str, object]:
    """The parameters of `record_execution_result`, given what was claimed and the exchange's order."""
    return {
        "p_execution_id": execution["id"],
        "p_actor": "execute",
        "p_attempt_id": execution["attempt_id"],
        "p_outcome": "placed",
        "p_order": order,
        "p_response": {"http_status": "200", "body": order},
        "p_error_code": None,
    }


def filled(execution: Mapping[str, Any]) -> dict[str, object]:
    """The order object of a claimed execution, as the exchange answers when it is filled at once."""
    sent = json.loads(execution["request"]["body"])
    value = Decimal(sent["amount"]) * Decimal(sent["price"])
    return {
        **sent,
        "orderId": str(uuid.uuid4()),
        "status": "filled",
        "filledAmount": sent["amount"],
        "filledAmountQuote": f"{value:f}",
        "feePaid": f"{value * Decimal('0.0025'):f}",
        "feeCurrency": "EUR",
        "fills": [{"id": str(uuid.uuid4()), "settled": True}],
        "created": int(execution["access_timestamp"]),
        "updated": int(execution["access_timestamp"]) + 50,
    }


def signed(
    key: str, secret: str, timestamp_ms: int, method: str, target: str, body: str = ""
) -> dict[str, str]:
    """The headers of a signed request; `target` is the path with its query, from `/v2` on."""
    message = f"{timestamp_ms}{method}{target}{body}".encode()
    return {
        "Bitvavo-Access-Key": key,
        "Bitvavo-Access-Timestamp": str(timestamp_ms),
        "Bitvavo-Access-Window": str(ACCESS_WINDOW_MS),
        "Bitvavo-Access-Signature": hmac.new(secret.encode(), message, sha256).hexdigest(),
    }
