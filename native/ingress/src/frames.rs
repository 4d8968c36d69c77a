//! Frames of HTTP/2 as far as they must be seen from outside of `hyper`: their heads, to count what is not counted
//! there.

/// What a client of HTTP/2 begins with.
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const HEAD_BYTES: usize = 9;

pub(crate) mod kind {
    pub(crate) const DATA: u8 = 0;
    pub(crate) const HEADERS: u8 = 1;
    pub(crate) const RST_STREAM: u8 = 3;
    pub(crate) const SETTINGS: u8 = 4;
    pub(crate) const PING: u8 = 6;
    pub(crate) const GOAWAY: u8 = 7;
    pub(crate) const WINDOW_UPDATE: u8 = 8;
    pub(crate) const CONTINUATION: u8 = 9;
}

pub(crate) mod flag {
    pub(crate) const ACK: u8 = 1;
    pub(crate) const PADDED: u8 = 8;
}

/// The head of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FrameHead {
    pub length: usize,
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
}

/// Finds the heads of frames in bytes, however they are cut.
#[derive(Debug, Default)]
pub(crate) struct Follower {
    head: [u8; HEAD_BYTES],
    have: usize,
    skip: usize,
}

impl Follower {
    /// Whether the bytes so far end with a whole frame.
    pub(crate) fn is_between(&self) -> bool {
        self.have == 0 && self.skip == 0
    }

    pub(crate) fn follow(&mut self, mut data: &[u8], mut seen: impl FnMut(FrameHead)) {
        while !data.is_empty() {
            let past = self.skip.min(data.len());
            self.skip -= past;
            data = data.get(past..).unwrap_or_default();
            let count = data.len().min(HEAD_BYTES - self.have);
            let (begin, rest) = data.split_at(count);
            if let Some(place) = self.head.get_mut(self.have..self.have + count) {
                place.copy_from_slice(begin);
            }
            self.have += count;
            data = rest;
            if self.have == HEAD_BYTES {
                let [a, b, c, kind, flags, i, j, k, l] = self.head;
                let length = u32::from_be_bytes([0, a, b, c]) as usize;
                let stream = u32::from_be_bytes([i, j, k, l]) & 0x7FFF_FFFF;
                (self.have, self.skip) = (0, length);
                seen(FrameHead { length, kind, flags, stream });
            }
        }
    }
}

/// Error codes (RFC 9113, 7).
pub(crate) const PROTOCOL_ERROR: u32 = 1;
pub(crate) const ENHANCE_YOUR_CALM: u32 = 11;

/// Return GOAWAY.
pub(crate) fn goaway(last: u32, code: u32, words: &str) -> Vec<u8> {
    let length = (8 + words.len()) as u32;
    let mut out = length.to_be_bytes()[1..].to_vec();
    out.extend_from_slice(&[kind::GOAWAY, 0, 0, 0, 0, 0]);
    out.extend_from_slice(&last.to_be_bytes());
    out.extend_from_slice(&code.to_be_bytes());
    out.extend_from_slice(words.as_bytes());
    out
}

/// SETTINGS that say nothing: a server begins with them.
pub(crate) const NO_SETTINGS: [u8; HEAD_BYTES] = [0, 0, 0, kind::SETTINGS, 0, 0, 0, 0, 0];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_found_wherever_bytes_are_cut() {
        let bytes = [goaway(5, ENHANCE_YOUR_CALM, "words"), NO_SETTINGS.to_vec(), goaway(0, 0, "")].concat();
        let expected = [(13, kind::GOAWAY), (0, kind::SETTINGS), (8, kind::GOAWAY)];
        for size in 1..bytes.len() {
            let (mut follower, mut found) = (Follower::default(), Vec::new());
            for piece in bytes.chunks(size) {
                follower.follow(piece, |head| found.push((head.length, head.kind)));
            }
            assert_eq!(found, expected, "{size}");
            assert!(follower.is_between());
            follower.follow(b"x", |_| ());
            assert!(!follower.is_between());
        }
    }
}
