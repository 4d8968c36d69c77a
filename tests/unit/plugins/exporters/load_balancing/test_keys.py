"""Routing keys where the comparison with the Collector cannot look."""

from __future__ import annotations

from typing import Any

from untrace_pipeline.data import Batch, Signal
from untrace_pipeline.testing import make_batch, make_request
from untrace_plugins.exporters.load_balancing.config import RoutingKey
from untrace_plugins.exporters.load_balancing.keys import KEYS


def test_logs_without_a_trace_stay_together() -> None:
    """Somewhere, and elsewhere the next time; the others go by their trace, in hexadecimal."""
    request: Any = make_request(Signal.LOGS, 6)
    records = request.resource_logs[0].scope_logs[0].log_records
    records[1].trace_id = records[3].trace_id = b""
    records[5].trace_id = bytes(16)
    batch = Batch(Signal.LOGS, request.SerializeToString())
    keys = KEYS[Signal.LOGS][RoutingKey.TRACE_ID]([])
    first, again = keys(batch), keys(batch)
    assert first[0] == records[0].trace_id.hex().encode()
    assert first[1] == first[3] == first[5] != again[1]


def test_metrics_without_a_service_are_kept() -> None:
    """The Collector drops them."""
    batch = make_batch(Signal.METRICS, 5, resource={"service.name": 7})
    assert KEYS[Signal.METRICS][RoutingKey.SERVICE]([])(batch) == [b""] * 5


def test_attributes_of_the_resource_win() -> None:
    """Then the scope, then the item; a log's or metric's key begins with what the resource has."""
    batch = make_batch(Signal.LOGS, 1, resource={"b": 1.5}, attributes={"a": True, "b": 2})
    assert KEYS[Signal.LOGS][RoutingKey.ATTRIBUTES](["a", "b", "c"])(batch) == [b"b=1.5|a=true|c=|"]
    spans = make_batch(Signal.TRACES, 1, resource={"b": 1.5}, attributes={"a": True, "b": 2})
    assert KEYS[Signal.TRACES][RoutingKey.ATTRIBUTES](["a", "b", "c"])(spans) == [b"a=true|b=1.5|c=|"]
