"""OpenInference (August 2026), which Phoenix and Arize read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from untrace_plugins.genai import names
from untrace_plugins.genai.emit.chat import finish_reasons, tools
from untrace_plugins.genai.emit.content import as_text, is_json, read_objects, to_json
from untrace_plugins.genai.emit.cost import COSTS, CostForm, cost_attributes, cost_of
from untrace_plugins.genai.emit.openinference_messages import flattened_messages
from untrace_plugins.genai.emit.parameters import PARAMETERS, parameters
from untrace_plugins.genai.emit.span import Changes, Span, rename, strings
from untrace_plugins.genai.emit.words import in_out, is_llm_call, metadata, total_tokens, word_of
from untrace_plugins.genai.names import Kind, Operation

__all__ = ["emit_openinference"]

_KINDS: Final[Mapping[str, str]] = {
    Operation.CHAT: "LLM",
    Operation.GENERATE_CONTENT: "LLM",
    Operation.TEXT_COMPLETION: "LLM",
    Operation.EMBEDDINGS: "EMBEDDING",
    Operation.RETRIEVAL: "RETRIEVER",
    Operation.EXECUTE_TOOL: "TOOL",
    Operation.CREATE_AGENT: "AGENT",
    Operation.INVOKE_AGENT: "AGENT",
    Operation.INVOKE_WORKFLOW: "CHAIN",
    Kind.CHAIN: "CHAIN",
    Kind.RERANKER: "RERANKER",
    Kind.GUARDRAIL: "GUARDRAIL",
    Kind.EVALUATOR: "EVALUATOR",
    Kind.PROMPT: "PROMPT",
}
_PROVIDERS: Final = {
    "aws.bedrock": "aws",
    "azure.ai.inference": "azure",
    "azure.ai.openai": "azure",
    "gcp.gemini": "google",
    "gcp.gen_ai": "google",
    "gcp.vertex_ai": "google",
    "mistral_ai": "mistralai",
    "moonshot_ai": "moonshot",
    "x_ai": "xai",
}
_SYSTEMS: Final = {
    "openai": "openai",
    "azure.ai.openai": "openai",
    "anthropic": "anthropic",
    "cohere": "cohere",
    "mistral_ai": "mistralai",
    "gcp.gemini": "vertexai",
    "gcp.gen_ai": "vertexai",
    "gcp.vertex_ai": "vertexai",
}
_CALL_NAMES: Final = {
    names.USAGE_INPUT: "llm.token_count.prompt",
    names.USAGE_OUTPUT: "llm.token_count.completion",
    names.USAGE_CACHE_READ: "llm.token_count.prompt_details.cache_read",
    names.USAGE_CACHE_CREATION: "llm.token_count.prompt_details.cache_write",
    names.USAGE_REASONING: "llm.token_count.completion_details.reasoning",
    names.REQUEST_MODEL: "llm.request.model_name",
    names.RESPONSE_MODEL: "llm.response.model_name",
}
_NAMES: Final = {
    names.AGENT_NAME: "agent.name",
    names.TOOL_NAME: "tool.name",
    names.TOOL_DESCRIPTION: "tool.description",
    names.TOOL_CALL_ID: "tool.id",
    names.TAGS: "tag.tags",
}
_TEXT, _JSON = "text/plain", "application/json"


def emit_openinference(span: Span) -> Changes:
    """Return the span in OpenInference's words; operation and provider keep theirs too, which say more.

    Only calls to models have ``llm.*``: on other spans Phoenix shows no messages, but adds their tokens to those of the
    calls below. What an agent has of its calls keeps its canonical names there.
    """
    changes = rename(span, _NAMES)
    parts = (_attached, _documents, _in_out)
    for part in (_model, _request, _totals, flattened_messages, _tools, *parts) if is_llm_call(span) else parts:
        changes |= part(span)
    changes |= _cost(span)
    return changes | _kind(span) if changes or word_of(span) else changes


def _kind(span: Span) -> Changes:
    changes: Changes = {"openinference.span.kind": _KINDS.get(word_of(span) or "", "UNKNOWN")}
    if span.text(names.SPAN_KIND) in _KINDS:
        changes[names.SPAN_KIND] = None
    return changes


def _model(span: Span) -> Changes:
    """Return model and provider; ``llm.model_name`` is the older name, that of what answered."""
    changes = rename(span, _CALL_NAMES)
    model = span.text(names.RESPONSE_MODEL) or span.text(names.REQUEST_MODEL)
    if model is not None:
        embedding = span.text(names.OPERATION) == Operation.EMBEDDINGS
        changes["embedding.model_name" if embedding else "llm.model_name"] = model
    provider = span.text(names.PROVIDER)
    if provider is not None:
        changes["llm.provider"] = _PROVIDERS.get(provider, provider)
        if provider in _SYSTEMS:
            changes["llm.system"] = _SYSTEMS[provider]
    return changes


def _request(span: Span) -> Changes:
    found = parameters(span)
    if not found:
        return {}
    embedding = span.text(names.OPERATION) == Operation.EMBEDDINGS
    name = "embedding.invocation_parameters" if embedding else "llm.invocation_parameters"
    return {name: to_json(found), **dict.fromkeys(span.attributes.keys() & PARAMETERS.keys())}


def _totals(span: Span) -> Changes:
    changes: Changes = {}
    total = total_tokens(span)
    if total is not None:
        changes["llm.token_count.total"] = total
    listed = strings(span.attributes.get(names.RESPONSE_FINISH_REASONS))
    reasons = listed or [reason for reason in finish_reasons(span, span.answered or ()) if reason]
    if reasons:
        changes["llm.finish_reason"] = reasons[0]
        changes[names.RESPONSE_FINISH_REASONS] = [*reasons] if len(reasons) > 1 else None
    return changes


def _cost(span: Span) -> Changes:
    cost = cost_of(span)
    if cost is None:
        return {}
    return {**dict.fromkeys(span.attributes.keys() & set(COSTS)), **cost_attributes(cost, CostForm.OPENINFERENCE)}


def _attached(span: Span) -> Changes:
    changes: Changes = {}
    if metadata(span) is not None:
        changes |= {"metadata": span.attributes[names.METADATA], names.METADATA: None}
    if span.attributes.get(names.SESSION_ID) is None and span.attributes.get(names.CONVERSATION_ID) is not None:
        changes[names.SESSION_ID] = span.attributes[names.CONVERSATION_ID]
    return changes


def _tools(span: Span) -> Changes:
    found = tools(span)
    if found is None:
        return {}
    schemas = {f"llm.tools.{place}.tool.json_schema": to_json(one) for place, one in enumerate(found)}
    return {**schemas, names.TOOL_DEFINITIONS: None}


def _documents(span: Span) -> Changes:
    documents = read_objects(span.attributes.get(names.RETRIEVAL_DOCUMENTS))
    if documents is None:
        return {}
    changes: Changes = {names.RETRIEVAL_DOCUMENTS: None}
    for place, document in enumerate(documents):
        at = f"retrieval.documents.{place}.document"
        rest = {key: value for key, value in document.items() if key not in {"id", "score", "content", "metadata"}}
        changes |= {f"{at}.{key}": as_text(document[key]) for key in ("id", "content") if document.get(key) is not None}
        score = document.get("score")
        if isinstance(score, int | float):
            changes[f"{at}.score"] = float(score)
        attached = document.get("metadata")
        if rest or attached:
            changes[f"{at}.metadata"] = to_json({**rest, **(attached if isinstance(attached, dict) else {})})
    return changes


def _in_out(span: Span) -> Changes:
    """Return what went in and came out; of messages a preview, as Phoenix shows it in its list of traces."""
    changes: Changes = {}
    for direction, own, preview in zip(("input", "output"), _own(span), _previews(span), strict=True):
        pair = own or preview
        if pair is not None:
            name, text = pair
            if name:
                changes[name] = None
            changes[f"{direction}.value"] = text
            changes[f"{direction}.mime_type"] = _JSON if is_json(text) else _TEXT
    return changes


def _own(span: Span) -> tuple[tuple[str, str] | None, tuple[str, str] | None]:
    asked, answered = in_out(span)
    query = span.text(names.RETRIEVAL_QUERY)
    return asked or (None if query is None else (names.RETRIEVAL_QUERY, query)), answered


def _previews(span: Span) -> tuple[tuple[str, str] | None, tuple[str, str] | None]:
    """Return what the user said last, and the first text that came out, or else the tools that were called."""
    sent = sorted(span.sent or (), key=lambda message: message.role == "user")
    asked = next((text for message in reversed(sent) for text in message.texts()), None)
    said = next((text for message in span.answered or () for text in message.texts()), None)
    calls = [part for message in span.answered or () for part in message.parts if part["type"] == "tool_call"]
    if said is None and calls:
        said = to_json([{"name": call.get("name"), "arguments": call.get("arguments")} for call in calls])
    return (None if asked is None else ("", asked)), (None if said is None else ("", said))
