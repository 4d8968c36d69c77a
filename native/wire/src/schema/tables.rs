// Written by native/wire/generate_schema.py: do not edit.
#![allow(missing_docs)]

use super::{EnumType, FieldType, Kind, MessageType};

pub static SPAN_SPAN_KIND: EnumType = EnumType {
    name: "opentelemetry.proto.trace.v1.Span.SpanKind",
    values: &[
        ("SPAN_KIND_UNSPECIFIED", 0),
        ("SPAN_KIND_INTERNAL", 1),
        ("SPAN_KIND_SERVER", 2),
        ("SPAN_KIND_CLIENT", 3),
        ("SPAN_KIND_PRODUCER", 4),
        ("SPAN_KIND_CONSUMER", 5),
    ],
};

pub static STATUS_STATUS_CODE: EnumType = EnumType {
    name: "opentelemetry.proto.trace.v1.Status.StatusCode",
    values: &[
        ("STATUS_CODE_UNSET", 0),
        ("STATUS_CODE_OK", 1),
        ("STATUS_CODE_ERROR", 2),
    ],
};

pub static SEVERITY_NUMBER: EnumType = EnumType {
    name: "opentelemetry.proto.logs.v1.SeverityNumber",
    values: &[
        ("SEVERITY_NUMBER_UNSPECIFIED", 0),
        ("SEVERITY_NUMBER_TRACE", 1),
        ("SEVERITY_NUMBER_TRACE2", 2),
        ("SEVERITY_NUMBER_TRACE3", 3),
        ("SEVERITY_NUMBER_TRACE4", 4),
        ("SEVERITY_NUMBER_DEBUG", 5),
        ("SEVERITY_NUMBER_DEBUG2", 6),
        ("SEVERITY_NUMBER_DEBUG3", 7),
        ("SEVERITY_NUMBER_DEBUG4", 8),
        ("SEVERITY_NUMBER_INFO", 9),
        ("SEVERITY_NUMBER_INFO2", 10),
        ("SEVERITY_NUMBER_INFO3", 11),
        ("SEVERITY_NUMBER_INFO4", 12),
        ("SEVERITY_NUMBER_WARN", 13),
        ("SEVERITY_NUMBER_WARN2", 14),
        ("SEVERITY_NUMBER_WARN3", 15),
        ("SEVERITY_NUMBER_WARN4", 16),
        ("SEVERITY_NUMBER_ERROR", 17),
        ("SEVERITY_NUMBER_ERROR2", 18),
        ("SEVERITY_NUMBER_ERROR3", 19),
        ("SEVERITY_NUMBER_ERROR4", 20),
        ("SEVERITY_NUMBER_FATAL", 21),
        ("SEVERITY_NUMBER_FATAL2", 22),
        ("SEVERITY_NUMBER_FATAL3", 23),
        ("SEVERITY_NUMBER_FATAL4", 24),
    ],
};

pub static AGGREGATION_TEMPORALITY: EnumType = EnumType {
    name: "opentelemetry.proto.metrics.v1.AggregationTemporality",
    values: &[
        ("AGGREGATION_TEMPORALITY_UNSPECIFIED", 0),
        ("AGGREGATION_TEMPORALITY_DELTA", 1),
        ("AGGREGATION_TEMPORALITY_CUMULATIVE", 2),
    ],
};

pub static EXPORT_TRACE_SERVICE_REQUEST: MessageType =
    MessageType::new("opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest", "exporttraceservicerequest", &EXPORT_TRACE_SERVICE_REQUEST_FIELDS);

static EXPORT_TRACE_SERVICE_REQUEST_FIELDS: [FieldType; 1] = [
    FieldType::new(1, "resource_spans", "resourceSpans", Kind::Message(&RESOURCE_SPANS)).repeated(),
];

pub static RESOURCE_SPANS: MessageType =
    MessageType::new("opentelemetry.proto.trace.v1.ResourceSpans", "resourcespans", &RESOURCE_SPANS_FIELDS);

