"""What people see: tables and lines as wide as the terminal, and nothing that could steer it."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from cli.sentences import instant, why
from cli.sessions import Session
from cli.web import is_loopback

_WIDTH_WITHOUT_TERMINAL = 118
_SHORT_ID = 8
_BITVAVO = "https://api.bitvavo.com/"


class _Plain(Console):
    def on_broken_pipe(self) -> None:
        """Leave it to whoever prints: the reader's leaving is no failure of the command."""
        raise BrokenPipeError


def console() -> Console:
    """A console that sets type on a terminal alone, and not with NO_COLOR."""
    made = _Plain(
        highlight=False,
        markup=False,
        emoji=False,
        color_system=None if os.environ.get("NO_COLOR") else "auto",
    )
    if not made.is_terminal and not os.environ.get("COLUMNS"):
        made.width = _WIDTH_WITHOUT_TERMINAL
    return made


def clean(value: object) -> str:
    """Text from elsewhere without what a terminal obeys: a model's rationale may hold anything."""
    return "".join("�" if unicodedata.category(sign)[0] == "C" else sign for sign in str(value))


def heading(text: str) -> RenderableType:
    return Text(f"\n{text}", style="bold")


def line(text: str, style: str = "") -> RenderableType:
    return Text(clean(text), style=style)


def header(session: Session, status: Mapping[str, Any] | None) -> RenderableType:
    """The first line: whose trading, where, in which mode, and whether with real money."""
    told = status or {}
    trading = told.get("trading")
    named = trading.get("mode") if isinstance(trading, Mapping) else None
    told_mode = mode(named, told.get("exchange_url"))
    style = "bold" if told_mode.endswith("real money") and "no real" not in told_mode else "dim"
    return line(f"{session.email} at {session.interlock_url}: {told_mode}", style)


def mode(named: object, exchange_url: object = None) -> str:
    """A mode, and what money moves in it. What nobody has said is not called harmless."""
    match named:
        case "dry_run":
            return "dry run, no order is sent"
        case "live" if isinstance(exchange_url, str) and is_loopback(exchange_url):
            return "live, against a simulated exchange: no real money"
        case "live" if isinstance(exchange_url, str) and exchange_url.startswith(_BITVAVO):
            return "live: real money"
        case "live":
            return f"live{f', against {exchange_url}' if exchange_url else ''}: take it for real money"
        case _:
            return "the mode is not known"


def reasons(standing: object) -> list[str]:
    """Each reason for which a state stands."""
    return [reason for reason in str(standing or "").split("; ") if reason]


def facts(rows: Iterable[tuple[str, str]]) -> RenderableType:
    """Names and what they are, one a line."""
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(name, clean(value))
    return table


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> RenderableType:
    made = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for head in heads:
        made.add_column(head, overflow="fold")
    for row in rows:
        made.add_row(*map(clean, row))
    return made


def short(identity: object) -> str:
    """The beginning of an id, which commands take as well."""
    return str(identity)[:_SHORT_ID]


def eur(amount: object) -> str:
    """A price with all its digits, `62,355.125 EUR`; a dash for none."""
    return _money(
        amount, lambda value: f"{value:,.2f}" if value == round(value, 2) else f"{value.normalize():,f}"
    )


def cents(amount: object) -> str:
    """A sum to the cent, `147.15 EUR`; a dash for none."""
    return _money(amount, lambda value: f"{value:,.2f}")


def _money(amount: object, written: Callable[[Decimal], str]) -> str:
    try:
        return f"{written(Decimal(str(amount)))} EUR"
    except (InvalidOperation, ValueError):
        return "-" if amount is None else str(amount)


def span(seconds: float) -> str:
    """A length of time in its two largest units."""
    left = max(0, int(seconds))
    if left < 120:
        return f"{left} s"
    minutes = left // 60
    if minutes < 120:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours < 48 else f"{hours // 24} days"


def until(at: object, now: str) -> str:
    """How long until an instant, on the clock of whoever said what now is."""
    try:
        return span((datetime.fromisoformat(str(at)) - datetime.fromisoformat(now)).total_seconds())
    except ValueError:
        return clean(at)


def order(row: Mapping[str, Any]) -> str:
    """What a proposal or an execution asks for."""
    amount = (
        eur(row.get("amount_quote"))
        if row.get("side") == "buy"
        else f"{row.get('amount')} {row.get('asset')}"
    )
    limit = f", limit {eur(row.get('limit_price'))}" if row.get("limit_price") else ""
    where = f"of {row.get('market')}" if row.get("side") == "buy" else f"on {row.get('market')}"
    return f"{row.get('side')} {amount} {where}{limit}"


