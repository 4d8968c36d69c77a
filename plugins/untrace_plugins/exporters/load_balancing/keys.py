"""Routing keys: the bytes whose hash says which backend an item belongs to.

Written as the Collector writes them, which is not the same way for every signal: the trace id of a span counts as its
16 bytes, that of a log record as its hexadecimal text; ``service`` is a bare name for logs and metrics.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import itemgetter
from types import MappingProxyType
from typing import TypeAlias

from untrace_pipeline.conditions.values import as_string
from untrace_pipeline.data import Batch, Field, Level, Signal, Value, attribute
from untrace_plugins.exporters.load_balancing.config import ROUTING_KEYS, LoadBalancingConfig, RoutingKey
from untrace_plugins.exporters.load_balancing.identity import (
    Metric,
    hash_attributes,
    resource_identity,
    stream_identity,
)

__all__ = ["KEYS", "Keys", "keys_of"]

Keys: TypeAlias = Callable[[Batch], Sequence[bytes]]
"""Returns the routing key of each item of a batch."""

_SERVICE = "service.name"
_TRACE_ID = Field(Level.ITEM, "trace_id")
_NO_TRACE = bytes(16)
_KINDS = ("Unspecified", "Internal", "Server", "Client", "Producer", "Consumer")
_METRIC_NAME = Field(Level.METRIC, "name")
_METRIC_FIELDS = (
    Field(Level.SCOPE, "name"),
    Field(Level.SCOPE, "version"),
    _METRIC_NAME,
    *(Field(Level.METRIC, name) for name in ("unit", "type", "is_monotonic", "aggregation_temporality")),
)


def keys_of(config: LoadBalancingConfig, signal: Signal) -> Keys:
    """Return the function for one signal. Raises ``KeyError`` for a routing key that the signal does not have."""
    key = ROUTING_KEYS[signal][0] if config.routing_key is RoutingKey.DEFAULT else config.routing_key
    return KEYS[signal][key](config.routing_attributes)


def _trace_ids(batch: Batch) -> list[bytes]:
    return [value if isinstance(value, bytes) else b"" for value in batch.column(_TRACE_ID)]


def _span_trace_ids(batch: Batch) -> list[bytes]:
    return [trace or _NO_TRACE for trace in _trace_ids(batch)]


def _log_trace_ids(batch: Batch) -> list[bytes]:
    """Records without a trace go anywhere, those of one batch together."""
    anywhere = random.randbytes(8)  # noqa: S311  no secret
    return [trace.hex().encode() if trace.strip(b"\0") else anywhere for trace in _trace_ids(batch)]


def _service(batch: Batch) -> list[bytes]:
    values = batch.columns([attribute(_SERVICE, Level.RESOURCE)], Level.ITEM)[0]
    return [value.encode("utf-8", "replace") if isinstance(value, str) else b"" for value in values]


def _metric_names(batch: Batch) -> list[bytes]:
    return [as_string(name).encode("utf-8", "replace") for name in batch.columns([_METRIC_NAME], Level.ITEM)[0]]


def _hashes(batch: Batch, level: Level) -> list[bytes]:
    """Return the hash of the attributes at a level, for each item."""
    maps = batch.column(Field(level, "attributes"), level)
    hashes = [hash_attributes(one if isinstance(one, Mapping) else {}) for one in maps]
    return hashes if level is Level.ITEM else [hashes[owner] for owner in batch.parents(Level.ITEM, level)]


def _resources(batch: Batch) -> list[bytes]:
    return [resource_identity(one) for one in _hashes(batch, Level.RESOURCE)]


def _streams(batch: Batch) -> list[bytes]:
    metrics = zip(*batch.columns(_METRIC_FIELDS, Level.ITEM), strict=True)
    hashes = (_hashes(batch, level) for level in (Level.RESOURCE, Level.SCOPE, Level.ITEM))
    return [
        stream_identity(resource, scope, _metric(*metric), point)
        for resource, scope, point, metric in zip(*hashes, metrics, strict=True)
    ]


def _metric(scope: Value, version: Value, name: Value, unit: Value, kind: Value, grows: Value, when: Value) -> Metric:
    temporality = when if isinstance(when, int) else 0
    texts = (as_string(scope), as_string(version), as_string(name), as_string(unit))
    return (*texts, kind if isinstance(kind, str) else None, bool(grows), temporality)


# ----------------------------------------------------------------- attributes

Pseudo: TypeAlias = Mapping[str, tuple[str, Callable[[Value], str]]]
"""Fixed fields of items that count as attributes, by the name that users write, and how their values are written."""


def _kind(value: Value) -> str:
    return _KINDS[value] if isinstance(value, int) and value in range(len(_KINDS)) else ""


_OF_SPANS: Pseudo = {"span.name": ("name", as_string), "span.kind": ("kind", _kind)}
_OF_LOGS: Pseudo = {"log.severity": ("severity_text", as_string), "log.body": ("body", as_string)}


class _Attributes:
    """``name=value|`` for each attribute: of the resource, or else of the scope, or else of the item.

    What the resource has comes first, then what the scope has, then the rest, each in the order of the option.
    """

    def __init__(self, names: Sequence[str], pseudo: Pseudo = MappingProxyType({})) -> None:
        self._names = names
        self._writers = [pseudo[name][1] if name in pseudo else as_string for name in names]
        own = [Field(Level.ITEM, pseudo[name][0]) if name in pseudo else attribute(name) for name in names]
        outer = [attribute(name, level) for level in (Level.RESOURCE, Level.SCOPE) for name in names]
        self._fields = [*outer, *own]

    def __call__(self, batch: Batch) -> Sequence[bytes]:
        count = len(self._names)
        rows = zip(*batch.columns(self._fields, Level.ITEM), strict=True)
        return [self._key(row[:count], row[count : 2 * count], row[2 * count :]) for row in rows]

    def _key(self, resource: Sequence[Value], scope: Sequence[Value], item: Sequence[Value]) -> bytes:
        pairs = self._pairs(resource, scope, item)
        return "".join(text for _, text in sorted(pairs, key=itemgetter(0))).encode("utf-8", "replace")

    def _pairs(
        self, resource: Sequence[Value], scope: Sequence[Value], item: Sequence[Value]
    ) -> Iterator[tuple[Level, str]]:
        """Yield for each attribute where it was found, and its text."""
        for name, write, *values in zip(self._names, self._writers, resource, scope, item, strict=True):
            if values[0] is not None:
                yield Level.RESOURCE, f"{name}={as_string(values[0])}|"
            elif values[1] is not None:
                yield Level.SCOPE, f"{name}={as_string(values[1])}|"
            else:
                yield Level.ITEM, f"{name}={write(values[2])}|"


class _SpanAttributes(_Attributes):
    """All in the order of the option; all spans of a trace in one scope have the key of the first of them."""

    def __call__(self, batch: Batch) -> Sequence[bytes]:
        first: dict[tuple[int, bytes], bytes] = {}
        owners = zip(batch.parents(Level.ITEM, Level.SCOPE), _trace_ids(batch), strict=True)
        return [first.setdefault(owner, key) for owner, key in zip(owners, super().__call__(batch), strict=True)]

    def _key(self, resource: Sequence[Value], scope: Sequence[Value], item: Sequence[Value]) -> bytes:
        return "".join(text for _, text in self._pairs(resource, scope, item)).encode("utf-8", "replace")


def _plain(keys: Keys) -> Callable[[Sequence[str]], Keys]:
    return lambda _names: keys


KEYS: Mapping[Signal, Mapping[RoutingKey, Callable[[Sequence[str]], Keys]]] = {
    Signal.TRACES: {
        RoutingKey.TRACE_ID: _plain(_span_trace_ids),
        RoutingKey.SERVICE: lambda _names: _SpanAttributes([_SERVICE]),
        RoutingKey.ATTRIBUTES: lambda names: _SpanAttributes(names, _OF_SPANS),
    },
    Signal.LOGS: {
        RoutingKey.SERVICE: _plain(_service),
        RoutingKey.TRACE_ID: _plain(_log_trace_ids),
        RoutingKey.RESOURCE: _plain(_resources),
        RoutingKey.ATTRIBUTES: lambda names: _Attributes(names, _OF_LOGS),
    },
    Signal.METRICS: {
        RoutingKey.SERVICE: _plain(_service),
        RoutingKey.RESOURCE: _plain(_resources),
        RoutingKey.METRIC: _plain(_metric_names),
        RoutingKey.STREAM_ID: _plain(_streams),
        RoutingKey.ATTRIBUTES: _Attributes,
    },
}
"""How: for each of ``ROUTING_KEYS``."""
