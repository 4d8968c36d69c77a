use std::ops::Range;

use otlp_wire::numbers::{EVENTS, LINKS};
use otlp_wire::{Index, Level, Node, Parts, Signal, depth};

use crate::bits::Bits;
use crate::edits::{Column, EditError, Edits, Target};
use crate::message::{Child, Children, Plan, Source};
use crate::pieces::Pieces;
use crate::schema::{Kind, Place};

/// Room for the pieces of an item with some edits.
const ROOM: usize = 32;

/// Return the request with the edits applied; everything that is not edited survives as it is.
pub fn rewrite<'a>(data: &'a [u8], index: &'a Index, edits: &'a Edits<'a>) -> Result<Pieces<'a>, EditError> {
    let mut rewrite = Rewrite::new(data, index, edits)?;
    let mut out = Pieces::new(data, ROOM);
    let outermost = 0..index.depths.first().map_or(0, Vec::len);
    rewrite.splice(&mut out, 0, outermost, (0, data.len()))?;
    Ok(out)
}

/// Whether a column changes the data of metrics, one depth below their own message.
fn in_data(column: &Column<'_>) -> bool {
    matches!(column.target, Target::Fixed(field) if matches!(field.place, Place::Data(..)))
}

/// The most depths that a signal has.
const DEPTHS: usize = 5;

struct Rewrite<'a> {
    source: Source<'a>,
    index: &'a Index,
    /// For each depth the messages in which something changes, or which vanish.
    touched: [Bits; DEPTHS],
    /// For each depth the messages that vanish, save those in others that do.
    gone: [Bits; DEPTHS],
    /// For each depth what changes, if something does.
    plans: [Option<Box<Plan<'a>>>; DEPTHS],
    children: Children<'a>,
}

impl<'a> Rewrite<'a> {
    fn new(data: &'a [u8], index: &'a Index, edits: &'a Edits<'a>) -> Result<Self, EditError> {
        let none = || std::array::from_fn(|depth| Bits::new(index.depths.get(depth).map_or(0, Vec::len)));
        let mut rewrite = Self {
            source: Source { data, edits },
            index,
            touched: none(),
            gone: none(),
            plans: Default::default(),
            children: Children::default(),
        };
        rewrite.plan();
        let events = rewrite.child(Level::Event, EVENTS, Kind::Event)?;
        let links = rewrite.child(Level::Link, LINKS, Kind::Link)?;
        if index.signal == Signal::Traces {
            // In other items these numbers are those of other fields.
            rewrite.children = Children { events, links };
        }
        rewrite.mark_edits()?;
        rewrite.mark_drops()?;
        rewrite.mark_outwards();
        Ok(rewrite)
    }

    /// Give every column to the plan of the messages that it changes.
    fn plan(&mut self) {
        let columns = &self.source.edits.columns;
        for (number, column) in columns.iter().enumerate() {
            let depth = depth(self.index.signal, column.level).map(|depth| depth + usize::from(in_data(column)));
            if let Some(plan) = depth.and_then(|depth| self.plans.get_mut(depth)) {
                plan.get_or_insert_with(|| Box::new(Plan::new(columns.len()))).add(number, column);
            }
        }
        self.plans.iter_mut().flatten().for_each(|plan| plan.complete());
    }

