"""What the operating system refuses becomes one line that says what, where, and what to do."""

from __future__ import annotations

import errno
import os
import shutil

import pytest

from local.errors import what_happened

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.ENOSPC, "Free some space there"),
        (errno.EACCES, "readable and writable"),
        (errno.EROFS, "Use a folder that can be written"),
        (errno.ENOTDIR, "Put that right"),
    ],
)
def test_reason_place_and_advice_are_in_the_line(number: int, advice: str) -> None:
    """A tired person need not know the number of the error."""
    said = what_happened(OSError(number, os.strerror(number), "/data/file"))
    assert said.startswith(f"{os.strerror(number)} (/data/file). ")
    assert advice in said


def test_of_a_whole_tree_the_first_refusal_is_told() -> None:
    """Copying a thousand files onto a full disk is one sentence, not a thousand."""
    refusals = [(f"/from/{i}", f"/to/{i}", "[Errno 28] No space left on device: '/to/x'") for i in range(3)]
    assert what_happened(shutil.Error(refusals)) == (
        "No space left on device (/to/0). Free some space there and try again."
    )
