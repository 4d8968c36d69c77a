"""What a batch of spans says, column by column, as far as the metrics need it."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

from untrace_pipeline.data import Batch, Field, Level, Value, attribute
from untrace_plugins.connectors.span_metrics.config import SpanMetricsConfig
from untrace_plugins.metrics.adjusted import adjusted_counts
from untrace_plugins.metrics.dimensions import as_keys
from untrace_plugins.metrics.names import INSTANCE_ID, SERVICE_NAME, SPAN_KIND, SPAN_NAME, STATUS_CODE

__all__ = ["EventRows", "Reader", "SpanRows", "Spans"]

_RESOURCE = Field(Level.RESOURCE, "attributes")
_SPAN, _EVENT = Field(Level.ITEM, "attributes"), Field(Level.EVENT, "attributes")
_NAME, _KIND, _CODE, _DURATION, _STATE, _TRACE_ID, _SPAN_ID = (
    Field(Level.ITEM, name)
    for name in ("name", "kind", "status.code", "duration_nanos", "trace_state", "trace_id", "span_id")
)
_SCOPE_NAME, _SCOPE_VERSION = Field(Level.SCOPE, "name"), Field(Level.SCOPE, "version")

_KINDS = dict(enumerate(["UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"]))
_CODES = dict(enumerate(["UNSET", "OK", "ERROR"]))
KINDS: Mapping[Value, str] = {number: f"SPAN_KIND_{name}" for number, name in _KINDS.items()}
CODES: Mapping[Value, str] = {number: f"STATUS_CODE_{name}" for number, name in _CODES.items()}
_NO_ID = bytes(16)

_SCOPE = "span.instrumentation.scope.name"
_VERSION = "span.instrumentation.scope.version"
_METHOD = "sampling.method"


class SpanRows:
    """Attributes of spans; of all of them, or of those that some rows belong to."""

    def __init__(self, batch: Batch, owners: Sequence[int] | None = None) -> None:
        self._batch = batch
        self._owners = owners

    def column(self, name: str) -> Sequence[Value]:
        """Return one attribute."""
        return self._spread(self._batch.column(attribute(name)))

    def maps(self) -> Sequence[Mapping[str, Value]]:
        """Return all attributes."""
        return self._spread(self._batch.column(_SPAN))  # type: ignore[return-value]

    def _spread(self, column: Sequence[Value]) -> Sequence[Value]:
        return column if self._owners is None else [column[owner] for owner in self._owners]


class EventRows:
    """Attributes of the events of spans."""

    def __init__(self, batch: Batch) -> None:
        self._batch = batch

    def column(self, name: str) -> Sequence[Value]:
        """Return one attribute."""
        return self._batch.column(attribute(name, Level.EVENT))

    def maps(self) -> Sequence[Mapping[str, Value]]:
        """Return all attributes."""
        return self._batch.column(_EVENT)  # type: ignore[return-value]


@dataclass(frozen=True, slots=True)
class Spans:
    """One batch of spans."""

    batch: Batch
    resources: Sequence[Mapping[str, Value]]
    """Attributes of each resource."""
    owners: Sequence[int]
    """The resource of each span."""
    durations: Sequence[float]
    """In the unit of the histogram; 0 for a span that ends before it starts."""
    weights: Sequence[int] | None
    """How many spans each stands for; ``None`` where all stand for themselves."""
    trace_ids: Sequence[Value]
    """Only where exemplars are wanted; ``b""`` where there is none."""
    span_ids: Sequence[Value]
    fixed: Mapping[str, Sequence[Value]]
    """Dimensions that need not be asked for, by name."""

    def key_columns(self) -> list[Sequence[Hashable]]:
        """Return the columns of ``fixed`` as they tell series apart."""
        return [as_keys(column) for column in self.fixed.values()]

    def attributes(self, row: int) -> dict[str, Value]:
        """Return the fixed dimensions of a span."""
        return {name: column[row] for name, column in self.fixed.items() if column[row] is not None}


class Reader:
    """Reads the columns that some options need."""

    def __init__(self, config: SpanMetricsConfig, instance_id: str) -> None:
        self._unit = config.histogram.unit.nanos
        self._exemplars = config.exemplars.enabled and config.exemplars.max_per_data_point > 0
        self._scopes = frozenset(config.include_instrumentation_scope) - {""}
        self._method = config.enable_metrics_sampling_method
        self._excluded = frozenset(config.exclude_dimensions)
        self._instance_id = instance_id

    def keep_instance(self) -> None:
        """Have the dimension ``collector.instance.id`` in any case."""
        self._excluded -= {INSTANCE_ID}

    def read(self, batch: Batch) -> Spans:
        """Return the columns. Raises :class:`DecodeError`."""
        wanted = [_NAME, _KIND, _CODE, _DURATION, _STATE, *([_TRACE_ID, _SPAN_ID] if self._exemplars else [])]
        names, kinds, codes, nanos, states, *ids = batch.columns(wanted)
        resources: Sequence[Mapping[str, Value]] = batch.column(_RESOURCE)  # type: ignore[assignment]
        owners = batch.parents(Level.ITEM, Level.RESOURCE)
        counts = adjusted_counts(states)
        unit = self._unit
        fixed = {
            SERVICE_NAME: _services(resources, owners),
            SPAN_NAME: names,
            SPAN_KIND: [KINDS.get(kind, "") for kind in kinds],
            STATUS_CODE: [CODES.get(code, "") for code in codes],
            INSTANCE_ID: [self._instance_id] * len(names),
        }
        return Spans(
            batch,
            resources,
            owners,
            [value / unit if value > 0 else 0.0 for value in nanos],  # type: ignore[operator]
            None if counts is None else [1 if count is None else count for count in counts],
            [b"" if one == _NO_ID else one for one in ids[0]] if ids else [],
            ids[1] if ids else [],
            {name: column for name, column in fixed.items() if name not in self._excluded}
            | self._scope(batch)
            | self._sampling(counts, len(names)),
        )

    def _scope(self, batch: Batch) -> dict[str, Sequence[Value]]:
        if not self._scopes:
            return {}
        names, versions = batch.columns([_SCOPE_NAME, _SCOPE_VERSION], Level.ITEM)
        listed = [name in self._scopes for name in names]
        return {
            _SCOPE: [name if there else None for name, there in zip(names, listed, strict=True)],
            _VERSION: [(version or None) if there else None for version, there in zip(versions, listed, strict=True)],
        }

    def _sampling(self, counts: Sequence[int | None] | None, rows: int) -> dict[str, Sequence[Value]]:
        if not self._method:
            return {}
        if counts is None:
            return {_METHOD: ["counted"] * rows}
        return {_METHOD: ["counted" if count is None else "extrapolated" for count in counts]}


def _services(resources: Sequence[Mapping[str, Value]], owners: Sequence[int]) -> Sequence[Value]:
    names = [name if isinstance(name := one.get(SERVICE_NAME), str) else "" for one in resources]
    return [names[owner] for owner in owners]
