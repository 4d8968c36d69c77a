//! The fixed fields of `untrace_pipeline/data/fields.py`, and where each of them lies.

use crate::numbers::{EXPONENTIAL_HISTOGRAM, HISTOGRAM, SUM, bits};
use crate::schema::{self, FieldType, MessageType};
use crate::{Level, Signal};

/// How to read a fixed field of a row.
#[derive(Clone, Copy, Debug)]
pub enum Fixed {
    /// A field of the row's message; reads as zero where absent.
    Own(&'static FieldType),
    /// A field of the message in the field with that number, likewise.
    Inner(u32, &'static FieldType),
    /// The `AnyValue` in the field with that number.
    Any(u32),
    /// End minus start of a span.
    Duration,
    /// Which data a metric has.
    Type,
    /// A field that only the data of some metrics have: those whose field numbers are among the bits.
    OfData(u32, &'static FieldType),
    /// The number of a number point.
    Number,
    /// How many values a histogram or summary point is about.
    Count,
    /// Their sum.
    Sum,
}

/// Return the fixed field of that name, if rows of that level have one.
pub fn fixed(signal: Signal, level: Level, name: &str) -> Option<Fixed> {
    let row = row_type(signal, level)?;
    match (signal, level, name) {
        (Signal::Traces, Level::Item, "duration_nanos") => return Some(Fixed::Duration),
        (Signal::Logs, Level::Item, "body") => return Some(Fixed::Any(row.named("body")?.number)),
        (Signal::Metrics, Level::Metric, "type") => return Some(Fixed::Type),
        (Signal::Metrics, Level::Metric, "aggregation_temporality") => {
            return Some(Fixed::OfData(bits(&[SUM, HISTOGRAM, EXPONENTIAL_HISTOGRAM]), schema::SUM.named(name)?));
        }
        (Signal::Metrics, Level::Metric, "is_monotonic") => {
            return Some(Fixed::OfData(1 << SUM, schema::SUM.named(name)?));
        }
        (Signal::Metrics, Level::Item, "value") => return Some(Fixed::Number),
        (Signal::Metrics, Level::Item, "count") => return Some(Fixed::Count),
        (Signal::Metrics, Level::Item, "sum") => return Some(Fixed::Sum),
        _ => {}
    }
    if own_names(signal, level).contains(&name) {
        return Some(Fixed::Own(row.named(name)?));
    }
    let holder = match level {
        Level::Resource if name == "dropped_attributes_count" => "resource",
        Level::Scope if ["name", "version", "dropped_attributes_count"].contains(&name) => "scope",
        Level::Item if signal == Signal::Traces && ["status.code", "status.message"].contains(&name) => "status",
        _ => return None,
    };
    let holder = row.named(holder)?;
    let inner = name.rsplit('.').next()?;
    Some(Fixed::Inner(holder.number, row.child(holder.number)?.named(inner)?))
}

const fn own_names(signal: Signal, level: Level) -> &'static [&'static str] {
    match (signal, level) {
        (_, Level::Resource | Level::Scope) => &["schema_url"],
        (Signal::Metrics, Level::Metric) => &["name", "description", "unit"],
        (Signal::Traces, Level::Item) => &[
            "trace_id",
            "span_id",
            "parent_span_id",
            "trace_state",
            "flags",
            "name",
            "kind",
            "start_time_unix_nano",
            "end_time_unix_nano",
            "dropped_attributes_count",
        ],
        (Signal::Logs, Level::Item) => &[
            "trace_id",
            "span_id",
            "time_unix_nano",
            "observed_time_unix_nano",
            "severity_number",
            "severity_text",
            "flags",
            "event_name",
            "dropped_attributes_count",
        ],
        (Signal::Metrics, Level::Item) => &["time_unix_nano", "start_time_unix_nano", "flags"],
        (Signal::Traces, Level::Event) => &["name", "time_unix_nano", "dropped_attributes_count"],
        (Signal::Traces, Level::Link) => &["trace_id", "span_id", "trace_state", "flags"],
        _ => &[],
    }
}

/// Return the type of the messages that are the rows of a level.
///
/// Data points are of several types: there it is one that has time, start and flags, whose numbers differ as
/// [`of_point`] says.
fn row_type(signal: Signal, level: Level) -> Option<&'static MessageType> {
    let child = |outer: &'static MessageType, number| outer.child(number);
    let resource = child(schema::request(signal), 1)?;
    let scope = child(resource, 2)?;
    match (level, signal) {
        (Level::Resource, _) => Some(resource),
        (Level::Scope, _) => Some(scope),
        (Level::Metric, Signal::Metrics) | (Level::Item, Signal::Traces | Signal::Logs) => child(scope, 2),
        (Level::Item, Signal::Metrics) => Some(&schema::NUMBER_DATA_POINT),
        (Level::Event, Signal::Traces) => Some(&schema::SPAN_EVENT),
        (Level::Link, Signal::Traces) => Some(&schema::SPAN_LINK),
        _ => None,
    }
}

/// Return where data points in the data with that field number have a field that number points have elsewhere.
#[inline]
pub const fn of_point(data: u32, number: u32) -> u32 {
    match (data, number) {
        (HISTOGRAM | EXPONENTIAL_HISTOGRAM, 8) => 10, // flags
        _ => number,
    }
}

/// Return the field with the attributes of a row: in the row, or in the message in another field of it.
///
/// Of data points it depends on the field number of the data that they are in.
pub const fn attributes(signal: Signal, level: Level, data: u32) -> (Option<u32>, u32) {
    match (level, signal) {
        (Level::Resource, _) => (Some(1), 1),
        (Level::Scope, _) => (Some(1), 3),
        (Level::Metric, _) => (None, 12),
        (Level::Item, Signal::Traces) => (None, 9),
        (Level::Item, Signal::Logs) => (None, 6),
        (Level::Item, Signal::Metrics) => match data {
            HISTOGRAM => (None, 9),
            EXPONENTIAL_HISTOGRAM => (None, 1),
            _ => (None, 7),
        },
        (Level::Event, _) => (None, 3),
        (Level::Link, _) => (None, 4),
    }
}
