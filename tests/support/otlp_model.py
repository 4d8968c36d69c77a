"""The slow and obvious model of a batch: a parsed request that is edited at once, message by message."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from untrace_pipeline.data import Field, Level, Signal, Value
from untrace_pipeline.data.codecs.upb_schema import REQUESTS
from untrace_pipeline.testing.generate import to_any_value

_PATHS = {
    Signal.TRACES: ((Level.RESOURCE, "resource_spans"), (Level.SCOPE, "scope_spans"), (Level.ITEM, "spans")),
    Signal.LOGS: ((Level.RESOURCE, "resource_logs"), (Level.SCOPE, "scope_logs"), (Level.ITEM, "log_records")),
    Signal.METRICS: (
        (Level.RESOURCE, "resource_metrics"),
        (Level.SCOPE, "scope_metrics"),
        (Level.METRIC, "metrics"),
        (Level.ITEM, "data_points"),
    ),
}


def levels_of(signal: Signal) -> list[Level]:
    """Return the levels that have rows in a signal."""
    below = [Level.EVENT, Level.LINK] if signal is Signal.TRACES else []
    return [level for level, _ in _PATHS[signal]] + below


class Model:
    """A request as messages; offers what a batch offers, by rows."""

    def __init__(self, signal: Signal, payload: bytes) -> None:
        self.signal = signal
        self.request = REQUESTS[signal].FromString(payload)

    def rows(self, level: Level) -> list[tuple[Any, dict[Level, int]]]:
        """Return each message of a level with the row numbers of its ancestors."""
        return list(self._walk(level))

    def messages(self, level: Level) -> list[Any]:
        """Return the messages of a level."""
        return [message for message, _ in self.rows(level)]

    def _walk(self, wanted: Level) -> Iterator[tuple[Any, dict[Level, int]]]:
        found: list[tuple[Any, dict[Level, int]]] = [(self.request, {})]
        path = list(_PATHS[self.signal])
        if wanted in (Level.EVENT, Level.LINK):
            path.append((wanted, "events" if wanted is Level.EVENT else "links"))
        above: Level | None = None
        for level, name in path:
            inner = []
            for row, (message, ancestors) in enumerate(found):
                own = ancestors if above is None else {**ancestors, above: row}
                inner += [(child, own) for child in _children(message, name)]
            found, above = inner, level
            if level is wanted:
                break
        yield from found

    def column(self, field: Field) -> list[Value]:
        """Return the attribute values, or all attributes, of every row of the field's level."""
        found = []
        for message in self.messages(field.level):
            pairs: dict[str, Value] = {}
            for key_value in _attributes(field.level, message):
                pairs.setdefault(key_value.key, to_python(key_value.value))
            found.append(pairs if field.key is None else pairs.get(field.key))
        return found

    def set(self, field: Field, values: Sequence[Value], rows: Sequence[int] | None = None) -> None:
        """Set attributes of every row, or of the named ones."""
        messages = self.messages(field.level)
        for row, value in zip(range(len(messages)) if rows is None else rows, values, strict=True):
            message = messages[row]
            key_values = _attributes(field.level, message)
            if field.key is None:
                assert isinstance(value, dict)
                del key_values[:]
                for key, inner in value.items():
                    key_values.add(key=key, value=to_any_value(inner))
            else:
                _set_key(key_values, field.key, value)

    def keep(self, mask: Sequence[bool], level: Level) -> None:
        """Drop rows, and containers that lose their last child by that."""
        doomed = iter([not wanted for wanted in mask])
        if level in (Level.EVENT, Level.LINK):
            for span in self.messages(Level.ITEM):
                _filter(span.events if level is Level.EVENT else span.links, lambda _: next(doomed))
        else:
            self._prune(self.request, 0, level, doomed)

    def _prune(self, message: Any, depth: int, dropped: Level, doomed: Iterator[bool]) -> bool:
        """Drop children, and tell whether the message lost all it had."""
        level, name = _PATHS[self.signal][depth]
        children = _children(message, name)
        had = len(children)
        if level is dropped:
            _filter(children, lambda _: next(doomed))
        else:
            _filter(children, lambda child: self._prune(child, depth + 1, dropped, doomed))
        return had > 0 and not len(children)


def _children(message: Any, name: str) -> Any:
    if name != "data_points":
        return getattr(message, name)
    kind = message.WhichOneof("data")
    return getattr(message, kind).data_points if kind else []


def _filter(messages: Any, doomed: Any) -> None:
    gone = [number for number, message in enumerate(messages) if doomed(message)]
    for number in reversed(gone):
        del messages[number]


def _attributes(level: Level, message: Any) -> Any:
    if level is Level.RESOURCE:
        return message.resource.attributes
    if level is Level.SCOPE:
        return message.scope.attributes
    return message.metadata if level is Level.METRIC else message.attributes


def _set_key(key_values: Any, key: str, value: Value) -> None:
    places = [number for number, key_value in enumerate(key_values) if key_value.key == key]
    if value is None:
        doomed = places
    elif places:
        key_values[places[0]].Clear()
        key_values[places[0]].key = key
        key_values[places[0]].value.CopyFrom(to_any_value(value))
        doomed = places[1:]
    else:
        key_values.add(key=key, value=to_any_value(value))
        doomed = []
    for place in reversed(doomed):
        del key_values[place]


def to_python(any_value: Any) -> Value:
    """Return the Python form of an ``AnyValue``."""
    kind = any_value.WhichOneof("value")
    if kind is None:
        return None
    if kind == "array_value":
        return [to_python(value) for value in any_value.array_value.values]
    if kind == "kvlist_value":
        pairs: dict[str, Value] = {}
        for key_value in any_value.kvlist_value.values:
            pairs.setdefault(key_value.key, to_python(key_value.value))
        return pairs
    return getattr(any_value, kind)  # type: ignore[no-any-return]
