//! Every message of the three requests: which fields it has and what they hold.
//!
//! The tables are generated from the descriptors of opentelemetry-proto: `native/wire/generate_schema.py` writes
//! `schema/tables.rs`, and nobody edits it by hand.

#[rustfmt::skip]
mod tables;

pub use tables::*;

use crate::{Signal, Wire};

/// One more than the largest field number.
pub const NUMBERS: usize = 32;

/// What a field holds.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// `double`
    Double,
    /// `int64`
    Int64,
    /// `uint64`
    Uint64,
    /// `int32`
    Int32,
    /// `uint32`
    Uint32,
    /// `sint32`, in zigzag form
    Sint32,
    /// `fixed64`
    Fixed64,
    /// `sfixed64`
    Sfixed64,
    /// `fixed32`
    Fixed32,
    /// `bool`
    Bool,
    /// `string`: UTF-8
    String,
    /// `bytes`
    Bytes,
    /// An enumeration: `int32` with names for some numbers
    Enum(&'static EnumType),
    /// Another message
    Message(&'static MessageType),
}

impl Kind {
    /// How one value of this kind is encoded. Repeated numbers are packed: all in one [`Wire::Length`].
    pub const fn wire(self) -> Wire {
        match self {
            Self::Double | Self::Fixed64 | Self::Sfixed64 => Wire::Fixed64,
            Self::Fixed32 => Wire::Fixed32,
            Self::String | Self::Bytes | Self::Message(_) => Wire::Length,
            Self::Int64 | Self::Uint64 | Self::Int32 | Self::Uint32 | Self::Sint32 | Self::Bool | Self::Enum(_) => {
                Wire::Varint
            }
        }
    }
}

/// The names of an enumeration.
#[derive(Debug)]
pub struct EnumType {
    /// Full name.
    pub name: &'static str,
    /// Names and their numbers.
    pub values: &'static [(&'static str, i32)],
}

/// A field of a message.
#[derive(Debug)]
pub struct FieldType {
    /// Field number.
    pub number: u32,
    /// Name in the `.proto` file.
    pub name: &'static str,
    /// Name in JSON.
    pub json: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// Whether there may be several.
    pub repeated: bool,
    /// Whether absent differs from zero: messages, `optional` fields and members of a oneof.
    pub presence: bool,
    /// The oneof that it is a member of.
    pub oneof: Option<&'static str>,
    /// Length in bytes if it is an id and not empty; 0 for other fields.
    pub id: u8,
}

impl FieldType {
    const fn new(number: u32, name: &'static str, json: &'static str, kind: Kind) -> Self {
        let presence = matches!(kind, Kind::Message(_));
        Self { number, name, json, kind, repeated: false, presence, oneof: None, id: 0 }
    }

    const fn repeated(mut self) -> Self {
        self.repeated = true;
        self.presence = false;
        self
    }

    const fn optional(mut self) -> Self {
        self.presence = true;
        self
    }

    const fn member(mut self, oneof: &'static str) -> Self {
        self.presence = true;
        self.oneof = Some(oneof);
        self
    }

    const fn id(mut self, length: u8) -> Self {
        self.id = length;
        self
    }
}

/// A kind of message.
#[derive(Debug)]
pub struct MessageType {
    /// Full name.
    pub name: &'static str,
    /// What to call one in a message to people.
    pub title: &'static str,
    /// The fields in the order of the `.proto` file, which is the order of JSON.
    pub fields: &'static [FieldType],
    /// For each field number its place in `fields` plus one.
    places: [u8; NUMBERS],
    /// For each field number the bits of those that may not have come before it: itself and the others of its oneof.
    conflicts: [u32; NUMBERS],
    /// What to do with a field, by its tag.
    ops: [Op; NUMBERS * 8],
    /// The types of the messages in fields, by number.
    children: [Option<&'static MessageType>; NUMBERS],
}

/// How to validate the value of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    Unknown,
    Irregular,
    Illegal,
    Message,
    Text,
    Id,
    Bytes,
    Fixed64,
    Fixed32,
    Varint,
    Int32,
    Uint32,
    Bool,
    PackedFixed64,
    PackedVarint,
}

impl Op {
    /// Return what to do with a field that the message does not have.
    const fn of_unknown(key: usize) -> Self {
        match (key >> 3, key & 7) {
            (0, _) | (_, 6 | 7) => Self::Illegal,
            (_, 3 | 4) => Self::Irregular,
            _ => Self::Unknown,
        }
    }
}

