"""`python -m local.model`: the scripted model alone, until interrupted."""

import argparse
import socket
import sys

import uvicorn

from local.errors import LocalWorldError
from local.model.app import MODEL, create_app
from local.ports import free_port, release

_KEY = "any-non-empty-key"


def main() -> None:
    """Serve on loopback; the address, the key and the model's name are printed first."""
    parser = argparse.ArgumentParser(prog="python -m local.model", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="a port on loopback; default: a free one")
    parser.add_argument(
        "--delay", type=float, default=0.0, metavar="SECONDS", help="how long an answer takes"
    )
    arguments = parser.parse_args()
    try:
        port = arguments.port or free_port()
        release(port)
        listener = socket.create_server(("127.0.0.1", port))
    except LocalWorldError as error:
        sys.exit(str(error))
    except OSError as error:
        sys.exit(f"Port {port} on 127.0.0.1 cannot be used: {error.strerror}. Choose another with --port.")
    print(f"OPENAI_BASE_URL=http://127.0.0.1:{port}/v1")
    print(f"OPENAI_API_KEY={_KEY}")
    print(f"OPENAI_MODEL={MODEL}", flush=True)
    config = uvicorn.Config(create_app(delay_s=arguments.delay), log_level="warning")
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
