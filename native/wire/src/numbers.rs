//! Numbers of fields that are treated in a way of their own.

/// The data of a metric, of which it has one.
pub const GAUGE: u32 = 5;
/// The data of a metric.
pub const SUM: u32 = 7;
/// The data of a metric.
pub const HISTOGRAM: u32 = 9;
/// The data of a metric.
pub const EXPONENTIAL_HISTOGRAM: u32 = 10;
/// The data of a metric.
pub const SUMMARY: u32 = 11;

/// The value of a point of gauges and sums, as a floating point number.
pub const AS_DOUBLE: u32 = 4;
/// The value of a point of gauges and sums, as an integer.
pub const AS_INT: u32 = 6;
/// How many values a point of histograms and summaries is about.
pub const COUNT: u32 = 4;
/// Their sum.
pub const TOTAL: u32 = 5;

/// The status of a span.
pub const STATUS: u32 = 15;
/// The events of a span.
pub const EVENTS: u32 = 11;
/// The links of a span.
pub const LINKS: u32 = 13;

/// Numbers as bits.
pub const fn bits(numbers: &[u32]) -> u32 {
    let mut bits = 0;
    let mut rest = numbers;
    while let [number, more @ ..] = rest {
        bits |= 1 << *number;
        rest = more;
    }
    bits
}
