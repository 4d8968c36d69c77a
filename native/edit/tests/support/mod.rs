//! Requests written by hand, and edits of them.

#![allow(dead_code, reason = "each test file uses a part")]

use otlp_edit::{
    AnyValue, Column, EditError, Edits, Scalar, Slot, Target, attribute_tag, fixed_field, put_attribute, rewrite,
};
use otlp_wire::{Decoded, Index, Level, Signal, decode, put_varint};

/// A field of a later version, length-delimited.
pub const FOREIGN: &[u8] = b"\xfa\x7f\x03new";

/// A length-delimited field.
pub fn field(number: u32, pieces: &[&[u8]]) -> Vec<u8> {
    let body = pieces.concat();
    let mut out = Vec::new();
    put_varint(&mut out, u64::from(number << 3 | 2));
    put_varint(&mut out, body.len() as u64);
    out.extend(body);
    out
}

/// A number field.
pub fn varint(number: u32, value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    put_varint(&mut out, u64::from(number << 3));
    put_varint(&mut out, value);
    out
}

/// A field of eight bytes.
pub fn fixed64(number: u32, value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    put_varint(&mut out, u64::from(number << 3 | 1));
    out.extend(value.to_le_bytes());
    out
}

/// An attribute with a text, as a field.
pub fn pair(number: u32, key: &str, value: &str) -> Vec<u8> {
    field(number, &[&field(1, &[key.as_bytes()]), &field(2, &[&field(1, &[value.as_bytes()])])])
}

/// An attribute of a span.
pub fn attr(key: &str, value: &str) -> Vec<u8> {
    pair(9, key, value)
}

pub fn span(pieces: &[&[u8]]) -> Vec<u8> {
    field(2, pieces)
}

/// A request of one resource and one scope, with unknown fields everywhere.
pub fn request(spans: &[&[u8]]) -> Vec<u8> {
    let scope = field(2, &[&spans.concat(), FOREIGN]);
    [field(1, &[FOREIGN, &scope, FOREIGN]), FOREIGN.to_vec()].concat()
}

pub fn index(signal: Signal, data: &[u8]) -> Index {
    match decode(signal, data).expect("valid") {
        Decoded::Regular(index) => index,
        Decoded::Irregular => panic!("irregular"),
    }
}

/// A value of an edit.
#[derive(Clone, Copy)]
pub enum New<'a> {
    Gone,
    Text(&'a str),
    Long(&'a str),
    Map(&'a [(&'a str, &'a str)]),
    Fixed(Scalar<'a>),
    Bad,
}

/// Edits under construction.
pub struct Change<'a> {
    signal: Signal,
    edits: Edits<'a>,
}

impl<'a> Change<'a> {
    pub fn of(signal: Signal) -> Self {
        Self { signal, edits: Edits::default() }
    }

    fn column(mut self, level: Level, target: Target<'a>, rows: &[(u32, New<'a>)]) -> Self {
        let tag = attribute_tag(self.signal, level);
        let key: &[u8] = if let Target::Key { key, .. } = target { key } else { b"" };
        let mut slots = Vec::new();
        for &(row, new) in rows {
            let values = &mut self.edits.values;
            let slot = match new {
                New::Gone => Slot::REMOVE,
                New::Bad => values.failed(),
                New::Text(text) => {
                    put_attribute(values.buffer(), tag, key, &AnyValue::Text(text.as_bytes()));
                    values.slot()
                }
                New::Long(text) => {
                    otlp_edit::put_attribute_of_text(values.buffer(), tag, key, true, text.len());
                    self.edits.texts.push(text.as_bytes());
                    values.slot_with_text(self.edits.texts.len() as u32 - 1)
                }
                New::Map(pairs) => {
                    for (key, value) in pairs {
                        put_attribute(values.buffer(), tag, key.as_bytes(), &AnyValue::Text(value.as_bytes()));
                    }
                    values.slot()
                }
                New::Fixed(scalar) => {
                    scalar.put(values.buffer());
                    values.slot()
                }
            };
            slots.push((row, slot));
        }
        self.edits.columns.push(Column { level, target, rows: slots });
        self
    }

    pub fn key(self, level: Level, key: &'a str, rows: &[(u32, New<'a>)]) -> Self {
        self.column(level, Target::Key { key: key.as_bytes(), found: true }, rows)
    }

    pub fn new_key(self, level: Level, key: &'a str, rows: &[(u32, New<'a>)]) -> Self {
        self.column(level, Target::Key { key: key.as_bytes(), found: false }, rows)
    }

    pub fn map(self, level: Level, rows: &[(u32, New<'a>)]) -> Self {
        self.column(level, Target::Map, rows)
    }

    pub fn fixed(self, level: Level, name: &str, rows: &[(u32, New<'a>)]) -> Self {
        let field = fixed_field(self.signal, level, name).expect("a field");
        self.column(level, Target::Fixed(field), rows)
    }

    pub fn drop(mut self, level: Level, rows: &[u32]) -> Self {
        self.edits.drops.push((level, rows.to_vec()));
        self
    }

    pub fn try_on(&self, data: &[u8]) -> Result<Vec<u8>, EditError> {
        let index = index(self.signal, data);
        let written = rewrite(data, &index, &self.edits)?;
        let bytes = written.to_vec();
        assert_eq!(bytes.len(), written.len());
        Ok(bytes)
    }

    pub fn on(&self, data: &[u8]) -> Vec<u8> {
        self.try_on(data).expect("fits")
    }
}
