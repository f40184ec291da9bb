"""One time for everybody: real time and how far it was moved, for database, exchange and process alike."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import psycopg

from local.exchange.clock import NS_PER_MS

CLOCK_FILE = "CLOCK_FILE"
"""The variable that names, to a process, the file with the milliseconds by which its clock was moved."""


@dataclass
class Clock:
    """Moves the clocks of one deployment; none of them ever goes back."""

    connection: psycopg.Connection
    file: Path
    moved_ms: int = 0

    def __post_init__(self) -> None:
        self.connection.execute(
            """
            create table interlock.moved_clock (by interval not null);
            insert into interlock.moved_clock values ('0');
            create or replace function interlock.clock() returns timestamptz
            language sql volatile security definer set search_path = ''
            as 'select clock_timestamp() + by from interlock.moved_clock';
            """
        )
        self.file.write_text("0")

    def now_ns(self) -> int:
        """Unix time in nanoseconds."""
        return time.time_ns() + self.moved_ms * NS_PER_MS

    def advance(self, seconds: float) -> None:
        """Let time pass, for everybody."""
        self.moved_ms += int(seconds * 1000)
        draft = self.file.with_suffix(".new")
        draft.write_text(str(self.moved_ms))
        draft.replace(self.file)
        self.connection.execute(
            "update interlock.moved_clock set by = %s where true", (timedelta(milliseconds=self.moved_ms),)
        )
