//! The attributes that are edited by their keys, and those of the row at hand.

use std::collections::HashMap;

use otlp_wire::length_bit;

use crate::edits::Column;
use crate::values::Slot;

/// From this number of keys on they are looked up instead of gone through.
const MANY: usize = 16;

/// The values of a column, read in the order of rows.
pub(crate) struct Cursor<'a> {
    rows: &'a [(u32, Slot)],
}

impl<'a> Cursor<'a> {
    pub fn new(column: &'a Column<'_>) -> Self {
        Self { rows: &column.rows }
    }

    /// Return the value of a row, which must not lie before the last.
    #[inline]
    pub fn at(&mut self, row: u32) -> Option<Slot> {
        while let Some((&(first, slot), rest)) = self.rows.split_first() {
            if first > row {
                break;
            }
            self.rows = rest;
            if first == row {
                return Some(slot);
            }
        }
        None
    }
}

struct Key<'a> {
    key: &'a [u8],
    found: bool,
    cursor: Cursor<'a>,
    /// The new value in the row at hand.
    now: Option<Slot>,
    done: bool,
}

/// A sender may write another key in every row: what is done for a row must not take longer the more keys there are.
struct Many<'a> {
    /// Row, number of the key and new value, in this order.
    rows: Vec<(u32, u32, Slot)>,
    /// The first of them whose row was not met.
    next: usize,
    numbers: HashMap<&'a [u8], usize>,
}

/// All keys that are edited at a level.
pub(crate) struct Keys<'a> {
    keys: Vec<Key<'a>>,
    many: Option<Many<'a>>,
    /// The numbers of the keys that may change in the row at hand, ascending: all, unless they are many.
    candidates: Vec<u32>,
    /// The lengths of the keys, see [`length_bit`].
    lengths: u64,
}

impl<'a> Keys<'a> {
    /// Begin without keys; there is room for so many.
    pub fn new(count: usize) -> Self {
        Self { keys: Vec::with_capacity(count), many: None, candidates: Vec::new(), lengths: 0 }
    }

    /// Add a column of edits; `found` as in [`crate::Target::Key`].
    pub fn add(&mut self, key: &'a [u8], found: bool, cursor: Cursor<'a>) {
        if found {
            self.lengths |= length_bit(key.len());
        }
        self.keys.push(Key { key, found, cursor, now: None, done: false });
    }

    /// Make ready for the first row when all columns are there.
    pub fn complete(&mut self) {
        if self.keys.len() < MANY {
            self.candidates.extend(0..self.keys.len() as u32);
            return;
        }
        let keys = || self.keys.iter().enumerate();
        let edits = |(number, key): (usize, &Key<'a>)| {
            let rows = key.cursor.rows;
            rows.iter().map(move |&(row, slot)| (row, number as u32, slot))
        };
        let mut rows: Vec<_> = keys().flat_map(edits).collect();
        rows.sort_unstable_by_key(|&(row, number, _)| (row, number));
        let numbers = keys().filter(|(_, key)| key.found).map(|(number, key)| (key.key, number)).collect();
        self.many = Some(Many { rows, next: 0, numbers });
    }

    /// Go to a row, which must not lie before the last; tell whether an attribute changes there.
    pub fn select(&mut self, row: u32) -> bool {
        let Self { keys, many, candidates, .. } = self;
        let Some(many) = many else {
            let mut any = false;
            for key in keys {
                key.now = key.cursor.at(row);
                key.done = false;
                any |= key.now.is_some();
            }
            return any;
        };
        for number in candidates.drain(..) {
            if let Some(key) = keys.get_mut(number as usize) {
                key.now = None;
            }
        }
        while let Some(&(first, number, slot)) = many.rows.get(many.next).filter(|(first, ..)| *first <= row) {
            many.next += 1;
            if first == row
                && let Some(key) = keys.get_mut(number as usize)
            {
                key.now = Some(slot);
                key.done = false;
                candidates.push(number);
            }
        }
        !candidates.is_empty()
    }

    /// Whether a key of that length may be edited.
    #[inline(always)]
    pub fn has_length(&self, length: usize) -> bool {
        self.lengths & length_bit(length) != 0
    }

    /// Return the new value of a key if it is edited in this row, and whether this is the first time.
    pub fn find(&mut self, key: &[u8]) -> Option<(Slot, bool)> {
        if !self.has_length(key.len()) {
            return None;
        }
        let key = match &self.many {
            Some(many) => self.keys.get_mut(*many.numbers.get(key)?)?,
            None => self.keys.iter_mut().find(|known| known.found && known.key == key)?,
        };
        let slot = key.now?;
        let first = !key.done;
        key.done = true;
        Some((slot, first))
    }

    /// The new values that no attribute was found for, in the order of the columns.
    pub fn missing(&self) -> impl Iterator<Item = Slot> {
        let candidates = self.candidates.iter().filter_map(|&number| self.keys.get(number as usize));
        candidates.filter(|key| !key.done).filter_map(|key| key.now).filter(|slot| !slot.removes())
    }
}
