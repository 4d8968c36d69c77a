//! The texts of a request in which something may be: what holds no hit is stepped over.

use std::str;

use otlp_wire::{Field, Fields, Signal, Wire, read_varint};

use crate::layout::{Layout, What, request};

/// What is known of keys, so that most need no look.
pub trait Keys {
    /// Why nothing is known.
    type Error;

    /// Whether an attribute, or a part of one (`attribute.key`), is not to be looked at.
    ///
    /// # Errors
    /// Of whoever knows; the search ends with it.
    fn is_ignored(&self, name: &str) -> Result<bool, Self::Error>;

    /// Whether it is known that nothing is in a key itself.
    ///
    /// # Errors
    /// Of whoever knows; the search ends with it.
    fn is_clean(&self, key: &str) -> Result<bool, Self::Error>;
}

/// A field with a length: its tag, and offsets in the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The message that it is a field of, by its place among the frames.
    pub parent: Option<usize>,
    /// Number and wire type.
    pub tag: u32,
    /// Where the field begins, with its tag.
    pub begin: usize,
    /// Where its content begins.
    pub start: usize,
    /// The offset behind it.
    pub stop: usize,
}

/// What a text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A string value, a name or a message.
    String,
    /// A key, of an attribute or within a map.
    Key,
    /// A value of bytes.
    Bytes,
    /// A whole value that is a large integer.
    Number(u64),
}

/// A string of the request, or what may be one. Frames are told by their place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// Where it lies.
    pub frame: usize,
    /// Key of the attribute that it lies in, or what it is.
    pub name: String,
    /// The message whose attributes are beside it.
    pub owner: usize,
    /// The item that it belongs to.
    pub item: Option<usize>,
    /// The event that it belongs to.
    pub event: Option<usize>,
    /// What goes if the attribute or the body goes.
    pub field: Option<usize>,
    /// What it is.
    pub kind: Kind,
}

/// Texts in wire order, and the frames that they are told by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Texts {
    /// Fields on the way to the texts.
    pub frames: Vec<Frame>,
    /// The texts.
    pub found: Vec<Text>,
}

const LENGTH: u32 = 2;
const KEY: u32 = 1 << 3 | LENGTH;
const VALUE: u32 = 2 << 3 | LENGTH;
/// What is in an `ArrayValue` or a `KeyValueList`.
const ITEM: u32 = 1 << 3 | LENGTH;
const STRING: u32 = 1 << 3 | LENGTH;
const INT: u32 = 3 << 3;
const LIST: u32 = 5 << 3 | LENGTH;
const MAP: u32 = 6 << 3 | LENGTH;
const BYTES: u32 = 7 << 3 | LENGTH;
/// Tags of numbers and truth values in `AnyValue`.
const NUMBERS: [u8; 3] = [2 << 3, INT as u8, 4 << 3 | 1];
/// Bytes of an `AnyValue` from which on an integer has nine digits or more.
const LARGE: u8 = 6;
const LEAST_NUMBER: u64 = 1 << 28;
const NEGATIVE: u64 = 1 << 63;
/// Bytes of an attribute with a key and a number.
const SMALLEST: usize = 6;
/// Lists and maps in one another; protobuf itself reads no more.
const MAX_DEPTH: u32 = 100;

/// Return the texts in which the bytes before the ascending offsets `ends` lie, or `None` for irregular bytes.
///
/// A hit in a key brings the texts of its value too: it may say what they are. A hit in an event brings all of its texts:
/// it may be one of several that hold parts of the same stream.
///
/// # Errors
/// Those of `keys`.
pub fn texts<K: Keys>(signal: Signal, data: &[u8], ends: &[usize], keys: &K) -> Result<Option<Texts>, K::Error> {
    let mut walk = Walk { data, ends, all: false, keys, texts: Texts::default() };
    match walk.message(request(signal), None, 0, data.len(), Place::default()) {
        Ok(()) => Ok(Some(walk.texts)),
        Err(Stop::Irregular) => Ok(None),
        Err(Stop::Keys(error)) => Err(error),
    }
}

/// Why a walk ends early.
enum Stop<E> {
    Irregular,
    Keys(E),
}

type Step<T, E> = Result<T, Stop<E>>;

/// Where in the request the walk is.
#[derive(Clone, Copy, Default)]
struct Place {
    owner: Option<usize>,
    item: Option<usize>,
    event: Option<usize>,
}

