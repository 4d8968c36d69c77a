//! What comes back.

use bytes::Bytes;

/// The end of a request.
#[derive(Debug)]
pub struct Reply {
    /// As it was given with the request.
    pub token: u64,
    /// How it ended.
    pub outcome: Outcome,
}

/// How a request ended.
#[derive(Debug)]
pub enum Outcome {
    /// A gRPC call ended, here or there.
    Grpc(GrpcAnswer),
    /// An HTTP server answered.
    Http(HttpAnswer),
    /// There was no HTTP answer; the text says why.
    Failed(String),
}

/// The end of a gRPC call.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct GrpcAnswer {
    /// The status code; 0 is success.
    pub code: u32,
    /// The server's message, or what went wrong here.
    pub message: String,
    /// `grpc-status-details-bin`, decoded; empty without one.
    pub details: Bytes,
    /// The answer's message.
    pub body: Bytes,
}

impl GrpcAnswer {
    /// A call that failed.
    pub(crate) fn failed(code: u32, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), ..Self::default() }
    }
}

/// An HTTP answer, read to its end or to the limit.
#[derive(Debug, Default)]
pub struct HttpAnswer {
    /// The status.
    pub status: u16,
    /// `Content-Type` as it came.
    pub content_type: String,
    /// `Retry-After` as it came.
    pub retry_after: Option<String>,
    /// `Location` as it came.
    pub location: Option<String>,
    /// The body, without its encoding.
    pub body: Bytes,
}

/// Status codes of gRPC that arise here.
pub(crate) mod code {
    pub(crate) const CANCELLED: u32 = 1;
    pub(crate) const UNKNOWN: u32 = 2;
    pub(crate) const DEADLINE_EXCEEDED: u32 = 4;
    pub(crate) const PERMISSION_DENIED: u32 = 7;
    pub(crate) const RESOURCE_EXHAUSTED: u32 = 8;
    pub(crate) const UNIMPLEMENTED: u32 = 12;
    pub(crate) const INTERNAL: u32 = 13;
    pub(crate) const UNAVAILABLE: u32 = 14;
    pub(crate) const UNAUTHENTICATED: u32 = 16;
}

/// Return an error with its causes, each once.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let said = cause.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        next = cause.source();
    }
    text
}
