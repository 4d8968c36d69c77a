"""What is said between supervisor and workers survives the way there."""

from __future__ import annotations

import json
from pathlib import Path

from untrace_pipeline.api import Status, StatusEvent
from untrace_pipeline.supervisor.messages import (
    Orders,
    groups_from,
    groups_to,
    snapshot_from,
    snapshot_to,
)
from untrace_pipeline.telemetry.metrics import Metrics


def test_orders() -> None:
    """Files are bytes, whatever is in them."""
    contents = {Path("/etc/c.yaml"): b"receivers:\n", Path("relative"): bytes(range(256))}
    orders = Orders(3, ("c.yaml", "yaml:a: 1"), ("a.b=c",), contents, 12.5)
    assert Orders.from_json(json.loads(json.dumps(orders.to_json()))) == orders


def test_snapshots() -> None:
    """Every metric of the table comes back as it was, declaration and values."""
    metrics = Metrics()
    meter = metrics.meter(exporter="a", destination="a")
    meter.counter("exporter_sent_spans").add(3)
    meter.gauge("exporter_queue_age_seconds").set(1.5)
    meter.histogram("destination_latency_seconds").record(0.2)
    snapshot = metrics.snapshot()
    assert len(snapshot) == 3
    assert snapshot_from(json.loads(json.dumps(snapshot_to(snapshot)))) == snapshot


def test_states() -> None:
    """Status, message and time of each component."""
    groups = {"traces": {"exporter:a": StatusEvent(Status.RECOVERABLE_ERROR, "no answer", 17.25)}, "service": {}}
    assert groups_from(json.loads(json.dumps(groups_to(groups)))) == groups
