"""Questions to destinations: what an answer says."""

from __future__ import annotations

import pytest

from untrace_pipeline.api import ProbeResult
from untrace_pipeline.errors import Code, RetryableError
from untrace_pipeline.net.http_answer import Answer
from untrace_pipeline.net.probing import ask


async def answer(status: int) -> Answer:
    return Answer(status, "text/plain", b"")


@pytest.mark.parametrize(
    ("status", "found"),
    [
        (204, {"health": True, "credentials": True}),
        (400, {"health": False}),
        (401, {"health": True, "credentials": False}),
        (403, {"health": True, "credentials": False}),
        (500, {"health": False}),
        (422, {"health": True, "credentials": True}),
    ],
)
async def test_statuses(status: int, found: dict[str, bool]) -> None:
    """Who answers is there; who refuses us is there too."""
    results = await ask(answer(status), also={422})
    assert {one.what: one.ok for one in results} == found
    assert results[0].message == f"HTTP {status}"


async def test_no_answer_is_one_too() -> None:
    """Nothing is raised; without credentials, that is what is told."""

    async def fail(error: Exception) -> Answer:
        raise error

    assert await ask(fail(RetryableError("cannot connect"))) == [
        ProbeResult("health", ok=False, message="cannot connect")
    ]
    [result] = await ask(fail(RetryableError("no credentials", code=Code.UNAUTHENTICATED)))
    assert result.what == "credentials"
