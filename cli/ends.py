"""How a command ends: its exit code, and the errors that end one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, ClassVar

from rich.console import RenderableType


class Exit(IntEnum):
    """What a script learns from the exit code."""

    means: str

    def __new__(cls, number: int, means: str) -> Exit:
        end = int.__new__(cls, number)
        end._value_ = number
        end.means = means
        return end

    DONE = 0, "done; for approve: the order reached the exchange, now or before, or a dry run was recorded"
    REFUSED = 1, "refused, and nothing was placed"
    USAGE = 2, "the call is wrong: arguments, environment, or nobody is signed in"
    UNKNOWN = 3, "sent, and what became of it is not known yet; repeating is safe and tells"
    UNAVAILABLE = 4, "a service gave no answer or is busy; nothing was done, repeat"
    UNSHOWN = 5, "the answer could not be written where it was to go; what was asked was done"


@dataclass(frozen=True, slots=True)
class Said:
    """What a command came to: for scripts, for people, and for the exit code."""

    data: Mapping[str, Any]
    shown: list[RenderableType] = field(default_factory=list)
    exit: Exit = Exit.DONE


class Ended(Exception):  # noqa: N818 - the leaves say how
    """A command that ends without what was asked for.

    `code` and `facts` are what `--json` shows beside the sentence; `lines` are what people see under it.
    """

    exit: ClassVar[Exit]

    def __init__(
        self,
        sentence: str,
        code: str,
        facts: Mapping[str, object] | None = None,
        lines: Sequence[str] = (),
    ) -> None:
        super().__init__(sentence)
        self.code = code
        self.facts = dict(facts or {})
        self.lines = tuple(lines)

    def as_json(self) -> dict[str, object]:
        """The shape of every failure: `{"error": sentence, "code": code, ...}`."""
        return {"error": str(self), "code": self.code, **self.facts}


class Refused(Ended):
    """The answer is no."""

    exit = Exit.REFUSED


class WrongCall(Ended):
    """Nothing was asked of anybody."""

    exit = Exit.USAGE


class UnknownFate(Ended):
    """It was asked, and no answer came."""

    exit = Exit.UNKNOWN


class Unavailable(Ended):
    """Nobody could be asked, or whoever was asked cannot answer now."""

    exit = Exit.UNAVAILABLE
