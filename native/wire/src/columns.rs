//! Columns: fields of many rows, several in one walk over each row.

use crate::cell::{Cell, Pairs, key_of, key_value, length_bit};
use crate::fixed::{Fixed, attributes, of_point};
use crate::numbers::{AS_DOUBLE, AS_INT, COUNT, EXPONENTIAL_HISTOGRAM, GAUGE, HISTOGRAM, SUM, SUMMARY, TOTAL};
use crate::parts::{Part, Parts, body, eight, four, varint};
use crate::path::DATA;
use crate::schema::{FieldType, Kind};
use crate::{Index, Level, Node, Signal};

/// What a column shows.
#[derive(Clone, Copy, Debug)]
pub enum Column<'k> {
    /// The attribute with that key.
    Attribute(&'k [u8]),
    /// All attributes.
    Attributes,
    /// A fixed field.
    Fixed(Fixed),
}

/// The values of several columns, row by row.
#[derive(Debug)]
pub struct Cells<'a> {
    width: usize,
    cells: Vec<Cell<'a>>,
}

impl<'a> Cells<'a> {
    /// Go through one column.
    pub fn column(&self, number: usize) -> impl ExactSizeIterator<Item = Cell<'a>> {
        self.cells.iter().skip(number).step_by(self.width.max(1)).copied()
    }
}

/// Read columns of a level out of a validated request, for the given rows, which are nodes of that level.
pub fn columns<'a>(
    data: &'a [u8],
    index: &Index,
    level: Level,
    rows: impl ExactSizeIterator<Item = Node>,
    columns: &[Column<'_>],
) -> Cells<'a> {
    let mut reader = Reader::new(index.signal, level, columns);
    let mut cells = Vec::with_capacity(rows.len() * columns.len());
    for node in rows {
        let data_number = if reader.points { index.data_number(data, &node) } else { 0 };
        reader.read(data, &node, data_number, &mut cells);
    }
    Cells { width: columns.len(), cells }
}

/// Where the value of a column comes from.
#[derive(Clone, Copy)]
enum Source {
    /// The value found for a key.
    Key(usize),
    Attributes,
    Fixed(Fixed),
}

/// A row's fields that were found on the way; valid where `seen` has the bit of the number.
struct Found {
    seen: u32,
    parts: [Part; 32],
}

impl Found {
    #[inline]
    fn get(&self, number: u32) -> Option<Part> {
        if self.seen >> number & 1 == 1 { self.parts.get(number as usize).copied() } else { None }
    }
}

struct Reader<'a, 'k> {
    signal: Signal,
    level: Level,
    /// Whether rows are data points, whose fields depend on the data that they are in.
    points: bool,
    sources: Vec<Source>,
    /// Each key once, and what was found for it in the row.
    keys: Vec<(&'k [u8], Option<Cell<'a>>)>,
    /// The lengths of the keys, see [`length_bit`].
    lengths: u64,
    /// The numbers of the fields that are wanted, as bits.
    wanted: u32,
    found: Found,
}

