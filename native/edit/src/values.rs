//! New values in their encoded form.

use otlp_wire::numbers::{AS_DOUBLE, AS_INT};
use otlp_wire::{put_varint, varint_len};

/// A new value of a row: one of [`Values`], or nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot(u32);

impl Slot {
    /// The row loses the field.
    pub const REMOVE: Self = Self(u32::MAX);

    #[inline]
    pub(crate) fn removes(self) -> bool {
        self == Self::REMOVE
    }
}

/// Encoded values; several rows may have the same.
///
/// What a slot holds depends on the target of its column: of an attribute, the whole `KeyValue` field with tag and
/// length; of a map, all of these one after the other; of a fixed field, what follows its tag, or nothing for its zero
/// value; of the value of a point, the tag too.
#[derive(Clone, Debug, Default)]
pub struct Values {
    bytes: Vec<u8>,
    slots: Vec<Stored>,
}

#[derive(Clone, Copy, Debug)]
struct Stored {
    end: usize,
    rest: Rest,
}

#[derive(Clone, Copy, Debug)]
enum Rest {
    Nothing,
    Text(u32),
    Failed,
}

/// What a slot holds: bytes, and the number of the text that follows them, if any.
pub(crate) enum Encoded<'a> {
    Bytes(&'a [u8]),
    WithText(&'a [u8], usize),
    Failed,
}

impl Values {
    /// Where the bytes of the next slot are written.
    #[inline]
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    fn add(&mut self, rest: Rest) -> Slot {
        self.slots.push(Stored { end: self.bytes.len(), rest });
        Slot(self.slots.len() as u32 - 1)
    }

    /// Make a slot of everything that was written since the last.
    #[inline]
    pub fn slot(&mut self) -> Slot {
        self.add(Rest::Nothing)
    }

    /// Make a slot that continues with a text that is not copied: the number of one of [`crate::Edits::texts`].
    #[inline]
    pub fn slot_with_text(&mut self, text: u32) -> Slot {
        self.add(Rest::Text(text))
    }

    /// Make a slot for a value that cannot be written; it is an error if a row that stays has it.
    pub fn failed(&mut self) -> Slot {
        let begin = self.slots.last().map_or(0, |last| last.end);
        self.bytes.truncate(begin);
        self.add(Rest::Failed)
    }

    #[inline]
    pub(crate) fn get(&self, slot: Slot) -> Encoded<'_> {
        let place = slot.0 as usize;
        let begin = place.checked_sub(1).and_then(|before| self.slots.get(before)).map_or(0, |stored| stored.end);
        let Some(stored) = self.slots.get(place) else { return Encoded::Bytes(&[]) };
        let bytes = self.bytes.get(begin..stored.end).unwrap_or_default();
        match stored.rest {
            Rest::Nothing => Encoded::Bytes(bytes),
            Rest::Text(text) => Encoded::WithText(bytes, text as usize),
            Rest::Failed => Encoded::Failed,
        }
    }
}