static RESOURCE_SPANS_FIELDS: [FieldType; 3] = [
    FieldType::new(1, "resource", "resource", Kind::Message(&RESOURCE)),
    FieldType::new(2, "scope_spans", "scopeSpans", Kind::Message(&SCOPE_SPANS)).repeated(),
    FieldType::new(3, "schema_url", "schemaUrl", Kind::String),
];

pub static RESOURCE: MessageType =
    MessageType::new("opentelemetry.proto.resource.v1.Resource", "resource", &RESOURCE_FIELDS);

static RESOURCE_FIELDS: [FieldType; 3] = [
    FieldType::new(1, "attributes", "attributes", Kind::Message(&KEY_VALUE)).repeated(),
    FieldType::new(2, "dropped_attributes_count", "droppedAttributesCount", Kind::Uint32),
    FieldType::new(3, "entity_refs", "entityRefs", Kind::Message(&ENTITY_REF)).repeated(),
];

pub static KEY_VALUE: MessageType =
    MessageType::new("opentelemetry.proto.common.v1.KeyValue", "keyvalue", &KEY_VALUE_FIELDS);

static KEY_VALUE_FIELDS: [FieldType; 3] = [
    FieldType::new(1, "key", "key", Kind::String),
    FieldType::new(2, "value", "value", Kind::Message(&ANY_VALUE)),
    FieldType::new(3, "key_strindex", "keyStrindex", Kind::Int32),
];

pub static ANY_VALUE: MessageType =
    MessageType::new("opentelemetry.proto.common.v1.AnyValue", "anyvalue", &ANY_VALUE_FIELDS);

static ANY_VALUE_FIELDS: [FieldType; 8] = [
    FieldType::new(1, "string_value", "stringValue", Kind::String).member("value"),
    FieldType::new(2, "bool_value", "boolValue", Kind::Bool).member("value"),
    FieldType::new(3, "int_value", "intValue", Kind::Int64).member("value"),
    FieldType::new(4, "double_value", "doubleValue", Kind::Double).member("value"),
    FieldType::new(5, "array_value", "arrayValue", Kind::Message(&ARRAY_VALUE)).member("value"),
    FieldType::new(6, "kvlist_value", "kvlistValue", Kind::Message(&KEY_VALUE_LIST)).member("value"),
    FieldType::new(7, "bytes_value", "bytesValue", Kind::Bytes).member("value"),
    FieldType::new(8, "string_value_strindex", "stringValueStrindex", Kind::Int32).member("value"),
];

pub static ARRAY_VALUE: MessageType =
    MessageType::new("opentelemetry.proto.common.v1.ArrayValue", "arrayvalue", &ARRAY_VALUE_FIELDS);

static ARRAY_VALUE_FIELDS: [FieldType; 1] = [
    FieldType::new(1, "values", "values", Kind::Message(&ANY_VALUE)).repeated(),
];

pub static KEY_VALUE_LIST: MessageType =
    MessageType::new("opentelemetry.proto.common.v1.KeyValueList", "keyvaluelist", &KEY_VALUE_LIST_FIELDS);

static KEY_VALUE_LIST_FIELDS: [FieldType; 1] = [
    FieldType::new(1, "values", "values", Kind::Message(&KEY_VALUE)).repeated(),
];

pub static ENTITY_REF: MessageType =
    MessageType::new("opentelemetry.proto.common.v1.EntityRef", "entityref", &ENTITY_REF_FIELDS);

static ENTITY_REF_FIELDS: [FieldType; 4] = [
    FieldType::new(1, "schema_url", "schemaUrl", Kind::String),
    FieldType::new(2, "type", "type", Kind::String),
    FieldType::new(3, "id_keys", "idKeys", Kind::String).repeated(),
    FieldType::new(4, "description_keys", "descriptionKeys", Kind::String).repeated(),
];

pub static SCOPE_SPANS: MessageType =
    MessageType::new("opentelemetry.proto.trace.v1.ScopeSpans", "scopespans", &SCOPE_SPANS_FIELDS);

