"""The metrics of receivers that hold what comes in parts."""

from __future__ import annotations

import enum

from untrace_pipeline.api import Meter, MetricKind, MetricSpec

__all__ = ["HOLDING_METRICS", "Meters", "Outcome"]


class Outcome(enum.StrEnum):
    """What became of a part."""

    COMPLETE = "complete"
    """The pipelines accepted it, in a span that lacks nothing."""
    INCOMPLETE = "incomplete"
    """The same, where the begin or the end never came."""
    LATE = "late"
    """The same, in a span of its own, because the one that it belongs to had gone on before."""
    DUPLICATE = "duplicate"
    """It had come before."""
    DROPPED = "dropped"
    """The pipelines refused it for good, or the process stopped before they took it; the log has the reason."""


HOLDING_METRICS = (
    MetricSpec(
        "receiver_parts",
        MetricKind.COUNTER,
        "Messages about runs that were accepted, by outcome: complete, incomplete, late, duplicate or dropped. "
        "Those that are held have none yet.",
        ("receiver", "outcome"),
    ),
    MetricSpec(
        "receiver_held_parts",
        MetricKind.GAUGE,
        "Messages about runs that wait for the end of their run.",
        ("receiver",),
    ),
    MetricSpec("receiver_held_runs", MetricKind.GAUGE, "Runs, or traces, that wait for their end.", ("receiver",)),
    MetricSpec("receiver_held_bytes", MetricKind.GAUGE, "Bytes that wait for the end of their run.", ("receiver",)),
    MetricSpec(
        "receiver_held_capacity_bytes",
        MetricKind.GAUGE,
        "Bytes beyond which the oldest that wait go on as they are.",
        ("receiver",),
    ),
)


class Meters:
    """Counts what becomes of parts."""

    def __init__(self, meter: Meter) -> None:
        self._counters = {outcome: meter.counter("receiver_parts", outcome=outcome) for outcome in Outcome}

    def count(self, outcome: Outcome, parts: int) -> None:
        """Count parts that have their outcome."""
        if parts:
            self._counters[outcome].add(parts)
