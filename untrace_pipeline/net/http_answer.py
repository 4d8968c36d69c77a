"""What an HTTP status means for a request: tried again, cut in halves, or given up."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from untrace_pipeline.errors import Code, ConsumeError, OversizeError, PermanentError, RetryableError
from untrace_pipeline.net.client import one_line, read_status
from untrace_pipeline.net.rate_limits import wait_seconds

__all__ = ["OTLP_STATUSES", "Answer", "Judge", "Statuses", "refusal", "translate"]

_SUCCESS = range(200, 300)
_REDIRECT = range(300, 400)
_CODES = {
    400: Code.INVALID_ARGUMENT,
    401: Code.UNAUTHENTICATED,
    402: Code.RESOURCE_EXHAUSTED,
    403: Code.PERMISSION_DENIED,
    404: Code.UNIMPLEMENTED,
    405: Code.UNIMPLEMENTED,
    408: Code.DEADLINE_EXCEEDED,
    409: Code.ALREADY_EXISTS,
    415: Code.INVALID_ARGUMENT,
    422: Code.INVALID_ARGUMENT,
    429: Code.RESOURCE_EXHAUSTED,
    502: Code.UNAVAILABLE,
    503: Code.UNAVAILABLE,
    504: Code.DEADLINE_EXCEEDED,
}
_NEVER_WAITS = {502, 504}
"""OTLP gives Retry-After a meaning with 429 and 503 only."""
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


@dataclass(frozen=True, slots=True)
class Statuses:
    """What the statuses of a destination mean; everything else is a refusal for good."""

    success: frozenset[int] = frozenset()
    """Besides 2xx."""
    retry: frozenset[int] = frozenset({429, 502, 503, 504})
    too_large: frozenset[int] = frozenset({413})
    meanings: Mapping[int, str] = field(default_factory=dict)
    """What to say besides what the destination says."""

    def succeeded(self, status: int) -> bool:
        """Return whether the request was taken."""
        return status in _SUCCESS or status in self.success


OTLP_STATUSES = Statuses()
"""OTLP, "Failures" of OTLP/HTTP."""


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


def refusal(answer: Answer, statuses: Statuses = OTLP_STATUSES) -> ConsumeError:
    """Return the error that an answer other than success stands for."""
    error = _refusal(answer, statuses)
    if answer.body and answer.content_type != "application/x-protobuf":
        error.detail = f"HTTP {answer.status}: {answer.body[:_DETAIL_BYTES].decode(errors='replace')}"
    return error


def _refusal(answer: Answer, statuses: Statuses) -> ConsumeError:
    status, headers = answer.status, answer.headers
    if status in _REDIRECT:
        where = f" to {one_line(headers['Location'])}" if "Location" in headers else ""
        return PermanentError(f"HTTP {status}: redirects{where} are not followed", code=Code.FAILED_PRECONDITION)
    message = ": ".join(filter(None, (f"HTTP {status}", statuses.meanings.get(status), _message(answer))))
    if status in statuses.retry:
        delay = None if status in _NEVER_WAITS else wait_seconds(headers)
        return RetryableError(message, retry_after=delay, code=_CODES.get(status, Code.UNAVAILABLE))
    if status in statuses.too_large:
        return OversizeError(message)
    return PermanentError(message, code=_CODES.get(status, Code.INTERNAL))


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
