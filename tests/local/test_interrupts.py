"""Ctrl-C ends a command of the local world in one line, whenever it comes, and leaves nothing running."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from local.stack import LOCAL, REPOSITORY
from tests.worker import wait_until

INTERRUPTED = 130
LINE = "Interrupted: nothing is left running."


@dataclass
class _Terminal:
    """A command and the process group to which a terminal's Ctrl-C goes."""

    process: subprocess.Popen[bytes]
    said: bytearray = field(default_factory=bytearray)

    def press(self) -> None:
        os.killpg(self.process.pid, signal.SIGINT)

    def says(self, words: str) -> bool:
        assert self.process.stdout is not None
        self.said += self.process.stdout.read() or b""
        return words.encode() in self.said

    def ends(self) -> int:
        """Its exit code. It says no traceback, and once that it was interrupted."""
        code = self.process.wait(60)
        self.says(LINE)
        assert b"Traceback" not in self.said, self.said.decode()
        assert self.said.count(LINE.encode()) == (1 if code == INTERRUPTED else 0), self.said.decode()
        return code


@contextmanager
def _started(*command: str) -> Iterator[_Terminal]:
    process = subprocess.Popen(
        ["/usr/bin/env", "bash", "local/start.sh", *command],
        cwd=REPOSITORY,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    assert process.stdout is not None
    os.set_blocking(process.stdout.fileno(), False)
    try:
        yield _Terminal(process)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.mark.parametrize("after_s", [0.0, 0.02, 0.05, 0.1])
def test_an_interrupt_while_python_starts_is_one_line(after_s: float) -> None:
    """Before anything of ours runs, where Python would show its own inside."""
    with _started("cycle") as terminal:
        time.sleep(after_s)
        terminal.press()
        # Where not even the shell listens yet, the signal ends it without a word.
        assert terminal.ends() in (INTERRUPTED, -signal.SIGINT)


@pytest.mark.parametrize("command", ["cycle", "serve"])
def test_an_interrupt_while_the_world_starts_leaves_nothing(command: str) -> None:
    """Postgres is on its way: it is stopped, and its files are gone."""
    folder = LOCAL / {"cycle": "run", "serve": "serve"}[command]
    with _started(command) as terminal:
        wait_until(lambda: terminal.says("Setting up"))
        wait_until(lambda: any(folder.glob("*.pid")))
        terminal.press()
        assert terminal.ends() == INTERRUPTED
    assert not any(folder.glob("*.pid"))


@pytest.mark.soak
@pytest.mark.timeout(300)
def test_an_interrupt_while_all_is_stopped_stops_all() -> None:
    """However late it comes: what is being stopped is stopped to the end."""
    with _started("cycle") as terminal:
        wait_until(lambda: terminal.says("Stopping everything"), patience_s=200)
        terminal.press()
        assert terminal.ends() == INTERRUPTED
    assert not any((LOCAL / "run").glob("*.pid"))
