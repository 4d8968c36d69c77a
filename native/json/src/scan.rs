//! The text: white space, strings, numbers, values that are stepped over. `None` is whatever is not plainly JSON.

/// Objects and arrays in one text; as in the reference, more is refused.
const MAX_NODES: u32 = 1 << 22;

/// Objects and arrays within each other, in what is stepped over.
const MAX_SKIPPED_DEPTH: u32 = 200;

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// A string where it lies, without its quotes.
#[derive(Clone, Copy, Debug)]
pub struct Text<'a> {
    /// As written.
    pub raw: &'a [u8],
    /// Does it hold escapes?
    pub escaped: bool,
}

impl<'a> Text<'a> {
    /// The content of a string without escapes.
    pub fn plain(self) -> Option<&'a [u8]> {
        (!self.escaped).then_some(self.raw)
    }
}

/// A number.
#[derive(Clone, Copy, Debug)]
pub enum Number<'a> {
    /// Digits only: is it negative, and its magnitude.
    Integer(bool, u64),
    /// A fraction, an exponent, or more digits than 64 bits hold; finite.
    Other(&'a [u8]),
}

/// A place in a text.
#[derive(Clone, Debug)]
pub struct Scanner<'a> {
    data: &'a [u8],
    pos: usize,
    nodes: u32,
}

impl<'a> Scanner<'a> {
    /// Begin.
    pub fn new(data: &'a [u8]) -> Self {
        Self { data, pos: 0, nodes: 0 }
    }

    /// Return the next byte, which stays; 0 at the end.
    #[inline]
    pub fn peek(&self) -> u8 {
        self.data.get(self.pos).copied().unwrap_or(0)
    }

    #[inline]
    fn rest(&self) -> &'a [u8] {
        self.data.get(self.pos..).unwrap_or_default()
    }

    /// Step over white space and return what follows, which stays.
    #[inline]
    pub fn next(&mut self) -> u8 {
        let mut byte = self.peek();
        while matches!(byte, b' ' | b'\n' | b'\t' | b'\r') {
            self.pos += 1;
            byte = self.peek();
        }
        byte
    }

    /// Step over white space and this byte.
    #[inline]
    pub fn expect(&mut self, byte: u8) -> Option<()> {
        (self.next() == byte).then(|| self.pos += 1)
    }

    /// Step over this literal, which must come at once.
    #[inline]
    pub fn literal(&mut self, text: &[u8]) -> Option<()> {
        self.rest().starts_with(text).then(|| self.pos += text.len())
    }

    /// Count so many objects and arrays.
    #[inline]
    pub fn count(&mut self, nodes: u32) -> Option<()> {
        self.nodes += nodes;
        (self.nodes <= MAX_NODES).then_some(())
    }

    /// Step over the opening of an object or array; is it empty?
    #[inline]
    pub fn open(&mut self, bracket: u8) -> Option<bool> {
        self.expect(bracket)?;
        self.count(1)?;
        let empty = self.next() == bracket + 2; // both pairs are two apart
        self.pos += usize::from(empty);
        Some(empty)
    }

    /// Step over a comma or the end of an object or array; does another element follow?
    #[inline]
    pub fn more(&mut self, bracket: u8) -> Option<bool> {
        let byte = self.next();
        self.pos += 1;
        match byte {
            b',' => Some(true),
            _ if byte == bracket + 2 => Some(false),
            _ => None,
        }
    }

    /// Nothing but white space follows.
    pub fn end(&mut self) -> Option<()> {
        self.next();
        (self.pos >= self.data.len()).then_some(())
    }

    /// Step over a key and its colon if it is this one.
    #[inline]
    pub fn is_key(&mut self, key: &[u8]) -> bool {
        let found = self.rest().strip_prefix(b"\"").and_then(|rest| rest.strip_prefix(key)).map(|rest| rest.first());
        if found != Some(Some(&b'"')) {
            return false;
        }
        let start = self.pos;
        self.pos += key.len() + 2;
        if self.expect(b':').is_none() {
            self.pos = start;
            return false;
        }
        true
    }

    /// Read a string; its escapes are not checked.
    #[inline]
    pub fn string(&mut self) -> Option<Text<'a>> {
        self.literal(b"\"")?;
        let start = self.pos;
        let mut high = false;
        let mut escaped = false;
        loop {
            let (length, is_high) = plain(self.rest());
            self.pos += length;
            high |= is_high;
            match self.peek() {
                b'"' => break,
                b'\\' => {
                    escaped = true;
                    self.pos += 2;
                }
                _ => return None,
            }
        }
        let raw = self.data.get(start..self.pos)?;
        self.pos += 1;
        (!high || std::str::from_utf8(raw).is_ok()).then_some(Text { raw, escaped })
    }

    /// Read a number.
    #[inline]
    pub fn number(&mut self) -> Option<Number<'a>> {
        let start = self.pos;
        let negative = self.peek() == b'-';
        self.pos += usize::from(negative);
        let first = self.pos;
        let value = self.magnitude();
        let count = self.pos - first;
        if count == 0 || (count > 1 && self.data.get(first) == Some(&b'0')) {
            return None;
        }
        if let (Some(value), false) = (value, matches!(self.peek(), b'.' | b'e' | b'E')) {
            return Some(Number::Integer(negative, value));
        }
        if self.peek() == b'.' {
            self.pos += 1;
            self.digits()?;
        }
        if matches!(self.peek(), b'e' | b'E') {
            self.pos += 1;
            self.pos += usize::from(matches!(self.peek(), b'+' | b'-'));
            self.digits()?;
        }
        let text = self.data.get(start..self.pos)?;
        nearest(text)?;
        Some(Number::Other(text))
    }

    /// Read a text that is an integer of at most 20 digits; return whether it is negative, and its magnitude.
    #[inline]
    pub fn quoted_integer(&mut self) -> Option<(bool, u64)> {
        self.literal(b"\"")?;
        let sign = self.peek();
        self.pos += usize::from(matches!(sign, b'+' | b'-'));
        let first = self.pos;
        let value = self.magnitude();
        if self.pos == first || self.pos - first > 20 {
            return None;
        }
        self.literal(b"\"")?;
        Some((sign == b'-', value?))
    }

    /// Read digits, perhaps none; return their value if it fits.
    #[inline]
    fn magnitude(&mut self) -> Option<u64> {
        let digits = self.rest();
        let mut value = 0u64;
        let mut count = 0;
        for &byte in digits {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 {
                break;
            }
            value = value.wrapping_mul(10).wrapping_add(u64::from(digit));
            count += 1;
        }
        self.pos += count;
        if count < 20 {
            return Some(value);
        }
        let add = |sum: u64, &byte: &u8| sum.checked_mul(10)?.checked_add(u64::from(byte & 0x0F));
        digits.iter().take(count).try_fold(0, add)
    }

    fn digits(&mut self) -> Option<()> {
        let start = self.pos;
        while self.peek().is_ascii_digit() {
            self.pos += 1;
        }
        (self.pos > start).then_some(())
    }

    /// Step over a value of any kind.
    pub fn skip(&mut self, depth: u32) -> Option<()> {
        let bracket = self.next();
        match bracket {
            b'{' | b'[' => {
                if depth > MAX_SKIPPED_DEPTH {
                    return None;
                }
                let mut more = !self.open(bracket)?;
                while more {
                    if bracket == b'{' {
                        self.next();
                        self.skip_string()?;
                        self.expect(b':')?;
                    }
                    self.skip(depth + 1)?;
                    more = self.more(bracket)?;
                }
                Some(())
            }
            b'"' => self.skip_string(),
            b't' => self.literal(b"true"),
            b'f' => self.literal(b"false"),
            b'n' => self.literal(b"null"),
            _ => self.number().map(drop),
        }
    }

    fn skip_string(&mut self) -> Option<()> {
        let text = self.string()?;
        if text.escaped { unescape(text.raw, &mut Vec::new()) } else { Some(()) }
    }
}

