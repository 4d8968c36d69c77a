//! Is this a request, and where do its messages lie? One pass over all bytes.

use std::ptr;

use crate::limits::{MAX_MESSAGES, MAX_NESTING, max_skipped, too_many_fields, too_many_messages};
use crate::parts::Parts;
use crate::path::path;
use crate::schema::{self, FieldType, KEY_VALUE, MessageType, Op};
use crate::text::{bad_text, is_ascii, is_text};
use crate::{DecodeError, Decoded, Index, Node, Signal, read_varint, varint_len};

/// Protobuf's own limit of a message is 2 GiB.
const MAX_SIZE: usize = i32::MAX as usize;

/// The depth inside of a metric's data.
const IN_DATA: usize = 4;

/// Why decoding ended early: the request is irregular, or malformed. One word, for it is part of every result.
struct Stop(Option<Box<Failure>>);

struct Failure {
    error: DecodeError,
    /// Whether it may be in a place that does not count: where another member of its oneof follows, a metric's data
    /// vanish.
    disputed: bool,
}

const IRREGULAR: Stop = Stop(None);

impl Stop {
    #[cold]
    fn new(error: DecodeError, disputed: bool) -> Self {
        Self(Some(Box::new(Failure { error, disputed })))
    }
}

impl From<DecodeError> for Stop {
    #[cold]
    fn from(error: DecodeError) -> Self {
        Self::new(error, false)
    }
}

type Step<T> = Result<T, Stop>;

/// Validate a request completely and find its messages, in one pass.
///
/// # Errors
/// When the bytes are no OTLP request, with the offset.
pub fn decode(signal: Signal, data: &[u8]) -> Result<Decoded, DecodeError> {
    if data.len() > MAX_SIZE {
        return Ok(Decoded::Irregular);
    }
    let path = path(signal);
    let mut decoder = Decoder { path, depths: vec![Vec::new(); path.len()], skipped: [0; 5] };
    match decoder.container(data, schema::request(signal), 0, 0, 0) {
        Ok(()) => Ok(Decoded::Regular(Index { signal, depths: decoder.depths })),
        Err(Stop(Some(failure))) if !(failure.disputed && signal == Signal::Metrics) => Err(failure.error),
        Err(_) => Ok(Decoded::Irregular),
    }
}

struct Decoder {
    path: &'static [u32],
    depths: Vec<Vec<Node>>,
    skipped: [usize; 5],
}

impl Decoder {
    /// Read a message on the way down to the items: from `start` to the end of `buf`.
    fn container(
        &mut self,
        buf: &[u8],
        kind: &'static MessageType,
        start: usize,
        depth: usize,
        parent: u32,
    ) -> Step<()> {
        let children = self.path.get(depth).copied().unwrap_or_default();
        let last = depth + 1 == self.path.len();
        let mut seen = 0;
        let mut pos = start;
        while pos < buf.len() {
            let tag = pos;
            let (key, value) = read_tag(buf, pos)?;
            if key & 7 != 2 || key > 0xFF || children >> (key >> 3) & 1 == 0 {
                self.count_skipped(depth, tag)?;
                pos = read_field(buf, kind, key, tag, value, MAX_NESTING - depth - 1, &mut seen)?;
                continue;
            }
            once(kind, key, &mut seen)?;
            let Some(child) = kind.child(key >> 3) else { return Err(IRREGULAR) };
            let (body, end) = read_length(buf, value, tag)?;
            let row = self.add(depth, Node { tag: tag as u32, start: body as u32, end: end as u32, parent })?;
            let inner = prefix(buf, end);
            if last {
                read_message(inner, child, body, MAX_NESTING - depth - 2)?;
            } else {
                self.container(inner, child, body, depth + 1, row)?;
            }
            pos = end;
        }
        Ok(())
    }

    /// Keep a message and return its number.
    #[inline]
    fn add(&mut self, depth: usize, node: Node) -> Step<u32> {
        let Some(nodes) = self.depths.get_mut(depth) else { return Err(IRREGULAR) };
        let row = nodes.len();
        if row >= MAX_MESSAGES {
            return Err(Stop::new(too_many_messages(node.tag as usize), depth == IN_DATA));
        }
        nodes.push(node);
        Ok(row as u32)
    }

