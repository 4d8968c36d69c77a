"""What the gRPC and the HTTP client have in common: headers, authentication, and reading refusals."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema

from untrace_pipeline.api.auth import ClientAuthenticator
from untrace_pipeline.api.component import Host
from untrace_pipeline.api.config import ConfigModel, Secret
from untrace_pipeline.errors import Code, ConsumeError, OversizeError, PermanentError, RetryableError, StartError

__all__ = [
    "ClientAuthConfig",
    "Headers",
    "StatusBody",
    "find_authenticator",
    "grpc_refusal",
    "hide",
    "one_line",
    "read_status",
    "user_agent",
]

LINE_LIMIT = 300
"""Characters of a foreign message that go into ours."""
MASKED_LENGTH = 8
"""Shorter words of a header are no secrets, and would mask half of a message."""
MASK = "[REDACTED]"

_RETRYABLE = {
    Code.CANCELLED,
    Code.DEADLINE_EXCEEDED,
    Code.ABORTED,
    Code.OUT_OF_RANGE,
    Code.UNAVAILABLE,
    Code.DATA_LOSS,
}


class ClientAuthConfig(ConfigModel):
    """``auth`` of a client."""

    authenticator: str = Field(min_length=1)
    """Id of the extension that adds credentials to each request. Example: ``bearer_token_auth``."""


def _as_mapping(value: object) -> object:
    """Headers may also be written as a list of ``{name, value}``."""
    if not isinstance(value, list):
        return value
    headers: dict[Any, Any] = {}
    for pair in value:
        if not isinstance(pair, Mapping) or set(pair) != {"name", "value"}:
            msg = "a mapping of names to values, or a list of {name, value}"
            raise ValueError(msg)
        if pair["name"] in headers:
            msg = f"each header once: {pair['name']} occurs twice"
            raise ValueError(msg)
        headers[pair["name"]] = pair["value"]
    return headers


Headers = Annotated[
    dict[str, Secret],
    BeforeValidator(_as_mapping),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "object", "additionalProperties": {"type": "string"}},
                {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "properties": {"name": {"type": "string"}, "value": {"type": "string"}},
                        "required": ["name", "value"],
                    },
                },
            ]
        }
    ),
]
"""Headers by name; the values are secrets."""


def find_authenticator(host: Host, auth: ClientAuthConfig | None) -> ClientAuthenticator | None:
    """Return the extension that ``auth`` names. Raises :class:`StartError` if it cannot authenticate clients."""
    if auth is None:
        return None
    extension = host.extension(auth.authenticator)
    if not isinstance(extension, ClientAuthenticator):
        msg = f"extension {auth.authenticator} cannot authenticate a client: give it client credentials"
        raise StartError(msg)
    return extension


def user_agent() -> str:
    """Return what we call ourselves."""
    try:
        return f"untrace-pipeline/{version('untrace-pipeline')}"
    except PackageNotFoundError:
        return "untrace-pipeline"


def one_line(text: str, limit: int = LINE_LIMIT) -> str:
    """Return foreign text fit for a log line: printable, on one line, at most ``limit`` characters."""
    clean = " ".join("".join(c if c.isprintable() else " " for c in text[: 4 * limit]).split())
    return clean if len(clean) <= limit else clean[: limit - 1] + "…"


def hide(error: ConsumeError, headers: Iterable[str]) -> ConsumeError:
    """Take credentials out of an error: destinations quote what they refuse, and errors are logged.

    ``headers`` are the values that were configured or made by an authenticator; words of 8 characters or more of them
    are masked.
    """
    words = {word for value in headers for word in value.split() if len(word) >= MASKED_LENGTH}
    error.args = (_all_masked(str(error), words),)
    error.detail = _all_masked(error.detail, words)
    return error


def _all_masked(text: str, words: Iterable[str]) -> str:
    for word in words:
        text = _masked(text, word)
    return text


def _masked(text: str, word: str) -> str:
    """Mask a word, also where the end of a shortened text cut it."""
    text = text.replace(word, MASK)
    whole = text.removesuffix("…")
    cut = next((n for n in range(len(word) - 1, MASKED_LENGTH // 2, -1) if whole.endswith(word[:n])), 0)
    return whole[:-cut] + MASK if cut else text


def grpc_refusal(code: Code, message: str, retry_after: float | None) -> ConsumeError:
    """Return the error that a status of gRPC stands for (OTLP, "Failures" of OTLP/gRPC)."""
    if code in _RETRYABLE or (code is Code.RESOURCE_EXHAUSTED and retry_after is not None):
        return RetryableError(message, retry_after=retry_after, code=code)
    if code is Code.RESOURCE_EXHAUSTED:
        return OversizeError(message)
    return PermanentError(message, code=code)


class StatusBody:
    """What a ``google.rpc.Status`` says."""

    __slots__ = ("message", "retry_after")

    def __init__(self, message: str = "", retry_after: float | None = None) -> None:
        self.message = message
        self.retry_after = retry_after
        """Seconds of its RetryInfo; ``None`` without one. 0 is a RetryInfo that names no delay."""


def read_status(data: bytes) -> StatusBody:
    """Read a serialized ``google.rpc.Status``; empty if it is none."""
    from google.protobuf.message import DecodeError  # noqa: PLC0415  needed only after a failure
    from google.rpc import error_details_pb2, status_pb2  # noqa: PLC0415

    body = StatusBody()
    try:
        status = status_pb2.Status.FromString(data)
        body.message = one_line(status.message)
        for detail in status.details:
            info = error_details_pb2.RetryInfo()
            if detail.Unpack(info):
                body.retry_after = max(0.0, info.retry_delay.seconds + info.retry_delay.nanos / 1e9)
    except DecodeError:
        pass
    return body
