"""What can go wrong in the local world, as one sentence for the person at the terminal.

LocalWorldError           the whole sentence: what is wrong, and what to do
 ├ InUseError             another running program of this checkout uses it
 ├ PortError              every port that was tried is taken
 └ ProcessError           a process ended, or did not become ready in time
"""

from __future__ import annotations

import os
import shutil


class LocalWorldError(Exception):
    """The local world cannot start or go on; the text says what is wrong and what to do."""


class InUseError(LocalWorldError):
    """Another running program of this checkout uses the world of this name."""


class PortError(LocalWorldError):
    """Every port that was tried is taken."""


class ProcessError(LocalWorldError):
    """A process ended, or did not become ready in time."""


def what_happened(error: OSError) -> str:
    """An operating system's error as part of a sentence: the reason, then the file, each once.

    A full disk and a folder that cannot be written are told apart by their reason.
    """
    if isinstance(error, shutil.Error):  # one of these carries the errors of a whole tree
        _source, target, reason = error.args[0][0]
        return f"{reason.rpartition('] ')[2].partition(':')[0]} ({target})"
    reason = error.strerror or os.strerror(error.errno or 0)
    return f"{reason} ({error.filename})" if error.filename else reason
