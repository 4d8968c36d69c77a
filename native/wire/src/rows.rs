//! Rows of levels: which messages they are, and in which rows they lie.

use crate::cell::{Pairs, key_of};
use crate::fixed::attributes;
use crate::numbers::{EVENTS, LINKS};
use crate::parts::{Parts, body};
use crate::path::depth;
use crate::{Index, Level, Node, Signal};

impl Index {
    /// Return the rows of a level that the request's containers or items are; none for events and links.
    pub fn level(&self, level: Level) -> Option<&[Node]> {
        self.depths.get(depth(self.signal, level)?).map(Vec::as_slice)
    }

    /// Find the events or links of all spans; their parents are items.
    pub fn nested(&self, data: &[u8], level: Level) -> Vec<Node> {
        let key = match (self.signal, level) {
            (Signal::Traces, Level::Event) => EVENTS << 3 | 2,
            (Signal::Traces, Level::Link) => LINKS << 3 | 2,
            _ => return Vec::new(),
        };
        let mut found = Vec::new();
        for (row, item) in self.items().iter().enumerate() {
            let parts = Parts::within(data, item.start as usize, item.end as usize).filter(|part| part.key == key);
            found.extend(parts.map(|part| Node {
                tag: part.tag as u32,
                start: part.start as u32,
                end: part.end as u32,
                parent: row as u32,
            }));
        }
        found
    }

    /// Return for each of `rows`, which are those of `level`, its row at `ancestor`; `None` unless that lies outside.
    ///
    /// A level that the signal does not have has no rows, and lies everywhere.
    pub fn parents(&self, rows: &[Node], level: Level, ancestor: Level) -> Option<Vec<u32>> {
        let bottom = match (self.signal, level) {
            (Signal::Traces, Level::Event | Level::Link) => self.depths.len(),
            _ => match depth(self.signal, level) {
                Some(own) => own,
                None => return Some(Vec::new()),
            },
        };
        let top = depth(self.signal, ancestor).filter(|top| *top < bottom)?;
        let mut found: Vec<u32> = rows.iter().map(|node| node.parent).collect();
        for nodes in self.depths.get(top + 1..bottom)?.iter().rev() {
            for row in &mut found {
                *row = nodes.get(*row as usize)?.parent;
            }
        }
        Some(found)
    }

    /// Return the field number of the data that a data point lies in; 0 for items of other signals.
    #[inline]
    pub fn data_number(&self, data: &[u8], item: &Node) -> u32 {
        match self.depths.as_slice() {
            [_, _, _, datas, _] => datas
                .get(item.parent as usize)
                .and_then(|node| data.get(node.tag as usize))
                .map_or(0, |&tag| u32::from(tag >> 3)),
            _ => 0,
        }
    }

    /// Return the attributes of a row.
    #[inline]
    pub fn attributes<'a>(&self, data: &'a [u8], level: Level, node: &Node) -> Pairs<'a> {
        let row = data.get(node.start as usize..node.end as usize).unwrap_or_default();
        let number = if level == Level::Item { self.data_number(data, node) } else { 0 };
        match attributes(self.signal, level, number) {
            (None, number) => Pairs::new(row, number),
            (Some(holder), number) => {
                let inner = Parts::new(row, 0).find(|part| part.key == holder << 3 | 2);
                Pairs::new(inner.map_or(&[], |part| body(row, part)), number)
            }
        }
    }

    /// Return those of `rows`, which are rows of `level`, that have an attribute key more than once.
    pub fn repeated_keys(&self, data: &[u8], level: Level, rows: &[Node]) -> Vec<u32> {
        let mut found = Vec::new();
        // Rows of one producer have the same keys in the same order.
        let mut last: Vec<&[u8]> = Vec::new();
        let mut sorted: Vec<&[u8]> = Vec::new();
        let mut repeats = false;
        for (number, row) in rows.iter().enumerate() {
            let mut count = 0;
            let mut same = true;
            for (place, key) in self.attributes(data, level, row).keys().enumerate() {
                count += 1;
                if same && last.get(place) != Some(&key) {
                    same = false;
                    last.truncate(place);
                }
                if !same {
                    last.push(key);
                }
            }
            if !same || count != last.len() {
                last.truncate(count);
                sorted.clone_from(&last);
                sorted.sort_unstable();
                repeats = sorted.windows(2).any(|pair| matches!(pair, [one, other] if one == other));
            }
            if repeats {
                found.push(number as u32);
            }
        }
        found
    }
}

impl<'a> Pairs<'a> {
    /// Go through the keys, in wire order.
    #[inline]
    pub fn keys(self) -> impl Iterator<Item = &'a [u8]> {
        self.bodies().map(key_of)
    }
}
