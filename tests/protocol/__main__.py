"""`python -m tests.protocol`: explore the protocol, then each rule's absence, and tell what breaks.

With names of cases only those. The exit status says whether each came out as it must.
"""

from __future__ import annotations

import sys
import time

from tests.protocol.cases import CASES, explore_all


def main(names: list[str]) -> int:
    """Explore and tell; 0 when what must hold holds and what must break breaks."""
    unknown = [name for name in names if name not in CASES]
    if unknown:
        print(f"No case {', '.join(unknown)}; there are {', '.join(CASES)}.", file=sys.stderr)
        return 2
    started = time.monotonic()
    states, wrong = 0, 0
    for name, found in explore_all(names or CASES):
        case = CASES[name]
        states += found.states
        right = found.broken is case.breaks
        wrong += not right
        print(f"\n{name}: {case.says}")
        print(f"  {found.states:,} states, {found.steps:,} steps, {found.ends:,} ends.", end=" ")
        print("Every property holds." if found.broken is None else "It breaks:")
        if found.broken is not None:
            print(found.told())
        if not right:
            print(f"  WRONG: expected {case.breaks or 'that everything holds'}.")
    print(f"\n{states:,} states in {time.monotonic() - started:.0f} s; {wrong} of the cases came out wrong.")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
