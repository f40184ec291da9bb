"""The command blocks of the documents: what a reader copies, and what they are shown to expect.

A block whose fence says ``sh run`` is run by the tests. When a block of ``text`` follows it, that is what it
prints: numbers, ids, assets and whatever stands at a ``…`` differ, words do not, and lines may be left out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from local.stack import REPOSITORY

DOCUMENTS = (*sorted(REPOSITORY.glob("*.md")), *sorted((REPOSITORY / "docs").glob("*.md")))

_PARTS = re.compile(
    r"^(?P<heading>#+ [^\n]+)$|^ *```(?P<kind>\S*)(?P<run> run)?\n(?P<text>.*?)^ *```$",
    re.MULTILINE | re.DOTALL,
)
_STEERS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
"""What a terminal obeys and does not show."""

_DIFFERS = re.compile(
    r"…|\b(?:BTC|ETH)\b|\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b|\b(?=[0-9a-f]*\d)[0-9a-f]{8}\b|\d[\d.,:]*"
)


@dataclass(frozen=True)
class Block:
    """One block of commands."""

    place: str
    """The document and the heading that it stands under, `README.md#halt`."""
    run: bool
    commands: str
    shown: str | None
    """What is printed, as the document shows it."""


def blocks_of(document: Path) -> list[Block]:
    """Every block of commands in a document, in order."""
    found, heading = [], ""
    for part, following in pairwise([*_PARTS.finditer(document.read_text()), None]):
        assert part is not None
        if part["heading"]:
            heading = re.sub(r"[^\w\- ]", "", part["heading"].lstrip("#")).strip().lower().replace(" ", "-")
        elif part["kind"] in ("sh", "bash", "shell", "sql", "console"):
            is_shown = following is not None and following["kind"] == "text"
            shown = following["text"] if following is not None and is_shown else None
            found.append(Block(f"{document.name}#{heading}", bool(part["run"]), part["text"], shown))
    return found


BLOCKS = tuple(block for document in DOCUMENTS for block in blocks_of(document))


def missing(shown: str, printed: str) -> list[str]:
    """The lines that a document shows and that were not printed after the one before."""
    left, lost = " ".join(_STEERS.sub("", printed).split()), []
    for line in filter(None, (" ".join(line.split()) for line in shown.splitlines())):
        if found := re.search(_pattern(line), left):
            left = left[found.end() :]
        else:
            lost.append(line)
    return lost


def _pattern(line: str) -> str:
    made, end = "", 0
    for differing in _DIFFERS.finditer(line):
        made += re.escape(line[end : differing.start()]) + (".*?" if differing[0] == "…" else r"[\w.,:-]+")
        end = differing.end()
    return made + re.escape(line[end:])
