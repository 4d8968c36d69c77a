//! Many patterns over many values at once, without decoding what does not match.

#![forbid(unsafe_code)]

mod layout;
mod needs;
mod searcher;
mod syntax;
mod texts;
mod values;

pub use searcher::{PatternError, Searcher};
pub use texts::{Frame, Keys, Kind, Text, Texts, texts};
pub use values::{Found, Place, search};
