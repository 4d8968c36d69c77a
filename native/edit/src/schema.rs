//! The field numbers of opentelemetry-proto that edits need.

use otlp_wire::{Level, Signal};

/// How the value of a fixed field is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Length and UTF-8.
    Text,
    /// Length and that many bytes, or none.
    Id(usize),
    /// 32 bits as a varint; the names that protobuf knows for its numbers.
    Enum(&'static [(&'static str, i32)]),
    /// 32 bits as a varint.
    Uint32,
    /// 32 bits in four bytes.
    Fixed32,
    /// 64 bits in eight bytes.
    Fixed64,
    /// A varint, 0 or 1.
    Bool,
    /// Eight bytes; there may be a difference between 0 and none.
    Double,
    /// The value of a point: integer or double. Its slots have the tag.
    Number,
    /// Length and an `AnyValue`.
    Any,
    /// Follows from other fields.
    ReadOnly,
}

/// A fixed field of a level: how its value is written, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FixedField {
    /// How the value is written.
    pub form: Form,
    pub(crate) place: Place,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// A field of the row's message.
    Own(u32),
    /// A field of the one message in the row's message: resource, scope or status.
    Nested(u32),
    /// A field of the data of a metric.
    Data(u32),
    /// A field of a point, whose number depends on the type of the metric.
    Point(PointField),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PointField {
    Start,
    Time,
    Flags,
    Value,
    Count,
    Sum,
}

/// Which message an edited row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Resource,
    Scope,
    Metric,
    /// Gauge and so on, by their field number in the metric.
    Data(u32),
    Span,
    Log,
    /// A point of such data.
    Point(u32),
    Event,
    Link,
}

pub(crate) const GAUGE: u32 = 5;
pub(crate) const SUM: u32 = 7;
pub(crate) const HISTOGRAM: u32 = 9;
pub(crate) const EXPONENTIAL_HISTOGRAM: u32 = 10;
pub(crate) const SUMMARY: u32 = 11;

pub(crate) const EVENTS: u32 = 11;
pub(crate) const LINKS: u32 = 13;

impl Kind {
    /// The number of the one message in it that has fields which can be edited, or 0.
    pub fn nested(self) -> u32 {
        match self {
            Self::Resource | Self::Scope => 1,
            Self::Span => 15,
            _ => 0,
        }
    }

    /// The field number of the attributes; those of resource and scope are in the nested message.
    pub fn attributes(self) -> u32 {
        match self {
            Self::Resource => 1,
            Self::Scope | Self::Event => 3,
            Self::Metric => 12,
            Self::Data(_) => 0,
            Self::Span => 9,
            Self::Log => 6,
            Self::Link => 4,
            Self::Point(HISTOGRAM) => 9,
            Self::Point(EXPONENTIAL_HISTOGRAM) => 1,
            Self::Point(_) => 7,
        }
    }

    /// Whether the attributes are in the nested message.
    pub fn nests_attributes(self) -> bool {
        matches!(self, Self::Resource | Self::Scope)
    }

    /// The number of a field in this message, or `None` where this type of metric does not have it.
    pub fn number(self, place: Place) -> Option<u32> {
        let has = |member: bool, number: u32| member.then_some(number);
        match (place, self) {
            (Place::Own(number) | Place::Nested(number), _) => Some(number),
            (Place::Data(2), Self::Data(data)) => has(matches!(data, SUM | HISTOGRAM | EXPONENTIAL_HISTOGRAM), 2),
            (Place::Data(3), Self::Data(data)) => has(data == SUM, 3),
            (Place::Point(field), Self::Point(data)) => match field {
                PointField::Start => Some(2),
                PointField::Time => Some(3),
                PointField::Flags => Some(if matches!(data, HISTOGRAM | EXPONENTIAL_HISTOGRAM) { 10 } else { 8 }),
                PointField::Value => has(matches!(data, GAUGE | SUM), AS_DOUBLE),
                PointField::Count => has(matches!(data, HISTOGRAM | EXPONENTIAL_HISTOGRAM | SUMMARY), 4),
                PointField::Sum => has(matches!(data, HISTOGRAM | EXPONENTIAL_HISTOGRAM | SUMMARY), 5),
            },
            _ => None,
        }
    }
}

pub(crate) const AS_DOUBLE: u32 = 4;
pub(crate) const AS_INT: u32 = 6;

impl Form {
    /// The wire type, with which the tag ends.
    pub(crate) fn wire(self) -> u32 {
        match self {
            Self::Enum(_) | Self::Uint32 | Self::Bool => 0,
            Self::Fixed64 | Self::Double | Self::Number => 1,
            Self::Text | Self::Id(_) | Self::Any | Self::ReadOnly => 2,
            Self::Fixed32 => 5,
        }
    }
}

/// The tag with which the attributes of a level are encoded in [`crate::Values`]; corrected where a row has another.
pub fn attribute_tag(signal: Signal, level: Level) -> u8 {
    let kind = match (level, signal) {
        (Level::Resource, _) => Kind::Resource,
        (Level::Scope, _) => Kind::Scope,
        (Level::Metric, _) => Kind::Metric,
        (Level::Item, Signal::Traces) => Kind::Span,
        (Level::Item, Signal::Logs) => Kind::Log,
        (Level::Item, Signal::Metrics) => Kind::Point(GAUGE),
        (Level::Event, _) => Kind::Event,
        (Level::Link, _) => Kind::Link,
    };
    (kind.attributes() << 3 | 2) as u8
}

