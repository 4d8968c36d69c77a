"""``google.rpc.Status``: how OTLP says that a request failed (specification, "Failures" and "Throttling")."""

from __future__ import annotations

from http import HTTPStatus

from google.protobuf import any_pb2, duration_pb2, json_format
from google.rpc import error_details_pb2, status_pb2
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from untrace_pipeline.net.refusal import retry_after, status_of
from untrace_plugins.otlp.service import Answer, Encoding

__all__ = ["http_status", "retry_after_header", "status_bytes", "success_bytes"]

NANOS_PER_SECOND = 1_000_000_000


def http_status(answer: Answer) -> HTTPStatus:
    """Return the HTTP status for a failure."""
    return status_of(answer.code, retryable=answer.retry_after is not None)


def retry_after_header(answer: Answer) -> tuple[tuple[str, str], ...]:
    """Return ``Retry-After`` where a retry can help."""
    return retry_after(answer.retry_after)


def success_bytes(answer: Answer, encoding: Encoding = Encoding.PROTOBUF) -> bytes:
    """Return an ``Export*ServiceResponse``, the same for all signals; a message is a warning that rejects nothing."""
    response = ExportTraceServiceResponse()
    if answer.message:
        response.partial_success.error_message = answer.message
    if encoding is Encoding.PROTOBUF:
        return response.SerializeToString()
    return json_format.MessageToJson(response, indent=None, ensure_ascii=False).encode()


def status_bytes(answer: Answer, encoding: Encoding = Encoding.PROTOBUF) -> bytes:
    """Return the serialized status, with RetryInfo where a retry can help."""
    status = status_pb2.Status(code=answer.code, message=answer.message)
    if answer.retry_after is not None:
        detail = any_pb2.Any()
        detail.Pack(error_details_pb2.RetryInfo(retry_delay=_duration(answer.retry_after)))
        status.details.append(detail)
    if encoding is Encoding.PROTOBUF:
        return status.SerializeToString()  # type: ignore[no-any-return]
    return json_format.MessageToJson(status, indent=None).encode()


def _duration(seconds: float) -> duration_pb2.Duration:
    whole = int(seconds)
    return duration_pb2.Duration(seconds=whole, nanos=int((seconds - whole) * NANOS_PER_SECOND))
