//! OTLP requests as bytes: which messages they hold and where, whether they are valid, what their fields say.
//!
//! Nothing here copies or allocates per message beyond one [`Node`]; nothing panics on any input.

#![forbid(unsafe_code)]

mod cell;
mod columns;
mod count;
mod decode;
mod error;
mod field;
mod fixed;
mod index;
pub mod limits;
pub mod numbers;
mod parts;
mod path;
mod rows;
pub mod schema;
mod signal;
mod text;

pub use cell::{Cell, List, Pairs, key_of, key_value, length_bit};
pub use columns::{Cells, Column, columns};
pub use count::count;
pub use decode::decode;
pub use error::DecodeError;
pub use field::{Field, Fields, Wire, put_varint, read_varint, varint_len};
pub use fixed::{Fixed, attributes, fixed, of_point};
pub use index::{Decoded, Index, Node};
pub use parts::{Part, Parts};
pub use path::depth;
pub use signal::{Level, Signal};
