"""Requests of every API, each in the same cases: a text, a limit, tools, thinking; plain or streamed."""

from __future__ import annotations

from typing import Any

__all__ = ["APIS", "CASES", "LONG", "QUESTION"]

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
QUESTION = "Where is my parcel? Grüße aus Köln 🚚"
LONG = QUESTION * 80
"""Long enough for a part of it to be cached."""


def openai_chat(question: str, **more: Any) -> tuple[str, dict[str, Any]]:
    """Chat completions."""
    tools = [{"type": "function", "function": {"name": "track", "parameters": SCHEMA}}] if more.pop("tools", 0) else []
    thinking = {"reasoning_effort": "high"} if more.pop("thinks", 0) else {}
    body: dict[str, Any] = {"messages": [{"role": "user", "content": question}], "model": "gpt-4o-mini", **thinking}
    if more.get("stream"):
        body["stream_options"] = {"include_usage": True}
    return "/v1/chat/completions", {**body, **({"tools": tools} if tools else {}), **more}


def deepseek(question: str, **more: Any) -> tuple[str, dict[str, Any]]:
    """Chat completions of a model that shows its reasoning."""
    target, body = openai_chat(question, **more)
    return target, {**body, "model": "deepseek-reasoner"}


def azure(question: str, **more: Any) -> tuple[str, dict[str, Any]]:
    """Chat completions of a deployment."""
    _, body = openai_chat(question, **more)
    del body["model"]
    return "/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21", body


def completions(question: str, **more: Any) -> tuple[str, dict[str, Any]]:
    """Legacy completions; they know neither tools nor thinking."""
    more.pop("tools", 0)
    more.pop("thinks", 0)
    options = {"stream_options": {"include_usage": True}} if more.get("stream") else {}
    return "/v1/completions", {"model": "gpt-3.5-turbo-instruct", "prompt": question, **options, **more}


def responses(question: str, **more: Any) -> tuple[str, dict[str, Any]]:
    """The Responses API."""
    body: dict[str, Any] = {"model": "o4-mini", "input": question, "instructions": "Be kind."}
    if more.pop("tools", 0):
        body["tools"] = [{"type": "function", "name": "track", "parameters": SCHEMA}]
    if more.pop("thinks", 0):
        body["reasoning"] = {"effort": "high", "summary": "auto"}
    if "max_tokens" in more:
        body["max_output_tokens"] = more.pop("max_tokens")
    return "/v1/responses", {**body, **more}


def anthropic(question: str, **more: Any) -> tuple[str, dict[str, Any]]:
    """Messages of Anthropic."""
    body: dict[str, Any] = {"model": "claude-sonnet-4-5", "max_tokens": 4096, "system": "Be kind."}
    body["messages"] = [{"role": "user", "content": question}]
    if more.pop("tools", 0):
        body["tools"] = [{"name": "track", "input_schema": SCHEMA}]
    if more.pop("thinks", 0):
        body["thinking"] = {"type": "enabled", "budget_tokens": 1024}
    return "/v1/messages", {**body, **more}


def cohere(question: str, **more: Any) -> tuple[str, dict[str, Any]]:
    """Version 2 of Cohere's chat."""
    body: dict[str, Any] = {"model": "command-a-03-2025", "messages": [{"role": "user", "content": question}]}
    if more.pop("tools", 0):
        body["tools"] = [{"type": "function", "function": {"name": "track", "parameters": SCHEMA}}]
    if more.pop("thinks", 0):
        body["thinking"] = {"type": "enabled"}
    return "/v2/chat", {**body, **more}


def gemini(question: str, **more: Any) -> tuple[str, dict[str, Any]]:
    """Gemini, streaming events."""
    body: dict[str, Any] = {
        "contents": [{"role": "user", "parts": [{"text": question}]}],
        "systemInstruction": {"parts": [{"text": "Be kind."}]},
        "generationConfig": {},
    }
    if more.pop("tools", 0):
        body["tools"] = [{"functionDeclarations": [{"name": "track", "parameters": SCHEMA}]}]
    if more.pop("thinks", 0):
        body["generationConfig"]["thinkingConfig"] = {"thinkingLevel": "HIGH"}
    if "max_tokens" in more:
        body["generationConfig"]["maxOutputTokens"] = more.pop("max_tokens")
    method = "streamGenerateContent?alt=sse" if more.pop("stream", False) else "generateContent"
    return f"/v1beta/models/gemini-2.5-flash:{method}", {**body, **more}


def gemini_array(question: str, **more: Any) -> tuple[str, dict[str, Any]]:
    """Gemini, streaming the elements of an array."""
    target, body = gemini(question, **more)
    return target.removesuffix("?alt=sse"), body


APIS = [openai_chat, deepseek, azure, completions, responses, anthropic, cohere, gemini, gemini_array]
CASES: dict[str, dict[str, Any]] = {
    "text": {},
    "cut": {"max_tokens": 5},
    "tools": {"tools": True},
    "thinking": {"thinks": True},
    "thinking and tools": {"thinks": True, "tools": True},
}
