//! Editing the fields of one message, in one pass over them.

use otlp_wire::numbers::{AS_DOUBLE, AS_INT, EVENTS, LINKS};
use otlp_wire::{DecodeError, Part as Field, Parts as Fields, key_of};

use crate::bits::Bits;
use crate::edits::{Column, EditError, Edits, Target};
use crate::keys::{Cursor, Keys};
use crate::pieces::Pieces;
use crate::schema::{FixedField, Form, Kind, Place};
use crate::values::{Encoded, Slot};

/// The old request and what is new.
#[derive(Clone, Copy)]
pub(crate) struct Source<'a> {
    pub data: &'a [u8],
    pub edits: &'a Edits<'a>,
}

impl<'a> Source<'a> {
    /// Add what a slot holds.
    #[inline]
    fn push(self, out: &mut Pieces<'a>, slot: Slot) -> Result<(), EditError> {
        self.push_from(out, slot, 0)
    }

    /// Add the attributes that a slot holds, under a tag that may differ from the one they were encoded with.
    #[inline]
    fn push_attribute(self, out: &mut Pieces<'a>, slot: Slot, tag: u32) -> Result<(), EditError> {
        let (Encoded::Bytes(bytes) | Encoded::WithText(bytes, _)) = self.edits.values.get(slot) else {
            return Err(EditError::Failed(slot));
        };
        if bytes.first().is_some_and(|&first| u32::from(first) != tag) {
            out.push_tag(tag);
            return self.push_from(out, slot, 1);
        }
        self.push_from(out, slot, 0)
    }

    #[inline]
    fn push_from(self, out: &mut Pieces<'a>, slot: Slot, skip: usize) -> Result<(), EditError> {
        match self.edits.values.get(slot) {
            Encoded::Bytes(bytes) => out.push(bytes.get(skip..).unwrap_or_default()),
            Encoded::WithText(bytes, text) => {
                out.push(bytes.get(skip..).unwrap_or_default());
                out.push(self.edits.texts.get(text).copied().unwrap_or_default());
            }
            Encoded::Failed => return Err(EditError::Failed(slot)),
        }
        Ok(())
    }
}

struct FixedColumn<'a> {
    number: usize,
    field: FixedField,
    cursor: Cursor<'a>,
}

/// A fixed field of the row at hand.
struct FixedNow {
    numbers: u64,
    tag: u32,
    slot: Slot,
    done: bool,
}

/// What changes in the row's message itself, or in the one nested message of it.
#[derive(Default)]
struct Part {
    /// The tag of attributes that change, or 0.
    attributes: u32,
    /// The numbers of fields that something happens to.
    numbers: u64,
    fixed: Vec<FixedNow>,
    /// Whether the message must be there afterwards.
    exists: bool,
}

const OWN: usize = 0;
const NESTED: usize = 1;

/// The edits of one level, and those of the row at hand.
pub(crate) struct Plan<'a> {
    fixed: Vec<FixedColumn<'a>>,
    keys: Keys<'a>,
    map: Option<Cursor<'a>>,
    map_now: Option<Slot>,
    parts: [Part; 2],
    kind: Kind,
    nested_done: bool,
}

impl<'a> Plan<'a> {
    /// Begin without edits; there is room for so many keys.
    pub fn new(keys: usize) -> Self {
        Self {
            fixed: Vec::new(),
            keys: Keys::new(keys),
            map: None,
            map_now: None,
            parts: [Part::default(), Part::default()],
            kind: Kind::Resource,
            nested_done: false,
        }
    }

    /// Add the column of that number in the edits.
    pub fn add(&mut self, number: usize, column: &'a Column<'a>) {
        let cursor = Cursor::new(column);
        match column.target {
            Target::Fixed(field) => self.fixed.push(FixedColumn { number, field, cursor }),
            Target::Map => self.map = Some(cursor),
            Target::Key { key, found } => self.keys.add(key, found, cursor),
        }
    }

    /// Make ready for the first row when all columns are there.
    pub fn complete(&mut self) {
        self.keys.complete();
    }