def proposals(rows: Sequence[Mapping[str, Any]], now: str) -> list[RenderableType]:
    """Pending proposals, each with the model's reason under it."""
    if not rows:
        return [line("No proposal is pending.")]
    made: list[RenderableType] = []
    for row in rows:
        if made:
            made.append(line(""))
        expires = str(row.get("expires_at"))
        made.append(
            facts(
                [
                    ("proposal", f"{short(row.get('id'))}  {order(row)}"),
                    ("expires", f"in {until(expires, now)}, at {instant(expires)}"),
                    ("proposed at", f"{eur(row.get('reference_price'))}, confidence {row.get('confidence')}"),
                    ("because", str(row.get("rationale"))),
                ]
            )
        )
    return made


def at_worst(row: Mapping[str, Any], now: str) -> RenderableType:
    """What an approval could come to: order, worst price, fee, and until when."""
    price, fee = row.get("worst_price"), row.get("fee_percent") or "?"
    told = [
        ("proposal", f"{short(row.get('id'))}  {order(row)}"),
        ("price", f"{eur(row.get('reference_price'))} when it was proposed; at worst {eur(price)}"),
    ]
    if row.get("side") == "buy":
        spends = f"at most {cents(row.get('amount_quote'))}, the fee of up to {fee} % included"
        told.append(("spends", spends))
    else:
        brings = f"at worst {_product(row.get('amount'), price)}, less the fee of up to {fee} %"
        told.append(("brings", brings))
    expires = str(row.get("expires_at"))
    told.append(("expires", f"in {until(expires, now)}, at {instant(expires)}"))
    return facts(told)


def _product(amount: object, price: object) -> str:
    try:
        return cents(Decimal(str(amount)) * Decimal(str(price)))
    except InvalidOperation:
        return "what the price allows"


def executions(rows: Sequence[Mapping[str, Any]], now: str) -> list[RenderableType]:
    """Each execution: of what, since when, and what became of it."""
    return [
        facts(
            [
                (
                    "execution",
                    f"{short(row.get('id'))}  {row.get('side')} {row.get('market')}: {row.get('status')}",
                ),
                (
                    "proposal",
                    f"{short(row.get('proposal_id'))}, claimed {until(now, str(row.get('claimed_at')))} ago",
                ),
                ("fate", fate(row)),
            ]
        )
        for row in rows
    ]


def refusal(checks: Sequence[Mapping[str, Any]]) -> list[RenderableType]:
    """Each failed check with its sentence, and how many were left undecided because of them."""
    failed = [check for check in checks if check.get("verdict") == "FAILED"]
    left = sum(check.get("verdict") == "NOT_EVALUATED" for check in checks)
    made = [table(("code", "why"), [(str(check.get("code")), why(check)) for check in failed])]
    if left:
        made.append(line(f"{left} more checks were not evaluated because of that.", "dim"))
    return made


def fate(row: Mapping[str, Any]) -> str:
    """What became of an execution, in a sentence."""
    asset = str(row.get("asset") or str(row.get("market")).partition("-")[0])
    done = "bought" if row.get("side") == "buy" else "sold"
    filled = (
        f"{done} {row.get('filled_amount') or 0} {asset} for {cents(row.get('filled_amount_quote') or 0)}"
    )
    fee = f", fee {_fee(row)}"
    match row.get("status"):
        case "FILLED":
            return f"Filled: {filled}{fee}."
        case "PARTIALLY_FILLED" | "OPEN":
            return f"The order is at the exchange; so far {filled}{fee}."
        case "CANCELED" if Decimal(str(row.get("filled_amount") or 0)) > 0:
            return f"Filled in part, the rest was cancelled: {filled}{fee}."
        case "CANCELED":
            return "The exchange cancelled the order: nothing could be filled within the price allowed."
        case "DRY_RUN":
            return "Dry run: every check passed, and the order that would have been sent is recorded."
        case "REJECTED":
            return f"The exchange refused the order with code {row.get('error_code')}: nothing was placed."
        case "NOT_PLACED":
            return f"Claimed, but no order was placed ({row.get('error_code')})."
        case "CLAIMED":
            return "The proposal is being executed just now. Ask again in a few seconds."
        case _:
            return (
                "The order was sent and its fate is not known yet. Cleanup settles it within minutes: "
                "./interlock status. Place nothing by hand."
            )


def _fee(row: Mapping[str, Any]) -> str:
    currency = row.get("fee_currency") or "EUR"
    return cents(row.get("fee") or 0) if currency == "EUR" else f"{row.get('fee')} {currency}"


def status(told: Mapping[str, Any]) -> list[RenderableType]:
    """The whole status, section by section."""
    now = str(told["now"])
    unsettled, last = told["unsettled_executions"], told["last_execution"]
    made = [
        facts(_trading(told) + _today(told) + _scan(told)),
        heading("Pending proposals"),
        *proposals(told["pending_proposals"], now),
    ]
    if told["windows"]:
        made += [
            heading("Cooldowns and windows"),
            table(
                ("asset", "no trade for", "no buy for", "no sell for"),
                [
                    (str(window["asset"]), *(_left(window.get(name), now) for name in _WINDOWS))
                    for window in told["windows"]
                ],
            ),
        ]
    if unsettled:
        made += [heading("Unsettled executions"), *executions(unsettled, now)]
    if last:
        made += [heading("Last execution"), *executions([last], now)]
    return made


