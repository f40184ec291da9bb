"""`deploy.sh` against stand-ins: what it makes, that it is safe to repeat and to kill, and what it says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local.deploy import smoke
from tests.deploy.cloud import PROJECT, SECRETS, Deployment, Run, without

SCHEDULED = [
    "scheduler",
    "jobs",
    "run",
    "interlock-cleanup",
    "--location=europe-west4",
    f"--project={PROJECT}",
]
"""The one call of a second run that is more than a look-up: every deployment ends with a run of cleanup."""
STEPS = {
    "APIs": "services enable",
    "accounts": "projects add-iam-policy-binding",
    "secrets": "secrets add-iam-policy-binding interlock-notify-url",
    "address and network, migrations, controls": "compute routers nats create",
    "functions": "run deploy interlock-cleanup",
    "scheduler": "scheduler jobs create http interlock-cleanup",
    "metrics and alerts": "alpha monitoring policies create",
    "first cleanup": "scheduler jobs run",
}
"""Each step that changes something in Google's cloud, and its last change."""


Json = dict[str, Any]


def account(name: str) -> str:
    return f"{name}@{PROJECT}.iam.gserviceaccount.com"


def test_the_first_run_makes_a_guarded_system_and_the_second_changes_nothing(deployment: Deployment) -> None:
    """The whole of what is made, then the proof that it is looked up before it is made."""
    plan = deployment.run("--dry-run")
    assert (plan.status, deployment.cloud.calls) == (0, [])
    first = deployment.run()
    assert first.status == 0, first.out
    things, policies = deployment.exists()["google"]["things"], deployment.exists()["google"]["policies"]
    _the_plan_was_what_was_run(plan, first)
    _no_secret_is_seen(deployment, plan, first)
    _each_secret_is_stored_once_and_read_by_its_own_alone(things, policies)
    _each_function_is_what_it_must_be(things)
    _the_scheduler_alone_calls(things, policies)
    _the_database_was_migrated_with_the_password_in_the_environment(deployment)
    assert deployment.project.controls["mode"] == "dry_run"
    assert deployment.project.controls["trading_state"] == "HALTED"
    assert deployment.project.controls["operator_id"] == "7"
    assert "203.0.113.7   (IP whitelist of both key pairs at Bitvavo)" in first.out
    assert re.search(r"together +\d+\.\d\d USD", first.out)

    made = deployment.exists()
    version = deployment.project.controls["version"]
    deployment.forget_calls()
    assert deployment.run().status == 0
    assert deployment.cloud.changes == [SCHEDULED]
    assert (deployment.exists(), deployment.project.controls["version"]) == (made, version)


def _the_plan_was_what_was_run(plan: Run, first: Run) -> None:
    def shape(run: Run) -> list[str]:
        found = re.compile(
            r"VERSION|(?<=[a-z]:)1\b|[0-9a-f]{32}|https?://\S+?(?= |$)|\.local/deploy\.\w+|--policy.*"
        )
        return [found.sub("*", command) for command in run.commands("run")]

    assert [line for line in shape(plan) if line not in shape(first)] == []
    assert len(shape(plan)) == len(shape(first))


def _no_secret_is_seen(deployment: Deployment, *runs: Run) -> None:
    seen = "\n".join([*(run.out for run in runs), *(" ".join(argv) for argv in deployment.cloud.calls)])
    assert [name for name, value in SECRETS.items() if value in seen] == []
    assert "canary" not in seen


def _each_secret_is_stored_once_and_read_by_its_own_alone(things: Json, policies: Json) -> None:
    execute, scan_tick, cleanup = (
        f"serviceAccount:{account(f'interlock-{n}')}" for n in ("execute", "scan-tick", "cleanup")
    )
    readers = {
        "SUPABASE_SECRET_KEY": {execute, scan_tick, cleanup},
        "BITVAVO_READONLY_KEY": {scan_tick},
        "BITVAVO_READONLY_SECRET": {scan_tick},
        "BITVAVO_TRADE_KEY": {execute, cleanup},
        "BITVAVO_TRADE_SECRET": {execute, cleanup},
        "OPENAI_API_KEY": {scan_tick},
        "NOTIFY_URL": {execute, scan_tick, cleanup},
    }
    secrets = {key: thing["versions"] for key, thing in things.items() if key.startswith("secrets/")}
    ids = {name: f"secrets/interlock-{name.lower().replace('_', '-')}" for name in readers}
    assert secrets == {ids[name]: [SECRETS[name]] for name in readers}
    given = {name: policies[ids[name]]["roles/secretmanager.secretAccessor"] for name in readers}
    assert {name: set(members) for name, members in given.items()} == readers