    #[inline]
    fn count_skipped(&mut self, depth: usize, tag: usize) -> Step<()> {
        if let Some(skipped) = self.skipped.get_mut(depth) {
            *skipped += 1;
            if *skipped > max_skipped(depth) {
                return Err(Stop::new(too_many_fields(tag), depth == IN_DATA));
            }
        }
        Ok(())
    }
}

/// Read a message from `pos` to the end of `buf`; `room` more messages may lie inside of each other.
fn read_message(buf: &[u8], kind: &'static MessageType, start: usize, room: usize) -> Step<()> {
    let mut seen = 0;
    let mut pos = start;
    while pos < buf.len() {
        let (key, value) = read_tag(buf, pos)?;
        pos = read_field(buf, kind, key, pos, value, room, &mut seen)?;
    }
    Ok(())
}

/// Read the field whose tag at `tag` was read and whose value begins at `pos`; return the offset behind it.
#[inline(always)]
fn read_field(
    buf: &[u8],
    kind: &'static MessageType,
    key: u32,
    tag: usize,
    pos: usize,
    room: usize,
    seen: &mut u32,
) -> Step<usize> {
    let op = kind.op(key);
    match op {
        Op::Unknown => return skip(buf, key, tag, pos),
        Op::Irregular => return Err(IRREGULAR),
        Op::Illegal => return Err(illegal(key, tag)),
        _ => once(kind, key, seen)?,
    }
    match op {
        Op::Message => {
            let Some(child) = kind.child(key >> 3) else { return Err(IRREGULAR) };
            if ptr::eq(child, &KEY_VALUE) {
                return read_attributes(buf, key, tag, pos, room);
            }
            let (start, end) = read_length(buf, pos, tag)?;
            read_inner(buf, child, start, end, room)?;
            Ok(end)
        }
        Op::Text => {
            let (start, end) = read_length(buf, pos, tag)?;
            check_text(buf, start, end)?;
            Ok(end)
        }
        Op::Id => {
            let (start, end) = read_length(buf, pos, tag)?;
            check_id(buf, kind, key, tag, start, end)?;
            Ok(end)
        }
        Op::Bytes => Ok(read_length(buf, pos, tag)?.1),
        Op::Fixed64 => fixed(buf, pos + 8, tag),
        Op::Fixed32 => fixed(buf, pos + 4, tag),
        Op::PackedFixed64 => {
            let (start, end) = read_length(buf, pos, tag)?;
            if (end - start) % 8 == 0 { Ok(end) } else { Err(IRREGULAR) }
        }
        Op::PackedVarint => read_packed(buf, pos, tag),
        _ => read_number(buf, op, pos),
    }
}

/// Read `KeyValue` messages that follow each other: nearly all bytes of most requests.
fn read_attributes(buf: &[u8], key: u32, tag: usize, pos: usize, room: usize) -> Step<usize> {
    let mut tag = tag;
    let mut pos = pos;
    loop {
        let (start, end) = read_length(buf, pos, tag)?;
        if is_simple_attribute(buf.get(start..end).unwrap_or_default()).is_none() {
            read_inner(buf, &KEY_VALUE, start, end, room)?;
        }
        if buf.get(end).copied().map(u32::from) != Some(key) {
            return Ok(end);
        }
        tag = end;
        pos = end + 1;
    }
}

