"""The stack behaves as a hosted project does, starts over after every way of dying, and leaves nothing."""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import jwt
import psycopg
import pytest

from local.processes import Child, identify
from local.stack import REPOSITORY, Stack, drop_database, fresh_database
from local.world import World

PASSWORD = "correct horse battery"
VARIABLES = {
    "DATABASE_URL",
    "SUPABASE_URL",
    "SUPABASE_PUBLISHABLE_KEY",
    "SUPABASE_SECRET_KEY",
    "SUPABASE_JWT_SECRET",
}


FUNCTIONS = """
    create function public.probe(p_object jsonb, p_list jsonb, p_big bigint, p_exact numeric)
    returns jsonb language sql as $$
        select jsonb_build_array(jsonb_typeof(p_object), p_list, p_big::text, p_exact::text)
    $$;
    create function public.refuse() returns jsonb language plpgsql as $$
    begin
        raise sqlstate 'PT404' using message = 'NOT_HERE', detail = 'It is gone.', hint = 'Look.';
    end
    $$;
    grant execute on function public.probe, public.refuse to service_role
"""


@pytest.fixture(scope="module")
def stack(place: World) -> Stack:
    """The stack of the world that all tests share."""
    return place.stack


@pytest.fixture(scope="module")
def api(stack: Stack) -> Iterator[httpx.Client]:
    """A client of the stack that brings no key of its own."""
    with httpx.Client(base_url=stack.supabase_url, trust_env=False, timeout=15) as client:
        yield client


@pytest.fixture
def functions(stack: Stack, api: httpx.Client) -> Iterator[None]:
    """Functions that no migration brings, seen by the API without a restart, as on a hosted project."""
    with psycopg.connect(stack.database_url, autocommit=True) as connection:
        connection.execute(FUNCTIONS)
        try:
            deadline = time.monotonic() + 5
            while api.post("/rest/v1/rpc/refuse", headers=as_operator(stack)).json()["code"] == "PGRST202":
                assert time.monotonic() < deadline, "the API never saw the new function"
                time.sleep(0.02)
            yield
        finally:
            connection.execute("drop function public.probe, public.refuse")


def as_operator(stack: Stack) -> dict[str, str]:
    return {"apikey": stack.secret_key}


def as_anyone(stack: Stack) -> dict[str, str]:
    return {"apikey": stack.publishable_key}


class TestUsers:
    """Only the operator makes users; their tokens can be verified with the shared secret."""

    @pytest.mark.parametrize("route", ["signup", "otp", "magiclink", "admin/users"])
    def test_nobody_signs_up(self, stack: Stack, api: httpx.Client, route: str) -> None:
        """A stranger who knows the publishable key makes no user by any route."""
        answer = api.post(
            f"/auth/v1/{route}",
            headers=as_anyone(stack),
            json={"email": "stranger@example.com", "password": PASSWORD},
        )
        assert answer.status_code in (401, 422)
        with psycopg.connect(stack.admin_url) as admin:
            found = admin.execute("select from auth.users where email = 'stranger@example.com'").fetchall()
        assert found == []

    def test_the_operator_makes_a_user_who_signs_in(self, stack: Stack, api: httpx.Client) -> None:
        """The secret key makes a user, whose access token is HS256 with the stack's secret."""
        user = {"email": "owner@example.com", "password": PASSWORD, "email_confirm": True}
        made = api.post("/auth/v1/admin/users", headers=as_operator(stack), json=user)
        assert made.status_code == 200, made.text
        signed_in = api.post(
            "/auth/v1/token?grant_type=password",
            headers=as_anyone(stack),
            json={"email": user["email"], "password": PASSWORD},
        )
        assert signed_in.status_code == 200, signed_in.text
        claims = jwt.decode(
            signed_in.json()["access_token"],
            stack.jwt_secret,
            algorithms=["HS256"],
            audience="authenticated",
            options={"require": ["exp", "iat", "sub"]},
        )
        assert claims["sub"] == made.json()["id"]
        assert claims["role"] == "authenticated"

    def test_a_user_is_made_once(self, stack: Stack, api: httpx.Client) -> None:
        """A second user with the same address is refused, not silently merged."""
        user = {"email": "twice@example.com", "password": PASSWORD}
        answers = [
            api.post("/auth/v1/admin/users", headers=as_operator(stack), json=user).status_code
            for _ in range(2)
        ]
        assert answers == [200, 422]

    def test_a_wrong_password_is_refused(self, stack: Stack, api: httpx.Client) -> None:
        """Signing in takes the password that the operator chose."""
        user = {"email": "guessed@example.com", "password": PASSWORD}
        api.post("/auth/v1/admin/users", headers=as_operator(stack), json=user)
        answer = api.post(
            "/auth/v1/token?grant_type=password", headers=as_anyone(stack), json={**user, "password": "wrong"}
        )
        assert answer.status_code == 400