static SCOPE_SPANS_FIELDS: [FieldType; 3] = [
    FieldType::new(1, "scope", "scope", Kind::Message(&INSTRUMENTATION_SCOPE)),
    FieldType::new(2, "spans", "spans", Kind::Message(&SPAN)).repeated(),
    FieldType::new(3, "schema_url", "schemaUrl", Kind::String),
];

pub static INSTRUMENTATION_SCOPE: MessageType =
    MessageType::new("opentelemetry.proto.common.v1.InstrumentationScope", "instrumentationscope", &INSTRUMENTATION_SCOPE_FIELDS);

static INSTRUMENTATION_SCOPE_FIELDS: [FieldType; 4] = [
    FieldType::new(1, "name", "name", Kind::String),
    FieldType::new(2, "version", "version", Kind::String),
    FieldType::new(3, "attributes", "attributes", Kind::Message(&KEY_VALUE)).repeated(),
    FieldType::new(4, "dropped_attributes_count", "droppedAttributesCount", Kind::Uint32),
];

pub static SPAN: MessageType =
    MessageType::new("opentelemetry.proto.trace.v1.Span", "span", &SPAN_FIELDS);

static SPAN_FIELDS: [FieldType; 16] = [
    FieldType::new(1, "trace_id", "traceId", Kind::Bytes).id(16),
    FieldType::new(2, "span_id", "spanId", Kind::Bytes).id(8),
    FieldType::new(3, "trace_state", "traceState", Kind::String),
    FieldType::new(4, "parent_span_id", "parentSpanId", Kind::Bytes).id(8),
    FieldType::new(16, "flags", "flags", Kind::Fixed32),
    FieldType::new(5, "name", "name", Kind::String),
    FieldType::new(6, "kind", "kind", Kind::Enum(&SPAN_SPAN_KIND)),
    FieldType::new(7, "start_time_unix_nano", "startTimeUnixNano", Kind::Fixed64),
    FieldType::new(8, "end_time_unix_nano", "endTimeUnixNano", Kind::Fixed64),
    FieldType::new(9, "attributes", "attributes", Kind::Message(&KEY_VALUE)).repeated(),
    FieldType::new(10, "dropped_attributes_count", "droppedAttributesCount", Kind::Uint32),
    FieldType::new(11, "events", "events", Kind::Message(&SPAN_EVENT)).repeated(),
    FieldType::new(12, "dropped_events_count", "droppedEventsCount", Kind::Uint32),
    FieldType::new(13, "links", "links", Kind::Message(&SPAN_LINK)).repeated(),
    FieldType::new(14, "dropped_links_count", "droppedLinksCount", Kind::Uint32),
    FieldType::new(15, "status", "status", Kind::Message(&STATUS)),
];

pub static SPAN_EVENT: MessageType =
    MessageType::new("opentelemetry.proto.trace.v1.Span.Event", "event", &SPAN_EVENT_FIELDS);

static SPAN_EVENT_FIELDS: [FieldType; 4] = [
    FieldType::new(1, "time_unix_nano", "timeUnixNano", Kind::Fixed64),
    FieldType::new(2, "name", "name", Kind::String),
    FieldType::new(3, "attributes", "attributes", Kind::Message(&KEY_VALUE)).repeated(),
    FieldType::new(4, "dropped_attributes_count", "droppedAttributesCount", Kind::Uint32),
];

pub static SPAN_LINK: MessageType =
    MessageType::new("opentelemetry.proto.trace.v1.Span.Link", "link", &SPAN_LINK_FIELDS);

static SPAN_LINK_FIELDS: [FieldType; 6] = [
    FieldType::new(1, "trace_id", "traceId", Kind::Bytes).id(16),
    FieldType::new(2, "span_id", "spanId", Kind::Bytes).id(8),
    FieldType::new(3, "trace_state", "traceState", Kind::String),
    FieldType::new(4, "attributes", "attributes", Kind::Message(&KEY_VALUE)).repeated(),
    FieldType::new(5, "dropped_attributes_count", "droppedAttributesCount", Kind::Uint32),
    FieldType::new(6, "flags", "flags", Kind::Fixed32),
];

