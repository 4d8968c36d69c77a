//! The way from a request down to its items.

use crate::numbers::{EXPONENTIAL_HISTOGRAM, GAUGE, HISTOGRAM, SUM, SUMMARY, bits};
use crate::{Level, Signal};

/// The data of a metric: one of these fields.
pub(crate) const DATA: u32 = bits(&[GAUGE, SUM, HISTOGRAM, EXPONENTIAL_HISTOGRAM, SUMMARY]);

/// The field numbers that lead to the next depth, as bits, one set per depth.
pub(crate) const fn path(signal: Signal) -> &'static [u32] {
    match signal {
        Signal::Traces | Signal::Logs => &[1 << 1, 1 << 2, 1 << 2],
        // request, resource, scope, metric, one of gauge, sum, histogram, exponential histogram, summary
        Signal::Metrics => &[1 << 1, 1 << 2, 1 << 2, DATA, 1 << 1],
    }
}

/// The depth whose messages are the rows of a level; none for events, links, and what the signal does not have.
pub const fn depth(signal: Signal, level: Level) -> Option<usize> {
    match (level, signal) {
        (Level::Resource, _) => Some(0),
        (Level::Scope, _) => Some(1),
        (Level::Metric, Signal::Metrics) => Some(2),
        (Level::Item, Signal::Metrics) => Some(4),
        (Level::Item, _) => Some(2),
        (Level::Metric | Level::Event | Level::Link, _) => None,
    }
}
