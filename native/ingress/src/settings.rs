use std::time::Duration;

use crate::coding::Coding;

/// Milliseconds since the server began; what never comes is [`NEVER`].
pub(crate) type Millis = u64;
/// A time that never comes.
pub(crate) const NEVER: Millis = u64::MAX;

/// A limit in time; `None` = there is none.
pub type Limit = Option<Duration>;

/// Add a limit to a moment.
pub(crate) fn after(moment: Millis, limit: Limit) -> Millis {
    limit.map_or(NEVER, |limit| moment.saturating_add(u64::try_from(limit.as_millis()).unwrap_or(NEVER)))
}

/// What a server of either kind needs to know.
#[derive(Debug)]
pub struct Settings {
    /// Which protocol, and its options.
    pub protocol: Protocol,
    /// Connections beyond are turned away.
    pub max_connections: usize,
    /// Bytes of bodies that are read ahead before anybody is asked.
    pub read_ahead: usize,
    /// How late a deadline is noticed at most.
    pub sweep: Duration,
    /// For a TLS handshake.
    pub handshake: Duration,
    /// Signals that nobody takes: each request of theirs is asked about.
    pub unserved: [bool; 3],
    /// Whether the sender's headers are wanted with each request.
    pub metadata: bool,
    /// Whether each request is put before an authenticator.
    pub authenticate: bool,
}

/// Which protocol a server speaks.
#[derive(Debug)]
pub enum Protocol {
    /// OTLP/gRPC.
    Grpc(GrpcSettings),
    /// OTLP/HTTP.
    Http(HttpSettings),
}

/// Options of gRPC; times as in the Python server's `Http2Limits`.
#[derive(Debug)]
pub struct GrpcSettings {
    /// Calls under way per connection.
    pub max_streams: usize,
    /// Bytes that a client may send ahead on one stream.
    pub stream_window: u32,
    /// Largest message, before and after decompression.
    pub max_message: usize,
    /// For the first bytes of a connection.
    pub handshake: Limit,
    /// For a client to take its answers.
    pub write: Limit,
    /// Connections without calls end after that.
    pub idle: Limit,
    /// Connections end after that.
    pub age: Limit,
    /// Time for calls to end after `age`.
    pub age_grace: Limit,
    /// Silent clients are pinged after that.
    pub ping_after: Limit,
    /// Clients that do not answer a ping are cut off after that.
    pub ping_timeout: Limit,
    /// Least time between a client's pings.
    pub least_ping_interval: Limit,
    /// Whether clients may ping while no call is under way.
    pub ping_without_streams: bool,
    /// Longest silence in the middle of a message.
    pub message_idle: Limit,
}

/// Options of HTTP.
#[derive(Debug)]
pub struct HttpSettings {
    /// Paths by signal: traces, metrics, logs.
    pub paths: [String; 3],
    /// Largest body, before and after decompression.
    pub max_body: usize,
    /// Values of `Content-Encoding` that are taken here; others are answered by the Python side.
    pub codings: Vec<Coding>,
    /// For the headers of a request.
    pub head: Limit,
    /// Longest silence in the middle of a body.
    pub body_idle: Limit,
    /// For a whole request.
    pub request: Limit,
    /// For a client to take its answer.
    pub write: Limit,
    /// Between requests.
    pub idle: Limit,
    /// Whether a connection takes several requests.
    pub keep_alive: bool,
    /// Whether answers to web pages need more headers: requests with `Origin` go to the Python side.
    pub cors: bool,
    /// Lines that are added to every answer.
    pub own_headers: Vec<u8>,
}
