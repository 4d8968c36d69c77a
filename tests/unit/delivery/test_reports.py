"""What people are told: on change, with numbers, not too often."""

from __future__ import annotations

import pytest

from untrace_pipeline.api import Kind, Status
from untrace_pipeline.delivery import Failure, Reason, Request
from untrace_pipeline.delivery.reports import LOG_INTERVAL_SECONDS, Reports
from untrace_pipeline.errors import Code, RetryableError
from untrace_pipeline.testing import StubHost, make_batch, make_settings

REQUEST = Request(make_batch(items=512), 512)


def reports() -> tuple[Reports, StubHost]:
    host = StubHost()
    made = Reports(make_settings(Kind.EXPORTER, "otlp/backend"), "localhost:4317")
    made.start(host)
    return made, host


def test_a_retry_is_told_in_one_line(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """The line says what, how much, where, why, and what happens next; the first failure is told at once."""
    now = 1000.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    made, host = reports()
    made.retrying(REQUEST, RetryableError("connection refused"), 1, 4.23)
    refused = "512 spans refused by localhost:4317 (UNAVAILABLE: connection refused)"
    assert host.reports == [(Status.RECOVERABLE_ERROR, f"{refused}; retrying")]
    assert caplog.messages == [f"{refused}; retry 1 in 4.2 s"]
    made.retrying(REQUEST, RetryableError("connection refused"), 2, 4.23)
    now += LOG_INTERVAL_SECONDS
    made.retrying(REQUEST, RetryableError("connection refused"), 3, 4.23)
    assert caplog.messages[1:] == [f"{refused}; retry 3 in 4.2 s; 1 more like this before, 512 items"]


def test_lines_of_one_kind_are_rate_limited(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """A dead destination writes one line per interval, and the next one adds up what was left out."""
    now = 1000.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    made, _ = reports()
    failure = Failure(REQUEST, Reason.EXPIRED, RetryableError("down", code=Code.DEADLINE_EXCEEDED), 4)
    for _ in range(5):
        made.given_up(failure, lost=True)
    assert len(caplog.messages) == 1
    now += LOG_INTERVAL_SECONDS
    made.given_up(failure, lost=True)
    assert caplog.messages[1] == (
        "512 spans refused by localhost:4317 (DEADLINE_EXCEEDED: down); dropped (expired) after 4 attempts; "
        "4 more like this before, 2048 items"
    )
    assert [record.levelname for record in caplog.records] == ["ERROR", "ERROR"]


def test_shortened_items_are_told(caplog: pytest.LogCaptureFixture) -> None:
    """What was altered on the way is in the log, in words for one item."""
    made, _ = reports()
    made.shortened(Request(make_batch(), 1))
    assert caplog.messages == [
        "1 span too large for localhost:4317: delivered with shortened attributes (oversize)",
    ]


def test_status_is_reported_on_change_only() -> None:
    """health_check sees a change once, not once per request."""
    made, host = reports()
    made.delivered()
    assert host.reports == []
    for retry in range(3):
        made.retrying(REQUEST, RetryableError("down"), retry, 1)
    made.delivered()
    made.delivered()
    assert [status.name for status, _ in host.reports] == ["RECOVERABLE_ERROR", "OK"]
