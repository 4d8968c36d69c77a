//! Header compression of HTTP/2 (RFC 7541): a decoder, and the one form of encoding that our answers need.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};

use super::huffman;

/// `SETTINGS_HEADER_TABLE_SIZE`, which we never change.
const TABLE_BYTES: usize = 4096;
/// RFC 7541, 4.1: what an entry counts besides name and value.
const ENTRY_OVERHEAD: usize = 32;
const MAX_INTEGER_BITS: u32 = 28;

/// What is to be looked at in a field, by its name; found out once per entry of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Method,
    Scheme,
    Path,
    Authority,
    UnknownPseudo,
    Te,
    Length,
    /// Means nothing in HTTP/2.
    Forbidden,
    ContentType,
    GrpcEncoding,
    Plain,
}

impl Kind {
    fn of(name: &[u8]) -> Self {
        match name {
            b":method" => Self::Method,
            b":scheme" => Self::Scheme,
            b":path" => Self::Path,
            b":authority" => Self::Authority,
            b"te" => Self::Te,
            b"content-length" => Self::Length,
            b"content-type" => Self::ContentType,
            b"grpc-encoding" => Self::GrpcEncoding,
            b"connection" | b"keep-alive" | b"proxy-connection" | b"transfer-encoding" | b"upgrade" => Self::Forbidden,
            [b':', ..] => Self::UnknownPseudo,
            _ => Self::Plain,
        }
    }
}

/// One header; entries of the table are shared by all requests that repeat them.
#[derive(Debug)]
pub(crate) struct Entry {
    pub name: Box<[u8]>,
    pub value: Box<[u8]>,
    pub kind: Kind,
}

impl Entry {
    fn new(name: &[u8], value: Vec<u8>) -> Arc<Self> {
        Arc::new(Self { name: name.into(), value: value.into(), kind: Kind::of(name) })
    }

    fn size(&self) -> usize {
        self.name.len() + self.value.len() + ENTRY_OVERHEAD
    }
}

/// Headers in order.
pub(crate) type Headers = Vec<Arc<Entry>>;

/// The block cannot be decoded; the connection cannot go on.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Damaged;

/// Decodes the header blocks of one connection, in order.
#[derive(Debug)]
pub(crate) struct Decoder {
    table: VecDeque<Arc<Entry>>,
    size: usize,
    limit: usize,
    /// Whether a header that the last block spelled out has a character that no header has.
    pub bad_characters: bool,
}

impl Decoder {
    pub(crate) fn new() -> Self {
        Self { table: VecDeque::new(), size: 0, limit: TABLE_BYTES, bad_characters: false }
    }

    /// Return the headers, or `None` if they are larger than `max_bytes` (counted as in 4.1); such a block is decoded
    /// all the same, because the next one builds on it.
    pub(crate) fn decode(&mut self, block: &[u8], max_bytes: usize) -> Result<Option<Headers>, Damaged> {
        let mut headers = Headers::with_capacity(12);
        let mut input = Input { block, at: 0 };
        let mut size = 0;
        self.bad_characters = false;
        while let Some(&first) = block.get(input.at) {
            let entry = if first & 0x80 != 0 {
                let index = input.integer(0x7F)?;
                self.at(index)?.clone()
            } else if first & 0x40 != 0 {
                let entry = self.literal(&mut input, 0x3F)?;
                self.size += entry.size();
                self.table.push_front(entry.clone());
                self.evict();
                entry
            } else if first & 0x20 != 0 {
                let limit = input.integer(0x1F)?;
                if size != 0 || limit > TABLE_BYTES {
                    return Err(Damaged); // behind a header (4.2), or larger than we allow
                }
                self.limit = limit;
                self.evict();
                continue;
            } else {
                self.literal(&mut input, 0x0F)?
            };
            size += entry.size();
            if size <= max_bytes {
                headers.push(entry);
            }
        }
        Ok((size <= max_bytes).then_some(headers))
    }

    fn at(&self, index: usize) -> Result<&Arc<Entry>, Damaged> {
        let fixed = fixed_table();
        let place = index.checked_sub(1).ok_or(Damaged)?;
        fixed.get(place).or_else(|| self.table.get(place - fixed.len())).ok_or(Damaged)
    }

    fn literal(&mut self, input: &mut Input<'_>, mask: u8) -> Result<Arc<Entry>, Damaged> {
        let index = input.integer(mask)?;
        if index == 0 {
            let name = input.string()?;
            let value = input.string()?;
            let entry = Entry::new(&name, value);
            self.bad_characters |= bad_value(&entry.value) || (entry.kind == Kind::Plain && bad_name(&name));
            self.bad_characters |= entry.kind == Kind::UnknownPseudo && bad_name(&name[1..]);
            return Ok(entry);
        }
        let value = input.string()?;
        self.bad_characters |= bad_value(&value);
        let known = self.at(index)?;
        Ok(Arc::new(Entry { name: known.name.clone(), value: value.into(), kind: known.kind }))
    }

    fn evict(&mut self) {
        while self.size > self.limit {
            let Some(oldest) = self.table.pop_back() else {
                self.size = 0;
                return;
            };
            self.size -= oldest.size();
        }
    }
}

fn bad_name(name: &[u8]) -> bool {
    name.is_empty()
        || name.iter().any(|&byte| byte <= 0x20 || byte >= 0x7F || byte.is_ascii_uppercase() || byte == b':')
}

/// White space at the ends is let through, though RFC 9113 has no room for it: gRPC's protocol has.
fn bad_value(value: &[u8]) -> bool {
    value.iter().any(|&byte| matches!(byte, 0 | b'\r' | b'\n'))
}

struct Input<'a> {
    block: &'a [u8],
    at: usize,
}