pub static STATUS: MessageType =
    MessageType::new("opentelemetry.proto.trace.v1.Status", "status", &STATUS_FIELDS);

static STATUS_FIELDS: [FieldType; 2] = [
    FieldType::new(2, "message", "message", Kind::String),
    FieldType::new(3, "code", "code", Kind::Enum(&STATUS_STATUS_CODE)),
];

pub static EXPORT_LOGS_SERVICE_REQUEST: MessageType =
    MessageType::new("opentelemetry.proto.collector.logs.v1.ExportLogsServiceRequest", "exportlogsservicerequest", &EXPORT_LOGS_SERVICE_REQUEST_FIELDS);

static EXPORT_LOGS_SERVICE_REQUEST_FIELDS: [FieldType; 1] = [
    FieldType::new(1, "resource_logs", "resourceLogs", Kind::Message(&RESOURCE_LOGS)).repeated(),
];

pub static RESOURCE_LOGS: MessageType =
    MessageType::new("opentelemetry.proto.logs.v1.ResourceLogs", "resourcelogs", &RESOURCE_LOGS_FIELDS);

static RESOURCE_LOGS_FIELDS: [FieldType; 3] = [
    FieldType::new(1, "resource", "resource", Kind::Message(&RESOURCE)),
    FieldType::new(2, "scope_logs", "scopeLogs", Kind::Message(&SCOPE_LOGS)).repeated(),
    FieldType::new(3, "schema_url", "schemaUrl", Kind::String),
];

pub static SCOPE_LOGS: MessageType =
    MessageType::new("opentelemetry.proto.logs.v1.ScopeLogs", "scopelogs", &SCOPE_LOGS_FIELDS);

static SCOPE_LOGS_FIELDS: [FieldType; 3] = [
    FieldType::new(1, "scope", "scope", Kind::Message(&INSTRUMENTATION_SCOPE)),
    FieldType::new(2, "log_records", "logRecords", Kind::Message(&LOG_RECORD)).repeated(),
    FieldType::new(3, "schema_url", "schemaUrl", Kind::String),
];

pub static LOG_RECORD: MessageType =
    MessageType::new("opentelemetry.proto.logs.v1.LogRecord", "log record", &LOG_RECORD_FIELDS);

static LOG_RECORD_FIELDS: [FieldType; 11] = [
    FieldType::new(1, "time_unix_nano", "timeUnixNano", Kind::Fixed64),
    FieldType::new(11, "observed_time_unix_nano", "observedTimeUnixNano", Kind::Fixed64),
    FieldType::new(2, "severity_number", "severityNumber", Kind::Enum(&SEVERITY_NUMBER)),
    FieldType::new(3, "severity_text", "severityText", Kind::String),
    FieldType::new(5, "body", "body", Kind::Message(&ANY_VALUE)),
    FieldType::new(6, "attributes", "attributes", Kind::Message(&KEY_VALUE)).repeated(),
    FieldType::new(7, "dropped_attributes_count", "droppedAttributesCount", Kind::Uint32),
    FieldType::new(8, "flags", "flags", Kind::Fixed32),
    FieldType::new(9, "trace_id", "traceId", Kind::Bytes).id(16),
    FieldType::new(10, "span_id", "spanId", Kind::Bytes).id(8),
    FieldType::new(12, "event_name", "eventName", Kind::String),
];

pub static EXPORT_METRICS_SERVICE_REQUEST: MessageType =
    MessageType::new("opentelemetry.proto.collector.metrics.v1.ExportMetricsServiceRequest", "exportmetricsservicerequest", &EXPORT_METRICS_SERVICE_REQUEST_FIELDS);

static EXPORT_METRICS_SERVICE_REQUEST_FIELDS: [FieldType; 1] = [
    FieldType::new(1, "resource_metrics", "resourceMetrics", Kind::Message(&RESOURCE_METRICS)).repeated(),
];

