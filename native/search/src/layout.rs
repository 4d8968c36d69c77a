//! Where texts stand in OTLP requests, by the fields of the `.proto` files of opentelemetry-proto.
//!
//! Left out is what identifies and holds no content: ids, schema URLs, names of scopes and metrics, units, severities,
//! names of log events, and the trace state.

use otlp_wire::Signal;

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// A message with fields of its own.
    Message,
    /// A message that is one item: a span, a log record, a data point.
    Item,
    /// A message that is an event of a span.
    Event,
    /// A `KeyValue`.
    Attribute,
    /// An `AnyValue`.
    Value,
    /// A string.
    Text,
}

/// A field that may hold texts.
#[derive(Debug)]
pub struct Layout {
    pub what: What,
    /// Of a text or value: how it is called.
    pub name: &'static str,
    /// Of a message: its fields by number; all of them have a length.
    fields: &'static [(u32, &'static Layout)],
}

impl Layout {
    /// The field of a message with this number.
    #[inline]
    pub fn field(&self, number: u32) -> Option<&'static Self> {
        self.fields.iter().find(|(other, _)| *other == number).map(|(_, layout)| *layout)
    }

    const fn leaf(what: What, name: &'static str) -> Self {
        Self { what, name, fields: &[] }
    }

    const fn message(what: What, fields: &'static [(u32, &'static Self)]) -> Self {
        Self { what, name: "", fields }
    }
}

/// Return the layout of a request.
pub fn request(signal: Signal) -> &'static Layout {
    match signal {
        Signal::Traces => &TRACES,
        Signal::Metrics => &METRICS,
        Signal::Logs => &LOGS,
    }
}

static ATTRIBUTE: Layout = Layout::leaf(What::Attribute, "");
static RESOURCE: Layout = Layout::message(What::Message, &[(1, &ATTRIBUTE)]);
static SCOPE: Layout = Layout::message(What::Message, &[(3, &ATTRIBUTE)]);

static NAME: Layout = Layout::leaf(What::Text, "name");
static EVENT_NAME: Layout = Layout::leaf(What::Text, "event.name");
static EVENT: Layout = Layout::message(What::Event, &[(2, &EVENT_NAME), (3, &ATTRIBUTE)]);
static LINK: Layout = Layout::message(What::Message, &[(4, &ATTRIBUTE)]);
static STATUS_MESSAGE: Layout = Layout::leaf(What::Text, "status.message");
static STATUS: Layout = Layout::message(What::Message, &[(2, &STATUS_MESSAGE)]);
static SPAN: Layout =
    Layout::message(What::Item, &[(5, &NAME), (9, &ATTRIBUTE), (11, &EVENT), (13, &LINK), (15, &STATUS)]);

static BODY: Layout = Layout::leaf(What::Value, "body");
static LOG_RECORD: Layout = Layout::message(What::Item, &[(5, &BODY), (6, &ATTRIBUTE)]);

static EXEMPLAR: Layout = Layout::message(What::Message, &[(7, &ATTRIBUTE)]);
static NUMBER_POINT: Layout = Layout::message(What::Item, &[(7, &ATTRIBUTE), (5, &EXEMPLAR)]);
static HISTOGRAM_POINT: Layout = Layout::message(What::Item, &[(9, &ATTRIBUTE), (8, &EXEMPLAR)]);
static EXPONENTIAL_POINT: Layout = Layout::message(What::Item, &[(1, &ATTRIBUTE), (11, &EXEMPLAR)]);
static SUMMARY_POINT: Layout = Layout::message(What::Item, &[(7, &ATTRIBUTE)]);
static NUMBERS: Layout = Layout::message(What::Message, &[(1, &NUMBER_POINT)]);
static HISTOGRAM: Layout = Layout::message(What::Message, &[(1, &HISTOGRAM_POINT)]);
static EXPONENTIAL: Layout = Layout::message(What::Message, &[(1, &EXPONENTIAL_POINT)]);
static SUMMARY: Layout = Layout::message(What::Message, &[(1, &SUMMARY_POINT)]);
/// Gauge, sum, both histograms, summary, metadata.
static METRIC: Layout = Layout::message(
    What::Message,
    &[(5, &NUMBERS), (7, &NUMBERS), (9, &HISTOGRAM), (10, &EXPONENTIAL), (11, &SUMMARY), (12, &ATTRIBUTE)],
);

static SCOPE_SPANS: Layout = Layout::message(What::Message, &[(1, &SCOPE), (2, &SPAN)]);
static SCOPE_METRICS: Layout = Layout::message(What::Message, &[(1, &SCOPE), (2, &METRIC)]);
static SCOPE_LOGS: Layout = Layout::message(What::Message, &[(1, &SCOPE), (2, &LOG_RECORD)]);
static RESOURCE_SPANS: Layout = Layout::message(What::Message, &[(1, &RESOURCE), (2, &SCOPE_SPANS)]);
static RESOURCE_METRICS: Layout = Layout::message(What::Message, &[(1, &RESOURCE), (2, &SCOPE_METRICS)]);
static RESOURCE_LOGS: Layout = Layout::message(What::Message, &[(1, &RESOURCE), (2, &SCOPE_LOGS)]);
static TRACES: Layout = Layout::message(What::Message, &[(1, &RESOURCE_SPANS)]);
static METRICS: Layout = Layout::message(What::Message, &[(1, &RESOURCE_METRICS)]);
static LOGS: Layout = Layout::message(What::Message, &[(1, &RESOURCE_LOGS)]);