class TestDatabase:
    """The database answers as a hosted one: roles, limits, grants."""

    def test_the_role_of_migrations_is_no_superuser(self, stack: Stack) -> None:
        """A migration that needs more than hosted projects allow fails here too."""
        with psycopg.connect(stack.database_url) as connection:
            row = connection.execute(
                "select rolsuper, rolcreaterole, rolbypassrls from pg_roles where rolname = current_user"
            ).fetchone()
        assert row == (False, True, True)

    def test_a_new_table_gets_no_api_grants(self, stack: Stack, api: httpx.Client) -> None:
        """A grant that a migration forgets is missing here as it is hosted, also for the secret key."""
        with psycopg.connect(stack.database_url, autocommit=True) as connection:
            connection.execute("create table public.forgotten (id integer primary key)")
            connection.execute("alter table public.forgotten enable row level security")
            try:
                answers = [
                    api.get("/rest/v1/forgotten", headers=headers)
                    for headers in (as_operator(stack), as_anyone(stack))
                ]
            finally:
                connection.execute("drop table public.forgotten")
        assert [answer.json()["code"] for answer in answers] == ["42501", "42501"]

    def test_the_api_server_passes_on_no_rights(self, stack: Stack, api: httpx.Client) -> None:
        """After it has served requests, the API roles hold what they hold where only migrations have been."""
        grants = """
            select table_schema, table_name, grantee, privilege_type
            from information_schema.role_table_grants
            where table_schema in ('public', 'interlock')
                and grantee in ('anon', 'authenticated', 'service_role')
            order by 1, 2, 3, 4
        """
        assert api.get("/rest/v1/trading_controls", headers=as_operator(stack)).status_code == 200
        untouched = fresh_database(stack)
        try:
            with psycopg.connect(stack.admin_url) as served, psycopg.connect(untouched) as fresh:
                assert served.execute(grants).fetchall() == fresh.execute(grants).fetchall()
        finally:
            drop_database(stack, untouched)

    def test_requests_have_the_hosted_time_limits(self, stack: Stack) -> None:
        """A statement or a lock of the data API gives up after 8 s, as behind PostgREST."""
        with psycopg.connect(stack.admin_url) as admin:
            rows = admin.execute(
                "select rolname, rolconfig from pg_roles where rolname in ('authenticator', 'supabase_lite')"
            ).fetchall()
        for _role, settings in rows:
            assert {"statement_timeout=8s", "lock_timeout=8s"} <= set(settings)

    @pytest.mark.usefixtures("functions")
    def test_json_parameters_arrive_as_json(self, stack: Stack, api: httpx.Client) -> None:
        """An object sent to an RPC is an object there, and big numbers sent as text keep every digit."""
        answer = api.post(
            "/rest/v1/rpc/probe",
            headers=as_operator(stack),
            json={
                "p_object": {"a": ["1.10"]},
                "p_list": [{"check": "clock"}],
                "p_big": "9007199254740993",
                "p_exact": "0.10000000000000000001",
            },
        )
        assert answer.json() == [
            "object",
            [{"check": "clock"}],
            "9007199254740993",
            "0.10000000000000000001",
        ]

    @pytest.mark.usefixtures("functions")
    def test_an_error_of_ours_keeps_code_and_words(self, stack: Stack, api: httpx.Client) -> None:
        """PTxyz is the HTTP status xyz, with message, details and hint."""
        answer = api.post("/rest/v1/rpc/refuse", headers=as_operator(stack), json={})
        assert answer.status_code == 404
        assert answer.json() == {
            "code": "PT404",
            "message": "NOT_HERE",
            "details": "It is gone.",
            "hint": "Look.",
        }

    def test_the_dashboard_page_is_there(self, api: httpx.Client) -> None:
        """A person who opens the address in a browser gets a page."""
        answer = api.get("/")
        assert answer.status_code == 200
        assert "<html" in answer.text

    def test_the_dashboard_page_lists_views_beside_tables(self, api: httpx.Client, stack: Stack) -> None:
        """Every table and view of the schema public can be opened."""
        listed = {
            table["name"]
            for table in api.get("/_system/introspect").json()["tables"]
            if table["schema"] == "public"
        }
        with psycopg.connect(stack.database_url) as connection:
            made = connection.execute(
                "select table_name from information_schema.tables where table_schema = 'public'"
            ).fetchall()
        assert "unsettled_executions" in listed
        assert listed == {name for (name,) in made}


