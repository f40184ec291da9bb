"""The functions' own log: kept from the screen, and searched for what the code itself did not expect."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from shared.events import Event
from tests.soak.journal import Journal

_UNEXPECTED = frozenset({Event.REQUEST_FAILED, Event.SCAN_JOB_BROKE, Event.CLEANUP_STEP_FAILED})


class _Reader(logging.Handler):
    """Every line that tells of an exception that nobody foresaw is a violation."""

    def __init__(self, journal: Journal) -> None:
        super().__init__(logging.ERROR)
        self._journal = journal

    def emit(self, record: logging.LogRecord) -> None:
        entry = getattr(record, "entry", {})
        if entry.get("event") in _UNEXPECTED:
            self._journal.violated(f"unforeseen: {entry.get('error')} {entry.get('stack_trace')}")


@contextmanager
def errors_seen(journal: Journal) -> Iterator[None]:
    """While a seed is played, its log is read here alone."""
    logger = logging.getLogger("interlock")
    before = logger.level, logger.propagate
    reader = _Reader(journal)
    logger.addHandler(reader)
    logger.setLevel(logging.ERROR)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(reader)
        logger.level, logger.propagate = before
