use otlp_wire::{Index, Node, varint_len};

use crate::pieces::{Mark, Pieces, header_len};

/// The most depths that a signal has.
const DEPTHS: usize = 5;

/// Room for the pieces of one item and what is around it. There may be a request for each of many tiny items.
const ROOM: usize = DEPTHS + 2;

/// Return `count` requests; item `i` goes to `groups[i]`, or nowhere where there is no such group.
///
/// Every request repeats what its containers hold besides items; containers without items of it are left out.
pub fn partition<'a>(data: &'a [u8], index: &'a Index, groups: &[i64], count: usize) -> Vec<Pieces<'a>> {
    let items = index.items();
    let mut surroundings = Surroundings::new(data, index);
    let group_of = |row: usize| {
        let group = groups.get(row).and_then(|&group| usize::try_from(group).ok());
        group.filter(|&group| group < count)
    };
    let mut ends = vec![0u32; count + 1];
    for group in (0..items.len()).filter_map(group_of) {
        if let Some(end) = ends.get_mut(group + 1) {
            *end += 1;
        }
    }
    let mut sum = 0;
    for end in &mut ends {
        sum += *end;
        *end = sum;
    }
    // Now each group begins where the one before it ends; filling it moves that up to its own end.
    let mut rows = vec![0u32; sum as usize];
    for row in 0..items.len() {
        if let Some(place) = group_of(row).and_then(|group| ends.get_mut(group)) {
            if let Some(slot) = rows.get_mut(*place as usize) {
                *slot = row as u32;
            }
            *place += 1;
        }
    }
    let mut begin = 0;
    ends.iter()
        .take(count)
        .map(|&end| {
            let part = rows.get(begin..end as usize).unwrap_or_default();
            begin = end as usize;
            surroundings.request(part)
        })
        .collect()
}

/// Return requests of at most that many items and bytes (0 = no limit), in order, each as full as it can be.
///
/// A single item larger than `max_bytes` becomes a request of its own.
pub fn split<'a>(data: &'a [u8], index: &'a Index, max_items: usize, max_bytes: usize) -> Vec<Pieces<'a>> {
    let items = index.items();
    let fits = (max_items == 0 || items.len() <= max_items) && (max_bytes == 0 || data.len() <= max_bytes);
    if fits || items.is_empty() {
        let mut whole = Pieces::new(data, 0);
        whole.copy(0, data.len());
        return vec![whole];
    }
    let max_items = if max_items == 0 { items.len() } else { max_items };
    let max_bytes = if max_bytes == 0 { data.len() } else { max_bytes };
    let sizes = empty_sizes(data, index);
    let mut surroundings = Surroundings::new(data, index);
    let mut part = Part::new(index, &sizes);
    let mut parts = Vec::new();
    let mut rows: Vec<u32> = Vec::new();
    for (row, item) in items.iter().enumerate() {
        let size = (item.end - item.tag) as usize;
        let mut growth = part.growth(item.parent, size);
        if !rows.is_empty() && (rows.len() == max_items || part.size + growth[0] > max_bytes) {
            parts.push(surroundings.request(&rows));
            rows.clear();
            part = Part::new(index, &sizes);
            growth = part.growth(item.parent, size);
        }
        part.add(item.parent, &growth);
        rows.push(row as u32);
    }
    parts.push(surroundings.request(&rows));
    parts
}

/// What containers hold besides their children; found when it is first needed.
struct Surroundings<'a> {
    data: &'a [u8],
    index: &'a Index,
    /// By depth of the container, the request itself being the first.
    known: Vec<Vec<Option<Around>>>,
}

/// Everything of a container that is not in a child: the bytes before the first, and all others.
#[derive(Clone, Debug)]
struct Around {
    head: (usize, usize),
    tail: Vec<(usize, usize)>,
}

impl<'a> Surroundings<'a> {
    fn new(data: &'a [u8], index: &'a Index) -> Self {
        let containers = index.depths.len().saturating_sub(1);
        let mut known = vec![vec![None]];
        known.extend(index.depths.iter().take(containers).map(|nodes| vec![None; nodes.len()]));
        Self { data, index, known }
    }

