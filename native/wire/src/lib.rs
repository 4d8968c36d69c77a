//! OTLP requests as bytes: which messages they hold and where, whether they are valid, what their fields say.
//!
//! Nothing here copies or allocates per message beyond one [`Node`]; nothing panics on any input.

#![forbid(unsafe_code)]

mod count;
mod decode;
mod error;
mod field;
mod index;
pub mod limits;
mod path;
pub mod schema;
mod signal;
mod text;

pub use count::count;
pub use decode::decode;
pub use error::DecodeError;
pub use field::{Field, Fields, Wire, put_varint, read_varint, varint_len};
pub use index::{Decoded, Index, Node};
pub use signal::{Level, Signal};
