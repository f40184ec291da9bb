"""Watches everything that passes, writes the journal, and judges by it and by the exchange's own record."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from local.exchange.orders import Order
from local.stack import OPERATOR_ID
from tests.agreement import differences
from tests.database.harness import execution_id
from tests.soak.claims import UNSETTLED, Moment, outside
from tests.soak.clocks import NS
from tests.soak.journal import Accepted, Claim, Lease, Proposal, Reservation
from tests.soak.place import Place
from tests.soak.ways import Process

BY_HAND = "by hand"
"""How the reason of a halt begins that a person of the soak made."""

_MAY_HALT = frozenset({"record_execution_result", "record_absence", "compare_orders", "halt_failing_owners"})
_CONTRADICTED = re.compile(r"execution (\S+) was concluded \w+, but the exchange has its order")
_SECOND = re.compile(r"a second order under the id of execution (\S+)")
_INTRUDER = re.compile(r"order (\S+) in (\S+) has no approval")
_LONGEST_FLIGHT_NS = 60 * NS
"""Access window, what the clocks may be apart, and what one of them may be set back by."""


@dataclass
class Oracle:
    """What has to be true of every seed, whatever happens in it."""

    place: Place
    _orders_seen: int = 0

    def __post_init__(self) -> None:
        place = self.place
        self.journal, self.story = place.journal, place.story
        self.db, self.clocks, self.exchange = place.db, place.clocks, place.exchange

    # The database

    def saw(self, process: Process, rpc: str, params: Mapping[str, Any], answer: Any) -> None:
        """A call was carried out, whether or not its answer arrives."""
        watch: dict[str, Callable[[Process, Mapping[str, Any], Any], None]] = {
            "claim_execution": self._claim,
            "record_execution_result": self._record,
            "record_absence": self._absence,
            "compare_orders": self._comparison,
            "claim_due_scan_jobs": self._leases,
            "cleanup_expired_locks": self._locks,
            "reserve_gpt_call": self._reservation,
            "finish_scan": self._finish,
            "seal_audit_events": self._sealed,
        }
        if rpc in watch:
            watch[rpc](process, params, answer)
        if rpc in _MAY_HALT:
            self.look_for_halts()
            if _surprises(answer) and self.journal.state != "HALTED":
                self.journal.violated(f"{process.name} was surprised, and trading goes on")

    def _claim(self, process: Process, params: Mapping[str, Any], answer: Any) -> None:
        self.story.tally[f"claims {answer['outcome']}"] += 1
        if answer["outcome"] == "refused":
            self._count_clock_skew(params["p_user_id"], answer["checks"])
        rows = self.db.rows(
            """
            select execution.id, proposal_id, user_id, status, claimed_at, order_value, access_timestamp,
                access_window_ms, request ->> 'body', override_cooldown, override_anti_flip, reconciled_at
            from public.trade_executions as execution, public.trading_controls
            """
        )
        for (
            identifier,
            proposal,
            user,
            _,
            at,
            value,
            timestamp,
            window,
            body,
            cooldown,
            anti_flip,
            compared,
        ) in rows:
            if identifier in self.journal.claims:
                continue
            stored = self.journal.proposals[proposal]
            claim = Claim(identifier, stored, process.name, at, self.clocks.now_ns(), value, body, window)
            moment = Moment(
                journal=self.journal,
                statuses={row[0]: row[3] for row in rows},
                traded_for={one: self._traded_for(one) for one in self.journal.claims},
                book=process.book,
                compared_at=compared,
                timestamp_ms=timestamp,
                overrides=(cooldown, anti_flip),
                approved_by=params["p_user_id"],
            )
            self.journal.claims[identifier] = claim
            self.story.tally["approvals that reached a claim"] += 1
            self.story.call(identifier, f"execution of {self.story.named(proposal)}")
            if (identifier, user) != (execution_id(proposal), stored.owner) or proposal != process.asked:
                self._wrong(identifier, "is not the execution of the proposal that was approved")
            if (cooldown, anti_flip) != (params["p_override_cooldown"], params["p_override_anti_flip"]):
                self._wrong(identifier, "overrides what its owner did not override")
            if at != self.clocks.database_time():
                self._wrong(identifier, "was not claimed when it says")
            for rule in outside(claim, moment):
                self._wrong(identifier, f"was claimed although {rule}")

    def _traded_for(self, execution: UUID) -> Decimal:
        """What its own order traded for, EUR; zero while there is none."""
        orders = self._real(execution)
        return orders[0].filled_quote if orders else Decimal(0)

    def _real(self, execution: UUID) -> list[Order]:
        return [
            self.exchange.order_of(one)
            for one in self.exchange.record
            if one.client_order_id == str(execution)
        ]

    def _record(self, _process: Process, params: Mapping[str, Any], answer: Any) -> None:
        identifier, outcome = UUID(str(params["p_execution_id"])), params["p_outcome"]
        if outcome in ("rejected", "not_placed") and answer["outcome"] == "recorded":
            if self.journal.orders_of(identifier):
                self._wrong(identifier, f"was concluded {outcome} while the exchange had its order")
            if outcome == "not_placed" and self.journal.sent[identifier]:
                self._wrong(identifier, "is said not to have been sent, and was")
        owner = self.journal.claims[identifier].proposal.owner
        if answer["outcome"] == "recorded" and outcome in ("unknown", "rejected"):
            kind = "unknown" if outcome == "unknown" else f"code {params['p_error_code']}"
            self.journal.failures[owner, kind] += 1
            if params["p_error_code"] == "304":
                self.journal.failures[owner, "clock"] += 1
        if params["p_error_code"] == "CLOCK_SKEW":
            self.journal.failures[owner, "clock"] += 1

    def _count_clock_skew(self, owner: UUID, checks: list[dict[str, Any]]) -> None:
        if any(check["code"] == "CLOCK_SKEW" for check in checks):
            self.journal.failures[owner, "clock"] += 1

    def _absence(self, process: Process, params: Mapping[str, Any], answer: Any) -> None:
        identifier = UUID(str(params["p_execution_id"]))
        if answer["outcome"] == "first_round":
            self.journal.looked_since[identifier] = process.began_ns
        elif answer["outcome"] == "concluded":
            self.story.tally["absences concluded"] += 1
            since = self.journal.looked_since.get(identifier, process.began_ns)
            if any(order.true_ns < since for order in self.journal.orders_of(identifier)):
                self._wrong(
                    identifier, "was concluded NOT_PLACED; the exchange had its order before anybody looked"
                )

    def _comparison(self, _process: Process, params: Mapping[str, Any], _answer: Any) -> None:
        self.journal.compared.add(params["p_market"])

    def look_for_halts(self) -> None:
        """Interlock may have halted by itself: from now on that is in force."""
        state, reason = self.db.rows("select trading_state, reason from public.trading_controls")[0]
        if state != self.journal.state:
            self._halted(reason)
            self.journal.state = state
        for owner, own_state, own_reason in self.db.rows(
            "select user_id, trading_state, state_reason from public.trading_policies"
        ):
            if own_state != self.journal.states[owner]:
                self._halted(own_reason)
                self.journal.states[owner] = own_state

    def _halted(self, reason: str) -> None:
        self.journal.halts.append(reason)
        self.story.tally["halts by itself"] += 1
        self.story.tell("Interlock", f"HALTS: {self.story.readable(reason)}")

    def reason_holds(self, reasons: str, owner: UUID | None = None) -> bool:
        """Is everything true that a halt says, by the exchange's record and the journal?"""
        return all(self._one_holds(reason, owner) for reason in reasons.split("; "))

    def _one_holds(self, reason: str, owner: UUID | None) -> bool:
        if reason.startswith(BY_HAND) or reason == "set by the owner":
            return True
        if found := _CONTRADICTED.fullmatch(reason):
            execution = UUID(found[1])
            return execution in self.journal.surprising and bool(self._real(execution))
        if found := _SECOND.fullmatch(reason):
            return len(self._real(UUID(found[1]))) > 1
        if found := _INTRUDER.fullmatch(reason):
            return (found[2], found[1]) in self.journal.intruders | self._seconds()
        if owner is None:
            return False
        failures = self.journal.failures
        code = reason.partition("with code ")[2].partition(" ")[0]
        return (
            (reason.startswith("three executions of unknown fate") and failures[owner, "unknown"] >= 3)
            or (reason.startswith("five times") and failures[owner, "clock"] >= 5)
            or (reason.startswith("three refusals") and failures[owner, f"code {code}"] >= 3)
        )

    def _seconds(self) -> set[tuple[str, str]]:
        """Orders beyond the first under one id."""
        return {
            (order.market, order.order_id)
            for execution in self.journal.repeated
            for order in self.journal.orders_of(execution)[1:]
        }

    # Scans

    def _leases(self, process: Process, _params: Mapping[str, Any], answer: Any) -> None:
        now = self.clocks.database_time()
        for job in answer:
            identifier = UUID(job["id"])
            held = self.journal.leases.get(identifier)
            if held is not None and held.until > now:
                self.journal.violated(f"{process.name} was handed a scan job that {held.process} holds")
            self.journal.leases[identifier] = Lease(process.name, now + timedelta(minutes=2))

    def _locks(self, _process: Process, _params: Mapping[str, Any], _answer: Any) -> None:
        now = self.clocks.database_time()
        leases = self.journal.leases
        self.journal.leases = {job: lease for job, lease in leases.items() if lease.until > now}

    def _reservation(self, process: Process, params: Mapping[str, Any], answer: Any) -> None:
        process.reservation = None
        if answer["outcome"] != "reserved":
            return
        now, identifier = self.clocks.database_time(), UUID(str(params["p_reservation_id"]))
        process.reservation = identifier
        if identifier in self.journal.reservations:
            return
        owner = self.db.one("select user_id from public.scan_jobs where id = %s", params["p_scan_job_id"])
        lease = self.journal.leases.get(UUID(str(params["p_scan_job_id"])))
        if lease is None or lease.process != process.name or lease.until <= now:
            self.journal.violated(f"{process.name} reserved a model call without a lease")
        calls = [one for one in self.journal.reservations.values() if one.counts]
        own = [one for one in calls if one.owner == owner]
        limits = self.journal.policies[owner]["limits"]["gpt"]
        day = now.replace(hour=0, minute=0, second=0, microsecond=0)
        ceiling = self.journal.max_daily_gpt_calls
        if (
            sum(one.at >= day for one in own) >= limits["daily"]
            or sum(one.at > now - timedelta(minutes=60) for one in own) >= limits["hourly"]
            or (ceiling is not None and sum(one.at >= day for one in calls) >= ceiling)
        ):
            self.journal.violated(f"{process.name} reserved a model call beyond the budget")
        self.journal.reservations[identifier] = Reservation(identifier, owner, now)

    def model_asked(self, process: Process) -> Reservation:
        """A call is on its way to the model: it counts until it is known that nobody was asked."""
        reservation = self.journal.reservations.get(process.reservation) if process.reservation else None
        if reservation is None or reservation.asked:
            self.journal.violated(f"{process.name} asked the model without a reservation of its own")
            return Reservation(UUID(int=0), UUID(int=0), self.clocks.database_time())
        reservation.asked = reservation.counts = True
        self.story.tally["model calls"] += 1
        return reservation

    def _finish(self, process: Process, params: Mapping[str, Any], answer: Any) -> None:
        job = UUID(str(params["p_scan_job_id"]))
        if answer["outcome"] not in ("finished", "policy_changed"):
            return
        lease = self.journal.leases.pop(job, None)
        if lease is None or lease.process != process.name or lease.until <= self.clocks.database_time():
            self.journal.violated(f"{process.name} finished a scan job that it did not hold")
        if answer["proposal"] is not None:
            self.stored(UUID(answer["proposal"]["id"]))
            self.story.tally["proposals by scans"] += 1

    def stored(self, identifier: UUID) -> Proposal:
        """A proposal is there; from now on its content never changes."""
        proposal = self._content(identifier)
        self.journal.proposals[identifier] = proposal
        self.story.call(identifier, f"proposal {len(self.journal.proposals)}")
        return proposal

    def _content(self, proposal: UUID) -> Proposal:
        row = self.db.rows(
            """
            select id, user_id, market, side, amount, amount_quote, limit_price, reference_price, confidence,
                expires_at
            from public.trade_proposals
            where id = %s
            """,
            proposal,
        )[0]
        return Proposal(*row)

    # The exchange

    def sent(self, process: Process, body: bytes) -> UUID:
        """An order leaves: the claim's own bytes, by the process that claimed, and never again.

        The id that it carries.
        """
        identifier = UUID(json.loads(body)["clientOrderId"])
        self.journal.sent[identifier].append(body.decode())
        self.story.tally["orders sent"] += 1
        claim = self.journal.claims.get(identifier)
        if claim is None:
            self._wrong(identifier, "is sent without a claim")
        elif claim.process != process.name:
            self._wrong(identifier, f"is sent by {process.name} and was claimed by {claim.process}")
        elif claim.body.encode() != body:
            self._wrong(identifier, "is sent with other bytes than were claimed")
        if len(self.journal.sent[identifier]) > 1:
            self._wrong(identifier, "is sent a second time")
        return identifier

    def look_at_the_record(self) -> None:
        """The exchange may have accepted something."""
        for one in self.exchange.record[self._orders_seen :]:
            body = one.request["body"] if one.request else None
            execution = UUID(one.client_order_id) if one.client_order_id else None
            now = self.clocks.now_ns()
            if one.operator_id == OPERATOR_ID:
                self.journal.accepted.append(Accepted(one.market, one.order_id, execution, now, body))
                self.story.tally["orders accepted"] += 1
                self.story.tell("exchange", f"accepts an order, {self.story.named(execution or '')}")
            claim = self.journal.claims.get(execution) if execution else None
            if claim is None or execution in self.journal.surprising:
                continue
            if now > claim.true_ns + _LONGEST_FLIGHT_NS:
                self._wrong(claim.id, "was accepted long after its window")
        self._orders_seen = len(self.exchange.record)

    # The audit

    def _sealed(self, _process: Process, _params: Mapping[str, Any], answer: Any) -> None:
        if int(answer["sealed"]):
            self.journal.heads.append(answer["head"])

    # The end

    def judge_the_end(self) -> None:
        """Everything has settled: compare the database with the exchange order by order, and the evidence."""
        self._no_order_is_double_or_unapproved()
        self._every_execution_agrees()
        self._every_fill_is_kept()
        self._what_surprised_was_told()
        self._the_evidence_is_whole()

    def _no_order_is_double_or_unapproved(self) -> None:
        count = Counter(order.execution for order in self.journal.accepted)
        for order in self.journal.accepted:
            if (order.market, order.order_id) in self.journal.intruders:
                continue
            claim = self.journal.claims.get(order.execution) if order.execution else None
            if claim is None:
                self.journal.violated(f"order {order.order_id} has no claim")
            elif order.body != claim.body:
                self._wrong(claim.id, "has an order of other bytes than were claimed")
            elif count[order.execution] > 1 and claim.id not in self.journal.repeated:
                self._wrong(claim.id, f"has {count[order.execution]} orders")
        for claim in self.journal.claims.values():
            for real in self._real(claim.id):
                spent = real.filled_quote + real.fee
                most = claim.proposal.amount_quote
                if most is not None and spent > most:
                    self._wrong(claim.id, f"spent {spent} EUR of {most}")
                if claim.proposal.amount is not None and real.filled > claim.proposal.amount:
                    self._wrong(claim.id, f"sold {real.filled} of {claim.proposal.amount}")

    def _every_execution_agrees(self) -> None:
        orders: dict[str | None, list[Order]] = defaultdict(list)
        for one in self.exchange.record:
            orders[one.client_order_id].append(self.exchange.order_of(one))
        stored = self.db.rows("select id, status from public.trade_executions")
        if {identifier for identifier, _ in stored} != set(self.journal.claims):
            self.journal.violated("the executions are not the claims that were seen")
        for identifier, status in stored:
            if status in UNSETTLED:
                self._wrong(identifier, f"is still {status}")
            for difference in differences(self.db.admin, identifier, orders[str(identifier)]):
                self.journal.violated(self.story.readable(difference))

    def _every_fill_is_kept(self) -> None:
        real = [self.exchange.order_of(one) for one in self.exchange.record if one.operator_id == OPERATOR_ID]
        traded = (
            sum((order.filled for order in real), Decimal(0)),
            sum((order.filled_quote for order in real), Decimal(0)),
        )
        kept = self.db.rows(
            "select coalesce(sum(amount), 0), coalesce(sum(amount_quote), 0) from public.trade_history"
        )[0]
        if traded != kept:
            self.journal.violated(f"traded {traded}, kept {kept}")

    def _what_surprised_was_told(self) -> None:
        contradicted = self.db.rows(
            "select execution_id from public.audit_events where event = 'CONTRADICTED'"
        )
        for (identifier,) in contradicted:
            if identifier not in self.journal.surprising:
                self._wrong(identifier, "was contradicted, and nothing surprised")
        told = self.db.rows(
            """
            select coalesce(detail ->> 'market', detail #>> '{found,market}'),
                coalesce(detail ->> 'order_id', detail #>> '{found,orderId}')
            from public.audit_events
            where event in ('INTRUDER', 'SECOND_ORDER')
            """
        )
        for market, order in sorted((self.journal.intruders | self._seconds()) - set(told)):
            self.journal.violated(f"order {order} in {market} has no approval, and nobody was told")

    def _the_evidence_is_whole(self) -> None:
        for query, sentence in (
            ("select count(*) from public.incomplete_evidence", "executions lack evidence"),
            ("select count(*) from interlock.unsealed_events", "events have no seal"),
            ("select count(*) from public.scan_jobs where locked_at is not null", "scan jobs are stuck"),
        ):
            if lacking := self.db.one(query):
                self.journal.violated(f"{lacking} {sentence}")
        for head in (None, *self.journal.heads):
            verified = self.db.one("select public.verify_audit_chain(p_expected_head => %s)", head)
            if not verified["whole"] or verified["more"]:
                self.journal.violated(f"the audit's chain is broken: {verified}")
        for identifier, proposal in self.journal.proposals.items():
            if self._content(identifier) != proposal:
                self.journal.violated(f"{self.story.named(identifier)} has changed")
        counted = Counter(
            dict(
                self.db.rows(
                    """
                    select user_id, count(*)
                    from public.gpt_usage_log
                    where status in ('SUCCEEDED', 'FAILED', 'ABANDONED')
                    group by user_id
                    """
                )
            )
        )
        asked = Counter(one.owner for one in self.journal.reservations.values() if one.counts)
        if any(asked[owner] > counted[owner] for owner in asked):
            self.journal.violated(f"the model was asked {asked.total()} times, {counted.total()} are counted")

    def _wrong(self, execution: UUID, sentence: str) -> None:
        self.journal.violated(f"{self.story.named(execution)} {sentence}")


def _surprises(answer: Mapping[str, Any]) -> bool:
    """Did the exchange have something that contradicts the record, or that nobody approved?"""
    return bool(
        answer.get("outcome") == "contradicted" or answer.get("contradicted") or answer.get("new_intruders")
    )
