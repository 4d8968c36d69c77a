"""A running ``untrace`` receiver, and requests to it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import orjson

from tests.support.receivers import Receiving, receiving
from untrace_pipeline.data import Signal
from untrace_plugins.receivers.untrace import FACTORY

CHAT: dict[str, Any] = {
    "id": "b1946ac9-2efd-4e84-8ff3-30a1f1a4f7a7",
    "sessionId": "session-1",
    "startTime": 1_700_000_000_000,
    "endTime": 1_700_000_001_500,
    "provider": "openai",
    "model": "gpt-4o",
    "request": {
        "messages": [{"role": "user", "content": "Why is the sky blue?"}],
        "parameters": {"temperature": 0.2, "max_tokens": 64},
    },
    "response": {
        "id": "chatcmpl-1",
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": "Rayleigh."}, "finish_reason": "stop"},
        ],
        "usage": {"prompt_tokens": 12, "completion_tokens": 4, "total_tokens": 16},
    },
    "metadata": {
        "customerId": "acme",
        "applicationId": "weather",
        "environment": "production",
        "version": "1.2.3",
        "tags": {"team": "search"},
    },
    "metrics": {"latency_ms": 1500, "time_to_first_token_ms": 250, "tokens_per_second": 8, "estimated_cost": 0.00042},
}
MINIMAL: dict[str, Any] = {"provider": "openai", "model": "gpt-4o", "request": {"prompt": "Hi"}}


@dataclass
class Answer:
    """What came back."""

    status: int
    headers: Any
    body: Any


class Client:
    """Sends requests to one receiver."""

    def __init__(self, here: Receiving, session: aiohttp.ClientSession) -> None:
        self.here = here
        self.sink = here.sink
        self._session = session

    async def send(
        self,
        path: str,
        given: Any = None,
        headers: dict[str, str] | None = None,
        *,
        method: str = "POST",
        body: bytes | None = None,
    ) -> Answer:
        data = body if body is not None else None if given is None else orjson.dumps(given)
        url = f"http://{self.here.receiver.endpoint}{path}"
        sent = {"content-type": "application/json", **(headers or {})}
        async with self._session.request(method, url, data=data, headers=sent) as answer:
            content = await answer.read()
            return Answer(answer.status, answer.headers, orjson.loads(content) if content else None)


@asynccontextmanager
async def running(sink: Any = None, **options: Any) -> AsyncIterator[Client]:
    """Start the receiver with some options."""
    options = {"endpoint": "127.0.0.1:0", **options}
    async with (
        receiving(FACTORY, options, signals=[Signal.TRACES], sink=sink) as here,
        aiohttp.ClientSession() as session,
    ):
        yield Client(here, session)