_WINDOWS = ("cooldown_until", "no_buy_until", "no_sell_until")


def _left(at: object, now: str) -> str:
    return "-" if at is None else until(at, now)


def _trading(told: Mapping[str, Any]) -> list[tuple[str, str]]:
    trading, compared = told["trading"], told["reconciliation"]
    rows = [("trading", f"{trading['state']}, {trading['mode']}")]
    for whose, state, reason in (
        ("yours", trading["owner_state"] or "none: set a policy first", trading["owner_reason"]),
        ("everybody's", trading["global_state"], trading["global_reason"]),
    ):
        rows.append((f"  {whose}", state if state == "ACTIVE" or not reason else f"{state}: {reason}"))
    age = "none yet" if compared["age_seconds"] is None else f"{span(int(compared['age_seconds']))} ago"
    stale = "; too long ago, so no live order is claimed: is cleanup running?" if compared["stale"] else ""
    rows.append(("last check", f"of the exchange's orders against the approvals: {age}{stale}"))
    if compared["unread_markets"]:
        rows.append(("  not read", ", ".join(compared["unread_markets"])))
    rows.extend(("  unseen", f"{each['sentence']} ({each['code']})") for each in compared.get("warnings", []))
    return rows


def _scan(told: Mapping[str, Any]) -> list[tuple[str, str]]:
    """How the scan stands, what the last one came to, and what keeps the next from proposing."""
    scan, now = told.get("scan"), str(told["now"])
    if not scan:
        return [("scan", "none yet: ./interlock scan makes one")]
    if not scan["enabled"]:
        stands = "off: ./interlock scan switches it on"
    elif scan["running"]:
        stands = "running now"
    elif (left := until(scan["next_run_at"], now)) == "0 s":
        stands = "due now"
    else:
        stands = f"next in {left}"
    return [
        ("scan", stands),
        ("  last", last_scan(scan, now)),
        *(("  but", sentence) for sentence in obstacles(told) + doubts(told)),
    ]


def last_scan(scan: Mapping[str, Any], now: str) -> str:
    """When the last scan was, and what it came to."""
    if scan.get("last_run_at") is None:
        return "none has finished yet"
    came_to = f": {scan['last_outcome']}" if scan.get("last_outcome") else ""
    return f"{until(now, str(scan['last_run_at']))} ago{came_to}"


def obstacles(told: Mapping[str, Any]) -> list[str]:
    """Whatever keeps a scan from proposing anything, a sentence each."""
    trading, budget = told["trading"], told["model_budget"]
    made = []
    for whose, which in (("Everybody's", "global"), ("Your", "owner")):
        if trading.get(f"{which}_state") == "HALTED":
            reason = trading.get(f"{which}_reason")
            made.append(
                f"{whose} trading is halted{f' ({reason})' if reason else ''}: the model is not asked."
            )
    for which, when in (("daily", "this UTC day"), ("hourly", "the last hour")):
        used, limit = budget.get(f"{which}_used"), budget.get(f"{which}_limit")
        if used is not None and limit is not None and int(used) >= int(limit):
            made.append(f"The model budget of {when} is spent: {used} of {limit} calls.")
    return made + [sentence for code, sentence in _warnings(told) if code == "ALLOWLIST_EMPTY"]


def doubts(told: Mapping[str, Any]) -> list[str]:
    """What does not look right about the scan and keeps it from nothing, or not from everything."""
    scan = told.get("scan") or {}
    made = [sentence for code, sentence in _warnings(told) if code != "ALLOWLIST_EMPTY"]
    failures = int(scan.get("consecutive_failures") or 0)
    if failures:
        times = "The last scan" if failures == 1 else f"The last {failures} scans"
        made.append(f"{times} failed ({scan.get('last_error')}); ten in a row switch it off.")
    elif scan and not scan["enabled"] and scan.get("last_error"):
        made.append(f"It is off: {scan['last_error']}.")
    return made


def _warnings(told: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(str(each["code"]), str(each["sentence"])) for each in told.get("policy_warnings") or []]


def _today(told: Mapping[str, Any]) -> list[tuple[str, str]]:
    today, budget = told["today"], told["model_budget"]
    return [
        (
            "today (UTC)",
            f"{today['trades']} of {today['trades_limit'] or '-'} trades, "
            f"{cents(today['value_eur'])} of {cents(today['value_limit_eur'])}",
        ),
        (
            "account",
            f"{cents(today['account_value_eur'])} of {cents(today['account_value_limit_eur'])} today, "
            f"one order up to {cents(today['account_order_limit_eur'])}",
        ),
        (
            "model calls",
            f"{budget['daily_used']} of {budget['daily_limit'] or '-'} today, "
            f"{budget['hourly_used']} of {budget['hourly_limit'] or '-'} in the last hour",
        ),
    ]