def _each_function_is_what_it_must_be(things: Json) -> None:
    flags = {
        name: things[f"services/interlock-{name}"]["flags"] for name in ("execute", "scan-tick", "cleanup")
    }
    for name, own in flags.items():
        assert own["--service-account"] == account(f"interlock-{name}")
        assert (own["--base-image"], own["--vpc-egress"], own["--network"]) == (
            "python313",
            "all-traffic",
            "interlock",
        )
        assert "latest" not in own["--set-secrets"]
        assert all(part.endswith(":1") for part in own["--set-secrets"].split(","))
        assert "--no-allow-unauthenticated" in own
        assert "canary" not in own["--set-env-vars"]
    assert int(flags["execute"]["--timeout"]) >= 120
    assert int(flags["scan-tick"]["--timeout"]) >= 180
    assert "--no-invoker-iam-check" in flags["execute"]
    for private in ("scan-tick", "cleanup"):
        assert "--invoker-iam-check" in flags[private]
        assert flags[private]["--ingress"] == "internal"
    assert "TRADING_MODE=dry_run" in flags["execute"]["--set-env-vars"]
    assert (
        "ALLOWED_ORIGINS=https://app.example.com,https://other.example.com"
        in flags["execute"]["--set-env-vars"]
    )
    assert "BITVAVO_TRADE" not in flags["scan-tick"]["--set-secrets"] + flags["scan-tick"]["--set-env-vars"]
    assert "OPENAI" not in flags["execute"]["--set-secrets"] + flags["cleanup"]["--set-secrets"]


def _the_scheduler_alone_calls(things: Json, policies: Json) -> None:
    caller = f"serviceAccount:{account('interlock-scheduler')}"
    for name in ("scan-tick", "cleanup"):
        assert policies[f"services/interlock-{name}"] == {"roles/run.invoker": [caller]}
        job = things[f"jobs/interlock-{name}"]
        assert job["--uri"] == job["--oidc-token-audience"]
        assert job["--uri"].endswith(f"/interlock-{name}")
        assert (job["--schedule"], job["--max-retry-attempts"]) == ("* * * * *", "0")
        assert job["--oidc-service-account-email"] == account("interlock-scheduler")
    assert "roles/run.invoker" not in policies.get("services/interlock-execute", {})


def _the_database_was_migrated_with_the_password_in_the_environment(deployment: Deployment) -> None:
    arguments, password, _ = (deployment.clone / "pushed").read_text().splitlines()
    assert arguments.startswith("db push ")
    assert "--db-url=postgresql://postgres.ref@127.0.0.1:5432/postgres" in arguments
    assert password == SECRETS["SUPABASE_DB_PASSWORD"]


def _last_changes(deployment: Deployment) -> Iterator[int]:
    """How many changes an undisturbed run has made when each step has ended."""
    changes = [" ".join(argv) for argv in deployment.cloud.changes]
    for last in STEPS.values():
        yield max(number for number, change in enumerate(changes, start=1) if change.startswith(last))


def test_killed_after_each_step_the_next_run_ends_in_the_same_state(deployment: Deployment) -> None:
    """Each run goes on from what is there and is killed when its step is done; the last ends undisturbed."""
    assert deployment.run().status == 0
    undisturbed, points = deployment.exists(), list(_last_changes(deployment))
    deployment.start_over()
    done = 0
    for point in points:
        deployment.cloud.kill_after = point - done
        assert deployment.run().status < 0, "it was not killed"
        done += len(deployment.cloud.changes)
        assert done == point
        deployment.forget_calls()
    deployment.cloud.kill_after = 0
    last = deployment.run()
    assert last.status == 0, last.out
    assert deployment.cloud.changes == [SCHEDULED]
    assert deployment.exists() == undisturbed


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_killed_after_any_change_the_next_run_ends_in_the_same_state(deployment: Deployment) -> None:
    """Every single change of a first run is the last one before a kill, each from an empty project."""
    assert deployment.run().status == 0
    undisturbed, changes = deployment.exists(), len(deployment.cloud.changes)
    assert changes > 80
    for point in range(1, changes + 1):
        deployment.start_over()
        deployment.cloud.kill_after = point
        assert deployment.run().status < 0
        deployment.cloud.kill_after = 0
        assert deployment.run().status == 0
        assert deployment.exists() == undisturbed, f"killed after change {point}"