/// Whether this is a valid `KeyValue` as most are: a short key, then a string, bool, small number or double.
///
/// `None` means nothing but that somebody must look closer.
#[inline(always)]
fn is_simple_attribute(body: &[u8]) -> Option<()> {
    let (&[0x0A, key_length @ ..0x80], rest) = body.split_first_chunk()? else { return None };
    let (key, rest) = rest.split_at_checked(usize::from(key_length))?;
    let (&[0x12, length, kind, inner], rest) = rest.split_first_chunk()? else { return None };
    if length < 0x80 {
        let size = usize::from(length);
        let valid = match kind {
            // Behind short lengths there is nothing but text, so both strings are looked at in one go.
            0x0A => size == rest.len() + 2 && usize::from(inner) == rest.len() && is_text_twice(body, key, rest),
            0x10 => size == 2 && rest.is_empty() && inner < 2 && is_text(key),
            0x18 => {
                let bytes = match *rest {
                    [] => usize::from(inner < 0x80),
                    [..0x80] if inner > 0x7F => 2,
                    [0x80..=0xFF, ..0x80] if inner > 0x7F => 3,
                    _ => 0,
                };
                bytes > 0 && bytes + 1 == size && is_text(key)
            }
            0x21 => size == 9 && rest.len() == 7 && is_text(key),
            _ => false,
        };
        return valid.then_some(());
    }
    is_long_text(key, [length, kind, inner], rest).then_some(())
}

/// Whether a value whose length has two bytes is a string; `head` and `rest` are what follows its tag.
fn is_long_text(key: &[u8], head: [u8; 3], rest: &[u8]) -> bool {
    let [first, second, tag] = head;
    let size = usize::from(first & 0x7F) | usize::from(second) << 7;
    if second > 0x7F || tag != 0x0A || size != rest.len() + 1 {
        return false;
    }
    let text = match *rest {
        [length @ ..0x80, ref text @ ..] if usize::from(length) == text.len() => text,
        [first, second @ ..0x80, ref text @ ..]
            if first > 0x7F && usize::from(first & 0x7F) | usize::from(second) << 7 == text.len() =>
        {
            text
        }
        _ => return false,
    };
    is_text(key) && is_text(text)
}

/// Whether key and text are UTF-8; `both` holds them and bytes below 0x80.
#[inline(always)]
fn is_text_twice(both: &[u8], key: &[u8], text: &[u8]) -> bool {
    is_ascii(both) || (is_text(key) && is_text(text))
}

/// Read a message inside of another one.
#[inline(never)]
fn read_inner(buf: &[u8], kind: &'static MessageType, start: usize, end: usize, room: usize) -> Step<()> {
    match room.checked_sub(1) {
        Some(room) => read_message(prefix(buf, end), kind, start, room),
        None => Err(IRREGULAR),
    }
}

/// Refuse to take a field, or another member of its oneof, twice.
#[inline(always)]
fn once(kind: &MessageType, key: u32, seen: &mut u32) -> Step<()> {
    if *seen & kind.conflicts(key >> 3) != 0 {
        return Err(IRREGULAR);
    }
    *seen |= 1 << (key >> 3 & 31);
    Ok(())
}

/// Return tag and the offset behind it.
#[inline(always)]
fn read_tag(buf: &[u8], pos: usize) -> Step<(u32, usize)> {
    match buf.get(pos) {
        Some(&byte) if byte < 0x80 => Ok((u32::from(byte), pos + 1)),
        _ => read_long_tag(buf, pos),
    }
}

fn read_long_tag(buf: &[u8], pos: usize) -> Step<(u32, usize)> {
    let (key, next) = read_varint(buf, pos, buf.len())?;
    match u32::try_from(key) {
        Ok(key) if next - pos == varint_len(u64::from(key)) => Ok((key, next)),
        _ => Err(IRREGULAR),
    }
}

/// Read the length at `pos`; return where the value lies.
#[inline(always)]
fn read_length(buf: &[u8], pos: usize, tag: usize) -> Step<(usize, usize)> {
    let (length, start) = match buf.get(pos) {
        Some(&byte) if byte < 0x80 => (usize::from(byte), pos + 1),
        _ => read_long_length(buf, pos)?,
    };
    if length > buf.len() - start {
        return Err(too_long(tag));
    }
    Ok((start, start + length))
}

fn read_long_length(buf: &[u8], pos: usize) -> Step<(usize, usize)> {
    if let Some(&[first, second @ ..0x80]) = buf.get(pos..).and_then(<[u8]>::first_chunk) {
        return Ok((usize::from(first & 0x7F) | usize::from(second) << 7, pos + 2));
    }
    let (length, start) = read_varint(buf, pos, buf.len())?;
    if start - pos > 5 {
        return Err(IRREGULAR);
    }
    Ok((usize::try_from(length).unwrap_or(usize::MAX), start))
}

