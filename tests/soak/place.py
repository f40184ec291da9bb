"""What one seed is played on: database, exchange, clocks, chance, and what is written down."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from uuid import UUID

from local.exchange.exchange import Exchange
from local.exchange.faults import ExchangeFaultRequest
from local.faults.plan import FaultPlan
from tests.database.harness import TestDatabase
from tests.soak.clocks import Clocks
from tests.soak.journal import Journal
from tests.soak.story import Story


@dataclass
class Place:
    """One deployment. Everything that is drawn is drawn from `random`, in one order."""

    db: TestDatabase
    exchange: Exchange
    clocks: Clocks
    random: Random
    faults: FaultPlan[ExchangeFaultRequest] = field(default_factory=FaultPlan)
    journal: Journal = field(default_factory=Journal)
    story: Story = field(init=False)

    def __post_init__(self) -> None:
        self.story = Story(self.clocks.now_ns)

    def id(self) -> UUID:
        """An id that is the same whenever this seed is played."""
        return UUID(int=self.random.getrandbits(128), version=4)

    def sync(self) -> None:
        """Show the database its time."""
        self.db.set_clock(self.clocks.database_time())
