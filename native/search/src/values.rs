//! The string values of a decoded request: attributes of resources, scopes, items and span events, bodies of log records.

use std::ops::Range;

use otlp_wire::{Index, Level, Node, Signal};

use crate::Searcher;
use crate::parts::{Part, Parts};

/// A string value that some pattern matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Level of the row.
    pub level: Level,
    /// Row at that level.
    pub row: u32,
    /// Where the key of the attribute lies; `None` for the body of a log record.
    pub key: Option<Range<usize>>,
    /// Where the value lies.
    pub value: Range<usize>,
}

/// What a search found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Values that match and that columns show, level by level, in wire order.
    pub places: Vec<Place>,
    /// Level and row of values that match, but lie behind an equal key: receivers may see them, columns do not.
    pub hidden: Vec<(Level, u32)>,
    /// Log records whose body is neither a string nor absent, and whether a string anywhere inside of it matches.
    pub bodies: Vec<(u32, bool)>,
}

/// Field numbers of what a message of some level has; 0 where it has no such part.
#[derive(Clone, Copy)]
struct Layout {
    level: Level,
    attributes: u32,
    events: u32,
    body: u32,
}

const RESOURCE: Layout = Layout { level: Level::Resource, attributes: 1, events: 0, body: 0 };
const SCOPE: Layout = Layout { level: Level::Scope, attributes: 3, events: 0, body: 0 };
const SPAN: Layout = Layout { level: Level::Item, attributes: 9, events: 11, body: 0 };
const EVENT: Layout = Layout { level: Level::Event, attributes: 3, events: 0, body: 0 };
const LOG_RECORD: Layout = Layout { level: Level::Item, attributes: 6, events: 0, body: 5 };

/// Return where any pattern of a searcher matches a string value, within all levels or one, under all keys or one.
///
/// Strings within lists and maps, keys, names and messages are not looked at.
pub fn search(searcher: &Searcher, data: &[u8], index: &Index, level: Option<Level>, key: Option<&[u8]>) -> Found {
    let mut walk = Walk { searcher, data, level, key, events: 0, found: Found::default() };
    for (depth, layout) in [RESOURCE, SCOPE].into_iter().enumerate() {
        if walk.wants(layout.level) {
            for (row, node) in index.depths.get(depth).into_iter().flatten().enumerate() {
                walk.described(row as u32, node, layout);
            }
        }
    }
    if !(walk.wants(Level::Item) || index.signal == Signal::Traces && walk.wants(Level::Event)) {
        return walk.found;
    }
    for (row, node) in index.items().iter().enumerate() {
        let layout = match index.signal {
            Signal::Traces => SPAN,
            Signal::Logs => LOG_RECORD,
            Signal::Metrics => {
                let attributes = point_attributes(data, index, node);
                Layout { level: Level::Item, attributes, events: 0, body: 0 }
            }
        };
        walk.message(row as u32, node.start as usize, node.end as usize, layout);
    }
    if walk.events > 0 {
        walk.found.places.sort_by_key(|place| place.level);
    }
    walk.found
}

/// Return the number of the field with the attributes of a point, which differs between kinds of metrics.
fn point_attributes(data: &[u8], index: &Index, point: &Node) -> u32 {
    let kinds = index.depths.len().checked_sub(2).and_then(|depth| index.depths.get(depth));
    let kind = kinds.and_then(|kinds| kinds.get(point.parent as usize));
    match kind.and_then(|kind| data.get(kind.tag as usize)).map(|tag| tag >> 3) {
        Some(9) => 9,  // Histogram
        Some(10) => 1, // ExponentialHistogram
        _ => 7,        // Gauge, Sum, Summary
    }
}

struct Walk<'a> {
    searcher: &'a Searcher,
    data: &'a [u8],
    level: Option<Level>,
    key: Option<&'a [u8]>,
    /// Events so far.
    events: u32,
    found: Found,
}

impl<'a> Walk<'a> {
    fn wants(&self, level: Level) -> bool {
        self.level.is_none_or(|wanted| wanted == level)
    }

