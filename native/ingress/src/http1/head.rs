//! The head of a request: parsed strictly, so that two readers cannot disagree about its end (RFC 9112, 6.3).

use crate::message::Pairs;

/// Request line and headers; far more than SDKs send, cookies and baggage included.
pub(crate) const MAX_HEAD_BYTES: usize = 64 * 1024;
pub(crate) const MAX_HEADERS: usize = 128;
/// More digits than any size that is taken.
const MAX_LENGTH_DIGITS: usize = 18;

/// Where the end of a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    Length(usize),
    Chunked,
}

/// Why a head is none: a status, and what to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unreadable(pub u16, pub String);

/// What a request says of itself.
#[derive(Debug)]
pub(crate) struct RequestHead {
    pub method: String,
    pub path: String,
    pub query: String,
    /// In order; names in lower case.
    pub headers: Pairs,
    pub framing: Framing,
    pub keep_alive: bool,
    pub expects_continue: bool,
    pub has_host: bool,
}

impl RequestHead {
    /// Return a header, empty if it is absent; the last where it occurs twice.
    pub(crate) fn header(&self, name: &[u8]) -> &[u8] {
        self.headers.iter().rev().find(|(known, _)| known == name).map_or(b"", |(_, value)| value)
    }
}

/// Read a head; `None` if it is not complete. Returns it and its length.
pub(crate) fn parse(data: &[u8]) -> Result<Option<(RequestHead, usize)>, Unreadable> {
    let mut space = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut request = httparse::Request::new(&mut space);
    let length = match request.parse(data) {
        Ok(httparse::Status::Complete(length)) if length <= MAX_HEAD_BYTES => length,
        Ok(httparse::Status::Partial) if data.len() <= MAX_HEAD_BYTES => return Ok(None),
        Ok(_) | Err(httparse::Error::TooManyHeaders) => return Err(too_large()),
        Err(error) => return Err(unreadable(data, &error.to_string())),
    };
    let wrong = |what: &str| Err(unreadable(data, what));
    let head = data.get(..length).unwrap_or_default();
    let begin = head.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    if head.windows(2).skip(begin).any(|pair| pair[1] == b'\n' && pair[0] != b'\r') {
        return wrong("a line that does not end in CR LF");
    }
    let old = request.version == Some(0);
    let (path, query) = target(request.path.unwrap_or_default());
    let mut made = RequestHead {
        method: request.method.unwrap_or_default().into(),
        path,
        query,
        headers: Vec::with_capacity(request.headers.len()),
        framing: Framing::Length(0),
        keep_alive: !old,
        expects_continue: false,
        has_host: old,
    };
    let (mut announced, mut chunked) = (None, false);
    for header in request.headers.iter() {
        let name = header.name.to_ascii_lowercase();
        match name.as_str() {
            "content-length" => {
                let digits = header.value;
                if announced.is_some() {
                    return wrong("Content-Length twice");
                }
                if digits.is_empty() || digits.len() > MAX_LENGTH_DIGITS || !digits.iter().all(u8::is_ascii_digit) {
                    return wrong("Content-Length is no number");
                }
                announced = Some(digits.iter().fold(0usize, |sum, digit| sum * 10 + usize::from(digit - b'0')));
            }
            "transfer-encoding" => {
                if chunked || old || !header.value.eq_ignore_ascii_case(b"chunked") {
                    return wrong("Transfer-Encoding other than chunked, once");
                }
                chunked = true;
            }
            "connection" => {
                let tokens = header.value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
                for token in tokens {
                    if token.eq_ignore_ascii_case(b"close") || token.eq_ignore_ascii_case(b"upgrade") {
                        made.keep_alive = false; // an upgrade is ignored, and what follows it is not read
                    }
                }
            }
            "expect" => made.expects_continue = !old && header.value.eq_ignore_ascii_case(b"100-continue"),
            "host" => made.has_host = true,
            _ => {}
        }
        made.headers.push((name.into_bytes(), header.value.to_vec()));
    }
    if chunked && announced.is_some() {
        return wrong("Content-Length and Transfer-Encoding");
    }
    made.framing = if chunked { Framing::Chunked } else { Framing::Length(announced.unwrap_or(0)) };
    Ok(Some((made, length)))
}

/// Return path and query of a target, which may be a whole URL (RFC 9112, 3.2.2).
fn target(text: &str) -> (String, String) {
    let mut local = text;
    if !text.starts_with(['/', '*']) {
        local = text.split_once("://").map_or("", |(_, rest)| rest.find(['/', '?']).map_or("/", |at| &rest[at..]));
    }
    let (path, query) = local.split_once('?').unwrap_or((local, ""));
    let path = if path.is_empty() && !local.is_empty() { "/" } else { path };
    (path.into(), query.into())
}

pub(crate) fn too_large() -> Unreadable {
    let message = format!("the headers are more than {MAX_HEADERS} or larger than {MAX_HEAD_BYTES} bytes");
    Unreadable(431, message)
}

/// Say what the input looks like.
pub(crate) fn unreadable(begin: &[u8], reason: &str) -> Unreadable {
    let message = if begin.starts_with(b"\x16\x03") {
        "this endpoint speaks plain HTTP, the client began a TLS handshake: configure tls on one of the sides".into()
    } else if begin.starts_with(b"PRI * HTTP/2") {
        "this endpoint speaks HTTP/1.1, the client began HTTP/2: OTLP/gRPC has an endpoint of its own".into()
    } else {
        format!("this is no HTTP request: {reason}")
    };
    Unreadable(400, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Option<(RequestHead, usize)>, Unreadable> {
        parse(text.as_bytes())
    }

    #[test]
    fn a_head_is_read() {
        let text = "POST http://host:1/v1/traces?a=b HTTP/1.1\r\nHost: x\r\nContent-Length: 12\r\nX-A: 1\r\n\r\nrest";
        let (head, length) = read(text).unwrap().unwrap();
        assert_eq!((head.method.as_str(), head.path.as_str(), head.query.as_str()), ("POST", "/v1/traces", "a=b"));
        assert_eq!((head.framing, head.keep_alive, length), (Framing::Length(12), true, text.len() - 4));
        assert_eq!(head.header(b"x-a"), b"1");
    }

    #[test]
    fn half_a_head_is_waited_for() {
        let text = "POST / HTTP/1.1\r\nHost: x\r\n\r\n";
        for length in 0..text.len() {
            assert!(read(&text[..length]).unwrap().is_none(), "{length}");
        }
    }

    #[test]
    fn what_two_readers_could_read_differently_is_refused() {
        for lines in [
            "Content-Length: 1\r\nContent-Length: 1",
            "Content-Length: +1",
            "Content-Length: 1\r\nTransfer-Encoding: chunked",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
            "Transfer-Encoding: gzip, chunked",
            "Transfer-Encoding : chunked",
            "X: y\n Z: a",
            "X: y\nZ: a",
            " folded: x",
        ] {
            let text = format!("POST / HTTP/1.1\r\n{lines}\r\n\r\n");
            assert_eq!(read(&text).unwrap_err().0, 400, "{lines}");
        }
    }

    #[test]
    fn targets() {
        for (text, path) in
            [("/", "/"), ("*", "*"), ("http://a", "/"), ("http://a?x", "/"), ("a:443", ""), ("/a?", "/a")]
        {
            assert_eq!(target(text).0, path, "{text}");
        }
    }
}
