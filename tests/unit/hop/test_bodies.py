"""Parts of batches and errors come out at the other worker as they went in."""

from __future__ import annotations

from typing import Any

import pytest

from untrace_pipeline.api import PipelineId
from untrace_pipeline.data import EMPTY_CONTEXT, Batch, Context, Signal, attribute
from untrace_pipeline.errors import (
    Code,
    ConsumeError,
    DecodeError,
    InternalError,
    OversizeError,
    PermanentError,
    QueueFullError,
    RetryableError,
)
from untrace_pipeline.hop.bodies import decode_error, decode_request, encode_error, encode_request
from untrace_pipeline.hop.frames import FrameError
from untrace_pipeline.testing import make_batch

TRACES = PipelineId.parse("traces/x")
CONTEXT = Context(
    {"x-team": ("a", "b"), "odd": ("\xff\x80",)},
    {"subject": "me", "roles": ["a"]},
    "acme",
    "1.2.3.4:5",
    "grpc",
    17.5,
    3,
)


@pytest.mark.parametrize("context", [EMPTY_CONTEXT, CONTEXT, Context(received_at=1.0)])
def test_requests(context: Context) -> None:
    """Pipeline, bytes, number of items, and the whole context."""
    batch = make_batch(Signal.TRACES, items=7).with_context(context)
    pipeline, found = decode_request(*encode_request(TRACES, batch))
    assert pipeline == TRACES
    assert found.context == context
    assert found.context.requests == context.requests
    assert (found.signal, found.item_count, found.to_otlp()) == (Signal.TRACES, 7, batch.to_otlp())


def test_what_json_does_not_hold_becomes_text() -> None:
    """An authenticator may attach anything."""
    batch = make_batch(Signal.LOGS).with_context(Context(auth={"code": 1 + 2j}))
    assert decode_request(*encode_request(PipelineId.parse("logs"), batch))[1].context.auth == {"code": "(1+2j)"}


class SpecialError(QueueFullError):
    """Some plugin's own."""


ERRORS = [
    (RetryableError("later", retry_after=2.5), RetryableError),
    (RetryableError("later", code=Code.CANCELLED), RetryableError),
    (QueueFullError("full", retry_after=1.0), QueueFullError),
    (SpecialError("full"), QueueFullError),
    (PermanentError("never", code=Code.PERMISSION_DENIED), PermanentError),
    (InternalError("broken"), InternalError),
    (DecodeError("bad", offset=7), DecodeError),
    (OversizeError("too large"), OversizeError),
    (ConsumeError("odd"), PermanentError),
]


@pytest.mark.parametrize(("error", "kind"), ERRORS, ids=lambda one: getattr(one, "__name__", None) or repr(one))
@pytest.mark.parametrize("partly", [False, True])
def test_errors(error: ConsumeError, kind: type[ConsumeError], partly: bool) -> None:
    """Class, text, code, delay, and what full queues refused."""
    error.partly_accepted = partly
    if isinstance(error, QueueFullError):
        error.refused = {"exporter:otlp": 5}
    found = decode_error(encode_error(error))
    assert type(found) is kind
    assert (str(found), found.code, found.partly_accepted) == (str(error), error.code, partly)
    assert getattr(found, "retry_after", None) == getattr(error, "retry_after", None)
    assert getattr(found, "refused", None) == getattr(error, "refused", None)


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"{",
        b"{}",
        b"[]",
        b'{"pipeline": "traces"}',
        b'{"pipeline": "x", "items": 1}',
        b'{"items": 1, "context": 1}',
    ],
)
def test_whatever_is_no_request_is_noticed(head: bytes) -> None:
    """The connection ends, and nothing is handed on."""
    with pytest.raises(FrameError):
        decode_request(head, b"")


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"[]", b'{"kind": "KeyError", "message": "x", "code": 1, "partly": false}']
)
def test_whatever_is_no_error_is_noticed(body: bytes) -> None:
    """Only our own errors are raised for another worker."""
    with pytest.raises(FrameError):
        decode_error(body)


def test_edits_are_written() -> None:
    """What a transform before the hop changed arrives changed."""
    batch: Any = make_batch(Signal.TRACES, items=2)
    batch.set(attribute("tag"), ["on", "off"])
    found = decode_request(*encode_request(TRACES, batch))[1]
    assert found.column(attribute("tag")) == ["on", "off"]
    assert isinstance(found, Batch)
