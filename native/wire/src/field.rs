//! One message of the protobuf wire format, field by field.
//! See <https://protobuf.dev/programming-guides/encoding/>.

use crate::DecodeError;

/// How the value of a field is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    /// Base-128 number.
    Varint,
    /// Eight bytes.
    Fixed64,
    /// Length and that many bytes.
    Length,
    /// Start of a group; long deprecated, legal where unknown.
    Group,
    /// End of a group.
    EndGroup,
    /// Four bytes.
    Fixed32,
}

/// A field where it lies: `tag..end` is all of it, `start..end` its value (without the length).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// Field number, 1 to 2^29 - 1.
    pub number: u32,
    /// Encoding.
    pub wire: Wire,
    /// Offset of the tag.
    pub tag: usize,
    /// Offset of the value.
    pub start: usize,
    /// Offset behind the value.
    pub end: usize,
}

/// The fields of the message that lies at `pos..end` of `data`, in wire order; ends after the first error.
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    data: &'a [u8],
    pos: usize,
    end: usize,
}

impl<'a> Fields<'a> {
    /// Look at a message; `end` is cut to the length of `data`.
    #[inline]
    pub fn new(data: &'a [u8], start: usize, end: usize) -> Self {
        Self { data, pos: start, end: end.min(data.len()) }
    }

    #[inline]
    fn read(&mut self) -> Result<Field, DecodeError> {
        let tag = self.pos;
        let (key, mut start) = read_varint(self.data, tag, self.end)?;
        let number = key >> 3;
        if number == 0 || number >= 1 << 29 {
            return Err(DecodeError::new("illegal field number", tag));
        }
        let (wire, end) = match key & 7 {
            0 => (Wire::Varint, read_varint(self.data, start, self.end)?.1),
            1 => (Wire::Fixed64, start + 8),
            2 => {
                let (length, body) = read_varint(self.data, start, self.end)?;
                start = body;
                (Wire::Length, usize::try_from(length).ok().and_then(|n| body.checked_add(n)).unwrap_or(usize::MAX))
            }
            3 => (Wire::Group, start),
            4 => (Wire::EndGroup, start),
            5 => (Wire::Fixed32, start + 4),
            other => return Err(DecodeError::new(format!("illegal wire type {other}"), tag)),
        };
        if end > self.end {
            return Err(DecodeError::new("a field is longer than what contains it", tag));
        }
        self.pos = end;
        Ok(Field { number: number as u32, wire, tag, start, end })
    }
}

impl Iterator for Fields<'_> {
    type Item = Result<Field, DecodeError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.pos >= self.end {
            return None;
        }
        let found = self.read();
        if found.is_err() {
            self.pos = self.end;
        }
        Some(found)
    }
}

/// Return a base-128 number and the offset behind it.
#[inline]
pub fn read_varint(data: &[u8], pos: usize, end: usize) -> Result<(u64, usize), DecodeError> {
    let window = data.get(pos..end.min(data.len())).unwrap_or_default();
    if let Some(&first) = window.first()
        && first < 0x80
    {
        return Ok((u64::from(first), pos + 1));
    }
    let mut value = 0u64;
    for (i, &byte) in window.iter().take(10).enumerate() {
        value |= u64::from(byte & 0x7F) << (7 * i);
        if byte < 0x80 {
            return Ok((value, pos + i + 1));
        }
    }
    if window.len() < 10 {
        return Err(DecodeError::new("ends in the middle of a number", pos));
    }
    Err(DecodeError::new("a number has more than ten bytes", pos))
}

/// Append a number in base 128.
#[inline]
pub fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value > 0x7F {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Return how many bytes [`put_varint`] writes.
#[inline]
pub fn varint_len(value: u64) -> usize {
    (70 - (value | 1).leading_zeros() as usize) / 7
}
