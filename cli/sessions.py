"""Who is signed in where: tokens in `~/.config/interlock/sessions.json`, for nobody else to read."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from cli.ends import WrongCall

_OWN_FOLDER, _OWN_FILE = 0o700, 0o600


@dataclass(frozen=True, slots=True)
class Session:
    """A signed-in owner and the deployment that they signed in to. `expires_at` is in Unix seconds."""

    supabase_url: str
    publishable_key: str
    interlock_url: str
    email: str
    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    expires_at: int


@dataclass(slots=True)
class _Kept:
    last: str | None
    sessions: dict[str, dict[str, Any]]


class Sessions:
    """The file of sessions, one for each Supabase address; the last login is the one meant by default."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._file = folder / "sessions.json"

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> Sessions:
        """Under `XDG_CONFIG_HOME` where that is an absolute path, else under `~/.config`."""
        named = Path(environ.get("XDG_CONFIG_HOME") or "")
        return cls((named if named.is_absolute() else Path.home() / ".config") / "interlock")

    def find(self, supabase_url: str | None) -> Session | None:
        """The session at this address, or the last one; None when there is none."""
        kept = self._read()
        return _session(kept.sessions.get(supabase_url or kept.last or ""))

    def every(self) -> list[tuple[Session, bool]]:
        """Each session, and whether it is the one meant by default."""
        kept = self._read()
        read = ((address, _session(row)) for address, row in sorted(kept.sessions.items()))
        return [(session, address == kept.last) for address, session in read if session is not None]

    def drop(self, session: Session) -> None:
        """Forget a session, by whoever is `alone`; where it was the default there is none then."""
        kept = self._read()
        kept.sessions.pop(session.supabase_url, None)
        if kept.last == session.supabase_url:
            kept.last = None
        self._write(json.dumps(asdict(kept), indent=2))

    def keep(self, session: Session, *, as_last: bool = False) -> None:
        """Store a session, by whoever is `alone`. The file is replaced whole, never written in place."""
        kept = self._read()
        kept.sessions[session.supabase_url] = asdict(session)
        if as_last:
            kept.last = session.supabase_url
        self._write(json.dumps(asdict(kept), indent=2))

    @contextmanager
    def alone(self) -> Iterator[None]:
        """One process at a time changes what is kept: a refresh token is used once."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=_OWN_FOLDER)
            self.folder.chmod(_OWN_FOLDER)
            lock = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT, _OWN_FILE)
        except OSError as error:
            raise _unusable(self.folder, error) from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def _read(self) -> _Kept:
        """What is kept; nothing, when the file is not there or not ours."""
        with suppress(OSError, ValueError, KeyError, TypeError):
            read = json.loads(self._file.read_text())
            return _Kept(read["last"], dict(read["sessions"]))
        return _Kept(None, {})

    def _write(self, text: str) -> None:
        beside = self.folder / f".sessions.{secrets.token_hex(8)}"
        try:
            descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWN_FILE)
            with os.fdopen(descriptor, "w") as file:
                file.write(text)
            beside.replace(self._file)
        except OSError as error:
            beside.unlink(missing_ok=True)
            raise _unusable(self.folder, error) from None


def _session(row: object) -> Session | None:
    names = {each.name for each in fields(Session)}
    return Session(**row) if isinstance(row, dict) and set(row) == names else None


def _unusable(folder: Path, error: OSError) -> WrongCall:
    return WrongCall(
        f"Tokens cannot be kept in {folder}: {os.strerror(error.errno or 0)}.", "NO_CONFIG_FOLDER"
    )
