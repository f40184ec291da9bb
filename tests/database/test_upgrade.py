"""The way up from phase 1: no row is lost, nothing opens by itself, and one schema comes of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from local.stack import Stack
from tests.database.harness import open_trading
from tests.database.phases import Project, differences, fill_with_phase_1, project, user

POLICIES_THAT_DO_NOT_PARSE = {
    "5": "a policy must be an object",
    "[]": "a policy must be an object",
    "null": "a policy must be an object",
    '{"limits": 5}': "limits must be an object",
    '{"risk": "high"}': "risk is not a field of a policy",
    '{"allowlist": ["BTC"]}': 'allowlist must name markets such as "BTC-EUR", not "BTC"',
    '{"min_confidence": 175}': "min_confidence must be from 0 to 100, not 175",
    '{"limits": {"order": {"max_eur": 250}}}': (
        'limits.order.max_eur must be a decimal in a string, such as "6" or "0.5", from 0.01 to 1000000'
    ),
}
STATUSES = {
    "EXECUTED": "EXECUTED",
    "FAILED": "FAILED",
    "EXPIRED": "EXPIRED",
    "DECLINED": "DECLINED",
    "PENDING": "EXPIRED",
    "EXECUTING": "EXPIRED",
    "APPROVED": "EXPIRED",
    "pending": "EXPIRED",
    "weird": "EXPIRED",
    "": "EXPIRED",
}
AMOUNTS = {"0.1": True, "NaN": False, "Infinity": False, "-Infinity": False, "-1": False, "0": False}
CONFIDENCES = {"0": True, "100": True, "100.5": False, "-1": False, "NaN": False, "Infinity": False}
SIDES = {"buy": True, "sell": True, "BUY": False, "hold": False}
LEAKS = """
    alter table public.trade_proposals enable row level security;
    create policy everybody_reads on public.trade_proposals using (asset <> '') with check (amount > 0);
    grant all on public.trade_proposals to anon, authenticated, service_role;
    grant select (policy), update on public.scan_jobs to authenticated;
    grant select on public.scan_jobs to public;
"""
IN_ANOTHER_TIME_ZONE = """
    do $$
    begin
        execute format('alter database %I set timezone to %L', current_database(), 'Asia/Tokyo');
    end
    $$
