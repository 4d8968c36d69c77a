//! New OTLP requests out of old ones, as bytes: edited in place, cut into parts, split by size.
//!
//! Nothing is decoded into messages and encoded again. A request is walked once where something changes; everything else
//! is taken over as ranges of bytes, and every byte is copied once, when the [`Pieces`] are written.
//!
//! Offsets come from the [`Index`](otlp_wire::Index) of a regular request. Those of another request give wrong bytes, but
//! no panic.

#![forbid(unsafe_code)]

mod bits;
mod edits;
mod keys;
mod message;
mod pieces;
mod regroup;
mod rewrite;
mod schema;
mod values;

pub use edits::{Column, EditError, Edits, Target};
pub use pieces::Pieces;
pub use regroup::{partition, split};
pub use rewrite::rewrite;
pub use schema::{FixedField, Form, attribute_tag, fixed_field};
pub use values::{AnyValue, Scalar, Slot, Values, put_attribute, put_attribute_of_text, put_body_of_text, put_field};
