"""`execute` as it is deployed, but for its clock, which a file moves; functions-framework serves this."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

from functions.execute import main
from tests.crashes.clock import CLOCK_FILE

_moved_by = Path(os.environ[CLOCK_FILE])


def _now_ms() -> int:
    return time.time_ns() // 1_000_000 + int(_moved_by.read_text())


main._service = replace(main._service, trader=replace(main._service.trader, now_ms=_now_ms))
execute = main.execute
