"""The stack: Postgres as a hosted Supabase project has it, its API beside it, migrated.

``python -m local.stack up`` starts one in the background and writes ``.local/stack.env``; ``down`` stops it.
Programs use :func:`running`. Every stack has a name and keeps everything it owns in ``.local/<name>/``, so
several run side by side, in one checkout or in many. Its data is gone when it stops, unless it is kept.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import httpx
import psycopg
from psycopg import sql

from local import postgres, supabase
from local.errors import InUseError, LocalWorldError, what_happened
from local.exchange.keys import TRADE_KEY
from local.postgres import ADMIN
from local.processes import Child, ProcessId, identify, is_alive, stop_all
from local.signals import leaving_on_signals, undisturbed

REPOSITORY = Path(__file__).resolve().parent.parent
LOCAL = REPOSITORY / ".local"
SQL = Path(__file__).resolve().parent / "sql"
BACKGROUND = "stack"
OPERATOR_ID = 7
KEPT = "kept"
"""The folder, in that of a stack, which outlives it."""

_LOGIN_ROLES = ("authenticator", "postgres", "supabase_lite")
_BASE = "interlock_base"
_TEMPLATE = "interlock_template"
_RECORD = "stack.json"
_LEFT = "left.json"
_PROCESSES = ("postgres", "supabase")
_VARIABLES = (
    "DATABASE_URL",
    "SUPABASE_URL",
    "SUPABASE_PUBLISHABLE_KEY",
    "SUPABASE_SECRET_KEY",
    "SUPABASE_JWT_SECRET",
)


@dataclass(frozen=True)
class Stack:
    """A running stack. Its URLs and keys are good until it stops."""

    name: str
    supabase_url: str
    publishable_key: str
    database_url: str = field(repr=False)
    secret_key: str = field(repr=False)
    jwt_secret: str = field(repr=False)
    admin_url: str = field(repr=False)
    """The superuser of the same database, for what tests of the database itself need."""
    goes_on: bool = False
    """Whether its database was left by an earlier run."""

    @property
    def folder(self) -> Path:
        """Where its logs are."""
        return LOCAL / self.name

    def environment(self) -> dict[str, str]:
        """The variables of ``.local/stack.env``."""
        values = (
            self.database_url,
            self.supabase_url,
            self.publishable_key,
            self.secret_key,
            self.jwt_secret,
        )
        return dict(zip(_VARIABLES, values, strict=True))


def start(name: str = BACKGROUND) -> Stack:
    """The stack of this name, healthy: the one that runs already, or a new one.

    What a killed run left under this name is stopped and cleaned first.

    Raises:
        LocalWorldError: it cannot start, or belongs to another running program; nothing is left running.
    """
    return _start(name, owner=None, at_the_end=None)


def started(name: str) -> Stack:
    """The running stack of this name.

    Raises:
        LocalWorldError: there is none.
    """
    record = _Record.read(LOCAL / name)
    if record is None or not _is_healthy(record.stack):
        raise LocalWorldError(f"The stack '{name}' does not run.")
    return record.stack


def stop(name: str = BACKGROUND) -> list[str]:
    """Stop the stack of this name and remove what it laid down; the names of the processes that ran."""
    with undisturbed(), _alone(name) as folder:
        return _clean(folder)


def stop_all_worlds() -> None:
    """Stop every stack of this checkout, also what killed runs left behind, and forget what is kept.

    Raises:
        InUseError: a running program uses one of them.
    """
    for folder in sorted(path for path in LOCAL.glob("*") if path.is_dir()):
        record = _Record.read(folder)
        if record is not None and record.owner is not None and is_alive(record.owner):
            raise _in_use(record.owner, folder.name)
        if record is not None or any(folder.glob("*.pid")):
            stop(folder.name)
        if (folder / KEPT).exists():
            forget(folder.name)


@contextmanager
def running(name: str, *, kept: bool = False) -> Iterator[Stack]:
    """A stack that lives as long as the block, also when a signal ends it. Raises as start does.

    Args:
        kept: go on with the database that the last such stack of this name left, and leave it to the next.
    """
    if name == BACKGROUND:
        raise ValueError(f"'{BACKGROUND}' is the stack that runs in the background")
    with leaving_on_signals(), ExitStack() as at_the_end:
        yield _start(name, identify(os.getpid()), at_the_end, kept=kept)


@contextmanager
def given(name: str, environ: Mapping[str, str]) -> Iterator[Stack]:
    """A stack that somebody else runs, such as ``supabase start``, by the variables of ``stack.env``.

    Ours is its folder alone: what is started there lives as long as the block.

    Raises:
        LocalWorldError: a variable is missing.
    """
    missing = [variable for variable in _VARIABLES if not environ.get(variable)]
    if missing:
        raise LocalWorldError(f"The stack is not given: {', '.join(missing)} missing.")
    database_url, supabase_url, publishable_key, secret_key, jwt_secret = (
        environ[variable] for variable in _VARIABLES
    )
    stack = Stack(
        name=name,
        database_url=database_url,
        supabase_url=supabase_url,
        publishable_key=publishable_key,
        secret_key=secret_key,
        jwt_secret=jwt_secret,
        admin_url=database_url,
    )
    with leaving_on_signals():
        stack.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            yield stack
        finally:
            stop(name)


def fresh_database(stack: Stack, *, migrated: bool = True) -> str:
    """A new database of a hosted project that no API server has ever touched; its URL.

    It holds what the migrations made and granted, and a minimal schema ``auth`` (``local/sql/auth.sql``).

    Args:
        migrated: with ``supabase/migrations`` applied, or as it is before the first.
    """
    name = f"fresh_{os.urandom(6).hex()}"
    with _locked(stack.folder / "template.lock"):
        template = _ensure_template(stack) if migrated else _ensure_base(stack)
        with _admin(stack) as admin:
            admin.execute(
                sql.SQL("create database {} template {} owner postgres strategy file_copy").format(
                    sql.Identifier(name), sql.Identifier(template)
                )
            )
    return _database_url(stack.database_url, name)


def drop_database(stack: Stack, url: str) -> None:
    """Remove a database that :func:`fresh_database` made, whoever is still connected to it."""
    name = url.rpartition("/")[2]
    if not name.startswith("fresh_"):
        raise ValueError(f"{name} was not made by fresh_database")
    with _admin(stack) as admin:
        admin.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))


def set_mode(database_url: str, mode: str) -> None:
    """Put the mode into the controls of a database that is kept, and touch nothing else: a halt stays."""
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "update public.trading_controls set mode = %(mode)s where mode <> %(mode)s", {"mode": mode}
        )


def seed_controls(database_url: str, mode: str = "live") -> None:
    """Open trading in the simulated exchange's account, as an operator does once on a real project."""
    fingerprint = hashlib.sha256(TRADE_KEY.encode()).hexdigest()[:16]
    with psycopg.connect(database_url) as connection:
        connection.execute(
            """
            update public.trading_controls
            set trading_state = 'ACTIVE',
                reason = 'local world',
                mode = %(mode)s,
                operator_id = %(operator_id)s,
                trade_key_fingerprint = %(fingerprint)s,
                max_order_eur = 1000,
                max_daily_value_eur = 5000,
                max_daily_gpt_calls = 200,
                max_daily_gpt_tokens = null
            where true
            """,
            {"mode": mode, "operator_id": OPERATOR_ID, "fingerprint": fingerprint},
        )


