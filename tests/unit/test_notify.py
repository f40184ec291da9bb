"""A message to a person is tried once and never gets in the way."""

import json

import httpx
import pytest
import respx

from shared.log import configure
from shared.notify import notify

pytestmark = pytest.mark.unit

URL = "https://hooks.example.com/services/very-secret-path"


@respx.mock
def test_it_posts_one_short_message() -> None:
    """The text arrives as the JSON that chat webhooks read."""
    route = respx.post(URL).respond(200)
    notify(URL, "trading is halted")
    assert json.loads(route.calls.last.request.content) == {"text": "trading is halted"}


def test_without_an_address_nothing_happens() -> None:
    """No address, no request."""
    with respx.mock(assert_all_called=False) as router:
        notify(None, "trading is halted")
        assert not router.calls


@respx.mock
@pytest.mark.parametrize(
    "failure", [httpx.ConnectError("no"), httpx.ReadTimeout("late"), httpx.Response(500)]
)
def test_a_failure_is_logged_without_the_address(
    failure: Exception | httpx.Response, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever goes wrong is one log line that does not hold the address, and nothing is raised."""
    configure("cleanup")
    route = respx.post(URL)
    if isinstance(failure, Exception):
        route.mock(side_effect=failure)
    else:
        route.mock(return_value=failure)
    notify(URL, "trading is halted")
    out = capsys.readouterr().out
    assert "notify_failed" in out
    assert "very-secret-path" not in out
    assert route.call_count == 1
