"""`python -m local.proxy --upstream URL`: a server that can fail on command, before one that does not."""

from __future__ import annotations

import argparse
import sys

from local.errors import LocalWorldError
from local.faults.serving import address_of, listen, serve
from local.proxy.app import create_app


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m local.proxy", description=__doc__)
    parser.add_argument("--upstream", required=True, help="base URL of the server behind, without a path")
    parser.add_argument("--port", type=int, help="default: a free one")
    options = parser.parse_args()
    try:
        listener = listen(options.port)
    except LocalWorldError as error:
        sys.exit(str(error))
    print(f"Fault proxy at {address_of(listener)} before {options.upstream}", flush=True)
    serve(create_app(options.upstream), listener)


if __name__ == "__main__":
    main()
