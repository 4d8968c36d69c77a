"""What an error of Kafka means for the data."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaError

from untrace_pipeline.api import Code, OversizeError, PermanentError, RetryableError
from untrace_plugins.kafka import errors
from untrace_plugins.kafka.errors import as_consume_error, is_refused_login

NAMES = {name for name in dir(KafkaError) if name.isupper() and name != "NO_ERROR"}


def error(name: str) -> KafkaError:
    return KafkaError(getattr(KafkaError, name), "because")


@pytest.mark.parametrize(
    ("name", "kind", "code"),
    [
        ("MSG_SIZE_TOO_LARGE", OversizeError, Code.RESOURCE_EXHAUSTED),
        ("RECORD_LIST_TOO_LARGE", OversizeError, Code.RESOURCE_EXHAUSTED),
        ("TOPIC_AUTHORIZATION_FAILED", PermanentError, Code.PERMISSION_DENIED),
        ("TOPIC_EXCEPTION", PermanentError, Code.INVALID_ARGUMENT),
        ("INVALID_RECORD", PermanentError, Code.INVALID_ARGUMENT),
        ("POLICY_VIOLATION", PermanentError, Code.INVALID_ARGUMENT),
        ("_MSG_TIMED_OUT", RetryableError, Code.DEADLINE_EXCEEDED),
        ("_ALL_BROKERS_DOWN", RetryableError, Code.UNAVAILABLE),
        ("NOT_ENOUGH_REPLICAS", RetryableError, Code.UNAVAILABLE),
        ("UNKNOWN_TOPIC_OR_PART", RetryableError, Code.UNAVAILABLE),
        ("OUT_OF_ORDER_SEQUENCE_NUMBER", RetryableError, Code.UNAVAILABLE),
        ("INVALID_PRODUCER_EPOCH", RetryableError, Code.UNAVAILABLE),
        ("_PURGE_INFLIGHT", RetryableError, Code.UNAVAILABLE),
        ("_FATAL", RetryableError, Code.UNAVAILABLE),
        ("_AUTHENTICATION", RetryableError, Code.UNAUTHENTICATED),
        ("THROTTLING_QUOTA_EXCEEDED", RetryableError, Code.RESOURCE_EXHAUSTED),
    ],
)
def test_errors_that_matter(name: str, kind: type[Exception], code: Code) -> None:
    """What a broker will never take is permanent, what may pass is retryable, what is too large is split."""
    found = as_consume_error(error(name))
    assert (type(found), found.code) == (kind, code)
    assert str(found) == f"{name}: because"


def test_every_error_has_a_meaning() -> None:
    """No code of the library is unknown here, and the table names none that the library does not have."""
    tables = (errors.TOO_LARGE, errors.FORBIDDEN, errors.LOGIN, errors.INVALID, errors.TIMED_OUT)
    assert set().union(*tables) <= NAMES
    assert sum(len(table) for table in tables) == len(set().union(*tables))
    for name in NAMES:
        assert isinstance(as_consume_error(error(name)), RetryableError | PermanentError)


def test_refused_logins() -> None:
    """Only these need a human, though the data may wait for one."""
    assert is_refused_login(error("_AUTHENTICATION"))
    assert not is_refused_login(error("_TRANSPORT"))
