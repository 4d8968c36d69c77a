//! From the text straight to protobuf.

use otlp_wire::schema::{FieldType, KEY_VALUE, Kind, MessageType, request};
use otlp_wire::{Signal, put_varint, varint_len};

use crate::binary::{read_base64, read_hex};
use crate::scan::{Scanner, Text, unescape};
use crate::values::Scalar;

/// Messages within messages; protobuf itself reads no more.
const MAX_DEPTH: usize = 100;

/// Protobuf writes and reads no more.
const MAX_SIZE: usize = i32::MAX as usize;

/// Texts up to this length leave the lengths of small messages in one byte.
const SHORT: usize = 100;

/// Return a request of OTLP JSON as protobuf, or `None` where the text is wrong or unusual.
pub fn from_json(signal: Signal, data: &[u8]) -> Option<Vec<u8>> {
    if data.len() > MAX_SIZE {
        return None;
    }
    let mut open = [Open { start: 0, width: 0, expected: 1 }; MAX_DEPTH + 1];
    for outer in open.iter_mut().take(2) {
        outer.expected = varint_len((data.len() / 2) as u64);
    }
    let out = Vec::with_capacity(data.len() / 2 + 16);
    let mut reader = Reader { text: Scanner::new(data), out, open, depth: 0, allowance: 8 * data.len() + 4096 };
    reader.object(request(signal))?;
    reader.text.end()?;
    (reader.out.len() <= MAX_SIZE).then_some(reader.out)
}

/// A message within others whose end has not been reached.
#[derive(Clone, Copy, Debug)]
struct Open {
    /// Where its content begins.
    start: usize,
    /// How many bytes are reserved for its length, which is known only at its end.
    width: usize,
    /// How many the last message at this depth needed. Where the next one needs as many, its content need not move.
    expected: usize,
}

struct Reader<'a> {
    text: Scanner<'a>,
    out: Vec<u8>,
    /// The messages around the current place, from the outside in, as far as `depth`.
    open: [Open; MAX_DEPTH + 1],
    depth: usize,
    /// Bytes that may still move because a length takes more or fewer bytes than reserved. Only texts made for that
    /// need more.
    allowance: usize,
}

