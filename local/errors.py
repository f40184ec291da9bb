"""What can go wrong in the local world, as one sentence for the person at the terminal.

LocalWorldError           the whole sentence: what is wrong, and what to do
 ├ PortError              every port that was tried is taken
 └ ProcessError           a process ended, or did not become ready in time
"""

from __future__ import annotations


class LocalWorldError(Exception):
    """The local world cannot start or go on; the text says what is wrong and what to do."""


class PortError(LocalWorldError):
    """Every port that was tried is taken."""


class ProcessError(LocalWorldError):
    """A process ended, or did not become ready in time."""