"""


@dataclass
class Upgraded:
    """A project that came from phase 1, and how it was there."""

    project: Project
    owner: UUID
    """Whose awkward rows the schema of phase 1 brings along."""
    many: UUID
    """Has several jobs with a policy that parses."""
    vanished: UUID
    """Has rows and does not exist."""
    proposals: dict[str, dict[str, UUID]] = field(default_factory=dict)
    """Column, value: the proposal that has it."""
    jobs: dict[str, UUID] = field(default_factory=dict)
    before: dict[str, dict[UUID, dict[str, object]]] = field(default_factory=dict)
    """Table: its rows in phase 1."""

    def job(self, name: str) -> dict[str, Any]:
        """A job as phase 2 has it."""
        return self.project.by_id("public.scan_jobs")[self.jobs[name]]

    def proposals_by(self, column: str) -> dict[str, dict[str, Any]]:
        """The proposals that were made to have each value of a column, as phase 2 has them."""
        rows = self.project.by_id("public.trade_proposals")
        return {value: rows[identity] for value, identity in self.proposals[column].items()}


@pytest.fixture(scope="module")
def upgraded(server: Stack) -> Iterator[Upgraded]:
    """A project of phase 1 with every awkward row that we know of, upgraded once: the tests only read."""
    with project(server, migrated=False) as made:
        there = Upgraded(made, fill_with_phase_1(made), user(made), uuid4())
        _add_rows(there)
        made.do(LEAKS)
        made.do(IN_ANOTHER_TIME_ZONE)
        there.before = {table: made.by_id(table) for table in ("public.scan_jobs", "public.trade_proposals")}
        made.up()
        yield there


def _add_rows(there: Upgraded) -> None:
    def job(name: str, owner: UUID, policy: str | None, status: str, made: str = "2026-01-01") -> None:
        there.jobs[name] = uuid4()
        there.project.do(
            """
            insert into public.scan_jobs (id, user_id, policy, status, created_at) values (%s, %s, %s, %s, %s)
            """,
            there.jobs[name],
            owner,
            policy,
            status,
            made,
        )

    def proposal(column: str, value: str) -> None:
        row: dict[str, object] = {"user_id": there.many, "side": "buy", "amount": 1, "confidence": 80}
        row |= {"status": "EXPIRED", "scan_job_id": there.jobs["first active"], column: value}
        identity = there.proposals.setdefault(column, {}).setdefault(value, uuid4())
        there.project.do(
            """
            insert into public.trade_proposals
                (id, user_id, scan_job_id, asset, side, amount, confidence, status, expires_at, rationale)
            values (%s, %s, %s, 'BTC', %s, %s, %s, %s, '2020-01-01', repeat('long ', 2000))
            """,
            identity,
            *(row[name] for name in ("user_id", "scan_job_id", "side", "amount", "confidence", "status")),
        )

    job("oldest, paused", there.many, '{"limits": {"gpt": {"daily": 1}}}', "paused", "2025-01-01")
    job("does not parse", there.many, '{"limits": {"gpt": {"daily": -1}}}', "active", "2025-01-02")
    job("first active", there.many, '{"limits": {"gpt": {"daily": 2}}}', "active", "2025-01-03")
    job("second active", there.many, '{"limits": {"gpt": {"daily": 3}}}', "active", "2025-01-04")
    job("of nobody", there.vanished, "{}", "active")
    job("of somebody without a status", user(there.project), "{}", "ACTIVE")
    for policy in POLICIES_THAT_DO_NOT_PARSE:
        job(policy, user(there.project), policy, "active")
    for column, values in (
        ("status", STATUSES),
        ("amount", AMOUNTS),
        ("confidence", CONFIDENCES),
        ("side", SIDES),
    ):
        for value in values:
            proposal(column, value)
    proposal("user_id", str(there.vanished))


@pytest.mark.parametrize("table", ["public.scan_jobs", "public.trade_proposals"])
def test_every_row_is_kept_as_it_was(upgraded: Upgraded, table: str) -> None:
    """Each row of phase 1 is there, whole in its column legacy."""
    before = upgraded.before[table]

    after = upgraded.project.by_id(table)

    assert len(before) > 5
    assert {identity: row["legacy"] for identity, row in after.items()} == before


def test_what_becomes_of_each_status(upgraded: Upgraded) -> None:
    """EXECUTED and the other ends stay; what was open, and what phase 2 does not know, ends EXPIRED."""
    after = {value: row["status"] for value, row in upgraded.proposals_by("status").items()}
    of_the_schema = {
        (row["legacy"]["status"], row["status"])
        for row in upgraded.project.by_id("public.trade_proposals").values()
        if row["user_id"] == str(upgraded.owner) and isinstance(row["legacy"], dict)
    }

    assert after == STATUSES
    assert of_the_schema == {
        ("PENDING", "EXPIRED"),
        ("APPROVED", "EXPIRED"),
        ("EXECUTED", "EXECUTED"),
        ("weird", "EXPIRED"),
    }


def test_executed_stays_without_an_execution(upgraded: Upgraded) -> None:
    """Phase 1 had no executions, and none is made up."""
    assert upgraded.project.rows("select id from public.trade_executions") == []


@pytest.mark.parametrize(
    ("column", "values"), [("amount", AMOUNTS), ("confidence", CONFIDENCES), ("side", SIDES)]
)
def test_a_value_that_phase_2_refuses_is_empty(
    upgraded: Upgraded, column: str, values: dict[str, bool]
) -> None:
    """A good value stays in its column; NaN, infinity, a wrong sign or word leaves it empty."""
    after = {value: row[column] is not None for value, row in upgraded.proposals_by(column).items()}
    assert after == values


def test_a_phase_1_proposal_never_opens(upgraded: Upgraded) -> None:
    """Neither an update nor an insert makes a row of phase 1 PENDING, not even for the schema's owner."""
    with upgraded.project.opened() as database:
        with pytest.raises(psycopg.errors.RestrictViolation, match="never goes from EXPIRED to PENDING"):
            database.do("update public.trade_proposals set status = 'PENDING' where status = 'EXPIRED'")
        with pytest.raises(psycopg.errors.CheckViolation, match="phase_1_rows_are_never_pending"):
            database.do(
                "insert into public.trade_proposals (user_id, legacy) values (%s, '{}')", upgraded.owner
            )


def test_the_oldest_active_job_that_parses_is_enabled(upgraded: Upgraded) -> None:
    """An owner with several jobs keeps one enabled; each of the others says why it is not."""
    names = ["oldest, paused", "does not parse", "first active", "second active"]

    found = {name: (upgraded.job(name)["enabled"], upgraded.job(name)["last_error"]) for name in names}

    assert found == {
        "oldest, paused": (False, "was not active"),
        "does not parse": (
            False,
            "its policy was not taken over: limits.gpt.daily must be a whole number from 0 to 10000",
        ),
        "first active": (True, None),
        "second active": (False, "an owner has one enabled job; another one of this owner is enabled"),
    }


def test_the_policy_of_the_enabled_job_moves(upgraded: Upgraded) -> None:
    """Of several policies of one owner the enabled job's counts, and each stays in place."""
    ((daily,),) = upgraded.project.rows(
        "select policy #>> '{limits,gpt,daily}' from public.trading_policies where user_id = %s",
        upgraded.many,
    )
    assert daily == "2"
    for identity, row in upgraded.project.by_id("public.scan_jobs").items():
        assert row["policy"] == upgraded.before["public.scan_jobs"][identity]["policy"]


