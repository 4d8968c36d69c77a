"""What identifies a series."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from untrace_pipeline.conditions.values import as_string
from untrace_pipeline.data import Value
from untrace_plugins.prometheus.config import ResourceConversionConfig
from untrace_plugins.prometheus.names import label_name

__all__ = ["Labelling", "Labels"]

Labels = tuple[tuple[str, str], ...]
"""Names and values, by name."""

NAME, NAMESPACE, INSTANCE = "service.name", "service.namespace", "service.instance.id"
_SERVICE = frozenset({NAME, NAMESPACE, INSTANCE})
_RESERVED = frozenset({"name", "version", "schema_url"})
"""Attributes of scopes whose labels would be those of the scope itself."""


class Labelling:
    """Makes labels of attributes as the options say."""

    def __init__(
        self,
        *,
        escapes: bool,
        scopes: bool,
        conversion: ResourceConversionConfig,
        constant: Mapping[str, str],
        constant_wins: bool = True,
    ) -> None:
        """``constant`` are labels of every series; ``constant_wins`` over others of the same name."""
        self._escapes = escapes
        self._scopes = scopes
        self._conversion = conversion
        self.constant = {self._name(name): value for name, value in constant.items()}
        """Labels of every series, by their names in Prometheus."""
        self._constant_wins = constant_wins

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
        """Return all labels of a series. Values whose names become the same are joined."""
        merged = {name: as_string(value) for name, value in attributes.items()} | dict(outer)
        labels = self._with_constant(self._distinct(merged))
        return tuple(sorted(labels.items()))

    def target_info(self, attributes: Mapping[str, Value], *, complete: bool = True) -> tuple[Labels, Labels] | None:
        """Return what identifies a target, and all that is told of it; ``None`` for what is none.

        With ``complete``, ``job`` and ``instance`` are both needed; without, one of them.
        """
        target = [(name, value) for name, value in _target(attributes) if value]
        if not target or (complete and len(target) < len(("job", "instance"))):
            return None
        told = {name: as_string(value) for name, value in attributes.items() if name not in _SERVICE}
        labels = self._distinct(told)
        labels.update(target)
        return tuple(target), tuple(sorted(labels.items()))

    def _with_constant(self, labels: dict[str, str]) -> dict[str, str]:
        return {**labels, **self.constant} if self._constant_wins else {**self.constant, **labels}

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
