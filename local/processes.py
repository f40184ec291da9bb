"""Processes of the local world: started in a session of their own, known again after a crash, stopped whole.

A process is known by its number *and* the moment it started, so a number that the system has given to another
process since is never mistaken for ours.
"""

from __future__ import annotations

import json
import os
import pwd
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx

from local.errors import ProcessError, what_happened
from local.signals import undisturbed

POLL_S = 0.02
_ENDED_STATES = ("Z", "X")
_STOPPED_STATE = "T"
_COMPLAINT = re.compile(r"\b(error|fatal|panic|refused|could not|cannot|no space)\b", re.IGNORECASE)


@dataclass(frozen=True)
class ProcessId:
    """A process number and the moment that process started, in the system's own notation."""

    pid: int
    started: str


@dataclass(frozen=True)
class Account:
    """The account that a process runs as, when that is not the account of its parent."""

    uid: int
    gid: int

    @classmethod
    def named(cls, name: str) -> Account:
        """An account of this machine. Raises KeyError when it has none of that name."""
        entry = pwd.getpwnam(name)
        return cls(uid=entry.pw_uid, gid=entry.pw_gid)


def identify(pid: int) -> ProcessId | None:
    """The running process with this number; None when there is none, or only one that has ended."""
    started = _started_linux(pid) if sys.platform == "linux" else _started_elsewhere(pid)
    return None if started is None else ProcessId(pid, started)


def is_alive(process: ProcessId) -> bool:
    """Whether this very process still runs."""
    return identify(process.pid) == process


def stop_process(process: ProcessId, stop_signal: int = signal.SIGTERM, *, patience_s: float = 5.0) -> None:
    """Ask the leader of a session to end, then end by force what is left of its process group.

    Does nothing when the process has ended or its number belongs to another process by now.
    """
    if not is_alive(process):
        return
    _send(process.pid, stop_signal)
    deadline = time.monotonic() + patience_s
    while is_alive(process) and time.monotonic() < deadline:
        time.sleep(POLL_S)
    _kill_group(process.pid)
    deadline = time.monotonic() + patience_s
    while is_alive(process) and time.monotonic() < deadline:
        time.sleep(POLL_S)
    with suppress(ChildProcessError):  # another program's child is that program's to wait for
        os.waitpid(process.pid, os.WNOHANG)


