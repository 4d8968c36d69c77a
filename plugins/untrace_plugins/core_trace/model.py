"""The core trace, as it is checked and as OpenAPI describes it: one source of truth.

Names that the model does not have are kept, see ``spans``. ``null`` is the same as absent.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Required

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema
from pydantic.alias_generators import to_camel
from typing_extensions import TypedDict

from untrace_plugins.core_trace.checking import check

__all__ = ["CoreTrace", "Error", "Message", "Metadata", "Metrics", "Request", "Response", "nanoseconds", "read_trace"]

_OPEN = ConfigDict(extra="allow", strict=True, frozen=True, hide_input_in_errors=True, use_attribute_docstrings=True)
_NANOS_PER_MS = 1_000_000
_LAST_MS = 9_000_000_000_000
"""What 64 bits of nanoseconds hold: the year 2255."""
_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:[Zz]|[+-]\d\d:\d\d)?\Z")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST = _EPOCH + timedelta(milliseconds=_LAST_MS)


def _instant(text: str) -> datetime:
    try:
        when = datetime.fromisoformat(text.upper()) if _TIME.match(text) else None
    except ValueError:
        when = None
    if when is None:
        msg = "a time such as 2026-01-31T12:00:00.123Z, or milliseconds since 1970"
        raise ValueError(msg)
    when = when if when.tzinfo else when.replace(tzinfo=UTC)
    if not _EPOCH <= when <= _LAST:
        msg = "a time between 1970 and 2255"
        raise ValueError(msg)
    return when


def _checked_time(value: str) -> str:
    _instant(value)
    return value


def nanoseconds(when: float | str) -> int:
    """Return a point in time, milliseconds since 1970 or ISO 8601, in nanoseconds."""
    if isinstance(when, str):
        return (_instant(when) - _EPOCH) // timedelta(microseconds=1) * 1000
    whole = int(when)
    return whole * _NANOS_PER_MS + round((when - whole) * _NANOS_PER_MS)


Name = Annotated[str, Field(min_length=1, max_length=512)]
Amount = Annotated[float, Field(ge=0, le=_LAST_MS, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0, lt=1 << 53)]
_DATE = r"((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))"
_TIME_SCHEMA = {
    "type": "string",
    "description": "ISO 8601; leap days are fine, too.",
    "pattern": rf"^(19[7-9][1-9]|2[01][0-9]{{2}})-{_DATE}T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{{1,9}})?Z$",
    "examples": ["2026-01-31T12:00:00.123Z"],
}
Time = Annotated[str, AfterValidator(_checked_time), WithJsonSchema(_TIME_SCHEMA)]


class Message(TypedDict, total=False):
    """A message, in the shape of the provider; at least its role."""

    __pydantic_config__ = ConfigDict(extra="allow", strict=True)  # type: ignore[misc]

    role: Required[Name]
    content: str | list[Any] | None


class Request(BaseModel):
    """What was sent to the model. Other names than these count as parameters."""

    model_config = _OPEN

    messages: list[Message] | None = None
    """Chat format."""
    prompt: str | list[Any] | None = None
    """Completion format."""
    parameters: dict[str, Any] | None = None
    """``temperature``, ``max_tokens`` …"""
    tools: list[Any] | None = None
    """Definitions of tools, in the shape of the provider."""


class Usage(TypedDict, total=False):
    """Tokens; the words of other providers are understood, too."""

    __pydantic_config__ = ConfigDict(extra="allow", strict=True)  # type: ignore[misc]

    prompt_tokens: Count | None
    completion_tokens: Count | None
    total_tokens: Count | None


class Response(BaseModel):
    """What the model answered."""

    model_config = _OPEN

    id: Name | None = None
    """The provider's id of the answer."""
    model: Name | None = None
    """The model that answered."""
    content: str | list[Any] | None = None
    """The text of the only answer."""
    messages: list[Message] | None = None
    """Answers as messages."""
    choices: list[Any] | None = None
    """Answers in OpenAI's shape."""
    usage: Usage | None = None
    """Tokens."""
    finish_reason: Name | None = None
    """Why the answer ended."""


class Metadata(TypedDict, total=False):
    """What the application attaches; any other names, too."""

    __pydantic_config__ = ConfigDict(extra="allow", strict=True)  # type: ignore[misc]

    customerId: str | None
    applicationId: str | None
    userId: str | None
    environment: str | None
    version: str | None
    tags: dict[str, str] | list[str] | None


class Metrics(BaseModel):
    """What was measured."""

    model_config = _OPEN

    latency_ms: Amount | None = None
    """Duration, where ``endTime`` is absent."""
    time_to_first_token_ms: Amount | None = None
    """From the request to the first token."""
    tokens_per_second: Amount | None = None
    """Speed of the answer."""
    estimated_cost: Amount | None = None
    """In US dollars."""


class Error(BaseModel):
    """Why the call failed; its presence says that it did."""

    model_config = _OPEN

    type: Name | None = None
    """Class of the error. Example: ``RateLimitError``."""
    code: Name | int | None = None
    """The provider's code."""
    message: str | None = None
    """What it said."""
    stack: str | None = None
    """Where in the application."""


class CoreTrace(BaseModel):
    """One LLM call."""

    model_config = _OPEN | ConfigDict(alias_generator=to_camel)

    id: Name | None = None
    """Unique id; the same id is the same span. Absent = one is made up."""
    trace_id: Name | None = None
    """The trace that it belongs to; absent = the one of ``parentId``, or its own."""
    parent_id: Name | None = None
    """Id of the call that it is part of."""
    session_id: Name | None = None
    """Groups traces."""
    user_id: Name | None = None
    """The end user."""
    name: Name | None = None
    """Name of the span; absent = operation and model."""
    operation: Name | None = None
    """``chat``, ``text_completion``, ``embeddings``, ``execute_tool`` …; absent = what the request looks like."""
    start_time: Amount | Time | None = None
    """Milliseconds since 1970, or ISO 8601."""
    end_time: Amount | Time | None = None
    """As the start; one before the start counts as the start."""
    timestamp: Amount | Time | None = None
    """The start, where ``startTime`` is absent."""
    provider: Name
    """``openai``, ``anthropic`` …"""
    model: Name
    """The model that was asked for."""
    request: Request
    """What was sent."""
    response: Response | None = None
    """What came back."""
    metadata: Metadata | None = None
    """What the application attaches."""
    tags: list[str] | None = None
    """Words to find it by."""
    metrics: Metrics | None = None
    """What was measured."""
    error: Error | None = None
    """Why it failed."""
    attributes: dict[str, Any] | None = None
    """Further attributes of the span."""


_CAMEL = {name: str(field.alias) for name, field in CoreTrace.model_fields.items()}
"""Names at the top are understood in snake case, too."""


def read_trace(given: Any, prefix: str = "") -> CoreTrace:
    """Return the trace that was sent. Raises ``InvalidError`` with every field that is wrong."""
    if isinstance(given, dict):
        given = {_CAMEL.get(key, key): value for key, value in given.items()}
    return check(CoreTrace, given, prefix)
