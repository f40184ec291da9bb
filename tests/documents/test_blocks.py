"""Whatever a document tells a reader to type, works: as a reader who follows them from the first line on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from tests.documents.blocks import BLOCKS, Block, missing
from tests.documents.reader import PATIENCE_S, Reader
from tests.documents.terminal import Terminal

_RUN = tuple(block for block in BLOCKS if block.run)

NOT_RUN = {
    "make test": "it is what runs this",
    "make setup": "it stands beside what runs this",
    "cp deploy.env.example deploy.env": "it needs the cloud",
    "export SUPABASE_URL=https://… SUPABASE_PUBLISHABLE_KEY=sb_publishable_…": "its addresses are not real",
    "./deploy.sh --only address": "it needs the cloud",
    "./deploy.sh --roll-back": "it needs the cloud",
    "make check-keys": "it needs keys of the real exchange",
    "select settle_by_hand('EXECUTION', 'FILLED',": "it needs an order at the real exchange",
    "select settle_by_hand('EXECUTION', 'NOT_PLACED',": "it needs an approval of yesterday",
}
"""How each block that is not run begins, and why it cannot be."""


@dataclass(frozen=True)
class Step:
    """Some blocks of one section, in order. `then` is what happens by itself after the last."""

    place: str
    exits: tuple[int, ...] = (0,)
    serves: bool = False
    then: Callable[[Reader], None] | None = None


README = "README.md#ten-minutes-to-the-first-dry-run"
HALT = "README.md#halt"
UNKNOWN = "OPERATIONS.md#settle-an-unknown-by-hand"
RESTORE = "OPERATIONS.md#restore-and-resume"
ROTATE = "OPERATIONS.md#rotate"
REFUSED, FATE_UNKNOWN = 1, 3
STEPS = (
    Step("README.md#deploy"),
    Step(README, serves=True),
    Step(README, (0, 0)),
    Step(README, serves=True),
    Step(README, (0, 0, 0), then=Reader.scan),
    Step(README, (0, 0)),
    Step(HALT, then=Reader.scan),
    Step(HALT, (0, REFUSED, 0, 0)),
    Step("OPERATIONS.md#resume"),
    Step(UNKNOWN, then=Reader.scan),
    Step(UNKNOWN, (0, FATE_UNKNOWN, 0, 0, 0)),
    Step(RESTORE, then=Reader.scan),
    Step(RESTORE, (0, 0), then=Reader.clean_up),
    Step(RESTORE, (0, REFUSED, 0)),
    Step(ROTATE, then=Reader.scan),
    Step(ROTATE, (0, REFUSED, 0)),
    Step("OPERATIONS.md#roll-the-database-back-and-forward"),
)
CYCLE = "README.md#two-commands"


@pytest.mark.unit
def test_every_block_is_run_or_says_why_not() -> None:
    """A block of commands is followed below, or stands in the list of those that cannot be, and why."""
    steps = Counter({CYCLE: 1})
    for step in STEPS:
        steps[step.place] += len(step.exits)
    assert Counter(block.place for block in _RUN) == steps
    assert {_beginning(block) for block in BLOCKS if not block.run} == set(NOT_RUN)
    assert not [block for block in _RUN if "make test" in block.commands or ".ci/run" in block.commands]


def _beginning(block: Block) -> str:
    """Three words of its first line."""
    return " ".join(block.commands.split("\n")[0].partition("  #")[0].split()[:3])


@pytest.mark.unit
def test_a_word_that_is_not_printed_is_missed() -> None:
    """What a document shows is found in its order, whatever the numbers; another word is not."""
    printed = "proposal  7bcdfb96  buy 165.50 EUR of ETH-EUR\nFilled:\n  bought 1 ETH.\n"
    assert missing("proposal da68a1a8 buy 149.00 EUR of BTC-EUR\nFilled: … 2 BTC.", printed) == []
    assert missing("proposal da68a1a8 sell 149.00 EUR of BTC-EUR", printed) != []
    assert missing("Filled: …\nproposal da68a1a8", printed) == ["proposal da68a1a8"]


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    with Reader(tmp_path_factory.mktemp("reader")) as made:
        yield made


@pytest.fixture(scope="module")
def cycle(reader: Reader) -> tuple[Block, Terminal]:
    """The first command of all, in a terminal of its own, while the reader reads on."""
    block = next(block for block in _RUN if block.place == CYCLE)
    return block, reader.start(block)


@pytest.mark.timeout(600)
@pytest.mark.usefixtures("cycle")
def test_a_reader_reaches_every_outcome(reader: Reader) -> None:
    """Each block of the documents does what the document shows: from the first dry run to the way back."""
    left = list(_RUN)
    for step in STEPS:
        for exit_code in step.exits:
            block = next(block for block in left if block.place == step.place)
            left.remove(block)
            printed = reader.serve(block) if step.serves else reader.follow(block, exit_code)
            _shows(block, printed)
        if step.then:
            step.then(reader)
    reader.stop_serving()


def test_the_cycle_runs(cycle: tuple[Block, Terminal]) -> None:
    """`make run` ends well, and shows what the document shows."""
    block, terminal = cycle
    assert terminal.end(PATIENCE_S) == 0, terminal.printed
    _shows(block, terminal.printed)


def _shows(block: Block, printed: str) -> None:
    if block.shown is not None:
        assert missing(block.shown, printed) == [], f"{block.place} printed:\n{printed}"