    #[inline]
    fn parts(&self, start: usize, end: usize) -> Parts<'a> {
        Parts::new(self.data, start, end)
    }

    fn slice(&self, range: Range<usize>) -> &'a [u8] {
        self.data.get(range).unwrap_or_default()
    }

    /// Look at a container: what describes it is its field 1.
    fn described(&mut self, row: u32, node: &Node, layout: Layout) {
        let (start, end) = (node.start as usize, node.end as usize);
        if let Some(part) = self.parts(start, end).find(|part| part.number == 1) {
            self.message(row, part.start, part.end, layout);
        }
    }

    #[inline]
    fn message(&mut self, row: u32, start: usize, end: usize, layout: Layout) {
        let wanted = self.wants(layout.level);
        for part in self.parts(start, end) {
            if part.number == layout.attributes {
                if wanted {
                    self.attribute(row, part, start, layout);
                }
            } else if part.number == layout.events {
                let event = self.events;
                self.events += 1;
                if self.wants(Level::Event) {
                    self.message(event, part.start, part.end, EVENT);
                }
            } else if part.number == layout.body && wanted && self.key.is_none() {
                self.body(row, part);
            }
        }
    }

    fn body(&mut self, row: u32, body: Part) {
        if let Some(value) = self.string(body.start, body.end) {
            if self.searcher.matches(self.slice(value.clone())) {
                self.found.places.push(Place { level: Level::Item, row, key: None, value });
            }
        } else if body.start < body.end {
            self.found.bodies.push((row, self.matches_within(body)));
        }
    }

    /// Whether a string within a list or a map matches.
    fn matches_within(&self, value: Part) -> bool {
        let mut pending = vec![value];
        while let Some(value) = pending.pop() {
            for kind in self.parts(value.start, value.end) {
                match kind.number {
                    1 if self.searcher.matches(self.slice(kind.start..kind.end)) => return true,
                    5 => pending.extend(self.parts(kind.start, kind.end).filter(|part| part.number == 1)),
                    6 => {
                        let pairs = self.parts(kind.start, kind.end).filter(|part| part.number == 1);
                        pending.extend(
                            pairs.flat_map(|pair| self.parts(pair.start, pair.end).filter(|part| part.number == 2)),
                        );
                    }
                    _ => {}
                }
            }
        }
        false
    }

    #[inline]
    fn attribute(&mut self, row: u32, attribute: Part, first: usize, layout: Layout) {
        let Some((key, value)) = self.pair(attribute) else { return };
        if self.key.is_some_and(|wanted| wanted != self.slice(key.clone()))
            || !self.searcher.matches(self.slice(value.clone()))
        {
            return;
        }
        if self.is_behind_equal(&key, first, attribute.tag, layout) {
            self.found.hidden.push((layout.level, row));
        } else {
            self.found.places.push(Place { level: layout.level, row, key: Some(key), value });
        }
    }

    /// Return key and value of an attribute whose value is a string.
    #[inline]
    fn pair(&self, attribute: Part) -> Option<(Range<usize>, Range<usize>)> {
        let mut key = attribute.start..attribute.start;
        let mut value = None;
        for part in self.parts(attribute.start, attribute.end) {
            match part.number {
                1 => key = part.start..part.end,
                2 => value = self.string(part.start, part.end),
                _ => {}
            }
        }
        value.map(|value| (key, value))
    }

    /// Return where the string of an `AnyValue` lies, if it is one.
    #[inline]
    fn string(&self, start: usize, end: usize) -> Option<Range<usize>> {
        let part = self.parts(start, end).find(|part| part.number == 1)?;
        Some(part.start..part.end)
    }

    /// Whether an attribute between two offsets, of whatever type, has this key.
    fn is_behind_equal(&self, key: &Range<usize>, first: usize, until: usize, layout: Layout) -> bool {
        let wanted = self.slice(key.clone());
        self.parts(first, until).filter(|part| part.number == layout.attributes).any(|other| {
            let key = self.parts(other.start, other.end).find(|part| part.number == 1);
            key.map_or(&[][..], |key| self.slice(key.start..key.end)) == wanted
        })
    }
}
