"""Span events of Datadog's LLM Observability, as its own libraries send them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.metadata import version
from typing import Any, Final

from untrace_pipeline.data import Batch, Value
from untrace_pipeline.delivery import DELIVERED, Outcome
from untrace_pipeline.net.http_answer import Answer
from untrace_plugins.exporters.platform.encoders.encoder import Body
from untrace_plugins.exporters.platform.encoders.lineage import Lineage
from untrace_plugins.genai import names
from untrace_plugins.genai.emit.content import Message, as_text, read_objects, to_json
from untrace_plugins.genai.emit.cost import cost_of
from untrace_plugins.genai.emit.parameters import parameters
from untrace_plugins.genai.emit.span import Span, strings
from untrace_plugins.genai.emit.words import in_out, is_llm_call, metadata, total_tokens, word_of
from untrace_plugins.genai.names import Kind, Operation
from untrace_plugins.genai.normalise import understood
from untrace_plugins.rows import SpanRow, read_spans

__all__ = ["DatadogEvents"]

JSON: Final = "application/json"
ROOT: Final = "undefined"
"""What a root says of its parent."""
_ERROR = 2
_KINDS: Final[Mapping[str, str]] = {
    Operation.CHAT: "llm",
    Operation.GENERATE_CONTENT: "llm",
    Operation.TEXT_COMPLETION: "llm",
    Operation.EMBEDDINGS: "embedding",
    Operation.RETRIEVAL: "retrieval",
    Operation.EXECUTE_TOOL: "tool",
    Operation.CREATE_AGENT: "agent",
    Operation.INVOKE_AGENT: "agent",
    Operation.INVOKE_WORKFLOW: "workflow",
    Kind.CHAIN: "workflow",
}
_MODELS: Final = frozenset({"llm", "embedding"})
_METRICS: Final = {
    "input_tokens": names.USAGE_INPUT,
    "output_tokens": names.USAGE_OUTPUT,
    "cache_read_input_tokens": names.USAGE_CACHE_READ,
    "cache_write_input_tokens": names.USAGE_CACHE_CREATION,
    "reasoning_output_tokens": names.USAGE_REASONING,
    "ephemeral_5m_input_tokens": names.USAGE_CACHE_CREATION_5M,
    "ephemeral_1h_input_tokens": names.USAGE_CACHE_CREATION_1H,
}
_TOLD: Final = ("gen_ai.", "untrace.", "session.id", "user.id", "error.type")
"""How attributes begin that have a place of their own, or none at Datadog."""
_RESOURCE_TAGS: Final = {
    "service": "service.name",
    "env": "deployment.environment.name",
    "version": "service.version",
}


class DatadogEvents:
    """Writes LLM spans; what is between them, and not sent, is left out of the tree."""

    def __init__(self, ml_app: str) -> None:
        self._ml_app = ml_app
        self._tracer = f"untrace-pipeline-{version('untrace-pipeline')}"
        self._lineage = Lineage()

    def learn(self, batch: Batch, rows: Sequence[int]) -> None:
        """Remember the spans, and which of them are sent."""
        self._lineage.learn(batch, rows)

    def encode(self, batch: Batch) -> Body:
        """Return a list with an envelope for each span."""
        return Body(to_json([self._envelope(row) for row in read_spans(batch)]).encode(), JSON)

    def read(self, batch: Batch, answer: Answer) -> Outcome:
        """All events were taken."""
        return DELIVERED

    def _envelope(self, row: SpanRow) -> dict[str, Any]:
        event = self.event(row)
        return {"_dd.stage": "raw", "_dd.tracer_version": self._tracer, "event_type": "span", "spans": [event]}

    def event(self, row: SpanRow) -> dict[str, Any]:
        """Return the event of a span."""
        span = Span(row.attributes, row.start, row.end)
        failed = row.status_code == _ERROR
        trace, own = row.trace_id.hex(), _decimal(row.span_id)
        session = span.text(names.SESSION_ID) or span.text(names.CONVERSATION_ID)
        found: dict[str, Any] = {
            "trace_id": trace,
            "span_id": own,
            "parent_id": self._parent(row),
            "name": row.name or "span",
            "start_ns": row.start,
            "duration": row.duration,
            "status": "error" if failed else "ok",
            "status_message": row.status_message if failed else "",
            "meta": _meta(row, span, failed=failed),
            "metrics": _metrics(span),
            "tags": sorted(f"{name}:{value}" for name, value in self._tags(row, span, session, failed=failed)),
            "session_id": session,
            "service": row.source.service,
            "_dd": {"span_id": own, "trace_id": trace, "apm_trace_id": trace},
        }
        return {name: value for name, value in found.items() if value not in (None, "")}

    def _parent(self, row: SpanRow) -> str:
        """Return the nearest span above that is sent; one that has not been seen may be one."""
        parent_id = row.parent_span_id
        for one in self._lineage.above(row.trace_id, parent_id):
            if one.sent:
                return _decimal(one.span_id)
            parent_id = one.parent_id
        return _decimal(parent_id) if any(parent_id) else ROOT

    def _tags(self, row: SpanRow, span: Span, session: str | None, *, failed: bool) -> Iterator[tuple[str, str]]:
        yield "ml_app", self._ml_app or row.source.service or "unknown"
        yield "source", "otel"
        yield "error", str(int(failed))
        known: dict[str, Value] = {name: row.source.resource.get(key) for name, key in _RESOURCE_TAGS.items()}
        known |= {"session_id": session, "user_id": span.text(names.USER_ID)}
        known |= {"error_type": span.text(names.ERROR_TYPE) if failed else None}
        yield from ((name, as_text(value)) for name, value in known.items() if value)
        for tag in strings(span.attributes.get(names.TAGS)):
            name, colon, value = tag.partition(":")
            yield (name, value) if colon else ("tag", tag)


def _decimal(span_id: bytes) -> str:
    return str(int.from_bytes(span_id))


def _metrics(span: Span) -> dict[str, float]:
    """Return tokens, seconds to the first of them, and dollars, which win over Datadog's own estimate."""
    found: dict[str, float | None] = {name: span.count(key) for name, key in _METRICS.items()}
    found["total_tokens"] = total_tokens(span)
    found["time_to_first_token"] = span.number(names.RESPONSE_TIME_TO_FIRST_CHUNK)
    if (cost := cost_of(span)) is not None:
        found |= {"input_cost": cost.input, "output_cost": cost.output, "total_cost": cost.total}
    return {name: value for name, value in found.items() if value is not None}


