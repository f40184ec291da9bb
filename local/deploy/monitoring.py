"""`python -m local.deploy.monitoring FOLDER [CHANNEL]`: metrics and alerts, made from the list of events.

Every alert of `shared/events.py` becomes a policy; what an alert counts, and what tells how trading and
scanning go, becomes a log-based metric. One file each, named after its event, in the form that gcloud takes
and with a digest, so that the next run sees whether the one in the cloud is the same. One line each on
standard output: kind, name, digest, file.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path

from shared.events import Alert, Event, Severity, Wakes

TRACKED = (
    Event.ORDER_PLACED,
    Event.ORDER_REJECTED,
    Event.ORDER_UNKNOWN,
    Event.ORDER_NOT_SENT,
    Event.DRY_RUN_RECORDED,
    Event.CHECKS_FAILED,
    Event.CLAIM_BUSY,
    Event.LOCKS_EXPIRED,
    Event.LOCK_TAKEN_OVER,
    Event.SCAN_LEASE_LOST,
    Event.SCAN_TICK_FINISHED,
    Event.SCAN_BUDGET_EXHAUSTED,
    Event.MODEL_CALL_FAILED,
)
"""Counted without an alert: how approvals end, how scans go, and how often locks stood in the way."""

_REVISIONS = 'resource.type="cloud_run_revision"'
_OURS = f'{_REVISIONS} AND resource.labels.service_name=~"^interlock-(execute|scan-tick|cleanup)$"'
_SEVERITIES = {Severity.CRITICAL: "CRITICAL", Severity.ERROR: "ERROR"}
_DAY = "86400s"

Json = dict[str, object]


def metrics() -> Iterator[tuple[Event, Json]]:
    """The counter of each event that is tracked, or that an alert counts."""
    for event in Event:
        counted = event.alert is not None and event.alert.wakes is not Wakes.AT_ONCE
        if counted or event in TRACKED:
            yield (
                event,
                {
                    "description": f"Interlock: {event.says}",
                    "filter": _filter(event),
                    "metricDescriptor": {"metricKind": "DELTA", "valueType": "INT64"},
                },
            )


def alerts() -> Iterator[tuple[Event, Json]]:
    """The policy of each event that wakes a person."""
    for event in Event:
        if event.alert is None:
            continue
        at_once = event.alert.wakes is Wakes.AT_ONCE
        says = (
            f"`{event.value}` ({event.says}) wakes a person {event.alert.when()}."
            f" What to do: docs/OPERATIONS.md#{event.alert.page}"
        )
        policy: dict[str, object] = {
            "displayName": f"Interlock: {event.value}",
            "documentation": {"content": says, "mimeType": "text/markdown"},
            "severity": _SEVERITIES.get(event.severity, "CRITICAL"),
            "combiner": "OR",
            "conditions": [
                {"displayName": event.value} | (_once(event) if at_once else _counted(event, event.alert))
            ],
            # A log alert must say how often it may repeat itself.
            "alertStrategy": {"autoClose": _DAY}
            | ({"notificationRateLimit": {"period": "3600s"}} if at_once else {}),
        }
        yield event, policy


def _filter(event: Event) -> str:
    return f'{_OURS} AND jsonPayload.event="{event.value}"'


def _once(event: Event) -> Json:
    return {"conditionMatchedLog": {"filter": _filter(event)}}


def _counted(event: Event, alert: Alert) -> Json:
    """Two periods in a row, together as long as the alert says, in each of which it came, or in neither."""
    missing = alert.wakes is Wakes.MISSING
    period = (alert.minutes + 1) // 2 * 60
    return {
        "conditionThreshold": {
            "filter": f'{_REVISIONS} AND metric.type="logging.googleapis.com/user/interlock_{event.value}"',
            "aggregations": [
                {
                    "alignmentPeriod": f"{period}s",
                    "perSeriesAligner": "ALIGN_SUM",
                    "crossSeriesReducer": "REDUCE_SUM",
                }
            ],
            "comparison": "COMPARISON_LT" if missing else "COMPARISON_GT",
            "thresholdValue": 1 if missing else 0,
            "duration": f"{alert.minutes * 60 - period}s",
            "trigger": {"count": 1},
            "evaluationMissingData": f"EVALUATION_MISSING_DATA_{'' if missing else 'IN'}ACTIVE",
        }
    }


def _digest(value: Json) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def main(folder: str, *channels: str) -> None:
    """Write every file; the channel, when there is one, is told of every alert."""
    for event, metric in metrics():
        digest = _digest(metric)
        _write(
            folder, "metric", event, digest, {**metric, "description": f"{metric['description']} [{digest}]"}
        )
    for event, policy in alerts():
        told = {**policy, "notificationChannels": list(channels)}
        digest = _digest(told)
        labels = {"interlock": event.value, "digest": digest}
        _write(folder, "alert", event, digest, {**told, "userLabels": labels})


def _write(folder: str, kind: str, event: Event, digest: str, value: Json) -> None:
    file = Path(folder) / f"{kind}-{event.value}.json"
    file.write_text(json.dumps(value))
    print(kind, event.value, digest, file)


if __name__ == "__main__":
    main(*sys.argv[1:])
