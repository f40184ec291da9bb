"""What a person reads: one sentence that says what happened, at which price, and why."""

from __future__ import annotations

from typing import Any

from shared.notices import proposed, told


def _ended(**changed: Any) -> dict[str, Any]:
    return {
        "kind": "FILLED",
        "execution_id": "e",
        "market": "BTC-EUR",
        "side": "buy",
        "status": "FILLED",
        "amount": "0.002",
        "amount_quote": "100.00",
        "price": "50000.00",
        "fee": "0.25",
        "fee_currency": "EUR",
        "reason": "the trend is up",
        **changed,
    }


def test_a_proposal_has_price_reason_and_the_command_that_approves_it() -> None:
    """An owner decides by it, on a phone."""
    row = {
        "id": "p",
        "side": "buy",
        "market": "BTC-EUR",
        "asset": "BTC",
        "amount_quote": "10.00",
        "reference_price": "50000",
        "confidence": "80",
        "expires_at": "2026-03-02T12:15:00+00:00",
        "rationale": "the trend is up",
    }
    assert proposed(row) == (
        "Proposal: buy 10.00 EUR of BTC-EUR at 50000 EUR, confidence 80. It expires at 2026-03-02 12:15 UTC. "
        'Why: "the trend is up" ./interlock approve p'
    )


def test_a_fill_has_price_and_reason() -> None:
    """Bought or sold, whole or in part, and what it cost."""
    assert told(_ended()) == (
        "Bought 0.002 in BTC-EUR at 50000.00 EUR, 100.00 EUR in all, fee 0.25 EUR (execution e). "
        'Why: "the trend is up"'
    )
    partly = told(_ended(side="sell", status="CANCELED", reason="x" * 900))
    assert partly.startswith("Sold 0.002 in BTC-EUR at 50000.00 EUR")
    assert '(execution e). The rest was not: CANCELED. Why: "xxx' in partly
    assert len(partly) < 500


def test_the_end_of_an_unknown_fate_says_what_came_of_it() -> None:
    """Nothing was filled: there is no price to tell."""
    ended = _ended(kind="SETTLED", status="NOT_PLACED", amount="0", amount_quote="0", price=None)
    assert (
        told(ended)
        == "The fate of the buy in BTC-EUR (execution e) is known: NOT_PLACED, nothing was filled."
    )


def test_a_scan_that_stopped_says_whose_and_why() -> None:
    """Somebody has to switch it on again."""
    stopped = {"kind": "SCAN_STOPPED", "user_id": "u", "reason": "disabled after ten failures in a row"}
    assert told(stopped) == "The scan of owner u has stopped: disabled after ten failures in a row."
