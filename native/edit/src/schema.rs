//! Where edits are written, and how.

use otlp_wire::numbers::{
    AS_DOUBLE, COUNT, EXPONENTIAL_HISTOGRAM, GAUGE, HISTOGRAM, STATUS, SUM, SUMMARY, TOTAL, bits,
};
use otlp_wire::schema::{self, FieldType};
use otlp_wire::{Fixed, Level, Signal, attributes, fixed, of_point};

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
    /// A field of the data of a metric, and the bits of those that have it.
    Data(u32, u32),
    /// A field of a point, by its number in number points, and the bits of the data whose points have it.
    Point(u32, u32),
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

impl Kind {
    /// Return the field with the attributes: in this message, or in that nested in it which has the first number.
    fn attributes_field(self) -> (Option<u32>, u32) {
        let (signal, level, data) = match self {
            Self::Resource => (Signal::Traces, Level::Resource, 0),
            Self::Scope => (Signal::Traces, Level::Scope, 0),
            Self::Metric => (Signal::Metrics, Level::Metric, 0),
            Self::Data(_) => return (None, 0),
            Self::Span => (Signal::Traces, Level::Item, 0),
            Self::Log => (Signal::Logs, Level::Item, 0),
            Self::Point(data) => (Signal::Metrics, Level::Item, data),
            Self::Event => (Signal::Traces, Level::Event, 0),
            Self::Link => (Signal::Traces, Level::Link, 0),
        };
        attributes(signal, level, data)
    }

    /// The number of the one message in it that has fields which can be edited, or 0.
    pub fn nested(self) -> u32 {
        if self == Self::Span { STATUS } else { self.attributes_field().0.unwrap_or(0) }
    }

    /// The field number of the attributes; those of resource and scope are in the nested message.
    pub fn attributes(self) -> u32 {
        self.attributes_field().1
    }

    /// Whether the attributes are in the nested message.
    pub fn nests_attributes(self) -> bool {
        self.attributes_field().0.is_some()
    }

    /// The number of a field in this message, or `None` where this type of metric does not have it.
    pub fn number(self, place: Place) -> Option<u32> {
        match (place, self) {
            (Place::Own(number) | Place::Nested(number), _) => Some(number),
            (Place::Data(number, datas), Self::Data(data)) => (datas >> data & 1 == 1).then_some(number),
            (Place::Point(number, datas), Self::Point(data)) => {
                (datas >> data & 1 == 1).then_some(of_point(data, number))
            }
            _ => None,
        }
    }
}

impl Form {
    /// Return how a field is written that holds one number, text or id.
    fn of(field: &FieldType) -> Option<Self> {
        Some(match field.kind {
            schema::Kind::String => Self::Text,
            schema::Kind::Bytes => Self::Id(field.id.into()),
            schema::Kind::Enum(names) => Self::Enum(names.values),
            schema::Kind::Uint32 => Self::Uint32,
            schema::Kind::Fixed32 => Self::Fixed32,
            schema::Kind::Fixed64 => Self::Fixed64,
            schema::Kind::Bool => Self::Bool,
            schema::Kind::Double => Self::Double,
            _ => return None,
        })
    }

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
    (attributes(signal, level, GAUGE).1 << 3 | 2) as u8
}

/// Return the fixed field of that name, or `None` where the signal does not have it at that level.
pub fn fixed_field(signal: Signal, level: Level, name: &str) -> Option<FixedField> {
    let of_points = signal == Signal::Metrics && level == Level::Item;
    let of_summaries = bits(&[HISTOGRAM, EXPONENTIAL_HISTOGRAM, SUMMARY]);
    let (form, place) = match fixed(signal, level, name)? {
        Fixed::Own(field) if of_points => (Form::of(field)?, Place::Point(field.number, u32::MAX)),
        Fixed::Own(field) => (Form::of(field)?, Place::Own(field.number)),
        Fixed::Inner(_, field) => (Form::of(field)?, Place::Nested(field.number)),
        Fixed::Any(number) => (Form::Any, Place::Own(number)),
        Fixed::Duration | Fixed::Type => (Form::ReadOnly, Place::Own(0)),
        Fixed::OfData(datas, field) => (Form::of(field)?, Place::Data(field.number, datas)),
        Fixed::Number => (Form::Number, Place::Point(AS_DOUBLE, bits(&[GAUGE, SUM]))),
        Fixed::Count => (Form::Fixed64, Place::Point(COUNT, of_summaries)),
        Fixed::Sum => (Form::Double, Place::Point(TOTAL, of_summaries)),
    };
    Some(FixedField { form, place })
}