    /// Go to a row, which must not lie before the last; tell whether something changes there.
    pub fn select(&mut self, row: u32, kind: Kind) -> Result<bool, EditError> {
        self.kind = kind;
        self.nested_done = false;
        for part in &mut self.parts {
            part.attributes = 0;
            part.numbers = 0;
            part.fixed.clear();
            part.exists = false;
        }
        let mut any = self.keys.select(row);
        self.map_now = self.map.as_mut().and_then(|cursor| cursor.at(row));
        any |= self.map_now.is_some();
        if any && let Some(part) = self.parts.get_mut(usize::from(kind.nests_attributes())) {
            part.attributes = kind.attributes() << 3 | 2;
            part.numbers = 1 << kind.attributes();
            part.exists = self.map_now.is_some();
        }
        for column in &mut self.fixed {
            if let Some(slot) = column.cursor.at(row) {
                any = true;
                let place = column.field.place;
                let Some(number) = kind.number(place) else {
                    if slot.removes() {
                        continue;
                    }
                    return Err(EditError::Unfit(column.number));
                };
                let nested = matches!(place, Place::Nested(_));
                if let Some(part) = self.parts.get_mut(usize::from(nested)) {
                    let oneof = column.field.form == Form::Number;
                    let numbers = if oneof { 1 << AS_DOUBLE | 1 << AS_INT } else { 1 << number };
                    let tag = if oneof { 0 } else { number << 3 | column.field.form.wire() };
                    part.numbers |= numbers;
                    part.fixed.push(FixedNow { numbers, tag, slot, done: false });
                    part.exists = true;
                }
            }
        }
        Ok(any)
    }

    /// Whether something changes in the nested message of the row.
    fn changes_nested(&self) -> bool {
        self.parts[NESTED].exists || self.parts[NESTED].attributes != 0
    }

    /// Edit those fields of the row's message that lie in a range.
    pub fn fields(
        &mut self,
        out: &mut Pieces<'a>,
        source: Source<'a>,
        range: (usize, usize),
        children: Option<&mut Children<'a>>,
    ) -> Result<(), EditError> {
        self.walk(OWN, out, source, range, children)
    }

    /// Add what was not there to be replaced.
    pub fn finish(&mut self, out: &mut Pieces<'a>, source: Source<'a>) -> Result<(), EditError> {
        self.add_missing(OWN, out, source)?;
        if self.changes_nested() && !self.nested_done {
            let will_exist = self.parts[NESTED].exists || self.keys.missing().next().is_some();
            if will_exist {
                let mark = out.open(self.kind.nested() << 3 | 2);
                self.add_missing(NESTED, out, source)?;
                out.close(mark);
            }
        }
        Ok(())
    }

    fn walk(
        &mut self,
        part: usize,
        out: &mut Pieces<'a>,
        source: Source<'a>,
        (start, end): (usize, usize),
        mut children: Option<&mut Children<'a>>,
    ) -> Result<(), EditError> {
        let (attributes, mut numbers) = self.parts.get(part).map_or((0, 0), |part| (part.attributes, part.numbers));
        let nested = if part == OWN && self.changes_nested() { self.kind.nested() } else { 0 };
        if nested != 0 {
            numbers |= 1 << nested;
        }
        numbers |= children.as_ref().map_or(0, |children| children.numbers());
        let mut kept = start;
        let mut pos = start;
        for field in Fields::within(source.data, start, end) {
            pos = field.end;
            let bit = 1u64.checked_shl(field.number()).unwrap_or(0);
            if numbers & bit == 0 {
                continue;
            }
            if field.key == attributes {
                if let Some((slot, first)) = self.edit_of(source.data, field) {
                    out.copy(kept, field.tag);
                    kept = field.end;
                    if first && !slot.removes() {
                        source.push_attribute(out, slot, field.key)?;
                    }
                }
                continue;
            }
            out.copy(kept, field.tag);
            kept = field.end;
            if field.number() == nested {
                self.nested_done = true;
                let mark = out.open(field.key);
                self.walk(NESTED, out, source, (field.start, field.end), None)?;
                self.add_missing(NESTED, out, source)?;
                out.close(mark);
            } else if let Some(child) = children.as_mut().and_then(|children| children.of(field.number())) {
                child.edit(out, source, field)?;
            } else if let Some(part) = self.parts.get_mut(part) {
                part.replace(bit, out, source)?;
            }
        }
        out.copy(kept, end);
        if pos == end { Ok(()) } else { Err(DecodeError::new("not the message that was decoded", start).into()) }
    }

