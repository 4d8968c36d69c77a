"""From the core trace to a span in canonical form.

What has no word in the form is kept: parameters as ``gen_ai.request.<name>``, all else as ``untrace.<part>.<name>``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from untrace_pipeline.data.compose import NewEvent, NewSpan
from untrace_pipeline.data.fields import Value
from untrace_plugins.core_trace.ids import span_id, trace_id
from untrace_plugins.core_trace.model import CoreTrace, Request, Response, nanoseconds
from untrace_plugins.genai import names
from untrace_plugins.genai.messages import input_messages, output_messages
from untrace_plugins.genai.tools import tool_definitions
from untrace_plugins.genai.usage import usage
from untrace_plugins.genai.values import dump, texts
from untrace_plugins.genai.words import finish_reason, operation, provider, span_kind

__all__ = ["ID", "PARENT_ID", "Origin", "resource_of", "span_of", "trace_ids"]

ID: Final = "untrace.id"
"""The sender's id, where the span id does not say it."""
PARENT_ID: Final = "untrace.parent_id"
_ERROR = 2
_CLIENT = 3
_INT64 = 1 << 63
_PARAMETERS: Final = {
    "max_completion_tokens": names.REQUEST_MAX_TOKENS,
    "max_output_tokens": names.REQUEST_MAX_TOKENS,
    "stop": names.REQUEST_STOP_SEQUENCES,
    "n": names.REQUEST_CHOICE_COUNT,
    "service_tier": names.OPENAI_REQUEST_SERVICE_TIER,
}
_STRINGS = frozenset({names.REQUEST_STOP_SEQUENCES, names.REQUEST_ENCODING_FORMATS})
_RESPONSE: Final = {
    "service_tier": names.OPENAI_RESPONSE_SERVICE_TIER,
    "system_fingerprint": names.OPENAI_SYSTEM_FINGERPRINT,
}
_RESOURCE: Final = {
    "applicationId": "service.name",
    "version": "service.version",
    "environment": "deployment.environment.name",
}


@dataclass(frozen=True, slots=True)
class Origin:
    """What is known besides the trace itself."""

    id: str
    """Of the trace, where it has none."""
    now: int
    """Nanoseconds since 1970; when it ended, where it does not say that."""
    metadata: Mapping[str, Any]
    """Attached to all traces of a request; a trace's own wins."""


def trace_ids(traces: Iterable[CoreTrace]) -> dict[str, str]:
    """Return for each id the id of its trace, following parents as far as they are among these."""
    named = {trace.id: trace for trace in traces if trace.id is not None}
    found: dict[str, str] = {}
    for own in named:
        path = [own]
        while path[-1] in named and path[-1] not in found:
            one = named[path[-1]]
            above = one.trace_id or one.parent_id
            if above is None or above in path:
                break
            path.append(above)
            if one.trace_id is not None:
                break
        root = found.get(path[-1], path[-1])
        found |= dict.fromkeys([one for one in path if one in named], root)
    return found


def resource_of(trace: CoreTrace, origin: Origin) -> dict[str, Value]:
    """Return the resource that a trace's metadata names."""
    metadata = _metadata(trace, origin)
    return {key: metadata[name] for name, key in _RESOURCE.items() if isinstance(metadata.get(name), str)}


def span_of(trace: CoreTrace, origin: Origin, roots: Mapping[str, str]) -> NewSpan:
    """Return the span. ``roots`` are the ids of traces, by :func:`trace_ids`."""
    own = trace.id or origin.id
    parent = trace.parent_id if trace.parent_id != own else None
    start, end = _times(trace, origin.now)
    attributes = _attributes(trace, _metadata(trace, origin))
    attributes |= _own_id(ID, own) | (_own_id(PARENT_ID, parent) if parent else {})
    error = trace.error
    return NewSpan(
        trace_id=trace_id(roots.get(own) or trace.trace_id or parent or own),
        span_id=span_id(own),
        name=trace.name or f"{attributes.get(names.OPERATION, trace.operation)!s} {trace.model}",
        start_time_unix_nano=start,
        end_time_unix_nano=end,
        kind=_CLIENT,
        parent_span_id=span_id(parent) if parent else b"",
        attributes=attributes,
        events=() if error is None else (_exception(error, end),),
        status_code=0 if error is None else _ERROR,
        status_message="" if error is None else error.message or "",
    )


def _metadata(trace: CoreTrace, origin: Origin) -> dict[str, Any]:
    return {**origin.metadata, **(trace.metadata or {})}


def _times(trace: CoreTrace, now: int) -> tuple[int, int]:
    """Return start and end: of the three of them (start, end, latency), two say the third."""
    given = trace.start_time if trace.start_time is not None else trace.timestamp
    start = None if given is None else nanoseconds(given)
    end = None if trace.end_time is None else nanoseconds(trace.end_time)
    latency = 0 if trace.metrics is None else nanoseconds(trace.metrics.latency_ms or 0)
    if start is None:
        end = now if end is None else end
        return max(0, end - latency), end
    return start, start + latency if end is None else max(start, end)


def _own_id(name: str, id: str) -> dict[str, Value]:
    return {} if span_id(id).hex() == id else {name: id}


