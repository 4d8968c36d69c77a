"""Snapshots of several processes as one."""

from __future__ import annotations

import logging

import pytest

from untrace_pipeline.api import Aggregation, MetricKind, MetricSpec
from untrace_pipeline.telemetry.merge import merge, totals
from untrace_pipeline.telemetry.metrics import Metrics, Sample

SENT = MetricSpec("sent", MetricKind.COUNTER, "Sent.", ("exporter",))
SIZE = MetricSpec("size", MetricKind.GAUGE, "Size.")
AGE = MetricSpec("age_seconds", MetricKind.GAUGE, "Age.", aggregation=Aggregation.MAX)
READY = MetricSpec("ready", MetricKind.GAUGE, "Ready.", ("pipeline",), aggregation=Aggregation.MIN)
RELOADS = MetricSpec("reloads", MetricKind.COUNTER, "Reloads.", aggregation=Aggregation.OWN)
LATENCY = MetricSpec("latency_seconds", MetricKind.HISTOGRAM, "Latency.", buckets=(0.1, 1.0))
ALL = (SENT, SIZE, AGE, READY, RELOADS, LATENCY)


def counted(sent: dict[str, float], size: float, age: float, ready: float, latencies: list[float]) -> Metrics:
    """Return what one process counted."""
    metrics = Metrics(ALL)
    meter = metrics.meter()
    for exporter, amount in sent.items():
        meter.counter("sent", exporter=exporter).add(amount)
    meter.gauge("size").set(size)
    meter.gauge("age_seconds").set(age)
    meter.gauge("ready", pipeline="traces").set(ready)
    meter.counter("reloads").add(1)
    for value in latencies:
        meter.histogram("latency_seconds").record(value)
    return metrics


def test_each_metric_is_merged_by_its_rule() -> None:
    """Counters, histograms and additive gauges add up; ages take the greatest, flags for all the least."""
    one = counted({"a": 1, "b": 2}, 10, 3.0, 1, [0.05, 5.0])
    two = counted({"b": 3, "c": 4}, 5, 7.0, 0, [0.5])
    merged = {spec.name: samples for spec, samples in merge(one.snapshot(), [two.snapshot()])}
    assert merged == {
        "sent": [Sample(("a",), 1), Sample(("b",), 5), Sample(("c",), 4)],
        "size": [Sample((), 15)],
        "age_seconds": [Sample((), 7.0)],
        "ready": [Sample(("traces",), 0)],
        "reloads": [Sample((), 1)],
        "latency_seconds": [Sample((), pytest.approx(5.55), (1, 1, 1))],
    }


def test_nothing_of_the_originals_changes() -> None:
    """Merging again and again gives the same: the parts are not added to."""
    one, two = counted({"a": 1}, 1, 1, 1, [0.5]).snapshot(), counted({"a": 2}, 2, 2, 1, [0.5]).snapshot()
    assert merge(one, [two]) == merge(one, [two])


def test_totals_outlive_their_process() -> None:
    """Of a process that has ended, what it counted stays; its gauges, and what is not added up, go."""
    left = totals(counted({"a": 4}, 9, 9, 1, [0.5]).snapshot())
    assert {spec.name for spec, _ in left} == {"sent", "latency_seconds"}
    merged = {spec.name: samples for spec, samples in merge(counted({"a": 1}, 2, 0, 1, []).snapshot(), [left])}
    assert merged["sent"] == [Sample(("a",), 5)]
    assert merged["size"] == [Sample((), 2)]


def test_a_different_declaration_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    """A worker with another version of a plugin cannot spoil the page."""
    other = Metrics([MetricSpec("sent", MetricKind.COUNTER, "Sent.", ("exporter", "peer"))])
    other.meter().counter("sent", exporter="a", peer="x").add(100)
    with caplog.at_level(logging.WARNING):
        merged = merge(counted({"a": 1}, 0, 0, 1, []).snapshot(), [other.snapshot()])
    assert merged[0] == (SENT, [Sample(("a",), 1)])
    assert "metric sent is declared differently" in caplog.text
