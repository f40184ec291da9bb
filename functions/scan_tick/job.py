"""What a scan is about and what it touches: the words that its steps pass to each other."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from functions.scan_tick.answer import Tokens
from functions.scan_tick.model import Model

LONGEST_REASON = 300

Outcome = Literal["proposed", "held", "failed", "budget_exhausted", "outage"]
Ending = Literal[Outcome, "policy_changed", "lease_lost", "unfinished"]


class Rpc(Protocol):
    """The database as a scan sees it."""

    def call(self, rpc: str, **params: object) -> Any:
        """See `shared.database.Database.call`."""


class Blocked(BaseModel):
    """Why no order of the owner would pass in a market now; of a cooldown, until when."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    code: str
    until: datetime | None = None

    def __str__(self) -> str:
        return f"until {self.until:%Y-%m-%d %H:%M} UTC" if self.until else "no order would pass"


class ClaimedJob(BaseModel):
    """One row of what `claim_due_scan_jobs` answers."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: UUID
    lock_token: UUID
    policy: Any
    policy_hash: str | None
    blocked: Mapping[str, Blocked] = {}
    """By market. The database decides it again when a proposal is approved."""
    lost_worker: str | None = None
    """Who held it until its lock expired."""


@dataclass(frozen=True)
class Outside:
    """Everything beyond this process that a scan touches, and the clocks. `monotonic` is in seconds."""

    database: Rpc
    model: Model
    now: Callable[[], datetime]
    monotonic: Callable[[], float]
    sleep: Callable[[float], None]
    notify_url: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Usage:
    """How one reserved model call ended. RELEASED calls count against no budget."""

    id: UUID
    status: Literal["SUCCEEDED", "FAILED", "RELEASED"]
    reason: str | None
    tokens: Tokens

    def row(self, model: str, verdict: "Verdict") -> dict[str, object]:
        """The entry of `finish_scan`'s `p_usage`; a call that succeeded says what came of its answer."""
        reason = verdict.reason if self.status == "SUCCEEDED" else self.reason
        return {
            "id": str(self.id),
            "status": self.status,
            "reason": None if reason is None else reason[:LONGEST_REASON],
            "model": model,
            "prompt_tokens": None if self.tokens.prompt is None else str(self.tokens.prompt),
            "completion_tokens": None if self.tokens.completion is None else str(self.tokens.completion),
        }


@dataclass(frozen=True)
class Verdict:
    """What `finish_scan` is told beside the usage. Only `proposed` has a proposal."""

    outcome: Outcome
    reason: str | None = None
    proposal: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Result:
    """How a job ended, for the summary. `calls` are the model calls that were reserved for it."""

    job_id: UUID
    ending: Ending
    reason: str | None
    proposal_id: UUID | None
    calls: int


class LeaseLostError(Exception):
    """The job is no longer ours: nothing was reserved, and nothing may be done."""
