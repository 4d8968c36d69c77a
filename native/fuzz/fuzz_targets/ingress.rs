//! The parts of the ingress that read what strangers send, taken in as files: they are private there, and the rest of
//! that crate (TLS, sockets) would only make this slow to build.
#![no_main]
#![allow(dead_code, unreachable_pub, reason = "the files are made for their own crate")]

mod message {
    pub type Pairs = Vec<(Vec<u8>, Vec<u8>)>;
}
#[path = "../../ingress/src/coding.rs"]
mod coding;
#[path = "../../ingress/src/http1"]
mod http1 {
    pub(crate) mod chunks;
    pub(crate) mod head;
}
#[path = "../../ingress/src/http2"]
mod http2 {
    pub(crate) mod hpack;
    pub(crate) mod huffman;
}

use coding::{Coding, decompress};

const LIMIT: usize = 100_000;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Some((&choice, data)) = input.split_first() else { return };
    match choice % 8 {
        0 | 1 => head(data),
        2 => chunks(data, usize::from(choice >> 3) + 1),
        3 => headers(data),
        4 => {
            http2::huffman::decode(data);
        }
        5 => body(Coding::Gzip, data),
        6 => body(Coding::Deflate, data),
        _ => body(Coding::Zstd, data),
    }
});

/// A head is read in the same way whatever follows it, and not before it is complete.
fn head(data: &[u8]) {
    if let Ok(Some((made, length))) = http1::head::parse(data) {
        assert!(length <= data.len() && made.headers.len() <= http1::head::MAX_HEADERS);
        let again = http1::head::parse(&data[..length]);
        assert!(matches!(again, Ok(Some((_, same))) if same == length));
        assert!(!matches!(http1::head::parse(&data[..length - 1]), Ok(Some((_, other))) if other == length));
    }
}

/// Chunks mean the same in pieces of any size.
fn chunks(data: &[u8], step: usize) {
    assert_eq!(read(data, data.len().max(1)), read(data, step));
}

fn read(data: &[u8], step: usize) -> (Vec<u8>, usize, bool, bool) {
    let (mut chunks, mut found, mut used) = (http1::chunks::Chunks::new(), Vec::new(), 0);
    for piece in data.chunks(step) {
        let mut at = 0;
        while at < piece.len() && !chunks.is_done() {
            let Ok((taken, content)) = chunks.next(&piece[at..]) else { return (found, 0, false, true) };
            assert!(taken > 0 && content.len() <= taken);
            found.extend_from_slice(content);
            at += taken;
        }
        used += at;
    }
    (found, used, chunks.is_done(), false)
}

/// Header blocks one after the other; what is beyond the limit is not given out.
fn headers(data: &[u8]) {
    let mut decoder = http2::hpack::Decoder::new();
    for block in data.split(|&byte| byte == 0xFE) {
        match decoder.decode(block, 8192) {
            Ok(Some(headers)) => {
                assert!(headers.iter().map(|header| header.name.len() + header.value.len()).sum::<usize>() <= 8192)
            }
            Ok(None) => {}
            Err(_) => return,
        }
    }
}

/// No more comes out than the limit allows.
fn body(coding: Coding, data: &[u8]) {
    if let Ok(made) = decompress(coding, &mut data.to_vec(), LIMIT) {
        assert!(made.len() <= LIMIT);
    }
}
