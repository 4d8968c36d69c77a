"""The fields of the core trace: LLM calls by the words of those who write rules, read from OTel GenAI attributes.

Each name has a maker of an expression over the rows of a signal. No maker's functions fail, whatever the values are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeAlias

import orjson

from untrace_pipeline.conditions.expression import Expression, Kind, apply, constant, from_context, read, whole
from untrace_pipeline.data import Field, Level, Signal, Value, attribute

__all__ = ["ALIASES", "FIELDS", "TREE", "WITH_WILDCARDS", "attached", "parsed_json", "reached", "tag_reader"]

_MILLIS = 1e6
_LONGEST_JSON = 1 << 20
"""Characters of JSON that a condition looks into; longer ones hold files, which no condition asks for."""
_LONGEST_REMEMBERED = 4096
"""Characters of JSON that is kept parsed: metadata repeats from span to span."""

Make: TypeAlias = Callable[[Signal], Expression]
Column: TypeAlias = list[Any]


def _span(name: str, convert: Callable[[Any], Value]) -> Make:
    """Read a fixed field that spans alone have."""

    def make(signal: Signal) -> Expression:
        if signal is not Signal.TRACES:
            return constant(None)
        return whole(lambda column: [convert(value) for value in column], (read(Field(Level.ITEM, name)),))

    return make


def _first(*fields: Field) -> Make:
    """Read the first of some fields that is there."""
    if len(fields) == 1:
        return lambda _signal: read(fields[0])
    return lambda _signal: whole(_first_of, [read(field) for field in fields])


def _first_of(column: Column, *others: Column) -> Column:
    """Return for each row the first value that is there."""
    for other in others:
        if None not in column:
            break
        column = [own if own is not None else value for own, value in zip(column, other, strict=True)]
    return column


def _own(*keys: str) -> Make:
    return _first(*[attribute(key) for key in keys])


def _number(*keys: str) -> Make:
    """Read the first of some attributes that is there; what is no number counts as absent."""
    own = _own(*keys)
    return lambda signal: whole(_numbers, (own(signal),))


def _numbers(column: Column) -> Column:
    return [value if value.__class__ is float or value.__class__ is int else None for value in column]


def _resource(*keys: str) -> tuple[Field, ...]:
    return tuple(attribute(key, Level.RESOURCE) for key in keys)


def _total(first: Value, second: Value) -> Value:
    numbers = [one for one in (first, second) if isinstance(one, int | float) and not isinstance(one, bool)]
    return sum(numbers) if numbers else None


def _millis(seconds: Value) -> Value:
    return seconds * 1e3 if isinstance(seconds, int | float) and not isinstance(seconds, bool) else None


def _as_list(value: Value) -> Sequence[Value]:
    """Return the values of a list, or a single one, as several of which any may satisfy a condition."""
    return value if isinstance(value, list) else () if value is None else (value,)


def _tags(signal: Signal) -> Expression:
    parts = (_own("untrace.tags")(signal), _metadata(signal))
    return whole(lambda own, metadata: list(map(_all_tags, own, metadata)), parts, kind=Kind.MANY)


def _all_tags(own: Value, metadata: Mapping[str, Any]) -> Sequence[Value]:
    if own is None and metadata is _NO_METADATA:
        return ()
    found = metadata.get("tags")
    if isinstance(found, dict):
        found = [f"{key}:{value}" for key, value in found.items()]
    return [*_as_list(own), *(found if isinstance(found, list) else ())]


def _error_codes(type_: Value, status: Value) -> Sequence[Value]:
    """Return the codes of an error as words and as numbers: rules say ``429`` and ``"429"``."""
    found: list[Value] = []
    for value in (type_, status):
        if value is None or isinstance(value, bool):
            continue
        found.append(value)
        if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10:  # noqa: PLR2004  a code
            found.append(int(value))
        elif isinstance(value, int) and abs(value) < _MILLIS:
            found.append(str(value))
    return found


def _error_code(signal: Signal) -> Expression:
    fields = (attribute("error.type"), attribute("http.response.status_code"))
    return whole(lambda *columns: list(map(_error_codes, *columns)), [read(field) for field in fields], kind=Kind.MANY)


def _error(signal: Signal) -> Expression:
    """Return the type of an error, or ``error`` where a span failed without one."""
    if signal is not Signal.TRACES:
        return read(attribute("error.type"))
    status = read(Field(Level.ITEM, "status.code"))
    return whole(_error_words, (read(attribute("error.type")), status))


_FAILED = 2
"""``STATUS_CODE_ERROR``."""


def _error_words(types: Column, statuses: Column) -> Column:
    pairs = zip(types, statuses, strict=True)
    return [own if own is not None else "error" if status == _FAILED else None for own, status in pairs]


def _error_message(signal: Signal) -> Expression:
    message = _own("error.message", "exception.message")(signal)
    if signal is not Signal.TRACES:
        return message
    status = read(Field(Level.ITEM, "status.message"))
    return apply(lambda own, text: text or own or None, (message, status), safe=True)


def _metadata(signal: Signal) -> Expression:
    """Return what the application attached, as a map; an empty one where there is none or it is no JSON."""
    return whole(lambda column: [_parsed(text) for text in column], (read(attribute("untrace.metadata")),))


_NO_METADATA: dict[str, Any] = {}


def _parsed(text: Value) -> dict[str, Any]:
    if text is None:
        return _NO_METADATA
    found = parsed_json(text)
    return found if isinstance(found, dict) else _NO_METADATA


def parsed_json(text: Value) -> Any:
    """Return what a string of JSON holds, or another value as it is; ``None`` for text that is no JSON."""
    if not isinstance(text, str):
        return text
    if len(text) > _LONGEST_JSON:
        return None
    return _parsed_short(text) if len(text) <= _LONGEST_REMEMBERED else _loaded(text)


def _loaded(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return None


_parsed_short = lru_cache(maxsize=256)(_loaded)


def attached(keys: Sequence[str | int], *else_: Field, tenant: bool = False) -> Make:
    """Read a key of the metadata, or the first field that says the same where the metadata does not have it."""

    def find(metadata: Column, *others: Column) -> Column:
        own = [None if one is _NO_METADATA else reached(one, keys) for one in metadata]
        return _first_of(own, *others)

    def make(signal: Signal) -> Expression:
        others = [read(field) for field in else_]
        if tenant:
            others.append(from_context(lambda context: context.tenant))
        return whole(find, (_metadata(signal), *others))

    return make


def reached(value: Any, keys: Sequence[str | int]) -> Any:
    """Return what lies below a value, ``None`` where there is nothing."""
    for key in keys:
        if isinstance(value, dict):
            value = value.get(key)
        elif isinstance(value, list) and isinstance(key, int) and key < len(value):
            value = value[key]
        else:
            return None
    return value


def _sum(first: str, second: str) -> Make:
    return lambda _signal: apply(_total, (read(attribute(first)), read(attribute(second))), safe=True)


def _many(*keys: str) -> Make:
    return lambda signal: apply(_as_list, (_own(*keys)(signal),), kind=Kind.MANY, safe=True)


_INPUT, _OUTPUT = "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"
_ENVIRONMENT = _resource("deployment.environment.name", "deployment.environment")

FIELDS: dict[str, Make] = {
    "id": _span("span_id", lambda value: value.hex() or None),
    "parent_id": _span("parent_span_id", lambda value: value.hex() or None),
    "session_id": _own("session.id", "gen_ai.conversation.id"),
    "user_id": _own("user.id"),
    "start_time": _span("start_time_unix_nano", lambda nanos: nanos / _MILLIS),
    "end_time": _span("end_time_unix_nano", lambda nanos: nanos / _MILLIS),
    "operation": _own("gen_ai.operation.name"),
    "provider": _own("gen_ai.provider.name", "gen_ai.system"),
    "model": _own("gen_ai.request.model", "gen_ai.response.model"),
    "environment": attached(["environment"], *_ENVIRONMENT),
    "application": attached(["applicationId"], *_resource("service.name")),
    "version": attached(["version"], *_resource("service.version")),
    "customer": attached(["customerId"], tenant=True),
    "tags": _tags,
    "cost": _number("gen_ai.usage.cost", "untrace.cost.total"),
    "tokens": _sum(_INPUT, _OUTPUT),
    "latency_ms": _span("duration_nanos", lambda nanos: nanos / _MILLIS),
    "time_to_first_token_ms": lambda _signal: apply(
        _millis, (read(attribute("gen_ai.response.time_to_first_chunk")),), safe=True
    ),
    "tokens_per_second": _number("untrace.tokens_per_second"),
    "error": _error,
    "metadata": _metadata,
    "request.messages": _own("gen_ai.input.messages", "untrace.input"),
    "request.model": _own("gen_ai.request.model"),
    "response.id": _own("gen_ai.response.id"),
    "response.model": _own("gen_ai.response.model"),
    "response.messages": _own("gen_ai.output.messages", "untrace.output"),
    "response.finish_reason": _many("gen_ai.response.finish_reasons"),
    "response.usage.prompt_tokens": _number(_INPUT),
    "response.usage.completion_tokens": _number(_OUTPUT),
    "tokens.cache_read": _number("gen_ai.usage.cache_read.input_tokens"),
    "tokens.cache_write": _number("gen_ai.usage.cache_creation.input_tokens"),
    "tokens.reasoning": _number("gen_ai.usage.reasoning.output_tokens"),
    **{f"cost.{part}": _number(f"untrace.cost.{part}") for part in ("input", "output", "cache_read", "cache_write")},
    "error.code": _error_code,
    "error.type": _own("error.type"),
    "error.message": _error_message,
    "error.stack": _own("exception.stacktrace"),
}
ALIASES = {
    "timestamp": "start_time",
    "session": "session_id",
    "conversation_id": "session_id",
    "user": "user_id",
    "metadata.user_id": "user_id",
    "metadata.environment": "environment",
    "metadata.application_id": "application",
    "application_id": "application",
    "metadata.version": "version",
    "metadata.customer_id": "customer",
    "customer_id": "customer",
    "metadata.tags": "tags",
    "cost.total": "cost",
    "metrics.estimated_cost": "cost",
    "tokens.total": "tokens",
    "tokens.input": "response.usage.prompt_tokens",
    "tokens.output": "response.usage.completion_tokens",
    "response.usage.total_tokens": "tokens",
    "response.usage.input_tokens": "response.usage.prompt_tokens",
    "response.usage.output_tokens": "response.usage.completion_tokens",
    "metrics.latency_ms": "latency_ms",
    "metrics.time_to_first_token_ms": "time_to_first_token_ms",
    "metrics.tokens_per_second": "tokens_per_second",
    "request.prompt": "request.messages",
    "response.content": "response.messages",
    "response.choices": "response.messages",
}
WITH_WILDCARDS = frozenset({"model", "provider", "request.model", "response.model", "environment", "tags"})
TREE = {
    "request": {"messages": "request.messages", "model": "request.model"},
    "response": {
        "id": "response.id",
        "content": "response.messages",
        "usage": {
            "prompt_tokens": "response.usage.prompt_tokens",
            "completion_tokens": "response.usage.completion_tokens",
            "total_tokens": "tokens",
        },
    },
    "metrics": {
        "latency_ms": "latency_ms",
        "time_to_first_token_ms": "time_to_first_token_ms",
        "tokens_per_second": "tokens_per_second",
        "estimated_cost": "cost",
    },
    "error": {"type": "error.type", "message": "error.message"},
    **{name: name for name in ("id", "parent_id", "session_id", "provider", "model", "metadata", "tags")},
}
"""The core trace as a tree, for JSONPaths that are no plain path."""


def tag_reader(key: str) -> Make:
    """Read what follows a key in a tag: ``search`` of ``team:search`` or ``team=search``."""
    starts = (f"{key}:", f"{key}=")

    def find(tags: Sequence[Value]) -> Value:
        texts = [tag for tag in tags if isinstance(tag, str)]
        return next((text[len(key) + 1 :] for text in texts if text.startswith(starts)), None)

    return lambda signal: apply(find, (_tags(signal),), safe=True)
