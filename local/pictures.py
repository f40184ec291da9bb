"""``make pictures``: pictures of the dashboard, of a local world in which something happened.

Needs Chromium (Debian: ``apt-get install chromium``), and nothing else does: whoever changes a table or view
takes them anew, and they are kept in ``docs/images``. ``IMAGES`` names another folder; names of tables and
views take those alone.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import psycopg

from local import world
from local.cycle import EMAIL, POLICY
from local.errors import LocalWorldError
from local.owner import Owner, create_user
from local.stack import REPOSITORY
from local.world import Options, World

IMAGES = REPOSITORY / "docs" / "images"
_SIZE = (1600, 560)
_PATIENCE_S = 60.0
_PAGE_SETTLES_MS = 4000


def main() -> None:
    """Take a picture of each table and view, or of those that are named; a failure is one line and exit 1."""
    folder = Path(os.environ.get("IMAGES", IMAGES))
    browser = next(filter(None, map(shutil.which, ("chromium", "google-chrome", "chrome"))), None)
    if browser is None:
        sys.exit("make pictures: Chromium is missing (Debian: apt-get install chromium).")
    try:
        with world.running("pictures", Options()) as place:
            _let_something_happen(place)
            for name in sys.argv[1:] or _shown(place):
                _take(browser, f"{place.stack.supabase_url}/editor/{name}", folder / f"{name}.png")
                print(folder / f"{name}.png", flush=True)
    except LocalWorldError as error:
        sys.exit(f"make pictures: {error}")


def _shown(place: World) -> list[str]:
    """Every table and view that the dashboard shows."""
    with psycopg.connect(place.stack.database_url) as database:
        rows = database.execute(
            "select table_name from information_schema.tables where table_schema = 'public' order by 1"
        ).fetchall()
    return [str(name) for (name,) in rows]


def _take(browser: str, url: str, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as profile:
        subprocess.run(
            [
                browser,
                *("--headless", "--disable-gpu", "--hide-scrollbars", "--no-sandbox"),
                f"--user-data-dir={profile}",
                f"--window-size={_SIZE[0]},{_SIZE[1]}",
                f"--virtual-time-budget={_PAGE_SETTLES_MS}",
                f"--screenshot={file}",
                url,
            ],
            check=True,
            capture_output=True,
            timeout=_PATIENCE_S,
        )


def _let_something_happen(place: World) -> None:
    """A day in short: dry runs, orders, a refusal, a decline, an override, a lost answer."""
    with (
        httpx.Client(trust_env=False, timeout=60.0) as http,
        psycopg.connect(place.stack.database_url, autocommit=True) as database,
    ):
        owner = create_user(place.stack, EMAIL, note="Sanne, who set this up")
        owner.call("set_trading_policy", p_policy=POLICY)
        owner.call("schedule_scan")
        _run(http, place.functions["cleanup"])
        _run(http, place.functions["scan_tick"])

        def propose(side: str, market: str, eur: str, rationale: str, confidence: int = 82) -> UUID:
            return _propose(http, database, place, owner, side, market, Decimal(eur), rationale, confidence)

        def approve(proposal: UUID, execute: str = place.functions["execute"], **overrides: bool) -> None:
            body = {"proposalId": str(proposal), **overrides}
            http.post(execute, json=body, headers=owner.bearer())

        rehearsed = propose("buy", "ETH-EUR", "60.00", "ETH holds above its 20-day average; volume rises.")
        database.execute("update public.trading_controls set mode = 'dry_run' where true")
        dry = replace(Options(), trading_mode="dry_run")
        environ = world.environment("execute", place.stack, place.exchange_url, place.model_url, dry)
        approve(rehearsed, world.start_function("execute", place.stack.folder, environ, name="execute-dry"))
        database.execute("update public.trading_controls set mode = 'live' where true")

        (scanned,) = owner.read("trade_proposals", status="eq.PENDING", market="eq.BTC-EUR")
        approve(UUID(scanned["id"]))
        approve(propose("buy", "BTC-EUR", "50.00", "Momentum continues."))
        approve(
            propose("sell", "BTC-EUR", "40.00", "Take part of the gain."),
            overrideCooldown=True,
            overrideAntiFlip=True,
        )
        approve(propose("buy", "ETH-EUR", "500.00", "A strong trend; a larger position."))
        declined = propose("buy", "ETH-EUR", "25.00", "Weak rebound after the fall.", 71)
        owner.call("decline_proposal", p_proposal_id=str(declined))

        faults = f"{place.exchange_url.removesuffix('/v2')}/_admin/faults"
        http.post(faults, json={"name": "drop_answer", "on": "POST /order"}).raise_for_status()
        http.post(
            faults, json={"name": "error_502", "on": "GET /order", "skip": 1, "count": 20, "done": False}
        ).raise_for_status()
        approve(propose("buy", "ETH-EUR", "30.00", "Breaks out of a two-week range."))
        propose("buy", "BTC-EUR", "75.00", "RSI recovers from 31; the average turns up.")
        _run(http, place.functions["cleanup"])


def _propose(
    http: httpx.Client,
    database: psycopg.Connection,
    place: World,
    owner: Owner,
    side: str,
    market: str,
    eur: Decimal,
    rationale: str,
    confidence: int,
) -> UUID:
    """A pending proposal at today's price, as a scan stores one."""
    book = http.get(f"{place.exchange_url}/ticker/book", params={"market": market}).json()
    price = Decimal(book["ask" if side == "buy" else "bid"])
    proposal = uuid4()
    database.execute(
        """
        insert into public.trade_proposals (
            id, user_id, market, side, amount_quote, amount, reference_price, confidence, rationale
        ) values (%s, %s, %s, %s, %s, %s, %s, %s, %s)
        """,
        (
            *(proposal, owner.user_id, market, side),
            eur if side == "buy" else None,
            None if side == "buy" else round(eur / price, 6),
            *(price, confidence, rationale),
        ),
    )
    return proposal


def _run(http: httpx.Client, function: str) -> None:
    http.post(function, json={}).raise_for_status()


if __name__ == "__main__":
    main()
