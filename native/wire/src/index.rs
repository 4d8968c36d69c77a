use crate::Signal;

/// One message in a request: `tag..start` holds its tag and length, `start..end` its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Node {
    /// Offset of the tag.
    pub tag: u32,
    /// Offset of the body.
    pub start: u32,
    /// Offset behind the body.
    pub end: u32,
    /// Number of the message around it, in the depth above; 0 for the outermost.
    pub parent: u32,
}

/// Where the messages of a valid request lie, in wire order.
///
/// `depths` are: resources, scopes, items for traces and logs; resources, scopes, metrics, the data of each metric
/// (gauge, sum, …), points for metrics.
#[derive(Clone, Debug)]
pub struct Index {
    /// What the request is of.
    pub signal: Signal,
    /// The messages of each depth.
    pub depths: Vec<Vec<Node>>,
}

impl Index {
    /// The spans, points or log records.
    pub fn items(&self) -> &[Node] {
        self.depths.last().map_or(&[], Vec::as_slice)
    }

    /// Add the messages of a request that follows at byte `shift`: two requests one after the other are one.
    pub fn append(&mut self, other: Self, shift: u32) {
        let mut above = 0;
        for (own, others) in self.depths.iter_mut().zip(other.depths) {
            let first = own.len() as u32;
            own.extend(others.into_iter().map(|node| Node {
                tag: node.tag + shift,
                start: node.start + shift,
                end: node.end + shift,
                parent: node.parent + above,
            }));
            above = first;
        }
    }
}

/// What decoding finds.
#[derive(Clone, Debug)]
pub enum Decoded {
    /// A valid request in the form that every known encoder writes.
    Regular(Index),
    /// Legal perhaps, but written as no known encoder does (a singular field twice, two members of a oneof, groups, an
    /// unexpected wire type, tags in more bytes than needed, nesting near protobuf's limit, more than 4 GiB). Whoever
    /// wants to know more asks a full protobuf parser.
    Irregular,
}
