"""What requests and refusals between workers carry: parts of batches with their context, and errors.

The context goes along whole: the connection is a socket pair that nobody else can open, and conditions behind the hop
must see what they would see without it. Values of an authenticator that JSON cannot hold become text.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from untrace_pipeline.api.identity import PipelineId
from untrace_pipeline.data import EMPTY_CONTEXT, Batch, Context
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
from untrace_pipeline.hop.frames import FrameError

__all__ = ["decode_error", "decode_request", "encode_error", "encode_request"]

_ERRORS: Mapping[str, type[ConsumeError]] = {
    kind.__name__: kind
    for kind in (RetryableError, QueueFullError, PermanentError, InternalError, DecodeError, OversizeError)
}
"""The classes by name; one that a plugin derived travels as the nearest of these."""


def encode_request(pipeline: PipelineId, batch: Batch) -> tuple[bytes, bytes]:
    """Return head and payload of a request: what is known about a part of a batch, as JSON, and its bytes."""
    context = batch.context
    head: dict[str, Any] = {"pipeline": str(pipeline), "items": batch.item_count}
    if context is not EMPTY_CONTEXT:
        head["context"] = {
            "metadata": dict(context.metadata),
            "auth": dict(context.auth),
            "tenant": context.tenant,
            "peer": context.peer,
            "transport": context.transport,
            "received_at": context.received_at,
            "requests": context.requests,
        }
    return json.dumps(head, default=str, separators=(",", ":")).encode(), batch.to_otlp()


def decode_request(head: bytes, payload: bytes) -> tuple[PipelineId, Batch]:
    """Read a request back. Raises :class:`FrameError`."""
    try:
        data = json.loads(head)
        pipeline = PipelineId.parse(data["pipeline"])
        context = _context(data["context"]) if "context" in data else EMPTY_CONTEXT
        items = int(data["items"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise FrameError(f"a request whose head cannot be read: {error!r}") from error
    return pipeline, Batch.decoded(pipeline.signal, payload, context, items)


def _context(data: Mapping[str, Any]) -> Context:
    return Context(
        {name: tuple(values) for name, values in data["metadata"].items()},
        data["auth"],
        data["tenant"],
        data["peer"],
        data["transport"],
        data["received_at"],
        data["requests"],
    )


def encode_error(error: ConsumeError) -> bytes:
    """Return the head of a refusal."""
    known = [kind for kind in type(error).__mro__ if kind in _ERRORS.values()]
    kind = known[0] if known else PermanentError
    data: dict[str, Any] = {"kind": kind.__name__, "message": str(error), "code": error.code}
    data["partly"] = error.partly_accepted
    if isinstance(error, RetryableError):
        data["retry_after"] = error.retry_after
    if isinstance(error, QueueFullError):
        data["refused"] = dict(error.refused)
    return json.dumps(data).encode()


def decode_error(head: bytes) -> ConsumeError:
    """Read a refusal back, as the same class of error. Raises :class:`FrameError`."""
    try:
        data = json.loads(head)
        error = _ERRORS[data["kind"]](data["message"])
        error.code, error.partly_accepted = Code(data["code"]), data["partly"]
        if isinstance(error, RetryableError):
            error.retry_after = data["retry_after"]
        if isinstance(error, QueueFullError):
            error.refused = data["refused"]
    except (ValueError, KeyError, TypeError) as problem:
        raise FrameError(f"a refusal that cannot be read: {problem!r}") from problem
    return error
