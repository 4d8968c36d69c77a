"""Calls of LangChain's models of OpenAI and Anthropic."""

from __future__ import annotations

from typing import Any

from langchain_anthropic import ChatAnthropic
from langchain_openai import ChatOpenAI

from tests.support.llm_clients.driver import MESSAGES, TIMEOUT_SECONDS, Call, openai_tool, serve

TOOLS = [openai_tool(), openai_tool("forecast")]


def openai(call: Call) -> Any:
    """Return the model of OpenAI."""
    return ChatOpenAI(
        model="gpt-4o-mini",
        base_url=f"{call.url}/v1",
        api_key=call.key,
        default_headers=call.headers,
        max_retries=0,
        timeout=TIMEOUT_SECONDS,
        stream_usage=True,
    )


def anthropic(call: Call) -> Any:
    """Return the model of Anthropic."""
    return ChatAnthropic(
        model="claude-sonnet-4-5",
        base_url=call.url,
        api_key=call.key,
        default_headers=call.headers,
        max_retries=0,
        timeout=TIMEOUT_SECONDS,
        max_tokens=2048,
    )


def cases(name: str, model: Any) -> dict[str, Any]:
    """Return the calls of a model."""

    async def invoke_async(call: Call) -> Any:
        return _bare(await model(call).ainvoke(MESSAGES))

    async def stream_async(call: Call) -> Any:
        return [_bare(one) async for one in model(call).astream(MESSAGES)]

    return {
        f"{name}_plain": lambda call: _bare(model(call).invoke(MESSAGES)),
        f"{name}_stream": lambda call: [_bare(one) for one in model(call).stream(MESSAGES)],
        f"{name}_tools": lambda call: _bare(model(call).bind_tools(TOOLS).invoke(MESSAGES)),
        f"{name}_stream_tools": lambda call: [_bare(one) for one in model(call).bind_tools(TOOLS).stream(MESSAGES)],
        f"{name}_async": invoke_async,
        f"{name}_async_stream": stream_async,
    }


def _bare(message: Any) -> Any:
    """Return a message without the id that LangChain gives each run."""
    if str(message.id).startswith("lc_run-"):
        message.id = None
    return message


serve({**cases("openai", openai), **cases("anthropic", anthropic)})
