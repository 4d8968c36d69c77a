"""LangSmith over OTLP: ``langsmith.*`` beside older GenAI names, inputs and outputs as JSON.

A run of LangSmith's own API has the same content under other names: :func:`from_run` makes these attributes of it, so
that a receiver of runs needs no mapping of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from untrace_pipeline.data.fields import Value
from untrace_plugins.genai import names
from untrace_plugins.genai.dialects.attached import attached, tags
from untrace_plugins.genai.dialects.parameters import parameters, response
from untrace_plugins.genai.messages import input_messages, output_messages
from untrace_plugins.genai.reading import Reading
from untrace_plugins.genai.usage import usage
from untrace_plugins.genai.values import dump, load, number, python_literal
from untrace_plugins.genai.words import operation, provider, span_kind

__all__ = ["from_run", "read"]

_METADATA = "langsmith.metadata."
_RETRIEVAL = names.Operation.RETRIEVAL
_OWN = ("LANGSMITH_", "OTEL_", "usage_metadata", "invocation_params", "ls_invocation_params")
_AROUND = frozenset({"id", "object", "created", "model", "system_fingerprint", "usage", "usage_metadata"})
_COSTS: Mapping[str, str] = {
    "total_cost": names.USAGE_COST,
    "input_cost": names.COST_INPUT,
    "output_cost": names.COST_OUTPUT,
}
_PROMPT, _COMPLETION = "gen_ai.prompt", "gen_ai.completion"


def read(span: Reading) -> None:
    """Read a run of any type."""
    kind = span.attributes.get("langsmith.span.kind")
    if kind is not None:
        # The exporter writes chat for prompts, embeddings for retrievers, and run types that are no operations.
        # Anything else says more than a run type can: an agent is a chain.
        called = span.attributes.get(names.OPERATION)
        if operation(kind) is not None or not isinstance(called, str) or called in (kind, *names.LLM_CALLS, _RETRIEVAL):
            span.force(names.OPERATION, operation(kind))
        span.used.add("langsmith.span.kind")
        span.put(names.SPAN_KIND, span_kind(kind))
    span.take("langsmith.span.tags", names.TAGS, tags)
    span.take("langsmith.trace.session_id", names.SESSION_ID)
    _models(span)
    attached(span, _METADATA, libraries=_OWN)
    asked, answered = load(span.attributes.get(_PROMPT)), load(span.attributes.get(_COMPLETION))
    match span.values.get(names.OPERATION):
        case names.Operation.EXECUTE_TOOL:
            _move(span, names.TOOL_CALL_ARGUMENTS, names.TOOL_CALL_RESULT)
        case called if called in names.LLM_CALLS:
            _call(span, asked, answered)
        case _:
            _move(span, names.INPUT, names.OUTPUT)


def _models(span: Reading) -> None:
    """Take model and provider from the metadata: the exporter guesses, and says langchain where it cannot."""
    if (found := provider(span.attributes.get(f"{_METADATA}ls_provider"))) is not None:
        span.force(names.PROVIDER, found)
    elif span.values.get(names.PROVIDER) == "langchain":
        span.force(names.PROVIDER, None)
    span.take(f"{_METADATA}ls_model_name", names.REQUEST_MODEL)
    for key, canonical in (
        ("ls_temperature", names.REQUEST_TEMPERATURE),
        ("ls_max_tokens", names.REQUEST_MAX_TOKENS),
    ):
        value = span.attributes.get(_METADATA + key)
        if isinstance(value, (int, float)):
            span.put(canonical, value)


def _move(span: Reading, asked: str, answered: str) -> None:
    """Say that prompt and completion of what is no call of a model are its input and output."""
    for source, canonical, wrong in (
        (_PROMPT, asked, names.INPUT_MESSAGES),
        (_COMPLETION, answered, names.OUTPUT_MESSAGES),
    ):
        if source in span.attributes and wrong not in span.attributes:
            span.values.pop(wrong, None)
            span.take(source, canonical)


def _call(span: Reading, asked: Any, answered: Any) -> None:
    if isinstance(asked, dict):
        parameters(span, {key: value for key, value in asked.items() if key not in ("messages", "input", "prompt")})
        span.put(names.INPUT_MESSAGES, span.attempt(input_messages, asked, _PROMPT), _PROMPT)
    for key in ("invocation_params", "ls_invocation_params"):
        invocation = load(span.attributes.get(_METADATA + key))
        if isinstance(invocation, dict):
            parameters(span, invocation)
    if isinstance(answered, dict):
        if span.values.get(names.OPERATION) != names.Operation.EMBEDDINGS and _has_content(answered):
            span.put(names.OUTPUT_MESSAGES, span.attempt(output_messages, answered, _COMPLETION), _COMPLETION)
        elif names.OUTPUT_MESSAGES not in span.attributes:
            span.values.pop(names.OUTPUT_MESSAGES, None)
        span.tokens(usage(answered.get("usage_metadata"), exclusive=False))
        _cost(span, answered.get("usage_metadata"))
        response(span, answered)
    for details in ("input_token_details", "output_token_details"):
        given = python_literal(span.attributes.get(f"gen_ai.usage.{details}"))
        if isinstance(given, dict):
            counts = [one for one in usage({details: given}) if one[0] not in (names.USAGE_INPUT, names.USAGE_OUTPUT)]
            span.tokens(counts, f"gen_ai.usage.{details}")


def _has_content(answered: Mapping[str, Any]) -> bool:
    """Return whether an answer is more than what stands around one, as that of a stream that was left."""
    return any(value not in (None, [], {}) for key, value in answered.items() if key not in _AROUND)


def _cost(span: Reading, usage_metadata: Any) -> None:
    """Take the cost that an application told LangSmith, in dollars."""
    if isinstance(usage_metadata, dict):
        for key, canonical in _COSTS.items():
            span.put(canonical, number(usage_metadata.get(key)))


def from_run(run: Mapping[str, Any]) -> dict[str, Value]:
    """Return the attributes of a span that stands for a run of ``POST /runs``, ready for ``normalise``.

    ``run`` is the run with all its parts put together: ``run_type``, ``inputs``, ``outputs``, ``extra.metadata``,
    ``tags``, ``session_name``. Names, times, ids, status and error belong to the span itself.
    """
    extra = run.get("extra")
    metadata = extra.get("metadata") if isinstance(extra, Mapping) else None
    found: dict[str, Value] = {"langsmith.span.kind": str(run.get("run_type") or "chain")}
    for key, value in metadata.items() if isinstance(metadata, Mapping) else ():
        if value is not None:
            found[_METADATA + key] = value if isinstance(value, (str, int, float, bool)) else dump(value)
    invocation = extra.get("invocation_params") if isinstance(extra, Mapping) else None
    if isinstance(invocation, Mapping):
        found.setdefault(f"{_METADATA}invocation_params", dump(invocation))
    for key, canonical in (("inputs", _PROMPT), ("outputs", _COMPLETION)):
        if run.get(key) is not None:
            found[canonical] = dump(run[key])
    if isinstance(run.get("tags"), list):
        found["langsmith.span.tags"] = ", ".join(str(tag) for tag in run["tags"])
    for key in ("session_name", "name"):
        if isinstance(run.get(key), str):
            found[f"langsmith.trace.{key}"] = run[key]
    return found