/// An `AnyValue`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum AnyValue<'a> {
    /// No value set.
    Empty,
    /// `string_value`, in UTF-8.
    Text(&'a [u8]),
    /// `bytes_value`.
    Bytes(&'a [u8]),
    /// `bool_value`.
    Bool(bool),
    /// `int_value`.
    Int(i64),
    /// `double_value`.
    Double(f64),
    /// Any, encoded already.
    Encoded(&'a [u8]),
}

const TEXT: u8 = 1 << 3 | 2;
const BYTES: u8 = 7 << 3 | 2;

impl AnyValue<'_> {
    /// How many bytes [`put`](Self::put) writes.
    #[inline]
    pub fn len(&self) -> usize {
        match *self {
            Self::Empty => 0,
            Self::Text(body) | Self::Bytes(body) => 1 + varint_len(body.len() as u64) + body.len(),
            Self::Bool(_) => 2,
            Self::Int(value) => 1 + varint_len(value as u64),
            Self::Double(_) => 9,
            Self::Encoded(body) => body.len(),
        }
    }

    /// Whether [`put`](Self::put) writes nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Write the body of the message.
    #[inline]
    pub fn put(&self, out: &mut Vec<u8>) {
        match *self {
            Self::Empty => {}
            Self::Text(body) => put_field(out, TEXT, body),
            Self::Bytes(body) => put_field(out, BYTES, body),
            Self::Bool(value) => out.extend_from_slice(&[2 << 3, value.into()]),
            Self::Int(value) => {
                out.push(3 << 3);
                put_varint(out, value as u64);
            }
            Self::Double(value) => {
                out.push(4 << 3 | 1);
                out.extend_from_slice(&value.to_le_bytes());
            }
            Self::Encoded(body) => out.extend_from_slice(body),
        }
    }
}

/// Write a length-delimited field.
#[inline]
pub fn put_field(out: &mut Vec<u8>, tag: u8, body: &[u8]) {
    out.push(tag);
    put_varint(out, body.len() as u64);
    out.extend_from_slice(body);
}

/// Write a `KeyValue` as a field with that tag.
#[inline]
pub fn put_attribute(out: &mut Vec<u8>, tag: u8, key: &[u8], value: &AnyValue<'_>) {
    put_attribute_head(out, tag, key, value.len());
    value.put(out);
}

/// Write all of a `KeyValue` that has a long text or bytes, save these themselves.
pub fn put_attribute_of_text(out: &mut Vec<u8>, tag: u8, key: &[u8], is_text: bool, len: usize) {
    put_attribute_head(out, tag, key, 1 + varint_len(len as u64) + len);
    put_text_head(out, is_text, len);
}

/// Write all of the slot of a body that is a long text or bytes, save these themselves.
pub fn put_body_of_text(out: &mut Vec<u8>, is_text: bool, len: usize) {
    put_varint(out, (1 + varint_len(len as u64) + len) as u64);
    put_text_head(out, is_text, len);
}

fn put_text_head(out: &mut Vec<u8>, is_text: bool, len: usize) {
    out.push(if is_text { TEXT } else { BYTES });
    put_varint(out, len as u64);
}

#[inline]
fn put_attribute_head(out: &mut Vec<u8>, tag: u8, key: &[u8], value: usize) {
    let body = 2 + varint_len(key.len() as u64) + key.len() + varint_len(value as u64) + value;
    out.push(tag);
    put_varint(out, body as u64);
    put_field(out, 1 << 3 | 2, key);
    out.push(2 << 3 | 2);
    put_varint(out, value as u64);
}

/// The value of a fixed field.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scalar<'a> {
    /// Text or bytes.
    Bytes(&'a [u8]),
    /// An `AnyValue`, which is there even if it is empty.
    Any(AnyValue<'a>),
    /// A number in base 128.
    Varint(u64),
    /// A number in four bytes.
    Fixed32(u32),
    /// A number in eight bytes.
    Fixed64(u64),
    /// A number in eight bytes that is there even if it is 0.
    Double(f64),
    /// The value of a point.
    PointInt(i64),
    /// The value of a point.
    PointDouble(f64),
}

impl Scalar<'_> {
    /// Write what belongs into the slot of a fixed field; nothing for the zero of a field that cannot be absent.
    pub fn put(&self, out: &mut Vec<u8>) {
        match *self {
            Self::Bytes([]) | Self::Varint(0) | Self::Fixed32(0) | Self::Fixed64(0) => {}
            Self::Bytes(body) => {
                put_varint(out, body.len() as u64);
                out.extend_from_slice(body);
            }
            Self::Any(value) => {
                put_varint(out, value.len() as u64);
                value.put(out);
            }
            Self::Varint(value) => put_varint(out, value),
            Self::Fixed32(value) => out.extend_from_slice(&value.to_le_bytes()),
            Self::Fixed64(value) => out.extend_from_slice(&value.to_le_bytes()),
            Self::Double(value) => out.extend_from_slice(&value.to_le_bytes()),
            Self::PointInt(value) => {
                out.push((AS_INT << 3 | 1) as u8);
                out.extend_from_slice(&value.to_le_bytes());
            }
            Self::PointDouble(value) => {
                out.push((AS_DOUBLE << 3 | 1) as u8);
                out.extend_from_slice(&value.to_le_bytes());
            }
        }
    }
}
