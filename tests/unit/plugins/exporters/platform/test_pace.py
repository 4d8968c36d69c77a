"""How often a platform is asked."""

from __future__ import annotations

from untrace_pipeline.errors import Code, PermanentError, RetryableError
from untrace_plugins.exporters.platform.pace import Pace


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_without_a_budget_there_is_no_wait() -> None:
    """However often."""
    pace = Pace(None)
    assert [pace.wait_seconds() for _ in range(1000)] == [0.0] * 1000


def test_a_budget_is_spent_and_fills_again() -> None:
    """A minute's requests at once, then evenly."""
    clock = Clock()
    pace = Pace(60, clock)
    assert [pace.wait_seconds() for _ in range(60)] == [0.0] * 60
    assert pace.wait_seconds() == 1.0
    clock.now += 1.0
    assert pace.wait_seconds() == 0.0
    assert pace.wait_seconds() > 0
    clock.now += 3600
    assert [pace.wait_seconds() for _ in range(61)].count(0.0) == 60


def test_an_answer_that_leaves_nothing_closes_until_the_reset() -> None:
    """For all who send there, before any of them is refused."""
    clock = Clock()
    pace = Pace(None, clock)
    pace.told({"X-RateLimit-Remaining": "3", "X-RateLimit-Reset": "9"})
    assert pace.wait_seconds() == 0.0
    pace.told({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "9"})
    assert pace.wait_seconds() == 9.0
    clock.now += 9
    assert pace.wait_seconds() == 0.0


def test_429_closes_for_everybody() -> None:
    """Other refusals do not: they say nothing about the next request."""
    clock = Clock()
    pace = Pace(None, clock)
    pace.refused(RetryableError("busy", retry_after=4, code=Code.UNAVAILABLE))
    pace.refused(PermanentError("no"))
    assert pace.wait_seconds() == 0.0
    pace.refused(RetryableError("slow down", retry_after=4, code=Code.RESOURCE_EXHAUSTED))
    assert pace.wait_seconds() == 4.0


def test_several_processes_share_a_budget() -> None:
    """Together they stay within it."""
    clock = Clock()
    pace = Pace(60, clock)
    pace.share(2)
    assert [pace.wait_seconds() for _ in range(31)].count(0.0) == 30
    assert pace.wait_seconds() == 2.0