/// Return the double nearest to a decimal number, if it is finite.
pub fn nearest(text: &[u8]) -> Option<f64> {
    std::str::from_utf8(text).ok()?.parse().ok().filter(|value: &f64| value.is_finite())
}

/// Return how many bytes come before the first quote, backslash or control character, and whether one is not ASCII;
/// it may lie a little behind.
#[inline]
pub fn plain(text: &[u8]) -> (usize, bool) {
    let (words, rest) = text.as_chunks::<8>();
    let mut length = 0;
    let mut high = 0;
    for word in words {
        let word = u64::from_le_bytes(*word);
        high |= word & HIGHS;
        let found =
            zeros(word ^ (ONES * 0x22)) | zeros(word ^ (ONES * 0x5C)) | (word.wrapping_sub(ONES * 0x20) & !word);
        if found & HIGHS != 0 {
            return (length + ((found & HIGHS).trailing_zeros() / 8) as usize, high != 0);
        }
        length += 8;
    }
    for &byte in rest {
        if byte == b'"' || byte == b'\\' || byte < 0x20 {
            break;
        }
        high |= u64::from(byte & 0x80);
        length += 1;
    }
    (length, high != 0)
}

/// The bytes of a word that are zero have their highest bit set, and so may some behind the first of them.
#[inline]
fn zeros(word: u64) -> u64 {
    word.wrapping_sub(ONES) & !word
}

/// Append what a string with escapes says. `out` holds garbage after `None`.
pub fn unescape(raw: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let mut rest = raw;
    loop {
        let (before, special) = rest.split_at_checked(plain(rest).0)?;
        out.extend_from_slice(before);
        let Some((_, after)) = special.split_first() else {
            return Some(());
        };
        let (&escape, after) = after.split_first()?;
        rest = after;
        match escape {
            b'"' | b'\\' | b'/' => out.push(escape),
            b'n' => out.push(b'\n'),
            b't' => out.push(b'\t'),
            b'r' => out.push(b'\r'),
            b'b' => out.push(0x08),
            b'f' => out.push(0x0C),
            b'u' => rest = unicode(rest, out)?,
            _ => return None,
        }
    }
}

/// Append the character whose four hexadecimal digits, or two times four, come first; return what follows.
fn unicode<'a>(text: &'a [u8], out: &mut Vec<u8>) -> Option<&'a [u8]> {
    let (unit, mut rest) = code_unit(text)?;
    let mut code = unit;
    if unit & 0xFC00 == 0xD800 {
        let (low, after) = code_unit(rest.strip_prefix(b"\\u")?)?;
        if low & 0xFC00 != 0xDC00 {
            return None;
        }
        code = 0x1_0000 + ((unit & 0x3FF) << 10 | low & 0x3FF);
        rest = after;
    }
    out.extend_from_slice(char::from_u32(code)?.encode_utf8(&mut [0; 4]).as_bytes());
    Some(rest)
}

fn code_unit(text: &[u8]) -> Option<(u32, &[u8])> {
    let (digits, rest) = text.split_first_chunk::<4>()?;
    let mut value = 0;
    for &digit in digits {
        value = value << 4 | char::from(digit).to_digit(16)?;
    }
    Some((value, rest))
}
