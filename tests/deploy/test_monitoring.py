"""What is counted and what wakes a person in the cloud is what the list of events says."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from local.deploy.monitoring import TRACKED, alerts, main, metrics
from shared.events import Event, Severity, Wakes
from tests.deploy.cloud import REPOSITORY

pytestmark = pytest.mark.unit

POLICIES: dict[Event, Any] = dict(alerts())
METRICS: dict[Event, Any] = dict(metrics())


def _seconds(text: str) -> int:
    assert re.fullmatch(r"\d+s", text)
    return int(text[:-1])


def test_every_alert_of_the_list_is_a_policy_and_every_policy_is_on_the_list() -> None:
    """Nothing that must be known at night is forgotten, and nothing else wakes anybody."""
    assert POLICIES.keys() == {event for event in Event if event.alert is not None}


@pytest.mark.parametrize("event", POLICIES, ids=str)
def test_a_policy_wakes_as_the_list_says(event: Event) -> None:
    """At once by a line of the log; else by a count over the time that the list says."""
    (condition,) = POLICIES[event]["conditions"]
    assert event.alert is not None
    if event.alert.wakes is Wakes.AT_ONCE:
        assert condition["conditionMatchedLog"]["filter"].endswith(f'jsonPayload.event="{event.value}"')
        assert "notificationRateLimit" in POLICIES[event]["alertStrategy"]
        return
    counted = condition["conditionThreshold"]
    period, duration = _seconds(counted["aggregations"][0]["alignmentPeriod"]), _seconds(counted["duration"])
    assert (period + duration, period % 60, duration % 60) == (event.alert.minutes * 60, 0, 0)
    missing = event.alert.wakes is Wakes.MISSING
    assert (counted["comparison"], counted["thresholdValue"]) == (
        ("COMPARISON_LT", 1) if missing else ("COMPARISON_GT", 0)
    )
    # A function that is dead logs nothing at all: no data alarms where something is missing, and only there.
    assert counted["evaluationMissingData"].endswith("_ACTIVE" if missing else "_INACTIVE")


def test_every_metric_that_a_policy_counts_is_made() -> None:
    """An alert on a metric that does not exist would never fire."""
    counted = set(re.findall(r"user/interlock_(\w+)", json.dumps(list(POLICIES.values()))))
    assert counted
    assert counted | set(TRACKED) == {event.value for event in METRICS}
    assert all(metric["filter"].endswith(f'jsonPayload.event="{event}"') for event, metric in METRICS.items())


def test_every_policy_says_what_to_do_and_how_grave_it_is() -> None:
    """Whoever is woken reads what happened and where to look; a dead cleanup is grave, its event is not."""
    for event, policy in POLICIES.items():
        assert f"docs/OPERATIONS.md#{event.alert.page}" in policy["documentation"]["content"]  # type: ignore[union-attr]  # each has a page
        assert policy["severity"] == ("ERROR" if event.severity is Severity.ERROR else "CRITICAL")


def test_every_alert_has_its_page() -> None:
    """The link in an alert leads to what to do, and no page is left of an alert that is gone."""
    text = (
        (REPOSITORY / "docs" / "OPERATIONS.md")
        .read_text()
        .partition("\n## When an alert comes")[2]
        .partition("\n## ")[0]
    )
    pages = {heading.lower().replace(" ", "-") for heading in re.findall(r"^### (.+)$", text, re.MULTILINE)}
    assert pages == {event.alert.page for event in Event if event.alert is not None}


def test_the_files_for_gcloud_tell_a_change_by_their_digest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Another channel is another policy and the same metric; each file carries the digest that is listed."""

    def listed(channel: str) -> dict[tuple[str, str], str]:
        main(str(tmp_path), channel)
        lines = (line.split() for line in capsys.readouterr().out.splitlines())
        return {(kind, name): digest for kind, name, digest, _ in lines}

    first, second = listed("projects/p/notificationChannels/1"), listed("projects/p/notificationChannels/2")
    assert {key for key in first if first[key] != second[key]} == {key for key in first if key[0] == "alert"}
    assert listed("projects/p/notificationChannels/1") == first
    for (kind, name), digest in first.items():
        assert digest in (tmp_path / f"{kind}-{name}.json").read_text()
