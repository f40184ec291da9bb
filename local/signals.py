"""What a signal does to a command: it ends as by an exception, and nothing that it started is left behind.

Free of imports that take time: a command reads it before all else, because an interrupt may come early.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_ONE_KEY_S = 0.5
"""Signals this close together are one: a terminal sends its own beside what a shell passes on."""


@dataclass
class _State:
    undisturbed: int = 0
    waiting: int | None = None
    came_at: float = float("-inf")


_state = _State()


@contextmanager
def leaving_on_signals() -> Iterator[None]:
    """Within it SIGTERM and SIGHUP end this process by SystemExit, SIGINT by KeyboardInterrupt."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _state.came_at = float("-inf")
    # Whoever starts a command with nohup wants it to outlive the terminal.
    heard = [one for one in _ENDING if (one, signal.getsignal(one)) != (signal.SIGHUP, signal.SIG_IGN)]
    previous = {number: signal.signal(number, _leave) for number in heard}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextmanager
def undisturbed() -> Iterator[None]:
    """A signal that comes within it takes effect at its end: what is begun here is brought to its end."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _state.undisturbed += 1
    try:
        yield
    finally:
        _state.undisturbed -= 1
        if _state.undisturbed == 0 and _state.waiting is not None:
            waited, _state.waiting = _state.waiting, None
            _end(waited)


def ignore_signals() -> None:
    """The command is over: nothing that comes now has anything to end."""
    for number in _ENDING:
        signal.signal(number, signal.SIG_IGN)


def _leave(number: int, _frame: FrameType | None) -> None:
    now = time.monotonic()
    if now - _state.came_at < _ONE_KEY_S:
        return
    _state.came_at = now
    if _state.undisturbed:
        _state.waiting = number
    else:
        _end(number)


def _end(number: int) -> None:
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    raise SystemExit(128 + number)
