"""OpenInference (August 2026), which Phoenix and Arize read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from untrace_plugins.genai import names
from untrace_plugins.genai.emit.chat import input_messages, output_messages, tools
from untrace_plugins.genai.emit.content import as_text, is_json, read_objects, to_json
from untrace_plugins.genai.emit.cost import CostForm, cost_attributes, cost_of
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
_RENAMED: Final = {
    names.USAGE_INPUT: "llm.token_count.prompt",
    names.USAGE_OUTPUT: "llm.token_count.completion",
    names.USAGE_CACHE_READ: "llm.token_count.prompt_details.cache_read",
    names.USAGE_CACHE_CREATION: "llm.token_count.prompt_details.cache_write",
    names.USAGE_REASONING: "llm.token_count.completion_details.reasoning",
    names.REQUEST_MODEL: "llm.request.model_name",
    names.RESPONSE_MODEL: "llm.response.model_name",
    names.AGENT_NAME: "agent.name",
    names.TOOL_NAME: "tool.name",
    names.TOOL_DESCRIPTION: "tool.description",
    names.TOOL_CALL_ID: "tool.id",
    names.TAGS: "tag.tags",
}
_COSTS: Final = (
    names.USAGE_COST,
    names.COST_INPUT,
    names.COST_OUTPUT,
    names.COST_CACHE_READ,
    names.COST_CACHE_WRITE,
    names.COST_REASONING,
    names.COST_TOTAL,
)
_TEXT, _JSON = "text/plain", "application/json"


def emit_openinference(span: Span) -> Changes:
    """Return the span in OpenInference's words; operation and provider keep theirs too, which say more."""
    changes = rename(span, _RENAMED)
    for part in (_kind, _model, _request, _totals, _cost, _attached, flattened_messages, _tools, _documents, _in_out):
        changes |= part(span)
    return changes


def _kind(span: Span) -> Changes:
    word = word_of(span)
    if word is None:
        return {}
    changes: Changes = {"openinference.span.kind": _KINDS.get(word, "UNKNOWN")}
    if span.text(names.SPAN_KIND) in _KINDS:
        changes[names.SPAN_KIND] = None
    return changes


def _model(span: Span) -> Changes:
    """Return model and provider; ``llm.model_name`` is the older name, that of what answered."""
    changes: Changes = {}
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
    reasons = strings(span.attributes.get(names.RESPONSE_FINISH_REASONS))
    if reasons:
        changes["llm.finish_reason"] = reasons[0]
        if len(reasons) == 1:
            changes[names.RESPONSE_FINISH_REASONS] = None
    return changes


def _cost(span: Span) -> Changes:
    cost = cost_of(span)
    if cost is None:
        return {}
    return {**dict.fromkeys(span.attributes.keys() & set(_COSTS)), **cost_attributes(cost, CostForm.OPENINFERENCE)}


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
    """Return what went in and came out; of an LLM call a preview, as Phoenix shows it in its list of traces."""
    changes: Changes = {}
    found = _previews(span) if is_llm_call(span) else in_out(span)
    for direction, pair in zip(("input", "output"), found, strict=True):
        if pair is not None and pair[0] != names.RETRIEVAL_DOCUMENTS:  # documents have a place of their own
            name, text = pair
            if name:
                changes[name] = None
            changes[f"{direction}.value"] = text
            changes[f"{direction}.mime_type"] = _JSON if is_json(text) else _TEXT
    return changes


def _previews(span: Span) -> tuple[tuple[str, str] | None, tuple[str, str] | None]:
    sent, answered = input_messages(span) or [], output_messages(span) or []
    asked = next((text for message in reversed(sent) for text in message.texts()), None)
    said = next((text for message in answered for text in message.texts()), None)
    return (None if asked is None else ("", asked)), (None if said is None else ("", said))
