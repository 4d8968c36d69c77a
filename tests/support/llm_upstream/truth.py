"""What really happened in a call: which answer a model gave, and what it says of tokens.

The answer depends on the request alone: tools in it are called (two at once), reasoning that is asked for is given,
everything else gets a text.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from tests.support.llm_upstream.ask import Ask

__all__ = ["ToolCall", "Truth", "truth_of"]

TEXT = (
    "The parcel left Zürich on 3 May and waits at customs in Genève — it should arrive within two working days 📦.\n"
    'If it does not, write to the "claims" desk; 日本語でも大丈夫です.'
)
PLAN = "I will look up both cities."
"""What Cohere says before it calls tools."""
REASONING = "The customer asks where the parcel is. The last scan was at customs, so two days are likely."
BYTES_PER_TOKEN = 4
CACHED_SHARE = 4
_DATED = {
    "gpt-4o-mini": "gpt-4o-mini-2024-07-18",
    "gpt-4o": "gpt-4o-2024-08-06",
    "o4-mini": "o4-mini-2025-04-16",
    "claude-sonnet-4-5": "claude-sonnet-4-5-20250929",
}
_ID_FORMS = {
    "openai.chat": "chatcmpl-{}",
    "openai.completions": "cmpl-{}",
    "openai.responses": "resp_{}",
    "anthropic.messages": "msg_01{}",
    "cohere.chat": "{}",
    "gemini.generate_content": "{}",
}
_TOOL_ID_FORMS = {"anthropic.messages": "toolu_01{}", "cohere.chat": "{}_{}"}
ARGUMENTS: tuple[dict[str, Any], ...] = ({"city": "Zürich", "days": 2}, {"city": "Genève", "note": 'say "hi"'})


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call of a function that the model asks for."""

    id: str
    name: str
    arguments: dict[str, Any]

    @property
    def json(self) -> str:
        """The arguments as the model writes them."""
        return json.dumps(self.arguments, ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class Truth:
    """What a span of the call has to say."""

    api: str
    provider: str
    operation: str
    request_model: str
    response_model: str | None
    response_id: str | None
    stream: bool
    text: str
    reasoning: str
    tool_calls: tuple[ToolCall, ...]
    finish: str | None
    """In the words of the convention: `stop`, `length`, `tool_call`."""
    input_tokens: int | None
    """Cached ones included."""
    output_tokens: int | None
    """Those of reasoning included, whether the answer shows it or not."""
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    usage_sent: bool = True
    """Whether the answer says anything of tokens: chat streams do only when asked."""


def truth_of(ask: Ask) -> Truth:
    """Return what the model answers."""
    operation = _operation(ask.api)
    names = [] if operation not in {"chat", "generate_content"} else tool_names(ask)
    calls = tuple(
        ToolCall(_tool_id(ask, names[number % len(names)], number), names[number % len(names)], arguments)
        for number, arguments in enumerate(ARGUMENTS if names else ())
    )
    speaks = operation in {"chat", "generate_content", "text_completion"}
    thinks = speaks and _reasons(ask)
    reasoning = REASONING if thinks and _shows_reasoning(ask) else ""
    if calls and ask.api == "cohere.chat":
        reasoning = PLAN
    text = "" if calls or not speaks else TEXT
    limit = _limit(ask)
    cut = bool(text) and limit is not None and limit < len(TEXT.split(" "))
    if cut:
        text = " ".join(TEXT.split(" ")[:limit])
    thought = len(REASONING) // BYTES_PER_TOKEN if thinks else 0
    said = len((text + "".join(call.json for call in calls)).encode()) // BYTES_PER_TOKEN
    asked = 11 + ask.size // BYTES_PER_TOKEN
    return Truth(
        api=ask.api,
        provider=ask.provider,
        operation=operation,
        request_model=ask.model,
        response_model=_response_model(ask),
        response_id=_ID_FORMS[ask.api].format(ask.digest[:24]) if ask.api in _ID_FORMS else None,
        stream=ask.stream,
        text=text,
        reasoning=reasoning,
        tool_calls=calls,
        finish=("tool_call" if calls else "length" if cut else "stop") if speaks else None,
        input_tokens=asked if speaks or ask.api == "openai.embeddings" else None,
        output_tokens=said + thought if speaks else None,
        cached_tokens=asked // CACHED_SHARE if speaks and _caches(ask) else 0,
        reasoning_tokens=thought if ask.api != "cohere.chat" else 0,  # it does not say
        usage_sent=_usage_sent(ask),
    )


def tool_names(ask: Ask) -> list[str]:
    """Return the names of the functions that the request offers; none when their results are already there."""
    if _has_results(ask.body):
        return []
    found = []
    for tool in ask.body.get("tools") or []:
        declared = tool.get("functionDeclarations") or tool.get("function_declarations") or [tool.get("function", tool)]
        found += [one["name"] for one in declared if "name" in one]
    return found


def _operation(api: str) -> str:
    match api:
        case "openai.chat" | "openai.responses" | "anthropic.messages" | "cohere.chat":
            return "chat"
        case "gemini.generate_content":
            return "generate_content"
        case "openai.completions":
            return "text_completion"
        case "openai.embeddings" | "gemini.embed_content":
            return "embeddings"
        case _:
            return ""


def _tool_id(ask: Ask, name: str, number: int) -> str:
    if ask.api == "cohere.chat":
        return f"{name}_{ask.digest[number : number + 12]}"
    if ask.api == "gemini.generate_content":
        return ""
    return _TOOL_ID_FORMS.get(ask.api, "call_{}").format(ask.digest[number : number + 22])


def _response_model(ask: Ask) -> str | None:
    if ask.api in {"cohere.chat", "gemini.embed_content", "other"}:
        return None
    return _DATED.get(ask.model, ask.model)


def _reasons(ask: Ask) -> bool:
    body = ask.body
    thinking = body.get("thinking")
    if isinstance(thinking, dict):
        return thinking.get("type") == "enabled"
    generation = body.get("generationConfig") or {}
    return bool(body.get("reasoning_effort") or body.get("reasoning") or generation.get("thinkingConfig"))


def _shows_reasoning(ask: Ask) -> bool:
    """OpenAI's chat completions count it only; those of others have it in a field of their own."""
    return ask.api != "openai.chat" or ask.model.startswith("deepseek")


def _caches(ask: Ask) -> bool:
    return ask.size > 2048  # as providers do: only long prompts


def _limit(ask: Ask) -> int | None:
    body = ask.body
    generation = body.get("generationConfig") or {}
    keys = ("max_tokens", "max_completion_tokens", "max_output_tokens")
    return next((body[key] for key in keys if body.get(key)), generation.get("maxOutputTokens"))


def _usage_sent(ask: Ask) -> bool:
    if ask.stream and ask.api in {"openai.chat", "openai.completions"}:
        return bool((ask.body.get("stream_options") or {}).get("include_usage"))
    return True


def _has_results(body: dict[str, Any]) -> bool:
    """Say whether the last message brings results of tools."""
    messages = body.get("messages") or body.get("contents") or body.get("input") or []
    last = messages[-1] if isinstance(messages, list) and messages and isinstance(messages[-1], dict) else {}
    kinds = {last.get("role"), last.get("type")}
    content = last.get("content") or last.get("parts")
    parts = [part for part in content if isinstance(part, dict)] if isinstance(content, list) else []
    kinds |= {part.get("type") for part in parts}
    results = {"tool", "function_call_output", "tool_result"}
    return bool(kinds & results) or any("functionResponse" in part for part in parts)
