"""Calls of the `anthropic` client."""

from __future__ import annotations

from typing import Any

from anthropic import Anthropic, AsyncAnthropic

from tests.support.llm_clients.driver import PARAMETERS, QUESTION, SYSTEM, TIMEOUT_SECONDS, Call, serve

CHAT: dict[str, Any] = {
    "model": "claude-sonnet-4-5",
    "max_tokens": 2048,
    "system": SYSTEM,
    "messages": [{"role": "user", "content": QUESTION}],
    "metadata": {"user_id": "user-1"},
}
TOOLS: dict[str, Any] = {
    "tools": [{"name": name, "description": "Weather.", "input_schema": PARAMETERS} for name in ("weather", "forecast")]
}
THINKING: dict[str, Any] = {"thinking": {"type": "enabled", "budget_tokens": 1024}}


def client(call: Call, kind: Any = Anthropic) -> Any:
    """Return a client that does not retry."""
    return kind(
        base_url=call.url, api_key=call.key, default_headers=call.headers, max_retries=0, timeout=TIMEOUT_SECONDS
    )


def message(call: Call, **more: Any) -> Any:
    """Make a message; streams are read to their end."""
    with client(call) as opened:
        found = opened.messages.create(**CHAT, **more)
        return list(found) if more.get("stream") else found


async def message_async(call: Call, **more: Any) -> Any:
    """Make a message with the asynchronous client."""
    async with client(call, AsyncAnthropic) as opened:
        found = await opened.messages.create(**CHAT, **more)
        return [event async for event in found] if more.get("stream") else found


def helper(call: Call, **more: Any) -> Any:
    """Read a stream by the helper that puts it together."""
    with client(call) as opened, opened.messages.stream(**CHAT, **more) as stream:
        return stream.get_final_message()


def count(call: Call) -> Any:
    """Count tokens: a path of which the proxy knows nothing."""
    with client(call) as opened:
        return opened.messages.count_tokens(model=CHAT["model"], messages=CHAT["messages"])


serve(
    {
        "plain": message,
        "stream": lambda call: message(call, stream=True),
        "tools": lambda call: message(call, **TOOLS),
        "stream_tools": lambda call: message(call, stream=True, **TOOLS),
        "stream_helper": lambda call: helper(call, **TOOLS),
        "async": message_async,
        "async_stream": lambda call: message_async(call, stream=True),
        "reasoning": lambda call: message(call, **THINKING),
        "stream_reasoning": lambda call: message(call, stream=True, **THINKING),
        "count_tokens": count,
    }
)