class Child:
    """A process that was started here, or by an earlier run that left its pid file behind."""

    def __init__(
        self,
        name: str,
        process: ProcessId,
        *,
        pid_file: Path,
        log_file: Path,
        stop_signal: int,
        popen: subprocess.Popen[bytes] | None = None,
    ) -> None:
        self.name = name
        self.process = process
        self.log_file = log_file
        self._pid_file = pid_file
        self._stop_signal = stop_signal
        self._popen = popen

    @classmethod
    @undisturbed()
    def start(
        cls,
        name: str,
        command: Sequence[str | Path],
        *,
        folder: Path,
        environ: Mapping[str, str],
        cwd: Path | None = None,
        account: Account | None = None,
        stop_signal: int = signal.SIGTERM,
    ) -> Child:
        """Start a process in a session of its own.

        Its output goes to ``<folder>/<name>.log`` (begun anew) and who it is to ``<folder>/<name>.pid``.

        Args:
            environ: the whole environment of the process; nothing is inherited.
            account: another account to run as, which only root can ask for.
            stop_signal: what asks it to end.

        Raises:
            ProcessError: the program cannot be started.
        """
        log_file = folder / f"{name}.log"
        pid_file = folder / f"{name}.pid"
        try:
            with log_file.open("wb") as log:
                popen = subprocess.Popen(
                    [str(part) for part in command],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    cwd=cwd,
                    env=dict(environ),
                    start_new_session=True,
                    user=account.uid if account else None,
                    group=account.gid if account else None,
                    extra_groups=[] if account else None,
                )
        except OSError as error:
            raise ProcessError(f"{name} cannot be started: {what_happened(error)}") from error
        try:
            process = identify(popen.pid) or ProcessId(popen.pid, "ended at once")
            pid_file.write_text(json.dumps(asdict(process) | {"stop_signal": int(stop_signal)}))
        except BaseException as error:  # nobody could find it again
            _kill_group(popen.pid)
            popen.wait()
            if isinstance(error, OSError):
                raise ProcessError(f"{name} cannot be kept track of: {what_happened(error)}") from error
            raise
        return cls(name, process, pid_file=pid_file, log_file=log_file, stop_signal=stop_signal, popen=popen)

    @classmethod
    def from_pid_file(cls, pid_file: Path) -> Child | None:
        """The process that a pid file names, running or not; None when the file is unreadable."""
        try:
            stored = json.loads(pid_file.read_text())
            process = ProcessId(int(stored["pid"]), str(stored["started"]))
            stop_signal = int(stored["stop_signal"])
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return cls(
            pid_file.stem,
            process,
            pid_file=pid_file,
            log_file=pid_file.with_suffix(".log"),
            stop_signal=stop_signal,
        )

    @property
    def alive(self) -> bool:
        """Whether this very process still runs."""
        return is_alive(self.process)

    def wait_until(self, ready: Callable[[], bool], *, patience_s: float = 60.0) -> None:
        """Wait until ``ready`` answers True.

        Raises:
            ProcessError: the process ended first, or the time is over; with the end of its log.
        """
        deadline = time.monotonic() + patience_s
        while not ready():
            if not self.alive:
                raise ProcessError(f"{self.name} ended before it was ready: {self.last_words()}")
            if time.monotonic() > deadline:
                raise ProcessError(f"{self.name} was not ready after {patience_s:.0f} s: {self.last_words()}")
            time.sleep(POLL_S)

    def wait_for_http(
        self, url: str, *, headers: Mapping[str, str] | None = None, patience_s: float = 60.0
    ) -> None:
        """Wait until ``GET url`` is answered with anything below 500. Raises as :meth:`wait_until` does."""
        with httpx.Client(trust_env=False, timeout=2.0, headers=dict(headers or {})) as client:

            def answers() -> bool:
                try:
                    return client.get(url).status_code < 500
                except httpx.HTTPError:
                    return False

            self.wait_until(answers, patience_s=patience_s)

    def wait_for_port(self, port: int, *, patience_s: float = 60.0) -> None:
        """Wait until something accepts connections there. Raises as :meth:`wait_until` does."""
        self.wait_until(lambda: accepts_connections(port), patience_s=patience_s)

    def wait_for_end(self, *, patience_s: float) -> bool:
        """Wait until a process that was started here ends; whether it ended well. Its pid file is removed.

        Raises:
            ProcessError: it is still running when the time is over; it is stopped then.
        """
        if self._popen is None:
            raise ValueError(f"{self.name} was not started by this program")
        try:
            return self._popen.wait(patience_s) == 0
        except subprocess.TimeoutExpired:
            raise ProcessError(
                f"{self.name} took more than {patience_s:.0f} s: {self.last_words()}"
            ) from None
        finally:
            self.stop()

    def last_words(self) -> str:
        """The last complaint in its log, else its last line, and where the rest is: for an error message."""
        try:
            lines = [line for line in self.log_file.read_text(errors="replace").splitlines() if line.strip()]
        except OSError:
            lines = []
        complaints = [line for line in lines if _COMPLAINT.search(line)]
        said = (complaints or lines or ["it said nothing"])[-1].strip()
        return f"{said} (log: {self.log_file})"

    def kill(self) -> None:
        """End the process and its group without a warning, as a crash does: nothing in them runs again."""
        _kill_group(self.process.pid)
        self.stop(patience_s=0.0)

    def pause(self) -> None:
        """Let nothing of the process and its group run until `resume`; it has stopped when this returns."""
        os.killpg(self.process.pid, signal.SIGSTOP)
        while not _group_has_stopped(self.process.pid):
            time.sleep(0.001)

    def resume(self) -> None:
        """Let it go on as if nothing had been."""
        os.killpg(self.process.pid, signal.SIGCONT)

    def stop(self, *, patience_s: float = 5.0) -> None:
        """End the process and whatever is left of its group, and remove the pid file. Harmless to repeat."""
        if self._popen is None:
            stop_process(self.process, self._stop_signal, patience_s=patience_s)
        elif self._popen.returncode is None:
            self._stop_own(self._popen, patience_s)
        self._pid_file.unlink(missing_ok=True)

    def _stop_own(self, popen: subprocess.Popen[bytes], patience_s: float) -> None:
        # Until it is waited for, the number of an ended child stays its own: its group is safe to signal.
        _send(popen.pid, self._stop_signal)
        deadline = time.monotonic() + patience_s
        while self.alive and time.monotonic() < deadline:
            time.sleep(POLL_S)
        _kill_group(popen.pid)
        popen.wait()


