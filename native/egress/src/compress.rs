//! Compression of requests and decompression of answers.

use std::cell::RefCell;
use std::io::{self, Read};
use std::sync::OnceLock;

use bytes::Bytes;
use libdeflater::{CompressionLvl, Compressor};
use tokio::sync::Semaphore;

/// Smaller bodies are compressed at once; larger ones would keep other connections waiting for more than about half a
/// millisecond, and go to another thread.
const INLINE_BYTES: usize = 64 * 1024;
/// Buffers larger than this are not kept for the next request.
const KEPT_BYTES: usize = 4 * 1024 * 1024;

/// How a body is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// RFC 1952.
    Gzip,
    /// RFC 1950; HTTP and gRPC call it deflate.
    Zlib,
    /// RFC 8878.
    Zstd,
}

/// An encoding and how hard it tries: 1 to 12 for gzip and zlib, 1 to 22 for zstd.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compression {
    /// The format.
    pub encoding: Encoding,
    /// The effort.
    pub level: i32,
}

/// What is needed to compress, kept by each thread that does it.
#[derive(Default)]
struct Tools {
    deflate: Option<(i32, Compressor)>,
    zstd: Option<(i32, zstd::bulk::Compressor<'static>)>,
    buffer: Vec<u8>,
}

thread_local! {
    static TOOLS: RefCell<Tools> = RefCell::default();
}

/// Compress a body, on another thread if it is large.
///
/// # Errors
/// When the level does not exist, or memory is short.
pub(crate) async fn compress(how: Compression, data: Bytes) -> io::Result<Bytes> {
    static TURNS: OnceLock<Semaphore> = OnceLock::new();
    if data.len() <= INLINE_BYTES {
        return compress_now(how, &data);
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let turn = TURNS.get_or_init(|| Semaphore::new(cores)).acquire().await;
    let done = tokio::task::spawn_blocking(move || {
        let _turn = &turn;
        compress_now(how, &data)
    });
    done.await.map_err(io::Error::other)?
}

/// Compress a body on this thread.
///
/// # Errors
/// As [`compress`].
pub fn compress_now(how: Compression, data: &[u8]) -> io::Result<Bytes> {
    TOOLS.with_borrow_mut(|tools| {
        let length = match how.encoding {
            Encoding::Zstd => tools.zstd(how.level, data)?,
            Encoding::Gzip | Encoding::Zlib => tools.deflate(how, data)?,
        };
        let compressed = Bytes::copy_from_slice(tools.buffer.get(..length).unwrap_or_default());
        if tools.buffer.capacity() > KEPT_BYTES {
            tools.buffer = Vec::new();
        }
        Ok(compressed)
    })
}

impl Tools {
    fn deflate(&mut self, how: Compression, data: &[u8]) -> io::Result<usize> {
        if self.deflate.as_ref().is_none_or(|(level, _)| *level != how.level) {
            let level = CompressionLvl::new(how.level).map_err(|_| io::Error::other("no such compression level"))?;
            self.deflate = Some((how.level, Compressor::new(level)));
        }
        let Some((_, compressor)) = &mut self.deflate else { return Ok(0) };
        let gzip = how.encoding == Encoding::Gzip;
        let bound =
            if gzip { compressor.gzip_compress_bound(data.len()) } else { compressor.zlib_compress_bound(data.len()) };
        if self.buffer.len() < bound {
            self.buffer.resize(bound, 0);
        }
        let done = if gzip {
            compressor.gzip_compress(data, &mut self.buffer)
        } else {
            compressor.zlib_compress(data, &mut self.buffer)
        };
        done.map_err(io::Error::other)
    }

    fn zstd(&mut self, level: i32, data: &[u8]) -> io::Result<usize> {
        if self.zstd.as_ref().is_none_or(|(known, _)| *known != level) {
            self.zstd = Some((level, zstd::bulk::Compressor::new(level)?));
        }
        let Some((_, compressor)) = &mut self.zstd else { return Ok(0) };
        let bound = zstd::zstd_safe::compress_bound(data.len());
        if self.buffer.len() < bound {
            self.buffer.resize(bound, 0);
        }
        compressor.compress_to_buffer(data, self.buffer.as_mut_slice())
    }
}

/// Undo what an answer's encoding names; at most `limit` bytes and one come back. `None` for an unknown encoding.
///
/// # Errors
/// When the bytes are not in that encoding.
pub(crate) fn decompress(encoding: &str, data: &[u8], limit: usize) -> io::Result<Option<Bytes>> {
    let limit = limit as u64 + 1;
    let mut out = Vec::new();
    match encoding {
        "" | "identity" => out.extend_from_slice(data),
        "gzip" | "x-gzip" => _ = flate2::read::MultiGzDecoder::new(data).take(limit).read_to_end(&mut out)?,
        "deflate" => _ = flate2::read::ZlibDecoder::new(data).take(limit).read_to_end(&mut out)?,
        "zstd" => _ = zstd::stream::read::Decoder::new(data)?.take(limit).read_to_end(&mut out)?,
        _ => return Ok(None),
    }
    Ok(Some(out.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_compressed_comes_back() {
        let text: Vec<u8> = (0..40_000u32).flat_map(|n| (n / 7).to_le_bytes()).collect();
        for (encoding, name, level) in
            [(Encoding::Gzip, "gzip", 1), (Encoding::Zlib, "deflate", 6), (Encoding::Zstd, "zstd", 3)]
        {
            for data in [&b""[..], b"a", &text] {
                let small = compress_now(Compression { encoding, level }, data).unwrap();
                assert_eq!(decompress(name, &small, 1 << 20).unwrap().unwrap(), data);
            }
            let small = compress_now(Compression { encoding, level }, &text).unwrap();
            assert!(small.len() < text.len());
            assert_eq!(decompress(name, &small, 10).unwrap().unwrap().len(), 11);
            assert!(decompress(name, b"garbage", 10).is_err());
        }
        assert_eq!(decompress("br", b"", 10).unwrap(), None);
    }

    #[test]
    fn a_level_that_does_not_exist_is_an_error() {
        assert!(compress_now(Compression { encoding: Encoding::Gzip, level: 13 }, b"a").is_err());
    }
}
