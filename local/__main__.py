"""`python -m local MODULE [ARGUMENT...]`: run a command of the local world; Ctrl-C ends it in one line.

`local/start.sh` calls it, and holds an interrupt off while Python itself starts.
"""

import runpy
import sys

from local.signals import ignore_signals, leaving_on_signals

INTERRUPTED = 130


def main() -> None:
    """Run the module as if it had been named to Python itself."""
    module, *arguments = sys.argv[1:]
    sys.argv = [module, *arguments]
    try:
        with leaving_on_signals():
            runpy.run_module(f"local.{module}", run_name="__main__", alter_sys=True)
    except KeyboardInterrupt:
        ignore_signals()
        print("\nInterrupted: nothing is left running.", file=sys.stderr)
        sys.exit(INTERRUPTED)
    finally:
        ignore_signals()


if __name__ == "__main__":
    main()
