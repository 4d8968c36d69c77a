//! A body in chunks (RFC 9112, 7.1).

use super::head::{MAX_HEAD_BYTES, MAX_HEADERS};

const MAX_SIZE_DIGITS: u8 = 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Size,
    Extension,
    SizeEnd,
    Data,
    DataReturn,
    DataEnd,
    TrailerBegin,
    Trailer,
    TrailerEnd,
    LastEnd,
    Done,
}

/// What is wrong with a body in chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    Rule,
    Trailers,
}

/// Takes chunks apart.
#[derive(Debug)]
pub(crate) struct Chunks {
    state: State,
    left: usize,
    digits: u8,
    trailer_bytes: usize,
    trailers: usize,
    /// Bytes that were no content.
    pub framing: usize,
}

impl Chunks {
    pub(crate) fn new() -> Self {
        Self { state: State::Size, left: 0, digits: 0, trailer_bytes: 0, trailers: 0, framing: 0 }
    }

    pub(crate) fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Read up to the next piece of content, or the end of the body or of the input; return the bytes read and the
    /// piece, which is the last of them.
    pub(crate) fn next<'a>(&mut self, data: &'a [u8]) -> Result<(usize, &'a [u8]), Broken> {
        let mut at = 0;
        while let Some(&byte) = data.get(at) {
            if self.state == State::Data {
                let piece = data.get(at..).unwrap_or_default();
                let piece = piece.get(..self.left).unwrap_or(piece);
                self.left -= piece.len();
                if self.left == 0 {
                    self.state = State::DataReturn;
                }
                return Ok((at + piece.len(), piece));
            }
            if self.state == State::Done {
                break;
            }
            at += 1;
            self.framing += 1;
            self.state = self.step(byte)?;
        }
        Ok((at, &[]))
    }

    fn step(&mut self, byte: u8) -> Result<State, Broken> {
        let expect = |wanted: u8, next: State| if byte == wanted { Ok(next) } else { Err(Broken::Rule) };
        match self.state {
            State::Size => match (byte as char).to_digit(16) {
                Some(digit) => {
                    self.digits += 1;
                    if self.digits > MAX_SIZE_DIGITS {
                        return Err(Broken::Rule);
                    }
                    self.left = self.left << 4 | digit as usize;
                    Ok(State::Size)
                }
                None if self.digits == 0 => Err(Broken::Rule),
                None if byte == b';' || byte == b' ' || byte == b'\t' => Ok(State::Extension),
                None => expect(b'\r', State::SizeEnd),
            },
            State::Extension => match byte {
                b'\r' => Ok(State::SizeEnd),
                b'\n' | 0 => Err(Broken::Rule),
                _ => Ok(State::Extension),
            },
            State::SizeEnd => {
                self.digits = 0;
                expect(b'\n', if self.left == 0 { State::TrailerBegin } else { State::Data })
            }
            State::DataReturn => expect(b'\r', State::DataEnd),
            State::DataEnd => expect(b'\n', State::Size),
            State::TrailerBegin if byte == b'\r' => Ok(State::LastEnd),
            State::TrailerBegin | State::Trailer => {
                self.trailer_bytes += 1;
                self.trailers += usize::from(self.state == State::TrailerBegin);
                if self.trailer_bytes > MAX_HEAD_BYTES || self.trailers > MAX_HEADERS {
                    return Err(Broken::Trailers);
                }
                match byte {
                    b'\r' => Ok(State::TrailerEnd),
                    b'\n' | 0 => Err(Broken::Rule),
                    _ => Ok(State::Trailer),
                }
            }
            State::TrailerEnd => expect(b'\n', State::TrailerBegin),
            State::LastEnd => expect(b'\n', State::Done),
            State::Data | State::Done => Err(Broken::Rule),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Read a body that comes in pieces of some size; what is left of the input, and the content.
    fn read(data: &[u8], step: usize) -> Result<(usize, Vec<u8>), Broken> {
        let (mut chunks, mut body, mut used) = (Chunks::new(), Vec::new(), 0);
        for part in data.chunks(step) {
            let mut at = 0;
            while at < part.len() && !chunks.is_done() {
                let (count, piece) = chunks.next(&part[at..])?;
                body.extend_from_slice(piece);
                at += count;
            }
            used += at;
        }
        assert!(chunks.is_done());
        Ok((data.len() - used, body))
    }

    #[test]
    fn chunks_extensions_and_trailers_make_one_body() {
        let text = b"3;a=b\r\nabc\r\n00A \r\n0123456789\r\n0\r\nTrailer: x\r\n\r\nnext";
        for step in 1..text.len() {
            assert_eq!(read(text, step).unwrap(), (4, b"abc0123456789".to_vec()), "{step}");
        }
    }

    #[test]
    fn broken_rules_are_told_apart() {
        for text in [
            &b"zz\r\n"[..],
            b"-1\r\n",
            b"\r\n",
            b"fffffffff\r\n",
            b"5\r\nhelloX\r\n",
            b"1\nx",
            b"1\r\nx\n",
            b"0\r\n\n",
            b"0\r\nA\n",
        ] {
            assert_eq!(read(text, 1), Err(Broken::Rule), "{text:?}");
        }
        let many = [&b"0\r\n"[..], &b"A: b\r\n".repeat(200), b"\r\n"].concat();
        assert_eq!(read(&many, 100), Err(Broken::Trailers));
    }
}
