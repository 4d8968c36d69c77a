//! Making messages by hand.
#![allow(dead_code)] // not every test uses all of it

use otlp_wire::{Decoded, Index, Signal, decode, put_varint};

/// A field that holds bytes, text or a message.
pub fn field(number: u64, body: impl AsRef<[u8]>) -> Vec<u8> {
    let mut out = Vec::new();
    put_varint(&mut out, number << 3 | 2);
    put_varint(&mut out, body.as_ref().len() as u64);
    out.extend(body.as_ref());
    out
}

/// A field that holds a number.
pub fn number(number: u64, value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    put_varint(&mut out, number << 3);
    put_varint(&mut out, value);
    out
}

/// A field of eight bytes.
pub fn fixed(number: u64, value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    put_varint(&mut out, number << 3 | 1);
    out.extend(value.to_le_bytes());
    out
}

/// An attribute in the field with that number.
pub fn attribute(number: u64, key: &str, value: &[u8]) -> Vec<u8> {
    field(number, [field(1, key), field(2, value)].concat())
}

/// A message inside of others: `path` leads from the request to it.
pub fn inside(path: &[u64], body: impl AsRef<[u8]>) -> Vec<u8> {
    path.iter().rev().fold(body.as_ref().to_vec(), |body, &number| field(number, body))
}

/// The path from a request to a span or log record.
pub const ITEM: &[u64] = &[1, 2, 2];

/// A request of one span.
pub fn span(body: impl AsRef<[u8]>) -> Vec<u8> {
    inside(ITEM, body)
}

/// Decode what must be regular.
pub fn index(signal: Signal, data: &[u8]) -> Index {
    match decode(signal, data) {
        Ok(Decoded::Regular(index)) => index,
        other => panic!("{other:?}"),
    }
}
