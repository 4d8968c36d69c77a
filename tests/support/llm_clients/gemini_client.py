"""Calls of the `google-genai` client."""

from __future__ import annotations

from typing import Any

import google.genai

from tests.support.llm_clients.driver import PARAMETERS, QUESTION, SYSTEM, TIMEOUT_SECONDS, Call, serve

MODEL = "gemini-2.5-flash"
CONFIG: dict[str, Any] = {"system_instruction": SYSTEM, "temperature": 0.2, "top_k": 40, "max_output_tokens": 500}
FUNCTIONS = [{"name": name, "description": "Weather.", "parameters_json_schema": PARAMETERS} for name in ("a", "b")]
TOOLS = {"tools": [{"function_declarations": FUNCTIONS}]}
THINKING = {"thinking_config": {"include_thoughts": True, "thinking_budget": 512}}


def client(call: Call) -> Any:
    """Return a client that does not retry."""
    options = {"base_url": call.url, "headers": call.headers, "timeout": int(TIMEOUT_SECONDS * 1000)}
    return google.genai.Client(api_key=call.key, http_options=options)


def generate(call: Call, **config: Any) -> Any:
    """Make an answer."""
    with client(call) as opened:
        return _bare(opened.models.generate_content(model=MODEL, contents=QUESTION, config=CONFIG | config))


def stream(call: Call, **config: Any) -> Any:
    """Read a stream to its end."""
    with client(call) as opened:
        found = opened.models.generate_content_stream(model=MODEL, contents=QUESTION, config=CONFIG | config)
        return [_bare(one) for one in found]


async def generate_async(call: Call) -> Any:
    """Make an answer with the asynchronous client."""
    async with client(call).aio as opened:
        return _bare(await opened.models.generate_content(model=MODEL, contents=QUESTION, config=CONFIG))


async def stream_async(call: Call) -> Any:
    """Read a stream with the asynchronous client."""
    async with client(call).aio as opened:
        found = await opened.models.generate_content_stream(model=MODEL, contents=QUESTION, config=CONFIG)
        return [_bare(one) async for one in found]


def embed(call: Call) -> Any:
    """Make an embedding."""
    with client(call) as opened:
        return _bare(opened.models.embed_content(model="gemini-embedding-001", contents=[QUESTION, "another"]))


def _bare(answer: Any) -> Any:
    """Return an answer without the headers that it carries; they are compared apart."""
    answer.sdk_http_response = None
    return answer


serve(
    {
        "plain": generate,
        "stream": stream,
        "tools": lambda call: generate(call, **TOOLS),
        "stream_tools": lambda call: stream(call, **TOOLS),
        "async": generate_async,
        "async_stream": stream_async,
        "reasoning": lambda call: generate(call, **THINKING),
        "stream_reasoning": lambda call: stream(call, **THINKING),
        "embeddings": embed,
    }
)
