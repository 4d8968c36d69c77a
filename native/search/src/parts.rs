//! The submessages and strings of a valid message, faster than field by field.

use otlp_wire::{Fields, Wire};

/// A field with a length.
#[derive(Clone, Copy)]
pub struct Part {
    /// Field number.
    pub number: u32,
    /// Offset of the tag.
    pub tag: usize,
    /// Offset of the body.
    pub start: usize,
    /// Offset behind the body.
    pub end: usize,
}

/// The fields with a length of a message that was validated; ends where it is not valid after all.
pub struct Parts<'a> {
    /// Everything before the end of the message.
    data: &'a [u8],
    pos: usize,
}

impl<'a> Parts<'a> {
    #[inline]
    pub fn new(data: &'a [u8], start: usize, end: usize) -> Self {
        Self { data: data.get(..end).unwrap_or(data), pos: start }
    }

    /// Read what has more bytes in tag or length than usual.
    #[cold]
    fn unusual(&mut self, tag: usize) -> Option<Option<Part>> {
        let field = Fields::new(self.data, tag, self.data.len()).next()?.ok()?;
        self.pos = field.end;
        Some((field.wire == Wire::Length).then_some(Part {
            number: field.number,
            tag,
            start: field.start,
            end: field.end,
        }))
    }
}

impl Iterator for Parts<'_> {
    type Item = Part;

    #[inline]
    fn next(&mut self) -> Option<Part> {
        loop {
            let tag = self.pos;
            let &byte = self.data.get(tag)?;
            match byte & 0x87 {
                0 => {
                    let behind = self.data.get(tag + 1..)?.iter().position(|&byte| byte < 0x80)?;
                    self.pos = tag + behind + 2;
                }
                1 => self.pos = tag + 9,
                5 => self.pos = tag + 5,
                2 => {
                    let number = u32::from(byte >> 3);
                    let (length, start) = match *self.data.get(tag + 1..)? {
                        [low @ 0..0x80, ..] => (usize::from(low), tag + 2),
                        [low, high @ 0..0x80, ..] => (usize::from(low & 0x7F) | usize::from(high) << 7, tag + 3),
                        _ => match self.unusual(tag)? {
                            Some(part) => return Some(part),
                            None => continue,
                        },
                    };
                    let end = start + length;
                    if end > self.data.len() {
                        return None;
                    }
                    self.pos = end;
                    return Some(Part { number, tag, start, end });
                }
                _ => {
                    if let Some(part) = self.unusual(tag)? {
                        return Some(part);
                    }
                }
            }
        }
    }
}
