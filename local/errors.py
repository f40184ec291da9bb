"""What can go wrong in the local world, as one sentence for the person at the terminal.

LocalWorldError           the whole sentence: what is wrong, and what to do
 ├ InUseError             another running program of this checkout uses it
 ├ PortError              every port that was tried is taken
 └ ProcessError           a process ended, or did not become ready in time
"""

from __future__ import annotations

import errno
import os
import re
import shutil

_ADVICE = {
    errno.ENOSPC: "Free some space there and try again.",
    errno.EDQUOT: "Free some space there and try again.",
    errno.EACCES: "Make it readable and writable for yourself and try again.",
    errno.EPERM: "Make it readable and writable for yourself and try again.",
    errno.EROFS: "Use a folder that can be written.",
    errno.ENOENT: "Install it, or put it back, and try again.",
}


class LocalWorldError(Exception):
    """The local world cannot start or go on; the text says what is wrong and what to do."""


class InUseError(LocalWorldError):
    """Another running program of this checkout uses the world of this name."""


class PortError(LocalWorldError):
    """Every port that was tried is taken."""


class ProcessError(LocalWorldError):
    """A process ended, or did not become ready in time."""


def what_happened(error: OSError) -> str:
    """What the operating system refused, where, and what to do about it, as the rest of a sentence."""
    if isinstance(error, shutil.Error):  # one of these carries the errors of a whole tree, as text
        _source, place, text = error.args[0][0]
        number = int("".join(re.findall(r"^\[Errno (\d+)\]", text)) or 0)
    else:
        place, number = error.filename, error.errno or 0
    where = f" ({place})" if place else ""
    return f"{os.strerror(number)}{where}. {_ADVICE.get(number, 'Put that right and try again.')}"
