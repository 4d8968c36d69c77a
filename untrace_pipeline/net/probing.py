"""Questions to a destination over HTTP that change nothing there."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Container, Sequence

from untrace_pipeline.api.destination import ProbeResult
from untrace_pipeline.errors import Code, ConsumeError
from untrace_pipeline.net.client import one_line
from untrace_pipeline.net.http_answer import Answer

__all__ = ["ask"]

TIMEOUT_SECONDS = 10.0
_OK = range(200, 300)
_CREDENTIALS = {401, 403}


async def ask(question: Awaitable[Answer], *, also: Container[int] = ()) -> Sequence[ProbeResult]:
    """Return what an answer says of health and credentials; ``also`` are statuses besides 2xx that say all is well.

    Raises nothing for a failure there.
    """
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            answer = await question
    except TimeoutError:
        return [ProbeResult("health", ok=False, message=f"no answer within {TIMEOUT_SECONDS:.0f} s")]
    except ConsumeError as error:
        what = "credentials" if error.code is Code.UNAUTHENTICATED else "health"
        return [ProbeResult(what, ok=False, message=one_line(str(error)))]
    said = f"HTTP {answer.status}"
    if answer.status in _CREDENTIALS:
        return [ProbeResult("health", ok=True, message=said), ProbeResult("credentials", ok=False, message=said)]
    if answer.status in _OK or answer.status in also:
        return [ProbeResult("health", ok=True, message=said), ProbeResult("credentials", ok=True, message="taken")]
    return [ProbeResult("health", ok=False, message=said)]