    fn nodes(&self, depth: usize) -> &'a [Node] {
        self.index.depths.get(depth).map_or(&[], Vec::as_slice)
    }

    /// The children, one depth further in, of a message; they follow one another.
    fn family(&self, depth: usize, parent: usize) -> Range<usize> {
        let kids = self.nodes(depth + 1);
        let first = kids.partition_point(|kid| (kid.parent as usize) < parent);
        let rest = kids.get(first..).unwrap_or_default();
        first..first + rest.partition_point(|kid| kid.parent as usize == parent)
    }

    fn touch(&mut self, depth: usize, row: usize) {
        if let Some(touched) = self.touched.get_mut(depth) {
            touched.add(row);
        }
    }

    fn mark_edits(&mut self) -> Result<(), EditError> {
        for column in &self.source.edits.columns {
            let Some(depth) = depth(self.index.signal, column.level) else {
                if !matches!(column.level, Level::Event | Level::Link) {
                    check_rows(column.level, &column.rows, 0)?;
                }
                continue;
            };
            check_rows(column.level, &column.rows, self.nodes(depth).len())?;
            for &(row, _) in &column.rows {
                self.touch(depth, row as usize);
            }
            if in_data(column) {
                for &(row, _) in &column.rows {
                    for data in self.family(depth, row as usize) {
                        self.touch(depth + 1, data);
                    }
                }
            }
        }
        Ok(())
    }

    fn mark_drops(&mut self) -> Result<(), EditError> {
        for (level, rows) in &self.source.edits.drops {
            let Some(depth) = depth(self.index.signal, *level) else { continue };
            let count = self.nodes(depth).len();
            for &row in rows {
                if row as usize >= count {
                    return Err(EditError::NoRow(*level, row));
                }
                self.touch(depth, row as usize);
                if let Some(gone) = self.gone.get_mut(depth) {
                    gone.add(row as usize);
                }
            }
        }
        Ok(())
    }

    /// Mark what contains marked messages; it vanishes if all in it does.
    fn mark_outwards(&mut self) {
        for depth in (0..self.index.depths.len().saturating_sub(1)).rev() {
            let mut from = 0;
            while let Some(kid) = self.touched.get(depth + 1).and_then(|touched| touched.next(from)) {
                let Some(node) = self.nodes(depth + 1).get(kid) else { break };
                let parent = node.parent as usize;
                self.touch(depth, parent);
                let mut family = self.family(depth, parent);
                from = family.end.max(kid + 1);
                if let Some(inside) = self.gone.get(depth + 1)
                    && family.all(|kid| inside.has(kid))
                    && let Some(gone) = self.gone.get_mut(depth)
                {
                    gone.add(parent);
                }
            }
        }
    }

    /// Return what happens to events or links if something does, and mark their items.
    fn child(&mut self, level: Level, number: u32, kind: Kind) -> Result<Option<Child<'a>>, EditError> {
        let edits = self.source.edits;
        let columns = || edits.columns.iter().filter(|column| column.level == level);
        let drops = || edits.drops.iter().filter(|(of, _)| *of == level).flat_map(|(_, rows)| rows);
        if columns().next().is_none() && drops().next().is_none() {
            return Ok(None);
        }
        let firsts = self.firsts(number);
        let count = firsts.last().copied().unwrap_or_default();
        let mut gone = Bits::new(count as usize);
        for &row in drops() {
            gone.add(row as usize);
        }
        let edited = columns().flat_map(|column| column.rows.iter().map(|(row, _)| row));
        let items = self.index.depths.len().saturating_sub(1);
        for &row in edited.chain(drops()) {
            if row >= count {
                return Err(EditError::NoRow(level, row));
            }
            let item = firsts.partition_point(|&first| first <= row).saturating_sub(1);
            self.touch(items, item);
        }
        let mut plan = Plan::new(edits.columns.len());
        for (number, column) in edits.columns.iter().enumerate().filter(|(_, column)| column.level == level) {
            plan.add(number, column);
        }
        plan.complete();
        Ok(Some(Child { plan, kind, gone, firsts, next: 0 }))
    }

    /// Count the events or links: the row of the first in each item, and how many there are.
    fn firsts(&self, number: u32) -> Vec<u32> {
        let mut count = 0;
        let mut firsts = vec![0];
        if self.index.signal == Signal::Traces {
            for item in self.index.items() {
                let fields = Parts::within(self.source.data, item.start as usize, item.end as usize);
                count += fields.filter(|field| field.key == number << 3 | 2).count() as u32;
                firsts.push(count);
            }
        }
        firsts
    }

    /// Take a range of bytes over, with those messages in it edited that are marked.
    fn splice(
        &mut self,
        out: &mut Pieces<'a>,
        depth: usize,
        kids: Range<usize>,
        (mut pos, end): (usize, usize),
    ) -> Result<(), EditError> {
        let mut next = kids.start;
        while let Some(kid) = self.touched.get(depth).and_then(|touched| touched.next(next)).filter(|&k| k < kids.end) {
            let Some(&node) = self.nodes(depth).get(kid) else { break };
            out.copy(pos, node.tag as usize);
            self.node(out, depth, kid, node)?;
            pos = node.end as usize;
            next = kid + 1;
        }
        out.copy(pos, end);
        Ok(())
    }

    /// Write a marked message.
    fn node(&mut self, out: &mut Pieces<'a>, depth: usize, row: usize, node: Node) -> Result<(), EditError> {
        if self.gone.get(depth).is_some_and(|gone| gone.has(row)) {
            return Ok(());
        }
        let kind = self.kind(depth, node);
        let own_row = if matches!(kind, Kind::Data(_)) { node.parent } else { row as u32 };
        let selected = self.plans.get_mut(depth).and_then(Option::as_mut).map(|plan| plan.select(own_row, kind));
        let selected = selected.transpose()?.unwrap_or(false);
        let mark = out.open(u32::from(self.byte(node.tag)));
        let body = (node.start as usize, node.end as usize);
        if depth + 1 == self.index.depths.len() {
            self.item(out, depth, row, body)?;
        } else {
            let kids = self.family(depth, row);
            if kind == Kind::Metric && kids.is_empty() {
                self.check_lack_of_data(own_row)?;
            }
            if selected {
                self.edited_container(out, depth, kids, body)?;
            } else {
                self.splice(out, depth + 1, kids, body)?;
            }
        }
        out.close(mark);
        Ok(())
    }

    /// Write the body of an item.
    fn item(&mut self, out: &mut Pieces<'a>, depth: usize, row: usize, body: (usize, usize)) -> Result<(), EditError> {
        self.children.select(row);
        // Where only events and links change, an empty plan finds them.
        let plan = self.plans.get_mut(depth).map(|plan| plan.get_or_insert_with(|| Box::new(Plan::new(0))));
        let Some(plan) = plan else { return Ok(()) };
        plan.fields(out, self.source, body, Some(&mut self.children))?;
        plan.finish(out, self.source)
    }

    /// Write the body of a container whose own fields change: they lie between its children.
    fn edited_container(
        &mut self,
        out: &mut Pieces<'a>,
        depth: usize,
        kids: Range<usize>,
        (mut pos, end): (usize, usize),
    ) -> Result<(), EditError> {
        for kid in kids {
            let Some(&node) = self.nodes(depth + 1).get(kid) else { break };
            self.gap(out, depth, (pos, node.tag as usize))?;
            if self.touched.get(depth + 1).is_some_and(|touched| touched.has(kid)) {
                self.node(out, depth + 1, kid, node)?;
            } else {
                out.copy(node.tag as usize, node.end as usize);
            }
            pos = node.end as usize;
        }
        self.gap(out, depth, (pos, end))?;
        let source = self.source;
        self.plans.get_mut(depth).and_then(Option::as_mut).map_or(Ok(()), |plan| plan.finish(out, source))
    }

    fn gap(&mut self, out: &mut Pieces<'a>, depth: usize, range: (usize, usize)) -> Result<(), EditError> {
        if range.0 >= range.1 {
            return Ok(());
        }
        let source = self.source;
        let plan = self.plans.get_mut(depth).and_then(Option::as_mut);
        plan.map_or(Ok(()), |plan| plan.fields(out, source, range, None))
    }

    /// A metric without data cannot hold what is said of its data.
    fn check_lack_of_data(&mut self, row: u32) -> Result<(), EditError> {
        const DATA: usize = 3;
        let plan = self.plans.get_mut(DATA).and_then(Option::as_mut);
        plan.map_or(Ok(()), |plan| plan.select(row, Kind::Data(0)).map(drop))
    }

    fn byte(&self, at: u32) -> u8 {
        self.source.data.get(at as usize).copied().unwrap_or_default()
    }

    fn kind(&self, depth: usize, node: Node) -> Kind {
        match (self.index.signal, depth) {
            (_, 0) => Kind::Resource,
            (_, 1) => Kind::Scope,
            (Signal::Traces, _) => Kind::Span,
            (Signal::Logs, _) => Kind::Log,
            (Signal::Metrics, 2) => Kind::Metric,
            (Signal::Metrics, 3) => Kind::Data(u32::from(self.byte(node.tag) >> 3)),
            (Signal::Metrics, _) => Kind::Point(self.index.data_number(self.source.data, &node)),
        }
    }
}

fn check_rows(level: Level, rows: &[(u32, crate::Slot)], count: usize) -> Result<(), EditError> {
    match rows.last() {
        Some(&(row, _)) if row as usize >= count => Err(EditError::NoRow(level, row)),
        _ => Ok(()),
    }
}
