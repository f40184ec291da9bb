"""Processes of the local world are known by number and start, stopped whole, never mistaken for others."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.errors import ProcessError
from local.ports import free_port
from local.processes import Child, ProcessId, check_all, identify, is_alive, stop_all, stop_process
from local.signals import leaving_on_signals, undisturbed

pytestmark = pytest.mark.unit

ENVIRON = {"PATH": os.defpath}


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder for logs and pid files; whatever still runs at the end of the test is stopped."""
    yield tmp_path
    stop_all(tmp_path)


def python(name: str, code: str, folder: Path) -> Child:
    return Child.start(name, [sys.executable, "-c", code], folder=folder, environ=ENVIRON)


def test_a_number_alone_does_not_make_a_process_ours() -> None:
    """A pid that the system has given to another process since is not the process we started."""
    us = identify(os.getpid())
    assert us is not None
    assert is_alive(us)
    assert not is_alive(ProcessId(os.getpid(), "another moment"))


def test_an_ended_process_is_not_alive_even_before_it_is_waited_for() -> None:
    """A zombie keeps its number; nothing waits for it to do any more."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    deadline = time.monotonic() + 10
    while identify(ended.pid) is not None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert identify(ended.pid) is None
    ended.wait()


def test_stopping_leaves_a_foreign_process_alone(folder: Path) -> None:
    """A stale pid file whose number belongs to another process now never ends that process."""
    foreign = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
    try:
        stale = {"pid": foreign.pid, "started": "before the restart", "stop_signal": int(signal.SIGTERM)}
        (folder / "postgres.pid").write_text(json.dumps(stale))
        assert stop_all(folder) == []
        stop_process(ProcessId(foreign.pid, "before the restart"))
        assert foreign.poll() is None
        assert list(folder.glob("*.pid")) == []
    finally:
        foreign.kill()
        foreign.wait()


def test_a_child_left_by_a_killed_run_is_stopped_from_its_pid_file(folder: Path) -> None:
    """A run that never came to its own clean-up is cleaned by the next."""
    child = python("left", "import time; time.sleep(60)", folder)
    found = Child.from_pid_file(folder / "left.pid")
    assert found is not None
    assert found.process == child.process
    assert stop_all(folder) == ["left"]
    assert not child.alive
    assert not (folder / "left.pid").exists()


def test_a_damaged_pid_file_is_removed(folder: Path) -> None:
    """A pid file that a full disk cut short does not block the next start."""
    (folder / "cut.pid").write_text('{"pid": 12')
    assert stop_all(folder) == []
    assert not (folder / "cut.pid").exists()


def test_stopping_ends_what_the_child_started(folder: Path) -> None:
    """Nothing of a child's process group outlives it, whatever it ignores."""
    code = (
        "import signal, subprocess, sys, time\n"
        "ignoring = 'import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
        "print(1, flush=True); time.sleep(60)'\n"
        "inner = subprocess.Popen([sys.executable, '-c', ignoring], stdout=subprocess.PIPE)\n"
        "inner.stdout.readline()\n"
        "print(inner.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    child = python("parent", code, folder)
    child.wait_until(lambda: child.log_file.read_text().endswith("\n"))
    inner = identify(int(child.log_file.read_text()))
    assert inner is not None
    child.stop()
    deadline = time.monotonic() + 5
    while is_alive(inner) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not is_alive(inner)


def test_a_child_that_ignores_the_request_is_ended_by_force(folder: Path) -> None:
    """Stopping takes at most its patience."""
    code = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
        "print('ready', flush=True); time.sleep(60)"
    )
    child = python("stubborn", code, folder)
    child.wait_until(lambda: "ready" in child.log_file.read_text())
    begun = time.monotonic()
    child.stop(patience_s=0.3)
    assert time.monotonic() - begun < 5
    assert not child.alive


def test_waiting_says_why_a_child_ended(folder: Path) -> None:
    """The last line of its log is in the sentence that the person reads."""
    child = python("broken", "import sys; sys.exit('no such table')", folder)
    with pytest.raises(ProcessError, match="broken ended before it was ready: no such table"):
        child.wait_for_port(free_port())


def test_the_complaint_in_a_log_is_what_is_told(folder: Path) -> None:
    """What a program says after its error, while it tidies up, does not hide the error."""
    child = python("untidy", "print('FATAL: no space left'); print('removing files')", folder)
    child.wait_for_end(patience_s=10)
    assert child.last_words().startswith("FATAL: no space left (log: ")


