//! Walking messages of which it is known that they are regular: no errors, only an early end.

use crate::read_varint;

/// A field of a message: its tag as a number, and where its value lies (without the length).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Field number and wire type, as in the tag.
    pub key: u32,
    /// Offset of the tag.
    pub tag: usize,
    /// Offset of the value.
    pub start: usize,
    /// Offset behind the value.
    pub end: usize,
}

impl Part {
    /// The field number.
    #[inline]
    pub const fn number(&self) -> u32 {
        self.key >> 3
    }
}

/// The fields of a message that was validated; ends early at what is not regular.
#[derive(Clone, Copy, Debug)]
pub struct Parts<'a> {
    buf: &'a [u8],
    pos: usize,
}

impl<'a> Parts<'a> {
    /// Look at a message that reaches from `start` to the end of `buf`.
    #[inline]
    pub const fn new(buf: &'a [u8], start: usize) -> Self {
        Self { buf, pos: start }
    }

    /// Look at the message at `start..end` of `data`.
    #[inline]
    pub fn within(data: &'a [u8], start: usize, end: usize) -> Self {
        Self { buf: data.get(..end).unwrap_or_default(), pos: start }
    }
}

impl Iterator for Parts<'_> {
    type Item = Part;

    #[inline(always)]
    fn next(&mut self) -> Option<Part> {
        let tag = self.pos;
        let (key, pos) = small(self.buf, tag)?;
        let (start, end) = match key & 7 {
            2 => {
                let (length, start) = small(self.buf, pos)?;
                (start, start.checked_add(length)?)
            }
            0 => (pos, varint_end(self.buf, pos)?),
            1 => (pos, pos + 8),
            5 => (pos, pos + 4),
            _ => return None,
        };
        if end > self.buf.len() {
            return None;
        }
        self.pos = end;
        Some(Part { key: key as u32, tag, start, end })
    }
}

/// Read a number that is most often below 128.
#[inline(always)]
fn small(buf: &[u8], pos: usize) -> Option<(usize, usize)> {
    match *buf.get(pos)? {
        byte @ ..0x80 => Some((usize::from(byte), pos + 1)),
        first => match *buf.get(pos + 1)? {
            second @ ..0x80 => Some((usize::from(first) - 0x80 + (usize::from(second) << 7), pos + 2)),
            _ => larger(buf, pos),
        },
    }
}

#[inline(always)]
fn varint_end(buf: &[u8], pos: usize) -> Option<usize> {
    match *buf.get(pos)? {
        ..0x80 => Some(pos + 1),
        _ => Some(pos + 1 + buf.get(pos..)?.iter().position(|&byte| byte < 0x80)?),
    }
}

#[cold]
fn larger(buf: &[u8], pos: usize) -> Option<(usize, usize)> {
    let (value, next) = read_varint(buf, pos, buf.len()).ok()?;
    Some((usize::try_from(value).ok()?, next))
}

/// Return the number whose value lies at a part of wire type 0.
#[inline]
pub(crate) fn varint(buf: &[u8], part: Part) -> u64 {
    read_varint(buf, part.start, part.end).map_or(0, |(value, _)| value)
}

/// Return the eight bytes of a part of wire type 1.
#[inline]
pub(crate) fn eight(buf: &[u8], part: Part) -> [u8; 8] {
    buf.get(part.start..part.end).and_then(|bytes| bytes.try_into().ok()).unwrap_or_default()
}

/// Return the four bytes of a part of wire type 5.
#[inline]
pub(crate) fn four(buf: &[u8], part: Part) -> [u8; 4] {
    buf.get(part.start..part.end).and_then(|bytes| bytes.try_into().ok()).unwrap_or_default()
}

/// Return the bytes of a part of wire type 2.
#[inline]
pub(crate) fn body(buf: &[u8], part: Part) -> &[u8] {
    buf.get(part.start..part.end).unwrap_or_default()
}
