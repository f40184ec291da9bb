"""`make check-keys`: each pair tried at the exchange, and what to change in its dialog when one is not right.

Nothing is placed, cancelled or moved (`probe`). A pair that is bound to the fixed address is refused here
(307), which proves the list and hides the rights: what was seen of a pair before is therefore kept, by
fingerprint, in `.local/checked-keys.json`.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import Any
from uuid import UUID

from pydantic import SecretStr

from local.deploy.probe import BROKEN, NO_TRADE, WRONG_ADDRESS, Probe, Rights
from local.deploy.project import rows_of, trade_keys
from local.deploy.settings import problems, settings_of
from shared.bitvavo import KeyPair, Order, open_http
from shared.errors import ExchangeError, ExchangeRefused, ExchangeUnreadable

NEEDS = (
    *("BITVAVO_READONLY_KEY", "BITVAVO_READONLY_SECRET", "BITVAVO_TRADE_KEY", "BITVAVO_TRADE_SECRET"),
    "BITVAVO_OPERATOR_ID",
)
MAY_HAVE = ("SUPABASE_URL", "SUPABASE_SECRET_KEY")
"""With these, orders that carry the operator id are compared with the approvals as well."""

_SEEN = Path(__file__).resolve().parents[2] / ".local" / "checked-keys.json"
_TIMEOUT_S = 20.0
_DAY_MS = 24 * 60 * 60 * 1000
_KEPT_POINTS = 300


class Verdict(Enum):
    """What a check came to. The value is how it is printed."""

    RIGHT = "ok   "
    WRONG = "WRONG"
    UNTOLD = "?    "


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: what it came to, and what to do when it is not right."""

    verdict: Verdict
    sentence: str


@dataclass(frozen=True, slots=True)
class Tried:
    """A pair that the exchange knows: what it may do, and its probe if that was seen now."""

    name: str
    rights: Rights
    seen: str
    probe: Probe | None


def check(given: Mapping[str, str], base_url: str, seen: dict[str, Any]) -> Iterator[Finding]:
    """Every finding in turn; `seen` is what was seen of pairs before, and learns what is seen now.

    Raises `ExchangeError` when the exchange gives no answer.
    """
    read_only = KeyPair(given["BITVAVO_READONLY_KEY"], SecretStr(given["BITVAVO_READONLY_SECRET"]))
    trade = trade_keys(given)
    if read_only.key == trade.key:
        yield Finding(
            Verdict.WRONG, "Both pairs are the same: make a second one, without Trade digital assets."
        )
        return
    yield Finding(Verdict.RIGHT, "The pairs differ.")
    operator_id = int(given["BITVAVO_OPERATOR_ID"])
    tried: list[Tried] = []
    for name, keys in (("read-only", read_only), ("trade", trade)):
        yield from _try(name, Probe(open_http(_TIMEOUT_S), base_url, keys), keys, operator_id, seen, tried)
    for pair in tried:
        yield _withdraw(pair, tried)
    yield _operator_id(next((pair for pair in tried if pair.name == "trade"), None), given, operator_id)


def _try(
    name: str, probe: Probe, keys: KeyPair, operator_id: int, seen: dict[str, Any], tried: list[Tried]
) -> Iterator[Finding]:
    code = probe.code("GET", "/account")
    if code in BROKEN:
        yield Finding(Verdict.WRONG, f"The {name} pair does not work: {BROKEN[code]} (code {code}).")
        return
    if code == WRONG_ADDRESS:
        yield Finding(
            Verdict.RIGHT, f"The {name} pair is bound to addresses, and this machine is none of them."
        )
        before = seen.get(keys.fingerprint)
        if before is None:
            yield Finding(
                Verdict.UNTOLD,
                f"What the {name} pair may do cannot be seen from here and was not seen before it was bound:"
                " look at its permissions in Bitvavo's dialog.",
            )
            return
        pair = Tried(
            name, Rights(**before["rights"]), f" (seen on {before['at']}, before it was bound)", None
        )
    else:
        yield Finding(
            Verdict.WRONG,
            f"The {name} pair works from this machine: set its IP whitelist to the fixed address alone, which"
            " ./deploy.sh prints (./deploy.sh --only address reserves it).",
        )
        pair = Tried(name, probe.rights(operator_id, try_an_order=name == "read-only"), "", probe)
        at = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
        seen[keys.fingerprint] = {"at": at, "rights": asdict(pair.rights)}
    tried.append(pair)
    yield from _read_only(pair) if name == "read-only" else _trade(pair)


