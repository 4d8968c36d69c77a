//! OTLP JSON to protobuf and back, in one pass each, without a tree of values in between.
//!
//! Both functions take what SDKs and the Collector send. `None` means that the text or the request is wrong, or right but
//! unusual: whoever needs to know more asks an implementation that words errors.
//! See <https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding>.

#![forbid(unsafe_code)]

mod binary;
mod number;
mod read;
mod scan;
mod values;
mod write;

pub use read::from_json;
pub use write::to_json;
