//! Bounds of what a request may hold; those of `untrace_pipeline/data/codecs/wire.py`, for the reasons given there.

use crate::DecodeError;

/// Messages of one depth in one request.
pub const MAX_MESSAGES: usize = 1 << 20;

/// Other fields of one depth, unknown ones most of all.
pub const MAX_SKIPPED: usize = 1 << 20;

/// Messages inside of each other in a regular request; protobuf's own limit is 100.
pub const MAX_NESTING: usize = 90;

/// How many other fields one depth may have.
pub(crate) const fn max_skipped(depth: usize) -> usize {
    // The depth below metrics: name, description and unit of honest metrics are among them.
    if depth == 3 { 2 * MAX_SKIPPED } else { MAX_SKIPPED }
}

#[cold]
pub(crate) fn too_many_messages(offset: usize) -> DecodeError {
    DecodeError::new(format!("more than {MAX_MESSAGES} messages of one kind; send smaller requests"), offset)
}

#[cold]
pub(crate) fn too_many_fields(offset: usize) -> DecodeError {
    DecodeError::new("more than a million unknown fields; send smaller requests", offset)
}