struct Walk<'a, K> {
    data: &'a [u8],
    /// The hits that are not behind us.
    ends: &'a [usize],
    /// Whether everything counts as hit.
    all: bool,
    keys: &'a K,
    texts: Texts,
}

impl<'a, K: Keys> Walk<'a, K> {
    /// Whether a hit ends within; asked from left to right.
    #[inline]
    fn hit(&mut self, start: usize, stop: usize) -> bool {
        self.all || self.next(start).is_some_and(|end| end <= stop)
    }

    /// The first hit that ends behind an offset.
    #[inline]
    fn next(&mut self, start: usize) -> Option<usize> {
        while let [first, rest @ ..] = self.ends
            && *first <= start
        {
            self.ends = rest;
        }
        self.ends.first().copied()
    }

    fn frame(&mut self, parent: Option<usize>, field: &Field) -> usize {
        let Field { tag: begin, start, end: stop, .. } = *field;
        self.texts.frames.push(Frame { parent, tag: tag(field), begin, start, stop });
        self.texts.frames.len() - 1
    }

    /// Start and end of what is in a frame.
    fn range(&self, frame: usize) -> (usize, usize) {
        self.texts.frames.get(frame).map_or((0, 0), |frame| (frame.start, frame.stop))
    }

    /// Look at the fields of a message that may hold texts.
    fn message(
        &mut self,
        layout: &Layout,
        frame: Option<usize>,
        start: usize,
        stop: usize,
        place: Place,
    ) -> Step<(), K::Error> {
        let mut fields = Fields::new(self.data, start, stop);
        let mut pos = start;
        while self.all || self.next(pos).is_some() {
            let Some(field) = regular(fields.next())? else { break };
            pos = field.end;
            if field.wire != Wire::Length || !self.hit(field.start, field.end) {
                continue;
            }
            let Some(part) = layout.field(field.number) else { continue };
            if part.what == What::Attribute && self.needs_no_look(field.start, field.end)? {
                continue;
            }
            let inner = self.frame(frame, &field);
            self.part(part, inner, place)?;
        }
        Ok(())
    }

    fn part(&mut self, part: &'static Layout, frame: usize, place: Place) -> Step<(), K::Error> {
        match part.what {
            What::Attribute => self.attribute(frame, "", place, frame, 0),
            What::Value => self.value(frame, part.name, place, frame, 0),
            What::Text => {
                self.found(frame, part.name, place, None, Kind::String);
                Ok(())
            }
            What::Message | What::Item | What::Event => {
                let item = if part.what == What::Item { Some(frame) } else { place.item };
                let event = if part.what == What::Event { Some(frame) } else { place.event };
                let before = self.all;
                self.all |= part.what == What::Event;
                let (start, stop) = self.range(frame);
                self.message(part, Some(frame), start, stop, Place { owner: Some(frame), item, event })?;
                self.all = before;
                Ok(())
            }
        }
    }

