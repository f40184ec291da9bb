"""`python -m local.deploy.smoke EXECUTE PRIVATE…`: the functions answer, and nobody gets past the door.

Nothing is placed: no request carries a token, and each must be refused for want of one.
"""

from __future__ import annotations

import sys

import httpx

_TIMEOUT_S = 90.0
"""The first connection of a new instance may take a minute."""


def main(execute: str, *private: str) -> None:
    """Ask each function as a stranger does. Ends the program with a sentence when one answers otherwise."""
    with httpx.Client(timeout=_TIMEOUT_S) as http:
        _expect(http, "GET", f"{execute}/health", {200}, "execute does not answer")
        _expect(http, "GET", f"{execute}/status", {401}, "execute answers without a token")
        _expect(http, "POST", execute, {401}, "execute takes an approval without a token")
        for address in private:
            _expect(http, "POST", address, {401, 403, 404}, "a private function can be called by anybody")
    print("execute answers, and refuses who has no token; the private functions refuse strangers.")


def _expect(http: httpx.Client, method: str, url: str, statuses: set[int], otherwise: str) -> None:
    approval = {"proposalId": "00000000-0000-4000-8000-000000000000"} if method == "POST" else None
    try:
        status = http.request(method, url, json=approval).status_code
    except httpx.HTTPError as error:
        sys.exit(f"{method} {url} got no answer ({type(error).__name__}).")
    if status not in statuses:
        sys.exit(f"{method} {url} answered {status}: {otherwise}.")


if __name__ == "__main__":
    main(*sys.argv[1:])