impl FieldType {
    const fn op(&self) -> Op {
        match (self.kind, self.repeated) {
            (Kind::Message(_), _) => Op::Message,
            (Kind::String, _) => Op::Text,
            (Kind::Bytes, _) if self.id > 0 => Op::Id,
            (Kind::Bytes, _) => Op::Bytes,
            (Kind::Double | Kind::Fixed64 | Kind::Sfixed64, true) => Op::PackedFixed64,
            (Kind::Double | Kind::Fixed64 | Kind::Sfixed64, false) => Op::Fixed64,
            (Kind::Int64 | Kind::Uint64, true) => Op::PackedVarint,
            (Kind::Int64 | Kind::Uint64, false) => Op::Varint,
            (Kind::Fixed32, false) => Op::Fixed32,
            (Kind::Int32 | Kind::Enum(_), false) => Op::Int32,
            (Kind::Uint32 | Kind::Sint32, false) => Op::Uint32,
            (Kind::Bool, false) => Op::Bool,
            (Kind::Fixed32 | Kind::Int32 | Kind::Enum(_) | Kind::Uint32 | Kind::Sint32 | Kind::Bool, true) => {
                Op::Irregular // OTLP has none
            }
        }
    }

    const fn wire(&self) -> usize {
        match self.op() {
            Op::Fixed64 => 1,
            Op::Fixed32 => 5,
            Op::Varint | Op::Int32 | Op::Uint32 | Op::Bool => 0,
            _ => 2,
        }
    }

    const fn may_repeat(&self) -> bool {
        self.repeated && !matches!(self.op(), Op::PackedFixed64 | Op::PackedVarint)
    }
}

impl MessageType {
    const fn new(name: &'static str, title: &'static str, fields: &'static [FieldType]) -> Self {
        let mut places = [0; NUMBERS];
        let mut conflicts = [0; NUMBERS];
        let mut children = [None; NUMBERS];
        let mut ops = [Op::Unknown; NUMBERS * 8];
        let mut tag = 0;
        while tag < ops.len() {
            ops[tag] = Op::of_unknown(tag);
            tag += 1;
        }
        let mut i = 0;
        while i < fields.len() {
            let field = &fields[i];
            let number = field.number as usize;
            places[number] = i as u8 + 1;
            if let Kind::Message(child) = field.kind {
                children[number] = Some(child);
            }
            let mut wire = 0;
            while wire < 6 {
                ops[number << 3 | wire] = if wire == field.wire() { field.op() } else { Op::Irregular };
                wire += 1;
            }
            if !field.may_repeat() {
                let mut bits = 1 << field.number;
                let mut j = 0;
                while j < fields.len() {
                    // A message has at most one oneof.
                    if field.oneof.is_some() && fields[j].oneof.is_some() {
                        bits |= 1 << fields[j].number;
                    }
                    j += 1;
                }
                conflicts[field.number as usize] = bits;
            }
            i += 1;
        }
        Self { name, title, fields, places, conflicts, ops, children }
    }

    /// Return a field by its number.
    #[inline]
    pub fn field(&self, number: u32) -> Option<&'static FieldType> {
        let place = *self.places.get(number as usize)?;
        self.fields.get(usize::from(place).checked_sub(1)?)
    }

    /// Return a field by its name.
    pub fn named(&self, name: &str) -> Option<&'static FieldType> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// Return the type of the messages in a field.
    #[inline]
    pub fn child(&self, number: u32) -> Option<&'static Self> {
        self.children.get(number as usize).copied().flatten()
    }

    #[inline]
    pub(crate) fn op(&self, key: u32) -> Op {
        self.ops.get(key as usize).copied().unwrap_or_else(|| Op::of_unknown(key as usize))
    }

    #[inline]
    pub(crate) fn conflicts(&self, number: u32) -> u32 {
        self.conflicts.get(number as usize).copied().unwrap_or_default()
    }
}

/// Return the type of a request.
pub fn request(signal: Signal) -> &'static MessageType {
    match signal {
        Signal::Traces => &EXPORT_TRACE_SERVICE_REQUEST,
        Signal::Metrics => &EXPORT_METRICS_SERVICE_REQUEST,
        Signal::Logs => &EXPORT_LOGS_SERVICE_REQUEST,
    }
}