def _read_only(pair: Tried) -> Iterator[Finding]:
    rights = pair.rights
    if rights.view:
        yield Finding(Verdict.RIGHT, f"The read-only pair reads{pair.seen}.")
    else:
        yield Finding(Verdict.WRONG, "The read-only pair cannot read: switch View access on.")
    if rights.trade or rights.order == 0:
        yield Finding(Verdict.WRONG, "The read-only pair may trade: switch Trade digital assets off.")
    elif rights.trade is None:
        yield Finding(
            Verdict.UNTOLD,
            "The exchange did not say whether the read-only pair may trade: see that Trade digital assets is"
            " off.",
        )
    elif rights.order == NO_TRADE:
        yield Finding(
            Verdict.RIGHT, f"The read-only pair is refused an order for want of the right{pair.seen}."
        )
    else:
        yield Finding(
            Verdict.RIGHT,
            "The read-only pair is refused a cancel for want of the right that an order needs too"
            f"{pair.seen}; an order of nothing was refused with code {rights.order}.",
        )


def _trade(pair: Tried) -> Iterator[Finding]:
    match pair.rights.trade:
        case True:
            yield Finding(Verdict.RIGHT, f"The trade pair may place, look up and cancel orders{pair.seen}.")
        case False:
            yield Finding(Verdict.WRONG, "The trade pair may not trade: switch Trade digital assets on.")
        case None:
            yield Finding(
                Verdict.UNTOLD,
                "The exchange did not say whether the trade pair may trade: see that Trade digital assets"
                " is on.",
            )


def _withdraw(pair: Tried, tried: list[Tried]) -> Finding:
    """Another pair that is refused the same request for want of the right shows that this one has it."""
    if pair.rights.withdraw is False:
        return Finding(Verdict.RIGHT, f"The {pair.name} pair may not withdraw{pair.seen}.")
    if pair.rights.withdraw or any(other.rights.withdraw is False for other in tried):
        return Finding(
            Verdict.WRONG,
            f"The {pair.name} pair may withdraw: switch Withdraw digital assets off. With it, whoever holds"
            " the pair takes the money, and no second factor is asked for.",
        )
    return Finding(
        Verdict.UNTOLD,
        f"The exchange did not say whether the {pair.name} pair may withdraw: see that Withdraw digital"
        " assets is off.",
    )


def _operator_id(pair: Tried | None, given: Mapping[str, str], operator_id: int) -> Finding:
    """Whether an open order, or one of the last day, carries the id and no execution explains it."""
    if pair is None or not pair.rights.trade:
        return Finding(Verdict.UNTOLD, "Orders cannot be listed without a trade pair that works.")
    if pair.probe is None:
        return Finding(
            Verdict.RIGHT,
            f"Orders with operator id {operator_id} cannot be listed from here; cleanup compares them with"
            " the approvals every minute, and halts trading for one that nothing explains.",
        )
    orders = {
        order.order_id: order for order in _orders(pair.probe, given) if order.operator_id == operator_id
    }
    if not _knows_approvals(given):
        return Finding(
            Verdict.UNTOLD if orders else Verdict.RIGHT,
            f"Operator id {operator_id} is on {len(orders)} order(s) of the last day in what is held or open."
            " With SUPABASE_URL and SUPABASE_SECRET_KEY they are compared with the approvals.",
        )
    explained = _executions(
        given, {order.client_order_id for order in orders.values() if order.client_order_id}
    )
    strange = [order for order in orders.values() if order.client_order_id not in explained]
    if strange:
        return Finding(
            Verdict.WRONG,
            f"{len(strange)} order(s) carry operator id {operator_id} and no approval explains them, such as"
            f" {strange[0].order_id} in {strange[0].market}: choose an id that nothing else uses. If you know"
            " of nothing that uses it, the key is in other hands: delete the pair.",
        )
    return Finding(
        Verdict.RIGHT,
        f"Operator id {operator_id} is on {len(orders)} order(s) of the last day; an approval explains each.",
    )


