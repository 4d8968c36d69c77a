"""What identifies a series on the page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from untrace_pipeline.conditions.values import as_string
from untrace_pipeline.data import Value
from untrace_plugins.exporters.prometheus.config import PrometheusConfig
from untrace_plugins.exporters.prometheus.names import label_name

__all__ = ["Labelling", "Labels"]

Labels = tuple[tuple[str, str], ...]
"""Names and values, by name."""

NAME, NAMESPACE, INSTANCE = "service.name", "service.namespace", "service.instance.id"
_SERVICE = frozenset({NAME, NAMESPACE, INSTANCE})
_RESERVED = frozenset({"name", "version", "schema_url"})
"""Attributes of scopes whose labels would be those of the scope itself."""


class Labelling:
    """Makes labels of attributes as the options say."""

    def __init__(self, config: PrometheusConfig) -> None:
        self._escapes = config.translation.escapes
        self._scopes = not config.without_scope_info
        self._conversion = config.resource_to_telemetry_conversion
        self._constant = [(self._name(name), value) for name, value in config.const_labels.items()]

    def of_resource(self, attributes: Mapping[str, Value]) -> list[tuple[str, str]]:
        """Return the labels that all series of a resource have: ``job``, ``instance``, and its attributes if wanted."""
        labels = _target(attributes)
        if self._conversion.enabled:
            left_out = _SERVICE if self._conversion.exclude_service_attributes else frozenset[str]()
            labels += [(name, as_string(value)) for name, value in attributes.items() if name not in left_out]
        return labels

    def of_scope(self, scope: Mapping[str, Value], name: str, version: str, schema_url: str) -> list[tuple[str, str]]:
        """Return the labels that all series of a scope have."""
        if not self._scopes:
            return []
        more = [(f"otel_scope_{key}", as_string(value)) for key, value in scope.items() if key not in _RESERVED]
        own = [("otel_scope_name", name), ("otel_scope_version", version), ("otel_scope_schema_url", schema_url)]
        return own + more

    def of_series(self, attributes: Mapping[str, Value], outer: Iterable[tuple[str, str]]) -> Labels:
        """Return all labels of a series. Values whose names become the same are joined; constant ones win."""
        merged = {name: as_string(value) for name, value in attributes.items()} | dict(outer)
        labels = self._distinct(merged)
        labels.update(self._constant)
        return tuple(sorted(labels.items()))

    def target_info(self, attributes: Mapping[str, Value]) -> tuple[Labels, Labels] | None:
        """Return what identifies a target, and all that is told of it; ``None`` for what is none."""
        target = _target(attributes)
        if {name for name, value in target if value} != {"job", "instance"}:
            return None
        told = {name: as_string(value) for name, value in attributes.items() if name not in _SERVICE}
        labels = self._distinct(told)
        labels.update(target)
        return tuple(target), tuple(sorted(labels.items()))

    def _distinct(self, named: Mapping[str, str]) -> dict[str, str]:
        labels: dict[str, str] = {}
        for name, value in sorted(named.items()):
            built = self._name(name)
            if built:
                labels[built] = f"{labels[built]};{value}" if built in labels else value
        return labels

    def _name(self, name: str) -> str:
        return label_name(name, escapes=self._escapes) if name else ""


def _target(attributes: Mapping[str, Value]) -> list[tuple[str, str]]:
    labels = []
    if NAME in attributes:
        job = as_string(attributes[NAME])
        if NAMESPACE in attributes:
            job = f"{as_string(attributes[NAMESPACE])}/{job}"
        labels.append(("job", job))
    if INSTANCE in attributes:
        labels.append(("instance", as_string(attributes[INSTANCE])))
    return labels