pub static RESOURCE_METRICS: MessageType =
    MessageType::new("opentelemetry.proto.metrics.v1.ResourceMetrics", "resourcemetrics", &RESOURCE_METRICS_FIELDS);

static RESOURCE_METRICS_FIELDS: [FieldType; 3] = [
    FieldType::new(1, "resource", "resource", Kind::Message(&RESOURCE)),
    FieldType::new(2, "scope_metrics", "scopeMetrics", Kind::Message(&SCOPE_METRICS)).repeated(),
    FieldType::new(3, "schema_url", "schemaUrl", Kind::String),
];

pub static SCOPE_METRICS: MessageType =
    MessageType::new("opentelemetry.proto.metrics.v1.ScopeMetrics", "scopemetrics", &SCOPE_METRICS_FIELDS);

static SCOPE_METRICS_FIELDS: [FieldType; 3] = [
    FieldType::new(1, "scope", "scope", Kind::Message(&INSTRUMENTATION_SCOPE)),
    FieldType::new(2, "metrics", "metrics", Kind::Message(&METRIC)).repeated(),
    FieldType::new(3, "schema_url", "schemaUrl", Kind::String),
];

pub static METRIC: MessageType =
    MessageType::new("opentelemetry.proto.metrics.v1.Metric", "metric", &METRIC_FIELDS);

static METRIC_FIELDS: [FieldType; 9] = [
    FieldType::new(1, "name", "name", Kind::String),
    FieldType::new(2, "description", "description", Kind::String),
    FieldType::new(3, "unit", "unit", Kind::String),
    FieldType::new(5, "gauge", "gauge", Kind::Message(&GAUGE)).member("data"),
    FieldType::new(7, "sum", "sum", Kind::Message(&SUM)).member("data"),
    FieldType::new(9, "histogram", "histogram", Kind::Message(&HISTOGRAM)).member("data"),
    FieldType::new(10, "exponential_histogram", "exponentialHistogram", Kind::Message(&EXPONENTIAL_HISTOGRAM)).member("data"),
    FieldType::new(11, "summary", "summary", Kind::Message(&SUMMARY)).member("data"),
    FieldType::new(12, "metadata", "metadata", Kind::Message(&KEY_VALUE)).repeated(),
];

pub static GAUGE: MessageType =
    MessageType::new("opentelemetry.proto.metrics.v1.Gauge", "gauge", &GAUGE_FIELDS);

static GAUGE_FIELDS: [FieldType; 1] = [
    FieldType::new(1, "data_points", "dataPoints", Kind::Message(&NUMBER_DATA_POINT)).repeated(),
];

pub static NUMBER_DATA_POINT: MessageType =
    MessageType::new("opentelemetry.proto.metrics.v1.NumberDataPoint", "numberdatapoint", &NUMBER_DATA_POINT_FIELDS);

static NUMBER_DATA_POINT_FIELDS: [FieldType; 7] = [
    FieldType::new(7, "attributes", "attributes", Kind::Message(&KEY_VALUE)).repeated(),
    FieldType::new(2, "start_time_unix_nano", "startTimeUnixNano", Kind::Fixed64),
    FieldType::new(3, "time_unix_nano", "timeUnixNano", Kind::Fixed64),
    FieldType::new(4, "as_double", "asDouble", Kind::Double).member("value"),
    FieldType::new(6, "as_int", "asInt", Kind::Sfixed64).member("value"),
    FieldType::new(5, "exemplars", "exemplars", Kind::Message(&EXEMPLAR)).repeated(),
    FieldType::new(8, "flags", "flags", Kind::Uint32),
];

pub static EXEMPLAR: MessageType =
    MessageType::new("opentelemetry.proto.metrics.v1.Exemplar", "exemplar", &EXEMPLAR_FIELDS);