def main(arguments: list[str]) -> None:
    """The command line: ``up`` or ``down``."""
    match arguments:
        case ["up"]:
            with leaving_on_signals():
                _up()
        case ["down"]:
            stopped = stop()
            print("Stopped." if stopped else "It was not running.")
        case ["down", "--all"]:
            stop_all_worlds()
        case _:
            sys.exit("usage: python -m local.stack up|down [--all]")


def _up() -> None:
    before = _Record.read(LOCAL / BACKGROUND)
    stack = start()
    print("Already running." if before is not None and before.stack == stack else "Started.")
    print(f"  API and dashboard  {stack.supabase_url}")
    print(f"  database           {stack.database_url.rpartition('@')[2]}")
    print(f"  variables          {_env_file().relative_to(REPOSITORY)}")


def forget(name: str) -> None:
    """Remove the database that the stacks of this name leave to each other.

    Raises:
        InUseError: a running program uses it.
    """
    with undisturbed(), _alone(name) as folder:
        record = _Record.read(folder)
        if record is not None and record.owner is not None and is_alive(record.owner):
            raise _in_use(record.owner, name)
        _clean(folder)
        postgres.remove_kept(folder / KEPT)


def _start(name: str, owner: ProcessId | None, at_the_end: ExitStack | None, *, kept: bool = False) -> Stack:
    with _alone(name) as folder:
        record = _Record.read(folder)
        if record is not None:
            if record.owner is not None and is_alive(record.owner):
                raise _in_use(record.owner, name)
            if owner is None and record.owner is None and _is_healthy(record.stack):
                return record.stack
        with undisturbed():
            _clean(folder)
        try:
            built = _build(name, folder, owner, kept=kept)
            if at_the_end is not None:
                at_the_end.callback(_stop_own, name, owner)
        except BaseException:
            with undisturbed():
                _clean(folder)
            raise
        return built


