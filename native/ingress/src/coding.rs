//! Bodies of requests: taking compression off without ever holding much more than the limit.

use std::cell::RefCell;

use flate2::{Decompress, FlushDecompress, Status};
use zstd::zstd_safe::{DCtx, DParameter, InBuffer, OutBuffer, ResetDirective};

/// Largest zstd window, as a power of two: what RFC 8878 asks decoders to support; memory that a frame can claim.
const MAX_WINDOW_LOG: u32 = 23;
/// Gzip members or zstd frames of one body; senders write one, and millions of empty ones cost seconds.
const MAX_MEMBERS: usize = 100;
const WINDOW_BITS: u8 = 15;
/// Room made at once for what comes out.
const STEP: usize = 64 * 1024;

/// How a body is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// Not at all.
    Identity,
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
    /// RFC 1950.
    Zlib,
    /// RFC 1950, or RFC 1951, which some clients send.
    Deflate,
}

impl Coding {
    /// The name of a coding in lower case; `identity` and the empty name are none.
    pub fn named(name: &[u8]) -> Option<Self> {
        Some(match name {
            b"" | b"identity" => Self::Identity,
            b"gzip" => Self::Gzip,
            b"zstd" => Self::Zstd,
            b"zlib" => Self::Zlib,
            b"deflate" => Self::Deflate,
            _ => return None,
        })
    }

    fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Zlib => "zlib",
            Self::Deflate => "deflate",
        }
    }
}

/// Why a body cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Undone {
    /// It is damaged or ends early; in words.
    Invalid(String),
    /// It is larger than the limit.
    Oversize,
}

/// Return the body; what is compressed stays in `data`. Stops as soon as the body exceeds `limit` bytes, so that a bomb
/// costs no more than that.
pub(crate) fn decompress(coding: Coding, data: &mut Vec<u8>, limit: usize) -> Result<Vec<u8>, Undone> {
    let result = match coding {
        Coding::Identity => return Ok(std::mem::take(data)),
        Coding::Gzip => gunzip(data, limit),
        Coding::Zlib | Coding::Deflate if data.is_empty() => return Ok(Vec::new()),
        Coding::Zlib | Coding::Deflate => deflate(data, limit),
        Coding::Zstd => unzstd(data, limit),
    };
    match result {
        Ok(body) if body.len() > limit => Err(Undone::Oversize),
        Ok(body) => Ok(body),
        Err(reason) => Err(Undone::Invalid(format!("the body is not valid {}: {reason}", coding.name()))),
    }
}

const EARLY: &str = "it ends early";

fn check_members(count: usize) -> Result<(), String> {
    if count >= MAX_MEMBERS { Err(format!("it has more than {MAX_MEMBERS} members")) } else { Ok(()) }
}

fn gunzip(data: &[u8], limit: usize) -> Result<Vec<u8>, String> {
    let mut out = Vec::with_capacity(guess(data.len(), limit));
    let mut rest = data;
    let mut members = 0;
    while !rest.is_empty() && out.len() <= limit {
        check_members(members)?;
        members += 1;
        // The prefix of a member is read by the library.
        let mut stream = Decompress::new_gzip(WINDOW_BITS);
        rest = inflate(&mut stream, rest, &mut out, limit)?;
    }
    Ok(out)
}

fn deflate(data: &[u8], limit: usize) -> Result<Vec<u8>, String> {
    let first = data.first().copied().unwrap_or_default();
    let word = u16::from_be_bytes([first, data.get(1).copied().unwrap_or_default()]);
    let wrapped = first & 0x0F == 8 && word.is_multiple_of(31);
    let mut out = Vec::with_capacity(guess(data.len(), limit));
    inflate(&mut Decompress::new(wrapped), data, &mut out, limit)?;
    Ok(out)
}

/// What a body of telemetry comes to, so that it seldom has to be moved while it grows.
fn guess(compressed: usize, limit: usize) -> usize {
    compressed.saturating_mul(6).clamp(512, STEP * 16).min(limit.saturating_add(1))
}

/// Append one stream to `out`, up to one byte more than the limit; return what follows it.
fn inflate<'a>(stream: &mut Decompress, data: &'a [u8], out: &mut Vec<u8>, limit: usize) -> Result<&'a [u8], String> {
    loop {
        let at = usize::try_from(stream.total_in()).unwrap_or(usize::MAX);
        let input = data.get(at..).unwrap_or_default();
        if out.len() == out.capacity() {
            out.reserve(STEP.max(out.len() / 2).min((limit + 1).saturating_sub(out.len()).max(1)));
        }
        let (before, read) = (out.len(), stream.total_in());
        let status = stream.decompress_vec(input, out, FlushDecompress::None).map_err(|error| error.to_string())?;
        if status == Status::StreamEnd {
            let end = usize::try_from(stream.total_in()).unwrap_or(usize::MAX);
            return Ok(data.get(end..).unwrap_or_default());
        }
        if out.len() > limit {
            return Ok(&[]);
        }
        if out.len() == before && stream.total_in() == read && out.len() < out.capacity() {
            return Err(EARLY.into());
        }
    }
}

