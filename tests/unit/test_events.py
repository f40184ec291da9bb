"""One list of events: nothing is logged beside it, all of it is logged, and it says what wakes a person."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest

from shared import log
from shared.events import Event, Layer, Severity, Wakes

pytestmark = [pytest.mark.unit, pytest.mark.usefixtures("logs_as_execute")]

REPOSITORY = Path(__file__).resolve().parents[2]
LIST = REPOSITORY / "shared" / "events.py"
LOGGER = REPOSITORY / "shared" / "log.py"


def _deployed() -> dict[Path, ast.Module]:
    files = [path for folder in ("functions", "shared") for path in (REPOSITORY / folder).rglob("*.py")]
    return {path: ast.parse(path.read_text()) for path in files if path != LIST}


def test_every_event_is_emitted_and_every_emitted_event_is_on_the_list() -> None:
    """The list is the code's: a name that nothing emits is one that somebody waits for in vain."""
    emitted = {
        node.attr
        for tree in _deployed().values()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "Event"
    }
    assert emitted == set(Event.__members__)


def test_nothing_is_logged_but_events() -> None:
    """No deployed module but the one that writes events prints, or has a logger."""
    loud = {
        path.relative_to(REPOSITORY).as_posix()
        for path, tree in _deployed().items()
        for node in ast.walk(tree)
        if (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print")
        or (isinstance(node, ast.Import) and any(name.name == "logging" for name in node.names))
        or (isinstance(node, ast.ImportFrom) and node.module == "logging")
    }
    assert loud == {LOGGER.relative_to(REPOSITORY).as_posix()}


@pytest.mark.parametrize("event", Event)
def test_a_line_says_what_the_list_says(event: Event, capsys: pytest.CaptureFixture[str]) -> None:
    """Name, layer and severity of a line are those of the list, whatever facts come with it."""
    log.log(event, code="some fact")
    line = json.loads(capsys.readouterr().out)
    told = (line["event"], line["layer"], line["severity"], line["code"])
    assert told == (event.value, event.layer.value, event.severity.value, "some fact")


def test_the_layers_are_the_four_of_the_guide() -> None:
    """Dashboards group by these words, and each has something to say."""
    assert [layer.value for layer in Layer] == ["database", "keys", "checks", "scheduler"]
    assert {event.layer for event in Event} == set(Layer)


def test_names_are_unique_and_fit_a_metric() -> None:
    """An alias would hide an event behind another's name; metrics take lower case and underscores."""
    assert len(Event) == len(Event.__members__)
    assert [
        event for event in Event if not event.value.replace("_", "").isalpha() or not event.islower()
    ] == []


def test_severity_and_alert_agree() -> None:
    """CRITICAL alone wakes at once; what wakes when it lasts is an ERROR, when missing a sign of life."""
    at_once = {event for event in Event if event.alert and event.alert.wakes is Wakes.AT_ONCE}
    assert at_once == {event for event in Event if event.severity is Severity.CRITICAL}
    fits = {Wakes.AT_ONCE: Severity.CRITICAL, Wakes.LASTING: Severity.ERROR, Wakes.MISSING: Severity.INFO}
    alerts = [(event, event.alert) for event in Event if event.alert]
    assert [event for event, alert in alerts if event.severity is not fits[alert.wakes]] == []
    assert [event for event, alert in alerts if (alert.minutes > 0) is (alert.wakes is Wakes.AT_ONCE)] == []
