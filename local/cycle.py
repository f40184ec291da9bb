"""``make run``: one whole cycle on real parts, shown as it happens.

Cleanup opens live trading, a scan lets the model propose, the owner approves, one order leaves, the repeat
is refused, the status and the evidence are shown, and everything is stopped. Exits 0 when all of it held; a
model that holds is said and is fine too.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from decimal import Decimal
from typing import Any
from uuid import UUID

import httpx
from pydantic import SecretStr
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from local import world
from local.errors import LocalWorldError
from local.exchange.keys import TRADE_KEY, TRADE_SECRET
from local.owner import Owner, create_user
from local.stack import OPERATOR_ID
from local.world import Options, World
from shared.bitvavo import BitvavoOrders, KeyPair, Order, open_http

POLICY: Mapping[str, object] = {"allowlist": ["BTC/EUR", "ETH/EUR"]}
_PARTS = ("Postgres", "Supabase's API", "migrations", "exchange", "model", "three functions")
EMAIL = "owner@interlock.local"
_DAY_MS = 24 * 60 * 60 * 1000
_WIDTH_WITHOUT_TERMINAL = 118


class PromiseBrokenError(LocalWorldError):
    """The cycle ended otherwise than it must."""


def main() -> None:
    """Run one cycle under the name ``run``; a failure is one line and exit 1."""
    console = _console()
    began = time.monotonic()
    try:
        options = Options.from_environment(os.environ)
        with ExitStack() as started:
            with _progress(console, f"Setting up: {', '.join(_PARTS)}") as done:
                place = started.enter_context(world.running("run", options))
                done(f"Ready: {place.stack.supabase_url}")
            _cycle(console, place)
            with _progress(console, "\nStopping everything") as done:
                started.close()
                done("Nothing is left running")
    except LocalWorldError as error:
        sys.exit(f"make run: {error}")
    console.print(f"\n[bold]Done[/bold] in {time.monotonic() - began:.0f} s.")


def _cycle(console: Console, place: World) -> None:
    http = httpx.Client(trust_env=False, timeout=90.0)
    owner = create_user(place.stack, EMAIL, note="the owner of this local world")
    policy = owner.call("set_trading_policy", p_policy=POLICY)
    owner.call("schedule_scan")

    _heading(console, "The world", f"prices: {place.prices}; model: {place.model_url or 'the real one'}")
    console.print(f"  owner    {EMAIL}, named by the operator; policy {policy['policy_hash'][:12]}…")
    console.print(
        f"  may      trade {', '.join(policy['policy']['allowlist'])}; "
        f"one order {_eur(policy['policy']['limits']['order']['min_eur'])} to "
        f"{_eur(policy['policy']['limits']['order']['max_eur'])}; "
        f"{policy['policy']['limits']['daily']['trades']} trades a day"
    )

    _heading(
        console,
        "Cleanup",
        "compares the orders at the exchange with the approvals; the first one opens live trading",
    )
    _show_summary(console, _post(http, place.functions["cleanup"]))

    _heading(
        console,
        "Scan",
        "reads the markets with the read-only key and lets the model propose, inside its budget",
    )
    _show_summary(console, _post(http, place.functions["scan_tick"]))
    proposals = owner.read("trade_proposals", status="eq.PENDING")
    if not proposals:
        usage = owner.read("gpt_usage_log", order="created_at.desc", limit="1")
        reason = usage[0]["reason"] if usage else "the model was not asked; see the summary above"
        console.print(f"\n  [bold]The model holds.[/bold] {escape(str(reason))}")
        console.print("  No proposal, so there is nothing to approve. That is a normal end of a scan.")
        return
    proposal = proposals[0]
    _show_proposal(console, proposal)

    _heading(console, "Approve", f"POST / with the owner's token, proposal {proposal['id']}")
    first = _approve(http, place, owner, proposal["id"])
    _show_answer(console, first)
    _must(first.status_code == 200, "the approval was not executed")

    _heading(console, "Approve again", "the same request once more: nothing may happen twice")
    second = _approve(http, place, owner, proposal["id"])
    _show_answer(console, second, checks=False)
    _must(second.status_code == 409, "the repeat was not refused")

    _heading(console, "Status", "GET /status with the owner's token")
    _show_status(console, _answer(http.get(f"{place.functions['execute']}/status", headers=owner.bearer())))

    _heading(console, "Cleanup again", "settles what is open and compares once more")
    _show_summary(console, _post(http, place.functions["cleanup"]))

    _heading(console, "Evidence", "what the exchange says beside what the database says")
    orders = _orders_at_the_exchange(place, str(proposal["market"]))
    _show_evidence(console, owner, proposal, orders)
    _must(len(orders) == 1, f"the exchange has {len(orders)} orders for two approvals")
    console.print("\n  Two approvals, [bold]one order[/bold].")


def _approve(http: httpx.Client, place: World, owner: Owner, proposal_id: str) -> httpx.Response:
    return http.post(place.functions["execute"], json={"proposalId": proposal_id}, headers=owner.bearer())


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


def _show_summary(console: Console, summary: Mapping[str, Any]) -> None:
    for key, value in summary.items():
        if value in (None, [], {}, ""):
            continue
        shown = value if isinstance(value, str) else _compact(value)
        console.print(f"  {key.replace('_', ' '):<22} {escape(shown)}")


def _compact(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(
            f"{key.replace('_', ' ')} {_compact(item)}"
            for key, item in value.items()
            if item not in (None, [], {})
        )
    if isinstance(value, list):
        return "; ".join(_compact(item) for item in value) or "none"
    return str(value)


def _show_proposal(console: Console, proposal: Mapping[str, Any]) -> None:
    size = (
        _eur(proposal["amount_quote"])
        if proposal["side"] == "buy"
        else f"{proposal['amount']} {proposal['asset']}"
    )
    console.print(
        f"\n  [bold]{proposal['side'].upper()} {size} of {proposal['market']}[/bold]"
        f"  at {_eur(proposal['reference_price'])}, confidence {proposal['confidence']},"
        f" until {proposal['expires_at']}"
    )
    console.print(f"  “{escape(str(proposal['rationale']))}”")
    shown = proposal.get("market_snapshot") or {}
    numbers: dict[str, Any] = shown.get("markets", {}).get(proposal["market"], {})
    table = _table("number", "value", "number", "value")
    plain = [(key.replace("_", " "), str(value)) for key, value in numbers.items() if isinstance(value, str)]
    half = (len(plain) + 1) // 2
    for index in range(half):
        left, right = plain[index], plain[index + half] if index + half < len(plain) else ("", "")
        table.add_row(*left, *right)
    if plain:
        console.print("  The numbers that the model saw:")
        console.print(table)


def _show_answer(console: Console, response: httpx.Response, *, checks: bool = True) -> None:
    body = response.json()
    said = f"{body.get('code', '')}  {escape(str(body.get('error', '')))}"
    console.print(f"  HTTP {response.status_code}  {said}".rstrip())
    execution = body.get("execution")
    verdicts = body.get("checks") or (execution or {}).get("checks") or []
    if checks and verdicts:
        table = _table("check", "verdict", "facts")
        for verdict in verdicts:
            facts = _compact(verdict.get("facts") or {})
            table.add_row(verdict["check"], verdict.get("code") or verdict["verdict"], escape(facts[:140]))
        console.print(table)
    if execution:
        sent = (execution.get("request") or {}).get("body")
        console.print(f"  execution {execution['id']}  [bold]{execution['status']}[/bold]")
        if sent and checks:
            console.print(f"  sent      {escape(sent)}", soft_wrap=True)
        console.print(
            f"  filled    {execution.get('filled_amount')} for {_eur(execution.get('filled_amount_quote'))}"
            f" + fee {_eur(execution.get('fee'))}; exchange's order {execution.get('exchange_order_id')}"
        )


def _show_status(console: Console, status: Mapping[str, Any]) -> None:
    trading, today, budget = status["trading"], status["today"], status["model_budget"]
    console.print(
        f"  trading        {trading['state']} (global {trading['global_state']},"
        f" own {trading['owner_state']}), {trading['mode']}"
    )
    console.print(
        f"  today          {today['trades']} of {today['trades_limit']} trades, "
        f"{_eur(today['value_eur'])} of {_eur(today['value_limit_eur'])}"
    )
    console.print(
        f"  model calls    {budget['daily_used']} of {budget['daily_limit']} today, "
        f"{budget['hourly_used']} of {budget['hourly_limit']} this hour"
    )
    for window in status["windows"]:
        until = {name: at for name, at in window.items() if name != "asset"}
        console.print(f"  waiting        {window['asset']}: {_compact(until)}")
    console.print(f"  compared       {status['reconciliation']['age_seconds']} s ago")


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
            f"{row['side']} {row['market']}: {row['amount']} at {row['price']},"
            f" counted from {row['counted_at']}",
        )
    for row in owner.read("gpt_usage_log"):
        table.add_row("gpt_usage_log", f"{row['status']}, {row['model']}, {row['tokens_used']} tokens")
    for row in owner.read("audit_events", order="at.asc", execution_id=f"eq.{execution_id}"):
        table.add_row("audit_events", f"{row['at']}  {row['event']} by {row['actor']}")
    console.print(table)


def _eur(amount: object) -> str:
    if amount is None:
        return "-"
    value = Decimal(str(amount))
    return f"{value:,.2f} EUR" if value == value.quantize(Decimal("0.01")) else f"{value.normalize():,f} EUR"


def _heading(console: Console, title: str, about: str) -> None:
    console.print(f"\n[bold cyan]{title}[/bold cyan]  [dim]{escape(about)}[/dim]")


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
    main()
