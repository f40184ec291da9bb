"""What a local world is made of is read from the shell; what cannot be is refused before it starts."""

from __future__ import annotations

from typing import get_args

import pytest

from local.errors import LocalWorldError
from local.stack import Stack
from local.world import Options, environment
from shared.environment import FunctionName, load

pytestmark = pytest.mark.unit

BASE = Stack(
    name="unit",
    supabase_url="http://127.0.0.1:1",
    publishable_key="publishable",
    database_url="postgresql://127.0.0.1:1/postgres",
    secret_key="secret",
    jwt_secret="signs",
    admin_url="postgresql://127.0.0.1:1/postgres",
)


@pytest.mark.parametrize("function", get_args(FunctionName))
def test_messages_go_to_a_receiver_on_this_machine(function: FunctionName) -> None:
    """Each function is given the address, and starts with it."""
    options = Options.from_environment({"NOTIFY_URL": "http://127.0.0.1:8000/alerts"})
    environ = environment(function, BASE, "http://127.0.0.1:2/v2", "http://127.0.0.1:3/v1", options)
    given = {name: value for name, value in environ.items() if name.isupper()}
    assert load(function, given).notify_url == "http://127.0.0.1:8000/alerts"


def test_a_receiver_that_would_be_told_in_the_clear_is_refused() -> None:
    """The sentence names the variable and not its value, which is a secret."""
    with pytest.raises(LocalWorldError, match=r"^NOTIFY_URL must begin with https") as refused:
        Options.from_environment({"NOTIFY_URL": "http://example.com/alerts"})
    assert "example.com" not in str(refused.value)
