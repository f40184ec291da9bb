"""One whole cycle on real parts, shown as it happens: ``make run``, and ``make demo-faults``.

Cleanup opens live trading, a scan lets the model propose, the owner approves, one order leaves, the repeat
is refused, the status and the evidence are shown, and everything is stopped. With ``lost-answer`` the
exchange carries the order out and its answer is lost: the fate is unknown until cleanup settles it. Exits 0
when all of it held; a model that holds is said and is fine too.
"""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import httpx
from pydantic import SecretStr
from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table

from local import world
from local.errors import LocalWorldError
from local.exchange.keys import TRADE_KEY, TRADE_SECRET
from local.owner import Owner, create_user
from local.stack import OPERATOR_ID
from local.world import Options, World
from shared.bitvavo import BitvavoOrders, KeyPair, Order, open_http

# No cooldown: a market in one is not asked about, and whoever tries things out wants the next proposal now.
POLICY: Mapping[str, object] = {"allowlist": ["BTC/EUR", "ETH/EUR"], "cooldown_minutes": 0}
_PARTS = ("Postgres", "Supabase's API", "migrations", "exchange", "model", "three functions")
EMAIL = "owner@interlock.local"
_EMPTY: tuple[object, ...] = (None, [], {}, "")
_INSTANT = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:\.\d+)?(?:\+00(?::00)?|Z)")
_HASH = re.compile(r"\b[0-9a-f]{64}\b")
_DAY_MS = 24 * 60 * 60 * 1000
_WIDTH_WITHOUT_TERMINAL = 118
_LONGEST_WAIT_S = 90.0
_FAULTS: tuple[Mapping[str, object], ...] = (
    {"name": "drop_answer", "on": "POST /order"},
    {"name": "lag", "on": "GET /order", "ms": 60_000, "count": None},
)


class PromiseBrokenError(LocalWorldError):
    """The cycle ended otherwise than it must."""


def main(arguments: Sequence[str]) -> None:
    """Run one cycle; a failure is one line and exit 1."""
    lost = list(arguments) == ["lost-answer"]
    name, command = ("demo", "make demo-faults") if lost else ("run", "make run")
    console = _console()
    began = time.monotonic()
    try:
        options = Options.from_environment(os.environ)
        with ExitStack() as started:
            with _progress(console, f"Setting up: {', '.join(_PARTS)}") as done:
                place = started.enter_context(world.running(name, options))
                done(f"Ready: {place.stack.supabase_url}")
            _cycle(console, place, lost=lost)
            with _progress(console, "\nStopping everything") as done:
                started.close()
                done("Nothing is left running")
    except LocalWorldError as error:
        sys.exit(f"{command}: {error}")
    console.print(f"\n[bold]Done[/bold] in {time.monotonic() - began:.0f} s.")


def _cycle(console: Console, place: World, *, lost: bool) -> None:
    http = httpx.Client(trust_env=False, timeout=90.0)
    owner = create_user(place.stack, EMAIL, note="the owner of this local world")
    policy = owner.call("set_trading_policy", p_policy=POLICY)
    owner.call("schedule_scan")

    limits = policy["policy"]["limits"]
    _heading(console, "The world")
    _say(console, f"prices   {place.prices}")
    _say(console, f"model    {'scripted, deterministic and offline' if place.model_url else 'the real one'}")
    _say(console, f"owner    {EMAIL}, named by the operator; policy {_short(policy['policy_hash'])}")
    _say(
        console,
        f"may      trade {', '.join(policy['policy']['allowlist'])};"
        f" one order {_eur(limits['order']['min_eur'])} to {_eur(limits['order']['max_eur'])};"
        f" {limits['daily']['trades']} trades a day",
    )

    _heading(
        console,
        "Cleanup",
        "compares the orders at the exchange with the approvals; the first one opens live trading",
    )
    _say(console, _post(http, place.functions["cleanup"])["summary"])

    _heading(
        console,
        "Scan",
        "reads the markets with the read-only key and lets the model propose, inside its budget",
    )
    scanned = _post(http, place.functions["scan_tick"])
    _say(
        console,
        f"{scanned['market_reads']} markets read, the model was asked {_times(scanned['model_calls'])},"
        f" {int(scanned['duration_ms']) / 1000:.1f} s",
    )
    proposals = owner.read("trade_proposals", status="eq.PENDING")
    if not proposals:
        _say_why_there_is_none(console, owner)
        return
    proposal = proposals[0]
    _show_proposal(console, proposal)

    if lost:
        _lose_the_answer(console, http, place, owner, proposal)
    else:
        _get_the_answer(console, http, place, owner, proposal)

    _heading(console, "Evidence", "what the exchange says beside what the database says")
    orders = _orders_at_the_exchange(place, str(proposal["market"]))
    _show_evidence(console, owner, proposal, orders)
    _must(len(orders) == 1, f"the exchange has {len(orders)} orders for two approvals")
    console.print("\n  Two approvals, [bold]one order[/bold].")


