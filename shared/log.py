"""One JSON line an event on standard output, as Cloud Logging reads it.

The fields `severity`, `message`, `time` and `logging.googleapis.com/trace` are those of
https://cloud.google.com/logging/docs/structured-logging; the others are ours.
"""

from __future__ import annotations

import json
import logging
import sys
import traceback
from collections.abc import Mapping
from contextvars import ContextVar
from datetime import datetime
from decimal import Decimal
from enum import Enum
from types import TracebackType
from typing import TextIO
from uuid import UUID

from pydantic import SecretStr

from shared.errors import InterlockError
from shared.events import Event, Severity

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
"""The id of the request that is being served; it is in every line that is logged meanwhile."""

trace: ContextVar[str | None] = ContextVar("trace", default=None)
"""The trace of the request that is being served (32 hex digits), as the platform's front end named it."""

_LEVELS = {
    Severity.INFO: logging.INFO,
    Severity.NOTICE: 25,
    Severity.WARNING: logging.WARNING,
    Severity.ERROR: logging.ERROR,
    Severity.CRITICAL: logging.CRITICAL,
}
_logger = logging.getLogger("interlock")


def configure(function: str, project: str | None = None) -> None:
    """Make every line of this process JSON, and say in each which function speaks.

    `project` is the Google Cloud project: with it the lines of a request are shown beside its trace.
    Libraries are heard from WARNING on: httpx names each URL that it asks at INFO, and a URL can be a secret.
    """
    handler = _StandardOutput()
    handler.setFormatter(_JsonLine(function, project))
    logging.getLogger().handlers = [handler]
    logging.getLogger().setLevel(logging.WARNING)
    _logger.setLevel(logging.INFO)
    logging.addLevelName(_LEVELS[Severity.NOTICE], Severity.NOTICE)


def log(event: Event, message: str = "", /, *, error: BaseException | None = None, **fields: object) -> None:
    """Log one event with its facts.

    `error` adds the name of its class and where it was raised; its text only when it is one of ours, because
    a library's text can quote what it was given. A `SecretStr` is written as asterisks, an object of an
    unknown class as its class's name.
    """
    entry: dict[str, object] = {"event": event.value, "layer": event.layer.value, **fields}
    if error is not None:
        entry |= describe(error)
    _logger.log(_LEVELS[event.severity], message or event.value.replace("_", " "), extra={"entry": entry})


def describe(error: BaseException) -> dict[str, object]:
    """The class of an error and the code lines that it passed, without any value of the run."""
    told: dict[str, object] = {"error": type(error).__name__}
    told["stack_trace"] = _stack(type(error), error.__traceback__)
    return told | {"reason": str(error)} if isinstance(error, InterlockError) else told


def _stack(kind: type[BaseException], where: TracebackType | None) -> str:
    return "".join(("Traceback (most recent call last):\n", *traceback.format_tb(where), kind.__name__))


def _text(value: object) -> object:
    if isinstance(value, SecretStr):
        return "****"
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, (set, frozenset)):
        return sorted(value, key=str)
    if isinstance(value, Mapping):
        return dict(value)
    return f"<{type(value).__name__}>"


class _JsonLine(logging.Formatter):
    def __init__(self, function: str, project: str | None) -> None:
        super().__init__()
        self._function = function
        self._project = project

    def format(self, record: logging.LogRecord) -> str:
        entry = getattr(record, "entry", None)
        severity = record.levelname
        if not isinstance(entry, dict):
            event = Event.LIBRARY_WARNED if record.levelno < logging.ERROR else Event.LIBRARY_FAILED
            severity = event.severity
            entry = {"event": event.value, "layer": event.layer.value, "logger": record.name}
            if record.exc_info and record.exc_info[0]:
                kind, _, where = record.exc_info
                entry |= {"error": kind.__name__, "stack_trace": _stack(kind, where)}
        line = {
            "severity": severity,
            "message": record.getMessage(),
            "time": datetime.fromtimestamp(record.created).astimezone().isoformat(),
            "function": self._function,
            "request_id": request_id.get(),
            **self._trace(),
            **entry,
        }
        present = {name: value for name, value in line.items() if value is not None}
        return json.dumps(present, default=_text, separators=(",", ":"))

    def _trace(self) -> dict[str, str | None]:
        seen = trace.get()
        if seen is None or self._project is None:
            return {"trace": seen}
        return {"logging.googleapis.com/trace": f"projects/{self._project}/traces/{seen}"}


class _StandardOutput(logging.StreamHandler[TextIO]):
    """Writes to what is standard output at the moment of writing, and one line never interrupts another."""

    def __init__(self) -> None:
        super().__init__(sys.stdout)

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stdout
        super().emit(record)