def test_a_cloud_that_is_slow_or_was_changed_meanwhile_is_no_obstacle(deployment: Deployment) -> None:
    """A new account is not known at once, and a thing that a look-up missed exists when it is made."""
    deployment.cloud.trouble = "slow accounts, made meanwhile"
    run = deployment.run()
    assert run.status == 0, run.out


@pytest.mark.parametrize(
    ("trouble", "says"),
    [
        ("old", "gcloud 400.0.0 is too old"),
        ("no components", "gcloud lacks the alpha and beta commands"),
        ("no login", "Nobody is logged in to gcloud: gcloud auth login."),
        ("no project", f"The project {PROJECT} cannot be seen by operator@example.com"),
        ("no billing", f"The project {PROJECT} has no billing account"),
        ("no permission", "PERMISSION_DENIED"),
    ],
)
def test_what_is_wrong_with_gcloud_has_its_sentence(deployment: Deployment, trouble: str, says: str) -> None:
    """Said before anything is changed."""
    deployment.cloud.trouble = trouble
    run = deployment.run()
    assert (run.status, deployment.cloud.changes) == (1, [])
    assert says in run.out


def test_a_missing_gcloud_has_its_sentence(deployment: Deployment, tmp_path: Path) -> None:
    """Where to get it, and what to do next."""
    run = deployment.run(path=without(["gcloud"], tmp_path / "bin"))
    assert run.status == 1
    assert "gcloud is missing: install the Google Cloud CLI" in run.out


@pytest.mark.parametrize(
    ("auth", "says"),
    [
        ({"disable_signup": False}, "Anybody can sign up at this Supabase project"),
        ({"disable_signup": True, "external": {"anonymous_users": True}}, "Anonymous users can sign in"),
    ],
)
def test_a_project_that_anybody_can_join_is_not_deployed_to(
    deployment: Deployment, auth: dict[str, object], says: str
) -> None:
    """Sign-up is off at the Supabase project itself, or nothing is done."""
    deployment.project.auth = auth
    run = deployment.run()
    assert (run.status, deployment.cloud.changes) == (1, [])
    assert says in run.out


def test_a_wrong_supabase_key_or_address_has_its_sentence(deployment: Deployment) -> None:
    """Neither is shown."""
    deployment.settings["SUPABASE_SECRET_KEY"] = "sb_secret_canary-of-another-project"
    run = deployment.run()
    assert "The Supabase project refuses SUPABASE_SECRET_KEY" in run.out
    assert "canary" not in run.out
    deployment.settings["SUPABASE_URL"] = "http://127.0.0.1:9"
    assert "The Supabase project cannot be reached" in deployment.run().out
    assert deployment.cloud.changes == []


def test_wrong_settings_stop_everything_before_the_first_command(deployment: Deployment) -> None:
    """Also a dry run: its plan would be that of another deployment."""
    deployment.settings |= {"BITVAVO_TRADE_KEY": SECRETS["BITVAVO_READONLY_KEY"]}
    for arguments in ([], ["--dry-run"]):
        run = deployment.run(*arguments)
        assert (run.status, deployment.cloud.calls) == (1, [])
        assert "BITVAVO_READONLY_KEY and BITVAVO_TRADE_KEY are the same key" in run.out


