"""What both clients share."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from tests.support.otlp_servers import Refuse
from untrace_pipeline.api import StartError
from untrace_pipeline.errors import Code, PermanentError
from untrace_pipeline.net.client import ClientAuthConfig, Headers, find_authenticator, hide, one_line, read_status
from untrace_pipeline.testing import StubHost

HEADERS: TypeAdapter[dict[str, Any]] = TypeAdapter(Headers)


@pytest.mark.parametrize("value", [{"X-Key": "k"}, [{"name": "X-Key", "value": "k"}]])
def test_headers_are_a_mapping_or_a_list_and_secret(value: object) -> None:
    """Both of the Collector's spellings work, and no value is ever shown."""
    headers = HEADERS.validate_python(value)
    assert headers["X-Key"].reveal() == "k"
    assert "k" not in str(headers["X-Key"])


@pytest.mark.parametrize("value", [[{"name": "a"}], ["a"], [{"name": "a", "value": "1"}, {"name": "a", "value": "2"}]])
def test_other_headers_are_refused(value: object) -> None:
    """A list without names and values, or with a name twice, is an error."""
    with pytest.raises(ValidationError):
        HEADERS.validate_python(value)


def test_foreign_text_becomes_one_short_printable_line() -> None:
    """A destination cannot forge log lines, steer the terminal or flood the log."""
    assert one_line("a\n2026 ERROR forged\x1b[31m\u202e b") == "a 2026 ERROR forged [31m b"
    assert len(one_line("x" * 10_000_000)) == 300


def test_status_is_read_with_its_retry_delay() -> None:
    """Message and RetryInfo of a ``google.rpc.Status``; garbage says nothing and breaks nothing."""
    status = read_status(Refuse(Code.UNAVAILABLE, "busy", 1.5).status().SerializeToString())
    assert (status.message, status.retry_after) == ("busy", 1.5)
    assert read_status(Refuse().status().SerializeToString()).retry_after is None
    assert read_status(b"\xff\xff garbage").message == ""


def test_an_extension_that_cannot_authenticate_clients_is_refused() -> None:
    """The mistake is found at start, not with the first request."""

    class Other:
        async def start(self, host: object) -> None: ...
        async def shutdown(self) -> None: ...

    auth = ClientAuthConfig(authenticator="health_check")
    with pytest.raises(StartError, match="health_check cannot authenticate"):
        find_authenticator(StubHost({"health_check": Other()}), auth)
    with pytest.raises(StartError):
        find_authenticator(StubHost(), auth)
    assert find_authenticator(StubHost(), None) is None


@pytest.mark.parametrize(
    ("said", "left"),
    [
        ("bad token sk-0123456789abcdef", "bad token [REDACTED]"),
        ("Bearer sk-0123456789abcdef is expired", "Bearer [REDACTED] is expired"),
        ("a shortened quote: sk-01234567…", "a shortened quote: [REDACTED]"),
        ("nothing of ours", "nothing of ours"),
    ],
)
def test_credentials_are_hidden_in_what_a_destination_quotes(said: str, left: str) -> None:
    """Our own token never reaches a log, although the destination repeats it in its refusal."""
    assert str(hide(PermanentError(said), ["Bearer sk-0123456789abcdef", "acme"])) == left