def _orders(probe: Probe, given: Mapping[str, str]) -> Iterator[Order]:
    """All open orders, and those of the last day in each market that was allowed, proposed or is held."""
    now_ms = int(time.time() * 1000)
    opened = [Order.parse(row) for row in probe.rows("/ordersOpen")]
    yield from opened
    for market in sorted(_markets(probe, given) | {order.market for order in opened}):
        if probe.rate_limit is not None and probe.rate_limit.remaining < _KEPT_POINTS:
            raise ExchangeUnreadable("The rate limit is nearly used up: run this again in a minute.")
        try:
            rows = probe.rows("/orders", market=market, start=now_ms - _DAY_MS, end=now_ms, limit=1000)
        except ExchangeRefused:  # an asset that is held and has no market in EUR
            continue
        yield from (Order.parse(row) for row in rows)


def _markets(probe: Probe, given: Mapping[str, str]) -> set[str]:
    held = {f"{row['symbol']}-EUR" for row in probe.rows("/balance") if row["symbol"] != "EUR"}
    if not _knows_approvals(given):
        return held
    policies = rows_of(given, "trading_policies", select="policy") or []
    allowed = {market for row in policies for market in row["policy"]["allowlist"]}
    proposals = rows_of(given, "trade_proposals", select="market", status="in.(EXECUTING,EXECUTED)") or []
    return held | allowed | {row["market"] for row in proposals}


def _knows_approvals(given: Mapping[str, str]) -> bool:
    return all(name in given for name in MAY_HAVE)


def _executions(given: Mapping[str, str], ids: set[UUID]) -> set[UUID]:
    found: set[UUID] = set()
    waiting = sorted(map(str, ids))
    while waiting:
        some, waiting = waiting[:100], waiting[100:]
        rows = rows_of(given, "trade_executions", select="id", id=f"in.({','.join(some)})") or []
        found |= {UUID(row["id"]) for row in rows}
    return found


def _given() -> dict[str, str]:
    """The settings file, else the environment; what is there of Supabase only when it can be used."""
    file = Path(os.environ.get("SETTINGS") or "deploy.env")
    if file.exists() or "SETTINGS" in os.environ:
        given = settings_of(file, only=NEEDS)
    else:
        given = {name: os.environ[name] for name in (*NEEDS, *MAY_HAVE) if os.environ.get(name)}
        missing = [name for name in NEEDS if name not in given]
        if missing:
            sys.exit(
                "There is no deploy.env: copy deploy.env.example to it and fill in what Bitvavo gave you,"
                f" or set {', '.join(missing)} in the environment."
            )
        if wrong := list(problems(given, only=NEEDS)):
            sys.exit("\n".join(["The environment is not right yet:", *(f"  {each}" for each in wrong)]))
    usable = {name for name in MAY_HAVE if not list(problems(given, only=(name,)))}
    return {name: value for name, value in given.items() if name not in MAY_HAVE or name in usable}


def main(seen_file: Path = _SEEN) -> None:
    """Print every finding; exit 0 only when everything is right."""
    given = _given()
    base_url = os.environ.get("BITVAVO_REST_URL") or "https://api.bitvavo.com/v2"
    seen: dict[str, Any] = json.loads(seen_file.read_text()) if seen_file.exists() else {}
    print(f"Trying both pairs at {base_url}; nothing is placed, cancelled or moved.\n")
    verdicts = set()
    try:
        for finding in check(given, base_url, seen):
            verdicts.add(finding.verdict)
            print(f"  {finding.verdict.value}  {finding.sentence}", flush=True)
    except ExchangeError as error:
        sys.exit(f"\nThe exchange gave no answer: {error}")
    finally:
        seen_file.parent.mkdir(exist_ok=True)
        seen_file.touch(mode=0o600)
        seen_file.write_text(json.dumps(seen))
    print(
        "\nNot to be seen from here: Include all subaccounts, Internal Transfer and Administrative are off."
    )
    if verdicts != {Verdict.RIGHT}:
        sys.exit("Not everything is right yet. In Bitvavo: your name, Settings, API.")
    print("Everything that can be seen is right.")


if __name__ == "__main__":
    main()
