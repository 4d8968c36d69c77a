"""What goes over the wire."""

from __future__ import annotations

import json

from untrace_pipeline.cli.examples import example_trace
from untrace_pipeline.data import Field, Level
from untrace_plugins.destinations.model import Encoding
from untrace_plugins.exporters.platform.encoders.otlp import Otlp


def test_untraces_server_gets_what_it_checks() -> None:
    """All fields, numbers as numbers, no empty parents, and its own codes of status."""
    batch = example_trace()
    batch.set(Field(Level.ITEM, "status.code"), [1, 0, 0, 0, 2])
    request = json.loads(Otlp(Encoding.STRICT_JSON).encode(batch).data)
    (resource,) = request["resourceSpans"]
    (scope,) = resource["scopeSpans"]
    assert resource["resource"]["attributes"]
    assert scope["scope"]["name"] == "untrace-pipeline"
    spans = scope["spans"]
    for span in spans:
        assert all(isinstance(span[name], list) for name in ("attributes", "events", "links"))
        assert isinstance(span["kind"], int)
        assert isinstance(span["status"]["code"], int)
        assert isinstance(span["startTimeUnixNano"], str)
        integers = [one["value"]["intValue"] for one in span["attributes"] if "intValue" in one["value"]]
        assert all(isinstance(value, int) for value in integers)
    assert [span["status"]["code"] for span in spans] == [0, 0, 0, 0, 1]
    assert ["parentSpanId" in span for span in spans] == [False, True, True, True, True]
    assert Otlp(Encoding.STRICT_JSON).encode(batch).content_type == "application/json"


def test_the_other_forms_are_those_of_otlp() -> None:
    """Protobuf goes as it is."""
    batch = example_trace()
    assert Otlp(Encoding.PROTO).encode(batch).data is batch.to_otlp()
    assert Otlp(Encoding.JSON).encode(batch).data == batch.to_json()