    /// Return the new value of an attribute if it is edited in this row, and whether this is the first of its key.
    #[inline(always)]
    fn edit_of(&mut self, data: &[u8], field: Field) -> Option<(Slot, bool)> {
        if self.map_now.is_some() {
            return Some((Slot::REMOVE, false));
        }
        let pair = data.get(field.start..field.end).unwrap_or_default();
        if let [0x0A, length @ ..0x80, ..] = *pair
            && !self.keys.has_length(length.into())
        {
            return None;
        }
        self.keys.find(key_of(pair))
    }

    fn add_missing(&mut self, part: usize, out: &mut Pieces<'a>, source: Source<'a>) -> Result<(), EditError> {
        let Some(now) = self.parts.get_mut(part) else { return Ok(()) };
        for fixed in &mut now.fixed {
            if !fixed.done {
                fixed.push(out, source)?;
            }
        }
        let tag = now.attributes;
        if tag == 0 {
            return Ok(());
        }
        if let Some(map) = self.map_now.filter(|slot| !slot.removes()) {
            self.add_map(out, source, map, tag)?;
        }
        for slot in self.keys.missing() {
            source.push_attribute(out, slot, tag)?;
        }
        Ok(())
    }

    /// Add the attributes of a new map, with single keys set over them.
    fn add_map(&mut self, out: &mut Pieces<'a>, source: Source<'a>, map: Slot, tag: u32) -> Result<(), EditError> {
        let Encoded::Bytes(bytes) = source.edits.values.get(map) else {
            return Err(EditError::Failed(map));
        };
        for field in Fields::new(bytes, 0) {
            match self.keys.find(key_of(bytes.get(field.start..field.end).unwrap_or_default())) {
                None => {
                    out.push_tag(tag);
                    out.push(bytes.get(field.tag + 1..field.end).unwrap_or_default());
                }
                Some((slot, first)) => {
                    if first && !slot.removes() {
                        source.push_attribute(out, slot, tag)?;
                    }
                }
            }
        }
        Ok(())
    }
}

impl Part {
    /// Put the new value of a fixed field in the place of the old one.
    fn replace<'a>(&mut self, bit: u64, out: &mut Pieces<'a>, source: Source<'a>) -> Result<(), EditError> {
        for fixed in &mut self.fixed {
            if fixed.numbers & bit != 0 && !fixed.done {
                fixed.push(out, source)?;
            }
        }
        Ok(())
    }
}

impl FixedNow {
    fn push<'a>(&mut self, out: &mut Pieces<'a>, source: Source<'a>) -> Result<(), EditError> {
        self.done = true;
        if self.slot.removes() {
            return Ok(());
        }
        let empty = matches!(source.edits.values.get(self.slot), Encoded::Bytes([]));
        if self.tag != 0 && !empty {
            out.push_tag(self.tag);
        }
        source.push(out, self.slot)
    }
}

/// The edits of events and links.
#[derive(Default)]
pub(crate) struct Children<'a> {
    pub events: Option<Child<'a>>,
    pub links: Option<Child<'a>>,
}

/// The edits of the events, or of the links, of all items.
pub(crate) struct Child<'a> {
    pub plan: Plan<'a>,
    pub kind: Kind,
    pub gone: Bits,
    /// The row of the first in each item, and at the end how many there are.
    pub firsts: Vec<u32>,
    /// The row of the next that is met.
    pub next: u32,
}

impl<'a> Children<'a> {
    /// Go to an item.
    pub fn select(&mut self, item: usize) {
        for child in [&mut self.events, &mut self.links].into_iter().flatten() {
            child.next = child.firsts.get(item).copied().unwrap_or_default();
        }
    }

    /// The field numbers of those that something happens to.
    fn numbers(&self) -> u64 {
        u64::from(self.events.is_some()) << EVENTS | u64::from(self.links.is_some()) << LINKS
    }

    #[inline]
    fn of(&mut self, number: u32) -> Option<&mut Child<'a>> {
        match number {
            EVENTS => self.events.as_mut(),
            LINKS => self.links.as_mut(),
            _ => None,
        }
    }
}

impl<'a> Child<'a> {
    fn edit(&mut self, out: &mut Pieces<'a>, source: Source<'a>, field: Field) -> Result<(), EditError> {
        let row = self.next;
        self.next += 1;
        if self.gone.has(row as usize) {
            return Ok(());
        }
        if self.plan.select(row, self.kind)? {
            let mark = out.open(field.key);
            self.plan.fields(out, source, (field.start, field.end), None)?;
            self.plan.finish(out, source)?;
            out.close(mark);
        } else {
            out.copy(field.tag, field.end);
        }
        Ok(())
    }
}
