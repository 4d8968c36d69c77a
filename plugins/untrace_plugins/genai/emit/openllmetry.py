"""OpenLLMetry, as Traceloop and others built upon it read it: numbered messages, ``llm.*`` and ``traceloop.*``.

The names that it shares with OpenTelemetry GenAI stay.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from untrace_plugins.genai import names
from untrace_plugins.genai.emit.chat import tools
from untrace_plugins.genai.emit.content import as_text, to_json
from untrace_plugins.genai.emit.indexed import indexed_messages
from untrace_plugins.genai.emit.span import Changes, Span, beside, strings
from untrace_plugins.genai.emit.words import metadata, moved_in_out, plain, total_tokens, word_of
from untrace_plugins.genai.names import Kind, Operation

__all__ = ["emit_openllmetry"]

_REQUEST_TYPES: Final[Mapping[str, str]] = {
    Operation.CHAT: "chat",
    Operation.GENERATE_CONTENT: "chat",
    Operation.TEXT_COMPLETION: "completion",
    Operation.EMBEDDINGS: "embedding",
    Kind.RERANKER: "rerank",
}
_KINDS: Final[Mapping[str, str]] = {
    Operation.EXECUTE_TOOL: "tool",
    Operation.CREATE_AGENT: "agent",
    Operation.INVOKE_AGENT: "agent",
    Operation.INVOKE_WORKFLOW: "workflow",
    Kind.CHAIN: "task",
}
_OLDER_NAMES: Final = {
    names.PROVIDER: names.SYSTEM,
    names.USAGE_INPUT: "gen_ai.usage.prompt_tokens",
    names.USAGE_OUTPUT: "gen_ai.usage.completion_tokens",
    names.USAGE_CACHE_READ: "gen_ai.usage.cache_read_input_tokens",
    names.USAGE_CACHE_CREATION: "gen_ai.usage.cache_creation_input_tokens",
    names.USAGE_REASONING: "gen_ai.usage.reasoning_tokens",
    names.REQUEST_STREAM: "llm.is_streaming",
    names.REQUEST_FREQUENCY_PENALTY: "llm.frequency_penalty",
    names.REQUEST_PRESENCE_PENALTY: "llm.presence_penalty",
    names.REQUEST_TOP_K: "llm.top_k",
    names.REQUEST_STOP_SEQUENCES: "llm.chat.stop_sequences",
    names.REQUEST_REASONING_LEVEL: "gen_ai.request.reasoning_effort",
    names.OPENAI_SYSTEM_FINGERPRINT: "gen_ai.openai.system_fingerprint",
    names.WORKFLOW_NAME: "traceloop.workflow.name",
    names.PROMPT_NAME: "traceloop.prompt.key",
}
_ENTITY_NAMES: Final = (names.TOOL_NAME, names.AGENT_NAME, names.WORKFLOW_NAME)
_PROPERTIES: Final = "traceloop.association.properties"


def emit_openllmetry(span: Span) -> Changes:
    """Return OpenLLMetry's older names beside the current ones; messages, in- and output and metadata move."""
    changes = beside(span, _OLDER_NAMES)
    total = total_tokens(span)
    if total is not None:
        changes["llm.usage.total_tokens"] = total
    changes |= _kind(span) | _tools(span) | _attached(span) | indexed_messages(span)
    return changes | moved_in_out(span, "traceloop.entity.input", "traceloop.entity.output")


def _kind(span: Span) -> Changes:
    word = word_of(span)
    if word is None:
        return {}
    if word in _REQUEST_TYPES:
        return {"llm.request.type": _REQUEST_TYPES[word]}
    if word not in _KINDS:
        return {}
    changes: Changes = {"traceloop.span.kind": _KINDS[word]}
    named = next((name for name in map(span.text, _ENTITY_NAMES) if name), None)
    if named is not None:
        changes["traceloop.entity.name"] = named
    return changes


def _tools(span: Span) -> Changes:
    changes: Changes = {}
    found = tools(span)
    if found is None:
        return changes
    for place, tool in enumerate(found):
        function = tool.get("function")
        if not isinstance(function, dict) or not function.keys() <= {"name", "description", "parameters"}:
            return {}  # what is no plain function has no place in this form; the definitions stay as they are
        at = f"llm.request.functions.{place}"
        changes |= {f"{at}.{key}": as_text(value) for key, value in function.items() if value is not None}
    return {**changes, names.TOOL_DEFINITIONS: None}


def _attached(span: Span) -> Changes:
    changes: Changes = {}
    attached = metadata(span)
    if attached is not None:
        changes[names.METADATA] = None
        changes |= {f"{_PROPERTIES}.{key}": plain(value) for key, value in attached.items()}
    tags = strings(span.attributes.get(names.TAGS))
    if tags:
        changes |= {names.TAGS: None, f"{_PROPERTIES}.tags": to_json(tags)}
    for name, key in ((names.SESSION_ID, "session_id"), (names.USER_ID, "user_id")):
        value = span.attributes.get(name)
        if value is not None:
            changes[f"{_PROPERTIES}.{key}"] = value
    return changes