impl Input<'_> {
    /// Read an integer whose prefix is under `mask` (5.1).
    fn integer(&mut self, mask: u8) -> Result<usize, Damaged> {
        let mut value = usize::from(self.byte()? & mask);
        if value < usize::from(mask) {
            return Ok(value);
        }
        let mut shift = 0;
        loop {
            let byte = self.byte()?;
            value += usize::from(byte & 0x7F) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
            shift += 7;
            if shift >= MAX_INTEGER_BITS {
                return Err(Damaged);
            }
        }
    }

    fn byte(&mut self) -> Result<u8, Damaged> {
        let byte = *self.block.get(self.at).ok_or(Damaged)?;
        self.at += 1;
        Ok(byte)
    }

    /// Read a string (5.2).
    fn string(&mut self) -> Result<Vec<u8>, Damaged> {
        let coded = self.block.get(self.at).ok_or(Damaged)? & 0x80 != 0;
        let length = self.integer(0x7F)?;
        let text = self.block.get(self.at..self.at.checked_add(length).ok_or(Damaged)?).ok_or(Damaged)?;
        self.at += length;
        if coded { huffman::decode(text).ok_or(Damaged) } else { Ok(text.to_vec()) }
    }
}

/// Append a header as a literal that enters no table (6.2.2), so that equal answers have equal bytes.
pub(crate) fn put_header(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.push(0);
    for text in [name, value] {
        let mut length = text.len();
        if length < 0x7F {
            out.push(length as u8);
        } else {
            out.push(0x7F);
            length -= 0x7F;
            while length >= 0x80 {
                out.push(length as u8 | 0x80);
                length >>= 7;
            }
            out.push(length as u8);
        }
        out.extend_from_slice(text);
    }
}

fn fixed_table() -> &'static [Arc<Entry>] {
    static TABLE: OnceLock<Vec<Arc<Entry>>> = OnceLock::new();
    TABLE.get_or_init(|| STATIC.iter().map(|&(name, value)| Entry::new(name, value.to_vec())).collect())
}

#[rustfmt::skip]
const STATIC: [(&[u8], &[u8]); 61] = [
    (b":authority", b""), (b":method", b"GET"), (b":method", b"POST"), (b":path", b"/"), (b":path", b"/index.html"),
    (b":scheme", b"http"), (b":scheme", b"https"), (b":status", b"200"), (b":status", b"204"), (b":status", b"206"),
    (b":status", b"304"), (b":status", b"400"), (b":status", b"404"), (b":status", b"500"), (b"accept-charset", b""),
    (b"accept-encoding", b"gzip, deflate"), (b"accept-language", b""), (b"accept-ranges", b""), (b"accept", b""),
    (b"access-control-allow-origin", b""), (b"age", b""), (b"allow", b""), (b"authorization", b""),
    (b"cache-control", b""), (b"content-disposition", b""), (b"content-encoding", b""), (b"content-language", b""),
    (b"content-length", b""), (b"content-location", b""), (b"content-range", b""), (b"content-type", b""),
    (b"cookie", b""), (b"date", b""), (b"etag", b""), (b"expect", b""), (b"expires", b""), (b"from", b""),
    (b"host", b""), (b"if-match", b""), (b"if-modified-since", b""), (b"if-none-match", b""), (b"if-range", b""),
    (b"if-unmodified-since", b""), (b"last-modified", b""), (b"link", b""), (b"location", b""),
    (b"max-forwards", b""), (b"proxy-authenticate", b""), (b"proxy-authorization", b""), (b"range", b""),
    (b"referer", b""), (b"refresh", b""), (b"retry-after", b""), (b"server", b""), (b"set-cookie", b""),
    (b"strict-transport-security", b""), (b"transfer-encoding", b""), (b"user-agent", b""), (b"vary", b""),
    (b"via", b""), (b"www-authenticate", b""),];

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(decoder: &mut Decoder, block: &[u8]) -> Result<Option<Vec<(String, String)>>, Damaged> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok(decoder.decode(block, 65536)?.map(|all| all.iter().map(|e| (text(&e.name), text(&e.value))).collect()))
    }

    #[test]
    fn the_table_is_kept_between_blocks() {
        let mut decoder = Decoder::new();
        let first = decode(&mut decoder, b"\x83\x40\x01x\x01y").unwrap().unwrap();
        assert_eq!(first, [(":method".into(), "POST".into()), ("x".into(), "y".into())]);
        assert_eq!(decode(&mut decoder, b"\xbe").unwrap().unwrap(), [("x".to_string(), "y".to_string())]);
        assert_eq!(decode(&mut decoder, b"\x20").unwrap().unwrap(), []);
        assert_eq!(decode(&mut decoder, b"\xbe"), Err(Damaged), "the table was emptied");
    }

    #[test]
    fn damage_is_an_error() {
        for block in
            [&b"\x80"[..], b"\xff\xff\xff\xff\xff\xff", b"\x40\x05x", b"\x83\x20", b"\x3f\xff\xff\x03", b"\xc0"]
        {
            assert_eq!(decode(&mut Decoder::new(), block), Err(Damaged), "{block:?}");
        }
    }

    #[test]
    fn headers_beyond_the_limit_are_counted_and_forgotten() {
        let mut decoder = Decoder::new();
        let block = [&b"\x40\x01x\x0a0123456789"[..], &[0xbe; 2000]].concat();
        assert_eq!(decode(&mut decoder, &block), Ok(None));
    }

    #[test]
    fn what_is_written_can_be_read() {
        let mut block = Vec::new();
        put_header(&mut block, b"grpc-message", &[b'x'; 300]);
        assert_eq!(decode(&mut Decoder::new(), &block).unwrap().unwrap()[0].1.len(), 300);
    }
}