def _stop_own(name: str, owner: ProcessId | None) -> None:
    """Stop the stack of a program that ends, unless another program has one of that name by now."""
    with undisturbed(), _alone(name) as folder:
        record = _Record.read(folder)
        if record is not None and record.owner == owner:
            _clean(folder)


def _in_use(owner: ProcessId, name: str) -> InUseError:
    return InUseError(
        f"Process {owner.pid} uses the stack '{name}' of this checkout: wait until it has ended, or end it."
    )


def _build(name: str, folder: Path, owner: ProcessId | None, *, kept: bool) -> Stack:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    tools = _tools()
    place = folder / KEPT if kept else None
    left = None
    if place is not None:
        place.mkdir(exist_ok=True, mode=0o700)
        left = _Left.read(place)
        if left is not None:
            left.check(_migrations())
    server = postgres.start(
        folder, REPOSITORY / "node_modules", kept=place, password=left.password if left else None
    )
    if left is None:
        _create_roles(server)
    keys = left.keys if left else supabase.Keys.random()
    supabase_url = supabase.start_api(
        folder, REPOSITORY, tools, server.url("supabase_lite", "postgres"), keys
    )
    stack = Stack(
        name=name,
        database_url=server.url("postgres", "postgres"),
        supabase_url=supabase_url,
        publishable_key=keys.publishable,
        secret_key=keys.secret,
        jwt_secret=keys.jwt_secret,
        admin_url=server.url(ADMIN, "postgres"),
        goes_on=left is not None,
    )
    if left is None or left.migrations != _migrations():
        supabase.migrate(folder, REPOSITORY, tools, stack.database_url)
    if place is not None:
        _Left(server.password, keys, _migrations()).write(place)
    if name == BACKGROUND:
        seed_controls(stack.database_url)
        write_private(_env_file(), "".join(f"{key}={value}\n" for key, value in stack.environment().items()))
    _Record(stack, owner).write()
    return stack


def _tools() -> supabase.Tools:
    return supabase.Tools.find(REPOSITORY / "node_modules")


def _create_roles(server: postgres.Server) -> None:
    with psycopg.connect(server.url(ADMIN, "postgres"), autocommit=True) as admin:
        admin.execute((SQL / "roles.sql").read_text())
        for role in _LOGIN_ROLES:
            admin.execute(
                sql.SQL("alter role {} password {}").format(
                    sql.Identifier(role), sql.Literal(server.password)
                )
            )
        admin.execute((SQL / "database.sql").read_text())
        admin.execute((SQL / "lite.sql").read_text())


def _ensure_base(stack: Stack) -> str:
    contents = (SQL / "database.sql").read_text() + (SQL / "auth.sql").read_text()

    def fill(database: str) -> None:
        with psycopg.connect(_database_url(stack.admin_url, database), autocommit=True) as base:
            base.execute(contents)

    return _ensure_database(stack, _BASE, "template0", fingerprint=_digest(contents.encode()), fill=fill)


def _ensure_template(stack: Stack) -> str:
    base = _ensure_base(stack)
    migrations = sorted((REPOSITORY / "supabase" / "migrations").glob("*.sql"))
    fingerprint = _digest(*(part for file in migrations for part in (file.name.encode(), file.read_bytes())))

    def fill(database: str) -> None:
        supabase.migrate(stack.folder, REPOSITORY, _tools(), _database_url(stack.database_url, database))

    return _ensure_database(stack, _TEMPLATE, base, fingerprint=fingerprint, fill=fill)


def _ensure_database(
    stack: Stack, name: str, template: str, *, fingerprint: str, fill: Callable[[str], None]
) -> str:
    """A database to copy from. It is made anew when its comment is not the fingerprint of its contents."""
    quoted = sql.Identifier(name)
    with _admin(stack) as admin:
        found = admin.execute(
            "select shobj_description(oid, 'pg_database') from pg_database where datname = %s", (name,)
        ).fetchone()
        if found is not None and found[0] == fingerprint:
            return name
        admin.execute(sql.SQL("drop database if exists {} with (force)").format(quoted))
        admin.execute(
            sql.SQL("create database {} template {} owner postgres").format(quoted, sql.Identifier(template))
        )
        fill(name)
        admin.execute(sql.SQL("comment on database {} is {}").format(quoted, sql.Literal(fingerprint)))
    return name


