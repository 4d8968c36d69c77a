"""Requests that are legal on the wire but not as anybody writes them: nothing that a receiver can read survives."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from untrace_pipeline.api import Kind
from untrace_pipeline.data import Batch, Signal
from untrace_pipeline.testing import make_settings
from untrace_plugins.processors.redaction.config import RedactionConfig
from untrace_plugins.processors.redaction.processor import Redaction

CARD = "4111 1111 1111 1111"
PATTERN = r"\b(?:\d{4}[ -]?){3}\d{4}\b"
REQUESTS: dict[Signal, Callable[[], Any]] = {
    Signal.TRACES: ExportTraceServiceRequest,
    Signal.LOGS: ExportLogsServiceRequest,
    Signal.METRICS: ExportMetricsServiceRequest,
}


def _length(tag: int, body: bytes, *, overlong: bool = False) -> bytes:
    size = len(body)
    if overlong:
        return bytes([tag, size & 0x7F | 0x80, size >> 7 | 0x80, 0]) + body
    return bytes([tag]) + (bytes([size]) if size < 0x80 else bytes([size & 0x7F | 0x80, size >> 7])) + body


def _text(value: str, **options: bool) -> bytes:
    return _length(0x0A, value.encode(), **options)


KEY = _text("note")
VALUE = _length(0x12, _text(CARD))
FORMS = {
    "usual": KEY + VALUE,
    "value before key": VALUE + KEY,
    "no key": VALUE,
    "overlong lengths": KEY + _length(0x12, _text(CARD, overlong=True), overlong=True),
    "overlong tag": KEY + _length(0x12, b"\x8a\x00" + _text(CARD)[1:]),
    "unknown field behind": KEY + VALUE + _length(0x7A, b"x"),
    "unknown field between": KEY + _length(0x7A, b"x") + VALUE,
    "unknown field within": KEY + _length(0x12, _text(CARD) + _length(0x7A, b"x")),
    "another value before": KEY + _length(0x12, b"\x18\x05" + _text(CARD)),
    "value twice": KEY + _length(0x12, _text("clean")) + VALUE,
    "length like a digit": KEY + _length(0x12, _text(CARD + " " * 30)),
}


def _item(signal: Signal, fields: bytes) -> bytes:
    """Return a request with one item that consists of these fields."""
    item = _length(0x12, _length(0x2A, _length(0x0A, fields)) if signal is Signal.METRICS else fields)
    return _length(0x0A, _length(0x12, item))


ATTRIBUTE = {Signal.TRACES: 0x4A, Signal.LOGS: 0x32, Signal.METRICS: 0x3A}


def _strings(message: Message) -> Iterator[str]:
    """Yield every string that a receiver can read."""
    for _, value in message.ListFields():
        for each in [value] if isinstance(value, str | bytes | int | float | Message) else value:
            if isinstance(each, Message):
                yield from _strings(each)
            elif isinstance(each, str):
                yield each


def _readable(signal: Signal, data: bytes, **options: Any) -> list[str]:
    use_hyperscan = options.pop("use_hyperscan", True)
    config = RedactionConfig(**{"allow_all_keys": True, "blocked_values": [PATTERN]} | options)
    batch = Redaction(config, make_settings(Kind.PROCESSOR, "redaction"), use_hyperscan=use_hyperscan).process(
        Batch(signal, data)
    )
    request = REQUESTS[signal]()
    request.ParseFromString(batch.to_otlp())
    return list(_strings(request))


@pytest.mark.parametrize(
    "options", [{}, {"use_hyperscan": False}, {"summary": "debug"}, {"redact_all_types": True}], ids=str
)
@pytest.mark.parametrize("signal", Signal)
@pytest.mark.parametrize("form", FORMS)
def test_unusual_forms_of_an_attribute(form: str, signal: Signal, options: dict[str, Any]) -> None:
    """However an attribute is written, its value is masked."""
    data = _item(signal, _length(ATTRIBUTE[signal], FORMS[form]))
    found = _readable(signal, data, **options)
    assert "****" in " ".join(found)
    assert not any("4111" in text for text in found)


CLEAN = KEY + _length(0x12, _text("clean"))
OTHER = _text("other") + _length(0x12, _text("clean too"))


@pytest.mark.parametrize(
    "options", [{}, {"summary": "info"}, {"allow_all_keys": False, "allowed_keys": ["note"]}], ids=str
)
@pytest.mark.parametrize("signal", Signal)
@pytest.mark.parametrize("order", [(CLEAN, FORMS["usual"]), (FORMS["usual"], CLEAN), (CLEAN, OTHER, FORMS["usual"])])
def test_repeated_keys(order: tuple[bytes, ...], signal: Signal, options: dict[str, Any]) -> None:
    """A second value under the same key cannot hide behind the first."""
    data = _item(signal, b"".join(_length(ATTRIBUTE[signal], each) for each in order))
    assert not any("4111" in text for text in _readable(signal, data, **options))


def test_repeated_keys_of_a_resource_and_within_a_body() -> None:
    """The same for resources, and for maps within the body of a log record."""
    resource = _length(0x0A, _length(0x0A, CLEAN) + _length(0x0A, FORMS["usual"]))
    nested = _length(0x32, _length(0x0A, CLEAN) + _length(0x0A, FORMS["usual"]))
    record = _length(0x2A, nested)
    data = _length(0x0A, resource + _length(0x12, _length(0x12, record)))
    found = _readable(Signal.LOGS, data)
    assert found.count("clean") == 2
    assert not any("4111" in text for text in found)


def test_keys_are_not_values() -> None:
    """A key that a pattern matches stays, and so does a value that only looks like one together with its neighbours."""
    key = _length(0x4A, _text(CARD) + _length(0x12, _text("4111")))
    found = _readable(Signal.TRACES, _item(Signal.TRACES, key + _length(0x4A, _text("1111 1111 1111") + VALUE[:0])))
    assert CARD in found
    assert "4111" in found
    assert "****" not in found


def test_events_of_several_spans() -> None:
    """A value in the third event of the second span is masked there and nowhere else."""
    request = ExportTraceServiceRequest()
    scope = request.resource_spans.add().scope_spans.add()
    for number in range(3):
        span = scope.spans.add(name=f"span {number}")
        for event in range(4):
            value = CARD if (number, event) == (1, 2) else f"clean {number} {event}"
            span.events.add(name=f"event {event}").attributes.add(key="k").value.string_value = value
    found = _readable(Signal.TRACES, request.SerializeToString())
    assert found.count("****") == 1
    assert found[found.index("****") - 2] == "event 2"
    assert "clean 2 2" in found
