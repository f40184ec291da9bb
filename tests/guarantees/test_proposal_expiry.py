"""A proposal that was not approved in time can no longer be approved."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.people import People

_PAST: dict[str, Any] = {
    "created_at": datetime.now(UTC) - timedelta(hours=2),
    "expires_at": datetime.now(UTC) - timedelta(hours=1),
}


def test_cleanup_marks_a_proposal_past_its_time_expired(people: People) -> None:
    """The proposal becomes EXPIRED; one that still has time stays PENDING."""
    owner = people.owner()
    late, open_ = people.proposal(owner, **_PAST), people.proposal(owner)

    summary = people.run("cleanup")

    status = {row["id"]: row["status"] for row in owner.read("trade_proposals")}
    assert status == {str(late): "EXPIRED", str(open_): "PENDING"}
    assert int(summary["proposals_expired"]) >= 1


def test_an_expired_proposal_is_refused_before_any_cleanup(people: People) -> None:
    """The time itself refuses the approval; nobody has to mark it first."""
    owner = people.owner()
    proposal = people.proposal(owner, **_PAST)

    answer = people.approve(owner, proposal)

    assert answer.status == 422
    assert "PROPOSAL_EXPIRED" in answer.codes
    assert people.orders(proposal) == []


def test_a_declined_proposal_is_refused(people: People) -> None:
    """Declining is final, and only the owner's own."""
    owner, other = people.owner(), people.owner()
    proposal = people.proposal(owner)

    declined = owner.call("decline_proposal", p_proposal_id=str(proposal))
    answer = people.approve(owner, proposal)

    assert declined["outcome"] == "declined"
    assert "PROPOSAL_NOT_PENDING" in answer.codes
    assert (
        other.http.post("/rest/v1/rpc/decline_proposal", json={"p_proposal_id": str(proposal)}).status_code
        == 404
    )