def _meta(row: SpanRow, span: Span, *, failed: bool) -> dict[str, Any]:
    kind = _KINDS.get(word_of(span) or "", "task")
    asked, answered = _content(span, kind)
    found: dict[str, Any] = {
        "span": {"kind": kind},
        "input": asked,
        "output": answered,
        "metadata": _attached(span, kind),
        "tool_definitions": [_tool(one) for one in read_objects(span.attributes.get(names.TOOL_DEFINITIONS)) or ()],
        "error": _error(row, span) if failed else None,
    }
    if kind in _MODELS:
        model = span.text(names.RESPONSE_MODEL) or span.text(names.REQUEST_MODEL) or "custom"
        found |= {"model_name": model, "model_provider": span.text(names.PROVIDER) or "custom"}
    return {name: value for name, value in found.items() if value}


def _content(span: Span, kind: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return input and output: messages of models, documents of embeddings and retrievals, texts of all others."""
    given, taken = in_out(span)
    asked: dict[str, Any] = {"value": given[1]} if given else {}
    answered: dict[str, Any] = {"value": taken[1]} if taken else {}
    if kind == "embedding":
        asked = {"documents": [{"text": text} for message in span.sent or () for text in message.texts()]}
    elif kind == "retrieval":
        query = span.text(names.RETRIEVAL_QUERY)
        asked = {"value": query} if query else asked
        documents = read_objects(span.attributes.get(names.RETRIEVAL_DOCUMENTS))
        answered = {"documents": [_document(one) for one in documents]} if documents else answered
    elif is_llm_call(span) or not (asked or answered):
        asked = {"messages": _messages(span.sent)} if span.sent else asked
        answered = {"messages": _messages(span.answered)} if span.answered else answered
    return asked, answered


def _messages(messages: Iterable[Message] | None) -> list[dict[str, Any]]:
    return [_message(message) for message in messages or ()]


def _message(message: Message) -> dict[str, Any]:
    """Return a message; media are named, because the content of an event is limited."""
    found: dict[str, Any] = {"role": message.role, "content": "\n".join(filter(None, map(_shown, message.parts)))}
    calls = [part for part in message.parts if part["type"] == "tool_call"]
    results = [part for part in message.parts if part["type"] == "tool_call_response"]
    if calls:
        found["tool_calls"] = [_call(part) for part in calls]
    if results:
        found["tool_results"] = [_result(part) for part in results]
    return found


def _shown(part: Mapping[str, Any]) -> str:
    match part["type"]:
        case "text" | "reasoning":
            return as_text(part.get("content"))
        case "tool_call" | "tool_call_response":
            return ""
        case "blob":
            return f"[{part.get('mime_type') or part.get('modality') or 'blob'}]"
    return to_json(part)


def _call(part: Mapping[str, Any]) -> dict[str, Any]:
    arguments = part.get("arguments")
    found = {
        "name": part.get("name"),
        "arguments": arguments if isinstance(arguments, dict) else {"value": arguments} if arguments else {},
        "tool_id": part.get("id"),
        "type": "function",
    }
    return {name: value for name, value in found.items() if value is not None}


def _result(part: Mapping[str, Any]) -> dict[str, Any]:
    found = {"result": as_text(part.get("response")), "tool_id": part.get("id"), "type": "function"}
    return {name: value for name, value in found.items() if value is not None}


def _document(document: Mapping[str, Any]) -> dict[str, Any]:
    found = {
        "text": as_text(document.get("content", "")),
        "id": document.get("id"),
        "score": document.get("score"),
        "name": document.get("name"),
    }
    return {name: value for name, value in found.items() if value is not None}


def _tool(definition: Mapping[str, Any]) -> dict[str, Any]:
    inner = definition.get("function")
    given = inner if isinstance(inner, dict) else definition
    words = {"name": "name", "description": "description", "parameters": "schema"}
    return {word: given[name] for name, word in words.items() if given.get(name) is not None}


def _attached(span: Span, kind: str) -> dict[str, Any]:
    """Return parameters of a call, what the application attached, and all that has no other place."""
    told = understood(span.attributes)
    rest = ((key, one) for key, one in span.attributes.items() if key not in told)
    found: dict[str, Any] = {key: one for key, one in rest if not key.startswith(_TOLD)}
    found |= parameters(span) if kind in _MODELS else {}
    reasons = strings(span.attributes.get(names.RESPONSE_FINISH_REASONS))
    if reasons:
        found["finish_reasons"] = reasons
    return {**found, **(metadata(span) or {})}


def _error(row: SpanRow, span: Span) -> dict[str, str]:
    event = next((one for one in reversed(row.events) if one.name == "exception"), None)
    told = event.attributes if event is not None else {}
    found = {
        "type": told.get("exception.type") or span.text(names.ERROR_TYPE),
        "message": told.get("exception.message") or row.status_message,
        "stack": told.get("exception.stacktrace"),
    }
    return {name: as_text(value) for name, value in found.items() if value}
