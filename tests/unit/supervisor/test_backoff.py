"""Waits before a restart."""

from __future__ import annotations

from untrace_pipeline.supervisor.backoff import Backoff


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_waits_double_up_to_30_seconds() -> None:
    """A process that never becomes ready is tried ever more seldom, but at least twice a minute."""
    backoff = Backoff(Clock())
    assert [backoff.ended() for _ in range(8)] == [1, 2, 4, 8, 16, 30, 30, 30]


def test_a_process_that_was_ready_for_a_while_begins_anew() -> None:
    """Whoever ran well for a minute comes back at once; one that dies soon after each start does not."""
    clock = Clock()
    backoff = Backoff(clock)
    assert [backoff.ended(), backoff.ended()] == [1, 2]
    backoff.ready()
    clock.now += 59.0
    assert backoff.ended() == 4
    backoff.ready()
    clock.now += 61.0
    assert backoff.ended() == 1
    clock.now += 1000.0
    assert backoff.ended() == 2
