//! Is it UTF-8?

/// Above this simdutf8's call pays.
const SHORT: usize = 64;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// Whether bytes are UTF-8. Most are short and ASCII: those cost no call.
#[inline]
pub(crate) fn is_text(bytes: &[u8]) -> bool {
    if bytes.len() < SHORT {
        return is_ascii(bytes) || std::str::from_utf8(bytes).is_ok();
    }
    simdutf8::basic::from_utf8(bytes).is_ok()
}

/// Whether all bytes are below 0x80; for few bytes, where setting vectors up does not pay.
#[inline(always)]
pub(crate) fn is_ascii(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    let mut bits = 0;
    while let Some((chunk, more)) = rest.split_first_chunk::<16>() {
        let chunk = u128::from_le_bytes(*chunk);
        bits |= chunk as u64 | (chunk >> 64) as u64;
        rest = more;
    }
    // What is left, together with bytes that were there before, in two loads.
    if let (Some(first), Some(last)) = (rest.first_chunk::<8>(), rest.last_chunk::<8>()) {
        bits |= u64::from_le_bytes(*first) | u64::from_le_bytes(*last);
    } else if let (Some(first), Some(last)) = (rest.first_chunk::<4>(), rest.last_chunk::<4>()) {
        bits |= u64::from(u32::from_le_bytes(*first) | u32::from_le_bytes(*last));
    } else {
        for &byte in rest {
            bits |= u64::from(byte);
        }
    }
    bits & HIGH == 0
}

/// Return the offset of the first byte that belongs to no character.
#[cold]
pub(crate) fn bad_text(bytes: &[u8]) -> usize {
    std::str::from_utf8(bytes).map_or_else(|error| error.valid_up_to(), str::len)
}