def test_without_settings_the_plan_is_that_of_the_example_and_nothing_is_deployed(
    deployment: Deployment,
) -> None:
    """A stranger sees what would be done; a real run says what is missing."""
    plan = deployment.run("--dry-run", "--settings", "deploy.env")
    assert (plan.status, deployment.cloud.calls) == (0, [])
    assert "There is no deploy.env: this is the plan for the values of deploy.env.example." in plan.out
    assert len(plan.commands("run")) > 60
    run = deployment.run("--settings", "deploy.env")
    assert (run.status, deployment.cloud.calls) == (1, [])
    assert "deploy.env is missing: copy deploy.env.example to it and fill it in." in run.out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--only", "everything"], "--only takes execute, scan_tick, cleanup or address, not everything."),
        (["--only"], "--only needs a value."),
        (["--now"], "--now is not known."),
        (["--live", "--only", "execute"], "The mode is one for all functions: leave --only out."),
    ],
)
def test_arguments_that_make_no_sense_have_their_sentence(
    deployment: Deployment, arguments: list[str], says: str
) -> None:
    """Nothing is run."""
    run = deployment.run(*arguments)
    assert (run.status, deployment.cloud.calls) == (1, [])
    assert says in run.out


def test_live_asks_for_the_projects_name_and_stays_until_it_is_taken_back(deployed: Deployment) -> None:
    """A wrong name changes nothing; the right one changes controls and functions; later runs leave it so."""
    refused = deployed.run("--live", typed="yes\n")
    assert (refused.status, deployed.cloud.changes) == (1, [])
    assert "That is not the project. Nothing was changed." in refused.out

    def modes() -> tuple[str, bool, bool]:
        things = deployed.exists()["google"]["things"]
        variables = [
            things[f"services/interlock-{n}"]["flags"]["--set-env-vars"] for n in ("execute", "cleanup")
        ]
        live = ["TRADING_MODE=live" in one for one in variables]
        return deployed.project.controls["mode"], live[0], live[1]

    assert modes() == ("dry_run", False, False)
    assert deployed.run("--live", typed=f"{PROJECT}\n").status == 0
    assert modes() == ("live", True, True)
    deployed.forget_calls()
    assert deployed.run().status == 0
    assert (modes(), deployed.cloud.changes) == (("live", True, True), [SCHEDULED])
    assert deployed.run("--no-live").status == 0
    assert modes() == ("dry_run", False, False)


def test_what_changed_is_deployed_and_nothing_else(deployed: Deployment) -> None:
    """A new model key is a new version, pinned where it is read; what was loosened by hand is tight again."""
    deployed.settings["OPENAI_API_KEY"] = "another-canary"
    state = deployed.cloud.state()
    trade = "secrets/interlock-bitvavo-trade-key"
    state["policies"][trade]["roles/secretmanager.secretAccessor"].append(
        f"serviceAccount:{account('interlock-scan-tick')}"
    )
    state["policies"]["services/interlock-cleanup"]["roles/run.invoker"].append("allUsers")
    deployed.cloud.keep(state)
    assert deployed.run().status == 0
    changed = [" ".join(argv[:4]) for argv in deployed.cloud.changes]
    assert changed == [
        f"secrets remove-iam-policy-binding interlock-bitvavo-trade-key --project={PROJECT}",
        "secrets versions add interlock-openai-api-key",
        "run deploy interlock-scan-tick --source",
        "run services remove-iam-policy-binding interlock-cleanup",
        "scheduler jobs run interlock-cleanup",
    ]


def test_a_version_that_somebody_disabled_is_not_pinned(deployed: Deployment) -> None:
    """A new one is added; only an enabled version starts a function."""
    deployed.cloud.disabled = frozenset({1})
    assert deployed.run("--only", "scan_tick").status == 0
    flags = deployed.exists()["google"]["things"]["services/interlock-scan-tick"]["flags"]
    assert all(part.endswith(":2") for part in flags["--set-secrets"].split(","))


def test_only_one_function_and_a_function_that_does_not_start(deployed: Deployment) -> None:
    """The others are left alone; a deployment that failed is made again."""
    deployed.settings["ACCESS_WINDOW_MS"] = "4000"
    deployed.cloud.trouble = "does not start"
    failed = deployed.run("--only", "execute")
    assert failed.status == 1
    assert "is not ready and cannot serve traffic" in failed.out
    deployed.cloud.trouble = ""
    assert deployed.run("--only", "execute").status == 0
    assert [argv[:3] for argv in deployed.cloud.changes] == [["run", "deploy", "interlock-execute"]] * 2