def _get_the_answer(
    console: Console, http: httpx.Client, place: World, owner: Owner, proposal: Mapping[str, Any]
) -> None:
    """Approved, approved again, looked at, compared: as it goes on a good day."""
    _heading(console, "Approve", f"POST / with the owner's token, proposal {proposal['id']}")
    first = _approve(http, place, owner, proposal)
    _show_answer(console, first)
    _must(first.status_code == 200, "the approval was not executed")

    _approve_again(
        console, http, place, owner, proposal, "the same request once more: nothing may happen twice"
    )

    _heading(console, "Cleanup again", "settles what is open and compares once more")
    _say(console, _post(http, place.functions["cleanup"])["summary"])


def _lose_the_answer(
    console: Console, http: httpx.Client, place: World, owner: Owner, proposal: Mapping[str, Any]
) -> None:
    """Approved, and nobody hears what became of it: unknown, never sent again, settled by cleanup."""
    _heading(
        console,
        "The fault",
        "the exchange carries the order out, the connection breaks, and its look-ups lag behind",
    )
    admin = f"{place.exchange_url.removesuffix('/v2')}/_admin/faults"
    for fault in _FAULTS:
        _answer(http.post(admin, json=fault))
        _say(console, f"{fault['name']:12} on {fault['on']}")

    _heading(console, "Approve", f"POST / with the owner's token, proposal {proposal['id']}")
    first = _approve(http, place, owner, proposal)
    _show_answer(console, first, checks=False)
    _must(first.status_code == 202, "an order of unknown fate was told as something else")
    orders = _orders_at_the_exchange(place, str(proposal["market"]))
    _must(len(orders) == 1, f"the exchange has {len(orders)} orders for one approval")
    _say(console, f"[dim]Only the exchange knows: it has one order, {orders[0].status}.[/dim]")

    _approve_again(
        console, http, place, owner, proposal, "an impatient owner: what is unknown is never sent again"
    )

    _heading(console, "Cleanup", "runs every minute: it looks up what is open")
    http.delete(admin).raise_for_status()
    due_s = datetime.fromisoformat(_execution(owner, proposal)["next_check_at"]).timestamp() - time.time() + 1
    with _progress(console, "  Waiting until the order can no longer arrive") as done:
        time.sleep(min(max(due_s, 0), _LONGEST_WAIT_S))
        done("  Whatever was under way has arrived or never will")
    _say(console, _post(http, place.functions["cleanup"])["summary"])
    execution = _execution(owner, proposal)
    _say(console, f"execution {execution['id']}  [bold]{execution['status']}[/bold]")
    _must(execution["status"] not in ("UNKNOWN", "CLAIMED"), "the order was found and not recorded")


def _approve_again(
    console: Console,
    http: httpx.Client,
    place: World,
    owner: Owner,
    proposal: Mapping[str, Any],
    about: str,
) -> None:
    """The same approval once more, which is refused, and how everything stands."""
    _heading(console, "Approve again", about)
    second = _approve(http, place, owner, proposal)
    _show_answer(console, second, checks=False)
    _must(second.status_code == 409, "the repeat was not refused")

    _heading(console, "Status", "GET /status with the owner's token")
    _show_status(console, _answer(http.get(f"{place.functions['execute']}/status", headers=owner.bearer())))


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number} times"


def _execution(owner: Owner, proposal: Mapping[str, Any]) -> Mapping[str, Any]:
    (row,) = owner.read("trade_executions", proposal_id=f"eq.{proposal['id']}")
    return row


def _approve(http: httpx.Client, place: World, owner: Owner, proposal: Mapping[str, Any]) -> httpx.Response:
    return http.post(place.functions["execute"], json={"proposalId": proposal["id"]}, headers=owner.bearer())


def _post(http: httpx.Client, address: str) -> dict[str, Any]:
    return _answer(http.post(address, json={}))


