"""`python -m local.deploy.secret give|is FILE NAME`: one secret, through a pipe alone.

`give` writes the value to standard output, which must not be a terminal; `is` exits 0 when standard input
holds the very value, 1 when it holds another. It starts fast: it imports nothing but the reader of the file.
"""

from __future__ import annotations

import hmac
import sys
from pathlib import Path

from local.deploy.envfile import EnvFileError, read


def main(arguments: list[str]) -> int:
    """0: given, or the same; 1: another; 2: it cannot be told."""
    try:
        verb, file, name = arguments
        value = read(Path(file))[name].encode()
    except (ValueError, KeyError, EnvFileError):
        return 2
    if verb == "is":
        return 0 if hmac.compare_digest(sys.stdin.buffer.read(), value) else 1
    if verb != "give" or sys.stdout.isatty():
        return 2
    sys.stdout.buffer.write(value)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