class TestFreshDatabases:
    """Tests get databases of their own, at once, untouched by the API server."""

    def test_they_share_nothing(self, stack: Stack) -> None:
        """What one test writes, no other sees."""
        first, second = fresh_database(stack), fresh_database(stack)
        try:
            with psycopg.connect(first) as one, psycopg.connect(second) as two:
                one.execute("update public.trading_controls set reason = 'changed' where true")
                one.commit()
                reason = two.execute("select reason from public.trading_controls").fetchone()
            assert reason == ("not set up",)
        finally:
            drop_database(stack, first)
            drop_database(stack, second)

    def test_one_can_be_had_from_before_the_first_migration(self, stack: Stack) -> None:
        """Migrations can be tested on a project as it is before them, with the claims of a request."""
        url = fresh_database(stack, migrated=False)
        try:
            with psycopg.connect(url) as connection:
                tables = connection.execute("select from pg_tables where schemaname = 'public'").fetchall()
                connection.execute("set role authenticated")
                claims = json.dumps({"sub": "7f0c1d8e-5a3b-5c1e-9a64-1b2f3c4d5e6f", "role": "authenticated"})
                connection.execute("select set_config('request.jwt.claims', %s, true)", (claims,))
                who = connection.execute("select auth.uid()::text, auth.role(), auth.jwt()").fetchone()
            assert tables == []
            assert who == ("7f0c1d8e-5a3b-5c1e-9a64-1b2f3c4d5e6f", "authenticated", json.loads(claims))
        finally:
            drop_database(stack, url)

    def test_a_dropped_one_is_gone(self, stack: Stack) -> None:
        """Dropping takes a database away even while somebody is connected; others are refused."""
        url = fresh_database(stack)
        with psycopg.connect(url):
            drop_database(stack, url)
        name = url.rpartition("/")[2]
        with psycopg.connect(stack.admin_url) as admin:
            assert admin.execute("select from pg_database where datname = %s", (name,)).fetchall() == []
        with pytest.raises(ValueError, match="was not made by fresh_database"):
            drop_database(stack, stack.database_url)