def _answer(response: httpx.Response) -> dict[str, Any]:
    _must(
        response.is_success, f"{response.request.url} answered {response.status_code}: {response.text[:300]}"
    )
    body: dict[str, Any] = response.json()
    return body


def _must(holds: bool, otherwise: str) -> None:
    if not holds:
        raise PromiseBrokenError(f"{otherwise}. The logs of each part are in .local/run/ until the next run.")


def _orders_at_the_exchange(place: World, market: str) -> list[Order]:
    """Every order with our operatorId in this market, asked of the exchange itself."""
    client = BitvavoOrders(
        open_http(5.0),
        place.exchange_url,
        KeyPair(key=TRADE_KEY, secret=SecretStr(TRADE_SECRET)),
        OPERATOR_ID,
    )
    now = time.time_ns() // 1_000_000
    found = client.orders(market, now - _DAY_MS + 60_000, now + 60_000, timestamp_ms=now)
    return [order for order in found if order.operator_id == OPERATOR_ID]


def _say_why_there_is_none(console: Console, owner: Owner) -> None:
    """A hold is a normal end; a scan that could not ask the model is not."""
    (job,) = owner.read("scan_jobs")
    ending, _, reason = str(job["last_outcome"]).partition(": ")
    if ending != "held":
        raise LocalWorldError(
            f"the scan ended as {ending} ({reason}): mend that, or leave MODEL and PRICES out."
        )
    holds = reason.startswith("HOLD: ")
    said = "The model holds." if holds else "The scan proposes nothing."
    _say(console, f"[bold]{said}[/bold] {escape(reason.removeprefix('HOLD: '))}")
    _say(console, "Without a proposal there is nothing to approve. That is a normal end of a scan.")


def _compact(value: object) -> str:
    """A fact or several, as a person reads them."""
    if isinstance(value, Mapping):
        said = (
            f"{key.replace('_', ' ')} {_compact(item)}" for key, item in value.items() if item not in _EMPTY
        )
        return ", ".join(said)
    if isinstance(value, list):
        return ", ".join(_compact(item) for item in value) or "none"
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else _short(str(value))


def _short(text: str) -> str:
    """Instants to the second, hashes by their beginning."""
    text = _INSTANT.sub(lambda found: f"{found[1]} {found[2]}Z", text)
    return _HASH.sub(lambda found: f"{found[0][:12]}…", text)


def _show_proposal(console: Console, proposal: Mapping[str, Any]) -> None:
    size = (
        _eur(proposal["amount_quote"])
        if proposal["side"] == "buy"
        else f"{proposal['amount']} {proposal['asset']}"
    )
    console.print()
    _say(
        console,
        f"[bold]{proposal['side'].upper()} {size} of {proposal['market']}[/bold]"
        f"  at {_eur(proposal['reference_price'])}, confidence {proposal['confidence']},"
        f" until {_short(proposal['expires_at'])}",
    )
    _say(console, f"“{escape(str(proposal['rationale']))}”")
    shown = proposal.get("market_snapshot") or {}
    numbers: dict[str, Any] = shown.get("markets", {}).get(proposal["market"], {})
    table = _table("number", "value", "number", "value")
    plain = [
        (key.replace("_", " "), _short(value)) for key, value in numbers.items() if isinstance(value, str)
    ]
    half = (len(plain) + 1) // 2
    for index in range(half):
        left, right = plain[index], plain[index + half] if index + half < len(plain) else ("", "")
        table.add_row(*left, *right)
    if plain:
        _say(console, "The numbers that the model saw:")
        console.print(table)


def _show_answer(console: Console, response: httpx.Response, *, checks: bool = True) -> None:
    body = response.json()
    said = f"{body.get('code', '')}  {escape(str(body.get('error', '')))}"
    _say(console, f"HTTP {response.status_code}  {said}".rstrip())
    execution = body.get("execution")
    verdicts = body.get("checks") or (execution or {}).get("checks") or []
    if checks and verdicts:
        table = _table("check", "verdict", "facts")
        for verdict in verdicts:
            facts = _compact(verdict.get("facts") or {})
            table.add_row(verdict["check"], verdict.get("code") or verdict["verdict"], escape(facts))
        console.print(table)
    if execution:
        sent = (execution.get("request") or {}).get("body")
        _say(console, f"execution {execution['id']}  [bold]{execution['status']}[/bold]")
        if sent and checks:
            _say(console, f"sent      {escape(sent)}")
        _say(console, f"filled    {_filled(execution)}")


