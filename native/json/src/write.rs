//! From protobuf straight to the text.

use otlp_wire::schema::{ANY_VALUE, FieldType, Kind, MessageType, request};
use otlp_wire::{Signal, Wire, varint_len};

use crate::binary::{write_base64, write_hex};
use crate::number::{write_double, write_i64, write_u64};
use crate::scan::plain;

/// Messages within messages; protobuf reads 100.
const MAX_DEPTH: u32 = 90;

/// One more than the largest field number.
const NUMBERS: usize = 17;

/// Fields in containers, known and unknown; the reference refuses them where there are too many.
const MAX_FIELDS: u32 = 1 << 20;

/// Return a request as OTLP JSON, or `None` where it is wrong or not as known encoders write it.
pub fn to_json(signal: Signal, data: &[u8]) -> Option<Vec<u8>> {
    let end = u32::try_from(data.len()).ok().filter(|&size| size <= i32::MAX as u32)?;
    let containers = if signal == Signal::Metrics { 5 } else { 3 };
    let mut writer = Writer { data, out: Vec::with_capacity(2 * data.len() + 16), containers, fields: 0 };
    writer.message(request(signal), 0, end, 1)?;
    Some(writer.out)
}

/// Where the values of a field lie: `start..end` is the value where there is one, and everything from the tag of the
/// first to the end of the last where there may be several.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    start: u32,
    end: u32,
    count: u32,
}

/// One field; `start..end` is its value.
#[derive(Clone, Copy, Debug)]
struct Found {
    number: u32,
    wire: Wire,
    start: u32,
    end: u32,
}

struct Writer<'a> {
    data: &'a [u8],
    out: Vec<u8>,
    containers: u32,
    fields: u32,
}