class Checkout:
    """A copy of the repository with a ``.local`` of its own, as somebody else's clone has."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for folder in ("local", "supabase"):
            shutil.copytree(REPOSITORY / folder, root / folder, ignore=shutil.ignore_patterns("__pycache__"))
        (root / "node_modules").symlink_to(REPOSITORY / "node_modules")

    @property
    def folder(self) -> Path:
        return self.root / ".local" / "stack"

    def begin(self, *arguments: str, **environ: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "local.stack", *arguments],
            cwd=self.root,
            env={"PATH": os.environ["PATH"], "PYTHONPYCACHEPREFIX": str(self.root / "cache")} | environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, **environ: str) -> tuple[int, str, str]:
        process = self.begin(*arguments, **environ)
        out, err = process.communicate(timeout=100)
        return process.returncode, out, err

    def variables(self) -> dict[str, str]:
        lines = (self.root / ".local" / "stack.env").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines)

    def child(self, name: str) -> Child:
        child = Child.from_pid_file(self.folder / f"{name}.pid")
        assert child is not None
        return child

    def committed(self) -> dict[Path, float]:
        """The files that git knows, and when each was last changed."""
        folders = (self.root / "local", self.root / "supabase")
        return {path: path.stat().st_mtime for folder in folders for path in (folder, *folder.rglob("*"))}

    def leftovers(self) -> list[str]:
        """What is still there that only a running stack may have."""
        files = [path.name for path in self.folder.iterdir() if path.suffix != ".log"]
        files += [path.name for path in (self.root / ".local").glob("stack.env*")]
        files += [
            path.name for path in Path(tempfile.gettempdir()).glob("interlock-*") if self._is_ours(path)
        ]
        return files

    def _is_ours(self, scratch: Path) -> bool:
        logs = (path.read_text(errors="replace") for path in self.folder.glob("initdb.log"))
        return any(str(scratch) in log for log in logs)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    """A checkout whose stack is in nobody's way."""
    checkout = Checkout(tmp_path_factory.mktemp("checkout"))
    yield checkout
    checkout.run("down")


def has_ended(pid: int) -> bool:
    deadline = time.monotonic() + 5
    while identify(pid) is not None and time.monotonic() < deadline:
        time.sleep(0.02)
    return identify(pid) is None


def answers(variables: dict[str, str]) -> bool:
    """Whether database and API of a stack answer, with its controls seeded."""
    with psycopg.connect(variables["DATABASE_URL"]) as connection:
        controls = connection.execute(
            "select trading_state, mode, operator_id::text from public.trading_controls"
        ).fetchone()
    served = httpx.get(
        f"{variables['SUPABASE_URL']}/rest/v1/trading_controls?select=mode",
        headers={"apikey": variables["SUPABASE_SECRET_KEY"]},
        trust_env=False,
        timeout=15,
    )
    return controls == ("ACTIVE", "live", "7") and served.json() == [{"mode": "live"}]


