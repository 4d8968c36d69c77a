//! Is it UTF-8?

/// Above this simdutf8's call pays.
const SHORT: usize = 64;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// Whether bytes are UTF-8. Most are short and ASCII: those cost no call.
#[inline]
pub(crate) fn is_text(bytes: &[u8]) -> bool {
    if bytes.len() >= SHORT {
        return simdutf8::basic::from_utf8(bytes).is_ok();
    }
    high_bits(bytes) == 0 || std::str::from_utf8(bytes).is_ok()
}

/// Return the high bits of all bytes, somehow joined.
#[inline]
fn high_bits(bytes: &[u8]) -> u64 {
    if let Some(last) = bytes.last_chunk::<8>() {
        let whole = bytes.chunks_exact(8).filter_map(|chunk| chunk.try_into().ok());
        return whole.fold(u64::from_le_bytes(*last), |bits, chunk| bits | u64::from_le_bytes(chunk)) & HIGH;
    }
    if let (Some(first), Some(last)) = (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        return u64::from(u32::from_le_bytes(*first) | u32::from_le_bytes(*last)) & HIGH;
    }
    bytes.iter().fold(0, |bits, &byte| bits | u64::from(byte)) & HIGH
}

/// Return the offset of the first byte that belongs to no character.
#[cold]
pub(crate) fn bad_text(bytes: &[u8]) -> usize {
    std::str::from_utf8(bytes).map_or_else(|error| error.valid_up_to(), str::len)
}
