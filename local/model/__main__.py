"""`python -m local.model`: the scripted model alone, until interrupted."""

import argparse
import sys

from local.errors import LocalWorldError
from local.faults.serving import address_of, listen, serve
from local.model.app import MODEL, create_app

_KEY = "any-non-empty-key"


def main() -> None:
    """Serve on loopback; the address, the key and the model's name are printed first."""
    parser = argparse.ArgumentParser(prog="python -m local.model", description=__doc__)
    parser.add_argument("--port", type=int, help="a port on loopback; default: a free one")
    parser.add_argument(
        "--delay", type=float, default=0.0, metavar="SECONDS", help="how long an answer takes"
    )
    arguments = parser.parse_args()
    try:
        listener = listen(arguments.port)
    except LocalWorldError as error:
        sys.exit(str(error))
    print(f"OPENAI_BASE_URL={address_of(listener)}/v1")
    print(f"OPENAI_API_KEY={_KEY}")
    print(f"OPENAI_MODEL={MODEL}", flush=True)
    serve(create_app(delay_s=arguments.delay), listener)


if __name__ == "__main__":
    main()