class TestBackground:
    """``python -m local.stack up`` and ``down``."""

    def test_it_starts_once_and_stops_whole(self, checkout: Checkout) -> None:
        """Up twice is one stack; down leaves no process, no variables, and nothing outside .local."""
        before = checkout.committed()
        assert checkout.run("up")[:1] == (0,)
        first = checkout.variables()
        env_file = checkout.root / ".local" / "stack.env"
        assert set(first) == VARIABLES
        assert stat.S_IMODE(env_file.stat().st_mode) == 0o600
        assert answers(first)

        code, said, _ = checkout.run("up")
        assert (code, said.splitlines()[0]) == (0, "Already running.")
        assert checkout.variables() == first

        pids = [checkout.child(name).process.pid for name in ("postgres", "supabase")]
        assert checkout.run("down")[0] == 0
        assert all(has_ended(pid) for pid in pids)
        assert checkout.leftovers() == []
        assert checkout.committed() == before

        code, said, _ = checkout.run("down")
        assert (code, said) == (0, "It was not running.\n")

    def test_a_record_from_before_a_restart_is_not_believed(self, checkout: Checkout) -> None:
        """A pid file whose number another process has by now neither ends that one nor blocks the start."""
        checkout.run("down")
        foreign = subprocess.Popen(
            [sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True
        )
        try:
            stale = {"pid": foreign.pid, "started": "another boot", "stop_signal": int(signal.SIGINT)}
            for name in ("postgres", "supabase"):
                (checkout.folder / f"{name}.pid").write_text(json.dumps(stale))
            assert checkout.run("up")[0] == 0
            assert foreign.poll() is None
        finally:
            foreign.kill()
            foreign.wait()

    @pytest.mark.parametrize("victim", ["postgres", "supabase"])
    def test_a_part_that_was_killed_is_replaced(self, checkout: Checkout, victim: str) -> None:
        """After a kill -9 of Postgres or the API server, up makes a healthy stack and ends the other part."""
        checkout.run("up")
        pids = {name: checkout.child(name).process.pid for name in ("postgres", "supabase")}
        os.kill(pids[victim], signal.SIGKILL)
        code, said, err = checkout.run("up")
        assert (code, said.splitlines()[0], err) == (0, "Started.", "")
        assert all(has_ended(pid) for pid in pids.values())
        assert answers(checkout.variables())

    def test_two_checkouts_run_side_by_side(self, checkout: Checkout, tmp_path: Path) -> None:
        """Another clone's stack has its own ports, keys and data, and stopping it stops only it."""
        other = Checkout(tmp_path)
        checkout.run("up")
        try:
            assert other.run("up")[0] == 0
            theirs, ours = other.variables(), checkout.variables()
            assert all(theirs[name] != ours[name] for name in VARIABLES)
        finally:
            other.run("down")
        assert answers(checkout.variables())

    def test_a_starter_that_was_killed_leaves_nothing_that_lasts(self, checkout: Checkout) -> None:
        """After a kill -9 in the middle of starting, the next up starts over and the next down cleans all."""
        checkout.run("down")
        starter = checkout.begin("up")
        deadline = time.monotonic() + 30
        while not (checkout.folder / "supabase.pid").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        starter.kill()
        starter.communicate()
        orphan = checkout.child("postgres").process.pid
        assert identify(orphan) is not None
        assert checkout.run("up")[0] == 0
        assert has_ended(orphan)
        assert answers(checkout.variables())
        checkout.run("down")
        assert checkout.leftovers() == []


class TestBadInput:
    """Whatever is missing is one line that says what to do, exit code 1, and nothing runs."""

    def fails(self, checkout: Checkout, **environ: str) -> str:
        code, _, err = checkout.run("up", **environ)
        assert code == 1
        assert err.count("\n") == 1
        assert not list((checkout.root / ".local").glob("stack/*.pid"))
        assert not (checkout.root / ".local" / "stack.env").exists()
        return err

    @pytest.fixture
    def empty(self, tmp_path: Path) -> Checkout:
        return Checkout(tmp_path)

    def test_packages_that_are_not_installed(self, empty: Checkout) -> None:
        """A clone without node_modules is told to install them."""
        (empty.root / "node_modules").unlink()
        assert "npm ci --ignore-scripts" in self.fails(empty)

    def test_no_node(self, empty: Checkout) -> None:
        """A machine without Node.js is told that it is missing, before anything is started."""
        assert "node is not on the PATH" in self.fails(empty, PATH="/nowhere")

    def test_a_folder_that_cannot_be_made(self, empty: Checkout) -> None:
        """A .local that cannot be written is named with the reason."""
        (empty.root / ".local").write_text("")
        code, _, err = empty.run("up")
        assert (code, err.count("\n")) == (1, 1)
        assert str(empty.root / ".local") in err

    def test_a_migration_that_does_not_apply(self, empty: Checkout) -> None:
        """The migration and Postgres' words are in the line; the stack is stopped whole."""
        broken = empty.root / "supabase" / "migrations" / "99990101000000_broken.sql"
        broken.write_text("create table public.half (id integer primary key references public.nowhere);")
        said = self.fails(empty)
        assert "99990101000000_broken.sql" in said
        assert 'relation "public.nowhere" does not exist' in said

    def test_a_stack_in_use_is_not_taken_away(self, stack: Stack) -> None:
        """A second program that wants the same name is told who has it, and the first keeps it."""
        code = f"from local.stack import start; start({stack.name!r})"
        second = subprocess.run(
            [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=False
        )
        assert second.returncode == 1
        assert f"Process {os.getpid()} uses the stack" in second.stderr
        with psycopg.connect(stack.database_url) as connection:
            assert connection.execute("select 1").fetchone() == (1,)
