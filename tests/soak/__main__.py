"""``python -m tests.soak SEED…``: play these seeds alone and tell each step by step.

``--without NAME``, also repeated, takes a mechanism out first: one of tests/mutants in the database or in
execute's protocol, or ``value_limits``. ``--seeds FIRST LAST`` plays many and prints what they come to.
Exits 1 when anything was wrong.
"""

from __future__ import annotations

import argparse
import sys

from local import stack
from local.errors import LocalWorldError
from local.stack import Stack
from tests.soak.planted import NothingPlantedError, playing_without
from tests.soak.running import Play, soak


def main(arguments: list[str]) -> int:
    """Play and tell; the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.soak", description=(__doc__ or "").partition("\n\n")[0]
    )
    parser.add_argument("seed", nargs="*", type=int)
    parser.add_argument("--without", metavar="NAME", action="append", default=[])
    parser.add_argument("--seeds", nargs=2, type=int, metavar=("FIRST", "LAST"))
    asked = parser.parse_args(arguments)
    play = playing_without(asked.without)
    with stack.running("soak") as server:
        if asked.seeds is not None:
            return _many(server, range(asked.seeds[0], asked.seeds[1] + 1))
        return max([_tell(server, seed, play) for seed in asked.seed], default=0)


def _tell(server: Stack, seed: int, play: Play) -> int:
    played = play(server, seed)
    print("\n".join(played.story.lines))
    for name, figure in sorted(played.story.tally.items()):
        print(f"{figure:>9,}  {name}")
    for violation in played.violations:
        print(f"WRONG: {violation}")
    return 1 if played.violations else 0


def _many(server: Stack, seeds: range) -> int:
    soaked = soak(server, seeds)
    print(soaked.told() or "Nothing was wrong.")
    print(soaked.table())
    return 1 if soaked.failing else 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except (LocalWorldError, NothingPlantedError) as refusal:
        sys.exit(str(refusal))
