use std::borrow::Cow;
use std::fmt;

/// Why bytes are no OTLP request, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecodeError {
    /// What is wrong, in words for the sender; no content of the request.
    pub message: Cow<'static, str>,
    /// Offset in the request, in bytes.
    pub offset: usize,
}

impl DecodeError {
    /// Say what is wrong where.
    pub fn new(message: impl Into<Cow<'static, str>>, offset: usize) -> Self {
        Self { message: message.into(), offset }
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.message, self.offset)
    }
}

impl std::error::Error for DecodeError {}
