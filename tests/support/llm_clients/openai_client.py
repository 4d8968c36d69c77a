"""Calls of the `openai` client, and of its Azure form."""

from __future__ import annotations

from typing import Any

from openai import AsyncOpenAI, AzureOpenAI, OpenAI

from tests.support.llm_clients.driver import MESSAGES, PARAMETERS, QUESTION, TIMEOUT_SECONDS, Call, openai_tool, serve

MODEL = "gpt-4o-mini"
CHAT: dict[str, Any] = {"model": MODEL, "messages": MESSAGES, "temperature": 0.2, "seed": 7, "user": "user-1"}
TOOLS: dict[str, Any] = {"tools": [openai_tool(), openai_tool("forecast")], "parallel_tool_calls": True}
COUNTED: dict[str, Any] = {"stream": True, "stream_options": {"include_usage": True}}
RESPONSE: dict[str, Any] = {"model": MODEL, "input": QUESTION, "instructions": "Be brief.", "max_output_tokens": 500}
RESPONSE_TOOL = {"type": "function", "name": "weather", "parameters": PARAMETERS, "strict": False}


def client(call: Call, kind: Any = OpenAI) -> Any:
    """Return a client that does not retry."""
    return kind(
        base_url=f"{call.url}/v1",
        api_key=call.key,
        default_headers=call.headers,
        max_retries=0,
        timeout=TIMEOUT_SECONDS,
        organization="org-parcels",
    )


def azure(call: Call, **more: Any) -> Any:
    """Make a call of the Azure client."""
    made = AzureOpenAI(
        azure_endpoint=call.url,
        api_key=call.key,
        api_version="2024-10-21",
        default_headers=call.headers,
        max_retries=0,
        timeout=TIMEOUT_SECONDS,
    )
    with made as opened:
        found = opened.chat.completions.create(**CHAT, **more)
        return list(found) if more.get("stream") else found


def chat(call: Call, **more: Any) -> Any:
    """Make a chat completion; streams are read to their end."""
    with client(call) as opened:
        found = opened.chat.completions.create(**(CHAT | more))
        return list(found) if more.get("stream") else found


async def chat_async(call: Call, **more: Any) -> Any:
    """Make a chat completion with the asynchronous client."""
    async with client(call, AsyncOpenAI) as opened:
        found = await opened.chat.completions.create(**CHAT, **more)
        return [chunk async for chunk in found] if more.get("stream") else found


def chat_helper(call: Call) -> Any:
    """Read a stream by the helper that puts it together."""
    with client(call) as opened, opened.chat.completions.stream(**CHAT) as stream:
        return stream.get_final_completion()


def respond(call: Call, **more: Any) -> Any:
    """Make a call of the Responses API."""
    with client(call) as opened:
        found = opened.responses.create(**RESPONSE, **more)
        return list(found) if more.get("stream") else found


def embed(call: Call) -> Any:
    """Make embeddings; the client asks for base64 and decodes it."""
    with client(call) as opened:
        return opened.embeddings.create(model="text-embedding-3-small", input=[QUESTION, "another"])


def complete(call: Call) -> Any:
    """Make a legacy completion."""
    with client(call) as opened:
        return opened.completions.create(model="gpt-3.5-turbo-instruct", prompt=QUESTION, max_tokens=100)


def models(call: Call) -> Any:
    """List the models."""
    with client(call) as opened:
        return [one.model_dump() for one in opened.models.list()]


def upload(call: Call) -> Any:
    """Upload a file, as a form of several parts whose boundary is chosen anew each time."""
    with client(call) as opened:
        return opened.files.create(file=("batch.jsonl", b'{"custom_id": "1"}\n\x00\xff'), purpose="batch").bytes > 0


serve(
    {
        "plain": chat,
        "stream": lambda call: chat(call, **COUNTED),
        "stream_uncounted": lambda call: chat(call, stream=True),
        "tools": lambda call: chat(call, **TOOLS),
        "stream_tools": lambda call: chat(call, **TOOLS, **COUNTED),
        "stream_helper": chat_helper,
        "async": chat_async,
        "async_stream": lambda call: chat_async(call, **COUNTED),
        "choices": lambda call: chat(call, n=2, **COUNTED),
        "cut": lambda call: chat(call, max_completion_tokens=5),
        "reasoning": lambda call: chat(call, model="o4-mini", reasoning_effort="low"),
        "long": lambda call: chat(call, messages=[{"role": "user", "content": "long " * 20_000}]),
        "responses": respond,
        "responses_stream": lambda call: respond(call, stream=True),
        "responses_tools": lambda call: respond(call, stream=True, tools=[RESPONSE_TOOL]),
        "responses_reasoning": lambda call: respond(call, stream=True, reasoning={"effort": "low", "summary": "auto"}),
        "embeddings": embed,
        "completions": complete,
        "models": models,
        "upload": upload,
        "azure": azure,
        "azure_stream": lambda call: azure(call, **COUNTED),
    }
)