def _attributes(trace: CoreTrace, metadata: Mapping[str, Any]) -> dict[str, Value]:
    attributes: dict[str, Value] = {
        names.DIALECT: "untrace",
        **_operation(trace),
        names.PROVIDER: provider(trace.provider),
        names.REQUEST_MODEL: trace.model,
        names.SESSION_ID: trace.session_id,
        names.USER_ID: trace.user_id or _text(metadata.get("userId")),
        names.METADATA: dump(metadata) if metadata else None,
        names.TAGS: list(dict.fromkeys(_tags(trace, metadata))) or None,
        **_request(trace.request),
    }
    if trace.response is not None:
        attributes |= _response(trace.response)
    if trace.metrics is not None:
        metrics = trace.metrics
        if metrics.time_to_first_token_ms is not None:
            attributes[names.RESPONSE_TIME_TO_FIRST_CHUNK] = metrics.time_to_first_token_ms / 1000
        attributes[names.TOKENS_PER_SECOND] = metrics.tokens_per_second
        attributes[names.USAGE_COST] = metrics.estimated_cost
        attributes |= _others("metrics", metrics.model_extra)
    if trace.error is not None:
        code = trace.error.code
        attributes[names.ERROR_TYPE] = trace.error.type or (str(code) if code is not None else "_OTHER")
        attributes["untrace.error.code"] = None if code is None else str(code)
        attributes |= _others("error", trace.error.model_extra)
    attributes |= _others("trace", trace.model_extra)
    further = {name: _value(value) for name, value in (trace.attributes or {}).items()}
    attributes = further | {name: value for name, value in attributes.items() if value is not None}
    return {name: value for name, value in attributes.items() if value is not None}


def _operation(trace: CoreTrace) -> dict[str, Value]:
    given = trace.operation
    if given is None:
        chat = trace.request.prompt is None or trace.request.messages is not None
        return {names.OPERATION: names.Operation.CHAT if chat else names.Operation.TEXT_COMPLETION}
    kind = span_kind(given)
    return {names.SPAN_KIND: kind} if kind is not None else {names.OPERATION: operation(given) or given}


def _request(request: Request) -> dict[str, Value]:
    sent = request.messages if request.messages is not None else request.prompt
    attributes = _content(names.INPUT_MESSAGES, sent, input_messages(sent), names.INPUT)
    attributes |= _content(names.TOOL_DEFINITIONS, request.tools, tool_definitions(request.tools), "untrace.tools")
    if request.messages is not None and request.prompt is not None:
        attributes["untrace.request.prompt"] = _value(request.prompt)
    for name, value in {**(request.model_extra or {}), **(request.parameters or {})}.items():
        key = _PARAMETERS.get(name, f"gen_ai.request.{name}")
        attributes[key] = texts(value) if key in _STRINGS else _value(value)
    return attributes


def _response(response: Response) -> dict[str, Value]:
    reason = finish_reason(response.finish_reason)
    answers = {"choices": response.choices, "messages": response.messages, "content": response.content}
    given = [name for name, value in answers.items() if value not in (None, "", [])]
    attributes: dict[str, Value] = {
        names.RESPONSE_ID: response.id,
        names.RESPONSE_MODEL: response.model,
        names.RESPONSE_FINISH_REASONS: [reason] if reason else list(_reasons(response.choices)) or None,
        **dict(usage(response.usage)),
    }
    if given:
        answer = answers[given[0]]
        attributes |= _content(names.OUTPUT_MESSAGES, answer, output_messages(answer), names.OUTPUT)
    attributes |= {f"untrace.response.{name}": _value(answers[name]) for name in given[1:]}
    for name, value in (response.model_extra or {}).items():
        attributes[_RESPONSE.get(name, f"untrace.response.{name}")] = _value(value)
    return attributes


def _reasons(choices: Any) -> Iterator[Value]:
    for choice in choices or ():
        if isinstance(choice, dict) and (reason := finish_reason(choice.get("finish_reason"))) is not None:
            yield reason


def _tags(trace: CoreTrace, metadata: Mapping[str, Any]) -> Iterator[str]:
    yield from trace.tags or ()
    tags = metadata.get("tags")
    if isinstance(tags, Mapping):
        yield from (f"{name}:{value}" for name, value in tags.items())
    elif isinstance(tags, list):
        yield from (str(tag) for tag in tags)


def _content(name: str, given: object, canonical: str | None, otherwise: str) -> dict[str, Value]:
    """Return the canonical form of messages or tools, or what was sent where it has none."""
    if given in (None, "", []):
        return {}
    return {otherwise: _value(given)} if canonical is None else {name: canonical}


def _exception(error: Any, end: int) -> NewEvent:
    said = {"exception.type": error.type, "exception.message": error.message, "exception.stacktrace": error.stack}
    return NewEvent("exception", end, {name: text for name, text in said.items() if text is not None})


def _others(part: str, extra: Mapping[str, Any] | None) -> dict[str, Value]:
    return {f"untrace.{part}.{name}": _value(value) for name, value in (extra or {}).items()}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _value(value: Any) -> Value:
    """Return what an attribute can hold: scalars and lists of strings as they are, anything else as JSON."""
    if value is None or isinstance(value, str | bool | float):
        return value
    if isinstance(value, int):
        return value if -_INT64 <= value < _INT64 else str(value)
    if isinstance(value, list) and value and all(isinstance(one, str) for one in value):
        return list(value)
    return dump(value)
