"""The OpenAPI document is what execute serves, to the letter."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import schemathesis
import yaml  # type: ignore[import-untyped]

from functions.execute.checks import Word
from functions.execute.outcome import Status
from functions.execute.request import ROUTES
from tests.unit.execute_world import PROPOSAL, World, token

pytestmark = pytest.mark.unit

PATH = Path("docs/openapi.yaml")
DOCUMENT: dict[str, Any] = yaml.safe_load(PATH.read_text())
WORLD = World()
SCHEMA = schemathesis.openapi.from_dict(DOCUMENT)
SCHEMA.app = WORLD.app
EVERY_OTHER_UUID = re.compile("[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{11}[02468aceACE]")


def test_the_document_lists_the_routes_that_are_served() -> None:
    """No path or method is served that the document does not describe, and none the other way round."""
    documented = {(path, method.upper()) for path, methods in DOCUMENT["paths"].items() for method in methods}
    served = {(path, method) for path, (method, _) in ROUTES.items()} | {(path, "OPTIONS") for path in ROUTES}
    assert documented == served


def test_the_document_lists_the_words_that_are_said() -> None:
    """States and verdicts are enumerated in the document as they are in the code."""
    schemas = DOCUMENT["components"]["schemas"]
    assert set(schemas["Verdict"]["properties"]["verdict"]["enum"]) == {word.value for word in Word}
    assert set(schemas["Execution"]["properties"]["status"]["enum"]) == {
        "CLAIMED",
        "DRY_RUN",
        *(status.value for status in Status),
    }


@SCHEMA.parametrize()
def test_no_request_at_all_gets_an_answer_that_is_not_described(case: Any) -> None:
    """Whatever is sent, with and without a good token: described status, head and body, and never a 500."""
    WORLD.database.execution = None
    WORLD.exchange.orders.clear()
    WORLD.clock.sleep(10)
    if case.headers and "Authorization" in case.headers:
        case.headers["Authorization"] = f"Bearer {token()}"
    if isinstance(case.body, dict) and EVERY_OTHER_UUID.fullmatch(str(case.body.get("proposalId"))):
        case.body["proposalId"] = str(PROPOSAL)
    case.call_and_validate()


@pytest.mark.parametrize("user", [None, UUID(int=1)])
def test_the_documents_example_is_served(user: UUID | None) -> None:
    """A stranger gets 403, the owner an answer of the document."""
    case = SCHEMA["/"]["POST"].Case(
        body={"proposalId": str(PROPOSAL)},
        headers={"Authorization": f"Bearer {token(user) if user else token()}"},
    )
    case.call_and_validate()
