"""A clone to deploy from, beside stand-ins for gcloud, Supabase and the functions."""

from __future__ import annotations

import json
import os
import shutil
import socketserver
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.deploy.stand_in import Cloud

REPOSITORY = Path(__file__).resolve().parents[2]
STAND_IN = Path(__file__).parent / "gcloud.sh"
PROJECT = "interlock-test"
SECRETS = {
    "SUPABASE_SECRET_KEY": "sb_secret_canary-supabase",
    "SUPABASE_DB_PASSWORD": "canary-database 'password' #1",
    "BITVAVO_READONLY_KEY": "canary-readonly-key".ljust(64, "0"),
    "BITVAVO_READONLY_SECRET": "canary-readonly-secret",
    "BITVAVO_TRADE_KEY": "canary-trade-key".ljust(64, "0"),
    "BITVAVO_TRADE_SECRET": "canary-trade-secret",
    "OPENAI_API_KEY": "canary-openai",
    "NOTIFY_URL": "https://hooks.example.com/canary-notify",
}


class Project(ThreadingHTTPServer):
    """A Supabase project, as far as a deployment asks it, and the three functions behind their doors."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.migrated = Path("/nowhere")
        self.reset()

    def reset(self) -> None:
        """A fresh project: sign-up off, migrated as Interlock migrates it."""
        self.auth: dict[str, Any] = {"disable_signup": True, "external": {"anonymous_users": False}}
        self.controls: dict[str, Any] = {
            "trading_state": "HALTED",
            "mode": "dry_run",
            "operator_id": None,
            "trade_key_fingerprint": None,
            "account_is_dedicated": False,
            "max_order_eur": 0,
            "max_daily_value_eur": 0,
            "max_daily_gpt_calls": 0,
            "max_daily_gpt_tokens": 0,
            "version": 1,
        }
        self.executions: list[dict[str, Any]] = []
        self.doors = {"execute": 401, "scan-tick": 403, "cleanup": 404}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: Project

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if path.startswith("/functions/"):
            self._answer(200 if path.endswith("/health") else self.server.doors["execute"], {})
        elif self.headers["apikey"] != SECRETS["SUPABASE_SECRET_KEY"]:
            self._answer(401, {"message": "Invalid API key"})
        elif path == "/auth/v1/settings":
            self._answer(200, self.server.auth)
        elif not self.server.migrated.exists():
            self._answer(404, {"code": "PGRST205"})
        else:
            tables = {"trading_controls": [self.server.controls], "trade_executions": self.server.executions}
            self._answer(200, tables.get(path.rpartition("/")[2], []))

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path.startswith("/functions/"):
            self._answer(self.server.doors[self.path.rpartition("interlock-")[2]], {})
            return
        assert self.path == "/rest/v1/rpc/set_trading_controls"
        assert asked["p_version"] == self.server.controls["version"]
        self.server.controls |= asked["p_changes"] | {"version": asked["p_version"] + 1}
        self._answer(200, self.server.controls)

    def _answer(self, status: int, body: object) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@dataclass
class Run:
    """How one run of the script ended, and what it printed."""

    status: int
    out: str

    def commands(self, kind: str) -> list[str]:
        """What was shown as looked up (`look`) or run (`run`)."""
        lines = (line.strip() for line in self.out.splitlines())
        return [line.removeprefix(kind).strip() for line in lines if line.startswith(f"{kind} ")]


@dataclass
class Deployment:
    """One Google project and one Supabase project, empty at first, and the clone to deploy from."""

    clone: Path
    folder: Path
    project: Project
    cloud: Cloud
    port: int
    settings: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.project.reset()
        self.project.migrated = self.clone / "pushed"
        self.project.migrated.unlink(missing_ok=True)
        self.settings = {
            "GOOGLE_PROJECT": PROJECT,
            "GOOGLE_REGION": "europe-west4",
            "ALERT_EMAIL": "operator@example.com",
            "SUPABASE_URL": self.project.url,
            "SUPABASE_DB_URL": "postgresql://postgres.ref@127.0.0.1:5432/postgres",
            "BITVAVO_OPERATOR_ID": "7",
            "OPENAI_MODEL": "a-model",
            "MAX_ORDER_EUR": "100",
            "MAX_DAILY_VALUE_EUR": "500",
            "MAX_DAILY_GPT_CALLS": "100",
            "MAX_DAILY_GPT_TOKENS": "500000",
            "ALLOWED_ORIGINS": "https://app.example.com,https://other.example.com",
            **SECRETS,
        }

    def exists(self) -> dict[str, Any]:
        """All that exists in both projects, but not how often the scheduler was made to call."""
        google = {key: value for key, value in self.cloud.state().items() if key != "runs"}
        return {
            "google": google,
            "controls": {k: v for k, v in self.project.controls.items() if k != "version"},
        }

    def start_over(self) -> None:
        """Empty both projects."""
        self.cloud.file.unlink()
        self.forget_calls()
        self.project.reset()
        self.project.migrated.unlink(missing_ok=True)

    def forget_calls(self) -> None:
        """Count calls and changes from here."""
        self.cloud.calls.clear()
        self.cloud.changes.clear()

    def run(self, *arguments: str, typed: str = "", path: str = "") -> Run:
        """Run the script to its end, or until the stand-in kills it."""
        file = self.folder / "deploy.env"
        quoted = ((name, '"' if "'" in value else "'", value) for name, value in self.settings.items())
        file.write_text("".join(f"{name}={mark}{value}{mark}\n" for name, mark, value in quoted))
        file.chmod(0o600)
        given = () if "--settings" in arguments else ("--settings", str(file))
        ended = subprocess.run(
            [self.clone / "deploy.sh", *given, *arguments],
            cwd=self.clone,
            env={
                "PATH": path or f"{self.clone / 'stand-ins'}:{os.environ['PATH']}",
                "HOME": str(self.folder),
                "STAND_IN_PORT": str(self.port),
            },
            input=typed,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            start_new_session=True,
            timeout=100,
        )
        return Run(ended.returncode, ended.stdout)


def make_clone(folder: Path) -> Path:
    """A copy of what a deployment reads, set up already, whose Supabase command line only leaves a mark."""
    clone = folder / "clone"
    for name in ("functions", "shared", "local"):
        shutil.copytree(
            REPOSITORY / name, clone / name, ignore=shutil.ignore_patterns("__pycache__", "exchange")
        )
    for name in ("deploy.sh", "deploy.env.example", "pyproject.toml", "uv.lock"):
        shutil.copy2(REPOSITORY / name, clone / name)
    (clone / "supabase" / "migrations").mkdir(parents=True)
    shutil.copy2(REPOSITORY / "supabase" / "config.toml", clone / "supabase" / "config.toml")
    (clone / ".venv").symlink_to(REPOSITORY / ".venv")
    (clone / ".local").mkdir()
    (clone / ".local" / "uv").symlink_to(REPOSITORY / ".local" / "uv")
    _script(clone / "local" / "setup.sh", "exit 0")
    (clone / "stand-ins").mkdir()
    shutil.copy2(STAND_IN, clone / "stand-ins" / "gcloud")
    _script(clone / "stand-ins" / "sleep", "exit 0")
    _stand_in_supabase(clone)
    return clone


def _stand_in_supabase(clone: Path) -> None:
    packages = clone / "node_modules" / "@supabase"
    for platform in ("linux-x64", "linux-arm64", "darwin-arm64", "darwin-x64"):
        binary = packages / f"cli-{platform}" / "bin" / "supabase"
        binary.parent.mkdir(parents=True)
        # Its whole environment is what the deployment gives it: the clone's own folder is the way out.
        _script(binary, f'printf "%s\\n" "$*" "$PGPASSWORD" "$PGSSLMODE" >"{clone}/pushed"')
    lite = packages / "lite" / "dist" / "cli" / "index.js"
    lite.parent.mkdir(parents=True)
    lite.touch()


def _script(file: Path, text: str) -> None:
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)


@contextmanager
def serving(server: socketserver.BaseServer) -> Iterator[None]:
    """The server answers while the block lasts."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def without(names: Sequence[str], folder: Path) -> str:
    """A PATH with every program of the present one except the named."""
    folder.mkdir()
    for place in os.environ["PATH"].split(":"):
        for program in Path(place).iterdir() if Path(place).is_dir() else ():
            if program.name not in names and not (folder / program.name).exists():
                (folder / program.name).symlink_to(program)
    return str(folder)
