//! What the header fields of a request must be (RFC 9113, 8.2 and 8.3); the rest is a malformed request.

use super::frames::{ErrorCode, Fault};
use super::hpack::{Entry, Headers, Kind};

const MAX_LENGTH_DIGITS: usize = 18;
const MALFORMED: Fault = Fault::Stream(ErrorCode::Protocol);

/// Return the content length, if it is given.
pub(crate) fn check_request(headers: &Headers) -> Result<Option<usize>, Fault> {
    let (mut seen, mut regular, mut length) = (0u8, false, None);
    for entry in headers {
        let bit = match entry.kind {
            Kind::Method => 1,
            Kind::Scheme => 2,
            Kind::Path => 4,
            Kind::Authority => 8,
            Kind::UnknownPseudo => return Err(MALFORMED),
            _ => {
                regular = true;
                check_regular(entry)?;
                if entry.kind == Kind::Length {
                    length = Some(read_length(&entry.value, length)?);
                }
                continue;
            }
        };
        if regular || seen & bit != 0 || (bit == 4 && entry.value.is_empty()) {
            return Err(MALFORMED);
        }
        seen |= bit;
    }
    if seen & 7 != 7 {
        // A CONNECT names an authority and nothing else (8.5).
        let method = headers.iter().find(|entry| entry.kind == Kind::Method);
        if seen != 9 || method.is_none_or(|entry| &*entry.value != b"CONNECT") {
            return Err(MALFORMED);
        }
    }
    Ok(length)
}

/// Check the fields behind a message.
pub(crate) fn check_trailers(headers: &Headers) -> Result<(), Fault> {
    headers.iter().try_for_each(|entry| match entry.kind {
        Kind::Method | Kind::Scheme | Kind::Path | Kind::Authority | Kind::UnknownPseudo => Err(MALFORMED),
        _ => check_regular(entry),
    })
}

fn check_regular(entry: &Entry) -> Result<(), Fault> {
    match entry.kind {
        Kind::Forbidden => Err(MALFORMED),
        Kind::Te if !entry.value.eq_ignore_ascii_case(b"trailers") => Err(MALFORMED),
        _ => Ok(()),
    }
}

fn read_length(value: &[u8], before: Option<usize>) -> Result<usize, Fault> {
    if value.is_empty() || value.len() > MAX_LENGTH_DIGITS || !value.iter().all(u8::is_ascii_digit) {
        return Err(MALFORMED);
    }
    let length = value.iter().fold(0usize, |sum, digit| sum * 10 + usize::from(digit - b'0'));
    if before.is_some_and(|before| before != length) {
        return Err(MALFORMED);
    }
    Ok(length)
}
