/// A kind of telemetry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Signal {
    /// Spans.
    Traces,
    /// Metric points.
    Metrics,
    /// Log records.
    Logs,
}

impl Signal {
    /// Its name in paths and configurations.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Traces => "traces",
            Self::Metrics => "metrics",
            Self::Logs => "logs",
        }
    }
}

/// Rows that a field can belong to, from the outside in; the numbers are those of the Python side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Level {
    /// `ResourceSpans`, `ResourceMetrics`, `ResourceLogs`.
    Resource = 0,
    /// `ScopeSpans`, `ScopeMetrics`, `ScopeLogs`.
    Scope = 1,
    /// `Metric`; metrics only.
    Metric = 2,
    /// Span, data point or log record.
    Item = 3,
    /// `Span.Event`; traces only.
    Event = 4,
    /// `Span.Link`; traces only.
    Link = 5,
}

impl Level {
    /// Its name on the Python side.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Resource => "RESOURCE",
            Self::Scope => "SCOPE",
            Self::Metric => "METRIC",
            Self::Item => "ITEM",
            Self::Event => "EVENT",
            Self::Link => "LINK",
        }
    }
}
