//! Many patterns over many values at once, without decoding what does not match.

#![forbid(unsafe_code)]

mod needs;
mod searcher;
mod syntax;
mod values;

pub use searcher::{PatternError, Searcher};
pub use values::{Found, Place, search};
