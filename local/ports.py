"""Free ports on loopback, below the range from which the kernel takes ports for outgoing connections.

A client that polls a port of that range while nothing listens there can be given the same port for its own
end and connect to itself; a server could find its port taken by any outgoing connection.
"""

from __future__ import annotations

import random
import socket
import sys
from pathlib import Path

from local.errors import PortError

LOWEST = 10_000
CEILING = 32_768
ATTEMPTS = 500
_RANGE_FILE = Path("/proc/sys/net/ipv4/ip_local_port_range")

_held: dict[int, socket.socket] = {}


def free_port(wanted: int | None = None) -> int:
    """A loopback TCP port that nothing uses and that no other call in this process has been given.

    It is the one that is wanted, if that is free.

    On Linux the port stays bound, without listening, until :func:`release` or the end of this process:
    another world that looks for a port is refused, while a server that sets ``SO_REUSEADDR`` before it binds
    (Postgres, node, uvicorn, gunicorn and http.server do) still gets it. Elsewhere it is let go at once, and
    a lost race shows as a server that does not start.

    Raises:
        PortError: none of 500 ports picked at random was free.
    """
    ceiling = _first_port_of_the_kernel()
    for attempt in range(ATTEMPTS):
        port = random.randrange(LOWEST, ceiling)  # noqa: S311 - a port is no secret
        if attempt == 0 and wanted is not None:
            port = wanted
        if port in _held:
            continue
        holder = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            holder.bind(("127.0.0.1", port))
        except OSError:
            holder.close()
            continue
        if sys.platform == "linux":
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        else:
            holder.close()
        _held[port] = holder
        return port
    raise PortError(f"No free port between {LOWEST} and {ceiling} on 127.0.0.1: stop what occupies them.")


def release(port: int) -> None:
    """Let go of a port that :func:`free_port` gave out; harmless for any other."""
    holder = _held.pop(port, None)
    if holder is not None:
        holder.close()


def _first_port_of_the_kernel() -> int:
    try:
        first = int(_RANGE_FILE.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return CEILING
    return first if LOWEST + 1_000 < first < CEILING else CEILING