    /// Look at a key and its value; the value is looked at whole if the key was hit.
    fn attribute(&mut self, frame: usize, above: &str, place: Place, field: usize, depth: u32) -> Step<(), K::Error> {
        let (start, stop) = self.range(frame);
        let mut key = "";
        let mut fields = Fields::new(self.data, start, stop);
        while let Some(part) = regular(fields.next())? {
            if tag(&part) == KEY {
                key = self.string(part.start, part.end)?;
            }
        }
        let name = if above.is_empty() { key.to_owned() } else { format!("{above}.{key}") };
        if self.keys.is_ignored(&name).map_err(Stop::Keys)? {
            return Ok(());
        }
        let mut named = false;
        let mut fields = Fields::new(self.data, start, stop);
        while let Some(part) = regular(fields.next())? {
            if !self.hit(part.start, part.end) && !named {
                continue;
            }
            match tag(&part) {
                KEY => {
                    named = true;
                    if !self.keys.is_clean(key).map_err(Stop::Keys)? {
                        let inner = self.frame(Some(frame), &part);
                        self.found(inner, &name, place, Some(field), Kind::Key);
                    }
                }
                VALUE => {
                    let inner = self.frame(Some(frame), &part);
                    let before = self.all;
                    self.all |= named;
                    self.value(inner, &name, place, field, depth)?;
                    self.all = before;
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Whether an attribute of the usual form is ignored, or is a number under a key that is clean.
    fn needs_no_look(&self, start: usize, stop: usize) -> Step<bool, K::Error> {
        let Some(&[KEY_BYTE, size @ ..0x80, ref rest @ ..]) = self.data.get(start..stop) else { return Ok(false) };
        let Some((key, &[VALUE_BYTE, value_size, kind, ..])) = rest.split_at_checked(usize::from(size)) else {
            return Ok(false);
        };
        if stop - start < SMALLEST {
            return Ok(false);
        }
        let key = str::from_utf8(key).map_err(|_| Stop::Irregular)?;
        if self.keys.is_ignored(key).map_err(Stop::Keys)? {
            return Ok(true);
        }
        let is_large = u32::from(kind) == INT && value_size >= LARGE;
        Ok(NUMBERS.contains(&kind) && !is_large && self.keys.is_clean(key).map_err(Stop::Keys)?)
    }

    fn value(&mut self, frame: usize, name: &str, place: Place, field: usize, depth: u32) -> Step<(), K::Error> {
        if depth > MAX_DEPTH {
            return Ok(());
        }
        let (start, stop) = self.range(frame);
        let mut fields = Fields::new(self.data, start, stop);
        while let Some(part) = regular(fields.next())? {
            if !self.hit(part.start, part.end) {
                continue;
            }
            match tag(&part) {
                INT => {
                    let (number, _) = read_varint(self.data, part.start, part.end).map_err(|_| Stop::Irregular)?;
                    if (LEAST_NUMBER..NEGATIVE).contains(&number) {
                        self.found(frame, name, place, Some(field), Kind::Number(number));
                    }
                }
                STRING => {
                    let inner = self.frame(Some(frame), &part);
                    self.found(inner, name, place, Some(field), Kind::String);
                }
                BYTES => {
                    let inner = self.frame(Some(frame), &part);
                    self.found(inner, name, place, Some(field), Kind::Bytes);
                }
                kind @ (LIST | MAP) => {
                    let inner = self.frame(Some(frame), &part);
                    self.inner(inner, kind == MAP, name, place, field, depth + 1)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Look at the values of a list, or the keys and values of a map.
    fn inner(
        &mut self,
        frame: usize,
        is_map: bool,
        name: &str,
        place: Place,
        field: usize,
        depth: u32,
    ) -> Step<(), K::Error> {
        let (start, stop) = self.range(frame);
        let mut fields = Fields::new(self.data, start, stop);
        while let Some(part) = regular(fields.next())? {
            if tag(&part) != ITEM || !self.hit(part.start, part.end) {
                continue;
            }
            let inner = self.frame(Some(frame), &part);
            if is_map {
                self.attribute(inner, name, place, field, depth)?;
            } else {
                self.value(inner, name, place, field, depth)?;
            }
        }
        Ok(())
    }

    fn string(&self, start: usize, stop: usize) -> Step<&'a str, K::Error> {
        let bytes = self.data.get(start..stop).unwrap_or_default();
        str::from_utf8(bytes).map_err(|_| Stop::Irregular)
    }

    fn found(&mut self, frame: usize, name: &str, place: Place, field: Option<usize>, kind: Kind) {
        let Place { owner, item, event } = place;
        let owner = owner.unwrap_or(frame);
        self.texts.found.push(Text { frame, name: name.to_owned(), owner, item, event, field, kind });
    }
}

const KEY_BYTE: u8 = KEY as u8;
const VALUE_BYTE: u8 = VALUE as u8;

/// Number and wire type of a field.
#[inline]
fn tag(field: &Field) -> u32 {
    field.number << 3
        | match field.wire {
            Wire::Varint => 0,
            Wire::Fixed64 => 1,
            Wire::Length => LENGTH,
            Wire::Group => 3,
            Wire::EndGroup => 4,
            Wire::Fixed32 => 5,
        }
}

/// Return the next field of a message that has no groups and no errors.
#[inline]
fn regular<T, E>(field: Option<Result<Field, T>>) -> Step<Option<Field>, E> {
    match field {
        None => Ok(None),
        Some(Ok(field)) if !matches!(field.wire, Wire::Group | Wire::EndGroup) => Ok(Some(field)),
        Some(_) => Err(Stop::Irregular),
    }
}
