"""What the OTLP exporters share: reading a destination's answer, and the header that tells repetitions."""

from __future__ import annotations

from functools import cache
from typing import Any

from google.protobuf.message import DecodeError

from untrace_pipeline.data import Signal
from untrace_pipeline.delivery import DELIVERED, Outcome
from untrace_pipeline.net.client import one_line
from untrace_pipeline.net.http_answer import Answer

__all__ = ["IDEMPOTENCY_KEY", "JSON", "PROTOBUF", "read_answer", "read_http_answer"]

PROTOBUF = "application/x-protobuf"
JSON = "application/json"

IDEMPOTENCY_KEY = "idempotency-key"
"""Header of requests that another process may send again, from a disk or as dead letters: equal for equal items
(IETF draft-ietf-httpapi-idempotency-key-header)."""

_REJECTED = {
    Signal.TRACES: "rejected_spans",
    Signal.METRICS: "rejected_data_points",
    Signal.LOGS: "rejected_log_records",
}


def read_http_answer(signal: Signal, answer: Answer) -> Outcome:
    """Read an answer that says that the request was taken."""
    if not answer.body:
        return DELIVERED
    if answer.content_type == PROTOBUF:
        return read_answer(signal, answer.body)
    if answer.content_type == JSON:
        return read_answer(signal, answer.body, json=True)
    if answer.content_type == "text/html":
        return Outcome(message=f"HTTP {answer.status} with a web page: is the endpoint right?")
    return DELIVERED  # many destinations say "ok" in their own words


def read_answer(signal: Signal, data: bytes, *, json: bool = False) -> Outcome:
    """Read an ``Export*ServiceResponse``: what was rejected, and why.

    An answer that is none counts as delivered, with a warning: the destination said that it was successful.
    """
    if not data:
        return DELIVERED
    answer = _response_class(signal)()
    try:
        if json:
            _parse_json(data, answer)
        else:
            answer.ParseFromString(data)
    except (DecodeError, ValueError):
        return Outcome(message=f"success, but with an answer that is not OTLP: {one_line(repr(data[:80]))}")
    partial = answer.partial_success
    rejected = max(0, getattr(partial, _REJECTED[signal]))
    if not rejected and not partial.error_message:
        return DELIVERED
    return Outcome(rejected, one_line(partial.error_message))


def _parse_json(data: bytes, answer: Any) -> None:
    from google.protobuf import json_format  # noqa: PLC0415  rarely needed

    try:
        json_format.Parse(data, answer, ignore_unknown_fields=True)
    except json_format.ParseError as error:
        raise ValueError from error


@cache
def _response_class(signal: Signal) -> Any:
    # Loaded on first use: most destinations answer with nothing.
    if signal is Signal.TRACES:
        from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as traces  # noqa: PLC0415

        return traces.ExportTraceServiceResponse
    if signal is Signal.METRICS:
        from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as metrics  # noqa: PLC0415

        return metrics.ExportMetricsServiceResponse
    from opentelemetry.proto.collector.logs.v1 import logs_service_pb2 as logs  # noqa: PLC0415

    return logs.ExportLogsServiceResponse
