"""What an error of Kafka means for the data that it was about.

The library has already repeated what the protocol calls retriable until its own time was up, and does not say so of the
errors that it hands out. So this table is ours: what is certain to come back is named, everything else may pass.
"""

from __future__ import annotations

from typing import Protocol

from untrace_pipeline.errors import Code, ConsumeError, OversizeError, PermanentError, RetryableError
from untrace_pipeline.net.client import one_line

__all__ = ["LibraryError", "as_consume_error", "is_refused_login"]

TOO_LARGE = frozenset({"MSG_SIZE_TOO_LARGE", "RECORD_LIST_TOO_LARGE", "INVALID_MSG_SIZE"})
FORBIDDEN = frozenset(
    {
        "TOPIC_AUTHORIZATION_FAILED",
        "CLUSTER_AUTHORIZATION_FAILED",
        "GROUP_AUTHORIZATION_FAILED",
        "TRANSACTIONAL_ID_AUTHORIZATION_FAILED",
    }
)
LOGIN = frozenset({"_AUTHENTICATION", "SASL_AUTHENTICATION_FAILED", "UNSUPPORTED_SASL_MECHANISM", "ILLEGAL_SASL_STATE"})
INVALID = frozenset(
    {
        "TOPIC_EXCEPTION",
        "INVALID_RECORD",
        "INVALID_TIMESTAMP",
        "INVALID_REQUIRED_ACKS",
        "INVALID_REQUEST",
        "POLICY_VIOLATION",
        "UNSUPPORTED_VERSION",
        "UNSUPPORTED_FOR_MESSAGE_FORMAT",
        "UNSUPPORTED_COMPRESSION_TYPE",
        "_INVALID_ARG",
        "_UNSUPPORTED_FEATURE",
        "_NOT_IMPLEMENTED",
    }
)
TIMED_OUT = frozenset({"_MSG_TIMED_OUT", "_TIMED_OUT", "_TIMED_OUT_QUEUE", "REQUEST_TIMED_OUT"})


class LibraryError(Protocol):
    """The part of confluent-kafka's ``KafkaError`` that is asked here."""

    def name(self) -> str:
        """Name of the code: ``MSG_SIZE_TOO_LARGE``; the library's own begin with an underscore."""

    def str(self) -> str:
        """Text for people."""


def as_consume_error(error: LibraryError) -> ConsumeError:
    """Return the error of our tree that an error of Kafka stands for."""
    name = error.name()
    text = f"{name}: {one_line(error.str())}"
    if name in TOO_LARGE:
        return OversizeError(text)
    if name in FORBIDDEN:
        return PermanentError(text, code=Code.PERMISSION_DENIED)
    if name in INVALID:
        return PermanentError(text, code=Code.INVALID_ARGUMENT)
    if name in TIMED_OUT:
        return RetryableError(text, code=Code.DEADLINE_EXCEEDED)
    if name == "THROTTLING_QUOTA_EXCEEDED":
        return RetryableError(text, code=Code.RESOURCE_EXHAUSTED)
    if name in LOGIN:
        return RetryableError(text, code=Code.UNAUTHENTICATED)  # data waits until somebody mends the password
    return RetryableError(text)


def is_refused_login(error: LibraryError) -> bool:
    """Return whether the brokers do not know us: a human must act."""
    return error.name() in LOGIN
