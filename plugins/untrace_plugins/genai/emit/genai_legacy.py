"""OpenTelemetry GenAI until v1.36, as LangSmith, Respan and others read it beside the current names.

Messages move under numbered keys; everything else keeps its name and gets its older one too. LangSmith's own words say
what the old convention has none for: kinds, tags and metadata; Respan's say user and thread, twice, because its
documentation and its SDK have other names for them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from untrace_plugins.genai import names
from untrace_plugins.genai.emit.indexed import indexed_messages
from untrace_plugins.genai.emit.span import Changes, Span, beside, strings
from untrace_plugins.genai.emit.words import conversation, metadata, moved_in_out, plain, total_tokens, word_of
from untrace_plugins.genai.names import Kind, Operation

__all__ = ["LANGSMITH_KINDS", "emit_genai_legacy"]

_OLDER_NAMES: Final = {
    names.PROVIDER: names.SYSTEM,
    names.USAGE_INPUT: "gen_ai.usage.prompt_tokens",
    names.USAGE_OUTPUT: "gen_ai.usage.completion_tokens",
    names.USAGE_CACHE_READ: "gen_ai.usage.cache_read_input_tokens",
    names.USAGE_CACHE_CREATION: "gen_ai.usage.cache_creation_input_tokens",
    names.USAGE_REASONING: "gen_ai.usage.details.reasoning_tokens",
    names.REQUEST_SEED: "gen_ai.openai.request.seed",
    names.OPENAI_REQUEST_SERVICE_TIER: "gen_ai.openai.request.service_tier",
    names.OPENAI_RESPONSE_SERVICE_TIER: "gen_ai.openai.response.service_tier",
    names.OPENAI_SYSTEM_FINGERPRINT: "gen_ai.openai.response.system_fingerprint",
    names.SESSION_ID: "langsmith.trace.session_id",
}
_RESPAN: Final = {
    names.USER_ID: ("respan.customer.identifier", "respan.customer_params.customer_identifier"),
    names.SESSION_ID: ("respan.thread.id", "respan.threads.thread_identifier"),
}
LANGSMITH_KINDS: Final[Mapping[str, str]] = {
    Operation.CHAT: "llm",
    Operation.GENERATE_CONTENT: "llm",
    Operation.TEXT_COMPLETION: "llm",
    Operation.EMBEDDINGS: "embedding",
    Operation.RETRIEVAL: "retriever",
    Operation.EXECUTE_TOOL: "tool",
    Kind.PROMPT: "prompt",
}
"""LangSmith's types of runs; ``chain`` for all others."""


def emit_genai_legacy(span: Span) -> Changes:
    """Return the older names beside the current ones, and messages under numbered keys instead of JSON."""
    attributes = span.attributes
    changes = beside(span, _OLDER_NAMES)
    total = total_tokens(span)
    if total is not None:
        changes["gen_ai.usage.total_tokens"] = total
    moved = moved_in_out(span, "gen_ai.prompt", "gen_ai.completion")
    word = word_of(span)
    if word is not None or moved:
        changes["langsmith.span.kind"] = LANGSMITH_KINDS.get(word or "", "chain")
    for name, ours in _RESPAN.items():
        if word is not None and attributes.get(name) is not None:
            changes |= dict.fromkeys(ours, attributes[name])
    return changes | conversation(span) | _attached(span) | moved | indexed_messages(span)


def _attached(span: Span) -> Changes:
    changes: Changes = {}
    tags = strings(span.attributes.get(names.TAGS))
    if tags and not any("," in tag for tag in tags):
        changes |= {names.TAGS: None, "langsmith.span.tags": ",".join(tags)}
    attached = metadata(span)
    if attached is not None:
        changes[names.METADATA] = None
        changes |= {f"langsmith.metadata.{key}": plain(value) for key, value in attached.items()}
    return changes
