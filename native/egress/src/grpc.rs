//! One unary call of gRPC over a connection: what is sent, and what the answer means.

use std::time::Duration;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use h2::RecvStream;
use http::{HeaderMap, HeaderValue, Response, StatusCode};

use crate::compress::decompress;
use crate::link::Message;
use crate::reply::{GrpcAnswer, chain, code};

const PREFIX_BYTES: usize = 5;

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Put the prefix of gRPC before a message. `None` if it is larger than the prefix can say.
pub(crate) fn framed(message: Bytes, compressed: bool) -> Option<Message> {
    let [a, b, c, d] = u32::try_from(message.len()).ok()?.to_be_bytes();
    Some(Bytes::copy_from_slice(&[compressed.into(), a, b, c, d]).chain(message))
}

/// Write a timeout as `grpc-timeout`: at most eight digits and a unit.
pub(crate) fn timeout_value(timeout: Duration) -> HeaderValue {
    const MOST: u128 = 99_999_999;
    let (number, unit) = match timeout {
        short if short.as_micros() <= MOST => (short.as_micros(), 'u'),
        middling if middling.as_millis() <= MOST => (middling.as_millis(), 'm'),
        long => (u128::from(long.as_secs()).min(MOST), 'S'),
    };
    HeaderValue::try_from(format!("{number}{unit}")).unwrap_or_else(|_| HeaderValue::from_static("99999999S"))
}

/// Read an answer to its end.
pub(crate) async fn read(response: Response<RecvStream>, limit: usize) -> GrpcAnswer {
    let (head, body) = response.into_parts();
    if let Some(status) = status(&head.headers) {
        return status; // nothing but trailers
    }
    if head.status != StatusCode::OK {
        return GrpcAnswer::failed(http_code(head.status), format!("HTTP {} instead of a gRPC answer", head.status));
    }
    if !is_grpc(&head.headers) {
        let found = head.headers.get(http::header::CONTENT_TYPE).map_or("none", |v| v.to_str().unwrap_or("?"));
        return GrpcAnswer::failed(code::UNKNOWN, format!("not a gRPC answer: its content-type is {found}"));
    }
    let (data, trailers) = match collect(body, limit.saturating_add(PREFIX_BYTES)).await {
        Ok(Some(read)) => read,
        Ok(None) => return too_large(limit),
        Err(error) => return broken(&error),
    };
    let Some(mut answer) = trailers.as_ref().and_then(status) else {
        return GrpcAnswer::failed(code::UNKNOWN, "the answer ended without a status");
    };
    if answer.code == 0 {
        let encoding = head.headers.get("grpc-encoding").and_then(|v| v.to_str().ok()).unwrap_or("");
        match message(&data, encoding, limit) {
            Ok(body) => answer.body = body,
            Err(failed) => return failed,
        }
    }
    answer
}

fn is_grpc(headers: &HeaderMap) -> bool {
    headers.get(http::header::CONTENT_TYPE).is_some_and(|v| v.as_bytes().starts_with(b"application/grpc"))
}

async fn collect(mut body: RecvStream, limit: usize) -> Result<Option<(Bytes, Option<HeaderMap>)>, h2::Error> {
    let mut first = Bytes::new();
    let mut more = BytesMut::new();
    while let Some(data) = body.data().await {
        let data = data?;
        body.flow_control().release_capacity(data.len())?;
        if first.is_empty() {
            first = data;
        } else {
            if more.is_empty() {
                more.put_slice(&first);
            }
            more.put_slice(&data);
        }
        if first.len().max(more.len()) > limit {
            return Ok(None);
        }
    }
    let trailers = body.trailers().await?;
    Ok(Some((if more.is_empty() { first } else { more.freeze() }, trailers)))
}

/// Take the one message out of an answer.
fn message(data: &Bytes, encoding: &str, limit: usize) -> Result<Bytes, GrpcAnswer> {
    let wrong = |what: &str| GrpcAnswer::failed(code::INTERNAL, format!("the answer cannot be read: {what}"));
    let &[compressed, a, b, c, d, ..] = data.as_ref() else {
        return Err(GrpcAnswer::failed(code::UNIMPLEMENTED, "the answer holds no message"));
    };
    let length = u32::from_be_bytes([a, b, c, d]) as usize;
    let body = data.slice(PREFIX_BYTES..);
    if body.len() != length {
        return Err(wrong("its length is not what it says"));
    }
    match compressed {
        0 => Ok(body),
        1 => match decompress(encoding, &body, limit) {
            Ok(Some(body)) if body.len() > limit => Err(too_large(limit)),
            Ok(Some(body)) => Ok(body),
            Ok(None) => Err(wrong("its compression is not known here")),
            Err(error) => Err(wrong(&error.to_string())),
        },
        _ => Err(wrong("unknown flags")),
    }
}

fn too_large(limit: usize) -> GrpcAnswer {
    // Not RESOURCE_EXHAUSTED: that would mean that the request was too large.
    GrpcAnswer::failed(code::INTERNAL, format!("the answer is larger than {limit} bytes"))
}

