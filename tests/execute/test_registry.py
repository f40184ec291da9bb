"""The registry of checks is what the database decides, too."""

from __future__ import annotations

from functions.execute.checks import CHECKS
from tests.people import OPEN_POLICY, People


def test_every_check_is_reported_in_order_with_its_facts(people: People) -> None:
    """An execution keeps every check of the registry, in its order, with the facts that it names."""
    owner = people.owner()
    execution = people.approve(owner, people.proposal(owner)).body["execution"]
    assert [verdict["check"] for verdict in execution["checks"]] == [check.name for check in CHECKS]
    for verdict, check in zip(execution["checks"], CHECKS, strict=True):
        if verdict["verdict"] == "PASSED":
            assert set(verdict["facts"]) == set(check.facts), check.name


def test_every_check_is_reported_when_one_fails(people: People) -> None:
    """A refusal reports every check of the registry, in its order, and codes that it lists."""
    owner = people.owner({**OPEN_POLICY, "allowlist": []})
    answer = people.approve(owner, people.proposal(owner))
    assert answer.status == 422
    assert [verdict["check"] for verdict in answer.body["checks"]] == [check.name for check in CHECKS]
    codes = {check.name: check.codes for check in CHECKS}
    assert all(v["code"] in codes[v["check"]] for v in answer.body["checks"] if v["code"])