def _filled(execution: Mapping[str, Any]) -> str:
    if execution["status"] in ("CLAIMED", "UNKNOWN"):
        return "not known yet: the order is out, and no answer has told what became of it"
    return (
        f"{execution.get('filled_amount')} for {_eur(execution.get('filled_amount_quote'))}"
        f" + fee {_eur(execution.get('fee'))}; exchange's order {execution.get('exchange_order_id')}"
    )


def _show_status(console: Console, status: Mapping[str, Any]) -> None:
    trading, today, budget = status["trading"], status["today"], status["model_budget"]
    _say(
        console,
        f"trading        {trading['state']} (global {trading['global_state']},"
        f" own {trading['owner_state']}), {trading['mode']}",
    )
    _say(
        console,
        f"today          {today['trades']} of {today['trades_limit']} trades, "
        f"{_eur(today['value_eur'])} of {_eur(today['value_limit_eur'])}",
    )
    _say(
        console,
        f"model calls    {budget['daily_used']} of {budget['daily_limit']} today, "
        f"{budget['hourly_used']} of {budget['hourly_limit']} this hour",
    )
    for execution in status["unsettled_executions"]:
        _say(console, f"[bold]unsettled[/bold]      {execution['market']} {execution['status']}")
    for window in status["windows"]:
        until = {name: at for name, at in window.items() if name != "asset"}
        _say(console, f"waiting        {window['asset']}: {_compact(until)}")
    _say(console, f"compared       {status['reconciliation']['age_seconds']} s ago")


def _show_evidence(console: Console, owner: Owner, proposal: Mapping[str, Any], orders: list[Order]) -> None:
    table = _table("where", "what")
    for order in orders:
        table.add_row(
            "exchange",
            f"{order.side} {order.market} {order.status}: {order.filled_amount}"
            f" for {order.filled_amount_quote} EUR + fee {order.fee_paid},"
            f" clientOrderId {order.client_order_id}",
        )
    execution_id = None
    for row in owner.read("trade_executions", proposal_id=f"eq.{proposal['id']}"):
        execution_id = UUID(row["id"])
        table.add_row(
            "trade_executions",
            f"{row['side']} {row['market']} {row['status']}: {row['filled_amount']} for "
            f"{row['filled_amount_quote']} EUR + fee {row['fee']}, id {row['id']}",
        )
    for row in owner.read("trade_history"):
        table.add_row(
            "trade_history",
            f"{row['side']} {row['market']}: {row['amount']} at {_eur(row['price'])},"
            f" counted from {_short(row['counted_at'])}",
        )
    for row in owner.read("gpt_usage_log"):
        table.add_row("gpt_usage_log", f"{row['status']}, {row['model']}, {row['tokens_used']} tokens")
    for row in owner.read("audit_events", order="at.asc", execution_id=f"eq.{execution_id}"):
        table.add_row("audit_events", f"{_short(row['at'])}  {row['event']} by {row['actor']}")
    console.print(table)


def _eur(amount: object) -> str:
    if amount is None:
        return "-"
    value = Decimal(str(amount))
    return f"{value:,.2f} EUR" if value == value.quantize(Decimal("0.01")) else f"{value.normalize():,f} EUR"


def _heading(console: Console, title: str, about: str = "") -> None:
    console.print(f"\n[bold cyan]{title}[/bold cyan]  [dim]{escape(about)}[/dim]".rstrip())


def _say(console: Console, text: str) -> None:
    console.print(Padding(text, (0, 0, 0, 2), expand=False))


def _table(*columns: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 2), header_style="dim")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _console() -> Console:
    return (
        Console(highlight=False)
        if sys.stdout.isatty()
        else Console(highlight=False, width=_WIDTH_WITHOUT_TERMINAL)
    )


@contextmanager
def _progress(console: Console, what: str) -> Iterator[Callable[[str], None]]:
    """Say what takes a while, and how long it took: a spinner on a terminal, plain lines elsewhere."""
    began = time.monotonic()

    def done(result: str) -> None:
        console.print(f"{result} [dim]({time.monotonic() - began:.1f} s)[/dim]")

    if console.is_terminal:
        with console.status(what):
            yield done
    else:
        console.print(f"{what} …")
        yield done


if __name__ == "__main__":
    main(sys.argv[1:])
