"""The steps of an execution, and every place between two of them where its process can come to an end.

Execute asks six things, one after the other. Each leaves five gaps: the request is on its way (and is lost
with its sender, or carried out after its death), the work is done and unanswered, or the answer is there and
nothing was done with it yet.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum


class Call(IntEnum):
    """What execute asks, in this order; LOOK_UP only when the order's fate is unknown."""

    BEGIN = 1
    FACTS = 2
    CLAIM = 3
    ORDER = 4
    LOOK_UP = 5
    RECORD = 6


class Moment(StrEnum):
    """How far a call has come when the process ends."""

    LOST = "lost"
    LATE = "late"
    TOO_LATE = "too-late"
    LOCKED = "locked"
    DONE = "done"
    ANSWERED = "answered"


_MEANINGS = {
    Moment.LOST: "is on its way, and lost with the process",
    Moment.LATE: "is on its way, and carried out after the process is gone",
    Moment.TOO_LATE: "is on its way, and arrives when its window is over",
    Moment.LOCKED: "waits for a locked row, and gives up after the process is gone",
    Moment.DONE: "is carried out, and not answered",
    Moment.ANSWERED: "is answered, and nothing is done with it yet",
}
_CALLS = {
    Call.BEGIN: "the reading of the proposal",
    Call.FACTS: "the reading of the market",
    Call.CLAIM: "the claim",
    Call.ORDER: "the order",
    Call.LOOK_UP: "the look-up of an order of unknown fate",
    Call.RECORD: "the record",
}
_WAYS = {
    Call.BEGIN: (Moment.LOST, Moment.DONE, Moment.ANSWERED),
    Call.FACTS: (Moment.LOST, Moment.ANSWERED),
    Call.CLAIM: (Moment.LOST, Moment.LATE, Moment.DONE, Moment.ANSWERED),
    Call.ORDER: (Moment.LOST, Moment.LATE, Moment.TOO_LATE, Moment.DONE, Moment.ANSWERED),
    Call.LOOK_UP: (Moment.LOST, Moment.ANSWERED),
    Call.RECORD: (Moment.LOST, Moment.LATE, Moment.LOCKED, Moment.DONE, Moment.ANSWERED),
}
_ASKED_TWICE = (Call.CLAIM, Call.RECORD)


@dataclass(frozen=True)
class Step:
    """One place where the process ends: during `call`, as far as `moment` says.

    `again`: the first answer to the call was dropped, and the process asks a second time.
    """

    call: Call
    moment: Moment
    again: bool = False

    @property
    def name(self) -> str:
        """Short, and good for a command line."""
        return f"{self.call.name.lower().replace('_', '-')}{'-again' if self.again else ''}-{self.moment}"

    @property
    def meaning(self) -> str:
        """What the reader has to know."""
        again = ", asked again because its answer was dropped," if self.again else ""
        return f"{_CALLS[self.call]}{again} {_MEANINGS[self.moment]}"

    # What has happened when the process ends, and what happens at all

    @property
    def claimed(self) -> bool:
        """Is the claim committed by then?"""
        return self._done(Call.CLAIM)

    @property
    def ever_claimed(self) -> bool:
        """Is the claim ever committed, were it after the process is gone?"""
        return self.claimed or self._late(Call.CLAIM)

    @property
    def sent(self) -> bool:
        """Has the order left the process by then?"""
        return self.call >= Call.ORDER

    @property
    def judged(self) -> bool:
        """Has the exchange judged the order by then?"""
        return self._done(Call.ORDER)

    @property
    def ever_judged(self) -> bool:
        """Does the exchange ever judge the order while it may accept it?"""
        return self.judged or self._late(Call.ORDER)

    @property
    def recorded(self) -> bool:
        """Is the record committed by then?"""
        return self._done(Call.RECORD)

    @property
    def ever_recorded(self) -> bool:
        """Is the record ever committed, were it after the process is gone?"""
        return self.recorded or self._late(Call.RECORD)

    def _done(self, call: Call) -> bool:
        here = self.call is call and (self.again or self.moment in (Moment.DONE, Moment.ANSWERED))
        return self.call > call or here

    def _late(self, call: Call) -> bool:
        return self.call is call and self.moment is Moment.LATE


STEPS = tuple(
    Step(call, moment, again)
    for call, moments in _WAYS.items()
    for again, gaps in ((False, moments), (True, (Moment.LOST, Moment.ANSWERED)))
    if not again or call in _ASKED_TWICE
    for moment in gaps
)