def test_waiting_ends_when_the_time_is_over(folder: Path) -> None:
    """A child that hangs does not hang the person who waits for it."""
    child = python("slow", "import time; time.sleep(60)", folder)
    with pytest.raises(ProcessError, match="slow was not ready after 0 s"):
        child.wait_for_port(free_port(), patience_s=0.2)


def test_a_child_sees_only_the_environment_it_is_given(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No secret of the shell reaches a process that was not given it."""
    monkeypatch.setenv("BITVAVO_TRADE_SECRET", "real")
    child = python("curious", "import os; print(sorted(os.environ))", folder)
    assert child.wait_for_end(patience_s=10)
    assert "BITVAVO" not in child.log_file.read_text()


def test_a_program_that_does_not_exist_is_named(folder: Path) -> None:
    """A missing tool is one sentence, not a traceback."""
    with pytest.raises(ProcessError, match="tool cannot be started: No such file or directory"):
        Child.start("tool", [folder / "missing"], folder=folder, environ=ENVIRON)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_runs_the_clean_up(number: signal.Signals) -> None:
    """A closed terminal or a kill ends the block the way an exception does, and handlers are put back."""
    before = signal.getsignal(number)
    cleaned = []

    def block() -> None:
        with leaving_on_signals():
            try:
                os.kill(os.getpid(), number)
                time.sleep(5)
            finally:
                cleaned.append(number)

    with pytest.raises(SystemExit) as left:
        block()
    assert cleaned == [number]
    assert left.value.code == 128 + number
    assert signal.getsignal(number) == before


def test_a_process_that_ends_by_itself_is_missed(folder: Path) -> None:
    """Its name and its last words are told; while all run, nothing is."""
    told = folder / "told"
    code = "import time; from pathlib import Path; print('the disk is gone', flush=True)\n"
    code += f"Path({str(told)!r}).touch(); time.sleep(60)"
    child = python("postgres", code, folder)
    child.wait_until(told.exists)
    check_all(folder)
    os.kill(child.process.pid, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while child.alive and time.monotonic() < deadline:
        time.sleep(0.01)
    with pytest.raises(ProcessError, match="postgres has ended by itself: the disk is gone"):
        check_all(folder)


@pytest.mark.parametrize(
    ("number", "ends_by"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)]
)
def test_what_must_not_be_left_half_done_is_done_before_a_signal_ends_it(
    number: int, ends_by: type[BaseException]
) -> None:
    """A signal waits for the end of such a block, and is not forgotten."""
    done = []

    def block() -> None:
        with leaving_on_signals():
            with undisturbed():
                os.kill(os.getpid(), number)
                with undisturbed():
                    pass
                done.append("all of it")
            done.append("more than that")

    with pytest.raises(ends_by):
        block()
    assert done == ["all of it"]


def test_what_a_terminal_and_a_shell_send_for_one_key_is_one_signal() -> None:
    """The second of a pair never strikes while the first is on its way out."""
    cleaned = []

    def block() -> None:
        with leaving_on_signals():
            try:
                os.kill(os.getpid(), signal.SIGINT)
                time.sleep(5)
            finally:
                os.kill(os.getpid(), signal.SIGTERM)
                cleaned.append("up")

    with pytest.raises(KeyboardInterrupt):
        block()
    assert cleaned == ["up"]


def test_a_paused_process_does_nothing_until_it_is_resumed(folder: Path) -> None:
    """It goes on where it was; what it was told meanwhile has waited."""
    spoken = folder / "spoken"
    code = (
        f"import time\nfrom pathlib import Path\nwhile True: Path({str(spoken)!r}).touch(); time.sleep(.01)"
    )
    child = python("talker", code, folder)
    child.wait_until(spoken.exists)
    child.pause()
    spoken.unlink()
    time.sleep(0.1)
    assert not spoken.exists()
    child.resume()
    child.wait_until(spoken.exists)


def test_a_killed_process_gets_no_warning(folder: Path) -> None:
    """No handler runs, and what it started is gone with it."""
    warned = folder / "warned"
    code = (
        "import signal, subprocess, sys, time\n"
        "from pathlib import Path\n"
        f"signal.signal(signal.SIGTERM, lambda *_: Path({str(warned)!r}).touch())\n"
        "print(subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']).pid, flush=True)\n"
        "time.sleep(60)"
    )
    child = python("parent", code, folder)
    child.wait_until(lambda: child.log_file.read_text().endswith("\n"))
    other = int(child.log_file.read_text())
    child.kill()
    assert not child.alive
    deadline = time.monotonic() + 5
    while identify(other) is not None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert identify(other) is None
    assert not warned.exists()