/// Read a status out of trailers. `None` if there is none.
fn status(headers: &HeaderMap) -> Option<GrpcAnswer> {
    let number = headers.get("grpc-status")?.to_str().ok().and_then(|text| text.parse::<u32>().ok());
    let message = headers.get("grpc-message").map_or_else(String::new, |value| percent_decoded(value.as_bytes()));
    let details = headers.get("grpc-status-details-bin").and_then(|value| BASE64.decode(value.as_bytes()).ok());
    Some(GrpcAnswer {
        code: number.filter(|code| *code <= code::UNAUTHENTICATED).unwrap_or(code::UNKNOWN),
        message,
        details: details.unwrap_or_default().into(),
        body: Bytes::new(),
    })
}

fn percent_decoded(text: &[u8]) -> String {
    let digit = |at: usize| text.get(at).and_then(|c| char::from(*c).to_digit(16));
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        match (byte, digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                at += 3;
            }
            _ => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// What an HTTP status means where gRPC said nothing (gRPC, "HTTP to gRPC Status Code Mapping").
fn http_code(status: StatusCode) -> u32 {
    match status.as_u16() {
        400 => code::INTERNAL,
        401 => code::UNAUTHENTICATED,
        403 => code::PERMISSION_DENIED,
        404 => code::UNIMPLEMENTED,
        429 | 502 | 503 | 504 => code::UNAVAILABLE,
        _ => code::UNKNOWN,
    }
}

/// What a broken connection or stream means (gRPC, "HTTP2 Transport Mapping").
pub(crate) fn broken(error: &h2::Error) -> GrpcAnswer {
    let code = match error.reason() {
        Some(reason) if error.is_reset() && error.is_remote() => match reason {
            h2::Reason::REFUSED_STREAM => code::UNAVAILABLE,
            h2::Reason::CANCEL => code::CANCELLED,
            h2::Reason::ENHANCE_YOUR_CALM => code::RESOURCE_EXHAUSTED,
            h2::Reason::INADEQUATE_SECURITY => code::PERMISSION_DENIED,
            _ => code::INTERNAL,
        },
        _ => code::UNAVAILABLE,
    };
    GrpcAnswer::failed(code, chain(error))
}

/// Whether the server certainly did not look at the call, so that it may be made again at once.
pub(crate) fn untouched(error: &h2::Error) -> bool {
    error.is_reset() && error.is_remote() && error.reason() == Some(h2::Reason::REFUSED_STREAM)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_have_at_most_eight_digits() {
        for (timeout, expected) in [
            (Duration::from_micros(1), "1u"),
            (Duration::from_secs(5), "5000000u"),
            (Duration::from_secs(3600), "3600000m"),
            (Duration::from_secs(1_000_000), "1000000S"),
            (Duration::MAX, "99999999S"),
        ] {
            assert_eq!(timeout_value(timeout), expected);
        }
    }

    #[test]
    fn messages_are_percent_decoded_as_far_as_they_are_encoded() {
        for (text, expected) in
            [("a%20b", "a b"), ("100%", "100%"), ("%zz%4", "%zz%4"), ("%C3%A4", "ä"), ("%ff", "\u{fffd}")]
        {
            assert_eq!(percent_decoded(text.as_bytes()), expected);
        }
    }

    #[test]
    fn a_status_is_read_out_of_trailers() {
        let mut headers = HeaderMap::new();
        assert_eq!(status(&headers), None);
        headers.insert("grpc-status", HeaderValue::from_static("8"));
        headers.insert("grpc-message", HeaderValue::from_static("too%20much"));
        headers.insert("grpc-status-details-bin", HeaderValue::from_static("AQI"));
        let read = status(&headers).unwrap();
        assert_eq!((read.code, read.message.as_str(), read.details.as_ref()), (8, "too much", &[1, 2][..]));
        for odd in ["99", "-1", "x", ""] {
            headers.insert("grpc-status", HeaderValue::from_static(odd));
            assert_eq!(status(&headers).unwrap().code, code::UNKNOWN);
        }
    }

    #[test]
    fn answers_hold_exactly_one_message() {
        let ok = |data: &[u8], encoding| message(&Bytes::copy_from_slice(data), encoding, 10).map_err(|e| e.code);
        assert_eq!(ok(b"\0\0\0\0\x02ab", ""), Ok(Bytes::from_static(b"ab")));
        assert_eq!(ok(b"\0\0\0\0\x00", ""), Ok(Bytes::new()));
        assert_eq!(ok(b"", ""), Err(code::UNIMPLEMENTED));
        for wrong in [&b"\0\0\0\0\x02a"[..], b"\0\0\0\0\x02abc", b"\x02\0\0\0\x01a", b"\x01\0\0\0\x01a"] {
            assert_eq!(ok(wrong, "gzip"), Err(code::INTERNAL));
        }
        assert_eq!(ok(b"\x01\0\0\0\x01a", "br"), Err(code::INTERNAL));
    }
}