    /// Return the request that holds those items, in ascending order.
    fn request(&mut self, rows: &[u32]) -> Pieces<'a> {
        let mut out = Pieces::new(self.data, ROOM);
        self.copy_head(&mut out, 0, 0);
        let containers = self.index.depths.len().saturating_sub(1);
        let mut open: Vec<(u32, Mark)> = Vec::with_capacity(containers);
        for &row in rows {
            let Some(item) = self.index.items().get(row as usize) else { continue };
            if open.last().is_none_or(|&(node, _)| node != item.parent) {
                self.enter(&mut out, &mut open, item.parent);
            }
            out.copy(item.tag as usize, item.end as usize);
        }
        self.leave(&mut out, &mut open, 0);
        self.copy_tail(&mut out, 0, 0);
        out
    }

    /// Close containers, and open others, so that the innermost is `node`.
    fn enter(&mut self, out: &mut Pieces<'a>, open: &mut Vec<(u32, Mark)>, node: u32) {
        let containers = self.index.depths.len().saturating_sub(1);
        let path = path_to(self.index, node);
        let same = open.iter().zip(path).take_while(|((node, _), wanted)| node == wanted).count();
        self.leave(out, open, same);
        for (depth, node) in path.into_iter().enumerate().take(containers).skip(same) {
            let nodes = self.index.depths.get(depth).map_or(&[][..], Vec::as_slice);
            let Some(found) = nodes.get(node as usize) else { return };
            let tag = self.data.get(found.tag as usize).copied().unwrap_or_default();
            open.push((node, out.open(tag.into())));
            self.copy_head(out, depth + 1, node);
        }
    }

    /// Close containers until so many are open.
    fn leave(&mut self, out: &mut Pieces<'a>, open: &mut Vec<(u32, Mark)>, keep: usize) {
        while open.len() > keep {
            let Some((node, mark)) = open.pop() else { return };
            self.copy_tail(out, open.len() + 1, node);
            out.close(mark);
        }
    }

    fn copy_head(&mut self, out: &mut Pieces<'a>, depth: usize, node: u32) {
        if let Some(around) = self.around(depth, node) {
            out.copy(around.head.0, around.head.1);
        }
    }

    fn copy_tail(&mut self, out: &mut Pieces<'a>, depth: usize, node: u32) {
        if let Some(around) = self.around(depth, node) {
            for &(start, end) in &around.tail {
                out.copy(start, end);
            }
        }
    }

    fn around(&mut self, depth: usize, node: u32) -> Option<&Around> {
        let body = match depth.checked_sub(1) {
            None => (0, self.data.len()),
            Some(above) => self.index.depths.get(above)?.get(node as usize).map(body_of)?,
        };
        let kids = self.index.depths.get(depth)?;
        let known = self.known.get_mut(depth)?.get_mut(node as usize)?;
        Some(known.get_or_insert_with(|| Around::of(body, kids, node)))
    }
}

impl Around {
    fn of((mut pos, end): (usize, usize), kids: &[Node], parent: u32) -> Self {
        let first = kids.partition_point(|kid| kid.parent < parent);
        let family = kids.iter().skip(first).take_while(|kid| kid.parent == parent);
        let mut head = None;
        let mut tail = Vec::new();
        for kid in family {
            let gap = (pos, kid.tag as usize);
            if head.is_none() {
                head = Some(gap);
            } else if gap.0 < gap.1 {
                tail.push(gap);
            }
            pos = kid.end as usize;
        }
        if pos < end {
            tail.push((pos, end));
        }
        Self { head: head.unwrap_or((pos, pos)), tail }
    }
}

fn body_of(node: &Node) -> (usize, usize) {
    (node.start as usize, node.end as usize)
}

/// The containers on the way to one that holds items, from the outside in.
fn path_to(index: &Index, mut node: u32) -> [u32; DEPTHS] {
    let mut path = [0; DEPTHS];
    let containers = index.depths.len().saturating_sub(1).min(DEPTHS);
    for (place, nodes) in path.iter_mut().zip(&index.depths).take(containers).rev() {
        *place = node;
        node = nodes.get(node as usize).map_or(0, |found| found.parent);
    }
    path
}

/// The size of the request and of each container's body without their children, by depth.
fn empty_sizes(data: &[u8], index: &Index) -> Vec<Vec<usize>> {
    let mut sizes = vec![vec![data.len()]];
    let containers = index.depths.len().saturating_sub(1);
    let bodies = index.depths.iter().take(containers);
    sizes.extend(bodies.map(|nodes| nodes.iter().map(|node| (node.end - node.start) as usize).collect()));
    for (sizes, kids) in sizes.iter_mut().zip(&index.depths) {
        for kid in kids {
            if let Some(size) = sizes.get_mut(kid.parent as usize) {
                *size = size.saturating_sub((kid.end - kid.tag) as usize);
            }
        }
    }
    sizes
}

/// The exact size of a request that grows item by item.
struct Part<'a> {
    index: &'a Index,
    empty: &'a [Vec<usize>],
    /// The container of each depth that the last item is in, and the size of its body.
    open: [Option<(u32, usize)>; DEPTHS],
    size: usize,
}

/// By how much the request and the body of each container on the way grow.
type Growth = [usize; DEPTHS + 1];

impl<'a> Part<'a> {
    fn new(index: &'a Index, empty: &'a [Vec<usize>]) -> Self {
        let size = empty.first().and_then(|sizes| sizes.first()).copied().unwrap_or_default();
        Self { index, empty, open: [None; DEPTHS], size }
    }

    /// The growth with an item of that size in that container.
    fn growth(&self, parent: u32, mut added: usize) -> Growth {
        let mut growth = [0; DEPTHS + 1];
        let containers = self.index.depths.len().saturating_sub(1).min(DEPTHS);
        let path = path_to(self.index, parent);
        for depth in (0..containers).rev() {
            growth[depth + 1] = added;
            match self.open[depth] {
                Some((node, body)) if node == path[depth] => {
                    added += varint_len((body + added) as u64) - varint_len(body as u64);
                }
                _ => {
                    added += self.empty_size(depth, path[depth]);
                    added += header_len(added);
                }
            }
        }
        growth[0] = added;
        growth
    }

    /// Take an item in whose growth was computed just now.
    fn add(&mut self, parent: u32, growth: &Growth) {
        self.size += growth[0];
        let containers = self.index.depths.len().saturating_sub(1).min(DEPTHS);
        let path = path_to(self.index, parent);
        for depth in 0..containers {
            let body = match self.open[depth] {
                Some((node, body)) if node == path[depth] => body,
                _ => self.empty_size(depth, path[depth]),
            };
            self.open[depth] = Some((path[depth], body + growth[depth + 1]));
        }
    }

    fn empty_size(&self, depth: usize, node: u32) -> usize {
        self.empty.get(depth + 1).and_then(|sizes| sizes.get(node as usize)).copied().unwrap_or_default()
    }
}
