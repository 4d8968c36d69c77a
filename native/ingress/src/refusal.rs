//! How a request fails: `google.rpc.Status` in the forms of both transports.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use otlp_wire::put_varint;

use crate::http2::hpack::put_header;

/// Codes of gRPC that this side gives.
pub(crate) mod code {
    pub(crate) const INVALID_ARGUMENT: u32 = 3;
    pub(crate) const DEADLINE_EXCEEDED: u32 = 4;
    pub(crate) const RESOURCE_EXHAUSTED: u32 = 8;
    pub(crate) const UNIMPLEMENTED: u32 = 12;
    pub(crate) const INTERNAL: u32 = 13;
    pub(crate) const UNAVAILABLE: u32 = 14;
}

/// What gRPC answers where it names the encodings that it takes.
pub(crate) const ENCODINGS: &str = "identity,gzip,deflate,zstd";

/// An answer of HTTP, without the lines on connection, date and length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// Status code, for those who count.
    pub status: u16,
    /// Status line and headers, each with its line end.
    pub head: Vec<u8>,
    /// Body.
    pub body: Vec<u8>,
}

impl Response {
    pub(crate) fn new(status: u16, content_type: &str, own_headers: &[u8], body: Vec<u8>) -> Self {
        let mut head = format!("HTTP/1.1 {status} {}\r\ncontent-type: {content_type}\r\n", phrase(status)).into_bytes();
        head.extend_from_slice(own_headers);
        Self { status, head, body }
    }
}

/// How a request failed, for either transport.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The header block that ends a call (Trailers-Only), without status and content type.
    Grpc(Vec<u8>),
    /// The answer to a protobuf request, and to a JSON one.
    Http(Box<[Response; 2]>),
}

/// Return the headers that end a call with a status; `details` is a serialized `google.rpc.Status`.
pub fn grpc_refusal(code: u32, message: &str, details: &[u8]) -> Refusal {
    let mut block = Vec::with_capacity(64 + message.len() + details.len() * 2);
    put_header(&mut block, b"grpc-status", code.to_string().as_bytes());
    put_header(&mut block, b"grpc-message", &percent_encoded(message));
    if code == self::code::UNIMPLEMENTED {
        put_header(&mut block, b"grpc-accept-encoding", ENCODINGS.as_bytes());
    }
    if !details.is_empty() {
        put_header(&mut block, b"grpc-status-details-bin", STANDARD_NO_PAD.encode(details).as_bytes());
    }
    Refusal::Grpc(block)
}

/// `grpc-message`: printable ASCII as it is, everything else and `%` as `%XX`.
fn percent_encoded(message: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.len());
    for &byte in message.as_bytes() {
        if (0x20..0x7F).contains(&byte) && byte != b'%' {
            out.push(byte);
        } else {
            out.extend_from_slice(format!("%{byte:02X}").as_bytes());
        }
    }
    out
}

/// Return a serialized `google.rpc.Status` without details.
pub(crate) fn status_bytes(code: u32, message: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.len() + 8);
    out.push(0x08);
    put_varint(&mut out, u64::from(code));
    if !message.is_empty() {
        out.push(0x12);
        put_varint(&mut out, message.len() as u64);
        out.extend_from_slice(message.as_bytes());
    }
    out
}

/// Return the same as JSON.
pub(crate) fn status_json(code: u32, message: &str) -> Vec<u8> {
    let mut out = format!("{{\"code\": {code}, \"message\": \"");
    for one in message.chars() {
        match one {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            other if !(' '..='~').contains(&other) => {
                for unit in other.encode_utf16(&mut [0; 2]) {
                    out.push_str(&format!("\\u{unit:04x}"));
                }
            }
            other => out.push(other),
        }
    }
    out.push_str("\"}");
    out.into_bytes()
}

/// Return the words that go with a status.
fn phrase(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        408 => "Request Timeout",
        413 => "Request Entity Too Large",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        _ => "Unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_escaped() {
        assert_eq!(percent_encoded("50 % über\n"), b"50 %25 %C3%BCber%0A");
        assert_eq!(
            status_json(3, "a \"b\" \u{1F44B}\u{1}"),
            b"{\"code\": 3, \"message\": \"a \\\"b\\\" \\ud83d\\udc4b\\u0001\"}"
        );
    }

    #[test]
    fn status_is_protobuf() {
        assert_eq!(status_bytes(3, "no"), b"\x08\x03\x12\x02no");
    }
}