impl<'a, 'k> Reader<'a, 'k> {
    fn new(signal: Signal, level: Level, columns: &[Column<'k>]) -> Self {
        let points = signal == Signal::Metrics && level == Level::Item;
        let mut keys: Vec<(&'k [u8], Option<Cell<'a>>)> = Vec::new();
        let mut wanted = 0;
        let mut holds = false;
        let mut sources = Vec::with_capacity(columns.len());
        for column in columns {
            sources.push(match *column {
                Column::Attribute(key) => {
                    let known = keys.iter().position(|(other, _)| *other == key);
                    if known.is_none() {
                        keys.push((key, None));
                    }
                    Source::Key(known.unwrap_or(keys.len() - 1))
                }
                Column::Attributes => {
                    holds = true;
                    Source::Attributes
                }
                Column::Fixed(fixed) => {
                    wanted |= bits_of(fixed, points);
                    Source::Fixed(fixed)
                }
            });
        }
        if let (Some(holder), _) = attributes(signal, level, 0)
            && (holds || !keys.is_empty())
        {
            wanted |= 1 << holder;
        }
        Self {
            signal,
            level,
            points,
            lengths: keys.iter().fold(0, |bits, (key, _)| bits | length_bit(key.len())),
            sources,
            keys,
            wanted,
            found: Found { seen: 0, parts: [Part { key: 0, tag: 0, start: 0, end: 0 }; 32] },
        }
    }

    /// Append the values of a row.
    fn read(&mut self, data: &'a [u8], node: &Node, data_number: u32, cells: &mut Vec<Cell<'a>>) {
        let row = data.get(node.start as usize..node.end as usize).unwrap_or_default();
        let (holder, number) = attributes(self.signal, self.level, data_number);
        for (_, value) in &mut self.keys {
            *value = None;
        }
        let all = match holder {
            None => {
                self.walk(row, number << 3 | 2);
                Pairs::new(row, number)
            }
            Some(holder) => {
                self.walk(row, 0);
                let inner = self.found.get(holder).map_or(&[][..], |part| body(row, part));
                if !self.keys.is_empty() {
                    self.find_keys(inner, number << 3 | 2);
                }
                Pairs::new(inner, number)
            }
        };
        let values = self.sources.iter().map(|source| match *source {
            Source::Key(place) => self.keys.get(place).and_then(|(_, value)| *value).unwrap_or(Cell::Absent),
            Source::Attributes => Cell::Map(all),
            Source::Fixed(fixed) => read_fixed(fixed, row, &self.found, data_number),
        });
        cells.extend(values);
    }

    /// Find the wanted fields of a row, and the wanted keys in those with the tag `pairs`.
    #[inline]
    fn walk(&mut self, row: &'a [u8], pairs: u32) {
        let mut seen = 0;
        let mut missing = if pairs == 0 { 0 } else { self.keys.len() };
        if self.wanted != 0 || missing > 0 {
            for part in Parts::new(row, 0) {
                if part.key == pairs {
                    missing -= usize::from(missing > 0 && self.keep(body(row, part)));
                } else if part.number() < 32 && self.wanted >> part.number() & 1 == 1 {
                    seen |= 1 << part.number();
                    if let Some(place) = self.found.parts.get_mut(part.number() as usize) {
                        *place = part;
                    }
                }
                if missing == 0 && seen == self.wanted {
                    break;
                }
            }
        }
        self.found.seen = seen;
    }

    fn find_keys(&mut self, body: &'a [u8], pairs: u32) {
        let mut missing = self.keys.len();
        for part in Parts::new(body, 0).filter(|part| part.key == pairs) {
            missing -= usize::from(self.keep(crate::parts::body(body, part)));
            if missing == 0 {
                break;
            }
        }
    }

    /// Keep the value of an attribute if its key is wanted and was not there before; say whether.
    #[inline]
    fn keep(&mut self, pair: &'a [u8]) -> bool {
        let key = key_of(pair);
        if self.lengths & length_bit(key.len()) == 0 {
            return false;
        }
        match self.keys.iter_mut().find(|(wanted, _)| *wanted == key) {
            Some((_, value @ None)) => {
                *value = Some(Cell::of_any(key_value(pair).1));
                true
            }
            _ => false,
        }
    }
}

/// Return the numbers of the fields that a fixed field is read from, as bits.
fn bits_of(fixed: Fixed, points: bool) -> u32 {
    match fixed {
        Fixed::Own(scalar) if points => 1 << scalar.number | 1 << of_point(HISTOGRAM, scalar.number),
        Fixed::Own(scalar) => 1 << scalar.number,
        Fixed::Inner(number, _) | Fixed::Any(number) => 1 << number,
        Fixed::Duration => 1 << 7 | 1 << 8,
        Fixed::Type | Fixed::OfData(..) => DATA,
        Fixed::Number => 1 << AS_DOUBLE | 1 << AS_INT,
        Fixed::Count => 1 << COUNT,
        Fixed::Sum => 1 << TOTAL,
    }
}

fn read_fixed<'a>(fixed: Fixed, row: &'a [u8], found: &Found, data_number: u32) -> Cell<'a> {
    match fixed {
        Fixed::Own(scalar) => {
            let number = if data_number == 0 { scalar.number } else { of_point(data_number, scalar.number) };
            read_scalar(row, found.get(number), scalar.kind)
        }
        Fixed::Inner(number, scalar) => match found.get(number) {
            Some(part) => scalar_of(body(row, part), scalar),
            None => read_scalar(row, None, scalar.kind),
        },
        Fixed::Any(number) => found.get(number).map_or(Cell::Absent, |part| Cell::of_any(body(row, part))),
        Fixed::Duration => {
            let time = |number| found.get(number).map_or(0, |part| u64::from_le_bytes(eight(row, part)));
            Cell::Difference(time(8), time(7))
        }
        Fixed::Type => match data_of(found) {
            Some(part) => Cell::Text(type_name(part.number())),
            None => Cell::Absent,
        },
        Fixed::OfData(types, scalar) => match data_of(found) {
            Some(part) if types >> part.number() & 1 == 1 => scalar_of(body(row, part), scalar),
            _ => Cell::Absent,
        },
        Fixed::Number => match (data_number, found.get(AS_DOUBLE), found.get(AS_INT)) {
            (GAUGE | SUM, Some(part), _) => Cell::Double(f64::from_le_bytes(eight(row, part))),
            (GAUGE | SUM, None, Some(part)) => Cell::Int(i64::from_le_bytes(eight(row, part))),
            _ => Cell::Absent,
        },
        Fixed::Count => match data_number {
            HISTOGRAM..=SUMMARY => read_scalar(row, found.get(COUNT), Kind::Fixed64),
            _ => Cell::Absent,
        },
        Fixed::Sum => match (data_number, found.get(TOTAL)) {
            (HISTOGRAM..=SUMMARY, Some(part)) => Cell::Double(f64::from_le_bytes(eight(row, part))),
            (SUMMARY, None) => Cell::Double(0.0),
            _ => Cell::Absent,
        },
    }
}

