"""``google.rpc.Status``: codes, delays, both encodings."""

from __future__ import annotations

import json

import pytest
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status

from untrace_pipeline.api import Code
from untrace_plugins.otlp.service import Answer, Encoding
from untrace_plugins.otlp.status import http_status, retry_after_header, status_bytes


@pytest.mark.parametrize("code", [code for code in Code if code is not Code.OK])
def test_every_code_has_an_http_status(code: Code) -> None:
    """Codes that OTLP calls retryable are 503, and no failure is a success."""
    status = http_status(Answer(code, retry_after=1.0))
    assert status >= 400
    retryable = {
        Code.CANCELLED,
        Code.DEADLINE_EXCEEDED,
        Code.ABORTED,
        Code.OUT_OF_RANGE,
        Code.UNAVAILABLE,
        Code.DATA_LOSS,
    }
    assert (status == 503) == (code in retryable)


@pytest.mark.parametrize(
    ("delay", "header"), [(None, None), (0.0, "1"), (0.2, "1"), (1.0, "1"), (1.1, "2"), (90.0, "90")]
)
def test_retry_after_is_whole_seconds_and_never_early(delay: float | None, header: str | None) -> None:
    """A fraction is rounded up."""
    assert dict(retry_after_header(Answer(Code.UNAVAILABLE, retry_after=delay))).get("retry-after") == header


def test_protobuf_has_the_exact_delay() -> None:
    """RetryInfo keeps fractions of a second."""
    status = Status.FromString(status_bytes(Answer(Code.UNAVAILABLE, "busy", 2.25)))
    info = RetryInfo()
    assert status.details[0].Unpack(info)
    assert (info.retry_delay.seconds, info.retry_delay.nanos) == (2, 250_000_000)


def test_json_is_protobuf_json() -> None:
    """The JSON form follows protobuf's mapping."""
    body = status_bytes(Answer(Code.UNAVAILABLE, "busy", 2.5), Encoding.JSON)
    assert json.loads(body) == {
        "code": 14,
        "message": "busy",
        "details": [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "2.500s"}],
    }
