"""Requests to LLM APIs with a canary in every place: a word of its own, which says where it was planted."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from tests.support.llm_proxy import CHAT

__all__ = ["CALLS", "CREDENTIALS", "OPENAI_CONTENTS", "OTHERS", "canary", "found_in", "headers", "query"]

TOKEN = "zq7xk"
CANARY = re.compile(rb"([\w.\-]*)-zq7xk")

CREDENTIALS = (
    "authorization",
    "proxy-authorization",
    "x-api-key",
    "api-key",
    "x-goog-api-key",
    "ocp-apim-subscription-key",
    "x-amz-security-token",
    "x-amz-date",
    "cookie",
    "x-untrace-key",
    "helicone-auth",
    "x-portkey-api-key",
    "x-portkey-virtual-key",
    "cf-aig-authorization",
    "x-litellm-api-key",
    "wandb-api-key",
    "dd-api-key",
    "dd-application-key",
    "x-honeycomb-team",
    "x-auth-token",
    "lunary-project-key",
    "x-langfuse-public-key",
)
OTHERS = (
    "openai-organization",
    "openai-project",
    "x-forwarded-for",
    "user-agent",
    "referer",
    "x-anything",
    "openai-beta",
)
QUERY = ("key", "api_key", "access_token", "sig", "X-Amz-Signature", "X-Amz-Credential", "anything")


def canary(place: str) -> str:
    """Return the canary of a place."""
    return f"{place}-{TOKEN}"


def headers() -> dict[str, str]:
    """Return every header with its canary, in the form that it has in life."""
    found = {name: canary(name) for name in (*CREDENTIALS, *OTHERS)}
    found["authorization"] = f"Bearer {canary('authorization')}"
    found["proxy-authorization"] = f"Basic {canary('proxy-authorization')}"
    found["cookie"] = f"session={canary('cookie')}; theme=dark"
    return found


def query() -> str:
    """Return a query with a canary in each parameter."""
    return "&".join(f"{name}={canary(f'query.{name}')}" for name in QUERY)


def _function(place: str) -> dict[str, Any]:
    schema = {"type": "object", "properties": {canary(f"{place}.property"): {"description": canary(f"{place}.note")}}}
    return {"name": "weather", "description": canary(f"{place}.description"), "parameters": schema}


OPENAI_CONTENTS: dict[str, Any] = {
    "messages": [
        {"role": "system", "content": canary("system")},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": canary("text")},
                {"type": "image_url", "image_url": {"url": f"https://x/{canary('image')}"}},
            ],
        },
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {
                    "id": "call_1",
                    "type": "function",
                    "function": {"name": "weather", "arguments": json.dumps({"city": canary("arguments")})},
                }
            ],
        },
        {"role": "tool", "tool_call_id": "call_1", "content": canary("tool.result")},
        {"role": "user", "name": "ann", "content": canary("last")},
    ],
    "tools": [{"type": "function", "function": _function("tools")}],
    "stop": [canary("stop")],
}
"""What is content: `full` tells it, `metadata` does not."""
OPENAI_REST: dict[str, Any] = {
    "response_format": {
        "type": "json_schema",
        "json_schema": {"name": "x", "schema": {"description": canary("schema")}},
    },
    "prediction": {"type": "content", "content": canary("prediction")},
    "logit_bias": {canary("logit_bias"): 1},
    "api_key": canary("body.api_key"),
    "extra_headers": {"Authorization": canary("body.extra_headers")},
    "web_search_options": {"user_location": {"approximate": {"city": canary("web_search")}}},
    canary("unknown.name"): canary("unknown.value"),
}
"""What nobody has to know."""
ANTHROPIC_CONTENTS: dict[str, Any] = {
    "system": [{"type": "text", "text": canary("anthropic.system")}],
    "messages": [
        {"role": "user", "content": canary("anthropic.text")},
        {
            "role": "assistant",
            "content": [
                {"type": "tool_use", "id": "t1", "name": "weather", "input": {"city": canary("anthropic.input")}}
            ],
        },
        {
            "role": "user",
            "content": [{"type": "tool_result", "tool_use_id": "t1", "content": canary("anthropic.result")}],
        },
    ],
    "tools": [{"name": "weather", "input_schema": {"type": "object", "description": canary("anthropic.schema")}}],
    "stop_sequences": [canary("anthropic.stop")],
}
ANTHROPIC_REST: dict[str, Any] = {
    "mcp_servers": [
        {"type": "url", "url": f"https://{canary('mcp.url')}/", "name": "m", "authorization_token": canary("mcp.token")}
    ],
    "container": {"skills": [canary("skills")]},
}
GEMINI_CONTENTS: dict[str, Any] = {
    "systemInstruction": {"parts": [{"text": canary("gemini.system")}]},
    "contents": [{"role": "user", "parts": [{"text": canary("gemini.text")}]}],
    "tools": [{"functionDeclarations": [_function("gemini.tools")]}],
}
GEMINI_REST: dict[str, Any] = {"safetySettings": [{"category": canary("safety")}], "cachedContent": canary("cached")}
COHERE_CONTENTS: dict[str, Any] = {
    "messages": [{"role": "user", "content": canary("cohere.text")}],
    "documents": [{"id": "d", "data": {"text": canary("cohere.document")}}],
}
RESPONSES_CONTENTS: dict[str, Any] = {
    "instructions": canary("responses.instructions"),
    "input": [{"role": "user", "content": [{"type": "input_text", "text": canary("responses.text")}]}],
}
RESPONSES_REST: dict[str, Any] = {
    "tools": [
        {
            "type": "mcp",
            "server_label": "m",
            "server_url": "https://m/",
            "headers": {"Authorization": canary("responses.mcp")},
        }
    ],
    "prompt": {"id": "p", "variables": {"x": canary("responses.variable")}},
}
CALLS: tuple[tuple[str, dict[str, Any], dict[str, Any]], ...] = (
    (CHAT, {"model": "gpt-4o-mini", **OPENAI_CONTENTS}, OPENAI_REST),
    (CHAT, {"model": "gpt-4o-mini", "stream": True, **OPENAI_CONTENTS}, OPENAI_REST),
    ("/v1/responses", {"model": "gpt-4o-mini", **RESPONSES_CONTENTS}, RESPONSES_REST),
    ("/v1/embeddings", {"model": "text-embedding-3-small", "input": [canary("embeddings")]}, {}),
    (
        "/v1/completions",
        {"model": "gpt-3.5-turbo-instruct", "prompt": canary("prompt"), "suffix": canary("suffix")},
        {},
    ),
    ("/openai/deployments/gpt-4o/chat/completions", OPENAI_CONTENTS, OPENAI_REST),
    ("/v1/messages", {"model": "claude-sonnet-4-5", "max_tokens": 9, **ANTHROPIC_CONTENTS}, ANTHROPIC_REST),
    ("/v2/chat", {"model": "command-a-03-2025", **COHERE_CONTENTS}, {}),
    ("/v1beta/models/gemini-2.5-flash:generateContent", GEMINI_CONTENTS, GEMINI_REST),
    ("/v1/files", {"purpose": canary("other.body")}, {}),
)


def found_in(outputs: Mapping[str, bytes]) -> dict[str, set[str]]:
    """Return the places whose canaries are in an output, by output."""
    found = {name: {match.decode() for match in CANARY.findall(data)} for name, data in outputs.items()}
    return {name: places for name, places in found.items() if places}