def test_the_address_can_be_reserved_before_there_are_keys(deployment: Deployment) -> None:
    """Keys can then be bound to it from their first day."""
    deployment.settings = {name: deployment.settings[name] for name in ("GOOGLE_PROJECT", "GOOGLE_REGION")}
    run = deployment.run("--only", "address")
    assert run.status == 0
    assert "the exchange's keys are to be bound to 203.0.113.7" in run.out
    assert deployment.exists()["google"]["things"].keys() == {"addresses/interlock"}


def test_roll_back_goes_to_the_revision_before_and_the_next_deployment_leads_forward(
    deployed: Deployment,
) -> None:
    """One step back each; without an earlier revision nothing happens; the newest serves again afterwards."""
    nothing = deployed.run("--roll-back")
    assert (nothing.status, deployed.cloud.changes) == (0, [])
    assert nothing.out.count("has no earlier revision that works") == 3
    deployed.settings["ACCESS_WINDOW_MS"] = "4000"
    assert deployed.run("--only", "execute").status == 0

    def serving() -> str:
        return str(deployed.exists()["google"]["things"]["services/interlock-execute"]["serving"])

    assert serving() == "interlock-execute-00002"
    assert deployed.run("--roll-back", "--only", "execute").status == 0
    assert serving() == "interlock-execute-00001"
    assert deployed.run("--only", "execute").status == 0
    assert serving() == "interlock-execute-00002"


def test_live_trading_ends_only_when_nothing_is_unsettled_or_when_told_to(deployed: Deployment) -> None:
    """An order that may still trade is settled first; the refusal comes before anything is changed."""
    deployed.project.controls |= {"mode": "live"}
    deployed.project.executions = [{"id": "5b1c1d8e-5a3b-5c1e-9a64-1b2f3c4d5e6f"}]
    refused = deployed.run("--no-live")
    assert "1 live execution(s) are unsettled" in refused.out
    assert (refused.status, deployed.cloud.changes) == (1, [])
    assert deployed.project.controls["mode"] == "live"
    assert deployed.run("--no-live", "--leave-unsettled").status == 0
    assert deployed.project.controls["mode"] == "dry_run"


def test_a_key_changes_only_when_nothing_needs_the_old_one(deployed: Deployment) -> None:
    """Live: halted first, then settled, then rotated; each refusal comes before anything is changed."""
    deployed.project.controls |= {"mode": "live", "trading_state": "ACTIVE"}
    deployed.settings |= {"BITVAVO_TRADE_KEY": "another-canary".ljust(64, "0"), "BITVAVO_OPERATOR_ID": "8"}
    deployed.project.executions = [{"id": "5b1c1d8e-5a3b-5c1e-9a64-1b2f3c4d5e6f"}]
    active = deployed.run()
    assert "The trade key and the operator id would change while trading is not halted" in active.out
    deployed.project.controls["trading_state"] = "HALTED"
    unsettled = deployed.run()
    assert "1 execution(s) are unsettled and only the present key can look them up" in unsettled.out
    assert (active.status, unsettled.status, deployed.cloud.changes) == (1, 1, [])
    deployed.project.executions = []
    assert deployed.run().status == 0
    assert deployed.project.controls["operator_id"] == "8"


@pytest.mark.parametrize(
    ("function", "says"),
    [
        ("execute", "execute answers without a token"),
        ("scan-tick", "a private function can be called by anybody"),
        ("cleanup", "a private function can be called by anybody"),
    ],
)
def test_a_door_that_stands_open_fails_the_smoke_test(
    deployment: Deployment, function: str, says: str
) -> None:
    """It asks as a stranger does."""
    doors = [f"{deployment.project.url}/functions/interlock-{name}" for name in deployment.project.doors]
    smoke.main(*doors)
    deployment.project.doors[function] = 200
    with pytest.raises(SystemExit, match=says):
        smoke.main(*doors)


def test_a_cleanup_that_does_not_run_and_a_secret_that_was_lost_fail_the_deployment(
    deployed: Deployment,
) -> None:
    """What was done is looked at afterwards."""
    deployed.cloud.trouble = "no cleanup"
    assert "No run of cleanup came to an end within four minutes" in deployed.run().out
    deployed.start_over()
    deployed.cloud.trouble = "lost secrets"
    assert "was not stored as it is in" in deployed.run().out
