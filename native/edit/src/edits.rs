use std::fmt;

use otlp_wire::{DecodeError, Level};

use crate::schema::FixedField;
use crate::values::{Slot, Values};

/// What a rewrite changes, in rows of the request.
#[derive(Clone, Debug, Default)]
pub struct Edits<'a> {
    /// New values. Attributes that a row lacks are added in this order.
    pub columns: Vec<Column<'a>>,
    /// Rows that vanish with everything in them; a container that loses its last child vanishes too.
    pub drops: Vec<(Level, Vec<u32>)>,
    /// What the slots of the columns stand for.
    pub values: Values,
    /// Long texts that slots continue with, so that they are not copied twice.
    pub texts: Vec<&'a [u8]>,
}

/// New values of one field.
#[derive(Clone, Debug)]
pub struct Column<'a> {
    /// Whose rows are meant.
    pub level: Level,
    /// Which field.
    pub target: Target<'a>,
    /// Row and new value, rows ascending, each once.
    pub rows: Vec<(u32, Slot)>,
}

/// A field of a row.
#[derive(Clone, Copy, Debug)]
pub enum Target<'a> {
    /// One that OTLP defines.
    Fixed(FixedField),
    /// One attribute. Equal keys that follow the first are removed.
    Key {
        /// Its key, in UTF-8.
        key: &'a [u8],
        /// Whether attributes of that key are meant, or a new one is added in any case.
        found: bool,
    },
    /// All attributes; replaced before single ones are set.
    Map,
}

/// Why a request cannot be rewritten.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EditError {
    /// A row gets a value that could not be encoded.
    Failed(Slot),
    /// A row gets a field that this type of metric does not have; the number of the column.
    Unfit(usize),
    /// There is no such row.
    NoRow(Level, u32),
    /// The index is not that of the request.
    Decode(DecodeError),
}

impl From<DecodeError> for EditError {
    fn from(error: DecodeError) -> Self {
        Self::Decode(error)
    }
}

impl fmt::Display for EditError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(_) => write!(f, "a value cannot be written"),
            Self::Unfit(_) => write!(f, "this kind of metric does not have it"),
            Self::NoRow(level, row) => write!(f, "{level:?} has no row {row}"),
            Self::Decode(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for EditError {}