def stop_all(folder: Path) -> list[str]:
    """End every process whose pid file lies in the folder, the newest first; the names of those that ran."""
    stopped = []
    for pid_file in sorted(folder.glob("*.pid"), key=lambda file: file.stat().st_mtime, reverse=True):
        child = Child.from_pid_file(pid_file)
        if child is None:
            pid_file.unlink(missing_ok=True)
            continue
        if child.alive:
            stopped.append(child.name)
        child.stop()
    return stopped


def check_all(folder: Path) -> None:
    """See that every process whose pid file lies in the folder runs.

    Raises:
        ProcessError: one has ended; with the end of its log.
    """
    for pid_file in sorted(folder.glob("*.pid")):
        child = Child.from_pid_file(pid_file)
        if child is not None and not child.alive:
            raise ProcessError(f"{child.name} has ended by itself: {child.last_words()}")


def accepts_connections(port: int) -> bool:
    """Whether something on 127.0.0.1 accepts a TCP connection to this port."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1.0):
            return True
    except OSError:
        return False


def _send(pid: int, number: int) -> None:
    with suppress(ProcessLookupError):  # it ended by itself
        os.kill(pid, number)


def _kill_group(pid: int) -> None:
    with suppress(ProcessLookupError, PermissionError):  # nothing is left of it (macOS says the latter)
        os.killpg(pid, signal.SIGKILL)


def _group_has_stopped(group: int) -> bool:
    """Whether each thread of a process group is stopped: the signal that asks for it takes a moment."""
    if sys.platform != "linux":
        rows = subprocess.run(
            ["/bin/ps", "-A", "-o", "pgid=,stat="], capture_output=True, text=True, check=False
        ).stdout.splitlines()
        states = [state for number, state in map(str.split, rows) if int(number) == group]
        return all(state.startswith((_STOPPED_STATE, *_ENDED_STATES)) for state in states)
    for stat in Path("/proc").glob("[0-9]*/task/*/stat"):
        with suppress(OSError):  # it ended meanwhile
            state, _parent, its_group, *_ = stat.read_text().rpartition(")")[2].split()
            if int(its_group) == group and state not in (_STOPPED_STATE, *_ENDED_STATES):
                return False
    return True


def _started_linux(pid: int) -> str | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return None
    # The second field is the program's name in parentheses and may itself contain anything (man 5 proc).
    fields = stat.rpartition(")")[2].split()
    state, ticks_since_boot = fields[0], fields[19]
    return None if state in _ENDED_STATES else f"{boot} {ticks_since_boot}"


def _started_elsewhere(pid: int) -> str | None:
    answer = subprocess.run(
        ["/bin/ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    state, _, started = answer.stdout.strip().partition(" ")
    return None if not started or state.startswith(_ENDED_STATES) else started.strip()
