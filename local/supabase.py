"""Supabase's own tools around the database: the local API server (``@supabase/lite``) and the command line.

Both run with a home folder of their own under ``.local``, without telemetry, and see nothing of the
environment or the ``.env`` files of the person who starts them.
"""

from __future__ import annotations

import json
import os
import platform
import secrets
import shutil
import signal
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from local.errors import LocalWorldError, ProcessError
from local.ports import free_port, release
from local.processes import Child

ATTEMPTS = 5
PATIENCE_S = 120
_QUIET = {
    "LITE_TELEMETRY": "0",
    "DO_NOT_TRACK": "1",
    "SUPABASE_TELEMETRY_DISABLED": "1",
    "SUPABASE_NO_UPDATE_NOTIFIER": "1",
    "SUPABASE_NO_KEYRING": "1",
    "NO_COLOR": "1",
}
_CLI_PLATFORMS = {
    ("Linux", "x86_64"): ("linux-x64", "linux-x64-musl"),
    ("Linux", "aarch64"): ("linux-arm64", "linux-arm64-musl"),
    ("Darwin", "arm64"): ("darwin-arm64",),
    ("Darwin", "x86_64"): ("darwin-x64",),
}


@dataclass(frozen=True)
class Keys:
    """What the API server and its callers share; made at random for every start."""

    publishable: str
    secret: str
    jwt_secret: str

    @classmethod
    def random(cls) -> Keys:
        """New keys, in the form that hosted projects use."""
        return cls(
            publishable=f"sb_publishable_{secrets.token_urlsafe(24)}",
            secret=f"sb_secret_{secrets.token_urlsafe(24)}",
            jwt_secret=secrets.token_urlsafe(48),
        )


@dataclass(frozen=True)
class Tools:
    """The programs that a stack needs, found before anything is started."""

    node: Path
    lite: Path
    cli: Path

    @classmethod
    def find(cls, node_modules: Path) -> Tools:
        """Raises LocalWorldError, which says what is missing and how to get it."""
        packages = node_modules / "@supabase"
        lite = packages / "lite" / "dist" / "cli" / "index.js"
        platforms = _CLI_PLATFORMS.get((platform.system(), platform.machine()), ())
        clis = (packages / f"cli-{name}" / "bin" / "supabase" for name in platforms)
        cli = next((cli for cli in clis if cli.exists()), None)
        if not lite.exists() or cli is None:
            missing = "@supabase/lite" if cli else "supabase (the command line)"
            raise LocalWorldError(f"The npm package {missing} is missing: run `npm ci --ignore-scripts`.")
        node = shutil.which("node")
        if node is None:
            raise LocalWorldError("node is not on the PATH: install Node.js 20 or newer.")
        return cls(Path(node), lite, cli)


def start_api(folder: Path, repository: Path, tools: Tools, database_url: str, keys: Keys) -> str:
    """Serve data API, auth and the dashboard page on loopback; the URL.

    On an empty database lite first makes its schema ``auth``. It must answer no request to the data API
    before the migrations are in: the first one decides for good whether it takes on the caller's role.

    Raises:
        LocalWorldError: the server does not start.
    """
    place = folder / "api"
    place.mkdir(exist_ok=True)
    config = json.dumps(str(repository / "local" / "supabase_api.mjs"))
    # A module beside settings.json keeps lite from climbing to the repository and reading the .env there.
    (place / "config.mjs").write_text(f"export {{ default }} from {config};\n")
    for attempt in range(1, ATTEMPTS + 1):
        port = free_port()
        _write_settings(place / "settings.json", repository, database_url, port, keys)
        child = Child.start(
            "supabase",
            [tools.node, tools.lite, "start", "--config", "config.mjs"],
            folder=folder,
            environ=_environment(folder),
            cwd=place,
            stop_signal=signal.SIGKILL,  # asked to end, it would wait for a database that may be gone
        )
        url = f"http://127.0.0.1:{port}"
        try:
            child.wait_for_http(f"{url}/auth/v1/health", headers={"apikey": keys.publishable})
        except ProcessError as error:
            child.stop()
            release(port)
            if attempt == ATTEMPTS or "in use" not in child.log_file.read_text(errors="replace"):
                raise LocalWorldError(f"Supabase's API server does not start: {error}") from error
        else:
            return url
    raise AssertionError("unreachable")


def migrate(
    folder: Path, repository: Path, tools: Tools, database_url: str, *, sslmode: str = "disable"
) -> None:
    """Apply ``supabase/migrations`` with the Supabase CLI.

    Args:
        sslmode: libpq's word for how the connection is encrypted; a local database has no encryption.

    Raises:
        LocalWorldError: a migration fails; with what the CLI said.
    """
    project = folder / "project" / "supabase"
    # A project folder of its own: the CLI keeps notes beside config.toml and reads .env files from there.
    shutil.rmtree(project, ignore_errors=True)
    project.mkdir(parents=True)
    (project / "config.toml").write_bytes((repository / "supabase" / "config.toml").read_bytes())
    (project / "migrations").symlink_to(repository / "supabase" / "migrations", target_is_directory=True)
    parts = urlsplit(database_url)
    # The password goes through the environment: a command line is there for everyone on the machine to read.
    without_password = urlunsplit(parts._replace(netloc=f"{parts.username}@{parts.hostname}:{parts.port}"))
    push = Child.start(
        "migrations",
        [tools.cli, "db", "push", "--workdir", project.parent, f"--db-url={without_password}", "--yes"],
        folder=folder,
        environ={**_environment(folder), "PGPASSWORD": unquote(parts.password or ""), "PGSSLMODE": sslmode},
    )
    if not push.wait_for_end(patience_s=PATIENCE_S):
        said = push.log_file.read_text(errors="replace")
        _, _, reason = said.rpartition("Applying migration ")
        raise LocalWorldError(f"The migrations do not apply: {' '.join((reason or said).split())}")


def _write_settings(file: Path, repository: Path, database_url: str, port: int, keys: Keys) -> None:
    project = tomllib.loads((repository / "supabase" / "config.toml").read_text())
    settings = {
        "databaseUrl": database_url,
        "port": port,
        "publishableKey": keys.publishable,
        "secretKey": keys.secret,
        "jwtSecret": keys.jwt_secret,
        "project": {"api": project["api"], "auth": project["auth"]},
    }
    file.touch(mode=0o600)
    file.write_text(json.dumps(settings))


def _environment(folder: Path) -> Mapping[str, str]:
    home = folder / "home"
    home.mkdir(exist_ok=True)
    return {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(home), **_QUIET}
