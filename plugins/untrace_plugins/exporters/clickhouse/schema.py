"""The Collector's tables, as data, and the statements that make them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from untrace_pipeline.data import Signal
from untrace_plugins.exporters.clickhouse.config import ClickhouseConfig

__all__ = ["quoted", "statements", "table_of"]

MAP, JSON = "Map(LowCardinality(String), String)", "JSON"
WORD, TEXT, TIME = "LowCardinality(String)", "String", "DateTime64(9)"
_ATTRIBUTES = "attributes"
"""Stands for ``MAP`` or ``JSON``."""

Columns = Mapping[str, str]

_SPANS: Columns = {
    "Timestamp": f"{TIME} CODEC(Delta(8), ZSTD(1))",
    "TraceId": TEXT,
    "SpanId": TEXT,
    "ParentSpanId": TEXT,
    "TraceState": TEXT,
    "SpanName": WORD,
    "SpanKind": WORD,
    "ServiceName": WORD,
    "ResourceAttributes": _ATTRIBUTES,
    "ScopeName": TEXT,
    "ScopeVersion": TEXT,
    "SpanAttributes": _ATTRIBUTES,
    "Duration": "UInt64",
    "StatusCode": WORD,
    "StatusMessage": TEXT,
    "Events": f"Nested (Timestamp {TIME}, Name {WORD}, Attributes {_ATTRIBUTES})",
    "Links": f"Nested (TraceId {TEXT}, SpanId {TEXT}, TraceState {TEXT}, Attributes {_ATTRIBUTES})",
}
_LOGS: Columns = {
    "Timestamp": f"{TIME} CODEC(Delta(8), ZSTD(1))",
    "TimestampTime": "DateTime DEFAULT toDateTime(Timestamp)",
    "TraceId": TEXT,
    "SpanId": TEXT,
    "TraceFlags": "UInt8",
    "SeverityText": WORD,
    "SeverityNumber": "UInt8",
    "ServiceName": WORD,
    "Body": TEXT,
    "ResourceSchemaUrl": WORD,
    "ResourceAttributes": _ATTRIBUTES,
    "ScopeSchemaUrl": WORD,
    "ScopeName": TEXT,
    "ScopeVersion": WORD,
    "ScopeAttributes": _ATTRIBUTES,
    "LogAttributes": _ATTRIBUTES,
    "EventName": TEXT,
}
_POINTS: Columns = {
    "ResourceAttributes": _ATTRIBUTES,
    "ResourceSchemaUrl": TEXT,
    "ScopeName": TEXT,
    "ScopeVersion": TEXT,
    "ScopeAttributes": _ATTRIBUTES,
    "ScopeDroppedAttrCount": "UInt32",
    "ScopeSchemaUrl": TEXT,
    "ServiceName": WORD,
    "MetricName": TEXT,
    "MetricDescription": TEXT,
    "MetricUnit": TEXT,
    "Attributes": _ATTRIBUTES,
    "StartTimeUnix": f"{TIME} CODEC(Delta(8), ZSTD(1))",
    "TimeUnix": f"{TIME} CODEC(Delta(8), ZSTD(1))",
    "Flags": "UInt32",
}
_EXEMPLARS: Columns = {
    "Exemplars": f"Nested (FilteredAttributes {_ATTRIBUTES}, TimeUnix {TIME}, Value Float64, SpanId {TEXT}, "
    f"TraceId {TEXT})"
}
_DISTRIBUTION: Columns = {
    "Count": "UInt64",
    "Sum": "Float64",
    "Min": "Float64",
    "Max": "Float64",
    "AggregationTemporality": "Int32",
    **_EXEMPLARS,
}
_KINDS: Mapping[str, Columns] = {
    "gauge": {**_POINTS, "Value": "Float64", **_EXEMPLARS},
    "sum": {
        **_POINTS,
        "Value": "Float64",
        **_EXEMPLARS,
        "AggregationTemporality": "Int32",
        "IsMonotonic": "Boolean",
    },
    "histogram": {
        **_POINTS,
        "BucketCounts": "Array(UInt64)",
        "ExplicitBounds": "Array(Float64)",
        **_DISTRIBUTION,
    },
    "exponential_histogram": {
        **_POINTS,
        "Scale": "Int32",
        "ZeroCount": "UInt64",
        "PositiveOffset": "Int32",
        "PositiveBucketCounts": "Array(UInt64)",
        "NegativeOffset": "Int32",
        "NegativeBucketCounts": "Array(UInt64)",
        **_DISTRIBUTION,
    },
    "summary": {
        **_POINTS,
        "Count": "UInt64",
        "Sum": "Float64",
        "ValueAtQuantiles": "Nested (Quantile Float64, Value Float64)",
    },
}
_BLOOM = "bloom_filter(0.01) GRANULARITY 1"


def table_of(config: ClickhouseConfig, kind: str) -> str:
    """Return the table of spans (``traces``), log records (``logs``) or points of a kind, quoted."""
    names = {str(Signal.TRACES): config.traces_table_name, str(Signal.LOGS): config.logs_table_name}
    name = names.get(kind) or getattr(config.metrics_tables, kind).name
    return f"{quoted(config.database)}.{quoted(name)}"


def quoted(name: str) -> str:
    """Return a name as it stands in a statement. Options allow no quotes in it."""
    return f"`{name}`"


def statements(config: ClickhouseConfig, signals: Sequence[Signal]) -> Iterator[str]:
    """Yield what makes the database and the tables of some signals."""
    cluster = f" ON CLUSTER '{config.cluster_name}'" if config.cluster_name else ""
    if config.database != "default":
        yield f"CREATE DATABASE IF NOT EXISTS {quoted(config.database)}{cluster}"
    if Signal.TRACES in signals:
        key = "ServiceName, SpanName, toDateTime(Timestamp)"
        order = f"PRIMARY KEY ({key})\nORDER BY ({key}, Timestamp)"
        yield _table(config, "traces", _SPANS, "Timestamp", order, ("Resource", "Span"), cluster, ("Duration",))
        yield from _times_of_traces(config, cluster)
    if Signal.LOGS in signals:
        order = "PRIMARY KEY (ServiceName, TimestampTime)\nORDER BY (ServiceName, TimestampTime, Timestamp)"
        yield _table(config, "logs", _LOGS, "TimestampTime", order, ("Resource", "Scope", "Log"), cluster)
    if Signal.METRICS in signals:
        attributes = "" if config.json_columns else "Attributes, "
        order = f"ORDER BY (ServiceName, MetricName, {attributes}toUnixTimestamp64Nano(TimeUnix))"
        for kind, columns in _KINDS.items():
            yield _table(config, kind, columns, "TimeUnix", order, ("Resource", "Scope", ""), cluster)


def _table(
    config: ClickhouseConfig,
    kind: str,
    columns: Columns,
    time: str,
    order: str,
    maps: Sequence[str],
    cluster: str,
    ranges: Sequence[str] = (),
) -> str:
    attributes = JSON if config.json_columns else MAP
    lines = [f"    {name} {_type(type_.replace(_ATTRIBUTES, attributes))}" for name, type_ in columns.items()]
    if "TraceId" in columns:
        lines.append("    INDEX idx_trace_id TraceId TYPE bloom_filter(0.001) GRANULARITY 1")
    if not config.json_columns:
        for name in maps:
            column, label = f"{name}Attributes", f"{name.lower()}_attr".removeprefix("_")
            lines.append(f"    INDEX idx_{label}_key mapKeys({column}) TYPE {_BLOOM}")
            lines.append(f"    INDEX idx_{label}_value mapValues({column}) TYPE {_BLOOM}")
    lines += [f"    INDEX idx_{name.lower()} {name} TYPE minmax GRANULARITY 1" for name in ranges]
    if "Body" in columns:
        lines.append("    INDEX idx_body Body TYPE tokenbf_v1(32768, 3, 0) GRANULARITY 8")
    body = ",\n".join(lines)
    return (
        f"CREATE TABLE IF NOT EXISTS {table_of(config, kind)}{cluster} (\n{body}\n) ENGINE = {_engine(config)}\n"
        f"PARTITION BY toDate({time})\n{order}\n{_ttl(config, time)}{_settings(config)}"
    )


def _times_of_traces(config: ClickhouseConfig, cluster: str) -> Iterator[str]:
    """Yield what makes the table that says when each trace was, and what fills it."""
    database, name = quoted(config.database), config.traces_table_name
    times = f"{database}.{quoted(f'{name}_trace_id_ts')}"
    yield (
        f"CREATE TABLE IF NOT EXISTS {times}{cluster} (\n"
        "    TraceId String CODEC(ZSTD(1)),\n"
        "    Start DateTime CODEC(Delta, ZSTD(1)),\n"
        "    End DateTime CODEC(Delta, ZSTD(1)),\n"
        "    INDEX idx_trace_id TraceId TYPE bloom_filter(0.01) GRANULARITY 1\n"
        f") ENGINE = {_engine(config)}\n"
        f"PARTITION BY toDate(Start)\nORDER BY (TraceId, Start)\n{_ttl(config, 'Start')}{_settings(config)}"
    )
    seen = "TraceId, min(Timestamp) AS Start, max(Timestamp) AS End"
    source = f"FROM {table_of(config, 'traces')} WHERE TraceId != '' GROUP BY TraceId"
    view = f"{database}.{quoted(f'{name}_trace_id_ts_mv')}{cluster}"
    yield f"CREATE MATERIALIZED VIEW IF NOT EXISTS {view}\nTO {times}\nAS SELECT {seen} {source}"


def _type(type_: str) -> str:
    plain = "CODEC" in type_ or "DEFAULT" in type_ or type_ in {"UInt8", "Boolean"}
    return type_ if plain else f"{type_} CODEC(ZSTD(1))"


def _engine(config: ClickhouseConfig) -> str:
    return f"{config.table_engine.name}({config.table_engine.params})"


def _ttl(config: ClickhouseConfig, time: str) -> str:
    return f"TTL toDateTime({time}) + toIntervalSecond({round(config.ttl)})\n" if config.ttl else ""


def _settings(config: ClickhouseConfig) -> str:
    settings = "SETTINGS index_granularity = 8192, ttl_only_drop_parts = 1"
    if config.deduplication_window and "Replicated" not in config.table_engine.name:
        settings += f", non_replicated_deduplication_window = {config.deduplication_window}"
    return settings
