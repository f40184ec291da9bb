"""The command that shows an order whose answer is lost ends as it promises, started as a person starts it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from local.stack import REPOSITORY

_OF_A_PERSON = ("CANDLES", "MODEL", "PRICES", "TRADING_MODE")
"""What a person may set for it, and the tests do not."""


@pytest.mark.soak
@pytest.mark.timeout(300)
def test_an_order_whose_answer_is_lost_goes_from_unknown_to_filled() -> None:
    """`make demo-faults`: nobody knows, then cleanup does; there is one order all the while."""
    told = _told()
    assert "HTTP 202  UNKNOWN" in told
    assert "filled    not known yet" in told
    assert "None" not in told
    assert "FILLED" in told[told.index("HTTP 202  UNKNOWN") :]
    assert "Two approvals, one order." in told


def _told() -> str:
    """What the command prints; it has to exit 0 and to stop all that it started."""
    done = subprocess.run(
        [sys.executable, "-m", "local.cycle", "lost-answer"],
        cwd=REPOSITORY,
        env={name: value for name, value in os.environ.items() if name not in _OF_A_PERSON}
        | {"PYTHONPATH": "."},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "Nothing is left running" in done.stdout
    return done.stdout