fn data_of(found: &Found) -> Option<Part> {
    [GAUGE, SUM, HISTOGRAM, EXPONENTIAL_HISTOGRAM, SUMMARY].into_iter().find_map(|number| found.get(number))
}

const fn type_name(data_number: u32) -> &'static [u8] {
    match data_number {
        GAUGE => b"gauge",
        SUM => b"sum",
        HISTOGRAM => b"histogram",
        EXPONENTIAL_HISTOGRAM => b"exponential_histogram",
        _ => b"summary",
    }
}

fn scalar_of<'a>(message: &'a [u8], scalar: &FieldType) -> Cell<'a> {
    read_scalar(message, Parts::new(message, 0).find(|part| part.number() == scalar.number), scalar.kind)
}

/// Return the value of a field without presence.
#[inline]
fn read_scalar<'a>(message: &'a [u8], part: Option<Part>, kind: Kind) -> Cell<'a> {
    match (kind, part) {
        (Kind::String, Some(part)) => Cell::Text(body(message, part)),
        (Kind::String, None) => Cell::Text(&[]),
        (Kind::Bytes, Some(part)) => Cell::Bytes(body(message, part)),
        (Kind::Bytes, None) => Cell::Bytes(&[]),
        (Kind::Bool, part) => Cell::Bool(part.is_some_and(|part| varint(message, part) != 0)),
        (_, None) => Cell::Uint(0),
        (Kind::Fixed64, Some(part)) => Cell::Uint(u64::from_le_bytes(eight(message, part))),
        (Kind::Fixed32, Some(part)) => Cell::Uint(u64::from(u32::from_le_bytes(four(message, part)))),
        (Kind::Uint32 | Kind::Uint64, Some(part)) => Cell::Uint(varint(message, part)),
        (_, Some(part)) => Cell::Int(varint(message, part) as i64), // enumerations
    }
}
