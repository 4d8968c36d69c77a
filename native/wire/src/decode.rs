//! Is this a request, and where do its messages lie?

use crate::{DecodeError, Decoded, Signal};

/// Validate a request completely and find its messages, in one pass.
///
/// # Errors
/// When the bytes are no OTLP request, with the offset.
pub fn decode(_signal: Signal, _data: &[u8]) -> Result<Decoded, DecodeError> {
    Ok(Decoded::Irregular)
}

/// Return the number of items by walking the containers, or `None` where these are irregular.
///
/// # Errors
/// When a container is malformed, with the offset; does not look into items.
pub fn count(_signal: Signal, _data: &[u8]) -> Result<Option<usize>, DecodeError> {
    Ok(None)
}
