use otlp_wire::varint_len;

/// Bytes of a new request before they are written: references to what exists, and new headers between them.
///
/// Neighbouring ranges of the old request become one. Lengths are known when everything is known, so that each byte is
/// copied once, to where it stays.
#[derive(Clone, Debug)]
pub struct Pieces<'a> {
    data: &'a [u8],
    list: Vec<Piece<'a>>,
    run: (usize, usize),
    size: usize,
}

#[derive(Clone, Debug)]
enum Piece<'a> {
    Slice(&'a [u8]),
    Header(Header),
}

/// Tag and length of a message; at most five and ten bytes.
#[derive(Clone, Copy, Debug, Default)]
struct Header {
    bytes: [u8; 15],
    len: u8,
}

impl Header {
    fn put(&mut self, mut value: u64) {
        for byte in self.bytes.iter_mut().skip(self.len.into()) {
            self.len += 1;
            *byte = value as u8 & 0x7F;
            value >>= 7;
            if value == 0 {
                break;
            }
            *byte |= 0x80;
        }
    }

    fn as_slice(&self) -> &[u8] {
        self.bytes.get(..self.len.into()).unwrap_or_default()
    }
}

/// Where a message was begun, see [`Pieces::open`].
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct Mark {
    place: usize,
    size: usize,
    tag: u32,
}

impl<'a> Pieces<'a> {
    /// Begin with nothing of `data`; there is room for so many pieces.
    pub fn new(data: &'a [u8], room: usize) -> Self {
        Self { data, list: Vec::with_capacity(room), run: (0, 0), size: 0 }
    }

    /// Take a range of the old request over.
    #[inline]
    pub fn copy(&mut self, start: usize, end: usize) {
        if self.run.1 == start {
            self.run.1 = end;
        } else {
            self.flush();
            self.run = (start, end);
        }
    }

    #[inline]
    fn flush(&mut self) {
        let bytes = self.rest();
        if !bytes.is_empty() {
            self.size += bytes.len();
            self.list.push(Piece::Slice(bytes));
        }
        self.run.0 = self.run.1;
    }

    /// Add new bytes.
    #[inline]
    pub fn push(&mut self, bytes: &'a [u8]) {
        if !bytes.is_empty() {
            self.flush();
            self.size += bytes.len();
            self.list.push(Piece::Slice(bytes));
        }
    }

    /// Add a tag alone.
    #[inline]
    pub fn push_tag(&mut self, tag: u32) {
        self.flush();
        let mut header = Header::default();
        header.put(tag.into());
        self.size += usize::from(header.len);
        self.list.push(Piece::Header(header));
    }

    /// Begin a message; its length is filled in when it is closed.
    #[inline]
    pub fn open(&mut self, tag: u32) -> Mark {
        self.flush();
        self.list.push(Piece::Header(Header::default()));
        Mark { place: self.list.len() - 1, size: self.size, tag }
    }

    /// End a message.
    #[inline]
    pub fn close(&mut self, mark: Mark) {
        self.flush();
        let body = (self.size - mark.size) as u64;
        let mut header = Header::default();
        header.put(mark.tag.into());
        header.put(body);
        self.size += usize::from(header.len);
        if let Some(place) = self.list.get_mut(mark.place) {
            *place = Piece::Header(header);
        }
    }

    /// How many bytes there are.
    pub fn len(&self) -> usize {
        self.size + self.rest().len()
    }

    /// The range that was taken over last, if it is not in the list yet.
    fn rest(&self) -> &'a [u8] {
        self.data.get(self.run.0..self.run.1).unwrap_or_default()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All bytes, in order.
    pub fn slices(&self) -> impl Iterator<Item = &[u8]> {
        let each = self.list.iter().map(|piece| match piece {
            Piece::Slice(bytes) => bytes,
            Piece::Header(header) => header.as_slice(),
        });
        each.chain([self.rest()])
    }

    /// All bytes in one piece.
    pub fn to_vec(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.len());
        for slice in self.slices() {
            out.extend_from_slice(slice);
        }
        out
    }
}

/// How many bytes tag (of one byte) and length of a message take.
pub fn header_len(body: usize) -> usize {
    1 + varint_len(body as u64)
}
