"""What an HTTP status means for a request: tried again, cut in halves, or given up."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from types import MappingProxyType
from typing import Any

from untrace_pipeline.errors import Code, ConsumeError, OversizeError, PermanentError, RetryableError
from untrace_pipeline.net.client import one_line, read_status

__all__ = ["Answer", "Judge", "read_delay", "refusal", "translate"]

_REDIRECT = range(300, 400)
_TOO_LARGE = 413
_RETRYABLE = {
    429: Code.RESOURCE_EXHAUSTED,
    502: Code.UNAVAILABLE,
    503: Code.UNAVAILABLE,
    504: Code.DEADLINE_EXCEEDED,
}
_PERMANENT = {
    400: Code.INVALID_ARGUMENT,
    401: Code.UNAUTHENTICATED,
    403: Code.PERMISSION_DENIED,
    404: Code.UNIMPLEMENTED,
    405: Code.UNIMPLEMENTED,
    415: Code.INVALID_ARGUMENT,
}
_MAY_WAIT = {429, 503}
_NO_HEADERS: Mapping[str, str] = MappingProxyType({})

_DETAIL_BYTES = 4096
"""Of a refusal's body that go into a dead letter."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer, read to its end."""

    status: int
    content_type: str
    """Without parameters, lower-case."""
    body: bytes
    headers: Mapping[str, str] = field(default_factory=lambda: _NO_HEADERS, compare=False, repr=False)
    """By name in any case; empty where nobody asked for them."""


Judge = Callable[[Answer], ConsumeError | None]
"""Says which error an answer stands for; ``None`` for success."""


def translate(error: Exception) -> Exception:
    """Return what an exception of aiohttp means; others as they are."""
    import aiohttp  # noqa: PLC0415

    if isinstance(error, TimeoutError):
        return RetryableError("no answer in time", code=Code.DEADLINE_EXCEEDED)
    if isinstance(error, aiohttp.InvalidURL):
        return PermanentError(one_line(str(error)))
    if isinstance(error, aiohttp.ClientConnectorError) and not isinstance(error, aiohttp.ClientSSLError):
        return RetryableError(one_line(f"cannot connect to {error.host}:{error.port}: {_cause(error.os_error)}"))
    if isinstance(error, aiohttp.ClientError | OSError):
        return RetryableError(one_line(str(error) or type(error).__name__))
    return error


def _cause(error: OSError) -> str:
    """Return why a connection was not made, without the addresses that asyncio puts around it."""
    number = error.errno or 0
    return os.strerror(number) if number > 0 else error.strerror or str(error)


def refusal(answer: Answer, headers: Mapping[str, str]) -> ConsumeError:
    """Return the error that an answer other than success stands for (OTLP, "Failures" of OTLP/HTTP)."""
    error = _refusal(answer, headers)
    if answer.body and answer.content_type != "application/x-protobuf":
        error.detail = f"HTTP {answer.status}: {answer.body[:_DETAIL_BYTES].decode(errors='replace')}"
    return error


def _refusal(answer: Answer, headers: Mapping[str, str]) -> ConsumeError:
    status = answer.status
    if status in _REDIRECT:
        where = f" to {one_line(headers['Location'])}" if "Location" in headers else ""
        return PermanentError(f"HTTP {status}: redirects{where} are not followed", code=Code.FAILED_PRECONDITION)
    message = f"HTTP {status}"
    if text := _message(answer):
        message = f"{message}: {text}"
    if status in _RETRYABLE:
        delay = read_delay(headers.get("Retry-After")) if status in _MAY_WAIT else None
        return RetryableError(message, retry_after=delay, code=_RETRYABLE[status])
    if status == _TOO_LARGE:
        return OversizeError(message)
    return PermanentError(message, code=_PERMANENT.get(status, Code.INTERNAL))


def _message(answer: Answer) -> str:
    """Return what the body says: ``google.rpc.Status`` as protobuf or JSON, or text."""
    if answer.content_type == "application/x-protobuf":
        return read_status(answer.body).message
    if answer.content_type == "application/json":
        import orjson  # noqa: PLC0415  needed only after a failure

        try:
            said: Any = orjson.loads(answer.body)
        except orjson.JSONDecodeError:
            said = None
        if isinstance(said, dict) and isinstance(said.get("message"), str):
            return one_line(said["message"])
    if answer.content_type == "text/html":
        return ""
    return one_line(answer.body[:4096].decode(errors="replace"))


def read_delay(retry_after: str | None) -> float | None:
    """Return the seconds that a Retry-After asks for: a number, or a date (RFC 9110, section 10.2.3)."""
    if retry_after is None:
        return None
    text = retry_after.strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except ValueError:
        return None
