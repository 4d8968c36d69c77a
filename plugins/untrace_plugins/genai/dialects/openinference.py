"""OpenInference (Arize): flattened messages, ``llm.token_count.*``, ``input.value`` and ``output.value``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from untrace_pipeline.data.fields import Value
from untrace_plugins.genai import names
from untrace_plugins.genai.dialects.parameters import parameters, response
from untrace_plugins.genai.messages import input_messages, output_messages
from untrace_plugins.genai.names import Operation
from untrace_plugins.genai.reading import Reading, Table
from untrace_plugins.genai.tools import tool_definitions
from untrace_plugins.genai.values import dump, integer, json_text, load, number, text, texts
from untrace_plugins.genai.words import finish_reasons, provider

__all__ = ["read"]

_TABLE: Table = {
    "llm.provider": (names.PROVIDER, provider),
    "llm.system": (names.PROVIDER, provider),
    "llm.request.model_name": (names.REQUEST_MODEL, text),
    "llm.response.model_name": (names.RESPONSE_MODEL, text),
    "embedding.model_name": (names.REQUEST_MODEL, text),
    "reranker.model_name": (names.REQUEST_MODEL, text),
    "llm.token_count.prompt": (names.USAGE_INPUT, integer),
    "llm.token_count.completion": (names.USAGE_OUTPUT, integer),
    "llm.token_count.prompt_details.cache_read": (names.USAGE_CACHE_READ, integer),
    "llm.token_count.prompt_details.cache_write": (names.USAGE_CACHE_CREATION, integer),
    "llm.token_count.completion_details.reasoning": (names.USAGE_REASONING, integer),
    "llm.cost.total": (names.USAGE_COST, number),
    "llm.cost.prompt": (names.COST_INPUT, number),
    "llm.cost.completion": (names.COST_OUTPUT, number),
    "llm.cost.prompt_details.cache_read": (names.COST_CACHE_READ, number),
    "llm.cost.prompt_details.cache_write": (names.COST_CACHE_WRITE, number),
    "llm.cost.completion_details.reasoning": (names.COST_REASONING, number),
    "session.id": (names.CONVERSATION_ID, text),
    "tag.tags": (names.TAGS, texts),
    "metadata": (names.METADATA, json_text),
    "agent.name": (names.AGENT_NAME, text),
    "tool.name": (names.TOOL_NAME, text),
    "tool.description": (names.TOOL_DESCRIPTION, text),
    "tool.id": (names.TOOL_CALL_ID, text),
    "tool_call.id": (names.TOOL_CALL_ID, text),
    "tool_call.function.arguments": (names.TOOL_CALL_ARGUMENTS, json_text),
    "prompt.id": (names.PROMPT_NAME, text),
    "llm.prompt_template.version": (names.PROMPT_VERSION, text),
    "reranker.query": (names.RETRIEVAL_QUERY, text),
    "reranker.top_k": (names.RETRIEVAL_TOP_K, integer),
}


def read(span: Reading) -> None:
    """Read a span of any kind."""
    span.kind("openinference.span.kind")
    span.table(_TABLE)
    kind = str(span.attributes.get("openinference.span.kind", "")).upper()
    if kind in ("LLM", "EMBEDDING") or span.values.get(names.OPERATION) in names.LLM_CALLS:
        _call(span)
    elif kind == "TOOL":
        _tool(span)
    elif kind in ("RETRIEVER", "RERANKER"):
        _retrieval(span)
    else:
        span.take("input.value", names.INPUT)
        span.take("output.value", names.OUTPUT)


def _call(span: Reading) -> None:
    given = _json(span, "llm.invocation_parameters") or _json(span, "embedding.invocation_parameters")
    if given is not None and parameters(span, given):
        span.used.update(("llm.invocation_parameters", "embedding.invocation_parameters"))
    _messages(span, "llm.input_messages", names.INPUT_MESSAGES, "input.value")
    embeds = span.values.get(names.OPERATION) == Operation.EMBEDDINGS
    answered = not embeds and _messages(span, "llm.output_messages", names.OUTPUT_MESSAGES, "output.value")
    answer = _json(span, "output.value") if span.attributes.get("output.value") else None
    if answer is not None:
        response(span, answer)
    span.take("llm.finish_reason", names.RESPONSE_FINISH_REASONS, finish_reasons)
    if (answered and '"parts":[{' in str(span.values[names.OUTPUT_MESSAGES])) or names.USAGE_INPUT in span.values:
        span.take("llm.model_name", names.RESPONSE_MODEL)
        span.take("embedding.model_name", names.RESPONSE_MODEL)
    span.take("llm.model_name", names.REQUEST_MODEL)
    _tools(span)
    if names.INPUT_MESSAGES in span.values:  # the whole request and answer say the same again
        span.used.update(("input.value", "input.mime_type"))
    if answered:
        span.used.update(("output.value", "output.mime_type"))


def _messages(span: Reading, prefix: str, canonical: str, value: str) -> bool:
    """Read indexed messages, or one JSON attribute of them, or the whole request or answer; return if there are any."""
    convert = input_messages if canonical == names.INPUT_MESSAGES else output_messages
    role = "user" if canonical == names.INPUT_MESSAGES else "assistant"
    found = [{"role": role} | _message(one.get("message", one)) for one in span.indexed(f"{prefix}.")]
    if found:
        span.put(canonical, span.attempt(convert, found, prefix))
    span.take(prefix, canonical, convert)
    texts_of = {"llm.input_messages": ("llm.prompts.", "prompt"), "llm.output_messages": ("llm.choices.", "completion")}
    lists, inner = texts_of[prefix]
    older = [one[inner].get("text") for one in span.indexed(lists) if isinstance(one.get(inner), dict)]
    if inner == "prompt":
        embeddings = (one.get("embedding") for one in span.indexed("embedding.embeddings."))
        older += [one.get("text") for one in embeddings if isinstance(one, dict)]
    if any(older):
        span.put(canonical, span.attempt(convert, [one for one in older if one], lists))
    if canonical not in span.values:
        span.take(value, canonical, convert)
    return canonical in span.values


def _message(given: Any) -> dict[str, Any]:
    """Return a flattened message in the shape of a provider's."""
    if not isinstance(given, dict):
        return {}
    found = {key: value for key, value in given.items() if key not in ("contents", "tool_calls")}
    calls = given.get("tool_calls")
    if isinstance(calls, list):
        found["tool_calls"] = [one.get("tool_call", one) for one in calls if isinstance(one, dict)]
    contents = given.get("contents")
    if isinstance(contents, list):
        blocks = [one for one in contents if isinstance(one, dict) and ("tool_call" not in one or not calls)]
        found["content"] = [_content(one.get("tool_call") or one.get("message_content", one)) for one in blocks]
    if given.get("function_call_name"):
        arguments = given.get("function_call_arguments_json")
        found["function_call"] = {"name": given["function_call_name"], "arguments": arguments}
    return found


