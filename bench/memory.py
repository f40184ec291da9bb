"""What processes hold in memory."""

from __future__ import annotations

from pathlib import Path


def proportional_bytes(group: int) -> int:
    """What the processes of a group hold in memory, what several of them share counted once (Linux)."""
    total = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            if int(stat.read_text().rpartition(")")[2].split()[2]) == group:
                lines = (stat.parent / "smaps_rollup").read_text().splitlines()
                total += sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
        except OSError:  # it ended meanwhile
            continue
    return total