/// Return the fixed field of that name, or `None` where the signal does not have it at that level.
pub fn fixed_field(signal: Signal, level: Level, name: &str) -> Option<FixedField> {
    use Form::{Any, Bool, Double, Enum, Fixed32, Fixed64, Id, Number, ReadOnly, Text, Uint32};
    use Place::{Data, Nested, Own, Point};
    let (form, place) = match (level, signal, name) {
        (Level::Resource | Level::Scope, _, "schema_url") => (Text, Own(3)),
        (Level::Resource, _, "dropped_attributes_count") => (Uint32, Nested(2)),
        (Level::Scope, _, "name") => (Text, Nested(1)),
        (Level::Scope, _, "version") => (Text, Nested(2)),
        (Level::Scope, _, "dropped_attributes_count") => (Uint32, Nested(4)),
        (Level::Metric, Signal::Metrics, _) => match name {
            "name" => (Text, Own(1)),
            "description" => (Text, Own(2)),
            "unit" => (Text, Own(3)),
            "type" => (ReadOnly, Own(0)),
            "aggregation_temporality" => (Enum(TEMPORALITIES), Data(2)),
            "is_monotonic" => (Bool, Data(3)),
            _ => return None,
        },
        (Level::Item, Signal::Traces, _) => match name {
            "trace_id" => (Id(16), Own(1)),
            "span_id" => (Id(8), Own(2)),
            "trace_state" => (Text, Own(3)),
            "parent_span_id" => (Id(8), Own(4)),
            "name" => (Text, Own(5)),
            "kind" => (Enum(SPAN_KINDS), Own(6)),
            "start_time_unix_nano" => (Fixed64, Own(7)),
            "end_time_unix_nano" => (Fixed64, Own(8)),
            "duration_nanos" => (ReadOnly, Own(0)),
            "dropped_attributes_count" => (Uint32, Own(10)),
            "status.message" => (Text, Nested(2)),
            "status.code" => (Enum(STATUS_CODES), Nested(3)),
            "flags" => (Fixed32, Own(16)),
            _ => return None,
        },
        (Level::Item, Signal::Logs, _) => match name {
            "time_unix_nano" => (Fixed64, Own(1)),
            "severity_number" => (Enum(SEVERITIES), Own(2)),
            "severity_text" => (Text, Own(3)),
            "body" => (Any, Own(5)),
            "dropped_attributes_count" => (Uint32, Own(7)),
            "flags" => (Fixed32, Own(8)),
            "trace_id" => (Id(16), Own(9)),
            "span_id" => (Id(8), Own(10)),
            "observed_time_unix_nano" => (Fixed64, Own(11)),
            "event_name" => (Text, Own(12)),
            _ => return None,
        },
        (Level::Item, Signal::Metrics, _) => match name {
            "start_time_unix_nano" => (Fixed64, Point(PointField::Start)),
            "time_unix_nano" => (Fixed64, Point(PointField::Time)),
            "flags" => (Uint32, Point(PointField::Flags)),
            "value" => (Number, Point(PointField::Value)),
            "count" => (Fixed64, Point(PointField::Count)),
            "sum" => (Double, Point(PointField::Sum)),
            _ => return None,
        },
        (Level::Event, Signal::Traces, _) => match name {
            "time_unix_nano" => (Fixed64, Own(1)),
            "name" => (Text, Own(2)),
            "dropped_attributes_count" => (Uint32, Own(4)),
            _ => return None,
        },
        (Level::Link, Signal::Traces, _) => match name {
            "trace_id" => (Id(16), Own(1)),
            "span_id" => (Id(8), Own(2)),
            "trace_state" => (Text, Own(3)),
            "flags" => (Fixed32, Own(6)),
            _ => return None,
        },
        _ => return None,
    };
    Some(FixedField { form, place })
}

const TEMPORALITIES: &[(&str, i32)] = &[
    ("AGGREGATION_TEMPORALITY_UNSPECIFIED", 0),
    ("AGGREGATION_TEMPORALITY_DELTA", 1),
    ("AGGREGATION_TEMPORALITY_CUMULATIVE", 2),
];
const STATUS_CODES: &[(&str, i32)] = &[("STATUS_CODE_UNSET", 0), ("STATUS_CODE_OK", 1), ("STATUS_CODE_ERROR", 2)];
const SPAN_KINDS: &[(&str, i32)] = &[
    ("SPAN_KIND_UNSPECIFIED", 0),
    ("SPAN_KIND_INTERNAL", 1),
    ("SPAN_KIND_SERVER", 2),
    ("SPAN_KIND_CLIENT", 3),
    ("SPAN_KIND_PRODUCER", 4),
    ("SPAN_KIND_CONSUMER", 5),
];
const SEVERITIES: &[(&str, i32)] = &[
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
];
