"""When to come again, as answers say it."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime

import pytest

from untrace_pipeline.net import rate_limits
from untrace_pipeline.net.rate_limits import exhausted_seconds, read_delay, wait_seconds

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
LATER = datetime(2026, 3, 1, 12, 0, 30, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_limits.time, "time", NOW.timestamp)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30", 30),
        ("0.5", 0.5),
        ("30s", 30),
        (f"{int(LATER.timestamp())}", 30),
        (f"{int(LATER.timestamp() * 1000)}", 30),
        (format_datetime(LATER, usegmt=True), 30),
        (LATER.isoformat(), 30),
        ("2026-03-01T12:00:30Z", 30),
        ("2026-03-01T11:00:00Z", 0),
        ("Mon, 01 Jan 99999999999999 00:00:00 GMT", None),
        ("9" * 400, None),
        ("soon", None),
        ("-5", None),
        ("", None),
        (None, None),
    ],
)
def test_delays_in_every_form(text: str | None, seconds: float | None) -> None:
    """Seconds, a time since 1970 in seconds or milliseconds, a date of HTTP, a date of ISO 8601."""
    found = read_delay(text)
    assert found is None if seconds is None else found == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "5", "X-RateLimit-Reset": "9"}, 5),
        ({"Retry-After": "?", "X-RateLimit-Reset": "9"}, 9),
        ({"RateLimit-Reset": "7"}, 7),
        ({}, None),
    ],
)
def test_retry_after_wins(headers: dict[str, str], seconds: float | None) -> None:
    """Where it can be read; otherwise the reset of the limit counts."""
    assert wait_seconds(headers) == seconds


def test_a_used_up_limit_is_seen_before_it_is_exceeded() -> None:
    """Nothing left means no request until the reset; something left means nothing."""
    assert exhausted_seconds({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "12"}) == 12
    assert exhausted_seconds({"RateLimit-Remaining": "1", "RateLimit-Reset": "12"}) == 0
    assert exhausted_seconds({"RateLimit-Remaining": "0"}) == 0
