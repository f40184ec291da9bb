"""A terminal in which somebody works: what it prints is read, and what it asks is answered."""

from __future__ import annotations

import codecs
import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType

_ROWS, _COLUMNS = 50, 118
_PATIENCE_S = 20.0


class Terminal:
    """One command of a shell, on a terminal of its own. Use as a context: at the end it is gone.

    `answers` are what is typed when a question is the last thing that was printed.
    """

    def __init__(
        self, command: str, folder: Path, environ: Mapping[str, str], answers: Mapping[str, str] | None = None
    ) -> None:
        self.printed = ""
        self._answers = answers or {}
        self._more = threading.Condition()
        self._parent, child = pty.openpty()
        fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", _ROWS, _COLUMNS, 0, 0))
        self._running = subprocess.Popen(
            # The shell stays: should these tests be killed, its end hangs up on whoever runs in front.
            ["/usr/bin/env", "bash", "-eu", "-o", "pipefail", "-c", f"{command}\nexit"],
            stdin=child,
            stdout=child,
            stderr=child,
            cwd=folder,
            env=dict(environ),
            start_new_session=True,
            # So that Ctrl-C reaches whoever runs in front, as in a window.
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(child)
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()

    def __enter__(self) -> Terminal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._running.poll() is None:
            self.interrupt()
            with suppress(subprocess.TimeoutExpired):
                self._running.wait(_PATIENCE_S)
        self._running.kill()
        self._running.wait()
        self._reading.join(_PATIENCE_S)
        os.close(self._parent)

    def wait_for(self, pattern: str, patience_s: float) -> None:
        """Until something like this was printed; it is an error when it was not."""
        with self._more:
            self._more.wait_for(
                lambda: re.search(pattern, self.printed) or not self._reading.is_alive(), patience_s
            )
        assert re.search(pattern, self.printed), f"{pattern!r} was not printed:\n{self.printed}"

    def end(self, patience_s: float) -> int:
        """Wait until the command has ended by itself; its exit code."""
        ended = self._running.wait(patience_s)
        self._reading.join(_PATIENCE_S)
        return ended

    def interrupt(self) -> None:
        """Ctrl-C."""
        os.write(self._parent, b"\x03")

    def _read(self) -> None:
        """Read whatever comes until the other end is closed, and answer."""
        decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        with suppress(OSError):
            while more := os.read(self._parent, 65536):
                with self._more:
                    self.printed += decoder.decode(more).replace("\r\n", "\n")
                    self._more.notify_all()
                for question, answer in self._answers.items():
                    if self.printed.endswith(question):
                        os.write(self._parent, f"{answer}\n".encode())
        with self._more:
            self._more.notify_all()
