"""What `make serve` stores stays from one run to the next, however the last one ended."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx
import psycopg
import pytest

from local import stack
from local.errors import LocalWorldError
from local.owner import create_user
from local.processes import Child
from local.stack import KEPT, LOCAL, Stack, forget, running, set_mode

NAME = "kept-test"
EMAIL = "kept@interlock.local"


@pytest.fixture
def forgotten() -> Iterator[None]:
    """Nothing of an earlier test is there, and nothing is left."""
    forget(NAME)
    yield
    forget(NAME)


def _signs_in(served: Stack, password: str) -> bool:
    return httpx.post(
        f"{served.supabase_url}/auth/v1/token?grant_type=password",
        headers={"apikey": served.publishable_key},
        json={"email": EMAIL, "password": password},
        trust_env=False,
    ).is_success


@pytest.mark.soak
@pytest.mark.usefixtures("forgotten")
def test_the_database_goes_on() -> None:
    """Users, keys and rows stay, also when Postgres is killed; a halt stays a halt; FRESH=1 forgets them."""
    with running(NAME, kept=True) as first:
        assert not first.goes_on
        owner = create_user(first, EMAIL, note="whose rows stay")
        stack.seed_controls(first.database_url)
        with psycopg.connect(first.database_url, autocommit=True) as database:
            database.execute("select public.halt_trading('before the power went')")
        server = Child.from_pid_file(first.folder / "postgres.pid")
        assert server is not None
        server.kill()

    with running(NAME, kept=True) as second:
        assert second.goes_on
        assert (second.secret_key, second.jwt_secret) == (first.secret_key, first.jwt_secret)
        assert _signs_in(second, owner.password)
        set_mode(second.database_url, "dry_run")
        with psycopg.connect(second.database_url) as database:
            controls = database.execute("select trading_state, mode from public.trading_controls").fetchone()
            shown = database.execute("show fsync").fetchone()
        assert controls == ("HALTED", "dry_run")
        assert shown == ("on",)

    left = LOCAL / NAME / KEPT / "left.json"
    stored = json.loads(left.read_text())
    name = min(stored["migrations"])
    left.write_text(json.dumps(stored | {"migrations": {**stored["migrations"], name: "another"}}))
    with pytest.raises(LocalWorldError, match=f"another version.*{name}"), running(NAME, kept=True):
        pass
    assert left.exists()

    forget(NAME)
    with running(NAME, kept=True) as anew:
        assert not anew.goes_on
        assert not _signs_in(anew, owner.password)
