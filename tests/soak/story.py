"""What happened, step by step: the same seed tells the same story."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from uuid import UUID

from tests.soak.clocks import NS


@dataclass
class Story:
    """Lines of what happened, with names instead of ids, and how often each kind of thing did."""

    now_ns: Callable[[], int]
    lines: list[str] = field(default_factory=list)
    tally: Counter[str] = field(default_factory=Counter)
    _names: dict[str, str] = field(default_factory=dict)
    _began_ns: int = field(init=False)

    def __post_init__(self) -> None:
        self._began_ns = self.now_ns()

    def tell(self, who: str, what: str) -> None:
        """One line: seconds since the beginning, who, and what."""
        self.lines.append(f"{(self.now_ns() - self._began_ns) / NS:10.3f}  {who:12} {what}")

    def call(self, thing: UUID | str, name: str) -> None:
        """Give a thing a name that is the same whenever this seed is played."""
        self._names[str(thing)] = name

    def named(self, thing: UUID | str) -> str:
        """The name of a thing."""
        return self._names.get(str(thing), str(thing))

    def readable(self, text: str) -> str:
        """A text with its ids replaced by names."""
        for thing, name in self._names.items():
            text = text.replace(thing, name)
        return text