#[cold]
fn too_long(tag: usize) -> Stop {
    DecodeError::new("a field is longer than what contains it", tag).into()
}

#[cold]
fn illegal(key: u32, tag: usize) -> Stop {
    if key >> 3 == 0 {
        return DecodeError::new("illegal field number", tag).into();
    }
    DecodeError::new(format!("illegal wire type {}", key & 7), tag).into()
}

/// Return `end` if the message reaches so far.
#[inline(always)]
fn fixed(buf: &[u8], end: usize, tag: usize) -> Step<usize> {
    if end > buf.len() { Err(too_long(tag)) } else { Ok(end) }
}

fn skip(buf: &[u8], key: u32, tag: usize, pos: usize) -> Step<usize> {
    match key & 7 {
        0 => Ok(read_whole(buf, pos)?.1),
        1 => fixed(buf, pos + 8, tag),
        2 => Ok(read_length(buf, pos, tag)?.1),
        5 => fixed(buf, pos + 4, tag),
        _ => Err(IRREGULAR),
    }
}

/// Read a number; one of more than 64 bits is irregular.
#[inline(always)]
fn read_whole(buf: &[u8], pos: usize) -> Step<(u64, usize)> {
    let (value, end) = read_varint(buf, pos, buf.len())?;
    if end - pos == 10 && buf.get(end - 1).is_some_and(|&byte| byte > 1) {
        return Err(IRREGULAR);
    }
    Ok((value, end))
}

/// Read a number that must fit into its type.
#[inline(always)]
fn read_number(buf: &[u8], op: Op, pos: usize) -> Step<usize> {
    let (value, end) = read_whole(buf, pos)?;
    let fits = match op {
        Op::Bool => value <= 1,
        Op::Int32 => i32::try_from(value as i64).is_ok(),
        Op::Uint32 => u32::try_from(value).is_ok(),
        _ => true,
    };
    if fits { Ok(end) } else { Err(IRREGULAR) }
}

fn read_packed(buf: &[u8], pos: usize, tag: usize) -> Step<usize> {
    let (mut pos, end) = read_length(buf, pos, tag)?;
    let buf = prefix(buf, end);
    while pos < end {
        // A number cut off here is for a full parser to judge: it may see the field differently.
        (_, pos) = read_whole(buf, pos).map_err(|_| IRREGULAR)?;
    }
    Ok(end)
}

#[inline(always)]
fn check_text(buf: &[u8], start: usize, end: usize) -> Step<()> {
    let text = buf.get(start..end).unwrap_or_default();
    if is_text(text) { Ok(()) } else { Err(not_text(text, start)) }
}

#[cold]
fn not_text(text: &[u8], start: usize) -> Stop {
    DecodeError::new("not an OTLP request: text is not UTF-8", start + bad_text(text)).into()
}

#[inline]
fn check_id(buf: &[u8], kind: &'static MessageType, key: u32, tag: usize, start: usize, end: usize) -> Step<()> {
    match kind.field(key >> 3) {
        Some(field) if end != start && end - start != usize::from(field.id) => {
            Err(wrong_id(buf, kind, field, tag, end - start, end))
        }
        _ => Ok(()),
    }
}

/// Refuse an id, unless the same field follows: then that one counts.
#[cold]
fn wrong_id(buf: &[u8], kind: &MessageType, field: &FieldType, tag: usize, length: usize, end: usize) -> Stop {
    let mut pos = end;
    for part in Parts::new(buf, end) {
        if part.number() == field.number {
            return IRREGULAR;
        }
        pos = part.end;
    }
    if pos < buf.len() {
        return IRREGULAR; // something odd follows, or something malformed: somebody else must look
    }
    let (name, title, size) = (field.name, kind.title, field.id);
    Stop::new(DecodeError::new(format!("{name} of a {title} has {length} bytes instead of {size}"), tag), true)
}

/// Return the beginning of `buf`, up to `end`, which lies inside.
#[inline(always)]
fn prefix(buf: &[u8], end: usize) -> &[u8] {
    buf.get(..end).unwrap_or(buf)
}
