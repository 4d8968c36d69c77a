"""What is said between supervisor and workers, as JSON: snapshots, states, configurations."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from untrace_pipeline.api.status import Status, StatusEvent
from untrace_pipeline.api.telemetry import Aggregation, MetricKind, MetricSpec
from untrace_pipeline.telemetry.metrics import Sample, Snapshot

__all__ = ["Groups", "Orders", "groups_from", "groups_to", "snapshot_from", "snapshot_to"]

Groups = Mapping[str, Mapping[str, StatusEvent]]
"""States by group and component, as :meth:`Host.statuses` gives them."""


@dataclass(frozen=True)
class Orders:
    """What workers are to run: how many of them, and the configuration, with the files as the supervisor read them.

    Whoever is started with it later, because a worker died, runs the same as the others, whatever has become of the
    files since.
    """

    count: int
    sources: tuple[str, ...]
    overrides: tuple[str, ...] = ()
    contents: Mapping[Path, bytes] = field(default_factory=dict, repr=False)
    shutdown_timeout: float = 30.0
    """Seconds that a worker has for draining, before it is killed soon after."""

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        contents = {str(path): base64.b64encode(data).decode() for path, data in self.contents.items()}
        return {
            "count": self.count,
            "sources": list(self.sources),
            "overrides": list(self.overrides),
            "contents": contents,
            "shutdown_timeout": self.shutdown_timeout,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read it back."""
        contents = {Path(path): base64.b64decode(text) for path, text in data["contents"].items()}
        return cls(data["count"], tuple(data["sources"]), tuple(data["overrides"]), contents, data["shutdown_timeout"])


def snapshot_to(snapshot: Snapshot) -> list[Any]:
    """Return a snapshot of metrics as JSON."""
    return [[_spec_to(spec), [[one.labels, one.value, one.counts] for one in samples]] for spec, samples in snapshot]


def snapshot_from(data: Sequence[Any]) -> Snapshot:
    """Read a snapshot back."""
    return [
        (_spec_from(spec), [Sample(tuple(labels), value, tuple(counts)) for labels, value, counts in samples])
        for spec, samples in data
    ]


def _spec_to(spec: MetricSpec) -> list[Any]:
    return [spec.name, spec.kind, spec.help, spec.labels, spec.buckets, spec.aggregation]


def _spec_from(data: Sequence[Any]) -> MetricSpec:
    name, kind, help_, labels, buckets, aggregation = data
    return MetricSpec(name, MetricKind(kind), help_, tuple(labels), tuple(buckets), Aggregation(aggregation))


def groups_to(groups: Groups) -> dict[str, dict[str, list[Any]]]:
    """Return states as JSON."""
    return {name: {one: list(event) for one, event in group.items()} for name, group in groups.items()}


def groups_from(data: Mapping[str, Mapping[str, Sequence[Any]]]) -> Groups:
    """Read states back."""
    return {
        name: {one: StatusEvent(Status(status), message, at) for one, (status, message, at) in group.items()}
        for name, group in data.items()
    }
