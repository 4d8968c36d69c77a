//! Values where they lie: nothing is copied out of a request before somebody wants it.

use crate::parts::{Parts, body, eight, varint};

/// One value of a column, or of a list or map.
#[derive(Clone, Copy, Debug)]
pub enum Cell<'a> {
    /// Nothing.
    Absent,
    /// Text; valid UTF-8 if the request was validated.
    Text(&'a [u8]),
    /// Bytes.
    Bytes(&'a [u8]),
    /// A truth value.
    Bool(bool),
    /// A signed number.
    Int(i64),
    /// An unsigned number.
    Uint(u64),
    /// A floating point number.
    Double(f64),
    /// The first minus the second.
    Difference(u64, u64),
    /// A list: the body of an `ArrayValue`.
    List(List<'a>),
    /// A map: `KeyValue` messages in one field of a message. Of equal keys the first counts.
    Map(Pairs<'a>),
}

impl<'a> Cell<'a> {
    /// Return the value of an `AnyValue` by its body.
    #[inline]
    pub fn of_any(any: &'a [u8]) -> Self {
        for part in Parts::new(any, 0) {
            return match part.key {
                0x0A => Self::Text(body(any, part)),
                0x10 => Self::Bool(varint(any, part) != 0),
                0x18 => Self::Int(varint(any, part) as i64),
                0x21 => Self::Double(f64::from_le_bytes(eight(any, part))),
                0x2A => Self::List(List { body: body(any, part) }),
                0x32 => Self::Map(Pairs::new(body(any, part), 1)),
                0x3A => Self::Bytes(body(any, part)),
                0x40 => Self::Absent, // an index into the dictionary of a profile
                _ => continue,        // a field of a later version
            };
        }
        Self::Absent
    }
}

/// The elements of an `ArrayValue`.
#[derive(Clone, Copy, Debug)]
pub struct List<'a> {
    body: &'a [u8],
}

impl<'a> List<'a> {
    /// Go through the elements.
    pub fn iter(self) -> impl Iterator<Item = Cell<'a>> {
        let body = self.body;
        Parts::new(body, 0)
            .filter(|part| part.key == 0x0A)
            .map(move |part| Cell::of_any(crate::parts::body(body, part)))
    }
}

/// The `KeyValue` messages in a field of a message.
#[derive(Clone, Copy, Debug)]
pub struct Pairs<'a> {
    body: &'a [u8],
    key: u32,
}

impl<'a> Pairs<'a> {
    /// Look at the messages in the field with that number.
    #[inline]
    pub const fn new(body: &'a [u8], number: u32) -> Self {
        Self { body, key: number << 3 | 2 }
    }

    /// Go through keys and bodies of values, in wire order.
    #[inline]
    pub fn iter(self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        self.bodies().map(key_value)
    }

    #[inline]
    pub(crate) fn bodies(self) -> impl Iterator<Item = &'a [u8]> {
        let Self { body, key } = self;
        Parts::new(body, 0).filter(move |part| part.key == key).map(move |part| crate::parts::body(body, part))
    }
}

/// Return the key of a `KeyValue` and the body of its value; empty where absent.
#[inline]
pub fn key_value(pair: &[u8]) -> (&[u8], &[u8]) {
    let key = key_of(pair);
    match pair.get(key.len() + 2..) {
        Some([0x12, length @ ..0x80, rest @ ..]) if usize::from(*length) == rest.len() => (key, rest),
        _ => any_key_value(pair),
    }
}

/// Return the key of a `KeyValue`; empty where absent.
#[inline(always)]
pub fn key_of(pair: &[u8]) -> &[u8] {
    if let Some((&[0x0A, length @ ..0x80], rest)) = pair.split_first_chunk()
        && let Some(key) = rest.get(..usize::from(length))
    {
        return key;
    }
    any_key_value(pair).0
}

/// Return the bit of a length in a set of lengths: keys of other lengths than those that are looked for need no comparison.
/// Lengths that are 64 apart share one.
#[inline(always)]
pub const fn length_bit(length: usize) -> u64 {
    1 << (length & 63)
}

#[cold]
fn any_key_value(pair: &[u8]) -> (&[u8], &[u8]) {
    let mut found: (&[u8], &[u8]) = (&[], &[]);
    for part in Parts::new(pair, 0) {
        match part.key {
            0x0A => found.0 = body(pair, part),
            0x12 => found.1 = body(pair, part),
            _ => {}
        }
    }
    found
}