def _database_url(url: str, database: str) -> str:
    return f"{url.rpartition('/')[0]}/{database}"


def _digest(*parts: bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()


def _admin(stack: Stack) -> psycopg.Connection[tuple[object, ...]]:
    return psycopg.connect(stack.admin_url, autocommit=True)


@dataclass(frozen=True)
class _Record:
    """What a stack's folder tells of it, once it is complete."""

    stack: Stack
    owner: ProcessId | None
    """The program that it lives for; None for one in the background."""

    @classmethod
    def read(cls, folder: Path) -> _Record | None:
        try:
            stored = json.loads((folder / _RECORD).read_text())
            owner = stored["owner"]
            return cls(Stack(**stored["stack"]), None if owner is None else ProcessId(**owner))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def write(self) -> None:
        write_private(self.stack.folder / _RECORD, json.dumps(asdict(self)))


@dataclass(frozen=True)
class _Left:
    """What a database that is kept needs to be served again; written once it is complete."""

    password: str
    keys: supabase.Keys
    migrations: Mapping[str, str]
    """The digest of each migration that it has, by name."""

    @classmethod
    def read(cls, place: Path) -> _Left | None:
        try:
            stored = json.loads((place / _LEFT).read_text())
            return cls(stored["password"], supabase.Keys(**stored["keys"]), stored["migrations"])
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as error:
            raise LocalWorldError(f"{place / _LEFT} cannot be read: FRESH=1 begins anew.") from error

    def write(self, place: Path) -> None:
        write_private(place / _LEFT, json.dumps(asdict(self)))

    def check(self, migrations: Mapping[str, str]) -> None:
        """Refuse a database whose migrations are no longer those of this version; new ones are applied."""
        changed = sorted(name for name, digest in self.migrations.items() if migrations.get(name) != digest)
        if changed:
            raise LocalWorldError(
                f"The kept database was made by another version ({changed[0]} is another one now): "
                "go back to that version, or FRESH=1 begins anew and forgets it."
            )


def _migrations() -> dict[str, str]:
    files = sorted((REPOSITORY / "supabase" / "migrations").glob("*.sql"))
    return {file.name: _digest(file.read_bytes()) for file in files}


def _is_healthy(stack: Stack) -> bool:
    children = (Child.from_pid_file(stack.folder / f"{name}.pid") for name in _PROCESSES)
    if not all(child is not None and child.alive for child in children):
        return False
    try:
        with psycopg.connect(stack.database_url, connect_timeout=2) as connection:
            connection.execute("select 1")
        answer = httpx.get(
            f"{stack.supabase_url}/auth/v1/health",
            headers={"apikey": stack.publishable_key},
            timeout=5.0,
            trust_env=False,
        )
    except (psycopg.Error, httpx.HTTPError):
        return False
    return answer.is_success


def _clean(folder: Path) -> list[str]:
    if not folder.exists():
        return []
    stopped = stop_all(folder)
    postgres.remove_scratch(folder)
    for kept in folder.iterdir():
        if kept.suffix == ".log" or kept.name == KEPT:
            continue  # the last words of a run outlive it, and a database that is kept does
        if kept.is_dir() and not kept.is_symlink():
            shutil.rmtree(kept, ignore_errors=True)
        else:
            kept.unlink(missing_ok=True)
    if folder.name == BACKGROUND:
        _env_file().unlink(missing_ok=True)
    return stopped


@contextmanager
def _alone(name: str) -> Iterator[Path]:
    """The folder of a stack, with nobody else starting or stopping it meanwhile."""
    try:
        LOCAL.mkdir(exist_ok=True)
        with _locked(LOCAL / f"{name}.lock"):
            yield LOCAL / name
    except OSError as error:
        raise LocalWorldError(f"The stack '{name}' cannot be kept: {what_happened(error)}") from error
    except psycopg.Error as error:
        raise LocalWorldError(f"Postgres refuses: {' '.join(str(error).split())}") from error


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    with file.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _env_file() -> Path:
    return LOCAL / "stack.env"


def write_private(file: Path, text: str) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    draft = file.with_name(f"{file.name}.new")
    draft.unlink(missing_ok=True)
    draft.touch(mode=0o600)
    draft.write_text(text)
    draft.replace(file)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except LocalWorldError as error:
        sys.exit(str(error))