thread_local! {
    /// Making one costs ten times as much as a small body.
    static ZSTD: RefCell<Option<DCtx<'static>>> = const { RefCell::new(None) };
}

fn unzstd(data: &[u8], limit: usize) -> Result<Vec<u8>, String> {
    ZSTD.with_borrow_mut(|kept| {
        if kept.is_none() {
            let mut made = DCtx::try_create().ok_or("no memory")?;
            made.set_parameter(DParameter::WindowLogMax(MAX_WINDOW_LOG)).map_err(said)?;
            *kept = Some(made);
        }
        let context = kept.as_mut().ok_or("no memory")?;
        context.reset(ResetDirective::SessionOnly).map_err(said)?;
        let mut out = Vec::with_capacity(guess(data.len(), limit));
        let mut input = InBuffer::around(data);
        let (mut frames, mut open) = (0, false);
        while (input.pos() < data.len() || open) && out.len() <= limit {
            if !open {
                check_members(frames)?;
                frames += 1;
            }
            if out.len() == out.capacity() {
                out.reserve(STEP.max(out.len() / 2).min((limit + 1).saturating_sub(out.len()).max(1)));
            }
            let (before, read) = (out.len(), input.pos());
            let left = {
                let mut buffer = OutBuffer::around_pos(&mut out, before);
                context.decompress_stream(&mut buffer, &mut input).map_err(said)?
            };
            open = left != 0;
            if open && out.len() == before && input.pos() == read && out.len() < out.capacity() {
                return Err(EARLY.into());
            }
        }
        Ok(out)
    })
}

fn said(code: usize) -> String {
    zstd::zstd_safe::get_error_name(code).into()
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

    use super::*;

    fn packed(coding: Coding, data: &[u8]) -> Vec<u8> {
        let level = Compression::default();
        match coding {
            Coding::Identity => data.to_vec(),
            Coding::Gzip => {
                let mut to = GzEncoder::new(Vec::new(), level);
                to.write_all(data).unwrap();
                to.finish().unwrap()
            }
            Coding::Zlib => {
                let mut to = ZlibEncoder::new(Vec::new(), level);
                to.write_all(data).unwrap();
                to.finish().unwrap()
            }
            Coding::Deflate => {
                let mut to = DeflateEncoder::new(Vec::new(), level);
                to.write_all(data).unwrap();
                to.finish().unwrap()
            }
            Coding::Zstd => zstd::encode_all(data, 3).unwrap(),
        }
    }

    const ALL: [Coding; 5] = [Coding::Identity, Coding::Gzip, Coding::Zstd, Coding::Zlib, Coding::Deflate];

    #[test]
    fn every_coding_is_undone() {
        let text: Vec<u8> = (0..200_000u32).map(|i| (i / 7).wrapping_mul(i) as u8).collect();
        for coding in ALL {
            for length in [0, 1, 1000, text.len()] {
                let body = decompress(coding, &mut packed(coding, &text[..length]), 1 << 20).unwrap();
                assert_eq!(body, text[..length], "{coding:?} {length}");
            }
        }
    }

    #[test]
    fn what_is_larger_than_the_limit_stops_there() {
        for coding in ALL.into_iter().skip(1) {
            let mut bomb = packed(coding, &vec![0; 10 << 20]);
            assert_eq!(decompress(coding, &mut bomb, 1 << 20), Err(Undone::Oversize), "{coding:?}");
            assert_eq!(decompress(coding, &mut bomb, 10 << 20).unwrap().len(), 10 << 20, "{coding:?}");
        }
    }

    #[test]
    fn damage_and_early_ends_are_said() {
        for coding in ALL.into_iter().skip(1) {
            let mut whole = packed(coding, &[7; 5000]);
            for length in (1..whole.len()).step_by(3) {
                let mut cut = whole[..length].to_vec();
                assert!(
                    matches!(decompress(coding, &mut cut, 1 << 20), Err(Undone::Invalid(_))),
                    "{coding:?} {length}"
                );
            }
            whole[0] ^= 0xFF;
            if coding != Coding::Deflate {
                assert!(matches!(decompress(coding, &mut whole, 1 << 20), Err(Undone::Invalid(_))), "{coding:?}");
            }
        }
    }

    #[test]
    fn members_are_joined_and_counted() {
        for coding in [Coding::Gzip, Coding::Zstd] {
            let mut two = [packed(coding, b"one "), packed(coding, b"two")].concat();
            assert_eq!(decompress(coding, &mut two, 100).unwrap(), b"one two");
            let mut many = packed(coding, b"").repeat(1000);
            assert!(matches!(decompress(coding, &mut many, 100), Err(Undone::Invalid(_))), "{coding:?}");
        }
    }
}
