"""What HTTP says of refusals."""

from __future__ import annotations

import pytest

from untrace_pipeline.errors import Code, ConsumeError, OversizeError, PermanentError, RetryableError
from untrace_pipeline.net.http_message import metadata
from untrace_pipeline.net.refusal import http_refusal


@pytest.mark.parametrize(
    ("error", "status", "delay"),
    [
        (RetryableError("x"), 503, "1"),
        (RetryableError("x", retry_after=2.1), 503, "3"),
        (RetryableError("x", retry_after=0.0), 503, "1"),
        (RetryableError("x", code=Code.RESOURCE_EXHAUSTED, retry_after=5), 429, "5"),
        (OversizeError("x"), 413, None),
        (PermanentError("x", code=Code.INVALID_ARGUMENT), 400, None),
        (PermanentError("x", code=Code.UNAUTHENTICATED), 401, None),
        (PermanentError("x", code=Code.PERMISSION_DENIED), 403, None),
        (PermanentError("x", code=Code.UNIMPLEMENTED), 404, None),
        (PermanentError("x"), 500, None),
    ],
)
def test_refusal(error: ConsumeError, status: int, delay: str | None) -> None:
    """Who may come again is told when, and nobody else is."""
    refusal = http_refusal(error)
    assert (refusal.status, str(refusal)) == (status, "x")
    assert dict(refusal.headers).get("retry-after") == delay


def test_metadata_keeps_all_values() -> None:
    """A header that occurs twice has both values."""
    assert metadata([(b"a", b"1"), (b"b", b"\xe9"), (b"a", b"2")]) == {"a": ("1", "2"), "b": ("é",)}
