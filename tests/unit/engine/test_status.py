"""The state machine of a component."""

from __future__ import annotations

import logging

import pytest

from untrace_pipeline.api import Status
from untrace_pipeline.engine.status import StatusCell


def make_cell() -> tuple[StatusCell, list[float]]:
    now = [1.0]
    return StatusCell(logging.getLogger("cell"), lambda: now[0]), now


def test_a_new_component_is_starting() -> None:
    """Before the engine gets to it, it counts as not started."""
    assert make_cell()[0].last.status is Status.STARTING


@pytest.mark.parametrize(
    ("path", "end"),
    [
        ([Status.STARTING, Status.OK, Status.RECOVERABLE_ERROR, Status.OK], Status.OK),
        ([Status.STARTING, Status.PERMANENT_ERROR, Status.OK], Status.OK),
        ([Status.STARTING, Status.OK, Status.FATAL_ERROR, Status.OK], Status.FATAL_ERROR),
        ([Status.STARTING, Status.OK, Status.STOPPING, Status.RECOVERABLE_ERROR, Status.STOPPED], Status.STOPPED),
        ([Status.STARTING, Status.OK, Status.STOPPING, Status.STOPPED, Status.OK], Status.STOPPED),
        ([Status.STARTING, Status.STOPPING, Status.STOPPED], Status.STOPPED),
    ],
)
def test_only_believable_changes_count(path: list[Status], end: Status) -> None:
    """A late report of a stopped or dead component does not make it look alive."""
    cell, _ = make_cell()
    for status in path:
        cell.report(status)
    assert cell.last.status is end


def test_time_is_that_of_the_change() -> None:
    """Another message of the same state does not move it, so that the length of an outage can be told."""
    cell, now = make_cell()
    cell.report(Status.STARTING)
    now[0] = 2.0
    cell.report(Status.RECOVERABLE_ERROR, "unreachable")
    now[0] = 3.0
    cell.report(Status.RECOVERABLE_ERROR, "still unreachable")
    assert cell.last == (Status.RECOVERABLE_ERROR, "still unreachable", 2.0)


def test_changes_while_running_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Recovery and what needs a person each give one line; passing trouble is for the component to tell."""
    caplog.set_level(logging.INFO)
    cell, _ = make_cell()
    for status, message in (
        (Status.STARTING, ""),
        (Status.OK, ""),
        (Status.RECOVERABLE_ERROR, "unreachable"),
        (Status.OK, "reachable again"),
        (Status.PERMANENT_ERROR, "credentials refused"),
        (Status.PERMANENT_ERROR, "credentials refused"),
        (Status.OK, ""),
    ):
        cell.report(status, message)
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("INFO", "reachable again"),
        ("ERROR", "credentials refused"),
        ("INFO", "state is now StatusOK"),
    ]