impl Reader<'_> {
    /// Read an object into a message; return whether anything was set in it.
    fn object(&mut self, message: &'static MessageType) -> Option<bool> {
        let mut more = !self.text.open(b'{')?;
        let mut set = false;
        let mut seen = 0u32;
        let mut is_chosen = false;
        let mut expected = 0;
        while more {
            self.text.next();
            match self.key(message, expected)? {
                None => self.text.skip(0)?,
                Some(place) => {
                    let field = message.fields.get(place)?;
                    expected = place + 1;
                    if seen & 1 << place != 0 {
                        return None; // twice, perhaps once in each spelling
                    }
                    seen |= 1 << place;
                    if self.text.next() == b'n' {
                        self.text.literal(b"null")?;
                    } else {
                        if field.oneof.is_some() && std::mem::replace(&mut is_chosen, true) {
                            return None;
                        }
                        set |= self.field(field)?;
                    }
                }
            }
            more = self.text.more(b'{')?;
        }
        Some(set)
    }

    /// Read a key and its colon and return its place in `fields`; most texts have them in one order.
    #[inline]
    fn key(&mut self, message: &'static MessageType, expected: usize) -> Option<Option<usize>> {
        if let Some(field) = message.fields.get(expected)
            && self.text.is_key(field.json.as_bytes())
        {
            return Some(Some(expected));
        }
        let key = self.text.string()?.plain()?;
        self.text.expect(b':')?;
        Some(message.fields.iter().position(|field| field.json.as_bytes() == key || field.name.as_bytes() == key))
    }

    /// Read the value of a field; return whether it sets anything.
    fn field(&mut self, field: &'static FieldType) -> Option<bool> {
        match field.kind {
            Kind::Message(message) if field.repeated => {
                let mut more = !self.text.open(b'[')?;
                let set = more;
                let is_attribute = std::ptr::eq(message, &KEY_VALUE);
                while more {
                    if !(is_attribute && self.attribute(field)?) {
                        self.message(field, message)?;
                    }
                    more = self.text.more(b'[')?;
                }
                Some(set)
            }
            Kind::Message(message) => {
                let before = self.out.len();
                // An empty object says something only about which member of a oneof is set.
                let set = self.message(field, message)? || field.oneof.is_some();
                if !set {
                    self.out.truncate(before);
                }
                Some(set)
            }
            _ if field.repeated => self.list(field),
            _ => self.scalar(field, !field.presence).map(|()| true),
        }
    }

    /// Read an object as a message within another.
    fn message(&mut self, field: &'static FieldType, message: &'static MessageType) -> Option<bool> {
        self.tag(field, 2);
        let level = self.depth;
        let expected = self.open.get(level).filter(|_| level + 1 < MAX_DEPTH)?.expected;
        let start = self.reserve(expected);
        *self.open.get_mut(level)? = Open { start, width: expected, expected };
        self.depth = level + 1;
        let set = self.object(message)?;
        self.depth = level;
        let Open { start, width, .. } = *self.open.get(level)?;
        let needed = self.close(start, width)?;
        if width == expected {
            self.open.get_mut(level)?.expected = needed;
        }
        Some(set)
    }

    /// Read an array of texts, or of numbers into one packed field.
    fn list(&mut self, field: &'static FieldType) -> Option<bool> {
        let mut more = !self.text.open(b'[')?;
        let set = more;
        if let Kind::String = field.kind {
            while more {
                self.text.next();
                self.tag(field, 2);
                self.string()?;
                more = self.text.more(b'[')?;
            }
        } else if set {
            self.tag(field, 2);
            let start = self.reserve(1);
            while more {
                self.text.next();
                self.number(field.kind)?;
                more = self.text.more(b'[')?;
            }
            self.close(start, 1)?;
        }
        Some(set)
    }

    /// Read a single value. Zero is left out where that means the same.
    fn scalar(&mut self, field: &'static FieldType, omits_zero: bool) -> Option<()> {
        let before = self.out.len();
        self.tag(field, field.kind.wire() as u32);
        let start = self.out.len();
        match field.kind {
            Kind::String => self.string()?,
            Kind::Bytes if field.id > 0 => self.id(usize::from(field.id))?,
            Kind::Bytes => self.bytes()?,
            kind => self.number(kind)?,
        }
        // A text so long that what is in front of it has moved, is not empty.
        if omits_zero && self.out.get(start..)?.iter().all(|&byte| byte == 0) {
            self.out.truncate(before);
        }
        Some(())
    }

    fn tag(&mut self, field: &FieldType, wire: u32) {
        put_varint(&mut self.out, u64::from(field.number << 3 | wire));
    }

    /// Leave room for a length of so many bytes; return where its content begins.
    fn reserve(&mut self, width: usize) -> usize {
        for _ in 0..width {
            self.out.push(0);
        }
        self.out.len()
    }

    /// Write the length of what was written since `reserve` in front of it; return how many bytes it takes.
    fn close(&mut self, start: usize, reserved: usize) -> Option<usize> {
        let end = self.out.len();
        let length = end.checked_sub(start)?;
        let width = varint_len(length as u64);
        if width != reserved {
            self.allowance = self.allowance.checked_sub(length)?;
            let place = start - reserved + width;
            self.out.resize(end.max(place + length), 0);
            self.out.copy_within(start..end, place);
            self.out.truncate(place + length);
        }
        if width == 1 {
            *self.out.get_mut(start - reserved)? = length as u8;
            return Some(1);
        }
        let mut rest = length;
        for byte in self.out.iter_mut().skip(start - reserved).take(width) {
            *byte = rest as u8 | 0x80;
            rest >>= 7;
        }
        if let Some(last) = self.out.get_mut(start - reserved + width - 1) {
            *last &= 0x7F;
        }
        Some(width)
    }

    /// Make the lengths of all open messages long enough for so much more content, before that need move with them.
    fn widen(&mut self, more: usize) -> Option<()> {
        for level in (0..self.depth).rev() {
            let Open { start, width, .. } = *self.open.get(level)?;
            let end = self.out.len();
            let missing = varint_len((end - start + more) as u64).saturating_sub(width);
            if missing > 0 {
                self.allowance = self.allowance.checked_sub(end - start)?;
                self.out.resize(end + missing, 0);
                self.out.copy_within(start..end, start + missing);
                for inner in self.open.iter_mut().take(self.depth).skip(level) {
                    inner.start += missing;
                }
                self.open.get_mut(level)?.width += missing;
            }
        }
        Some(())
    }

    fn string(&mut self) -> Option<()> {
        let text = self.text.string()?;
        if text.raw.len() > SHORT {
            self.widen(text.raw.len() + 8)?;
        }
        self.text_content(text)
    }

    /// Write the length and the content of a text.
    fn text_content(&mut self, text: Text<'_>) -> Option<()> {
        if text.escaped {
            let width = varint_len(text.raw.len() as u64);
            let start = self.reserve(width);
            unescape(text.raw, &mut self.out)?;
            self.close(start, width)?;
        } else {
            put_varint(&mut self.out, text.raw.len() as u64);
            self.out.extend_from_slice(text.raw);
        }
        Some(())
    }

    /// Read an attribute if it has the form that most have: a key without escapes, one scalar value, no white space.
    /// Otherwise return `Some(false)`, and nothing has been read.
    fn attribute(&mut self, field: &FieldType) -> Option<bool> {
        if self.depth + 2 >= MAX_DEPTH {
            return Some(false);
        }
        let before = self.text.clone();
        let Some((key, value)) = self.text.attribute() else {
            self.text = before;
            return Some(false);
        };
        let key_length = if key.is_empty() { 0 } else { 1 + varint_len(key.len() as u64) + key.len() };
        let length = match value {
            Scalar::Text(text) => {
                if text.raw.len() + key.len() > SHORT {
                    self.widen(text.raw.len() + key.len() + 32)?;
                }
                1 + varint_len(text.raw.len() as u64) + text.raw.len() // or less where it holds escapes
            }
            Scalar::Integer(value) => 1 + varint_len(value as u64),
            Scalar::Double(_) => 9,
            Scalar::Bool(_) => 2,
        };
        self.tag(field, 2);
        let width = varint_len((key_length + 1 + varint_len(length as u64) + length) as u64);
        let start = self.reserve(width);
        if !key.is_empty() {
            self.out.push(0x0A);
            put_varint(&mut self.out, key.len() as u64);
            self.out.extend_from_slice(key);
        }
        self.out.push(0x12);
        let value_width = varint_len(length as u64);
        let value_start = self.reserve(value_width);
        match value {
            Scalar::Text(text) => {
                self.out.push(0x0A);
                self.text_content(text)?;
            }
            Scalar::Bool(value) => self.out.extend_from_slice(&[0x10, u8::from(value)]),
            Scalar::Integer(value) => {
                self.out.push(0x18);
                put_varint(&mut self.out, value as u64);
            }
            Scalar::Double(value) => {
                self.out.push(0x21);
                self.fixed(&value.to_le_bytes());
            }
        }
        self.close(value_start, value_width)?;
        self.close(start, width)?;
        Some(true)
    }

    fn id(&mut self, size: usize) -> Option<()> {
        let digits = self.text.string()?.plain()?;
        if !digits.is_empty() && digits.len() != 2 * size {
            return None;
        }
        put_varint(&mut self.out, digits.len() as u64 / 2);
        read_hex(digits, &mut self.out)
    }

    fn bytes(&mut self) -> Option<()> {
        let text = self.text.string()?.plain()?;
        let width = varint_len(text.len() as u64 * 3 / 4);
        let start = self.reserve(width);
        read_base64(text, &mut self.out)?;
        self.close(start, width).map(drop)
    }

    /// Read a value that is neither text nor bytes, without a tag.
    fn number(&mut self, kind: Kind) -> Option<()> {
        let text = &mut self.text;
        let varint = match kind {
            Kind::Fixed64 => return text.unsigned().map(|value| self.fixed(&value.to_le_bytes())),
            Kind::Double => return text.double().map(|value| self.fixed(&value.to_le_bytes())),
            Kind::Sfixed64 => return text.signed().map(|value| self.fixed(&value.to_le_bytes())),
            Kind::Fixed32 => {
                let value = u32::try_from(text.unsigned()?).ok()?;
                self.fixed(&value.to_le_bytes());
                return Some(());
            }
            Kind::Int64 => text.signed()? as u64,
            Kind::Uint64 => text.unsigned()?,
            Kind::Int32 => i64::from(i32::try_from(text.signed()?).ok()?) as u64,
            Kind::Uint32 => u64::from(u32::try_from(text.unsigned()?).ok()?),
            Kind::Sint32 => {
                let value = i32::try_from(text.signed()?).ok()?;
                u64::from(((value << 1) ^ (value >> 31)) as u32)
            }
            Kind::Bool => u64::from(text.boolean()?),
            Kind::Enum(names) => i64::from(text.member(names.values)?) as u64,
            Kind::String | Kind::Bytes | Kind::Message(_) => return None,
        };
        put_varint(&mut self.out, varint);
        Some(())
    }

    fn fixed(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }
}
