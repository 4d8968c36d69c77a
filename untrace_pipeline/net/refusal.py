"""What HTTP says when a batch was not accepted."""

from __future__ import annotations

import math
from http import HTTPStatus

from untrace_pipeline.errors import Code, ConsumeError, RetryableError
from untrace_pipeline.net.http_message import HttpError

__all__ = ["DEFAULT_DELAY_SECONDS", "http_refusal", "retry_after", "status_of"]

DEFAULT_DELAY_SECONDS = 1.0
"""What clients are told to wait where whoever refused did not say."""

_STATUS = {
    Code.CANCELLED: HTTPStatus.SERVICE_UNAVAILABLE,
    Code.DEADLINE_EXCEEDED: HTTPStatus.SERVICE_UNAVAILABLE,
    Code.ABORTED: HTTPStatus.SERVICE_UNAVAILABLE,
    Code.OUT_OF_RANGE: HTTPStatus.SERVICE_UNAVAILABLE,
    Code.UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
    Code.DATA_LOSS: HTTPStatus.SERVICE_UNAVAILABLE,
    Code.INVALID_ARGUMENT: HTTPStatus.BAD_REQUEST,
    Code.UNAUTHENTICATED: HTTPStatus.UNAUTHORIZED,
    Code.PERMISSION_DENIED: HTTPStatus.FORBIDDEN,
    Code.UNIMPLEMENTED: HTTPStatus.NOT_FOUND,
}


def status_of(code: Code, *, retryable: bool) -> HTTPStatus:
    """Return the HTTP status for a failure (OTLP specification, "Failures" and "Throttling").

    Differs from the Collector: RESOURCE_EXHAUSTED is 429 only if a retry can help, and 413 otherwise, because clients
    send a 429 again and again.
    """
    if code is Code.RESOURCE_EXHAUSTED:
        return HTTPStatus.TOO_MANY_REQUESTS if retryable else HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    return _STATUS.get(code, HTTPStatus.INTERNAL_SERVER_ERROR)


def retry_after(seconds: float | None) -> tuple[tuple[str, str], ...]:
    """Return ``Retry-After`` in whole seconds, at least 1; nothing for ``None``, where a retry cannot help."""
    return () if seconds is None else (("retry-after", str(max(1, math.ceil(seconds)))),)


def http_refusal(error: ConsumeError) -> HttpError:
    """Return what to raise in a handler for an error of ``admit`` or ``consume``."""
    if not isinstance(error, RetryableError):
        return HttpError(status_of(error.code, retryable=False), str(error))
    delay = DEFAULT_DELAY_SECONDS if error.retry_after is None else error.retry_after
    return HttpError(status_of(error.code, retryable=True), str(error), retry_after(delay))
