"""A proposal is executed at most once, however often and however many at once ask for it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from tests.people import People


def test_a_second_approval_is_refused_and_answers_with_the_first_ones_execution(people: People) -> None:
    """The second approval of a proposal places nothing and answers 409 with the stored execution."""
    owner = people.owner()
    proposal = people.proposal(owner)

    first = people.approve(owner, proposal)
    second = people.approve(owner, proposal)

    assert first.status == 200, first.body
    assert first.body["execution"]["status"] == "FILLED"
    assert (second.status, second.body["code"]) == (409, "ALREADY_EXECUTED")
    assert second.body["execution"]["id"] == first.body["execution"]["id"]
    assert len(people.orders(proposal)) == 1


def test_of_five_concurrent_approvals_one_succeeds(people: People) -> None:
    """Five approvals at once make one order; the other four are told that there is an execution."""
    owner = people.owner()
    proposal = people.proposal(owner)

    with ThreadPoolExecutor(5) as pool:
        answers = list(pool.map(lambda _: people.approve(owner, proposal), range(5)))

    assert sorted(answer.status for answer in answers) == [200, 409, 409, 409, 409], [a.body for a in answers]
    refusals = {answer.body["code"] for answer in answers if answer.status == 409}
    assert refusals <= {"EXECUTION_IN_PROGRESS", "ALREADY_EXECUTED"}
    assert len(people.orders(proposal)) == 1


def test_the_order_carries_the_id_that_anyone_can_compute_from_the_proposal(people: People) -> None:
    """The execution's id is the clientOrderId and follows from the proposal's id alone."""
    owner = people.owner()
    proposal = people.proposal(owner)

    execution = people.approve(owner, proposal).body["execution"]

    (order,) = people.orders(proposal)
    assert str(order.client_order_id) == execution["id"]
    assert execution["idempotency_key"] == str(proposal)
