"""One call of an LLM API as a proxy saw it: what was sent, what came back and when, and how it ended.

A proxy fills an :class:`Exchange` while the call runs, hands it over after the last byte, and does not touch it again.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from untrace_pipeline.data.fields import Value

__all__ = [
    "REQUEST_HEADERS",
    "RESPONSE_HEADERS",
    "Api",
    "Attempt",
    "Attribution",
    "Body",
    "Capture",
    "Exchange",
    "TraceContext",
]

REQUEST_HEADERS: Final = frozenset({"content-type", "anthropic-version", "anthropic-beta", "openai-beta"})
"""Headers of requests that may be kept: they say how a body is to be read, and nothing of whose it is."""
RESPONSE_HEADERS: Final = (
    "content-type",
    "x-request-id",
    "request-id",
    "apim-request-id",
    "x-amzn-requestid",
    "x-debug-trace-id",
    "x-goog-request-id",
    "cf-ray",
    "openai-processing-ms",
    "openai-version",
    "retry-after",
    "x-ratelimit-",
    "anthropic-ratelimit-",
)
"""How headers of responses begin that may be kept."""


class Api(enum.StrEnum):
    """The API that a path belongs to: how its bodies are read. Azure OpenAI has those of OpenAI."""

    OPENAI_CHAT = "openai.chat"
    OPENAI_COMPLETIONS = "openai.completions"
    OPENAI_RESPONSES = "openai.responses"
    OPENAI_EMBEDDINGS = "openai.embeddings"
    ANTHROPIC_MESSAGES = "anthropic.messages"
    COHERE_CHAT = "cohere.chat"
    COHERE_EMBED = "cohere.embed"
    GEMINI_GENERATE_CONTENT = "gemini.generate_content"
    GEMINI_EMBED_CONTENT = "gemini.embed_content"
    OTHER = "other"
    """Anything else: models, files, images, audio, moderations. Bodies are not read."""


class Capture(enum.StrEnum):
    """How much of a call its span tells."""

    FULL = "full"
    """Everything but keys."""
    METADATA = "metadata"
    """Model, parameters, tokens, finish reasons; no message, instruction, tool, argument, nor text of an error."""
    NONE = "none"
    """That there was a call, with whom, how long and how it ended: neither body is read. There is a span all the same:
    the provider was told its id, and traces would miss a parent."""


@dataclass(slots=True)
class Body:
    """A body as it went over the wire, in the pieces that it came in; of large ones the beginning and the end."""

    chunks: list[bytes] = field(default_factory=list)
    times: list[int] = field(default_factory=list)
    """When each chunk came, on the monotonic clock in nanoseconds."""
    size: int = 0
    """Bytes of the whole body, also of what was not kept."""
    gap: int | None = None
    """The number of chunks before what was not kept; ``None`` if everything was."""
    encoding: str = ""
    """Its ``Content-Encoding``."""

    @property
    def truncated(self) -> bool:
        """Whether something of it was not kept."""
        return self.gap is not None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request to one upstream; times on the monotonic clock in nanoseconds."""

    upstream: str
    """Its name in the configuration."""
    started: int
    ended: int
    status: int | None = None
    """HTTP status, if there was an answer."""
    error: str | None = None
    """``timeout``, ``connect_error``, ``upstream_reset`` …, if there was none."""


@dataclass(frozen=True, slots=True)
class TraceContext:
    """Ids of the span, chosen before the request was forwarded, and what the caller sent in ``traceparent``."""

    trace_id: bytes
    span_id: bytes
    parent_span_id: bytes = b""
    trace_state: str = ""
    flags: int = 1
    """The flags of W3C: 1 = sampled."""


@dataclass(frozen=True, slots=True)
class Attribution:
    """What the caller said of the call in ``X-Untrace-*`` headers."""

    session_id: str = ""
    user_id: str = ""
    tags: Sequence[str] = ()
    metadata: Mapping[str, Value] = field(default_factory=dict)


@dataclass(slots=True)
class Exchange:
    """A call from its first byte to its last, on every way that it may end."""

    api: Api
    provider: str
    """``gen_ai.provider.name`` of the upstream that answered, or was tried last."""
    upstream: str
    """Its name in the configuration."""
    server_address: str
    server_port: int
    method: str
    path: str
    """Path at the upstream, without the query."""
    trace: TraceContext
    start_unix_nano: int
    started: int
    """When the call began, on the monotonic clock in nanoseconds."""
    ended: int = 0
    """When its last byte had gone to the client, or it had failed."""
    request: Body = field(default_factory=Body)
    response: Body = field(default_factory=Body)
    request_headers: Mapping[str, str] = field(default_factory=dict)
    """Those of :data:`REQUEST_HEADERS`, names in lower case."""
    response_headers: Mapping[str, str] = field(default_factory=dict)
    """Those of :data:`RESPONSE_HEADERS`, names in lower case."""
    status: int | None = None
    """HTTP status that the client got from an upstream; ``None`` if none answered."""
    error: str | None = None
    """``error.type`` of how it ended, if not by an answer: ``timeout``, ``client_disconnect``, ``upstream_reset``,
    ``connect_error`` …; a status from 400 on is an error without it."""
    attempts: Sequence[Attempt] = ()
    attribution: Attribution = field(default_factory=Attribution)
    secrets: Sequence[str] = field(default=(), repr=False)
    """Keys that the provider was sent, or the proxy was. Some quote them in errors; they are masked in spans."""