static EXEMPLAR_FIELDS: [FieldType; 6] = [
    FieldType::new(7, "filtered_attributes", "filteredAttributes", Kind::Message(&KEY_VALUE)).repeated(),
    FieldType::new(2, "time_unix_nano", "timeUnixNano", Kind::Fixed64),
    FieldType::new(3, "as_double", "asDouble", Kind::Double).member("value"),
    FieldType::new(6, "as_int", "asInt", Kind::Sfixed64).member("value"),
    FieldType::new(4, "span_id", "spanId", Kind::Bytes).id(8),
    FieldType::new(5, "trace_id", "traceId", Kind::Bytes).id(16),
];

pub static SUM: MessageType =
    MessageType::new("opentelemetry.proto.metrics.v1.Sum", "sum", &SUM_FIELDS);

static SUM_FIELDS: [FieldType; 3] = [
    FieldType::new(1, "data_points", "dataPoints", Kind::Message(&NUMBER_DATA_POINT)).repeated(),
    FieldType::new(2, "aggregation_temporality", "aggregationTemporality", Kind::Enum(&AGGREGATION_TEMPORALITY)),
    FieldType::new(3, "is_monotonic", "isMonotonic", Kind::Bool),
];

pub static HISTOGRAM: MessageType =
    MessageType::new("opentelemetry.proto.metrics.v1.Histogram", "histogram", &HISTOGRAM_FIELDS);

static HISTOGRAM_FIELDS: [FieldType; 2] = [
    FieldType::new(1, "data_points", "dataPoints", Kind::Message(&HISTOGRAM_DATA_POINT)).repeated(),
    FieldType::new(2, "aggregation_temporality", "aggregationTemporality", Kind::Enum(&AGGREGATION_TEMPORALITY)),
];

pub static HISTOGRAM_DATA_POINT: MessageType =
    MessageType::new("opentelemetry.proto.metrics.v1.HistogramDataPoint", "histogramdatapoint", &HISTOGRAM_DATA_POINT_FIELDS);

static HISTOGRAM_DATA_POINT_FIELDS: [FieldType; 11] = [
    FieldType::new(9, "attributes", "attributes", Kind::Message(&KEY_VALUE)).repeated(),
    FieldType::new(2, "start_time_unix_nano", "startTimeUnixNano", Kind::Fixed64),
    FieldType::new(3, "time_unix_nano", "timeUnixNano", Kind::Fixed64),
    FieldType::new(4, "count", "count", Kind::Fixed64),
    FieldType::new(5, "sum", "sum", Kind::Double).optional(),
    FieldType::new(6, "bucket_counts", "bucketCounts", Kind::Fixed64).repeated(),
    FieldType::new(7, "explicit_bounds", "explicitBounds", Kind::Double).repeated(),
    FieldType::new(8, "exemplars", "exemplars", Kind::Message(&EXEMPLAR)).repeated(),
    FieldType::new(10, "flags", "flags", Kind::Uint32),
    FieldType::new(11, "min", "min", Kind::Double).optional(),
    FieldType::new(12, "max", "max", Kind::Double).optional(),
];

pub static EXPONENTIAL_HISTOGRAM: MessageType =
    MessageType::new("opentelemetry.proto.metrics.v1.ExponentialHistogram", "exponentialhistogram", &EXPONENTIAL_HISTOGRAM_FIELDS);

static EXPONENTIAL_HISTOGRAM_FIELDS: [FieldType; 2] = [
    FieldType::new(1, "data_points", "dataPoints", Kind::Message(&EXPONENTIAL_HISTOGRAM_DATA_POINT)).repeated(),
    FieldType::new(2, "aggregation_temporality", "aggregationTemporality", Kind::Enum(&AGGREGATION_TEMPORALITY)),
];

pub static EXPONENTIAL_HISTOGRAM_DATA_POINT: MessageType =
    MessageType::new("opentelemetry.proto.metrics.v1.ExponentialHistogramDataPoint", "exponentialhistogramdatapoint", &EXPONENTIAL_HISTOGRAM_DATA_POINT_FIELDS);