def test_a_policy_that_moves_is_completed(upgraded: Upgraded) -> None:
    """Defaults fill what phase 1 did not say, a slash becomes a hyphen, and its user is no owner yet."""
    ((policy, state),) = upgraded.project.rows(
        "select policy, trading_state from public.trading_policies where user_id = %s", upgraded.owner
    )

    assert isinstance(policy, dict)
    assert (policy["allowlist"], policy["scan_interval_minutes"]) == (["BTC-EUR"], 30)
    assert policy["limits"]["gpt"] == {"daily": 5, "hourly": 2}
    assert policy["limits"]["order"] == {"min_eur": "6", "max_eur": "250"}
    assert state == "ACTIVE"
    assert upgraded.project.rows("select user_id from public.trading_owners") == []


@pytest.mark.parametrize("policy", POLICIES_THAT_DO_NOT_PARSE)
def test_a_policy_that_does_not_parse_leaves_its_job_disabled(upgraded: Upgraded, policy: str) -> None:
    """The job says what is wrong with its policy, and no policy is made of it."""
    job = upgraded.job(policy)

    assert not job["enabled"]
    assert job["last_error"] == f"its policy was not taken over: {POLICIES_THAT_DO_NOT_PARSE[policy]}"
    assert (
        upgraded.project.rows("select 1 from public.trading_policies where user_id = %s", job["user_id"])
        == []
    )


def test_what_is_not_active_is_not_enabled(upgraded: Upgraded) -> None:
    """A status that phase 1 did not write switches nothing on."""
    job = upgraded.job("of somebody without a status")
    assert (job["enabled"], job["last_error"]) == (False, "was not active")


def test_rows_of_a_user_who_does_not_exist_are_kept(upgraded: Upgraded) -> None:
    """Their job is disabled and has no policy, and nothing new can be stored for them."""
    job = upgraded.job("of nobody")
    (proposal,) = upgraded.proposals_by("user_id").values()

    assert (job["enabled"], job["last_error"]) == (False, "its user does not exist")
    assert proposal["status"] == "EXPIRED"
    assert (
        upgraded.project.rows("select 1 from public.trading_policies where user_id = %s", upgraded.vanished)
        == []
    )
    with pytest.raises(psycopg.errors.ForeignKeyViolation, match="user_exists"):
        upgraded.project.do("insert into public.scan_jobs (user_id) values (%s)", upgraded.vanished)


def test_phase_1_lets_nobody_in(upgraded: Upgraded) -> None:
    """Grants and policies that phase 1 had on its tables are gone."""
    with upgraded.project.opened() as database:
        stranger = database.as_user(user(upgraded.project))
        assert stranger.rows("select id from public.trade_proposals") == []
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            stranger.rows("update public.scan_jobs set enabled = true where true returning id")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            database.as_anon().rows("select id from public.scan_jobs")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            database.as_service().rows("delete from public.trade_proposals where true returning id")


def test_an_upgraded_project_has_the_schema_of_a_new_one(upgraded: Upgraded, server: Stack) -> None:
    """Object by object, columns in one order; rows of vanished users alone keep a reference not valid."""
    with project(server, migrated=True) as new:
        found = differences(new.look().schema, upgraded.project.look().schema)

    assert set(found) == {
        ("constraint", "scan_jobs.user_exists"),
        ("constraint", "trade_proposals.user_exists"),
    }
    assert {is_ for _, is_ in found.values()} == {f"{was} NOT VALID" for was, _ in found.values()}


def test_an_upgraded_job_is_scanned_once_its_user_is_an_owner(upgraded: Upgraded, server: Stack) -> None:
    """The enabled job is leased with the policy that moved, and not before the operator names its owner."""
    with (
        project(server, migrated=True, copied_from=upgraded.project.url) as copy,
        copy.opened() as database,
    ):
        service = database.as_service()
        open_trading(database)
        before = service.call("claim_due_scan_jobs", p_instance_id="worker", p_limit=100)
        database.do("insert into public.trading_owners (user_id) values (%s)", upgraded.many)
        (leased,) = service.call("claim_due_scan_jobs", p_instance_id="worker", p_limit=100)

        assert before == []
        assert leased["id"] == str(upgraded.jobs["first active"])
        assert leased["policy"]["limits"]["gpt"]["daily"] == 2
        released = service.call(
            "release_job_lock",
            p_scan_job_id=leased["id"],
            p_lock_token=leased["lock_token"],
            p_minutes=5,
            p_error=None,
        )
        assert released["outcome"] == "released"
        assert set(database.as_user(upgraded.many).call("schedule_scan")) & {"policy", "status"} == set()
