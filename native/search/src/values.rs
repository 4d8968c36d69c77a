//! The string values of a decoded request: attributes of resources, scopes, items and span events, bodies of log records.

use std::collections::HashSet;
use std::ops::Range;

use otlp_wire::numbers::EVENTS;
use otlp_wire::{Index, Level, Node, Part, Parts, Signal, attributes};

use crate::Searcher;

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

/// Field 1: the content of a container, the key of a pair, a string, an element of a list or of a map.
const FIRST: u32 = tag(1);
/// The value of a pair.
const VALUE: u32 = tag(2);
/// A list in an `AnyValue`.
const ARRAY: u32 = tag(5);
/// A map in an `AnyValue`.
const KVLIST: u32 = tag(6);

/// From this match of a message on, the keys before it are kept: a walk for each would take a large message hours.
const MANY_MATCHES: u32 = 16;

/// The tags of what holds strings in a message of some level; 0 where it has no such part.
#[derive(Clone, Copy)]
struct Layout {
    level: Level,
    attributes: u32,
    events: u32,
    body: u32,
}

impl Layout {
    /// Say how rows of a level look; those of points, in the data with that field number.
    const fn new(signal: Signal, level: Level, data_number: u32) -> Self {
        let (_, number) = attributes(signal, level, data_number);
        let (events, body) = match (signal, level) {
            (Signal::Traces, Level::Item) => (tag(EVENTS), 0),
            (Signal::Logs, Level::Item) => (0, tag(5)),
            _ => (0, 0),
        };
        Self { level, attributes: tag(number), events, body }
    }
}

const EVENT: Layout = Layout::new(Signal::Traces, Level::Event, 0);

const fn tag(number: u32) -> u32 {
    number << 3 | 2
}

/// Return where any pattern of a searcher matches a string value, within all levels or one, under all keys or one.
///
/// Strings within lists and maps, keys, names and messages are not looked at.
pub fn search(searcher: &Searcher, data: &[u8], index: &Index, level: Option<Level>, key: Option<&[u8]>) -> Found {
    let mut walk = Walk { searcher, data, level, key, events: 0, found: Found::default() };
    for level in [Level::Resource, Level::Scope] {
        if walk.wants(level) {
            let layout = Layout::new(index.signal, level, 0);
            for (row, node) in index.level(level).unwrap_or_default().iter().enumerate() {
                walk.described(row as u32, node, layout);
            }
        }
    }
    if !(walk.wants(Level::Item) || index.signal == Signal::Traces && walk.wants(Level::Event)) {
        return walk.found;
    }
    for (row, node) in index.items().iter().enumerate() {
        let layout = Layout::new(index.signal, Level::Item, index.data_number(data, node));
        walk.message(row as u32, node.start as usize, node.end as usize, layout);
    }
    if walk.events > 0 {
        walk.found.places.sort_by_key(|place| place.level);
    }
    walk.found
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

/// The keys of a message, for telling which matches lie behind an equal one.
struct Keys<'a> {
    /// Where the attributes begin whose keys are not among those found.
    from: usize,
    /// How many matches there were.
    matches: u32,
    found: HashSet<&'a [u8]>,
}

impl<'a> Walk<'a> {
    fn wants(&self, level: Level) -> bool {
        self.level.is_none_or(|wanted| wanted == level)
    }

    #[inline]
    fn parts(&self, start: usize, end: usize) -> Parts<'a> {
        Parts::within(self.data, start, end)
    }

    fn slice(&self, range: Range<usize>) -> &'a [u8] {
        self.data.get(range).unwrap_or_default()
    }

    /// Look at a container: what describes it is its field 1.
    fn described(&mut self, row: u32, node: &Node, layout: Layout) {
        let (start, end) = (node.start as usize, node.end as usize);
        if let Some(part) = self.parts(start, end).find(|part| part.key == FIRST) {
            self.message(row, part.start, part.end, layout);
        }
    }

    #[inline]
    fn message(&mut self, row: u32, start: usize, end: usize, layout: Layout) {
        let wanted = self.wants(layout.level);
        let mut keys = Keys { from: start, matches: 0, found: HashSet::new() };
        for part in self.parts(start, end) {
            if part.key == layout.attributes {
                if wanted {
                    self.attribute(row, part, &mut keys, layout);
                }
            } else if part.key == layout.events {
                let event = self.events;
                self.events += 1;
                if self.wants(Level::Event) {
                    self.message(event, part.start, part.end, EVENT);
                }
            } else if part.key == layout.body && wanted && self.key.is_none() {
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
                match kind.key {
                    FIRST if self.searcher.matches(self.slice(kind.start..kind.end)) => return true,
                    ARRAY => pending.extend(self.parts(kind.start, kind.end).filter(|part| part.key == FIRST)),
                    KVLIST => {
                        let pairs = self.parts(kind.start, kind.end).filter(|part| part.key == FIRST);
                        pending.extend(
                            pairs.flat_map(|pair| self.parts(pair.start, pair.end).filter(|part| part.key == VALUE)),
                        );
                    }
                    _ => {}
                }
            }
        }
        false
    }

    #[inline]
    fn attribute(&mut self, row: u32, attribute: Part, keys: &mut Keys<'a>, layout: Layout) {
        let Some((key, value)) = self.pair(attribute) else { return };
        if self.key.is_some_and(|wanted| wanted != self.slice(key.clone()))
            || !self.searcher.matches(self.slice(value.clone()))
        {
            return;
        }
        if self.is_behind_equal(self.slice(key.clone()), attribute.tag, keys, layout.attributes) {
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
            match part.key {
                FIRST => key = part.start..part.end,
                VALUE => value = self.string(part.start, part.end),
                _ => {}
            }
        }
        value.map(|value| (key, value))
    }

    /// Return where the string of an `AnyValue` lies, if it is one.
    #[inline]
    fn string(&self, start: usize, end: usize) -> Option<Range<usize>> {
        let part = self.parts(start, end).find(|part| part.key == FIRST)?;
        Some(part.start..part.end)
    }

    /// Whether an attribute before that offset, of whatever type, has this key.
    fn is_behind_equal(&self, key: &[u8], until: usize, keys: &mut Keys<'a>, attributes: u32) -> bool {
        let mut before =
            self.parts(keys.from, until).filter(|part| part.key == attributes).map(|other| self.key_of(other));
        keys.matches += 1;
        if keys.matches < MANY_MATCHES {
            return before.any(|other| other == key);
        }
        keys.found.extend(before);
        keys.from = until;
        keys.found.contains(key)
    }

    fn key_of(&self, attribute: Part) -> &'a [u8] {
        let key = self.parts(attribute.start, attribute.end).find(|part| part.key == FIRST);
        key.map_or(&[], |key| self.slice(key.start..key.end))
    }
}