impl Writer<'_> {
    /// Write the message at `start..end` as an object.
    fn message(&mut self, message: &'static MessageType, start: u32, end: u32, depth: u32) -> Option<()> {
        if depth > MAX_DEPTH {
            return None;
        }
        if std::ptr::eq(message, &ANY_VALUE) && self.value_of_one(start, end, depth)? {
            return Some(());
        }
        let places = self.places(message, start, end, depth)?;
        self.out.push(b'{');
        let empty = self.out.len();
        for field in message.fields {
            let place = *places.get(field.number as usize)?;
            if place.count == 0 && (field.oneof.is_some() || !matches!(field.kind, Kind::Message(_)) || field.repeated)
            {
                continue;
            }
            let before = self.out.len();
            if before != empty {
                self.out.push(b',');
            }
            self.key(field);
            if !self.field(field, place, depth)? {
                self.out.truncate(before);
            }
        }
        self.out.push(b'}');
        Some(())
    }

    /// Write an `AnyValue`, by far the most frequent message, if it has one field as nearly all have; return whether it
    /// has.
    fn value_of_one(&mut self, start: u32, end: u32, depth: u32) -> Option<bool> {
        if start >= end {
            return Some(false);
        }
        let found = self.read(start, end)?;
        let Some(field) = ANY_VALUE.field(found.number).filter(|_| found.end == end) else {
            return Some(false);
        };
        if found.wire != field.kind.wire() {
            return None;
        }
        self.out.push(b'{');
        self.key(field);
        self.field(field, Place { start: found.start, end, count: 1 }, depth)?;
        self.out.push(b'}');
        Some(true)
    }

    #[inline]
    fn key(&mut self, field: &FieldType) {
        self.out.push(b'"');
        self.out.extend_from_slice(field.json.as_bytes());
        self.out.extend_from_slice(b"\":");
    }

    /// Find the fields of a message, which come in any order.
    fn places(&mut self, message: &MessageType, start: u32, end: u32, depth: u32) -> Option<[Place; NUMBERS]> {
        let mut places = [Place::default(); NUMBERS];
        let mut is_chosen = false;
        let mut pos = start;
        while pos < end {
            let found = self.read(pos, end)?;
            if depth <= self.containers {
                self.fields += 1;
                if self.fields > MAX_FIELDS {
                    return None;
                }
            }
            if let Some(field) = message.field(found.number) {
                let place = places.get_mut(found.number as usize)?;
                let (is_list, wire) = form(field);
                if found.wire != wire || (place.count > 0 && !is_list) {
                    return None;
                }
                if field.oneof.is_some() && std::mem::replace(&mut is_chosen, true) {
                    return None;
                }
                let start = match (is_list, place.count) {
                    (true, 0) => pos,
                    (true, _) => place.start,
                    (false, _) => found.start,
                };
                *place = Place { start, end: found.end, count: place.count + 1 };
            }
            pos = found.end;
        }
        Some(places)
    }

    /// Read a field; one that is encoded in an odd way is no field.
    #[inline]
    fn read(&self, pos: u32, end: u32) -> Option<Found> {
        let (key, start) = self.varint(pos, end)?;
        let number = u32::try_from(key >> 3).ok().filter(|&number| 0 < number && number < 1 << 29)?;
        let odd = |value, from: u32, to: u32| to - from > 1 && varint_len(value) != (to - from) as usize;
        if odd(key, pos, start) {
            return None;
        }
        let (wire, start, stop) = match key & 7 {
            0 => (Wire::Varint, start, self.varint(start, end)?.1),
            1 => (Wire::Fixed64, start, start + 8),
            2 => {
                let (length, body) = self.varint(start, end)?;
                if odd(length, start, body) {
                    return None;
                }
                (Wire::Length, body, body.checked_add(u32::try_from(length).ok()?)?)
            }
            5 => (Wire::Fixed32, start, start + 4),
            _ => return None,
        };
        (stop <= end).then_some(Found { number, wire, start, end: stop })
    }

    #[inline]
    fn varint(&self, pos: u32, end: u32) -> Option<(u64, u32)> {
        let window = self.data.get(pos as usize..end as usize)?;
        let &first = window.first()?;
        if first < 0x80 {
            return Some((u64::from(first), pos + 1));
        }
        let mut value = 0;
        for (&byte, i) in window.iter().zip(0..10) {
            value |= u64::from(byte & 0x7F) << (7 * i);
            if byte < 0x80 {
                return (i < 9 || byte == 1).then_some((value, pos + i + 1));
            }
        }
        None
    }

    fn value(&self, place: Place) -> Option<&[u8]> {
        self.data.get(place.start as usize..place.end as usize)
    }

    /// Write the value of a field; return whether it is to be written at all. A message outside of a oneof always is.
    fn field(&mut self, field: &'static FieldType, place: Place, depth: u32) -> Option<bool> {
        match field.kind {
            Kind::Message(message) if field.repeated => {
                self.list(field, place, |writer, found| writer.message(message, found.start, found.end, depth + 1))
            }
            Kind::Message(message) => {
                self.message(message, place.start, place.end, depth + 1)?;
                Some(true)
            }
            Kind::String if field.repeated => {
                self.list(field, place, |writer, found| writer.string(found.start, found.end))
            }
            kind if field.repeated => self.packed(kind, place),
            Kind::String => {
                self.string(place.start, place.end)?;
                Some(field.presence || place.start < place.end)
            }
            Kind::Bytes => self.bytes(field, place),
            kind => self.number(kind, place).map(|is_zero| field.presence || !is_zero),
        }
    }

    /// Write an array of the values of a field whose tags lie at `place`.
    fn list(
        &mut self,
        field: &FieldType,
        place: Place,
        mut write: impl FnMut(&mut Self, Found) -> Option<()>,
    ) -> Option<bool> {
        self.out.push(b'[');
        let empty = self.out.len();
        let mut pos = place.start;
        while pos < place.end {
            let found = self.read(pos, place.end)?;
            pos = found.end;
            if found.number == field.number {
                if self.out.len() != empty {
                    self.out.push(b',');
                }
                write(self, found)?;
            }
        }
        self.out.push(b']');
        Some(place.count > 0)
    }

    /// Write an array of numbers that lie one after the other.
    fn packed(&mut self, kind: Kind, place: Place) -> Option<bool> {
        self.out.push(b'[');
        let mut pos = place.start;
        while pos < place.end {
            if pos != place.start {
                self.out.push(b',');
            }
            let end = match kind.wire() {
                Wire::Fixed64 => pos + 8,
                Wire::Fixed32 => pos + 4,
                _ => self.varint(pos, place.end)?.1,
            };
            if end > place.end {
                return None;
            }
            self.number(kind, Place { start: pos, end, count: 1 })?;
            pos = end;
        }
        self.out.push(b']');
        Some(place.start < place.end)
    }

    /// Write a number; return whether it is zero.
    fn number(&mut self, kind: Kind, place: Place) -> Option<bool> {
        let bits = match kind.wire() {
            Wire::Varint => self.varint(place.start, place.end)?.0,
            Wire::Fixed64 => u64::from_le_bytes(self.value(place)?.try_into().ok()?),
            Wire::Fixed32 => u64::from(u32::from_le_bytes(self.value(place)?.try_into().ok()?)),
            _ => return None,
        };
        let out = &mut self.out;
        match kind {
            Kind::Double => {
                write_double(f64::from_bits(bits), out);
                return Some(f64::from_bits(bits) == 0.0);
            }
            Kind::Int64 | Kind::Sfixed64 => {
                out.push(b'"');
                write_i64(bits as i64, out);
                out.push(b'"');
            }
            Kind::Uint64 | Kind::Fixed64 => {
                out.push(b'"');
                write_u64(bits, out);
                out.push(b'"');
            }
            Kind::Int32 | Kind::Enum(_) => write_i64(i64::from(i32::try_from(bits as i64).ok()?), out),
            Kind::Uint32 | Kind::Fixed32 => write_u64(u64::from(u32::try_from(bits).ok()?), out),
            Kind::Sint32 => {
                let bits = u32::try_from(bits).ok()?;
                write_i64(i64::from((bits >> 1) as i32 ^ -((bits & 1) as i32)), out);
            }
            Kind::Bool if bits <= 1 => out.extend_from_slice(if bits == 1 { b"true" } else { b"false" }),
            Kind::Bool | Kind::String | Kind::Bytes | Kind::Message(_) => return None,
        }
        Some(bits == 0)
    }

    fn bytes(&mut self, field: &FieldType, place: Place) -> Option<bool> {
        let data = self.data;
        let value = data.get(place.start as usize..place.end as usize)?;
        self.out.push(b'"');
        if field.id > 0 {
            write_hex(value, &mut self.out);
        } else {
            write_base64(value, &mut self.out);
        }
        self.out.push(b'"');
        Some(if field.id > 0 { value.iter().any(|&byte| byte != 0) } else { field.presence || !value.is_empty() })
    }

    fn string(&mut self, start: u32, end: u32) -> Option<()> {
        let data = self.data;
        let text = data.get(start as usize..end as usize)?;
        self.out.push(b'"');
        let mut rest = text;
        let mut high = false;
        loop {
            let (length, is_high) = plain(rest);
            let (before, special) = rest.split_at_checked(length)?;
            self.out.extend_from_slice(before);
            high |= is_high;
            let Some((&byte, after)) = special.split_first() else {
                break;
            };
            match ESCAPES[usize::from(byte)] {
                b'u' => {
                    self.out.extend_from_slice(b"\\u00");
                    write_hex(&[byte], &mut self.out);
                }
                letter => self.out.extend_from_slice(&[b'\\', letter]),
            }
            rest = after;
        }
        self.out.push(b'"');
        (!high || std::str::from_utf8(text).is_ok()).then_some(())
    }
}

/// Do several of a field stand one after the other, each with its tag? And how is one encoded?
fn form(field: &FieldType) -> (bool, Wire) {
    match (field.repeated, field.kind.wire()) {
        (true, wire) => (wire == Wire::Length, Wire::Length),
        (false, wire) => (false, wire),
    }
}

/// What follows the backslash for each byte that [`plain`] stops at.
const ESCAPES: [u8; 256] = escapes();

const fn escapes() -> [u8; 256] {
    let mut escapes = [0; 256];
    let mut i = 0;
    while i < 0x20 {
        escapes[i] = b'u';
        i += 1;
    }
    escapes[0x08] = b'b';
    escapes[b'\t' as usize] = b't';
    escapes[b'\n' as usize] = b'n';
    escapes[0x0C] = b'f';
    escapes[b'\r' as usize] = b'r';
    escapes[b'"' as usize] = b'"';
    escapes[b'\\' as usize] = b'\\';
    escapes
}
