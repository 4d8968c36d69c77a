"""Rows that have an attribute key more than once."""

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from untrace_pipeline.data import ATTRIBUTES, Batch, Field, Level, Signal

pytestmark = pytest.mark.usefixtures("each_codec")


def test_rows_with_repeated_keys_are_named_and_setting_the_whole_map_mends_them() -> None:
    """Only rows that repeat a key are named; after their map was set, none is."""
    request = ExportTraceServiceRequest()
    scope = request.resource_spans.add().scope_spans.add()
    for keys in ("ab", "aba", "", "bb"):
        span = scope.spans.add()
        for number, key in enumerate(keys):
            span.attributes.add(key=key).value.int_value = number
    batch = Batch(Signal.TRACES, request.SerializeToString())
    assert list(batch.repeated_keys(Level.ITEM)) == [1, 3]
    assert list(batch.repeated_keys(Level.RESOURCE)) == []
    batch.set(Field(Level.ITEM, ATTRIBUTES), [{"a": 0, "b": 1}, {"b": 0}], rows=[1, 3])
    assert list(batch.repeated_keys(Level.ITEM)) == []
