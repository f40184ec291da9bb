"""What several unit tests stand on."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from shared import log


@pytest.fixture
def logs_as_execute() -> Iterator[None]:
    """Logs as execute does, and as before afterwards."""
    root = logging.getLogger()
    before = root.handlers, root.level
    log.configure("execute")
    yield
    root.handlers, _ = before
    root.setLevel(before[1])
