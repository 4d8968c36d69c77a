"""Calls of the `cohere` client, version 2 of its API."""

from __future__ import annotations

from typing import Any

import cohere

from tests.support.llm_clients.driver import MESSAGES, TIMEOUT_SECONDS, Call, openai_tool, serve

CHAT: dict[str, Any] = {"model": "command-a-03-2025", "messages": MESSAGES, "temperature": 0.3, "p": 0.9, "k": 40}
TOOLS: dict[str, Any] = {"tools": [openai_tool(), openai_tool("forecast")]}


def options(call: Call) -> dict[str, Any]:
    """Return what a call says besides itself."""
    return {"request_options": {"additional_headers": call.headers, "max_retries": 0}}


def client(call: Call, kind: Any) -> Any:
    """Return a client."""
    return kind(api_key=call.key, base_url=call.url, timeout=TIMEOUT_SECONDS)


def chat(call: Call, **more: Any) -> Any:
    """Chat."""
    return client(call, cohere.ClientV2).chat(**CHAT, **more, **options(call))


def stream(call: Call, **more: Any) -> Any:
    """Chat, and read the stream to its end."""
    return list(client(call, cohere.ClientV2).chat_stream(**CHAT, **more, **options(call)))


async def chat_async(call: Call) -> Any:
    """Chat with the asynchronous client."""
    return await client(call, cohere.AsyncClientV2).chat(**CHAT, **options(call))


async def stream_async(call: Call) -> Any:
    """Read a stream with the asynchronous client."""
    return [one async for one in client(call, cohere.AsyncClientV2).chat_stream(**CHAT, **options(call))]


serve(
    {
        "plain": chat,
        "stream": stream,
        "tools": lambda call: chat(call, **TOOLS),
        "stream_tools": lambda call: stream(call, **TOOLS),
        "async": chat_async,
        "async_stream": stream_async,
        "reasoning": lambda call: chat(call, thinking={"type": "enabled"}),
    }
)