static EXPONENTIAL_HISTOGRAM_DATA_POINT_FIELDS: [FieldType; 14] = [
    FieldType::new(1, "attributes", "attributes", Kind::Message(&KEY_VALUE)).repeated(),
    FieldType::new(2, "start_time_unix_nano", "startTimeUnixNano", Kind::Fixed64),
    FieldType::new(3, "time_unix_nano", "timeUnixNano", Kind::Fixed64),
    FieldType::new(4, "count", "count", Kind::Fixed64),
    FieldType::new(5, "sum", "sum", Kind::Double).optional(),
    FieldType::new(6, "scale", "scale", Kind::Sint32),
    FieldType::new(7, "zero_count", "zeroCount", Kind::Fixed64),
    FieldType::new(8, "positive", "positive", Kind::Message(&EXPONENTIAL_HISTOGRAM_DATA_POINT_BUCKETS)),
    FieldType::new(9, "negative", "negative", Kind::Message(&EXPONENTIAL_HISTOGRAM_DATA_POINT_BUCKETS)),
    FieldType::new(10, "flags", "flags", Kind::Uint32),
    FieldType::new(11, "exemplars", "exemplars", Kind::Message(&EXEMPLAR)).repeated(),
    FieldType::new(12, "min", "min", Kind::Double).optional(),
    FieldType::new(13, "max", "max", Kind::Double).optional(),
    FieldType::new(14, "zero_threshold", "zeroThreshold", Kind::Double),
];

pub static EXPONENTIAL_HISTOGRAM_DATA_POINT_BUCKETS: MessageType =
    MessageType::new("opentelemetry.proto.metrics.v1.ExponentialHistogramDataPoint.Buckets", "buckets", &EXPONENTIAL_HISTOGRAM_DATA_POINT_BUCKETS_FIELDS);

static EXPONENTIAL_HISTOGRAM_DATA_POINT_BUCKETS_FIELDS: [FieldType; 2] = [
    FieldType::new(1, "offset", "offset", Kind::Sint32),
    FieldType::new(2, "bucket_counts", "bucketCounts", Kind::Uint64).repeated(),
];

pub static SUMMARY: MessageType =
    MessageType::new("opentelemetry.proto.metrics.v1.Summary", "summary", &SUMMARY_FIELDS);

static SUMMARY_FIELDS: [FieldType; 1] = [
    FieldType::new(1, "data_points", "dataPoints", Kind::Message(&SUMMARY_DATA_POINT)).repeated(),
];

pub static SUMMARY_DATA_POINT: MessageType =
    MessageType::new("opentelemetry.proto.metrics.v1.SummaryDataPoint", "summarydatapoint", &SUMMARY_DATA_POINT_FIELDS);

static SUMMARY_DATA_POINT_FIELDS: [FieldType; 7] = [
    FieldType::new(7, "attributes", "attributes", Kind::Message(&KEY_VALUE)).repeated(),
    FieldType::new(2, "start_time_unix_nano", "startTimeUnixNano", Kind::Fixed64),
    FieldType::new(3, "time_unix_nano", "timeUnixNano", Kind::Fixed64),
    FieldType::new(4, "count", "count", Kind::Fixed64),
    FieldType::new(5, "sum", "sum", Kind::Double),
    FieldType::new(6, "quantile_values", "quantileValues", Kind::Message(&SUMMARY_DATA_POINT_VALUE_AT_QUANTILE)).repeated(),
    FieldType::new(8, "flags", "flags", Kind::Uint32),
];

pub static SUMMARY_DATA_POINT_VALUE_AT_QUANTILE: MessageType =
    MessageType::new("opentelemetry.proto.metrics.v1.SummaryDataPoint.ValueAtQuantile", "valueatquantile", &SUMMARY_DATA_POINT_VALUE_AT_QUANTILE_FIELDS);

static SUMMARY_DATA_POINT_VALUE_AT_QUANTILE_FIELDS: [FieldType; 2] = [
    FieldType::new(1, "quantile", "quantile", Kind::Double),
    FieldType::new(2, "value", "value", Kind::Double),
];
