"""Which index or data stream a document belongs to."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple

from untrace_pipeline.data import Signal
from untrace_plugins.bulk.config import BulkConfig, MappingMode
from untrace_plugins.rows import Source
from untrace_plugins.rows.source import Attributes

__all__ = ["Index", "Router"]

DATASET, NAMESPACE, INDEX = "data_stream.dataset", "data_stream.namespace", "elasticsearch.index"
_LONGEST = 100
"""Of each part of the name of a data stream."""
_NOT_IN_DATASET, _NOT_IN_NAMESPACE = re.compile(r'[-\\/*?"<>| ,#:]'), re.compile(r'[\\/*?"<>| ,#:]')


class Index(NamedTuple):
    """Where a document goes; ``type`` is empty for what is no data stream by our naming."""

    name: str
    type: str = ""
    dataset: str = ""
    namespace: str = ""


class Router:
    """Finds the index of documents by the options and by their attributes; the item's win over those of its scope, and
    those over the resource's. Unless ``index_from_attributes``, by the options only."""

    def __init__(self, config: BulkConfig) -> None:
        self._names = config.index_names
        self._suffix = ".otel" if config.mapping.mode is MappingMode.OTEL else ""
        self._dates = config.logstash_format
        self._from_attributes = config.index_from_attributes

    def of(self, signal: Signal, source: Source, attributes: Attributes, nanos: int) -> Index:
        """Return the index of a document that carries the attributes and happened at a time."""
        told = (attributes, source.scope, source.resource) if self._from_attributes else ()
        name = _first(INDEX, told) or self._names[signal]
        if not name:
            dataset, namespace = (_first(key, told) for key in (DATASET, NAMESPACE))
            index = _stream(str(signal), dataset or "generic", self._suffix, namespace or "default")
        else:
            index = Index(name)
        if not self._dates.enabled:
            return index
        date = _date(nanos // 10**9, self._dates.date_format)
        return Index(f"{index.name}{self._dates.prefix_separator}{date}")


def _first(key: str, told: Sequence[Attributes]) -> str:
    for held in told:
        value = held.get(key)
        if isinstance(value, str) and value:
            return value
    return ""


@lru_cache(maxsize=1024)
def _stream(type_: str, dataset: str, suffix: str, namespace: str) -> Index:
    dataset = _NOT_IN_DATASET.sub("_", dataset.lower())[: _LONGEST - len(suffix)].removesuffix(suffix) + suffix
    namespace = _NOT_IN_NAMESPACE.sub("_", namespace.lower())[:_LONGEST]
    return Index(f"{type_}-{dataset}-{namespace}", type_, dataset, namespace)


@lru_cache(maxsize=1024)
def _date(seconds: int, form: str) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime(form)