def _content(given: Any) -> dict[str, Any]:
    """Return a content block; images lie two levels down: ``image.image.url``. A call of a function is one too."""
    if not isinstance(given, dict):
        return {}
    if "function" in given:
        return {"type": "function", **given}
    kind = given.get("type", "text")
    inner = given.get(kind)
    if isinstance(inner, dict):
        return {"type": kind, "source": inner.get(kind, inner), "mime_type": _mime(inner)}
    return {"type": kind, **given}


def _mime(inner: Mapping[str, Any]) -> Value:
    return next(
        (one["mime_type"] for one in (inner, *inner.values()) if isinstance(one, dict) and "mime_type" in one), None
    )


def _tools(span: Reading) -> None:
    tools = [one["tool"].get("json_schema") for one in span.indexed("llm.tools.") if isinstance(one.get("tool"), dict)]
    if tools:
        span.put(names.TOOL_DEFINITIONS, span.attempt(tool_definitions, tools, "llm.tools."))


def _tool(span: Reading) -> None:
    span.put(names.OPERATION, Operation.EXECUTE_TOOL)
    span.take("input.value", names.TOOL_CALL_ARGUMENTS)
    result = load(span.attributes.get("output.value")) if span.attributes.get("output.value") else None
    data = result.get("data") if isinstance(result, dict) and result.get("type") == "tool" else None
    if isinstance(data, dict):
        span.put(names.TOOL_CALL_ID, text(data.get("tool_call_id")))
        span.put(names.TOOL_CALL_RESULT, json_text(data.get("content")), "output.value")
    span.take("output.value", names.TOOL_CALL_RESULT)


def _retrieval(span: Reading) -> None:
    span.take("input.value", names.RETRIEVAL_QUERY)
    found = span.indexed("retrieval.documents.") or span.indexed("reranker.output_documents.")
    documents = [one.get("document", one) for one in found]
    for one in documents:
        if isinstance(one, dict) and isinstance(metadata := load(one.get("metadata")), dict):
            one["metadata"] = metadata
    if documents:
        span.put(names.RETRIEVAL_DOCUMENTS, dump(documents))


def _json(span: Reading, key: str) -> dict[str, Any] | None:
    found = load(span.attributes.get(key))
    return found if isinstance(found, dict) else None
